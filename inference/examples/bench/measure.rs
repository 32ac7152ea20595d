//! What is measured: tests, their costs, and how our engine runs them.

use std::ops::ControlFlow;
use std::time::Instant;

use sworn_inference::engine::{CHUNK_ROWS, Engine, Job, Row, Sampling};

use super::Result;

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Test {
    /// Greedy tokens, one at a time, after one token of prompt.
    Decode(u32),
    /// A prompt of that many tokens.
    Prefill(u32),
    /// Greedy tokens of that many sequences at once, in all.
    Batch(usize, u32),
    /// A check of a run of that many tokens, made by decoding.
    Verify(u32),
}

impl Test {
    /// Tokens.
    pub(crate) fn count(self) -> u32 {
        match self {
            Test::Decode(count)
            | Test::Prefill(count)
            | Test::Batch(_, count)
            | Test::Verify(count) => count,
        }
    }

    /// Less of the same.
    pub(crate) fn warm_up(self) -> Test {
        match self {
            Test::Decode(count) => Test::Decode((count / 4).max(1)),
            Test::Prefill(count) => Test::Prefill((count / 4).max(1)),
            Test::Batch(sequences, count) => {
                Test::Batch(sequences, (count / 4).max(sequences as u32))
            }
            Test::Verify(count) => Test::Verify((count / 16).max(1)),
        }
    }

    /// How often the weights are read from memory, and how many rows go through them, by our engine or its peer.
    pub(crate) fn passes(self) -> (u32, u32) {
        match self {
            Test::Decode(count) => (count, count),
            Test::Prefill(count) => (count.div_ceil(128), count),
            Test::Batch(sequences, count) => (count / sequences as u32, count),
            Test::Verify(count) => (count + count.div_ceil(128), 2 * count),
        }
    }
}

/// Time and processor time of some work, in seconds.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) time: f64,
    pub(crate) busy: f64,
}

impl Cost {
    fn since((start, start_busy): (Instant, f64)) -> Cost {
        Cost {
            time: start.elapsed().as_secs_f64(),
            busy: busy() - start_busy,
        }
    }

    /// What is compared: processor time of one thread where the system tells it (other programs disturb that little), else time.
    pub(crate) fn of(self, threads: usize) -> f64 {
        if threads == 1 && !busy().is_nan() {
            self.busy
        } else {
            self.time
        }
    }
}

fn start() -> (Instant, f64) {
    (Instant::now(), busy())
}

/// Seconds of processor time of this thread; NaN where the system does not tell.
pub(crate) fn busy() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ns = stat.split(' ').next().and_then(|ns| ns.parse::<f64>().ok());
    ns.map_or(f64::NAN, |ns| ns / 1e9)
}

pub(crate) fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.retain(|number| !number.is_nan());
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Greedy tokens after token 1, into `tokens`.
fn decode(engine: &Engine, count: u32, tokens: &mut Vec<u32>) -> Result<Cost> {
    let mut runner = engine.runner();
    let sequence = runner.start();
    let (mut token, start) = (1, start());
    for _ in 0..count {
        runner.run(&[Row { sequence, token }], &[0])?;
        token = runner.select(0, &Sampling::GREEDY, &mut || 0)?;
        tokens.push(token);
    }
    Ok(Cost::since(start))
}

fn decode_batch(engine: &Engine, sequences: usize, count: u32) -> Result<Cost> {
    let mut runner = engine.runner();
    let wanted: Vec<usize> = (0..sequences).collect();
    let mut rows: Vec<Row> = (0..sequences)
        .map(|i| Row {
            sequence: runner.start(),
            token: i.max(1) as u32,
        })
        .collect();
    let start = start();
    for _ in 0..count as usize / sequences {
        runner.run(&rows, &wanted)?;
        for (i, row) in rows.iter_mut().enumerate() {
            row.token = runner.select(i, &Sampling::GREEDY, &mut || 0)?;
        }
    }
    Ok(Cost::since(start))
}

fn prefill(engine: &Engine, count: u32) -> Result<Cost> {
    let mut runner = engine.runner();
    let sequence = runner.start();
    let others = engine.model().program().vocab_size() - 259;
    let rest = (0..count - 1).map(|i| 259 + i * 37 % 1000 % others);
    let rows: Vec<Row> = std::iter::once(1)
        .chain(rest)
        .map(|token| Row { sequence, token })
        .collect();
    let start = start();
    let chunks = rows.chunks(CHUNK_ROWS);
    let last = chunks.len() - 1;
    for (i, chunk) in chunks.enumerate() {
        let wanted = [chunk.len() - 1];
        runner.run(chunk, if i == last { &wanted } else { &[] })?;
    }
    runner.select(0, &Sampling::GREEDY, &mut || 0)?;
    Ok(Cost::since(start))
}

/// Runs a test with our engine. For [`Test::Verify`] that is the decoding only.
pub(crate) fn run(engine: &Engine, test: Test) -> Result<Cost> {
    match test {
        Test::Decode(count) | Test::Verify(count) => {
            decode(engine, count, &mut Vec::with_capacity(count as usize))
        }
        Test::Batch(sequences, count) => decode_batch(engine, sequences, count),
        Test::Prefill(count) => prefill(engine, count),
    }
}

/// Decodes a run and checks it as a claim is checked; gives what checking and what decoding cost.
pub(crate) fn verify(engine: &Engine, count: u32) -> Result<(Cost, Cost)> {
    let mut tokens = Vec::with_capacity(count as usize);
    let decoding = decode(engine, count, &mut tokens)?;
    let job = Job {
        prompt: vec![1],
        n_runs: 1,
        max_new_tokens: count,
        max_total_tokens: 0,
        sampling: Sampling::GREEDY,
        seed: [0; 32],
    };
    let start = start();
    let wrong = engine.check_tokens(&job, &[&tokens], &mut |_, _| ControlFlow::Continue(()))?;
    let checking = Cost::since(start);
    match wrong.first() {
        Some(None) => Ok((checking, decoding)),
        _ => Err(format!(
            "the check of a run differs from its decoding: {wrong:?}; please report it"
        )
        .into()),
    }
}
