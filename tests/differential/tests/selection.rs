//! Faults of the choice of a token, `SelectionFaults.sol` against the reference in Rust: honest choices stand, every lie falls, whatever a witness says.

mod synthetic;

use alloy_sol_types::SolValue;
use sworn_differential::vectors::Rng;
use sworn_inference::engine::{Sampling, select};
use sworn_inference::numeric::{draw, selection_key};
use sworn_prover::constants::{
    FAULT_ARGMAX, FAULT_BEST, FAULT_CHOICE, FAULT_GROUP_SUM, FAULT_LEAF_SUM, PPM,
};
use sworn_prover::dispute::abi::{Case, Leaf, Node};
use sworn_prover::dispute::faults::selection::contents::{Masses, Selection, write_sums};
use sworn_prover::dispute::faults::selection::find::Finding;
use sworn_prover::dispute::faults::selection::judge::is_fault;
use sworn_prover::dispute::faults::selection::witness::group_sum_witness;
use sworn_prover::dispute::faults::selection::{Groups, Rule, Site};
use sworn_prover::dispute::position::{NodeKind, Position};
use sworn_prover::dispute::trace::TraceLayout;
use sworn_prover::merkle::Tree;
use sworn_prover::params::Params;
use sworn_prover::{Digest, constants};
use synthetic::{
    Costs, INBOX, Judge, MODELS, Synthetic, case, cases, layout, node, posted, run_of, words,
};

const LANE: u32 = 9;
const RUN: u8 = 2;

/// What the logits are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Ordinary,
    /// Few different values.
    Ties,
    /// Zeros of both signs.
    Zeros,
    /// NaN here and there.
    SomeNan,
    /// Nothing but NaN.
    AllNan,
    /// One or more +infinity.
    Infinite,
    /// Nothing but -infinity and NaN.
    Lowest,
    /// All within reach of each other: every mass above 0.
    Flat,
    /// Any bits.
    Bits,
}

const MODES: [Mode; 9] = [
    Mode::Ordinary,
    Mode::Ties,
    Mode::Zeros,
    Mode::SomeNan,
    Mode::AllNan,
    Mode::Infinite,
    Mode::Lowest,
    Mode::Flat,
    Mode::Bits,
];

impl Mode {
    fn logits(self, rng: &mut Rng, vocabulary: u32) -> Vec<f32> {
        let nan = [0x7fc0_0000, 0xffc0_0000, 0x7f80_0001].map(f32::from_bits);
        let mut logits: Vec<f32> = (0..vocabulary)
            .map(|_| match self {
                Mode::Ordinary => rng.normal() * 4.0,
                Mode::Ties => rng.below(4) as f32 - 1.0,
                Mode::Zeros => [0.0, -0.0][rng.below(2) as usize],
                Mode::SomeNan if rng.below(3) == 0 => nan[rng.below(3) as usize],
                Mode::SomeNan | Mode::Infinite => rng.normal() * 2.0,
                Mode::AllNan => nan[rng.below(3) as usize],
                Mode::Lowest if rng.below(2) == 0 => f32::NEG_INFINITY,
                Mode::Lowest => f32::NAN,
                Mode::Flat => rng.unit(),
                Mode::Bits => f32::from_bits(rng.bits()),
            })
            .collect();
        if self == Mode::Infinite {
            for _ in 0..=rng.below(3) {
                logits[rng.below(vocabulary) as usize] = f32::INFINITY;
            }
        }
        logits
    }
}

fn params(rng: &mut Rng, vocabulary: u32, temperature_milli: u32) -> Params {
    let pick = |rng: &mut Rng, of: &[u32]| of[rng.below(of.len() as u32) as usize];
    Params {
        temperature_milli,
        top_k: pick(rng, &[0, 0, 1, 2, 40, vocabulary, vocabulary + 1, u32::MAX]),
        top_p_ppm: pick(rng, &[PPM, PPM, 1, 500_000, 950_000, PPM - 1]),
        min_p_ppm: pick(rng, &[0, 0, 1, 50_000, PPM]),
        ..Params::default()
    }
}

