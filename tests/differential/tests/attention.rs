//! Faults of attention, `AttentionFaults.sol` against the reference in Rust: honest claims stand, every lie falls, whatever a witness says.

mod synthetic;

use std::sync::Arc;

use alloy_sol_types::SolValue;
use sworn_differential::vectors::Rng;
use sworn_inference::backend::{
    AttentionOut, AttentionRow, Backend, KvPage, PAGE_POSITIONS, Scalar,
};
use sworn_inference::numeric::f32_to_f16;
use sworn_inference::program::{AttentionShape, Op};
use sworn_prover::constants::{
    FAULT_ADDENDS, FAULT_COMBINE, FAULT_STEP, FAULT_VALUE, FAULT_WEIGHT, RUN_ADDENDS,
};
use sworn_prover::dispute::abi::{Case, Leaf, Node};
use sworn_prover::dispute::faults::attention::contents::{
    combine, read_tile, read_totals, run_sum, running_sums, same, total_of, write_tile_with,
    write_totals,
};
use sworn_prover::dispute::faults::attention::find::{Finding, TileParent};
use sworn_prover::dispute::faults::attention::judge::is_fault;
use sworn_prover::dispute::faults::attention::witness::{Element, Place};
use sworn_prover::dispute::faults::attention::{Site, tiles};
use sworn_prover::dispute::position::{NodeKind, Position};
use sworn_prover::dispute::source::TraceSource;
use sworn_prover::{Digest, Error};
use synthetic::{Costs, Judge, MODELS, Synthetic, case, cases, layout, posted, run_of};

const LANE: u32 = 3;
const RUN: u8 = 1;

/// What the numbers of a world are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Ordinary,
    /// All keys alike: every score is the same.
    Ties,
    /// Queries of zeros of both signs.
    Zeros,
    /// Infinities and NaN here and there.
    Special,
    /// Queries beyond the short paths.
    Huge,
    /// Subnormal queries, keys and values.
    Tiny,
    /// Any finite bits.
    Bits,
}

const MODES: [Mode; 7] = [
    Mode::Ordinary,
    Mode::Ties,
    Mode::Zeros,
    Mode::Special,
    Mode::Huge,
    Mode::Tiny,
    Mode::Bits,
];

impl Mode {
    fn query(self, rng: &mut Rng) -> f32 {
        let x = rng.normal() * 3.0;
        match self {
            Mode::Zeros => [0.0, -0.0][rng.below(2) as usize],
            Mode::Special if rng.below(40) == 0 => {
                [f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 0.0][rng.below(4) as usize]
            }
            Mode::Huge => x * f32::powi(2.0, rng.below(90) as i32),
            Mode::Tiny => f32::from_bits(rng.bits() & 0x807f_ffff | rng.below(3) << 23),
            Mode::Bits => f32::from_bits(rng.bits() & 0xbfff_ffff),
            _ => x,
        }
    }

    fn half(self, rng: &mut Rng) -> u16 {
        match self {
            Mode::Special if rng.below(200) == 0 => {
                [0x7e00, 0x7c00, 0xfc00, 0x7c01, 0x8000][rng.below(5) as usize]
            }
            Mode::Tiny => (rng.bits() & 0x87ff) as u16,
            Mode::Bits => (rng.bits() & 0xbfff) as u16,
            _ => f32_to_f16(rng.normal()),
        }
    }
}

/// A claimed trace with one attention at one row filled in, and the own trace that it should be.
#[derive(Clone)]
struct World {
    own: Synthetic,
    claimed: Synthetic,
    row: u32,
    layer: u32,
    mode: Mode,
}

/// Own leaves, with the paths of the claim.
impl TraceSource for World {
    fn leaf(&mut self, row: u32, leaf: u32) -> Result<Vec<u8>, Error> {
        self.own.leaf(row, leaf)
    }
    fn leaf_path(&mut self, row: u32, leaf: u32) -> Result<Vec<Digest>, Error> {
        self.claimed.leaf_path(row, leaf)
    }
    fn row(&mut self, row: u32) -> Result<(Digest, Vec<Digest>), Error> {
        self.claimed.row(row)
    }
}

