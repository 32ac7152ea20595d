//! Batches of calls of the numeric libraries, compared with references.

use alloy_primitives::{Address, U256};
use alloy_sol_types::sol;

use crate::Evm;
use crate::vectors::Rng;

sol! {
    /// `contracts/src/testing/NumericHarness.sol`.
    #[allow(missing_docs, clippy::too_many_arguments)]
    interface INumericHarness {
        function scalars(uint256 number, bytes calldata records) external view returns (bytes memory out, uint256 gasUsed);
        function costs(uint256 number, uint256[] memory operands) external view returns (uint256 gasUsed, uint256 sink);
        function fromInts(int256[] calldata values) external pure returns (uint256[] memory out);
        function sums(uint256 number, bytes calldata a, uint256 strideA, bytes calldata b, uint256 strideB, uint256 count, uint256 start)
            external view returns (uint256[] memory out, uint256 gasUsed);
    }
}

/// What a function of three words of 32 bits gives, as a signed number.
pub type Reference = fn(u32, u32, u32) -> i64;

/// A function of the libraries, what it must give, and references with a bug that the vectors must find.
#[derive(Debug)]
pub struct Scalar {
    /// Its name.
    pub name: &'static str,
    /// Its number in the harness.
    pub number: u32,
    /// The CPU's answer.
    pub reference: Reference,
    /// The i-th operands.
    pub operands: fn(&mut Rng, usize) -> [u32; 3],
    /// Wrong references.
    pub mutants: &'static [(&'static str, Reference)],
}

/// A harness in a world of its own.
#[derive(Debug)]
pub struct Harness {
    evm: Evm,
    address: Address,
}

impl Default for Harness {
    fn default() -> Harness {
        Harness::new()
    }
}

/// Records of a batch.
const BATCH: usize = 4096;

impl Harness {
    /// Deploys the harness.
    pub fn new() -> Harness {
        let mut evm = Evm::new();
        let address = evm
            .deploy_artifact("NumericHarness", &[])
            .expect("the harness has no constructor");
        Harness { evm, address }
    }

    /// The function's words for a batch, and the gas of one.
    pub fn scalars(&mut self, number: u32, operands: &[[u32; 3]]) -> (Vec<U256>, f64) {
        let bytes: Vec<u8> = operands
            .iter()
            .flatten()
            .flat_map(|w| w.to_be_bytes())
            .collect();
        let call = INumericHarness::scalarsCall {
            number: U256::from(number),
            records: bytes.into(),
        };
        let (answer, _) = self.evm.ask(self.address, &call).expect("a total function");
        let words = answer
            .out
            .chunks_exact(32)
            .map(U256::from_be_slice)
            .collect();
        (
            words,
            answer.gasUsed.to::<u64>() as f64 / operands.len() as f64,
        )
    }

    /// Mean gas of function `number` of the harness's `costs`, without the loop.
    pub fn cost(&mut self, number: u32, operands: &[(u32, u32)]) -> f64 {
        let operands: Vec<U256> = operands
            .iter()
            .flat_map(|&(a, b)| [U256::from(a), U256::from(b)])
            .collect();
        let mut loop_gas = |number: u32| {
            let call = INumericHarness::costsCall {
                number: U256::from(number),
                operands: operands.clone(),
            };
            let (answer, _) = self.evm.ask(self.address, &call).expect("a total function");
            answer.gasUsed.to::<u64>() as f64
        };
        // Of the loops the later ones also pay for the comparisons before, once.
        (loop_gas(number) - loop_gas(0)) / (operands.len() / 2) as f64
    }

    /// fromInt of words.
    pub fn from_ints(&mut self, values: &[alloy_primitives::I256]) -> Vec<U256> {
        let call = INumericHarness::fromIntsCall {
            values: values.to_vec(),
        };
        self.evm
            .ask(self.address, &call)
            .expect("a total function")
            .0
    }

    /// A sum for many lists; `b` is shared when `stride_b` is 0. The second value is the gas of one.
    ///
    /// # Errors
    /// The call reverted.
    pub fn sums(
        &mut self,
        number: u32,
        (a, stride_a): (Vec<u8>, usize),
        (b, stride_b): (Vec<u8>, usize),
        count: usize,
        start: u32,
    ) -> Result<(Vec<U256>, f64), crate::Failure> {
        let lists = a.len() / stride_a;
        let call = INumericHarness::sumsCall {
            number: U256::from(number),
            a: a.into(),
            strideA: U256::from(stride_a),
            b: b.into(),
            strideB: U256::from(stride_b),
            count: U256::from(count),
            start: U256::from(start),
        };
        let (answer, _) = self.evm.ask(self.address, &call)?;
        Ok((answer.out, answer.gasUsed.to::<u64>() as f64 / lists as f64))
    }

    /// Compares `n` vectors of a function with its reference, and sees that every mutant differs somewhere. Gives the mean gas.
    ///
    /// # Panics
    /// A difference, or a mutant that was not found.
    pub fn check(&mut self, scalar: &Scalar, n: usize) -> f64 {
        let mut rng = Rng(u64::from(scalar.number) + 42);
        let mut found = vec![false; scalar.mutants.len()];
        let (mut gas, mut batches, mut done) = (0.0, 0, 0);
        while done < n {
            let operands: Vec<[u32; 3]> = (done..done + BATCH)
                .map(|i| (scalar.operands)(&mut rng, i))
                .collect();
            let (words, each) = self.scalars(scalar.number, &operands);
            for ([a, b, c], word) in operands.into_iter().zip(words) {
                let expected = (scalar.reference)(a, b, c);
                assert_eq!(
                    word,
                    signed(expected),
                    "{}({a:#010x}, {b:#010x}, {c:#010x}): the EVM gives {word:#x}, the CPU {expected:#x}",
                    scalar.name
                );
                for (seen, (_, mutant)) in found.iter_mut().zip(scalar.mutants) {
                    *seen |= !*seen && word != signed(mutant(a, b, c));
                }
            }
            gas += each;
            batches += 1;
            done += BATCH;
        }
        for (seen, (bug, _)) in found.iter().zip(scalar.mutants) {
            assert!(
                seen,
                "{}: {n} vectors do not find the bug {bug:?}",
                scalar.name
            );
        }
        gas / f64::from(batches)
    }
}

/// A signed number as a word.
pub fn signed(value: i64) -> U256 {
    let word = U256::from(value.unsigned_abs());
    if value < 0 {
        U256::ZERO.wrapping_sub(word)
    } else {
        word
    }
}
