//! Planted bugs: references that are wrong in one way. The judge has to call each of them wrong somewhere among the random cases, else the
//! cases would not have found that bug in it.

use sworn_differential::vectors::Rng;
use sworn_inference::numeric::{
    canonical, exp, f16_to_f32, f32_to_f16, inverse_root, quantise_block, rope_pair, silu, tile_sum,
};
use sworn_inference::program::{Op, WeightFormat};
use sworn_prover::constants::FAULT_STEP;
use sworn_prover::dispute::faults::step::{Opened, SCALES, recompute};

use crate::cases;
use crate::scene::Scene;
use crate::world::World;

struct Mutant {
    name: &'static str,
    op: Op,
    format: WeightFormat,
    bits: fn(&Scene) -> u32,
}

/// Input `i` of an operation that is one number.
fn x(scene: &Scene, i: usize) -> f32 {
    let at = scene.place.element(&scene.step).unwrap() as usize % 64;
    number(&scene.opened.inputs[i], at)
}

fn number(bytes: &[u8], i: usize) -> f32 {
    f32::from_le_bytes(bytes[4 * i..4 * i + 4].try_into().unwrap())
}

fn numbers(bytes: &[u8], n: usize) -> Vec<f32> {
    (0..n).map(|i| number(bytes, i)).collect()
}

fn bits(value: f32) -> u32 {
    canonical(value).to_bits()
}

/// The reference of changed leaves.
fn with(scene: &Scene, change: impl Fn(&mut Opened)) -> u32 {
    let mut opened = scene.opened.clone();
    change(&mut opened);
    recompute(&scene.step, scene.place, &opened).unwrap()
}

fn each_word(bytes: &mut [u8], change: impl Fn(u32) -> u32) {
    for word in bytes.chunks_exact_mut(4) {
        let bits = u32::from_le_bytes(word.try_into().unwrap());
        word.copy_from_slice(&change(bits).to_le_bytes());
    }
}

fn flush(bits: u32) -> u32 {
    if bits & 0x7f80_0000 == 0 {
        bits & 0x8000_0000
    } else {
        bits
    }
}

fn block(scene: &Scene) -> [f32; 32] {
    let at = scene.place.element(&scene.step).unwrap() as usize % 64;
    std::array::from_fn(|i| number(&scene.opened.inputs[0], at - at % 32 + i))
}

fn quantised(scene: &Scene, wrong: impl Fn(&[f32; 32]) -> (f32, [i8; 32])) -> u32 {
    let (d, q) = wrong(&block(scene));
    let element = scene.place.element(&scene.step).unwrap() as usize;
    match scene.place.lane < SCALES {
        true => u32::from(q[element % 32] as u8),
        false => d.to_bits(),
    }
}

fn weights(scene: &Scene) -> Vec<f32> {
    let leaf = &scene.opened.weights[0];
    let n = scene.step.dims[1] as usize;
    match scene.step.format {
        WeightFormat::F16 => (0..n)
            .map(|i| f16_to_f32(u16::from_le_bytes([leaf[2 * i], leaf[2 * i + 1]])))
            .collect(),
        _ => numbers(leaf, n),
    }
}

fn inner(scene: &Scene) -> Vec<f32> {
    numbers(&scene.opened.inputs[0], scene.step.dims[1] as usize)
}

fn product(scene: &Scene, sum: impl Fn(&[f32], &[f32]) -> f32) -> u32 {
    bits(sum(&weights(scene), &inner(scene)))
}

/// The pair and its rotation, if the element is rotated.
fn turned(scene: &Scene, turn: impl Fn(f32, f32, f32, f32) -> (f32, f32)) -> u32 {
    let element = scene.place.element(&scene.step).unwrap();
    let within = element % scene.step.dims[1];
    if within >= scene.step.dims[2] {
        return scene.expected();
    }
    let odd = within % 2;
    let at = (element - odd) as usize % 64;
    let column = (within - odd) as usize % 256;
    let (input, table) = (&scene.opened.inputs[0], &scene.opened.weights[0]);
    let (y0, y1) = turn(
        number(input, at),
        number(input, at + 1),
        number(table, column),
        number(table, column + 1),
    );
    bits(if odd == 0 { y0 } else { y1 })
}

