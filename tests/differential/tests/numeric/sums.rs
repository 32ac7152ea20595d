//! Sums over tiles: floats, and blocks of small integers.

use alloy_primitives::U256;
use sworn_differential::compare::{Harness, signed};
use sworn_differential::vectors::{Rng, count, element, half};
use sworn_inference::numeric as cpu;

use crate::{b, f};

/// A kind of sum: how its lists are made, what a list gives, and references with a bug.
struct Sum {
    name: &'static str,
    number: u32,
    /// Bytes of one list of `count` elements in the first and in the second argument.
    strides: fn(usize) -> (usize, usize),
    /// Fills a list.
    fill: fn(&mut Rng, usize, &mut Vec<u8>, &mut Vec<u8>),
    reference: Reference,
    mutants: &'static [(&'static str, Reference)],
}

/// What a list gives.
type Reference = fn(&List<'_>) -> i64;

struct List<'a> {
    a: &'a [u8],
    b: &'a [u8],
    count: usize,
    start: f32,
}

fn le(bytes: &[u8], i: usize) -> f32 {
    f32::from_le_bytes(bytes[4 * i..4 * i + 4].try_into().unwrap())
}

fn be(bytes: &[u8], at: usize) -> f32 {
    f32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn half_le(bytes: &[u8], i: usize) -> f32 {
    cpu::f16_to_f32(u16::from_le_bytes([bytes[2 * i], bytes[2 * i + 1]]))
}

fn half_be(bytes: &[u8], at: usize) -> f32 {
    cpu::f16_to_f32(u16::from_be_bytes([bytes[at], bytes[at + 1]]))
}

impl List<'_> {
    /// Adds elements one after another.
    fn rising(&self, element: impl Fn(&Self, usize) -> f32) -> i64 {
        b((0..self.count).fold(self.start, |sum, i| sum + element(self, i)))
    }

    fn falling(&self, element: impl Fn(&Self, usize) -> f32) -> i64 {
        b((0..self.count)
            .rev()
            .fold(self.start, |sum, i| sum + element(self, i)))
    }

    /// With one rounding at the end only.
    fn exact(&self, element: impl Fn(&Self, usize) -> f64) -> i64 {
        b((0..self.count).fold(f64::from(self.start), |sum, i| sum + element(self, i)) as f32)
    }

    fn fused(&self, factors: impl Fn(&Self, usize) -> (f32, f32)) -> i64 {
        b((0..self.count).fold(self.start, |sum, i| {
            let (x, y) = factors(self, i);
            x.mul_add(y, sum)
        }))
    }
}

fn push_f32(rng: &mut Rng, n: usize, out: &mut Vec<u8>) {
    for _ in 0..n {
        out.extend(element(rng).to_le_bytes());
    }
}

/// Compares about `lists` lists of `count` elements, from `start`.
fn compare(
    sum: &Sum,
    harness: &mut Harness,
    lists: usize,
    elements: usize,
    found: &mut [bool],
) -> f64 {
    let mut rng = Rng(u64::from(sum.number) * 1000 + elements as u64);
    let (stride_a, stride_b) = (sum.strides)(elements);
    let batch = (16_384 / elements.max(8)).max(8);
    let (mut gas, mut batches) = (0.0, 0);
    for _ in 0..lists.div_ceil(batch) {
        let (mut a, mut second) = (Vec::new(), Vec::new());
        for _ in 0..batch {
            (sum.fill)(&mut rng, elements, &mut a, &mut second);
        }
        // A sum goes on from what came before, which is never -0.
        let start = match batches % 3 {
            0 => 0,
            _ => element(&mut rng),
        };
        let start = if start == 1 << 31 { 0 } else { start };
        let (words, each) = harness
            .sums(
                sum.number,
                (a.clone(), stride_a),
                (second.clone(), stride_b),
                elements,
                start,
            )
            .expect("a total function");
        for (i, word) in words.into_iter().enumerate() {
            let list = List {
                a: &a[i * stride_a..(i + 1) * stride_a],
                b: &second[i * stride_b..(i + 1) * stride_b],
                count: elements,
                start: f(start),
            };
            let expected = (sum.reference)(&list);
            assert_eq!(
                word,
                signed(expected),
                "{} of {elements} from {start:#x}: the CPU gives {expected:#x} for {:x?} {:x?}",
                sum.name,
                list.a,
                list.b
            );
            for (seen, (_, mutant)) in found.iter_mut().zip(sum.mutants) {
                *seen |= !*seen && word != signed(mutant(&list));
            }
        }
        gas += each;
        batches += 1;
    }
    gas / f64::from(batches)
}