/// A run whose last token but some was chosen by a row of logits.
struct World {
    trace: Synthetic,
    site: Site,
    rule: Rule,
    logits: Vec<f32>,
    tokens: Vec<u32>,
    n_prompt: u32,
}

impl World {
    fn new(rng: &mut Rng, vocabulary: u32, mode: Mode, temperature_milli: u32) -> World {
        let trace_layout = layout(1, 64, 96, [4, 2, 16], vocabulary);
        let rows = [1, 2, 70, 130][rng.below(4) as usize];
        let place = 1 + rng.below(rows);
        World::on(rng, trace_layout, (rows, place), mode, temperature_milli)
    }

    fn on(
        rng: &mut Rng,
        trace_layout: TraceLayout,
        (rows, place): (u32, u32),
        mode: Mode,
        temperature_milli: u32,
    ) -> World {
        let vocabulary = trace_layout.program().vocab_size();
        let site = Site::of(&trace_layout, place).unwrap();
        let mut trace = Synthetic::new(trace_layout, rows);
        let logits = mode.logits(rng, vocabulary);
        let bytes: Vec<u8> = logits.iter().flat_map(|l| l.to_le_bytes()).collect();
        trace.write(site.row, site.logits.first_leaf, &bytes);
        let mut seed = [0; 32];
        seed.copy_from_slice(&rng.bytes(32));
        let rule = Rule {
            params: params(rng, vocabulary, temperature_milli),
            seed,
            run: RUN,
            place,
        };
        let tokens = (0..=rows).map(|_| rng.below(vocabulary)).collect();
        World {
            n_prompt: 1 + rng.below(place),
            trace,
            site,
            rule,
            logits,
            tokens,
        }
    }

    /// The token of the engine's own selection.
    fn right(&self) -> u32 {
        let p = &self.rule.params;
        let sampling = Sampling {
            temperature_milli: p.temperature_milli,
            top_k: p.top_k,
            top_p_ppm: p.top_p_ppm,
            min_p_ppm: p.min_p_ppm,
        };
        let draw = || draw(&self.rule.seed, RUN.into(), self.rule.place);
        select(&self.logits, &sampling, draw, &mut Vec::new())
    }

    fn claim(&mut self, token: u32) {
        self.tokens[self.rule.place as usize] = token;
    }

    fn token_tree(&self) -> (Tree, Vec<Vec<u8>>) {
        let leaves: Vec<Vec<u8>> = self
            .tokens
            .chunks(64)
            .map(|tokens| {
                let mut leaf: Vec<u8> = tokens.iter().flat_map(|t| t.to_le_bytes()).collect();
                leaf.resize(256, 0);
                leaf
            })
            .collect();
        let digests = leaves.iter().map(|leaf| Digest::of(leaf)).collect();
        (Tree::new(digests), leaves)
    }

    /// The claimed token's leaf: to the tokens root, and in a node of height `height` with that node.
    fn token_leaf(&self, height: u8) -> (Leaf, Node, Leaf) {
        let (tree, leaves) = self.token_tree();
        let index = u64::from(self.rule.place / 64);
        let height = height.min(tree.depth() as u8);
        let path = tree.path(index).unwrap();
        let data = leaves[index as usize].clone();
        let (below, _) = path.split_at(usize::from(height));
        let digest = sworn_prover::merkle::root_of(Digest::of(&data), index, below);
        let at = Position::tree(NodeKind::Tokens, LANE, RUN, height, index >> height);
        let inside = Leaf {
            data: data.clone().into(),
            path: words(below),
        };
        let whole = Leaf {
            data: data.into(),
            path: words(&path),
        };
        (whole, node(at, digest), inside)
    }

    fn case(&self, node: Node, parent: Node) -> Case {
        let root = self.token_tree().0.root();
        let fields = run_of(self.n_prompt, self.tokens.len() as u32, root);
        case(RUN, fields, self.trace.root(), node, parent)
    }

    fn selection_node(&self, contents: &[u8]) -> Node {
        let place = u64::from(self.rule.place);
        posted(
            Position::tree(NodeKind::Selection, LANE, RUN, 0, place),
            contents,
        )
    }

