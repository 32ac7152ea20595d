//! Posted contents, right and wrong, with the fault that they show (`prover/SPEC.md` sections 10.2 and 10.3), and digests of contents.

use std::error::Error;

use serde_json::{Value, json};
use sworn_inference::program::Op;
use sworn_prover::dispute::abi::Leaf;
use sworn_prover::dispute::faults::attention::contents::{
    Tile, read_tile, running_sums, write_tile_with,
};
use sworn_prover::dispute::faults::attention::find::{Finding, TileParent};
use sworn_prover::dispute::faults::attention::witness::Place;
use sworn_prover::dispute::faults::attention::{self, tiles};
use sworn_prover::dispute::faults::selection::contents::{Masses, Selection, write_sums};
use sworn_prover::dispute::faults::selection::find::Finding as Chosen;
use sworn_prover::dispute::faults::selection::{self, Rule, Thresholds};
use sworn_prover::dispute::parts::digest;
use sworn_prover::dispute::position::{NodeKind, Position};
use sworn_prover::dispute::results::{LaneInput, LaneResults};
use sworn_prover::dispute::source::TraceSource;

use super::machine::Answered;
use super::models::OwnAnswered;
use super::steps::Lane;
use super::{hex, pattern};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

pub(super) fn posted(answered: &[Answered], own: &[OwnAnswered]) -> Result<Value> {
    let (mut of_tiles, mut of_groups) = (Vec::new(), Vec::new());
    for (number, own) in own.iter().enumerate() {
        tiles_of(number, own, &mut of_tiles)?;
    }
    for (number, answered) in answered.iter().enumerate() {
        groups_of(number, answered, &mut of_groups)?;
    }
    Ok(json!({ "digests": digests(), "tiles": of_tiles, "groups": of_groups }))
}

/// Kind, index, c and length of contents that are the pattern, with their digest.
fn digests() -> Vec<Value> {
    let mut places = Vec::new();
    for n in [2, 15, 16, 17, 32, 33, 65] {
        places.push((NodeKind::Totals, 5, 0, 4 * n));
        places.push((NodeKind::Group, 5, 0, 6 * n));
    }
    for n in [1, 4, 5, 8, 9, 17] {
        places.push((NodeKind::Selection, 5, 0, 12 + 42 * n));
    }
    for (row, tile, n) in [
        (0, 0, 1),
        (31, 0, 32),
        (32, 0, 33),
        (255, 0, 256),
        (300, 0, 256),
        (256, 1, 1),
        (700, 2, 189),
    ] {
        for each in [4, 6] {
            let sums = usize::div_ceil(n, 32);
            places.push((NodeKind::Tile, row, tile, 4 * sums + each * n));
        }
    }
    for kind in [NodeKind::Prompt, NodeKind::Starts, NodeKind::Malformed] {
        places.push((kind, 0, 0, 100));
    }
    let digest_of = |(kind, index, c, length): (NodeKind, u64, u32, usize)| {
        let position = Position {
            c,
            ..Position::tree(kind, 0, 0, 0, index)
        };
        let found = digest(&position, &pattern(length));
        json!([kind as u8, index, c, length, hex(&found.0)])
    };
    places.into_iter().map(digest_of).collect()
}

/// A tile with one thing changed, or none.
fn bent_tiles(honest: &Tile) -> Vec<Tile> {
    let mut all = vec![honest.clone()];
    let mut bend = |change: &dyn Fn(&mut Tile)| {
        let mut tile = honest.clone();
        change(&mut tile);
        all.push(tile);
    };
    let flip = |x: &mut f32| *x = f32::from_bits(x.to_bits() ^ 1);
    let (sums, addends) = (honest.sums.len(), honest.addends.len());
    for i in [0, sums / 2, sums - 1] {
        bend(&|tile| flip(&mut tile.sums[i]));
    }
    bend(&|tile| tile.sums[0] = -tile.sums[0]);
    for nan in [0x7fc0_0001, 0xff80_0001] {
        // As good as the one NaN where there is one.
        bend(&|tile| tile.sums[sums - 1] = f32::from_bits(nan));
        bend(&|tile| tile.addends[0].weight = f32::from_bits(nan));
    }
    for i in [0, addends - 1] {
        // With the sums that follow.
        bend(&|tile| {
            let weight = tile.addends[i].weight.to_bits();
            tile.addends[i].weight = f32::from_bits(weight ^ 1 << 20);
            tile.sums = running_sums(&tile.addends);
        });
        bend(&|tile| flip(&mut tile.addends[i].weight));
        // Lost in the sum, often.
        bend(&|tile| tile.addends[i].value = tile.addends[i].value.map(|value| value ^ 1));
        bend(&|tile| tile.addends[i].value = tile.addends[i].value.map(|value| value ^ 0x8000));
    }
    all
}

