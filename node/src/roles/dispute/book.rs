//! The challenger's own lines of a claim: what the strategy sees of them, and the records that its moves need.

use std::collections::BTreeSet;

use alloy::primitives::{Address, B256};
use sworn_prover::Digest;
use sworn_prover::dispute::contents::Contents;
use sworn_prover::dispute::position::NodeKind;
use sworn_prover::dispute::strategy::{ClaimView, Move as Next, NodeView, goes_on};
use sworn_prover::dispute::{Position, abi};

use super::super::RoleError;
use super::chain_job;
use crate::chain::Move;
use crate::machine::MachineError;
use crate::store::{Lines, StoredNode};

/// So many lines take no dispute; who needs more is wrong somewhere, and stops to pay.
const MOST_LINES: usize = 256;

/// What a move of the strategy comes to on the chain.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// This move.
    Play(Box<Move>),
    /// None now.
    Wait,
    /// None: this node waits for its reveal.
    Await(Box<StoredNode>),
    /// None: the node is needed, and another took its place in its line. It was hidden, so that the strategy opens it again, in a new line.
    Again,
}

/// One's own lines.
#[derive(Debug)]
pub(super) struct Book<'a> {
    claim: B256,
    us: Address,
    lines: Lines<'a>,
    /// Own nodes with their parents (none: the claim itself), in the order of their openings.
    own: Vec<(&'a StoredNode, Option<&'a StoredNode>)>,
    hidden: BTreeSet<B256>,
}

