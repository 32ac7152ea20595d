//! Answers sealed inputs, one after another, in the order of their ids.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::clock::unix_now;
use super::{Context, Role, RoleError};
use crate::machine::{Answer, Machine, MachineError, commit};
use crate::store::tables::{INPUTS, REPORTS, RESULTS, UNANSWERED};
use crate::store::{NodeReport, ReportKind, StoredInput};

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
        while let Some(input) = self.next(context)? {
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
    fn next(&self, context: &Context) -> Result<Option<StoredInput>, RoleError> {
        for item in context.store.scan(UNANSWERED) {
            let (id, ()) = item?;
            if self.failed.contains(&id) {
                continue;
            }
            let input = context.store.read(INPUTS, &id)?;
            if let Some(input) = input.filter(|i| i.seal.is_some()) {
                return Ok(Some(input));
            }
        }
        Ok(None)
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
