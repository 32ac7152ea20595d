//! The shape of the trees whose nodes are opened (`prover/SPEC.md` section 10.2): how deep they are, what exists, how far an opening goes.

use std::sync::Arc;

use super::position::{NodeKind, Position};
use super::trace::TraceLayout;
use crate::constants::{CONTENT_LEVELS, OPEN_LEVELS, TEXT_LEAF_BYTES, TOKEN_LEAF_ELEMENTS};
use crate::record::RunRecord;
use crate::{Digest, Error, merkle};

/// A tree of nodes.
#[derive(Debug, Clone)]
pub struct TreeShape {
    kind: NodeKind,
    lane: u32,
    run: u8,
    depth: u32,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    /// So many leaves, from the left.
    List(u64),
    /// A trace's rows and tokens of the prompt.
    Trace(Arc<TraceLayout>, u32, u32),
}

impl TreeShape {
    /// The claim tree over that many jobs.
    #[must_use]
    pub fn claim(jobs: u32) -> TreeShape {
        TreeShape {
            kind: NodeKind::Claim,
            lane: 0,
            run: 0,
            depth: merkle::depth(jobs.into()),
            what: What::List(jobs.into()),
        }
    }

    /// A tree of a run with that record; none for kinds that are no tree of a run.
    #[must_use]
    pub fn of_run(
        kind: NodeKind,
        lane: u32,
        run: u8,
        record: &RunRecord,
        layout: &Arc<TraceLayout>,
    ) -> Option<TreeShape> {
        let numbers = |count: u32| u64::from(count.div_ceil(TOKEN_LEAF_ELEMENTS as u32));
        let new_tokens = record.n_tokens.saturating_sub(record.n_prompt);
        let rows = if new_tokens > 0 {
            record.n_tokens - 1
        } else {
            0
        };
        let what = match kind {
            NodeKind::Tokens => What::List(numbers(record.n_tokens)),
            NodeKind::Offsets => What::List(numbers(new_tokens)),
            NodeKind::Text => What::List(record.text_length.div_ceil(TEXT_LEAF_BYTES as u64)),
            NodeKind::Trace => What::Trace(layout.clone(), rows, record.n_prompt),
            _ => return None,
        };
        let depth = match &what {
            What::List(count) => merkle::depth(*count),
            What::Trace(layout, rows, _) => layout.depth(*rows),
        };
        Some(TreeShape {
            kind,
            lane,
            run,
            depth,
            what,
        })
    }

    /// Levels above the leaves.
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.depth
    }

    /// Whether it is the claim tree.
    #[must_use]
    pub fn is_claim(&self) -> bool {
        self.kind == NodeKind::Claim
    }

    /// Whether anything can stand below a node.
    #[must_use]
    pub fn exists(&self, height: u32, index: u64) -> bool {
        if height > self.depth {
            return false;
        }
        match &self.what {
            What::List(count) => u128::from(index) << height < u128::from(*count),
            What::Trace(layout, rows, n_prompt) => layout.exists(height, index, *rows, *n_prompt),
        }
    }

    /// The position of a node; of the claim tree's leaves that of the job.
    #[must_use]
    pub fn position(&self, height: u32, index: u64) -> Position {
        if self.kind == NodeKind::Claim && height == 0 {
            return Position {
                lane: u32::try_from(index).unwrap_or(u32::MAX),
                ..Position::tree(NodeKind::Job, 0, 0, 0, 0)
            };
        }
        Position::tree(self.kind, self.lane, self.run, height as u8, index)
    }

    /// How many levels below a node its contents are; none when its contents are the leaves.
    #[must_use]
    pub fn levels(&self, height: u32) -> Option<u32> {
        let content = match self.kind {
            NodeKind::Claim if height == 0 => return Some(0),
            NodeKind::Claim => 0,
            _ => CONTENT_LEVELS as u32,
        };
        let rest = height.checked_sub(content).filter(|rest| *rest > 0)?;
        Some(levels_down(rest))
    }

    /// How many levels below the root of a trace the digests are that come with a job of `runs` runs.
    #[must_use]
    pub fn levels_in_job(&self, runs: u32) -> u32 {
        levels_in_job(self.depth, runs)
    }

    /// The nodes that exist `levels` below a node, in order.
    pub fn below(
        &self,
        height: u32,
        index: u64,
        levels: u32,
    ) -> impl Iterator<Item = u64> + use<'_> {
        let base = height.saturating_sub(levels);
        let levels = levels.min(OPEN_LEVELS as u32);
        let first = index.checked_shl(levels).unwrap_or(0);
        let all = first..first.saturating_add(1 << levels);
        all.filter(move |index| self.exists(base, *index))
    }
}