impl World {
    fn new(rng: &mut Rng, heads: [u32; 3], rows: u32, row: u32, mode: Mode) -> World {
        let layers = 2;
        let trace = Synthetic::new(layout(layers, 64, 96, heads, 320), rows);
        let layer = rng.below(layers);
        World::on(trace, rng, layer, row, mode)
    }

    /// Fills the attention of a layer at a row with what the scalar backend gives.
    fn on(mut own: Synthetic, rng: &mut Rng, layer: u32, row: u32, mode: Mode) -> World {
        let site = site_of(&own, layer, Op::AttnMix);
        let [heads, kv_heads, head_dim] = site.step.dims.map(|dim| dim as usize);
        let shape = AttentionShape {
            heads,
            kv_heads,
            head_dim,
            scale: site.scale(),
        };
        let q: Vec<f32> = (0..heads * head_dim).map(|_| mode.query(rng)).collect();
        let mut pages = Vec::new();
        let width = kv_heads * head_dim;
        let mut keys: Vec<u16> = (0..width).map(|_| mode.half(rng)).collect();
        let (first_keys, first_values) = (site.keys.first_leaf, site.values.unwrap().first_leaf);
        for position in 0..=row {
            if mode != Mode::Ties {
                keys.fill_with(|| mode.half(rng));
            }
            let values: Vec<u16> = (0..width).map(|_| mode.half(rng)).collect();
            let bytes = |halves: &[u16]| -> Vec<u8> {
                halves.iter().flat_map(|half| half.to_le_bytes()).collect()
            };
            own.write(position, first_keys, &bytes(&keys));
            own.write(position, first_values, &bytes(&values));
            let slot = position as usize % PAGE_POSITIONS;
            if slot == 0 {
                pages.push(KvPage::new(kv_heads, head_dim));
            }
            pages.last_mut().unwrap().store(slot, &keys, &values);
        }
        let pages: Vec<Arc<KvPage>> = pages.into_iter().map(Arc::new).collect();
        let (mut maxima, mut places) = (vec![0.0; heads], vec![0; heads]);
        let (mut sums, mut mix) = (vec![0.0; heads], vec![0.0; heads * head_dim]);
        let rows = [AttentionRow {
            pages: &pages,
            position: row,
        }];
        let out = AttentionOut {
            maxima: &mut maxima,
            places: &mut places,
            sums: &mut sums,
            mix: &mut mix,
        };
        Scalar.attention(&shape, &q, &rows, out);
        let f32s = |x: &[f32]| -> Vec<u8> { x.iter().flat_map(|x| x.to_le_bytes()).collect() };
        own.write(row, site.query.first_leaf, &f32s(&q));
        let pairs: Vec<u8> = maxima
            .iter()
            .zip(&places)
            .flat_map(|(max, place)| [max.to_le_bytes(), place.to_le_bytes()].concat())
            .collect();
        own.write(row, site.maxima.first_leaf, &pairs);
        own.write(row, site.sums.first_leaf, &f32s(&sums));
        own.write(row, site.step.first_leaf, &f32s(&mix));
        World {
            claimed: own.clone(),
            own,
            row,
            layer,
            mode,
        }
    }

    fn site(&self, op: Op) -> Site {
        site_of(&self.own, self.layer, op)
    }

    /// Puts other bytes at a place of the claim.
    fn lie(&mut self, leaf: u32, at: usize, bytes: &[u8]) {
        let mut data = self.claimed.leaf(self.row, leaf).unwrap();
        data[at..at + bytes.len()].copy_from_slice(bytes);
        self.claimed.set(self.row, leaf, data);
    }

    fn case(&self, node: Node, parent: Node) -> Case {
        let fields = run_of(1, self.own.rows + 1, Digest::ZERO);
        case(RUN, fields, self.claimed.root(), node, parent)
    }

    /// The leaf of an element in a trace node of height `height`.
    fn element(&self, site: &Site, element: u32, height: u8) -> (Node, Leaf) {
        let each = site.step.kind.elements();
        let leaf = site.step.first_leaf + element / each;
        self.claimed.in_node(LANE, RUN, height, self.row, leaf)
    }

