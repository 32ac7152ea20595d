//! The tokenizer against a naive twin, on vocabularies that no trainer would make.

use proptest::prelude::*;
use sworn_inference::testing::{Token, gguf_vocabulary, tokenizer_bin, vocabulary};
use sworn_inference::tokenizer::{Merge, NONE, Segment, TokenType, Tokenizer};

/// The definition, word for word: pieces as byte strings, the best pair of the whole text merged again and again.
struct Naive<'a> {
    tokens: &'a [Token],
}

#[derive(Debug, Clone, PartialEq)]
enum Symbol {
    Piece(u32),
    Byte(u8),
}

impl Naive<'_> {
    /// The NORMAL token of a text: the lowest id.
    fn piece(&self, text: &[u8]) -> Option<u32> {
        (0..self.tokens.len() as u32)
            .find(|&id| self.tokens[id as usize].2 == 1 && self.tokens[id as usize].0 == text)
    }

    fn symbols(&self, text: &[u8]) -> Vec<Symbol> {
        let mut symbols = Vec::new();
        for chunk in text.utf8_chunks() {
            for character in chunk.valid().chars() {
                let mut buffer = [0; 4];
                let bytes = character.encode_utf8(&mut buffer).as_bytes();
                match self.piece(bytes) {
                    Some(token) => symbols.push(Symbol::Piece(token)),
                    None => symbols.extend(bytes.iter().map(|byte| Symbol::Byte(*byte))),
                }
            }
            for byte in chunk.invalid() {
                symbols.push(
                    self.piece(&[*byte])
                        .map_or(Symbol::Byte(*byte), Symbol::Piece),
                );
            }
        }
        symbols
    }

    fn join(&self, left: &Symbol, right: &Symbol) -> Option<u32> {
        let (Symbol::Piece(left), Symbol::Piece(right)) = (left, right) else {
            return None;
        };
        self.piece(
            &[
                &self.tokens[*left as usize].0[..],
                &self.tokens[*right as usize].0,
            ]
            .concat(),
        )
    }

    /// Tokens of a text, and the last pair that merged.
    fn encode(&self, text: &[u8]) -> (Vec<u32>, Option<(Symbol, Symbol)>) {
        let mut symbols = self.symbols(text);
        let mut last = None;
        loop {
            let mut best: Option<(f32, usize, u32)> = None;
            for at in 1..symbols.len() {
                if let Some(result) = self.join(&symbols[at - 1], &symbols[at]) {
                    let score = self.tokens[result as usize].1;
                    if best.is_none_or(|(other, ..)| score > other) {
                        best = Some((score, at, result));
                    }
                }
            }
            let Some((_, at, result)) = best else { break };
            last = Some((symbols[at - 1].clone(), symbols[at].clone()));
            symbols[at - 1] = Symbol::Piece(result);
            symbols.remove(at);
        }
        let ids = symbols.iter().map(|symbol| match symbol {
            Symbol::Piece(token) => *token,
            Symbol::Byte(byte) => u32::from(*byte) + 3,
        });
        (ids.collect(), last)
    }

    /// The merge table by trying every pair.
    fn merges(&self) -> Vec<Merge> {
        let ids = 0..self.tokens.len() as u32;
        let spelled: Vec<u32> = ids
            .filter(|&id| {
                self.piece(&self.tokens[id as usize].0) == Some(id)
                    && !self.tokens[id as usize].0.is_empty()
            })
            .collect();
        let mut merges = Vec::new();
        for &left in &spelled {
            for &right in &spelled {
                if let Some(result) = self.join(&Symbol::Piece(left), &Symbol::Piece(right)) {
                    merges.push(Merge {
                        left,
                        right,
                        rank: 0,
                        result,
                    });
                }
            }
        }
        let score = |merge: &Merge| self.tokens[merge.result as usize].1;
        for index in 0..merges.len() {
            let mut above: Vec<u32> = merges
                .iter()
                .map(score)
                .filter(|other| *other > score(&merges[index]))
                .map(f32::to_bits)
                .collect();
            above.sort_unstable();
            above.dedup();
            merges[index].rank = above.len() as u32;
        }
        merges
    }
}

