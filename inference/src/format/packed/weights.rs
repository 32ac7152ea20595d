//! The file of packed weights: a header of 128 bytes, then the tensors in the program's global order.
//!
//! ```text
//! 0   "SWORNPK1"        24  SHA-256 of the program's bytes
//! 8   u32 layout        56  zero
//! 12  u32 tensors       64  SHA-256 of the first 64 bytes
//! 16  u64 file length   96  zero
//! ```
//! Integers are little-endian. Where a tensor lies follows from the program.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::layout::{GROUP_ROWS, Layout};
use super::tensor::PackedTensor;
use crate::Error;
use crate::format::SourceTensor;
use crate::map::Map;
use crate::numeric::{f16_to_f32, rope_table};
use crate::program::{Program, WeightFormat, WeightShape};

const MAGIC: &[u8; 8] = b"SWORNPK1";
const LAYOUT_VERSION: u32 = 1;
const HEADER: usize = 128;
const REMEDY: &str = "import the model again";

/// A tensor that gives its tiles in the commitment's leaf layout (`prover/SPEC.md` section 2).
pub trait LeafSource {
    /// Format, rows and columns.
    fn shape(&self) -> WeightShape;

    /// Appends tile `tile` of row `row`: a full leaf, zero-filled past the last column.
    fn write_leaf(&self, row: u32, tile: u32, out: &mut Vec<u8>);
}

impl LeafSource for SourceTensor<'_> {
    fn shape(&self) -> WeightShape {
        WeightShape {
            format: self.format,
            rows: self.rows,
            cols: self.cols,
        }
    }

    fn write_leaf(&self, row: u32, tile: u32, out: &mut Vec<u8>) {
        SourceTensor::write_leaf(self, row, tile, out);
    }
}

/// The rotation table as a tensor, F32 [context, dims], made row by row.
#[derive(Debug, Clone, Copy)]
pub struct RopeTable {
    /// Rows.
    pub context: u32,
    /// Rotated elements of a head.
    pub dims: u32,
    /// Base of the frequencies.
    pub theta: f32,
}

impl LeafSource for RopeTable {
    fn shape(&self) -> WeightShape {
        WeightShape {
            format: WeightFormat::F32,
            rows: self.context,
            cols: self.dims,
        }
    }

    fn write_leaf(&self, row: u32, tile: u32, out: &mut Vec<u8>) {
        let end = out.len() + WeightFormat::F32.leaf_bytes();
        let values = rope_table(row, self.dims, self.theta);
        for value in values.iter().skip(tile as usize * 256).take(256) {
            out.extend_from_slice(&value.to_le_bytes());
        }
        out.resize(end, 0);
    }
}

/// Packed weights, mapped into memory.
#[derive(Debug)]
pub struct Weights {
    map: Map,
    places: Vec<(Layout, Range<usize>)>,
}

/// Layouts and byte ranges of a program's tensors in the file, and the file's length.
fn places(program: &Program) -> (Vec<(Layout, Range<usize>)>, usize) {
    let mut at = HEADER;
    let places = (0..program.weight_count()).map(|global| {
        let layout = Layout {
            shape: program.weight_shape(global),
            matrix: program.is_matrix(global),
        };
        let start = at;
        at += layout.bytes();
        (layout, start..at)
    });
    (places.collect(), at)
}

fn header(program: &Program, length: usize) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&LAYOUT_VERSION.to_le_bytes());
    header[12..16].copy_from_slice(&(program.weight_count() as u32).to_le_bytes());
    header[16..24].copy_from_slice(&(length as u64).to_le_bytes());
    header[24..56].copy_from_slice(&Sha256::digest(program.encode()));
    let digest = Sha256::digest(&header[..64]);
    header[64..96].copy_from_slice(&digest);
    header
}

impl Weights {
    /// Bytes of the file of packed weights of `program`.
    pub fn length(program: &Program) -> u64 {
        places(program).1 as u64
    }

    /// Maps a file of packed weights of `program`.
    ///
    /// # Errors
    /// A file that can't be read, is no file of packed weights, or belongs to another program.
    pub fn open(path: &Path, program: &Program) -> Result<Weights, Error> {
        let map = Map::open(path)?;
        let (places, length) = places(program);
        let bad = |what: &str, found: String, expected: String| {
            Err(Error::bad_file(what, found, expected, REMEDY).at(path))
        };
        let Some(found) = map.first_chunk::<HEADER>() else {
            return bad(
                "length",
                format!("{} bytes", map.len()),
                format!("{length} bytes"),
            );
        };
        if &found[..8] != MAGIC {
            return bad(
                "magic",
                format!("{:?}", found[..8].escape_ascii().to_string()),
                "\"SWORNPK1\"".to_owned(),
            );
        }
        if Sha256::digest(&found[..64])[..] != found[64..96] {
            return bad(
                "header",
                "a wrong checksum".to_owned(),
                "the SHA-256 of its first 64 bytes".to_owned(),
            );
        }
        if found[8..12] != LAYOUT_VERSION.to_le_bytes() {
            return bad(
                "layout version",
                format!("{:?}", &found[8..12]),
                LAYOUT_VERSION.to_string(),
            );
        }
        if *found != header(program, length) {
            return bad(
                "header",
                "the header of another program".to_owned(),
                "the program beside it".to_owned(),
            );
        }
        if map.len() != length {
            return bad(
                "length",
                format!("{} bytes", map.len()),
                format!("{length} bytes"),
            );
        }
        Ok(Weights { map, places })
    }

