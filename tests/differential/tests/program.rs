//! Programs: the registry takes what the Rust checker takes, keeps them as Rust lays them out, and reads the same steps.
//!
//! `SWORN_PROGRAMS` random programs and changes, 4,000 unless it says otherwise.

mod program_random;

use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::{SolCall, sol};
use program_random::{entry, random_program};
use sworn_differential::vectors::Rng;
use sworn_differential::{CALLER, Evm, Failure};
use sworn_inference::program::llama::{MatrixFormats, compile};
use sworn_inference::program::{
    CARRY, LlamaConfig, Op, Part, Parts, Program, UNUSED, WeightFormat,
};
use sworn_inference::testing::tiny_config;
use sworn_prover::dispute::trace::{TraceLayout, program_code};

sol! {
    #[derive(Debug)]
    error BadProgram(uint256 entry, string what, uint256 found, uint256 expected);

    struct Counts {
        address code;
        uint32 context;
        uint32 vocabulary;
        uint32 headEntries;
        uint32 bodyEntries;
        uint32 tailEntries;
        uint32 layers;
        uint32 headWeights;
        uint32 layerWeights;
        uint32 tailWeights;
        uint32 stopCount;
        uint32 headLeaves;
        uint32 bodyLeaves;
        uint32 tailLeaves;
        uint32 rowDepth;
        uint32 weightsDepth;
    }

    struct Step {
        uint8 op;
        uint8 format;
        uint32 layer;
        bool inTail;
        uint32[3] inputs;
        uint32[2] weights;
        uint32[3] dims;
        uint32[2] constants;
        uint32 firstLeaf;
        uint32 leafCount;
    }

    function check(bytes calldata program) external pure returns (bytes memory index);
    function write(bytes calldata program) external returns (address code);
    function load(address code) external view returns (Counts memory);
    function steps(address code, uint256 from, uint256 to) external view returns (Step[] memory found);
    function stepCount(address code) external view returns (uint256);
    function isStop(address code, uint256 token) external view returns (bool);
}

struct Registry {
    evm: Evm,
    harness: Address,
}

impl Registry {
    fn new() -> Registry {
        let mut evm = Evm::new();
        let harness = evm
            .deploy_artifact("ProgramsHarness", &[])
            .expect("deployed");
        Registry { evm, harness }
    }

    /// What the contract says of the bytes: the index, or why not.
    fn check(&mut self, program: &[u8]) -> Result<Bytes, BadProgram> {
        let call = checkCall {
            program: Bytes::copy_from_slice(program),
        };
        match self.evm.ask(self.harness, &call) {
            Ok((index, _)) => Ok(index),
            Err(Failure::Revert(data)) => {
                Err(<BadProgram as alloy_sol_types::SolError>::abi_decode(&data)
                    .unwrap_or_else(|err| panic!("reverted with {data}: {err}")))
            }
            Err(other) => panic!("{other:?}"),
        }
    }

    /// Rust and Solidity say the same of the bytes; gives whether they are a program.
    #[track_caller]
    fn agree(&mut self, program: &[u8], what: &str) -> bool {
        let rust = program_code(program);
        let solidity = self.check(program);
        match (&rust, &solidity) {
            (Ok(code), Ok(index)) => {
                assert_eq!(code[1 + program.len()..], index[..], "index: {what}")
            }
            (Err(_), Err(_)) => (),
            _ => panic!(
                "{what}: Rust says {:?}, Solidity {solidity:?} of {}",
                rust.map(|_| "good"),
                alloy_primitives::hex::encode(program)
            ),
        }
        rust.is_ok()
    }

    fn write(&mut self, program: &[u8]) -> (Address, u64) {
        let call = writeCall {
            program: Bytes::copy_from_slice(program),
        };
        let sent = self
            .evm
            .send(CALLER, self.harness, U256::ZERO, call.abi_encode())
            .expect("a program that is registered");
        (
            writeCall::abi_decode_returns(&sent.data).expect("an address"),
            sent.gas,
        )
    }
}

/// How many random programs and changes.
fn count() -> u32 {
    std::env::var("SWORN_PROGRAMS").map_or(4000, |n| n.parse().expect("SWORN_PROGRAMS is a number"))
}

fn llama(tied_head: bool, formats: &MatrixFormats) -> Program {
    let config = LlamaConfig {
        tied_head,
        ..tiny_config()
    };
    compile(&config, formats, &[1, 2]).expect("the tiny configuration compiles")
}

fn mixed() -> MatrixFormats {
    MatrixFormats {
        embed: WeightFormat::F16,
        q: WeightFormat::F32,
        v: WeightFormat::Q4_0,
        gate: WeightFormat::Q8F,
        output: WeightFormat::F16,
        ..MatrixFormats::all(WeightFormat::Q8_0)
    }
}

