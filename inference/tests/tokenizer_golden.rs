//! Tokenisation against the outputs of independent programs.

mod common;

use common::{data, read_text};
use sworn_inference::tokenizer::{Segment, Tokenizer};

/// One line of ids for each text.
fn check(name: &str, tokenizer: &Tokenizer, texts: &[&[u8]], golden: &[Vec<u32>]) {
    assert_eq!(texts.len(), golden.len(), "{name}: texts and golden lines");
    for (text, ids) in texts.iter().zip(golden) {
        let tokens = tokenizer.encode(&[Segment::Text(text)]);
        assert_eq!(&tokens, ids, "{name}: {:?}", String::from_utf8_lossy(text));
        assert_eq!(tokenizer.decode(&tokens), *text, "{name}: round trip");
    }
}

fn ids(line: &str) -> Vec<u32> {
    line.split_whitespace()
        .map(|id| id.parse().unwrap())
        .collect()
}

fn llama2c(test: &str, vocabulary: &str, size: u32, golden: &str) {
    let Some(folder) = data(test, "llama2c") else {
        return;
    };
    let tokenizer = Tokenizer::from_llama2c_file(&folder.join(vocabulary), size).unwrap();
    let prompts = read_text(&folder.join("golden/prompts.txt"));
    let texts: Vec<&[u8]> = prompts
        .strip_suffix('\n')
        .unwrap()
        .split('\n')
        .map(str::as_bytes)
        .collect();
    let golden: Vec<_> = read_text(&folder.join("golden").join(golden))
        .lines()
        .map(ids)
        .collect();
    check(test, &tokenizer, &texts, &golden);
}

#[test]
fn llama2c_tok512() {
    llama2c("llama2c_tok512", "tok512.bin", 512, "tokens_tok512.txt");
}

#[test]
fn llama2c_32000() {
    llama2c(
        "llama2c_32000",
        "tokenizer.bin",
        32_000,
        "tokens_llama32000.txt",
    );
}

fn llama_cpp(test: &str, file: &str) {
    let Some(folder) = data(test, "llamacpp-vocab") else {
        return;
    };
    let tokenizer = Tokenizer::from_gguf_file(&folder.join(file)).unwrap();
    let inputs = read_text(&folder.join(format!("{file}.inp")));
    let texts: Vec<&[u8]> = inputs
        .strip_suffix("\n__ggml_vocab_test__\n")
        .unwrap()
        .split("\n__ggml_vocab_test__\n")
        .map(str::as_bytes)
        .collect();
    // The outputs have no BOS.
    let golden: Vec<_> = read_text(&folder.join(format!("{file}.out")))
        .lines()
        .map(|line| [vec![tokenizer.bos()], ids(line)].concat())
        .collect();
    check(test, &tokenizer, &texts, &golden);
}

#[test]
fn llama_cpp_llama_spm() {
    llama_cpp("llama_cpp_llama_spm", "ggml-vocab-llama-spm.gguf");
}

#[test]
fn llama_cpp_phi_3() {
    llama_cpp("llama_cpp_phi_3", "ggml-vocab-phi-3.gguf");
}

#[test]
fn fable() {
    let test = "fable";
    let Some(golden) = common::fable(test, "golden.json") else {
        return;
    };
    let golden: serde_json::Value = serde_json::from_str(&read_text(&golden)).unwrap();
    let Some(gguf) = common::fable(test, "fable-2m.q8_0.gguf") else {
        return;
    };
    let Some(bin) = common::fable(test, "tokenizer.bin") else {
        return;
    };
    let tokenizers = [
        Tokenizer::from_gguf_file(&gguf).unwrap(),
        Tokenizer::from_llama2c_file(&bin, 1024).unwrap(),
    ];
    let entries = golden.as_array().unwrap();
    assert!(entries.len() > 10);
    for entry in entries {
        let prompt = entry["prompt"].as_str().unwrap();
        let ids: Vec<u32> = serde_json::from_value(entry["prompt_ids"].clone()).unwrap();
        for tokenizer in &tokenizers {
            check(
                test,
                tokenizer,
                &[prompt.as_bytes()],
                std::slice::from_ref(&ids),
            );
            // What was generated reads as the golden text: pieces follow the prompt's last token.
            for run in ["f32", "q8_0"] {
                let ids: Vec<u32> = serde_json::from_value(entry[run]["ids"].clone()).unwrap();
                let text = entry[run]["text"].as_str().unwrap();
                let mut prev = None;
                let mut ours = Vec::new();
                for id in ids {
                    ours.extend_from_slice(&tokenizer.piece(prev, id));
                    prev = Some(id);
                }
                assert_eq!(String::from_utf8_lossy(&ours).trim(), text.trim());
            }
        }
    }
}

/// The tables of real vocabularies suffice for proofs: no derivation decreases in rank, no piece uses a foreign character.
#[test]
fn trust() {
    let test = "trust";
    let Some(folder) = data(test, "llama2c") else {
        return;
    };
    let Some(vocabularies) = data(test, "llamacpp-vocab") else {
        return;
    };
    let bin = |name: &str, size| Tokenizer::from_llama2c_file(&folder.join(name), size).unwrap();
    let gguf = |name: &str| Tokenizer::from_gguf_file(&vocabularies.join(name)).unwrap();
    let all = [
        ("tok512", bin("tok512.bin", 512)),
        ("tok4096", bin("tok4096.bin", 4096)),
        ("llama-2", bin("tokenizer.bin", 32_000)),
        ("llama-spm", gguf("ggml-vocab-llama-spm.gguf")),
        ("phi-3", gguf("ggml-vocab-phi-3.gguf")),
    ];
    for (name, tokenizer) in all {
        assert_eq!(tokenizer.trust_note(), None, "{name}");
        assert_eq!(tokenizer.flags(), 0b1011, "{name}");
    }
}

/// Long texts, the worst kinds among them, come back as they were; prints how fast.
#[test]
fn long_texts() {
    let test = "long_texts";
    let Some(folder) = data(test, "llama2c") else {
        return;
    };
    let Some(questions) = data(test, "gsm8k/test.jsonl") else {
        return;
    };
    let prose = read_text(&questions).into_bytes();
    let texts = [
        ("prose", prose.repeat(4)),
        ("one letter", vec![b'a'; 1 << 20]),
        ("spaces", vec![b' '; 1 << 20]),
        (
            "no UTF-8",
            (0..1_u32 << 20)
                .map(|index| (index.wrapping_mul(0x9e37_79b9) >> 24) as u8)
                .collect(),
        ),
        (
            "no spaces",
            prose.iter().copied().filter(|byte| *byte != b' ').collect(),
        ),
    ];
    for (file, size) in [("tok512.bin", 512), ("tokenizer.bin", 32_000)] {
        let start = std::time::Instant::now();
        let tokenizer = Tokenizer::from_llama2c_file(&folder.join(file), size).unwrap();
        println!(
            "{file}: loaded in {:.1} ms",
            start.elapsed().as_secs_f64() * 1e3
        );
        for (name, text) in &texts {
            let start = std::time::Instant::now();
            let tokens = tokenizer.encode(&[Segment::Text(text)]);
            let encoded = start.elapsed().as_secs_f64();
            assert!(tokenizer.decode(&tokens) == *text, "{file}: {name}");
            let megabytes = text.len() as f64 / 1e6;
            println!(
                "{file}: {name}: {:.1} MB/s, {:.2} bytes per token",
                megabytes / encoded,
                text.len() as f64 / tokens.len() as f64
            );
        }
    }
}
