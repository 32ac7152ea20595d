//! A device behind the CUDA driver.

mod api;
mod compile;
mod speed;
mod stream;

pub use compile::compile;
pub use speed::Speed;

use std::ffi::{CStr, CString, c_int};

use sworn_inference::Error;

use crate::device::{Device, Kernel, Queue};
use api::{Driver, Handle};
use stream::Stream;

/// CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR.
const CAPABILITY: [c_int; 2] = [75, 76];
/// CUDA_ERROR_OUT_OF_MEMORY.
const OUT_OF_MEMORY: c_int = 2;
/// Below it there are no int8 dot products of four.
const LEAST: (u32, u32) = (6, 1);

/// The first GPU that the driver knows.
pub struct Gpu {
    driver: Driver,
    name: String,
    capability: (u32, u32),
    device: c_int,
    context: Handle,
    module: Handle,
    /// By the kernels' numbers.
    functions: Vec<Handle>,
}

// SAFETY: the driver's handles may be used by any thread; the context is made current before each use.
unsafe impl Send for Gpu {}
// SAFETY: as above.
unsafe impl Sync for Gpu {}

impl std::fmt::Debug for Gpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = f.debug_struct("Gpu");
        out.field("name", &self.name)
            .field("capability", &self.capability)
            .finish_non_exhaustive()
    }
}

impl Gpu {
    /// Opens the first GPU and compiles the kernels for it.
    ///
    /// # Errors
    /// [`Error::Device`] when there is no driver, no GPU that can run the kernels, or no compiler.
    pub fn open() -> Result<Gpu, Error> {
        let missing = |what: String| Error::Device {
            device: "CUDA".to_owned(),
            what,
        };
        let driver = Driver::load().map_err(missing)?;
        let mut gpu = Gpu {
            driver,
            name: "CUDA".to_owned(),
            capability: (0, 0),
            device: 0,
            context: std::ptr::null_mut(),
            module: std::ptr::null_mut(),
            functions: Vec::new(),
        };
        let mut count = 0;
        // SAFETY: as the driver's manual says: initialised first, and every pointer is to a place of the size that the call writes.
        unsafe {
            gpu.done("initialising", (gpu.driver.init)(0))?;
            gpu.done("counting GPUs", (gpu.driver.device_count)(&mut count))?;
            if count == 0 {
                return Err(gpu.failure("there is no GPU"));
            }
            let mut device = 0;
            gpu.done("opening", (gpu.driver.device_get)(&mut device, 0))?;
            gpu.device = device;
            let mut name = [0; 256];
            gpu.done(
                "naming",
                (gpu.driver.device_name)(name.as_mut_ptr(), 255, device),
            )?;
            gpu.name = CStr::from_ptr(name.as_ptr()).to_string_lossy().into_owned();
            let mut numbers = [0; 2];
            for (number, attribute) in numbers.iter_mut().zip(CAPABILITY) {
                let code = (gpu.driver.device_attribute)(number, attribute, device);
                gpu.done("asking for its capability", code)?;
            }
            gpu.capability = (numbers[0] as u32, numbers[1] as u32);
            let mut context = std::ptr::null_mut();
            let code = (gpu.driver.context_retain)(&mut context, device);
            gpu.done("making a context", code)?;
            gpu.context = context;
        }
        if gpu.capability < LEAST {
            let (major, minor) = gpu.capability;
            let what = format!("its compute capability is {major}.{minor}; the kernels need 6.1");
            return Err(gpu.failure(&what));
        }
        gpu.load()?;
        Ok(gpu)
    }

    /// Compiles and loads the kernels.
    fn load(&mut self) -> Result<(), Error> {
        let (major, minor) = self.capability;
        let (code, _) = compile(major, minor).map_err(|what| self.failure(&what))?;
        self.enter()?;
        let mut module = std::ptr::null_mut();
        // SAFETY: machine code that the compiler made for this GPU.
        let loaded = unsafe { (self.driver.module_load)(&mut module, code.as_ptr().cast()) };
        self.done("loading the kernels", loaded)?;
        self.module = module;
        for kernel in Kernel::ALL {
            let symbol = CString::new(kernel.symbol()).unwrap_or_default();
            let mut function = std::ptr::null_mut();
            // SAFETY: a loaded module and a name that ends with zero.
            let found =
                unsafe { (self.driver.module_function)(&mut function, module, symbol.as_ptr()) };
            self.done(kernel.symbol(), found)?;
            self.functions.push(function);
        }
        Ok(())
    }

    /// Whether this machine has a driver, so that it is worth saying why it is of no use.
    pub fn has_driver() -> bool {
        Driver::load().is_ok()
    }

    fn failure(&self, what: &str) -> Error {
        Error::Device {
            device: self.name.clone(),
            what: what.to_owned(),
        }
    }

    /// An error if a call failed.
    fn done(&self, what: &str, code: c_int) -> Result<(), Error> {
        match code {
            0 => Ok(()),
            code => Err(self.failure(&format!("{what}: {}", self.driver.name_of(code)))),
        }
    }

    /// Makes the context current for this thread.
    fn enter(&self) -> Result<(), Error> {
        // SAFETY: the context is retained as long as this lives.
        self.done("entering its context", unsafe {
            (self.driver.context_set)(self.context)
        })
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        if self.context.is_null() {
            return;
        }
        // SAFETY: handles that this made; nothing uses them any more. Nobody can do anything about a failure.
        unsafe {
            (self.driver.context_set)(self.context);
            if !self.module.is_null() {
                (self.driver.module_unload)(self.module);
            }
            (self.driver.context_release)(self.device);
        }
    }
}

impl Device for Gpu {
    fn name(&self) -> String {
        let (major, minor) = self.capability;
        format!("{} (CUDA {major}.{minor})", self.name)
    }

    fn tensor_cores(&self) -> bool {
        self.capability >= (8, 0)
    }

    fn free(&self) -> Result<u64, Error> {
        self.enter()?;
        let (mut free, mut total) = (0, 0);
        // SAFETY: writes two numbers.
        let code = unsafe { (self.driver.memory_info)(&mut free, &mut total) };
        self.done("asking for its memory", code)?;
        Ok(free as u64)
    }

    fn allocate(&self, bytes: u64) -> Result<u64, Error> {
        self.enter()?;
        let mut address = 0;
        // SAFETY: writes an address.
        match unsafe { (self.driver.allocate)(&mut address, bytes as usize) } {
            OUT_OF_MEMORY => Err(Error::DeviceMemory {
                device: self.name(),
                what: "an allocation".to_owned(),
                needed: bytes,
                free: self.free()?,
            }),
            code => self.done("allocating", code).map(|()| address),
        }
    }

    fn release(&self, address: u64) {
        if self.enter().is_ok() {
            // SAFETY: an address that `allocate` gave and that nobody uses any more; the call waits for what the GPU still does.
            unsafe { (self.driver.free)(address) };
        }
    }

    fn queue(&self) -> Result<Box<dyn Queue + '_>, Error> {
        Ok(Box::new(Stream::new(self)?))
    }
}
