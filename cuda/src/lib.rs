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
use sworn_inference::engine::{Accelerator, BackendKind, Engine, OnFailure, Row, Session};
use sworn_inference::format::packed::Model;

/// A model on the first GPU of this machine.
///
/// # Errors
/// [`Error::Device`] when there is no GPU, driver or kernel compiler, [`Error::DeviceMemory`] when the GPU has too little memory for the model.
pub fn open(model: Arc<Model>) -> Result<Loaded, Error> {
    Loaded::new(Box::new(Gpu::open()?), model)
}

/// Lets an engine compute on the first GPU of this machine, if `backend` names it, or leaves the choice and there is one that the model fits.
/// `on_failure` is told why a GPU that is there is not used, or not any more. A GPU whose bits differ from the processor's is not used.
///
/// # Errors
/// As [`open`] and [`prove`], if `backend` names the GPU.
pub fn attach(
    engine: Engine,
    backend: BackendKind,
    on_failure: OnFailure,
) -> Result<Engine, Error> {
    let wanted = match backend {
        BackendKind::Cuda => true,
        BackendKind::Auto if Gpu::has_driver() => false,
        _ => return Ok(engine),
    };
    let ready = open(Arc::clone(engine.model())).and_then(|loaded| {
        prove(&engine, &loaded)?;
        Ok(loaded)
    });
    match ready {
        Ok(loaded) => Ok(engine.with_accelerator(Arc::new(loaded), on_failure)),
        Err(error) if wanted => Err(error),
        Err(error) => {
            on_failure(&error);
            Ok(engine)
        }
    }
}

/// Compares a device with the processor on a few rows that go through all its kernels for products: a proposer stakes money on these bits.
///
/// # Errors
/// [`Error::Device`] when a bit differs or the device fails.
pub fn prove(engine: &Engine, loaded: &Loaded) -> Result<(), Error> {
    let model = engine.model();
    let network = sworn_inference::engine::Network {
        program: model.program(),
        weights: model.weights(),
    };
    let mut session = Session::new(network, &**engine.backend());
    let mut gpu = loaded.runner()?;
    let (own, other) = (session.start(), gpu.start());
    let (vocab, context) = (model.program().vocab_size(), model.program().context());
    // One row, up to 8, up to 16, more.
    for (step, count) in [1, 5, 1, 12, 24].into_iter().enumerate() {
        let left = context as usize - session.length(own);
        let tokens = (0..left.min(count) as u32).map(|i| (i * 7919 + step as u32 * 31) % vocab);
        let rows = |sequence: usize| -> Vec<Row> {
            let row = |token| Row { sequence, token };
            tokens.clone().map(row).collect()
        };
        let wanted: Vec<usize> = (0..tokens.len()).collect();
        let expected = session.forward(&rows(own), &wanted, None)?;
        gpu.run(&rows(other), &wanted)?;
        let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits();
        let found = gpu.logits()?;
        if found.len() != expected.len() || !found.iter().zip(expected).all(same) {
            return Err(Error::Device {
                device: loaded.name(),
                what: format!(
                    "its logits of {count} rows differ from the processor's; it is not used"
                ),
            });
        }
    }
    Ok(())
}
