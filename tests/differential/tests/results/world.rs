//! A model and the judges of its runs.

use alloy_primitives::{Address, B256, Bytes, U256, address};
use alloy_sol_types::{SolCall, SolValue, sol};
use sworn_differential::{Evm, Failure, Outcome, answering};
use sworn_inference::engine::{Finish, RunResult};
use sworn_inference::testing::Random;
use sworn_inference::tokenizer::Tokenizer;
use sworn_prover::Digest;
use sworn_prover::dispute::Position;
use sworn_prover::dispute::abi::{Case, IFaults, Job, Node, Run};
use sworn_prover::dispute::faults::prompt::TokenizerBook;
use sworn_prover::dispute::faults::tokens::find::Lister;
use sworn_prover::dispute::faults::tokens::judge::{ModelFacts, is_fault};
use sworn_prover::dispute::position::NodeKind;
use sworn_prover::dispute::results::{RunLeaves, abi_run, word};
use sworn_prover::params::Params;
use sworn_prover::result::run_record;

sol! {
    interface Asked {
        function commitmentsOf(bytes32 modelId) external view returns (address program, bytes32 weightsRoot, bytes32 tokenizerRoot);
        function laneInput(uint64 epoch, bytes32 modelId, uint32 index) external view returns (uint256 inputId);
        function input(uint256 inputId) external view;
    }
}

pub(crate) const BOS: u32 = 1;
pub(crate) const STOP: u32 = 2;
pub(crate) const OTHER_STOP: u32 = 300;
const MODELS: Address = address!("00000000000000000000000000000000000000aa");
const INBOX: Address = address!("00000000000000000000000000000000000000bb");
const PROGRAM: Address = address!("00000000000000000000000000000000000000cc");

/// A tokenizer with tokens of every type, pieces with U+2581 and broken ones. `strips` is flag 3.
pub(crate) fn tokenizer(strips: bool) -> Tokenizer {
    let mut tokens: Vec<(u8, Vec<u8>)> = vec![
        (2, b"<unk>".to_vec()),
        (3, b"<s>".to_vec()),
        (3, b"</s>".to_vec()),
    ];
    tokens.extend((0..256).map(|byte| (6, format!("<0x{byte:02X}>").into_bytes())));
    let marked = [
        "\u{2581}",
        "a",
        "b",
        "\u{2581}a",
        "ab",
        "\u{2581}ab",
        "c\u{2581}d",
        "\u{2581}\u{2581}",
        "\u{e9}",
        "x",
    ];
    tokens.extend(marked.map(|piece| (1, piece.as_bytes().to_vec())));
    // A mark that is cut, and plain spaces.
    tokens.push((1, b"\xe2\x96".to_vec()));
    tokens.push((1, b"z\xe2\x96\xe2\x96\x81".to_vec()));
    tokens.push((1, b" y".to_vec()));
    tokens.push((4, "\u{2581}user \u{2581}defined".into()));
    tokens.push((5, b"unused".to_vec()));
    tokens.push((3, b"<control>".to_vec()));
    tokens.push((1, [b'l'; 700].to_vec()));
    // Marks anywhere in a long piece.
    tokens.push((
        1,
        "0123456789\u{2581}abcdefghijklmnopqrstuvwxyz\u{2581}\u{2581}"
            .repeat(5)
            .into_bytes(),
    ));
    let mut random = Random(3);
    while tokens.len() < 400 {
        let length = 2 + random.below(9);
        let piece: Vec<u8> = (0..length).map(|_| b'a' + random.below(26) as u8).collect();
        tokens.push((1, piece));
    }
    // A space at the start, and adding BOS, as the vocabularies of llama do.
    let flags: u32 = if strips { 1 | 2 | 8 } else { 1 };
    let mut bytes = b"SWTK".to_vec();
    for number in [1, flags, BOS, STOP, tokens.len() as u32] {
        bytes.extend(number.to_le_bytes());
    }
    for (i, (kind, piece)) in tokens.iter().enumerate() {
        bytes.push(*kind);
        bytes.extend((-(i as f32)).to_le_bytes());
        bytes.extend((piece.len() as u16).to_le_bytes());
        bytes.extend(piece);
    }
    let digest = Digest::of(&bytes);
    bytes.extend(digest.0);
    Tokenizer::from_bytes(&bytes).expect("a tokenizer")
}

