//! The reference against the engine: backends on made-up leaves, and every element of traces of small models.

use sworn_differential::vectors::Rng;
use sworn_inference::backend::{Backend, MatmulInput, Quantised, Scalar, Threaded};
use sworn_inference::format::packed::{Layout, PackedTensor};
use sworn_inference::program::{Op, WeightFormat, WeightShape};
use sworn_prover::constants::{BLOCK_ELEMENTS, F32_LEAF_ELEMENTS, TILE_ELEMENTS};
use sworn_prover::dispute::faults::step::{
    Builder, Place, SCALES, combine, is_long_sum, needs, recompute, stored, well_shaped,
};
use sworn_prover::dispute::source::TraceSource;
use sworn_prover::dispute::trace::LeafKind;

use crate::honest::Honest;
use crate::scene::Scene;
use crate::{FORMATS, cases, covered};

fn floats(bytes: &[u8], from: usize, count: usize) -> Vec<f32> {
    let words = bytes[4 * from..4 * (from + count)].chunks_exact(4);
    words
        .map(|word| f32::from_le_bytes(word.try_into().unwrap()))
        .collect()
}

/// One row of a tensor, packed as the engine has it.
fn packed(format: WeightFormat, cols: usize, leaves: &[u8]) -> (Layout, Vec<u8>) {
    let shape = WeightShape {
        format,
        rows: 1,
        cols: cols as u32,
    };
    let layout = Layout {
        shape,
        matrix: true,
    };
    let mut group = layout.empty_group();
    for (tile, leaf) in leaves.chunks(format.leaf_bytes()).enumerate() {
        layout.pack_leaf(&mut group, 0, tile, leaf);
    }
    (layout, group)
}

/// A table of a few numbers.
fn table(numbers: &[f32]) -> (Layout, Vec<u8>) {
    let shape = WeightShape {
        format: WeightFormat::F32,
        rows: 1,
        cols: numbers.len() as u32,
    };
    let layout = Layout {
        shape,
        matrix: false,
    };
    let mut bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
    bytes.resize(layout.bytes(), 0);
    (layout, bytes)
}

/// The element of a scene, by a backend.
fn by_backend(scene: &Scene, backend: &dyn Backend) -> u32 {
    let step = &scene.step;
    let element = scene.place.element(step).unwrap() as usize;
    let [d0, d1, d2] = step.dims.map(|dim| dim as usize);
    let at = element % F32_LEAF_ELEMENTS;
    let column = element % TILE_ELEMENTS;
    let input = |i: usize| &scene.opened.inputs[i][..];
    let one = |i: usize| floats(input(i), at, 1);
    let mut out = [0.0];
    match step.op {
        Op::Embed => {
            let width = TILE_ELEMENTS.min(d0 - (element - column));
            let (layout, bytes) = packed(step.format, width, &scene.opened.weights[0]);
            let mut row = vec![0.0; width];
            backend.embed(PackedTensor::new(layout, &bytes), &[0], &mut row);
            out[0] = row[column];
        }
        Op::NormStat => {
            let eps = f32::from_bits(step.constants[0]);
            backend.norm_stat(&floats(input(0), 0, d0), d0, eps, &mut out);
        }
        Op::NormApply => {
            let (layout, bytes) = table(&floats(&scene.opened.weights[0], column, 1));
            let r = floats(input(1), 0, 1);
            backend.norm_apply(&one(0), &r, PackedTensor::new(layout, &bytes), &mut out);
        }
        Op::Quantise => {
            let (mut scales, mut quants) = ([0.0], [0; BLOCK_ELEMENTS]);
            let block = floats(input(0), at - at % BLOCK_ELEMENTS, BLOCK_ELEMENTS);
            backend.quantise(&block, &mut scales, &mut quants);
            if scene.place.lane < SCALES {
                return u32::from(quants[at % BLOCK_ELEMENTS] as u8);
            }
            return scales[0].to_bits();
        }
        Op::Matmul => {
            let (layout, bytes) = packed(step.format, d1, &scene.opened.weights[0]);
            let weights = PackedTensor::new(layout, &bytes);
            if step.format.is_quantised() {
                let (mut scales, mut quants) = (Vec::new(), Vec::new());
                for leaf in input(0).chunks(LeafKind::Quantised.bytes()) {
                    scales.extend(floats(leaf, 0, 8));
                    quants.extend(leaf[32..].iter().map(|byte| *byte as i8));
                }
                let x = Quantised {
                    scales: &scales[..d1 / BLOCK_ELEMENTS],
                    quants: &quants[..d1],
                };
                backend.matmul(weights, MatmulInput::Quantised(x), &mut out);
            } else {
                let x = floats(input(0), 0, d1);
                backend.matmul(weights, MatmulInput::F32(&x), &mut out);
            }
        }
        Op::Rope if element % d1 < d2 => {
            let within = element % d1;
            let odd = within % 2;
            let pair = floats(input(0), (element - odd) % F32_LEAF_ELEMENTS, 2);
            let (layout, bytes) = table(&floats(
                &scene.opened.weights[0],
                (within - odd) % TILE_ELEMENTS,
                2,
            ));
            let mut turned = [0.0; 2];
            backend.rope(
                &pair,
                2,
                PackedTensor::new(layout, &bytes),
                &[0],
                &mut turned,
            );
            out[0] = turned[odd];
        }
        Op::Rope => return one(0)[0].to_bits(),
        Op::ToF16 => {
            let mut half = [0];
            backend.to_f16(&one(0), &mut half);
            return half[0].into();
        }
        Op::Add => backend.add(&one(0), &one(1), &mut out),
        Op::SiluMul => backend.silu_mul(&one(0), &one(1), &mut out),
        Op::AttnMax | Op::AttnSum | Op::AttnMix => panic!("not compared here"),
    }
    out[0].to_bits()
}

