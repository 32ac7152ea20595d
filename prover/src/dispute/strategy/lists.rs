//! Faults of tokens, offsets and text.

use super::Move;
use super::run::{ListLeaf, RunDispute};
use super::step::nothing;
use crate::Error;

/// A fault that a differing leaf of tokens shows by itself.
pub(super) fn token_fault(
    _dispute: &RunDispute<'_>,
    _leaf: &ListLeaf<'_>,
) -> Result<Option<Move>, Error> {
    Ok(None)
}

/// One list of tokens ends where the other goes on.
pub(super) fn end_fault(_dispute: &RunDispute<'_>) -> Result<Move, Error> {
    Err(nothing("stop"))
}

/// The tokens are the same: what else of the run differs.
pub(super) fn after_tokens(_dispute: &RunDispute<'_>) -> Result<Move, Error> {
    Err(nothing("lists"))
}
