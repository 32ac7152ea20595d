//! The leaves of a payload that a witness needs.

use std::collections::BTreeSet;
use std::ops::Range;

use super::abi::{Leaf, Leaves};
use super::book::words;
use super::layout::{HEADER_BYTES, Kind, Layout};
use crate::constants::TEXT_LEAF_BYTES;
use crate::{Error, text};

/// Bytes of a payload that a witness needs.
#[derive(Default)]
pub(super) struct Needed(pub(super) BTreeSet<u32>);

impl Needed {
    pub(super) fn bytes(&mut self, range: Range<usize>) {
        let first = range.start / TEXT_LEAF_BYTES;
        let end = range.end.div_ceil(TEXT_LEAF_BYTES);
        self.0.extend((first..end).map(|leaf| leaf as u32));
    }

    pub(super) fn header(&mut self, header: u32) {
        self.bytes(header as usize..header as usize + HEADER_BYTES);
    }

    /// The headers up to the first segment with a token from `from` on.
    pub(super) fn first(&mut self, layout: &Layout<'_>, from: usize) {
        for segment in layout.segments().iter().skip(from) {
            self.header(segment.header);
            if segment.kind != Kind::Text(0) {
                break;
            }
        }
    }

    pub(super) fn open(self, payload: &[u8]) -> Result<Leaves, Error> {
        let tree = text::tree(payload);
        let mut opened = Leaves::default();
        for index in self.0 {
            let start = index as usize * TEXT_LEAF_BYTES;
            let end = payload.len().min(start + TEXT_LEAF_BYTES);
            let Some(bytes) = payload.get(start..end).filter(|bytes| !bytes.is_empty()) else {
                continue;
            };
            let mut data = bytes.to_vec();
            data.resize(TEXT_LEAF_BYTES, 0);
            opened.indices.push(index);
            opened.leaves.push(Leaf {
                data: data.into(),
                path: words(&tree.path(index.into())?),
            });
        }
        Ok(opened)
    }
}
