//! What generation needs of whatever computes: the processor's [`Session`], or an accelerator.

use super::{Row, Sampling, Session, select};
use crate::Error;

/// Token sequences that run through one model. All implementations give the same bits.
pub trait Runner: std::fmt::Debug + Send {
    /// Starts an empty sequence.
    fn start(&mut self) -> usize;

    /// Starts a sequence that has the tokens of another one.
    fn fork(&mut self, sequence: usize) -> usize;

    /// Ends a sequence. Its number may be given to a later one.
    fn end(&mut self, sequence: usize);

    /// Takes the last tokens of a sequence back, so that it has `length`.
    fn truncate(&mut self, sequence: usize, length: usize);

    /// Tokens that a sequence has.
    fn length(&self, sequence: usize) -> usize;

    /// Runs one token of each row; several rows of a sequence are its next tokens in order. `wanted` are the indices of the rows whose logits are
    /// asked for next, by [`Runner::logits`] or [`Runner::select`].
    ///
    /// # Errors
    /// As [`Session::forward`]; [`Error::Device`] when an accelerator fails, after which nothing is known of its sequences.
    fn run(&mut self, rows: &[Row], wanted: &[usize]) -> Result<(), Error>;

    /// The logits of the latest run, `[wanted, vocab]`.
    ///
    /// # Errors
    /// [`Error::Device`] when an accelerator fails.
    fn logits(&mut self) -> Result<&[f32], Error>;

    /// The token that follows the wanted row number `index` of the latest run. `draw` gives 64 uniform bits and is called only where a draw
    /// decides.
    ///
    /// # Errors
    /// [`Error::Device`] when an accelerator fails.
    fn select(
        &mut self,
        index: usize,
        sampling: &Sampling,
        draw: &mut dyn FnMut() -> u64,
    ) -> Result<u32, Error>;
}

/// Something other than the processor that runs one model.
pub trait Accelerator: std::fmt::Debug + Send + Sync {
    /// Name for messages and reports.
    fn name(&self) -> String;

    /// A runner without sequences. Runners don't depend on each other.
    ///
    /// # Errors
    /// [`Error::Device`] when it fails or has no memory left.
    fn runner(&self) -> Result<Box<dyn Runner + '_>, Error>;
}

impl Runner for Session<'_> {
    fn start(&mut self) -> usize {
        Session::start(self)
    }

    fn fork(&mut self, sequence: usize) -> usize {
        Session::fork(self, sequence)
    }

    fn end(&mut self, sequence: usize) {
        Session::end(self, sequence);
    }

    fn truncate(&mut self, sequence: usize, length: usize) {
        Session::truncate(self, sequence, length);
    }

    fn length(&self, sequence: usize) -> usize {
        Session::length(self, sequence)
    }

    fn run(&mut self, rows: &[Row], wanted: &[usize]) -> Result<(), Error> {
        self.forward(rows, wanted, None).map(|_| ())
    }

    fn logits(&mut self) -> Result<&[f32], Error> {
        Ok(self.latest().0)
    }

    fn select(
        &mut self,
        index: usize,
        sampling: &Sampling,
        draw: &mut dyn FnMut() -> u64,
    ) -> Result<u32, Error> {
        let (logits, wanted, scratch) = self.latest();
        let vocab = logits.len() / wanted.max(1);
        Ok(select(
            &logits[index * vocab..][..vocab],
            sampling,
            draw,
            scratch,
        ))
    }
}
