//! The generator of constants: `prover/machine.toml` in, Rust and Solidity text out.

use std::fmt::Write as _;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Where the Rust constants go, from the repository's root.
pub const RUST_PATH: &str = "inference/src/numeric/constants.rs";
/// Where the Solidity constants go, from the repository's root.
pub const SOLIDITY_PATH: &str = "contracts/src/libraries/Machine.sol";
/// The command that writes both.
pub const COMMAND: &str = "cargo run -p sworn-tests --bin constants";

/// One constant.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Constant {
    name: String,
    doc: String,
    value: Value,
}

/// A constant's value and with it its type in both languages.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    /// `u8`: codes.
    Code(u8),
    /// `usize` in Rust, `uint256` in Solidity: counts and sizes.
    Size(u64),
    /// `u32` in Rust, `uint256` in Solidity: limits and flags.
    Word(u32),
    /// Bit patterns of 16 or 32 bits, written in hexadecimal.
    Bits(u32),
    /// An ASCII text padded with zero bytes to 32.
    Tag(String),
}

/// A named group of constants in the order of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Section {
    title: String,
    constants: Vec<Constant>,
}

/// What is wrong with the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableError(String);

impl std::fmt::Display for TableError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "prover/machine.toml: {}", self.0)
    }
}

impl std::error::Error for TableError {}

/// How a section's keys become constants.
struct Rule {
    section: &'static str,
    prefix: &'static str,
    title: &'static str,
    value: fn(u64) -> Option<Value>,
}

const RULES: &[Rule] = &[
    Rule {
        section: "operations",
        prefix: "OP_",
        title: "Operation code",
        value: code,
    },
    Rule {
        section: "weight_formats",
        prefix: "WEIGHT_FORMAT_",
        title: "Weight format",
        value: code,
    },
    Rule {
        section: "finish",
        prefix: "FINISH_",
        title: "Finish code of a run",
        value: code,
    },
    Rule {
        section: "kinds",
        prefix: "KIND_",
        title: "Kind of an input",
        value: code,
    },
    Rule {
        section: "payload",
        prefix: "PAYLOAD_",
        title: "Payload byte",
        value: code,
    },
    Rule {
        section: "tokenizer",
        prefix: "TOKENIZER_",
        title: "Tokenizer number",
        value: word,
    },
    Rule {
        section: "token_types",
        prefix: "TOKEN_",
        title: "Token type",
        value: code,
    },
    Rule {
        section: "sizes",
        prefix: "",
        title: "Size",
        value: |v| Some(Value::Size(v)),
    },
    Rule {
        section: "limits",
        prefix: "",
        title: "Limit",
        value: word,
    },
    Rule {
        section: "challenge",
        prefix: "",
        title: "Challenges",
        value: |v| Some(Value::Size(v)),
    },
    Rule {
        section: "nodes",
        prefix: "NODE_",
        title: "Kind of a node of a claim",
        value: code,
    },
    Rule {
        section: "faults",
        prefix: "FAULT_",
        title: "Fault",
        value: code,
    },
    Rule {
        section: "bits",
        prefix: "",
        title: "Bits",
        value: |v| Some(Value::Bits(u32::try_from(v).ok()?)),
    },
    Rule {
        section: "coefficients",
        prefix: "",
        title: "Coefficient",
        value: |v| Some(Value::Bits(u32::try_from(v).ok()?)),
    },
    Rule {
        section: "tags",
        prefix: "TAG_",
        title: "Tag of the record",
        value: |_| None,
    },
];

fn code(value: u64) -> Option<Value> {
    Some(Value::Code(u8::try_from(value).ok()?))
}

fn word(value: u64) -> Option<Value> {
    Some(Value::Word(u32::try_from(value).ok()?))
}

/// The Rust constants.
pub fn rust(table: &str) -> Result<String, TableError> {
    let sections = parse(table)?;
    let mut out = format!(
        "//! Constants of the machine. Generated from `prover/machine.toml` by `{COMMAND}`; do not edit.\n"
    );
    for section in sections {
        let _ = write!(out, "\n// {}\n\n", section.title);
        for Constant { name, doc, value } in section.constants {
            let (ty, text) = match value {
                Value::Code(v) => ("u8", v.to_string()),
                Value::Size(v) => ("usize", v.to_string()),
                Value::Word(v) => ("u32", v.to_string()),
                Value::Bits(v) if v <= 0xffff => ("u16", hex(v)),
                Value::Bits(v) => ("u32", hex(v)),
                Value::Tag(v) => ("&str", format!("{v:?}")),
            };
            let _ = writeln!(out, "/// {doc}\npub const {name}: {ty} = {text};");
        }
    }
    Ok(out)
}

/// The Solidity constants.
pub fn solidity(table: &str) -> Result<String, TableError> {
    let sections = parse(table)?;
    let mut out = format!(
        "// SPDX-License-Identifier: MIT OR Apache-2.0\npragma solidity ^0.8.37;\n\n/// @title Constants of the machine\n\
         /// @dev Generated from `prover/machine.toml` by `{COMMAND}`; do not edit.\nlibrary Machine {{\n"
    );
    for (i, section) in sections.into_iter().enumerate() {
        let _ = write!(
            out,
            "{}    // {}\n\n",
            if i == 0 { "" } else { "\n" },
            section.title
        );
        for Constant { name, doc, value } in section.constants {
            let (ty, text) = match value {
                Value::Code(v) => ("uint8", v.to_string()),
                Value::Size(v) => ("uint256", v.to_string()),
                Value::Word(v) => ("uint256", v.to_string()),
                Value::Bits(v) if v <= 0xffff => ("uint16", format!("0x{v:04x}")),
                Value::Bits(v) => ("uint32", format!("0x{v:08x}")),
                Value::Tag(v) => ("bytes32", format!("{v:?}")),
            };
            let _ = writeln!(
                out,
                "    /// @dev {doc}\n    {ty} internal constant {name} = {text};"
            );
        }
    }
    out.push_str("}\n");
    Ok(out)
}

