//! A trace with one wrong leaf.

use std::sync::Arc;

use crate::dispute::results::TraceNodes;
use crate::dispute::source::TraceSource;
use crate::dispute::trace::{Trace, TraceLayout};
use crate::{Digest, Error};

/// A trace one leaf of which is another.
#[derive(Debug)]
pub(super) struct TamperedTrace {
    pub(super) inner: Trace,
    pub(super) layout: Arc<TraceLayout>,
    /// (row, leaf, bytes).
    pub(super) tamper: Option<(u32, u32, Vec<u8>)>,
}

impl TraceSource for TamperedTrace {
    fn leaf(&mut self, row: u32, leaf: u32) -> Result<Vec<u8>, Error> {
        match &self.tamper {
            Some((at_row, at_leaf, bytes)) if (*at_row, *at_leaf) == (row, leaf) => {
                Ok(bytes.clone())
            }
            _ => TraceSource::leaf(&mut self.inner, row, leaf),
        }
    }

    fn leaf_path(&mut self, row: u32, leaf: u32) -> Result<Vec<Digest>, Error> {
        let index = self.layout.index(row, leaf);
        (0..self.layout.row_depth())
            .map(|height| self.node(height, (index >> height) ^ 1))
            .collect()
    }

    fn row(&mut self, row: u32) -> Result<(Digest, Vec<Digest>), Error> {
        let (base, depth) = (self.layout.row_depth(), Trace::depth(&self.inner));
        let path = (base..depth)
            .map(|height| self.node(height, (u64::from(row) >> (height - base)) ^ 1))
            .collect::<Result<_, _>>()?;
        Ok((self.node(base, row.into())?, path))
    }
}

impl TraceNodes for TamperedTrace {
    fn rows(&self) -> u32 {
        Trace::rows(&self.inner)
    }

    fn n_prompt(&self) -> u32 {
        Trace::n_prompt(&self.inner)
    }

    fn depth(&self) -> u32 {
        Trace::depth(&self.inner)
    }

    fn node(&mut self, height: u32, index: u64) -> Result<Digest, Error> {
        if let Some((row, leaf, bytes)) = &self.tamper {
            let at = self.layout.index(*row, *leaf);
            if height <= Trace::depth(&self.inner) && at >> height == index {
                let mut digest = Digest::of(bytes);
                for level in 0..height {
                    let sibling = self.inner.node(level, (at >> level) ^ 1)?;
                    digest = if at >> level & 1 == 0 {
                        Digest::of_pair(digest, sibling)
                    } else {
                        Digest::of_pair(sibling, digest)
                    };
                }
                return Ok(digest);
            }
        }
        self.inner.node(height, index)
    }
}
