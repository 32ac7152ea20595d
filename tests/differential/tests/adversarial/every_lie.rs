//! Every lie is told to the contracts, and falls; who told it pays, who showed it does not, and the honest claim of the lane becomes final.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::U256;
use sworn_differential::dispute::world::{BUDGET_SECONDS, DECLARATION_SECONDS, World};
use sworn_inference::engine::Finish;
use sworn_inference::program::Op;
use sworn_prover::dispute::lie::{Field, Hiding, Lie};
use sworn_prover::dispute::strategy::{Move, next};

use crate::lane::{self, Lane};
use crate::scene::{BOND, Claimed, End, Fallen, Scene, ether};

/// Gas of a transaction of a dispute, at most.
fn most_gas(lie: Lie) -> u64 {
    match lie {
        // Weights and activations in binary32 are four times as long as in 8 bits.
        Lie::Element(Op::Matmul, Hiding::Totals) => 360_000,
        // A leaf of 64 logits, each with its exponential.
        Lie::Token(Hiding::Weights) => 390_000,
        _ => 300_000,
    }
}

/// Openings of a dispute, at most.
const MOST_ROUNDS: usize = 11;
/// Faults that no lie of the list leads to, with the test that shows them to the same contracts.
const ELSEWHERE: [(&str, &str); 5] = [
    ("bos", "prompt"),
    ("prompt_place", "prompt"),
    ("canonical", "prompt"),
    ("byte", "prompt"),
    ("good_control", "prompt"),
];

/// The faults that a lie may be convicted of; none of what is silent.
fn faults_of(lie: Lie) -> &'static [u8] {
    use Hiding::{Best, Totals, Values, Weights};
    match lie {
        // An element shows as such, or, where it is a long sum, against its totals or its tile.
        Lie::Element(Op::NormStat | Op::Matmul, Hiding::None) => &[64, 65],
        Lie::Element(Op::NormStat | Op::Matmul, _) => &[66],
        Lie::Element(Op::AttnSum | Op::AttnMix, Hiding::None) => &[65],
        Lie::Element(Op::AttnSum | Op::AttnMix, Totals) => &[65, 67],
        Lie::Element(Op::AttnSum | Op::AttnMix, Weights) => &[68],
        Lie::Element(Op::AttnMix, Values) => &[69],
        Lie::Element(..) | Lie::TracePadding | Lie::OtherTrace => &[64],
        Lie::Token(Hiding::None) => &[80, 82],
        Lie::Token(Totals) => &[83],
        Lie::Token(Weights) => &[84],
        Lie::Token(Best) => &[81],
        Lie::Token(Values) => &[],
        Lie::TokenOutside | Lie::TokenPadding => &[32],
        Lie::StopInside | Lie::EndsEarly | Lie::GoesOn => &[33],
        Lie::PromptToken(Hiding::None) | Lie::PromptInserted => &[52],
        Lie::PromptToken(_) | Lie::PromptDropped => &[50],
        Lie::PromptSplit => &[54],
        Lie::Malformed => &[56],
        Lie::WellFormed => &[51],
        Lie::Offset | Lie::OffsetsMoved => &[35],
        Lie::OffsetPadding => &[34],
        Lie::TextByte => &[37],
        Lie::TextPadding => &[36],
        Lie::Field(Field::InputId | Field::RunMore | Field::RunLess | Field::ScoreRoot) => &[16],
        Lie::Field(Field::Finish) => &[17, 33],
        Lie::Field(Field::TextLonger) => &[17, 35],
        Lie::Field(Field::TextShorter | Field::NoText) => &[35],
        Lie::Field(_) => &[17],
        Lie::Silence(_) => &[],
    }
}

/// A lie that was told, up to its fall.
struct Told {
    lie: Lie,
    claimed: Claimed,
    fallen: Result<Fallen, sworn_prover::Digest>,
}

