//! Jobs: a prompt and parameters in, runs out (`prover/SPEC.md` section 5).

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use super::draft::check_vocabulary;
use super::fallback::{self, Accelerated};
use super::speculate::{Costs, Policy};
use super::{Accelerator, Batch, EngineOptions, Network, OnFailure, Row, Runner};
use crate::Error;
use crate::backend::Backend;
use crate::engine::CHUNK_ROWS;
use crate::format::packed::Model;
use crate::numeric::constants as c;

/// How tokens are drawn; all integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampling {
    /// Temperature in 1/1000, at most 10,000; 0 takes the best token.
    pub temperature_milli: u32,
    /// Draw among about that many best tokens; 0 = all.
    pub top_k: u32,
    /// Draw among the best tokens with that share of the mass, in millionths: 1 to 1,000,000 (all).
    pub top_p_ppm: u32,
    /// Draw among tokens with at least that part of the best token's mass, in millionths: 0 (all) to 1,000,000.
    pub min_p_ppm: u32,
}

impl Sampling {
    /// The best token, always.
    pub const GREEDY: Sampling = Sampling {
        temperature_milli: 0,
        top_k: 0,
        top_p_ppm: 1_000_000,
        min_p_ppm: 0,
    };
}

/// What to generate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Tokens of the prompt; at least one.
    pub prompt: Vec<u32>,
    /// Runs, 1 to 16; 1 at temperature 0.
    pub n_runs: u32,
    /// Most new tokens of a run; 0 = no limit.
    pub max_new_tokens: u32,
    /// Most tokens of a run, the prompt among them; 0 = no limit.
    pub max_total_tokens: u32,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// What the draws come from.
    pub seed: [u8; 32],
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Finish {
    /// Its limit of new tokens.
    Length = c::FINISH_LENGTH,
    /// A stop token, which is its last.
    Stop = c::FINISH_STOP,
    /// The prompt is longer than the context.
    TooLong = c::FINISH_TOO_LONG,
    /// A continuation was scored.
    Scored = c::FINISH_SCORED,
}

/// A finished run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunResult {
    /// Tokens of the prompt, the first of `tokens`.
    pub n_prompt: u32,
    /// All tokens: the prompt's, then the new ones.
    pub tokens: Vec<u32>,
    /// Why it ended.
    pub finish: Finish,
    /// The new tokens' text; any bytes.
    pub text: Vec<u8>,
    /// Where in the text the piece of each new token starts.
    pub offsets: Vec<u32>,
}

/// A token that was just selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenEvent<'a> {
    /// The run, from 0.
    pub run: u32,
    /// The token.
    pub token: u32,
    /// What it adds to the run's text; a character may be split over several pieces.
    pub piece: &'a [u8],
}

/// A model with a backend. Calls from several threads are fine; their results don't depend on each other.
#[derive(Debug)]
pub struct Engine {
    model: Arc<Model>,
    backend: Arc<dyn Backend>,
    accelerated: Option<Accelerated>,
    draft: Option<Arc<Model>>,
    policy: Policy,
    costs: Mutex<Costs>,
}

impl Engine {
    /// An engine for a model.
    ///
    /// # Errors
    /// What [`EngineOptions::open`] reports.
    pub fn new(model: Arc<Model>, options: EngineOptions) -> Result<Engine, Error> {
        Ok(Engine::with_backend(model, options.open()?))
    }

    /// An engine that computes with a backend that is there already.
    pub fn with_backend(model: Arc<Model>, backend: Arc<dyn Backend>) -> Engine {
        Engine {
            model,
            backend,
            accelerated: None,
            draft: None,
            policy: Policy::Measured,
            costs: Mutex::default(),
        }
    }

    /// Computes on an accelerator of the same model. When that fails, what runs is repeated on the processor, with the same results, and
    /// `on_failure` is told why.
    #[must_use]
    pub fn with_accelerator(self, device: Arc<dyn Accelerator>, on_failure: OnFailure) -> Engine {
        Engine {
            accelerated: Some(Accelerated::new(device, on_failure)),
            ..self
        }
    }

    pub(super) fn accelerated(&self) -> Option<&Accelerated> {
        self.accelerated.as_ref()
    }

