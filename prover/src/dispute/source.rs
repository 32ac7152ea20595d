//! Where witnesses come from: leaves and paths of a trace and of the weights.

use crate::{Digest, Error};

/// A trace whose leaves can be opened. For a challenger it is its own trace with the siblings that the claim's reveals gave.
pub trait TraceSource {
    /// Bytes of the leaf at `leaf` of row `row` (section 10.1), of full size.
    ///
    /// # Errors
    /// No such leaf, or it can't be made.
    fn leaf(&mut self, row: u32, leaf: u32) -> Result<Vec<u8>, Error>;

    /// The siblings of the leaf from below up to the row's root.
    ///
    /// # Errors
    /// As [`TraceSource::leaf`].
    fn leaf_path(&mut self, row: u32, leaf: u32) -> Result<Vec<Digest>, Error>;

    /// The root of a row and its siblings up to the trace root.
    ///
    /// # Errors
    /// No such row, or a sibling that is not known.
    fn row(&mut self, row: u32) -> Result<(Digest, Vec<Digest>), Error>;
}

/// Weights whose leaves can be opened.
pub trait WeightSource {
    /// Bytes of the leaf of 256 elements.
    ///
    /// # Errors
    /// No such leaf.
    fn leaf(&self, tensor: u32, row: u32, tile: u32) -> Result<Vec<u8>, Error>;

    /// The siblings of the leaf up to the tensor's root, then up to the weights root: one path.
    ///
    /// # Errors
    /// No such leaf.
    fn path(&self, tensor: u32, row: u32, tile: u32) -> Result<Vec<Digest>, Error>;
}
