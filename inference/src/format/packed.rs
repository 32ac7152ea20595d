//! Imported models: a folder with what an engine maps and nothing else.
//!
//! ```text
//! program.bin     the program (prover/SPEC.md section 3), without the leading zero byte
//! weights.bin     packed weights
//! tokenizer.bin   the tokenizer
//! card.txt        what people read about the model
//! ```
//! Importing the same file again gives the same bytes.

mod card;
mod layout;
mod tensor;
mod weights;

pub use layout::{GROUP_ROWS, Layout, scale_area, tile_bytes};
pub use tensor::PackedTensor;
pub use weights::{LeafSource, RopeTable, Weights};

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::{ModelCard, ModelSource, TensorRole};
use crate::Error;
use crate::backend::FloatMode;
use crate::program::llama::{MatrixFormats, WeightSource, compile, weight_sources};
use crate::program::{Program, WeightFormat, WeightShape};
use crate::tokenizer::Tokenizer;

const REMEDY: &str = "the folder is damaged: import the model again";
const PROGRAM: &str = "program.bin";
const WEIGHTS: &str = "weights.bin";
const TOKENIZER: &str = "tokenizer.bin";
const CARD: &str = "card.txt";

/// An imported model; its weights stay in their file, mapped.
#[derive(Debug)]
pub struct Model {
    program: Program,
    program_bytes: Vec<u8>,
    weights: Weights,
    tokenizer: Tokenizer,
    card: ModelCard,
}

