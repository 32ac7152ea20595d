//! What a challenger does next. Pure: from what the chain shows of a claim and one's own results to a move.
//!
//! ```text
//! claim tree -> job -> its fields (16, 17) -> run
//!   -> prompt (48..57)
//!   -> tokens: the first that differs, place p (32, 33)
//!        -> trace, rows before p only: the first leaf that differs (64; totals, tile: 65..69)
//!        -> none: the choice of the token (80; selection, group: 81..84)
//!   -> tokens are the same: offsets, text (34..37)
//! ```
//! Every dispute takes the first difference, so all that a proof needs from before it is as in one's own results, and opens nothing else.

mod choice;
mod defence;
mod descent;
mod job;
mod known;
mod lists;
mod prompt;
mod run;
mod step;
mod view;

pub use defence::defence;
pub use view::{ClaimView, NodeView};

use super::contents::{at, claim_tree};
use super::position::{NodeKind, Position};
use super::results::{LaneResults, run_record};
use super::shape::TreeShape;
use crate::{Digest, Error};
use descent::{Descent, Goal, Top, descend};
use known::OwnClaim;
use run::RunDispute;
use step::nothing;

/// What a challenger does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Move {
    /// Open a node.
    Open {
        /// The parent's key; [`Digest::ZERO`] for the claim itself.
        parent: Digest,
        /// The node.
        position: Position,
        /// Its digest; zero for posted contents.
        value: Digest,
        /// The siblings from the node up to the parent's digest.
        path: Vec<Digest>,
    },
    /// Prove a fault at a node.
    Prove {
        /// The node's key.
        node: Digest,
        /// The fault's code.
        fault: u8,
        /// Its witness.
        witness: Vec<u8>,
    },
    /// Wait for a node's reveal, and let the claim fall if none comes in time.
    Wait {
        /// The node's key.
        node: Digest,
    },
    /// The claim is right.
    Nothing,
}

/// Whether a node that is opened under one's own takes its place in the line. Where a parent is needed again, a new line begins at it.
#[must_use]
pub fn goes_on(parent: NodeKind, child: NodeKind) -> bool {
    use NodeKind::*;
    match parent {
        Claim | Trace | Totals | Selection => true,
        Job => child == Trace,
        Tokens => child == Selection,
        _ => false,
    }
}

/// What to do about a claim, of which the view has the lines of one's own. Deterministic, so a challenger that forgot everything goes on where it was.
///
/// # Errors
/// [`Error::Unproven`] for a difference that shows no fault: then one's own results are wrong, or the view is. What the results can't give.
pub fn next(view: &ClaimView, results: &mut dyn LaneResults) -> Result<Move, Error> {
    let jobs = results.jobs();
    let shape = TreeShape::claim(jobs);
    let mut own = OwnClaim(claim_tree(results)?);
    let mut goal = Goal::Difference {
        own: &mut own,
        limit: jobs.into(),
    };
    match descend(view, &shape, Top::Node(view.root()), &mut goal)? {
        Descent::Act(act) => Ok(act),
        Descent::Same => Ok(Move::Nothing),
        Descent::Leaf { .. } => Err(nothing("a claim tree has no leaves")),
        Descent::Job(node) => in_job(view, results, node),
    }
}

/// What to do about a revealed job that is not one's own.
fn in_job(view: &ClaimView, results: &mut dyn LaneResults, node: &NodeView) -> Result<Move, Error> {
    let lane = node.position.lane;
    let Some(job) = node.job() else {
        return Err(nothing("a job without contents"));
    };
    let model = results.model().clone();
    let answer = results.answer(lane)?;
    if let Some(found) = job::fault(&model, node, job, &answer) {
        return Ok(found);
    }
    for (run, own) in (0u8..).zip(&answer.commitment.runs) {
        let record = run_record(at(&job.runs, run.into())?);
        if record == *own {
            continue;
        }
        let dispute = RunDispute {
            view,
            model: &model,
            lane,
            run,
            job: node,
            record,
            trace_root: Digest(at(&job.traceRoots, run.into())?.0),
            own: *own,
            tokens: &at(&answer.runs, run.into())?.tokens,
            answer: &answer,
        };
        return dispute.next(results);
    }
    Err(nothing("every run is the own one"))
}
