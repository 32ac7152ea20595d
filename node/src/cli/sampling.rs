//! Sampling parameters on the command line: decimals for people, integers for the machine (`prover/SPEC.md` section 6).

use clap::Args;

use super::decimal::scaled;

/// Largest number of runs of one prompt.
pub(crate) const MAX_RUNS: u16 = 16;

/// Flags of `generate` and `ask`.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Sampling")]
pub(crate) struct SamplingArgs {
    /// Randomness, 0 to 10 in steps of 0.001; 0 takes the likeliest token.
    #[arg(long, value_name = "T", value_parser = temperature)]
    pub(crate) temperature: Option<u32>,
    /// Keep the K likeliest tokens; 0 keeps all.
    #[arg(long, value_name = "K", default_value_t = 0)]
    pub(crate) top_k: u32,
    /// Keep the likeliest tokens up to this share of the probability, above 0 to 1 in millionths.
    #[arg(long, value_name = "P", default_value = "1", value_parser = top_p)]
    pub(crate) top_p: u32,
    /// Keep tokens that are at least this likely relative to the best, 0 to 1 in millionths.
    #[arg(long, value_name = "P", default_value = "0", value_parser = min_p)]
    pub(crate) min_p: u32,
    /// Most new tokens of a response; 0 is up to the model's context.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) max_new: u32,
    /// Most tokens of prompt and response together; 0 is up to the model's context.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) max_total: u32,
}

/// Parameters as the machine takes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub(crate) struct RunParams {
    pub(crate) n_runs: u16,
    pub(crate) max_new_tokens: u32,
    pub(crate) max_total_tokens: u32,
    pub(crate) temperature_milli: u32,
    pub(crate) top_k: u32,
    pub(crate) top_p_ppm: u32,
    pub(crate) min_p_ppm: u32,
}

impl SamplingArgs {
    /// Checks what only holds for all flags together.
    pub(crate) fn params(
        &self,
        n_runs: u16,
        default_temperature_milli: u32,
    ) -> Result<RunParams, String> {
        let temperature_milli = self.temperature.unwrap_or(default_temperature_milli);
        if n_runs > 1 && temperature_milli == 0 {
            return Err(format!(
                "found {n_runs} responses at temperature 0, expected 1: they would all be equal; give --temperature 0.8 or -n 1"
            ));
        }
        Ok(RunParams {
            n_runs,
            max_new_tokens: self.max_new,
            max_total_tokens: self.max_total,
            temperature_milli,
            top_k: self.top_k,
            top_p_ppm: self.top_p,
            min_p_ppm: self.min_p,
        })
    }
}

/// Parses a number of responses.
pub(crate) fn n_runs(text: &str) -> Result<u16, String> {
    let found = text
        .parse::<u16>()
        .ok()
        .filter(|n| (1..=MAX_RUNS).contains(n));
    found.ok_or_else(|| format!("found `{text}`, expected 1 to {MAX_RUNS} responses"))
}

fn temperature(text: &str) -> Result<u32, String> {
    in_range(text, 3, 0, 10_000, "0 to 10")
}

fn top_p(text: &str) -> Result<u32, String> {
    in_range(text, 6, 1, 1_000_000, "0.000001 to 1")
}

fn min_p(text: &str) -> Result<u32, String> {
    in_range(text, 6, 0, 1_000_000, "0 to 1")
}

fn in_range(text: &str, digits: usize, least: u64, most: u64, range: &str) -> Result<u32, String> {
    let value = scaled(text, digits)?;
    let inside = (least..=most).contains(&value);
    u32::try_from(value)
        .ok()
        .filter(|_| inside)
        .ok_or_else(|| format!("found {text}, expected {range}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_the_machine() {
        assert_eq!(temperature("0.8"), Ok(800));
        assert_eq!(temperature("10"), Ok(10_000));
        assert!(temperature("10.001").unwrap_err().contains("0 to 10"));
        assert!(temperature("-0.1").is_err());
        assert_eq!(top_p("0.95"), Ok(950_000));
        assert!(top_p("0").is_err() && top_p("1.000001").is_err());
        assert_eq!(min_p("0"), Ok(0));
        assert!(n_runs("0").is_err() && n_runs("17").is_err() && n_runs("x").is_err());
        assert_eq!(n_runs("16"), Ok(16));
    }
}
