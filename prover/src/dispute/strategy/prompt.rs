//! Faults of prompts.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::Move;
use super::known::{Claimed, OwnList};
use super::run::RunDispute;
use super::step::{nothing, prove};
use super::view::NodeView;
use crate::dispute::faults::prompt::{Dispute, Next, TokenLeaves, TokenizerBook};
use crate::dispute::position::{NodeKind, Position};
use crate::{Digest, Error};

/// The claim's tokens, as far as they are known.
struct Tokens<'a>(RefCell<Claimed<'a>>);

impl TokenLeaves for Tokens<'_> {
    fn leaf(&self, leaf: u32) -> Option<Vec<u8>> {
        let opened = self.0.borrow_mut().open_to_root(leaf.into()).ok()?;
        Some(opened.data.to_vec())
    }

    fn path(&self, leaf: u32) -> Option<Vec<Digest>> {
        let opened = self.0.borrow_mut().open_to_root(leaf.into()).ok()?;
        Some(opened.path.iter().map(|digest| Digest(digest.0)).collect())
    }
}

/// What to do about a run whose prompt is not one's own.
pub(super) fn next(dispute: &RunDispute<'_>) -> Result<Move, Error> {
    let book = TokenizerBook::of(dispute.model.model.tokenizer())?;
    let at = |kind, index: u64| Position {
        index,
        ..Position::tree(kind, dispute.lane, dispute.run, 0, 0)
    };
    let job = dispute.job.key;
    let prompt = dispute.view.child(job, &at(NodeKind::Prompt, 0));
    let malformed = dispute.view.child(job, &at(NodeKind::Malformed, 0));
    let under_prompt = prompt.map_or(Digest::ZERO, |node| node.key);
    let starts: BTreeMap<u32, Vec<u8>> = dispute
        .view
        .nodes()
        .iter()
        .filter(|node| prompt.is_some() && node.parent == under_prompt)
        .filter_map(|node| {
            let leaf = u32::try_from(node.position.index).ok()?;
            Some((leaf, node.posted()?.to_vec()))
        })
        .collect();
    let mut own = OwnList::new(dispute.own_leaves(NodeKind::Tokens)?);
    let tokens = Tokens(RefCell::new(Claimed::new(
        dispute.view,
        dispute.shape(NodeKind::Tokens)?,
        dispute.list_root(NodeKind::Tokens),
        None,
        &mut own,
    )));
    let next = Dispute {
        lane: dispute.lane,
        run: dispute.run,
        book: &book,
        payload: &dispute.answer.input.payload,
        n_prompt: dispute.record.n_prompt,
        n_tokens: dispute.record.n_tokens,
        finish: dispute.record.finish,
        tokens: &tokens,
        prompt: prompt.and_then(NodeView::posted),
        starts: &starts,
        malformed: malformed.and_then(NodeView::posted),
    }
    .next()?;
    let parent_of = |kind| match kind {
        NodeKind::Starts => under_prompt,
        _ => job,
    };
    match next {
        Next::Nothing => Err(nothing("the prompt is right")),
        Next::Tokens(leaf) => match dispute.list_leaf(NodeKind::Tokens, leaf.into())? {
            Err(act) => Ok(act),
            Ok(_) => Err(nothing("the tokens are known")),
        },
        Next::Open(position) => match dispute.posted(parent_of(position.kind), position) {
            Err(act) => Ok(act),
            Ok(_) => Err(nothing("the node is open")),
        },
        Next::Prove {
            node,
            fault,
            witness,
        } => {
            if node.kind == NodeKind::Tokens {
                let leaf = node.index << node.height;
                return Ok(match dispute.list_leaf(NodeKind::Tokens, leaf)? {
                    Err(act) => act,
                    Ok(leaf) => prove(leaf.node.key, fault, witness),
                });
            }
            let known = dispute.view.child(parent_of(node.kind), &node);
            let known = known.ok_or_else(|| nothing("the node is not open"))?;
            Ok(prove(known.key, fault, witness))
        }
    }
}
