//! Text to tokens: the best pair merges, leftmost on ties, until no pair does.
//!
//! Two adjacent characters that stand side by side in no piece can never come into one token, so the text is cut there and the
//! pieces between cuts are merged each on its own, with a heap of pairs: O(n log n) in the longest stretch without a cut.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::NONE;
use super::characters::{self, Character};
use super::tables::Tables;

/// Turns text into tokens; keeps its buffers between calls.
pub(super) struct Encoder<'a> {
    tables: &'a Tables,
    merger: Merger,
}

impl<'a> Encoder<'a> {
    pub(super) fn new(tables: &'a Tables) -> Encoder<'a> {
        Encoder {
            tables,
            merger: Merger::default(),
        }
    }

    /// Appends the tokens of `text`, with a space before it if `space` is set.
    pub(super) fn text(&mut self, space: bool, text: &[u8], out: &mut Vec<u32>) {
        self.merger.tokens.clear();
        if space {
            self.character(u32::from(b' '), b" ", out);
        }
        for (character, bytes) in characters::split(text) {
            self.character(character, bytes, out);
        }
        self.merger.run(self.tables);
        out.extend_from_slice(&self.merger.tokens);
    }

    fn character(&mut self, character: Character, bytes: &[u8], out: &mut Vec<u32>) {
        let token = self.tables.character(character);
        let joins = token != NONE
            && self
                .merger
                .tokens
                .last()
                .is_some_and(|last| self.tables.joins(*last, token));
        if !joins {
            self.merger.run(self.tables);
            out.extend_from_slice(&self.merger.tokens);
            self.merger.tokens.clear();
        }
        if token == NONE {
            out.extend(bytes.iter().map(|byte| self.tables.byte(*byte)));
        } else {
            self.merger.tokens.push(token);
        }
    }
}

/// A pair that may merge. The order is that of merging: best rank first, then leftmost.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    rank: u32,
    position: usize,
    merge: u32,
}

/// Merges one stretch of tokens.
#[derive(Default)]
pub(super) struct Merger {
    /// The stretch; [`Merger::run`] replaces it with what it merges to.
    pub(super) tokens: Vec<u32>,
    /// Positions of the neighbours; `usize::MAX` at the ends. A position that was merged into its left neighbour holds [`NONE`].
    next: Vec<usize>,
    prev: Vec<usize>,
    heap: BinaryHeap<Reverse<Candidate>>,
}

impl Merger {
    /// Merges `tokens` and gives back the last merge that was done.
    pub(super) fn run(&mut self, tables: &Tables) -> Option<u32> {
        let count = self.tokens.len();
        if count < 2 {
            return None;
        }
        self.next.clear();
        self.next.extend((1..count).chain([usize::MAX]));
        self.prev.clear();
        self.prev
            .extend([usize::MAX].into_iter().chain(0..count - 1));
        let mut candidates = std::mem::take(&mut self.heap).into_vec();
        candidates.clear();
        candidates.extend((0..count - 1).filter_map(|left| self.candidate(tables, left, left + 1)));
        self.heap = BinaryHeap::from(candidates);
        let mut last = None;
        while let Some(Reverse(best)) = self.heap.pop() {
            let merge = tables.merges()[best.merge as usize];
            let (left, right) = (best.position, self.next[best.position]);
            // The pair may be gone: then one of its ends holds something else.
            if self.tokens[left] != merge.left
                || right == usize::MAX
                || self.tokens[right] != merge.right
            {
                continue;
            }
            last = Some(best.merge);
            self.tokens[left] = merge.result;
            self.tokens[right] = NONE;
            let after = self.next[right];
            self.next[left] = after;
            if after != usize::MAX {
                self.prev[after] = left;
                self.heap.extend(self.candidate(tables, left, after));
            }
            if self.prev[left] != usize::MAX {
                self.heap
                    .extend(self.candidate(tables, self.prev[left], left));
            }
        }
        self.tokens.retain(|token| *token != NONE);
        last
    }

    fn candidate(&self, tables: &Tables, left: usize, right: usize) -> Option<Reverse<Candidate>> {
        let merge = tables.find_merge(self.tokens[left], self.tokens[right])?;
        let rank = tables.merges()[merge as usize].rank;
        Some(Reverse(Candidate {
            rank,
            position: left,
            merge,
        }))
    }
}
