//! The functions of the CUDA driver and of its run-time compiler (NVRTC) that are used, found when the program runs.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};

use libloading::Library;

pub(super) type Handle = *mut c_void;

macro_rules! api {
    ($(#[$doc:meta])* $name:ident from $files:expr; $($function:ident = $symbol:literal ($($argument:ty),*);)*) => {
        $(#[$doc])*
        pub(super) struct $name {
            $(pub(super) $function: unsafe extern "C" fn($($argument),*) -> c_int,)*
            _library: Library,
        }

        impl $name {
            /// Loads the library; what is missing, when something is.
            pub(super) fn load() -> Result<$name, String> {
                let mut missing = Vec::new();
                for file in $files {
                    // SAFETY: the vendor's library; loading it runs its initialisers, which ask nothing of the caller.
                    let library = match unsafe { Library::new(file) } {
                        Ok(library) => library,
                        Err(_) => {
                            missing.push(file);
                            continue;
                        }
                    };
                    $(
                        // SAFETY: the signature is the one of the vendor's header.
                        let $function = unsafe {
                            library.get::<unsafe extern "C" fn($($argument),*) -> c_int>(concat!($symbol, "\0").as_bytes())
                        };
                        let $function = match $function {
                            Ok(function) => *function,
                            Err(_) => return Err(format!("{file} has no {}: update it", $symbol)),
                        };
                    )*
                    return Ok($name { $($function,)* _library: library });
                }
                Err(format!("none of {} could be loaded", missing.join(", ")))
            }
        }
    };
}

api! {
    /// The driver.
    Driver from ["libcuda.so.1", "nvcuda.dll"];
    init = "cuInit" (c_uint);
    error_name = "cuGetErrorName" (c_int, *mut *const c_char);
    device_count = "cuDeviceGetCount" (*mut c_int);
    device_get = "cuDeviceGet" (*mut c_int, c_int);
    device_name = "cuDeviceGetName" (*mut c_char, c_int, c_int);
    device_attribute = "cuDeviceGetAttribute" (*mut c_int, c_int, c_int);
    context_retain = "cuDevicePrimaryCtxRetain" (*mut Handle, c_int);
    context_release = "cuDevicePrimaryCtxRelease_v2" (c_int);
    context_set = "cuCtxSetCurrent" (Handle);
    memory_info = "cuMemGetInfo_v2" (*mut usize, *mut usize);
    allocate = "cuMemAlloc_v2" (*mut u64, usize);
    free = "cuMemFree_v2" (u64);
    upload = "cuMemcpyHtoDAsync_v2" (u64, *const c_void, usize, Handle);
    download = "cuMemcpyDtoHAsync_v2" (*mut c_void, u64, usize, Handle);
    copy = "cuMemcpyDtoDAsync_v2" (u64, u64, usize, Handle);
    stream_create = "cuStreamCreate" (*mut Handle, c_uint);
    stream_destroy = "cuStreamDestroy_v2" (Handle);
    stream_synchronize = "cuStreamSynchronize" (Handle);
    capture_begin = "cuStreamBeginCapture_v2" (Handle, c_int);
    capture_end = "cuStreamEndCapture" (Handle, *mut Handle);
    graph_instantiate = "cuGraphInstantiateWithFlags" (*mut Handle, Handle, u64);
    graph_launch = "cuGraphLaunch" (Handle, Handle);
    graph_destroy = "cuGraphDestroy" (Handle);
    graph_exec_destroy = "cuGraphExecDestroy" (Handle);
    module_load = "cuModuleLoadData" (*mut Handle, *const c_void);
    module_function = "cuModuleGetFunction" (*mut Handle, Handle, *const c_char);
    module_unload = "cuModuleUnload" (Handle);
    launch = "cuLaunchKernel" (Handle, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, Handle, *mut *mut c_void, *mut *mut c_void);
}

api! {
    /// The compiler.
    Compiler from ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2", "libnvrtc.so", "nvrtc64_130_0.dll", "nvrtc64_120_0.dll", "nvrtc64_112_0.dll"];
    create = "nvrtcCreateProgram" (*mut Handle, *const c_char, *const c_char, c_int, *const *const c_char, *const *const c_char);
    compile = "nvrtcCompileProgram" (Handle, c_int, *const *const c_char);
    log_size = "nvrtcGetProgramLogSize" (Handle, *mut usize);
    log = "nvrtcGetProgramLog" (Handle, *mut c_char);
    binary_size = "nvrtcGetCUBINSize" (Handle, *mut usize);
    binary = "nvrtcGetCUBIN" (Handle, *mut c_char);
    destroy = "nvrtcDestroyProgram" (*mut Handle);
}

impl Driver {
    /// The name of an error.
    pub(super) fn name_of(&self, code: c_int) -> String {
        let mut name: *const c_char = std::ptr::null();
        // SAFETY: writes a pointer to a constant string, or leaves it null.
        unsafe { (self.error_name)(code, &mut name) };
        if name.is_null() {
            return format!("error {code}");
        }
        // SAFETY: a constant string of the driver.
        unsafe { CStr::from_ptr(name) }
            .to_string_lossy()
            .into_owned()
    }
}
