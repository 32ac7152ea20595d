//! Making a trace: the whole sequence through one layer after another.

use std::sync::Arc;

use sworn_inference::backend::Backend;
use sworn_inference::engine::{CHUNK_ROWS, Network, Session, Span};
use sworn_inference::format::packed::Model;
use sworn_inference::program::Part;

use super::hash::PartHasher;
use super::layout::TraceLayout;
use super::replay::Replay;
use super::tree::TreeBuilder;
use super::{Checkpoints, Trace};
use crate::Error;

/// How a trace is made. No choice changes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceOptions {
    /// Rows that run through a layer at once.
    pub chunk_rows: usize,
    /// Threads that hash; 0 = one for every core that this process may use.
    pub threads: usize,
}

impl Default for TraceOptions {
    fn default() -> TraceOptions {
        TraceOptions {
            chunk_rows: CHUNK_ROWS,
            threads: 0,
        }
    }
}

impl Trace {
    /// The trace of a run with these tokens, all of them: the last one is no input. `progress` gets the rows of layers that are done and all.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for a run without a new token, which has no trace; tokens that the model does not have or that are more than its context.
    pub fn build(
        model: Arc<Model>,
        backend: Arc<dyn Backend>,
        tokens: &[u32],
        n_prompt: u32,
        options: TraceOptions,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Trace, Error> {
        let layout = Arc::new(TraceLayout::new(model.program())?);
        let inputs = &tokens[..tokens.len().saturating_sub(1)];
        if n_prompt == 0 || inputs.len() < n_prompt as usize {
            return Err(Error::Mismatch {
                what: "new tokens of a run with a trace",
                found: (tokens.len() as u64).saturating_sub(n_prompt.into()),
                expected: 1,
            });
        }
        let threads = match options.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        let network = Network {
            program: model.program(),
            weights: model.weights(),
        };
        let mut session = Session::new(network, &*backend);
        let sequence = session.start();
        let mut pass = Pass {
            session: &mut session,
            sequence,
            layout: &layout,
            tokens: inputs,
            chunk: options.chunk_rows.max(1),
            threads,
            tree: TreeBuilder::new(&layout, inputs.len() as u32),
            done: 0,
            progress,
        };
        pass.run(Part::Head, 0, 0, &[])?;
        let mut carries: Vec<Vec<f32>> = Vec::with_capacity(layout.program().layers() as usize);
        for layer in 0..layout.program().layers() {
            let out = pass.run(
                Part::Body,
                layer,
                0,
                carries.last().map_or(&[], Vec::as_slice),
            )?;
            carries.push(out);
        }
        let first = n_prompt - 1;
        pass.run(
            Part::Tail,
            0,
            first,
            carries.last().map_or(&[], Vec::as_slice),
        )?;
        let tree = pass.tree.finish(&layout);
        let cache = session.cache(sequence).ok_or_else(|| Error::Engine {
            reason: "the session lost its sequence".to_owned(),
        })?;
        drop(session);
        let checkpoints = Checkpoints {
            tokens: tokens.to_vec(),
            n_prompt,
            carries,
            cache,
        };
        Ok(Trace {
            layout,
            tree,
            replay: Replay::new(model, backend),
            checkpoints,
        })
    }
}

/// A sequence on its way through the program.
struct Pass<'p, 's> {
    session: &'p mut Session<'s>,
    sequence: usize,
    layout: &'p TraceLayout,
    tokens: &'p [u32],
    chunk: usize,
    threads: usize,
    tree: TreeBuilder,
    done: u64,
    progress: &'p mut dyn FnMut(u64, u64),
}

impl Pass<'_, '_> {
    /// Runs a part for the positions from `first` on, with `carry` for all positions. Gives the part's output if it is a layer.
    fn run(
        &mut self,
        part: Part,
        layer: u32,
        first: u32,
        carry: &[f32],
    ) -> Result<Vec<f32>, Error> {
        let leaves = self.layout.leaves_of(part, layer);
        let width = carry.len() / self.tokens.len();
        let total = self.tokens.len() as u64 * (u64::from(self.layout.program().layers()) + 2);
        let mut out = Vec::new();
        let mut at = first as usize;
        while at < self.tokens.len() {
            let end = self.tokens.len().min(at + self.chunk);
            let span = Span {
                sequence: self.sequence,
                first: at as u32,
                tokens: &self.tokens[at..end],
            };
            let mut hasher = PartHasher::new(self.layout, self.threads, leaves.clone(), end - at);
            let rows = self.session.run_part(
                part,
                layer,
                span,
                &carry[at * width..end * width],
                Some(&mut hasher),
            )?;
            if part == Part::Body {
                out.extend_from_slice(rows);
            }
            let (cut, pending) = self.tree.rows();
            hasher.store(cut, &mut pending[at..end]);
            self.done += (end - at) as u64;
            (self.progress)(self.done, total);
            at = end;
        }
        Ok(out)
    }
}
