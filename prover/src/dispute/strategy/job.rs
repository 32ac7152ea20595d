//! Faults of a job's fields.

use super::Move;
use super::view::NodeView;
use crate::Error;
use crate::dispute::abi;
use crate::dispute::results::{Answer, DisputeModel};

/// A fault that the fields show by themselves.
pub(super) fn fault(
    _model: &DisputeModel,
    _node: &NodeView,
    _job: &abi::Job,
    _answer: &Answer,
) -> Result<Option<Move>, Error> {
    Ok(None)
}
