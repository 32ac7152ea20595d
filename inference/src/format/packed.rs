//! Imported models: a folder with the program, the packed weights, the tokenizer and the card.

mod layout;
mod weights;

pub use layout::{GROUP_ROWS, Layout, PackedTensor, scale_area, tile_bytes};
pub use weights::{LeafSource, RopeTable, Weights};
