//! Faults of a job's fields (`prover/SPEC.md` section 10.3).
//!
//! | fault | witness |
//! |---|---|
//! | 16 expansion | empty |
//! | 17 run_shape | [`RunShape`] |

#![allow(missing_docs)] // the macro's

use alloy_primitives::U256;
use alloy_sol_types::{SolValue, sol};

use super::span::Refused;
use crate::constants::{
    FAULT_EXPANSION, FAULT_RUN_SHAPE, FINISH_LENGTH, FINISH_STOP, FINISH_TOO_LONG,
};
use crate::dispute::abi::{Job, Run};
use crate::params::Params;

sol! {
    /// 17.
    #[derive(Debug, PartialEq, Eq)]
    struct RunShape {
        uint256 run;
    }
}

/// The longest piece, in bytes.
const PIECE_BYTES: u64 = u16::MAX as u64;

/// What decides about a job: its lane's input and the model.
#[derive(Debug, Clone, Copy)]
pub struct JobFacts<'a> {
    /// The lane's input.
    pub input_id: u64,
    /// Its parameters.
    pub params: &'a Params,
    /// The model's context.
    pub context: u32,
}

impl JobFacts<'_> {
    /// Fault 16.
    #[must_use]
    pub fn expansion(&self, job: &Job) -> bool {
        job.inputId != U256::from(self.input_id)
            || job.runs.len() != usize::from(self.params.n_runs)
            || !job.scoreRoot.is_zero()
    }

    /// Fault 17: whether no run of the input has such fields.
    #[must_use]
    pub fn run_shape(&self, run: &Run) -> bool {
        let Some(fresh) = run.nTokens.checked_sub(run.nPrompt) else {
            return true;
        };
        let shape = match run.finish {
            // One token may be the BOS of a malformed payload.
            FINISH_TOO_LONG => fresh == 0 && (run.nPrompt > self.context || run.nPrompt == 1),
            FINISH_LENGTH => self.limit(run.nPrompt) == Some(fresh),
            FINISH_STOP => fresh > 0 && self.limit(run.nPrompt).is_some_and(|most| fresh <= most),
            _ => false,
        };
        let right = shape
            && run.nPrompt > 0
            && run.score == 0
            && !run.greedy
            && run.textLength <= PIECE_BYTES * u64::from(fresh)
            && (fresh > 0 || run.offsetsRoot.is_zero())
            && (run.textLength > 0 || run.textRoot.is_zero());
        !right
    }

    /// The most new tokens after a prompt (section 5); none for a prompt that is too long.
    #[must_use]
    pub fn limit(&self, n_prompt: u32) -> Option<u32> {
        let room = self.context.checked_sub(n_prompt)?;
        let or_none = |limit: u32| Some(limit).filter(|limit| *limit != 0);
        let new = or_none(self.params.max_new_tokens);
        let total = or_none(self.params.max_total_tokens);
        let total = total.map(|total| total.saturating_sub(n_prompt));
        [new, total].into_iter().flatten().chain([room]).min()
    }

    /// The fault that a job's fields show by themselves, with its witness.
    #[must_use]
    pub fn find(&self, job: &Job) -> Option<(u8, Vec<u8>)> {
        if self.expansion(job) {
            return Some((FAULT_EXPANSION, Vec::new()));
        }
        let run = job.runs.iter().position(|run| self.run_shape(run))?;
        Some((FAULT_RUN_SHAPE, run_shape_witness(run)))
    }

    /// What `JobFaults` says of a witness.
    ///
    /// # Errors
    /// [`Refused`] where the contract reverts.
    pub fn judge(&self, job: &Job, fault: u8, witness: &[u8]) -> Result<bool, Refused> {
        match fault {
            FAULT_EXPANSION => Ok(self.expansion(job)),
            FAULT_RUN_SHAPE => {
                let index = RunShape::abi_decode_validate(witness)
                    .ok()
                    .filter(|_| witness.len() == 32)
                    .ok_or(Refused("length"))?
                    .run;
                let run = usize::try_from(index).ok().and_then(|i| job.runs.get(i));
                Ok(self.run_shape(run.ok_or(Refused("run"))?))
            }
            _ => Err(Refused("fault")),
        }
    }
}

/// The witness of fault 17 in run number `run`.
#[must_use]
pub fn run_shape_witness(run: usize) -> Vec<u8> {
    RunShape {
        run: U256::from(run),
    }
    .abi_encode()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(max_new_tokens: u32, max_total_tokens: u32) -> Params {
        Params {
            max_new_tokens,
            max_total_tokens,
            ..Params::default()
        }
    }

    fn facts(params: &Params) -> JobFacts<'_> {
        JobFacts {
            input_id: 7,
            params,
            context: 100,
        }
    }

    #[test]
    fn limits() {
        for (new, total, prompt, limit) in [
            (0, 0, 10, Some(90)),
            (5, 0, 10, Some(5)),
            (0, 12, 10, Some(2)),
            (5, 12, 10, Some(2)),
            (5, 8, 10, Some(0)),
            (500, 500, 10, Some(90)),
            (0, 0, 100, Some(0)),
            (0, 0, 101, None),
        ] {
            assert_eq!(facts(&params(new, total)).limit(prompt), limit);
        }
    }
}
