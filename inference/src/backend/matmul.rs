//! Matrix products: each lane is one row of weights, so that no lane's sum is reordered.
//!
//! A part of the work is a range of groups of 16 weight rows, which are taken one or two at a time (`M`). A tile of their records is read once and meets all
//! rows of activations of a block, up to eight at a time (`N`), before the next tile is read: it stays in the nearest cache meanwhile.

use std::ops::Range;

use super::isa::Loop;
use super::shared::Shared;
use super::simd::{LANES, Simd};
use crate::format::packed::{PackedTensor, scale_area, tile_bytes};
use crate::numeric::constants::{BLOCK_ELEMENTS, TILE_ELEMENTS};
use crate::program::WeightFormat;

/// Rows of activations that meet a tile together, where there are registers for their sums.
pub(super) const ROWS: usize = 8;
/// The same where there are few, and of what remains.
const FEW_ROWS: usize = 4;
/// Rows of activations of a block: their tiles fit the nearest cache beside the weights'.
const BLOCK_ROWS: usize = 64;
/// How many bytes before they are needed weights are asked for, where they are used once.
const AHEAD: usize = 2048;
const TILE_BLOCKS: usize = TILE_ELEMENTS / BLOCK_ELEMENTS;

/// Four columns of 16 rows.
type Quads = [u8; 4 * LANES];
/// A block of activations of `N` rows, four columns at a time.
pub(super) type BlockOf<const N: usize> = [[[i8; 4]; N]; 8];

/// How a quantised format's records are read.
pub(super) trait QuantFormat: Sync {
    const FORMAT: WeightFormat;
    /// What the stored integers have added to them.
    const OFFSET: i32;
    /// The quants of a block for 16 rows.
    type Block;
    /// The scales of a block for 16 rows.
    type Scales;

    fn blocks(quants: &[u8]) -> &[Self::Block];
    fn lines(block: &Self::Block) -> &[Quads];
    fn scales(area: &[u8]) -> &[Self::Scales];
    fn load_scales<S: Simd>(simd: S, scales: &Self::Scales) -> S::F;

    /// For each group and row of activations the 16 dot products of a block's weights; `starts` are -[`QuantFormat::OFFSET`] times the sums of the activations.
    fn dots<S: Simd, const M: usize, const N: usize>(
        simd: S,
        w: [&Self::Block; M],
        x: &BlockOf<N>,
        starts: &[i32; N],
    ) -> [[S::I; N]; M];
}

pub(super) struct Q8_0;
pub(super) struct Q8F;
pub(super) struct Q4_0;

macro_rules! quant_format {
    ($name:ident, $offset:literal, $quads:literal, $scales:ty, $load:ident, $dots:ident) => {
        impl QuantFormat for $name {
            const FORMAT: WeightFormat = WeightFormat::$name;
            const OFFSET: i32 = $offset;
            type Block = [Quads; $quads];
            type Scales = $scales;

            #[inline(always)]
            fn blocks(quants: &[u8]) -> &[Self::Block] {
                quants.as_chunks().0.as_chunks().0
            }

            #[inline(always)]
            fn lines(block: &Self::Block) -> &[Quads] {
                block
            }

            #[inline(always)]
            fn scales(area: &[u8]) -> &[Self::Scales] {
                area.as_chunks().0
            }

            #[inline(always)]
            fn load_scales<S: Simd>(simd: S, scales: &Self::Scales) -> S::F {
                simd.$load(scales)
            }

            #[inline(always)]
            fn dots<S: Simd, const M: usize, const N: usize>(
                simd: S,
                w: [&Self::Block; M],
                x: &BlockOf<N>,
                starts: &[i32; N],
            ) -> [[S::I; N]; M] {
                simd.$dots(w, x, starts)
            }
        }
    };
}

quant_format!(Q8_0, 128, 8, [u8; 2 * LANES], load_half_bytes, dot_bytes);
quant_format!(Q8F, 128, 8, [u8; 4 * LANES], load_bytes, dot_bytes);
quant_format!(Q4_0, 8, 4, [u8; 2 * LANES], load_half_bytes, dot_nibbles);

/// How many of the rows that are left make the next chunk.
#[inline(always)]
fn chunk_rows<S: Simd>(left: usize) -> usize {
    if S::MANY_REGISTERS && left >= ROWS {
        ROWS
    } else {
        left.min(FEW_ROWS)
    }
}

/// Rows of quantised activations, those of a chunk interleaved: four columns of each in turn, and so their scales and starts.
#[derive(Debug, Default)]
pub(super) struct PackedQuants {
    pub(super) quads: Vec<[i8; 4]>,
    pub(super) scales: Vec<f32>,
    pub(super) starts: Vec<i32>,
}

