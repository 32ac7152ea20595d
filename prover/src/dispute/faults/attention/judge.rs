//! The judge of attention's faults in Rust: what `AttentionFaults.sol` says of every witness, for comparison and for trying a proof before it is sent.

use alloy_primitives::B256;
use alloy_sol_types::SolValue;
use sworn_inference::numeric::exp;
use sworn_inference::program::Op;

use super::contents::{Addend, combine, read_addends, read_totals, run_sum, same};
use super::find::beats;
use super::witness::{Addends, Combine, Element, Score, Value, Weight};
use super::{Site, TILE, pair, positions_of, score, tiles};
use crate::constants::{
    FAULT_ADDENDS, FAULT_COMBINE, FAULT_STEP, FAULT_VALUE, FAULT_WEIGHT, PART_SUMS, RUN_ADDENDS,
};
use crate::dispute::abi::{Case, Leaf, Row, Run};
use crate::dispute::faults::span::{self, Refused, f16_le, f32_le};
use crate::dispute::parts::Parts;
use crate::dispute::position::{NodeKind, Position};
use crate::dispute::trace::layout::{Step, TraceLayout};
use crate::{Digest, merkle};

/// Bytes of every leaf that attention reads or writes.
const LEAF_BYTES: usize = 256;

/// Whether the witness shows the fault.
///
/// # Errors
/// [`Refused`] where the contract reverts.
pub fn is_fault(
    layout: &TraceLayout,
    case: &Case,
    fault: u8,
    witness: &[u8],
) -> Result<bool, Refused> {
    let node = position(case.node.position.to_be_bytes())?;
    let trace = Trace::of(layout, case, node)?;
    let judge = Judge {
        case,
        node,
        parent: case.parent.position.to_be_bytes(),
        trace,
    };
    let bad = |_| Refused("encoding");
    match fault {
        FAULT_STEP => judge.element(&Element::abi_decode(witness).map_err(bad)?),
        FAULT_COMBINE => judge.combine(&Combine::abi_decode(witness).map_err(bad)?),
        FAULT_ADDENDS => judge.addends(&Addends::abi_decode(witness).map_err(bad)?),
        FAULT_WEIGHT => judge.weight(&Weight::abi_decode(witness).map_err(bad)?),
        FAULT_VALUE => judge.value(&Value::abi_decode(witness).map_err(bad)?),
        _ => Err(Refused("fault")),
    }
}

/// The position of a word.
pub(crate) fn position(word: [u8; 32]) -> Result<Position, Refused> {
    Position::from_word(&word).ok_or(Refused("position"))
}

/// The last of a tile's running sums.
fn last_sum(head: &[u8]) -> Result<f32, Refused> {
    let sums = read_totals(head).ok_or(Refused("contents length"))?;
    sums.last().copied().ok_or(Refused("contents length"))
}

/// Checks that `leaf` is at `index` of the tree that the node is of.
pub(crate) fn check_in_node(
    leaf: &Leaf,
    node: Position,
    value: B256,
    index: u64,
) -> Result<(), Refused> {
    let height = u32::from(node.height);
    if index.checked_shr(height).unwrap_or(0) != node.index {
        return Err(Refused("leaf outside the node"));
    }
    let path: Vec<Digest> = leaf.path.iter().map(|digest| Digest(digest.0)).collect();
    let root = merkle::root_of(Digest::of(&leaf.data), index, &path);
    if path.len() != height as usize || root.0 != value.0 {
        return Err(Refused("node path"));
    }
    Ok(())
}

/// A run's trace.
pub(crate) struct Trace<'a> {
    pub(crate) layout: &'a TraceLayout,
    pub(crate) run: &'a Run,
    root: B256,
    rows: u32,
}

