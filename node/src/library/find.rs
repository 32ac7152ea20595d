//! References to models: an id, the beginning of one, or a name.

use std::path::Path;

use super::{Library, LibraryError, StoredModel};

/// Fewest hexadecimal digits that count as the beginning of an id.
const MIN_PREFIX: usize = 4;

impl Library {
    /// The model that `reference` names: its id, the unique beginning of its id (at least 4 digits), its name, or `name@version`.
    pub fn find(&self, reference: &str) -> Result<StoredModel, LibraryError> {
        let models = self.list()?;
        let hits = matching(&models, reference);
        match hits.as_slice() {
            [one] => Ok((*one).clone()),
            [] => Err(LibraryError::Unknown {
                reference: reference.to_owned(),
                expected: known(&models),
            }),
            several => Err(LibraryError::Ambiguous {
                reference: reference.to_owned(),
                count: several.len(),
                ids: several
                    .iter()
                    .map(|model| short(&model.card.model_id))
                    .collect::<Vec<_>>()
                    .join(", "),
            }),
        }
    }
}

/// Names win over beginnings of ids, so that a model called `cafe` can be reached.
fn matching<'a>(models: &'a [StoredModel], reference: &str) -> Vec<&'a StoredModel> {
    let by = |test: &dyn Fn(&StoredModel) -> bool| {
        models
            .iter()
            .filter(|model| test(model))
            .collect::<Vec<_>>()
    };
    let named = by(&|model| {
        model.card.name == reference
            || format!("{}@{}", model.card.name, model.card.version) == reference
    });
    if !named.is_empty() {
        return named;
    }
    let digits = reference
        .strip_prefix("0x")
        .unwrap_or(reference)
        .to_ascii_lowercase();
    if digits.len() < MIN_PREFIX || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Vec::new();
    }
    by(&|model| {
        model
            .card
            .model_id
            .strip_prefix("0x")
            .is_some_and(|id| id.starts_with(&digits))
    })
}

fn known(models: &[StoredModel]) -> String {
    if models.is_empty() {
        return "an imported model, and there is none yet".to_owned();
    }
    let names = models
        .iter()
        .map(|model| format!("{} ({})", model.card.name, short(&model.card.model_id)))
        .collect::<Vec<_>>();
    format!("one of {}", names.join(", "))
}

fn short(id: &str) -> String {
    id.chars().take(12).collect()
}

/// Whether a reference is meant as a file: it exists, or it looks like a path.
pub fn looks_like_path(reference: &str) -> bool {
    Path::new(reference).is_file()
        || reference.contains('/')
        || reference.contains('\\')
        || [".gguf", ".bin"].iter().any(|end| reference.ends_with(end))
}
