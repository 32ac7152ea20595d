//! Tokenizers with their tables, and what texts become.

use std::error::Error;

use serde_json::{Value, json};
use sworn_inference::testing::{Token, gguf_vocabulary};
use sworn_inference::tokenizer::{Segment, Tokenizer};
use sworn_prover::commitment::tokenizer_record;

use super::arithmetic::Random;
use super::hex;

/// The tokens of a vocabulary: bytes as in its file, type, score.
pub(super) fn vocabulary(tokenizer: &Tokenizer, tokens: &[Token]) -> Value {
    vocabulary_from(tokenizer, tokens, 0)
}

/// The same without the first ones.
pub(super) fn vocabulary_from(tokenizer: &Tokenizer, tokens: &[Token], first: usize) -> Value {
    let token = |(id, (_, score, kind)): (usize, &Token)| {
        json!([
            hex(tokenizer.token(id as u32).bytes),
            kind,
            format!("0x{:08x}", score.to_bits())
        ])
    };
    json!(
        tokens
            .iter()
            .enumerate()
            .skip(first)
            .map(token)
            .collect::<Vec<_>>()
    )
}

pub(super) fn segments(segments: &[Segment<'_>]) -> Value {
    let segment = |segment: &Segment<'_>| match segment {
        Segment::Text(text) => json!({ "type": "text", "bytes": hex(text) }),
        Segment::Control(id) => json!({ "type": "control", "id": id }),
    };
    json!(segments.iter().map(segment).collect::<Vec<_>>())
}

fn base() -> Vec<Token> {
    let special = [("<unk>", 2), ("<s>", 3), ("</s>", 3)]
        .map(|(text, kind)| (text.as_bytes().to_vec(), 0.0, kind));
    let bytes = (0..256).map(|byte| (format!("<0x{byte:02X}>").into_bytes(), 0.0, 6));
    special.into_iter().chain(bytes).collect()
}

/// Ties, a piece that is there twice, tokens of every type, characters of several bytes.
pub(super) fn small() -> Vec<Token> {
    let normal = [
        (" ", -9.0),
        ("a", -9.0),
        ("b", -9.0),
        ("c", -9.0),
        ("é", -9.0),
        ("世", -9.0),
        ("ab", -1.0),
        ("bc", -1.0),
        (" a", -2.0),
        ("abc", -3.0),
        (" ab", -2.5),
        ("éa", -4.0),
        ("aa", -5.0),
        ("aaaa", -6.0),
        ("  ", -7.0),
        ("ab", -0.5),
        (" abc", -8.0),
    ];
    let mut tokens = base();
    tokens.extend(normal.map(|(text, score)| (text.as_bytes().to_vec(), score, 1)));
    tokens.push((b"<user>".to_vec(), 0.0, 4));
    tokens.push((b"<sys>".to_vec(), 0.0, 3));
    tokens.push((b"unused".to_vec(), 0.0, 5));
    tokens
}

/// Merges that fall in rank, and a piece of characters that are no pieces: such a tokenizer is marked as trusted.
fn untidy() -> Vec<Token> {
    let normal = [
        (" ", -9.0),
        ("x", -9.0),
        ("y", -9.0),
        ("xy", -4.0),
        ("xyx", -1.0),
        ("yx", -2.0),
        ("xyxy", -3.0),
        ("q!", -0.5),
        ("yy", -4.0),
        ("yyy", -4.0),
        (" x", -3.5),
    ];
    let mut tokens = base();
    tokens.extend(normal.map(|(text, score)| (text.as_bytes().to_vec(), score, 1)));
    tokens
}

pub(super) fn tokenizers() -> Result<Value, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let mut random = Random::new("tokenizer");
    let mut list = Vec::new();
    for (name, tokens, alphabet) in [
        ("small", small(), "abc é世a  "),
        ("untidy", untidy(), "xyxy q!"),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, gguf_vocabulary(&tokens).to_bytes())?;
        let tokenizer = Tokenizer::from_gguf_file(&path)?;
        let letters: Vec<char> = alphabet.chars().collect();
        let mut texts: Vec<Vec<u8>> = [
            "",
            " ",
            "a",
            "abc",
            "abcabc abc",
            "aaaaaaa",
            "yyyy",
            "\u{2581}a",
            "<s>a</s>",
            "<user>",
            "zß",
        ]
        .map(|text| text.as_bytes().to_vec())
        .to_vec();
        texts.extend([
            vec![0xff],
            vec![b'a', 0xc3],
            vec![0xe4, 0xb8, b'a'],
            vec![0xed, 0xa0, 0x80],
            vec![0xf4, 0x90, 0x80, 0x80],
            vec![0xc0, 0x80],
        ]);
        for length in 1..30 {
            let text: String = (0..length)
                .map(|_| letters[random.below(letters.len())])
                .collect();
            texts.push(text.into_bytes());
        }
        let encoding = |parts: &[Segment<'_>]| {
            let ids = tokenizer.encode(parts);
            json!({ "segments": segments(parts), "tokens": ids, "text": hex(&tokenizer.decode(&ids)) })
        };
        let mut encodings: Vec<Value> = texts
            .iter()
            .map(|text| encoding(&[Segment::Text(text)]))
            .collect();
        encodings.push(encoding(&[]));
        encodings.push(encoding(&[
            Segment::Text(b"a"),
            Segment::Text(b"b"),
            Segment::Text(b""),
            Segment::Text(b"c"),
        ]));
        encodings.push(encoding(&[Segment::Text(b""), Segment::Text(b"ab")]));
        encodings.push(encoding(&[
            Segment::Control(1),
            Segment::Text(b"ab"),
            Segment::Control(2),
            Segment::Text(b" ab"),
        ]));
        encodings.push(encoding(&[
            Segment::Text(b"a"),
            Segment::Control(2),
            Segment::Control(2),
            Segment::Text(b""),
        ]));

        let table: Vec<[u32; 3]> = (0..tokenizer.vocab_size())
            .map(|id| {
                let entry = tokenizer.token(id);
                [entry.left, entry.right, entry.rank]
            })
            .collect();
        let merges: Vec<[u32; 4]> = tokenizer
            .merges()
            .iter()
            .map(|m| [m.left, m.right, m.rank, m.result])
            .collect();
        let record = tokenizer_record(&tokenizer)?;
        list.push(json!({
            "name": name,
            "tokens": vocabulary(&tokenizer, &tokens),
            "flags": tokenizer.flags(),
            "bos": tokenizer.bos(),
            "table": table,
            "merges": merges,
            "table_root": record.table_root.to_string(),
            "merges_root": record.merges_root.to_string(),
            "tokenizer_root": record.digest().to_string(),
            "encodings": encodings,
        }));
    }
    Ok(json!({ "tokenizers": list }))
}