/// A trace whose digests come with its job.
#[derive(Debug)]
pub(crate) struct TraceInJob {
    /// The run's number.
    pub(crate) run: u8,
    /// Of the trace.
    pub(crate) shape: TreeShape,
    /// How many levels below the root the digests are.
    pub(crate) levels: u32,
}

impl TraceInJob {
    /// Those of a job with these runs, in the order of their digests: a run without a new token has no trace.
    pub(crate) fn all(
        lane: u32,
        runs: &[RunRecord],
        layout: &Arc<TraceLayout>,
    ) -> impl Iterator<Item = TraceInJob> {
        let count = runs.len() as u32;
        (0u8..)
            .zip(runs)
            .filter(|(_, record)| record.n_tokens > record.n_prompt)
            .filter_map(move |(run, record)| {
                let shape = TreeShape::of_run(NodeKind::Trace, lane, run, record, layout)?;
                let levels = shape.levels_in_job(count);
                Some(TraceInJob { run, shape, levels })
            })
    }

    /// The indices of the digests at their height.
    pub(crate) fn below(&self) -> impl Iterator<Item = u64> {
        self.shape.below(self.shape.depth(), 0, self.levels)
    }

    /// What the digests stand for; none when they are not as many as exist.
    pub(crate) fn opened(&self, digests: &[Digest]) -> Option<Opened> {
        Opened::of(&self.shape, self.shape.depth(), 0, self.levels, digests)
    }
}

/// How many levels below the root of a trace of that depth the digests are that come with a job of `runs` runs.
#[must_use]
pub fn levels_in_job(depth: u32, runs: u32) -> u32 {
    // Jobs of many runs have less room.
    let less = merkle::depth(runs.into()) + u32::from(runs > 8);
    let most = (OPEN_LEVELS as u32).saturating_sub(less);
    depth.saturating_sub(CONTENT_LEVELS as u32).min(most)
}

/// How many levels down the first opening goes where `rest` are left: as few openings as possible, all about as deep.
#[must_use]
pub fn levels_down(rest: u32) -> u32 {
    match rest.div_ceil(OPEN_LEVELS as u32) {
        0 => 0,
        openings => rest.div_ceil(openings),
    }
}

/// A node whose contents are digests, with everything between it and them.
#[derive(Debug, Clone)]
pub(crate) struct Opened {
    /// Height of the contents.
    pub(crate) base: u32,
    /// Index of the first of them, were it to exist.
    pub(crate) first: u64,
    /// By height above the contents; absent ones are empty digests.
    pub(crate) levels: Vec<Vec<Digest>>,
}

impl Opened {
    /// The subtree that revealed digests stand for; none when they are not as many as exist.
    pub(crate) fn of(
        shape: &TreeShape,
        height: u32,
        index: u64,
        levels: u32,
        digests: &[Digest],
    ) -> Option<Opened> {
        let base = height.checked_sub(levels)?;
        let first = index.checked_shl(levels)?;
        let mut row = vec![merkle::empty(base); 1 << levels];
        let mut given = digests.iter();
        for index in shape.below(height, index, levels) {
            *row.get_mut((index - first) as usize)? = *given.next()?;
        }
        if given.next().is_some() {
            return None;
        }
        let mut all = vec![row];
        for _ in 0..levels {
            let below = all.last()?;
            let above = below
                .chunks_exact(2)
                .map(|pair| Digest::of_pair(pair[0], pair[1]))
                .collect();
            all.push(above);
        }
        Some(Opened {
            base,
            first,
            levels: all,
        })
    }

    /// The digest of the node itself.
    pub(crate) fn root(&self) -> Digest {
        let top = self.levels.last().and_then(|level| level.first());
        top.copied().unwrap_or_default()
    }

    /// The siblings from one of the contents up to the node.
    pub(crate) fn path(&self, index: u64) -> Result<Vec<Digest>, Error> {
        let at = index.wrapping_sub(self.first);
        let (_, below) = self.levels.split_last().unwrap_or((&self.levels[0], &[]));
        below
            .iter()
            .enumerate()
            .map(|(k, level)| {
                let sibling = usize::try_from((at >> k) ^ 1).ok();
                sibling
                    .and_then(|i| level.get(i).copied())
                    .ok_or(Error::IndexOutOfRange {
                        what: "contents of a node",
                        found: at,
                        expected: level.len() as u64,
                    })
            })
            .collect()
    }
}
