//! Backends: the same operations at different speeds, with the same bits.
//!
//! A backend is a value that is chosen at run time. It gets one call for each operation of a program, over a range of rows (positions), and
//! must store exactly what `prover/SPEC.md` section 3 says; attention's three operations are one call with three outputs. Activations are
//! row-major slices, `[rows, width]`. [`Scalar`] is written straight from the specification and is what all others are compared with.

#[allow(
    clippy::needless_range_loop,
    reason = "loops over registers: an index stands for one of several arrays' lanes"
)]
mod attention;
mod float_mode;
mod isa;
#[allow(
    clippy::needless_range_loop,
    reason = "loops over registers: an index stands for one of several arrays' lanes"
)]
mod kernels;
mod kv;
mod matmul;
#[cfg(target_arch = "aarch64")]
#[allow(
    clippy::needless_range_loop,
    reason = "loops over registers: an index stands for one of several arrays' lanes"
)]
mod neon;
mod pool;
mod scalar;
mod shared;
mod simd;
mod threaded;
#[cfg(target_arch = "x86_64")]
#[allow(
    clippy::needless_range_loop,
    reason = "loops over registers: an index stands for one of several arrays' lanes"
)]
mod x86;

pub use float_mode::FloatMode;
pub(crate) use kernels::{best, masses};
pub use kv::{KvPage, PAGE_POSITIONS};
pub use scalar::Scalar;
pub use threaded::Threaded;

use std::sync::Arc;

use crate::format::packed::PackedTensor;
use crate::program::AttentionShape;

/// Quantised activations, `[rows, width]`.
#[derive(Debug, Clone, Copy)]
pub struct Quantised<'a> {
    /// One scale for every 32 elements.
    pub scales: &'a [f32],
    /// The elements.
    pub quants: &'a [i8],
}

/// The input of a matmul, `[rows, inner]`: quantised for quantised weights, else binary32.
#[derive(Debug, Clone, Copy)]
pub enum MatmulInput<'a> {
    /// For weight formats F32 and F16.
    F32(&'a [f32]),
    /// For weight formats Q8_0, Q4_0 and Q8F.
    Quantised(Quantised<'a>),
}

/// The keys and values that a row attends to: those at positions `0..=position`.
#[derive(Debug, Clone, Copy)]
pub struct AttentionRow<'a> {
    /// Pages in order of position; they hold at least `position + 1` positions.
    pub pages: &'a [Arc<KvPage>],
    /// The row's own position.
    pub position: u32,
}

/// Where attention's three operations store their rows.
#[derive(Debug)]
pub struct AttentionOut<'a> {
    /// attn_max: maxima, `[rows, heads]`.
    pub maxima: &'a mut [f32],
    /// attn_max: their positions, `[rows, heads]`.
    pub places: &'a mut [u32],
    /// attn_sum, `[rows, heads]`.
    pub sums: &'a mut [f32],
    /// attn_mix, `[rows, heads * head_dim]`.
    pub mix: &'a mut [f32],
}

/// The operations of the machine over rows. The number of rows follows from the lengths of the slices, which the caller makes agree.
pub trait Backend: Send + Sync + std::fmt::Debug {
    /// Name for messages and reports.
    fn name(&self) -> String;

    /// Operation 1: row `tokens[t]` of `weights` into row t of `out`, `[rows, d0]`.
    fn embed(&self, weights: PackedTensor<'_>, tokens: &[u32], out: &mut [f32]);

    /// Operation 2: `x` is `[rows, dim]`, `out` `[rows]`.
    fn norm_stat(&self, x: &[f32], dim: usize, eps: f32, out: &mut [f32]);

    /// Operation 3: `x` is `[rows, d0]`, `r` `[rows]`, `weights` the table F32 [1, d0].
    fn norm_apply(&self, x: &[f32], r: &[f32], weights: PackedTensor<'_>, out: &mut [f32]);

    /// Operation 4: every 32 elements of `x` into 32 of `quants` and one of `scales`.
    fn quantise(&self, x: &[f32], scales: &mut [f32], quants: &mut [i8]);

    /// Operation 5: `out` is `[rows, d0]`.
    fn matmul(&self, weights: PackedTensor<'_>, x: MatmulInput<'_>, out: &mut [f32]);

    /// Operation 6: `x` is `[rows, d0]` with heads of `head_dim` elements; `table` the rotations, F32 [context, d2].
    fn rope(
        &self,
        x: &[f32],
        head_dim: usize,
        table: PackedTensor<'_>,
        positions: &[u32],
        out: &mut [f32],
    );

    /// Operation 7.
    fn to_f16(&self, x: &[f32], out: &mut [u16]);

    /// Operations 8, 9 and 10: `q` is `[rows, heads * head_dim]`, `rows` says what each row sees.
    fn attention(
        &self,
        shape: &AttentionShape,
        q: &[f32],
        rows: &[AttentionRow<'_>],
        out: AttentionOut<'_>,
    );

    /// Operation 11.
    fn add(&self, x: &[f32], y: &[f32], out: &mut [f32]);

    /// Operation 12: `silu(x) * y`.
    fn silu_mul(&self, x: &[f32], y: &[f32], out: &mut [f32]);
}

#[cfg(test)]
mod tests;