const F32: WeightFormat = WeightFormat::F32;
const F16: WeightFormat = WeightFormat::F16;
const Q8: WeightFormat = WeightFormat::Q8_0;
const Q4: WeightFormat = WeightFormat::Q4_0;
const Q8F: WeightFormat = WeightFormat::Q8F;

#[rustfmt::skip]
const MUTANTS: &[Mutant] = &[
    Mutant { name: "a NaN keeps its bits", op: Op::Add, format: F32, bits: |s| {
        let (x, y) = (x(s, 0), x(s, 1));
        if x.is_nan() { x.to_bits() | 0x40_0000 } else { bits(x + y) }
    } },
    Mutant { name: "a sum flushes subnormals", op: Op::Add, format: F32, bits: |s| flush(s.expected()) },
    Mutant { name: "a sum of opposites is -0", op: Op::Add, format: F32, bits: |s| {
        if x(s, 0) == -x(s, 1) { 0x8000_0000 } else { s.expected() }
    } },
    Mutant { name: "x * (r * w)", op: Op::NormApply, format: F32, bits: |s| {
        let w = number(&s.opened.weights[0], s.place.element(&s.step).unwrap() as usize % 256);
        bits(x(s, 0) * (number(&s.opened.inputs[1], 0) * w))
    } },
    Mutant { name: "silu by x / (1 + exp(-x)), saturated", op: Op::SiluMul, format: F32, bits: |s| {
        let v = x(s, 0);
        let e = if v < 0.0 { 1.0 / exp(v) } else { exp(-v) };
        bits(v / (1.0 + e) * x(s, 1))
    } },
    Mutant { name: "silu of the wrong input", op: Op::SiluMul, format: F32, bits: |s| bits(silu(x(s, 1)) * x(s, 0)) },
    Mutant { name: "silu keeps -0 below -87 as +0", op: Op::SiluMul, format: F32, bits: |s| {
        if x(s, 0) < -87.0 { bits(0.0 * x(s, 1)) } else { s.expected() }
    } },
    Mutant { name: "f16 by truncation", op: Op::ToF16, format: F32, bits: |s| {
        u32::from(f32_to_f16(f32::from_bits(x(s, 0).to_bits() & !0x1fff)))
    } },
    Mutant { name: "f16 overflows to infinity", op: Op::ToF16, format: F32, bits: |s| {
        let v = x(s, 0);
        if v.abs() >= 65520.0 { if v < 0.0 { 0xfc00 } else { 0x7c00 } } else { s.expected() }
    } },
    Mutant { name: "f16 without subnormals", op: Op::ToF16, format: F32, bits: |s| {
        let h = s.expected();
        if h & 0x7c00 == 0 { h & 0x8000 } else { h }
    } },
    Mutant { name: "quantise rounds half away", op: Op::Quantise, format: Q8, bits: |s| quantised(s, |block| {
        let (d, q) = quantise_block(block);
        let i = 1.0 / d;
        let away = |v: f32| (v * i).round() as i8;
        (d, if d > 0.0 { block.map(away) } else { q })
    }) },
    Mutant { name: "quantise divides", op: Op::Quantise, format: Q8, bits: |s| quantised(s, |block| {
        let (d, q) = quantise_block(block);
        let by = |v: f32| (v / d).round_ties_even() as i8;
        (d, if d > 0.0 { block.map(by) } else { q })
    }) },
    Mutant { name: "quantise has no lower bound", op: Op::Quantise, format: Q8, bits: |s| quantised(s, |block| {
        let largest = block.iter().fold(0.0f32, |a, v| a.max(v.abs()));
        let (d, q) = quantise_block(block);
        (if d == 0.0 { largest / 127.0 } else { d }, q)
    }) },
    Mutant { name: "quantise looks past its block", op: Op::Quantise, format: Q8, bits: |s| quantised(s, |block| {
        let mut wide = *block;
        wide[0] = number(&s.opened.inputs[0], 0).max(number(&s.opened.inputs[0], 63));
        quantise_block(&wide)
    }) },
    Mutant { name: "rope turns back", op: Op::Rope, format: F32, bits: |s| turned(s, |a, b, c, d| rope_pair(a, b, c, -d)) },
    Mutant { name: "rope fused", op: Op::Rope, format: F32, bits: |s| turned(s, |a, b, c, d| {
        (a.mul_add(c, -(b * d)), a.mul_add(d, b * c))
    }) },
    Mutant { name: "rope turns everything", op: Op::Rope, format: F32, bits: |s| {
        let element = s.place.element(&s.step).unwrap();
        if element % s.step.dims[1] >= s.step.dims[2] { 0 } else { s.expected() }
    } },
    Mutant { name: "norm sums in one go", op: Op::NormStat, format: F32, bits: |s| {
        let x = numbers(&s.opened.inputs[0], s.step.dims[0] as usize);
        let sum = x.iter().rev().fold(0.0, |sum, x| sum + x * x);
        bits(inverse_root(sum, s.step.dims[0], f32::from_bits(s.step.constants[0])))
    } },
    Mutant { name: "norm in binary64 at the end", op: Op::NormStat, format: F32, bits: |s| {
        let x = numbers(&s.opened.inputs[0], s.step.dims[0] as usize);
        let sum = f64::from(tile_sum(x.iter().map(|x| x * x)));
        let eps = f64::from(f32::from_bits(s.step.constants[0]));
        bits((1.0 / (sum / f64::from(s.step.dims[0]) + eps).sqrt()) as f32)
    } },
    Mutant { name: "norm reads the leaf's rest", op: Op::NormStat, format: F32, bits: |s| {
        let x = numbers(&s.opened.inputs[0], (s.step.dims[0] as usize).next_multiple_of(64));
        bits(inverse_root(tile_sum(x.iter().map(|x| x * x)), s.step.dims[0], f32::from_bits(s.step.constants[0])))
    } },
    Mutant { name: "a fused dot", op: Op::Matmul, format: F32, bits: |s| product(s, |w, x| {
        w.iter().zip(x).fold(0.0, |sum, (w, x)| w.mul_add(*x, sum))
    }) },
    Mutant { name: "a dot from the end", op: Op::Matmul, format: F32, bits: |s| product(s, |w, x| {
        tile_sum(w.iter().zip(x).rev().map(|(w, x)| w * x))
    }) },
    Mutant { name: "a dot in binary64", op: Op::Matmul, format: F16, bits: |s| product(s, |w, x| {
        w.iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum::<f64>() as f32
    }) },
    Mutant { name: "halves without subnormals", op: Op::Matmul, format: F16, bits: |s| with(s, |o| {
        for half in o.weights[0].chunks_exact_mut(2) {
            if half[1] & 0x7c == 0 { half[0] = 0; half[1] &= 0x80; }
        }
    }) },
    Mutant { name: "a weight 0x80 is 0", op: Op::Matmul, format: Q8, bits: |s| with(s, |o| {
        for leaf in o.weights[0].chunks_exact_mut(272) {
            for byte in &mut leaf[16..] { if *byte == 0x80 { *byte = 0; } }
        }
    }) },
    Mutant { name: "a weight 0x80 is -126", op: Op::Matmul, format: Q8F, bits: |s| with(s, |o| {
        for leaf in o.weights[0].chunks_exact_mut(288) {
            for byte in &mut leaf[32..] { if *byte == 0x80 { *byte = 0x82; } }
        }
    }) },
    Mutant { name: "tiles after another's sum", op: Op::Matmul, format: Q8, bits: |s| {
        // All blocks added to one sum: the tiles' sums are seen only in rows of more than one.
        let mut one = s.step;
        let mut sum = 0.0f32;
        for block in 0..s.step.dims[1] / 32 {
            let (tile, b) = ((block / 8) as usize, (block % 8) as usize);
            let mut opened = s.opened.clone();
            opened.weights[0] = opened.weights[0][tile * 272..][..272].to_vec();
            opened.inputs[0] = opened.inputs[0][tile * 288..][..288].to_vec();
            opened.weights[0].copy_within(2 * b..2 * b + 2, 0);
            opened.weights[0].copy_within(16 + 32 * b..48 + 32 * b, 16);
            opened.inputs[0].copy_within(4 * b..4 * b + 4, 0);
            opened.inputs[0].copy_within(32 + 32 * b..64 + 32 * b, 32);
            one.dims[1] = 32;
            sum += f32::from_bits(recompute(&one, s.place, &opened).unwrap());
        }
        bits(sum)
    } },
    Mutant { name: "nibbles the other way round", op: Op::Matmul, format: Q4, bits: |s| with(s, |o| {
        for leaf in o.weights[0].chunks_exact_mut(144) {
            for byte in &mut leaf[16..] { *byte = byte.rotate_left(4); }
        }
    }) },
    Mutant { name: "nibbles less 7", op: Op::Matmul, format: Q4, bits: |s| with(s, |o| {
        for leaf in o.weights[0].chunks_exact_mut(144) {
            for byte in &mut leaf[16..] { if *byte & 15 < 15 { *byte += 1; } }
        }
    }) },
    Mutant { name: "scales without subnormals", op: Op::Matmul, format: Q8F, bits: |s| with(s, |o| {
        for leaf in o.weights[0].chunks_exact_mut(288) { each_word(&mut leaf[..32], flush); }
        for leaf in o.inputs[0].chunks_exact_mut(288) { each_word(&mut leaf[..32], flush); }
    }) },
    Mutant { name: "dw * (dx * s)", op: Op::Matmul, format: Q8F, bits: |s| {
        let (w, x) = (&s.opened.weights[0], &s.opened.inputs[0]);
        let mut total = 0.0f32;
        for tile in 0..s.step.dims[1].div_ceil(256) as usize {
            let (w, x) = (&w[288 * tile..][..288], &x[288 * tile..][..288]);
            let blocks = 8.min(s.step.dims[1] as usize / 32 - 8 * tile);
            let mut sum = 0.0f32;
            for b in 0..blocks {
                let dot: i32 = (0..32).map(|i| {
                    i32::from((w[32 + 32 * b + i] as i8).max(-127)) * i32::from(x[32 + 32 * b + i] as i8)
                }).sum();
                sum += number(w, b) * (number(x, b) * dot as f32);
            }
            total += sum;
        }
        bits(total)
    } },
    Mutant { name: "an embedding has its neighbour's scale", op: Op::Embed, format: Q8, bits: |s| with(s, |o| {
        o.weights[0].copy_within(2..16, 0);
    }) },
    Mutant { name: "an embedded NaN keeps its bits", op: Op::Embed, format: F32, bits: |s| {
        number(&s.opened.weights[0], s.place.element(&s.step).unwrap() as usize % 256).to_bits()
    } },
    Mutant { name: "embedded nibbles the other way round", op: Op::Embed, format: Q4, bits: |s| with(s, |o| {
        for byte in &mut o.weights[0][16..] { *byte = byte.rotate_left(4); }
    }) },
];

#[test]
fn planted_bugs_are_found() {
    let mut world = World::new();
    for mutant in MUTANTS {
        let mut rng = Rng(0xbadbad);
        let (mut found, mut tried) = (0, 0);
        // At most as many cases as the comparison has; a third of them suffices.
        while found < 2 && tried < cases(1500).max(600) / 3 {
            tried += 1;
            let mut scene = Scene::random(&mut rng, mutant.op, mutant.format, false);
            let bits = (mutant.bits)(&scene);
            if bits == scene.expected() {
                continue;
            }
            world.set_model(&scene.layout.program().encode(), scene.weights_root());
            scene.claim(&mut rng, bits);
            let witness = scene.witness();
            assert_eq!(
                world.verdict(&scene.case(), FAULT_STEP, &witness),
                Ok(true),
                "{}",
                mutant.name
            );
            found += 1;
        }
        println!("{:40} found {found} times in {tried} cases", mutant.name);
        assert!(found > 0, "{:?}: {} was not found", mutant.op, mutant.name);
    }
}
