//! Faults of a step's element: 64 (step), and for `matmul` and `norm_stat` 65 (combine) and 66 (total) (`prover/SPEC.md` section 10.3).
//!
//! Whoever found that a claimed leaf differs from its own asks [`well_shaped`], then [`first_difference`]. An element that [`is_long_sum`] is
//! opened as `totals`; then either they do not give the element ([`combine`]) or one of them differs from [`recompute_tile`]. All others
//! are proven at once, by [`recompute`]. [`Builder`] makes the witnesses, and for a proposer the totals.

mod builder;
mod needs;
mod recompute;
mod stored;
mod witness;

pub use super::range::{range_path, range_root};
pub use builder::{Builder, leaf_in_node};
pub use needs::{Needs, TraceRange, WeightRange, is_long_sum, needs, tile_needs, weight_shape};
pub use recompute::{Opened, combine, recompute, recompute_tile};
pub use stored::{Place, SCALES, first_difference, stored, well_shaped};
pub use witness::{CombineWitness, SHAPE, StepWitness, TotalWitness};
