//! Finds pairs of tokens.

/// Finds pairs of tokens in a sorted list of pairs. A search, not a hash: no vocabulary can make it slow.
#[derive(Debug, Clone, Default)]
pub(super) struct PairIndex {
    /// `rights[starts[left]..starts[left + 1]]` are the right tokens of the pairs of `left`.
    starts: Vec<u32>,
    rights: Vec<u32>,
}

impl PairIndex {
    /// Indexes sorted pairs of tokens below `tokens`.
    pub(super) fn new(tokens: usize, pairs: impl Iterator<Item = (u32, u32)>) -> PairIndex {
        let mut starts = vec![0; tokens + 1];
        let mut rights = Vec::new();
        for (left, right) in pairs {
            starts[left as usize + 1] += 1;
            rights.push(right);
        }
        for left in 1..starts.len() {
            starts[left] += starts[left - 1];
        }
        PairIndex { starts, rights }
    }

    /// The number of a pair in the list.
    pub(super) fn find(&self, left: u32, right: u32) -> Option<u32> {
        let (first, end) = (self.starts[left as usize], self.starts[left as usize + 1]);
        let rights = &self.rights[first as usize..end as usize];
        let index = rights.binary_search(&right).ok()?;
        Some(first + index as u32)
    }
}
