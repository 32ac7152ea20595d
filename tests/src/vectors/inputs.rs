//! What comes into the machine: parameters, payloads, seeds, and the inbox's running hash.

use serde_json::{Value, json};
use sha3::{Digest as _, Keccak256};
use sworn_inference::tokenizer::Segment;
use sworn_prover::params::Params;
use sworn_prover::record::{self, InputRecord};
use sworn_prover::{Digest, Error, header, payload, text};

use super::records::{address, odd_params};
use super::{hex, sample};

pub(super) fn params() -> Value {
    let good = Params {
        n_runs: 2,
        temperature_milli: 1000,
        ..Params::default()
    };
    let valid = [
        Params::default(),
        odd_params(),
        Params {
            n_runs: 16,
            temperature_milli: 10_000,
            top_p_ppm: 1,
            min_p_ppm: 1_000_000,
            ..good
        },
        Params {
            n_runs: 1,
            temperature_milli: 1,
            ..good
        },
        Params {
            max_new_tokens: u32::MAX,
            max_total_tokens: u32::MAX,
            top_k: u32::MAX,
            ..good
        },
    ];
    let invalid = [
        Params { kind: 0, ..good },
        Params { kind: 2, ..good },
        Params { kind: 3, ..good },
        Params { kind: 255, ..good },
        Params { n_runs: 0, ..good },
        Params { n_runs: 17, ..good },
        Params {
            n_runs: u16::MAX,
            ..good
        },
        Params {
            temperature_milli: 0,
            ..good
        },
        Params {
            temperature_milli: 10_001,
            ..good
        },
        Params {
            temperature_milli: u32::MAX,
            ..good
        },
        Params {
            top_p_ppm: 0,
            ..good
        },
        Params {
            top_p_ppm: 1_000_001,
            ..good
        },
        Params {
            min_p_ppm: 1_000_001,
            ..good
        },
        // Two things wrong: the first rule in the order of the specification counts.
        Params {
            kind: 2,
            n_runs: 0,
            ..good
        },
        Params {
            n_runs: 0,
            temperature_milli: 10_001,
            ..good
        },
        Params {
            temperature_milli: 10_001,
            top_p_ppm: 0,
            ..good
        },
        Params {
            temperature_milli: 0,
            top_p_ppm: 0,
            ..good
        },
    ];
    let fields = |params: &Params| {
        json!({
            "word": params.pack().to_string(),
            "kind": params.kind,
            "n_runs": params.n_runs,
            "max_new_tokens": params.max_new_tokens,
            "max_total_tokens": params.max_total_tokens,
            "temperature_milli": params.temperature_milli,
            "top_k": params.top_k,
            "top_p_ppm": params.top_p_ppm,
            "min_p_ppm": params.min_p_ppm,
            "error": error_name(params.check()),
        })
    };
    let reserved = (27..32).map(|at| {
        let mut word = good.pack();
        word.0[at] = 1;
        word.to_string()
    });
    json!({
        "valid": valid.iter().map(fields).collect::<Vec<_>>(),
        "invalid": invalid.iter().map(fields).collect::<Vec<_>>(),
        "reserved": reserved.collect::<Vec<_>>(),
        "valid_count": valid.len(),
        "invalid_count": invalid.len(),
    })
}

/// The inbox's error, and for sampling parameters which one.
fn error_name(result: Result<(), Error>) -> String {
    match result {
        Ok(()) => String::new(),
        Err(Error::UnsupportedKind { .. }) => "UnsupportedKind".to_owned(),
        Err(Error::BadRunCount { .. }) => "BadRunCount".to_owned(),
        Err(Error::RunsAtZeroTemperature { .. }) => "RunsAtZeroTemperature".to_owned(),
        Err(Error::BadSampling { field, .. }) => format!("BadSampling {field}"),
        Err(other) => other.to_string(),
    }
}