    fn position(&self, site: &Site, kind: NodeKind, element: u32, tile: u32) -> Position {
        Position {
            a: site.step.number,
            b: element,
            c: tile,
            ..Position::tree(kind, LANE, RUN, 0, self.row.into())
        }
    }
}

fn site_of(trace: &Synthetic, layer: u32, op: Op) -> Site {
    let layout = &trace.layout;
    (0..layout.steps())
        .map(|number| layout.step(number).unwrap())
        .find(|step| step.op == op && step.layer == layer)
        .map(|step| Site::of(layout, step.number).unwrap())
        .unwrap()
}

/// Both judges; they must agree.
struct Both {
    judge: Judge,
    costs: Costs,
    name: String,
    /// Of a contract with a bug: how often it differs from Rust.
    differences: Option<usize>,
}

impl Both {
    fn new(world: &World) -> Both {
        let head_dim = world.site(Op::AttnMax).head_dim();
        let name = format!("{:?}, {head_dim}", world.mode);
        let mut judge = Judge::new("AttentionFaults", &MODELS.abi_encode());
        judge.register(&world.own.layout);
        Both {
            judge,
            costs: Costs::default(),
            name,
            differences: None,
        }
    }

    #[track_caller]
    fn check(&mut self, world: &World, case: &Case, fault: u8, witness: &[u8], expected: bool) {
        let own = is_fault(&world.own.layout, case, fault, witness);
        assert_eq!(own, Ok(expected), "fault {fault} in Rust");
        let found = self.judge.ask(case, fault, witness);
        if let Some(differences) = &mut self.differences {
            *differences += usize::from(!matches!(found, Ok((found, _)) if found == expected));
            return;
        }
        let (found, outcome) = found.unwrap();
        assert_eq!(found, expected, "fault {fault} in Solidity");
        let name = format!("{fault} {}", self.name);
        self.costs.note(name, witness, &outcome);
    }
}

/// Numbers of heads, key/value heads, elements of a head.
const SHAPES: [[u32; 3]; 8] = [
    [2, 1, 2],
    [4, 2, 16],
    [3, 3, 50],
    [33, 11, 8],
    [2, 2, 64],
    [6, 2, 80],
    [4, 1, 128],
    [2, 1, 256],
];

/// Rows of the trace and the row with the lie.
const ROWS: [(u32, u32); 7] = [
    (1, 0),
    (3, 1),
    (40, 39),
    (256, 254),
    (256, 255),
    (300, 256),
    (600, 599),
];

fn worlds(seed: u64, usual: usize) -> impl Iterator<Item = (World, Rng)> {
    (0..cases(usual)).map(move |i| {
        let mut rng = Rng(seed ^ (i as u64) << 32);
        let shape = SHAPES[i % SHAPES.len()];
        let (rows, row) = ROWS[(i / 3) % ROWS.len()];
        let mode = MODES[(i / 2) % MODES.len()];
        (World::new(&mut rng, shape, rows, row, mode), rng)
    })
}

#[test]
fn maxima() {
    let mut costs = Costs::default();
    for (world, mut rng) in worlds(1, 56) {
        let mut both = Both::new(&world);
        maxima_of(&mut both, &world, &mut rng);
        costs.merge(both.costs);
    }
    costs.print("attn_max");
}

fn maxima_of(both: &mut Both, world: &World, rng: &mut Rng) {
    let site = world.site(Op::AttnMax);
    let [heads, ..] = site.step.dims;
    for _ in 0..6 {
        let element = rng.below(heads);
        honest_maximum(both, world, &site, element, rng);
        let (leaf, within) = site.step.leaf_of(element).unwrap();
        let (max, place) = site
            .maximum(&mut world.clone(), world.row, element)
            .unwrap();
        let lies = [
            (f32::from_bits(max.to_bits() ^ 1), place),
            (f32::from_bits(max.to_bits() ^ 0x8000_0000), place),
            (f32::from_bits(rng.bits()), rng.below(world.row + 1)),
            (max, rng.below(world.row + 1)),
            (max, world.row + 1),
            (max, u32::MAX),
            (f32::INFINITY, 0),
            (f32::from_bits(0x7fc0_0001), place),
        ];
        for (max, place) in lies {
            let mut lying = world.clone();
            lying.lie(leaf, 8 * within as usize, &max.to_le_bytes());
            lying.lie(leaf, 8 * within as usize + 4, &place.to_le_bytes());
            fall_in_leaf(both, lying, &site, element, rng);
        }
    }
    if !heads.is_multiple_of(32) {
        padding(both, world, &site, rng);
    }
}