/// Short lists, which come upon more of the borders, and long ones.
#[track_caller]
fn check(sum: &Sum, sizes: &[(usize, usize)]) {
    let mut harness = Harness::new();
    let mut found = vec![false; sum.mutants.len()];
    for &(lists, elements) in sizes {
        let gas = compare(sum, &mut harness, lists, elements, &mut found);
        println!("{:>8} of {elements:3}: {gas:9.1} gas", sum.name);
    }
    for (seen, (bug, _)) in found.iter().zip(sum.mutants) {
        assert!(seen, "{}: the lists do not find the bug {bug:?}", sum.name);
    }
}

/// `count()` lists of 2 elements, fewer longer ones.
fn sizes() -> [(usize, usize); 4] {
    let n = count();
    [(n, 2), (n / 16, 8), (n / 256, 33), (n / 2048, 256)]
}

#[test]
fn add() {
    check(
        &Sum {
            name: "add",
            number: 0,
            strides: |n| (4 * n, 0),
            fill: |rng, n, a, _| push_f32(rng, n, a),
            reference: |l| l.rising(|l, i| le(l.a, i)),
            mutants: &[
                ("falling", |l| l.falling(|l, i| le(l.a, i))),
                ("one rounding", |l| l.exact(|l, i| f64::from(le(l.a, i)))),
                ("big-endian", |l| l.rising(|l, i| be(l.a, 4 * i))),
            ],
        },
        &sizes(),
    );
}

#[test]
fn add_big() {
    check(
        &Sum {
            name: "addBig",
            number: 1,
            strides: |n| (4 * n, 0),
            fill: |rng, n, a, _| (0..n).for_each(|_| a.extend(element(rng).to_be_bytes())),
            reference: |l| l.rising(|l, i| be(l.a, 4 * i)),
            mutants: &[
                ("falling", |l| l.falling(|l, i| be(l.a, 4 * i))),
                ("one rounding", |l| {
                    l.exact(|l, i| f64::from(be(l.a, 4 * i)))
                }),
            ],
        },
        &sizes(),
    );
}

#[test]
fn dot() {
    check(
        &Sum {
            name: "dot",
            number: 2,
            strides: |n| (4 * n, 4 * n),
            fill: |rng, n, a, b| {
                push_f32(rng, n, a);
                push_f32(rng, n, b);
            },
            reference: |l| l.rising(|l, i| le(l.a, i) * le(l.b, i)),
            mutants: &[
                ("falling", |l| l.falling(|l, i| le(l.a, i) * le(l.b, i))),
                ("fused", |l| l.fused(|l, i| (le(l.a, i), le(l.b, i)))),
                ("one rounding", |l| {
                    l.exact(|l, i| f64::from(le(l.a, i)) * f64::from(le(l.b, i)))
                }),
            ],
        },
        &sizes(),
    );
}

#[test]
fn squares() {
    check(
        &Sum {
            name: "squares",
            number: 3,
            strides: |n| (4 * n, 0),
            fill: |rng, n, a, _| push_f32(rng, n, a),
            reference: |l| l.rising(|l, i| le(l.a, i) * le(l.a, i)),
            mutants: &[
                ("fused", |l| l.fused(|l, i| (le(l.a, i), le(l.a, i)))),
                ("not squared", |l| l.rising(|l, i| le(l.a, i).abs())),
            ],
        },
        &sizes(),
    );
}

