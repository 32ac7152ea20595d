//! The judge of a choice's faults in Rust: what `SelectionFaults.sol` says of every witness, for comparison and for trying a proof before it is sent.

use alloy_primitives::B256;
use alloy_sol_types::SolValue;

use super::contents::{Selection, read_sums};
use super::witness::{Argmax, Best, Choice, GroupSum, LeafSum};
use super::{COMPONENTS, LEAF, Rule, Site, TOKENS, beats, component, mass_of};
use crate::constants::{
    FAULT_ARGMAX, FAULT_BEST, FAULT_CHOICE, FAULT_GROUP_SUM, FAULT_LEAF_SUM, PART_GROUPS, PART_SUMS,
};
use crate::dispute::abi::{Case, Leaf, Row};
use crate::dispute::faults::attention::judge::{Trace, check_in_node, position};
use crate::dispute::faults::span::{Refused, climb, f32_le};
use crate::dispute::parts::Parts;
use crate::dispute::position::{NodeKind, Position};
use crate::dispute::trace::layout::TraceLayout;
use crate::params::Params;
use crate::{Digest, merkle};

const TOKEN_LEAF_BYTES: usize = 4 * TOKENS as usize;

/// Whether the witness shows the fault. `params` and `seed` are those of the case's input.
///
/// # Errors
/// [`Refused`] where the contract reverts.
pub fn is_fault(
    layout: &TraceLayout,
    case: &Case,
    params: &Params,
    seed: &[u8; 32],
    fault: u8,
    witness: &[u8],
) -> Result<bool, Refused> {
    let node = position(case.node.position.to_be_bytes())?;
    let judge = Judge {
        layout,
        case,
        params,
        seed,
        node,
        trace: Trace::of(layout, case, node)?,
    };
    let bad = |_| Refused("encoding");
    match fault {
        FAULT_ARGMAX => judge.argmax(&Argmax::abi_decode(witness).map_err(bad)?),
        FAULT_BEST => judge.best(&Best::abi_decode(witness).map_err(bad)?),
        FAULT_CHOICE => judge.choice(&Choice::abi_decode(witness).map_err(bad)?),
        FAULT_GROUP_SUM => judge.group_sum(&GroupSum::abi_decode(witness).map_err(bad)?),
        FAULT_LEAF_SUM => judge.leaf_sum(&LeafSum::abi_decode(witness).map_err(bad)?),
        _ => Err(Refused("fault")),
    }
}

struct Judge<'a> {
    layout: &'a TraceLayout,
    case: &'a Case,
    params: &'a Params,
    seed: &'a [u8; 32],
    node: Position,
    trace: Trace<'a>,
}

