//! A device that runs the GPU's kernels on the processor (`emulator.cpp`), from the same source and through the same seam as the driver.

use std::alloc::{Layout, alloc, dealloc};
use std::collections::HashMap;
use std::ffi::c_void;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use libloading::Library;
use sworn_cuda::device::{Device, Kernel, Launch, Params, Queue, SOURCE};
use sworn_inference::{Error, testing};

type Emulate = unsafe extern "C" fn(*const c_void, *const u32, u32, u32, *const Params) -> i32;

/// The compiled kernels. Only one thread may run them at a time.
struct Program {
    library: Library,
    emulate: Emulate,
}

fn build() -> Option<Mutex<Program>> {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cuda-emulator");
    std::fs::create_dir_all(&dir).expect("a folder for the emulator");
    std::fs::write(dir.join("kernels.inc"), SOURCE).expect("the kernels' source");
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    let library = dir.join(format!("emulator-{}.so", std::process::id()));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/emulated/emulator.cpp");
    // Nothing that changes a float: no contraction, no fast math.
    let result = Command::new(compiler)
        .args([
            "-O2",
            "-std=c++17",
            "-ffp-contract=off",
            "-fno-strict-aliasing",
            "-shared",
            "-fPIC",
            "-w",
            "-I",
        ])
        .arg(&dir)
        .arg(source)
        .arg("-o")
        .arg(&library)
        .output();
    let Ok(output) = result else {
        testing::skip("the GPU's kernels on the processor: no C++ compiler (c++, or $CXX)");
        return None;
    };
    let messages = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "the kernels compile as C++: {messages}"
    );
    // SAFETY: the library was just made from the sources beside this; it has no initialisers.
    let loaded = unsafe { Library::new(&library) }.expect("the emulator loads");
    // SAFETY: the signature is that of emulator.cpp.
    let emulate = unsafe { *loaded.get::<Emulate>(b"emulate\0").expect("its entry") };
    std::fs::remove_file(&library).expect("the file is not needed any more");
    Some(Mutex::new(Program {
        library: loaded,
        emulate,
    }))
}

fn program() -> Option<&'static Mutex<Program>> {
    static PROGRAM: OnceLock<Option<Mutex<Program>>> = OnceLock::new();
    PROGRAM.get_or_init(build).as_ref()
}

/// Bytes after each allocation that must stay as they are.
const GUARD: usize = 256;

/// The device. Fresh memory holds NaNs; a write past an allocation is found when it is given back.
#[derive(Debug)]
pub(crate) struct Emulator {
    allocations: Arc<Mutex<HashMap<u64, usize>>>,
    /// Bytes that it has, and calls that it does before it fails.
    pub(crate) memory: u64,
    pub(crate) left: Arc<AtomicUsize>,
    tensor_cores: bool,
    pub(crate) launches: Arc<Mutex<HashMap<Kernel, usize>>>,
    pub(crate) replays: Arc<AtomicUsize>,
}

impl Emulator {
    /// None, with a message, where there is no C++ compiler.
    pub(crate) fn new() -> Option<Emulator> {
        program()?;
        Some(Emulator {
            allocations: Arc::default(),
            memory: 64 << 30,
            left: Arc::new(AtomicUsize::new(usize::MAX)),
            tensor_cores: true,
            launches: Arc::default(),
            replays: Arc::default(),
        })
    }

    pub(crate) fn without_tensor_cores(self) -> Emulator {
        Emulator {
            tensor_cores: false,
            ..self
        }
    }

    fn call(&self) -> Result<(), Error> {
        let left = self.left.load(Ordering::SeqCst);
        if left == 0 {
            return Err(self.failure("injected failure"));
        }
        if left != usize::MAX {
            self.left.store(left - 1, Ordering::SeqCst);
        }
        Ok(())
    }

    fn failure(&self, what: &str) -> Error {
        Error::Device {
            device: self.name(),
            what: what.to_owned(),
        }
    }
}

fn layout(bytes: usize) -> Layout {
    Layout::from_size_align(bytes + GUARD, 256).expect("a size")
}

impl Device for Emulator {
    fn name(&self) -> String {
        "emulator".to_owned()
    }

    fn tensor_cores(&self) -> bool {
        self.tensor_cores
    }

    fn free(&self) -> Result<u64, Error> {
        let allocations = self.allocations.lock().unwrap();
        let used: usize = allocations.values().sum();
        Ok(self.memory.saturating_sub(used as u64))
    }

