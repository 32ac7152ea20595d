//! Traces against a naive twin: all outputs of all rows in memory, every leaf written from the specification, one tree over them.

use std::path::Path;
use std::sync::Arc;

use sworn_inference::backend::Backend;
use sworn_inference::engine::{
    BackendKind, EngineOptions, Network, Place, Row, Session, Sink, Value,
};
use sworn_inference::format::ModelSource;
use sworn_inference::format::packed::Model;
use sworn_inference::program::{LlamaConfig, Part, WeightFormat};
use sworn_inference::testing::{self, Random};
use sworn_prover::commitment::Commitments;
use sworn_prover::dispute::source::{TraceSource, WeightSource};
use sworn_prover::dispute::trace::{ModelWeights, Trace, TraceLayout, TraceOptions};
use sworn_prover::{Digest, merkle};

fn model(folder: &Path, format: WeightFormat, config: &LlamaConfig) -> Arc<Model> {
    let path = folder.join(format!("{format:?}"));
    std::fs::write(&path, testing::gguf(config, format, 11).to_bytes()).unwrap();
    let source = ModelSource::open(&path, None).unwrap();
    let to = folder.join(format!("{format:?}.model"));
    Arc::new(Model::import(&source, &to, &mut |_, _| ()).unwrap())
}

fn backend(kind: BackendKind, threads: usize) -> Arc<dyn Backend> {
    EngineOptions {
        backend: kind,
        threads,
    }
    .open()
    .unwrap()
}

fn tokens(vocab: u32, count: usize) -> Vec<u32> {
    let mut random = Random(5);
    (0..count)
        .map(|_| random.below(vocab as usize) as u32)
        .collect()
}

/// The leaves of one row of a value, by the specification.
fn naive_leaves(value: &Value, rows: usize, row: usize) -> Vec<Vec<u8>> {
    fn chunks<T: Copy>(values: &[T], rows: usize, row: usize, each: usize) -> Vec<Vec<T>> {
        let width = values.len() / rows;
        let row = &values[row * width..][..width];
        row.chunks(each).map(<[T]>::to_vec).collect()
    }
    let filled = |mut bytes: Vec<u8>, size| {
        bytes.resize(size, 0);
        bytes
    };
    match value {
        Value::F32(values) => chunks(values, rows, row, 64)
            .into_iter()
            .map(|leaf| filled(leaf.iter().flat_map(|x| x.to_le_bytes()).collect(), 256))
            .collect(),
        Value::F16(values) => chunks(values, rows, row, 128)
            .into_iter()
            .map(|leaf| filled(leaf.iter().flat_map(|x| x.to_le_bytes()).collect(), 256))
            .collect(),
        Value::Quantised { scales, quants } => chunks(scales, rows, row, 8)
            .into_iter()
            .zip(chunks(quants, rows, row, 256))
            .map(|(scales, quants)| {
                let scales = scales.iter().flat_map(|x| x.to_le_bytes()).collect();
                let quants: Vec<u8> = quants.iter().map(|q| *q as u8).collect();
                filled([filled(scales, 32), quants].concat(), 288)
            })
            .collect(),
        Value::Maxima { maxima, places } => chunks(maxima, rows, row, 32)
            .into_iter()
            .zip(chunks(places, rows, row, 32))
            .map(|(maxima, places)| {
                let pairs = maxima.iter().zip(&places);
                filled(
                    pairs
                        .flat_map(|(m, p)| [m.to_le_bytes(), p.to_le_bytes()].concat())
                        .collect(),
                    256,
                )
            })
            .collect(),
    }
}

/// All leaves of all rows, in order; absent ones are none.
fn naive_trace(model: &Model, tokens: &[u32], n_prompt: usize) -> Vec<Vec<Vec<u8>>> {
    struct All(Vec<(Place, Value)>);
    impl Sink for All {
        fn output(&mut self, place: Place, _positions: &[u32], value: &Value) {
            self.0.push((place, value.clone()));
        }
    }
    let network = Network {
        program: model.program(),
        weights: model.weights(),
    };
    let scalar = backend(BackendKind::Scalar, 1);
    let mut session = Session::new(network, &*scalar);
    let sequence = session.start();
    let inputs = &tokens[..tokens.len() - 1];
    let rows: Vec<Row> = inputs
        .iter()
        .map(|token| Row {
            sequence,
            token: *token,
        })
        .collect();
    let wanted: Vec<usize> = (n_prompt - 1..rows.len()).collect();
    let mut all = All(Vec::new());
    session.forward(&rows, &wanted, Some(&mut all)).unwrap();
    let mut leaves = vec![Vec::new(); rows.len()];
    for (place, value) in &all.0 {
        if model.program().part_of(place.entry) == Part::Tail {
            for (i, row) in wanted.iter().enumerate() {
                leaves[*row].extend(naive_leaves(value, wanted.len(), i));
            }
        } else {
            for (row, leaves) in leaves.iter_mut().enumerate() {
                leaves.extend(naive_leaves(value, rows.len(), row));
            }
        }
    }
    leaves
}

fn naive_tree(leaves: &[Vec<Vec<u8>>], row_leaves: u32) -> merkle::Tree {
    let width = row_leaves.next_power_of_two() as usize;
    let mut digests = Vec::new();
    for row in leaves {
        let mut row: Vec<Digest> = row.iter().map(|leaf| Digest::of(leaf)).collect();
        row.resize(width, Digest::ZERO);
        digests.extend(row);
    }
    digests.resize(leaves.len().next_power_of_two() * width, Digest::ZERO);
    merkle::Tree::new(digests)
}