/// The leaf with `element` is a lie and falls at once, or is honest after all.
fn fall_in_leaf(both: &mut Both, mut lying: World, site: &Site, element: u32, rng: &mut Rng) {
    let height = rng.below(3) as u8;
    let (at, opened) = lying.element(site, element, height.min(lying.depth()));
    let k = element / site.step.kind.elements();
    let row = lying.row;
    match site.find_in_leaf(&mut lying, row, k, &opened).unwrap() {
        Finding::Fault { code, witness } => {
            assert_eq!(code, FAULT_STEP);
            let case = lying.case(at.clone(), at);
            both.check(&lying, &case, code, &witness, true);
        }
        Finding::Nothing => assert_eq!(lying.own.root(), lying.claimed.root()),
        other => panic!("{other:?}"),
    }
}

impl World {
    fn depth(&self) -> u8 {
        self.own.layout.depth(self.own.rows) as u8
    }
}

/// A head's honest maximum against its score at some positions.
fn honest_maximum(both: &mut Both, world: &World, site: &Site, element: u32, rng: &mut Rng) {
    let mut source = world.clone();
    let at = Place {
        row: world.row,
        element,
    };
    let (_, place) = site.maximum(&mut source, world.row, element).unwrap();
    let (node, leaf) = world.element(site, element, 2);
    let case = world.case(node.clone(), node);
    for position in [place, 0, world.row, rng.below(world.row + 1)] {
        let leaf = leaf.clone();
        let witness = site
            .element_witness(&mut source, at, leaf, Some(position))
            .unwrap();
        both.check(world, &case, FAULT_STEP, &witness, false);
        hostile(both, &case, FAULT_STEP, &witness, rng);
        let mut witness = Element::abi_decode(&witness).unwrap();
        witness.position = world.row + 1 + rng.below(3);
        let refused = both.judge.ask(&case, FAULT_STEP, &witness.abi_encode());
        assert!(
            refused.is_err() || both.differences.is_some(),
            "a position past the row"
        );
    }
}

/// Bytes after the last element, and leaves of another length.
fn padding(both: &mut Both, world: &World, site: &Site, rng: &mut Rng) {
    let each = site.step.kind.elements();
    let width = 256 / each as usize;
    let last = site.step.elements - 1;
    let (leaf, within) = site.step.leaf_of(last).unwrap();
    let after = (within as usize + 1) * width;
    for element in [last + 1, last | (each - 1)] {
        let (node, opened) = world.element(site, element, 1);
        let at = Place {
            row: world.row,
            element,
        };
        let witness = site
            .element_witness(&mut world.clone(), at, opened, None)
            .unwrap();
        let case = world.case(node.clone(), node);
        both.check(world, &case, FAULT_STEP, &witness, false);
    }
    for at in [after, 255, after + rng.below(256 - after as u32) as usize] {
        let mut lying = world.clone();
        lying.lie(leaf, at, &[1 << rng.below(8)]);
        fall_in_leaf(both, lying, site, last, rng);
    }
    for length in [0, 255, 257, 64] {
        let mut lying = world.clone();
        let mut data = lying.own.leaf(world.row, leaf).unwrap();
        data.resize(length, 0);
        lying.claimed.set(world.row, leaf, data);
        fall_in_leaf(both, lying, site, last, rng);
    }
}

/// How deep a proposer's contents lie: below that they are honest, above they follow from the lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth {
    Element,
    Total,
    Weight,
    Value,
    Sum,
}

#[test]
fn sums_and_mixes() {
    let mut costs = Costs::default();
    let mut proven = [0usize; 256];
    for (world, mut rng) in worlds(2, 56) {
        let mut both = Both::new(&world);
        for (count, code) in proven.iter_mut().zip(sums_of(&mut both, &world, &mut rng)) {
            *count += code;
        }
        costs.merge(both.costs);
    }
    costs.print("attn_sum and attn_mix");
    for code in [FAULT_COMBINE, FAULT_ADDENDS, FAULT_WEIGHT, FAULT_VALUE] {
        assert!(
            proven[usize::from(code)] > 20,
            "fault {code} was hardly tried"
        );
    }
}

