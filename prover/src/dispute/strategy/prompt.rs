//! Faults of prompts.

use super::Move;
use super::run::{ListLeaf, RunDispute};
use super::step::nothing;
use crate::Error;

/// The prompt differs; `leaf` is the first leaf of tokens that does, if its length is the same.
pub(super) fn next(_dispute: &RunDispute<'_>, _leaf: Option<&ListLeaf<'_>>) -> Result<Move, Error> {
    Err(nothing("prompt"))
}
