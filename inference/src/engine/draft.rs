//! Guesses by a draft model: a smaller one with the same vocabulary, which runs ahead of the model.

use super::prefix::common;
use super::{Network, Row, Sampling, Session, select};
use crate::Error;
use crate::backend::Backend;
use crate::format::packed::Model;
use crate::numeric::draw;

/// Tokens behind its run from which on the draft catches up alone, before it guesses for all.
const BEHIND: usize = 8;

/// A run: the number of its job, and its number there.
pub(super) type Key = (u64, u32);

/// A run whose next tokens are wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) key: Key,
    /// All tokens of the run; at least one.
    pub(super) tokens: &'a [u32],
    /// Guesses wanted.
    pub(super) count: usize,
    pub(super) sampling: &'a Sampling,
    pub(super) seed: &'a [u8; 32],
}

/// What the draft model has run of a run.
#[derive(Debug)]
struct Followed {
    key: Key,
    sequence: usize,
    tokens: Vec<u32>,
}

/// A draft model's own sequences. They follow the runs: whatever a run has become since, its draft sequence is cut back to what both have in
/// common and goes on from there.
#[derive(Debug)]
pub(super) struct Drafter<'e> {
    session: Session<'e>,
    context: usize,
    vocab: usize,
    followed: Vec<Followed>,
    scratch: Vec<u32>,
}

/// Whether a model may draft for another one.
///
/// # Errors
/// [`Error::BadParameter`] naming the first thing about their vocabularies that differs.
pub(super) fn check_vocabulary(model: &Model, draft: &Model) -> Result<(), Error> {
    let bad = |what: String, found: String, expected: String| {
        Err(Error::BadParameter {
            what,
            found,
            expected,
        })
    };
    let (found, expected) = (draft.program().vocab_size(), model.program().vocab_size());
    if found != expected {
        return bad(
            "vocabulary of the draft model".to_owned(),
            format!("{found} tokens"),
            format!("the model's {expected}"),
        );
    }
    let piece = |model: &Model, id| model.tokenizer().token(id).bytes.to_vec();
    let differs = (0..expected).find(|id| piece(model, *id) != piece(draft, *id));
    differs.map_or(Ok(()), |id| {
        let shown = |model| format!("\"{}\"", piece(model, id).escape_ascii());
        bad(
            format!("token {id} of the draft model"),
            shown(draft),
            format!("{}, as in the model", shown(model)),
        )
    })
}

impl<'e> Drafter<'e> {
    pub(super) fn new(draft: &'e Model, backend: &'e dyn Backend) -> Drafter<'e> {
        let network = Network {
            program: draft.program(),
            weights: draft.weights(),
        };
        Drafter {
            session: Session::new(network, backend),
            context: draft.program().context() as usize,
            vocab: draft.program().vocab_size() as usize,
            followed: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// Forgets all runs but these.
    pub(super) fn retain(&mut self, going: impl Fn(Key) -> bool) {
        let (session, followed) = (&mut self.session, &mut self.followed);
        followed.retain(|one| {
            let stays = going(one.key);
            if !stays {
                session.end(one.sequence);
            }
            stays
        });
    }

    /// The guesses for each run: what the draft model itself would say with the run's own draws. None for a run that is too long for it.
    ///
    /// # Errors
    /// What [`Session::forward`] reports.
    pub(super) fn guess(&mut self, asks: &[Ask<'_>]) -> Result<Vec<Vec<u32>>, Error> {
        let mut guesses = vec![Vec::new(); asks.len()];
        // (which ask, its place in `followed`, tokens that have not run)
        let mut ahead = Vec::new();
        for (i, ask) in asks.iter().enumerate() {
            if ask.count > 0 && ask.tokens.len() + ask.count <= self.context {
                let place = self.follow(ask)?;
                let behind = ask.tokens[self.followed[place].tokens.len()..].to_vec();
                ahead.push((i, place, behind));
            }
        }
        while !ahead.is_empty() {
            let (mut rows, mut wanted) = (Vec::new(), Vec::new());
            for (_, place, tokens) in &ahead {
                let followed = &mut self.followed[*place];
                rows.extend(tokens.iter().map(|token| Row {
                    sequence: followed.sequence,
                    token: *token,
                }));
                followed.tokens.extend(tokens);
                wanted.push(rows.len() - 1);
            }
            let logits = self.session.forward(&rows, &wanted, None)?;
            for ((i, place, tokens), logits) in
                ahead.iter_mut().zip(logits.chunks_exact(self.vocab))
            {
                let ask = &asks[*i];
                let position = self.followed[*place].tokens.len() as u32;
                let draw = || draw(ask.seed, ask.key.1, position);
                let token = select(logits, ask.sampling, draw, &mut self.scratch);
                guesses[*i].push(token);
                *tokens = vec![token];
            }
            ahead.retain(|(i, ..)| guesses[*i].len() < asks[*i].count);
        }
        Ok(guesses)
    }

    /// Brings a run's sequence up to its last few tokens; gives its place in `followed`.
    fn follow(&mut self, ask: &Ask<'_>) -> Result<usize, Error> {
        let known = self.followed.iter().position(|one| one.key == ask.key);
        let place = known.unwrap_or_else(|| {
            // Runs of one prompt share what the first of them ran.
            let like = self.followed.iter();
            let like = like.max_by_key(|one| common(&one.tokens, ask.tokens));
            let (sequence, tokens) = match like {
                Some(one) => (self.session.fork(one.sequence), one.tokens.clone()),
                None => (self.session.start(), Vec::new()),
            };
            self.followed.push(Followed {
                key: ask.key,
                sequence,
                tokens,
            });
            self.followed.len() - 1
        });
        let followed = &mut self.followed[place];
        // The last token runs always: its logits are what the first guess comes from.
        let last = ask.tokens.len() - 1;
        let same = common(&followed.tokens, &ask.tokens[..last]);
        followed.tokens.truncate(same);
        self.session.truncate(followed.sequence, same);
        if last - same > BEHIND {
            self.session
                .prefill(followed.sequence, &ask.tokens[same..last])?;
            followed.tokens.extend(&ask.tokens[same..last]);
        }
        Ok(place)
    }
}
