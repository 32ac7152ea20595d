//! Lies about elements of a trace.

use sworn_inference::program::{Op, Part};

use super::{Hiding, Liar};
use crate::Error;
use crate::dispute::contents::is_attention;
use crate::dispute::faults::attention::contents::{
    Addend, combine as combine_tiles, total_of, write_tile, write_totals,
};
use crate::dispute::faults::attention::{self, tiles};
use crate::dispute::faults::step::{self, is_long_sum, tile_needs};
use crate::dispute::position::{NodeKind, Position};
use crate::dispute::results::LaneResults;
use crate::dispute::source::TraceSource;
use crate::dispute::trace::{LeafKind, Step};

impl Liar {
    /// Changes a token, and an element of an operation before it.
    pub(super) fn bend_element(&mut self, op: Op, hiding: Hiding) -> Result<bool, Error> {
        let Some((row, step)) = self.pick_step(op, hiding)? else {
            return Ok(false);
        };
        let element = self.below(step.elements.into()) as u32;
        let (leaf, lane) = step.leaf_of(element)?;
        let mut bytes = self.honest_leaf(row, leaf)?;
        if hiding == Hiding::None {
            let byte = match step.kind {
                LeafKind::F32 => 4 * lane,
                LeafKind::F16 => 2 * lane,
                // A scale, or an integer.
                LeafKind::Quantised if self.below(2) == 0 => 4 * (lane / 32),
                LeafKind::Quantised => 32 + lane,
                // A maximum, or its position.
                LeafKind::Maxima => 8 * lane + 4 * self.below(2) as u32,
            };
            bytes[byte as usize] ^= 1;
        } else {
            let bent = if is_attention(op) {
                self.bend_attention(&step, row, element, hiding)?
            } else {
                self.bend_sum(&step, row, element)?
            };
            let Some(bits) = bent else {
                return Ok(false);
            };
            bytes[4 * lane as usize..][..4].copy_from_slice(&bits.to_le_bytes());
        }
        self.tamper = Some((row, leaf, bytes));
        Ok(true)
    }

    /// Changes a token, and a byte that holds no element before it.
    pub(super) fn pad_trace(&mut self) -> Result<bool, Error> {
        for op in [Op::NormStat, Op::AttnSum, Op::AttnMax, Op::Quantise] {
            let Some((row, step)) = self.pick_step(op, Hiding::None)? else {
                continue;
            };
            let k = step.leaf_count - 1;
            if step.elements_of(k).len() as u32 == step.kind.elements() {
                continue;
            }
            let leaf = step.first_leaf + k;
            let mut bytes = self.honest_leaf(row, leaf)?;
            if let Some(last) = bytes.last_mut() {
                *last = 1;
            }
            self.tamper = Some((row, leaf, bytes));
            return Ok(true);
        }
        Ok(false)
    }

    /// Changes a token, and gives a step of the operation at a row before it.
    fn pick_step(&mut self, op: Op, hiding: Hiding) -> Result<Option<(u32, Step)>, Error> {
        let Some(place) = self.change_token()? else {
            return Ok(None);
        };
        let layout = self.model().layout.clone();
        let n_prompt = self.result()?.n_prompt;
        let rows = u64::from(place - (n_prompt - 1));
        let back = self.below(2 * rows);
        let row = place - 1 - if back < rows { back as u32 } else { 0 };
        let mut steps = Vec::new();
        for number in 0..layout.steps() {
            let step = layout.step(number)?;
            let fits = match (op, hiding) {
                (Op::NormStat | Op::Matmul, Hiding::Totals) => is_long_sum(&step),
                (Op::AttnSum | Op::AttnMix, Hiding::Totals) => tiles(row) > 1,
                _ => true,
            };
            if step.op == op && fits && (step.part != Part::Tail || row + 1 >= n_prompt) {
                steps.push(step);
            }
        }
        if steps.is_empty() {
            return Ok(None);
        }
        let pick = self.below(steps.len() as u64) as usize;
        Ok(Some((row, steps[pick])))
    }

    fn honest_leaf(&mut self, row: u32, leaf: u32) -> Result<Vec<u8>, Error> {
        let (lane, run) = (self.lane, self.run);
        self.trace(lane, run)?.leaf(row, leaf)
    }

