//! The judges in an EVM, and trees of which only a few leaves are known.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256, address};
use alloy_sol_types::SolCall;
use sworn_differential::{Evm, Failure, Outcome};
use sworn_prover::Digest;
use sworn_prover::Error;
use sworn_prover::dispute::abi::{Case, IFaults, Job, Node, Run};
use sworn_prover::dispute::parts;
use sworn_prover::dispute::position::{NodeKind, Position};
use sworn_prover::dispute::source::{TraceSource, WeightSource};
use sworn_prover::dispute::trace::{TraceLayout, program_code};
use sworn_prover::merkle;

const MODELS: Address = address!("00000000000000000000000000000000000000aa");
const CODE: Address = address!("00000000000000000000000000000000000000bb");
pub(crate) const ATTENTION: Address = address!("00000000000000000000000000000000000000cc");

/// The contracts, and one model.
pub(crate) struct World {
    pub evm: Evm,
    pub judge: Address,
}

impl World {
    pub(crate) fn new() -> World {
        let mut evm = Evm::new();
        let word = |account: Address| account.into_word().to_vec();
        let sums = evm.deploy_artifact("SumFaults", &word(MODELS)).unwrap();
        let arguments = [word(MODELS), word(sums), word(ATTENTION)].concat();
        let judge = evm.deploy_artifact("StepFaults", &arguments).unwrap();
        // A judge of attention that refuses everything.
        evm.set_code(ATTENTION, vec![0x5f, 0x5f, 0xfd].into());
        World { evm, judge }
    }

    /// Registers the one model: a contract that answers every call with its three commitments.
    pub(crate) fn set_model(&mut self, program: &[u8], weights_root: Digest) {
        self.evm
            .set_code(CODE, program_code(program).unwrap().into());
        let mut code = vec![0x73];
        code.extend(CODE.0.0);
        code.extend([0x5f, 0x52, 0x7f]);
        code.extend(weights_root.0);
        code.extend([
            0x60, 0x20, 0x52, 0x5f, 0x60, 0x40, 0x52, 0x60, 0x60, 0x5f, 0xf3,
        ]);
        self.evm.set_code(MODELS, code.into());
    }

    /// The verdict, and what it cost as a transaction of its own.
    pub(crate) fn judge(
        &mut self,
        case: &Case,
        fault: u8,
        witness: &[u8],
    ) -> Result<(bool, Outcome, Vec<u8>), Failure> {
        let call = IFaults::isFaultCall {
            c: case.clone(),
            fault,
            witness: witness.to_vec().into(),
        };
        let data = call.abi_encode();
        let outcome = self.evm.call(self.judge, data.clone())?;
        let verdict = IFaults::isFaultCall::abi_decode_returns(&outcome.data)
            .map_err(|error| Failure::Halt(error.to_string()))?;
        Ok((verdict, outcome, data))
    }

    pub(crate) fn verdict(
        &mut self,
        case: &Case,
        fault: u8,
        witness: &[u8],
    ) -> Result<bool, Failure> {
        self.judge(case, fault, witness)
            .map(|(verdict, ..)| verdict)
    }
}

/// A tree of which some leaves are known; all other nodes are made up from a seed.
#[derive(Debug, Clone)]
pub(crate) struct Sparse {
    pub depth: u32,
    seed: u64,
    leaves: BTreeMap<u64, Vec<u8>>,
}

impl Sparse {
    pub(crate) fn new(depth: u32, seed: u64) -> Sparse {
        Sparse {
            depth,
            seed,
            leaves: BTreeMap::new(),
        }
    }

    pub(crate) fn put(&mut self, index: u64, bytes: Vec<u8>) {
        self.leaves.insert(index, bytes);
    }

    pub(crate) fn get(&self, index: u64) -> Option<&Vec<u8>> {
        self.leaves.get(&index)
    }

    pub(crate) fn node(&self, height: u32, index: u64) -> Digest {
        let first = index << height;
        let last = first + ((1u64 << height) - 1);
        if self.leaves.range(first..=last).next().is_none() {
            let name = [self.seed, u64::from(height), index].map(u64::to_le_bytes);
            return Digest::of(&name.concat());
        }
        match height {
            0 => Digest::of(&self.leaves[&index]),
            _ => Digest::of_pair(
                self.node(height - 1, 2 * index),
                self.node(height - 1, 2 * index + 1),
            ),
        }
    }

    pub(crate) fn path(&self, index: u64, from: u32, to: u32) -> Vec<Digest> {
        (from..to)
            .map(|height| self.node(height, (index >> height) ^ 1))
            .collect()
    }
}

fn missing(what: &'static str, found: u64) -> Error {
    Error::IndexOutOfRange {
        what,
        found,
        expected: 0,
    }
}

/// A trace with few leaves.
#[derive(Debug, Clone)]
pub(crate) struct FakeTrace {
    pub layout: TraceLayout,
    pub tree: Sparse,
}

impl FakeTrace {
    pub(crate) fn new(layout: &TraceLayout, rows: u32, seed: u64) -> FakeTrace {
        FakeTrace {
            layout: layout.clone(),
            tree: Sparse::new(layout.depth(rows), seed),
        }
    }