/// Honest and wrong sums and mixes; gives how often each fault was proven.
fn sums_of(both: &mut Both, world: &World, rng: &mut Rng) -> [usize; 256] {
    let mut proven = [0usize; 256];
    for op in [Op::AttnSum, Op::AttnMix] {
        let site = world.site(op);
        for _ in 0..3 {
            let element = rng.below(site.step.elements);
            honest_contents(both, world, &site, element, rng);
            for depth in [
                Depth::Element,
                Depth::Total,
                Depth::Weight,
                Depth::Value,
                Depth::Sum,
            ] {
                if let Some(code) = lie_in_contents(both, world, &site, element, depth, rng) {
                    proven[usize::from(code)] += 1;
                }
            }
        }
        if !site.step.elements.is_multiple_of(64) {
            padding(both, world, &site, rng);
        }
    }
    proven
}

/// Everything honest: no fault anywhere.
fn honest_contents(both: &mut Both, world: &World, site: &Site, element: u32, rng: &mut Rng) {
    let mut source = world.clone();
    let at = Place {
        row: world.row,
        element,
    };
    let (leaf_node, leaf) = world.element(site, element, 2);
    let totals = site.totals(&mut source, world.row, element).unwrap();
    let totals_node = posted(world.position(site, NodeKind::Totals, element, 0), &totals);
    let tile = rng.below(tiles(world.row));
    let contents = site.tile(&mut source, world.row, element, tile).unwrap();
    let tile_node = posted(
        world.position(site, NodeKind::Tile, element, tile),
        &contents,
    );

    let above = world.case(totals_node.clone(), leaf_node.clone());
    let witness = site
        .combine_witness(&mut source, at, NodeKind::Totals, &totals, leaf.clone())
        .unwrap();
    both.check(world, &above, FAULT_COMBINE, &witness, false);
    hostile(both, &above, FAULT_COMBINE, &witness, rng);
    let found = site
        .find_in_totals(&mut source, at, &totals, &leaf)
        .unwrap();
    assert_eq!(found, Finding::Nothing);

    let parent = if tiles(world.row) == 1 {
        let single = world.case(tile_node.clone(), leaf_node.clone());
        let witness = site
            .combine_witness(&mut source, at, NodeKind::Tile, &contents, leaf.clone())
            .unwrap();
        both.check(world, &single, FAULT_COMBINE, &witness, false);
        TileParent::Element(&leaf)
    } else {
        TileParent::Totals(&totals)
    };
    let found = site
        .find_in_tile(&mut source, at, tile, &contents, parent)
        .unwrap();
    assert_eq!(found, Finding::Nothing);

    let below = world.case(tile_node, totals_node);
    let honest = read_tile(&contents, site.addend_bytes()).unwrap();
    let witness = site
        .last_sum_witness(world.row, tile, &contents, &totals)
        .unwrap();
    both.check(world, &below, FAULT_ADDENDS, &witness, false);
    hostile(both, &below, FAULT_ADDENDS, &witness, rng);
    for run in 0..honest.sums.len() as u32 {
        let witness = site.run_witness(world.row, tile, &contents, run).unwrap();
        both.check(world, &below, FAULT_ADDENDS, &witness, false);
        hostile(both, &below, FAULT_ADDENDS, &witness, rng);
    }
    assert!(
        site.run_witness(world.row, tile, &contents, honest.sums.len() as u32)
            .is_err()
    );
    for _ in 0..3 {
        let count = honest.addends.len();
        let index = rng.below(count as u32);
        let witness = site
            .weight_witness(&mut source, at, tile, &contents, index)
            .unwrap();
        both.check(world, &below, FAULT_WEIGHT, &witness, false);
        hostile(both, &below, FAULT_WEIGHT, &witness, rng);
        if site.values.is_some() {
            let witness = site
                .value_witness(&mut source, at, tile, &contents, index)
                .unwrap();
            both.check(world, &below, FAULT_VALUE, &witness, false);
            hostile(both, &below, FAULT_VALUE, &witness, rng);
        }
    }
}

