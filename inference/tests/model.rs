//! Imported folders: what goes in comes out, whole or not at all, and damage is an error.

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use common::Files;
use sworn_inference::engine::{Engine, EngineOptions};
use sworn_inference::format::packed::Model;
use sworn_inference::format::{ModelSource, TensorRole};
use sworn_inference::program::llama::{WeightSource, weight_sources};
use sworn_inference::program::{LlamaConfig, WeightFormat};
use sworn_inference::{Error, numeric, testing};

fn import(source: &ModelSource, dir: &Path) -> Result<Model, Error> {
    Model::import(source, dir, &mut |_, _| {})
}

#[test]
fn leaves_are_the_files_leaves() {
    let files = Files::new();
    for (i, tied_head) in [true, false].into_iter().enumerate() {
        let config = LlamaConfig {
            dim: 288,
            head_dim: 72,
            rope_dim: 70,
            hidden_dim: 544,
            tied_head,
            ..testing::tiny_config()
        };
        let inputs = [
            testing::gguf(&config, WeightFormat::Q8_0, 1).to_bytes(),
            testing::gguf(&config, WeightFormat::Q4_0, 1).to_bytes(),
            testing::gguf(&config, WeightFormat::F16, 1).to_bytes(),
            testing::llama2c(&config, 0, 0, 1),
            testing::llama2c(&config, 2, 32, 1),
        ];
        for (j, bytes) in inputs.iter().enumerate() {
            let source = files.open(bytes).unwrap();
            let dir = files.path().join(format!("model-{i}-{j}"));
            let mut told = (0, 0);
            let model =
                Model::import(&source, &dir, &mut |done, total| told = (done, total)).unwrap();
            assert!(told.0 == told.1 && told.0 > 0, "{told:?}");
            let roles = weight_sources(&source.config);
            assert_eq!(model.weight_count(), roles.len());
            assert_eq!(
                (model.card(), model.program_bytes()),
                (&source.card, &model.program().encode()[..])
            );
            assert_eq!(model.tokenizer().to_bytes(), source.tokenizer.to_bytes());
            for (tensor, role) in roles.into_iter().enumerate() {
                let shape = model.weight_shape(tensor);
                for row in 0..shape.rows {
                    for tile in 0..shape.cols.div_ceil(256) {
                        let (mut leaf, mut expected) = (Vec::new(), Vec::new());
                        model.write_leaf(tensor, row, tile, &mut leaf);
                        match role {
                            WeightSource::Tensor(role, layer) => source
                                .tensor(role, layer)
                                .unwrap()
                                .write_leaf(row, tile, &mut expected),
                            WeightSource::RopeTable => {
                                let table = numeric::rope_table(
                                    row,
                                    source.config.rope_dim,
                                    source.config.rope_theta,
                                );
                                expected.extend(table.iter().flat_map(|value| value.to_le_bytes()));
                                expected.resize(1024, 0);
                            }
                        }
                        // The lowest byte is stored as the value that it reads as.
                        if matches!(shape.format, WeightFormat::Q8_0 | WeightFormat::Q8F) {
                            let scales = expected.len() - 256;
                            expected[scales..]
                                .iter_mut()
                                .filter(|byte| **byte == 0x80)
                                .for_each(|byte| *byte = 0x81);
                        }
                        assert_eq!(leaf, expected, "tensor {tensor} row {row} tile {tile}");
                    }
                }
            }
        }
    }
}

#[test]
fn importing_again_gives_the_same_bytes() {
    let files = Files::new();
    let source = files
        .open(&testing::gguf(&testing::tiny_config(), WeightFormat::Q8_0, 1).to_bytes())
        .unwrap();
    let dirs = ["a", "b"].map(|name| files.path().join("deep").join(name));
    dirs.iter()
        .for_each(|dir| drop(import(&source, dir).unwrap()));
    for name in ["program.bin", "weights.bin", "tokenizer.bin", "card.txt"] {
        assert_eq!(
            fs::read(dirs[0].join(name)).unwrap(),
            fs::read(dirs[1].join(name)).unwrap(),
            "{name}"
        );
    }
    let found = import(&source, &dirs[0]).unwrap_err().to_string();
    assert!(found.contains("remove it or choose another"), "{found}");
    drop(Model::open(&dirs[0]).unwrap());
}

#[test]
fn an_interrupted_import_leaves_nothing_in_the_way() {
    let files = Files::new();
    let source = files
        .open(&testing::gguf(&testing::tiny_config(), WeightFormat::Q8_0, 1).to_bytes())
        .unwrap();
    let dir = files.path().join("model");
    let partial = files.path().join(".model.partial");
    fs::create_dir(&partial).unwrap();
    fs::write(partial.join("weights.bin"), b"half").unwrap();
    drop(import(&source, &dir).unwrap());
    assert!(!partial.exists());
}