/// Interleaves `rows` rows, a chunk, of `width` items each.
#[inline(always)]
fn interleave<T: Copy>(x: &[T], rows: usize, width: usize, out: &mut [T]) {
    match rows {
        1 => out.copy_from_slice(x),
        2 => interleave_rows::<T, 2>(x, width, out),
        3 => interleave_rows::<T, 3>(x, width, out),
        4 => interleave_rows::<T, 4>(x, width, out),
        _ => interleave_rows::<T, ROWS>(x, width, out),
    }
}

#[inline(always)]
fn interleave_rows<T: Copy, const N: usize>(x: &[T], width: usize, out: &mut [T]) {
    /// Items of which compilers make registers.
    const TOGETHER: usize = 8;
    let rows: [_; N] = std::array::from_fn(|t| x[t * width..][..width].as_chunks::<TOGETHER>());
    let (out, rest) = out.as_chunks_mut().0[..width].as_chunks_mut::<TOGETHER>();
    for (i, out) in out.iter_mut().enumerate() {
        let rows = rows.map(|(row, _)| row[i]);
        for (k, out) in out.iter_mut().enumerate() {
            *out = rows.map(|row| row[k]);
        }
    }
    for (i, out) in rest.iter_mut().enumerate() {
        *out = rows.map(|(_, row)| row[i]);
    }
}

/// The sum of a block: bytes plus 128, of which eight go together.
#[inline(always)]
fn sum(x: &[i8; BLOCK_ELEMENTS]) -> i32 {
    const EVEN: u64 = 0x00ff_00ff_00ff_00ff;
    let eights = x.as_chunks::<8>().0.iter();
    let sums = eights.fold(0, |sums, x| {
        let x = u64::from_le_bytes(x.map(|x| x as u8)) ^ 0x8080_8080_8080_8080;
        sums + (x & EVEN) + (x >> 8 & EVEN)
    });
    // The product's upper quarter is the sum of all quarters, at most 32 * 255.
    (sums.wrapping_mul(0x0001_0001_0001_0001) >> 48) as i32 - 128 * BLOCK_ELEMENTS as i32
}

impl PackedQuants {
    pub(super) fn resize(&mut self, rows: usize, cols: usize) {
        self.quads.resize(rows * cols / 4, [0; 4]);
        self.scales.resize(rows * cols / BLOCK_ELEMENTS, 0.0);
        self.starts.resize(rows * cols / BLOCK_ELEMENTS, 0);
    }
}

/// Packs rows of quantised activations.
pub(super) struct PackQuants<'a> {
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) offset: i32,
    pub(super) x: (&'a [f32], &'a [i8]),
    pub(super) quads: &'a mut [[i8; 4]],
    pub(super) scales: &'a mut [f32],
    pub(super) starts: &'a mut [i32],
}

impl Loop for PackQuants<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let (quads, _) = self.x.1.as_chunks::<4>();
        let (x, _) = self.x.1.as_chunks::<BLOCK_ELEMENTS>();
        let (width, blocks) = (self.cols / 4, self.cols / BLOCK_ELEMENTS);
        let mut row = 0;
        while row < self.rows {
            let n = chunk_rows::<S>(self.rows - row);
            let of = |width: usize| row * width..(row + n) * width;
            interleave(&quads[of(width)], n, width, &mut self.quads[of(width)]);
            interleave(
                &self.x.0[of(blocks)],
                n,
                blocks,
                &mut self.scales[of(blocks)],
            );
            let starts = &mut self.starts[of(blocks)];
            for (t, x) in x[of(blocks)].chunks_exact(blocks).enumerate() {
                for (start, x) in starts[t..].iter_mut().step_by(n).zip(x) {
                    *start = -self.offset * sum(x);
                }
            }
            row += n;
        }
    }
}

/// Interleaves rows of activations that are not quantised.
pub(super) struct PackNumbers<'a> {
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) x: &'a [f32],
    pub(super) out: &'a mut [f32],
}

impl Loop for PackNumbers<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let mut row = 0;
        while row < self.rows {
            let n = chunk_rows::<S>(self.rows - row);
            let chunk = row * self.cols..(row + n) * self.cols;
            interleave(&self.x[chunk.clone()], n, self.cols, &mut self.out[chunk]);
            row += n;
        }
    }
}

/// The tile of a matrix format against a chunk of activations.
pub(super) trait TileKernel<S: Simd> {
    fn tile<const M: usize, const N: usize>(
        &self,
        simd: S,
        records: [&[u8]; M],
        row: usize,
        cols: Range<usize>,
    ) -> [[S::F; N]; M];
}

