//! Shapes of leaves of every kind, attention's too: Rust and Solidity agree, and only what is past the elements counts.

use sworn_differential::vectors::Rng;
use sworn_inference::program::llama::{MatrixFormats, compile};
use sworn_inference::program::{LlamaConfig, Op, Part, WeightFormat};
use sworn_inference::testing;
use sworn_prover::constants::FAULT_STEP;
use sworn_prover::dispute::faults::step::{Builder, Place, well_shaped};
use sworn_prover::dispute::trace::{LeafKind, TraceLayout};

use crate::scene::Scene;
use crate::world::World;

#[test]
fn leaves_have_one_shape() {
    let mut world = World::new();
    let mut rng = Rng(1);
    let mut seen = Vec::new();
    for (dim, heads, head_dim, hidden) in [(64, 4, 16, 96), (96, 3, 20, 544), (320, 33, 2, 1312)] {
        let config = LlamaConfig {
            dim,
            n_heads: heads,
            n_kv_heads: 1,
            head_dim: head_dim * 32,
            rope_dim: 2,
            hidden_dim: hidden,
            vocab_size: 300 + dim,
            ..testing::tiny_config()
        };
        let config = match heads {
            33 => LlamaConfig {
                n_heads: 32,
                ..config
            },
            _ => config,
        };
        let program = compile(&config, &MatrixFormats::all(WeightFormat::Q8_0), &[2]);
        let Ok(program) = program else {
            // Heads of more than 256 elements.
            let config = LlamaConfig {
                head_dim: head_dim * 8,
                ..config
            };
            shapes(
                &mut world,
                &mut rng,
                compile(&config, &MatrixFormats::all(WeightFormat::F16), &[2]).unwrap(),
                &mut seen,
            );
            continue;
        };
        shapes(&mut world, &mut rng, program, &mut seen);
    }
    for op in Op::ALL {
        assert!(seen.contains(&op), "no leaf of {op:?}");
    }
}

fn shapes(
    world: &mut World,
    rng: &mut Rng,
    program: sworn_inference::program::Program,
    seen: &mut Vec<Op>,
) {
    let layout = TraceLayout::new(&program).unwrap();
    let tail = layout.tail_start();
    for number in (0..40.min(layout.steps())).chain(tail..layout.steps()) {
        let step = layout.step(number).unwrap();
        assert_eq!(step.part == Part::Tail, number >= tail);
        seen.push(step.op);
        for leaf in [0, step.leaf_count - 1] {
            let place = Place { leaf, lane: 0 };
            let mut scene = Scene::of(rng, layout.clone(), step, place, 9);
            world.set_model(&program.encode(), scene.weights_root());
            let n = step.elements_of(leaf).len();
            // Places of the elements' bytes.
            let held = |i: usize| match step.kind {
                LeafKind::F32 => i < 4 * n,
                LeafKind::F16 => i < 2 * n,
                LeafKind::Maxima => i < 8 * n,
                LeafKind::Quantised if i < 32 => i < n / 8,
                LeafKind::Quantised => i < 32 + n,
            };
            let size = step.kind.bytes();
            let mut good = rng.bytes(size);
            for (i, byte) in good.iter_mut().enumerate() {
                *byte = if held(i) { *byte } else { 0 };
            }
            let mut leaves = vec![(good.clone(), true)];
            for length in [0, 1, 32, 64, size - 1, size + 1, size + 32, 544 - size] {
                let mut bytes = good.clone();
                bytes.resize(length, 0);
                leaves.push((bytes, false));
            }
            let spots = [0, size - 1, 31, 32, n, 2 * n, 4 * n, 8 * n, 4 * n - 1];
            let more: Vec<usize> = (0..6).map(|_| rng.below(size as u32) as usize).collect();
            for i in spots.into_iter().chain(more).filter(|i| *i < size) {
                let mut bytes = good.clone();
                bytes[i] ^= 1 << rng.below(8);
                leaves.push((bytes, held(i)));
            }
            for (bytes, right) in leaves {
                assert_eq!(well_shaped(&step, leaf, &bytes), right);
                let length = bytes.len();
                scene.claim_leaf(bytes);
                let witness = Builder::shape(scene.row, step.number, leaf, scene.claimed());
                let verdict = world.verdict(&scene.case(), FAULT_STEP, &witness);
                assert_eq!(verdict, Ok(!right), "{length} bytes of leaf {leaf} of {step:?}");
            }
        }
    }
}
