//! Answers that are on their way.

use tokio::sync::mpsc;

use super::{Answer, MachineError};

/// What comes of an input that is being answered.
#[derive(Debug)]
pub enum Event {
    /// A new token of a run.
    Token {
        /// The run.
        run: u32,
        /// Its id.
        token: u32,
        /// What it adds to the run's text.
        piece: Vec<u8>,
    },
    /// The end.
    Done(Result<Answer, MachineError>),
}

/// An input that is being answered. Dropping it stops the work.
#[derive(Debug)]
pub struct Answering(mpsc::UnboundedReceiver<Event>);

impl Answering {
    /// Where a machine puts events, and where they come out. The sender is closed when nobody waits any longer.
    pub fn channel() -> (mpsc::UnboundedSender<Event>, Answering) {
        // Unbounded: an answer has no more events than it has tokens, which its parameters bound.
        let (events, receiver) = mpsc::unbounded_channel();
        (events, Answering(receiver))
    }

    /// The next event; none after the end, and when the machine died.
    pub async fn next(&mut self) -> Option<Event> {
        self.0.recv().await
    }

    /// Blocks until the end; `on_token` is called for every new token.
    ///
    /// # Errors
    /// What the machine reports.
    ///
    /// # Panics
    /// In asynchronous code, which must not block.
    pub fn wait(mut self, mut on_token: impl FnMut()) -> Result<Answer, MachineError> {
        while let Some(event) = self.0.blocking_recv() {
            match event {
                Event::Token { .. } => on_token(),
                Event::Done(result) => return result,
            }
        }
        Err(MachineError::Died)
    }
}