    fn group_node(&self, component: u32, group: u32, contents: &[u8]) -> Node {
        let place = u64::from(self.rule.place);
        let position = Position {
            a: component,
            b: group,
            ..Position::tree(NodeKind::Group, LANE, RUN, 0, place)
        };
        posted(position, contents)
    }

    fn masses(&self, best: u32, claimed: u32) -> Masses {
        Masses::new(
            self.site.groups,
            &self.logits,
            best,
            self.rule.params,
            claimed,
        )
    }
}

struct Both {
    judge: Judge,
    costs: Costs,
    name: String,
    /// Of a contract with a bug: how often it differs from Rust.
    differences: Option<usize>,
}

impl Both {
    fn new(world: &World) -> Both {
        let mut judge = Judge::new("SelectionFaults", &(MODELS, INBOX).abi_encode());
        judge.register(&world.trace.layout);
        judge.submit(&world.rule.params, world.rule.seed);
        Both {
            judge,
            costs: Costs::default(),
            name: format!("V = {}", world.site.groups.vocabulary),
            differences: None,
        }
    }

    #[track_caller]
    fn check(&mut self, world: &World, case: &Case, fault: u8, witness: &[u8], expected: bool) {
        let rule = &world.rule;
        let own = is_fault(
            &world.trace.layout,
            case,
            &rule.params,
            &rule.seed,
            fault,
            witness,
        );
        assert_eq!(own, Ok(expected), "fault {fault} in Rust, {rule:?}");
        let found = self.judge.ask(case, fault, witness);
        if let Some(differences) = &mut self.differences {
            *differences += usize::from(!matches!(found, Ok((found, _)) if found == expected));
            return;
        }
        let (found, outcome) = found.unwrap();
        assert_eq!(found, expected, "fault {fault} in Solidity, {rule:?}");
        let name = format!(
            "{fault} {} {}",
            if expected { "fault" } else { "honest" },
            self.name
        );
        self.costs.note(name, witness, &outcome);
    }

    /// Whatever is done to a witness, honest contents show no fault.
    fn hostile(&mut self, case: &Case, fault: u8, witness: &[u8], rng: &mut Rng) {
        if self.differences.is_some() {
            return;
        }
        for _ in 0..3 {
            let mut witness = witness.to_vec();
            let words = witness.len() as u32 / 32;
            match rng.below(4) {
                0 => witness.truncate(rng.below(witness.len() as u32) as usize),
                1 => {
                    let at = rng.below(words) as usize * 32;
                    let word = [[0; 32], [0xff; 32]][rng.below(2) as usize];
                    witness[at..at + 32].copy_from_slice(&word);
                }
                2 => {
                    let at = rng.below(words.min(8)) as usize * 32 + 31;
                    witness[at] = witness[at].wrapping_add(rng.below(255) as u8 + 1);
                }
                _ => {
                    let at = rng.below(witness.len() as u32) as usize;
                    witness[at] ^= 1 << rng.below(8);
                }
            }
            if let Ok((found, _)) = self.judge.ask(case, fault, &witness) {
                assert!(
                    !found,
                    "a hostile witness convicts an honest choice of fault {fault}"
                );
            }
        }
    }
}

const VOCABULARIES: [u32; 7] = [320, 3, 64, 65, 4097, 1000, 8192];
const TEMPERATURES: [u32; 7] = [800, 1000, 1, 200, 3000, 10_000, 0];

fn worlds(seed: u64, usual: usize) -> impl Iterator<Item = (World, Rng)> {
    (0..cases(usual)).map(move |i| {
        let mut rng = Rng(seed ^ (i as u64) << 32);
        let vocabulary = match i % 40 {
            17 => 32_000,
            37 => 128_256,
            _ => VOCABULARIES[i % 7],
        };
        let mode = MODES[(i / 3) % MODES.len()];
        let temperature = TEMPERATURES[(i / 2) % TEMPERATURES.len()];
        (World::new(&mut rng, vocabulary, mode, temperature), rng)
    })
}

