//! A model on a device.

use std::sync::Arc;

use sworn_inference::Error;
use sworn_inference::engine::{Accelerator, Runner};
use sworn_inference::format::packed::Model;
use sworn_inference::program::Program;

use crate::arena::{self, Arena};
use crate::device::Device;
use crate::pages::PageShape;
use crate::runner::GpuRunner;

/// Bytes of weights that are copied at a time.
const PIECE: usize = 64 << 20;

/// Bytes of device memory that a model needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// Its weights.
    pub weights: u64,
    /// Activations of a chunk of rows.
    pub activations: u64,
    /// Keys and values of one run of the whole context.
    pub cache: u64,
}

impl Needs {
    /// What a program needs, from its shapes alone.
    pub fn of(program: &Program) -> Needs {
        let layout = |global| sworn_inference::format::packed::Layout {
            shape: program.weight_shape(global),
            matrix: program.is_matrix(global),
        };
        let tensors = (0..program.weight_count()).map(|global| layout(global).bytes() as u64);
        Needs {
            weights: tensors.map(arena::aligned).sum(),
            activations: Arena::new(program).bytes,
            cache: PageShape::new(program).context_bytes(program.context()),
        }
    }

    /// All of it.
    pub fn total(&self) -> u64 {
        self.weights
            .saturating_add(self.activations)
            .saturating_add(self.cache)
    }
}

/// A model whose weights are on a device.
#[derive(Debug)]
pub struct Loaded {
    device: Box<dyn Device>,
    model: Arc<Model>,
    memory: u64,
    /// Address of each weight tensor, by its global number.
    tensors: Vec<u64>,
}

impl Loaded {
    /// Copies a model's weights to a device.
    ///
    /// # Errors
    /// [`Error::DeviceMemory`] when the device has less memory than weights, activations and one run of the whole context need;
    /// [`Error::Device`] when it fails.
    pub fn new(device: Box<dyn Device>, model: Arc<Model>) -> Result<Loaded, Error> {
        let needs = Needs::of(model.program());
        let free = device.free()?;
        if needs.total() > free {
            return Err(Error::DeviceMemory {
                device: device.name(),
                what: "the model".to_owned(),
                needed: needs.total(),
                free,
            });
        }
        let memory = device.allocate(needs.weights)?;
        let mut loaded = Loaded {
            device,
            model,
            memory,
            tensors: Vec::new(),
        };
        loaded.upload()?;
        Ok(loaded)
    }

    fn upload(&mut self) -> Result<(), Error> {
        let mut queue = self.device.queue()?;
        let mut at = self.memory;
        let mut tensors = Vec::new();
        for global in 0..self.model.weight_count() {
            let bytes = self.model.weights().tensor(global).bytes();
            for (i, piece) in bytes.chunks(PIECE).enumerate() {
                queue.upload(at + (i * PIECE) as u64, piece)?;
            }
            tensors.push(at);
            at += arena::aligned(bytes.len() as u64);
        }
        // An error of a copy shows at the latest here.
        queue.download(self.memory, &mut [0])?;
        drop(queue);
        self.tensors = tensors;
        Ok(())
    }

    /// The device.
    pub fn device(&self) -> &dyn Device {
        &*self.device
    }

    pub(crate) fn program(&self) -> &Program {
        self.model.program()
    }

    /// Where a weight tensor lies.
    pub(crate) fn tensor(&self, global: usize) -> u64 {
        self.tensors[global]
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        self.device.release(self.memory);
    }
}

impl Accelerator for Loaded {
    fn name(&self) -> String {
        self.device.name()
    }

    fn runner(&self) -> Result<Box<dyn Runner + '_>, Error> {
        Ok(Box::new(GpuRunner::new(self)?))
    }
}