impl<'a> Book<'a> {
    /// The lines of `us` among a claim's nodes.
    pub(super) fn new(claim: B256, us: Address, nodes: &'a [StoredNode]) -> Book<'a> {
        let lines = Lines::of(nodes);
        let mut known = BTreeSet::new();
        let mut own = Vec::new();
        for node in nodes.iter().filter(|node| node.record().opener() == us) {
            let parent = lines.parent_of(node);
            // What was opened under a node of another's line is of no dispute of ours.
            let is_ours = match parent {
                Some(parent) => known.contains(&parent.key),
                None => node.record().parent_hash.is_zero(),
            };
            if is_ours {
                known.insert(node.key);
                own.push((node, parent));
            }
        }
        Book {
            claim,
            us,
            lines,
            own,
            hidden: BTreeSet::new(),
        }
    }

    /// Adds to a view what is not hidden, and not below what is.
    pub(super) fn show(&self, view: &mut ClaimView) -> Result<(), RoleError> {
        let mut shown = BTreeSet::from([B256::ZERO]);
        for (node, parent) in &self.own {
            let parent = parent.map_or(B256::ZERO, |parent| parent.key);
            let record = &node.opened.record;
            let Some(position) = Position::from_word(&record.position.0) else {
                continue;
            };
            if self.hidden.contains(&node.key) || !shown.contains(&parent) {
                continue;
            }
            let contents = node
                .revealed
                .as_ref()
                .map(|reveal| Contents::from_bytes(&position, &reveal.contents))
                .transpose()
                .map_err(MachineError::from)?;
            shown.insert(node.key);
            view.put(NodeView {
                key: Digest(node.key.0),
                parent: Digest(parent.0),
                position,
                value: Digest(record.value.0),
                contents,
            });
        }
        Ok(())
    }

    /// What the strategy's move comes to.
    pub(super) fn turn(&mut self, next: Next) -> Result<Turn, RoleError> {
        match next {
            Next::Nothing => Ok(Turn::Wait),
            Next::Wait { node } => {
                let (node, _) = self.node(word(node))?;
                Ok(Turn::Await(Box::new(node.clone())))
            }
            Next::Open {
                parent,
                position,
                value,
                path,
            } if parent == Digest::ZERO => Ok(Turn::Play(Box::new(Move::Open {
                parent: None,
                position: B256::from(position.to_word()),
                value: word(value),
                path: path.into_iter().map(word).collect(),
                line: self.new_line()?,
            }))),
            Next::Open {
                parent,
                position,
                value,
                path,
            } => {
                let (node, _) = self.node(word(parent))?;
                if !self.lines.is_lowest(node) {
                    return Ok(self.hide(node.key));
                }
                let path = path.into_iter().map(word).collect();
                self.open_under(node, position, word(value), path)
            }
            Next::Prove {
                node,
                fault,
                witness,
            } => {
                let (node, parent) = self.node(word(node))?;
                if !self.lines.is_lowest(node) {
                    return Ok(self.hide(node.key));
                }
                let job = self.job_of(node)?;
                // Of a job there is nothing above that a fault could be about.
                let parent = parent.filter(|_| kind_of(node) != Some(NodeKind::Job));
                let path = [Some(node), parent].into_iter().flatten();
                Ok(Turn::Play(Box::new(Move::Prove {
                    path: path.map(StoredNode::record).collect(),
                    job: chain_job(&job),
                    fault,
                    witness: witness.into(),
                    salt: B256::ZERO,
                })))
            }
        }
    }

    fn open_under(
        &self,
        node: &StoredNode,
        position: Position,
        value: B256,
        path: Vec<B256>,
    ) -> Result<Turn, RoleError> {
        let parent = node.record();
        let kind = kind_of(node);
        let line = match kind {
            Some(kind) if goes_on(kind, position.kind) => parent.number(),
            _ => self.new_line()?,
        };
        let position = B256::from(position.to_word());
        Ok(Turn::Play(Box::new(if kind == Some(NodeKind::Job) {
            Move::OpenInJob {
                parent,
                job: chain_job(&self.job_of(node)?),
                position,
                value,
                path,
                line,
            }
        } else {
            Move::Open {
                parent: Some(parent),
                position,
                value,
                path,
                line,
            }
        })))
    }

    fn hide(&mut self, key: B256) -> Turn {
        tracing::debug!(claim = %self.claim, node = %key, "needed again, in another line");
        self.hidden.insert(key);
        Turn::Again
    }

    /// The number of a line that was not begun.
    fn new_line(&self) -> Result<u16, RoleError> {
        let count = self.lines.owned(self.us).count();
        self.lines
            .unused(self.us)
            .filter(|_| count < MOST_LINES)
            .ok_or_else(|| unexpected("lines of this node in a claim", count, MOST_LINES))
    }

    fn node(&self, key: B256) -> Result<(&'a StoredNode, Option<&'a StoredNode>), RoleError> {
        let found = self.own.iter().find(|(node, _)| node.key == key);
        found
            .copied()
            .ok_or_else(|| unexpected("node of a claim", key, "one that was opened"))
    }

    /// The contents of the revealed job that a node is or is under.
    fn job_of(&self, node: &StoredNode) -> Result<abi::Job, RoleError> {
        let hash = node.record().job;
        let jobs = self.own.iter().map(|(node, _)| *node);
        jobs.filter(|known| kind_of(known) == Some(NodeKind::Job) && known.record().job == hash)
            .find_map(job_in)
            .ok_or_else(|| unexpected("contents of a job", "none", "those of its reveal"))
    }
}

/// The contents of a revealed job.
pub(super) fn job_in(node: &StoredNode) -> Option<abi::Job> {
    let position = Position::from_word(&node.record().position.0)?;
    match Contents::from_bytes(&position, &node.revealed.as_ref()?.contents).ok()? {
        Contents::Job(job, _) => Some(job),
        _ => None,
    }
}

fn kind_of(node: &StoredNode) -> Option<NodeKind> {
    Position::from_word(&node.record().position.0).map(|position| position.kind)
}

fn word(digest: Digest) -> B256 {
    B256::from(digest.0)
}

fn unexpected(what: &'static str, found: impl ToString, expected: impl ToString) -> RoleError {
    RoleError::Machine(MachineError::Unexpected {
        what,
        found: found.to_string(),
        expected: expected.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::made::{CLAIM, node};

    const US: Address = Address::repeat_byte(1);

    fn at(kind: NodeKind, height: u8, index: u64) -> B256 {
        B256::from(Position::tree(kind, 0, 0, height, index).to_word())
    }

    fn job() -> Option<Vec<u8>> {
        let job = abi::Job {
            inputId: Default::default(),
            scoreRoot: Default::default(),
            runs: Vec::new(),
            traceRoots: Vec::new(),
        };
        Some(Contents::Job(job, Vec::new()).to_bytes())
    }

    fn digests() -> Option<Vec<u8>> {
        Some(Contents::Digests(vec![Digest::ZERO; 2]).to_bytes())
    }

    fn open(parent: &StoredNode, kind: NodeKind) -> Next {
        Next::Open {
            parent: Digest(parent.key.0),
            position: Position::tree(kind, 0, 0, 5, 1),
            value: Digest([7; 32]),
            path: vec![Digest([8; 32])],
        }
    }

    fn seen(book: &Book<'_>) -> Vec<B256> {
        let mut view = ClaimView::new(1, Digest::ZERO, Vec::new());
        book.show(&mut view).unwrap();
        view.nodes()
            .iter()
            .map(|node| B256::from(node.key.0))
            .collect()
    }

    fn played(turn: Turn) -> Move {
        match turn {
            Turn::Play(what) => *what,
            other => panic!("{other:?}"),
        }
    }

    /// A job with the tokens in a line of their own, a trace node in the job's place; and what another opened.
    fn nodes() -> Vec<StoredNode> {
        let job = node(1, 0, at(NodeKind::Job, 0, 0), None, 10, job());
        let tokens = node(1, 1, at(NodeKind::Tokens, 9, 0), Some(&job), 20, digests());
        let trace = node(1, 0, at(NodeKind::Trace, 12, 0), Some(&job), 30, digests());
        let other = node(2, 0, at(NodeKind::Job, 0, 0), None, 15, self::job());
        let under = node(1, 7, at(NodeKind::Text, 9, 0), Some(&other), 16, digests());
        vec![job, other, under, tokens, trace]
    }

    #[test]
    fn the_strategy_sees_its_own_lines_only() {
        let nodes = nodes();
        let book = Book::new(CLAIM, US, &nodes);
        assert_eq!(seen(&book), [nodes[0].key, nodes[3].key, nodes[4].key]);
        let other = Book::new(CLAIM, Address::repeat_byte(2), &nodes);
        assert_eq!(seen(&other), [nodes[1].key]);
        let nobody = Book::new(CLAIM, Address::repeat_byte(3), &nodes);
        assert!(seen(&nobody).is_empty());
    }

    #[test]
    fn openings_go_on_in_their_line_or_begin_one() {
        let nodes = nodes();
        let mut book = Book::new(CLAIM, US, &nodes);
        let next = played(book.turn(open(&nodes[4], NodeKind::Trace)).unwrap());
        assert!(
            matches!(&next, Move::Open { parent: Some(parent), line: 0, path, .. }
                if *parent == nodes[4].record() && path.len() == 1),
            "{next:?}"
        );
        // Numbers 0, 1 and 7 are used.
        let next = played(book.turn(open(&nodes[3], NodeKind::Tokens)).unwrap());
        assert!(matches!(next, Move::Open { line: 2, .. }), "{next:?}");
        let under_claim = Next::Open {
            parent: Digest::ZERO,
            position: Position::tree(NodeKind::Claim, 0, 0, 6, 0),
            value: Digest::ZERO,
            path: Vec::new(),
        };
        let next = played(book.turn(under_claim).unwrap());
        assert!(
            matches!(
                next,
                Move::Open {
                    parent: None,
                    line: 2,
                    ..
                }
            ),
            "{next:?}"
        );
        // Of the other's line nothing is used, even where nothing of ours stands.
        let foreign = book.turn(open(&nodes[1], NodeKind::Text));
        assert!(foreign.is_err(), "{foreign:?}");
    }

    #[test]
    fn proofs_take_the_node_and_its_parent() {
        let nodes = nodes();
        let mut book = Book::new(CLAIM, US, &nodes);
        let prove = |node: &StoredNode| Next::Prove {
            node: Digest(node.key.0),
            fault: 64,
            witness: vec![1],
        };
        let Move::Prove {
            path, fault: 64, ..
        } = played(book.turn(prove(&nodes[4])).unwrap())
        else {
            panic!("a proof")
        };
        // The job is not the lowest of its line any more; its record is what the node names.
        assert_eq!(path, [nodes[4].record(), nodes[0].record()]);
        assert_eq!(path[0].parent_hash, path[1].hash(CLAIM));
    }

    #[test]
    fn a_node_that_is_needed_again_is_opened_again() {
        let nodes = nodes();
        let mut book = Book::new(CLAIM, US, &nodes);
        assert_eq!(
            book.turn(open(&nodes[0], NodeKind::Offsets)).unwrap(),
            Turn::Again
        );
        assert!(seen(&book).is_empty(), "all of it is below the hidden job");
        // In a new line it is seen, and stays there for more than one child.
        let mut more = nodes.clone();
        more.push(node(1, 2, at(NodeKind::Job, 0, 0), None, 40, job()));
        let mut book = Book::new(CLAIM, US, &more);
        book.turn(open(&more[0], NodeKind::Offsets)).unwrap();
        assert_eq!(seen(&book), [more[5].key]);
        let next = played(book.turn(open(&more[5], NodeKind::Offsets)).unwrap());
        assert!(
            matches!(&next, Move::OpenInJob { parent, line: 3, .. } if *parent == more[5].record()),
            "{next:?}"
        );
    }
}
