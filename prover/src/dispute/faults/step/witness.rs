//! Witnesses, as the Solidity contracts take them.

use alloy_sol_types::sol;

use crate::dispute::abi::{Leaf, Row};

pub use sol_types::*;

/// The lane of a [`StepWitness`] that shows a leaf's shape, not an element.
pub const SHAPE: u32 = u32::MAX;

#[allow(missing_docs)] // the macro's
mod sol_types {
    use super::{Leaf, Row, sol};

    sol! {
        /// Fault 64. `node` is a trace node that holds the claimed leaf.
        #[derive(Debug, PartialEq, Eq)]
        struct StepWitness {
            /// The row of the trace.
            uint32 row;
            /// The step of the row.
            uint32 step;
            /// The leaf, from 0 for the step's first.
            uint32 leaf;
            /// The place in the leaf, or `SHAPE`.
            uint32 lane;
            /// The claimed leaf with its path to the node.
            Leaf claimed;
            /// The row's root; empty where no input is of the trace (`embed`, `SHAPE`).
            Row trace;
            /// Consecutive leaves of the row under one path, for each input. Of `embed`: the leaf of the row's token, to the tokens root.
            Leaf[] inputs;
            /// Consecutive leaves of the weight tensor's row, to the weights root; at most one.
            Leaf[] weights;
        }

        /// Fault 65 of `matmul` and `norm_stat`. `node` is the totals node, `parent` the trace node that holds the element's leaf.
        #[derive(Debug, PartialEq, Eq)]
        struct CombineWitness {
            /// The revealed totals.
            bytes contents;
            /// The claimed leaf with its path to the parent.
            Leaf claimed;
        }

        /// Fault 66. `node` is the totals node.
        #[derive(Debug, PartialEq, Eq)]
        struct TotalWitness {
            /// The tile.
            uint32 tile;
            /// The part of the revealed totals that holds its total.
            Leaf contents;
            /// The row's root.
            Row trace;
            /// The tile's leaves of the input, under one path to the row's root.
            Leaf input;
            /// The tile's leaf of the weights; none for `norm_stat`.
            Leaf[] weights;
        }
    }
}
