//! Tokenizers in files: llama2.c's `tokenizer.bin`, GGUF, and our own compact form.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::tables::Tables;
use super::vocabulary::Vocabulary;
use super::{FLAG_ADD_BOS, FLAG_ADD_SPACE, FLAG_STRIP_SPACE, TokenType, Tokenizer};
use crate::Error;
use crate::format::read::{Reader, shown};
use crate::format::{Gguf, string};
use crate::map::Map;

/// Magic and version of our own form.
const MAGIC: &[u8; 4] = b"SWTK";
const VERSION: u32 = 1;
const OTHER_MODEL: &str = "give the tokenizer that the model was trained with";
const CONVERT: &str = "convert the model with a current converter";

/// Element types of GGUF arrays.
const GGUF_U32: u32 = 4;
const GGUF_I32: u32 = 5;
const GGUF_F32: u32 = 6;
const GGUF_STRING: u32 = 8;

impl Tokenizer {
    fn new(vocabulary: Vocabulary) -> Result<Tokenizer, Error> {
        let tables = Tables::derive(&vocabulary)?;
        Ok(Tokenizer { vocabulary, tables })
    }

    /// Reads a `tokenizer.bin` of llama2.c for a model with `vocab_size` rows of embedding: the longest piece's length, then score
    /// f32, length i32 and bytes of every piece. Its ids 0, 1, 2 are unknown, BOS and EOS; 3 to 258 are the bytes.
    pub fn from_llama2c(bytes: &[u8], vocab_size: u32) -> Result<Tokenizer, Error> {
        let mut reader = Reader::new(bytes);
        let longest = reader.u32("longest piece")?;
        let mut vocabulary =
            Vocabulary::new(FLAG_ADD_BOS | FLAG_ADD_SPACE | FLAG_STRIP_SPACE, 1, 2);
        for token in 0..vocab_size {
            if reader.remaining() == 0 {
                let expected = format!("{vocab_size}, the rows of the model's embedding");
                return Err(Error::bad_file(
                    "vocabulary",
                    format!("{token} pieces"),
                    expected,
                    OTHER_MODEL,
                ));
            }
            let score = reader.f32("score of a piece")?;
            let length = reader.u32("length of a piece")?;
            if length > longest {
                let what = format!("length of piece {token}");
                return Err(Error::bad_file(
                    what,
                    length,
                    format!("at most {longest}, as the file's first number says"),
                    "the file is damaged: get it again",
                ));
            }
            let piece = reader.take(length.into(), "piece")?;
            let token_type = match token {
                0 => TokenType::Unknown,
                1 | 2 => TokenType::Control,
                3..=258 => TokenType::Byte,
                _ => TokenType::Normal,
            };
            if token_type == TokenType::Byte && piece != format!("<0x{:02X}>", token - 3).as_bytes()
            {
                let what = format!("piece {token}");
                return Err(Error::bad_file(
                    what,
                    shown(piece),
                    format!("<0x{:02X}>", token - 3),
                    OTHER_MODEL,
                ));
            }
            vocabulary.push(piece, token_type, score)?;
        }
        if reader.remaining() > 0 {
            let found = format!(
                "{} bytes more after {vocab_size} pieces",
                reader.remaining()
            );
            let expected = format!("{vocab_size} pieces, the rows of the model's embedding");
            return Err(Error::bad_file("vocabulary", found, expected, OTHER_MODEL));
        }
        Tokenizer::new(vocabulary)
    }

    /// Reads a `tokenizer.bin` of llama2.c.
    pub fn from_llama2c_file(path: &Path, vocab_size: u32) -> Result<Tokenizer, Error> {
        let file = Map::open(path)?;
        Tokenizer::from_llama2c(&file, vocab_size).map_err(|error| error.at(path))
    }

    /// Reads the tokenizer of a GGUF file, with or without a model in it.
    pub fn from_gguf_file(path: &Path) -> Result<Tokenizer, Error> {
        let file = Map::open(path)?;
        let gguf = Gguf::parse(&file);
        gguf.and_then(|gguf| Tokenizer::from_gguf(&gguf))
            .map_err(|error| error.at(path))
    }

