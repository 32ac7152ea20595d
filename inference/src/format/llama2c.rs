//! Checkpoints of llama2.c. Each kind of tensor lies there for all layers together.
//!
//! ```text
//! version 0  seven i32 (negative vocabulary = own classifier), then f32: embedding, attention norms, wq, wk, wv, wo,
//!            feed-forward norms, w1, w2, w3, last norm, two unused rotation tables, [classifier]
//! version 1  256-byte header, then f32: attention norms, feed-forward norms, last norm, embedding, wq, wk, wv, wo, w1, w2, w3, [classifier]
//! version 2  the same order, the norms f32, every matrix int8 quants and then an f32 scale for each group
//! header     magic u32 | version i32 | seven i32 | shared classifier u8 | [group size i32] | zeros
//! ```

use super::read::Reader;
use super::{Place, TensorRole, TensorTable, check_config};
use crate::Error;
use crate::program::{LlamaConfig, WeightFormat};

const MAGIC: u32 = 0x616b_3432;
const HEADER_BYTES: usize = 256;
const DAMAGED: &str = "the file is damaged or not a llama2.c checkpoint";

use TensorRole::{AttnNorm, Down, Embed, FfnNorm, Gate, K, O, Output, OutputNorm, Q, Up, V};

/// Whether the first bytes can be the header of a checkpoint.
pub(crate) fn looks_like(bytes: &[u8]) -> bool {
    let mut reader = Reader::new(bytes);
    match reader.u32("magic") {
        Ok(MAGIC) => true,
        // Version 0 has no magic: seven small numbers, of which only the vocabulary may be negative.
        Ok(_) => {
            let mut reader = Reader::new(bytes);
            let limits = [
                1 << 20,
                1 << 24,
                1 << 16,
                1 << 16,
                1 << 16,
                1 << 28,
                1 << 28,
            ];
            limits.iter().enumerate().all(|(index, limit)| {
                reader
                    .i32("header")
                    .is_ok_and(|value| (value > 0 || index == 5) && value.unsigned_abs() <= *limit)
            })
        }
        Err(_) => false,
    }
}

/// The configuration and the places of the tensors.
pub(crate) fn read(bytes: &[u8]) -> Result<(LlamaConfig, TensorTable), Error> {
    let mut reader = Reader::new(bytes);
    if reader.u32("magic")? != MAGIC {
        let mut reader = Reader::new(bytes);
        let (mut config, vocab) = read_sizes(&mut reader)?;
        config.tied_head = vocab > 0;
        check_config(&config)?;
        let tables = u128::from(config.context) * u128::from(config.head_dim) * 4;
        let order = [
            Section::Matrix(Embed),
            Section::Norm(AttnNorm),
            Section::Matrix(Q),
            Section::Matrix(K),
            Section::Matrix(V),
            Section::Matrix(O),
            Section::Norm(FfnNorm),
            Section::Matrix(Gate),
            Section::Matrix(Down),
            Section::Matrix(Up),
            Section::Norm(OutputNorm),
            Section::Skip(tables),
            Section::Matrix(Output),
        ];
        let tensors = lay_out(&config, &order, None, reader.position(), bytes.len())?;
        return Ok((config, tensors));
    }
    let version = reader.i32("version")?;
    if version != 1 && version != 2 {
        return Err(Error::bad_file(
            "llama2.c version",
            version,
            "1 or 2 (or the format without a magic number)",
            "export the model again",
        ));
    }
    let (mut config, vocab) = read_sizes(&mut reader)?;
    if vocab < 0 {
        return Err(Error::bad_file(
            "vocabulary size",
            vocab,
            "a positive number",
            DAMAGED,
        ));
    }
    config.tied_head = match reader.u8("shared classifier")? {
        bit @ (0 | 1) => bit == 1,
        other => {
            return Err(Error::bad_file(
                "shared classifier",
                other,
                "0 or 1",
                DAMAGED,
            ));
        }
    };
    check_config(&config)?;
    let group = match version {
        1 => None,
        _ => Some(read_group(&mut reader)?),
    };
    let order = [
        Section::Norm(AttnNorm),
        Section::Norm(FfnNorm),
        Section::Norm(OutputNorm),
        Section::Matrix(Embed),
        Section::Matrix(Q),
        Section::Matrix(K),
        Section::Matrix(V),
        Section::Matrix(O),
        Section::Matrix(Gate),
        Section::Matrix(Down),
        Section::Matrix(Up),
        Section::Matrix(Output),
    ];
    let tensors = lay_out(&config, &order, group, HEADER_BYTES, bytes.len())?;
    Ok((config, tensors))
}

