//! Digests and parts of posted contents (`prover/SPEC.md` section 10.2): a head, then parts of one size under a tree, so that a proof carries only what it reads.

use alloy_primitives::B256;

use super::abi::Leaf;
use super::faults::span::Refused;
use super::position::{NodeKind, Position};
use crate::constants::{
    COMPONENT_COUNT, PART_GROUPS, PART_PLACES, PART_SUMS, RUN_ADDENDS, TILE_ELEMENTS,
};
use crate::merkle::{self, Tree};
use crate::{Digest, Error};

/// Where contents are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// Bytes of the head.
    pub head: usize,
    /// Bytes of a part; the last may have less.
    pub each: usize,
}

impl Parts {
    /// Of totals: no head, parts of 16 totals.
    pub const TOTALS: Parts = Parts {
        head: 0,
        each: 4 * PART_SUMS,
    };
    /// Of a selection: best, t1 and t2, then parts of 4 groups.
    pub const SELECTION: Parts = Parts {
        head: 12,
        each: 6 * COMPONENT_COUNT * PART_GROUPS,
    };
    /// Of a prompt: no head, parts of 16 places.
    pub const PROMPT: Parts = Parts {
        head: 0,
        each: 8 * PART_PLACES,
    };
    /// Of a group: no head, parts of 16 sums.
    pub const GROUP: Parts = Parts {
        head: 0,
        each: 6 * PART_SUMS,
    };

    /// Of a tile: the running sums, then runs of 32 addends of so many bytes.
    #[must_use]
    pub fn tile(addends: usize, addend_bytes: usize) -> Parts {
        Parts {
            head: 4 * addends.div_ceil(RUN_ADDENDS),
            each: addend_bytes * RUN_ADDENDS,
        }
    }

    /// Of the contents of a node, which have `length` bytes; none for kinds that are hashed whole.
    #[must_use]
    pub fn of(position: &Position, length: usize) -> Option<Parts> {
        match position.kind {
            NodeKind::Totals => Some(Parts::TOTALS),
            NodeKind::Selection => Some(Parts::SELECTION),
            NodeKind::Group => Some(Parts::GROUP),
            NodeKind::Prompt => Some(Parts::PROMPT),
            NodeKind::Tile => {
                let start = u64::from(position.c) * TILE_ELEMENTS as u64;
                let addends = position
                    .index
                    .saturating_add(1)
                    .saturating_sub(start)
                    .clamp(1, TILE_ELEMENTS as u64) as usize;
                let head = Parts::tile(addends, 0).head;
                let addend_bytes = length.saturating_sub(head) / addends;
                Some(Parts::tile(addends, addend_bytes.max(1)))
            }
            _ => None,
        }
    }

    /// The contents' digest.
    #[must_use]
    pub fn digest(&self, contents: &[u8]) -> Digest {
        Digest::of(&self.head_and_root(contents))
    }

    /// The head and the root of the tree over the parts: what is hashed, and all that a proof carries which reads the head only.
    #[must_use]
    pub fn head_and_root(&self, contents: &[u8]) -> Vec<u8> {
        let (head, rest) = contents.split_at(self.head.min(contents.len()));
        [head, &self.tree(rest).root().0].concat()
    }

    /// The head with part `index`, and the part's path.
    ///
    /// # Errors
    /// There is no such part.
    pub fn open(&self, contents: &[u8], index: usize) -> Result<Leaf, Error> {
        let (head, rest) = contents.split_at(self.head.min(contents.len()));
        let part = rest.chunks(self.each).nth(index);
        let part = part.ok_or(Error::IndexOutOfRange {
            what: "parts of contents",
            found: index as u64,
            expected: rest.len().div_ceil(self.each) as u64,
        })?;
        let path = self.tree(rest).path(index as u64)?;
        Ok(Leaf {
            data: [head, part].concat().into(),
            path: path.iter().map(|digest| digest.0.into()).collect(),
        })
    }

