//! Lies, one of every kind, for trying out that each is convicted. A liar tells a lie as well as it can: what can follow from the lie does, and every opening
//! that nothing forbids is answered.

mod element;
mod liar;
mod record;
mod selection;
mod tampered;
mod text;

pub use liar::Liar;

use std::fmt;

use sworn_inference::program::Op;

use super::own::OwnResults;
use super::position::NodeKind;
use super::results::LaneResults;
use crate::Error;

/// How far a liar goes to hide a wrong element or a wrong token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hiding {
    /// Not at all: posted contents are the true ones.
    None,
    /// Totals, or the sums of a selection, give the lie.
    Totals,
    /// A tile's weights, or the sums of a group, give it too.
    Weights,
    /// A tile's values give it.
    Values,
    /// A selection names another best token.
    Best,
}

/// A field of a job or a run that is changed by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// The job's input.
    InputId,
    /// One run more.
    RunMore,
    /// One run less.
    RunLess,
    /// The score root.
    ScoreRoot,
    /// Tokens of the prompt: one more.
    PromptMore,
    /// Tokens of the prompt: one less.
    PromptLess,
    /// No prompt.
    NoPrompt,
    /// Tokens: one more.
    TokensMore,
    /// Tokens: one less.
    TokensLess,
    /// Length becomes stop, stop becomes length.
    Finish,
    /// The run is too long.
    TooLong,
    /// A finish that there is not.
    UnknownFinish,
    /// The run was scored.
    Score,
    /// The run was greedy.
    Greedy,
    /// One byte of text more.
    TextLonger,
    /// One byte of text less.
    TextShorter,
    /// No text.
    NoText,
    /// More text than tokens have pieces.
    TextHuge,
}

impl Field {
    /// All fields.
    pub const ALL: [Field; 18] = {
        use Field::*;
        [
            InputId,
            RunMore,
            RunLess,
            ScoreRoot,
            PromptMore,
            PromptLess,
            NoPrompt,
            TokensMore,
            TokensLess,
            Finish,
            TooLong,
            UnknownFinish,
            Score,
            Greedy,
            TextLonger,
            TextShorter,
            NoText,
            TextHuge,
        ]
    };
}

/// A lie about one run of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lie {
    /// An element of an operation, and a token after it.
    Element(Op, Hiding),
    /// A byte of a trace's leaf past its elements, and a token after it.
    TracePadding,
    /// The trace of other tokens, and a token.
    OtherTrace,
    /// A new token, with the right trace.
    Token(Hiding),
    /// A token that is not in the vocabulary.
    TokenOutside,
    /// A byte past the last token.
    TokenPadding,
    /// A stop token before the last.
    StopInside,
    /// The run ends before its time, and says that it was stopped.
    EndsEarly,
    /// The run goes on after its stop token.
    GoesOn,
    /// A token of the prompt.
    PromptToken(Hiding),
    /// The prompt has a token more.
    PromptInserted,
    /// The prompt has a token less.
    PromptDropped,
    /// The prompt is in other tokens that read the same.
    PromptSplit,
    /// A good payload is malformed.
    Malformed,
    /// A malformed payload is good.
    WellFormed,
    /// A field of a record.
    Field(Field),
    /// An offset.
    Offset,
    /// A byte more in the text, with all offsets of the later leaves moved by it.
    OffsetsMoved,
    /// A byte past the last offset.
    OffsetPadding,
    /// A byte of the text.
    TextByte,
    /// A byte past the text's end.
    TextPadding,
    /// A wrong token, and no answer to an opening of that kind.
    Silence(NodeKind),
}

impl fmt::Display for Lie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::str::FromStr for Lie {
    type Err = Error;

    /// By what it prints as.
    fn from_str(text: &str) -> Result<Lie, Error> {
        let found = Lie::all().into_iter().find(|lie| lie.to_string() == text);
        found.ok_or_else(|| Error::Unproven {
            reason: format!("found {text:?}, expected the name of a lie"),
        })
    }
}

impl Lie {
    /// One of every kind.
    #[must_use]
    pub fn all() -> Vec<Lie> {
        let mut all = Vec::new();
        for op in Op::ALL {
            all.push(Lie::Element(op, Hiding::None));
            let further: &[Hiding] = match op {
                Op::NormStat | Op::Matmul => &[Hiding::Totals],
                Op::AttnSum => &[Hiding::Totals, Hiding::Weights],
                Op::AttnMix => &[Hiding::Totals, Hiding::Weights, Hiding::Values],
                _ => &[],
            };
            all.extend(further.iter().map(|hiding| Lie::Element(op, *hiding)));
        }
        all.extend([Lie::TracePadding, Lie::OtherTrace]);
        all.extend([Hiding::None, Hiding::Totals, Hiding::Weights, Hiding::Best].map(Lie::Token));
        all.extend([
            Lie::TokenOutside,
            Lie::TokenPadding,
            Lie::StopInside,
            Lie::EndsEarly,
            Lie::GoesOn,
            Lie::PromptToken(Hiding::None),
            Lie::PromptToken(Hiding::Totals),
            Lie::PromptInserted,
            Lie::PromptDropped,
            Lie::PromptSplit,
            Lie::Malformed,
            Lie::WellFormed,
            Lie::Offset,
            Lie::OffsetsMoved,
            Lie::OffsetPadding,
            Lie::TextByte,
            Lie::TextPadding,
        ]);
        all.extend(Field::ALL.map(Lie::Field));
        let kinds = NodeKind::ALL
            .into_iter()
            .filter(|kind| *kind != NodeKind::Claim);
        all.extend(kinds.map(Lie::Silence));
        all
    }

    /// Tells the lie about run `run` of job `lane` of honest results. `seed` chooses where. None when these results have no place for it: no such
    /// operation, no token that can be changed, and the like.
    ///
    /// # Errors
    /// What the results can't give.
    pub fn tell(
        self,
        honest: OwnResults,
        lane: u32,
        run: u32,
        seed: u64,
    ) -> Result<Option<Liar>, Error> {
        let mut honest = honest;
        let answer = honest.answer(lane)?;
        let mut liar = Liar::new(honest, lane, run, (*answer).clone(), seed);
        let told = match self {
            Lie::Element(op, hiding) => liar.bend_element(op, hiding)?,
            Lie::TracePadding => liar.pad_trace()?,
            Lie::OtherTrace => liar.change_token()?.is_some() && liar.trace_other_tokens()?,
            Lie::Token(hiding) => liar.bend_choice(hiding)?,
            Lie::TokenOutside
            | Lie::TokenPadding
            | Lie::StopInside
            | Lie::EndsEarly
            | Lie::GoesOn
            | Lie::PromptToken(_)
            | Lie::PromptInserted
            | Lie::PromptDropped
            | Lie::PromptSplit
            | Lie::Malformed
            | Lie::WellFormed
            | Lie::Offset
            | Lie::OffsetsMoved
            | Lie::OffsetPadding
            | Lie::TextByte
            | Lie::TextPadding => liar.bend_lists(self)?,
            Lie::Field(field) => liar.bend_field(field)?,
            Lie::Silence(kind) => liar.fall_silent(kind)?,
        };
        Ok(told.then_some(liar))
    }
}
