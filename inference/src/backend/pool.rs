//! A pool of persistent threads that share the parts of one job at a time.

use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::*};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::FloatMode;

/// How often an idle worker looks for work before it sleeps; a few tens of microseconds.
const SPINS: u32 = 1500;

type Job = *const (dyn Fn(usize) + Sync);

/// Threads that run the parts of a job. One caller at a time; the caller works too.
#[derive(Debug)]
pub(super) struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    turn: Mutex<()>,
}

#[derive(Debug)]
struct Shared {
    /// Job number in the high half, parts not yet claimed in the low half. A part belongs to whoever lowers the low half by one.
    state: AtomicU64,
    /// Parts that are finished.
    finished: AtomicUsize,
    /// The job. Written by the caller while no part is claimed or claimable; read only between claiming a part and finishing it.
    job: UnsafeCell<Option<Job>>,
    panicked: AtomicBool,
    sleeping: AtomicUsize,
    stop: AtomicBool,
}

// SAFETY: `job` is the only part that is not thread-safe by itself. Its accesses are ordered: the caller writes it before it publishes `state`
// (release), a worker reads it after a successful claim on `state` (acquire) and before it adds to `finished` (release), and the caller
// writes again only after it saw all parts finished (acquire). The pointee is `Sync`.
unsafe impl Sync for Shared {}
// SAFETY: the pointer in `job` is only followed while the caller of `run` waits and keeps the closure alive.
unsafe impl Send for Shared {}

impl Shared {
    /// Claims and runs parts of the current job until none is left.
    fn work(&self) {
        let mut state = self.state.load(Acquire);
        while state as u32 > 0 {
            match self
                .state
                .compare_exchange_weak(state, state - 1, AcqRel, Acquire)
            {
                Err(now) => state = now,
                Ok(_) => {
                    // SAFETY: see `job`: this thread holds a claimed, unfinished part, so the caller waits in `run`, the cell is not
                    // written, and the closure that it points to is alive.
                    let job = unsafe { (*self.job.get()).map(|job| &*job) };
                    let part = (state as u32 - 1) as usize;
                    if let Some(job) = job
                        && catch_unwind(AssertUnwindSafe(|| job(part))).is_err()
                    {
                        self.panicked.store(true, Relaxed);
                    }
                    self.finished.fetch_add(1, Release);
                    state = self.state.load(Acquire);
                }
            }
        }
    }

    fn worker(&self) {
        let _mode = FloatMode::set();
        let mut spins = 0;
        while !self.stop.load(Relaxed) {
            if self.state.load(Acquire) as u32 > 0 {
                self.work();
                spins = 0;
            } else if spins < SPINS {
                spins += 1;
                std::hint::spin_loop();
            } else {
                self.sleeping.fetch_add(1, SeqCst);
                // Publishing is followed by a look at `sleeping`: either that look sees this thread, or this look sees the job.
                if self.state.load(SeqCst) as u32 == 0 && !self.stop.load(SeqCst) {
                    std::thread::park();
                }
                self.sleeping.fetch_sub(1, SeqCst);
                spins = 0;
            }
        }
    }
}

impl Pool {
    /// A pool of `threads` threads, the caller's among them.
    pub(super) fn new(threads: usize) -> std::io::Result<Pool> {
        let shared = Arc::new(Shared {
            state: AtomicU64::new(0),
            finished: AtomicUsize::new(0),
            job: UnsafeCell::new(None),
            panicked: AtomicBool::new(false),
            sleeping: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
        });
        let mut pool = Pool {
            shared,
            workers: Vec::new(),
            turn: Mutex::new(()),
        };
        for i in 1..threads.max(1) {
            let shared = Arc::clone(&pool.shared);
            let thread = std::thread::Builder::new().name(format!("sworn-{i}"));
            pool.workers.push(thread.spawn(move || shared.worker())?);
        }
        Ok(pool)
    }

    /// Threads that work, the caller's among them.
    pub(super) fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Runs `job(0..parts)`, each part once, on all threads; returns when all are finished.
    ///
    /// # Panics
    /// When a part panics.
    pub(super) fn run(&self, parts: usize, job: &(dyn Fn(usize) + Sync)) {
        if parts <= 1 || self.workers.is_empty() {
            return (0..parts).for_each(job);
        }
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = &*self.shared;
        // SAFETY: only the lifetime changes. This function returns after all parts are finished, and `job` is followed by nobody after that.
        let job: &'static (dyn Fn(usize) + Sync) = unsafe { std::mem::transmute(job) };
        // SAFETY: `turn` keeps other callers out, and all parts of the job before are finished: nobody reads the cell.
        unsafe { *shared.job.get() = Some(job) };
        shared.finished.store(0, Relaxed);
        let number = (shared.state.load(Relaxed) >> 32).wrapping_add(1);
        shared.state.store(number << 32 | parts as u64, SeqCst);
        if shared.sleeping.load(SeqCst) > 0 {
            self.workers
                .iter()
                .for_each(|worker| worker.thread().unpark());
        }
        shared.work();
        let mut spins = 0u32;
        while shared.finished.load(Acquire) < parts {
            spins += 1;
            if spins > SPINS {
                std::thread::yield_now()
            } else {
                std::hint::spin_loop()
            }
        }
        if shared.panicked.swap(false, Relaxed) {
            resume_unwind(Box::new("a part of a parallel job panicked"));
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, SeqCst);
        for worker in self.workers.drain(..) {
            worker.thread().unpark();
            // A worker catches the panics of its parts and has no others.
            let _ = worker.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_runs_once() {
        for threads in [1, 2, 3, 8] {
            let pool = Pool::new(threads).expect("threads start");
            assert_eq!(pool.threads(), threads);
            for parts in [0, 1, 2, 7, 100] {
                for _ in 0..50 {
                    let counts: Vec<AtomicUsize> =
                        (0..parts).map(|_| AtomicUsize::new(0)).collect();
                    pool.run(parts, &|part| {
                        counts[part].fetch_add(1, Relaxed);
                    });
                    assert!(counts.iter().all(|count| count.load(Relaxed) == 1));
                }
            }
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
        let pool = Pool::new(3).expect("threads start");
        let result = catch_unwind(AssertUnwindSafe(|| pool.run(9, &|part| assert!(part != 4))));
        assert!(result.is_err());
        let count = AtomicUsize::new(0);
        pool.run(9, &|_| {
            count.fetch_add(1, Relaxed);
        });
        assert_eq!(count.load(Relaxed), 9);
    }

    #[test]
    fn callers_take_turns() {
        let pool = Pool::new(2).expect("threads start");
        let count = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        pool.run(5, &|_| {
                            count.fetch_add(1, Relaxed);
                        });
                    }
                });
            }
        });
        assert_eq!(count.load(Relaxed), 4000);
    }
}