/// Tells the lies about these runs, `(lane, run, seed, lies)`, beside an honest claim. Gives how each ended.
fn tell(
    name: &str,
    honest: &Lane,
    world: World,
    places: &[(u32, u32, u64, &[Lie])],
) -> BTreeMap<String, BTreeSet<End>> {
    let mut scene = Scene::new(world);
    let mut own = honest.own();
    let server = scene.account("server");
    let truth = scene.claim(server, &mut own);
    assert_eq!(next(&truth.view, &mut own).unwrap(), Move::Nothing);

    let mut all = Vec::new();
    for (lane, run, seed, lies) in places {
        for lie in *lies {
            let Some(mut liar) = lie.tell(honest.own(), *lane, *run, *seed).unwrap() else {
                continue;
            };
            let proposer = scene.account(&format!("liar {lane} {seed} {lie}"));
            let challenger = scene.account(&format!("challenger {lane} {seed} {lie}"));
            let mut claimed = scene.claim(proposer, &mut liar);
            let fallen = scene.dispute(&mut claimed, challenger, &mut own, &mut liar);
            all.push((
                format!("{lane} {seed} {lie}"),
                Told {
                    lie: *lie,
                    claimed,
                    fallen,
                },
            ));
        }
    }
    assert!(scene.world.now() < truth.window_end, "all in the window");
    // All who are silent at once: nobody waits longer than for one.
    scene.world.mine(1, BUDGET_SECONDS);
    let mut fallen = Vec::new();
    for (name, told) in all {
        let challenger = scene.account(&format!("challenger {name}"));
        let end = match told.fallen {
            Ok(fallen) => fallen,
            Err(key) => scene.expire(&told.claimed, challenger, key),
        };
        assert_eq!(scene.status(&told.claimed), 3, "{name}");
        fallen.push((name, told.lie, told.claimed, end));
    }
    assert!(scene.world.now() < truth.window_end + 2 * BUDGET_SECONDS);
    scene.world.mine(1, DECLARATION_SECONDS);

    println!(
        "{name}: {:32} {:>8} {:>6} {:>9} {:>9} {:>8} {:>8} {:>10} {:>10} {:>10}",
        "lie",
        "end",
        "rounds",
        "gas chal.",
        "gas liar",
        "max chal",
        "max liar",
        "challenger",
        "liar",
        "burned"
    );
    let mut ends: BTreeMap<String, BTreeSet<End>> = BTreeMap::new();
    for (who, lie, claimed, Fallen { end, verdict }) in fallen {
        let (challenger, before) = (scene.account(&format!("challenger {who}")), scene.burned());
        scene.settle(&claimed, challenger, verdict);
        scene.withdraw(challenger);
        scene.withdraw(claimed.proposer);
        let rounds = claimed.view.nodes().len();
        let burned = (scene.burned() - before) as i128;
        let (won, lost) = (scene.gain(challenger), scene.gain(claimed.proposer));
        let (theirs, own) = (scene.purse(challenger), scene.purse(claimed.proposer));
        println!(
            "{name}: {who:32} {:>8} {rounds:>6} {:>9} {:>9} {:>8} {:>8} {:>10} {:>10} {:>10}",
            match end {
                End::Proven(fault) => fault.to_string(),
                End::Expired => "silent".into(),
            },
            theirs.gas,
            own.gas,
            theirs.largest,
            own.largest,
            ether(won),
            ether(lost),
            ether(burned),
        );
        match (end, lie) {
            (End::Expired, Lie::Silence(_)) => (),
            (End::Proven(fault), _) => {
                assert!(faults_of(lie).contains(&fault), "{who}: {fault}")
            }
            (End::Expired, _) => panic!("{who} was silent"),
        }
        assert!(rounds <= MOST_ROUNDS, "{who}: {rounds}");
        for gas in [theirs.largest, own.largest] {
            assert!(gas <= most_gas(lie), "{who}: {gas}");
        }
        // At least half burns; the challenger has its costs back and a reward; the liar has nothing of its bond back, at most what its answers cost.
        let bond = BOND as i128;
        assert!(burned >= bond / 2, "{who}: {burned}");
        assert!(won > 0, "{who}: {won}");
        assert!(lost < 0 && -lost > bond - bond / 50, "{who}: {lost}");
        let gas = (theirs.gas + own.gas) as i128 * 1_000_000_000;
        assert_eq!(won + lost + burned + gas, 0, "{who}: wei from nowhere");
        ends.entry(lie.to_string()).or_default().insert(end);
    }
    assert_eq!(scene.held(), U256::ZERO, "everybody was paid");

    // The honest claim of the lane.
    if scene.world.now() <= truth.window_end {
        scene.world.send_at(truth.window_end + 1);
    }
    scene.finalise(&truth, server);
    assert!(scene.world.now() <= truth.window_end + 2 * BUDGET_SECONDS);
    scene.withdraw(server);
    let paid = i128::from(scene.purse(server).gas) * 1_000_000_000;
    assert_eq!(scene.gain(server), -paid, "the bond is back");
    ends
}

