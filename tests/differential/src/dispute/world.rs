//! All contracts in one world, up to a claim that somebody disputes.

use alloy_primitives::{Address, B256, Bytes, U256, address, keccak256};
use alloy_sol_types::{SolCall, SolEvent, SolValue};
use sworn_prover::Digest;

use super::abi;
use crate::{CALLER, Evm, Outcome};

/// Who claims, and answers openings.
pub const PROPOSER: Address = address!("00000000000000000000000000000000000badad");
/// Who disputes.
pub const CHALLENGER: Address = address!("000000000000000000000000000000000cafe000");

/// Wei a gas.
pub const BASE_FEE: u64 = 1_000_000_000;
/// Seconds of a block.
pub const BLOCK_SECONDS: u64 = 12;
/// W: seconds of a claim's window.
pub const WINDOW_SECONDS: u64 = 86_400;
/// C: seconds of each side's budget.
pub const BUDGET_SECONDS: u64 = 21_600;
/// g: seconds before the window's end from which on an opening carries a deposit.
pub const GRACE_SECONDS: u64 = 43_200;
/// Seconds after a claim's fall in which declarations are named.
pub const DECLARATION_SECONDS: u64 = 600;
/// The bond of a claim.
pub const BOND_WEI: u128 = 1_000_000_000_000_000_000;
/// Inputs of the epoch.
pub const INPUTS: u64 = 16;

/// A transaction of a dispute.
#[derive(Debug, Clone)]
pub struct Sent {
    /// What it did.
    pub what: String,
    /// Gas that it paid.
    pub gas: u64,
    /// Bytes of its data.
    pub calldata: usize,
    /// Gas if every byte of data had a floor of 64.
    pub gas_at_64: u64,
}

/// Addresses of the contracts.
#[derive(Debug, Clone, Copy)]
pub struct Contracts {
    /// `Models`.
    pub models: Address,
    /// `Inbox`.
    pub inbox: Address,
    /// `Claims`.
    pub claims: Address,
    /// `Challenges`.
    pub challenges: Address,
}

/// A chain with a model and sealed inputs.
#[derive(Debug)]
pub struct World {
    /// The machine.
    pub evm: Evm,
    /// The contracts.
    pub contracts: Contracts,
    /// The registered model.
    pub model_id: B256,
    /// The epoch of the inputs.
    pub epoch: u64,
    /// The inputs' accumulator.
    pub accumulator: B256,
    /// Of every input, in the lane's order.
    pub seeds: Vec<B256>,
    /// What was sent since the inputs were sealed.
    pub sent: Vec<Sent>,
    block: u64,
    time: u64,
}

impl World {
    /// Deploys everything, registers the model and seals [`INPUTS`] times the same input.
    ///
    /// # Panics
    /// The contracts refuse it.
    pub fn new(
        program: &[u8],
        weights_root: Digest,
        tokenizer_root: Digest,
        params: abi::Params,
        payload: &[u8],
    ) -> World {
        let inputs = vec![(params, payload.to_vec()); INPUTS as usize];
        World::asked(program, weights_root, tokenizer_root, &inputs)
    }

