//! Payloads of inputs (`prover/SPEC.md` section 6): a version byte, then segments.

use sworn_inference::tokenizer::Segment;

use crate::Error;
use crate::constants::{MAX_SEGMENTS, PAYLOAD_CONTROL, PAYLOAD_TEXT, PAYLOAD_VERSION};

/// The payload of a prompt.
///
/// # Errors
/// [`Error::TooLong`] for a text segment of 2^32 bytes or more, [`Error::IndexOutOfRange`] for more than [`MAX_SEGMENTS`] segments.
pub fn encode(segments: &[Segment<'_>]) -> Result<Vec<u8>, Error> {
    if segments.len() > MAX_SEGMENTS {
        return Err(Error::IndexOutOfRange {
            what: "segments of a payload",
            found: segments.len() as u64 - 1,
            expected: MAX_SEGMENTS as u64,
        });
    }
    let mut payload = vec![PAYLOAD_VERSION];
    for segment in segments {
        match segment {
            Segment::Text(text) => {
                let length = u32::try_from(text.len()).map_err(|_| Error::TooLong {
                    what: "text segment",
                    found: text.len(),
                    maximum: u32::MAX as usize,
                })?;
                payload.push(PAYLOAD_TEXT);
                payload.extend(length.to_be_bytes());
                payload.extend_from_slice(text);
            }
            Segment::Control(id) => {
                payload.push(PAYLOAD_CONTROL);
                payload.extend(id.to_be_bytes());
            }
        }
    }
    Ok(payload)
}

/// The segments of a payload. Every payload has at most one reading, and [`encode`] gives it back.
///
/// # Errors
/// [`Error::MalformedPayload`]. Whether a control id may stand in a prompt is for the vocabulary to say: see
/// [`crate::result::expand`].
pub fn decode(payload: &[u8]) -> Result<Vec<Segment<'_>>, Error> {
    let mut reader = Reader {
        bytes: payload,
        offset: 0,
    };
    match reader.byte() {
        Some(PAYLOAD_VERSION) => {}
        found => return Err(malformed(0, found, "version 1")),
    }
    let mut segments = Vec::new();
    while reader.offset < payload.len() {
        let start = reader.offset;
        if segments.len() == MAX_SEGMENTS {
            return Err(Error::MalformedPayload {
                offset: start,
                found: "one more segment".to_owned(),
                expected: "at most 64 segments",
            });
        }
        match reader.byte() {
            Some(PAYLOAD_TEXT) => {
                let length = reader.number("a length of 4 bytes")?;
                let left = payload.len() - reader.offset;
                let text = reader
                    .take(length as usize)
                    .ok_or_else(|| Error::MalformedPayload {
                        offset: start + 1,
                        found: format!("length {length} with {left} bytes left"),
                        expected: "a length that fits",
                    })?;
                segments.push(Segment::Text(text));
            }
            Some(PAYLOAD_CONTROL) => {
                segments.push(Segment::Control(reader.number("a token id of 4 bytes")?))
            }
            found => {
                return Err(malformed(
                    start,
                    found,
                    "segment type 0 (text) or 1 (control token)",
                ));
            }
        }
    }
    Ok(segments)
}

fn malformed(offset: usize, found: Option<u8>, expected: &'static str) -> Error {
    let found = found.map_or_else(|| "the end".to_owned(), |byte| format!("byte {byte:#04x}"));
    Error::MalformedPayload {
        offset,
        found,
        expected,
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.offset..)?.get(..count)?;
        self.offset += count;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn number(&mut self, expected: &'static str) -> Result<u32, Error> {
        match self.take(4) {
            Some(&[a, b, c, d]) => Ok(u32::from_be_bytes([a, b, c, d])),
            _ => {
                let left = self.bytes.len() - self.offset;
                Err(Error::MalformedPayload {
                    offset: self.offset,
                    found: format!("{left} bytes left"),
                    expected,
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_empty_prompt_is_one_byte() {
        assert_eq!(encode(&[]).unwrap(), [1]);
        assert_eq!(decode(&[1]).unwrap(), []);
    }

    #[test]
    fn segments_are_as_specified() {
        let payload = encode(&[
            Segment::Control(258),
            Segment::Text(b"hi"),
            Segment::Text(b""),
        ])
        .unwrap();
        assert_eq!(
            payload,
            [1, 1, 0, 0, 1, 2, 0, 0, 0, 0, 2, b'h', b'i', 0, 0, 0, 0, 0]
        );
    }

    #[test]
    fn malformed_payloads_are_refused() {
        let payloads: [&[u8]; 10] = [
            &[],
            &[0],
            &[2],
            &[1, 2],
            &[1, 0],
            &[1, 0, 0, 0, 0],
            &[1, 0, 0, 0, 0, 1],
            &[1, 0, 0xff, 0xff, 0xff, 0xff, b'x'],
            &[1, 1, 0, 0, 1],
            &[1, 0, 0, 0, 0, 0, 7],
        ];
        for payload in payloads {
            assert!(
                matches!(decode(payload), Err(Error::MalformedPayload { .. })),
                "{payload:?}"
            );
        }
    }

    #[test]
    fn too_many_segments_are_refused() {
        let segments = vec![Segment::Control(1); MAX_SEGMENTS + 1];
        assert!(matches!(
            encode(&segments),
            Err(Error::IndexOutOfRange { found: 64, .. })
        ));
        let mut payload = encode(&segments[1..]).unwrap();
        assert_eq!(decode(&payload).unwrap().len(), MAX_SEGMENTS);
        payload.extend([0; 5]);
        let error = decode(&payload).unwrap_err();
        assert!(
            matches!(error, Error::MalformedPayload { offset: 321, .. }),
            "{error}"
        );
    }

    fn owned_segments() -> impl Strategy<Value = Vec<Result<Vec<u8>, u32>>> {
        let segment = prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40).prop_map(Ok),
            any::<u32>().prop_map(Err),
        ];
        prop::collection::vec(segment, 0..8)
    }

    proptest! {
        #[test]
        fn encode_then_decode(owned in owned_segments()) {
            let segments: Vec<_> = owned
                .iter()
                .map(|s| match s { Ok(text) => Segment::Text(text), Err(id) => Segment::Control(*id) })
                .collect();
            let payload = encode(&segments).unwrap();
            prop_assert_eq!(decode(&payload).unwrap(), segments.clone());
            // Every proper prefix of a payload that ends inside a segment is malformed; none reads as more segments.
            for cut in 0..payload.len() {
                if let Ok(fewer) = decode(&payload[..cut]) {
                    prop_assert!(fewer.len() < segments.len());
                }
            }
        }

        #[test]
        fn decode_is_total_and_canonical(bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..60),
            prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(2), any::<u8>()], 0..30)
                .prop_map(|tail| [vec![1], tail].concat()),
        ]) {
            if let Ok(segments) = decode(&bytes) {
                prop_assert_eq!(encode(&segments).unwrap(), bytes);
            }
        }
    }
}