    fn allocate(&self, bytes: u64) -> Result<u64, Error> {
        self.call()?;
        if bytes > self.free()? {
            return Err(Error::DeviceMemory {
                device: self.name(),
                what: "an allocation".to_owned(),
                needed: bytes,
                free: self.free()?,
            });
        }
        let bytes = bytes as usize;
        // SAFETY: the layout has a size; all bytes are written.
        let address = unsafe {
            let start = alloc(layout(bytes));
            start.write_bytes(0xff, bytes.min(16 << 20));
            start.add(bytes).write_bytes(0x5a, GUARD);
            start as u64
        };
        self.allocations.lock().unwrap().insert(address, bytes);
        Ok(address)
    }

    fn release(&self, address: u64) {
        let bytes = self.allocations.lock().unwrap().remove(&address);
        let bytes = bytes.expect("an address that was allocated");
        // SAFETY: allocated above with this layout.
        unsafe {
            let start = address as *mut u8;
            let guard = std::slice::from_raw_parts(start.add(bytes), GUARD);
            assert!(
                guard.iter().all(|byte| *byte == 0x5a),
                "a write past the end"
            );
            dealloc(start, layout(bytes));
        }
    }

    fn queue(&self) -> Result<Box<dyn Queue + '_>, Error> {
        self.call()?;
        Ok(Box::new(EmulatedQueue {
            device: self,
            recordings: Vec::new(),
        }))
    }
}

#[derive(Debug)]
struct EmulatedQueue<'d> {
    device: &'d Emulator,
    recordings: Vec<Vec<Launch>>,
}

impl EmulatedQueue<'_> {
    /// That an access lies within one allocation.
    fn within(&self, address: u64, bytes: usize) {
        let allocations = self.device.allocations.lock().unwrap();
        let inside = allocations.iter().any(|(start, size)| {
            address >= *start && address + bytes as u64 <= *start + *size as u64
        });
        assert!(inside, "a copy outside the device's memory");
    }
}

impl Queue for EmulatedQueue<'_> {
    fn upload(&mut self, to: u64, bytes: &[u8]) -> Result<(), Error> {
        self.device.call()?;
        self.within(to, bytes.len());
        // SAFETY: within an allocation.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to as *mut u8, bytes.len()) };
        Ok(())
    }

    fn copy(&mut self, to: u64, from: u64, bytes: u64) -> Result<(), Error> {
        self.device.call()?;
        self.within(to, bytes as usize);
        self.within(from, bytes as usize);
        // SAFETY: within allocations.
        unsafe { std::ptr::copy(from as *const u8, to as *mut u8, bytes as usize) };
        Ok(())
    }

    fn launch(&mut self, launches: &[Launch]) -> Result<(), Error> {
        self.device.call()?;
        let program = program().expect("it was built");
        // A test that failed elsewhere does not matter here.
        let program = program
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        for launch in launches {
            let symbol = launch.kernel.symbol();
            // SAFETY: a kernel's symbol; it is only handed on as an address.
            let function = unsafe {
                let function = program.library.get::<*const c_void>(symbol.as_bytes());
                function.expect("a kernel of that name").try_as_raw_ptr()
            };
            let (threads, params) = (launch.kernel.threads(), &launch.params);
            // SAFETY: the library is used by this thread alone; the addresses are those of the plan under test.
            let result = unsafe {
                (program.emulate)(
                    function.expect("an address"),
                    launch.grid.as_ptr(),
                    threads,
                    launch.shared,
                    params,
                )
            };
            let meaning = [
                "",
                "its threads wait for each other",
                "no GPU takes such a launch",
                "it writes past its shared memory",
            ];
            assert!(
                result == 0,
                "{symbol}: {} ({launch:?})",
                meaning[result as usize]
            );
            *self
                .device
                .launches
                .lock()
                .unwrap()
                .entry(launch.kernel)
                .or_default() += 1;
        }
        Ok(())
    }

    fn record(&mut self, launches: &[Launch]) -> Result<usize, Error> {
        self.device.call()?;
        self.recordings.push(launches.to_vec());
        Ok(self.recordings.len() - 1)
    }

    fn replay(&mut self, number: usize) -> Result<(), Error> {
        self.device.replays.fetch_add(1, Ordering::SeqCst);
        let launches = self.recordings[number].clone();
        self.launch(&launches)
    }

    fn download(&mut self, from: u64, out: &mut [u8]) -> Result<(), Error> {
        self.device.call()?;
        self.within(from, out.len());
        // SAFETY: within an allocation.
        unsafe { std::ptr::copy_nonoverlapping(from as *const u8, out.as_mut_ptr(), out.len()) };
        Ok(())
    }
}
