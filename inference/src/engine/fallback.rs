//! A runner on an accelerator that goes on on the processor, with the same bits, when the accelerator fails.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::{Accelerator, CHUNK_ROWS, Engine, Row, Runner, Sampling, Session};
use crate::Error;

/// Receives why an accelerator was given up.
pub type OnFailure = Box<dyn Fn(&Error) + Send + Sync>;

/// An engine's accelerator.
pub(super) struct Accelerated {
    device: Arc<dyn Accelerator>,
    failed: AtomicBool,
    on_failure: Mutex<OnFailure>,
}

impl std::fmt::Debug for Accelerated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = f.debug_struct("Accelerated");
        out.field("device", &self.device)
            .field("failed", &self.failed);
        out.finish_non_exhaustive()
    }
}

impl Accelerated {
    pub(super) fn new(device: Arc<dyn Accelerator>, on_failure: OnFailure) -> Accelerated {
        Accelerated {
            device,
            failed: AtomicBool::new(false),
            on_failure: Mutex::new(on_failure),
        }
    }

    /// The device's name, unless it failed.
    pub(super) fn name(&self) -> Option<String> {
        (!self.failed.load(Ordering::Relaxed)).then(|| self.device.name())
    }

    /// A runner; none when the device failed before, or fails now.
    fn runner(&self) -> Option<Box<dyn Runner + '_>> {
        if self.failed.load(Ordering::Relaxed) {
            return None;
        }
        self.device.runner().map_err(|error| self.note(&error)).ok()
    }

    /// Reports a failure. A device without memory may have some for the next runner; one that failed is left alone.
    fn note(&self, error: &Error) {
        if !matches!(error, Error::DeviceMemory { .. }) {
            self.failed.store(true, Ordering::Relaxed);
        }
        if let Ok(on_failure) = self.on_failure.lock() {
            on_failure(error);
        }
    }
}

/// A sequence and what it consists of, from which another runner can make it again.
#[derive(Debug, Default)]
struct Known {
    tokens: Vec<u32>,
    /// Its number in the runner that computes; none when it ended.
    number: Option<usize>,
}

/// See the module.
#[derive(Debug)]
struct Fallback<'e> {
    engine: &'e Engine,
    accelerated: &'e Accelerated,
    /// What computes: the accelerator's, later the processor's.
    runner: Box<dyn Runner + 'e>,
    on_device: bool,
    sequences: Vec<Known>,
    /// Rows and wanted rows of the latest run.
    latest: (Vec<Row>, Vec<usize>),
    /// Its logits, if they were asked for: an accelerator's own may not outlive its failure.
    logits: Vec<f32>,
}

/// A runner of an engine: on its accelerator if it has one that works.
pub(super) fn runner(engine: &Engine) -> Box<dyn Runner + '_> {
    if let Some(accelerated) = engine.accelerated()
        && let Some(runner) = accelerated.runner()
    {
        return Box::new(Fallback {
            engine,
            accelerated,
            runner,
            on_device: true,
            sequences: Vec::new(),
            latest: Default::default(),
            logits: Vec::new(),
        });
    }
    Box::new(Session::new(engine.network(), &**engine.backend()))
}

