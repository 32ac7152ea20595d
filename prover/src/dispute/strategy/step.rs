//! A leaf of a trace that is not one's own: which fault it shows, and what has to be opened for it.

use alloy_sol_types::SolValue;

use super::Move;
use super::run::RunDispute;
use super::view::NodeView;
use crate::constants::{FAULT_COMBINE, FAULT_STEP, FAULT_TOTAL, TOKEN_LEAF_ELEMENTS};
use crate::dispute::abi::Leaf;
use crate::dispute::contents::is_attention;
use crate::dispute::faults::attention::find::{Finding, TileParent};
use crate::dispute::faults::attention::{self, witness::Place as AttentionPlace};
use crate::dispute::faults::step::{
    self, Builder, StepWitness, combine, first_difference, is_long_sum, leaf_in_node, stored,
    tile_needs, well_shaped,
};
use crate::dispute::position::{NodeKind, Position};
use crate::dispute::source::TraceSource;
use crate::dispute::trace::Step;
use crate::{Digest, Error};

/// A differing leaf, with the revealed node that it is in.
pub(super) struct BadLeaf<'v> {
    pub(super) node: &'v NodeView,
    pub(super) row: u32,
    /// In the row.
    pub(super) leaf: u32,
    /// With its path to the node.
    pub(super) claimed: Leaf,
}

impl<'v> BadLeaf<'v> {
    pub(super) fn new(
        dispute: &RunDispute<'v>,
        node: &'v NodeView,
        index: u64,
        leaves: &[Vec<u8>],
    ) -> Result<BadLeaf<'v>, Error> {
        let height = u32::from(node.position.height);
        let first = node.position.index << height;
        let claimed = leaf_in_node(leaves, height, (index - first) as usize)?;
        let (row, leaf) = dispute.model.layout.place(index);
        Ok(BadLeaf {
            node,
            row,
            leaf,
            claimed,
        })
    }
}

