//! Imported models as machines.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use alloy::primitives::B256;
use sworn_inference::engine::{Engine, EngineOptions, Finish, Footprint, RunResult, Sequences};
use sworn_inference::format::packed::Model;
use sworn_prover::Digest;
use sworn_prover::commitment::Commitments;
use sworn_prover::dispute::results::DisputeModel;
use sworn_prover::dispute::trace::{ModelWeights, TraceLayout};
use sworn_prover::params::Params;
use sworn_prover::result::{Expansion, expand};
use sworn_prover::verify::{self, Question};

use super::memory::{MemoryLimit, Need};
use super::service::{Limits, Service, Task};
use super::{
    Answer, Answering, Disputable, Event, Machine, MachineError, OnRows, OnToken, ServedCard,
    run_results,
};
use crate::library::Card;
use crate::store::{ReportKind, StoredInput, StoredRun};

/// How models are run.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// Backend and threads.
    pub engine: EngineOptions,
    /// Runs that are computed at once, at most.
    pub runs: u32,
    /// Memory for all models together.
    pub memory: MemoryLimit,
    /// Bytes for the caches of one model's runs; what the memory leaves when none is given.
    pub cache: Option<u64>,
    /// Folder of a model that guesses tokens for the others.
    pub draft: Option<PathBuf>,
}

impl Default for ServeOptions {
    fn default() -> ServeOptions {
        ServeOptions {
            engine: EngineOptions::default(),
            runs: ServeOptions::RUNS,
            memory: MemoryLimit::default(),
            cache: None,
            draft: None,
        }
    }
}

impl ServeOptions {
    /// Runs that are computed at once unless said otherwise: enough to read weights rarely, and a quarter of an engine's step, so that prompts have
    /// room beside them.
    pub const RUNS: u32 = 32;
    /// Sequences that must have room before a model is served: a run, and the prompts that are kept because others may begin alike.
    pub const SEQUENCES: u32 = 2;
}

/// Bytes for the caches of each of these models' runs, when all are served and share what the memory leaves.
///
/// # Errors
/// [`MachineError::Memory`] when there is no room for one run of each; a folder that is no model's.
pub fn cache_room(folders: &[PathBuf], options: &ServeOptions) -> Result<u64, MachineError> {
    let mut needs = Vec::new();
    for folder in folders.iter().chain(&options.draft) {
        let model = Model::open(folder)?;
        let footprint = Footprint::of(model.program());
        needs.push(Need {
            name: model.card().name.clone(),
            footprint,
            sequences: Sequences {
                count: ServeOptions::SEQUENCES,
                tokens: footprint.context,
            },
        });
    }
    let left = options.memory.check(
        &needs,
        "serve a smaller model or fewer of them (--model), or go on all the same with --memory any",
    )?;
    Ok(left.map_or(u64::MAX, |left| {
        // Each has the room of the run that it was checked with, and its part of the rest.
        let least = needs.iter().map(|need| {
            let one = Sequences {
                count: 1,
                ..need.sequences
            };
            need.footprint.cache(one)
        });
        least.min().unwrap_or(0) + left / folders.len().max(1) as u64
    }))
}

/// An imported model whose every chunk was hashed here.
#[derive(Debug)]
pub struct ServedModel {
    card: ServedCard,
    commitments: Commitments,
    folder: PathBuf,
    model: Arc<Model>,
    engine: Arc<Engine>,
    service: Service,
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
        let cache = match options.cache {
            Some(bytes) => bytes,
            None => cache_room(&[folder.to_path_buf()], options)?,
        };
        let model = Arc::new(Model::open(folder)?);
        // Before the weights are read: what the options name may not be there.
        let engine = Arc::new(open_engine(&model, folder, options)?);
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
        let disputes = DisputeModel {
            model: model.clone(),
            layout: Arc::new(TraceLayout::new(program)?),
            weights: ModelWeights::new(model.clone(), Arc::new(tree)),
        };
        let limits = Limits {
            runs: options.runs.max(1),
            cache,
        };
        tracing::info!(model = %card.id, name = card.name, backend = engine.backend_name(), runs = limits.runs, "engine ready");
        Ok(ServedModel {
            service: Service::new(engine.clone(), limits, answer_of),
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

/// Notes that a GPU is not used, or not any more.
pub fn no_gpu(error: &sworn_inference::Error) {
    tracing::warn!("{error}; computing on the processor, to the same bits");
}

/// The engine for a model, with the draft model where there is one.
fn open_engine(
    model: &Arc<Model>,
    folder: &Path,
    options: &ServeOptions,
) -> Result<Engine, MachineError> {
    if let Some(warning) = options.engine.warning() {
        tracing::warn!("{warning}");
    }
    let engine = Engine::new(model.clone(), options.engine)?;
    let backend = options.engine.backend;
    let engine = sworn_cuda::attach(engine, backend, Box::new(no_gpu))?;
    match &options.draft {
        // A model does not guess for itself.
        Some(draft) if draft != folder => Ok(engine.with_draft(Arc::new(Model::open(draft)?))?),
        _ => Ok(engine),
    }
}

fn stored(runs: Vec<RunResult>) -> Vec<StoredRun> {
    let stored = runs.into_iter().map(|run| StoredRun {
        n_prompt: run.n_prompt,
        tokens: run.tokens,
        finish: run.finish as u8,
        text: run.text.into(),
        offsets: run.offsets,
    });
    stored.collect()
}

/// The answer of a malformed prompt.
fn malformed(runs: Vec<RunResult>, reason: &str) -> Answer {
    Answer {
        runs: stored(runs),
        note: Some((ReportKind::Malformed, reason.to_owned())),
    }
}

/// The answer of a job on a model with this context.
fn answer_of(runs: Vec<RunResult>, context: u32) -> Answer {
    let too_long = runs.iter().find(|run| run.finish == Finish::TooLong);
    let note = too_long.map(|run| {
        let message = format!(
            "the prompt has {} tokens, expected at most the model's context of {context}; ask with a shorter prompt",
            run.n_prompt
        );
        (ReportKind::TooLong, message)
    });
    Answer {
        runs: stored(runs),
        note,
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
        match expand(tokenizer, &params, &input.payload, Digest(seed.0)) {
            Expansion::Job(job) => {
                let runs = self.engine.generate(&job, &mut |event| {
                    on_token(event.run, event.token, event.piece)
                })?;
                Ok(answer_of(runs, self.card.context_tokens))
            }
            Expansion::Malformed { reason, runs } => Ok(malformed(runs, &reason.to_string())),
        }
    }

    fn at_once(&self) -> usize {
        self.service.limits().runs as usize
    }

    fn submit(self: Arc<Self>, input: StoredInput, seed: B256) -> Answering {
        let (events, answering) = Answering::channel();
        let done = |result| {
            let _ = events.send(Event::Done(result));
        };
        match Params::unpack(Digest(input.params.0)) {
            Err(error) => done(Err(error.into())),
            Ok(params) => {
                let tokenizer = self.model.tokenizer();
                match expand(tokenizer, &params, &input.payload, Digest(seed.0)) {
                    Expansion::Job(job) => self.service.submit(Task::new(job, events)),
                    Expansion::Malformed { reason, runs } => {
                        done(Ok(malformed(runs, &reason.to_string())));
                    }
                }
            }
        }
        answering
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
mod tests;
