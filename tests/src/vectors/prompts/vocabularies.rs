//! Vocabularies of few letters and many merges.

use std::error::Error;

use sworn_inference::testing::Token;
use sworn_inference::tokenizer::Tokenizer;
use sworn_prover::Digest;

/// Unknown, BOS, EOS and the 256 bytes: what every vocabulary starts with.
pub(super) const BASE: usize = 259;

const ADD_BOS: u32 = 1;
const ADD_SPACE: u32 = 2;
const STRIP: u32 = 8;

fn base() -> Vec<Token> {
    let special = [("<unk>", 2), ("<s>", 3), ("</s>", 3)]
        .map(|(text, kind)| (text.as_bytes().to_vec(), 0.0, kind));
    let bytes = (0..256).map(|byte| (format!("<0x{byte:02X}>").into_bytes(), 0.0, 6));
    special.into_iter().chain(bytes).collect()
}

fn of<P: AsRef<[u8]>>(pieces: &[(P, f32)]) -> Vec<Token> {
    let mut tokens = base();
    tokens.extend(
        pieces
            .iter()
            .map(|(piece, score)| (piece.as_ref().to_vec(), *score, 1)),
    );
    tokens
}

/// One of every other type; the last one is user-defined.
fn with_others(mut tokens: Vec<Token>, twice: &[(&str, u32)]) -> Vec<Token> {
    tokens.extend(
        twice
            .iter()
            .map(|(piece, kind)| (piece.as_bytes().to_vec(), -0.25, *kind)),
    );
    tokens.extend(
        [("<sys>", 3), ("ab", 5), ("b", 2), ("<user>", 4)]
            .map(|(piece, kind)| (piece.as_bytes().to_vec(), 0.0, kind)),
    );
    tokens
}

/// (name, tokens, flags, BOS).
pub(in crate::vectors) fn all() -> Vec<(&'static str, Vec<Token>, u32, u32)> {
    let spaces = [
        ("\u{2581}", -9.0),
        ("a", -9.0),
        ("b", -9.0),
        ("c", -9.0),
        ("é", -9.0),
        ("世", -9.0),
        ("ab", -1.0),
        ("bc", -1.0),
        ("\u{2581}a", -2.0),
        ("abc", -3.0),
        ("\u{2581}ab", -2.5),
        ("éa", -4.0),
        ("aa", -5.0),
        ("aaaa", -6.0),
        ("\u{2581}\u{2581}", -7.0),
        ("\u{2581}abc", -8.0),
    ];
    // A merge across a pair that ranks before the pair's own; a tie that the leftmost decides.
    let pairs = [
        ("a", 9.0),
        ("b", 9.0),
        ("bb", -1.0),
        ("ba", -2.0),
        ("bab", -2.0),
        ("bbab", 0.0),
        ("aa", -1.0),
        ("aab", -1.0),
    ];
    // Parts of a character, and one that is a piece as a whole.
    let torn: [(&[u8], f32); 12] = [
        (b"a", 1.0),
        ("é".as_bytes(), 1.0),
        ("aé".as_bytes(), 0.0),
        ("éé".as_bytes(), 0.5),
        ("字".as_bytes(), 1.0),
        ("字a".as_bytes(), 0.0),
        (b" ", 1.0),
        (b" a", -1.0),
        (b"\xc3", 1.0),
        (b"\xb6", 1.0),
        (b"\xb6a", 0.0),
        (b"\xa9", 1.0),
    ];
    let untidy = [
        ("x", -9.0),
        ("y", -9.0),
        ("xy", -4.0),
        ("xyx", -1.0),
        ("yx", -2.0),
        ("xyxy", -3.0),
        ("q!", -0.5),
        ("yy", -4.0),
        ("yyy", -4.0),
    ];
    let twice = [("ab", 1), ("a", 1), ("<0x61>", 6), ("<0x7A>", 6), (" a", 1)];
    vec![
        (
            "spaces",
            with_others(of(&spaces), &twice),
            ADD_BOS | ADD_SPACE | STRIP,
            1,
        ),
        ("no BOS", with_others(of(&spaces), &twice), ADD_SPACE, 1),
        ("pairs", with_others(of(&pairs), &[]), ADD_BOS, 1),
        (
            "torn",
            with_others(of(&torn), &[("é", 1), ("<0xC3>", 6)]),
            0,
            260,
        ),
        ("untidy", with_others(of(&untidy), &[]), ADD_BOS, 1),
    ]
}

/// A tokenizer in the form that imported models have.
pub(in crate::vectors) fn tokenizer(
    tokens: &[Token],
    flags: u32,
    bos: u32,
) -> Result<Tokenizer, Box<dyn Error>> {
    let mut bytes = b"SWTK".to_vec();
    for number in [1, flags, bos, 2, tokens.len() as u32] {
        bytes.extend(number.to_le_bytes());
    }
    for (piece, score, kind) in tokens {
        bytes.push(*kind as u8);
        bytes.extend(score.to_le_bytes());
        bytes.extend((piece.len() as u16).to_le_bytes());
        bytes.extend(piece);
    }
    let digest = Digest::of(&bytes);
    bytes.extend(digest.0);
    Ok(Tokenizer::from_bytes(&bytes)?)
}
