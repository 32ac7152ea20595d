//! Faults of a job's fields.

use super::Move;
use super::step::prove;
use super::view::NodeView;
use crate::dispute::abi;
use crate::dispute::faults::job::JobFacts;
use crate::dispute::results::{Answer, DisputeModel};

/// A fault that the fields show by themselves.
pub(super) fn fault(
    model: &DisputeModel,
    node: &NodeView,
    job: &abi::Job,
    answer: &Answer,
) -> Option<Move> {
    let facts = JobFacts {
        input_id: answer.input.input_id,
        params: &answer.input.params,
        context: model.model.program().context(),
    };
    let (fault, witness) = facts.find(job)?;
    Some(prove(node.key, fault, witness))
}
