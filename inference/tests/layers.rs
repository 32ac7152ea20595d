//! A sequence that goes through the program part by part, layer by layer.

mod common;

use common::Files;
use sworn_inference::backend::{Backend, Scalar};
use sworn_inference::engine::{Network, Place, Row, Session, Sink, Span, Value};
use sworn_inference::format::packed::Model;
use sworn_inference::program::{LlamaConfig, Part, WeightFormat};
use sworn_inference::{Error, testing};

/// All outputs, by layer and entry.
#[derive(Default)]
struct All(Vec<(u32, usize, Value)>);

impl Sink for All {
    fn output(&mut self, place: Place, positions: &[u32], value: &Value) {
        assert!(!positions.is_empty());
        self.0.push((place.layer, place.entry, value.clone()));
    }
}

fn model(files: &Files) -> Model {
    let config = LlamaConfig {
        context: 96,
        ..testing::tiny_config()
    };
    let file = testing::gguf(&config, WeightFormat::Q8_0, 5).to_bytes();
    let source = files.open(&file).unwrap();
    Model::import(&source, &files.path().join("layers"), &mut |_, _| ()).unwrap()
}

/// The outputs of rows `from..` by running every part in chunks, and the last part's.
fn by_parts(model: &Model, tokens: &[u32], chunk: usize) -> (All, Vec<f32>) {
    let network = Network {
        program: model.program(),
        weights: model.weights(),
    };
    let mut session = Session::new(network, &Scalar as &dyn Backend);
    let sequence = session.start();
    let mut all = All::default();
    let mut carry: Vec<f32> = Vec::new();
    let layers = model.program().layers();
    let body = (0..layers).map(|layer| (Part::Body, layer));
    for (part, layer) in body.chain([(Part::Tail, 0)]) {
        let width = carry.len() / tokens.len();
        let mut out = Vec::new();
        for first in (0..tokens.len()).step_by(chunk) {
            let end = tokens.len().min(first + chunk);
            let span = Span {
                sequence,
                first: first as u32,
                tokens: &tokens[first..end],
            };
            let carry = &carry[first * width..end * width];
            let sink: &mut dyn Sink = &mut all;
            let rows = session
                .run_part(part, layer, span, carry, Some(sink))
                .unwrap();
            out.extend_from_slice(rows);
        }
        carry = out;
    }
    assert_eq!(session.length(sequence), 0);
    (all, carry)
}

#[test]
fn parts_give_what_whole_passes_give() {
    let files = Files::new();
    let model = model(&files);
    let tokens: Vec<u32> = (0..80).map(|i| (i * 37 + 5) % 320).collect();
    let network = Network {
        program: model.program(),
        weights: model.weights(),
    };
    let mut session = Session::new(network, &Scalar as &dyn Backend);
    let sequence = session.start();
    let rows: Vec<Row> = tokens
        .iter()
        .map(|token| Row {
            sequence,
            token: *token,
        })
        .collect();
    let wanted: Vec<usize> = (0..rows.len()).collect();
    let mut whole = All::default();
    let logits = session
        .forward(&rows, &wanted, Some(&mut whole))
        .unwrap()
        .to_vec();
    let (parts, last) = by_parts(&model, &tokens, tokens.len());
    let head = model.program().first_entry(Part::Body);
    whole.0.retain(|(_, entry, _)| *entry >= head);
    assert_eq!(parts.0, whole.0);
    for chunk in [1, 7, 64] {
        assert_eq!(by_parts(&model, &tokens, chunk).1, logits, "{chunk}");
    }
    assert_eq!(last, logits);

    // A middle chunk of a later layer again, from another session's cache.
    let cache = session.cache(sequence).unwrap();
    let first = model.program().first_entry(Part::Tail) - 1;
    let outputs: Vec<&Value> = { whole.0.iter() }
        .filter(|(_, entry, _)| *entry == first)
        .map(|(_, _, value)| value)
        .collect();
    let width = outputs[0].f32().len() / tokens.len();
    let mut other = Session::new(network, &Scalar as &dyn Backend);
    let sequence = other.adopt(&cache);
    let span = Span {
        sequence,
        first: 70,
        tokens: &tokens[70..75],
    };
    let carry = &outputs[0].f32()[70 * width..75 * width];
    let again = other.run_part(Part::Body, 1, span, carry, None).unwrap();
    assert_eq!(again, &outputs[1].f32()[70 * width..75 * width]);
}

#[test]
fn spans_that_can_not_run_are_errors() {
    let files = Files::new();
    let model = model(&files);
    let network = Network {
        program: model.program(),
        weights: model.weights(),
    };
    let mut session = Session::new(network, &Scalar as &dyn Backend);
    let sequence = session.start();
    let mut run = |part, layer, sequence, first, tokens: &[u32], carry: usize| {
        let span = Span {
            sequence,
            first,
            tokens,
        };
        let carry = vec![0.0; carry];
        session
            .run_part(part, layer, span, &carry, None)
            .map(<[f32]>::len)
    };
    let refused = |found: Result<usize, Error>| {
        assert!(
            matches!(found, Err(Error::BadParameter { .. })),
            "{found:?}"
        );
    };
    assert_eq!(run(Part::Body, 0, sequence, 0, &[1, 2], 0).unwrap(), 128);
    refused(run(Part::Body, 0, sequence, 0, &[320], 0));
    refused(run(Part::Body, 0, sequence, 95, &[1, 2], 0));
    refused(run(Part::Body, 0, sequence, u32::MAX, &[1], 0));
    refused(run(Part::Body, 0, sequence + 1, 0, &[1], 0));
    refused(run(Part::Body, 2, sequence, 0, &[1], 64));
    refused(run(Part::Body, 1, sequence, 0, &[1], 63));
    refused(run(Part::Body, 0, sequence, 0, &[1], 64));
    refused(run(Part::Body, 0, sequence, 80, &[1], 0));
    refused(run(Part::Body, 1, sequence, 1, &[1], 64));
    refused(run(Part::Tail, 1, sequence, 0, &[1], 64));
    assert_eq!(run(Part::Tail, 0, sequence, 0, &[1], 64).unwrap(), 320);
    assert_eq!(run(Part::Head, 0, sequence, 0, &[1], 0).unwrap(), 64);
    assert_eq!(run(Part::Body, 0, sequence, 0, &[], 0).unwrap(), 0);
}