#[test]
fn the_reference_is_the_backends() {
    let mut backends: Vec<Box<dyn Backend>> = vec![Box::new(Scalar)];
    backends.push(Box::new(Threaded::new(1).unwrap()));
    for op in Op::ALL {
        let Some((formats, _)) = covered(op) else {
            continue;
        };
        for format in formats {
            let mut rng = Rng(0xbac0 + op as u64);
            for case in 0..cases(3000) {
                let mut scene = Scene::random(&mut rng, op, *format, false);
                if op == Op::Matmul && format.is_quantised() {
                    // A quantised activation is never -128: the engine's kernels count on it.
                    for byte in scene.opened.inputs[0]
                        .chunks_mut(288)
                        .flat_map(|leaf| &mut leaf[32..])
                    {
                        *byte = if *byte == 0x80 { 0x81 } else { *byte };
                    }
                }
                let expected = scene.expected();
                let _mode = sworn_inference::backend::FloatMode::set();
                for backend in &backends {
                    let found = by_backend(&scene, &**backend);
                    assert_eq!(
                        found,
                        expected,
                        "{} {op:?} {format:?} case {case}: {found:#x} and {expected:#x}",
                        backend.name()
                    );
                }
            }
        }
    }
}

/// Every element of every step but attention's of a whole trace that the engine made.
#[test]
fn the_reference_is_the_engine() {
    for format in FORMATS {
        let mut model = Honest::new(format, 6, 3);
        let layout = model.layout.clone();
        let tokens = model.run.tokens.clone();
        let (mut compared, mut long) = (0, 0);
        for row in 0..model.trace.rows() {
            for leaf in 0..layout.leaves_at(row, model.run.n_prompt) {
                let step = layout.step_at(leaf).unwrap();
                let k = leaf - step.first_leaf;
                let bytes = TraceSource::leaf(&mut model.trace, row, leaf).unwrap();
                assert!(well_shaped(&step, k, &bytes));
                if covered(step.op).is_none() {
                    continue;
                }
                let scales = match step.kind {
                    LeafKind::Quantised => step.elements_of(k).len() as u32 / 32,
                    _ => 0,
                };
                let lanes = 0..step.elements_of(k).len() as u32;
                // Of long rows not all elements: this is the slow twin.
                let stride = if step.op == Op::Matmul { 5 } else { 1 };
                for lane in lanes.step_by(stride).chain(SCALES..SCALES + scales) {
                    let place = Place { leaf: k, lane };
                    let element = place.element(&step).unwrap();
                    let mut builder =
                        Builder::new(&layout, &mut model.trace, &model.weights, &tokens);
                    let found = if is_long_sum(&step) {
                        long += 1;
                        let totals = builder.totals(row, &step, element).unwrap();
                        let totals: Vec<u32> = totals
                            .chunks_exact(4)
                            .map(|word| u32::from_be_bytes(word.try_into().unwrap()))
                            .collect();
                        combine(&step, &totals)
                    } else {
                        let needs = needs(&layout, &step, place, row, tokens[row as usize]);
                        let opened = builder.read(row, &needs.unwrap()).unwrap();
                        recompute(&step, place, &opened).unwrap()
                    };
                    let expected = stored(step.kind, &bytes, lane).unwrap();
                    assert_eq!(
                        found, expected,
                        "{format:?} row {row} {place:?} of {step:?}"
                    );
                    compared += 1;
                }
            }
        }
        println!("{format:?}: {compared} elements, {long} of them long sums");
        assert!(compared > 1000 && long > 0);
    }
}
