//! The devices that tests run on.

use std::sync::{Arc, OnceLock};

use sworn_cuda::Gpu;
use sworn_cuda::device::Device;
use sworn_inference::testing;

use crate::emulator::Emulator;

/// The GPU of this machine; none, with a message, where there is none.
pub(crate) fn gpu() -> Option<Arc<Gpu>> {
    static GPU: OnceLock<Option<Arc<Gpu>>> = OnceLock::new();
    let open = || match Gpu::open() {
        Ok(gpu) => Some(Arc::new(gpu)),
        Err(error) => {
            testing::skip_without(&format!("kernels on a GPU: {error}"));
            // Where there is a driver, a GPU must do.
            assert!(
                !Gpu::has_driver() || error.to_string().contains("no GPU"),
                "{error}"
            );
            None
        }
    };
    GPU.get_or_init(open).clone()
}

/// Runs a test on the emulator, and on the GPU if there is one.
pub(crate) fn on_devices(test: &dyn Fn(&dyn Device)) {
    if let Some(emulator) = Emulator::new() {
        test(&emulator);
    }
    if let Some(gpu) = gpu() {
        test(&*gpu);
    }
}
