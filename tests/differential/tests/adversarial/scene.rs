//! Accounts that claim, open, reveal and prove by real transactions, and what each paid.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::{SolCall, SolValue};
use sworn_differential::dispute::abi::{self, Record, Verdict};
use sworn_differential::dispute::world::{BASE_FEE, BOND_WEI, World, event};
use sworn_differential::{Failure, Outcome};
use sworn_prover::Digest;
use sworn_prover::dispute::contents::{Contents, claim_tree, published};
use sworn_prover::dispute::lie::Liar;
use sworn_prover::dispute::own::OwnResults;
use sworn_prover::dispute::position::{NodeKind, Position};
use sworn_prover::dispute::results::LaneResults;
use sworn_prover::dispute::strategy::{ClaimView, Move, NodeView, goes_on, next};

/// What an account has before it does anything.
pub(crate) const WEALTH: u128 = 1 << 100;
pub(crate) const BOND: u128 = BOND_WEI;

/// A claim with all that anybody knows of it from events.
pub(crate) struct Claimed {
    pub(crate) id: B256,
    pub(crate) proposer: Address,
    pub(crate) view: ClaimView,
    jobs: u32,
    pub(crate) records: HashMap<Digest, Record>,
    pub(crate) window_end: u64,
    /// The lowest node of each line, by its owner and number.
    pub(crate) lowest: BTreeMap<(Address, u16), Digest>,
}

/// Whose line a node is in, and its number.
pub(crate) fn line(record: &Record) -> (Address, u16) {
    let word = record.times.to_be_bytes::<32>();
    let number = u16::from_be_bytes([word[30], word[31]]);
    (Address::from_slice(&word[..20]), number)
}

impl Claimed {
    /// What an account sees to that goes by its own lines.
    pub(crate) fn lines_of(&self, account: Address) -> ClaimView {
        let root = self.view.root();
        let Some(Contents::Digests(digests)) = &root.contents else {
            panic!("a claim without digests")
        };
        let mut view = ClaimView::new(self.jobs, root.value, digests.clone());
        for node in self.view.nodes() {
            if line(&self.records[&node.key]).0 == account {
                view.put(node.clone());
            }
        }
        view
    }

    /// The line that an account opens a node in.
    fn line_for(&self, from: Address, parent: Digest, act: How, child: NodeKind) -> u16 {
        if let (How::GoingOn, Some(record)) = (act, self.records.get(&parent)) {
            let above = self.view.node(parent).unwrap().position.kind;
            let (owner, number) = line(record);
            if owner == from && goes_on(above, child) {
                return number;
            }
        }
        let own = self.lowest.keys().filter(|(owner, _)| *owner == from);
        own.count() as u16
    }
}

/// Whether an opening takes its parent's place where a challenger's would.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    GoingOn,
    Beside,
}

/// What an account paid in gas.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Purse {
    pub(crate) gas: u64,
    pub(crate) largest: u64,
}

/// How a claim fell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    Proven(u8),
    Expired,
}

/// A fallen claim.
pub(crate) struct Fallen {
    pub(crate) end: End,
    pub(crate) verdict: Verdict,
}

/// What a challenger's next move came to.
pub(crate) enum Step {
    Opened(Digest),
    Waits(Digest),
    Fell(Box<Fallen>),
    Acquitted,
}

/// A chain with its accounts.
pub(crate) struct Scene {
    pub(crate) world: World,
    purses: HashMap<Address, Purse>,
}

fn digest(word: B256) -> Digest {
    Digest(word.0)
}

pub(crate) fn word(digest: Digest) -> B256 {
    B256::from(digest.0)
}

fn words(digests: &[Digest]) -> Vec<B256> {
    digests.iter().copied().map(word).collect()
}

fn number(position: &Position) -> U256 {
    U256::from_be_bytes(position.to_word())
}

impl Scene {
    pub(crate) fn new(world: World) -> Scene {
        Scene {
            world,
            purses: HashMap::new(),
        }
    }

    /// The account with a name.
    pub(crate) fn account(&mut self, name: &str) -> Address {
        let account = Address::from_word(keccak256(name));
        if let Entry::Vacant(purse) = self.purses.entry(account) {
            purse.insert(Purse::default());
            self.world.evm.fund(account, U256::from(WEALTH));
        }
        account
    }

    pub(crate) fn purse(&self, account: Address) -> Purse {
        self.purses[&account]
    }

    /// What an account has more than it had at first.
    pub(crate) fn gain(&mut self, account: Address) -> i128 {
        let balance = self.world.evm.balance(account).to::<u128>();
        balance as i128 - WEALTH as i128
    }