    /// The tokenizer of a parsed GGUF file.
    pub(crate) fn from_gguf(gguf: &Gguf<'_>) -> Result<Tokenizer, Error> {
        let model = gguf.string("tokenizer.ggml.model")?.unwrap_or(b"");
        if model != b"llama" {
            return Err(Error::bad_file(
                "tokenizer.ggml.model",
                shown(model),
                "\"llama\" (SentencePiece BPE)",
                "give a model with such a tokenizer",
            ));
        }
        let array = |key: &str, elements: &[u32], expected: &str| {
            let found = gguf.array(key, elements, expected)?;
            found.ok_or_else(|| Error::bad_file(key, "nothing", expected, CONVERT))
        };
        let (mut tokens, count) = array(
            "tokenizer.ggml.tokens",
            &[GGUF_STRING],
            "an array of strings",
        )?;
        let (mut scores, score_count) =
            array("tokenizer.ggml.scores", &[GGUF_F32], "an array of f32")?;
        let (mut types, type_count) = array(
            "tokenizer.ggml.token_type",
            &[GGUF_I32, GGUF_U32],
            "an array of i32",
        )?;
        for (key, length) in [
            ("tokenizer.ggml.scores", score_count),
            ("tokenizer.ggml.token_type", type_count),
        ] {
            if length != count {
                return Err(Error::bad_file(
                    key,
                    format!("{length} values"),
                    format!("{count}, one for each token"),
                    CONVERT,
                ));
            }
        }
        let id = |key: &str, default: u32| Ok::<u32, Error>(gguf.u32(key)?.unwrap_or(default));
        let flag = |key: &str, flags: u32| {
            Ok::<u32, Error>(if gguf.bool(key)?.unwrap_or(true) {
                flags
            } else {
                0
            })
        };
        let flags = flag("tokenizer.ggml.add_bos_token", FLAG_ADD_BOS)?
            | flag(
                "tokenizer.ggml.add_space_prefix",
                FLAG_ADD_SPACE | FLAG_STRIP_SPACE,
            )?;
        let bos = id("tokenizer.ggml.bos_token_id", 1)?;
        let eos = id("tokenizer.ggml.eos_token_id", 2)?;
        let mut vocabulary = Vocabulary::new(flags, bos, eos);
        for token in 0..count {
            let piece = string(&mut tokens, "tokenizer.ggml.tokens")?;
            let number = types.u32("tokenizer.ggml.token_type")?;
            let Some(token_type) = TokenType::from_number(number) else {
                let what = format!("tokenizer.ggml.token_type of token {token}");
                return Err(Error::bad_file(what, number, "1 to 6", CONVERT));
            };
            vocabulary.push(piece, token_type, scores.f32("tokenizer.ggml.scores")?)?;
        }
        Tokenizer::new(vocabulary)
    }

    /// A compact form for the imported model's folder:
    ///
    /// ```text
    /// "SWTK" | version, flags, bos, eos, tokens u32 | tokens x (type u8 | score f32 | length u16 | piece) | SHA-256 of all that
    /// ```
    /// All numbers are little-endian. The merge tables are derived again when it is read.
    pub fn to_bytes(&self) -> Vec<u8> {
        let vocabulary = &self.vocabulary;
        let mut out = MAGIC.to_vec();
        for number in [
            VERSION,
            vocabulary.flags,
            vocabulary.bos,
            vocabulary.eos,
            self.vocab_size(),
        ] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for token in 0..self.vocab_size() {
            let piece = vocabulary.piece(token);
            out.push(vocabulary.types[token as usize] as u8);
            out.extend_from_slice(&vocabulary.scores[token as usize].to_le_bytes());
            out.extend_from_slice(&(piece.len() as u16).to_le_bytes());
            out.extend_from_slice(piece);
        }
        let digest = Sha256::digest(&out);
        out.extend_from_slice(&digest);
        out
    }

    /// Reads [`Tokenizer::to_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Tokenizer, Error> {
        const AGAIN: &str = "import the model again";
        let reject = |what: &str, found: String, expected: &str| {
            Err(Error::bad_file(what, found, expected, AGAIN))
        };
        let mut reader = Reader::new(bytes);
        let magic = reader.take(4, "magic")?;
        if magic != MAGIC {
            return reject("magic", shown(magic), "\"SWTK\"");
        }
        let version = reader.u32("version")?;
        if version != VERSION {
            return reject("version of the tokenizer", version.to_string(), "1");
        }
        let Some((content, digest)) = bytes.split_last_chunk::<32>() else {
            return reject(
                "tokenizer",
                format!("{} bytes", bytes.len()),
                "a header, tokens and a digest",
            );
        };
        if Sha256::digest(content)[..] != digest[..] {
            return reject(
                "digest of the tokenizer",
                "other bytes".to_owned(),
                "the bytes that were written",
            );
        }
        let mut vocabulary = Vocabulary::new(
            reader.u32("flags")?,
            reader.u32("BOS token")?,
            reader.u32("EOS token")?,
        );
        if vocabulary.flags & !(FLAG_ADD_BOS | FLAG_ADD_SPACE | FLAG_STRIP_SPACE) != 0 {
            return reject("flags", format!("{:#x}", vocabulary.flags), "known ones");
        }
        let count = reader.u32("number of tokens")?;
        for _ in 0..count {
            let number = reader.u8("type")?;
            let Some(token_type) = TokenType::from_number(number.into()) else {
                return reject("type of a token", number.to_string(), "1 to 6");
            };
            let score = reader.f32("score")?;
            let length = reader.u16("length of a piece")?;
            vocabulary.push(reader.take(length.into(), "piece")?, token_type, score)?;
        }
        if reader.remaining() != digest.len() {
            return reject(
                "tokenizer",
                format!("{} bytes after the tokens", reader.remaining()),
                "the digest",
            );
        }
        Tokenizer::new(vocabulary)
    }
}
