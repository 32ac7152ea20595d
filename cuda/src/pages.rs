//! Keys and values on a device, in pages of 64 positions of all attentions of all layers. Sequences share pages until one stores into them.

use std::sync::{Arc, Mutex};

use sworn_inference::Error;
use sworn_inference::backend::PAGE_POSITIONS;
use sworn_inference::program::{Op, Part, Program};

use crate::arena::aligned;
use crate::device::{Device, Memory, Queue};

/// Bytes that are asked of the device at a time.
const SLAB: u64 = 64 << 20;

/// Where the keys and values of each attention lie in a page.
#[derive(Debug, Clone)]
pub(crate) struct PageShape {
    /// Halves before the keys and before the values, by attention of a layer.
    attentions: Vec<(u64, u64)>,
    /// Halves of a layer.
    layer: u64,
    /// Bytes of a page.
    pub(crate) bytes: u64,
}

impl PageShape {
    pub(crate) fn new(program: &Program) -> PageShape {
        let mut layer = 0;
        let mut attentions = Vec::new();
        for entry in program.entries(Part::Body) {
            if entry.op == Op::AttnMix {
                let size = u64::from(entry.dims[1]) * u64::from(entry.dims[2]);
                let halves = size * PAGE_POSITIONS as u64;
                attentions.push((layer, layer + halves));
                layer += 2 * halves;
            }
        }
        PageShape {
            attentions,
            layer,
            bytes: aligned(layer * u64::from(program.layers()) * 2).max(256),
        }
    }

    /// Halves before the keys and before the values of an attention.
    pub(crate) fn offsets(&self, layer: u32, attention: usize) -> (u64, u64) {
        let (keys, values) = self.attentions[attention];
        let before = u64::from(layer) * self.layer;
        (before + keys, before + values)
    }

    /// Bytes of one sequence of so many positions.
    pub(crate) fn context_bytes(&self, positions: u32) -> u64 {
        u64::from(positions)
            .div_ceil(PAGE_POSITIONS as u64)
            .saturating_mul(self.bytes)
    }
}

type FreePages = Arc<Mutex<Vec<u64>>>;

/// A page in use.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) address: u64,
    free: FreePages,
}

impl Drop for Page {
    fn drop(&mut self) {
        if let Ok(mut free) = self.free.lock() {
            free.push(self.address);
        }
    }
}

/// A runner's pages.
#[derive(Debug)]
pub(crate) struct Pool<'d> {
    device: &'d dyn Device,
    bytes: u64,
    slabs: Vec<Memory<'d>>,
    free: FreePages,
}

impl<'d> Pool<'d> {
    pub(crate) fn new(device: &'d dyn Device, bytes: u64) -> Pool<'d> {
        Pool {
            device,
            bytes,
            slabs: Vec::new(),
            free: FreePages::default(),
        }
    }

    fn take(&mut self) -> Result<Arc<Page>, Error> {
        let found = self.free.lock().ok().and_then(|mut free| free.pop());
        let address = match found {
            Some(address) => address,
            None => {
                let pages = (SLAB / self.bytes).max(1);
                // Where a whole slab does not fit any more, a page may.
                let (slab, pages) = match Memory::new(self.device, pages * self.bytes) {
                    Ok(slab) => (slab, pages),
                    Err(Error::DeviceMemory { .. }) => (Memory::new(self.device, self.bytes)?, 1),
                    Err(error) => return Err(error),
                };
                let first = slab.address;
                if let Ok(mut free) = self.free.lock() {
                    free.extend((1..pages).rev().map(|page| first + page * self.bytes));
                }
                self.slabs.push(slab);
                first
            }
        };
        let free = Arc::clone(&self.free);
        Ok(Arc::new(Page { address, free }))
    }

    /// Makes the page of `position` of a sequence, which comes next or was there, its own.
    pub(crate) fn own(
        &mut self,
        queue: &mut dyn Queue,
        pages: &mut Vec<Arc<Page>>,
        position: usize,
    ) -> Result<(), Error> {
        let index = position / PAGE_POSITIONS;
        let Some(page) = pages.get_mut(index) else {
            pages.push(self.take()?);
            return Ok(());
        };
        if Arc::get_mut(page).is_none() {
            let own = self.take()?;
            queue.copy(own.address, page.address, self.bytes)?;
            *page = own;
        }
        Ok(())
    }
}
