//! The model card as lines of `key=value`.

use crate::Error;
use crate::format::ModelCard;

/// The card's lines. Line breaks and backslashes in values are escaped.
pub(super) fn write(card: &ModelCard) -> String {
    let escape = |text: &str| {
        text.replace('\\', "\\\\")
            .replace('\n', "\\n")
            .replace('\r', "\\r")
    };
    let mut lines = vec![
        format!("name={}", escape(&card.name)),
        format!("version={}", escape(&card.version)),
        format!("architecture={}", escape(&card.architecture)),
        format!("quantisation={}", escape(&card.quantisation)),
        format!("parameters={}", card.parameters),
    ];
    lines.extend(
        card.license
            .as_ref()
            .map(|license| format!("license={}", escape(license))),
    );
    lines.join("\n") + "\n"
}

/// Reads [`write`]'s lines.
pub(super) fn read(text: &str) -> Result<ModelCard, Error> {
    let find = |key: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
            .map(unescape)
    };
    let need = |key: &str| find(key).ok_or_else(|| bad(key, "no such line", "one"));
    let parameters = need("parameters")?;
    Ok(ModelCard {
        name: need("name")?,
        version: need("version")?,
        license: find("license"),
        architecture: need("architecture")?,
        quantisation: need("quantisation")?,
        parameters: parameters
            .parse()
            .map_err(|_| bad("parameters", &parameters, "a number"))?,
    })
}

fn bad(key: &str, found: &str, expected: &str) -> Error {
    Error::bad_file(key, found, expected, super::REMEDY)
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        out.push(match c {
            '\\' => match characters.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                Some(other) => other,
                None => '\\',
            },
            c => c,
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn cards_return(name: String, version: String, license: Option<String>, architecture: String, quantisation: String, parameters: u64) {
            let card = ModelCard { name, version, license, architecture, quantisation, parameters };
            prop_assert_eq!(read(&write(&card)).expect("reads"), card);
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = read(&text);
        }
    }
}