#[test]
fn dot_half() {
    check(
        &Sum {
            name: "dotHalf",
            number: 4,
            strides: |n| (2 * n, 4 * n),
            fill: |rng, n, a, b| {
                (0..n).for_each(|_| a.extend(half(rng).to_le_bytes()));
                push_f32(rng, n, b);
            },
            reference: |l| l.rising(|l, i| half_le(l.a, i) * le(l.b, i)),
            mutants: &[
                ("falling", |l| {
                    l.falling(|l, i| half_le(l.a, i) * le(l.b, i))
                }),
                ("fused", |l| l.fused(|l, i| (half_le(l.a, i), le(l.b, i)))),
                ("big-endian", |l| {
                    l.rising(|l, i| half_be(l.a, 2 * i) * le(l.b, i))
                }),
            ],
        },
        &sizes(),
    );
}

#[test]
fn add_pairs() {
    check(
        &Sum {
            name: "addPairs",
            number: 5,
            strides: |n| (6 * n, 0),
            fill: |rng, n, a, _| {
                for _ in 0..n {
                    a.extend(element(rng).to_be_bytes());
                    a.extend(half(rng).to_be_bytes());
                }
            },
            reference: |l| l.rising(|l, i| be(l.a, 6 * i) * half_be(l.a, 6 * i + 4)),
            mutants: &[
                ("falling", |l| {
                    l.falling(|l, i| be(l.a, 6 * i) * half_be(l.a, 6 * i + 4))
                }),
                ("fused", |l| {
                    l.fused(|l, i| (be(l.a, 6 * i), half_be(l.a, 6 * i + 4)))
                }),
            ],
        },
        &sizes(),
    );
}

fn signed_bytes(bytes: &[u8]) -> [i8; 32] {
    std::array::from_fn(|i| bytes[i] as i8)
}

/// Bytes of which some are the lowest, and the scales' bits.
fn bytes(rng: &mut Rng, n: usize, out: &mut Vec<u8>) {
    let kind = rng.below(4);
    out.extend((0..n).map(|_| match kind {
        0 => [0x80, 0x81, 0x7f, 0xff, 0, 1][rng.below(6) as usize],
        _ => rng.bits() as u8,
    }));
}

/// A scale: mostly of a real size, with zeros, borders and anything.
fn scale(rng: &mut Rng) -> u32 {
    match rng.below(8) {
        0 => element(rng),
        _ => (rng.normal() * 0.01).to_bits(),
    }
}

fn activation(rng: &mut Rng, out: &mut Vec<u8>) {
    (0..8).for_each(|_| out.extend(scale(rng).to_le_bytes()));
    bytes(rng, 256, out);
}

/// Adds the blocks of a tile; the parts are the weight's scale and integers.
fn blocks(l: &List<'_>, weights: fn(&[u8], usize) -> (f32, [i8; 32])) -> i64 {
    blocks_by(l, weights, cpu::block_value)
}

fn blocks_by(
    l: &List<'_>,
    weights: fn(&[u8], usize) -> (f32, [i8; 32]),
    value: fn(f32, f32, i32) -> f32,
) -> i64 {
    b((0..l.count).fold(0.0, |sum, i| {
        let (d_w, w) = weights(l.a, i);
        let x = signed_bytes(&l.b[32 + 32 * i..]);
        sum + value(d_w, le(l.b, i), cpu::block_dot(&w, &x))
    }))
}

fn q8(a: &[u8], i: usize) -> (f32, [i8; 32]) {
    (
        half_le(a, i),
        signed_bytes(&a[16 + 32 * i..]).map(cpu::clamp_weight),
    )
}

fn q8f(a: &[u8], i: usize) -> (f32, [i8; 32]) {
    (
        le(a, i),
        signed_bytes(&a[32 + 32 * i..]).map(cpu::clamp_weight),
    )
}

fn q4(a: &[u8], i: usize) -> (f32, [i8; 32]) {
    let block: [u8; 16] = a[16 + 16 * i..32 + 16 * i].try_into().unwrap();
    (half_le(a, i), cpu::nibbles(&block))
}