/// The seven sizes, and the vocabulary size with its sign.
fn read_sizes(reader: &mut Reader<'_>) -> Result<(LlamaConfig, i32), Error> {
    let mut sizes = [0; 7];
    for size in &mut sizes {
        *size = reader.i32("header")?;
    }
    let [
        dim,
        hidden_dim,
        n_layers,
        n_heads,
        n_kv_heads,
        vocab,
        context,
    ] = sizes;
    let size = |value: i32| u32::try_from(value).unwrap_or(0);
    let (dim, n_heads) = (size(dim), size(n_heads));
    if n_heads == 0 || dim % n_heads != 0 {
        return Err(Error::bad_file(
            "number of heads",
            format!("{} for an embedding length of {dim}", sizes[3]),
            "a divisor of the embedding length",
            DAMAGED,
        ));
    }
    let head_dim = dim / n_heads;
    let config = LlamaConfig {
        vocab_size: vocab.unsigned_abs(),
        context: size(context),
        dim,
        hidden_dim: size(hidden_dim),
        n_layers: size(n_layers),
        n_heads,
        n_kv_heads: size(n_kv_heads),
        head_dim,
        rope_dim: head_dim,
        rope_theta: 10_000.0,
        norm_eps: 1e-5,
        tied_head: true,
    };
    Ok((config, vocab))
}

fn read_group(reader: &mut Reader<'_>) -> Result<u32, Error> {
    match reader.i32("group size")? {
        group @ (32 | 64) => Ok(group as u32),
        other => Err(Error::bad_file(
            "group size",
            other,
            "32 or 64",
            "export the model with --group_size 64 or 32 and sizes that are multiples of it",
        )),
    }
}

/// A stretch of the file.
enum Section {
    /// A norm of every layer, or the last one: f32 whatever the version.
    Norm(TensorRole),
    /// A matrix of every layer, or the embedding, or the classifier (absent when shared).
    Matrix(TensorRole),
    /// Bytes that nothing reads.
    Skip(u128),
}

/// Format of a matrix's elements and the bytes of one matrix.
fn storage(
    config: &LlamaConfig,
    role: TensorRole,
    group: Option<u32>,
) -> Result<(WeightFormat, u32, u128), Error> {
    let (rows, cols) = role.shape(config);
    let elements = u128::from(rows) * u128::from(cols);
    match group.filter(|_| !role.is_norm()) {
        None => Ok((WeightFormat::F32, 1, elements * 4)),
        Some(group) if cols % u64::from(group) == 0 => Ok((
            WeightFormat::Q8F,
            group,
            elements + elements / u128::from(group) * 4,
        )),
        Some(group) => Err(Error::bad_file(
            format!("columns of {role:?}"),
            cols,
            format!("a multiple of the group size {group}"),
            "export the model in version 1, or with a group size that divides every row",
        )),
    }
}

/// Gives every tensor its place, after checking that the sizes add up to the file's.
fn lay_out(
    config: &LlamaConfig,
    order: &[Section],
    group: Option<u32>,
    start: usize,
    length: usize,
) -> Result<TensorTable, Error> {
    let copies = |role: TensorRole| match role {
        Output if config.tied_head => 0,
        role if role.in_layer() => config.n_layers,
        _ => 1,
    };
    let mut total = start as u128;
    for section in order {
        total += match section {
            Section::Norm(role) | Section::Matrix(role) => {
                storage(config, *role, group)?.2 * u128::from(copies(*role))
            }
            Section::Skip(bytes) => *bytes,
        };
    }
    if total != length as u128 {
        let remedy = if total > length as u128 {
            "the file is truncated, or its header is damaged: get it again"
        } else {
            "the file has foreign bytes at its end, or its header is damaged: get it again"
        };
        return Err(Error::bad_file(
            "file length",
            format!("{length} bytes"),
            format!("{total} bytes by its header"),
            remedy,
        ));
    }
    // From here on every size is below the file's length.
    let mut tensors = TensorTable::new();
    let mut position = start;
    for section in order {
        match section {
            Section::Skip(bytes) => position += *bytes as usize,
            Section::Norm(role) | Section::Matrix(role) => {
                let (format, group, bytes) = storage(config, *role, group)?;
                let (rows, cols) = role.shape(config);
                for layer in 0..copies(*role) {
                    let data = position..position + bytes as usize;
                    position = data.end;
                    tensors.insert(
                        (*role, layer),
                        Place {
                            format,
                            rows: rows as u32,
                            cols: cols as u32,
                            group,
                            data,
                        },
                    );
                }
            }
        }
    }
    Ok(tensors)
}
