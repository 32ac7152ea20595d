//! Answers sealed inputs, those of one model together, in the order of their ids. Inputs during which the node ended before come last: if one
//! of them is what ends it (it may ask for more memory than there is), the others are answered all the same. Those during which it ended twice run alone.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use alloy::primitives::B256;
use futures::StreamExt;
use futures::stream::FuturesUnordered;

use super::clock::unix_now;
use super::{Context, Role, RoleError};
use crate::machine::{Answer, Event, Machine, MachineError, commit};
use crate::store::tables::{BEGUN, INPUTS, REPORTS, RESULTS, UNANSWERED};
use crate::store::{NodeReport, ReportKind, Store, StoreError, StoredInput};

/// How often the node ended during an input before it runs alone.
const ALONE: u32 = 2;

/// The executor.
#[derive(Debug, Default)]
pub struct Executor {
    /// Inputs on which the engine failed in this life of the node.
    failed: BTreeSet<u64>,
}

/// Inputs that are answered together: of one model.
#[derive(Debug, Default)]
struct Turn {
    model: B256,
    /// The last input that was there when the turn began. Later ones join it as long as no other model waits.
    last: u64,
    /// An input that may have ended the node runs.
    alone: bool,
    running: BTreeSet<u64>,
}

/// An input that could be begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Waiting {
    /// How often the node ended during it.
    begun: u32,
    id: u64,
    model: B256,
}

impl Turn {
    /// Which of the inputs, which come in the order of their ids, is to be begun now.
    fn pick(
        &self,
        waiting: impl Iterator<Item = Result<Waiting, StoreError>>,
    ) -> Result<Option<Waiting>, StoreError> {
        let idle = self.running.is_empty();
        if self.alone && !idle {
            return Ok(None);
        }
        let mut best: Option<Waiting> = None;
        // How often the least suspicious one of another model was begun.
        let mut rival: Option<u32> = None;
        for item in waiting {
            let item = item?;
            if !idle && item.model != self.model {
                rival = Some(rival.map_or(item.begun, |rival| rival.min(item.begun)));
                continue;
            }
            if best.is_none_or(|best| item.begun < best.begun) {
                best = Some(item);
            }
            if item.begun == 0 && (idle || item.id <= self.last) {
                return Ok(Some(item));
            }
        }
        let joins = |item: &Waiting| {
            idle || (item.begun < ALONE && rival.is_none_or(|rival| rival > item.begun))
        };
        Ok(best.filter(joins))
    }
}

impl Role for Executor {
    fn name(&self) -> &'static str {
        "executor"
    }

    async fn step(&mut self, context: &Context) -> Result<(), RoleError> {
        let mut news = context.changes.subscribe();
        let mut turn = Turn::default();
        let mut answers = FuturesUnordered::new();
        loop {
            let mut new = Vec::new();
            while let Some((input, begun)) = self.next(context, &turn)? {
                let Some(machine) = context.machines.get(&input.model).cloned() else {
                    pass_over(context, &input)?;
                    context.announce();
                    continue;
                };
                if turn.running.is_empty() {
                    turn.model = input.model;
                    turn.alone = begun >= ALONE;
                    turn.last = context.store.last(UNANSWERED)?.map_or(0, |(id, ())| id);
                }
                turn.running.insert(input.id);
                note_begun(context, input.id, begun)?;
                new.push(async move { (input.id, answer(context, input, machine).await) });
            }
            if !new.is_empty() {
                // Once for all that begin now.
                context.store.flush()?;
                answers.extend(new);
            }
            if turn.running.is_empty() {
                return Ok(());
            }
            tokio::select! {
                Some((id, outcome)) = answers.next() => {
                    turn.running.remove(&id);
                    if let Err(err) = outcome {
                        self.give_up(context, id, &err)?;
                    }
                    context.announce();
                }
                _ = news.changed() => {}
            }
        }
    }
}

impl Executor {
    /// The input to begin now, and how often it was begun before. None when there is none, or no room beside those that run.
    fn next(
        &self,
        context: &Context,
        turn: &Turn,
    ) -> Result<Option<(StoredInput, u32)>, StoreError> {
        let room = context
            .machines
            .get(&turn.model)
            .map_or(1, |machine| machine.at_once());
        if turn.running.len() >= room.max(1) {
            return Ok(None);
        }
        self.pick(&context.store, turn)
    }

