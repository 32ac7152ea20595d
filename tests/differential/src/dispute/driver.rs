//! A dispute, move by move: a challenger opens along a path, the liar reveals, the challenger proves.

use alloy_primitives::{B256, Bytes, U256};
use alloy_sol_types::SolCall;
use sworn_prover::Digest;
use sworn_prover::constants::CONTENT_LEVELS;
use sworn_prover::dispute::position::{NodeKind, Position};
use sworn_prover::dispute::shape::{levels_down, levels_in_job};
use sworn_prover::dispute::strategy::goes_on;
use sworn_prover::merkle::Tree;

use super::abi::{self, Job, Record};
use super::sparse::SparseTree;
use super::world::{CHALLENGER, PROPOSER, World, event};

/// A standing claim whose jobs may be opened.
#[derive(Debug)]
pub struct Dispute<'w> {
    /// Where it happens.
    pub world: &'w mut World,
    /// The claim.
    pub claim_id: B256,
    /// The disputed job.
    pub job: Job,
    /// Openings with their reveals.
    pub rounds: u32,
    /// Lines that were begun.
    pub lines: u16,
}

/// A liar's tree with the bytes of its known leaves.
pub struct LiarTree {
    /// The digests.
    pub tree: SparseTree,
    /// Bytes of the leaves of a content node: of those that it has.
    pub leaves: Box<dyn Fn(u64) -> Vec<u8>>,
}

impl std::fmt::Debug for LiarTree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LiarTree of depth {}", self.tree.depth())
    }
}

fn words(digests: &[Digest]) -> Vec<B256> {
    digests.iter().map(|digest| B256::from(digest.0)).collect()
}

fn word(position: Position) -> U256 {
    U256::from_be_bytes(position.to_word())
}