    pub(crate) fn burned(&mut self) -> u128 {
        self.world.evm.balance(Address::ZERO).to::<u128>() - 1
    }

    pub(crate) fn send<C: SolCall>(
        &mut self,
        from: Address,
        to: Address,
        value: U256,
        call: &C,
    ) -> Outcome {
        self.send_data(C::SIGNATURE, from, to, value, call.abi_encode())
    }

    fn send_data(
        &mut self,
        what: &str,
        from: Address,
        to: Address,
        value: U256,
        data: Vec<u8>,
    ) -> Outcome {
        let outcome = self.world.send_data(what, from, to, value, data);
        if let Some(purse) = self.purses.get_mut(&from) {
            purse.gas += outcome.gas;
            purse.largest = purse.largest.max(outcome.gas);
        }
        outcome
    }

    /// Sends what must revert.
    pub(crate) fn refused<C: SolCall>(
        &mut self,
        from: Address,
        to: Address,
        value: U256,
        call: &C,
    ) -> Failure {
        let sent = self.world.evm.send(from, to, value, call.abi_encode());
        sent.map(|_| ()).expect_err(C::SIGNATURE)
    }

    /// Sends an opening that must revert.
    pub(crate) fn refused_opening(&mut self, from: Address, opening: &Opening) -> Failure {
        let challenges = self.world.contracts.challenges;
        match opening {
            Opening::Under(call, price) => self.refused(from, challenges, *price, call),
            Opening::InJob(call, price) => self.refused(from, challenges, *price, call),
        }
    }

    pub(crate) fn claim(&mut self, proposer: Address, results: &mut dyn LaneResults) -> Claimed {
        let root = claim_tree(results).unwrap().root();
        let digests = published(results).unwrap();
        self.claim_digests(proposer, results.jobs(), root, &digests)
    }

    /// Claims digests that need not stand for anything.
    pub(crate) fn claim_digests(
        &mut self,
        proposer: Address,
        jobs: u32,
        root: Digest,
        digests: &[Digest],
    ) -> Claimed {
        let view = ClaimView::new(jobs, root, digests.to_vec());
        let call = abi::claimCall {
            epoch: self.world.epoch,
            modelId: self.world.model_id,
            accumulator: self.world.accumulator,
            digests: words(digests),
        };
        let claims = self.world.contracts.claims;
        let outcome = self.send(proposer, claims, U256::from(BOND), &call);
        let id = B256::from_slice(&outcome.data);
        let facts = self.world.ask(claims, &abi::factsOfCall { claimId: id });
        assert_eq!(digest(facts.root), view.root().value);
        Claimed {
            id,
            proposer,
            view,
            jobs,
            records: HashMap::new(),
            window_end: facts.windowEnd,
            lowest: BTreeMap::new(),
        }
    }

    /// Whether the claim stands, is final, fell, or is superseded: 1 to 4.
    pub(crate) fn status(&mut self, claimed: &Claimed) -> u8 {
        let call = abi::factsOfCall {
            claimId: claimed.id,
        };
        self.world.ask(self.world.contracts.claims, &call).status
    }

    /// The transaction of an opening and its price.
    pub(crate) fn opening(
        &mut self,
        claimed: &Claimed,
        from: Address,
        how: How,
        act: &Move,
    ) -> Opening {
        let Move::Open {
            parent,
            position,
            value,
            path,
        } = act
        else {
            panic!("{act:?}")
        };
        let challenges = self.world.contracts.challenges;
        let above = claimed.view.node(*parent).unwrap();
        let record = claimed.records.get(parent).cloned().unwrap_or_default();
        let line = claimed.line_for(from, *parent, how, position.kind);
        let price = |gas: U256, extra: U256| gas * U256::from(10 * BASE_FEE) + extra;
        if above.position.kind == NodeKind::Job && *parent != Digest::ZERO {
            let job = abi_job(above);
            let quote = abi::quoteOpenInJobCall {
                claimId: claimed.id,
                parent: record.clone(),
                job: job.clone(),
                position: number(position),
            };
            let quoted = self.world.ask(challenges, &quote);
            let call = abi::openInJobCall {
                claimId: claimed.id,
                parent: record,
                job,
                position: number(position),
                value: word(*value),
                path: words(path),
                line,
            };
            return Opening::InJob(call, price(quoted.gas_, quoted.extraWei));
        }
        let quote = abi::quoteOpenCall {
            claimId: claimed.id,
            parent: record.clone(),
            position: number(position),
        };
        let quoted = self.world.ask(challenges, &quote);
        let call = abi::openCall {
            claimId: claimed.id,
            parent: record,
            position: number(position),
            value: word(*value),
            path: words(path),
            line,
        };
        Opening::Under(call, price(quoted.gas_, quoted.extraWei))
    }