    fn pick(&self, store: &Store, turn: &Turn) -> Result<Option<(StoredInput, u32)>, StoreError> {
        let look = |id: u64| -> Result<Option<Waiting>, StoreError> {
            if self.failed.contains(&id) || turn.running.contains(&id) {
                return Ok(None);
            }
            let input = store
                .read(INPUTS, &id)?
                .filter(|input| input.seal.is_some());
            let begun = store.read(BEGUN, &id)?.unwrap_or(0);
            Ok(input.map(|StoredInput { model, .. }| Waiting { begun, id, model }))
        };
        let waiting = store.scan(UNANSWERED);
        let waiting = waiting.filter_map(|item| item.and_then(|(id, ())| look(id)).transpose());
        let Some(found) = turn.pick(waiting)? else {
            return Ok(None);
        };
        let input = store.read(INPUTS, &found.id)?;
        Ok(input.map(|input| (input, found.begun)))
    }

    /// Goes on without an input.
    fn give_up(&mut self, context: &Context, id: u64, err: &RoleError) -> Result<(), StoreError> {
        tracing::error!(input = id, %err, "this input could not be answered; going on with the others");
        self.failed.insert(id);
        context.store.put(
            REPORTS,
            &id,
            &NodeReport {
                kind: ReportKind::EngineFailed,
                message: format!("{err}; it is tried again when the node restarts"),
                at: unix_now(),
            },
        )
    }
}

fn pass_over(context: &Context, input: &StoredInput) -> Result<(), RoleError> {
    let message = format!(
        "this node does not serve model {}; it serves {}; add the model with `sworn model add` and restart",
        input.model,
        match context.machines.len() {
            0 => "none".to_owned(),
            _ => context
                .machines
                .keys()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", "),
        }
    );
    tracing::info!(input = input.id, model = %input.model, "model not served here; passing over");
    let mut writes = context.store.begin();
    writes.put(
        REPORTS,
        &input.id,
        &NodeReport {
            kind: ReportKind::NotServed,
            message,
            at: unix_now(),
        },
    )?;
    writes.remove(UNANSWERED, &input.id);
    Ok(writes.commit()?)
}

/// Notes that an input begins, in case it ends the node.
fn note_begun(context: &Context, id: u64, begun: u32) -> Result<(), StoreError> {
    if begun > 0 {
        tracing::warn!(
            input = id,
            begun,
            "the node ended while it answered this input; trying again"
        );
    }
    context.store.put(BEGUN, &id, &begun.saturating_add(1))
}

async fn answer(
    context: &Context,
    input: StoredInput,
    machine: Arc<dyn Machine>,
) -> Result<(), RoleError> {
    let id = input.id;
    let Some(seal) = input.seal else {
        return Ok(());
    };
    let streams = &context.streams;
    streams.start(id);
    let started = Instant::now();
    let begin = tokio::task::spawn_blocking(move || machine.submit(input, seal.seed)).await;
    // Dropped with this step when the node shuts down, which stops the engine's work on it.
    let mut answering = begin.map_err(|err| RoleError::Died(err.to_string()))?;
    let mut outcome = Err(MachineError::Died);
    while let Some(event) = answering.next().await {
        match event {
            Event::Token { run, token, piece } => streams.push(id, run, token, &piece),
            Event::Done(result) => outcome = result,
        }
    }
    context.store.remove(BEGUN, &id)?;
    let stored = outcome.map_err(RoleError::from).and_then(|answer| {
        let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        store(context, id, seal.seed, answer, millis)
    });
    context.streams.end(id);
    stored
}