#[test]
fn honest_choices_stand() {
    let mut costs = Costs::default();
    for (mut world, mut rng) in worlds(3, 160) {
        let mut both = Both::new(&world);
        honest_choice(&mut both, &mut world, &mut rng);
        costs.merge(both.costs);
    }
    costs.print("honest choices");
}

fn honest_choice(both: &mut Both, world: &mut World, rng: &mut Rng) {
    let right = world.right();
    world.claim(right);
    let (whole, tokens_node, inside) = world.token_leaf(rng.below(3) as u8);
    let vocabulary = world.site.groups.vocabulary;
    let (site, rule) = (world.site, world.rule);
    let found = site
        .find_in_token(&mut world.trace, &rule, right, &inside)
        .unwrap();
    assert_eq!(found, Finding::Nothing, "{rule:?}");
    let case = world.case(tokens_node.clone(), tokens_node);
    for beater in [rng.below(vocabulary), right, 0] {
        let leaf = inside.clone();
        let witness = site
            .argmax_witness(&mut world.trace, leaf, right, beater)
            .unwrap();
        both.check(world, &case, FAULT_ARGMAX, &witness, false);
        both.hostile(&case, FAULT_ARGMAX, &witness, rng);
    }
    if rule.params.temperature_milli > 0 {
        let honest = Selection::honest(site.groups, &world.logits, rule.params, right);
        honest_selection(both, world, &honest, right, &whole, rng);
    }
}

fn honest_selection(
    both: &mut Both,
    world: &mut World,
    honest: &Selection,
    right: u32,
    whole: &Leaf,
    rng: &mut Rng,
) {
    let (site, rule, groups) = (world.site, world.rule, world.site.groups);
    let contents = honest.write();
    let selection = world.selection_node(&contents);
    let case = world.case(selection.clone(), selection.clone());
    let found = site
        .find_in_selection(&mut world.trace, &rule, right, whole, &contents)
        .unwrap();
    assert_eq!(found, Finding::Nothing);
    for beater in [rng.below(groups.vocabulary), honest.best] {
        let witness = site
            .best_witness(&mut world.trace, &contents, honest.best, beater)
            .unwrap();
        both.check(world, &case, FAULT_BEST, &witness, false);
        both.hostile(&case, FAULT_BEST, &witness, rng);
    }
    let witness = site
        .choice_witness(
            &mut world.trace,
            &contents,
            whole.clone(),
            honest.best,
            right,
        )
        .unwrap();
    both.check(world, &case, FAULT_CHOICE, &witness, false);
    both.hostile(&case, FAULT_CHOICE, &witness, rng);
    let masses = world.masses(honest.best, right);
    for component in 0..7 {
        let group = rng.below(groups.groups);
        let sums = masses.group(component, group, honest.thresholds(&rule.params));
        let bytes = write_sums(&sums);
        let case = world.case(
            world.group_node(component, group, &bytes),
            selection.clone(),
        );
        let place = (component, group);
        let found = site
            .find_in_group(
                &mut world.trace,
                &rule,
                right,
                whole,
                &contents,
                place,
                &bytes,
            )
            .unwrap();
        assert_eq!(found, Finding::Nothing);
        let witness = group_sum_witness(group, &bytes, &contents).unwrap();
        both.check(world, &case, FAULT_GROUP_SUM, &witness, false);
        both.hostile(&case, FAULT_GROUP_SUM, &witness, rng);
        let index = rng.below(sums.len() as u32);
        let parts = (&bytes[..], &contents[..]);
        let place = (component, group, index);
        let witness = site
            .leaf_sum_witness(&mut world.trace, parts, place, whole.clone(), honest.best)
            .unwrap();
        both.check(world, &case, FAULT_LEAF_SUM, &witness, false);
        both.hostile(&case, FAULT_LEAF_SUM, &witness, rng);
    }
}

#[test]
fn wrong_tokens_fall() {
    let mut costs = Costs::default();
    let mut proven = [0usize; 256];
    for (mut world, mut rng) in worlds(4, 240) {
        let mut both = Both::new(&world);
        for (count, code) in proven
            .iter_mut()
            .zip(wrong_choices(&mut both, &mut world, &mut rng))
        {
            *count += code;
        }
        costs.merge(both.costs);
    }
    costs.print("wrong tokens");
    for code in FAULT_ARGMAX..=FAULT_LEAF_SUM {
        assert!(
            proven[usize::from(code)] > 20,
            "fault {code} was hardly tried"
        );
    }
}