    /// Opens a node as a challenger does; gives its key.
    pub(crate) fn open(&mut self, claimed: &mut Claimed, from: Address, act: &Move) -> Digest {
        self.open_so(claimed, from, How::GoingOn, act)
    }

    /// Opens a node; gives its key.
    pub(crate) fn open_so(
        &mut self,
        claimed: &mut Claimed,
        from: Address,
        how: How,
        act: &Move,
    ) -> Digest {
        let opening = self.opening(claimed, from, how, act);
        let challenges = self.world.contracts.challenges;
        let outcome = match &opening {
            Opening::Under(call, price) => self.send(from, challenges, *price, call),
            Opening::InJob(call, price) => self.send(from, challenges, *price, call),
        };
        let opened: abi::Opened = event(&outcome);
        let key = digest(opened.key);
        let Move::Open {
            parent,
            position,
            value,
            ..
        } = act
        else {
            panic!("{act:?}")
        };
        claimed.view.put(NodeView {
            key,
            parent: *parent,
            position: *position,
            value: *value,
            contents: None,
        });
        claimed.lowest.insert(line(&opened.record), key);
        claimed.records.insert(key, opened.record);
        key
    }

    /// The call of a reveal.
    pub(crate) fn revealing(claimed: &Claimed, key: Digest, contents: &Contents) -> Vec<u8> {
        let (claim, record) = (claimed.id, claimed.records[&key].clone());
        match contents {
            Contents::Digests(digests) => abi::revealDigestsCall {
                claimId: claim,
                record,
                digests: words(digests),
            }
            .abi_encode(),
            Contents::Leaves(leaves) => abi::revealLeavesCall {
                claimId: claim,
                record,
                leaves: leaves.iter().map(|leaf| leaf.clone().into()).collect(),
            }
            .abi_encode(),
            Contents::Job(job, digests) => abi::revealJobCall {
                claimId: claim,
                record,
                job: abi::Job::abi_decode(&job.abi_encode()).unwrap(),
                digests: words(digests),
                signature: Bytes::new(),
            }
            .abi_encode(),
            Contents::Posted(bytes) => abi::revealPostedCall {
                claimId: claim,
                record,
                contents: bytes.clone().into(),
                signature: Bytes::new(),
            }
            .abi_encode(),
        }
    }

    /// Reveals a node; gives the transaction's gas.
    pub(crate) fn reveal(
        &mut self,
        claimed: &mut Claimed,
        from: Address,
        key: Digest,
        contents: &Contents,
    ) -> u64 {
        let data = Scene::revealing(claimed, key, contents);
        let outcome = self.send_data(
            "reveal",
            from,
            self.world.contracts.challenges,
            U256::ZERO,
            data,
        );
        let revealed: abi::Revealed = event(&outcome);
        let mut node = claimed.view.node(key).unwrap().clone();
        // The transaction says what the event need not.
        assert!(revealed.contents.is_empty());
        node.contents = Some(contents.clone());
        claimed.view.put(node);
        claimed.records.insert(key, revealed.record);
        outcome.gas
    }

    /// The call of a proof.
    pub(crate) fn proof(
        claimed: &Claimed,
        node: Digest,
        fault: u8,
        witness: &[u8],
    ) -> abi::proveCall {
        let shown = claimed.view.node(node).unwrap();
        let record = |key| claimed.records[&key].clone();
        let mut path = vec![record(node)];
        let mut job = shown;
        while job.position.kind != NodeKind::Job {
            job = claimed.view.node(job.parent).unwrap();
        }
        // Of posted contents the parent is judged too.
        if !shown.position.kind.is_tree() && shown.key != job.key {
            path.push(record(shown.parent));
        }
        abi::proveCall {
            claimId: claimed.id,
            path,
            job: abi_job(job),
            fault,
            witness: witness.to_vec().into(),
            salt: B256::ZERO,
        }
    }

    /// Makes the challenger's next move. Nothing is waited for.
    pub(crate) fn step(
        &mut self,
        claimed: &mut Claimed,
        challenger: Address,
        own: &mut OwnResults,
    ) -> Step {
        let act = next(&claimed.lines_of(challenger), own).unwrap();
        self.act(claimed, challenger, act)
    }