impl Judge<'_> {
    /// The site of a place that must be a new token's.
    fn site(&self, place: u64) -> Result<Site, Refused> {
        let run = self.trace.run;
        if place < u64::from(run.nPrompt) || place >= u64::from(run.nTokens) || place == 0 {
            return Err(Refused("place"));
        }
        Site::of(self.layout, place as u32).map_err(|_| Refused("place"))
    }

    fn logit(&self, site: &Site, leaf: &Leaf, root: B256, token: u32) -> Result<f32, Refused> {
        if token >= site.groups.vocabulary {
            return Err(Refused("token"));
        }
        let (data, i) = self.trace.span(leaf, root, &site.logits, token, 1)?;
        f32_le(data, i).ok_or(Refused("span length"))
    }

    fn logit_beside(
        &self,
        site: &Site,
        leaf: &Leaf,
        root: B256,
        token: u32,
        (other, other_token): (&Leaf, u32),
    ) -> Result<f32, Refused> {
        if token >= site.groups.vocabulary {
            return Err(Refused("token"));
        }
        let other = (other, site.logits.first_leaf + other_token / LEAF);
        let step = &site.logits;
        let (data, i) = self
            .trace
            .span_beside(leaf, root, step, (token, 1), other)?;
        f32_le(data, i).ok_or(Refused("span length"))
    }

    fn row(&self, site: &Site, row: &Row) -> Result<B256, Refused> {
        self.trace.row(row, site.row)
    }

    /// The head of a selection.
    fn head(&self, opened: &[u8], value: B256) -> Result<Selection, Refused> {
        Parts::SELECTION.check_head(opened, value)?;
        Selection::read_head(opened).ok_or(Refused("contents length"))
    }

    fn claimed(&self, leaf: &Leaf) -> Result<u32, Refused> {
        let run = self.trace.run;
        let place = self.node.index;
        let depth = merkle::depth(u64::from(run.nTokens.div_ceil(TOKENS)));
        let digest = Digest::of(&leaf.data).0.into();
        climb(digest, place / u64::from(TOKENS), depth, &leaf.path)
            .filter(|root| *root == run.tokensRoot)
            .ok_or(Refused("leaf path"))?;
        token(leaf, place)
    }

    fn argmax(&self, w: &Argmax) -> Result<bool, Refused> {
        if self.node.kind != NodeKind::Tokens {
            return Err(Refused("node"));
        }
        let site = self.site(w.place.into())?;
        let index = u64::from(w.place / TOKENS);
        check_in_node(&w.tokens, self.node, self.case.node.value, index)?;
        let claimed = token(&w.tokens, w.place.into())?;
        let root = self.row(&site, &w.row)?;
        let beater = self.logit(&site, &w.beaterLogits, root, w.beater)?;
        let other = (&w.beaterLogits, w.beater);
        let own = self.logit_beside(&site, &w.claimedLogits, root, claimed, other)?;
        if self.params.temperature_milli != 0 && beater != f32::INFINITY {
            return Ok(false);
        }
        Ok(beats(beater, w.beater, own, claimed))
    }

    fn best(&self, w: &Best) -> Result<bool, Refused> {
        if self.node.kind != NodeKind::Selection {
            return Err(Refused("node"));
        }
        let site = self.site(self.node.index)?;
        let selection = self.head(&w.contents, self.case.node.value)?;
        if selection.best >= site.groups.vocabulary {
            return Ok(true);
        }
        let root = self.row(&site, &w.row)?;
        let beater = self.logit(&site, &w.beaterLogits, root, w.beater)?;
        let other = (&w.beaterLogits, w.beater);
        let best = self.logit_beside(&site, &w.bestLogits, root, selection.best, other)?;
        Ok(beats(beater, w.beater, best, selection.best))
    }

    fn choice(&self, w: &Choice) -> Result<bool, Refused> {
        if self.node.kind != NodeKind::Selection {
            return Err(Refused("node"));
        }
        let site = self.site(self.node.index)?;
        let selection =
            Selection::read(&site.groups, &w.contents).ok_or(Refused("contents length"))?;
        if Parts::SELECTION.digest(&w.contents).0 != self.case.node.value.0 {
            return Err(Refused("contents"));
        }
        self.sampled()?;
        let claimed = self.claimed(&w.tokens)?;
        let root = self.row(&site, &w.row)?;
        let best = self.logit(&site, &w.bestLogits, root, selection.best)?;
        if !best.is_finite() {
            return Ok(claimed != selection.best);
        }
        let other = (&w.bestLogits, selection.best);
        let logit = self.logit_beside(&site, &w.claimedLogits, root, claimed, other)?;
        let rule = Rule {
            params: *self.params,
            seed: *self.seed,
            run: self.node.run,
            place: site.row + 1,
        };
        Ok(!selection.chooses(&rule, mass_of(logit, best, self.params)))
    }

    fn sampled(&self) -> Result<(), Refused> {
        match self.params.temperature_milli {
            0 => Err(Refused("temperature")),
            _ => Ok(()),
        }
    }

    /// The site of a group.
    fn group(&self) -> Result<Site, Refused> {
        if self.node.kind != NodeKind::Group {
            return Err(Refused("node"));
        }
        let parent = Position {
            kind: NodeKind::Selection,
            a: 0,
            b: 0,
            ..self.node
        };
        if self.case.parent.position.to_be_bytes() != parent.to_word() {
            return Err(Refused("parent"));
        }
        let site = self.site(self.node.index)?;
        if self.node.a >= COMPONENTS || self.node.b >= site.groups.groups {
            return Err(Refused("group"));
        }
        Ok(site)
    }

    fn group_sum(&self, w: &GroupSum) -> Result<bool, Refused> {
        let site = self.group()?;
        let sums = read_sums(&w.contents)
            .filter(|sums| sums.len() == site.groups.sums_of(self.node.b) as usize)
            .ok_or(Refused("contents length"))?;
        if Parts::GROUP.digest(&w.contents).0 != self.case.node.value.0 {
            return Err(Refused("contents"));
        }
        let (value, group) = (self.case.parent.value, self.node.b as usize);
        let length = site.groups.selection_bytes();
        Parts::SELECTION.check(&w.selection, value, length, group / PART_GROUPS)?;
        let place = group % PART_GROUPS * COMPONENTS as usize + self.node.a as usize;
        let claimed = read_sums(&w.selection.data[Parts::SELECTION.head..])
            .and_then(|sums| sums.get(place).copied())
            .ok_or(Refused("contents length"))?;
        Ok(sums.iter().sum::<u64>() != claimed)
    }

    fn leaf_sum(&self, w: &LeafSum) -> Result<bool, Refused> {
        let site = self.group()?;
        let selection = self.head(&w.selection, self.case.parent.value)?;
        let tokens = site.groups.summed(self.node.b, w.index);
        if tokens.is_empty() {
            return Err(Refused("index"));
        }
        let (value, index) = (self.case.node.value, w.index as usize);
        let length = 6 * site.groups.sums_of(self.node.b) as usize;
        Parts::GROUP.check(&w.contents, value, length, index / PART_SUMS)?;
        let sum = read_sums(&w.contents.data)
            .and_then(|sums| sums.get(index % PART_SUMS).copied())
            .ok_or(Refused("contents length"))?;
        self.sampled()?;
        let which = self.node.a;
        let claimed = if which == 6 {
            self.claimed(&w.tokens)?
        } else {
            0
        };
        let root = self.row(&site, &w.row)?;
        let best = self.logit(&site, &w.bestLogits, root, selection.best)?;
        let other = (
            &w.bestLogits,
            site.logits.first_leaf + selection.best / LEAF,
        );
        let (step, range) = (&site.logits, (tokens.start, 1));
        let (data, at) = self
            .trace
            .span_beside(&w.logits, root, step, range, other)?;
        let t = selection.thresholds(self.params);
        let mut own = 0;
        for (i, token) in tokens.enumerate() {
            let logit = f32_le(data, at + i).ok_or(Refused("span length"))?;
            own += component(which, mass_of(logit, best, self.params), t, token < claimed);
        }
        Ok(own != sum)
    }
}

fn token(leaf: &Leaf, place: u64) -> Result<u32, Refused> {
    if leaf.data.len() != TOKEN_LEAF_BYTES {
        return Err(Refused("leaf length"));
    }
    let at = 4 * (place % u64::from(TOKENS)) as usize;
    let bytes = leaf
        .data
        .get(at..at + 4)
        .and_then(|bytes| bytes.try_into().ok());
    bytes.map(u32::from_le_bytes).ok_or(Refused("leaf length"))
}
