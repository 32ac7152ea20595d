//! From a reference on the command line to an open model.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sworn_inference::Error;
use sworn_inference::engine::{Engine, EngineOptions, Footprint, Sequences};
use sworn_inference::format::packed::Model;
use sworn_node::config::Config;
use sworn_node::library::{Library, LibraryError, Phase, StoredModel, looks_like_path};
use sworn_node::machine::{Need, no_gpu};
use sworn_node::shipped;

use super::Context;
use super::failure::{Classify, Failure, Kind};
use super::progress::Progress;

/// An open model and how to call it.
pub(crate) struct Loaded {
    pub(crate) model: Arc<Model>,
    /// Its id; none for a file that was not added.
    pub(crate) id: Option<String>,
    pub(crate) name: String,
}

/// Opens a model by id, beginning of an id, name, or path. The shipped model's name works without adding it.
pub(crate) fn load(
    context: &Context,
    reference: &str,
    tokenizer: Option<&Path>,
) -> Result<Loaded, Failure> {
    let library = Library::new(&context.config.datadir);
    if looks_like_path(reference) {
        let path = PathBuf::from(reference);
        let mut progress = ImportProgress::default();
        let model = library
            .open_file(&path, tokenizer, &mut |phase, done, total| {
                progress.set(phase, done, total)
            })
            .exit(Kind::Input)?;
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        return Ok(Loaded {
            model: Arc::new(model),
            id: None,
            name,
        });
    }
    if let Some(tokenizer) = tokenizer {
        let message = format!(
            "found --tokenizer {} with the imported model `{reference}`, expected it with a llama2.c file only; leave it out",
            tokenizer.display()
        );
        return Err(Failure::usage(message));
    }
    let stored = stored(&library, reference)?;
    let model = library.open(&stored).exit(Kind::Input)?;
    Ok(Loaded {
        model: Arc::new(model),
        id: Some(stored.card.model_id),
        name: stored.card.name,
    })
}

/// A model of the library, or the shipped one by its name.
pub(crate) fn stored(library: &Library, reference: &str) -> Result<StoredModel, Failure> {
    match library.find(reference) {
        Err(LibraryError::Unknown { .. }) if reference == shipped::NAME => {
            let mut progress = ImportProgress::default();
            shipped::stored(library, &mut |phase, done, total| {
                progress.set(phase, done, total)
            })
            .exit(Kind::Input)
        }
        found => found.exit(Kind::Input),
    }
}

/// An engine as configured, once the memory for these sequences is known to be there.
pub(crate) fn engine(
    loaded: &Loaded,
    sequences: Sequences,
    context: &Context,
) -> Result<Engine, Failure> {
    let config = &context.config;
    let draft = match &config.draft {
        Some(reference) => Some(load(context, reference, None)?),
        None => None,
    };
    let need = |loaded: &Loaded, sequences| Need {
        name: loaded.name.clone(),
        footprint: Footprint::of(loaded.model.program()),
        sequences,
    };
    let mut needs = vec![need(loaded, sequences)];
    needs.extend(draft.iter().map(|draft| need(draft, sequences)));
    let remedy = "use a smaller model, fewer tokens (--max-new, --max-total) or fewer runs (-n), or go on all the same with --memory any";
    config.memory.check(&needs, remedy).exit(Kind::Input)?;
    let options = engine_options(config);
    if let Some(warning) = options.warning() {
        tracing::warn!("{warning}");
    }
    let opened = Engine::new(Arc::clone(&loaded.model), options)
        .and_then(|engine| sworn_cuda::attach(engine, options.backend, Box::new(no_gpu)));
    let engine = opened.map_err(|error| {
        let kind = match error {
            Error::BadParameter { .. } | Error::Device { .. } | Error::DeviceMemory { .. } => {
                Kind::Usage
            }
            _ => Kind::Other,
        };
        Failure {
            kind,
            error: error.into(),
        }
    })?;
    match draft {
        Some(draft) => engine.with_draft(draft.model).exit(Kind::Input),
        None => Ok(engine),
    }
}

/// Backend and threads as configured.
pub(crate) fn engine_options(config: &Config) -> EngineOptions {
    EngineOptions {
        backend: config.backend,
        threads: config.threads,
    }
}

/// One bar for each phase of an import.
#[derive(Default)]
pub(crate) struct ImportProgress {
    current: Option<(Phase, Progress)>,
}

impl ImportProgress {
    pub(crate) fn set(&mut self, phase: Phase, done: u64, total: u64) {
        if self
            .current
            .as_ref()
            .is_none_or(|(current, _)| *current != phase)
        {
            // The old bar has to go before the new one comes.
            self.current = None;
            let progress = match phase {
                Phase::Reading => Progress::bytes("reading"),
                Phase::Packing => Progress::bytes("packing"),
                Phase::Committing => Progress::steps("committing"),
            };
            self.current = Some((phase, progress));
        }
        if let Some((_, progress)) = &mut self.current {
            progress.set(done, total);
        }
    }
}
