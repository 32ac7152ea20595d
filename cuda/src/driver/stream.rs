//! A queue of work: a stream, with graphs of what is repeated.

use std::ffi::{c_int, c_void};

use sworn_inference::Error;

use super::Gpu;
use super::api::Handle;
use crate::device::{Launch, Params, Queue};

/// CU_STREAM_NON_BLOCKING.
const NON_BLOCKING: u32 = 1;
/// CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: other threads may allocate meanwhile.
const THREAD_LOCAL: c_int = 1;

pub(super) struct Stream<'d> {
    gpu: &'d Gpu,
    stream: Handle,
    graphs: Vec<Handle>,
}

// SAFETY: a stream may be used by any thread, one at a time, which `&mut self` sees to.
unsafe impl Send for Stream<'_> {}

impl std::fmt::Debug for Stream<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream")
            .field("graphs", &self.graphs.len())
            .finish_non_exhaustive()
    }
}

impl<'d> Stream<'d> {
    pub(super) fn new(gpu: &'d Gpu) -> Result<Stream<'d>, Error> {
        gpu.enter()?;
        let mut stream = std::ptr::null_mut();
        // SAFETY: writes a handle.
        let code = unsafe { (gpu.driver.stream_create)(&mut stream, NON_BLOCKING) };
        gpu.done("making a stream", code)?;
        Ok(Stream {
            gpu,
            stream,
            graphs: Vec::new(),
        })
    }

    pub(super) fn wait(&self) -> Result<(), Error> {
        // SAFETY: this stream.
        let code = unsafe { (self.gpu.driver.stream_synchronize)(self.stream) };
        self.gpu.done("waiting", code)
    }

    fn enqueue(&self, launches: &[Launch]) -> Result<(), Error> {
        for launch in launches {
            let mut params = launch.params;
            let mut arguments = [(&raw mut params).cast::<c_void>()];
            let ([x, y, z], none) = (launch.grid, std::ptr::null_mut());
            let function = self.gpu.functions[launch.kernel as usize];
            let (threads, shared) = (launch.kernel.threads(), launch.shared);
            // SAFETY: a kernel takes one `Params`, which the call copies. That its addresses hold what the kernel needs is the plan's business.
            let code = unsafe {
                (self.gpu.driver.launch)(
                    function,
                    x,
                    y,
                    z,
                    threads,
                    1,
                    1,
                    shared,
                    self.stream,
                    arguments.as_mut_ptr(),
                    none,
                )
            };
            self.gpu.done(launch.kernel.symbol(), code)?;
        }
        Ok(())
    }
}

impl Queue for Stream<'_> {
    fn upload(&mut self, to: u64, bytes: &[u8]) -> Result<(), Error> {
        self.gpu.enter()?;
        // SAFETY: pageable memory is copied before the call returns.
        let code = unsafe {
            (self.gpu.driver.upload)(to, bytes.as_ptr().cast(), bytes.len(), self.stream)
        };
        self.gpu.done("copying to it", code)
    }

    fn copy(&mut self, to: u64, from: u64, bytes: u64) -> Result<(), Error> {
        self.gpu.enter()?;
        // SAFETY: addresses of memory that the caller owns.
        let code = unsafe { (self.gpu.driver.copy)(to, from, bytes as usize, self.stream) };
        self.gpu.done("copying on it", code)
    }

    fn launch(&mut self, launches: &[Launch]) -> Result<(), Error> {
        self.gpu.enter()?;
        self.enqueue(launches)
    }

    fn record(&mut self, launches: &[Launch]) -> Result<usize, Error> {
        self.gpu.enter()?;
        let driver = &self.gpu.driver;
        // SAFETY: this stream.
        let begun = unsafe { (driver.capture_begin)(self.stream, THREAD_LOCAL) };
        self.gpu.done("recording", begun)?;
        let enqueued = self.enqueue(launches);
        let (mut graph, mut ready) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: the capture ends whatever happened in it; a graph is used only if there is one.
        let code = unsafe {
            let ended = (driver.capture_end)(self.stream, &mut graph);
            let mut code = ended;
            if ended == 0 && enqueued.is_ok() {
                code = (driver.graph_instantiate)(&mut ready, graph, 0);
            }
            if ended == 0 {
                (driver.graph_destroy)(graph);
            }
            code
        };
        enqueued?;
        self.gpu.done("recording", code)?;
        self.graphs.push(ready);
        Ok(self.graphs.len() - 1)
    }

    fn replay(&mut self, number: usize) -> Result<(), Error> {
        self.gpu.enter()?;
        // SAFETY: a graph of this stream.
        let code = unsafe { (self.gpu.driver.graph_launch)(self.graphs[number], self.stream) };
        self.gpu.done("replaying", code)
    }

    fn download(&mut self, from: u64, out: &mut [u8]) -> Result<(), Error> {
        self.gpu.enter()?;
        // SAFETY: the bytes are written before `wait` returns.
        let code = unsafe {
            (self.gpu.driver.download)(out.as_mut_ptr().cast(), from, out.len(), self.stream)
        };
        // The copy is waited for even if it failed: it must not write later.
        let waited = self.wait();
        self.gpu.done("copying from it", code)?;
        waited
    }
}

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        if self.gpu.enter().is_err() {
            return;
        }
        // SAFETY: handles of this stream, which nobody uses any more.
        unsafe {
            (self.gpu.driver.stream_synchronize)(self.stream);
            for graph in &self.graphs {
                (self.gpu.driver.graph_exec_destroy)(*graph);
            }
            (self.gpu.driver.stream_destroy)(self.stream);
        }
    }
}

const _: () = assert!(size_of::<Params>() == 176);
