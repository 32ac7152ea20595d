//! Standing up for a right claim of somebody else: contents that hashes bind, which anyone may reveal.

use super::view::{ClaimView, NodeView};
use crate::dispute::contents::{Contents, claim_tree, contents_of};
use crate::dispute::position::NodeKind;
use crate::dispute::results::LaneResults;
use crate::{Digest, Error};

/// The contents of a pending node that can be revealed without the proposer; none when it takes the proposer, or one's own results have something
/// else there.
///
/// # Errors
/// What the results can't give.
pub fn defence(
    view: &ClaimView,
    results: &mut dyn LaneResults,
    node: &NodeView,
) -> Result<Option<Contents>, Error> {
    if node.contents.is_some() || claim_tree(results)?.root() != view.root().value {
        return Ok(None);
    }
    if node.position.kind == NodeKind::Job {
        // Only a job without traces needs no word of the proposer.
        let answer = results.answer(node.position.lane)?;
        let traces = (0..answer.runs.len() as u32).any(|run| answer.has_trace(run));
        return match traces {
            true => Ok(None),
            false => contents_of(results, &node.position).map(Some),
        };
    }
    if !node.position.kind.is_tree() || own_digest(results, node)? != Some(node.value) {
        return Ok(None);
    }
    contents_of(results, &node.position).map(Some)
}

/// One's own digest of a node of a tree.
fn own_digest(results: &mut dyn LaneResults, node: &NodeView) -> Result<Option<Digest>, Error> {
    let position = &node.position;
    let (height, index) = (u32::from(position.height), position.index);
    if position.kind == NodeKind::Claim {
        return Ok(Some(claim_tree(results)?.node(height, index)));
    }
    if position.kind == NodeKind::Trace {
        let trace = results.trace(position.lane, position.run.into())?;
        let depth = trace.depth();
        if height > depth || index >> (depth - height) > 0 {
            return Ok(None);
        }
        return trace.node(height, index).map(Some);
    }
    let answer = results.answer(position.lane)?;
    let leaves = answer.leaves.get(usize::from(position.run));
    let leaves = leaves.and_then(|leaves| leaves.list(position.kind));
    Ok(leaves.map(|leaves| crate::dispute::results::RunLeaves::tree(leaves).node(height, index)))
}