/// `count()` tiles of one block, fewer longer and full ones.
fn tiles() -> [(usize, usize); 3] {
    [(count(), 1), (count() / 40, 3), (count() / 80, 8)]
}

#[test]
fn tile_q8() {
    check(
        &Sum {
            name: "tileQ8",
            number: 6,
            strides: |_| (272, 288),
            fill: |rng, _, a, b| {
                (0..8).for_each(|_| a.extend(half(rng).to_le_bytes()));
                bytes(rng, 256, a);
                activation(rng, b);
            },
            reference: |l| blocks(l, q8),
            mutants: &[
                ("0x80 as -128", |l| {
                    blocks(l, |a, i| (half_le(a, i), signed_bytes(&a[16 + 32 * i..])))
                }),
                ("unsigned", |l| {
                    blocks(l, |a, i| (half_le(a, i), q8(a, i).1.map(i8::wrapping_abs)))
                }),
                ("scaled in turn", |l| {
                    blocks_by(l, q8, |w, x, s| w * (x * s as f32))
                }),
                ("fused", |l| {
                    blocks_by(l, q8, |w, x, s| {
                        (f64::from(w) * f64::from(x) * f64::from(s)) as f32
                    })
                }),
                ("scale of the first block", |l| {
                    blocks(l, |a, i| (half_le(a, 0), q8(a, i).1))
                }),
            ],
        },
        &tiles(),
    );
}

#[test]
fn tile_q8f() {
    check(
        &Sum {
            name: "tileQ8F",
            number: 7,
            strides: |_| (288, 288),
            fill: |rng, _, a, b| {
                activation(rng, a);
                activation(rng, b);
            },
            reference: |l| blocks(l, q8f),
            mutants: &[
                ("0x80 as -128", |l| {
                    blocks(l, |a, i| (le(a, i), signed_bytes(&a[32 + 32 * i..])))
                }),
                ("scaled in turn", |l| {
                    blocks_by(l, q8f, |w, x, s| w * (x * s as f32))
                }),
                ("fused", |l| {
                    blocks_by(l, q8f, |w, x, s| {
                        (f64::from(w) * f64::from(x) * f64::from(s)) as f32
                    })
                }),
            ],
        },
        &tiles(),
    );
}

#[test]
fn tile_q4() {
    check(
        &Sum {
            name: "tileQ4",
            number: 8,
            strides: |_| (144, 288),
            fill: |rng, _, a, b| {
                (0..8).for_each(|_| a.extend(half(rng).to_le_bytes()));
                bytes(rng, 128, a);
                activation(rng, b);
            },
            reference: |l| blocks(l, q4),
            mutants: &[
                ("nibbles swapped", |l| {
                    blocks(l, |a, i| {
                        let (d, mut q) = q4(a, i);
                        q.rotate_left(16);
                        (d, q)
                    })
                }),
                ("less 7", |l| {
                    blocks(l, |a, i| (half_le(a, i), q4(a, i).1.map(|q| q + 1)))
                }),
                ("pairs", |l| {
                    blocks(l, |a, i| {
                        let (d, q) = q4(a, i);
                        (d, std::array::from_fn(|e| q[e / 2 + 16 * (e % 2)]))
                    })
                }),
            ],
        },
        &tiles(),
    );
}

#[test]
fn block_dot() {
    check(
        &Sum {
            name: "blockDot",
            number: 9,
            strides: |_| (32, 32),
            fill: |rng, _, a, b| {
                bytes(rng, 32, a);
                bytes(rng, 32, b);
            },
            reference: |l| {
                let w = signed_bytes(l.a).map(cpu::clamp_weight);
                i64::from(cpu::block_dot(&w, &signed_bytes(l.b)))
            },
            mutants: &[
                ("0x80 as -128", |l| {
                    i64::from(cpu::block_dot(&signed_bytes(l.a), &signed_bytes(l.b)))
                }),
                ("0x80 of x as -127", |l| {
                    let (w, x) = (signed_bytes(l.a), signed_bytes(l.b));
                    i64::from(cpu::block_dot(
                        &w.map(cpu::clamp_weight),
                        &x.map(cpu::clamp_weight),
                    ))
                }),
            ],
        },
        &[(count(), 1)],
    );
}