fn tiles_of(number: usize, own: &OwnAnswered, cases: &mut Vec<Value>) -> Result<()> {
    let mut lane = Lane::new(
        &own.model,
        own.input.clone(),
        std::slice::from_ref(&own.run),
    )?;
    let layout = lane.results.model().layout.clone();
    let last = own.run.tokens.len() as u32 - 2;
    // Numbers are special in earlier rows too.
    let first = if own.name == "special" { 1 } else { last };
    let places = (first..=last).flat_map(|row| (0..layout.steps()).map(move |step| (row, step)));
    for (row, step) in places {
        let is_sum = matches!(layout.step(step)?.op, Op::AttnSum | Op::AttnMix);
        if !is_sum || layout.step(step)?.layer > 0 {
            continue;
        }
        let site = attention::Site::of(&layout, step)?;
        let element = site.step.elements - 1;
        let at = Place { row, element };
        let (leaf, _) = site.step.leaf_of(element)?;
        for tile in 0..tiles(row) {
            let source: &mut dyn TraceSource = lane.results.trace(0, 0)?;
            let contents = site.tile(source, row, element, tile)?;
            let totals = site.totals(source, row, element)?;
            let leaf = Leaf {
                data: source.leaf(row, leaf)?.into(),
                path: Vec::new(),
            };
            let parent = match tiles(row) {
                1 => TileParent::Element(&leaf),
                _ => TileParent::Totals(&totals),
            };
            let honest = read_tile(&contents, site.addend_bytes()).ok_or("a tile")?;
            let mut told = Vec::new();
            for bent in bent_tiles(&honest) {
                let bent = write_tile_with(&bent.sums, &bent.addends);
                let fault = match site.find_in_tile(source, at, tile, &bent, parent)? {
                    Finding::Nothing => 0,
                    Finding::Fault { code, .. } => code,
                    _ => return Err("a tile leads nowhere".into()),
                };
                // Where it begins to differ, and so many bytes.
                let differs = |(a, b): (&u8, &u8)| a != b;
                let from = contents.iter().zip(&bent).position(differs).unwrap_or(0);
                let to = contents.iter().zip(&bent).rposition(differs);
                let bytes = &bent[from..to.map_or(from, |to| to + 1)];
                let case = json!([from, hex(bytes), fault]);
                if !told.contains(&case) && (fault == 0 || !bytes.is_empty()) {
                    told.push(case);
                }
            }
            cases.push(json!({
                "own": number, "row": row, "step": step, "element": element, "tile": tile, "bent": told,
            }));
        }
    }
    Ok(())
}

/// Sums of a group that were changed, or not.
fn bent_sums(honest: &[u64]) -> Vec<Vec<u64>> {
    let mut all = vec![honest.to_vec()];
    let last = honest.len() - 1;
    for i in [0, last] {
        let mut sums = honest.to_vec();
        sums[i] += 1;
        all.push(sums);
    }
    // The same sum otherwise.
    let mut sums = honest.to_vec();
    sums[0] = honest.iter().sum();
    sums[1..].fill(0);
    all.push(sums);
    let mut sums = honest.to_vec();
    sums.rotate_left(1);
    all.push(sums);
    all
}

fn groups_of(number: usize, answered: &Answered, cases: &mut Vec<Value>) -> Result<()> {
    let params = answered.params;
    if params.temperature_milli == 0 {
        return Ok(());
    }
    let input = LaneInput {
        input_id: answered.input_id,
        params,
        payload: answered.payload.clone(),
        seed: answered.seed,
    };
    let mut lane = Lane::new(&answered.model, input, &answered.runs)?;
    let layout = lane.results.model().layout.clone();
    let run = &answered.runs[0];
    let place = run.n_prompt;
    let claimed = run.tokens[place as usize];
    let site = selection::Site::of(&layout, place)?;
    let source: &mut dyn TraceSource = lane.results.trace(0, 0)?;
    let logits = site.all(source)?;
    let rule = Rule {
        params,
        seed: answered.seed.0,
        run: 0,
        place,
    };
    let tokens = Leaf {
        data: Vec::new().into(),
        path: Vec::new(),
    };
    let honest = Selection::honest(site.groups, &logits, params, claimed);
    let masses = Masses::new(site.groups, &logits, honest.best, params, claimed);
    // Sums are of the thresholds that are claimed.
    for (t1, t2) in [(honest.t1, honest.t2), (honest.t1 + 7, honest.t2 + 1000)] {
        let told = Selection {
            t1,
            t2,
            sums: masses.sums(t1, t2),
            ..honest
        };
        let parent = told.write();
        for group in 0..site.groups.groups {
            for component in [0, 1, 4, 5, 6] {
                let thresholds = Thresholds::new(t1, t2, params.min_p_ppm);
                let sums = masses.group(component, group, thresholds);
                let mut bent = Vec::new();
                for sums in bent_sums(&sums) {
                    let contents = write_sums(&sums);
                    let at = (component, group);
                    let found = site
                        .find_in_group(source, &rule, claimed, &tokens, &parent, at, &contents)?;
                    let fault = match found {
                        Chosen::Nothing => 0,
                        Chosen::Fault { code, .. } => code,
                        _ => return Err("a group leads nowhere".into()),
                    };
                    let case = json!([hex(&contents), fault]);
                    if !bent.contains(&case) {
                        bent.push(case);
                    }
                }
                cases.push(json!({
                    "machine": number, "run": 0, "place": place, "component": component, "group": group,
                    "selection": hex(&parent), "bent": bent,
                }));
            }
        }
    }
    Ok(())
}