impl Fallback<'_> {
    fn insert(&mut self, known: Known) -> usize {
        let ended = self.sequences.iter().position(|one| one.number.is_none());
        let place = ended.unwrap_or_else(|| {
            self.sequences.push(Known::default());
            self.sequences.len() - 1
        });
        self.sequences[place] = known;
        place
    }

    /// The rows with the runner's numbers. A row of no sequence keeps a number that no runner has.
    fn rows(&self, rows: &[Row]) -> Vec<Row> {
        let number = |sequence: usize| self.sequences.get(sequence)?.number;
        rows.iter()
            .map(|row| Row {
                sequence: number(row.sequence).unwrap_or(usize::MAX),
                token: row.token,
            })
            .collect()
    }

    /// After a failure of the accelerator: the same sequences on the processor, without their tokens of the latest run if `undo`. Gives back any
    /// other error.
    fn recover(&mut self, error: Error, undo: bool) -> Result<(), Error> {
        let of_device = matches!(error, Error::Device { .. } | Error::DeviceMemory { .. });
        if !of_device || !self.on_device {
            return Err(error);
        }
        self.accelerated.note(&error);
        let mut session = Session::new(self.engine.network(), &**self.engine.backend());
        let mut made: Vec<(usize, Vec<u32>)> = Vec::new();
        for (place, known) in self.sequences.iter_mut().enumerate() {
            if known.number.is_none() {
                continue;
            }
            let undone = self.latest.0.iter().filter(|row| row.sequence == place);
            let undone = if undo { undone.count() } else { 0 };
            let tokens = &known.tokens[..known.tokens.len() - undone];
            // Runs of one prompt share its keys and values again.
            let common = |other: &[u32]| {
                let pairs = other.iter().zip(tokens);
                pairs.take_while(|(a, b)| a == b).count()
            };
            let longest = made.iter().max_by_key(|(_, other)| common(other));
            let (number, shared) = match longest {
                Some((number, other)) if common(other) > 0 => {
                    let fork = session.fork(*number);
                    session.truncate(fork, common(other));
                    (fork, common(other))
                }
                _ => (session.start(), 0),
            };
            for chunk in tokens[shared..].chunks(CHUNK_ROWS) {
                let rows: Vec<Row> = chunk
                    .iter()
                    .map(|token| Row {
                        sequence: number,
                        token: *token,
                    })
                    .collect();
                session.forward(&rows, &[], None)?;
            }
            made.push((number, tokens.to_vec()));
            known.number = Some(number);
        }
        self.runner = Box::new(session);
        self.on_device = false;
        Ok(())
    }

    /// After a failure between a run and its results: the sequences as before it on the processor, and the run again.
    fn repeat(&mut self, error: Error) -> Result<(), Error> {
        self.recover(error, true)?;
        let rows = self.rows(&self.latest.0);
        self.runner.run(&rows, &self.latest.1)
    }
}

impl Runner for Fallback<'_> {
    fn start(&mut self) -> usize {
        let number = Some(self.runner.start());
        let tokens = Vec::new();
        self.insert(Known { tokens, number })
    }

    fn fork(&mut self, sequence: usize) -> usize {
        let known = &self.sequences[sequence];
        let tokens = known.tokens.clone();
        let number = known.number.map(|number| self.runner.fork(number));
        self.insert(Known { tokens, number })
    }

    fn end(&mut self, sequence: usize) {
        let known = std::mem::take(&mut self.sequences[sequence]);
        if let Some(number) = known.number {
            self.runner.end(number);
        }
    }

    fn truncate(&mut self, sequence: usize, length: usize) {
        let known = &mut self.sequences[sequence];
        known.tokens.truncate(length);
        if let Some(number) = known.number {
            self.runner.truncate(number, length);
        }
    }

    fn length(&self, sequence: usize) -> usize {
        self.sequences[sequence].tokens.len()
    }

    fn run(&mut self, rows: &[Row], wanted: &[usize]) -> Result<(), Error> {
        if let Err(error) = self.runner.run(&self.rows(rows), wanted) {
            self.recover(error, false)?;
            self.runner.run(&self.rows(rows), wanted)?;
        }
        for row in rows {
            self.sequences[row.sequence].tokens.push(row.token);
        }
        self.latest = (rows.to_vec(), wanted.to_vec());
        Ok(())
    }

    fn logits(&mut self) -> Result<&[f32], Error> {
        let copied = self.runner.logits().map(<[f32]>::to_vec);
        self.logits = match copied {
            Err(error) => {
                self.repeat(error)?;
                self.runner.logits()?.to_vec()
            }
            Ok(logits) => logits,
        };
        Ok(&self.logits)
    }

    fn select(
        &mut self,
        index: usize,
        sampling: &Sampling,
        draw: &mut dyn FnMut() -> u64,
    ) -> Result<u32, Error> {
        match self.runner.select(index, sampling, draw) {
            Err(error) => {
                self.repeat(error)?;
                self.runner.select(index, sampling, draw)
            }
            token => token,
        }
    }
}
