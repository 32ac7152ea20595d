//! Pages of cached keys and values.

use super::simd::LANES;

/// Positions of a page; divides the 256 of a summation tile.
pub const PAGE_POSITIONS: usize = 64;

/// Keys and values (binary16) of 64 positions of one attention in one layer.
///
/// ```text
/// keys    [kv_heads][64 / 16][head_dim][16 positions]   each SIMD lane is one position
/// values  [kv_heads][64][head_dim padded to 16]         each SIMD lane is one element
/// ```
/// Positions that were not stored yet hold zeros.
#[derive(Debug, Clone)]
pub struct KvPage {
    head_dim: usize,
    keys: Vec<u16>,
    values: Vec<u16>,
}

impl KvPage {
    /// Bytes of a page.
    pub fn bytes(kv_heads: usize, head_dim: usize) -> usize {
        2 * kv_heads * PAGE_POSITIONS * (head_dim + head_dim.next_multiple_of(LANES))
    }

    /// An empty page.
    pub fn new(kv_heads: usize, head_dim: usize) -> KvPage {
        let positions = kv_heads * PAGE_POSITIONS;
        let values = vec![0; positions * head_dim.next_multiple_of(LANES)];
        KvPage {
            head_dim,
            keys: vec![0; positions * head_dim],
            values,
        }
    }

    /// Stores the rows of `to_f16` for the position `slot` of the page: `[kv_heads * head_dim]` each.
    pub fn store(&mut self, slot: usize, keys: &[u16], values: &[u16]) {
        let padded = self.head_dim.next_multiple_of(LANES);
        for (head, (keys, values)) in keys
            .chunks_exact(self.head_dim)
            .zip(values.chunks_exact(self.head_dim))
            .enumerate()
        {
            let first = self.key_at(head, slot, 0);
            for (to, key) in self.keys[first..].iter_mut().step_by(LANES).zip(keys) {
                *to = *key;
            }
            self.values[(head * PAGE_POSITIONS + slot) * padded..][..self.head_dim]
                .copy_from_slice(values);
        }
    }

    fn key_at(&self, head: usize, slot: usize, element: usize) -> usize {
        ((head * (PAGE_POSITIONS / LANES) + slot / LANES) * self.head_dim + element) * LANES
            + slot % LANES
    }

    /// An element of a key.
    pub fn key(&self, head: usize, slot: usize, element: usize) -> u16 {
        self.keys[self.key_at(head, slot, element)]
    }

    /// An element of a value.
    pub fn value(&self, head: usize, slot: usize, element: usize) -> u16 {
        self.values
            [(head * PAGE_POSITIONS + slot) * self.head_dim.next_multiple_of(LANES) + element]
    }

    /// The keys of a head, `[64 / 16][head_dim][16]`.
    pub(super) fn head_keys(&self, head: usize) -> &[u16] {
        let size = PAGE_POSITIONS * self.head_dim;
        &self.keys[head * size..][..size]
    }

    /// The values of a head, `[64][head_dim padded to 16]`.
    pub(super) fn head_values(&self, head: usize) -> &[u16] {
        let size = PAGE_POSITIONS * self.head_dim.next_multiple_of(LANES);
        &self.values[head * size..][..size]
    }
}
