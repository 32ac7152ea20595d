//! A GPU as an accelerator of [`sworn_inference`], with the same bits.
//!
//! The kernels (`kernels/*.cu`) are compiled for the GPU that is found when the program runs; driver and compiler are loaded then, so that
//! nothing of CUDA is needed to build, and nothing is missing where there is none. Weights are copied to the device as they lie in the model's
//! file: the processor's layout of 16 interleaved rows is also that of a tensor core's fragment.

mod arena;
pub mod device;
mod driver;
mod loaded;
mod pages;
mod plan;
mod runner;

pub use driver::{Gpu, Speed, compile};
pub use loaded::{Loaded, Needs};

use std::sync::Arc;

use sworn_inference::Error;
use sworn_inference::format::packed::Model;

/// A model on the first GPU of this machine.
///
/// # Errors
/// [`Error::Device`] when there is no GPU, driver or kernel compiler, [`Error::DeviceMemory`] when the GPU has too little memory for the model.
pub fn open(model: Arc<Model>) -> Result<Loaded, Error> {
    Loaded::new(Box::new(Gpu::open()?), model)
}