impl<'a> Trace<'a> {
    pub(crate) fn of(
        layout: &'a TraceLayout,
        case: &'a Case,
        node: Position,
    ) -> Result<Trace<'a>, Refused> {
        let at = usize::from(node.run);
        let (Some(run), Some(root)) = (case.job.runs.get(at), case.job.traceRoots.get(at)) else {
            return Err(Refused("run"));
        };
        if run.nTokens <= run.nPrompt {
            return Err(Refused("no trace"));
        }
        Ok(Trace {
            layout,
            run,
            root: *root,
            rows: run.nTokens - 1,
        })
    }

    pub(crate) fn row(&self, opened: &Row, row: u32) -> Result<B256, Refused> {
        span::check_row(opened, self.root, row, self.rows)
    }

    /// The bytes of the leaves of a step that hold elements from `start` on, and the place of `start` in them.
    pub(crate) fn span<'b>(
        &self,
        opened: &'b Leaf,
        root: B256,
        step: &Step,
        start: u32,
        count: u32,
    ) -> Result<(&'b [u8], usize), Refused> {
        let each = step.kind.elements();
        let (first, last) = (start / each, (start + count - 1) / each);
        let leaves = (last - first + 1) as usize;
        let index = u64::from(step.first_leaf + first);
        span::check(
            opened,
            root,
            index,
            leaves,
            self.layout.row_depth(),
            LEAF_BYTES,
        )?;
        Ok((&opened.data, (start % each) as usize))
    }

    /// As [`Trace::span`], beside a leaf of the same row whose path is checked.
    pub(crate) fn span_beside<'b>(
        &self,
        opened: &'b Leaf,
        root: B256,
        step: &Step,
        (start, count): (u32, u32),
        (other, other_leaf): (&Leaf, u32),
    ) -> Result<(&'b [u8], usize), Refused> {
        let each = step.kind.elements();
        let (first, last) = (start / each, (start + count - 1) / each);
        let leaves = last - first + 1;
        let first = step.first_leaf + first;
        let Some(height) = span::height_beside(first, leaves, other_leaf) else {
            return self.span(opened, root, step, start, count);
        };
        let root = other.path.get(height as usize).copied();
        span::check(
            opened,
            root.ok_or(Refused("span path"))?,
            u64::from(first) & ((1 << height) - 1),
            leaves as usize,
            height,
            LEAF_BYTES,
        )?;
        Ok((&opened.data, (start % each) as usize))
    }
}

struct Judge<'a> {
    case: &'a Case,
    node: Position,
    parent: [u8; 32],
    trace: Trace<'a>,
}

