//! The GGUF container, versions 2 and 3, little-endian: metadata, and where each tensor lies.
//!
//! ```text
//! "GGUF" | version u32 | tensors u64 | keys u64
//! keys x    (name string | type u32 | value)
//! tensors x (name string | dimensions u32 | dimensions x u64 | type u32 | offset u64)
//! zeros up to the alignment | tensor data
//! ```
//! A string is `length u64 | bytes`; an array is `type u32 | count u64 | values`.

use std::collections::HashMap;
use std::ops::Range;

use super::gguf_table::{self, TensorInfo};
use super::read::{Reader, shown};
use crate::Error;

/// More keys or tensors than any model has; a file that claims more is damaged.
const MOST_ITEMS: u64 = 100_000;
/// Deepest nesting of arrays that is read.
const DEEPEST_ARRAY: u32 = 4;
pub(super) const DAMAGED: &str = "the file is damaged: get it again";

/// A metadata value. Strings and arrays stay in the file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Unsigned(u64),
    Signed(i64),
    F32(f32),
    F64(f64),
    Bool(bool),
    String(Range<usize>),
    Array {
        element: u32,
        count: u64,
        data: Range<usize>,
    },
}

/// A parsed GGUF file over its bytes.
#[derive(Debug)]
pub(crate) struct Gguf<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) keys: HashMap<String, Value>,
    pub(crate) tensors: HashMap<String, TensorInfo>,
}

impl<'a> Gguf<'a> {
    /// Reads the header, the keys and the tensor table, and checks that every tensor lies inside the file and apart from the others.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Gguf<'a>, Error> {
        let mut reader = Reader::new(bytes);
        let magic = reader.take(4, "magic")?;
        if magic != b"GGUF" {
            return Err(Error::bad_file(
                "magic",
                shown(magic),
                "\"GGUF\"",
                "give a GGUF file",
            ));
        }
        let version = reader.u32("version")?;
        if version != 2 && version != 3 {
            let found = match version.swap_bytes() {
                swapped @ (1..=3) => format!("version {swapped} in big-endian byte order"),
                _ => format!("version {version}"),
            };
            return Err(Error::bad_file(
                "GGUF version",
                found,
                "version 2 or 3, little-endian",
                "convert the model with a current converter",
            ));
        }
        let tensor_count = count(&mut reader, "number of tensors")?;
        let key_count = count(&mut reader, "number of keys")?;
        let keys = read_keys(&mut reader, key_count)?;
        let alignment = alignment(&keys)?;
        let table = gguf_table::read(&mut reader, tensor_count, alignment)?;
        let tensors = gguf_table::place(table, reader.position(), bytes.len(), alignment)?;
        Ok(Gguf {
            bytes,
            keys,
            tensors,
        })
    }

    /// A string value.
    pub(crate) fn string(&self, key: &str) -> Result<Option<&'a [u8]>, Error> {
        match self.keys.get(key) {
            None => Ok(None),
            Some(Value::String(range)) => Ok(Some(&self.bytes[range.clone()])),
            Some(other) => Err(wrong_type(key, other, "a string")),
        }
    }

    /// An integer value that fits 32 bits.
    pub(crate) fn u32(&self, key: &str) -> Result<Option<u32>, Error> {
        let value = match self.keys.get(key) {
            None => return Ok(None),
            Some(Value::Unsigned(value)) => u32::try_from(*value).ok(),
            Some(Value::Signed(value)) => u32::try_from(*value).ok(),
            Some(other) => return Err(wrong_type(key, other, "one integer")),
        };
        value.map(Some).ok_or_else(|| {
            let found = describe(&self.keys[key]);
            Error::bad_file(key, found, "an integer of 0 to 4294967295", DAMAGED)
        })
    }

    /// A real value.
    pub(crate) fn f32(&self, key: &str) -> Result<Option<f32>, Error> {
        match self.keys.get(key) {
            None => Ok(None),
            Some(Value::F32(value)) => Ok(Some(*value)),
            Some(Value::F64(value)) => Ok(Some(*value as f32)),
            Some(other) => Err(wrong_type(key, other, "a float")),
        }
    }

    /// A truth value.
    pub(crate) fn bool(&self, key: &str) -> Result<Option<bool>, Error> {
        match self.keys.get(key) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(other) => Err(wrong_type(key, other, "true or false")),
        }
    }

    /// An array whose element type is one of `elements`: a reader of its values and their number.
    pub(crate) fn array(
        &self,
        key: &str,
        elements: &[u32],
        expected: &str,
    ) -> Result<Option<(Reader<'a>, u64)>, Error> {
        match self.keys.get(key) {
            None => Ok(None),
            Some(Value::Array {
                element,
                count,
                data,
            }) if elements.contains(element) => {
                Ok(Some((Reader::new(&self.bytes[data.clone()]), *count)))
            }
            Some(other) => Err(wrong_type(key, other, expected)),
        }
    }
}

/// Reads the string at the reader.
pub(crate) fn string<'a>(reader: &mut Reader<'a>, what: &str) -> Result<&'a [u8], Error> {
    let length = reader.u64(what)?;
    reader.take(length, what)
}

