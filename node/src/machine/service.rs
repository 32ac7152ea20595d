//! One model's answers to many inputs: those that wait join those that run, first come first served, and every step of the engine is one for all.

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use sworn_inference::engine::{Batch, Engine, Footprint, Job, RunResult, TokenEvent};
use tokio::sync::mpsc::UnboundedSender;

use super::{Answer, Event, MachineError};

/// What may run at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Runs.
    pub(super) runs: u32,
    /// Bytes of their caches.
    pub(super) cache: u64,
}

/// What becomes of a job's runs.
pub(super) type Finish = fn(Vec<RunResult>, u32) -> Answer;

/// A job and who waits for it.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) job: Job,
    pub(super) events: UnboundedSender<Event>,
    /// Tokens of each run that were told, and that came since the job was last begun.
    told: Vec<(u32, u32)>,
}

impl Task {
    pub(super) fn new(job: Job, events: UnboundedSender<Event>) -> Task {
        Task {
            told: vec![(0, 0); job.n_runs as usize],
            job,
            events,
        }
    }

    /// Tells a token, once: a job that is begun again makes the same ones.
    fn tell(&mut self, event: TokenEvent<'_>) -> ControlFlow<()> {
        if let Some((told, came)) = self.told.get_mut(event.run as usize) {
            *came += 1;
            if *came <= *told {
                return ControlFlow::Continue(());
            }
            *told = *came;
        }
        let (run, token, piece) = (event.run, event.token, event.piece.to_vec());
        match self.events.send(Event::Token { run, token, piece }) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }

    fn end(self, result: Result<Answer, MachineError>) {
        // Nobody may wait any longer.
        let _ = self.events.send(Event::Done(result));
    }
}

/// A model's jobs. The thread that runs them starts with the first and ends with the service.
#[derive(Debug)]
pub(super) struct Service {
    engine: Arc<Engine>,
    limits: Limits,
    finish: Finish,
    queue: Mutex<Option<Sender<Task>>>,
}

impl Service {
    pub(super) fn new(engine: Arc<Engine>, limits: Limits, finish: Finish) -> Service {
        Service {
            engine,
            limits,
            finish,
            queue: Mutex::default(),
        }
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// Puts a job at the end of the queue.
    pub(super) fn submit(&self, task: Task) {
        // The place of a sender is whole between any two operations on it.
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let task = match queue.as_ref() {
            None => task,
            Some(sender) => match sender.send(task) {
                Ok(()) => return,
                Err(back) => back.0,
            },
        };
        let worker = Worker::new(self.engine.clone(), self.limits, self.finish);
        let (sender, receiver) = channel();
        let thread = std::thread::Builder::new().name("answers".to_owned());
        match thread.spawn(move || worker.run(&receiver)) {
            Ok(_) => {
                let _ = sender.send(task);
                *queue = Some(sender);
            }
            Err(source) => task.end(Err(sworn_inference::Error::Threads { source }.into())),
        }
    }
}

/// The thread's own.
struct Worker {
    engine: Arc<Engine>,
    footprint: Footprint,
    limits: Limits,
    finish: Finish,
    waiting: VecDeque<Task>,
    /// By number in the batch.
    running: BTreeMap<u64, Task>,
}

impl Worker {
    fn new(engine: Arc<Engine>, limits: Limits, finish: Finish) -> Worker {
        Worker {
            footprint: Footprint::of(engine.model().program()),
            engine,
            limits,
            finish,
            waiting: VecDeque::new(),
            running: BTreeMap::new(),
        }
    }

    fn run(mut self, queue: &Receiver<Task>) {
        let engine = self.engine.clone();
        loop {
            let mut batch = Batch::new(&engine);
            let failure = loop {
                if self.waiting.is_empty() && self.running.is_empty() {
                    match queue.recv() {
                        Ok(task) => self.waiting.push_back(task),
                        Err(_) => return,
                    }
                }
                self.waiting.extend(queue.try_iter());
                self.leave(&mut batch);
                self.admit(&mut batch);
                if let Err(failure) = self.step(&mut batch) {
                    break failure;
                }
            };
            tracing::warn!(%failure, jobs = self.running.len(), "a step of the engine failed; running its jobs one by one");
            self.one_by_one();
        }
    }

    /// Takes out what nobody waits for any longer.
    fn leave(&mut self, batch: &mut Batch<'_>) {
        self.waiting.retain(|task| !task.events.is_closed());
        let running = self.running.iter();
        for (number, _) in running.filter(|(_, task)| task.events.is_closed()) {
            batch.cancel(*number);
        }
    }

    /// Begins jobs in the order in which they came, as far as there is room. One that is too large begins when nothing else runs.
    fn admit(&mut self, batch: &mut Batch<'_>) {
        while let Some(next) = self.waiting.front() {
            let running = self.running.values();
            let (runs, cache) = running.fold((0, 0u64), |(runs, cache), task| {
                let more = self.footprint.job(&task.job);
                (runs + task.job.n_runs, cache.saturating_add(more))
            });
            let cache = cache.saturating_add(self.footprint.job(&next.job));
            let fits = runs + next.job.n_runs <= self.limits.runs && cache <= self.limits.cache;
            if !fits && !self.running.is_empty() {
                return;
            }
            let Some(task) = self.waiting.pop_front() else {
                return;
            };
            match batch.submit(task.job.clone()) {
                Ok(number) => {
                    self.running.insert(number, task);
                }
                Err(error) => task.end(Err(error.into())),
            }
        }
    }

    /// A step of all jobs.
    fn step(&mut self, batch: &mut Batch<'_>) -> Result<(), MachineError> {
        let running = &mut self.running;
        let ended = caught(|| {
            batch.step(&mut |number, event| match running.get_mut(&number) {
                Some(task) => task.tell(event),
                None => ControlFlow::Break(()),
            })
        })?;
        for (number, result) in ended {
            if let Some(task) = self.running.remove(&number) {
                let context = self.footprint.context;
                task.end({ result.map_err(Into::into) }.map(|runs| (self.finish)(runs, context)));
            }
        }
        Ok(())
    }

    /// Runs the jobs of a batch that failed, each in a batch of its own: one that fails again is the one that fails.
    fn one_by_one(&mut self) {
        for mut task in std::mem::take(&mut self.running).into_values() {
            task.told.iter_mut().for_each(|(_, came)| *came = 0);
            let (engine, job) = (self.engine.clone(), task.job.clone());
            let result = caught(|| engine.generate(&job, &mut |event| task.tell(event)));
            task.end(result.map(|runs| (self.finish)(runs, self.footprint.context)));
        }
    }
}

/// What the engine gives, or how it failed.
fn caught<T>(f: impl FnOnce() -> Result<T, sworn_inference::Error>) -> Result<T, MachineError> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(result) => Ok(result?),
        Err(_) => Err(MachineError::Died),
    }
}

#[cfg(test)]
mod tests;
