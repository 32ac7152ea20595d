use super::*;
use crate::program::llama::tests::{compile_small, small_config};
use crate::program::llama::{MatrixFormats, compile};
use crate::program::{LlamaConfig, Program};

fn entry(op: Op, inputs: [u16; 3], weight: u16, dims: [u32; 3]) -> Entry {
    Entry {
        op,
        format: WeightFormat::F32,
        inputs,
        weights: [weight, UNUSED],
        dims,
        constants: [0, 0],
    }
}

/// A program of one weight whose body adds `count` times; every layer has `count` values of 2^20 numbers.
fn adds(count: usize, layers: u16) -> Parts {
    let add = entry(Op::Add, [CARRY, CARRY, UNUSED], UNUSED, [1 << 20, 0, 0]);
    Parts {
        context: 8,
        vocab_size: 1,
        layers,
        weight_counts: [1, 0, 0],
        stop_tokens: vec![],
        head: vec![entry(Op::Embed, [UNUSED; 3], 0, [1 << 20, 0, 0])],
        body: vec![add; count],
        tail: vec![entry(
            Op::Matmul,
            [CARRY, UNUSED, UNUSED],
            0,
            [1, 1 << 20, 0],
        )],
    }
}

fn at_of(parts: Parts) -> String {
    Program::new(parts).map_or_else(|e| e.at, |_| "no error".to_string())
}

#[test]
fn rows_have_less_than_2_to_the_32_leaves() {
    // 16,384 leaves a value: 63 of them in 4096 layers are 2^32 - 2^26, 64 are 2^32.
    assert_eq!(at_of(adds(63, 4096)), "no error");
    assert_eq!(at_of(adds(64, 4095)), "no error");
    assert_eq!(at_of(adds(64, 4096)), "leaves of a row");
    assert_eq!(at_of(adds(1024, 4096)), "leaves of a row");
}

#[test]
fn heads_have_at_most_256_elements() {
    let with = |head_dim| {
        let config = LlamaConfig {
            head_dim,
            ..small_config()
        };
        compile(&config, &MatrixFormats::all(WeightFormat::Q8_0), &[])
    };
    assert!(with(256).is_ok());
    for head_dim in [258, 320, 512] {
        let error = with(head_dim).expect_err("a head of more than one tile");
        assert!(error.to_string().contains("size of a head"), "{error}");
    }
}

#[test]
fn sizes_have_caps() {
    for (change, at) in [
        (
            (|p: &mut Parts| p.context = (1 << 24) + 1) as fn(&mut Parts),
            "context",
        ),
        (|p| p.context = 0, "context"),
        (|p| p.vocab_size = (1 << 20) + 1, "vocabulary size"),
        (|p| p.layers = 0, "layers"),
        (|p| p.layers = 4097, "layers"),
        (|p| p.body = vec![p.body[0]; 1025], "entries of the body"),
        (|p| p.head.clear(), "entries of the head"),
        (|p| p.weight_counts[2] = 1025, "weights of the tail"),
        (|p| p.weight_counts[1] = 1, "weight 1"),
        (|p| p.stop_tokens = vec![1], "stop tokens"),
        (
            |p| p.head[0].dims[0] = (1 << 20) + 1,
            "entry 0 (Embed): dimension",
        ),
        (|p| p.body[0].dims[0] = 7, "entry 1 (Add): input 0"),
        (|p| p.body[0].inputs[0] = 1, "inputs of entry 1"),
        (|p| p.tail[0].inputs[0] = 1, "inputs of entry 2"),
        (|p| p.tail[0].weights[0] = 1, "weight of entry 2"),
        (|p| p.tail[0].dims[1] = 1 << 19, "entry 2 (Matmul): input 0"),
    ] {
        let mut parts = adds(1, 1);
        change(&mut parts);
        assert_eq!(at_of(parts), at);
    }
}

#[test]
fn attention_stands_together() {
    let program = compile_small(true, WeightFormat::Q8_0);
    let first = program
        .entries(super::Part::Body)
        .iter()
        .position(|e| e.op == Op::AttnMax)
        .expect("an attention");
    let bytes = program.encode();
    let body = program.first_entry(super::Part::Body);
    let place = |entry: usize, byte: usize| 96 + 32 * (body + first + entry) + byte;
    // (entry of the attention, byte, new value): another scale, other dimensions, another maximum, another distance, swapped operations.
    for (entry, byte, value) in [
        (0, 24, 0x11),
        (1, 24, 0x11),
        (2, 24, 0x11),
        (1, 15, 2),
        (1, 7, 0),
        (2, 31, 2),
        (0, 0, 9),
        (1, 0, 8),
    ] {
        let mut changed = bytes.clone();
        changed[place(entry, byte)] = value;
        assert!(
            Program::decode(&changed).is_err(),
            "entry {entry} byte {byte}"
        );
    }
    // Two entries that take each other's place.
    let mut swapped = bytes.clone();
    for byte in 0..32 {
        swapped.swap(place(0, byte), place(1, byte));
    }
    assert!(Program::decode(&swapped).is_err());
}
