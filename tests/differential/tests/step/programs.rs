//! Programs that have every operation but attention's, with any dimensions.

use sworn_differential::vectors::{Rng, edge};
use sworn_inference::program::{CARRY, Entry, Op, Parts, Program, UNUSED, WeightFormat};
use sworn_prover::dispute::trace::{Step, TraceLayout};

/// Dimensions of a program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// Format of embed and matmul.
    pub format: WeightFormat,
    /// Width of the residual stream: inner size of the first matmul.
    pub dim: u32,
    /// Outputs of it.
    pub out: u32,
    /// Elements of a head; divides `out`.
    pub head: u32,
    /// Rotated elements of a head.
    pub rotated: u32,
    pub layers: u16,
    pub vocab: u32,
    pub context: u32,
    pub eps: u32,
}

impl Shape {
    /// A random one; with `long`, sums of the first matmul and of the norms have more tiles than are proven at once.
    pub(crate) fn random(rng: &mut Rng, format: WeightFormat, long: bool) -> Shape {
        let tiles = match (long, format.is_quantised()) {
            (false, false) => 1,
            (false, true) => 4,
            (true, false) => 2 + rng.below(4),
            (true, true) => 5 + rng.below(4),
        };
        let most = 256 * tiles;
        let least = match (long, format.is_quantised()) {
            (false, _) => 1,
            (true, false) => 257,
            (true, true) => 1025,
        };
        let dim = match rng.below(4) {
            0 => most,
            1 if !long => 1 + rng.below(64),
            _ => least + rng.below(most - least + 1),
        };
        let dim = if format.is_quantised() {
            dim.next_multiple_of(32)
        } else {
            dim
        };
        // Odd heads have pairs in two leaves.
        let most = if rng.below(8) == 0 { 600 } else { 70 };
        let head = 2 + rng.below(most);
        let rotated = 2 + 2 * rng.below(head / 2);
        Shape {
            format,
            dim,
            out: head * (1 + rng.below(5)),
            head,
            rotated,
            layers: 1 + rng.below(3) as u16,
            vocab: 3 + rng.below(600),
            context: 210,
            eps: match rng.below(8) {
                0 => edge(rng.below(96) as usize),
                _ => 1e-5f32.to_bits(),
            },
        }
    }

    /// The operations of the body, the first as entry 1.
    fn body(&self) -> Vec<Entry> {
        let mut body = Vec::new();
        let mut add = |op, inputs: &[u16], weight: Option<u16>, dims, eps| {
            let mut all = [UNUSED; 3];
            all[..inputs.len()].copy_from_slice(inputs);
            body.push(Entry {
                op,
                format: WeightFormat::F32,
                inputs: all,
                weights: [weight.unwrap_or(UNUSED), UNUSED],
                dims,
                constants: [eps, 0],
            });
            body.len() as u16
        };
        let (dim, out) = (self.dim, self.out);
        let (d, o) = ([dim, 0, 0], [out, 0, 0]);
        let stat = add(Op::NormStat, &[CARRY], None, d, self.eps);
        let norm = add(Op::NormApply, &[CARRY, stat], Some(2), d, 0);
        let x = match self.format.is_quantised() {
            true => add(Op::Quantise, &[norm], None, d, 0),
            false => norm,
        };
        let product = add(Op::Matmul, &[x], Some(3), [out, dim, 0], 0);
        let turned = add(
            Op::Rope,
            &[product],
            Some(1),
            [out, self.head, self.rotated],
            0,
        );
        add(Op::ToF16, &[turned], None, o, 0);
        let gated = add(Op::SiluMul, &[turned, product], None, o, 0);
        let back = add(Op::Matmul, &[gated], Some(4), [dim, out, 0], 0);
        add(Op::Add, &[CARRY, back], None, d, 0);
        body[usize::from(product) - 1].format = self.format;
        body
    }

    /// The program: all of its operations in the body, norms and a matmul in the tail too.
    pub(crate) fn program(&self) -> Program {
        let body = self.body();
        let shift = body.len() as u16;
        let mut tail = body.clone();
        tail.truncate(if self.format.is_quantised() { 4 } else { 3 });
        for entry in &mut tail {
            for input in entry.inputs.iter_mut().filter(|input| **input < CARRY) {
                *input += shift;
            }
            if entry.weights[0] != UNUSED {
                entry.weights[0] += 3;
            }
        }
        if let Some(logits) = tail.last_mut() {
            logits.dims[0] = self.vocab;
        }
        let embed = Entry {
            op: Op::Embed,
            format: self.format,
            inputs: [UNUSED; 3],
            weights: [0, UNUSED],
            dims: [self.dim, 0, 0],
            constants: [0; 2],
        };
        Program::new(Parts {
            context: self.context,
            vocab_size: self.vocab,
            layers: self.layers,
            weight_counts: [2, 3, 2],
            stop_tokens: vec![1],
            head: vec![embed],
            body,
            tail,
        })
        .unwrap()
    }
}

/// The steps of an operation; of a matmul those of a weight format.
pub(crate) fn steps(layout: &TraceLayout, op: Op, format: WeightFormat) -> Vec<Step> {
    (0..layout.steps())
        .map(|number| layout.step(number).unwrap())
        .filter(|step| step.op == op && (op != Op::Matmul || step.format == format))
        .collect()
}
