//! What is measured: tests, their costs, and how our engine runs them.

use std::ops::ControlFlow;
use std::time::Instant;

use sworn_inference::engine::{Engine, Job, Network, Row, Sampling, Session, select};

use super::Result;

/// The best token, always.
pub(crate) const GREEDY: Sampling = Sampling {
    temperature_milli: 0,
    top_k: 0,
    top_p_ppm: 1_000_000,
    min_p_ppm: 0,
};

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

pub(crate) fn network(engine: &Engine) -> Network<'_> {
    Network {
        program: engine.model().program(),
        weights: engine.model().weights(),
    }
}

/// Greedy tokens after token 1, into `tokens`.
fn decode(engine: &Engine, count: u32, tokens: &mut Vec<u32>) -> Result<Cost> {
    let (mut session, mut scratch) = (
        Session::new(network(engine), &**engine.backend()),
        Vec::new(),
    );
    let sequence = session.start();
    let (mut token, start) = (1, start());
    for _ in 0..count {
        let logits = session.forward(&[Row { sequence, token }], &[0], None)?;
        token = select(logits, &GREEDY, || 0, &mut scratch);
        tokens.push(token);
    }
    Ok(Cost::since(start))
}

/// Runs a test with our engine. For [`Test::Verify`] that is the decoding only.
pub(crate) fn run(engine: &Engine, test: Test) -> Result<Cost> {
    if let Test::Decode(count) | Test::Verify(count) = test {
        return decode(engine, count, &mut Vec::with_capacity(count as usize));
    }
    let (mut session, mut scratch) = (
        Session::new(network(engine), &**engine.backend()),
        Vec::new(),
    );
    let sequence = session.start();
    let vocabulary = engine.model().program().vocab_size();
    let start = start();
    match test {
        Test::Batch(sequences, count) => {
            let wanted: Vec<usize> = (0..sequences).collect();
            let mut rows = vec![Row { sequence, token: 1 }];
            rows.extend((1..sequences).map(|i| Row {
                sequence: session.start(),
                token: i as u32,
            }));
            for _ in 0..count as usize / sequences {
                let logits = session.forward(&rows, &wanted, None)?;
                for (row, logits) in rows.iter_mut().zip(logits.chunks(vocabulary as usize)) {
                    row.token = select(logits, &GREEDY, || 0, &mut scratch);
                }
            }
        }
        Test::Prefill(count) => {
            let rest = (0..count - 1).map(|i| 259 + i * 37 % 1000 % (vocabulary - 259));
            let prompt: Vec<u32> = std::iter::once(1).chain(rest).collect();
            let logits = session.prefill(sequence, &prompt)?;
            select(logits, &GREEDY, || 0, &mut scratch);
        }
        Test::Decode(_) | Test::Verify(_) => {}
    }
    Ok(Cost::since(start))
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
        sampling: GREEDY,
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
