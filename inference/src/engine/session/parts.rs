//! Running one part of a program alone, so that a whole sequence can go through it layer by layer.

use super::{At, Row, Session, Sink};
use crate::Error;
use crate::backend::{FloatMode, PAGE_POSITIONS};
use crate::engine::cache::Sequence;
use crate::engine::value::Value;
use crate::program::{CARRY, Part, ValueShape};

/// Consecutive positions of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span<'r> {
    /// The sequence.
    pub sequence: usize,
    /// The first position.
    pub first: u32,
    /// The tokens from there on.
    pub tokens: &'r [u32],
}

/// The keys and values of a sequence, apart from a session. A copy shares them.
#[derive(Debug, Clone)]
pub struct Cache(Sequence);

impl Session<'_> {
    /// Runs one part, at one layer if it is the body, for the positions of a span, and gives the part's last output, `[tokens, width]`.
    /// `carry` is what the entries see as the layer before, `[tokens, width]`; the head and layer 0 take none. In the body the keys and values of all
    /// earlier positions of the layer must have been stored before by such calls; those of the span are stored, again if they were. The sequence's length does
    /// not change.
    ///
    /// # Errors
    /// A token that is not in the vocabulary, positions past the context, no such sequence or layer, a carry of another size. Positions past those
    /// that were stored are noticed when the page before them is not there. Nothing was run then.
    pub fn run_part(
        &mut self,
        part: Part,
        layer: u32,
        span: Span<'_>,
        carry: &[f32],
        mut sink: Option<&mut dyn Sink>,
    ) -> Result<&[f32], Error> {
        let _mode = FloatMode::set();
        self.check_span(part, layer, span, carry)?;
        let rows: Vec<Row> = span
            .tokens
            .iter()
            .map(|token| Row {
                sequence: span.sequence,
                token: *token,
            })
            .collect();
        let positions: Vec<u32> = (span.first..).take(rows.len()).collect();
        let at = At {
            layer,
            rows: &rows,
            tokens: span.tokens,
            positions: &positions,
        };
        let program = self.network.program;
        if part != Part::Head && self.needs_head(part, layer) {
            self.part(Part::Head, At { layer: 0, ..at }, &mut None);
        }
        if let Value::F32(values) = &mut self.carry {
            values.clear();
            values.extend_from_slice(carry);
        }
        if part == Part::Tail {
            self.gather(&(0..rows.len()).collect::<Vec<_>>(), rows.len());
        }
        self.part(part, at, &mut sink);
        let last = program.first_entry(part) + program.entries(part).len() - 1;
        Ok(self.values[last].f32())
    }

    /// The keys and values of a sequence; none when there is no such sequence.
    pub fn cache(&self, sequence: usize) -> Option<Cache> {
        self.sequences.get(sequence).cloned().map(Cache)
    }

    /// Starts a sequence with keys and values that another session of the same program made.
    pub fn adopt(&mut self, cache: &Cache) -> usize {
        self.insert(cache.0.clone())
    }

    /// Whether a part's entries take outputs of the head.
    fn needs_head(&self, part: Part, layer: u32) -> bool {
        let program = self.network.program;
        let head = program.first_entry(Part::Body);
        let mut inputs = program.entries(part).iter().flat_map(|entry| entry.inputs);
        inputs.any(|input| {
            usize::from(input) < head || (input == CARRY && part == Part::Body && layer == 0)
        })
    }

    fn check_span(
        &self,
        part: Part,
        layer: u32,
        span: Span<'_>,
        carry: &[f32],
    ) -> Result<(), Error> {
        let bad = |what: &str, found: String, expected: String| {
            Err(Error::BadParameter {
                what: what.to_owned(),
                found,
                expected,
            })
        };
        let program = self.network.program;
        let (context, vocab) = (program.context(), program.vocab_size());
        if let Some(token) = span.tokens.iter().find(|token| **token >= vocab) {
            let expected = format!("below the vocabulary size {vocab}");
            return bad("token", token.to_string(), expected);
        }
        let end = u64::from(span.first) + span.tokens.len() as u64;
        if end > u64::from(context) {
            let expected = format!("at most {context}, the context");
            return bad("tokens of a sequence", end.to_string(), expected);
        }
        let started = !self.free.contains(&span.sequence);
        let Some(sequence) = self.sequences.get(span.sequence).filter(|_| started) else {
            let found = span.sequence.to_string();
            return bad("sequence", found, "one that was started".to_owned());
        };
        if layer
            >= if part == Part::Body {
                program.layers()
            } else {
                1
            }
        {
            return bad("layer", layer.to_string(), "one of the part".to_owned());
        }
        if part == Part::Body {
            let first = layer as usize * self.attentions;
            let pages = (first..first + self.attentions)
                .map(|cache| sequence.pages(cache).len())
                .min();
            if pages.is_some_and(|pages| (span.first as usize).div_ceil(PAGE_POSITIONS) > pages) {
                let expected = "at most the positions stored before".to_owned();
                return bad("first position", span.first.to_string(), expected);
            }
        }
        let width = match program.value_shape(program.first_entry(Part::Tail) - 1) {
            ValueShape::F32(width) => width as usize,
            _ => 0,
        };
        let none = part == Part::Head || (part == Part::Body && layer == 0);
        let expected = if none { 0 } else { width * span.tokens.len() };
        if carry.len() != expected {
            return bad("carry", carry.len().to_string(), expected.to_string());
        }
        Ok(())
    }
}
