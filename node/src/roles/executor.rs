//! Answers sealed inputs, one after another, in the order of their ids. Inputs during which the node ended before come last: if one
//! of them is what ends it (it may ask for more memory than there is), the others are answered all the same.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::clock::unix_now;
use super::{Context, Role, RoleError};
use crate::machine::{Answer, Machine, MachineError, commit};
use crate::store::tables::{BEGUN, INPUTS, REPORTS, RESULTS, UNANSWERED};
use crate::store::{NodeReport, ReportKind, Store, StoreError, StoredInput};

/// The executor.
#[derive(Debug, Default)]
pub struct Executor {
    /// Inputs on which the engine failed in this life of the node.
    failed: BTreeSet<u64>,
}

/// Stops the engine when the step is dropped: the node shuts down.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Role for Executor {
    fn name(&self) -> &'static str {
        "executor"
    }

    async fn step(&mut self, context: &Context) -> Result<(), RoleError> {
        while let Some(input) = self.next(&context.store)? {
            let id = input.id;
            match context.machines.get(&input.model).cloned() {
                None => pass_over(context, &input)?,
                Some(machine) => {
                    if let Err(err) = answer(context, input, machine).await {
                        tracing::error!(input = id, %err, "this input could not be answered; going on with the next");
                        self.failed.insert(id);
                        let message = format!("{err}; it is tried again when the node restarts");
                        context.store.put(
                            REPORTS,
                            &id,
                            &NodeReport {
                                kind: ReportKind::EngineFailed,
                                message,
                                at: unix_now(),
                            },
                        )?;
                    }
                }
            }
            context.announce();
        }
        Ok(())
    }
}

impl Executor {
    fn next(&self, store: &Store) -> Result<Option<StoredInput>, StoreError> {
        let mut best: Option<(u32, StoredInput)> = None;
        for item in store.scan(UNANSWERED) {
            let (id, ()) = item?;
            if self.failed.contains(&id) {
                continue;
            }
            let begun = store.read(BEGUN, &id)?.unwrap_or(0);
            if best.as_ref().is_some_and(|(least, _)| *least <= begun) {
                continue;
            }
            if let Some(input) = store.read(INPUTS, &id)?.filter(|i| i.seal.is_some()) {
                best = Some((begun, input));
                if begun == 0 {
                    break;
                }
            }
        }
        Ok(best.map(|(_, input)| input))
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

async fn answer(
    context: &Context,
    input: StoredInput,
    machine: Arc<dyn Machine>,
) -> Result<(), RoleError> {
    let id = input.id;
    let Some(seal) = input.seal else {
        return Ok(());
    };
    let begun = context.store.read(BEGUN, &id)?.unwrap_or(0);
    if begun > 0 {
        tracing::warn!(
            input = id,
            begun,
            "the node ended while it answered this input; trying again"
        );
    }
    context.store.put(BEGUN, &id, &begun.saturating_add(1))?;
    context.store.flush()?;
    let cancel = Arc::new(AtomicBool::new(false));
    let guard = CancelOnDrop(cancel.clone());
    let streams = context.streams.clone();
    streams.start(id);
    let started = Instant::now();
    let task = tokio::task::spawn_blocking(move || -> Result<Answer, MachineError> {
        machine.answer(&input, seal.seed, &mut |run, token, piece| {
            streams.push(id, run, token, piece);
            if cancel.load(Ordering::Relaxed) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })
    });
    let outcome = task.await;
    drop(guard);
    context.store.remove(BEGUN, &id)?;
    let stored = outcome
        .map_err(|err| RoleError::Died(err.to_string()))
        .and_then(|answer| {
            let answer = answer?;
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
        while let Some(input) = executor.next(&store).unwrap() {
            store.remove(UNANSWERED, &input.id).unwrap();
            order.push(input.id);
        }
        assert_eq!(order, [2, 1, 0]);
    }
}