fn wrong_type(key: &str, found: &Value, expected: &str) -> Error {
    Error::bad_file(
        key,
        describe(found),
        expected,
        "convert the model with a current converter",
    )
}

fn describe(value: &Value) -> String {
    match value {
        Value::Unsigned(value) => value.to_string(),
        Value::Signed(value) => value.to_string(),
        Value::F32(value) => value.to_string(),
        Value::F64(value) => value.to_string(),
        Value::Bool(value) => value.to_string(),
        Value::String(range) => format!("a string of {} bytes", range.len()),
        Value::Array { element, count, .. } => {
            format!("an array of {count} values of type {element}")
        }
    }
}

fn count(reader: &mut Reader<'_>, what: &str) -> Result<u64, Error> {
    let count = reader.u64(what)?;
    if count > MOST_ITEMS {
        return Err(Error::bad_file(
            what,
            count,
            format!("at most {MOST_ITEMS}"),
            DAMAGED,
        ));
    }
    Ok(count)
}

/// A name of UTF-8.
pub(super) fn name(reader: &mut Reader<'_>, what: &str) -> Result<String, Error> {
    let bytes = string(reader, what)?;
    if bytes.len() > 65_535 {
        return Err(Error::bad_file(
            what,
            format!("{} bytes", bytes.len()),
            "at most 65535 bytes",
            DAMAGED,
        ));
    }
    String::from_utf8(bytes.to_vec())
        .map_err(|_| Error::bad_file(what, shown(bytes), "UTF-8", DAMAGED))
}

fn read_keys(reader: &mut Reader<'_>, count: u64) -> Result<HashMap<String, Value>, Error> {
    let mut keys = HashMap::new();
    for _ in 0..count {
        let key = name(reader, "name of a key")?;
        let what = quoted("key", &key);
        let kind = reader.u32(&what)?;
        let value = value(reader, &what, kind)?;
        if keys.insert(key, value).is_some() {
            return Err(Error::bad_file(
                what,
                "the key twice",
                "each key once",
                DAMAGED,
            ));
        }
    }
    Ok(keys)
}

/// A name in a message.
pub(super) fn quoted(kind: &str, name: &str) -> String {
    format!("{kind} {}", shown(name.as_bytes()))
}

fn value(reader: &mut Reader<'_>, key: &str, kind: u32) -> Result<Value, Error> {
    Ok(match kind {
        0 => Value::Unsigned(reader.u8(key)?.into()),
        1 => Value::Signed((reader.u8(key)? as i8).into()),
        2 => Value::Unsigned(reader.u16(key)?.into()),
        3 => Value::Signed((reader.u16(key)? as i16).into()),
        4 => Value::Unsigned(reader.u32(key)?.into()),
        5 => Value::Signed(reader.i32(key)?.into()),
        6 => Value::F32(reader.f32(key)?),
        7 => match reader.u8(key)? {
            bit @ (0 | 1) => Value::Bool(bit == 1),
            other => return Err(Error::bad_file(key, other, "0 or 1", DAMAGED)),
        },
        8 => {
            let text = string(reader, key)?;
            Value::String(reader.position() - text.len()..reader.position())
        }
        9 => {
            let element = reader.u32(key)?;
            let count = reader.u64(key)?;
            let start = reader.position();
            skip_values(reader, key, element, count, 1)?;
            Value::Array {
                element,
                count,
                data: start..reader.position(),
            }
        }
        10 => Value::Unsigned(reader.u64(key)?),
        11 => Value::Signed(reader.u64(key)? as i64),
        12 => Value::F64(reader.f64(key)?),
        other => return Err(unknown_value_type(key, other)),
    })
}

fn unknown_value_type(key: &str, found: u32) -> Error {
    Error::bad_file(format!("type of {key}"), found, "0 to 12", DAMAGED)
}

/// Walks over the values of an array. The walk costs at most as many steps as the file has bytes, whatever `count` says.
fn skip_values(
    reader: &mut Reader<'_>,
    key: &str,
    element: u32,
    count: u64,
    depth: u32,
) -> Result<(), Error> {
    let size = match element {
        0 | 1 | 7 => 1,
        2 | 3 => 2,
        4..=6 => 4,
        10..=12 => 8,
        8 => {
            for _ in 0..count {
                string(reader, key)?;
            }
            return Ok(());
        }
        9 if depth < DEEPEST_ARRAY => {
            for _ in 0..count {
                let element = reader.u32(key)?;
                let count = reader.u64(key)?;
                skip_values(reader, key, element, count, depth + 1)?;
            }
            return Ok(());
        }
        9 => {
            return Err(Error::bad_file(
                key,
                "deeper nesting",
                format!("arrays nested at most {DEEPEST_ARRAY} deep"),
                DAMAGED,
            ));
        }
        other => return Err(unknown_value_type(key, other)),
    };
    reader.take(count.saturating_mul(size), key).map(|_| ())
}

fn alignment(keys: &HashMap<String, Value>) -> Result<u64, Error> {
    match keys.get("general.alignment") {
        None => Ok(32),
        Some(Value::Unsigned(value)) if value.is_power_of_two() && *value <= 1 << 30 => Ok(*value),
        Some(other) => Err(Error::bad_file(
            "general.alignment",
            describe(other),
            "a power of two",
            DAMAGED,
        )),
    }
}