/// Whatever is done to a witness, honest contents show no fault.
fn hostile(both: &mut Both, case: &Case, fault: u8, witness: &[u8], rng: &mut Rng) {
    if both.differences.is_some() {
        return;
    }
    for _ in 0..3 {
        let mut witness = witness.to_vec();
        match rng.below(4) {
            0 => witness.truncate(rng.below(witness.len() as u32) as usize),
            1 => {
                let at = rng.below(witness.len() as u32 / 32) as usize * 32;
                let word = [[0; 32], [0xff; 32]][rng.below(2) as usize];
                witness[at..at + 32].copy_from_slice(&word);
            }
            2 => {
                // The first words: offsets and small integers.
                let at = rng.below(8) as usize * 32 + 31;
                let at = at.min(witness.len() - 1);
                witness[at] = witness[at].wrapping_add(rng.below(255) as u8 + 1);
            }
            _ => {
                let at = rng.below(witness.len() as u32) as usize;
                witness[at] ^= 1 << rng.below(8);
            }
        }
        if let Ok((found, _)) = both.judge.ask(case, fault, &witness) {
            assert!(
                !found,
                "a hostile witness convicts honest contents of fault {fault}"
            );
        }
    }
}

/// A lie about an element, followed down to its fault.
fn lie_in_contents(
    both: &mut Both,
    world: &World,
    site: &Site,
    element: u32,
    depth: Depth,
    rng: &mut Rng,
) -> Option<u8> {
    let mut lying = world.clone();
    let at = Place {
        row: world.row,
        element,
    };
    let head = site.head_of(element);
    let totals = site.totals(&mut lying, world.row, element).unwrap();
    let mut totals = read_totals(&totals).unwrap();
    let wrong = rng.below(tiles(world.row));
    let mut contents = site.tile(&mut lying, world.row, element, wrong).unwrap();
    let honest = read_tile(&contents, site.addend_bytes()).unwrap();
    let (mut sums, mut addends) = (honest.sums, honest.addends);
    let index = rng.below(addends.len() as u32) as usize;
    match depth {
        Depth::Element => {}
        Depth::Total => totals[wrong as usize] = f32::from_bits(rng.bits()),
        Depth::Weight => {
            let flip = [1, 1 << 22, 1 << 31, 0x4000_0000][rng.below(4) as usize];
            addends[index].weight = f32::from_bits(addends[index].weight.to_bits() ^ flip);
        }
        Depth::Value => {
            let value = addends[index].value?;
            addends[index].value = Some(value ^ 1 << rng.below(16));
        }
        Depth::Sum => {
            // One running sum, and those after it follow or do not.
            let run = index / RUN_ADDENDS;
            let flip = [1, 1 << 22, 1 << 31, 0x4000_0000][rng.below(4) as usize];
            sums[run] = f32::from_bits(sums[run].to_bits() ^ flip);
            if rng.below(2) == 0 {
                for (run, addends) in addends.chunks(RUN_ADDENDS).enumerate().skip(run + 1) {
                    sums[run] = run_sum(sums[run - 1], addends);
                }
            } else {
                let last = sums.last_mut().unwrap();
                *last = f32::from_bits(last.to_bits() ^ flip << 1);
            }
        }
    }
    if matches!(depth, Depth::Weight | Depth::Value) {
        sums = running_sums(&addends);
        assert!(same(*sums.last().unwrap(), total_of(&addends)));
    }
    if matches!(depth, Depth::Weight | Depth::Value | Depth::Sum) {
        contents = write_tile_with(&sums, &addends);
        totals[wrong as usize] = *sums.last().unwrap();
    }
    let (sum_leaf, sum_at) = site.sums.leaf_of(head).unwrap();
    let sum = site.values.map(|_| {
        let data = lying.own.leaf(world.row, sum_leaf).unwrap();
        f32::from_le_bytes(data[4 * sum_at as usize..][..4].try_into().unwrap())
    });
    let (leaf, within) = site.step.leaf_of(element).unwrap();
    let mut claimed = combine(&totals, sum);
    if depth == Depth::Element {
        claimed = f32::from_bits(claimed.to_bits() ^ 1 << rng.below(32));
    }
    lying.lie(leaf, 4 * within as usize, &claimed.to_le_bytes());
    if lying.own.root() == lying.claimed.root() {
        return None; // The lie is lost in rounding: nobody is hurt.
    }

    // The challenger's way.
    let (leaf_node, opened) = lying.element(site, element, 2.min(lying.depth()));
    let k = element / site.step.kind.elements();
    let row = lying.row;
    let found = site.find_in_leaf(&mut lying, row, k, &opened).unwrap();
    let bytes = write_totals(&totals);
    let totals_node = posted(lying.position(site, NodeKind::Totals, element, 0), &bytes);
    let (tile, parent) = match found {
        Finding::OpenTile { tile: 0, .. } => (0, None),
        Finding::OpenTotals { .. } => {
            match site
                .find_in_totals(&mut lying, at, &bytes, &opened)
                .unwrap()
            {
                Finding::Fault { code, witness } => {
                    let case = lying.case(totals_node, leaf_node);
                    both.check(&lying, &case, code, &witness, true);
                    return Some(code);
                }
                Finding::OpenTile { tile, .. } => (tile, Some(&bytes)),
                other => panic!("{other:?}"),
            }
        }
        other => panic!("{other:?}"),
    };
    if tile != wrong {
        contents = site.tile(&mut lying, row, element, tile).unwrap();
    }
    let tile_node = posted(
        lying.position(site, NodeKind::Tile, element, tile),
        &contents,
    );
    let (parent, parent_node) = match parent {
        Some(bytes) => (TileParent::Totals(bytes), totals_node),
        None => (TileParent::Element(&opened), leaf_node),
    };
    match site
        .find_in_tile(&mut lying, at, tile, &contents, parent)
        .unwrap()
    {
        Finding::Fault { code, witness } => {
            let case = lying.case(tile_node, parent_node);
            both.check(&lying, &case, code, &witness, true);
            Some(code)
        }
        other => panic!("{depth:?}: {other:?}"),
    }
}

