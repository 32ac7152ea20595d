//! Random elements: the judge finds no fault in the reference's value, and one in every other.

use sworn_differential::Failure;
use sworn_differential::vectors::Rng;
use sworn_inference::program::{Op, WeightFormat};
use sworn_prover::constants::{FAULT_COMBINE, FAULT_STEP, FAULT_TOTAL};
use sworn_prover::dispute::faults::step::{Builder, combine, recompute_tile};

use crate::leaves::{Taste, width};
use crate::scene::Scene;
use crate::world::World;
use crate::{cases, covered};

fn seed(op: Op, format: WeightFormat) -> u64 {
    (op as u64) << 8 | format as u64
}

/// Costs of an operation's cases: execution and transaction, the most of each, and the sums.
#[derive(Default)]
pub(crate) struct Costs {
    most: [u64; 2],
    sums: [u64; 2],
    bytes: usize,
    count: u64,
}

impl Costs {
    pub(crate) fn add(&mut self, outcome: &sworn_differential::Outcome, data: &[u8]) {
        for (i, gas) in [outcome.execution, outcome.gas].into_iter().enumerate() {
            self.most[i] = self.most[i].max(gas);
            self.sums[i] += gas;
        }
        self.bytes = self.bytes.max(data.len());
        self.count += 1;
    }

    pub(crate) fn print(&self, what: &str) {
        let mean = self.sums.map(|sum| sum / self.count.max(1));
        println!(
            "{what:24} {} verdicts, execution {} (most {}), transaction {} (most {}), at most {} bytes",
            self.count, mean[0], self.most[0], mean[1], self.most[1], self.bytes
        );
    }
}

fn elements(op: Op) {
    let Some((formats, _)) = covered(op) else {
        panic!("{op:?} is not compared here");
    };
    let mut world = World::new();
    for format in formats {
        let mut rng = Rng(seed(op, *format));
        let mut costs = Costs::default();
        for case in 0..cases(1500) {
            let mut scene = Scene::random(&mut rng, op, *format, false);
            let program = scene.layout.program().encode();
            world.set_model(&program, scene.weights_root());
            let expected = scene.expected();
            let flip = 1 << rng.below(width(scene.step.kind, scene.place.lane));
            for (bits, fault) in [(expected, false), (expected ^ flip, true)] {
                scene.claim(&mut rng, bits);
                let witness = scene.witness();
                let found = world.judge(&scene.case(), FAULT_STEP, &witness);
                let (verdict, outcome, data) = found.unwrap_or_else(|failure| {
                    panic!("{op:?} {format:?} case {case}: {}", explain(&failure))
                });
                costs.add(&outcome, &data);
                assert_eq!(
                    verdict, fault,
                    "{op:?} {format:?} case {case}: {:?} of {:?}, expected {expected:#x}, claimed {bits:#x}",
                    scene.place, scene.step
                );
            }
        }
        costs.print(&format!("{op:?} {format:?}"));
    }
}

pub(crate) fn explain(failure: &Failure) -> String {
    match failure {
        Failure::Revert(data) => format!("revert {}", String::from_utf8_lossy(data)),
        other => format!("{other:?}"),
    }
}

macro_rules! elements {
    ($($name:ident $op:ident)*) => {
        $(#[test]
        fn $name() {
            elements(Op::$op);
        })*
    };
}

elements! {
    embed Embed
    norm_stat NormStat
    norm_apply NormApply
    quantise Quantise
    matmul Matmul
    rope Rope
    to_f16 ToF16
    add Add
    silu_mul SiluMul
}

#[test]
fn totals() {
    let mut world = World::new();
    let sums = Op::ALL.into_iter().filter_map(|op| match covered(op) {
        Some((formats, true)) => Some((op, formats)),
        _ => None,
    });
    for (op, formats) in sums {
        for format in formats {
            let mut rng = Rng(seed(op, *format) + 1000);
            let (mut combines, mut tiles) = (Costs::default(), Costs::default());
            for case in 0..cases(700) {
                let mut scene = Scene::random(&mut rng, op, *format, true);
                let count = scene.step.sum_tiles().unwrap();
                let taste = Taste::random(&mut rng);
                let mut totals: Vec<u32> = (0..count).map(|_| taste.bits(&mut rng)).collect();
                let tile = rng.below(count);
                let needs = scene.tile_needs(tile);
                scene.fill(&mut rng, &needs);
                let sum = recompute_tile(&scene.step, tile, &scene.opened).unwrap();
                let flip = 1 << rng.below(32);
                let at = |what: &str| format!("{what} of {op:?} {format:?}, case {case}");
                for total in [sum, sum ^ flip] {
                    totals[tile as usize] = total;
                    let contents: Vec<u8> = totals
                        .iter()
                        .flat_map(|total| total.to_be_bytes())
                        .collect();
                    // 66: any NaN is as good as another.
                    let nan = |bits: u32| f32::from_bits(bits).is_nan();
                    let differs = total != sum && !(nan(total) && nan(sum));
                    let element = combine(&scene.step, &totals);
                    scene.claim(&mut rng, element);
                    world.set_model(&scene.layout.program().encode(), scene.weights_root());
                    let witness = scene.total_witness(tile, &contents);
                    let case = scene.totals_case(&contents);
                    let found = world.judge(&case, FAULT_TOTAL, &witness);
                    let (verdict, outcome, data) = found
                        .unwrap_or_else(|failure| panic!("{}: {}", at("total"), explain(&failure)));
                    assert_eq!(verdict, differs, "{}", at("total"));
                    tiles.add(&outcome, &data);

                    for bits in [element, element ^ flip] {
                        scene.claim(&mut rng, bits);
                        let witness = Builder::combine(&contents, scene.claimed());
                        let case = scene.totals_case(&contents);
                        let found = world.judge(&case, FAULT_COMBINE, &witness);
                        let (verdict, outcome, data) = found.unwrap_or_else(|failure| {
                            panic!("{}: {}", at("combine"), explain(&failure))
                        });
                        assert_eq!(verdict, bits != element, "{}", at("combine"));
                        combines.add(&outcome, &data);
                    }
                }
            }
            tiles.print(&format!("{op:?} {format:?} total"));
            combines.print(&format!("{op:?} {format:?} combine"));
        }
    }
}
