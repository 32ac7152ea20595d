//! The first fast backend: persistent threads over groups of weight rows, sixteen lanes inside.

use std::ops::Range;

use super::attention::{self, Heads, Outputs};
use super::isa::Isa;
use super::isa::Loop;
use super::kernels::{self, Quantise};
use super::matmul::{
    self, Numbers, PackNumbers, PackQuants, PackedQuants, Part, Q4_0, Q8_0, Q8F, QuantFormat,
    Quants,
};
use super::pool::Pool;
use super::shared::Shared;
use super::{AttentionOut, AttentionRow, Backend, MatmulInput, Quantised};
use crate::format::packed::PackedTensor;
use crate::numeric::constants::BLOCK_ELEMENTS;
use crate::numeric::{canonical, inverse_root, rope_pair};
use crate::program::{AttentionShape, WeightFormat};

/// The usual [`Threaded::small`].
const SMALL: usize = 1 << 16;
/// Parts that each thread gets of a large job, so that a slow thread holds up the others little.
const PARTS_PER_THREAD: usize = 4;

/// The threaded backend.
#[derive(Debug)]
pub struct Threaded {
    pool: Pool,
    isa: Isa,
    /// Bytes to go through below which a job is not worth waking a thread: a few microseconds of work.
    small: usize,
}

impl Threaded {
    /// A backend with `threads` threads (at least one), the caller's among them, and the best instruction set of this processor.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn new(threads: usize) -> std::io::Result<Threaded> {
        Threaded::of(threads, Isa::best())
    }

    /// Names of the instruction sets that this processor has, the plainest first.
    pub fn instruction_sets() -> Vec<&'static str> {
        Isa::all().into_iter().map(Isa::name).collect()
    }

    /// A backend with the instruction set of that name, or with the best one where this processor lacks that.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn with_instructions(threads: usize, name: &str) -> std::io::Result<Threaded> {
        let named = Isa::all().into_iter().find(|isa| isa.name() == name);
        Threaded::of(threads, named.unwrap_or_else(Isa::best))
    }

    fn of(threads: usize, isa: Isa) -> std::io::Result<Threaded> {
        Ok(Threaded {
            pool: Pool::new(threads)?,
            isa,
            small: SMALL,
        })
    }

    /// The same with every instruction set that this processor has, and with threads for every job.
    #[cfg(test)]
    pub(super) fn all(threads: usize) -> std::io::Result<Vec<Threaded>> {
        let backend = |isa| {
            Ok(Threaded {
                pool: Pool::new(threads)?,
                isa,
                small: 0,
            })
        };
        Isa::all().into_iter().map(backend).collect()
    }

    /// Splits `0..n`, in multiples of `unit`, into parts for the threads; `cost` is about the bytes that all go through.
    fn split(&self, n: usize, unit: usize, cost: usize, f: impl Fn(Range<usize>) + Sync) {
        let units = n.div_ceil(unit);
        if cost < self.small || self.pool.threads() == 1 {
            return f(0..n);
        }
        let parts = units.min(self.pool.threads() * PARTS_PER_THREAD);
        self.pool.run(parts, &|part| {
            f(units * part / parts * unit..n.min(units * (part + 1) / parts * unit))
        });
    }

    /// Every element of `out` from the elements of `x` and `y` at the same place.
    fn each(&self, x: &[f32], y: &[f32], out: &mut [f32], f: impl Fn(f32, f32) -> f32 + Sync) {
        let (n, out) = (out.len(), Shared::new(out));
        self.split(n, 64, n * 4, |range| {
            // SAFETY: parts are disjoint.
            let out = unsafe { out.part(range.clone()) };
            let (x, y) = (&x[range.clone()], &y[range]);
            self.isa.each(
                #[inline(always)]
                || {
                    for ((out, x), y) in out.iter_mut().zip(x).zip(y) {
                        *out = f(*x, *y);
                    }
                },
            );
        });
    }

    /// Every row of `out`, of `width` elements, from the row of `x` at the same place.
    fn each_row(
        &self,
        x: &[f32],
        width: usize,
        out: &mut [f32],
        f: impl Fn(usize, &[f32], &mut [f32]) + Sync,
    ) {
        let out = Shared::new(out);
        self.split(x.len() / width.max(1), 1, x.len() * 4, |range| {
            self.isa.each(
                #[inline(always)]
                || {
                    for t in range {
                        let row = t * width..(t + 1) * width;
                        // SAFETY: parts have their own rows.
                        let out = unsafe { out.part(row.clone()) };
                        f(t, &x[row], out);
                    }
                },
            );
        });
    }

    /// Runs a kernel over all groups of weights.
    fn groups<'a, X: Copy + Sync>(
        &self,
        weights: PackedTensor<'a>,
        rows: usize,
        x: X,
        out: &'a mut [f32],
    ) where
        Part<'a, X>: Loop<Output = ()>,
    {
        let cost = weights.layout().bytes() * rows.div_ceil(matmul::ROWS);
        let out = Shared::new(out);
        // Pairs of groups share what they load of the activations.
        let unit = if rows > 1 { 2 } else { 1 };
        self.split(weights.layout().groups(), unit, cost, |groups| {
            self.isa.run(Part {
                weights,
                groups,
                rows,
                x,
                out,
            });
        });
    }

    fn quantised_matmul<F: QuantFormat>(
        &self,
        weights: PackedTensor<'_>,
        x: Quantised<'_>,
        out: &mut [f32],
    ) {
        let cols = weights.shape().cols as usize;
        let (rows, blocks) = (x.quants.len() / cols, cols / BLOCK_ELEMENTS);
        let mut packed = PackedQuants::default();
        packed.resize(rows, cols);
        let (quads, scales, starts) = (
            Shared::new(&mut packed.quads),
            Shared::new(&mut packed.scales),
            Shared::new(&mut packed.starts),
        );
        self.split(rows, matmul::ROWS, rows * cols, |range| {
            let of = |width: usize| range.start * width..range.end * width;
            // SAFETY: each part has its own rows.
            let (quads, scales, starts) = unsafe {
                (
                    quads.part(of(cols / 4)),
                    scales.part(of(blocks)),
                    starts.part(of(blocks)),
                )
            };
            self.isa.run(PackQuants {
                rows: range.len(),
                cols,
                offset: F::OFFSET,
                x: (&x.scales[of(blocks)], &x.quants[of(cols)]),
                quads,
                scales,
                starts,
            });
        });
        let x = Quants::<F>::new(&packed, cols);
        self.groups(weights, rows, x, out);
    }

    fn number_matmul<const HALF: bool>(
        &self,
        weights: PackedTensor<'_>,
        x: &[f32],
        out: &mut [f32],
    ) {
        let cols = weights.shape().cols as usize;
        let rows = x.len() / cols;
        let mut packed = vec![0.0; x.len()];
        let numbers = Shared::new(&mut packed);
        self.split(rows, matmul::ROWS, x.len() * 4, |range| {
            let elements = range.start * cols..range.end * cols;
            // SAFETY: each part has its own rows.
            let out = unsafe { numbers.part(elements.clone()) };
            self.isa.run(PackNumbers {
                rows: range.len(),
                cols,
                x: &x[elements],
                out,
            });
        });
        let x = Numbers::<HALF>::new(&packed, cols);
        self.groups(weights, rows, x, out);
    }
}