/// Compiled models of all kinds.
fn compiled() -> Vec<Program> {
    use WeightFormat::{F16, F32, Q4_0, Q8_0, Q8F};
    let mut all: Vec<Program> = [F32, F16, Q8_0, Q4_0, Q8F]
        .into_iter()
        .map(|format| llama(true, &MatrixFormats::all(format)))
        .collect();
    all.push(llama(false, &mixed()));
    // A 70B-shape.
    let large = LlamaConfig {
        vocab_size: 128_256,
        context: 8192,
        dim: 8192,
        hidden_dim: 28_672,
        n_layers: 80,
        n_heads: 64,
        n_kv_heads: 8,
        head_dim: 128,
        rope_dim: 128,
        tied_head: false,
        ..tiny_config()
    };
    all.push(compile(&large, &MatrixFormats::all(Q8_0), &[2]).expect("a large model compiles"));
    all
}

/// The fields of a program: where they start, their size in bytes.
fn fields(entries: usize) -> Vec<(usize, usize)> {
    let header = [
        (0, 4),
        (4, 4),
        (8, 4),
        (12, 2),
        (14, 2),
        (16, 2),
        (18, 2),
        (20, 2),
        (22, 2),
        (24, 2),
        (26, 2),
        (28, 4),
    ];
    let stops = (0..16).map(|i| (32 + 4 * i, 4));
    let entry = [
        (0, 1),
        (1, 1),
        (2, 2),
        (4, 2),
        (6, 2),
        (8, 2),
        (10, 2),
        (12, 4),
        (16, 4),
        (20, 4),
        (24, 4),
        (28, 4),
    ];
    let entries = (0..entries).flat_map(|n| entry.map(|(start, size)| (96 + 32 * n + start, size)));
    header.into_iter().chain(stops).chain(entries).collect()
}

fn read(bytes: &[u8], (start, size): (usize, usize)) -> u64 {
    bytes[start..start + size]
        .iter()
        .fold(0, |value, byte| value << 8 | u64::from(*byte))
}

fn put(bytes: &mut [u8], (start, size): (usize, usize), value: u64) {
    bytes[start..start + size].copy_from_slice(&value.to_be_bytes()[8 - size..]);
}

/// Values at which a field's rule may turn.
const BORDERS: [u64; 22] = [
    0,
    1,
    2,
    3,
    5,
    8,
    9,
    10,
    12,
    13,
    16,
    17,
    32,
    256,
    257,
    1024,
    1025,
    4096,
    4097,
    1 << 20,
    0xfffe,
    0xffff_ffff,
];

#[test]
fn every_change_of_a_field() {
    let mut registry = Registry::new();
    let (mut tried, mut good) = (0, 0);
    for program in [
        llama(true, &MatrixFormats::all(WeightFormat::Q8_0)),
        llama(false, &mixed()),
    ] {
        let bytes = program.encode();
        assert!(registry.agree(&bytes, "unchanged"));
        for field in fields(program.entry_count()) {
            let old = read(&bytes, field);
            let near = [
                old.wrapping_sub(1),
                old + 1,
                2 * old,
                old / 2,
                old ^ 1 << 31,
            ];
            for value in BORDERS.into_iter().chain(near) {
                let mut changed = bytes.clone();
                put(&mut changed, field, value);
                tried += 1;
                good += u32::from(
                    registry.agree(&changed, &format!("{field:?} from {old} to {value}")),
                );
            }
        }
    }
    println!("{tried} changed programs, {good} of them good");
    assert!(
        tried > 15_000 && good > 500 && good < tried / 2,
        "{tried}, {good}"
    );
}

#[test]
fn many_changes_at_once() {
    let mut registry = Registry::new();
    let mut rng = Rng(1);
    let bases: Vec<Vec<u8>> = compiled().iter().map(Program::encode).collect();
    let mut good = 0;
    for i in 0..count() {
        let mut bytes = bases[rng.below(bases.len() as u32) as usize].clone();
        let entries = (bytes.len() - 96) / 32;
        let all = fields(entries);
        for _ in 0..1 + rng.below(3) {
            let to = rng.below(all.len() as u32) as usize;
            match rng.below(6) {
                // Another entry's or field's value; entries swapped, doubled, left out; any value.
                0 | 1 if to >= 28 => {
                    let from = 28 + (to - 28) % 12 + 12 * rng.below(entries as u32) as usize;
                    let value = read(&bytes, all[from]);
                    put(&mut bytes, all[to], value);
                }
                2 => {
                    let (a, b) = (
                        rng.below(entries as u32) as usize,
                        rng.below(entries as u32) as usize,
                    );
                    for byte in 0..32 {
                        bytes.swap(96 + 32 * a + byte, 96 + 32 * b + byte);
                    }
                }
                3 => {
                    let value = BORDERS[rng.below(22) as usize];
                    put(&mut bytes, all[to], value);
                }
                4 => put(&mut bytes, all[to], rng.bits64()),
                _ => {
                    // The borders of the tables move over the same entries.
                    let (less, more) = (rng.below(3) as usize, rng.below(3) as usize);
                    let field = |table| (12 + 2 * table, 2);
                    let (a, b) = (read(&bytes, field(less)), read(&bytes, field(more)));
                    if less != more && a > 0 {
                        put(&mut bytes, field(less), a - 1);
                        put(&mut bytes, field(more), b + 1);
                    }
                }
            }
        }
        if rng.below(50) == 0 {
            bytes.truncate(rng.below(bytes.len() as u32) as usize);
        }
        good += u32::from(registry.agree(&bytes, &format!("change {i}")));
    }
    println!("{} changed programs, {good} of them good", count());
}

