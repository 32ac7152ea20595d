//! Spans: adjacent leaves of a row, opened with one path, and the elements that they hold.
//!
//! The path has, from the leaves upwards, the left sibling of the span's first node where that has an odd index, then the right sibling of its
//! last node where that has an even one. The path of a span of one leaf is that leaf's path.

use std::ops::Range;

use alloy_primitives::{B256, Bytes};

use super::range::{range_path, range_root};
use crate::dispute::abi::{Leaf, Row};
use crate::dispute::source::TraceSource;
use crate::{Digest, Error};

/// A refusal to judge: the witness can't be read. Solidity reverts with `BadWitness` of the same text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("bad witness: {0}")]
pub struct Refused(pub &'static str);

/// Opens `count` leaves of a row from `first` on.
///
/// # Errors
/// As [`TraceSource::leaf`]; no leaves.
pub fn open(source: &mut dyn TraceSource, row: u32, first: u32, count: u32) -> Result<Leaf, Error> {
    let last = count
        .checked_sub(1)
        .and_then(|more| first.checked_add(more))
        .ok_or(Error::IndexOutOfRange {
            what: "leaves of a span",
            found: count.into(),
            expected: u64::from(u32::MAX - first) + 1,
        })?;
    let mut data = Vec::new();
    for leaf in first..=last {
        data.extend(source.leaf(row, leaf)?);
    }
    let left = source.leaf_path(row, first)?;
    let right = source.leaf_path(row, last)?;
    let path = range_path(first.into(), last.into(), [&left, &right]);
    Ok(Leaf {
        data: data.into(),
        path: path.iter().map(|digest| digest.0.into()).collect(),
    })
}

/// The height of the node over leaves `first..first + count` that is a sibling on the path of leaf `other`; none if there is none.
#[must_use]
pub fn height_beside(first: u32, count: u32, other: u32) -> Option<u32> {
    let height = (first ^ other).checked_ilog2()?;
    let last = first.checked_add(count.checked_sub(1)?)?;
    (first >> height == last >> height).then_some(height)
}

/// Opens `count` leaves of a row from `first` on beside leaf `other`, which is opened as well: where a sibling on the other's path is over all of
/// them, the path ends there.
///
/// # Errors
/// As [`open`].
pub fn open_beside(
    source: &mut dyn TraceSource,
    row: u32,
    first: u32,
    count: u32,
    other: u32,
) -> Result<Leaf, Error> {
    let mut opened = open(source, row, first, count)?;
    if let Some(height) = height_beside(first, count, other) {
        let height = height as usize;
        let left = source.leaf_path(row, first)?;
        let right = source.leaf_path(row, first + count - 1)?;
        let [left, right] = [&left, &right].map(|path| &path[..height.min(path.len())]);
        let last = first + count - 1;
        let path = range_path(first.into(), last.into(), [left, right]);
        opened.path = path.iter().map(|digest| digest.0.into()).collect();
    }
    Ok(opened)
}

/// Opens the root of a row.
///
/// # Errors
/// As [`TraceSource::row`].
pub fn open_row(source: &mut dyn TraceSource, row: u32) -> Result<Row, Error> {
    let (root, path) = source.row(row)?;
    Ok(Row {
        root: root.0.into(),
        path: path.iter().map(|digest| digest.0.into()).collect(),
    })
}

/// A row that a witness leaves out.
#[must_use]
pub fn no_row() -> Row {
    Row {
        root: B256::ZERO,
        path: Vec::new(),
    }
}

/// A leaf that a witness leaves out.
#[must_use]
pub fn no_leaf() -> Leaf {
    Leaf {
        data: Bytes::new(),
        path: Vec::new(),
    }
}

/// Checks a span of `count` leaves of `leaf_bytes` at `first` of the tree of `depth` levels under `root`.
///
/// # Errors
/// [`Refused`].
pub fn check(
    opened: &Leaf,
    root: B256,
    first: u64,
    count: usize,
    depth: u32,
    leaf_bytes: usize,
) -> Result<(), Refused> {
    if count == 0 || opened.data.len() != count * leaf_bytes {
        return Err(Refused("span length"));
    }
    let leaves: Vec<Digest> = opened.data.chunks(leaf_bytes).map(Digest::of).collect();
    let path: Vec<Digest> = opened.path.iter().map(|digest| Digest(digest.0)).collect();
    if range_root(first, &leaves, depth, &path).is_none_or(|found| found.0 != root.0) {
        return Err(Refused("span path"));
    }
    Ok(())
}

/// Checks a row's root and gives it.
///
/// # Errors
/// [`Refused`].
pub fn check_row(opened: &Row, trace_root: B256, row: u32, rows: u32) -> Result<B256, Refused> {
    if row >= rows {
        return Err(Refused("row"));
    }
    climb(
        opened.root,
        row.into(),
        crate::merkle::depth(rows.into()),
        &opened.path,
    )
    .filter(|root| *root == trace_root)
    .ok_or(Refused("row path"))?;
    Ok(opened.root)
}

/// Where a path of exactly `depth` digests leads from an index that is in the tree.
#[must_use]
pub fn climb(digest: B256, index: u64, depth: u32, path: &[B256]) -> Option<B256> {
    if path.len() != depth as usize || index.checked_shr(depth).unwrap_or(0) != 0 {
        return None;
    }
    let path: Vec<Digest> = path.iter().map(|digest| Digest(digest.0)).collect();
    Some(
        crate::merkle::root_of(Digest(digest.0), index, &path)
            .0
            .into(),
    )
}

/// The binary32 at element `i` of little-endian `data`.
#[must_use]
pub fn f32_le(data: &[u8], i: usize) -> Option<f32> {
    let bytes = data.get(4 * i..4 * i + 4)?;
    Some(f32::from_le_bytes(bytes.try_into().ok()?))
}

/// The binary16 at element `i` of little-endian `data`.
#[must_use]
pub fn f16_le(data: &[u8], i: usize) -> Option<u16> {
    let bytes = data.get(2 * i..2 * i + 2)?;
    Some(u16::from_le_bytes(bytes.try_into().ok()?))
}

/// Elements `range` of a value whose leaves of `each` elements start at `first_leaf` of a row, read with `read` from the bytes.
///
/// # Errors
/// As [`TraceSource::leaf`]; a leaf that is too short.
pub fn elements<T>(
    source: &mut dyn TraceSource,
    row: u32,
    first_leaf: u32,
    each: u32,
    range: Range<u32>,
    read: impl Fn(&[u8], usize) -> Option<T>,
) -> Result<Vec<T>, Error> {
    let mut out = Vec::with_capacity(range.len());
    let mut at = range.start;
    while at < range.end {
        let data = source.leaf(row, first_leaf + at / each)?;
        let end = range.end.min((at / each + 1) * each);
        for element in at..end {
            let value = read(&data, (element % each) as usize).ok_or(Error::IndexOutOfRange {
                what: "elements of a leaf",
                found: (element % each).into(),
                expected: data.len() as u64,
            })?;
            out.push(value);
        }
        at = end;
    }
    Ok(out)
}
