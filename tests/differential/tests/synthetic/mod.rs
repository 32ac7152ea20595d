//! Made-up claims: a program of true shape, a sparse trace with the leaves that matter, and the mocks of the registry and the inbox.
#![allow(dead_code)] // each test uses its part

use std::collections::HashMap;

use alloy_primitives::{Address, B256, Bytes, U256, address};
use alloy_sol_types::{SolCall, SolValue, sol};
use sworn_differential::{Evm, Failure, Outcome, bytecode};
use sworn_inference::program::WeightFormat;
use sworn_inference::program::llama::{LlamaConfig, MatrixFormats, compile};
use sworn_prover::dispute::abi::{Case, IFaults, Job, Leaf, Node, Run};
use sworn_prover::dispute::parts;
use sworn_prover::dispute::position::{NodeKind, Position};
use sworn_prover::dispute::source::TraceSource;
use sworn_prover::dispute::trace::{TraceLayout, program_code};
use sworn_prover::params::Params;
use sworn_prover::{Digest, Error, merkle};

pub(crate) const MODELS: Address = address!("000000000000000000000000000000000000a001");
pub(crate) const INBOX: Address = address!("000000000000000000000000000000000000a002");
pub(crate) const PROGRAM: Address = address!("000000000000000000000000000000000000a003");

/// How many times as many cases as usual: `SWORN_CASES`.
pub(crate) fn cases(usual: usize) -> usize {
    let factor = std::env::var("SWORN_CASES")
        .ok()
        .and_then(|n| n.parse::<usize>().ok());
    usual * factor.unwrap_or(1)
}

/// A llama program of the given attention and vocabulary.
pub(crate) fn layout(
    layers: u32,
    dim: u32,
    hidden: u32,
    heads: [u32; 3],
    vocabulary: u32,
) -> TraceLayout {
    let [n_heads, n_kv_heads, head_dim] = heads;
    let config = LlamaConfig {
        vocab_size: vocabulary,
        context: 1 << 14,
        dim,
        hidden_dim: hidden,
        n_layers: layers,
        n_heads,
        n_kv_heads,
        head_dim,
        rope_dim: head_dim / 2 * 2,
        rope_theta: 10_000.0,
        norm_eps: 1e-5,
        tied_head: true,
    };
    let blocks = (n_heads * head_dim).is_multiple_of(32);
    let format = if blocks {
        WeightFormat::Q8_0
    } else {
        WeightFormat::F32
    };
    let program = compile(&config, &MatrixFormats::all(format), &[2]).unwrap();
    TraceLayout::new(&program).unwrap()
}

/// A tree of which few leaves are known; the others are absent.
#[derive(Debug, Clone)]
pub(crate) struct Sparse {
    levels: Vec<HashMap<u64, Digest>>,
}

impl Sparse {
    pub(crate) fn new(depth: u32) -> Sparse {
        Sparse {
            levels: vec![HashMap::new(); depth as usize + 1],
        }
    }

    pub(crate) fn node(&self, height: u32, index: u64) -> Digest {
        let known = self.levels[height as usize].get(&index).copied();
        known.unwrap_or_else(|| merkle::empty(height))
    }

    pub(crate) fn set(&mut self, index: u64, digest: Digest) {
        let (mut index, mut digest) = (index, digest);
        let depth = self.levels.len() as u32 - 1;
        for height in 0..depth {
            self.levels[height as usize].insert(index, digest);
            let sibling = self.node(height, index ^ 1);
            digest = if index & 1 == 0 {
                Digest::of_pair(digest, sibling)
            } else {
                Digest::of_pair(sibling, digest)
            };
            index >>= 1;
        }
        self.levels[depth as usize].insert(index, digest);
    }

    pub(crate) fn path(&self, index: u64, from: u32, to: u32) -> Vec<Digest> {
        (from..to)
            .map(|height| self.node(height, (index >> height) ^ 1))
            .collect()
    }
}

/// A trace of some leaves.
#[derive(Debug, Clone)]
pub(crate) struct Synthetic {
    pub(crate) layout: TraceLayout,
    pub(crate) rows: u32,
    tree: Sparse,
    leaves: HashMap<u64, Vec<u8>>,
}

impl Synthetic {
    pub(crate) fn new(layout: TraceLayout, rows: u32) -> Synthetic {
        let tree = Sparse::new(layout.depth(rows));
        Synthetic {
            layout,
            rows,
            tree,
            leaves: HashMap::new(),
        }
    }

