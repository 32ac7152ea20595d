//! How fast a device copies its memory: what a decode step, which reads every weight once, is measured against.

use std::time::Instant;

use sworn_inference::Error;

use crate::device::{Device, Memory};

/// Bytes of a copy.
const BYTES: u64 = 1 << 30;
const COPIES: u32 = 20;

/// A device's streaming speed.
#[derive(Debug, Clone, Copy)]
pub struct Speed {
    /// Bytes read and written in a second by copies on the device.
    pub copy_bytes_per_second: f64,
}

impl Speed {
    /// Measures it; needs 2 GiB of free memory.
    ///
    /// # Errors
    /// When the device fails or has too little memory.
    pub fn measure(device: &dyn Device) -> Result<Speed, Error> {
        let (from, to) = (Memory::new(device, BYTES)?, Memory::new(device, BYTES)?);
        let mut queue = device.queue()?;
        let mut byte = [0];
        queue.copy(to.address, from.address, BYTES)?;
        queue.download(to.address, &mut byte)?;
        let start = Instant::now();
        for _ in 0..COPIES {
            queue.copy(to.address, from.address, BYTES)?;
        }
        queue.download(to.address, &mut byte)?;
        let bytes = 2.0 * BYTES as f64 * f64::from(COPIES);
        Ok(Speed {
            copy_bytes_per_second: bytes / start.elapsed().as_secs_f64(),
        })
    }
}