/// A Rust literal of 16 or 32 bits.
fn hex(v: u32) -> String {
    if v <= 0xffff {
        format!("0x{v:04x}")
    } else {
        format!("0x{:04x}_{:04x}", v >> 16, v & 0xffff)
    }
}

fn parse(table: &str) -> Result<Vec<Section>, TableError> {
    let root = DeTable::parse(table).map_err(|e| TableError(e.to_string()))?;
    let mut sections = Vec::new();
    for (key, value) in in_order(root.get_ref()) {
        match value.get_ref() {
            DeValue::Integer(_) if key == "machine_version" => sections.push(Section {
                title: "Version".to_owned(),
                constants: vec![Constant {
                    name: "MACHINE_VERSION".to_owned(),
                    doc: "Version of the machine; part of every model id.".to_owned(),
                    value: word(integer(key, value)?)
                        .ok_or_else(|| bad(key, "an integer of 32 bits"))?,
                }],
            }),
            DeValue::Table(entries) => {
                let rule = RULES
                    .iter()
                    .find(|r| r.section == key)
                    .ok_or_else(|| bad(key, "a known section"))?;
                sections.push(section(table, rule, entries)?);
            }
            _ => return Err(bad(key, "a section")),
        }
    }
    Ok(sections)
}

fn section(table: &str, rule: &Rule, entries: &DeTable<'_>) -> Result<Section, TableError> {
    let mut constants = Vec::new();
    for (key, value) in in_order(entries) {
        let comment = comment_after(table, value.span().end);
        let doc = match comment {
            Some(text) => format!("{}.", capitalise(text)),
            None => format!("{} `{key}`.", rule.title),
        };
        let value = match value.get_ref() {
            DeValue::String(text)
                if rule.section == "tags" && text.is_ascii() && text.len() <= 32 =>
            {
                Value::Tag(text.to_string())
            }
            DeValue::Integer(_) => {
                (rule.value)(integer(key, value)?).ok_or_else(|| bad(key, "a number that fits"))?
            }
            _ => {
                return Err(bad(
                    key,
                    "an integer, or an ASCII tag of at most 32 bytes under [tags]",
                ));
            }
        };
        constants.push(Constant {
            name: format!("{}{}", rule.prefix, key.to_uppercase()),
            doc,
            value,
        });
    }
    Ok(Section {
        title: rule.section.replace('_', " "),
        constants,
    })
}

/// Entries in the order of the file.
fn in_order<'a>(table: &'a DeTable<'_>) -> Vec<(&'a str, &'a Spanned<DeValue<'a>>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
        .into_iter()
        .map(|(key, value)| (key.get_ref().as_ref(), value))
        .collect()
}

fn integer(key: &str, value: &Spanned<DeValue<'_>>) -> Result<u64, TableError> {
    let DeValue::Integer(number) = value.get_ref() else {
        return Err(bad(key, "an integer"));
    };
    u64::from_str_radix(number.as_str(), number.radix())
        .map_err(|_| bad(key, "an integer of at most 64 bits"))
}

/// The comment on the same line, if there is one.
fn comment_after(table: &str, end: usize) -> Option<&str> {
    let line = table.get(end..)?.lines().next()?;
    Some(line.trim().strip_prefix('#')?.trim())
}

fn capitalise(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}

fn bad(key: &str, expected: &str) -> TableError {
    TableError(format!("`{key}`: expected {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_becomes_both_languages() {
        let table = "machine_version = 7\n[operations]\nzebra = 2\nadd = 0x0b # adds\n[bits]\nnan = 0x7e00\n[coefficients]\nhalf = 0x3f000000\n[tags]\nrun = \"sworn/run/1\"\n";
        let text = rust(table).unwrap();
        for line in [
            "pub const MACHINE_VERSION: u32 = 7;",
            "/// Adds.\npub const OP_ADD: u8 = 11;",
            "pub const NAN: u16 = 0x7e00;",
            "pub const HALF: u32 = 0x3f00_0000;",
            "pub const TAG_RUN: &str = \"sworn/run/1\";",
        ] {
            assert!(text.contains(line), "{line} not in\n{text}");
        }
        assert!(
            text.find("OP_ZEBRA").unwrap() < text.find("OP_ADD").unwrap(),
            "the order of the file is kept"
        );
        let text = solidity(table).unwrap();
        for line in [
            "uint32 internal constant HALF = 0x3f000000;",
            "bytes32 internal constant TAG_RUN = \"sworn/run/1\";",
        ] {
            assert!(text.contains(line), "{line} not in\n{text}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for table in [
            "[operations]\nadd = 256",
            "[operations]\nadd = \"x\"",
            "[unheard]\nof = 1",
            "machine_version = \"1\"",
            "[tags]\nx = \"é\"",
            "[tags]\nx = 3",
            "==",
        ] {
            assert!(rust(table).is_err(), "{table}");
        }
    }
}