impl Backend for Threaded {
    fn name(&self) -> String {
        format!(
            "threaded ({}, {} threads)",
            self.isa.name(),
            self.pool.threads()
        )
    }

    fn embed(&self, weights: PackedTensor<'_>, tokens: &[u32], out: &mut [f32]) {
        let dim = weights.shape().cols as usize;
        for (token, out) in tokens.iter().zip(out.chunks_exact_mut(dim)) {
            weights.read_row(*token as usize, out);
            out.iter_mut().for_each(|value| *value = canonical(*value));
        }
    }

    fn norm_stat(&self, x: &[f32], dim: usize, eps: f32, out: &mut [f32]) {
        let (rows, out) = (out.len(), Shared::new(out));
        self.split(rows, kernels::SUMS, x.len() * 4, |range| {
            // SAFETY: each part has its own rows.
            let out = unsafe { out.part(range.clone()) };
            self.isa.each(
                #[inline(always)]
                || {
                    let x = &x[range.start * dim..range.end * dim];
                    kernels::square_sums(x, dim, out);
                    for sum in out {
                        *sum = inverse_root(*sum, dim as u32, eps);
                    }
                },
            );
        });
    }

    fn norm_apply(&self, x: &[f32], r: &[f32], weights: PackedTensor<'_>, out: &mut [f32]) {
        let weights = weights.table_row(0);
        self.each_row(
            x,
            weights.len(),
            out,
            #[inline(always)]
            |t, x, out| {
                let r = r[t];
                for ((x, w), out) in x.iter().zip(weights).zip(out) {
                    *out = canonical((x * r) * f32::from_le_bytes(*w));
                }
            },
        );
    }

