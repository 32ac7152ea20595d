//! The instruction sets of this processor, chosen at run time.

#[cfg(target_arch = "aarch64")]
use super::neon::Neon;
use super::simd::{Portable, Simd};
#[cfg(target_arch = "x86_64")]
use super::x86::{Avx2, Avx512};

/// An instruction set that this processor has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Isa {
    /// Plain Rust.
    Portable(Portable),
    /// AVX2.
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    /// AVX-512 with VNNI.
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    /// NEON.
    #[cfg(target_arch = "aarch64")]
    Neon(Neon<false>),
    /// NEON with dot products.
    #[cfg(target_arch = "aarch64")]
    Dotprod(Neon<true>),
}

/// A loop that is compiled for every instruction set.
pub(super) trait Loop {
    /// What it gives.
    type Output;

    /// Runs it. Implementations are `#[inline(always)]`, so that they are compiled with the set's instructions.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

impl Isa {
    /// The sets that this processor has, the plainest first.
    pub(super) fn all() -> Vec<Isa> {
        #[allow(unused_mut, reason = "other processors have one set")]
        let mut sets = vec![Isa::Portable(Portable)];
        #[cfg(target_arch = "x86_64")]
        {
            sets.extend(Avx2::detect().map(Isa::Avx2));
            sets.extend(Avx512::detect().map(Isa::Avx512));
        }
        #[cfg(target_arch = "aarch64")]
        {
            sets.push(Isa::Neon(Neon::new()));
            sets.extend(Neon::detect().map(Isa::Dotprod));
        }
        sets
    }

    /// The last of [`Isa::all`].
    pub(super) fn best() -> Isa {
        Isa::all().pop().unwrap_or(Isa::Portable(Portable))
    }

    /// Name for reports.
    pub(super) fn name(self) -> &'static str {
        match self {
            Isa::Portable(_) => "portable",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512(_) => "avx512",
            #[cfg(target_arch = "aarch64")]
            Isa::Neon(_) => "neon",
            #[cfg(target_arch = "aarch64")]
            Isa::Dotprod(_) => "dotprod",
        }
    }

    /// Runs a loop with this set.
    #[inline(always)]
    pub(super) fn run<L: Loop>(self, work: L) -> L::Output {
        match self {
            Isa::Portable(simd) => work.run(simd),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(simd) => simd.run(
                #[inline(always)]
                || work.run(simd),
            ),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512(simd) => simd.run(
                #[inline(always)]
                || work.run(simd),
            ),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon(simd) => work.run(simd),
            #[cfg(target_arch = "aarch64")]
            Isa::Dotprod(simd) => simd.run(
                #[inline(always)]
                || work.run(simd),
            ),
        }
    }

    /// Runs plain loops over elements, compiled (and vectorised by the compiler) for this set.
    #[inline(always)]
    pub(super) fn each(self, f: impl FnOnce()) {
        struct Each<F>(F);
        impl<F: FnOnce()> Loop for Each<F> {
            type Output = ();

            #[inline(always)]
            fn run<S: Simd>(self, _: S) {
                (self.0)();
            }
        }
        self.run(Each(f));
    }
}
