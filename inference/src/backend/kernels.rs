//! Elements: everything here stores the bits of its definition in [`crate::numeric`], in a form that compilers vectorise.

use super::isa::Isa;
use crate::numeric::canonical;
use crate::numeric::constants::{
    BLOCK_ELEMENTS, CANONICAL_NAN, EXP_C2, EXP_C3, EXP_C4, EXP_C5, EXP_C6, EXP_LN2_LO_NEG,
    EXP_LOG2E, EXP_MIN, EXP_NEG_LN2_HI,
};

/// Adding it to a number of absolute value below 2^22 rounds that to an integer, ties to even.
const ROUNDER: f32 = 12_582_912.0;

/// [`crate::numeric::exp`] without branches.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    let rounded = x * f32::from_bits(EXP_LOG2E) + ROUNDER;
    let n = rounded - ROUNDER;
    let q = (x + n * f32::from_bits(EXP_NEG_LN2_HI)) + n * f32::from_bits(EXP_LN2_LO_NEG);
    let mut p = f32::from_bits(EXP_C6);
    p = p * q + f32::from_bits(EXP_C5);
    p = p * q + f32::from_bits(EXP_C4);
    p = p * q + f32::from_bits(EXP_C3);
    p = p * q + f32::from_bits(EXP_C2);
    p = p * q + 1.0;
    p = p * q + 1.0;
    // The integer n stands in the low bits of `rounded`, and its shift leaves only those.
    let y = f32::from_bits(p.to_bits().wrapping_add(rounded.to_bits() << 23));
    let y = if x < f32::from_bits(EXP_MIN) { 0.0 } else { y };
    if x <= 0.0 {
        y
    } else {
        f32::from_bits(CANONICAL_NAN)
    }
}

/// [`crate::numeric::silu`] without branches.
#[inline(always)]
pub(super) fn silu(x: f32) -> f32 {
    let e = exp(-x.abs());
    let numerator = x * if x.is_sign_negative() { e } else { 1.0 };
    canonical(numerator / (1.0 + e))
}

/// [`crate::numeric::mass`] of every logit.
pub(crate) fn masses(logits: &[f32], best: f32, temperature_milli: u32, out: &mut Vec<u32>) {
    let temperature = temperature_milli as f32 / 1000.0;
    out.clear();
    out.resize(logits.len(), 0);
    Isa::best().each(
        #[inline(always)]
        || {
            for (logit, out) in logits.iter().zip(out) {
                // At most 2^30; NaN becomes 0.
                *out = (exp((logit - best) / temperature) * 1_073_741_824.0) as i32 as u32;
            }
        },
    );
}

/// [`crate::numeric::quantise_block`] without branches inside the block.
#[inline(always)]
pub(super) fn quantise_block(x: &[f32; BLOCK_ELEMENTS], quants: &mut [i8; BLOCK_ELEMENTS]) -> f32 {
    let largest = x
        .iter()
        .fold(0, |largest: u32, x| largest.max(x.to_bits() & 0x7fff_ffff));
    if !(0x0400_0000..0x7f80_0000).contains(&largest) {
        *quants = [0; BLOCK_ELEMENTS];
        return if largest < 0x0400_0000 {
            0.0
        } else {
            f32::from_bits(CANONICAL_NAN)
        };
    }
    let d = f32::from_bits(largest) / 127.0;
    let i = 1.0 / d;
    for (q, x) in quants.iter_mut().zip(x) {
        // The integer stands in the low bits, in two's complement.
        *q = (x * i + ROUNDER).to_bits() as i8;
    }
    d
}

#[cfg(test)]
mod tests;
