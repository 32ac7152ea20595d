//! From a model file to a model id, and from a prompt to a verified voucher, with small models of every format.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sworn_inference::engine::{BackendKind, Engine, EngineOptions};
use sworn_inference::format::ModelSource;
use sworn_inference::format::packed::Model;
use sworn_inference::program::{LlamaConfig, WeightFormat};
use sworn_inference::testing;
use sworn_inference::tokenizer::Segment;
use sworn_prover::claim::ClaimTree;
use sworn_prover::commitment::Commitments;
use sworn_prover::params::Params;
use sworn_prover::result::{JobCommitment, run_job};
use sworn_prover::voucher::{self, Lane};
use sworn_prover::weights::{WeightsTree, verify_leaf};
use sworn_prover::{Digest, merkle, payload};

const FORMATS: [WeightFormat; 4] = [
    WeightFormat::F32,
    WeightFormat::F16,
    WeightFormat::Q8_0,
    WeightFormat::Q4_0,
];

fn import(folder: &Path, name: &str, file: &[u8], tokenizer: Option<&Path>) -> Model {
    let path = folder.join(name);
    fs::write(&path, file).unwrap();
    let source = ModelSource::open(&path, tokenizer).unwrap();
    Model::import(
        &source,
        &folder.join(format!("{name}.model")),
        &mut |_, _| (),
    )
    .unwrap()
}

fn gguf(folder: &Path, format: WeightFormat, config: &LlamaConfig) -> Model {
    import(
        folder,
        &format!("{format:?}"),
        &testing::gguf(config, format, 7).to_bytes(),
        None,
    )
}

fn commit(model: &Model) -> (Commitments, WeightsTree) {
    let mut last = (0, 1);
    let result = Commitments::of(model, &mut |done, total| last = (done, total)).unwrap();
    assert_eq!(last.0, last.1);
    result
}

/// The weights root by its definition, leaf by leaf.
fn naive_weights_root(model: &Model) -> Digest {
    let tensor_root = |tensor| {
        let shape = model.weight_shape(tensor);
        let tiles = shape.cols.div_ceil(256);
        let leaf = |row, tile| {
            let mut bytes = Vec::new();
            if row >= shape.rows || tile >= tiles {
                return Digest::ZERO;
            }
            model.write_leaf(tensor, row, tile, &mut bytes);
            assert_eq!(bytes.len(), shape.format.leaf_bytes());
            Digest::of(&bytes)
        };
        let width = tiles.next_power_of_two();
        let leaves: Vec<_> = (0..shape.rows.next_power_of_two())
            .flat_map(|row| (0..width).map(move |tile| (row, tile)))
            .map(|(row, tile)| leaf(row, tile))
            .collect();
        merkle::root(&leaves)
    };
    merkle::root(
        &(0..model.weight_count())
            .map(tensor_root)
            .collect::<Vec<_>>(),
    )
}

#[test]
fn commitments_follow_the_definition() {
    let folder = tempfile::tempdir().unwrap();
    // Rows that are no power of two, and more than one tile a row.
    let config = LlamaConfig {
        hidden_dim: 288,
        ..testing::tiny_config()
    };
    let mut ids = Vec::new();
    for format in FORMATS {
        let model = gguf(folder.path(), format, &config);
        let (commitments, tree) = commit(&model);
        assert_eq!(commitments.program_root, Digest::of(model.program_bytes()));
        assert_eq!(commitments.weights_root, tree.root());
        assert_eq!(tree.root(), naive_weights_root(&model), "{format:?}");
        assert_eq!(commit(&model).0, commitments);
        ids.push(commitments.model_id);

        let shapes: Vec<_> = (0..model.weight_count())
            .map(|tensor| model.weight_shape(tensor))
            .collect();
        let stored =
            WeightsTree::from_bytes(&tree.to_bytes(), &shapes, commitments.weights_root).unwrap();
        let write =
            |tensor: usize, row, tile, out: &mut Vec<u8>| model.write_leaf(tensor, row, tile, out);
        for (tensor, shape) in shapes.iter().enumerate() {
            let (row, tile) = (shape.rows - 1, shape.cols.div_ceil(256) - 1);
            let path = stored.path(tensor, row, tile, &write).unwrap();
            let mut leaf = Vec::new();
            model.write_leaf(tensor, row, tile, &mut leaf);
            let (low, high) =
                path.split_at(path.len() - merkle::depth(shapes.len() as u64) as usize);
            let root = stored.tensor_root(tensor).unwrap();
            verify_leaf(shape, row, tile, &leaf, low, root).unwrap();
            merkle::verify(
                "weights",
                root,
                tensor as u64,
                high.len() as u32,
                high,
                commitments.weights_root,
            )
            .unwrap();
        }
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), FORMATS.len(), "formats differ in their ids");
}