    fn quantise(&self, x: &[f32], scales: &mut [f32], quants: &mut [i8]) {
        let (n, scales, quants) = (scales.len(), Shared::new(scales), Shared::new(quants));
        self.split(n, 1, x.len() * 4, |range| {
            let elements = range.start * BLOCK_ELEMENTS..range.end * BLOCK_ELEMENTS;
            let (x, _) = x[elements.clone()].as_chunks::<BLOCK_ELEMENTS>();
            // SAFETY: each part has its own blocks.
            let (scales, quants) = unsafe { (scales.part(range), quants.part(elements)) };
            let (quants, _) = quants.as_chunks_mut::<BLOCK_ELEMENTS>();
            self.isa.run(Quantise { x, scales, quants });
        });
    }

    fn matmul(&self, weights: PackedTensor<'_>, x: MatmulInput<'_>, out: &mut [f32]) {
        match (weights.shape().format, x) {
            (WeightFormat::F32, MatmulInput::F32(x)) => {
                self.number_matmul::<false>(weights, x, out)
            }
            (WeightFormat::F16, MatmulInput::F32(x)) => self.number_matmul::<true>(weights, x, out),
            (WeightFormat::Q8_0, MatmulInput::Quantised(x)) => {
                self.quantised_matmul::<Q8_0>(weights, x, out)
            }
            (WeightFormat::Q4_0, MatmulInput::Quantised(x)) => {
                self.quantised_matmul::<Q4_0>(weights, x, out)
            }
            (WeightFormat::Q8F, MatmulInput::Quantised(x)) => {
                self.quantised_matmul::<Q8F>(weights, x, out)
            }
            (format, _) => {
                unreachable!("a checked program gives {format:?} weights the input that they take")
            }
        }
    }

    fn rope(
        &self,
        x: &[f32],
        head_dim: usize,
        table: PackedTensor<'_>,
        positions: &[u32],
        out: &mut [f32],
    ) {
        let width = x.len() / positions.len().max(1);
        self.each_row(
            x,
            width,
            out,
            #[inline(always)]
            |t, x, out| {
                let (angles, _) = table.table_row(positions[t] as usize).as_chunks::<2>();
                let rotated = angles.len() * 2;
                for (x, out) in x.chunks_exact(head_dim).zip(out.chunks_exact_mut(head_dim)) {
                    let (pairs, _) = x[..rotated].as_chunks::<2>();
                    let (outs, _) = out[..rotated].as_chunks_mut::<2>();
                    for ((x, angle), out) in pairs.iter().zip(angles).zip(outs) {
                        let [c, s] = angle.map(f32::from_le_bytes);
                        let (y0, y1) = rope_pair(x[0], x[1], c, s);
                        *out = [canonical(y0), canonical(y1)];
                    }
                    out[rotated..].copy_from_slice(&x[rotated..]);
                }
            },
        );
    }

    fn to_f16(&self, x: &[f32], out: &mut [u16]) {
        let (n, out) = (out.len(), Shared::new(out));
        self.split(n, 64, n * 4, |range| {
            // SAFETY: parts are disjoint.
            let out = unsafe { out.part(range.clone()) };
            self.isa.each(
                #[inline(always)]
                || {
                    for (x, out) in x[range].iter().zip(out) {
                        *out = kernels::to_half(*x);
                    }
                },
            );
        });
    }

    fn attention(
        &self,
        shape: &AttentionShape,
        q: &[f32],
        rows: &[AttentionRow<'_>],
        out: AttentionOut<'_>,
    ) {
        let positions: usize = rows.iter().map(|row| row.position as usize + 1).sum();
        let out = Outputs {
            maxima: Shared::new(out.maxima),
            places: Shared::new(out.places),
            sums: Shared::new(out.sums),
            mix: Shared::new(out.mix),
        };
        let bundles = attention::bundles(shape, rows);
        let cost = positions * shape.heads * shape.head_dim * 4;
        self.split(bundles.len(), 1, cost, |range| {
            self.isa.run(Heads {
                shape,
                q,
                rows,
                bundles: &bundles[range],
                out,
            });
        });
    }

    fn add(&self, x: &[f32], y: &[f32], out: &mut [f32]) {
        self.each(
            x,
            y,
            out,
            #[inline(always)]
            |x, y| canonical(x + y),
        );
    }

    fn silu_mul(&self, x: &[f32], y: &[f32], out: &mut [f32]) {
        self.each(
            x,
            y,
            out,
            #[inline(always)]
            |x, y| canonical(kernels::silu(x) * y),
        );
    }
}