    pub(crate) fn set(&mut self, row: u32, leaf: u32, bytes: Vec<u8>) {
        let index = self.layout.index(row, leaf);
        self.tree.set(index, Digest::of(&bytes));
        self.leaves.insert(index, bytes);
    }

    /// Writes the elements of a step's output, `width` bytes each, into leaves of 256 bytes.
    pub(crate) fn write(&mut self, row: u32, first_leaf: u32, bytes: &[u8]) {
        for (leaf, bytes) in (first_leaf..).zip(bytes.chunks(256)) {
            let mut bytes = bytes.to_vec();
            bytes.resize(256, 0);
            self.set(row, leaf, bytes);
        }
    }

    pub(crate) fn root(&self) -> Digest {
        self.tree.node(self.layout.depth(self.rows), 0)
    }

    /// A node of the trace with a leaf under it, opened.
    pub(crate) fn in_node(
        &self,
        lane: u32,
        run: u8,
        height: u8,
        row: u32,
        leaf: u32,
    ) -> (Node, Leaf) {
        let index = self.layout.index(row, leaf);
        let at = index >> height;
        let position = Position::tree(NodeKind::Trace, lane, run, height, at);
        let node = node(position, self.tree.node(height.into(), at));
        let opened = Leaf {
            data: self.leaves[&index].clone().into(),
            path: words(&self.tree.path(index, 0, height.into())),
        };
        (node, opened)
    }
}

impl TraceSource for Synthetic {
    fn leaf(&mut self, row: u32, leaf: u32) -> Result<Vec<u8>, Error> {
        let index = self.layout.index(row, leaf);
        Ok(self
            .leaves
            .get(&index)
            .cloned()
            .unwrap_or_else(|| vec![0; 256]))
    }

    fn leaf_path(&mut self, row: u32, leaf: u32) -> Result<Vec<Digest>, Error> {
        let depth = self.layout.row_depth();
        Ok(self.tree.path(self.layout.index(row, leaf), 0, depth))
    }

    fn row(&mut self, row: u32) -> Result<(Digest, Vec<Digest>), Error> {
        let (depth, whole) = (self.layout.row_depth(), self.layout.depth(self.rows));
        let index = self.layout.index(row, 0);
        Ok((
            self.tree.node(depth, row.into()),
            self.tree.path(index, depth, whole),
        ))
    }
}

pub(crate) fn words(digests: &[Digest]) -> Vec<B256> {
    digests.iter().map(|digest| digest.0.into()).collect()
}

pub(crate) fn node(position: Position, value: Digest) -> Node {
    Node {
        position: U256::from_be_bytes(position.to_word()),
        value: value.0.into(),
    }
}

/// A node of posted contents.
pub(crate) fn posted(position: Position, contents: &[u8]) -> Node {
    node(position, parts::digest(&position, contents))
}

/// A run of a job whose other runs are nothing.
pub(crate) fn case(run: u8, fields: Run, trace_root: Digest, node: Node, parent: Node) -> Case {
    let empty = Run {
        nPrompt: 1,
        nTokens: 1,
        finish: 2,
        tokensRoot: B256::ZERO,
        offsetsRoot: B256::ZERO,
        textRoot: B256::ZERO,
        textLength: 0,
        score: 0,
        greedy: false,
    };
    let mut runs = vec![empty; usize::from(run)];
    let mut roots = vec![B256::ZERO; usize::from(run)];
    runs.push(fields);
    roots.push(trace_root.0.into());
    Case {
        epoch: 7,
        modelId: B256::repeat_byte(1),
        job: Job {
            inputId: U256::from(42),
            scoreRoot: B256::ZERO,
            runs,
            traceRoots: roots,
        },
        node,
        parent,
    }
}

pub(crate) fn run_of(n_prompt: u32, n_tokens: u32, tokens_root: Digest) -> Run {
    Run {
        nPrompt: n_prompt,
        nTokens: n_tokens,
        finish: 0,
        tokensRoot: tokens_root.0.into(),
        offsetsRoot: B256::ZERO,
        textRoot: B256::ZERO,
        textLength: 0,
        score: 0,
        greedy: false,
    }
}

sol! {
    struct Input {
        address sender;
        address recipient;
        uint64 submittedBlock;
        uint64 submittedAt;
        bytes32 modelId;
        bytes32 params;
        bytes32 payloadRoot;
        uint64 payloadLength;
        bytes32 seed;
        uint64 epoch;
        uint32 laneIndex;
    }
}