/// Vocabularies over few characters, so that merges compete: pieces at random, scores with ties, doubles, other types.
fn vocabularies() -> impl Strategy<Value = Vec<Token>> {
    let character = prop::sample::select(vec!["a", "b", "c", " ", "é", "字", "\u{1f999}"]);
    let piece = prop::collection::vec(character, 1..6).prop_map(|parts| parts.concat());
    let token = (
        piece,
        -6_i8..0,
        prop::sample::select(vec![1_u32, 1, 1, 1, 1, 1, 3, 4, 5]),
    );
    let single = prop::sample::subsequence(vec!["a", "b", "c", " ", "é", "字"], 3..=6);
    (single, prop::collection::vec(token, 0..40), any::<bool>()).prop_map(
        |(singles, others, closed)| {
            let mut tokens = vocabulary(259);
            tokens.extend(
                singles
                    .into_iter()
                    .map(|text| (text.as_bytes().to_vec(), -9.0, 1)),
            );
            for (text, score, token_type) in others {
                // Closed vocabularies hold every prefix, so that long pieces can be reached.
                let ends = text.char_indices().map(|(at, _)| at).skip(1);
                for end in ends.filter(|_| closed).chain([text.len()]) {
                    tokens.push((
                        text.as_bytes()[..end].to_vec(),
                        f32::from(score),
                        token_type,
                    ));
                }
            }
            tokens
        },
    )
}

fn texts() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        8 => prop::sample::select(vec!["a", "b", "c", " ", "é", "字", "aa", "ab", "ba", "\u{1f999}", "\u{2581}", "z", "<s>", "<0x41>"]).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..3),
    ];
    prop::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
}

fn gguf_tokenizer(tokens: &[Token], space: bool) -> Tokenizer {
    use sworn_inference::testing::Value;
    let mut file = gguf_vocabulary(tokens);
    file.set("tokenizer.ggml.add_space_prefix", Value::Bool(space));
    let path = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(path.path(), file.to_bytes()).unwrap();
    Tokenizer::from_gguf_file(path.path()).unwrap()
}

