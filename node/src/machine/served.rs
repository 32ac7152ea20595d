//! Imported models as machines.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use alloy::primitives::B256;
use sworn_inference::engine::{Engine, EngineOptions};
use sworn_inference::format::packed::Model;
use sworn_prover::Digest;
use sworn_prover::commitment::Commitments;
use sworn_prover::dispute::results::DisputeModel;
use sworn_prover::dispute::trace::{ModelWeights, TraceLayout};
use sworn_prover::params::Params;
use sworn_prover::result::{Expansion, expand};
use sworn_prover::verify::{self, Question};

use super::{Answer, Disputable, Machine, MachineError, OnRows, OnToken, ServedCard, run_results};
use crate::library::Card;
use crate::store::{ReportKind, StoredInput, StoredRun};

/// How models are run.
#[derive(Debug, Clone, Default)]
pub struct ServeOptions {
    /// Backend and threads.
    pub engine: EngineOptions,
}

/// An imported model whose every chunk was hashed here.
#[derive(Debug)]
pub struct ServedModel {
    card: ServedCard,
    commitments: Commitments,
    folder: PathBuf,
    model: Arc<Model>,
    engine: Engine,
    disputes: DisputeModel,
}

impl ServedModel {
    /// Opens an imported model and computes its commitments from all of its bytes, each time: no earlier check is trusted, because a file's time and
    /// size say nothing about its bytes. `progress` gets (done, total).
    pub fn open(
        folder: &Path,
        options: &ServeOptions,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<ServedModel, MachineError> {
        let model = Arc::new(Model::open(folder)?);
        let (commitments, tree) = Commitments::of(&model, progress)?;
        // A folder of the library says which model it holds. One that no longer hashes to that is not served under another id.
        if let Some(expected) = Card::id_of(folder) {
            let found = commitments.model_id.to_string();
            if found != expected {
                return Err(MachineError::Unexpected {
                    what: "model id of the folder's bytes",
                    found,
                    expected: format!(
                        "{expected}, which its card states; a chunk of it has changed: remove the folder and add the model again"
                    ),
                });
            }
        }
        let about = model.card();
        let program = model.program();
        let card = ServedCard {
            id: B256::from(commitments.model_id.0),
            name: about.name.clone(),
            version: about.version.clone(),
            license: about.license.clone(),
            quantisation: about.quantisation.clone(),
            parameters: about.parameters,
            context_tokens: program.context(),
            vocabulary: program.vocab_size(),
        };
        let engine = Engine::new(model.clone(), options.engine)?;
        let disputes = DisputeModel {
            model: model.clone(),
            layout: Arc::new(TraceLayout::new(program)?),
            weights: ModelWeights::new(model.clone(), Arc::new(tree)),
        };
        Ok(ServedModel {
            card,
            commitments,
            folder: folder.to_path_buf(),
            model,
            engine,
            disputes,
        })
    }

    /// Its roots.
    pub fn commitments(&self) -> &Commitments {
        &self.commitments
    }

    /// Where it lies.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The model itself.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }
}

impl Machine for ServedModel {
    fn card(&self) -> &ServedCard {
        &self.card
    }

    fn answer(
        &self,
        input: &StoredInput,
        seed: B256,
        on_token: OnToken<'_>,
    ) -> Result<Answer, MachineError> {
        let params = Params::unpack(Digest(input.params.0))?;
        let tokenizer = self.model.tokenizer();
        let (runs, mut note) = match expand(tokenizer, &params, &input.payload, Digest(seed.0)) {
            Expansion::Job(job) => (
                self.engine.generate(&job, &mut |event| {
                    on_token(event.run, event.token, event.piece)
                })?,
                None,
            ),
            Expansion::Malformed { reason, runs } => {
                (runs, Some((ReportKind::Malformed, reason.to_string())))
            }
        };
        let runs: Vec<_> = runs
            .into_iter()
            .map(|run| StoredRun {
                n_prompt: run.n_prompt,
                tokens: run.tokens,
                finish: run.finish as u8,
                text: run.text.into(),
                offsets: run.offsets,
            })
            .collect();
        if note.is_none()
            && runs
                .iter()
                .any(|run| run.finish == sworn_inference::engine::Finish::TooLong as u8)
        {
            let found = runs.first().map_or(0, |run| run.n_prompt);
            note = Some((
                ReportKind::TooLong,
                format!(
                    "the prompt has {found} tokens, expected at most the model's context of {}; ask with a shorter prompt",
                    self.card.context_tokens
                ),
            ));
        }
        Ok(Answer { runs, note })
    }

    fn check(
        &self,
        input: &StoredInput,
        seed: B256,
        claimed: &[StoredRun],
        on_rows: OnRows<'_>,
    ) -> Result<Option<String>, MachineError> {
        let params = Params::unpack(Digest(input.params.0))?;
        let question = Question {
            params: &params,
            payload: &input.payload,
            seed: Digest(seed.0),
        };
        let claimed = run_results(claimed)?;
        let found = verify::check(&self.engine, &question, &claimed, on_rows)?;
        Ok(found.map(|difference| difference.to_string()))
    }

    fn dispute(&self) -> Option<Disputable> {
        Some(Disputable {
            model: self.disputes.clone(),
            backend: self.engine.backend().clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use sworn_inference::program::WeightFormat;
    use sworn_inference::testing;

    use super::*;
    use crate::library::{CardFields, Library};

    /// No chunk may change between the import and the serving: not in the weights, not in the program, not in the vocabulary.
    #[test]
    fn a_model_with_a_changed_chunk_is_not_served() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("model.gguf");
        let gguf = testing::gguf(&testing::tiny_config(), WeightFormat::Q8_0, 3);
        std::fs::write(&file, gguf.to_bytes()).unwrap();
        let library = Library::new(&dir.path().join("data"));
        let fields = CardFields {
            license: Some("MIT".into()),
            ..CardFields::default()
        };
        let added = library
            .add(&file, None, &fields, &mut |_, _, _| {})
            .unwrap();
        let (folder, id) = (
            added.model().dir.clone(),
            added.model().card.model_id.clone(),
        );
        let open = || ServedModel::open(&folder, &ServeOptions::default(), &mut |_, _| {});
        assert_eq!(open().unwrap().card().id.to_string(), id);

        let mut files: Vec<_> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.file_name().is_some_and(|name| name != "card.json"))
            .collect();
        files.sort();
        assert!(!files.is_empty());
        let mut refused = 0;
        for path in files {
            let whole = std::fs::read(&path).unwrap();
            // Some places are padding that nothing commits to; a model that is served has the right id all the same.
            for place in (0..whole.len()).step_by((whole.len() / 40).max(1)) {
                let mut bytes = whole.clone();
                bytes[place] ^= 0x10;
                std::fs::write(&path, &bytes).unwrap();
                match open() {
                    Ok(served) => assert_eq!(served.card().id.to_string(), id, "{path:?} {place}"),
                    Err(error) => {
                        refused += 1;
                        assert!(!error.to_string().is_empty());
                    }
                }
            }
            std::fs::write(&path, &whole).unwrap();
        }
        assert!(refused > 40, "only {refused} changes were refused");
        assert_eq!(open().unwrap().card().id.to_string(), id);
    }
}
