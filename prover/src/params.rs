//! The params word (`prover/SPEC.md` section 6).
//!
//! ```text
//! | kind u8 | n_runs u16 | max_new u32 | max_total u32 | temperature u32 | top_k u32 | top_p u32 | min_p u32 | 5 zero bytes |
//! ```

use sworn_inference::engine::Sampling;

use crate::constants::{KIND_GENERATE, MAX_RUNS, MAX_TEMPERATURE_MILLI, PPM};
use crate::{Digest, Error};

/// Parameters of an input, as they stand in its params word. [`Params::check`] tells whether the machine answers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Params {
    /// What is asked for; 1 is `generate`.
    pub kind: u8,
    /// Runs: responses with different draws.
    pub n_runs: u16,
    /// Largest number of new tokens; 0 does not limit.
    pub max_new_tokens: u32,
    /// Largest number of tokens with the prompt's; 0 does not limit.
    pub max_total_tokens: u32,
    /// Temperature in 1/1000; 0 takes the most likely token.
    pub temperature_milli: u32,
    /// Only the `top_k` most likely tokens; 0 does not limit.
    pub top_k: u32,
    /// Only the most likely tokens that make up this share, in millionths; a million does not limit.
    pub top_p_ppm: u32,
    /// Only tokens with at least this share of the most likely one, in millionths; 0 does not limit.
    pub min_p_ppm: u32,
}

impl Default for Params {
    /// One response at temperature 0, as long as the context allows.
    fn default() -> Params {
        Params {
            kind: KIND_GENERATE,
            n_runs: 1,
            max_new_tokens: 0,
            max_total_tokens: 0,
            temperature_milli: 0,
            top_k: 0,
            top_p_ppm: PPM,
            min_p_ppm: 0,
        }
    }
}

impl Params {
    /// The params word.
    #[must_use]
    pub fn pack(&self) -> Digest {
        let mut word = [0; 32];
        word[0] = self.kind;
        word[1..3].copy_from_slice(&self.n_runs.to_be_bytes());
        let fields = [
            self.max_new_tokens,
            self.max_total_tokens,
            self.temperature_milli,
            self.top_k,
            self.top_p_ppm,
            self.min_p_ppm,
        ];
        for (bytes, field) in word[3..27].chunks_exact_mut(4).zip(fields) {
            bytes.copy_from_slice(&field.to_be_bytes());
        }
        Digest(word)
    }