#[test]
fn numbers_that_are_not_finite_are_refused_by_name() {
    let files = Files::new();
    let cases: [(WeightFormat, usize, &[u8], &str); 5] = [
        (
            WeightFormat::F32,
            (5 * 64 + 7) * 4,
            &f32::NAN.to_le_bytes(),
            "tensor Q of layer 1, weight at row 5, column 7: found NaN",
        ),
        (
            WeightFormat::F32,
            (5 * 64 + 7) * 4,
            &f32::NEG_INFINITY.to_le_bytes(),
            "tensor Q of layer 1, weight at row 5, column 7: found -inf",
        ),
        (
            WeightFormat::F16,
            3 * 2,
            &[0, 0x7c],
            "tensor Q of layer 1, weight at row 0, column 3: found inf",
        ),
        (
            WeightFormat::Q8_0,
            3 * 34,
            &[1, 0x7e],
            "tensor Q of layer 1, scale at row 1, column 32: found NaN",
        ),
        (
            WeightFormat::Q4_0,
            2 * 18,
            &[0, 0xfc],
            "tensor Q of layer 1, scale at row 1, column 0: found -inf",
        ),
    ];
    for (i, (format, at, bytes, message)) in cases.into_iter().enumerate() {
        let mut file = testing::gguf(&testing::tiny_config(), format, 1);
        file.tensor("blk.1.attn_q.weight").data[at..at + bytes.len()].copy_from_slice(bytes);
        let source = files.open(&file.to_bytes()).unwrap();
        let dir = files.path().join(format!("bad-{i}"));
        let found = import(&source, &dir).unwrap_err().to_string();
        assert!(found.contains(message), "{found}");
        assert!(!dir.exists() && !files.path().join(format!(".bad-{i}.partial")).exists());
    }
}

#[test]
fn a_tokenizer_of_another_size_is_refused() {
    let files = Files::new();
    let mut source = files
        .open(&testing::gguf(&testing::tiny_config(), WeightFormat::Q8_0, 1).to_bytes())
        .unwrap();
    let other = testing::tokenizer_bin(&testing::vocabulary(321));
    source.tokenizer = sworn_inference::tokenizer::Tokenizer::from_llama2c(&other, 321).unwrap();
    let found = import(&source, &files.path().join("model"))
        .unwrap_err()
        .to_string();
    assert!(found.contains("found 321 tokens, expected 320"), "{found}");
    assert_eq!(TensorRole::ALL.len(), 12);
}

/// Anonymous memory of this process, where the system tells.
fn anonymous_bytes() -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("RssAnon:"))?;
    line.split_whitespace()
        .nth(1)?
        .parse::<usize>()
        .ok()
        .map(|kb| kb * 1024)
}

/// Importing and running a model of 68 MB takes little memory beyond the mapped files.
#[test]
fn weights_stay_in_their_files() {
    let Some(_) = anonymous_bytes() else {
        println!("SKIP: weights_stay_in_their_files: this system does not tell");
        return;
    };
    let config = LlamaConfig {
        dim: 512,
        hidden_dim: 2048,
        head_dim: 128,
        rope_dim: 128,
        n_layers: 4,
        ..testing::tiny_config()
    };
    let files = Files::new();
    let source = files.open(&testing::llama2c(&config, 0, 0, 1)).unwrap();
    let before = anonymous_bytes().unwrap();
    let mut most = 0;
    let mut look = || most = most.max(anonymous_bytes().unwrap());
    let model = Model::import(&source, &files.path().join("model"), &mut |_, _| look()).unwrap();
    let size = fs::metadata(files.path().join("model/weights.bin"))
        .unwrap()
        .len() as usize;
    assert!(size > 60 << 20);
    let engine = Engine::new(Arc::new(model), EngineOptions::default()).unwrap();
    let logits = engine.logits(&[1; 64]).unwrap();
    look();
    assert_eq!(logits.len(), 64 * 320);
    assert!(most < before + (24 << 20), "{before} bytes, then {most}");
}

#[test]
fn damaged_folders_are_errors() {
    let files = Files::new();
    let source = files
        .open(&testing::gguf(&testing::tiny_config(), WeightFormat::Q8_0, 1).to_bytes())
        .unwrap();
    let good = files.path().join("good");
    drop(import(&source, &good).unwrap());
    let copy = |name: &str| {
        let dir = files.path().join(name);
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir(&dir).unwrap();
        for entry in fs::read_dir(&good).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), dir.join(entry.file_name())).unwrap();
        }
        dir
    };
    drop(Model::open(&copy("fine")).unwrap());
    assert!(Model::open(&files.path().join("nowhere")).is_err());
    for name in ["program.bin", "weights.bin", "tokenizer.bin", "card.txt"] {
        let bytes = fs::read(good.join(name)).unwrap();
        let dir = copy("missing");
        fs::remove_file(dir.join(name)).unwrap();
        assert!(
            matches!(Model::open(&dir), Err(Error::Io { .. })),
            "{name} missing"
        );
        let cuts = [0, 1, 50, 100, 127, 128, bytes.len() / 2, bytes.len() - 1];
        for n in cuts
            .into_iter()
            .filter(|n| *n < bytes.len() && name != "card.txt")
        {
            let dir = copy("cut");
            fs::write(dir.join(name), &bytes[..n]).unwrap();
            let found = Model::open(&dir).unwrap_err();
            assert!(
                matches!(found, Error::BadFile { .. } | Error::Io { .. }),
                "{name} cut to {n}: {found}"
            );
        }
        let dir = copy("longer");
        fs::write(dir.join(name), [&bytes[..], b"x"].concat()).unwrap();
        assert!(
            name == "card.txt" || Model::open(&dir).is_err(),
            "{name} with a byte more"
        );
        for at in (0..bytes.len().min(128)).filter(|_| name == "weights.bin") {
            let dir = copy("changed");
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            fs::write(dir.join(name), bytes).unwrap();
            assert!(Model::open(&dir).is_err(), "{name} changed at {at}");
        }
    }
}
