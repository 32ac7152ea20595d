//! Accuracy beside speed: perplexity of the shipped model on text that it was not trained on, and how far logits are apart.
//!
//! `heldout.txt` has the first 14 stories that the model's generator (`models/fable/scripts/stories.py`) makes from seed 424242, which training does not
//! use. All sides run the same tokens of the same file. The reference is our engine on the same weights in binary32, so without activations in int8.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use sworn_inference::engine::{Engine, EngineOptions};
use sworn_inference::format::ModelSource;
use sworn_inference::format::packed::Model;
use sworn_inference::program::WeightFormat;
use sworn_inference::tokenizer::Segment;

use super::peer::Peer;
use super::{Result, models};

const TEXT: &str = include_str!("heldout.txt");

/// Logits of documents one after the other, `[positions, vocabulary]`, with the token that follows each.
struct Logits {
    rows: Vec<f32>,
    vocabulary: usize,
}

/// How far two sides' logits are apart.
struct Distance {
    max: f64,
    rms: f64,
    /// Share of positions with the same best token.
    agreement: f64,
}

impl Logits {
    fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.rows.chunks_exact(self.vocabulary)
    }

    /// exp of the mean negative log-likelihood of the tokens that follow.
    fn perplexity(&self, next: &[u32]) -> f64 {
        let losses = self.rows().zip(next).map(|(row, token)| {
            let best = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let mass: f64 = row.iter().map(|x| f64::from(x - best).exp()).sum();
            mass.ln() - f64::from(row[*token as usize] - best)
        });
        (losses.sum::<f64>() / next.len() as f64).exp()
    }

    fn distance(&self, other: &Logits) -> Distance {
        let differences = self.rows.iter().zip(&other.rows);
        let differences = differences.map(|(a, b)| f64::from(*a) - f64::from(*b));
        let best = |row: &[f32]| {
            let mut indices = 0..row.len();
            let first = indices.next().unwrap_or(0);
            indices.fold(first, |best, i| if row[i] > row[best] { i } else { best })
        };
        let same = self.rows().zip(other.rows());
        let same = same.filter(|(a, b)| best(a) == best(b)).count();
        Distance {
            max: differences.clone().map(f64::abs).fold(0.0, f64::max),
            rms: (differences.map(|d| d * d).sum::<f64>() / self.rows.len() as f64).sqrt(),
            agreement: same as f64 / (self.rows.len() / self.vocabulary) as f64,
        }
    }
}

impl Distance {
    fn json(&self) -> Value {
        json!({ "max": self.max, "rms": self.rms, "best_token_agreement": self.agreement })
    }
}

fn run(
    documents: &[Vec<u32>],
    vocabulary: usize,
    mut logits: impl FnMut(&[u32]) -> Result<Vec<f32>>,
) -> Result<Logits> {
    let mut rows = Vec::new();
    for tokens in documents {
        let some = logits(&tokens[..tokens.len() - 1])?;
        if some.len() != (tokens.len() - 1) * vocabulary {
            return Err(format!("{} logits for {} tokens", some.len(), tokens.len() - 1).into());
        }
        rows.extend(some);
    }
    Ok(Logits { rows, vocabulary })
}

fn engine(packed: &Path) -> Result<Engine> {
    Ok(Engine::new(
        Arc::new(Model::open(packed)?),
        EngineOptions::default(),
    )?)
}

/// One row of the report; the peer's columns are null without it.
pub(crate) fn measure(folder: &Path, peer: Option<&mut Peer>) -> Result<Value> {
    let (file, packed) = models::make(folder, "fable", WeightFormat::Q8_0)?;
    let source = ModelSource::open(&file, None)?;
    let tokenizer = &source.tokenizer;
    let documents: Vec<Vec<u32>> = TEXT
        .lines()
        .map(|line| {
            let mut tokens = tokenizer.encode(&[Segment::Text(line.as_bytes())]);
            tokens.push(tokenizer.eos());
            tokens
        })
        .collect();
    let next: Vec<u32> = documents
        .iter()
        .flat_map(|tokens| tokens[1..].to_vec())
        .collect();
    let vocabulary = source.config.vocab_size as usize;
    let ours = engine(&packed)?;
    let ours = run(&documents, vocabulary, |tokens| Ok(ours.logits(tokens)?))?;
    let exact = engine(&models::reference(folder)?)?;
    let exact = run(&documents, vocabulary, |tokens| Ok(exact.logits(tokens)?))?;
    let theirs = match peer {
        Some(peer) => {
            peer.open(&file)?;
            let scratch = folder.join("logits.tmp");
            Some(run(&documents, vocabulary, |tokens| {
                peer.logits(tokens, &scratch)
            })?)
        }
        None => None,
    };
    let theirs = theirs.as_ref();
    Ok(json!({
        "shape": "fable-2m", "quantisation": "Q8_0", "test": "perplexity", "peer_name": "llama.cpp", "positions": next.len(),
        "sworn": ours.perplexity(&next),
        "peer": theirs.map(|logits| logits.perplexity(&next)),
        "reference": exact.perplexity(&next),
        "sworn_to_peer": theirs.map(|logits| ours.distance(logits).json()),
        "sworn_to_reference": ours.distance(&exact).json(),
        "peer_to_reference": theirs.map(|logits| logits.distance(&exact).json()),
    }))
}