    /// Deploys everything, registers the model and seals the inputs: one lane.
    ///
    /// # Panics
    /// The contracts refuse it.
    pub fn asked(
        program: &[u8],
        weights_root: Digest,
        tokenizer_root: Digest,
        inputs: &[(abi::Params, Vec<u8>)],
    ) -> World {
        let mut evm = Evm::new();
        for account in [PROPOSER, CHALLENGER] {
            evm.fund(account, U256::from(1u128 << 100));
        }
        // Where bonds burn: on no public chain is it empty.
        evm.fund(Address::ZERO, U256::ONE);
        let contracts = deploy(&mut evm);
        let card = abi::Card {
            name: "shape".into(),
            version: "1".into(),
            license: "MIT".into(),
            licenseUri: String::new(),
            weightsUri: String::new(),
            parent: B256::ZERO,
        };
        let register = abi::registerCall {
            program: program.to_vec().into(),
            weightsRoot: weights_root.0.into(),
            tokenizerRoot: tokenizer_root.0.into(),
            card,
        };
        let outcome = evm
            .send(CALLER, contracts.models, U256::ZERO, register.abi_encode())
            .expect("registered");
        let model_id = B256::from_slice(&outcome.data);

        let mut world = World {
            evm,
            contracts,
            model_id,
            epoch: 0,
            accumulator: B256::ZERO,
            seeds: Vec::new(),
            sent: Vec::new(),
            block: 1000,
            time: 1_800_000_000,
        };
        for (params, payload) in inputs {
            let submit = abi::submitCall {
                modelId: model_id,
                params: params.clone(),
                payload: payload.clone().into(),
                recipient: CALLER,
            };
            let price = U256::from(1_000_000_000_000_000u64);
            world
                .evm
                .send(CALLER, contracts.inbox, price, submit.abi_encode())
                .expect("submitted");
        }
        let target = world.block + 1;
        let header = header(B256::repeat_byte(0x77));
        world.evm.set_block_hash(target, keccak256(&header));
        world.mine(2, 2);
        let seal = abi::sealCall {
            header,
            limit: U256::from(inputs.len()),
        };
        world.epoch = world.ask(contracts.inbox, &abi::currentEpochCall {});
        let outcome = world
            .evm
            .send(CALLER, contracts.inbox, U256::ZERO, seal.abi_encode())
            .expect("sealed");
        let sealed = outcome.logs.iter();
        world.seeds = sealed
            .filter_map(|log| abi::InputSealed::decode_log(log).ok())
            .map(|log| log.data.seed)
            .collect();
        world.accumulator = world.ask(
            contracts.inbox,
            &abi::accumulatorAtCall { epoch: world.epoch },
        );
        let end: u64 = world
            .ask(
                contracts.inbox,
                &abi::epochBoundsCall { epoch: world.epoch },
            )
            .endBlock
            .to();
        let blocks = end - world.block;
        world.mine(blocks, 12);
        world.evm.set_base_fee(BASE_FEE);
        world
    }

    /// Lets blocks and seconds pass.
    pub fn mine(&mut self, blocks: u64, seconds: u64) {
        self.block += blocks;
        self.time += seconds;
        self.evm.set_block(self.block, self.time);
    }

    /// Seconds of the current block.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.time
    }

    /// Takes seconds back, for what else could have happened then.
    pub fn back(&mut self, seconds: u64) {
        self.time -= seconds;
        self.evm.set_block(self.block, self.time);
    }

    /// Lets time pass so that the next transaction is in a block of that time.
    ///
    /// # Panics
    /// That time is too early.
    pub fn send_at(&mut self, seconds: u64) {
        let wait = seconds.checked_sub(self.time + BLOCK_SECONDS);
        self.mine(1, wait.expect("a time to come"));
    }

    /// Asks a view.
    ///
    /// # Panics
    /// It fails.
    pub fn ask<C: SolCall>(&mut self, to: Address, call: &C) -> C::Return {
        self.evm
            .ask(to, call)
            .unwrap_or_else(|err| panic!("{}: {err:?}", C::SIGNATURE))
            .0
    }

    /// Sends a transaction of the dispute, in a block of its own.
    ///
    /// # Panics
    /// It fails.
    pub fn send<C: SolCall>(
        &mut self,
        what: impl Into<String>,
        from: Address,
        to: Address,
        value: U256,
        call: &C,
    ) -> Outcome {
        self.send_data(what, from, to, value, call.abi_encode())
    }

    /// Sends a transaction with that data, in a block of its own.
    ///
    /// # Panics
    /// It fails.
    pub fn send_data(
        &mut self,
        what: impl Into<String>,
        from: Address,
        to: Address,
        value: U256,
        data: Vec<u8>,
    ) -> Outcome {
        self.mine(1, BLOCK_SECONDS);
        let (what, calldata) = (what.into(), data.len());
        let outcome = self
            .evm
            .send(from, to, value, data)
            .unwrap_or_else(|err| panic!("{what}: {err:?}"));
        self.sent.push(Sent {
            what,
            gas: outcome.gas,
            calldata,
            gas_at_64: outcome.gas.max(21_000 + 64 * calldata as u64),
        });
        outcome
    }

    /// Claims the lane.
    ///
    /// # Panics
    /// The contract refuses it.
    pub fn claim(&mut self, jobs: &[Digest]) -> B256 {
        let call = abi::claimCall {
            epoch: self.epoch,
            modelId: self.model_id,
            accumulator: self.accumulator,
            digests: jobs.iter().map(|job| B256::from(job.0)).collect(),
        };
        let claims = self.contracts.claims;
        let outcome = self.send("claim", PROPOSER, claims, U256::from(BOND_WEI), &call);
        B256::from_slice(&outcome.data)
    }
}