/// `[faults]` of the machine's table.
fn codes() -> BTreeMap<String, u8> {
    let table = include_str!("../../../../prover/machine.toml");
    let faults = table.split("[faults]").nth(1).expect("faults");
    let lines = faults
        .lines()
        .skip(1)
        .take_while(|line| !line.starts_with('['));
    lines
        .filter_map(|line| line.split('#').next()?.split_once('='))
        .map(|(name, code)| (name.trim().into(), code.trim().parse().expect("a code")))
        .collect()
}

#[test]
fn every_lie_falls_on_the_chain() {
    let folder = tempfile::tempdir().unwrap();
    let lies = Lie::all();
    let (model, asked) = lane::long(folder.path());
    let (long, world) = Lane::new(model, &asked);
    // In rows of two tiles, where seeds choose the row.
    let far = [
        Lie::Element(Op::AttnSum, Hiding::Totals),
        Lie::Element(Op::AttnMix, Hiding::Totals),
    ];
    let places: [(u32, u32, u64, &[Lie]); 3] = [(1, 0, 0, &lies), (1, 0, 1, &far), (1, 0, 2, &far)];
    let mut ends = tell("long", &long, world, &places);

    let (model, asked) = lane::short(folder.path());
    let (short, world) = Lane::new(model, &asked);
    let mut runs = short.answers[3].runs.iter();
    let stopped = runs
        .position(|run| run.finish == Finish::Stop)
        .expect("a run that stops");
    let about_ends = [
        Lie::GoesOn,
        Lie::EndsEarly,
        Lie::StopInside,
        Lie::TextByte,
        Lie::Field(Field::Finish),
    ];
    let about_prompts = [
        Lie::PromptToken(Hiding::None),
        Lie::PromptToken(Hiding::Totals),
        Lie::PromptInserted,
        Lie::PromptDropped,
        Lie::PromptSplit,
        Lie::Malformed,
    ];
    let seeds = (2..22).flat_map(|seed| [0, 1].map(|lane| (lane, 1, seed, &about_prompts[..])));
    let mut places: Vec<(u32, u32, u64, &[Lie])> = vec![
        (0, 1, 1, &lies),
        (2, 0, 0, &[Lie::WellFormed]),
        (3, stopped as u32, 0, &about_ends),
    ];
    places.extend(seeds);
    for (lie, more) in tell("short", &short, world, &places) {
        ends.entry(lie).or_default().extend(more);
    }

    let untold: Vec<_> = { lies.iter() }
        .filter(|lie| !ends.contains_key(&lie.to_string()))
        .collect();
    assert!(untold.is_empty(), "{untold:?}");
    // Every operation was convicted at one of its elements.
    for op in Op::ALL {
        let convicted = { lies.iter() }.any(|lie| {
            let about = matches!(lie, Lie::Element(of, _) if *of == op);
            about
                && ends[&lie.to_string()]
                    .iter()
                    .any(|end| matches!(end, End::Proven(64..=69)))
        });
        assert!(convicted, "no lie about {op:?} was defeated");
    }
    // Every fault was shown.
    let shown: BTreeSet<u8> = { ends.values().flatten() }
        .filter_map(|end| match end {
            End::Proven(fault) => Some(*fault),
            End::Expired => None,
        })
        .collect();
    let codes = codes();
    assert!(codes.len() >= 29, "{codes:?}");
    let not_shown: BTreeSet<&str> = { codes.iter() }
        .filter(|(_, code)| !shown.contains(code))
        .map(|(name, _)| name.as_str())
        .collect();
    println!("shown: {shown:?}; elsewhere: {ELSEWHERE:?}");
    let elsewhere = ELSEWHERE.iter().map(|(name, _)| *name).collect();
    assert_eq!(not_shown, elsewhere, "faults that only other tests show");
}

/// In a lane of more than 64 jobs the claim tree is opened first.
#[test]
fn a_lie_in_a_wide_lane_falls() {
    let folder = tempfile::tempdir().unwrap();
    let texts: Vec<String> = (0..70).map(|i| "ab ".repeat(i % 9)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let (model, asked) = lane::tiny(folder.path(), &texts);
    let (wide, world) = Lane::new(model, &asked);
    let lies = [Lie::Token(Hiding::None), Lie::Field(Field::InputId)];
    let ends = tell("wide", &wide, world, &[(69, 0, 1, &lies), (3, 0, 1, &lies)]);
    assert_eq!(ends.len(), 2);
}