    pub(crate) fn put(&mut self, row: u32, leaf: u32, bytes: Vec<u8>) {
        self.tree.put(self.layout.index(row, leaf), bytes);
    }

    pub(crate) fn root(&self) -> Digest {
        self.tree.node(self.tree.depth, 0)
    }
}

impl TraceSource for FakeTrace {
    fn leaf(&mut self, row: u32, leaf: u32) -> Result<Vec<u8>, Error> {
        let index = self.layout.index(row, leaf);
        self.tree
            .get(index)
            .cloned()
            .ok_or(missing("made-up leaf", index))
    }

    fn leaf_path(&mut self, row: u32, leaf: u32) -> Result<Vec<Digest>, Error> {
        Ok(self
            .tree
            .path(self.layout.index(row, leaf), 0, self.layout.row_depth()))
    }

    fn row(&mut self, row: u32) -> Result<(Digest, Vec<Digest>), Error> {
        let base = self.layout.row_depth();
        let index = u64::from(row) << base;
        Ok((
            self.tree.node(base, row.into()),
            self.tree.path(index, base, self.tree.depth),
        ))
    }
}

/// Weights with few leaves, all of one tensor.
#[derive(Debug, Clone)]
pub(crate) struct FakeWeights {
    pub tree: Sparse,
    pub tensor: u32,
    pub tile_depth: u32,
    pub depth: u32,
}

impl FakeWeights {
    pub(crate) fn new(
        layout: &TraceLayout,
        tensor: u32,
        rows: u32,
        cols: u32,
        seed: u64,
    ) -> FakeWeights {
        let tile_depth = merkle::depth(cols.div_ceil(256).into());
        let depth = tile_depth + merkle::depth(rows.into());
        let tensors = layout.program().weight_count() as u64;
        FakeWeights {
            tree: Sparse::new(depth + merkle::depth(tensors), seed),
            tensor,
            tile_depth,
            depth,
        }
    }

    pub(crate) fn index(&self, row: u32, tile: u32) -> u64 {
        (u64::from(self.tensor) << self.depth)
            | (u64::from(row) << self.tile_depth)
            | u64::from(tile)
    }

    pub(crate) fn root(&self) -> Digest {
        self.tree.node(self.tree.depth, 0)
    }
}

impl WeightSource for FakeWeights {
    fn leaf(&self, _tensor: u32, row: u32, tile: u32) -> Result<Vec<u8>, Error> {
        let index = self.index(row, tile);
        self.tree
            .get(index)
            .cloned()
            .ok_or(missing("made-up weight leaf", index))
    }

    fn path(&self, _tensor: u32, row: u32, tile: u32) -> Result<Vec<Digest>, Error> {
        Ok(self.tree.path(self.index(row, tile), 0, self.tree.depth))
    }
}

/// A run of a job: where it is, and its tokens.
#[derive(Debug, Clone)]
pub(crate) struct RunOf {
    pub lane: u32,
    pub run: u8,
    pub tokens: Vec<u32>,
    pub n_prompt: u32,
}

impl RunOf {
    /// A node of the run's trace.
    pub(crate) fn trace_node(&self, height: u32, index: u64, value: Digest) -> Node {
        let position =
            Position::tree(NodeKind::Trace, self.lane, self.run, height as u8, index).to_word();
        node(position, value)
    }

    /// A node of totals.
    pub(crate) fn totals_node(&self, row: u32, step: u32, element: u32, contents: &[u8]) -> Node {
        let position = Position {
            kind: NodeKind::Totals,
            lane: self.lane,
            run: self.run,
            height: 0,
            index: row.into(),
            a: step,
            b: element,
            c: 0,
        };
        node(position.to_word(), parts::digest(&position, contents))
    }

    /// The case of a node of the run.
    pub(crate) fn case(&self, trace_root: Digest, node: Node, parent: Node) -> Case {
        let count = usize::from(self.run) + 1;
        let run = Run {
            nPrompt: self.n_prompt,
            nTokens: self.tokens.len() as u32,
            finish: 0,
            tokensRoot: word(sworn_prover::text::numbers_root(&self.tokens)),
            offsetsRoot: B256::repeat_byte(0x11),
            textRoot: B256::repeat_byte(0x22),
            textLength: 99,
            score: 0,
            greedy: false,
        };
        Case {
            epoch: 3,
            modelId: B256::repeat_byte(0x33),
            job: Job {
                inputId: U256::from(7),
                scoreRoot: B256::ZERO,
                runs: vec![run; count],
                traceRoots: (0..count)
                    .map(|i| {
                        if i + 1 == count {
                            word(trace_root)
                        } else {
                            B256::repeat_byte(0x44)
                        }
                    })
                    .collect(),
            },
            node,
            parent,
        }
    }
}

pub(crate) fn word(digest: Digest) -> B256 {
    B256::from(digest.0)
}

fn node(position: [u8; 32], value: Digest) -> Node {
    Node {
        position: U256::from_be_bytes(position),
        value: word(value),
    }
}

/// A node that no fault looks at.
pub(crate) fn no_node() -> Node {
    Node {
        position: U256::ZERO,
        value: B256::ZERO,
    }
}
