//! The tensor table of GGUF files: types, shapes, and where the bytes lie.

use std::collections::HashMap;
use std::ops::Range;

use super::gguf::{DAMAGED, name, quoted};
use super::read::Reader;
use crate::Error;
use crate::program::WeightFormat;

/// A tensor's place in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TensorInfo {
    pub(crate) format: WeightFormat,
    pub(crate) rows: u64,
    pub(crate) cols: u64,
    pub(crate) data: Range<usize>,
}

/// A row of the tensor table.
pub(super) struct TableRow {
    name: String,
    format: WeightFormat,
    rows: u64,
    cols: u64,
    offset: u64,
    length: u64,
}

/// Reads the table, which ends with the reader's position.
pub(super) fn read(
    reader: &mut Reader<'_>,
    count: u64,
    alignment: u64,
) -> Result<Vec<TableRow>, Error> {
    let mut table = Vec::new();
    for _ in 0..count {
        let name = name(reader, "name of a tensor")?;
        let what = quoted("tensor", &name);
        let dimensions = reader.u32(&what)?;
        if !(1..=4).contains(&dimensions) {
            let found = format!("{dimensions} dimensions");
            return Err(Error::bad_file(what, found, "1 to 4", DAMAGED));
        }
        let mut shape = [1_u64; 4];
        for size in shape.iter_mut().take(dimensions as usize) {
            *size = reader.u64(&what)?;
        }
        let format = weight_format(&what, reader.u32(&what)?)?;
        let offset = reader.u64(&what)?;
        if !offset.is_multiple_of(alignment) {
            let found = format!("offset {offset}");
            let expected = format!("a multiple of the alignment {alignment}");
            return Err(Error::bad_file(what, found, expected, DAMAGED));
        }
        let length = tensor_length(&what, format, shape)?;
        table.push(TableRow {
            name,
            format,
            rows: shape[1],
            cols: shape[0],
            offset,
            length,
        });
    }
    Ok(table)
}

/// The weight format of a tensor type of GGML.
fn weight_format(what: &str, kind: u32) -> Result<WeightFormat, Error> {
    const OTHERS: [(u32, &str); 28] = [
        (3, "Q4_1"),
        (6, "Q5_0"),
        (7, "Q5_1"),
        (9, "Q8_1"),
        (10, "Q2_K"),
        (11, "Q3_K"),
        (12, "Q4_K"),
        (13, "Q5_K"),
        (14, "Q6_K"),
        (15, "Q8_K"),
        (16, "IQ2_XXS"),
        (17, "IQ2_XS"),
        (18, "IQ3_XXS"),
        (19, "IQ1_S"),
        (20, "IQ4_NL"),
        (21, "IQ3_S"),
        (22, "IQ2_S"),
        (23, "IQ4_XS"),
        (24, "I8"),
        (25, "I16"),
        (26, "I32"),
        (27, "I64"),
        (28, "F64"),
        (29, "IQ1_M"),
        (30, "BF16"),
        (34, "TQ1_0"),
        (35, "TQ2_0"),
        (39, "MXFP4"),
    ];
    match kind {
        0 => Ok(WeightFormat::F32),
        1 => Ok(WeightFormat::F16),
        2 => Ok(WeightFormat::Q4_0),
        8 => Ok(WeightFormat::Q8_0),
        _ => {
            let name = OTHERS.iter().find(|(other, _)| *other == kind);
            Err(Error::bad_file(
                format!("quantisation of {what}"),
                name.map_or(format!("unknown type {kind}"), |(_, name)| {
                    (*name).to_owned()
                }),
                "F32, F16, Q8_0 or Q4_0",
                "convert or quantise the model to one of these",
            ))
        }
    }
}

/// Bytes of a tensor: `shape[0]` columns, `shape[1]` rows, nothing beyond two dimensions.
fn tensor_length(what: &str, format: WeightFormat, shape: [u64; 4]) -> Result<u64, Error> {
    let (block, bytes) = block_size(format);
    let [cols, rows, ..] = shape;
    let length = rows
        .checked_mul(cols / block)
        .and_then(|blocks| blocks.checked_mul(bytes));
    match length {
        Some(length) if length > 0 && shape[2..] == [1, 1] && cols.is_multiple_of(block) => {
            Ok(length)
        }
        _ => Err(Error::bad_file(
            format!("shape of {what}"),
            format!("{shape:?}"),
            format!(
                "rows of a multiple of {block} elements and at most two dimensions ({format:?})"
            ),
            "give a llama-class model",
        )),
    }
}

/// Elements and bytes of a block as the file stores it.
fn block_size(format: WeightFormat) -> (u64, u64) {
    match format {
        WeightFormat::F32 => (1, 4),
        WeightFormat::F16 => (1, 2),
        WeightFormat::Q8_0 => (32, 34),
        WeightFormat::Q4_0 => (32, 18),
        WeightFormat::Q8F => (32, 36),
    }
}

/// Moves the table's offsets to the data section and checks that the tensors lie inside the file, apart from each other, and end with it.
pub(super) fn place(
    mut table: Vec<TableRow>,
    table_end: usize,
    file_length: usize,
    alignment: u64,
) -> Result<HashMap<String, TensorInfo>, Error> {
    table.sort_by_key(|row| row.offset);
    let mut tensors = HashMap::new();
    let data_start = (table_end as u64).next_multiple_of(alignment);
    let mut end = 0_u64;
    for row in table {
        let what = quoted("tensor", &row.name);
        if row.offset < end {
            let found = format!("offset {}", row.offset);
            let expected = format!("at least {end}, where the tensor before it ends");
            return Err(Error::bad_file(what, found, expected, DAMAGED));
        }
        let start = data_start.checked_add(row.offset);
        let stop = start.and_then(|start| start.checked_add(row.length));
        let (Some(start), Some(stop)) = (start, stop.filter(|stop| *stop <= file_length as u64))
        else {
            return Err(Error::bad_file(
                what,
                format!("a file of {file_length} bytes"),
                format!("{} bytes at {data_start} + {}", row.length, row.offset),
                "the file is truncated: get it again",
            ));
        };
        end = row.offset + row.length;
        let info = TensorInfo {
            format: row.format,
            rows: row.rows,
            cols: row.cols,
            data: start as usize..stop as usize,
        };
        if tensors.insert(row.name, info).is_some() {
            return Err(Error::bad_file(
                what,
                "the tensor twice",
                "each tensor once",
                DAMAGED,
            ));
        }
    }
    let padded = (data_start + end).next_multiple_of(alignment);
    if file_length as u64 > padded {
        return Err(Error::bad_file(
            "file length",
            format!("{file_length} bytes"),
            format!("at most {padded} bytes, where the last tensor ends"),
            "the file has foreign bytes at its end: get it again",
        ));
    }
    Ok(tensors)
}
