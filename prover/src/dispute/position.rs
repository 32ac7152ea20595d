//! Positions of nodes (`prover/SPEC.md` section 10.2).

use crate::constants as c;

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum NodeKind {
    /// Of the claim tree.
    Claim = c::NODE_CLAIM,
    /// A job.
    Job = c::NODE_JOB,
    /// Of the tree of a run's tokens.
    Tokens = c::NODE_TOKENS,
    /// Of the tree of a run's offsets.
    Offsets = c::NODE_OFFSETS,
    /// Of the tree of a run's text.
    Text = c::NODE_TEXT,
    /// Of a run's trace.
    Trace = c::NODE_TRACE,
    /// Tile totals of an element.
    Totals = c::NODE_TOTALS,
    /// Running sums and addends of a tile.
    Tile = c::NODE_TILE,
    /// Advice and group sums of a choice.
    Selection = c::NODE_SELECTION,
    /// Sums of a group.
    Group = c::NODE_GROUP,
    /// Places of token leaves.
    Prompt = c::NODE_PROMPT,
    /// Places of a leaf's tokens.
    Starts = c::NODE_STARTS,
    /// Headers of a malformed payload.
    Malformed = c::NODE_MALFORMED,
}

impl NodeKind {
    /// All kinds, by rising code.
    pub const ALL: [NodeKind; 13] = {
        use NodeKind::*;
        [
            Claim, Job, Tokens, Offsets, Text, Trace, Totals, Tile, Selection, Group, Prompt,
            Starts, Malformed,
        ]
    };

    /// The kind of a code.
    pub fn from_code(code: u8) -> Option<NodeKind> {
        NodeKind::ALL.into_iter().find(|kind| *kind as u8 == code)
    }

    /// Whether the node is of a tree that hashes bind (kinds 1 and 3 to 6).
    pub fn is_tree(self) -> bool {
        use NodeKind::*;
        matches!(self, Claim | Tokens | Offsets | Text | Trace)
    }
}

/// Where a node stands in its claim. Fields that the kind does not use are 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// What it is.
    pub kind: NodeKind,
    /// The job's index in the lane.
    pub lane: u32,
    /// The run of the job.
    pub run: u8,
    /// Height in its tree; leaves are 0.
    pub height: u8,
    /// Index at that height; a row, or a token's place.
    pub index: u64,
    /// Step, or component.
    pub a: u32,
    /// Element, or group.
    pub b: u32,
    /// Tile.
    pub c: u32,
}

impl Position {
    /// A node of a tree.
    pub fn tree(kind: NodeKind, lane: u32, run: u8, height: u8, index: u64) -> Position {
        Position {
            kind,
            lane,
            run,
            height,
            index,
            a: 0,
            b: 0,
            c: 0,
        }
    }

    /// The word, big-endian.
    pub fn to_word(self) -> [u8; 32] {
        let mut word = [0; 32];
        word[0] = self.kind as u8;
        word[1..5].copy_from_slice(&self.lane.to_be_bytes());
        word[5] = self.run;
        word[6] = self.height;
        word[7..15].copy_from_slice(&self.index.to_be_bytes());
        word[15..19].copy_from_slice(&self.a.to_be_bytes());
        word[19..23].copy_from_slice(&self.b.to_be_bytes());
        word[23..27].copy_from_slice(&self.c.to_be_bytes());
        word
    }

    /// The position of a word; none when it is not one.
    pub fn from_word(word: &[u8; 32]) -> Option<Position> {
        let u32_at =
            |at: usize| u32::from_be_bytes([word[at], word[at + 1], word[at + 2], word[at + 3]]);
        let mut index = [0; 8];
        index.copy_from_slice(&word[7..15]);
        let position = Position {
            kind: NodeKind::from_code(word[0])?,
            lane: u32_at(1),
            run: word[5],
            height: word[6],
            index: u64::from_be_bytes(index),
            a: u32_at(15),
            b: u32_at(19),
            c: u32_at(23),
        };
        (position.to_word() == *word).then_some(position)
    }
}
