//! Whether two adjacent tokens could have merged differently.

use sworn_inference::tokenizer::NONE;

use super::TokenizerBook;

/// A token of a spine.
#[derive(Debug, Clone, Copy)]
struct Node {
    token: u32,
    /// One plus the rank of its own merge; 0 for none.
    birth: u64,
    /// One plus the rank of the merge that it goes into; the largest number for none.
    end: u64,
}

/// What shows that a pair is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WrongPair {
    /// The left token, its right part, ..., x.
    pub(super) left: Vec<u32>,
    /// The right token, its left part, ..., y.
    pub(super) right: Vec<u32>,
    /// The number of (x, y) in the merge table.
    pub(super) merge: u32,
}

fn spine(book: &TokenizerBook<'_>, token: u32, left_parts: bool) -> Vec<Node> {
    let mut out: Vec<Node> = Vec::new();
    let mut next = (token, u64::MAX);
    // A part is shorter than its token, so this ends; a token is below the vocabulary size.
    while next.0 < book.record().vocabulary {
        let entry = book.tokenizer().token(next.0);
        let born = entry.rank != NONE;
        let rank = u64::from(entry.rank) + 1;
        out.push(Node {
            token: next.0,
            birth: if born { rank } else { 0 },
            end: next.1,
        });
        next = (if left_parts { entry.left } else { entry.right }, rank);
    }
    out
}

/// The cheapest proof that the text of `left` and `right` is not encoded as these two; section 10.5.
pub(super) fn wrong_pair(book: &TokenizerBook<'_>, left: u32, right: u32) -> Option<WrongPair> {
    let (lefts, rights) = (spine(book, left, false), spine(book, right, true));
    let mut depths: Vec<(usize, usize)> = (0..lefts.len())
        .flat_map(|x| (0..rights.len()).map(move |y| (x, y)))
        .collect();
    depths.sort_by_key(|(x, y)| x + y);
    depths.into_iter().find_map(|(i, j)| {
        let (x, y) = (lefts[i], rights[j]);
        let merge = book.merge(x.token, y.token)?;
        let rank = book.tokenizer().merges()[merge as usize].rank;
        let when = (u64::from(rank) + 1).max(x.birth).max(y.birth);
        let tokens = |nodes: &[Node]| nodes.iter().map(|node| node.token).collect();
        (when < x.end && when <= y.end).then(|| WrongPair {
            left: tokens(&lefts[..=i]),
            right: tokens(&rights[..=j]),
            merge,
        })
    })
}
