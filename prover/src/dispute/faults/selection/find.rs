//! What to prove, or to open next, about the choice of a token.
//!
//! A challenger whose own trace has the claim's logits, but who selects another token, goes on here: a wrong token has a wrong selection, or sums
//! that do not choose it, or a wrong group sum; and so on down to a sum over 16 tokens.

use super::contents::{Masses, Selection, read_sums};
use super::witness::group_sum_witness;
use super::{COMPONENTS, Rule, Site, best_of};
use crate::Error;
use crate::constants::{FAULT_ARGMAX, FAULT_BEST, FAULT_CHOICE, FAULT_GROUP_SUM, FAULT_LEAF_SUM};
use crate::dispute::abi::Leaf;
use crate::dispute::source::TraceSource;

/// What to do about something revealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It is as it should be.
    Nothing,
    /// Prove this.
    Fault {
        /// The fault's code.
        code: u8,
        /// Its witness.
        witness: Vec<u8>,
    },
    /// Open the selection of the token.
    OpenSelection,
    /// Open a group of a component.
    OpenGroup {
        /// The component.
        component: u32,
        /// The group.
        group: u32,
    },
}

impl Site {
    /// About a claimed token below the vocabulary size, whose leaf in its node is `tokens`.
    ///
    /// # Errors
    /// As [`TraceSource::leaf`].
    pub fn find_in_token(
        &self,
        source: &mut dyn TraceSource,
        rule: &Rule,
        claimed: u32,
        tokens: &Leaf,
    ) -> Result<Finding, Error> {
        let logits = self.all(source)?;
        let best = best_of(&logits);
        let sampled = rule.params.temperature_milli != 0;
        let greedy = !sampled || logits.get(best as usize) == Some(&f32::INFINITY);
        if greedy && best != claimed {
            let witness = self.argmax_witness(source, tokens.clone(), claimed, best)?;
            return Ok(Finding::Fault {
                code: FAULT_ARGMAX,
                witness,
            });
        }
        if greedy || self.is_right(&logits, rule, claimed) {
            return Ok(Finding::Nothing);
        }
        Ok(Finding::OpenSelection)
    }

    /// Whether a token is the one that the rule selects by these logits, at a temperature above 0.
    #[must_use]
    pub fn is_right(&self, logits: &[f32], rule: &Rule, claimed: u32) -> bool {
        let honest = Selection::honest(self.groups, logits, rule.params, claimed);
        let best = logits.get(honest.best as usize).copied();
        if !best.is_some_and(f32::is_finite) {
            return honest.best == claimed;
        }
        let masses = Masses::new(self.groups, logits, honest.best, rule.params, claimed);
        honest.chooses(rule, masses.of(claimed))
    }

    /// About the contents of a selection; `tokens` is the claimed token's leaf, to the run's tokens root.
    ///
    /// # Errors
    /// As [`TraceSource::leaf`]; contents of a wrong length, which no reveal has; a claimed token that is not below the vocabulary size (fault 32).
    pub fn find_in_selection(
        &self,
        source: &mut dyn TraceSource,
        rule: &Rule,
        claimed: u32,
        tokens: &Leaf,
        contents: &[u8],
    ) -> Result<Finding, Error> {
        let found = self.read(contents)?;
        let logits = self.all(source)?;
        let own = best_of(&logits);
        let Some(best) = logits.get(found.best as usize).copied() else {
            let witness = self.best_witness(source, contents, found.best, own)?;
            return Ok(fault(FAULT_BEST, witness));
        };
        if found.best != own {
            let witness = self.best_witness(source, contents, found.best, own)?;
            return Ok(fault(FAULT_BEST, witness));
        }
        let masses = Masses::new(self.groups, &logits, own, rule.params, claimed);
        let right = if best.is_finite() {
            found.chooses(rule, masses.of(claimed))
        } else {
            claimed == own
        };
        if !right {
            let tokens = tokens.clone();
            let witness = self.choice_witness(source, contents, tokens, own, claimed)?;
            return Ok(fault(FAULT_CHOICE, witness));
        }
        let sums = masses.sums(found.t1, found.t2);
        for (group, (own, found)) in (0..).zip(sums.iter().zip(&found.sums)) {
            for (component, (own, found)) in (0..).zip(own.iter().zip(found)) {
                if own != found {
                    return Ok(Finding::OpenGroup { component, group });
                }
            }
        }
        Ok(Finding::Nothing)
    }

    /// About the contents of a group of a component; the selection's best is the true one, else prove that.
    ///
    /// # Errors
    /// As [`Site::find_in_selection`]; no such component or group.
    #[allow(clippy::too_many_arguments)] // a node with its parent and its claim
    pub fn find_in_group(
        &self,
        source: &mut dyn TraceSource,
        rule: &Rule,
        claimed: u32,
        tokens: &Leaf,
        selection: &[u8],
        (component, group): (u32, u32),
        contents: &[u8],
    ) -> Result<Finding, Error> {
        let parent = self.read(selection)?;
        let sums = self.groups.sums_of(group) as usize;
        let found = read_sums(contents)
            .filter(|found| found.len() == sums)
            .ok_or_else(|| Error::Mismatch {
                what: "bytes of a group",
                found: contents.len() as u64,
                expected: 6 * sums as u64,
            })?;
        let sum = parent
            .sums
            .get(group as usize)
            .filter(|_| component < COMPONENTS);
        let sum = sum.ok_or(Error::IndexOutOfRange {
            what: "groups of a selection",
            found: group.into(),
            expected: self.groups.groups.into(),
        })?[component as usize];
        if found.iter().sum::<u64>() != sum {
            return Ok(fault(
                FAULT_GROUP_SUM,
                group_sum_witness(group, contents, selection)?,
            ));
        }
        let logits = self.all(source)?;
        let masses = Masses::new(self.groups, &logits, parent.best, rule.params, claimed);
        let own = masses.group(component, group, parent.thresholds(&rule.params));
        for (index, (own, found)) in (0..).zip(own.iter().zip(&found)) {
            if own != found {
                let witness = self.leaf_sum_witness(
                    source,
                    (contents, selection),
                    (component, group, index),
                    tokens.clone(),
                    parent.best,
                )?;
                return Ok(fault(FAULT_LEAF_SUM, witness));
            }
        }
        Ok(Finding::Nothing)
    }

    fn read(&self, contents: &[u8]) -> Result<Selection, Error> {
        Selection::read(&self.groups, contents).ok_or(Error::Mismatch {
            what: "bytes of a selection",
            found: contents.len() as u64,
            expected: self.groups.selection_bytes() as u64,
        })
    }
}

fn fault(code: u8, witness: Vec<u8>) -> Finding {
    Finding::Fault { code, witness }
}