    fn at_element(&self, kind: NodeKind, step: &Step, row: u32, element: u32, c: u32) -> Position {
        Position {
            index: row.into(),
            a: step.number,
            b: element,
            c,
            ..Position::tree(kind, self.lane, self.run as u8, 0, 0)
        }
    }

    /// Bends a total of a long sum and gives the element that follows.
    fn bend_sum(&mut self, step: &Step, row: u32, element: u32) -> Result<Option<u32>, Error> {
        let model = self.model().clone();
        let tokens = self.result()?.tokens.clone();
        let (lane, run) = (self.lane, self.run);
        let source: &mut dyn TraceSource = self.trace(lane, run)?;
        let mut builder = step::Builder::new(&model.layout, source, &model.weights, &tokens);
        let mut totals = Vec::new();
        for tile in 0..step.sum_tiles().unwrap_or(0) {
            let needs = tile_needs(&model.layout, step, element, tile)?;
            totals.push(step::recompute_tile(
                step,
                tile,
                &builder.read(row, &needs)?,
            )?);
        }
        let honest = step::combine(step, &totals);
        let tile = self.below(totals.len() as u64) as usize;
        for bit in 12..24 {
            let mut bent = totals.clone();
            bent[tile] ^= 1 << bit;
            let element_bits = step::combine(step, &bent);
            if element_bits != honest && f32::from_bits(element_bits).is_finite() {
                let position = self.at_element(NodeKind::Totals, step, row, element, 0);
                let bytes = bent.iter().flat_map(|total| total.to_be_bytes()).collect();
                self.posted.insert(position, bytes);
                return Ok(Some(element_bits));
            }
        }
        Ok(None)
    }

    /// Bends a total, a weight or a value of an attention's element and gives the element that follows.
    fn bend_attention(
        &mut self,
        step: &Step,
        row: u32,
        element: u32,
        hiding: Hiding,
    ) -> Result<Option<u32>, Error> {
        let layout = self.model().layout.clone();
        let site = attention::Site::of(&layout, step.number)?;
        let (lane, run) = (self.lane, self.run);
        let source: &mut dyn TraceSource = self.trace(lane, run)?;
        let mut addends: Vec<Vec<Addend>> = Vec::new();
        for tile in 0..tiles(row) {
            addends.push(site.addends(source, row, element, tile)?);
        }
        let sum = match step.op {
            Op::AttnMix => {
                let (leaf, at) = site.sums.leaf_of(site.head_of(element))?;
                let data = source.leaf(row, leaf)?;
                let bytes = data[4 * at as usize..].first_chunk();
                bytes.map(|bytes| f32::from_le_bytes(*bytes))
            }
            _ => None,
        };
        let totals: Vec<f32> = addends.iter().map(|tile| total_of(tile)).collect();
        let honest = combine_tiles(&totals, sum).to_bits();
        let tile = self.below(totals.len() as u64) as usize;
        let index = self.below(addends[tile].len() as u64) as usize;
        for bit in 8..24 {
            let (mut bent, mut bent_totals) = (addends[tile].clone(), totals.clone());
            match hiding {
                Hiding::Totals => {
                    bent_totals[tile] = f32::from_bits(totals[tile].to_bits() ^ 1 << bit);
                }
                Hiding::Values => {
                    // The bits of a binary16 from the tenth down, so that it stays finite.
                    bent[index].value = bent[index].value.map(|v| v ^ 1 << (bit % 10));
                    bent_totals[tile] = total_of(&bent);
                }
                _ => {
                    let weight = bent[index].weight.to_bits() ^ 1 << bit;
                    bent[index].weight = f32::from_bits(weight);
                    bent_totals[tile] = total_of(&bent);
                }
            }
            let bits = combine_tiles(&bent_totals, sum).to_bits();
            if bits == honest || !f32::from_bits(bits).is_finite() {
                continue;
            }
            if totals.len() > 1 {
                let position = self.at_element(NodeKind::Totals, step, row, element, 0);
                self.posted.insert(position, write_totals(&bent_totals));
            }
            if hiding != Hiding::Totals {
                let position = self.at_element(NodeKind::Tile, step, row, element, tile as u32);
                self.posted.insert(position, write_tile(&bent));
            }
            return Ok(Some(bits));
        }
        Ok(None)
    }
}
