//! A run that is not one's own.

use super::descent::{Descent, Goal, Top, descend};
use super::known::{Claimed, ClaimedTrace, OwnList, OwnTrace};
use super::step::{BadLeaf, nothing};
use super::view::{ClaimView, NodeView};
use super::{Move, prompt};
use crate::Error;
use crate::constants::TOKEN_LEAF_ELEMENTS;
use crate::dispute::abi::Leaf;
use crate::dispute::contents::at;
use crate::dispute::faults::prompt::claims_malformed;
use crate::dispute::faults::step::leaf_in_node;
use crate::dispute::position::{NodeKind, Position};
use crate::dispute::results::{Answer, DisputeModel, LaneResults, run_record};
use crate::dispute::shape::{Opened, TraceInJob, TreeShape};
use crate::record::RunRecord;
use crate::{Digest, merkle};

/// A dispute about one run of a revealed job.
pub(super) struct RunDispute<'v> {
    pub(super) view: &'v ClaimView,
    pub(super) model: &'v DisputeModel,
    pub(super) lane: u32,
    pub(super) run: u8,
    pub(super) job: &'v NodeView,
    /// What the job's contents say about the run.
    pub(super) record: RunRecord,
    pub(super) trace_root: Digest,
    /// One's own.
    pub(super) answer: &'v Answer,
    pub(super) own: RunRecord,
    /// One's own.
    pub(super) tokens: &'v [u32],
}

/// A leaf of a list in the revealed node that holds it.
pub(super) struct ListLeaf<'v> {
    pub(super) node: &'v NodeView,
    /// Of the leaf in its tree.
    pub(super) index: u64,
    pub(super) bytes: Vec<u8>,
    /// With its path to the node.
    pub(super) in_node: Leaf,
}

impl<'v> RunDispute<'v> {
    /// What to do about the run, whose record differs.
    pub(super) fn next(&self, results: &mut dyn LaneResults) -> Result<Move, Error> {
        let malformed = |run: &RunRecord| claims_malformed(run.n_prompt, run.n_tokens, run.finish);
        if malformed(&self.record) != malformed(&self.own)
            || self.record.n_prompt != self.own.n_prompt
        {
            return prompt::next(self);
        }
        let leaf = match self.first_difference(NodeKind::Tokens)? {
            Ok(leaf) => leaf,
            Err(act) => return Ok(act),
        };
        let Some(place) = self.first_token(leaf.as_ref()) else {
            return self.after_tokens();
        };
        if let Some(leaf) = &leaf
            && let Some(found) = self.token_fault(leaf)?
        {
            return Ok(found);
        }
        if place < self.own.n_prompt {
            return prompt::next(self);
        }
        if place >= self.record.n_tokens.min(self.own.n_tokens) {
            return self.end_fault();
        }
        self.token(place, results)
    }

    /// The first place at which the claimed tokens are not one's own; none when they are the same.
    fn first_token(&self, leaf: Option<&ListLeaf<'_>>) -> Option<u32> {
        let common = self.record.n_tokens.min(self.own.n_tokens);
        let differs = leaf.and_then(|leaf| {
            let first = leaf.index as usize * TOKEN_LEAF_ELEMENTS;
            let words = leaf.bytes.chunks_exact(4).map(number);
            (first..)
                .zip(words)
                .take_while(|(place, _)| *place < common as usize)
                .find(|(place, token)| self.tokens.get(*place) != Some(token))
                .map(|(place, _)| place as u32)
        });
        let whole = leaf.is_none() && self.record.n_tokens == self.own.n_tokens;
        differs.or((!whole).then_some(common))
    }

    /// A token differs that both have: everything before it is the same.
    fn token(&self, place: u32, results: &mut dyn LaneResults) -> Result<Move, Error> {
        let layout = &self.model.layout;
        let shape = self.shape(NodeKind::Trace)?;
        let mut own = OwnTrace {
            layout: layout.clone(),
            trace: results.trace(self.lane, self.run.into())?,
        };
        let mut goal = Goal::Difference {
            own: &mut own,
            limit: layout.index(place, 0),
        };
        let published = self.published()?;
        let top = Top::Published(self.job.key, published.clone());
        let found = descend(self.view, &shape, top, &mut goal)?;
        let root = self.trace_root;
        let tree = Claimed::new(self.view, shape, root, Some(&published), &mut own);
        let mut source = ClaimedTrace::new(tree, layout.clone());
        match found {
            Descent::Act(act) => Ok(act),
            Descent::Leaf {
                node,
                index,
                leaves,
            } => self.bad_leaf(&BadLeaf::new(self, node, index, leaves)?, &mut source),
            Descent::Same => self.choice(place, &mut source),
            Descent::Job(_) => Err(nothing("a trace holds no job")),
        }
    }