/// Tokens without BOS of a text without the space that is put before it.
fn bare(tokenizer: &Tokenizer, text: &[u8]) -> Vec<u32> {
    let tokens = tokenizer.encode(&[Segment::Text(text)]);
    assert_eq!(tokens[0], tokenizer.bos());
    tokens[1..].to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn encodes_as_the_naive_twin(tokens in vocabularies(), text in texts()) {
        let tokenizer = gguf_tokenizer(&tokens, false);
        let naive = Naive { tokens: &tokens };
        prop_assert_eq!(bare(&tokenizer, &text), naive.encode(&text).0);
        prop_assert_eq!(tokenizer.decode(&tokenizer.encode(&[Segment::Text(&text)])), text);
    }

    #[test]
    fn commits_what_the_naive_twin_finds(tokens in vocabularies()) {
        let tokenizer = gguf_tokenizer(&tokens, true);
        let naive = Naive { tokens: &tokens };
        let merges = naive.merges();
        prop_assert_eq!(tokenizer.merges(), &merges[..]);
        let mut strange = false;
        let mut decreasing = false;
        for (id, (piece, _, token_type)) in tokens.iter().enumerate() {
            let entry = tokenizer.token(id as u32);
            let text = String::from_utf8_lossy(piece).replace(' ', "\u{2581}");
            prop_assert_eq!(entry.bytes, text.as_bytes());
            prop_assert_eq!(entry.token_type as u32, *token_type);
            let (encoded, last) = naive.encode(piece);
            let spelled = *token_type == 1 && encoded == [id as u32];
            let rank_of = |symbol: &Symbol| merges.iter().find(|merge| *symbol == Symbol::Piece(merge.result)).map(|merge| merge.rank);
            match last.filter(|_| spelled) {
                None => prop_assert_eq!((entry.left, entry.right, entry.rank), (NONE, NONE, NONE)),
                Some((left, right)) => {
                    prop_assert_eq!((Symbol::Piece(entry.left), Symbol::Piece(entry.right)), (left.clone(), right.clone()));
                    prop_assert_eq!(Some(entry.rank), rank_of(&Symbol::Piece(id as u32)));
                    for part in [left, right] {
                        let Symbol::Piece(part) = part else { panic!("a byte merged") };
                        let birth = tokenizer.token(part).rank;
                        decreasing |= birth != NONE && birth > entry.rank;
                    }
                }
            }
            strange |= *token_type == 1 && naive.symbols(piece).iter().any(|symbol| matches!(symbol, Symbol::Byte(_)));
        }
        prop_assert_eq!(tokenizer.trust_note().is_some(), strange || decreasing, "{:?}", tokenizer.trust_note());
        prop_assert_eq!(tokenizer.flags() & 4 != 0, strange || decreasing);
    }

    #[test]
    fn both_files_give_the_same_tokens(text in texts(), any in prop::collection::vec(any::<u8>(), 0..60), utf8 in ".{0,30}") {
        let tokens = vocabulary(600);
        let bin = Tokenizer::from_llama2c(&tokenizer_bin(&tokens), 600).unwrap();
        let gguf = gguf_tokenizer(&tokens, true);
        for text in [&text[..], &any, utf8.as_bytes()] {
            let ids = bin.encode(&[Segment::Text(text)]);
            prop_assert_eq!(&ids, &gguf.encode(&[Segment::Text(text)]));
            // The space that was put before the text is gone again.
            prop_assert_eq!(bin.decode(&ids), text);
            prop_assert_eq!(gguf.decode(&ids), text);
            // Nothing but text comes from text.
            let from_text = |id: &u32| matches!(bin.token(*id).token_type, TokenType::Normal | TokenType::Byte);
            prop_assert!(ids[1..].iter().all(from_text));
        }
    }

    #[test]
    fn segments(parts in prop::collection::vec(prop_oneof![texts().prop_map(Ok), (0_u32..4).prop_map(Err)], 0..6)) {
        let tokenizer = Tokenizer::from_llama2c(&tokenizer_bin(&vocabulary(400)), 400).unwrap();
        let segments: Vec<Segment<'_>> = parts.iter().map(|part| match part {
            Ok(text) => Segment::Text(text),
            Err(id) => Segment::Control(*id),
        }).collect();
        // By the words: each segment alone, a space before text that does not follow text; 0 and 3 are no control tokens.
        let mut expected = vec![1];
        let mut text_so_far = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            match part {
                Err(id) => expected.extend([*id].into_iter().filter(|id| *id == 1 || *id == 2)),
                Ok(text) => {
                    let follows = index > 0 && parts[index - 1].is_ok();
                    let mut ids = tokenizer.encode(&[Segment::Text(b""), Segment::Text(text)]);
                    if !follows {
                        ids = tokenizer.encode(&[Segment::Text(text)]);
                    }
                    expected.extend_from_slice(&ids[1..]);
                    text_so_far.extend_from_slice(text);
                }
            }
        }
        let ids = tokenizer.encode(&segments);
        prop_assert_eq!(&ids, &expected);
        if parts.iter().all(Result::is_ok) && parts.first().is_some_and(|part| part.as_ref().is_ok_and(|text| !text.is_empty())) {
            prop_assert_eq!(tokenizer.decode(&ids), text_so_far);
        }
    }

    #[test]
    fn own_form_round_trips_and_refuses_changes(tokens in vocabularies(), at in any::<prop::sample::Index>(), bit in 0..8, text in texts()) {
        let tokenizer = gguf_tokenizer(&tokens, true);
        let bytes = tokenizer.to_bytes();
        let again = Tokenizer::from_bytes(&bytes).unwrap();
        prop_assert_eq!(again.to_bytes(), bytes.clone());
        prop_assert_eq!(again.encode(&[Segment::Text(&text)]), tokenizer.encode(&[Segment::Text(&text)]));
        prop_assert_eq!(again.merges(), tokenizer.merges());
        prop_assert_eq!((again.flags(), again.bos(), again.eos()), (tokenizer.flags(), tokenizer.bos(), tokenizer.eos()));
        prop_assert!((0..again.vocab_size()).all(|id| again.token(id) == tokenizer.token(id)));
        let at = at.index(bytes.len());
        prop_assert!(Tokenizer::from_bytes(&bytes[..at]).is_err());
        let mut changed = bytes.clone();
        changed[at] ^= 1_u8 << bit;
        prop_assert!(Tokenizer::from_bytes(&changed).is_err());
        let mut longer = bytes;
        longer.push(0);
        prop_assert!(Tokenizer::from_bytes(&longer).is_err());
    }

    #[test]
    fn any_bytes_are_no_tokenizer_or_one(bytes in prop::collection::vec(any::<u8>(), 0..200), size in 0_u32..300) {
        prop_assert!(Tokenizer::from_llama2c(&bytes, size).is_err());
        prop_assert!(Tokenizer::from_bytes(&bytes).is_err());
        let mut ours = b"SWTK\x01\0\0\0".to_vec();
        ours.extend(bytes);
        prop_assert!(Tokenizer::from_bytes(&ours).is_err());
    }
}

