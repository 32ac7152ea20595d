//! Programs as bytes, big-endian (section 3).

use super::{Entry, Op, Part, Parts, Program, ProgramError, WeightFormat};
use crate::numeric::constants::{ENTRY_BYTES, HEADER_BYTES, MAX_STOP_TOKENS, PROGRAM_MAGIC};

impl Program {
    /// The bytes that `program_root` hashes and that are stored as contract code (there after a zero byte).
    pub fn encode(&self) -> Vec<u8> {
        let parts = &self.parts;
        let mut out = Vec::with_capacity(HEADER_BYTES + self.entry_count() * ENTRY_BYTES);
        for word in [PROGRAM_MAGIC, parts.context, parts.vocab_size] {
            out.extend_from_slice(&word.to_be_bytes());
        }
        let lengths = [parts.head.len(), parts.body.len(), parts.tail.len()].map(|n| n as u16);
        for half in lengths
            .into_iter()
            .chain([parts.layers])
            .chain(parts.weight_counts)
            .chain([parts.stop_tokens.len() as u16])
        {
            out.extend_from_slice(&half.to_be_bytes());
        }
        out.extend_from_slice(&[0; 4]);
        for i in 0..MAX_STOP_TOKENS {
            out.extend_from_slice(&parts.stop_tokens.get(i).unwrap_or(&u32::MAX).to_be_bytes());
        }
        for part in [Part::Head, Part::Body, Part::Tail] {
            for entry in self.entries(part) {
                encode_entry(entry, &mut out);
            }
        }
        out
    }

    /// Reads and checks a program.
    ///
    /// # Errors
    /// Bytes that are not the encoding of a valid program; every valid program has exactly one encoding.
    pub fn decode(bytes: &[u8]) -> Result<Program, ProgramError> {
        let mut reader = Reader { bytes, at: 0 };
        let magic = reader.u32()?;
        if magic != PROGRAM_MAGIC {
            return Err(ProgramError::new(
                "magic",
                format!("{magic:#010x}"),
                format!("{PROGRAM_MAGIC:#010x}"),
            ));
        }
        let (context, vocab_size) = (reader.u32()?, reader.u32()?);
        let lengths = [reader.u16()?, reader.u16()?, reader.u16()?];
        let layers = reader.u16()?;
        let weight_counts = [reader.u16()?, reader.u16()?, reader.u16()?];
        let stop_count = usize::from(reader.u16()?);
        let zero = reader.u32()?;
        if zero != 0 {
            return Err(ProgramError::new(
                "header bytes 28 to 31",
                format!("{zero:#x}"),
                "0",
            ));
        }
        if stop_count > MAX_STOP_TOKENS {
            return Err(ProgramError::new(
                "number of stop tokens",
                stop_count,
                format!("at most {MAX_STOP_TOKENS}"),
            ));
        }
        let mut stop_tokens = Vec::with_capacity(stop_count);
        for i in 0..MAX_STOP_TOKENS {
            let token = reader.u32()?;
            if i < stop_count {
                stop_tokens.push(token);
            } else if token != u32::MAX {
                return Err(ProgramError::new(
                    format!("unused stop token {i}"),
                    format!("{token:#x}"),
                    "0xffffffff",
                ));
            }
        }
        let count: usize = lengths.iter().map(|n| usize::from(*n)).sum();
        let expected = HEADER_BYTES + count * ENTRY_BYTES;
        if bytes.len() != expected {
            return Err(ProgramError::new(
                "length",
                bytes.len(),
                format!("{expected} bytes, as the header says"),
            ));
        }
        let mut number = 0;
        let mut table = |length: u16| -> Result<Vec<Entry>, ProgramError> {
            (0..length)
                .map(|_| {
                    number += 1;
                    decode_entry(&mut reader, number - 1)
                })
                .collect()
        };
        let [head, body, tail] = [table(lengths[0])?, table(lengths[1])?, table(lengths[2])?];
        Program::new(Parts {
            context,
            vocab_size,
            layers,
            weight_counts,
            stop_tokens,
            head,
            body,
            tail,
        })
    }
}

fn encode_entry(entry: &Entry, out: &mut Vec<u8>) {
    out.extend_from_slice(&[entry.op as u8, entry.format as u8]);
    for half in entry.inputs.into_iter().chain(entry.weights) {
        out.extend_from_slice(&half.to_be_bytes());
    }
    for word in entry.dims.into_iter().chain(entry.constants) {
        out.extend_from_slice(&word.to_be_bytes());
    }
}

fn decode_entry(reader: &mut Reader<'_>, number: usize) -> Result<Entry, ProgramError> {
    let [code, format_code] = reader.take::<2>()?;
    let op = Op::from_code(code).ok_or_else(|| {
        ProgramError::new(
            format!("operation of entry {number}"),
            code,
            "a code from 1 to 12",
        )
    })?;
    let format = WeightFormat::from_code(format_code).ok_or_else(|| {
        ProgramError::new(
            format!("weight format of entry {number}"),
            format_code,
            "a code from 0 to 4",
        )
    })?;
    Ok(Entry {
        op,
        format,
        inputs: [reader.u16()?, reader.u16()?, reader.u16()?],
        weights: [reader.u16()?, reader.u16()?],
        dims: [reader.u32()?, reader.u32()?, reader.u32()?],
        constants: [reader.u32()?, reader.u32()?],
    })
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], ProgramError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let array = rest.first_chunk::<N>().ok_or_else(|| {
            ProgramError::new(
                "length",
                format!("{} bytes", self.bytes.len()),
                format!("at least {}", self.at + N),
            )
        })?;
        self.at += N;
        Ok(*array)
    }

    fn u16(&mut self) -> Result<u16, ProgramError> {
        self.take().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, ProgramError> {
        self.take().map(u32::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::llama::tests::{compile_small, small_config};
    use proptest::prelude::*;

    #[test]
    fn encoding_returns() {
        for tied in [false, true] {
            for format in [WeightFormat::F32, WeightFormat::Q8_0] {
                let program = compile_small(tied, format);
                let bytes = program.encode();
                assert_eq!(&bytes[..4], b"SWP1");
                assert_eq!(bytes.len(), 96 + 32 * program.entry_count());
                assert_eq!(Program::decode(&bytes), Ok(program));
            }
        }
        assert!(small_config().dim > 0);
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = compile_small(true, WeightFormat::Q8_0).encode();
        for n in 0..bytes.len() {
            assert!(Program::decode(&bytes[..n]).is_err());
        }
        assert!(Program::decode(&[&bytes[..], &[0]].concat()).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Program::decode(&bytes);
        }

        #[test]
        fn changed_programs_are_refused_or_return(changes in proptest::collection::vec((0usize..1_000_000, any::<u8>()), 1..4), tied: bool) {
            let mut bytes = compile_small(tied, WeightFormat::Q8_0).encode();
            for (at, value) in changes {
                let n = bytes.len();
                bytes[at % n] = value;
            }
            if let Ok(program) = Program::decode(&bytes) {
                prop_assert_eq!(program.encode(), bytes);
            }
        }
    }
}