fn store(
    context: &Context,
    id: u64,
    seed: alloy::primitives::B256,
    answer: Answer,
    millis: u64,
) -> Result<(), RoleError> {
    let tokens: usize = answer.runs.iter().map(|run| run.offsets.len()).sum();
    let result = commit(id, seed, answer.runs, millis)?;
    let mut writes = context.store.begin();
    writes.put(RESULTS, &id, &result)?;
    match answer.note {
        Some((kind, message)) => writes.put(
            REPORTS,
            &id,
            &NodeReport {
                kind,
                message,
                at: unix_now(),
            },
        )?,
        None => writes.remove(REPORTS, &id),
    }
    // After a rewind the input may have another seed by now; then it stays to be answered again.
    let same = context
        .store
        .read(INPUTS, &id)?
        .and_then(|input| input.seal)
        .is_some_and(|seal| seal.seed == seed);
    if same {
        writes.remove(UNANSWERED, &id);
    }
    writes.commit()?;
    context.store.flush()?;
    tracing::info!(input = id, runs = result.runs.len(), tokens, millis, job = %result.job, "input answered");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Seal;
    use alloy::primitives::{Address, B256, Bytes};

    #[test]
    fn an_input_that_ended_the_node_does_not_stand_before_others() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), 1, Address::ZERO, std::time::Duration::ZERO).unwrap();
        for id in 0..3 {
            let input = StoredInput {
                id,
                sender: Address::ZERO,
                recipient: Address::ZERO,
                model: B256::ZERO,
                params: B256::ZERO,
                payload_root: B256::ZERO,
                payload: Bytes::new(),
                transaction: B256::ZERO,
                block: 1,
                submitted_at: 0,
                rearms: Vec::new(),
                seal: Some(Seal {
                    block: 2,
                    epoch: 0,
                    lane_index: 0,
                    seed: B256::ZERO,
                    accumulator: B256::ZERO,
                }),
            };
            store.put(INPUTS, &id, &input).unwrap();
            store.put(UNANSWERED, &id, &()).unwrap();
        }
        store.put(BEGUN, &0, &2).unwrap();
        store.put(BEGUN, &1, &1).unwrap();
        let executor = Executor::default();
        let mut order = Vec::new();
        while let Some((input, _)) = executor.pick(&store, &Turn::default()).unwrap() {
            store.remove(UNANSWERED, &input.id).unwrap();
            order.push(input.id);
        }
        assert_eq!(order, [2, 1, 0]);
    }

    /// Ids in the order in which they begin when nothing ends, from (begun, id, model).
    fn begun_beside(turn: &mut Turn, inputs: &[(u32, u64, u8)]) -> Vec<u64> {
        let mut order = Vec::new();
        loop {
            let waiting = inputs.iter().filter(|i| !turn.running.contains(&i.1));
            let waiting = waiting.map(|&(begun, id, model)| {
                let model = B256::repeat_byte(model);
                Ok(Waiting { begun, id, model })
            });
            let Some(found) = turn.pick(waiting).unwrap() else {
                return order;
            };
            turn.running.insert(found.id);
            order.push(found.id);
        }
    }

    fn turn(running: &[u64], last: u64) -> Turn {
        Turn {
            model: B256::repeat_byte(1),
            last,
            alone: false,
            running: running.iter().copied().collect(),
        }
    }

    #[test]
    fn inputs_of_one_model_run_together() {
        let all = [(0, 1, 1), (0, 2, 1), (0, 3, 2), (0, 4, 1), (0, 9, 1)];
        // Those that were there join, whatever stands between; later ones wait for the other model's turn.
        assert_eq!(begun_beside(&mut turn(&[1], 4), &all), [2, 4]);
        // With one model alone all join.
        let one: Vec<_> = all.into_iter().filter(|i| i.2 == 1).collect();
        assert_eq!(begun_beside(&mut turn(&[1], 4), &one), [2, 4, 9]);
        // The next turn begins with who waited longest.
        let left = [(0, 3, 2), (0, 9, 1)];
        let found = Turn::default().pick(left.iter().map(|&(begun, id, model)| {
            let model = B256::repeat_byte(model);
            Ok(Waiting { begun, id, model })
        }));
        assert_eq!(found.unwrap().map(|found| found.id), Some(3));
    }

    #[test]
    fn suspicious_inputs_come_last_and_in_the_end_alone() {
        let all = [(2, 1, 1), (1, 2, 1), (0, 3, 1), (1, 4, 1), (0, 5, 1)];
        assert_eq!(begun_beside(&mut turn(&[3], 5), &all), [5, 2, 4]);
        let mut alone = Turn {
            alone: true,
            ..turn(&[1], 5)
        };
        assert!(begun_beside(&mut alone, &[(0, 6, 1)]).is_empty());
        // One that ended the node once does not go before another model's.
        assert!(begun_beside(&mut turn(&[3], 5), &[(1, 2, 1), (0, 4, 2)]).is_empty());
    }
}