    /// A runner without sequences: on the accelerator if there is one that works, else on the processor.
    pub fn runner(&self) -> Box<dyn Runner + '_> {
        fallback::runner(self)
    }

    /// Whether likely tokens are run together with the ones before them, and kept as far as they are those that the selection rule gives; a run's
    /// own text is where they are found. It is done where it pays: by how many guesses of a run were right, and by what steps cost here. No result
    /// depends on it. On unless said otherwise.
    #[must_use]
    pub fn with_speculation(self, speculation: bool) -> Engine {
        let policy = if speculation {
            Policy::Measured
        } else {
            Policy::Off
        };
        Engine { policy, ..self }
    }

    /// Guesses whenever there is a guess, whether it pays or not: for tests and measurements.
    #[must_use]
    pub fn with_eager_speculation(self) -> Engine {
        let policy = Policy::Always;
        Engine { policy, ..self }
    }

    /// Takes the guesses from a smaller model with the same vocabulary instead. No result depends on it.
    ///
    /// # Errors
    /// [`Error::BadParameter`] naming the first thing about the vocabularies that differs.
    pub fn with_draft(self, draft: Arc<Model>) -> Result<Engine, Error> {
        check_vocabulary(&self.model, &draft)?;
        let draft = Some(draft);
        Ok(Engine { draft, ..self })
    }

    pub(super) fn draft(&self) -> Option<&Model> {
        self.draft.as_deref()
    }

    pub(super) fn policy(&self) -> Policy {
        self.policy
    }

    /// What steps cost, as far as it was measured.
    pub(super) fn costs(&self) -> Costs {
        *self.costs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note_costs(&self, note: impl FnOnce(&mut Costs)) {
        // Numbers without a rule between them: whoever panicked left good ones.
        note(&mut self.costs.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The model.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// The processor's backend.
    pub fn backend(&self) -> &Arc<dyn Backend> {
        &self.backend
    }

    /// Name of what computes: the accelerator's while it works, else the backend's.
    pub fn backend_name(&self) -> String {
        let accelerator = self.accelerated.as_ref().and_then(Accelerated::name);
        accelerator.unwrap_or_else(|| self.backend.name())
    }

    /// Runs a job. The prompt is prefilled once for all runs, which then decode as one batch. `on_token` gets every new token when it is
    /// selected, runs taking turns.
    ///
    /// # Errors
    /// [`Error::BadParameter`] for a parameter outside its range, [`Error::Cancelled`] when `on_token` breaks. A prompt that is longer than
    /// the context is no error but the result [`Finish::TooLong`].
    pub fn generate(
        &self,
        job: &Job,
        on_token: &mut dyn FnMut(TokenEvent<'_>) -> ControlFlow<()>,
    ) -> Result<Vec<RunResult>, Error> {
        let mut batch = Batch::new(self);
        batch.submit(job.clone())?;
        loop {
            let ended = batch.step(&mut |_, event| on_token(event))?;
            if let Some((_, result)) = ended.into_iter().next() {
                return result;
            }
        }
    }

    /// Teacher-forced logits of all positions, `[tokens, vocab]`: row t is what position t + 1 is selected from.
    ///
    /// # Errors
    /// [`Error::BadParameter`] for tokens that are not in the vocabulary or are more than the context.
    pub fn logits(&self, tokens: &[u32]) -> Result<Vec<f32>, Error> {
        let mut runner = self.runner();
        let sequence = runner.start();
        let mut logits = Vec::new();
        for chunk in tokens.chunks(CHUNK_ROWS) {
            let rows: Vec<Row> = chunk
                .iter()
                .map(|token| Row {
                    sequence,
                    token: *token,
                })
                .collect();
            let wanted: Vec<usize> = (0..rows.len()).collect();
            runner.run(&rows, &wanted)?;
            logits.extend_from_slice(runner.logits()?);
        }
        Ok(logits)
    }

    pub(super) fn network(&self) -> Network<'_> {
        Network {
            program: self.model.program(),
            weights: self.model.weights(),
        }
    }
}

impl Job {
    /// Most new tokens of a run (section 5) on a model with this context; a prompt that is too long has none.
    #[must_use]
    pub fn limit(&self, context: u32) -> u32 {
        let n_prompt = u32::try_from(self.prompt.len()).unwrap_or(u32::MAX);
        let or_none = |limit: u32| if limit == 0 { u32::MAX } else { limit };
        or_none(self.max_new_tokens)
            .min(or_none(self.max_total_tokens).saturating_sub(n_prompt))
            .min(context.saturating_sub(n_prompt))
    }
}

pub(super) fn check(job: &Job, vocab_size: u32) -> Result<(), Error> {
    let range = |what: &str, found: u32, low: u32, high: u32| {
        if (low..=high).contains(&found) {
            return Ok(());
        }
        Err(Error::BadParameter {
            what: what.to_owned(),
            found: found.to_string(),
            expected: format!("{low} to {high}"),
        })
    };
    let sampling = &job.sampling;
    let most_runs = if sampling.temperature_milli == 0 {
        1
    } else {
        c::MAX_RUNS
    };
    range(
        "temperature (in 1/1000)",
        sampling.temperature_milli,
        0,
        c::MAX_TEMPERATURE_MILLI,
    )?;
    range("runs (1 at temperature 0)", job.n_runs, 1, most_runs)?;
    range("top-p (in millionths)", sampling.top_p_ppm, 1, c::PPM)?;
    range("min-p (in millionths)", sampling.min_p_ppm, 0, c::PPM)?;
    range(
        "tokens of the prompt",
        u32::try_from(job.prompt.len()).unwrap_or(u32::MAX),
        1,
        u32::MAX,
    )?;
    job.prompt
        .iter()
        .try_for_each(|token| range("token of the prompt", *token, 0, vocab_size - 1))
}