/// Code that answers every call with `data`.
fn answering(data: &[u8]) -> Bytes {
    // PUSH1 11, CODESIZE, SUB, DUP1, PUSH1 11, PUSH0, CODECOPY, PUSH0, RETURN
    [
        &[
            0x60, 0x0b, 0x38, 0x03, 0x80, 0x60, 0x0b, 0x5f, 0x39, 0x5f, 0xf3,
        ],
        data,
    ]
    .concat()
    .into()
}

/// A judge in an EVM.
pub(crate) struct Judge {
    pub(crate) evm: Evm,
    pub(crate) address: Address,
}

impl Judge {
    pub(crate) fn new(name: &str, arguments: &[u8]) -> Judge {
        let mut evm = Evm::new();
        let address = evm.deploy_artifact(name, arguments).unwrap();
        Judge { evm, address }
    }

    /// The contract with every occurrence of some bytes of its code (hexadecimal) replaced by others of the same length: a planted bug.
    pub(crate) fn with_bug(name: &str, arguments: &[u8], from: &str, to: &str) -> Judge {
        let code = alloy_primitives::hex::encode(bytecode(name));
        assert!(
            code.contains(from),
            "{name} has no {from}: choose another place for the bug"
        );
        assert_eq!(from.len(), to.len());
        let code = alloy_primitives::hex::decode(code.replace(from, to)).unwrap();
        let mut evm = Evm::new();
        let address = evm.deploy([&code, arguments].concat()).unwrap();
        Judge { evm, address }
    }

    /// Registers a program for every model id.
    pub(crate) fn register(&mut self, layout: &TraceLayout) {
        let code = program_code(&layout.program().encode()).unwrap();
        self.evm.set_code(PROGRAM, code.into());
        let commitments = (PROGRAM, B256::ZERO, B256::ZERO).abi_encode();
        self.evm.set_code(MODELS, answering(&commitments));
    }

    /// Makes every input one of these parameters and this seed.
    pub(crate) fn submit(&mut self, params: &Params, seed: [u8; 32]) {
        let input = Input {
            sender: Address::ZERO,
            recipient: Address::ZERO,
            submittedBlock: 1,
            submittedAt: 1,
            modelId: B256::repeat_byte(1),
            params: params.pack().0.into(),
            payloadRoot: B256::ZERO,
            payloadLength: 1,
            seed: seed.into(),
            epoch: 7,
            laneIndex: 0,
        };
        self.evm.set_code(INBOX, answering(&input.abi_encode()));
    }

    pub(crate) fn ask(
        &mut self,
        case: &Case,
        fault: u8,
        witness: &[u8],
    ) -> Result<(bool, Outcome), Failure> {
        let call = IFaults::isFaultCall {
            c: case.clone(),
            fault,
            witness: witness.to_vec().into(),
        };
        let outcome = self.evm.call(self.address, call.abi_encode())?;
        let value = IFaults::isFaultCall::abi_decode_returns(&outcome.data)
            .map_err(|err| Failure::Halt(format!("unreadable answer: {err}")))?;
        Ok((value, outcome))
    }
}

/// The largest costs seen of each fault.
#[derive(Debug, Default)]
pub(crate) struct Costs(std::collections::BTreeMap<String, [u64; 4]>);

impl Costs {
    /// Notes a proof: its execution, the witness's bytes, and the whole transaction with this call's data.
    pub(crate) fn note(&mut self, what: impl Into<String>, witness: &[u8], outcome: &Outcome) {
        let worst = self.0.entry(what.into()).or_default();
        let found = [outcome.execution, witness.len() as u64, outcome.gas, 1];
        if found[2] > worst[2] {
            worst[..3].copy_from_slice(&found[..3]);
        }
        worst[3] += 1;
    }

    pub(crate) fn merge(&mut self, other: Costs) {
        for (what, found) in other.0 {
            let worst = self.0.entry(what).or_default();
            let count = worst[3] + found[3];
            if found[2] > worst[2] {
                *worst = found;
            }
            worst[3] = count;
        }
    }

    /// No transaction costs more.
    pub(crate) fn bound(&self, most: u64) {
        for (what, [_, _, gas, _]) in &self.0 {
            assert!(*gas <= most, "{what}: {gas} gas");
        }
    }

    pub(crate) fn print(&self, title: &str) {
        println!("{title}: dearest of each");
        println!(
            "{:>40} {:>10} {:>10} {:>12} {:>6}",
            "fault", "execution", "witness B", "transaction", "cases"
        );
        for (what, [execution, bytes, gas, count]) in &self.0 {
            println!("{what:>40} {execution:>10} {bytes:>10} {gas:>12} {count:>6}");
        }
    }
}