    /// A weight tensor by its global number.
    ///
    /// # Panics
    /// When the program has no such tensor.
    pub fn tensor(&self, global: usize) -> PackedTensor<'_> {
        let (layout, range) = &self.places[global];
        PackedTensor::new(*layout, &self.map[range.clone()])
    }

    /// Packs the tensors of `program`, one group of rows at a time, and syncs the file to disk. `open` gives the tensors by global number,
    /// with a name for messages; `progress` is told rows done and rows in all.
    ///
    /// # Errors
    /// What `open` reports, a wrong shape, a weight or scale that is not finite, a file that can't be written.
    pub fn write<'s>(
        path: &Path,
        program: &Program,
        open: &mut dyn FnMut(usize) -> Result<(String, Box<dyn LeafSource + 's>), Error>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), Error> {
        let io = |source| Error::Io {
            path: path.to_path_buf(),
            source,
        };
        let (places, length) = places(program);
        let total: u64 = places
            .iter()
            .map(|(layout, _)| u64::from(layout.shape.rows))
            .sum();
        let mut out = BufWriter::with_capacity(1 << 20, File::create(path).map_err(io)?);
        out.write_all(&header(program, length)).map_err(io)?;
        let mut done = 0;
        for (global, (layout, _)) in places.iter().enumerate() {
            let (name, source) = open(global)?;
            if source.shape() != layout.shape {
                let (found, expected) = (shown(source.shape()), shown(layout.shape));
                return Err(Error::bad_file(
                    format!("tensor {name}"),
                    found,
                    expected,
                    "the file is not a good model",
                ));
            }
            let mut leaf = Vec::new();
            let rows = layout.shape.rows as usize;
            for first in (0..rows).step_by(GROUP_ROWS) {
                let mut group = if layout.matrix {
                    layout.empty_group()
                } else {
                    Vec::new()
                };
                for row in first..rows.min(first + GROUP_ROWS) {
                    for tile in 0..layout.tiles() {
                        leaf.clear();
                        source.write_leaf(row as u32, tile as u32, &mut leaf);
                        check_finite(&name, layout, row, tile, &leaf)?;
                        if layout.matrix {
                            layout.pack_leaf(&mut group, row - first, tile, &leaf);
                        } else {
                            group.extend_from_slice(&leaf[..layout.tile_cols(tile) * 4]);
                        }
                    }
                }
                out.write_all(&group).map_err(io)?;
                done += (rows.min(first + GROUP_ROWS) - first) as u64;
                progress(done, total);
            }
            if !layout.matrix {
                let written = rows * layout.shape.cols as usize * 4;
                out.write_all(&[0; 64][..layout.bytes() - written])
                    .map_err(io)?;
            }
        }
        let file = out.into_inner().map_err(|error| io(error.into_error()))?;
        file.sync_all().map_err(io)
    }
}

fn shown(shape: WeightShape) -> String {
    format!("{:?} [{}, {}]", shape.format, shape.rows, shape.cols)
}

/// Every scale and every F32 or F16 weight of a leaf is finite.
fn check_finite(
    name: &str,
    layout: &Layout,
    row: usize,
    tile: usize,
    leaf: &[u8],
) -> Result<(), Error> {
    let (format, n) = (layout.shape.format, layout.tile_cols(tile));
    let (count, size, step, what) = match format {
        WeightFormat::F32 => (n, 4, 1, "weight"),
        WeightFormat::F16 => (n, 2, 1, "weight"),
        WeightFormat::Q8_0 | WeightFormat::Q4_0 => (n / 32, 2, 32, "scale"),
        WeightFormat::Q8F => (n / 32, 4, 32, "scale"),
    };
    for (i, bytes) in leaf.chunks_exact(size).take(count).enumerate() {
        let value = match *bytes {
            [a, b] => f16_to_f32(u16::from_le_bytes([a, b])),
            [a, b, c, d] => f32::from_le_bytes([a, b, c, d]),
            _ => 0.0,
        };
        if !value.is_finite() {
            let at = format!(
                "tensor {name}, {what} at row {row}, column {}",
                tile * 256 + i * step
            );
            return Err(Error::bad_file(
                at,
                value,
                "a finite number",
                "the file is damaged or its training diverged",
            ));
        }
    }
    Ok(())
}