/// Outputs of a range of groups of weights, for all rows of activations.
pub(super) struct Part<'a, X> {
    pub(super) weights: PackedTensor<'a>,
    pub(super) groups: Range<usize>,
    pub(super) rows: usize,
    pub(super) x: X,
    /// `[rows, outputs]`; this part alone writes its groups' outputs.
    pub(super) out: Shared<'a, f32>,
}

/// Quantised activations against weights of format `F`.
pub(super) struct Quants<'a, F> {
    x: &'a PackedQuants,
    cols: usize,
    format: std::marker::PhantomData<F>,
}

/// Activations against F16 (`HALF`) or F32 weights.
#[derive(Clone, Copy)]
pub(super) struct Numbers<'a, const HALF: bool> {
    /// Rows of a chunk are interleaved column by column.
    x: &'a [f32],
    cols: usize,
}

impl<F> Clone for Quants<'_, F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F> Copy for Quants<'_, F> {}

impl<'a, F> Quants<'a, F> {
    pub(super) fn new(x: &'a PackedQuants, cols: usize) -> Self {
        let format = std::marker::PhantomData;
        Quants { x, cols, format }
    }
}

impl<'a, const HALF: bool> Numbers<'a, HALF> {
    pub(super) fn new(x: &'a [f32], cols: usize) -> Self {
        Numbers { x, cols }
    }
}

impl<S: Simd, F: QuantFormat> TileKernel<S> for Quants<'_, F> {
    #[inline(always)]
    fn tile<const M: usize, const N: usize>(
        &self,
        simd: S,
        records: [&[u8]; M],
        row: usize,
        cols: Range<usize>,
    ) -> [[S::F; N]; M] {
        let n = cols.len() / BLOCK_ELEMENTS;
        let per_row = self.cols / BLOCK_ELEMENTS;
        // The chunk starts at `row` times a row's size, and has the tile's blocks of all its rows together.
        let first = row * per_row + cols.start / BLOCK_ELEMENTS * N;
        let (quads, _) = self.x.quads[first * 8..][..n * 8 * N].as_chunks::<N>();
        let quads = &quads.as_chunks::<8>().0[..n];
        let scales = &self.x.scales[first..][..n * N].as_chunks::<N>().0[..n];
        let starts = &self.x.starts[first..][..n * N].as_chunks::<N>().0[..n];
        let area = scale_area(F::FORMAT, cols.len());
        let w_scales = records.map(|record| &F::scales(&record[..area])[..n]);
        let w_blocks = records.map(|record| &F::blocks(&record[area..])[..n]);
        let mut tile = [[simd.splat(0.0); N]; M];
        for i in 0..n {
            if N == 1 {
                for w in w_blocks {
                    for line in F::lines(&w[i]) {
                        simd.prefetch(line, AHEAD);
                    }
                }
            }
            let dots = F::dots(
                simd,
                w_blocks.map(|blocks| &blocks[i]),
                &quads[i],
                &starts[i],
            );
            for m in 0..M {
                let d_w = F::load_scales(simd, &w_scales[m][i]);
                for t in 0..N {
                    // (d_w * d_x) * f32(s)
                    let scale = simd.mul(d_w, simd.splat(scales[i][t]));
                    let value = simd.mul(scale, simd.to_float(dots[m][t]));
                    tile[m][t] = simd.add(tile[m][t], value);
                }
            }
        }
        tile
    }
}

impl<S: Simd, const HALF: bool> TileKernel<S> for Numbers<'_, HALF> {
    #[inline(always)]
    fn tile<const M: usize, const N: usize>(
        &self,
        simd: S,
        records: [&[u8]; M],
        row: usize,
        cols: Range<usize>,
    ) -> [[S::F; N]; M] {
        let n = cols.len();
        let x = &self.x[row * self.cols + cols.start * N..][..n * N];
        let x = &x.as_chunks::<N>().0[..n];
        let halves = records.map(|record| record.as_chunks::<{ 2 * LANES }>().0);
        let singles = records.map(|record| record.as_chunks::<{ 4 * LANES }>().0);
        let mut tile = [[simd.splat(0.0); N]; M];
        for i in 0..n {
            for m in 0..M {
                let w = if HALF {
                    simd.load_half_bytes(&halves[m][i])
                } else {
                    simd.load_bytes(&singles[m][i])
                };
                for t in 0..N {
                    tile[m][t] = simd.add(tile[m][t], simd.mul(w, simd.splat(x[i][t])));
                }
            }
        }
        tile
    }
}