/// What a run of these tokens says.
pub(crate) fn run(
    tokenizer: &Tokenizer,
    n_prompt: usize,
    tokens: Vec<u32>,
    finish: Finish,
) -> RunResult {
    let (mut text, mut offsets) = (Vec::new(), Vec::new());
    for place in n_prompt..tokens.len() {
        offsets.push(text.len() as u32);
        let ends = finish == Finish::Stop && place + 1 == tokens.len();
        if !ends {
            text.extend_from_slice(&tokenizer.piece(Some(tokens[place - 1]), tokens[place]));
        }
    }
    RunResult {
        n_prompt: n_prompt as u32,
        tokens,
        finish,
        text,
        offsets,
    }
}

/// A random honest run.
pub(crate) fn honest(
    tokenizer: &Tokenizer,
    random: &mut Random,
    n_prompt: usize,
    n_new: usize,
) -> RunResult {
    let mut token = || loop {
        let token = match random.below(8) {
            0 => BOS,
            1 => random.below(274 + 3) as u32,
            _ => random.below(400) as u32,
        };
        if token != STOP && token != OTHER_STOP {
            return token;
        }
    };
    let mut tokens: Vec<u32> = (0..n_prompt + n_new).map(|_| token()).collect();
    let finish = if random.below(2) == 0 {
        Finish::Stop
    } else {
        Finish::Length
    };
    if finish == Finish::Stop {
        *tokens.last_mut().expect("a token") = [STOP, OTHER_STOP][random.below(2)];
    }
    run(tokenizer, n_prompt, tokens, finish)
}

/// What a claim says of a run: its record, and the leaves behind it.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    pub(crate) run: Run,
    pub(crate) leaves: RunLeaves,
}

impl Claim {
    pub(crate) fn of(result: &RunResult) -> Claim {
        Claim {
            run: abi_run(&run_record(result).expect("a record")),
            leaves: RunLeaves::of(result),
        }
    }

    /// With the roots of its leaves, after a change.
    pub(crate) fn rooted(mut self) -> Claim {
        let root = |leaves: &[Vec<u8>]| word(RunLeaves::tree(leaves).root());
        self.run.tokensRoot = root(&self.leaves.tokens);
        self.run.offsetsRoot = root(&self.leaves.offsets);
        self.run.textRoot = root(&self.leaves.text);
        self
    }

    /// The node at `height` above leaf `index`, as high as the tree allows.
    pub(crate) fn case(&self, kind: NodeKind, index: u32, height: u8) -> Case {
        let tree = RunLeaves::tree(self.leaves.list(kind).expect("a list"));
        let height = height.min(tree.depth() as u8);
        let node = u64::from(index) >> height;
        Case {
            epoch: 3,
            modelId: B256::repeat_byte(1),
            job: job(vec![self.run.clone()]),
            node: Node {
                position: U256::from_be_bytes(Position::tree(kind, 5, 0, height, node).to_word()),
                value: word(tree.node(height.into(), node)),
            },
            parent: Node {
                position: U256::ZERO,
                value: B256::ZERO,
            },
        }
    }

    pub(crate) fn height(case: &Case) -> u8 {
        case.node.position.to_be_bytes::<32>()[6]
    }
}

pub(crate) fn job(runs: Vec<Run>) -> Job {
    Job {
        inputId: U256::from(7),
        scoreRoot: B256::ZERO,
        traceRoots: vec![B256::ZERO; runs.len()],
        runs,
    }
}

/// The judges, a model with that tokenizer, and an inbox.
pub(crate) struct World<'a> {
    pub(crate) evm: Evm,
    pub(crate) jobs: Address,
    pub(crate) tokens: Address,
    pub(crate) book: &'a TokenizerBook<'a>,
    pub(crate) stops: Vec<u32>,
}