#[test]
fn a_trace_is_its_naive_twin_however_it_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let config = LlamaConfig {
        context: 320,
        hidden_dim: 288,
        ..testing::tiny_config()
    };
    for (format, count, n_prompt) in [
        (WeightFormat::F32, 9, 3),
        (WeightFormat::F16, 2, 1),
        (WeightFormat::Q4_0, 70, 69),
        (WeightFormat::Q8_0, 270, 40),
    ] {
        let model = model(folder.path(), format, &config);
        let tokens = tokens(config.vocab_size, count);
        let leaves = naive_trace(&model, &tokens, n_prompt);
        let layout = TraceLayout::new(model.program()).unwrap();
        assert_eq!(leaves[count - 2].len(), layout.row_leaves() as usize);
        let tree = naive_tree(&leaves, layout.row_leaves());
        let build = |kind, threads, chunk_rows, hashers| {
            let options = TraceOptions {
                chunk_rows,
                threads: hashers,
            };
            let mut last = (0, 1);
            let trace = Trace::build(
                model.clone(),
                backend(kind, threads),
                &tokens,
                n_prompt as u32,
                options,
                &mut |done, total| last = (done, total),
            )
            .unwrap();
            assert!(last.0 <= last.1);
            trace
        };
        let mut traces = vec![build(BackendKind::Threaded, 2, 64, 2)];
        traces.push(build(BackendKind::Scalar, 1, 7, 1));
        traces.push(build(BackendKind::Threaded, 3, 1, 5));
        traces.push(build(BackendKind::Auto, 0, 1000, 0));
        for trace in &traces {
            assert_eq!(trace.root(), tree.root(), "{format:?}");
            assert_eq!(trace.depth(), tree.depth());
        }
        let trace = &mut traces[0];
        let mut random = Random(9);
        for _ in 0..300 {
            let row = random.below(leaves.len());
            let leaf = random.below(leaves[row].len());
            let bytes = TraceSource::leaf(trace, row as u32, leaf as u32).unwrap();
            assert_eq!(bytes, leaves[row][leaf], "row {row} leaf {leaf}");
            let mut path = trace.leaf_path(row as u32, leaf as u32).unwrap();
            let (root, above) = trace.row(row as u32).unwrap();
            assert_eq!(
                merkle::root_of(Digest::of(&bytes), leaf as u64, &path),
                root
            );
            path.extend(above);
            let index = layout.index(row as u32, leaf as u32);
            assert_eq!(path, tree.path(index).unwrap());
        }
        assert!(TraceSource::leaf(trace, 0, layout.row_leaves()).is_err());
        assert!(TraceSource::leaf(trace, count as u32 - 1, 0).is_err());
        assert_eq!(
            TraceSource::leaf(trace, 0, layout.tail_leaf()).is_ok(),
            n_prompt == 1,
            "rows that select nothing have no tail"
        );
        assert!(trace.row(count as u32 - 1).is_err());
        assert!(trace.node(0, 1 << trace.depth()).is_err());
        assert!(trace.node(trace.depth() + 1, 0).is_err());
    }
}

#[test]
fn runs_without_a_new_token_have_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path(), WeightFormat::F32, &testing::tiny_config());
    let build = |tokens: &[u32], n_prompt| {
        Trace::build(
            model.clone(),
            backend(BackendKind::Scalar, 1),
            tokens,
            n_prompt,
            TraceOptions::default(),
            &mut |_, _| (),
        )
        .map(|trace| trace.rows())
    };
    assert_eq!(build(&[1, 5, 6], 2), Ok(2));
    assert!(build(&[1, 5, 6], 3).is_err());
    assert!(build(&[1, 5, 6], 0).is_err());
    assert!(build(&[], 0).is_err());
    assert!(build(&[1, 320, 6], 1).is_err(), "no such token");
    assert_eq!(build(&[1, 5, 320], 1), Ok(2), "the last is no input");
    assert_eq!(build(&[1; 65], 1), Ok(64));
    assert!(build(&[1; 66], 1).is_err(), "longer than the context");
}

#[test]
fn weights_are_opened_under_their_root() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path(), WeightFormat::Q8_0, &testing::tiny_config());
    let (commitments, tree) = Commitments::of(&model, &mut |_, _| ()).unwrap();
    let weights = ModelWeights::new(model.clone(), Arc::new(tree));
    for tensor in 0..model.weight_count() {
        let shape = model.weight_shape(tensor);
        let (tensor, row) = (tensor as u32, shape.rows - 1);
        let leaf = weights.leaf(tensor, row, 0).unwrap();
        let path = weights.path(tensor, row, 0).unwrap();
        let depth =
            merkle::depth(shape.rows.into()) + merkle::depth(shape.cols.div_ceil(256).into());
        let index = (u64::from(tensor) << depth)
            + (u64::from(row) << merkle::depth(shape.cols.div_ceil(256).into()));
        assert_eq!(
            merkle::root_of(Digest::of(&leaf), index, &path),
            commitments.weights_root
        );
        assert!(weights.leaf(tensor, shape.rows, 0).is_err());
        assert!(weights.leaf(tensor, row, shape.cols.div_ceil(256)).is_err());
    }
    assert!(weights.leaf(model.weight_count() as u32, 0, 0).is_err());
    assert!(weights.path(model.weight_count() as u32, 0, 0).is_err());
}
