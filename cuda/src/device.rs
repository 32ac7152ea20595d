//! The seam to a GPU: memory, and queues of kernel launches. The driver is one implementation, the emulator of the tests another.

use std::fmt::Debug;
use std::sync::Arc;

use sworn_inference::Error;

/// What every kernel gets (`kernels/arith.cu` has the same struct).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[repr(C)]
pub struct Params {
    /// Addresses on the device.
    pub p: [u64; 12],
    /// Integers.
    pub n: [u32; 16],
    /// Floats.
    pub f: [f32; 4],
}

macro_rules! kernels {
    ($($name:ident $text:literal $threads:literal,)*) => {
        /// A kernel of `kernels/`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "the kernels' own files say what each does")]
        pub enum Kernel { $($name),* }

        impl Kernel {
            /// All kernels, in the order of their numbers.
            pub const ALL: &[Kernel] = &[$(Kernel::$name),*];

            /// Its symbol.
            pub fn symbol(self) -> &'static str {
                match self { $(Kernel::$name => concat!("sworn_", $text)),* }
            }

            /// Threads of a block.
            pub fn threads(self) -> u32 {
                match self { $(Kernel::$name => $threads),* }
            }
        }
    };
}

kernels! {
    Embed "embed" 256,
    Add "add_rows" 256,
    SiluMul "silu_mul" 256,
    Quantise "quantise" 256,
    Norm "norm" 256,
    NormTiles "norm_tiles" 256,
    NormSum "norm_sum" 256,
    NormApply "norm_apply" 256,
    Rope "rope" 256,
    ToF16 "to_f16" 256,
    Gather "gather" 256,
    MatmulDot "matmul_dot" 256,
    MatmulMma1 "matmul_mma1" 256,
    MatmulMma2 "matmul_mma2" 256,
    MatmulMma4 "matmul_mma4" 256,
    MatmulFloat "matmul_float" 256,
    Store "store" 256,
    Heads "heads" 256,
    Scores "scores" 256,
    Mix "mix" 128,
    Combine "combine" 128,
    Best "best" 1024,
    Choose "choose" 1024,
}

/// The kernels' source, one translation unit, without the part that differs on a device.
pub const SOURCE: &str = concat!(
    include_str!("../kernels/arith.cu"),
    include_str!("../kernels/rows.cu"),
    include_str!("../kernels/matmul.cu"),
    include_str!("../kernels/attention.cu"),
    include_str!("../kernels/select.cu"),
);

/// That part, for CUDA.
pub const PRELUDE: &str = include_str!("../kernels/device.cu");

/// Bytes of shared memory that every GPU gives a block without being asked.
pub const SHARED_BYTES: u32 = 48 * 1024;

/// One launch of a kernel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Launch {
    /// The kernel.
    pub kernel: Kernel,
    /// Blocks.
    pub grid: [u32; 3],
    /// Bytes of shared memory of a block.
    pub shared: u32,
    /// What it gets.
    pub params: Params,
}

/// A GPU. All errors are [`Error::Device`] or [`Error::DeviceMemory`].
pub trait Device: Debug + Send + Sync {
    /// Name for messages and reports.
    fn name(&self) -> String;

    /// Whether it has tensor cores for int8 blocks of 16 x 8 x 32.
    fn tensor_cores(&self) -> bool;

    /// Bytes of memory that are free.
    ///
    /// # Errors
    /// When the device fails.
    fn free(&self) -> Result<u64, Error>;

    /// Memory, 256-byte aligned; its contents are undefined.
    ///
    /// # Errors
    /// When there is not enough, or the device fails.
    fn allocate(&self, bytes: u64) -> Result<u64, Error>;

    /// Gives memory back. Failures don't matter: the memory is not used any more.
    fn release(&self, address: u64);

    /// A queue of its own.
    ///
    /// # Errors
    /// When the device fails.
    fn queue(&self) -> Result<Box<dyn Queue + '_>, Error>;
}

impl<D: Device + ?Sized> Device for Arc<D> {
    fn name(&self) -> String {
        (**self).name()
    }

    fn tensor_cores(&self) -> bool {
        (**self).tensor_cores()
    }

    fn free(&self) -> Result<u64, Error> {
        (**self).free()
    }

    fn allocate(&self, bytes: u64) -> Result<u64, Error> {
        (**self).allocate(bytes)
    }

    fn release(&self, address: u64) {
        (**self).release(address);
    }

    fn queue(&self) -> Result<Box<dyn Queue + '_>, Error> {
        (**self).queue()
    }
}

/// Work for a GPU, done in order. All errors are [`Error::Device`].
pub trait Queue: Debug + Send {
    /// Copies bytes to the device; they may be changed afterwards.
    ///
    /// # Errors
    /// When the device fails.
    fn upload(&mut self, to: u64, bytes: &[u8]) -> Result<(), Error>;

    /// Copies on the device.
    ///
    /// # Errors
    /// When the device fails.
    fn copy(&mut self, to: u64, from: u64, bytes: u64) -> Result<(), Error>;

    /// Launches kernels.
    ///
    /// # Errors
    /// When the device fails.
    fn launch(&mut self, launches: &[Launch]) -> Result<(), Error>;

    /// Notes launches that are to be repeated as one; gives their number.
    ///
    /// # Errors
    /// When the device fails.
    fn record(&mut self, launches: &[Launch]) -> Result<usize, Error>;

    /// Launches what was noted.
    ///
    /// # Errors
    /// When the device fails.
    fn replay(&mut self, number: usize) -> Result<(), Error>;

    /// Waits for everything before, and copies from the device.
    ///
    /// # Errors
    /// When the device fails, now or at anything before.
    fn download(&mut self, from: u64, out: &mut [u8]) -> Result<(), Error>;
}

/// Memory of a device, given back when dropped.
#[derive(Debug)]
pub(crate) struct Memory<'d> {
    device: &'d dyn Device,
    pub(crate) address: u64,
}

impl<'d> Memory<'d> {
    pub(crate) fn new(device: &'d dyn Device, bytes: u64) -> Result<Memory<'d>, Error> {
        let address = device.allocate(bytes.max(1))?;
        Ok(Memory { device, address })
    }
}

impl Drop for Memory<'_> {
    fn drop(&mut self) {
        self.device.release(self.address);
    }
}
