//! Every backend stores the bits of the naive twin, for odd shapes and special values, with any number of threads.
//!
//! `SWORN_CASES=n` makes the random tests n times as long.

mod attention;
mod matmul;
mod rows;

use std::sync::OnceLock;

use proptest::prelude::*;

use super::*;
use crate::format::packed::Layout;
use crate::program::{WeightFormat, WeightShape};

/// Most threads and rows of the tests.
const THREADS: usize = 8;
const ROWS: usize = 33;

/// A configuration with so many cases, or `SWORN_CASES` times as many.
fn cases(cases: u32) -> ProptestConfig {
    let times = std::env::var("SWORN_CASES").map_or(Ok(1), |text| text.parse());
    ProptestConfig::with_cases(cases * times.expect("SWORN_CASES is a number"))
}

/// The backends of every instruction set with that many threads; started once for all tests.
fn backends(threads: usize) -> &'static [Threaded] {
    static ALL: [OnceLock<Vec<Threaded>>; THREADS] = [const { OnceLock::new() }; THREADS];
    ALL[threads - 1].get_or_init(|| Threaded::all(threads).expect("threads start"))
}

/// Runs `f` with the scalar backend and every instruction set, with one thread and with `threads` of them, and compares.
fn same<T: PartialEq + std::fmt::Debug>(
    threads: usize,
    f: impl Fn(&dyn Backend) -> T,
) -> Result<(), TestCaseError> {
    let expected = f(&Scalar);
    for backend in backends(1).iter().chain(backends(threads)) {
        prop_assert_eq!(&f(backend), &expected, "{}", backend.name());
    }
    Ok(())
}

/// The same with every number of threads.
fn same_for_all_threads<T: PartialEq>(what: &str, f: impl Fn(&dyn Backend) -> T) {
    let expected = f(&Scalar);
    for backend in (1..=THREADS).flat_map(backends) {
        // Outputs are too long to print.
        assert!(f(backend) == expected, "{what}, {}", backend.name());
    }
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    /// A number that activations have; with `special`, now and then one that they should not have.
    fn number(&mut self, special: bool) -> f32 {
        const SPECIAL: [u32; 12] = [
            0,
            0x8000_0000,
            1,
            0x8000_0001,
            0x007f_ffff,
            0x0080_0000,
            0x7f7f_ffff,
            0xff7f_ffff,
            0x7f80_0000,
            0xff80_0000,
            0x7fc0_0000,
            0x3f80_0000,
        ];
        match self.next() % 97 {
            0..12 if special => f32::from_bits(SPECIAL[self.next() as usize % SPECIAL.len()]),
            12..16 if special => f32::from_bits(self.next() as u32 & 0x83ff_ffff),
            16..18 if special => f32::from_bits(self.next() as u32),
            _ => (self.next() % 2001) as f32 / 500.0 - 2.0,
        }
    }

    fn numbers(&mut self, n: usize, special: bool) -> Vec<f32> {
        (0..n).map(|_| self.number(special)).collect()
    }

    /// Bytes of a packed tensor; scales are small finite f16 or f32 numbers unless `special`.
    fn packed(&mut self, layout: &Layout, special: bool) -> Vec<u8> {
        if layout.shape.format == WeightFormat::F32 {
            return self
                .numbers(layout.bytes() / 4, special)
                .into_iter()
                .flat_map(f32::to_le_bytes)
                .collect();
        }
        let wide = layout.shape.format == WeightFormat::Q8F;
        let mask = |i: usize| match (special, wide, i % 4) {
            (true, ..) | (_, true, 0 | 1) | (_, false, 0 | 2) => 0xff,
            _ => 0xbb,
        };
        (0..layout.bytes())
            .map(|i| (self.next() as u8) & mask(i))
            .collect()
    }
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}
