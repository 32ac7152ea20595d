//! The floating-point environment of a thread.

/// While it lives, this thread rounds to nearest even, keeps subnormals and raises no floating-point exception: MXCSR is 0x1F80 on x86-64,
/// FPCR 0 on AArch64. Dropping it brings the former mode back.
///
/// A host program or library may have set flush-to-zero, or on AArch64 other binary16; results must not depend on that.
#[derive(Debug)]
pub struct FloatMode {
    former: u64,
    // The mode belongs to the thread.
    _not_send: std::marker::PhantomData<*const ()>,
}

#[cfg(target_arch = "x86_64")]
mod arch {
    pub(super) const MODE: u64 = 0x1f80;

    pub(super) fn read() -> u64 {
        let mut mode = 0u32;
        // SAFETY: stores the 32-bit MXCSR to the given place; SSE is part of x86-64.
        unsafe {
            std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut mode, options(nostack, preserves_flags))
        };
        u64::from(mode)
    }

    pub(super) fn write(mode: u64) {
        let mode = mode as u32;
        // SAFETY: loads MXCSR from the given place; the value is the default mode or one that was read from MXCSR, so no reserved bit is set.
        unsafe {
            std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const mode, options(nostack, preserves_flags))
        };
    }
}

#[cfg(target_arch = "aarch64")]
mod arch {
    pub(super) const MODE: u64 = 0;

    pub(super) fn read() -> u64 {
        let mode: u64;
        // SAFETY: reads the thread's FPCR.
        unsafe {
            std::arch::asm!("mrs {}, fpcr", out(reg) mode, options(nomem, nostack, preserves_flags))
        };
        mode
    }

    pub(super) fn write(mode: u64) {
        // SAFETY: the value is the default mode or one that was read from FPCR.
        unsafe { std::arch::asm!("msr fpcr, {}", in(reg) mode, options(nostack, preserves_flags)) };
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod arch {
    pub(super) const MODE: u64 = 0;

    pub(super) fn read() -> u64 {
        MODE
    }

    pub(super) fn write(_: u64) {}
}

impl FloatMode {
    /// Sets the machine's mode on this thread.
    #[must_use]
    pub fn set() -> FloatMode {
        let former = arch::read();
        arch::write(arch::MODE);
        FloatMode {
            former,
            _not_send: std::marker::PhantomData,
        }
    }
}

impl Drop for FloatMode {
    fn drop(&mut self) {
        // Sticky exception flags that were raised meanwhile are forgotten with the mode.
        arch::write(self.former);
    }
}

#[cfg(all(test, any(target_arch = "x86_64", target_arch = "aarch64")))]
mod tests {
    use super::*;
    use std::hint::black_box;

    /// A mode that flushes subnormals: DAZ and FTZ; or AHP, DN, FZ and rounding towards zero.
    const FLUSH: u64 = if cfg!(target_arch = "x86_64") {
        0x9fc0
    } else {
        0x07c0_0000
    };
    /// The bits that tell it from [`arch::MODE`].
    const BITS: u64 = FLUSH & !arch::MODE;

    #[test]
    fn subnormals_survive_a_host_that_flushes() {
        let tiny = black_box(f32::MIN_POSITIVE);
        arch::write(FLUSH);
        let (flushed, kept) = {
            let flushed = black_box(tiny) * black_box(0.5);
            let mode = FloatMode::set();
            let kept = black_box(tiny) * black_box(0.5);
            drop(mode);
            (flushed, kept)
        };
        let restored = arch::read();
        arch::write(arch::MODE);
        assert_eq!((flushed, kept), (0.0, f32::MIN_POSITIVE / 2.0));
        assert_eq!(restored & BITS, BITS, "the former mode is back");
    }

    /// Threads begin with the mode of the one that starts them.
    #[test]
    fn workers_keep_what_their_starter_flushes() {
        use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
        use std::thread;

        arch::write(FLUSH);
        let pool = crate::backend::pool::Pool::new(3);
        arch::write(arch::MODE);
        let pool = pool.expect("threads start");
        let caller = thread::current().id();
        let (kept, flushed) = (AtomicUsize::new(0), AtomicUsize::new(0));
        for _ in 0..1000 {
            pool.run(8, &|_| {
                if thread::current().id() == caller {
                    // The others take the other parts meanwhile.
                    return thread::sleep(std::time::Duration::from_millis(1));
                }
                let half = black_box(f32::MIN_POSITIVE) * black_box(0.5);
                let count = if half == 0.0 { &flushed } else { &kept };
                count.fetch_add(1, Relaxed);
            });
            if kept.load(Relaxed) + flushed.load(Relaxed) > 0 {
                break;
            }
        }
        assert_eq!(flushed.load(Relaxed), 0);
        assert!(kept.load(Relaxed) > 0, "no other thread took a part");
    }
}