#[test]
fn largest() {
    check(
        &Sum {
            name: "largest32",
            number: 11,
            strides: |n| (4 * n + 128, 0),
            fill: |rng, n, a, _| push_f32(rng, n + 32, a),
            // From element `count` on.
            reference: |l| {
                (0..32)
                    .map(|i| i64::from(le(l.a, l.count + i).to_bits() << 1 >> 1))
                    .max()
                    .unwrap()
            },
            mutants: &[
                ("signed", |l| {
                    (0..32)
                        .map(|i| i64::from(le(l.a, l.count + i).to_bits() as i32))
                        .max()
                        .unwrap()
                        & 0x7fff_ffff
                }),
                ("31 of them", |l| {
                    (0..31)
                        .map(|i| i64::from(le(l.a, l.count + i).to_bits() << 1 >> 1))
                        .max()
                        .unwrap()
                }),
            ],
        },
        &[(count() / 2, 3), (count() / 2, 8)],
    );
}

#[test]
fn elements_of_leaves() {
    let mut rng = Rng(2);
    let mut harness = Harness::new();
    let data = rng.bytes(300);
    let mut ask = |number, count| {
        let answer = harness.sums(number, (data.clone(), 300), (vec![], 0), count, 0);
        answer.map(|(words, _)| words[0])
    };
    for i in 0..75 {
        let four: [u8; 4] = data[4 * i..4 * i + 4].try_into().unwrap();
        assert_eq!(ask(12, i).unwrap(), U256::from(u32::from_le_bytes(four)));
    }
    for i in 0..150 {
        let two = u16::from_le_bytes([data[2 * i], data[2 * i + 1]]);
        assert_eq!(ask(13, i).unwrap(), U256::from(two));
    }
    for i in 0..297 {
        assert_eq!(ask(14, i).unwrap(), signed(i64::from(data[i] as i8)));
        let four: [u8; 4] = data[i..i + 4].try_into().unwrap();
        assert_eq!(ask(15, i).unwrap(), U256::from(u32::from_be_bytes(four)));
    }
    // Past the end.
    for (number, index) in [
        (12, 75),
        (13, 150),
        (14, 300),
        (15, 297),
        (0, 76),
        (2, 76),
        (4, 76),
        (5, 51),
        (6, 9),
        (11, 44),
    ] {
        assert!(
            ask(number, index).is_err(),
            "function {number} reads past the end"
        );
    }
    // Tiles have at most 256 elements: more could leave the wide form's bounds.
    let long = vec![0; 4 * 257];
    assert!(
        harness
            .sums(0, (long, 4 * 257), (vec![], 0), 257, 0)
            .is_err()
    );
}

#[test]
fn nibbles_of_every_byte() {
    let mut harness = Harness::new();
    for byte in 0..=255u8 {
        let block: [u8; 16] = std::array::from_fn(|j| byte.wrapping_add((37 * j) as u8));
        let (words, _) = harness
            .sums(10, (block.to_vec(), 16), (vec![], 0), 0, 0)
            .unwrap();
        let expected = cpu::nibbles(&block).map(|q| q as u8);
        assert_eq!(words[0], U256::from_be_bytes(expected));
    }
}

#[test]
fn rope() {
    let mut rng = Rng(9);
    let mut harness = Harness::new();
    for _ in 0..count().div_ceil(2048) {
        let numbers: Vec<u32> = (0..4 * 2048).map(|_| element(&mut rng)).collect();
        let data: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        let (words, _) = harness.sums(16, (data, 16), (vec![], 0), 0, 0).unwrap();
        for (four, word) in numbers.chunks(4).zip(words) {
            let (y0, y1) = cpu::rope_pair(f(four[0]), f(four[1]), f(four[2]), f(four[3]));
            assert_eq!(
                word,
                U256::from((b(y0) as u64) << 32 | b(y1) as u64),
                "{four:x?}"
            );
        }
    }
}