    /// Makes a move.
    pub(crate) fn act(&mut self, claimed: &mut Claimed, challenger: Address, act: Move) -> Step {
        match act {
            Move::Open { .. } => Step::Opened(self.open(claimed, challenger, &act)),
            Move::Prove {
                node,
                fault,
                witness,
            } => {
                let call = Scene::proof(claimed, node, fault, &witness);
                let challenges = self.world.contracts.challenges;
                let outcome = self.send(challenger, challenges, U256::ZERO, &call);
                Step::Fell(Box::new(Fallen {
                    end: End::Proven(fault),
                    verdict: event::<abi::Proven>(&outcome).verdict,
                }))
            }
            Move::Wait { node } => Step::Waits(node),
            Move::Nothing => Step::Acquitted,
        }
    }

    /// The liar's answer to an opening, if it has one.
    pub(crate) fn answer(&mut self, claimed: &mut Claimed, key: Digest, liar: &mut Liar) -> bool {
        let position = claimed.view.node(key).unwrap().position;
        match liar.reveal(&position).unwrap() {
            Some(contents) => {
                self.reveal(claimed, claimed.proposer, key, &contents);
                true
            }
            None => false,
        }
    }

    /// Disputes until the claim falls or its proposer is silent; then the node that waits.
    pub(crate) fn dispute(
        &mut self,
        claimed: &mut Claimed,
        challenger: Address,
        own: &mut OwnResults,
        liar: &mut Liar,
    ) -> Result<Fallen, Digest> {
        loop {
            match self.step(claimed, challenger, own) {
                Step::Opened(key) => {
                    if !self.answer(claimed, key, liar) {
                        return Err(key);
                    }
                }
                Step::Fell(fallen) => return Ok(*fallen),
                Step::Waits(key) => return Err(key),
                Step::Acquitted => panic!("a liar was acquitted"),
            }
        }
    }

    /// Lets a claim fall by a node that was not revealed.
    pub(crate) fn expire(&mut self, claimed: &Claimed, from: Address, key: Digest) -> Fallen {
        let call = abi::expireCall {
            claimId: claimed.id,
            record: claimed.records[&key].clone(),
        };
        let outcome = self.send(from, self.world.contracts.challenges, U256::ZERO, &call);
        Fallen {
            end: End::Expired,
            verdict: event::<abi::Expired>(&outcome).verdict,
        }
    }

    /// Ends a fallen claim and gives every owner what is left of its other lines.
    pub(crate) fn settle(&mut self, claimed: &Claimed, from: Address, verdict: Verdict) {
        let challenges = self.world.contracts.challenges;
        let paid = line(&verdict.culprit);
        let call = abi::settleCall {
            claimId: claimed.id,
            verdict,
        };
        self.send(from, challenges, U256::ZERO, &call);
        self.reclaim(claimed, from, Some(paid));
    }

    /// Reclaims all lines but one: of a fallen claim each owner its own.
    pub(crate) fn reclaim(
        &mut self,
        claimed: &Claimed,
        from: Address,
        but: Option<(Address, u16)>,
    ) {
        let has_fallen = self.status(claimed) == 3;
        for ((owner, _), key) in claimed
            .lowest
            .iter()
            .filter(|(line, _)| Some(**line) != but)
        {
            let from = if has_fallen { *owner } else { from };
            let call = abi::reclaimCall {
                claimId: claimed.id,
                record: claimed.records[key].clone(),
            };
            self.send(from, self.world.contracts.challenges, U256::ZERO, &call);
        }
    }

    /// Pays an account out, of both contracts.
    pub(crate) fn withdraw(&mut self, account: Address) {
        for contract in [self.world.contracts.challenges, self.world.contracts.claims] {
            let owed: U256 = self.world.ask(contract, &abi::balanceOfCall { account });
            if !owed.is_zero() {
                self.send(
                    account,
                    contract,
                    U256::ZERO,
                    &abi::withdrawCall { to: account },
                );
            }
        }
    }

    /// Waits until a claim can be final, and makes it so.
    pub(crate) fn finalise(&mut self, claimed: &Claimed, from: Address) {
        let call = abi::finaliseCall {
            claimId: claimed.id,
        };
        self.send(from, self.world.contracts.claims, U256::ZERO, &call);
        assert_eq!(self.status(claimed), 2);
    }

    /// What the challenges contract holds.
    pub(crate) fn held(&mut self) -> U256 {
        self.world.evm.balance(self.world.contracts.challenges)
    }
}

/// An opening, ready to be sent with its price.
pub(crate) enum Opening {
    Under(abi::openCall, U256),
    InJob(abi::openInJobCall, U256),
}

/// The job that a revealed node holds.
pub(crate) fn abi_job(node: &NodeView) -> abi::Job {
    let job = node.job().expect("a revealed job");
    abi::Job::abi_decode(&job.abi_encode()).unwrap()
}

/// Wei as ether, signed.
pub(crate) fn ether(wei: i128) -> String {
    format!("{:+.6}", wei as f64 / 1e18)
}