impl RunDispute<'_> {
    /// What to do about a leaf. All that its step depends on is in `source`.
    pub(super) fn bad_leaf(
        &self,
        bad: &BadLeaf<'_>,
        source: &mut dyn TraceSource,
    ) -> Result<Move, Error> {
        let step = self.model.layout.step_at(bad.leaf)?;
        let k = bad.leaf - step.first_leaf;
        if is_attention(step.op) {
            let site = attention::Site::of(&self.model.layout, step.number)?;
            let finding = site.find_in_leaf(&mut *source, bad.row, k, &bad.claimed)?;
            return self.attention(&site, bad, bad.node.key, finding, source);
        }
        if !well_shaped(&step, k, &bad.claimed.data) {
            let witness = Builder::shape(bad.row, step.number, k, bad.claimed.clone());
            return Ok(prove(bad.node.key, FAULT_STEP, witness));
        }
        let own = source.leaf(bad.row, bad.leaf)?;
        let place = first_difference(&step, k, &own, &bad.claimed.data)
            .ok_or_else(|| nothing("the leaf is the own one"))?;
        if is_long_sum(&step) {
            return self.long_sum(&step, place, bad, source);
        }
        let mut builder =
            Builder::new(&self.model.layout, source, &self.model.weights, self.tokens);
        let mut witness = builder.step(bad.row, &step, place, bad.claimed.clone())?;
        if step.inputs.iter().all(Option::is_none) {
            witness = self.with_claimed_token(bad.row, &witness)?;
        }
        Ok(prove(bad.node.key, FAULT_STEP, witness))
    }

    /// The witness of an `embed` opens the claimed leaf of the row's token: later tokens in it need not be one's own.
    fn with_claimed_token(&self, row: u32, witness: &[u8]) -> Result<Vec<u8>, Error> {
        let mut witness = StepWitness::abi_decode(witness)
            .map_err(|_| nothing("the witness can't be read again"))?;
        let leaf = row / TOKEN_LEAF_ELEMENTS as u32;
        witness.inputs =
            vec![self.claimed_list(NodeKind::Tokens, |tree| tree.open_to_root(leaf.into()))?];
        Ok(witness.abi_encode())
    }

    fn long_sum(
        &self,
        step: &Step,
        place: step::Place,
        bad: &BadLeaf<'_>,
        source: &mut dyn TraceSource,
    ) -> Result<Move, Error> {
        let element = place.element(step)?;
        let totals = match self.posted(
            bad.node.key,
            self.element_position(NodeKind::Totals, bad.row, step.number, element, 0),
        ) {
            Ok(node) => node,
            Err(act) => return Ok(act),
        };
        let contents = totals.posted().unwrap_or_default();
        let found: Vec<u32> = contents
            .chunks_exact(4)
            .map(|word| word.iter().fold(0, |n, byte| n << 8 | u32::from(*byte)))
            .collect();
        let element_bits = stored(step.kind, &bad.claimed.data, place.lane)?;
        if combine(step, &found) != element_bits {
            let witness = Builder::combine(contents, bad.claimed.clone());
            return Ok(prove(totals.key, FAULT_COMBINE, witness));
        }
        let mut builder =
            Builder::new(&self.model.layout, source, &self.model.weights, self.tokens);
        for (tile, found) in (0u32..).zip(found) {
            let needs = tile_needs(&self.model.layout, step, element, tile)?;
            let opened = builder.read(bad.row, &needs)?;
            if step::recompute_tile(step, tile, &opened)? != found {
                let witness = builder.total(bad.row, step, element, tile, contents)?;
                return Ok(prove(totals.key, FAULT_TOTAL, witness));
            }
        }
        Err(nothing("the totals are right and give the element"))
    }

    /// What a finding about attention leads to, in the node `under`.
    fn attention(
        &self,
        site: &attention::Site,
        bad: &BadLeaf<'_>,
        under: Digest,
        finding: Finding,
        source: &mut dyn TraceSource,
    ) -> Result<Move, Error> {
        let at = |kind, element, tile| {
            self.element_position(kind, bad.row, site.step.number, element, tile)
        };
        match finding {
            Finding::Nothing => Err(nothing("attention is right")),
            Finding::Fault { code, witness } => Ok(prove(under, code, witness)),
            Finding::OpenTotals { element } => {
                let node = match self.posted(under, at(NodeKind::Totals, element, 0)) {
                    Ok(node) => node,
                    Err(act) => return Ok(act),
                };
                let contents = node.posted().unwrap_or_default();
                let place = AttentionPlace {
                    row: bad.row,
                    element,
                };
                let finding = site.find_in_totals(&mut *source, place, contents, &bad.claimed)?;
                self.attention(site, bad, node.key, finding, source)
            }
            Finding::OpenTile { element, tile } => {
                let node = match self.posted(under, at(NodeKind::Tile, element, tile)) {
                    Ok(node) => node,
                    Err(act) => return Ok(act),
                };
                let totals = self.view.node(under).and_then(NodeView::posted);
                let parent = totals.map_or(TileParent::Element(&bad.claimed), TileParent::Totals);
                let contents = node.posted().unwrap_or_default();
                let place = AttentionPlace {
                    row: bad.row,
                    element,
                };
                let finding = site.find_in_tile(&mut *source, place, tile, contents, parent)?;
                self.attention(site, bad, node.key, finding, source)
            }
        }
    }

    fn element_position(&self, kind: NodeKind, row: u32, step: u32, b: u32, c: u32) -> Position {
        Position {
            index: row.into(),
            a: step,
            b,
            c,
            ..Position::tree(kind, self.lane, self.run, 0, 0)
        }
    }
}

pub(super) fn prove(node: Digest, fault: u8, witness: Vec<u8>) -> Move {
    Move::Prove {
        node,
        fault,
        witness,
    }
}

pub(super) fn nothing(what: &str) -> Error {
    Error::Unproven {
        reason: format!("a difference shows no fault: {what}"),
    }
}