    /// The digests of the run's trace that came with the job.
    fn published(&self) -> Result<Opened, Error> {
        let bad = || nothing("the digests of a job's traces are not those of its runs");
        let job = self.job.job().ok_or_else(bad)?;
        let records: Vec<RunRecord> = job.runs.iter().map(run_record).collect();
        let mut rest = self.job.digests();
        for trace in TraceInJob::all(self.lane, &records, &self.model.layout) {
            let (digests, after) = rest
                .split_at_checked(trace.below().count())
                .ok_or_else(bad)?;
            if trace.run == self.run {
                return trace.opened(digests).ok_or_else(bad);
            }
            rest = after;
        }
        Err(bad())
    }

    /// The shape of a claimed tree of the run.
    pub(super) fn shape(&self, kind: NodeKind) -> Result<TreeShape, Error> {
        TreeShape::of_run(kind, self.lane, self.run, &self.record, &self.model.layout)
            .ok_or_else(|| nothing("no tree of a run"))
    }

    /// The claimed root of a list.
    pub(super) fn list_root(&self, kind: NodeKind) -> Digest {
        match kind {
            NodeKind::Tokens => self.record.tokens_root,
            NodeKind::Offsets => self.record.offsets_root,
            NodeKind::Text => self.record.text_root,
            _ => merkle::empty(0),
        }
    }

    /// One's own leaves of a list.
    pub(super) fn own_leaves(&self, kind: NodeKind) -> Result<&'v [Vec<u8>], Error> {
        at(&self.answer.leaves, self.run.into())?
            .list(kind)
            .ok_or_else(|| nothing("no list of a run"))
    }

    /// The first leaf of a list that is not one's own; none when there is none. Or what has to be done to see it.
    pub(super) fn first_difference(
        &self,
        kind: NodeKind,
    ) -> Result<Result<Option<ListLeaf<'v>>, Move>, Error> {
        if self.list_root(kind) == self.own_root(kind) {
            return Ok(Ok(None));
        }
        let mut own = OwnList::new(self.own_leaves(kind)?);
        let mut goal = Goal::Difference {
            own: &mut own,
            limit: u64::MAX,
        };
        self.descend_list(kind, &mut goal)
    }

    /// A leaf of a claimed list, or what has to be done to see it.
    pub(super) fn list_leaf(
        &self,
        kind: NodeKind,
        index: u64,
    ) -> Result<Result<ListLeaf<'v>, Move>, Error> {
        Ok(match self.descend_list(kind, &mut Goal::Leaf(index))? {
            Ok(Some(leaf)) => Ok(leaf),
            Ok(None) => return Err(nothing("the claimed list ends before")),
            Err(act) => Err(act),
        })
    }

    fn own_root(&self, kind: NodeKind) -> Digest {
        match kind {
            NodeKind::Tokens => self.own.tokens_root,
            NodeKind::Offsets => self.own.offsets_root,
            _ => self.own.text_root,
        }
    }

    fn descend_list(
        &self,
        kind: NodeKind,
        goal: &mut Goal<'_>,
    ) -> Result<Result<Option<ListLeaf<'v>>, Move>, Error> {
        let shape = self.shape(kind)?;
        if !shape.exists(shape.depth(), 0) {
            return Ok(Ok(None));
        }
        let root = self.list_root(kind);
        Ok(
            match descend(self.view, &shape, Top::Root(self.job.key, root), goal)? {
                Descent::Act(act) => Err(act),
                Descent::Leaf {
                    node,
                    index,
                    leaves,
                } => {
                    let height = u32::from(node.position.height);
                    let within = (index - (node.position.index << height)) as usize;
                    let in_node = leaf_in_node(leaves, height, within)?;
                    Ok(Some(ListLeaf {
                        node,
                        index,
                        bytes: in_node.data.to_vec(),
                        in_node,
                    }))
                }
                Descent::Same | Descent::Job(_) => Ok(None),
            },
        )
    }

    /// Something of a claimed list, as far as it is known.
    pub(super) fn claimed_list<T>(
        &self,
        kind: NodeKind,
        read: impl FnOnce(&mut Claimed<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut own = OwnList::new(self.own_leaves(kind)?);
        let root = self.list_root(kind);
        read(&mut Claimed::new(
            self.view,
            self.shape(kind)?,
            root,
            None,
            &mut own,
        ))
    }

    /// A revealed node of posted contents under a parent; else what has to be done for it.
    pub(super) fn posted(&self, parent: Digest, position: Position) -> Result<&'v NodeView, Move> {
        match self.view.child(parent, &position) {
            None => Err(Move::Open {
                parent,
                position,
                value: Digest::ZERO,
                path: Vec::new(),
            }),
            Some(node) if node.posted().is_none() => Err(Move::Wait { node: node.key }),
            Some(node) => Ok(node),
        }
    }
}

/// A number of a tokens or offsets leaf.
pub(super) fn number(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .rev()
        .fold(0, |n, byte| n << 8 | u32::from(*byte))
}
