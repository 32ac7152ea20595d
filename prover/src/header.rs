//! The mixHash of a block header (`prover/SPEC.md` section 9), read from its RLP as the inbox reads it.

use crate::{Digest, Error};

/// Place of the mixHash in a header: parent, ommers, beneficiary, three roots, bloom, difficulty, number, gas limit, gas used, time,
/// extra data, mixHash, ...
const MIX_HASH_FIELD: usize = 13;

/// The mixHash: field 13 of the one RLP list of strings that a header is.
///
/// # Errors
/// [`Error::BadHeader`].
pub fn mix_hash(header: &[u8]) -> Result<Digest, Error> {
    let list = item(header, 0)?;
    if !list.is_list || list.end != header.len() {
        return Err(Error::BadHeader {
            offset: 0,
            expected: "one RLP list and nothing after it",
        });
    }
    let mut offset = list.start;
    for field in 0.. {
        if offset >= list.end {
            return Err(Error::BadHeader {
                offset,
                expected: "a header of at least 14 fields",
            });
        }
        let Item {
            is_list,
            start,
            end,
        } = item(header, offset)?;
        if is_list || end > list.end {
            return Err(Error::BadHeader {
                offset,
                expected: "a string inside the header's list",
            });
        }
        if field == MIX_HASH_FIELD {
            let bytes = header
                .get(start..end)
                .and_then(|bytes| bytes.try_into().ok());
            return bytes.map(Digest).ok_or(Error::BadHeader {
                offset,
                expected: "a mixHash of 32 bytes",
            });
        }
        offset = end;
    }
    Err(Error::BadHeader {
        offset,
        expected: "a header of at least 14 fields",
    })
}

/// An RLP item and where its contents lie.
struct Item {
    is_list: bool,
    start: usize,
    end: usize,
}

fn item(bytes: &[u8], offset: usize) -> Result<Item, Error> {
    let bad = Error::BadHeader {
        offset,
        expected: "an RLP item that fits",
    };
    let Some(&prefix) = bytes.get(offset) else {
        return Err(bad);
    };
    // A byte below 0x80 stands for itself; else the prefix holds the length, or the length of the length.
    let (is_list, length) = match prefix {
        0..=0x7f => {
            return Ok(Item {
                is_list: false,
                start: offset,
                end: offset + 1,
            });
        }
        0x80..=0xbf => (false, prefix - 0x80),
        0xc0..=0xff => (true, prefix - 0xc0),
    };
    let (start, length) = if length < 56 {
        (offset + 1, u64::from(length))
    } else {
        let start = offset + 1 + usize::from(length - 55);
        let Some(digits) = bytes.get(offset + 1..start) else {
            return Err(bad);
        };
        (
            start,
            digits
                .iter()
                .fold(0, |number, digit| number << 8 | u64::from(*digit)),
        )
    };
    let end = usize::try_from(length)
        .ok()
        .and_then(|length| start.checked_add(length));
    match end {
        Some(end) if end <= bytes.len() => Ok(Item {
            is_list,
            start,
            end,
        }),
        _ => Err(bad),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn string(bytes: &[u8]) -> Vec<u8> {
        match bytes {
            [byte] if *byte < 0x80 => vec![*byte],
            _ => [prefix(0x80, bytes.len()), bytes.to_vec()].concat(),
        }
    }

    fn prefix(base: u8, length: usize) -> Vec<u8> {
        if length < 56 {
            return vec![base + length as u8];
        }
        let digits: Vec<u8> = length
            .to_be_bytes()
            .into_iter()
            .skip_while(|d| *d == 0)
            .collect();
        [vec![base + 55 + digits.len() as u8], digits].concat()
    }

    fn header(fields: &[Vec<u8>]) -> Vec<u8> {
        let body: Vec<u8> = fields.iter().flat_map(|field| string(field)).collect();
        [prefix(0xc0, body.len()), body].concat()
    }

    proptest! {
        #[test]
        fn field_13_is_found(mix: [u8; 32], fields in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 13..20)) {
            let mut fields = fields;
            fields.insert(13, mix.to_vec());
            prop_assert_eq!(mix_hash(&header(&fields)), Ok(Digest(mix)));
            fields[13].push(0);
            prop_assert!(mix_hash(&header(&fields)).is_err());
            prop_assert!(mix_hash(&header(&fields[..13])).is_err());
            fields[13].pop();
            let bytes = header(&fields);
            prop_assert!(mix_hash(&bytes[..bytes.len() - 1]).is_err());
            prop_assert!(mix_hash(&[bytes, vec![0]].concat()).is_err());
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = mix_hash(&bytes);
            let _ = mix_hash(&[vec![0xf8, bytes.len() as u8], bytes].concat());
        }
    }
}