#[test]
fn random_programs() {
    let mut registry = Registry::new();
    let mut rng = Rng(2);
    let mut good = 0;
    for i in 0..count() {
        let mut bytes = random_program(&mut rng);
        good += u32::from(registry.agree(&bytes, &format!("program {i}")));
        let all = fields((bytes.len() - 96) / 32);
        let field = all[rng.below(all.len() as u32) as usize];
        let value = read(&bytes, field);
        put(
            &mut bytes,
            field,
            if rng.below(2) == 0 {
                value + 1
            } else {
                rng.bits64() % 40
            },
        );
        registry.agree(&bytes, &format!("program {i} with {field:?} changed"));
    }
    println!("{} random programs, {good} of them good", count());
    assert!(good > count() / 4, "too few good programs: {good}");
}

/// Each table of 1 and of many entries, at the borders of caps that need whole programs.
#[test]
fn sizes() {
    let mut registry = Registry::new();
    let add = entry(Op::Add, [CARRY, CARRY, UNUSED], UNUSED, [1 << 20, 0, 0]);
    let wide = |count: usize, layers: u16| {
        let head = entry(Op::Embed, [UNUSED; 3], 0, [1 << 20, 0, 0]);
        let tail = entry(Op::Matmul, [CARRY, UNUSED, UNUSED], 0, [1, 1 << 20, 0]);
        Parts {
            context: 1 << 24,
            vocab_size: 1,
            layers,
            weight_counts: [1, 0, 0],
            stop_tokens: vec![0],
            head: vec![head],
            body: vec![add; count],
            tail: vec![tail],
        }
    };
    let encode = |parts: &Parts| {
        // The bytes of a program that is not valid can't come from the encoder: its tables are put behind another's header.
        let mut small = parts.clone();
        (small.layers, small.body) = (1, vec![add]);
        let mut bytes = Program::new(small).expect("small").encode();
        let body = bytes[96 + 32..96 + 64].repeat(parts.body.len());
        bytes.splice(96 + 32..96 + 64, body);
        put(&mut bytes, (14, 2), parts.body.len() as u64);
        put(&mut bytes, (18, 2), parts.layers.into());
        bytes
    };
    for (count, layers, good) in [
        (1, 1, true),
        (63, 4096, true),
        (64, 4095, true),
        (64, 4096, false), // 2^32 leaves
        (1024, 255, true),
        (1024, 256, false),
        (1025, 1, false),
        (1, 4097, false),
    ] {
        let bytes = encode(&wide(count, layers));
        assert_eq!(
            registry.agree(&bytes, &format!("{count} x {layers}")),
            good,
            "{count} x {layers}"
        );
    }
    for head_dim in [2, 254, 256, 258, 512] {
        let config = LlamaConfig {
            head_dim,
            rope_dim: 2,
            ..tiny_config()
        };
        let compiled = compile(&config, &MatrixFormats::all(WeightFormat::F32), &[]);
        assert_eq!(compiled.is_ok(), head_dim <= 256, "{head_dim}");
    }
}

#[test]
fn kept_programs_read_back() {
    let mut registry = Registry::new();
    let mut rng = Rng(3);
    let mut programs = compiled();
    programs.extend((0..60).filter_map(|_| Program::decode(&random_program(&mut rng)).ok()));
    assert!(programs.len() > 20, "{} programs", programs.len());
    for program in &programs {
        let bytes = program.encode();
        let (code, _) = registry.write(&bytes);
        let layout = TraceLayout::new(program).expect("a layout");
        counts(&mut registry, code, program, &layout);
        let call = stepCountCall { code };
        let (steps, _) = registry.evm.ask(registry.harness, &call).expect("steps");
        assert_eq!(steps, U256::from(layout.steps()));
        for from in (0..layout.steps()).step_by(64) {
            let to = layout.steps().min(from + 64);
            let call = stepsCall {
                code,
                from: U256::from(from),
                to: U256::from(to),
            };
            let (found, _) = registry.evm.ask(registry.harness, &call).expect("steps");
            for (number, found) in (from..to).zip(&found) {
                same_step(found, &layout.step(number).expect("a step"));
            }
        }
        for token in [0, 1, 2, 3, program.vocab_size() - 1] {
            let call = isStopCall {
                code,
                token: U256::from(token),
            };
            let (found, _) = registry
                .evm
                .ask(registry.harness, &call)
                .expect("a stop token or not");
            assert_eq!(found, program.stop_tokens().contains(&token));
        }
    }
}

