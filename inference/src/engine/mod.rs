//! Sessions, caches, prefill, decode, selection.

/// PLACEHOLDER
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampling {
    /// a
    pub temperature_milli: u32,
    /// a
    pub top_k: u32,
    /// a
    pub top_p_ppm: u32,
    /// a
    pub min_p_ppm: u32,
}
/// PLACEHOLDER
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// a
    pub prompt: Vec<u32>,
    /// a
    pub n_runs: u32,
    /// a
    pub max_new_tokens: u32,
    /// a
    pub max_total_tokens: u32,
    /// a
    pub sampling: Sampling,
    /// a
    pub seed: [u8; 32],
}
/// a
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Finish {
    /// a
    Length = 0,
    /// a
    Stop = 1,
    /// a
    TooLong = 2,
    /// a
    Scored = 3,
}
/// a
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunResult {
    /// a
    pub n_prompt: u32,
    /// a
    pub tokens: Vec<u32>,
    /// a
    pub finish: Finish,
    /// a
    pub text: Vec<u8>,
    /// a
    pub offsets: Vec<u32>,
}
/// a
#[derive(Debug)]
pub struct TokenEvent<'a> {
    /// a
    pub run: u32,
    /// a
    pub token: u32,
    /// a
    pub piece: &'a [u8],
}
/// a
#[derive(Debug)]
pub struct Engine;
impl Engine {
    /// a
    pub fn generate(
        &self,
        _: &Job,
        _: &mut dyn FnMut(TokenEvent<'_>) -> std::ops::ControlFlow<()>,
    ) -> Result<Vec<RunResult>, crate::Error> {
        unimplemented!()
    }
}