pub(super) fn payloads() -> Result<Value, Error> {
    let long = super::pattern(1000);
    let most = [Segment::Text(b""); 64];
    let lists: [&[Segment<'_>]; 9] = [
        &[],
        &[Segment::Text(b"")],
        &[Segment::Text(b"Once upon a time")],
        &[
            Segment::Text("Grüße \u{1f600}".as_bytes()),
            Segment::Text(b" again"),
        ],
        &[Segment::Text(&[0xff, 0xc0, 0x00, 0x80])],
        &[
            Segment::Control(1),
            Segment::Text(b"user"),
            Segment::Control(u32::MAX),
            Segment::Control(0),
        ],
        &[
            Segment::Text(b"\x01\x00\x00\x00\x02"),
            Segment::Control(0x0102_0304),
        ],
        &[Segment::Text(&long)],
        &most,
    ];
    let valid = lists.into_iter().map(|segments| {
        let bytes = payload::encode(segments)?;
        let list: Vec<Value> = segments
            .iter()
            .map(|segment| match segment {
                Segment::Text(text) => json!({ "type": "text", "bytes": hex(text) }),
                Segment::Control(id) => json!({ "type": "control", "id": id }),
            })
            .collect();
        Ok(json!({
            "payload": hex(&bytes),
            "segments": list,
            "length": bytes.len(),
            "root": text::root(&bytes).to_string(),
        }))
    });
    let many = [&[1][..], &[0; 65 * 5]].concat();
    let malformed: [(&[u8], &str); 13] = [
        (&[], "no version"),
        (&[0], "version 0"),
        (&[2, 0, 0, 0, 0, 0], "version 2"),
        (&[1, 2], "segment type 2"),
        (&[1, 0xff, 0, 0, 0, 0], "segment type 255"),
        (&[1, 0], "no length"),
        (&[1, 0, 0, 0, 1], "a length of 3 bytes"),
        (&[1, 0, 0, 0, 0, 2, b'x'], "a text that is one byte short"),
        (
            &[1, 0, 0xff, 0xff, 0xff, 0xff, b'x'],
            "a text of 2^32 - 1 bytes",
        ),
        (&[1, 1], "no id"),
        (&[1, 1, 0, 0, 1], "an id of 3 bytes"),
        (&[1, 0, 0, 0, 0, 0, 7], "a byte after the last segment"),
        (&many, "65 segments"),
    ];
    let malformed = malformed.map(|(bytes, why)| json!({ "payload": hex(bytes), "why": why }));
    let valid = valid.collect::<Result<Vec<_>, Error>>()?;
    Ok(json!({
        "valid_count": valid.len(),
        "malformed_count": malformed.len(),
        "valid": valid,
        "malformed": malformed,
    }))
}

pub(super) fn seeds() -> Result<Value, Error> {
    let headers = [
        header(&[], true),
        header(b"extra", true),
        header(&[7; 32], false),
    ];
    let mut cases = Vec::new();
    let mut header_cases = Vec::new();
    for (rlp, i) in headers.iter().zip(0u8..) {
        let mix_hash = header::mix_hash(rlp)?;
        let block_hash = Digest(Keccak256::digest(rlp).into());
        header_cases
            .push(json!({ "rlp": hex(rlp), "mix_hash": mix_hash.to_string(), "block_hash": block_hash.to_string() }));
        let (chain_id, input_id, inbox) = (
            [1u64, 31_337, 10][usize::from(i)],
            1000 * u64::from(i),
            address(i),
        );
        cases.push(json!({
            "chain_id": chain_id,
            "inbox": inbox.to_string(),
            "input_id": input_id,
            "mix_hash": mix_hash.to_string(),
            "block_hash": block_hash.to_string(),
            "seed": record::seed(chain_id, inbox, input_id, mix_hash, block_hash).to_string(),
        }));
    }
    let good = &headers[0];
    let mut short_mix = fields(&[], true);
    short_mix[13].pop();
    let bad = [
        Vec::new(),
        vec![0x80],
        vec![0xc0],
        good[..good.len() - 1].to_vec(),
        [good.as_slice(), &[0]].concat(),
        list(&fields(&[], true)[..13]),
        list(&short_mix),
        // A list among the fields.
        vec![0xc1, 0xc0],
        // Lengths past the end, and as long as can be.
        vec![0xf8, 0xff, 0x01],
        vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        vec![
            0xca, 0xbf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00,
        ],
    ];
    let malformed: Vec<String> = bad.iter().map(|rlp| hex(rlp)).collect();
    Ok(
        json!({ "cases": cases, "headers": header_cases, "malformed_headers": malformed, "count": cases.len() }),
    )
}

/// An RLP header of today's Ethereum, or of one without a base fee.
fn header(extra: &[u8], with_base_fee: bool) -> Vec<u8> {
    list(&fields(extra, with_base_fee))
}

fn fields(extra: &[u8], with_base_fee: bool) -> Vec<Vec<u8>> {
    let digest = |i| sample("header", i).0.to_vec();
    let mut fields = vec![
        digest(0),
        digest(1),
        address(9).0.to_vec(),
        digest(2),
        digest(3),
        digest(4),
        vec![0; 256],
    ];
    // Difficulty 0, number, gas limit, gas used 0, time, extra data, mixHash, nonce.
    fields.extend([
        vec![],
        vec![0x04, 0xd2],
        vec![0x02, 0x62, 0x5a, 0x00],
        vec![],
        vec![0x69, 0x20, 0x00, 0x01],
    ]);
    fields.extend([
        extra.to_vec(),
        sample("mix", extra.len() as u32).0.to_vec(),
        vec![0; 8],
    ]);
    if with_base_fee {
        fields.extend([vec![7], digest(5), vec![], vec![], digest(6), digest(7)]);
    }
    fields
}

fn list(fields: &[Vec<u8>]) -> Vec<u8> {
    let string = |bytes: &Vec<u8>| match bytes.as_slice() {
        [byte] if *byte < 0x80 => vec![*byte],
        bytes => [prefix(0x80, bytes.len()), bytes.to_vec()].concat(),
    };
    let body: Vec<u8> = fields.iter().flat_map(string).collect();
    [prefix(0xc0, body.len()), body].concat()
}

fn prefix(base: u8, length: usize) -> Vec<u8> {
    if length < 56 {
        return vec![base + length as u8];
    }
    let digits: Vec<u8> = length
        .to_be_bytes()
        .into_iter()
        .skip_while(|digit| *digit == 0)
        .collect();
    [vec![base + 55 + digits.len() as u8], digits].concat()
}

/// Inputs of one inbox, sealed one after another.
pub(super) fn accumulators() -> Value {
    let mut accumulator = Digest::ZERO;
    let mut cases = Vec::new();
    for id in 0u8..4 {
        let input = InputRecord {
            chain_id: 31_337,
            inbox: address(0),
            input_id: u64::from(id),
            sender: address(1),
            recipient: address(2),
            model_id: sample("model", u32::from(id)),
            params: odd_params(),
            payload_root: sample("payload", u32::from(id)),
            payload_length: 100 + u64::from(id),
        }
        .digest();
        let seed = sample("seed", u32::from(id));
        accumulator = record::accumulate(accumulator, input, seed);
        cases.push(json!({
            "input": input.to_string(),
            "seed": seed.to_string(),
            "accumulator": accumulator.to_string(),
        }));
    }
    json!({ "count": cases.len(), "cases": cases })
}