/// Registration stays within a transaction's gas whatever the program: 679 entries are the most that fit.
#[test]
fn the_longest_program_fits_a_transaction() {
    let mut registry = Registry::new();
    let program = llama(true, &MatrixFormats::all(WeightFormat::Q8_0));
    let missing = 679 - program.entry_count();
    let dim = tiny_config().dim;
    let add = entry(Op::Add, [CARRY, CARRY, UNUSED], UNUSED, [dim, 0, 0]);
    let mut bytes = program.encode();
    let one = Program::new(Parts {
        context: 1,
        vocab_size: 1,
        layers: 1,
        weight_counts: [1, 0, 0],
        stop_tokens: vec![],
        head: vec![entry(Op::Embed, [UNUSED; 3], 0, [dim, 0, 0])],
        body: vec![add],
        tail: vec![entry(Op::Matmul, [CARRY, UNUSED, UNUSED], 0, [1, dim, 0])],
    })
    .expect("small");
    let one = one.encode();
    let tail = 96 + 32 * program.first_entry(Part::Tail);
    bytes.splice(tail..tail, one[96 + 32..96 + 64].repeat(missing));
    let body = read(&bytes, (14, 2)) + missing as u64;
    put(&mut bytes, (14, 2), body);
    // The tail's own entries have other numbers now.
    for n in 679 - program.entries(Part::Tail).len()..679 {
        for slot in 0..3 {
            let field = (96 + 32 * n + 2 + 2 * slot, 2);
            let value = read(&bytes, field);
            if value < 0xfffe {
                put(&mut bytes, field, value + missing as u64);
            }
        }
    }
    assert!(registry.agree(&bytes, "679 entries"));
    let (_, gas) = registry.write(&bytes);
    println!("679 entries: {gas} gas to check and keep");
    assert!(gas < 1 << 24);
}

fn counts(registry: &mut Registry, code: Address, program: &Program, layout: &TraceLayout) {
    let (found, _) = registry
        .evm
        .ask(registry.harness, &loadCall { code })
        .expect("counts");
    let entries = |part| program.entries(part).len() as u32;
    let leaves = |part| layout.leaves_of(part, 0).len() as u32;
    let weights = program.weight_count();
    assert_eq!(
        [
            found.context,
            found.vocabulary,
            found.headEntries,
            found.bodyEntries,
            found.tailEntries,
            found.layers
        ],
        [
            program.context(),
            program.vocab_size(),
            entries(Part::Head),
            entries(Part::Body),
            entries(Part::Tail),
            program.layers()
        ]
    );
    assert_eq!(
        (found.headWeights + found.layers * found.layerWeights + found.tailWeights) as usize,
        weights
    );
    assert_eq!(found.stopCount as usize, program.stop_tokens().len());
    assert_eq!(
        [
            found.headLeaves,
            found.bodyLeaves,
            found.tailLeaves,
            found.rowDepth
        ],
        [
            leaves(Part::Head),
            leaves(Part::Body),
            leaves(Part::Tail),
            layout.row_depth()
        ]
    );
    assert_eq!(
        found.weightsDepth,
        weights.next_power_of_two().trailing_zeros()
    );
}

fn same_step(found: &Step, expected: &sworn_prover::dispute::trace::Step) {
    let none = |number: Option<u32>| number.unwrap_or(u32::MAX);
    let at = format!("step {}", expected.number);
    assert_eq!(
        (found.op, found.format),
        (expected.op as u8, expected.format as u8),
        "{at}"
    );
    assert_eq!(
        (found.layer, found.inTail),
        (expected.layer, expected.part == Part::Tail),
        "{at}"
    );
    assert_eq!(found.inputs, expected.inputs.map(none), "{at}");
    assert_eq!(found.weights, expected.weights.map(none), "{at}");
    assert_eq!(
        (found.dims, found.constants),
        (expected.dims, expected.constants),
        "{at}"
    );
    assert_eq!(
        (found.firstLeaf, found.leafCount),
        (expected.first_leaf, expected.leaf_count),
        "{at}"
    );
}
