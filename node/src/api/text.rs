//! Bytes in JSON without loss: text when they are UTF-8, else hexadecimal.

use serde::{Deserialize, Serialize};

/// Bytes as `text` or, when they are not UTF-8, as `text_hex`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Text {
    /// Well-formed UTF-8.
    Utf8 {
        /// The text.
        text: String,
    },
    /// Any other bytes.
    Hex {
        /// Two digits a byte.
        text_hex: String,
    },
}

impl Text {
    /// The bytes in their form.
    pub fn of(bytes: &[u8]) -> Text {
        match std::str::from_utf8(bytes) {
            Ok(text) => Text::Utf8 {
                text: text.to_owned(),
            },
            Err(_) => Text::Hex {
                text_hex: alloy::hex::encode(bytes),
            },
        }
    }
}

/// Cuts a stream of pieces at whole characters: a character whose bytes come in several pieces is held back until it is whole.
#[derive(Debug, Default)]
pub(super) struct Utf8Stream {
    held: Vec<u8>,
}

impl Utf8Stream {
    /// What can be shown after this piece; it may be empty.
    pub(super) fn push(&mut self, piece: &[u8]) -> Text {
        self.held.extend_from_slice(piece);
        match std::str::from_utf8(&self.held) {
            Ok(text) => {
                let text = text.to_owned();
                self.held.clear();
                Text::Utf8 { text }
            }
            // The end is the beginning of a character: hold it back.
            Err(err) if err.error_len().is_none() => {
                let tail = self.held.split_off(err.valid_up_to());
                let shown = std::mem::replace(&mut self.held, tail);
                Text::of(&shown)
            }
            Err(_) => Text::of(&std::mem::take(&mut self.held)),
        }
    }

    /// What is left at the end.
    pub(super) fn finish(&mut self) -> Option<Text> {
        (!self.held.is_empty()).then(|| Text::of(&std::mem::take(&mut self.held)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(text: &Text) -> Vec<u8> {
        match text {
            Text::Utf8 { text } => text.as_bytes().to_vec(),
            Text::Hex { text_hex } => alloy::hex::decode(text_hex).unwrap(),
        }
    }

    proptest! {
        #[test]
        fn no_byte_is_lost(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..4), 0..40)) {
            let mut stream = Utf8Stream::default();
            let mut shown = Vec::new();
            for piece in &pieces {
                shown.extend(bytes(&stream.push(piece)));
            }
            shown.extend(stream.finish().iter().flat_map(bytes));
            prop_assert_eq!(shown, pieces.concat());
        }

        #[test]
        fn text_in_single_bytes_stays_text(text in "\\PC*") {
            let mut stream = Utf8Stream::default();
            let shown: Vec<Text> = text.bytes().map(|b| stream.push(&[b])).collect();
            let all_text = shown.iter().all(|t| matches!(t, Text::Utf8 { .. }));
            prop_assert!(all_text);
            prop_assert!(stream.finish().is_none());
        }
    }

    #[test]
    fn the_form_tells_the_bytes() {
        assert_eq!(
            serde_json::to_string(&Text::of("é".as_bytes())).unwrap(),
            "{\"text\":\"é\"}"
        );
        assert_eq!(
            serde_json::to_string(&Text::of(&[0xff, 0])).unwrap(),
            "{\"text_hex\":\"ff00\"}"
        );
    }
}