/// A bug anywhere in the contract shows: it then differs from Rust somewhere.
#[test]
fn planted_bugs_show() {
    let bugs = [
        ("rounding of ordinary products", "6103ff", "6103fe"),
        (
            "rounding of tiny products",
            "6602000000000000",
            "6604000000000000",
        ),
        ("rounding of sums", "6301000000", "6302000000"),
        ("first coefficient of exp", "16c16c", "17c16c"),
        ("second coefficient of exp", "888889", "898889"),
        ("logarithm of 2 of exp", "2c600000000000", "2c610000000000"),
    ];
    for (what, from, to) in bugs {
        let mut differences = 0;
        for (world, mut rng) in worlds(5, 14) {
            let mut both = Both::new(&world);
            both.judge = Judge::with_bug("AttentionFaults", &MODELS.abi_encode(), from, to);
            both.judge.register(&world.own.layout);
            both.differences = Some(0);
            maxima_of(&mut both, &world, &mut rng);
            sums_of(&mut both, &world, &mut rng);
            differences += both.differences.unwrap_or(0);
        }
        println!("{what}: {differences} differences");
        assert!(differences > 0, "nobody notices a bug: {what}");
    }
}

/// Gas of the dearest proofs at the last row of models of true shape.
#[test]
fn true_shapes() {
    let shapes = [
        ("15M", 6, 288, 768, [6, 6, 48], 32_000, 256),
        ("8B", 32, 4096, 14_336, [32, 8, 128], 128_256, 2048),
        ("70B", 80, 8192, 28_672, [64, 8, 128], 128_256, 2048),
    ];
    let mut costs = Costs::default();
    for (name, layers, dim, hidden, heads, vocabulary, rows) in shapes {
        let trace = Synthetic::new(layout(layers, dim, hidden, heads, vocabulary), rows);
        let mut rng = Rng(9);
        let world = World::on(trace, &mut rng, layers - 1, rows - 1, Mode::Ordinary);
        let mut both = Both::new(&world);
        both.name = name.to_owned();
        maxima_of(&mut both, &world, &mut rng);
        sums_of(&mut both, &world, &mut rng);
        costs.merge(both.costs);
    }
    costs.print("true shapes");
    costs.bound(300_000);
}
