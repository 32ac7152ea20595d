//! Making parts of a trace again, from its checkpoints.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use sworn_inference::backend::Backend;
use sworn_inference::engine::{Network, Place, Session, Sink, Span, Value};
use sworn_inference::format::packed::Model;
use sworn_inference::program::Part;

use super::Checkpoints;
use super::layout::Step;
use crate::Error;

/// Rows that are made again at once.
const BLOCK_ROWS: u32 = 16;
/// Blocks that are kept: the positions of a tile twice over.
const KEPT_BLOCKS: usize = 32;

/// Outputs of one part at one layer for a block of rows.
struct Block {
    part: Part,
    layer: u32,
    first: u32,
    /// (entry, its output).
    values: Vec<(u32, Value)>,
}

impl Sink for Block {
    fn output(&mut self, place: Place, _positions: &[u32], value: &Value) {
        self.values.push((place.entry as u32, value.clone()));
    }
}

/// A model that runs parts again and keeps the latest outputs.
pub(super) struct Replay {
    model: Arc<Model>,
    backend: Arc<dyn Backend>,
    blocks: VecDeque<Block>,
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay")
            .field("blocks", &self.blocks.len())
            .finish_non_exhaustive()
    }
}

impl Replay {
    pub(super) fn new(model: Arc<Model>, backend: Arc<dyn Backend>) -> Replay {
        Replay {
            model,
            backend,
            blocks: VecDeque::new(),
        }
    }

    /// The output of a step for some rows, and the place of row `row` among them. The caller made sure that the row has the step.
    pub(super) fn value(
        &mut self,
        checkpoints: &Checkpoints,
        step: &Step,
        row: u32,
    ) -> Result<(&Value, usize), Error> {
        let start = if step.part == Part::Tail {
            checkpoints.n_prompt - 1
        } else {
            0
        };
        let first = start + (row - start) / BLOCK_ROWS * BLOCK_ROWS;
        let known = self.blocks.iter().position(|block| {
            (block.part, block.layer, block.first) == (step.part, step.layer, first)
        });
        let block = match known.and_then(|i| self.blocks.remove(i)) {
            Some(block) => block,
            None => self.run(checkpoints, step.part, step.layer, first)?,
        };
        self.blocks.truncate(KEPT_BLOCKS - 1);
        self.blocks.push_front(block);
        let values = &self.blocks[0].values;
        let value = values.iter().find(|(entry, _)| *entry == step.entry);
        let (_, value) = value.ok_or_else(|| Error::Engine {
            reason: format!("entry {} gave no output", step.entry),
        })?;
        Ok((value, (row - first) as usize))
    }

    fn run(
        &self,
        checkpoints: &Checkpoints,
        part: Part,
        layer: u32,
        first: u32,
    ) -> Result<Block, Error> {
        let network = Network {
            program: self.model.program(),
            weights: self.model.weights(),
        };
        let mut session = Session::new(network, &*self.backend);
        let sequence = session.adopt(&checkpoints.cache);
        let inputs = checkpoints.inputs();
        let range = first as usize..inputs.len().min((first + BLOCK_ROWS) as usize);
        let carry = match part {
            Part::Head => None,
            Part::Body => layer
                .checked_sub(1)
                .and_then(|below| checkpoints.carries.get(below as usize)),
            Part::Tail => checkpoints.carries.last(),
        };
        let carry = carry.map_or(&[][..], |carry| {
            let width = carry.len() / inputs.len();
            &carry[range.start * width..range.end * width]
        });
        let mut block = Block {
            part,
            layer,
            first,
            values: Vec::new(),
        };
        let span = Span {
            sequence,
            first,
            tokens: &inputs[range],
        };
        session.run_part(part, layer, span, carry, Some(&mut block))?;
        Ok(block)
    }
}

#[cfg(test)]
mod tests {
    use sworn_inference::engine::{BackendKind, EngineOptions};
    use sworn_inference::format::ModelSource;
    use sworn_inference::program::{LlamaConfig, WeightFormat};
    use sworn_inference::testing;

    use super::*;
    use crate::dispute::source::TraceSource;
    use crate::dispute::trace::{Trace, TraceOptions};

    /// However many leaves are opened: the layers' outputs stay, and a few blocks that were made again.
    #[test]
    fn openings_keep_few_values() {
        let folder = tempfile::tempdir().unwrap();
        let config = LlamaConfig {
            context: 320,
            ..testing::tiny_config()
        };
        let file = folder.path().join("model.gguf");
        std::fs::write(
            &file,
            testing::gguf(&config, WeightFormat::Q8_0, 3).to_bytes(),
        )
        .unwrap();
        let source = ModelSource::open(&file, None).unwrap();
        let model = Model::import(&source, &folder.path().join("model"), &mut |_, _| ()).unwrap();
        let options = EngineOptions {
            backend: BackendKind::Scalar,
            threads: 1,
        };
        let mut trace = Trace::build(
            Arc::new(model),
            options.open().unwrap(),
            &[5; 300],
            10,
            TraceOptions::default(),
            &mut |_, _| (),
        )
        .unwrap();
        let layout = trace.layout().clone();
        let layers = layout.program().layers();
        let mut opened = 0;
        for row in (0..trace.rows()).step_by(BLOCK_ROWS as usize) {
            for layer in 0..layers {
                let leaf = layout.leaves_of(Part::Body, layer).start;
                TraceSource::leaf(&mut trace, row, leaf).unwrap();
                opened += 1;
            }
        }
        assert!(opened > KEPT_BLOCKS);
        assert_eq!(trace.replay.blocks.len(), KEPT_BLOCKS);
        for block in &trace.replay.blocks {
            let layer = layout.leaves_of(Part::Body, block.layer).len();
            assert!(block.part == Part::Body && block.values.len() <= layer);
        }
        // Of every layer one output, of `dim` elements a row.
        let rows = trace.rows() as usize;
        let carries = &trace.checkpoints.carries;
        assert_eq!(carries.len(), layers as usize);
        let expected = rows * config.dim as usize;
        assert!(carries.iter().all(|carry| carry.len() == expected));
    }
}