    /// Reads a params word; the values may still be out of range, see [`Params::check`].
    ///
    /// # Errors
    /// [`Error::ReservedBytes`] when the last five bytes are not zero.
    pub fn unpack(word: Digest) -> Result<Params, Error> {
        let bytes = word.0;
        if bytes[27..] != [0; 5] {
            return Err(Error::ReservedBytes { found: word });
        }
        let field = |i: usize| {
            let at = 3 + 4 * i;
            u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        Ok(Params {
            kind: bytes[0],
            n_runs: u16::from_be_bytes([bytes[1], bytes[2]]),
            max_new_tokens: field(0),
            max_total_tokens: field(1),
            temperature_milli: field(2),
            top_k: field(3),
            top_p_ppm: field(4),
            min_p_ppm: field(5),
        })
    }

    /// The inbox's rules, in its order: what does not pass reverts there with the error of the same name.
    ///
    /// # Errors
    /// [`Error::UnsupportedKind`], [`Error::BadRunCount`], [`Error::BadSampling`] or [`Error::RunsAtZeroTemperature`].
    pub fn check(&self) -> Result<(), Error> {
        if self.kind != KIND_GENERATE {
            return Err(Error::UnsupportedKind { found: self.kind });
        }
        if self.n_runs == 0 || u32::from(self.n_runs) > MAX_RUNS {
            return Err(Error::BadRunCount {
                found: self.n_runs,
                maximum: MAX_RUNS,
            });
        }
        in_range(
            "temperature",
            self.temperature_milli,
            0,
            MAX_TEMPERATURE_MILLI,
        )?;
        if self.temperature_milli == 0 && self.n_runs > 1 {
            return Err(Error::RunsAtZeroTemperature { found: self.n_runs });
        }
        in_range("top_p", self.top_p_ppm, 1, PPM)?;
        in_range("min_p", self.min_p_ppm, 0, PPM)
    }

    /// What the engine draws tokens with.
    #[must_use]
    pub fn sampling(&self) -> Sampling {
        Sampling {
            temperature_milli: self.temperature_milli,
            top_k: self.top_k,
            top_p_ppm: self.top_p_ppm,
            min_p_ppm: self.min_p_ppm,
        }
    }
}

fn in_range(field: &'static str, found: u32, minimum: u32, maximum: u32) -> Result<(), Error> {
    if (minimum..=maximum).contains(&found) {
        Ok(())
    } else {
        Err(Error::BadSampling {
            field,
            found,
            minimum,
            maximum,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    prop_compose! {
        /// Any params, in range or not.
        pub(crate) fn any_params()(kind: u8, n_runs: u16, rest: [u32; 6]) -> Params {
            let [max_new_tokens, max_total_tokens, temperature_milli, top_k, top_p_ppm, min_p_ppm] = rest;
            Params { kind, n_runs, max_new_tokens, max_total_tokens, temperature_milli, top_k, top_p_ppm, min_p_ppm }
        }
    }

    #[test]
    fn the_word_is_as_the_specification_draws_it() {
        let params = Params {
            kind: 1,
            n_runs: 2,
            max_new_tokens: 0x0304_0506,
            max_total_tokens: 0x0708_090a,
            temperature_milli: 0x0b0c_0d0e,
            top_k: 0x0f10_1112,
            top_p_ppm: 0x1314_1516,
            min_p_ppm: 0x1718_191a,
        };
        let expected =
            "0x0100020304050607 08090a0b0c0d0e0f10111213141516171819 1a0000000000".replace(' ', "");
        assert_eq!(params.pack().to_string(), expected);
    }

    #[test]
    fn rules() {
        let good = Params {
            n_runs: 16,
            temperature_milli: 10_000,
            ..Params::default()
        };
        assert_eq!(Params::default().check(), Ok(()));
        assert_eq!(good.check(), Ok(()));
        let bad = [
            (
                Params { kind: 0, ..good },
                Error::UnsupportedKind { found: 0 },
            ),
            (
                Params { kind: 2, ..good },
                Error::UnsupportedKind { found: 2 },
            ),
            (
                Params { n_runs: 0, ..good },
                Error::BadRunCount {
                    found: 0,
                    maximum: 16,
                },
            ),
            (
                Params { n_runs: 17, ..good },
                Error::BadRunCount {
                    found: 17,
                    maximum: 16,
                },
            ),
            (
                Params {
                    temperature_milli: 0,
                    n_runs: 2,
                    ..good
                },
                Error::RunsAtZeroTemperature { found: 2 },
            ),
            (
                Params {
                    temperature_milli: 10_001,
                    ..good
                },
                Error::BadSampling {
                    field: "temperature",
                    found: 10_001,
                    minimum: 0,
                    maximum: 10_000,
                },
            ),
            (
                Params {
                    top_p_ppm: 0,
                    ..good
                },
                Error::BadSampling {
                    field: "top_p",
                    found: 0,
                    minimum: 1,
                    maximum: 1_000_000,
                },
            ),
            (
                Params {
                    top_p_ppm: 1_000_001,
                    ..good
                },
                Error::BadSampling {
                    field: "top_p",
                    found: 1_000_001,
                    minimum: 1,
                    maximum: 1_000_000,
                },
            ),
            (
                Params {
                    min_p_ppm: 1_000_001,
                    ..good
                },
                Error::BadSampling {
                    field: "min_p",
                    found: 1_000_001,
                    minimum: 0,
                    maximum: 1_000_000,
                },
            ),
        ];
        for (params, error) in bad {
            assert_eq!(params.check(), Err(error), "{params:?}");
        }
    }

    proptest! {
        #[test]
        fn words_round_trip(params in any_params()) {
            prop_assert_eq!(Params::unpack(params.pack()), Ok(params));
        }

        #[test]
        fn reserved_bytes_are_refused(params in any_params(), at in 27usize..32, value in 1u8..) {
            let mut word = params.pack();
            word.0[at] = value;
            prop_assert_eq!(Params::unpack(word), Err(Error::ReservedBytes { found: word }));
        }
    }
}