/// The one event of that type among the logs of an outcome.
///
/// # Panics
/// There is none.
pub fn event<E: SolEvent>(outcome: &Outcome) -> E {
    let found = outcome.logs.iter().find_map(|log| E::decode_log(log).ok());
    found
        .map(|log| log.data)
        .unwrap_or_else(|| panic!("no {}", E::SIGNATURE))
}

/// A block header of which only mixHash is filled: field 13.
fn header(mix_hash: B256) -> Bytes {
    let mut fields = vec![0x80; 13];
    fields.push(0xa0);
    fields.extend(mix_hash);
    let mut list = vec![0xc0 + fields.len() as u8];
    list.extend(fields);
    list.into()
}

fn deploy(evm: &mut Evm) -> Contracts {
    let mut nonce = 0;
    let mut next = || {
        nonce += 1;
        CALLER.create(nonce - 1)
    };
    let n = |value: u128| U256::from(value);
    let [
        models,
        fees,
        inbox,
        job,
        token,
        prompt,
        sums,
        attention,
        step,
        selection,
        faults,
        challenges,
        claims,
    ] = std::array::from_fn(|_| next());
    let steps: [(&str, Address, Vec<u8>); 13] = [
        ("Models", models, n(1).abi_encode()),
        (
            "FlatFees",
            fees,
            (
                inbox,
                claims,
                n(10_000_000_000_000),
                n(10_000_000_000_000),
                n(1_000_000_000),
            )
                .abi_encode(),
        ),
        (
            "Inbox",
            inbox,
            (models, fees, n(2), n(1), n(65_536)).abi_encode(),
        ),
        ("JobFaults", job, (models, inbox).abi_encode()),
        ("TokenFaults", token, models.abi_encode()),
        ("PromptFaults", prompt, inbox.abi_encode()),
        ("SumFaults", sums, models.abi_encode()),
        ("AttentionFaults", attention, models.abi_encode()),
        ("StepFaults", step, (models, sums, attention).abi_encode()),
        ("SelectionFaults", selection, (models, inbox).abi_encode()),
        (
            "Faults",
            faults,
            (job, token, prompt, step, attention, selection).abi_encode(),
        ),
        (
            "Challenges",
            challenges,
            (
                claims,
                inbox,
                faults,
                n(BUDGET_SECONDS.into()),
                n(GRACE_SECONDS.into()),
                n(DECLARATION_SECONDS.into()),
            )
                .abi_encode(),
        ),
        (
            "Claims",
            claims,
            (
                inbox,
                fees,
                challenges,
                n(BOND_WEI),
                n(WINDOW_SECONDS.into()),
                n(172_800),
            )
                .abi_encode(),
        ),
    ];
    for (name, address, arguments) in steps {
        let made = evm
            .deploy_artifact(name, &arguments)
            .unwrap_or_else(|err| panic!("{name}: {err:?}"));
        assert_eq!(made, address, "address of {name}");
    }
    Contracts {
        models,
        inbox,
        claims,
        challenges,
    }
}
