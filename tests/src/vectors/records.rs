//! Records with ordinary and extreme fields.

use serde_json::{Value, json};
use sworn_prover::constants as c;
use sworn_prover::params::Params;
use sworn_prover::record::{
    self, ClaimRecord, InputRecord, JobRecord, RunRecord, TokenizerRecord, Word, record,
};
use sworn_prover::{Address, Digest};

use super::{hex, sample};

const ONES: Digest = Digest([0xff; 32]);
const FULL: Address = Address([0xff; 20]);
const NONE: Address = Address([0; 20]);

/// An address that looks like one.
pub(super) fn address(i: u8) -> Address {
    let mut address = Address([0; 20]);
    address
        .0
        .copy_from_slice(&sample("address", u32::from(i)).0[12..]);
    address
}

/// Parameters with a different value in every field.
pub(super) fn odd_params() -> Params {
    Params {
        n_runs: 2,
        max_new_tokens: 64,
        max_total_tokens: 200,
        temperature_milli: 800,
        top_k: 40,
        top_p_ppm: 950_000,
        min_p_ppm: 50_000,
        ..Params::default()
    }
}

/// A case whose digest was made by the record's own type and whose words are listed field by field.
fn case(name: &str, tag: &str, fields: &[Word], digest: Digest) -> Value {
    let mut word = tag.as_bytes().to_vec();
    word.resize(32, 0);
    let fields: Vec<String> = fields.iter().map(|field| hex(&field.0)).collect();
    json!({ "record": name, "tag": hex(&word), "tag_text": tag, "fields": fields, "digest": digest.to_string() })
}

macro_rules! words {
    ($($field:expr),* $(,)?) => { [$(Word::from($field)),*] };
}

