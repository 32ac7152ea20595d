//! Random programs, most of them valid.

use sworn_differential::vectors::Rng;
use sworn_inference::program::{CARRY, Entry, Op, UNUSED, ValueShape, WeightFormat};

/// An entry without constants, with f32 weights if any.
pub(crate) fn entry(op: Op, inputs: [u16; 3], weight: u16, dims: [u32; 3]) -> Entry {
    Entry {
        op,
        format: WeightFormat::F32,
        inputs,
        weights: [weight, UNUSED],
        dims,
        constants: [0, 0],
    }
}

/// A table that is being made: what is within reach, and what was made.
struct Table<'a> {
    rng: &'a mut Rng,
    /// Number of the next entry.
    next: u16,
    /// Number of the next weight.
    weight: u16,
    carry: u32,
    reach: Vec<(u16, ValueShape)>,
    entries: Vec<Entry>,
}

impl Table<'_> {
    /// One that is within reach and has such a shape.
    fn any(&mut self, wanted: impl Fn(ValueShape) -> bool) -> Option<(u16, ValueShape)> {
        let fitting: Vec<_> = self
            .reach
            .iter()
            .copied()
            .filter(|(_, shape)| wanted(*shape))
            .collect();
        (!fitting.is_empty()).then(|| fitting[self.rng.below(fitting.len() as u32) as usize])
    }

    fn any_f32(&mut self) -> (u16, u32) {
        match self.any(|shape| matches!(shape, ValueShape::F32(_))) {
            Some((number, ValueShape::F32(n))) => (number, n),
            _ => (CARRY, self.carry),
        }
    }

    fn push(&mut self, made: Entry, shape: ValueShape) -> u16 {
        self.entries.push(made);
        self.reach.push((self.next, shape));
        self.next += 1;
        self.next - 1
    }

    fn new_weight(&mut self) -> u16 {
        self.weight += 1;
        self.weight - 1
    }

    fn matmul(&mut self, x: u16, inner: u32, outputs: u32) -> u16 {
        use WeightFormat::{F16, F32, Q4_0, Q8_0, Q8F};
        let weight = self.new_weight();
        let quantised = inner.is_multiple_of(32) && self.rng.below(2) == 0;
        let (x, format) = if quantised {
            let q = self.push(
                entry(Op::Quantise, [x, UNUSED, UNUSED], UNUSED, [inner, 0, 0]),
                ValueShape::Quantised(inner),
            );
            (q, [Q8_0, Q4_0, Q8F][self.rng.below(3) as usize])
        } else {
            (x, [F32, F16][self.rng.below(2) as usize])
        };
        let made = Entry {
            format,
            ..entry(Op::Matmul, [x, UNUSED, UNUSED], weight, [outputs, inner, 0])
        };
        self.push(made, ValueShape::F32(outputs))
    }

    /// Three entries; the keys and values are rounded before.
    fn attention(&mut self) {
        // Sometimes keys that are there already; those of the head are no keys.
        let known = match self.any(|shape| matches!(shape, ValueShape::F16(_))) {
            Some((number, ValueShape::F16(n))) if self.rng.below(3) == 0 => Some((number, n)),
            _ => None,
        };
        let kv_heads = known.map_or_else(|| 1 + self.rng.below(3), |_| 1);
        let heads = kv_heads * (1 + self.rng.below(3));
        let size = [1, 16, 33, 128, 256, 257][self.rng.below(6) as usize];
        let head_dim = known.map_or(size, |(_, n)| n);
        let (x, n) = self.any_f32();
        let q = self.matmul(x, n, heads * head_dim);
        let k = self.matmul(x, n, kv_heads * head_dim);
        let round = |from, n| {
            (
                entry(Op::ToF16, [from, UNUSED, UNUSED], UNUSED, [n, 0, 0]),
                ValueShape::F16(n),
            )
        };
        let (made, shape) = round(k, kv_heads * head_dim);
        let k16 = match known {
            Some((number, _)) => number,
            None => self.push(made, shape),
        };
        let v16 = if self.rng.below(3) == 0 {
            k16
        } else {
            let (made, shape) = round(k, kv_heads * head_dim);
            self.push(made, shape)
        };
        let dims = [heads, kv_heads, head_dim];
        let constants = [self.rng.bits(), 0];
        let max = Entry {
            constants,
            ..entry(Op::AttnMax, [q, k16, UNUSED], UNUSED, dims)
        };
        let max = self.push(max, ValueShape::Maxima(heads));
        let sum = Entry {
            constants,
            ..entry(Op::AttnSum, [q, k16, max], UNUSED, dims)
        };
        self.push(sum, ValueShape::F32(heads));
        let mix = Entry {
            constants: [constants[0], 1],
            ..entry(Op::AttnMix, [q, k16, v16], UNUSED, dims)
        };
        self.push(mix, ValueShape::F32(heads * head_dim));
    }

    /// Some operation on something within reach.
    fn any_operation(&mut self, body: bool) {
        let (x, n) = self.any_f32();
        let one = [x, UNUSED, UNUSED];
        match self.rng.below(9) {
            0 => {
                let stat = Entry {
                    constants: [self.rng.bits(), 0],
                    ..entry(Op::NormStat, one, UNUSED, [n, 0, 0])
                };
                let stat = self.push(stat, ValueShape::F32(1));
                let weight = self.new_weight();
                self.push(
                    entry(Op::NormApply, [x, stat, UNUSED], weight, [n, 0, 0]),
                    ValueShape::F32(n),
                );
            }
            1 => {
                let head_dim = if n.is_multiple_of(4) && self.rng.below(2) == 0 {
                    n / 2
                } else {
                    n
                };
                let rotated = head_dim.min(2 + 2 * self.rng.below(4));
                let weight = self.new_weight();
                self.push(
                    entry(Op::Rope, one, weight, [n, head_dim, rotated]),
                    ValueShape::F32(n),
                );
            }
            2 => {
                self.push(entry(Op::ToF16, one, UNUSED, [n, 0, 0]), ValueShape::F16(n));
            }
            3 | 4 => {
                let wanted = move |shape| shape == ValueShape::F32(n);
                let y = self.any(wanted).map_or(x, |(number, _)| number);
                let op = if self.rng.below(2) == 0 {
                    Op::Add
                } else {
                    Op::SiluMul
                };
                self.push(
                    entry(op, [x, y, UNUSED], UNUSED, [n, 0, 0]),
                    ValueShape::F32(n),
                );
            }
            5 | 6 => {
                let outputs = [1, 7, 32, 64, 100, 1000][self.rng.below(6) as usize];
                self.matmul(x, n, outputs);
            }
            7 if body => self.attention(),
            _ => {
                let weight = self.new_weight();
                let width = [1, 31, 64][self.rng.below(3) as usize];
                let format = [WeightFormat::F32, WeightFormat::Q8F][self.rng.below(2) as usize];
                let made = Entry {
                    format,
                    ..entry(Op::Embed, [UNUSED; 3], weight, [width, 0, 0])
                };
                self.push(made, ValueShape::F32(width));
            }
        }
    }

    /// The last entry is f32 [n].
    fn end(&mut self, n: u32) {
        let (x, found) = self.any_f32();
        self.matmul(x, found, n);
    }
}