/// Some wrong tokens; gives how often each fault was proven.
fn wrong_choices(both: &mut Both, world: &mut World, rng: &mut Rng) -> [usize; 256] {
    let mut proven = [0usize; 256];
    let right = world.right();
    // Likely tokens rather than any: those next to the best.
    let mut order: Vec<u32> = (0..world.site.groups.vocabulary).collect();
    order.sort_by_key(|token| std::cmp::Reverse(selection_key(world.logits[*token as usize])));
    for _ in 0..4 {
        let likely = order[rng.below((order.len() as u32).min(8)) as usize];
        let wrong = [likely, rng.below(world.site.groups.vocabulary)][rng.below(2) as usize];
        if wrong == right {
            continue;
        }
        world.claim(wrong);
        for depth in 0..5 {
            let code = fall(both, world, wrong, depth, rng);
            proven[usize::from(code)] += 1;
        }
    }
    proven
}

/// A wrong token with contents that lie down to `depth`, followed to its fault.
fn fall(both: &mut Both, world: &mut World, wrong: u32, depth: u32, rng: &mut Rng) -> u8 {
    let (site, rule) = (world.site, world.rule);
    let (whole, tokens_node, inside) = world.token_leaf(rng.below(3) as u8);
    match site
        .find_in_token(&mut world.trace, &rule, wrong, &inside)
        .unwrap()
    {
        Finding::Fault { code, witness } => {
            let case = world.case(tokens_node.clone(), tokens_node);
            both.check(world, &case, code, &witness, true);
            return code;
        }
        Finding::OpenSelection => {}
        other => panic!("{other:?}"),
    }
    let mut lying = Selection::honest(site.groups, &world.logits, rule.params, wrong);
    match depth {
        0 => {}
        1 => {
            lying.best =
                [rng.bits(), rng.below(site.groups.vocabulary), wrong][rng.below(3) as usize]
        }
        _ => forge(world, &mut lying, wrong, rng),
    }
    let contents = lying.write();
    let selection = world.selection_node(&contents);
    let found = site
        .find_in_selection(&mut world.trace, &rule, wrong, &whole, &contents)
        .unwrap();
    let (component, group) = match found {
        Finding::Fault { code, witness } => {
            let case = world.case(selection.clone(), selection);
            both.check(world, &case, code, &witness, true);
            return code;
        }
        Finding::OpenGroup { component, group } => (component, group),
        other => panic!("{other:?}"),
    };
    let masses = world.masses(lying.best, wrong);
    let mut sums = masses.group(component, group, lying.thresholds(&rule.params));
    if depth > 2 {
        // The lie is put into one leaf, if a sum of 48 bits can hold it there.
        let claimed = lying.sums[group as usize][component as usize];
        let others: u64 = sums[1..].iter().sum();
        match claimed.checked_sub(others) {
            Some(rest) => sums[0] = rest,
            None => {
                sums.fill(0);
                sums[0] = claimed;
            }
        }
    }
    let bytes = write_sums(&sums);
    let case = world.case(world.group_node(component, group, &bytes), selection);
    let place = (component, group);
    let found = site
        .find_in_group(
            &mut world.trace,
            &rule,
            wrong,
            &whole,
            &contents,
            place,
            &bytes,
        )
        .unwrap();
    match found {
        Finding::Fault { code, witness } => {
            both.check(world, &case, code, &witness, true);
            code
        }
        other => panic!("{other:?}"),
    }
}

