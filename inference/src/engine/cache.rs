//! The keys and values of a token sequence.

use std::sync::Arc;

use crate::backend::{KvPage, PAGE_POSITIONS};

/// A sequence's cache: pages for every attention of every layer. A copy shares all pages; a shared page is copied when one of its owners
/// stores into it, so runs of one prompt hold the prompt once.
#[derive(Debug, Clone)]
pub(super) struct Sequence {
    /// Positions stored.
    pub(super) length: usize,
    /// `[layer * attentions of a layer]`, each `[position / 64]`.
    pages: Vec<Vec<Arc<KvPage>>>,
}

impl Sequence {
    /// An empty sequence with that many caches.
    pub(super) fn new(caches: usize) -> Sequence {
        Sequence {
            length: 0,
            pages: vec![Vec::new(); caches],
        }
    }

    /// Takes the last positions back, so that there are at most `length`.
    pub(super) fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
        for pages in &mut self.pages {
            pages.truncate(self.length.div_ceil(PAGE_POSITIONS));
        }
    }

    /// The pages of cache `cache`.
    pub(super) fn pages(&self, cache: usize) -> &[Arc<KvPage>] {
        &self.pages[cache]
    }

    /// Stores a position's keys and values, `[kv_heads * head_dim]` each; positions come in rising order.
    pub(super) fn store(
        &mut self,
        cache: usize,
        position: usize,
        kv_heads: usize,
        keys: &[u16],
        values: &[u16],
    ) {
        let pages = &mut self.pages[cache];
        let page = position / PAGE_POSITIONS;
        if page == pages.len() {
            pages.push(Arc::new(KvPage::new(kv_heads, keys.len() / kv_heads)));
        }
        Arc::make_mut(&mut pages[page]).store(position % PAGE_POSITIONS, keys, values);
    }
}