/// Where in a pass over the tiles a kernel is.
struct Step<'a, const M: usize> {
    records: [&'a [u8]; M],
    cols: Range<usize>,
    /// Whether this is the last tile.
    last: bool,
    /// The first group.
    group: usize,
}

impl<X> Part<'_, X> {
    #[inline(always)]
    fn all<S: Simd>(&self, simd: S)
    where
        X: TileKernel<S>,
    {
        let mut totals = vec![[0.0; LANES]; 2 * self.rows.min(BLOCK_ROWS)];
        for first in (0..self.rows).step_by(BLOCK_ROWS) {
            let rows = first..self.rows.min(first + BLOCK_ROWS);
            let mut group = self.groups.start;
            if self.rows > 1 {
                while group + 2 <= self.groups.end {
                    self.panel::<S, 2>(simd, group, rows.clone(), &mut totals);
                    group += 2;
                }
            }
            while group < self.groups.end {
                self.panel::<S, 1>(simd, group, rows.clone(), &mut totals);
                group += 1;
            }
        }
    }

    /// The outputs of `M` groups for some rows of activations.
    #[inline(always)]
    fn panel<S: Simd, const M: usize>(
        &self,
        simd: S,
        group: usize,
        rows: Range<usize>,
        totals: &mut [[f32; LANES]],
    ) where
        X: TileKernel<S>,
    {
        let shape = self.weights.shape();
        let inner = shape.cols as usize;
        let mut records: [&[u8]; M] = std::array::from_fn(|m| self.weights.group(group + m));
        for start in (0..inner).step_by(TILE_ELEMENTS) {
            let cols = start..inner.min(start + TILE_ELEMENTS);
            let bytes = tile_bytes(shape.format, cols.len());
            let step = Step {
                records: std::array::from_fn(|m| &records[m][..bytes]),
                last: cols.end == inner,
                cols,
                group,
            };
            records = std::array::from_fn(|m| &records[m][bytes..]);
            let mut t = rows.start;
            while t < rows.end {
                let totals = &mut totals[(t - rows.start) * M..];
                let n = chunk_rows::<S>(rows.end - t);
                match n {
                    1 => self.chunk::<S, M, 1>(simd, &step, t, totals),
                    2 => self.chunk::<S, M, 2>(simd, &step, t, totals),
                    3 => self.chunk::<S, M, 3>(simd, &step, t, totals),
                    ROWS if S::MANY_REGISTERS => self.chunk::<S, M, ROWS>(simd, &step, t, totals),
                    _ => self.chunk::<S, M, FEW_ROWS>(simd, &step, t, totals),
                }
                t += n;
            }
        }
    }

    /// Adds a tile to the totals of `N` rows of activations, and stores these after the last one.
    #[inline(always)]
    fn chunk<S: Simd, const M: usize, const N: usize>(
        &self,
        simd: S,
        step: &Step<'_, M>,
        t: usize,
        totals: &mut [[f32; LANES]],
    ) where
        X: TileKernel<S>,
    {
        let tile = self
            .x
            .tile::<M, N>(simd, step.records, t, step.cols.clone());
        let outputs = self.weights.shape().rows as usize;
        let totals = totals[..M * N].as_chunks_mut::<M>().0;
        for n in 0..N {
            for m in 0..M {
                let total = if step.cols.start == 0 {
                    simd.splat(0.0)
                } else {
                    simd.load(&totals[n][m])
                };
                let total = simd.add(total, tile[m][n]);
                if !step.last {
                    simd.store(total, &mut totals[n][m]);
                    continue;
                }
                let first = (step.group + m) * LANES;
                let count = LANES.min(outputs - first);
                let start = (t + n) * outputs + first;
                // SAFETY: each part has its own groups, so its own outputs.
                let out = unsafe { self.out.part(start..start + count) };
                let total = simd.canonical(total);
                if let Some(out) = out.first_chunk_mut() {
                    simd.store(total, out);
                } else {
                    let mut lanes = [0.0; LANES];
                    simd.store(total, &mut lanes);
                    out.copy_from_slice(&lanes[..count]);
                }
            }
        }
    }
}

impl<F: QuantFormat> Loop for Part<'_, Quants<'_, F>> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        debug_assert_eq!(self.x.cols % BLOCK_ELEMENTS, 0, "whole blocks");
        self.all(simd);
    }
}

impl<const HALF: bool> Loop for Part<'_, Numbers<'_, HALF>> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        self.all(simd);
    }
}

const _: () = assert!(BLOCK_ROWS.is_multiple_of(ROWS) && TILE_BLOCKS == 8);