#[test]
fn one_bit_of_the_file_makes_another_model() {
    let folder = tempfile::tempdir().unwrap();
    let config = testing::tiny_config();
    let mut file = testing::gguf(&config, WeightFormat::Q8_0, 7).to_bytes();
    let (before, _) = commit(&import(folder.path(), "a", &file, None));
    // The last byte of the file that is not padding lies in the last tensor.
    let last = file.iter().rposition(|byte| *byte != 0).unwrap();
    file[last] ^= 1;
    let (after, _) = commit(&import(folder.path(), "b", &file, None));
    assert_ne!(after.model_id, before.model_id);
    assert_ne!(after.weights_root, before.weights_root);
    assert_eq!(
        (after.program_root, after.tokenizer_root),
        (before.program_root, before.tokenizer_root)
    );
}

#[test]
fn llama2c_files_have_model_ids() {
    let folder = tempfile::tempdir().unwrap();
    let config = testing::tiny_config();
    let tokenizer = folder.path().join("tokenizer.bin");
    fs::write(
        &tokenizer,
        testing::tokenizer_bin(&testing::vocabulary(config.vocab_size)),
    )
    .unwrap();
    for version in 0..=2 {
        let file = testing::llama2c(&config, version, 32, 3);
        let model = import(
            folder.path(),
            &format!("v{version}"),
            &file,
            Some(&tokenizer),
        );
        assert_eq!(
            commit(&model).0.weights_root,
            naive_weights_root(&model),
            "version {version}"
        );
    }
}

#[test]
fn a_prompt_becomes_verified_vouchers() {
    let folder = tempfile::tempdir().unwrap();
    let model = Arc::new(gguf(
        folder.path(),
        WeightFormat::Q8_0,
        &testing::tiny_config(),
    ));
    let engine = Engine::new(
        model.clone(),
        EngineOptions {
            backend: BackendKind::Scalar,
            threads: 1,
        },
    )
    .unwrap();
    let params = Params {
        n_runs: 3,
        max_new_tokens: 20,
        temperature_milli: 1000,
        ..Params::default()
    };
    let answer = |payload: &[u8], seed| {
        run_job(
            &engine,
            model.tokenizer(),
            &params,
            payload,
            seed,
            &mut |_| ControlFlow::Continue(()),
        )
        .unwrap()
    };
    let payloads = [
        payload::encode(&[Segment::Text(b"a prompt")]).unwrap(),
        payload::encode(&[]).unwrap(),
        payload::encode(&[Segment::Text(&[b'x'; 500])]).unwrap(),
        b"not a payload".to_vec(),
    ];
    let results: Vec<_> = (0u8..)
        .zip(&payloads)
        .map(|(i, payload)| answer(payload, Digest([i; 32])))
        .collect();
    assert_eq!(
        results[0],
        answer(&payloads[0], Digest([0; 32])),
        "the same again"
    );
    assert!(
        results[0]
            .iter()
            .any(|run| run.tokens != results[0][0].tokens),
        "runs draw apart"
    );
    let finishes: Vec<u8> = results.iter().map(|runs| runs[0].finish as u8).collect();
    assert_eq!(finishes[2..], [2, 2], "too long, malformed");

    let jobs: Vec<_> = (40..)
        .zip(&results)
        .map(|(id, runs)| JobCommitment::of(id, runs).unwrap())
        .collect();
    let claim = ClaimTree::new(&jobs.iter().map(|job| job.record).collect::<Vec<_>>());
    for (index, (job, runs)) in (0..).zip(jobs.iter().zip(&results)) {
        let lane = Lane {
            claim_root: claim.root(),
            count: jobs.len() as u32,
            index,
            n_runs: 3,
        };
        for (run, result) in (0..).zip(runs) {
            let vouchers =
                voucher::vouchers(Digest::ZERO, &claim, index, job, run, &result.text).unwrap();
            for voucher in vouchers {
                let text = &result.text[voucher.bytes.clone()];
                voucher::verify(&lane, &voucher.proof, &voucher.run, voucher.chunk, text).unwrap();
            }
        }
    }
}

/// The shipped model and a real foreign one, where they are.
#[test]
fn real_models_are_committed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let data =
        std::env::var_os("SWORN_DATA").map_or_else(|| root.join("../shared/data"), PathBuf::from);
    let stories = data.join("llama2c/stories260K.bin");
    let tokenizer = data.join("llama2c/tok512.bin");
    if !stories.exists() || !tokenizer.exists() {
        testing::skip(&format!(
            "real_models_are_committed: data not found at {}",
            stories.display()
        ));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let source = ModelSource::open(&stories, Some(&tokenizer)).unwrap();
    let model = Model::import(&source, &folder.path().join("model"), &mut |_, _| ()).unwrap();
    let (commitments, _) = commit(&model);
    assert_eq!(commitments.weights_root, naive_weights_root(&model));
    println!("stories260K: {commitments:?}");
}
