//! The judge of attention's faults in Rust: what `AttentionFaults.sol` says of every witness, for comparison and for trying a proof before it is sent.

use alloy_primitives::B256;
use alloy_sol_types::SolValue;
use sworn_inference::numeric::exp;
use sworn_inference::program::Op;

use super::contents::{combine, read_tile, read_totals, same, total_of};
use super::find::beats;
use super::witness::{Addends, Combine, Element, Score, Value, Weight};
use super::{Site, TILE, pair, positions_of, score, tiles};
use crate::constants::{FAULT_ADDENDS, FAULT_COMBINE, FAULT_STEP, FAULT_VALUE, FAULT_WEIGHT};
use crate::dispute::abi::{Case, Leaf, Row, Run};
use crate::dispute::faults::span::{self, Refused, f16_le, f32_le};
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

/// Checks posted contents against their node.
pub(crate) fn check_contents(contents: &[u8], value: B256) -> Result<(), Refused> {
    (Digest::of(contents).0 == value.0)
        .then_some(())
        .ok_or(Refused("contents"))
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

    /// The site, row and positions of a tile, whose contents are checked.
    fn tile(&self, contents: &[u8]) -> Result<(Site, u32, std::ops::Range<u32>), Refused> {
        if self.node.kind != NodeKind::Tile {
            return Err(Refused("node"));
        }
        let site = self.posted()?;
        let row = self.node.index as u32;
        let positions = positions_of(row, self.node.c);
        if positions.is_empty() {
            return Err(Refused("tile"));
        }
        self.contents(contents, positions.len() * site.addend_bytes())?;
        Ok((site, row, positions))
    }

    fn contents(&self, contents: &[u8], length: usize) -> Result<(), Refused> {
        if contents.len() != length {
            return Err(Refused("contents length"));
        }
        check_contents(contents, self.case.node.value)
    }

    fn score(
        &self,
        site: &Site,
        w: &Score,
        row: u32,
        head: u32,
        at: u32,
    ) -> Result<(f32, B256), Refused> {
        let root = self.trace.row(&w.row, row)?;
        let key_root = if at == row {
            root
        } else {
            self.trace.row(&w.keyRow, at)?
        };
        let dim = site.head_dim();
        let (query, q) = self
            .trace
            .span(&w.query, root, &site.query, head * dim, dim)?;
        let (keys, k) =
            self.trace
                .span(&w.keys, key_root, &site.keys, site.key_start(head), dim)?;
        let query: Option<Vec<f32>> = (q..q + dim as usize).map(|i| f32_le(query, i)).collect();
        let keys: Option<Vec<u16>> = (k..k + dim as usize).map(|i| f16_le(keys, i)).collect();
        match (query, keys) {
            (Some(query), Some(keys)) => Ok((score(&query, &keys, site.scale()), root)),
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
        let (score, _) = self.score(&site, &w.score, w.row, w.element, w.position)?;
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
            NodeKind::Totals => {
                self.contents(&w.contents, 4 * tiles(row) as usize)?;
                read_totals(&w.contents).ok_or(Refused("contents length"))?
            }
            _ => {
                self.tile(&w.contents)?;
                if tiles(row) != 1 {
                    return Err(Refused("tile"));
                }
                let addends = read_tile(&w.contents, site.addend_bytes());
                vec![total_of(&addends.ok_or(Refused("contents length"))?)]
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
        let (site, row, _) = self.tile(&w.contents)?;
        let totals = Position {
            kind: NodeKind::Totals,
            c: 0,
            ..self.node
        };
        if self.parent != totals.to_word() {
            return Err(Refused("parent"));
        }
        if w.totals.len() != 4 * tiles(row) as usize {
            return Err(Refused("contents length"));
        }
        check_contents(&w.totals, self.case.parent.value)?;
        let totals = read_totals(&w.totals).ok_or(Refused("contents length"))?;
        let addends = read_tile(&w.contents, site.addend_bytes());
        let total = total_of(&addends.ok_or(Refused("contents length"))?);
        let claimed = totals.get(self.node.c as usize).ok_or(Refused("tile"))?;
        Ok(!same(total, *claimed))
    }

    fn weight(&self, w: &Weight) -> Result<bool, Refused> {
        let (site, row, positions) = self.tile(&w.contents)?;
        if w.index as usize >= positions.len() {
            return Err(Refused("index"));
        }
        let head = site.head_of(self.node.b);
        let at = self.node.c * TILE + w.index;
        let (score, root) = self.score(&site, &w.score, row, head, at)?;
        let (data, i) = self.trace.span(&w.maxima, root, &site.maxima, head, 1)?;
        let (max, _) = pair(data, i).ok_or(Refused("leaf length"))?;
        let addends = read_tile(&w.contents, site.addend_bytes());
        let claimed = addends.and_then(|addends| addends.get(w.index as usize).copied());
        let claimed = claimed.ok_or(Refused("index"))?;
        Ok(!same(exp(score - max), claimed.weight))
    }

    fn value(&self, w: &Value) -> Result<bool, Refused> {
        let (site, _, positions) = self.tile(&w.contents)?;
        if w.index as usize >= positions.len() {
            return Err(Refused("index"));
        }
        let values = site.values.ok_or(Refused("step"))?;
        let root = self.trace.row(&w.row, self.node.c * TILE + w.index)?;
        let at = site.value_of(self.node.b);
        let (data, i) = self.trace.span(&w.values, root, &values, at, 1)?;
        let addends = read_tile(&w.contents, site.addend_bytes());
        let claimed = addends.and_then(|addends| addends.get(w.index as usize).copied());
        Ok(f16_le(data, i) != claimed.ok_or(Refused("index"))?.value)
    }
}