/// The bytes of a program of some random operations. Some break a rule: a head of 257, an odd rotation.
pub(crate) fn random_program(rng: &mut Rng) -> Vec<u8> {
    let width = [32, 64, 50, 256][rng.below(4) as usize];
    let vocabulary = [1, 40, 512][rng.below(3) as usize];
    let context = 1 + rng.below(100);
    let mut table = Table {
        rng,
        next: 0,
        weight: 0,
        carry: width,
        reach: vec![],
        entries: vec![],
    };
    let (mut lengths, mut weights) = ([0u16; 3], [0u16; 3]);
    let mut head = vec![];
    for part in 0..3 {
        let (first, first_weight) = (table.next, table.weight);
        // The tail reaches the head and the carry, not the body.
        table.reach = head.clone();
        if part == 0 {
            let weight = table.new_weight();
            table.push(
                entry(Op::Embed, [UNUSED; 3], weight, [width, 0, 0]),
                ValueShape::F32(width),
            );
        } else {
            table.reach.push((CARRY, ValueShape::F32(width)));
        }
        for _ in 0..table.rng.below(6) {
            table.any_operation(part == 1);
        }
        table.end(if part == 2 { vocabulary } else { width });
        if part == 0 {
            head = table.reach.clone();
        }
        (lengths[part], weights[part]) = (table.next - first, table.weight - first_weight);
    }
    encode(
        context,
        vocabulary,
        1 + table.rng.below(5) as u16,
        lengths,
        weights,
        &table.entries,
    )
}

fn encode(
    context: u32,
    vocabulary: u32,
    layers: u16,
    lengths: [u16; 3],
    weights: [u16; 3],
    entries: &[Entry],
) -> Vec<u8> {
    let mut out = b"SWP1".to_vec();
    out.extend([context, vocabulary].map(u32::to_be_bytes).concat());
    let halves = lengths
        .into_iter()
        .chain([layers])
        .chain(weights)
        .chain([0]);
    out.extend(halves.flat_map(u16::to_be_bytes));
    out.extend([0; 4]);
    out.extend([0xff; 64]);
    for entry in entries {
        out.extend([entry.op as u8, entry.format as u8]);
        out.extend(
            entry
                .inputs
                .into_iter()
                .chain(entry.weights)
                .flat_map(u16::to_be_bytes),
        );
        out.extend(
            entry
                .dims
                .into_iter()
                .chain(entry.constants)
                .flat_map(u32::to_be_bytes),
        );
    }
    out
}