pub(super) fn records() -> Value {
    let mut cases = Vec::new();

    for (kind, flags, bos, vocabulary, table_root, merges_root, merge_count) in [
        (0u32, 0u32, 0u32, 0u32, Digest::ZERO, Digest::ZERO, 0u32),
        (u32::MAX, u32::MAX, u32::MAX, u32::MAX, ONES, ONES, u32::MAX),
        (
            1,
            0b1011,
            1,
            32_000,
            sample("table", 0),
            sample("merges", 0),
            61_249,
        ),
    ] {
        let fields = words![
            kind,
            flags,
            bos,
            vocabulary,
            table_root,
            merges_root,
            merge_count
        ];
        let of = TokenizerRecord {
            kind,
            flags,
            bos,
            vocabulary,
            table_root,
            merges_root,
            merge_count,
        };
        cases.push(case("tokenizer", c::TAG_TOKENIZER, &fields, of.digest()));
    }

    for [p, w, t] in [
        [Digest::ZERO; 3],
        [ONES; 3],
        [
            sample("program", 0),
            sample("weights", 0),
            sample("tokenizer", 0),
        ],
    ] {
        cases.push(case(
            "model",
            c::TAG_MODEL,
            &words![c::MACHINE_VERSION, p, w, t],
            record::model_id(p, w, t),
        ));
    }

    let zero = Params {
        kind: 0,
        n_runs: 0,
        top_p_ppm: 0,
        ..Params::default()
    };
    let full = Params {
        kind: u8::MAX,
        n_runs: u16::MAX,
        max_new_tokens: u32::MAX,
        max_total_tokens: u32::MAX,
        temperature_milli: u32::MAX,
        top_k: u32::MAX,
        top_p_ppm: u32::MAX,
        min_p_ppm: u32::MAX,
    };
    for (
        chain_id,
        input_id,
        payload_length,
        params,
        [inbox, sender, recipient],
        [model_id, payload_root],
    ) in [
        (0u64, 0u64, 0u64, zero, [NONE; 3], [Digest::ZERO; 2]),
        (u64::MAX, u64::MAX, u64::MAX, full, [FULL; 3], [ONES; 2]),
        (
            31_337,
            7,
            4096,
            odd_params(),
            [address(0), address(1), address(2)],
            [sample("model", 0), sample("payload", 0)],
        ),
    ] {
        let word = params.pack();
        let fields = words![
            chain_id,
            inbox,
            input_id,
            params.kind,
            sender,
            recipient,
            model_id,
            word,
            payload_root,
            payload_length
        ];
        let of = InputRecord {
            chain_id,
            inbox,
            input_id,
            sender,
            recipient,
            model_id,
            params,
            payload_root,
            payload_length,
        };
        cases.push(case("input", c::TAG_INPUT, &fields, of.digest()));
    }

    for (chain_id, inbox, input_id, mix, block) in [
        (0u64, NONE, 0u64, Digest::ZERO, Digest::ZERO),
        (u64::MAX, FULL, u64::MAX, ONES, ONES),
        (31_337, address(0), 7, sample("mix", 0), sample("block", 0)),
    ] {
        let fields = words![chain_id, inbox, input_id, mix, block];
        cases.push(case(
            "seed",
            c::TAG_SEED,
            &fields,
            record::seed(chain_id, inbox, input_id, mix, block),
        ));
    }

    for [before, input, seed] in [
        [Digest::ZERO; 3],
        [ONES; 3],
        [sample("before", 0), sample("input", 0), sample("seed", 0)],
    ] {
        let fields = words![before, input, seed];
        cases.push(case(
            "accumulator",
            c::TAG_ACCUMULATOR,
            &fields,
            record::accumulate(before, input, seed),
        ));
    }

    for (seed, run, position) in [
        (Digest::ZERO, 0u32, 0u32),
        (ONES, u32::MAX, u32::MAX),
        (sample("seed", 0), 1, 513),
    ] {
        cases.push(case(
            "draw",
            c::TAG_DRAW,
            &words![seed, run, position],
            record::draw(seed, run, position),
        ));
    }

    for of in [
        run(0, 0, 0, [Digest::ZERO; 3], 0, 0, false),
        run(
            u32::MAX,
            u32::MAX,
            u8::MAX,
            [ONES; 3],
            u64::MAX,
            i64::MAX,
            true,
        ),
        run(u32::MAX, u32::MAX, 3, [ONES; 3], 0, i64::MIN, false),
        run(
            9,
            73,
            1,
            [sample("tokens", 0), sample("offsets", 0), sample("text", 0)],
            311,
            0,
            false,
        ),
        run(
            9,
            73,
            3,
            [sample("tokens", 1), Digest::ZERO, Digest::ZERO],
            0,
            -1,
            true,
        ),
    ] {
        let fields = words![
            of.n_prompt,
            of.n_tokens,
            of.finish,
            of.tokens_root,
            of.offsets_root,
            of.text_root,
            of.text_length,
            of.score,
            of.greedy
        ];
        cases.push(case("run", c::TAG_RUN, &fields, of.digest()));
    }

    for (input_id, n_runs, runs_root, score_root) in [
        (0u64, 0u32, Digest::ZERO, Digest::ZERO),
        (u64::MAX, u32::MAX, ONES, ONES),
        (7, 2, sample("runs", 0), Digest::ZERO),
    ] {
        let of = JobRecord {
            input_id,
            n_runs,
            runs_root,
            score_root,
        };
        cases.push(case(
            "job",
            c::TAG_JOB,
            &words![input_id, n_runs, runs_root, score_root],
            of.digest(),
        ));
    }

    for (chain_id, claims, epoch, proposer, [model_id, accumulator, root]) in [
        (0u64, NONE, 0u64, NONE, [Digest::ZERO; 3]),
        (u64::MAX, FULL, u64::MAX, FULL, [ONES; 3]),
        (
            31_337,
            address(3),
            12,
            address(4),
            [
                sample("model", 0),
                sample("accumulator", 0),
                sample("root", 0),
            ],
        ),
    ] {
        let of = ClaimRecord {
            chain_id,
            claims,
            epoch,
            model_id,
            accumulator,
            root,
            proposer,
        };
        let fields = words![
            chain_id,
            claims,
            epoch,
            model_id,
            accumulator,
            root,
            proposer
        ];
        cases.push(case("claim", c::TAG_CLAIM, &fields, of.digest()));
    }

    // Words that only Solidity's types can hold.
    let wide = [Word([0xff; 32]), Word([0x80; 32]), Word([0; 32])];
    cases.push(case("any", "sworn/any", &wide, record("sworn/any", &wide)));
    cases.push(case(
        "any",
        "a tag of exactly 32 characters!!",
        &[],
        record("a tag of exactly 32 characters!!", &[]),
    ));
    json!({ "count": cases.len(), "cases": cases })
}

fn run(
    n_prompt: u32,
    n_tokens: u32,
    finish: u8,
    [tokens_root, offsets_root, text_root]: [Digest; 3],
    text_length: u64,
    score: i64,
    greedy: bool,
) -> RunRecord {
    RunRecord {
        n_prompt,
        n_tokens,
        finish,
        tokens_root,
        offsets_root,
        text_root,
        text_length,
        score,
        greedy,
    }
}
