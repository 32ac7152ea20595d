use sworn_inference::program::WeightFormat;
use sworn_inference::testing;

use super::*;
use crate::library::{CardFields, Library};

/// What does not fit is refused before its weights are read, with what it takes; models that are served together count together.
#[test]
fn models_that_do_not_fit_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("model.gguf");
    let gguf = testing::gguf(&testing::tiny_config(), WeightFormat::Q8_0, 3);
    std::fs::write(&file, gguf.to_bytes()).unwrap();
    let source = sworn_inference::format::ModelSource::open(&file, None).unwrap();
    let folder = dir.path().join("model");
    let model = Model::import(&source, &folder, &mut |_, _| {}).unwrap();
    let footprint = Footprint::of(model.program());
    let sequences = |count| Sequences { count, tokens: 64 };
    let least = footprint.total(sequences(ServeOptions::SEQUENCES));
    let limited = |bytes| ServeOptions {
        memory: MemoryLimit::Bytes(bytes),
        ..ServeOptions::default()
    };
    let open = |bytes| ServedModel::open(&folder, &limited(bytes), &mut |_, _| {});
    let message = open(least - 1).unwrap_err().to_string();
    for part in [
        "memory: found",
        "needed",
        "weights",
        "caches",
        "--memory any",
    ] {
        assert!(message.contains(part), "{message}");
    }
    let one = footprint.cache(sequences(1));
    assert_eq!(open(least).unwrap().service.limits().cache, one);
    assert_eq!(open(least + 10).unwrap().service.limits().cache, one + 10);
    let two = [folder.clone(), folder.clone()];
    assert!(cache_room(&two, &limited(2 * least - 1)).is_err());
    assert_eq!(cache_room(&two, &limited(2 * least + 10)).unwrap(), one + 5);
    let any = ServeOptions {
        memory: MemoryLimit::Any,
        ..ServeOptions::default()
    };
    assert_eq!(cache_room(&two, &any).unwrap(), u64::MAX);
}

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