/// Thresholds and sums that choose the wrong token, where any can.
fn forge(world: &World, lying: &mut Selection, wrong: u32, rng: &mut Rng) {
    let params = world.rule.params;
    let masses = world.masses(lying.best, wrong);
    let mass = masses.of(wrong);
    lying.t1 = if params.top_k == 0 {
        1
    } else {
        1 + rng.below(mass as u32 | 1)
    };
    lying.t2 = lying.t1;
    lying.sums = masses.sums(lying.t1, lying.t2);
    let top_k = u64::from(params.top_k);
    if top_k > 0 {
        put(lying, 0, 0);
        if lying.totals()[1] < top_k {
            put(lying, 1, top_k);
        }
    }
    if params.top_p_ppm < PPM {
        let all = lying.totals()[2].max(1);
        put(lying, 3, all);
        put(lying, 4, 0);
    }
    let total = lying.totals()[5];
    let draw = draw(&world.rule.seed, RUN.into(), world.rule.place);
    put(
        lying,
        6,
        ((u128::from(draw) * u128::from(total)) >> 64) as u64,
    );
}

/// Makes a component's total this, by one group.
fn put(lying: &mut Selection, component: usize, total: u64) {
    let rest: u64 = lying.sums[1..].iter().map(|sums| sums[component]).sum();
    if rest > total {
        for sums in &mut lying.sums[1..] {
            sums[component] = 0;
        }
        lying.sums[0][component] = total;
    } else {
        lying.sums[0][component] = total - rest;
    }
}

#[test]
fn groups_of_vocabularies() {
    assert_eq!(constants::COMPONENT_COUNT, 7);
    for (vocabulary, leaves, group_leaves, groups) in [
        (1, 1, 1, 1),
        (64, 1, 1, 1),
        (65, 2, 2, 1),
        (320, 5, 4, 2),
        (32_000, 500, 32, 16),
        (128_256, 2004, 64, 32),
    ] {
        let expected = Groups {
            vocabulary,
            leaves,
            group_leaves,
            groups,
        };
        assert_eq!(Groups::of(vocabulary), expected);
    }
}

/// A bug anywhere in the contract shows: it then differs from Rust somewhere.
#[test]
fn planted_bugs_show() {
    let bugs = [
        (
            "the logarithm of 2 of exp",
            "2c600000000000",
            "2c610000000000",
        ),
        ("the second coefficient of exp", "888889", "988889"),
        ("a million", "620f4240", "620f5240"),
        ("the mass of the best", "6340000000", "6340000001"),
        ("the third coefficient of exp", "2aaaaac", "2aabaac"),
    ];
    for (what, from, to) in bugs {
        let mut differences = 0;
        for (mut world, mut rng) in worlds(6, 60) {
            let mut both = Both::new(&world);
            let arguments = (MODELS, INBOX).abi_encode();
            both.judge = Judge::with_bug("SelectionFaults", &arguments, from, to);
            both.judge.register(&world.trace.layout);
            both.judge.submit(&world.rule.params, world.rule.seed);
            both.differences = Some(0);
            honest_choice(&mut both, &mut world, &mut rng);
            wrong_choices(&mut both, &mut world, &mut rng);
            differences += both.differences.unwrap_or(0);
        }
        println!("{what}: {differences} differences");
        assert!(differences > 0, "nobody notices a bug in {what}");
    }
}

/// Gas of the dearest proofs about the last token of runs of models of true shape.
#[test]
fn true_shapes() {
    let shapes = [
        ("15M", 6, 288, 768, [6, 6, 48], 32_000, 256),
        ("8B", 32, 4096, 14_336, [32, 8, 128], 128_256, 2048),
        ("70B", 80, 8192, 28_672, [64, 8, 128], 128_256, 2048),
    ];
    let mut costs = Costs::default();
    for (name, layers, dim, hidden, heads, vocabulary, rows) in shapes {
        for (i, mode) in [Mode::Flat, Mode::Ordinary, Mode::Flat]
            .into_iter()
            .enumerate()
        {
            let mut rng = Rng(i as u64);
            let shape = layout(layers, dim, hidden, heads, vocabulary);
            let place = (rows - 1, rows - 1);
            let mut world = World::on(&mut rng, shape, place, mode, 800);
            let mut both = Both::new(&world);
            both.name = name.to_owned();
            honest_choice(&mut both, &mut world, &mut rng);
            wrong_choices(&mut both, &mut world, &mut rng);
            costs.merge(both.costs);
        }
    }
    costs.print("true shapes");
    costs.bound(300_000);
}
