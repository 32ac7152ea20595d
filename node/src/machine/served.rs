//! Imported models as machines.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use alloy::primitives::B256;
use sworn_inference::engine::{Engine, EngineOptions};
use sworn_inference::format::packed::Model;
use sworn_prover::Digest;
use sworn_prover::commitment::Commitments;
use sworn_prover::params::Params;
use sworn_prover::result::{Expansion, expand};

use super::{Answer, Machine, MachineError, OnToken, ServedCard};
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
}

impl ServedModel {
    /// Opens an imported model and computes its commitments from all of its bytes. `progress` gets (done, total).
    pub fn open(
        folder: &Path,
        options: &ServeOptions,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<ServedModel, MachineError> {
        let model = Arc::new(Model::open(folder)?);
        let (commitments, _) = Commitments::of(&model, progress)?;
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
        Ok(ServedModel {
            card,
            commitments,
            folder: folder.to_path_buf(),
            model,
            engine,
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
}