    /// Checks a head and root.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn check_head(&self, opened: &[u8], value: B256) -> Result<(), Refused> {
        if opened.len() != self.head + 32 {
            return Err(Refused("contents length"));
        }
        (Digest::of(opened).0 == value.0)
            .then_some(())
            .ok_or(Refused("contents"))
    }

    /// Checks a part of contents of `length` bytes, with their head.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn check(
        &self,
        opened: &Leaf,
        value: B256,
        length: usize,
        index: usize,
    ) -> Result<(), Refused> {
        self.check_part((&opened.data, &opened.path), value, length, index)
    }

    /// As [`Parts::check`], of the data and the path.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn check_part(
        &self,
        (data, path): (&[u8], &[B256]),
        value: B256,
        length: usize,
        index: usize,
    ) -> Result<(), Refused> {
        let size = length.saturating_sub(self.head);
        let left = size.saturating_sub(index.saturating_mul(self.each));
        if left == 0 {
            return Err(Refused("part"));
        }
        if data.len() != self.head + left.min(self.each) {
            return Err(Refused("contents length"));
        }
        if path.len() != merkle::depth(size.div_ceil(self.each) as u64) as usize {
            return Err(Refused("contents path"));
        }
        let (head, part) = data.split_at(self.head);
        let path: Vec<Digest> = path.iter().map(|digest| Digest(digest.0)).collect();
        let root = merkle::root_of(Digest::of(part), index as u64, &path);
        self.check_head(&[head, &root.0].concat(), value)
    }

    fn tree(&self, rest: &[u8]) -> Tree {
        Tree::new(rest.chunks(self.each).map(Digest::of).collect())
    }
}

/// The digest of the contents of a node of posted contents: its value from its reveal on.
#[must_use]
pub fn digest(position: &Position, contents: &[u8]) -> Digest {
    match Parts::of(position, contents.len()) {
        Some(parts) => parts.digest(contents),
        None => Digest::of(contents),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(kind: NodeKind, index: u64, c: u32) -> Position {
        Position {
            c,
            ..Position::tree(kind, 3, 1, 0, index)
        }
    }

    #[test]
    fn every_part_leads_to_the_digest() {
        let lengths = |parts: Parts| (1..9).map(move |n| parts.head + n * parts.each - n);
        for (kind, parts) in [
            (NodeKind::Totals, Parts::TOTALS),
            (NodeKind::Selection, Parts::SELECTION),
            (NodeKind::Group, Parts::GROUP),
            (NodeKind::Prompt, Parts::PROMPT),
        ] {
            for length in lengths(parts) {
                let contents: Vec<u8> = (0..length).map(|i| (i * 7 + i / 250) as u8).collect();
                let value = digest(&at(kind, 5, 0), &contents).0.into();
                check_all(parts, &contents, value);
            }
        }
        for (row, tile, addends) in [
            (0, 0, 1),
            (31, 0, 32),
            (32, 0, 33),
            (700, 1, 256),
            (700, 2, 189),
        ] {
            for width in [4, 6] {
                let parts = Parts::tile(addends, width);
                let length = parts.head + addends * width;
                let contents: Vec<u8> = (0..length).map(|i| (i * 5 + i / 250) as u8).collect();
                let position = at(NodeKind::Tile, row, tile);
                assert_eq!(Parts::of(&position, length), Some(parts));
                check_all(parts, &contents, digest(&position, &contents).0.into());
            }
        }
        let whole = digest(&at(NodeKind::Starts, 5, 0), b"contents");
        assert_eq!(whole, Digest::of(b"contents"));
    }

    fn check_all(parts: Parts, contents: &[u8], value: B256) {
        let length = contents.len();
        let count = (length - parts.head).div_ceil(parts.each);
        parts
            .check_head(&parts.head_and_root(contents), value)
            .unwrap();
        for index in 0..count {
            let opened = parts.open(contents, index).unwrap();
            parts.check(&opened, value, length, index).unwrap();
            for other in 0..count + 1 {
                let found = parts.check(&opened, value, length, other);
                assert_eq!(found.is_ok(), other == index);
            }
            for at in 0..opened.data.len() {
                let mut data = opened.data.to_vec();
                data[at] ^= 1;
                let bent = Leaf {
                    data: data.into(),
                    path: opened.path.clone(),
                };
                assert!(parts.check(&bent, value, length, index).is_err());
            }
        }
        assert!(parts.open(contents, count).is_err());
    }
}
