//! Compiling the kernels for a GPU.

use std::ffi::{CString, c_char};

use super::api::{Compiler, Handle};
use crate::device::{PRELUDE, SOURCE};

/// The kernels as machine code of GPUs of compute capability `major.minor`, and what the compiler says about them.
///
/// # Errors
/// That there is no compiler, or what it says.
pub fn compile(major: u32, minor: u32) -> Result<(Vec<u8>, String), String> {
    let compiler = Compiler::load().map_err(|missing| {
        format!("{missing}: the compiler of CUDA kernels (NVRTC) is not installed")
    })?;
    // No contraction, no flushing, divisions and roots as IEEE has them: the kernels say so themselves, and the options once more.
    let options = [
        &format!("--gpu-architecture=sm_{major}{minor}"),
        "--fmad=false",
        "--ftz=false",
        "--prec-div=true",
        "--prec-sqrt=true",
        "--std=c++17",
        "--ptxas-options=-v",
    ]
    .map(|option| CString::new(option).unwrap_or_default());
    let options = options.each_ref().map(|option| option.as_ptr());
    let source = CString::new([PRELUDE, SOURCE].concat()).unwrap_or_default();
    let mut program: Handle = std::ptr::null_mut();
    // SAFETY: the strings end with zero and outlive the calls; sizes are those that the compiler gave just before.
    unsafe {
        let name: *const c_char = c"sworn.cu".as_ptr();
        let (none, code) = (std::ptr::null(), source.as_ptr());
        let created = (compiler.create)(&mut program, code, name, 0, none, none);
        if created != 0 {
            return Err(format!("NVRTC error {created}"));
        }
        let result = (compiler.compile)(program, options.len() as i32, options.as_ptr());
        let mut size = 0;
        (compiler.log_size)(program, &mut size);
        let mut log = vec![0u8; size];
        (compiler.log)(program, log.as_mut_ptr().cast());
        log.pop();
        let log = String::from_utf8_lossy(&log).into_owned();
        let mut binary = Vec::new();
        if result == 0 {
            size = 0;
            (compiler.binary_size)(program, &mut size);
            binary.resize(size, 0);
            (compiler.binary)(program, binary.as_mut_ptr().cast());
        }
        (compiler.destroy)(&mut program);
        if binary.is_empty() {
            return Err(format!("NVRTC error {result}: {log}"));
        }
        Ok((binary, log))
    }
}