impl Model {
    /// Packs a model file into the folder `dir`, which must not exist, and opens it. Needs memory for 16 rows of a matrix only. The folder
    /// appears whole or not at all: it is written beside `dir` under the name `.<name>.partial`, synced, and renamed; what an interrupted
    /// import left under that name is removed. `progress` is told weight rows done and in all.
    ///
    /// # Errors
    /// A model that the machine can't run, weights that are not finite, a tokenizer of another size, layers of unequal formats, a folder
    /// that exists or can't be written.
    pub fn import(
        source: &ModelSource,
        dir: &Path,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Model, Error> {
        // The rotation table is computed here.
        let _mode = FloatMode::set();
        let program = compile(
            &source.config,
            &formats(source).map_err(|error| error.at(dir))?,
            &source.stop_tokens,
        )?;
        let (found, expected) = (source.tokenizer.vocab_size(), program.vocab_size());
        if found != expected {
            let (found, expected) = (
                format!("{found} tokens"),
                format!("{expected}, one for each row of the embedding"),
            );
            return Err(Error::bad_file(
                "tokenizer",
                found,
                expected,
                "use the tokenizer that the model was trained with",
            )
            .at(dir));
        }
        if fs::symlink_metadata(dir).is_ok() {
            return Err(Error::bad_file(
                "folder",
                "something of that name",
                "a new name",
                "remove it or choose another",
            )
            .at(dir));
        }
        let partial = Partial::create(dir)?;
        partial.write(PROGRAM, &program.encode())?;
        partial.write(TOKENIZER, &source.tokenizer.to_bytes())?;
        partial.write(CARD, card::write(&source.card).as_bytes())?;
        let roles = weight_sources(&source.config);
        let mut open = |global: usize| -> Result<(String, Box<dyn LeafSource + '_>), Error> {
            Ok(match roles[global] {
                WeightSource::Tensor(role, layer) => {
                    let name = if role.in_layer() {
                        format!("{role:?} of layer {layer}")
                    } else {
                        format!("{role:?}")
                    };
                    (name, Box::new(source.tensor(role, layer)?))
                }
                WeightSource::RopeTable => {
                    let config = &source.config;
                    let table = RopeTable {
                        context: config.context,
                        dims: config.rope_dim,
                        theta: config.rope_theta,
                    };
                    ("rotation table".to_owned(), Box::new(table))
                }
            })
        };
        Weights::write(&partial.path.join(WEIGHTS), &program, &mut open, progress)
            .map_err(|error| error.at(dir))?;
        partial.publish(dir)?;
        Model::open(dir)
    }

    /// Opens an imported model.
    ///
    /// # Errors
    /// A folder that is incomplete or damaged, as far as its structure shows; weights are not read.
    pub fn open(dir: &Path) -> Result<Model, Error> {
        let read = |name: &str| {
            let path = dir.join(name);
            fs::read(&path).map_err(|source| Error::Io { path, source })
        };
        let program_bytes = read(PROGRAM)?;
        let program = Program::decode(&program_bytes).map_err(|error| {
            Error::bad_file(error.at, error.found, error.expected, REMEDY).at(&dir.join(PROGRAM))
        })?;
        let weights = Weights::open(&dir.join(WEIGHTS), &program)?;
        let path = dir.join(TOKENIZER);
        let tokenizer =
            Tokenizer::from_bytes(&read(TOKENIZER)?).map_err(|error| error.at(&path))?;
        if tokenizer.vocab_size() != program.vocab_size() {
            let (found, expected) = (tokenizer.vocab_size(), program.vocab_size());
            return Err(Error::bad_file("number of tokens", found, expected, REMEDY).at(&path));
        }
        let text = String::from_utf8_lossy(&read(CARD)?).into_owned();
        let card = card::read(&text).map_err(|error| error.at(&dir.join(CARD)))?;
        Ok(Model {
            program,
            program_bytes,
            weights,
            tokenizer,
            card,
        })
    }

    /// The program.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The program's bytes, without the leading zero byte.
    pub fn program_bytes(&self) -> &[u8] {
        &self.program_bytes
    }

    /// The packed weights.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// What people read about the model.
    pub fn card(&self) -> &ModelCard {
        &self.card
    }

    /// Number of weight tensors.
    pub fn weight_count(&self) -> usize {
        self.program.weight_count()
    }

    /// Shape of a weight tensor, by its number in the global order of section 3.
    ///
    /// # Panics
    /// When there is no such tensor.
    pub fn weight_shape(&self, tensor: usize) -> WeightShape {
        self.program.weight_shape(tensor)
    }

    /// Appends a leaf of a weight tensor's commitment (section 2): tile `tile` (256 columns) of row `row`.
    ///
    /// # Panics
    /// When there is no such tensor, row or tile.
    pub fn write_leaf(&self, tensor: usize, row: u32, tile: u32, out: &mut Vec<u8>) {
        self.weights.tensor(tensor).write_leaf(row, tile, out);
    }
}

/// The formats of a model's matrices, which every layer must share as one body serves them all.
fn formats(source: &ModelSource) -> Result<MatrixFormats, Error> {
    let of = |role: TensorRole| -> Result<WeightFormat, Error> {
        let first = source.tensor(role, 0)?.format;
        for layer in 1..if role.in_layer() {
            source.config.n_layers
        } else {
            1
        } {
            let found = source.tensor(role, layer)?.format;
            if found != first {
                let expected = format!("{first:?} as in layer 0");
                let remedy = "convert the model with one format for each kind of matrix";
                return Err(Error::bad_file(
                    format!("{role:?} of layer {layer}"),
                    format!("{found:?}"),
                    expected,
                    remedy,
                ));
            }
        }
        Ok(first)
    };
    let embed = of(TensorRole::Embed)?;
    Ok(MatrixFormats {
        embed,
        q: of(TensorRole::Q)?,
        k: of(TensorRole::K)?,
        v: of(TensorRole::V)?,
        o: of(TensorRole::O)?,
        gate: of(TensorRole::Gate)?,
        up: of(TensorRole::Up)?,
        down: of(TensorRole::Down)?,
        output: if source.config.tied_head {
            embed
        } else {
            of(TensorRole::Output)?
        },
    })
}

/// A folder that is being written; removed again unless it is published.
struct Partial {
    path: PathBuf,
    published: bool,
}

impl Partial {
    fn create(dir: &Path) -> Result<Partial, Error> {
        let Some(name) = dir.file_name() else {
            return Err(Error::bad_file(
                "folder",
                "no name",
                "a name for a new folder",
                "name the folder to import into",
            )
            .at(dir));
        };
        let path = dir.with_file_name(format!(".{}.partial", name.to_string_lossy()));
        let io = |source| Error::Io {
            path: path.clone(),
            source,
        };
        if path.exists() {
            fs::remove_dir_all(&path).map_err(io)?;
        }
        fs::create_dir_all(&path).map_err(io)?;
        Ok(Partial {
            path,
            published: false,
        })
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.path.join(name);
        let write = || {
            let mut file = fs::File::create(&path)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        write().map_err(|source| Error::Io {
            path: path.clone(),
            source,
        })
    }

    fn publish(mut self, dir: &Path) -> Result<(), Error> {
        let sync = |path: &Path| fs::File::open(path).and_then(|folder| folder.sync_all());
        let parent = dir
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        sync(&self.path)
            .and_then(|()| fs::rename(&self.path, dir))
            .and_then(|()| sync(parent))
            .map_err(|source| Error::Io {
                path: dir.to_path_buf(),
                source,
            })?;
        self.published = true;
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.published {
            // The error that led here is the one to report.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