impl<'a> World<'a> {
    pub(crate) fn new(book: &'a TokenizerBook<'a>) -> World<'a> {
        let mut evm = Evm::new();
        let root = word(book.record().digest());
        let commitments = (PROGRAM, B256::ZERO, root).abi_encode_params();
        evm.set_code(
            MODELS,
            answering(&[(Asked::commitmentsOfCall::SELECTOR, commitments)]),
        );
        let jobs = evm
            .deploy_artifact("JobFaults", &(MODELS, INBOX).abi_encode_params())
            .expect("JobFaults");
        let tokens = evm
            .deploy_artifact("TokenFaults", &MODELS.abi_encode())
            .expect("TokenFaults");
        let mut world = World {
            evm,
            jobs,
            tokens,
            book,
            stops: vec![STOP, OTHER_STOP],
        };
        world.set_program(1000);
        world.set_input(&Params::default());
        world
    }

    /// A program with that context, the tokenizer's vocabulary and two stop tokens.
    pub(crate) fn set_program(&mut self, context: u32) {
        let mut code = vec![0];
        for word in [0x5357_5031, context, self.book.record().vocabulary] {
            code.extend(word.to_be_bytes());
        }
        for half in [1u16, 1, 1, 1, 1, 1, 1, 2] {
            code.extend(half.to_be_bytes());
        }
        code.extend([0; 4]);
        for token in [STOP, OTHER_STOP] {
            code.extend(token.to_be_bytes());
        }
        code.resize(1 + 96 + 3 * 32 + 3 * 4 + 12, 0);
        self.evm.set_code(PROGRAM, code.into());
    }

    /// A real program.
    pub(crate) fn use_program(&mut self, program: &[u8], stops: &[u32]) {
        let mut code = vec![0];
        code.extend(program);
        // The index, of which judges of lists read nothing.
        code.resize(code.len() + (program.len() - 96) / 32 * 4 + 12, 0);
        self.evm.set_code(PROGRAM, code.into());
        self.stops = stops.to_vec();
    }

    /// The lane's input is number 7 with these parameters.
    pub(crate) fn set_input(&mut self, params: &Params) {
        let mut input = [[0u8; 32]; 11];
        input[5] = params.pack().0;
        let table = [
            (Asked::laneInputCall::SELECTOR, U256::from(7).abi_encode()),
            (Asked::inputCall::SELECTOR, input.as_flattened().to_vec()),
        ];
        self.evm.set_code(INBOX, answering(&table));
    }

    fn ask(
        &mut self,
        to: Address,
        case: &Case,
        fault: u8,
        witness: &[u8],
    ) -> Result<(bool, Outcome), Failure> {
        let call = IFaults::isFaultCall {
            c: case.clone(),
            fault,
            witness: Bytes::copy_from_slice(witness),
        };
        self.evm.ask(to, &call)
    }

    /// What `JobFaults` says.
    pub(crate) fn judge_job(
        &mut self,
        case: &Case,
        fault: u8,
        witness: &[u8],
    ) -> Result<bool, Failure> {
        Ok(self.ask(self.jobs, case, fault, witness)?.0)
    }

    /// What `TokenFaults` says, with its gas.
    pub(crate) fn judge(
        &mut self,
        case: &Case,
        fault: u8,
        witness: &[u8],
    ) -> Result<(bool, u64), Failure> {
        let (answer, outcome) = self.ask(self.tokens, case, fault, witness)?;
        Ok((answer, outcome.gas))
    }

    /// What Rust says.
    pub(crate) fn reference(&self, case: &Case, fault: u8, witness: &[u8]) -> Option<bool> {
        let facts = ModelFacts {
            vocabulary: self.book.record().vocabulary,
            stop_tokens: &self.stops,
            tokenizer_root: self.book.record().digest(),
        };
        is_fault(&facts, case, fault, witness).ok()
    }

    pub(crate) fn lister<'r>(&'r self, run: &'r Run) -> Lister<'r> {
        Lister {
            run,
            book: self.book,
            vocabulary: self.book.record().vocabulary,
            stop_tokens: &self.stops,
        }
    }

    /// The fault that leaf `index` shows, if any.
    pub(crate) fn find(
        &self,
        claim: &Claim,
        kind: NodeKind,
        index: u32,
        height: u8,
    ) -> Option<(u8, Vec<u8>)> {
        use sworn_prover::dispute::faults::tokens::{Lists, in_node};
        let lister = self.lister(&claim.run);
        let mut lists = claim.leaves.clone();
        match kind {
            NodeKind::Tokens => {
                let leaf = lists.open(kind, index.into()).expect("a leaf");
                lister.find_in_tokens(index, &in_node(&leaf, height))
            }
            NodeKind::Offsets => lister
                .find_in_offsets(&mut lists, index, height)
                .expect("known lists"),
            _ => lister
                .find_in_text(&mut lists, index, height)
                .expect("known lists"),
        }
    }
}