impl Judge<'_> {
    fn site(&self, step: u32) -> Result<Site, Refused> {
        Site::of(self.trace.layout, step).map_err(|_| Refused("step"))
    }

    /// The site of a node of posted contents.
    fn posted(&self) -> Result<Site, Refused> {
        let site = self.site(self.node.a)?;
        if site.step.op == Op::AttnMax {
            return Err(Refused("step"));
        }
        if self.node.index >= u64::from(self.trace.rows) {
            return Err(Refused("row"));
        }
        if self.node.b >= site.step.elements {
            return Err(Refused("element"));
        }
        Ok(site)
    }

    /// The site, row, positions and parts of a tile.
    fn tile(&self) -> Result<(Site, u32, usize, Parts), Refused> {
        if self.node.kind != NodeKind::Tile {
            return Err(Refused("node"));
        }
        let site = self.posted()?;
        let row = self.node.index as u32;
        let positions = positions_of(row, self.node.c);
        if positions.is_empty() {
            return Err(Refused("tile"));
        }
        let parts = site.tile_parts(row, self.node.c);
        Ok((site, row, positions.len(), parts))
    }

    /// The running sums and the addends of a run of a tile.
    fn run(&self, opened: &Leaf, run: usize) -> Result<(Vec<f32>, Vec<Addend>), Refused> {
        let (site, _, count, parts) = self.tile()?;
        let width = site.addend_bytes();
        let length = parts.head + count * width;
        parts.check(opened, self.case.node.value, length, run)?;
        let (head, addends) = opened.data.split_at(parts.head);
        match (read_totals(head), read_addends(addends, width)) {
            (Some(sums), Some(addends)) => Ok((sums, addends)),
            _ => Err(Refused("contents length")),
        }
    }

    /// An addend of a tile.
    fn addend(&self, opened: &Leaf, index: u32) -> Result<Addend, Refused> {
        let (_, addends) = self.run(opened, index as usize / RUN_ADDENDS)?;
        let addend = addends.get(index as usize % RUN_ADDENDS).copied();
        addend.ok_or(Refused("index"))
    }

    fn totals(&self, contents: &[u8], row: u32, value: B256) -> Result<Vec<f32>, Refused> {
        if contents.len() != 4 * tiles(row) as usize {
            return Err(Refused("contents length"));
        }
        if Parts::TOTALS.digest(contents).0 != value.0 {
            return Err(Refused("contents"));
        }
        read_totals(contents).ok_or(Refused("contents length"))
    }

    fn score(
        &self,
        site: &Site,
        w: &Score,
        row: u32,
        head: u32,
        at: u32,
        beside: Option<(&Leaf, u32)>,
    ) -> Result<f32, Refused> {
        let root = self.trace.row(&w.row, row)?;
        let key_root = if at == row {
            root
        } else {
            self.trace.row(&w.keyRow, at)?
        };
        let dim = site.head_dim();
        let range = (head * dim, dim);
        let (query, q) = match beside {
            Some(other) => {
                let step = &site.query;
                self.trace.span_beside(&w.query, root, step, range, other)?
            }
            None => self
                .trace
                .span(&w.query, root, &site.query, head * dim, dim)?,
        };
        let (keys, k) =
            self.trace
                .span(&w.keys, key_root, &site.keys, site.key_start(head), dim)?;
        let query: Option<Vec<f32>> = (q..q + dim as usize).map(|i| f32_le(query, i)).collect();
        let keys: Option<Vec<u16>> = (k..k + dim as usize).map(|i| f16_le(keys, i)).collect();
        match (query, keys) {
            (Some(query), Some(keys)) => Ok(score(&query, &keys, site.scale())),
            _ => Err(Refused("span length")),
        }
    }

    fn element(&self, w: &Element) -> Result<bool, Refused> {
        if self.node.kind != NodeKind::Trace {
            return Err(Refused("node"));
        }
        let site = self.site(w.step)?;
        if w.row >= self.trace.rows {
            return Err(Refused("row"));
        }
        let each = site.step.kind.elements();
        if w.element / each >= site.step.leaf_count {
            return Err(Refused("element"));
        }
        let index = self
            .trace
            .layout
            .index(w.row, site.step.first_leaf + w.element / each);
        check_in_node(&w.leaf, self.node, self.case.node.value, index)?;
        if w.leaf.data.len() != LEAF_BYTES {
            return Ok(true);
        }
        let (within, width) = ((w.element % each) as usize, LEAF_BYTES / each as usize);
        if w.element >= site.step.elements {
            return Ok(w.leaf.data[within * width..][..width]
                .iter()
                .any(|byte| *byte != 0));
        }
        if site.step.op != Op::AttnMax {
            return Err(Refused("element"));
        }
        let (max, place) = pair(&w.leaf.data, within).ok_or(Refused("span length"))?;
        if place > w.row {
            return Ok(true);
        }
        if w.position > w.row {
            return Err(Refused("position"));
        }
        let score = self.score(&site, &w.score, w.row, w.element, w.position, None)?;
        Ok(if w.position == place {
            score.to_bits() != max.to_bits()
        } else {
            beats(score, w.position, max, place)
        })
    }

    fn combine(&self, w: &Combine) -> Result<bool, Refused> {
        let site = self.posted()?;
        let row = self.node.index as u32;
        let totals = match self.node.kind {
            NodeKind::Totals => self.totals(&w.contents, row, self.case.node.value)?,
            _ => {
                let (_, _, _, parts) = self.tile()?;
                if tiles(row) != 1 {
                    return Err(Refused("tile"));
                }
                parts.check_head(&w.contents, self.case.node.value)?;
                vec![last_sum(&w.contents[..parts.head])?]
            }
        };
        let parent = position(self.parent)?;
        if parent.kind != NodeKind::Trace || parent.run != self.node.run {
            return Err(Refused("parent"));
        }
        let (leaf, within) = site
            .step
            .leaf_of(self.node.b)
            .map_err(|_| Refused("element"))?;
        let index = self.trace.layout.index(row, leaf);
        check_in_node(&w.element, parent, self.case.parent.value, index)?;
        if w.element.data.len() != LEAF_BYTES {
            return Err(Refused("leaf length"));
        }
        let element = f32_le(&w.element.data, within as usize).ok_or(Refused("leaf length"))?;
        let sum = if site.step.op == Op::AttnMix {
            let root = self.trace.row(&w.row, row)?;
            let head = site.head_of(self.node.b);
            let (data, i) = self.trace.span(&w.sum, root, &site.sums, head, 1)?;
            Some(f32_le(data, i).ok_or(Refused("leaf length"))?)
        } else {
            None
        };
        Ok(combine(&totals, sum).to_bits() != element.to_bits())
    }

    fn addends(&self, w: &Addends) -> Result<bool, Refused> {
        let (_, row, _, parts) = self.tile()?;
        let index = w.index as usize;
        if 4 * index != parts.head {
            let (sums, run) = self.run(&w.contents, index)?;
            let before = match index {
                0 => 0.0,
                _ => sums.get(index - 1).copied().ok_or(Refused("part"))?,
            };
            let claimed = sums.get(index).ok_or(Refused("part"))?;
            return Ok(!same(run_sum(before, &run), *claimed));
        }
        let totals = Position {
            kind: NodeKind::Totals,
            c: 0,
            ..self.node
        };
        if self.parent != totals.to_word() {
            return Err(Refused("parent"));
        }
        parts.check_head(&w.contents.data, self.case.node.value)?;
        let tile = self.node.c as usize;
        let length = 4 * tiles(row) as usize;
        let (value, part) = (self.case.parent.value, tile / PART_SUMS);
        Parts::TOTALS.check(&w.totals, value, length, part)?;
        let totals = read_totals(&w.totals.data).ok_or(Refused("contents length"))?;
        let claimed = totals.get(tile % PART_SUMS).ok_or(Refused("part"))?;
        let last = last_sum(&w.contents.data[..parts.head])?;
        Ok(!same(last, *claimed))
    }

    fn weight(&self, w: &Weight) -> Result<bool, Refused> {
        let (site, row, ..) = self.tile()?;
        let claimed = self.addend(&w.contents, w.index)?;
        let head = site.head_of(self.node.b);
        let at = self.node.c * TILE + w.index;
        let root = self.trace.row(&w.score.row, row)?;
        let (data, i) = self.trace.span(&w.maxima, root, &site.maxima, head, 1)?;
        let (leaf, _) = site.maxima.leaf_of(head).map_err(|_| Refused("leaf"))?;
        let beside = Some((&w.maxima, leaf));
        let score = self.score(&site, &w.score, row, head, at, beside)?;
        let (max, _) = pair(data, i).ok_or(Refused("leaf length"))?;
        Ok(!same(exp(score - max), claimed.weight))
    }

    fn value(&self, w: &Value) -> Result<bool, Refused> {
        let (site, ..) = self.tile()?;
        let claimed = self.addend(&w.contents, w.index)?;
        let values = site.values.ok_or(Refused("step"))?;
        let root = self.trace.row(&w.row, self.node.c * TILE + w.index)?;
        let at = site.value_of(self.node.b);
        let (data, i) = self.trace.span(&w.values, root, &values, at, 1)?;
        Ok(f16_le(data, i) != claimed.value)
    }
}