impl Dispute<'_> {
    /// Opens the job of lane 0 of the claim's `jobs` and has it revealed, with the digests below its trace.
    pub fn open_job(&mut self, jobs: &[Digest], trace: &SparseTree) -> Record {
        let path = Tree::new(jobs.to_vec()).path(0).expect("a first job");
        let position = Position::tree(NodeKind::Job, 0, 0, 0, 0);
        let none = Record::default();
        let (gas, extra) = self.quote(&none, position);
        let call = abi::openCall {
            claimId: self.claim_id,
            parent: none,
            position: word(position),
            value: jobs[0].0.into(),
            path: words(&path),
            line: 0,
        };
        self.lines = 1;
        let record = self.opened("open job", self.price(gas, extra), &call);
        let levels = levels_in_job(trace.depth(), 1);
        let call = abi::revealJobCall {
            claimId: self.claim_id,
            record,
            job: self.job.clone(),
            digests: words(&trace.children(trace.depth(), 0, levels)),
            signature: Bytes::new(),
        };
        self.revealed("reveal job", &call)
    }

    /// The line of a node under a record of the challenger: the record's, or a new one.
    fn line(&mut self, parent: &Record, child: NodeKind) -> u16 {
        let word = parent.position.to_be_bytes::<32>();
        let above = Position::from_word(&word).expect("a position").kind;
        if goes_on(above, child) {
            return (parent.times & U256::from(u16::MAX)).to();
        }
        self.lines += 1;
        self.lines - 1
    }

    /// Opens posted contents under a node, the job included.
    pub fn open_posted(&mut self, parent: &Record, position: Position, contents: &[u8]) -> Record {
        let in_job = parent.position == word(Position::tree(NodeKind::Job, 0, 0, 0, 0));
        let what = format!("{:?}", position.kind).to_lowercase();
        let record = if in_job {
            self.open_in_job(parent, position, Digest::ZERO, &[])
        } else {
            let (gas, extra) = self.quote(parent, position);
            let line = self.line(parent, position.kind);
            let call = abi::openCall {
                claimId: self.claim_id,
                parent: parent.clone(),
                position: word(position),
                value: B256::ZERO,
                path: Vec::new(),
                line,
            };
            self.opened(format!("open {what}"), self.price(gas, extra), &call)
        };
        let call = abi::revealPostedCall {
            claimId: self.claim_id,
            record,
            contents: contents.to_vec().into(),
            signature: Bytes::new(),
        };
        self.revealed(format!("reveal {what}"), &call)
    }

    /// Descends a run's tree from the job over leaf `index` until digests at or below height `to` are known, or, with 0, to a content node, whose leaves are
    /// revealed. Gives the nodes, the last first.
    pub fn descend(
        &mut self,
        job: &Record,
        kind: NodeKind,
        tree: &LiarTree,
        index: u64,
        to: u32,
    ) -> Vec<Record> {
        let what = format!("{kind:?}").to_lowercase();
        let content = CONTENT_LEVELS as u32;
        let mut height = tree.tree.depth();
        let levels = match kind {
            NodeKind::Trace => levels_in_job(height, 1),
            _ => 0,
        };
        height -= levels;
        let position = |height: u32| Position::tree(kind, 0, 0, height as u8, index >> height);
        let mut path = Vec::new();
        if height <= to {
            return path;
        }
        let top = tree.tree.node(height, index >> height);
        let siblings = tree.tree.path(height, index >> height, height + levels);
        let mut record = self.open_in_job(job, position(height), top, &siblings);
        loop {
            let node = index >> height;
            if height <= content {
                let first = node << height;
                let leaves = (first..first + (1 << height))
                    .filter(|leaf| tree.tree.node(0, *leaf) != Digest::ZERO)
                    .map(|leaf| (tree.leaves)(leaf).into())
                    .collect();
                let call = abi::revealLeavesCall {
                    claimId: self.claim_id,
                    record,
                    leaves,
                };
                path.insert(0, self.revealed(format!("reveal {what} leaves"), &call));
                return path;
            }
            let levels = levels_down(height - content);
            let call = abi::revealDigestsCall {
                claimId: self.claim_id,
                record,
                digests: words(&tree.tree.children(height, node, levels)),
            };
            record = self.revealed(format!("reveal {what}, {levels} levels"), &call);
            height -= levels;
            path.insert(0, record.clone());
            if height <= to {
                return path;
            }
            let (gas, extra) = self.quote(&record, position(height));
            let line = self.line(&record, kind);
            let call = abi::openCall {
                claimId: self.claim_id,
                parent: record,
                position: word(position(height)),
                value: tree.tree.node(height, index >> height).0.into(),
                path: words(&tree.tree.path(height, index >> height, height + levels)),
                line,
            };
            record = self.opened(format!("open {what}"), self.price(gas, extra), &call);
        }
    }

    /// Proves a fault and settles. `path` is the node and its parent.
    pub fn convict(&mut self, path: &[Record], fault: u8, witness: Vec<u8>) {
        let challenges = self.world.contracts.challenges;
        let call = abi::proveCall {
            claimId: self.claim_id,
            path: path.to_vec(),
            job: self.job.clone(),
            fault,
            witness: witness.into(),
            salt: B256::ZERO,
        };
        let outcome = self.world.send(
            format!("prove fault {fault}"),
            CHALLENGER,
            challenges,
            U256::ZERO,
            &call,
        );
        let proven: abi::Proven = event(&outcome);
        self.world.mine(100, 1200);
        let call = abi::settleCall {
            claimId: self.claim_id,
            verdict: proven.verdict,
        };
        self.world
            .send("settle", CHALLENGER, challenges, U256::ZERO, &call);
    }

    fn open_in_job(
        &mut self,
        parent: &Record,
        position: Position,
        value: Digest,
        path: &[Digest],
    ) -> Record {
        let line = self.line(parent, position.kind);
        let what = format!("open {:?}", position.kind).to_lowercase();
        let quote = abi::quoteOpenInJobCall {
            claimId: self.claim_id,
            parent: parent.clone(),
            job: self.job.clone(),
            position: word(position),
        };
        let price = self.world.ask(self.world.contracts.challenges, &quote);
        let call = abi::openInJobCall {
            claimId: self.claim_id,
            parent: parent.clone(),
            job: self.job.clone(),
            position: word(position),
            value: value.0.into(),
            path: words(path),
            line,
        };
        self.opened(what, self.price(price.gas_, price.extraWei), &call)
    }

    fn quote(&mut self, parent: &Record, position: Position) -> (U256, U256) {
        let call = abi::quoteOpenCall {
            claimId: self.claim_id,
            parent: parent.clone(),
            position: word(position),
        };
        let price = self.world.ask(self.world.contracts.challenges, &call);
        (price.gas_, price.extraWei)
    }

    /// The prepayment, for a base fee of 1 gwei.
    fn price(&self, gas: U256, extra: U256) -> U256 {
        gas * U256::from(10_000_000_000u64) + extra
    }

    fn opened<C: SolCall>(&mut self, what: impl Into<String>, value: U256, call: &C) -> Record {
        let challenges = self.world.contracts.challenges;
        let outcome = self.world.send(what, CHALLENGER, challenges, value, call);
        event::<abi::Opened>(&outcome).record
    }

    fn revealed<C: SolCall>(&mut self, what: impl Into<String>, call: &C) -> Record {
        let challenges = self.world.contracts.challenges;
        let outcome = self
            .world
            .send(what, PROPOSER, challenges, U256::ZERO, call);
        self.rounds += 1;
        event::<abi::Revealed>(&outcome).record
    }
}
