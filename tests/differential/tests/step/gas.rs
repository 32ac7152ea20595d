//! What the proofs cost at the sizes of real models.

use sworn_differential::vectors::Rng;
use sworn_inference::program::llama::{MatrixFormats, compile};
use sworn_inference::program::{LlamaConfig, Op, WeightFormat};
use sworn_prover::constants::{FAULT_COMBINE, FAULT_STEP, FAULT_TOTAL};
use sworn_prover::dispute::abi::Case;
use sworn_prover::dispute::faults::step::{Builder, Place, combine, is_long_sum, recompute_tile};
use sworn_prover::dispute::trace::{LeafKind, Step, TraceLayout};

use crate::covered;
use crate::leaves::{Taste, trace_leaf, weight_leaf};
use crate::scene::Scene;
use crate::world::World;

/// No transaction of a proof may cost more; a step should cost half of it.
const MOST: u64 = 300_000;

fn llama(dim: u32, hidden: u32, layers: u32, heads: u32, kv: u32, vocab: u32) -> LlamaConfig {
    LlamaConfig {
        vocab_size: vocab,
        context: 8192,
        dim,
        hidden_dim: hidden,
        n_layers: layers,
        n_heads: heads,
        n_kv_heads: kv,
        head_dim: dim / heads,
        rope_dim: dim / heads,
        rope_theta: 500_000.0,
        norm_eps: 1e-5,
        tied_head: false,
    }
}

/// Zeros past the elements.
fn blank(step: &Step, leaf: u32, bytes: &mut [u8]) {
    let n = step.elements_of(leaf).len();
    match step.kind {
        LeafKind::F32 => bytes[4 * n..].fill(0),
        LeafKind::F16 => bytes[2 * n..].fill(0),
        LeafKind::Maxima => bytes[8 * n..].fill(0),
        LeafKind::Quantised => {
            bytes[n / 8..32].fill(0);
            bytes[32 + n..].fill(0);
        }
    }
}

/// Leaves as honest traces have them.
fn fill(scene: &mut Scene, rng: &mut Rng, tile: Option<u32>) {
    let needs = match tile {
        Some(tile) => scene.tile_needs(tile),
        None => scene.needs().unwrap(),
    };
    for range in &needs.inputs {
        for leaf in range.first..range.first + range.count {
            let step = scene.layout.step_at(leaf).unwrap();
            let mut bytes = trace_leaf(rng, step.kind, Taste::Ordinary);
            blank(&step, leaf - step.first_leaf, &mut bytes);
            scene.trace.put(scene.row, leaf, bytes);
        }
    }
    for range in &needs.weights {
        for tile in range.first..range.first + range.count {
            let mut bytes = weight_leaf(rng, scene.step.format, Taste::Ordinary);
            if scene.step.op == Op::Rope {
                bytes[4 * scene.step.dims[2] as usize..].fill(0);
            }
            let index = scene.weights.index(range.row, tile);
            scene.weights.tree.put(index, bytes);
        }
    }
    scene.read(&needs);
}

fn cost(world: &mut World, what: &str, case: &Case, fault: u8, witness: &[u8]) -> u64 {
    let (verdict, outcome, data) = world.judge(case, fault, witness).unwrap();
    assert!(!verdict, "{what}");
    println!(
        "{what:34} execution {:6}  transaction {:6}  witness {:5} bytes  call {:5} bytes",
        outcome.execution,
        outcome.gas,
        witness.len(),
        data.len()
    );
    assert!(outcome.gas < MOST, "{what} costs {}", outcome.gas);
    outcome.gas
}

#[test]
fn proofs_of_real_models_are_cheap() {
    let models = [
        ("15M", llama(288, 768, 6, 6, 6, 32_000), 256),
        ("1.1B", llama(2048, 5632, 22, 32, 4, 32_000), 2048),
        ("8B", llama(4096, 14_336, 32, 32, 8, 128_256), 8192),
        ("70B", llama(8192, 28_672, 80, 64, 8, 128_256), 8192),
    ];
    let mut world = World::new();
    let mut rng = Rng(8);
    for (name, config, count) in models {
        for format in [
            WeightFormat::Q8_0,
            WeightFormat::Q4_0,
            WeightFormat::F16,
            WeightFormat::F32,
        ] {
            let program = compile(&config, &MatrixFormats::all(format), &[2]).unwrap();
            let layout = TraceLayout::new(&program).unwrap();
            let small = matches!(format, WeightFormat::Q8_0);
            // One step of each operation, the widest one.
            for op in Op::ALL.into_iter().filter(|op| covered(*op).is_some()) {
                if !small && !matches!(op, Op::Matmul | Op::Embed) {
                    continue;
                }
                let step = (0..layout.steps())
                    .map(|number| layout.step(number).unwrap())
                    .filter(|step| step.op == op)
                    .max_by_key(|step| (step.dims[1] * u32::from(op == Op::Matmul), step.number));
                let Some(step) = step else { continue };
                let place = Place::of(&step, step.elements / 2);
                let mut scene = Scene::of(&mut rng, layout.clone(), step, place, count);
                scene.height = 2;
                scene.run.run = 0;
                let what = |kind: &str| format!("{name} {format:?} {op:?} {kind}");
                if !is_long_sum(&step) {
                    fill(&mut scene, &mut rng, None);
                    world.set_model(&program.encode(), scene.weights_root());
                    let bits = scene.expected();
                    scene.claim(&mut rng, bits);
                    let witness = scene.witness();
                    cost(
                        &mut world,
                        &what("step"),
                        &scene.case(),
                        FAULT_STEP,
                        &witness,
                    );
                    continue;
                }
                // A tile in the middle has the fewest zeros.
                fill(&mut scene, &mut rng, Some(1));
                let sum = recompute_tile(&step, 1, &scene.opened).unwrap();
                let mut totals = vec![1.5f32.to_bits(); step.sum_tiles().unwrap() as usize];
                totals[1] = sum;
                let contents: Vec<u8> = totals.iter().flat_map(|bits| bits.to_be_bytes()).collect();
                let element = combine(&step, &totals);
                scene.claim(&mut rng, element);
                world.set_model(&program.encode(), scene.weights_root());
                let witness = scene.total_witness(1, &contents);
                let case = scene.totals_case(&contents);
                cost(&mut world, &what("total"), &case, FAULT_TOTAL, &witness);
                let witness = Builder::combine(&contents, scene.claimed());
                cost(&mut world, &what("combine"), &case, FAULT_COMBINE, &witness);
            }
        }
    }
}
