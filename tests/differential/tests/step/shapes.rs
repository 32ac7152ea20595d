//! Shapes of leaves of every kind, attention's too: Rust and Solidity agree, and only what is past the elements counts.

use alloy_sol_types::SolValue;
use sworn_differential::vectors::Rng;
use sworn_inference::program::llama::{MatrixFormats, compile};
use sworn_inference::program::{LlamaConfig, Op, Part, Program, WeightFormat};
use sworn_inference::testing;
use sworn_prover::constants::{FAULT_COMBINE, FAULT_STEP};
use sworn_prover::dispute::faults::step::{Builder, Place, StepWitness, well_shaped};
use sworn_prover::dispute::trace::{LeafKind, TraceLayout};

use crate::covered;
use crate::scene::Scene;
use crate::world::{ATTENTION, World};

#[test]
fn leaves_have_one_shape() {
    let mut world = World::new();
    let mut rng = Rng(1);
    let mut seen = Vec::new();
    // Leaves of one element, of all but one, full ones, and several of them.
    for (format, dim, heads, head_dim, hidden) in [
        (WeightFormat::Q8_0, 64, 4, 16, 96),
        (WeightFormat::F16, 65, 3, 43, 129),
        (WeightFormat::Q4_0, 320, 33, 64, 1312),
        (WeightFormat::F32, 1, 1, 2, 63),
    ] {
        let config = LlamaConfig {
            dim,
            n_heads: heads,
            n_kv_heads: 1,
            head_dim,
            rope_dim: 2,
            hidden_dim: hidden,
            vocab_size: 255 + dim,
            ..testing::tiny_config()
        };
        let program = compile(&config, &MatrixFormats::all(format), &[2]).unwrap();
        shapes(&mut world, &mut rng, &program, &mut seen);
    }
    for op in Op::ALL {
        assert!(seen.contains(&op), "no leaf of {op:?}");
    }
}

/// Elements of attention go on to its judge, whose answer or refusal comes back; shapes of its leaves do not.
#[test]
fn attention_has_its_own_judge() {
    let mut world = World::new();
    let mut rng = Rng(2);
    let program = compile(
        &testing::tiny_config(),
        &MatrixFormats::all(WeightFormat::Q8_0),
        &[2],
    )
    .unwrap();
    let layout = TraceLayout::new(&program).unwrap();
    let answers: [(&[u8], Option<bool>); 4] = [
        (&[0x60, 1, 0x5f, 0x52, 0x60, 32, 0x5f, 0xf3], Some(true)),
        (&[0x60, 32, 0x5f, 0xf3], Some(false)),
        (&[0x60, 2, 0x5f, 0x52, 0x60, 32, 0x5f, 0xf3], None),
        (&[0x60, 31, 0x5f, 0xfd], None),
    ];
    for number in 0..layout.steps() {
        let step = layout.step(number).unwrap();
        if covered(step.op).is_some() {
            continue;
        }
        let place = Place { leaf: 0, lane: 0 };
        let mut scene = Scene::of(&mut rng, layout.clone(), step, place, 9);
        world.set_model(&program.encode(), scene.weights_root());
        scene.claim(&mut rng, 0);
        let shape = Builder::shape(scene.row, step.number, 0, scene.claimed());
        let mut element = StepWitness::abi_decode(&shape).unwrap();
        element.lane = 0xc0;
        for (code, answer) in answers {
            world.evm.set_code(ATTENTION, code.to_vec().into());
            let found = world.verdict(&scene.case(), FAULT_STEP, &element.abi_encode());
            assert_eq!(found.ok(), answer);
            let found = world.verdict(&scene.totals_case(&[]), FAULT_COMBINE, &[]);
            assert_eq!(found.ok(), answer);
        }
        assert!(world.verdict(&scene.case(), FAULT_STEP, &shape).is_ok());
    }
}

fn shapes(world: &mut World, rng: &mut Rng, program: &Program, seen: &mut Vec<Op>) {
    let layout = TraceLayout::new(program).unwrap();
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
                assert_eq!(
                    verdict,
                    Ok(!right),
                    "{length} bytes of leaf {leaf} of {step:?}"
                );
            }
        }
    }
}
