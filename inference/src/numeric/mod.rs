//! The exact arithmetic, one function each: the definition every backend is compared with (`prover/SPEC.md` sections 1, 3 and 4).
//!
//! Rust never fuses or reassociates float operations, so plain `+ - * /` on `f32` are the machine's operations as long as the thread
//! rounds to nearest and keeps subnormals; [`crate::backend::FloatMode`] makes sure of that.

pub mod constants;

mod draw;
mod float;
mod half;
mod quant;
mod rope;
mod sum;

pub use draw::{draw, mass};
pub use float::{canonical, exp, inverse_root, key, selection_key, silu, softmax_key};
pub use half::{f16_to_f32, f32_to_f16};
pub use quant::{block_dot, block_value, clamp_weight, nibbles, quantise_block};
pub use rope::{rope_pair, rope_table};
pub use sum::tile_sum;
