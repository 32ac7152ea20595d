//! `sworn tokenize`: text to tokens and back.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use sworn_inference::tokenizer::{Segment, TokenType, Tokenizer};

use super::Context;
use super::failure::{Classify, Failure, Kind};
use super::models;
use super::output::hex;
use super::prompt::PromptArgs;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sworn tokenize \"Once upon a time\"
  sworn tokenize --tokenizer tok512.bin --ids \"Once upon a time\"
  sworn tokenize --model model.gguf --json --prompt-file story.txt
  sworn tokenize --decode 1 494 471")]
pub(crate) struct TokenizeArgs {
    /// Model whose tokenizer is used: a file, or the id or name of an imported model.
    #[arg(long, short, value_name = "MODEL", conflicts_with = "tokenizer")]
    model: Option<String>,
    /// A tokenizer file: a llama2.c tokenizer.bin, or any GGUF file with a vocabulary.
    #[arg(long, value_name = "FILE")]
    tokenizer: Option<PathBuf>,
    /// The text; token ids with --decode.
    #[arg(value_name = "TEXT")]
    text: Vec<OsString>,
    #[command(flatten)]
    source: PromptArgs,
    /// Turn ids into text.
    #[arg(long, conflicts_with_all = ["prompt_file", "ids"])]
    decode: bool,
    /// Print the ids only, on one line.
    #[arg(long)]
    ids: bool,
}

pub(crate) fn run(args: &TokenizeArgs, context: &Context) -> Result<(), Failure> {
    let loaded;
    let read;
    let tokenizer = match (&args.model, &args.tokenizer) {
        (_, Some(path)) => {
            read = tokenizer_file(path)?;
            &read
        }
        (model, None) => {
            loaded = models::load(
                context,
                model.as_deref().unwrap_or(sworn_node::shipped::NAME),
                None,
            )?;
            loaded.model.tokenizer()
        }
    };
    if args.decode {
        decode(args, tokenizer, context)
    } else {
        encode(args, tokenizer, context)
    }
}

fn encode(args: &TokenizeArgs, tokenizer: &Tokenizer, context: &Context) -> Result<(), Failure> {
    let text = match args.text.as_slice() {
        [] => None,
        [text] => Some(text),
        several => {
            return Err(Failure::usage(format!(
                "found {} texts, expected one; put it in quotes",
                several.len()
            )));
        }
    };
    let text = args.source.read(text)?;
    let ids = tokenizer.encode(&[Segment::Text(&text)]);
    let mut prev = None;
    let mut tokens = Vec::new();
    for &id in &ids {
        tokens.push((
            id,
            tokenizer.piece(prev, id).into_owned(),
            tokenizer.token(id).token_type,
        ));
        prev = Some(id);
    }
    let rows = |(id, piece, kind): &(u32, Vec<u8>, TokenType)| json!({ "id": id, "piece": String::from_utf8_lossy(piece), "piece_hex": hex(piece), "type": type_name(*kind) });
    context.out.document(&json!({ "bytes": text.len(), "ids": ids, "tokens": tokens.iter().map(rows).collect::<Vec<_>>() }))?;
    if args.ids {
        context
            .out
            .line(ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" "));
        return Ok(());
    }
    let rows = tokens
        .iter()
        .enumerate()
        .map(|(position, (id, piece, kind))| {
            [
                position.to_string(),
                id.to_string(),
                quoted(piece),
                type_name(*kind).to_owned(),
            ]
        });
    context.out.table(["pos", "id", "piece", "type"], rows);
    context
        .out
        .line(format!("{} tokens, {} bytes", ids.len(), text.len()));
    Ok(())
}

fn decode(args: &TokenizeArgs, tokenizer: &Tokenizer, context: &Context) -> Result<(), Failure> {
    let mut ids = Vec::new();
    for argument in &args.text {
        let text = argument.to_string_lossy();
        for word in text.split([' ', ',']).filter(|word| !word.is_empty()) {
            let id = word
                .parse::<u32>()
                .ok()
                .filter(|id| *id < tokenizer.vocab_size());
            ids.push(id.ok_or_else(|| {
                Failure::input(format!(
                    "found the id `{word}`, expected a number below {}",
                    tokenizer.vocab_size()
                ))
            })?);
        }
    }
    if ids.is_empty() {
        return Err(Failure::usage(
            "found no ids, expected some, as in `sworn tokenize --decode 1 494 471`",
        ));
    }
    let bytes = tokenizer.decode(&ids);
    let text = String::from_utf8_lossy(&bytes);
    context
        .out
        .document(&json!({ "ids": ids, "text": text, "text_hex": hex(&bytes) }))?;
    context.out.line(super::output::printable(&text));
    Ok(())
}

fn tokenizer_file(path: &Path) -> Result<Tokenizer, Failure> {
    let mut magic = [0; 4];
    let read =
        std::fs::File::open(path).and_then(|mut file| std::io::Read::read(&mut file, &mut magic));
    read.map_err(|error| {
        Failure::input(format!("{}: {error}; give a readable file", path.display()))
    })?;
    if &magic == b"GGUF" {
        return Tokenizer::from_gguf_file(path).exit(Kind::Input);
    }
    let bytes = std::fs::read(path)
        .map_err(|error| Failure::input(format!("{}: {error}", path.display())))?;
    Tokenizer::from_llama2c_file(path, llama2c_tokens(&bytes)).exit(Kind::Input)
}

/// How many entries a tokenizer.bin has: after the first word, each is a score, a length and that many bytes. The file itself does not say. Whatever
/// does not fit is left to the reader, which has the better message.
fn llama2c_tokens(bytes: &[u8]) -> u32 {
    let mut rest = bytes.get(4..).unwrap_or_default();
    let mut count = 0;
    while let Some(length) = rest.get(4..8) {
        let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize;
        let Some(next) = rest.get(8usize.saturating_add(length)..) else {
            return count + 1;
        };
        rest = next;
        count += 1;
    }
    count
}

fn type_name(kind: TokenType) -> &'static str {
    match kind {
        TokenType::Normal => "normal",
        TokenType::Unknown => "unknown",
        TokenType::Control => "control",
        TokenType::UserDefined => "user",
        TokenType::Unused => "unused",
        TokenType::Byte => "byte",
    }
}

/// A piece as a person can see it: quoted text, or bytes in hexadecimal.
fn quoted(piece: &[u8]) -> String {
    match std::str::from_utf8(piece) {
        Ok(text) => format!("{text:?}"),
        Err(_) => hex(piece),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_a_tokenizer_file_are_counted() {
        let mut bytes = 5u32.to_le_bytes().to_vec();
        for piece in ["a", "", "abc"] {
            bytes.extend(0f32.to_le_bytes());
            bytes.extend((piece.len() as u32).to_le_bytes());
            bytes.extend(piece.as_bytes());
        }
        assert_eq!(llama2c_tokens(&bytes), 3);
        assert_eq!(
            llama2c_tokens(&bytes[..bytes.len() - 1]),
            3,
            "the reader reports what is missing"
        );
        assert_eq!(llama2c_tokens(&[]), 0);
        assert_eq!(llama2c_tokens(&[0xff; 40]), 1);
    }

    #[test]
    fn pieces_show_their_bytes() {
        assert_eq!(quoted(b" a\n"), "\" a\\n\"");
        assert_eq!(quoted(&[0xe2, 0x96]), "0xe296");
    }
}