#[test]
fn control_tokens_never_come_from_text() {
    let mut tokens = vocabulary(400);
    // A user-defined piece, and normal pieces that lead to it.
    for text in ["<", "/", "s", ">", "</", "</s", "<s", "s>"] {
        if tokens.iter().all(|token| token.0 != text.as_bytes()) {
            tokens.push((text.as_bytes().to_vec(), -1.0, 1));
        }
    }
    tokens.push((b"</s>".to_vec(), 0.0, 4));
    let user_defined = tokens.len() as u32 - 1;
    let tokenizer = gguf_tokenizer(&tokens, true);
    for text in ["<s>", "</s>", "a</s>b<s>", "<unk>", "<0x0A>"] {
        let ids = tokenizer.encode(&[Segment::Text(text.as_bytes())]);
        assert!(
            ids[1..].iter().all(|id| !tokenizer.is_control(*id)),
            "{text}: {ids:?}"
        );
        assert_eq!(tokenizer.decode(&ids), text.as_bytes());
    }
    assert!(
        tokenizer.is_control(user_defined) && tokenizer.is_control(1) && tokenizer.is_control(2)
    );
    assert!(
        !tokenizer.is_control(0) && !tokenizer.is_control(3) && !tokenizer.is_control(u32::MAX)
    );
    let ids = tokenizer.encode(&[
        Segment::Control(user_defined),
        Segment::Text(b"a"),
        Segment::Control(2),
    ]);
    assert_eq!((ids[0], ids[1], ids[ids.len() - 1]), (1, user_defined, 2));
    assert_eq!(tokenizer.decode(&ids), b"</s> a");
}

#[test]
fn trust_notes() {
    let note = |pieces: &[(&str, f32)]| {
        let mut tokens = vocabulary(259);
        tokens.extend(
            pieces
                .iter()
                .map(|(text, score)| (text.as_bytes().to_vec(), *score, 1)),
        );
        let tokenizer = gguf_tokenizer(&tokens, true);
        tokenizer.trust_note().map(str::to_owned)
    };
    let letters = [("a", -9.0), ("b", -9.0), ("c", -9.0)];
    assert_eq!(
        note(&[&letters[..], &[("ab", -1.0), ("abc", -2.0)]].concat()),
        None
    );
    let decreasing = note(&[&letters[..], &[("ab", -2.0), ("abc", -1.0)]].concat());
    assert_eq!(
        decreasing.unwrap(),
        "1 of the pieces have a derivation that decreases in rank; the first is token 263"
    );
    let foreign = note(&[&letters[..], &[("ad", -2.0), ("ab", -1.0)]].concat());
    assert_eq!(
        foreign.unwrap(),
        "1 of the pieces use a character that is no piece; the first is token 262"
    );
}

#[test]
fn empty_prompts() {
    let tokenizer = Tokenizer::from_llama2c(&tokenizer_bin(&vocabulary(300)), 300).unwrap();
    assert_eq!(tokenizer.encode(&[]), [1]);
    assert_eq!(tokenizer.encode(&[Segment::Text(b"")]), [1]);
    assert_eq!(tokenizer.piece(None, 300), &b""[..]);
    assert_eq!(tokenizer.decode(&[1, 5000, 2]), b"");
}

#[test]
fn vocabularies_that_do_not_fit() {
    let tokens = vocabulary(300);
    let bytes = tokenizer_bin(&tokens);
    let message =
        |result: Result<Tokenizer, sworn_inference::Error>| result.unwrap_err().to_string();
    assert!(
        message(Tokenizer::from_llama2c(&bytes, 301)).contains("found 300 pieces, expected 301")
    );
    assert!(message(Tokenizer::from_llama2c(&bytes, 299)).contains("expected 299 pieces"));
    assert!(message(Tokenizer::from_llama2c(&bytes[..bytes.len() - 1], 300)).contains("truncated"));
    let changed = |change: &dyn Fn(&mut Vec<Token>)| {
        let mut tokens = tokens.clone();
        change(&mut tokens);
        message(Tokenizer::from_llama2c(
            &tokenizer_bin(&tokens),
            tokens.len() as u32,
        ))
    };
    assert!(changed(&|tokens| tokens[270].1 = f32::NAN).contains("NaN"));
    assert!(changed(&|tokens| tokens[100].0 = b"a".to_vec()).contains("<0x61>"));
    assert!(changed(&|tokens| tokens[299].0 = vec![b'a'; 1025]).contains("1025 bytes"));
    assert!(changed(&|tokens| tokens.truncate(200)).contains("none for <0xC5>"));
}
