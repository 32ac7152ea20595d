//! Trees over digests, texts and number lists.

use serde_json::{Value, json};
use sworn_prover::merkle::{self, Tree};
use sworn_prover::{Error, text};

use super::{hex, hexes, pattern, pattern_numbers, sample};

pub(super) fn merkle() -> Result<Value, Error> {
    let case = |count: u32| {
        let leaves: Vec<_> = (0..count).map(|i| sample("leaf", i)).collect();
        let tree = Tree::new(leaves.clone());
        let paths = (0..u64::from(count))
            .map(|i| tree.path(i).map(|path| hexes(&path)))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(json!({
            "count": count,
            "depth": tree.depth(),
            "leaves": hexes(&leaves),
            "paths": paths,
            "root": tree.root().to_string(),
        }))
    };
    let cases = [0, 1, 2, 3, 5, 8, 17]
        .into_iter()
        .map(case)
        .collect::<Result<Vec<_>, Error>>()?;
    let empty: Vec<_> = (0..=40).map(merkle::empty).collect();
    Ok(json!({ "empty": hexes(&empty), "count": cases.len(), "cases": cases }))
}

pub(super) fn texts() -> Result<Value, Error> {
    let case = |length: usize| {
        let bytes = pattern(length);
        let chunks = text::chunk_tree(&bytes);
        let chunk = |index: u32| {
            let range = text::chunk_range(length as u64, index)?;
            let path = chunks.path(u64::from(index))?;
            Ok(
                json!({ "start": range.start, "length": range.end - range.start, "path": hexes(&path) }),
            )
        };
        let list = (0..text::chunk_count(length as u64) as u32)
            .map(chunk)
            .collect::<Result<Vec<_>, Error>>()?;
        Ok(json!({
            "chunk_count": list.len(),
            "chunks": list,
            "depth": text::tree(&bytes).depth(),
            "length": length,
            "root": text::root(&bytes).to_string(),
        }))
    };
    let lengths = [0, 1, 255, 256, 257, 1000, 131_072, 131_073, 400_000];
    let patterns = lengths
        .into_iter()
        .map(case)
        .collect::<Result<Vec<_>, Error>>()?;

    let literal =
        |bytes: &[u8]| json!({ "bytes": hex(bytes), "root": text::root(bytes).to_string() });
    let literals: Vec<Value> = [
        &b""[..],
        b"\0",
        b"\0\0",
        b"hello",
        "Grüße, \u{4e16}\u{754c}".as_bytes(),
        &[0xff; 300],
        &[[b'a'; 256].as_slice(), &[0]].concat(),
    ]
    .into_iter()
    .map(literal)
    .collect();

    let list = |count: usize| json!({ "count": count, "root": text::numbers_root(&pattern_numbers(count)).to_string() });
    let numbers: Vec<Value> = [0, 1, 2, 63, 64, 65, 128, 1000]
        .into_iter()
        .map(list)
        .collect();
    Ok(json!({
        "count": patterns.len(),
        "literals": literals,
        "numbers": numbers,
        "pattern": "byte i = (i * 2654435761 mod 2^32) >> 24; number i = i * 2654435761 mod 2^32",
        "patterns": patterns,
    }))
}
