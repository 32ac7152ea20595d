//! Tokens of a prompt as server-sent events: what there is, then what comes, then `done`.

use std::collections::BTreeMap;
use std::convert::Infallible;

use axum::extract::{Path, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::Stream;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use super::prompts::{find, parse_id};
use super::text::Utf8Stream;
use super::{ApiError, ApiState};
use crate::roles::{Context, Stage, TokenPiece, facts_of, stage};
use crate::store::{StoreError, StoredRun, tables};

/// Events that wait for a slow reader; the job itself never waits.
const BUFFER: usize = 64;

pub(super) async fn stream(
    State(state): State<ApiState>,
    Path(id): Path<String>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let input = find(&state, parse_id(&id)?)?;
    let (sender, mut receiver) = mpsc::channel(BUFFER);
    let follower = Follower {
        context: state.context.clone(),
        id: input.id,
        sent: BTreeMap::new(),
        seen: 0,
        last: None,
        sender,
    };
    let mut stop = state.stop.clone();
    tokio::spawn(async move {
        tokio::select! { _ = follower.run() => {}, _ = stop.wait_for(|stop| *stop) => {} }
    });
    let events = futures::stream::poll_fn(move |cx| receiver.poll_recv(cx)).map(Ok);
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

use futures::StreamExt;

/// What was already sent of a run.
#[derive(Debug, Default)]
struct Sent {
    tokens: u32,
    text: Utf8Stream,
}

struct Follower {
    context: Context,
    id: u64,
    sent: BTreeMap<u32, Sent>,
    /// Number of live tokens looked at.
    seen: usize,
    last: Option<Stage>,
    sender: mpsc::Sender<Event>,
}

/// Why following ends.
enum End {
    /// Nobody listens any more.
    Gone,
    /// The store broke.
    Store(StoreError),
}

impl From<StoreError> for End {
    fn from(err: StoreError) -> End {
        End::Store(err)
    }
}

impl Follower {
    async fn run(mut self) {
        let mut changes = self.context.changes.subscribe();
        let mut tokens = self.context.streams.subscribe();
        if let Err(End::Store(err)) = self.follow(&mut changes, &mut tokens).await {
            let _ = self
                .send(
                    "error",
                    &json!({ "id": self.id, "message": err.to_string() }),
                )
                .await;
        }
    }

    async fn follow(
        &mut self,
        changes: &mut watch::Receiver<u64>,
        tokens: &mut watch::Receiver<u64>,
    ) -> Result<(), End> {
        loop {
            changes.mark_unchanged();
            // The live list goes away only after the result is in the store: look at it first.
            let live = self.context.streams.since(self.id, self.seen);
            for token in live.into_iter().flatten() {
                self.seen += 1;
                self.token(token).await?;
            }
            let Some(input) = self.context.store.read(tables::INPUTS, &self.id)? else {
                return self.send("error", &json!({ "id": self.id, "message": "the chain was reorganised and this prompt is gone" })).await;
            };
            let (facts, _) = facts_of(&self.context.store, &input)?;
            let now = stage(&facts);
            if self.last.replace(now) != Some(now) {
                self.send("state", &json!({ "id": self.id, "state": now }))
                    .await?;
            }
            let result = self
                .context
                .store
                .read(tables::RESULTS, &self.id)?
                .filter(|r| input.seal.is_some_and(|s| s.seed == r.seed));
            if let Some(result) = result {
                for (run, stored) in (0..).zip(&result.runs) {
                    self.rest(run, stored).await?;
                }
                return self
                    .send(
                        "done",
                        &json!({ "id": self.id, "state": now, "unfinal": !facts.is_final }),
                    )
                    .await;
            }
            if now == Stage::Failed || now == Stage::Refunded {
                let message = self
                    .context
                    .store
                    .read(tables::REPORTS, &self.id)?
                    .map_or_else(|| "the fee was refunded".to_owned(), |r| r.message);
                self.send("error", &json!({ "id": self.id, "message": message }))
                    .await?;
                return self
                    .send("done", &json!({ "id": self.id, "state": now }))
                    .await;
            }
            // While tokens come, nothing else about the prompt changes: no need to read the store for each of them.
            loop {
                tokio::select! {
                    changed = changes.changed() => match changed {
                        Ok(()) => break,
                        Err(_) => return Err(End::Gone),
                    },
                    changed = tokens.changed() => {
                        if changed.is_err() {
                            return Err(End::Gone);
                        }
                        for token in self.context.streams.since(self.id, self.seen).into_iter().flatten() {
                            self.seen += 1;
                            self.token(token).await?;
                        }
                    }
                    () = self.sender.closed() => return Err(End::Gone),
                }
            }
        }
    }

    /// Sends a token unless it was sent before (a job that starts again gives the same tokens).
    async fn token(&mut self, token: TokenPiece) -> Result<(), End> {
        let sent = self.sent.entry(token.run).or_default();
        if token.index < sent.tokens {
            return Ok(());
        }
        sent.tokens = token.index + 1;
        let mut data = serde_json::to_value(sent.text.push(&token.piece)).unwrap_or_default();
        if let Some(fields) = data.as_object_mut() {
            fields.extend([
                ("id".to_owned(), self.id.into()),
                ("run".to_owned(), token.run.into()),
                ("index".to_owned(), token.index.into()),
                ("token".to_owned(), token.token.into()),
                ("unfinal".to_owned(), true.into()),
            ]);
        }
        self.send("token", &data).await
    }

    /// Sends what is left of a run whose result is known.
    async fn rest(&mut self, run: u32, stored: &StoredRun) -> Result<(), End> {
        let tokens = stored
            .tokens
            .get(stored.n_prompt as usize..)
            .unwrap_or_default();
        let from = self.sent.get(&run).map_or(0, |sent| sent.tokens);
        for (index, token) in (0u32..).zip(tokens).skip(from as usize) {
            let start = stored.offsets.get(index as usize).copied().unwrap_or(0) as usize;
            let end = stored
                .offsets
                .get(index as usize + 1)
                .map_or(stored.text.len(), |next| *next as usize);
            let piece = stored.text.get(start..end).unwrap_or_default().to_vec();
            self.token(TokenPiece {
                run,
                index,
                token: *token,
                piece,
            })
            .await?;
        }
        if let Some(text) = self.sent.entry(run).or_default().text.finish() {
            let mut data = serde_json::to_value(text).unwrap_or_default();
            if let Some(fields) = data.as_object_mut() {
                fields.extend([
                    ("id".to_owned(), self.id.into()),
                    ("run".to_owned(), run.into()),
                    ("unfinal".to_owned(), true.into()),
                ]);
            }
            self.send("text", &data).await?;
        }
        Ok(())
    }

    async fn send(&self, kind: &str, data: &Value) -> Result<(), End> {
        self.sender
            .send(Event::default().event(kind).data(data.to_string()))
            .await
            .map_err(|_| End::Gone)
    }
}
