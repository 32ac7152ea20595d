//! Openings of a model's weights.

use std::sync::Arc;

use sworn_inference::format::packed::Model;

use crate::constants::TILE_ELEMENTS;
use crate::dispute::source::WeightSource;
use crate::weights::WeightsTree;
use crate::{Digest, Error};

/// A model's packed weights with the tree over them.
#[derive(Debug, Clone)]
pub struct ModelWeights {
    model: Arc<Model>,
    tree: Arc<WeightsTree>,
}

impl ModelWeights {
    /// The weights of a model; `tree` is the one that its commitment gave.
    #[must_use]
    pub fn new(model: Arc<Model>, tree: Arc<WeightsTree>) -> ModelWeights {
        ModelWeights { model, tree }
    }
}

impl WeightSource for ModelWeights {
    fn leaf(&self, tensor: u32, row: u32, tile: u32) -> Result<Vec<u8>, Error> {
        let out_of_range = |what, found: u32, expected: u64| {
            Err(Error::IndexOutOfRange {
                what,
                found: found.into(),
                expected,
            })
        };
        let tensors = self.model.weight_count();
        if tensor as usize >= tensors {
            return out_of_range("tensor", tensor, tensors as u64);
        }
        let shape = self.model.weight_shape(tensor as usize);
        let tiles = shape.cols.div_ceil(TILE_ELEMENTS as u32);
        if row >= shape.rows {
            return out_of_range("row", row, shape.rows.into());
        }
        if tile >= tiles {
            return out_of_range("tile", tile, tiles.into());
        }
        let mut bytes = Vec::with_capacity(shape.format.leaf_bytes());
        self.model
            .write_leaf(tensor as usize, row, tile, &mut bytes);
        Ok(bytes)
    }

    fn path(&self, tensor: u32, row: u32, tile: u32) -> Result<Vec<Digest>, Error> {
        let write = |tensor: usize, row, tile, out: &mut Vec<u8>| {
            self.model.write_leaf(tensor, row, tile, out);
        };
        self.tree.path(tensor as usize, row, tile, &write)
    }
}
