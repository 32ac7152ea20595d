//! A persistent Merkle Patricia trie over 32-byte hashed keys.
//!
//! Cloning is one reference count; a change copies only the path to the changed leaf. The chain
//! keeps one root per block, which gives every block its real state root *and* its historical
//! state for the price of the nodes that changed.
//!
//! ```text
//! Branch { depth: 3, key: abc… }      the first `depth` nibbles of `key` are common to all below;
//!   ├─ 0: Leaf  abc0…                 the slot is chosen by nibble number `depth`.
//!   └─ 7: Branch { depth: 5, … }      Extension nodes of the yellow paper are implied by a jump
//!                                     in depth and appear only in the encoding.
//! ```

use std::sync::{Arc, OnceLock};

use alloy::consensus::EMPTY_ROOT_HASH;
use alloy::primitives::{B256, keccak256};
use alloy::rlp::{BufMut, Encodable, Header};

/// A value stored at a leaf: cheap to clone and encodable as the trie wants it.
pub(super) trait Value: Clone {
    /// The leaf's value as it is committed (RLP of a slot's word or of an account).
    fn encoded(&self) -> Vec<u8>;
}

/// A persistent trie from hashed key to value.
#[derive(Clone)]
pub(super) struct Trie<V>(Option<Arc<Node<V>>>);

impl<V> Default for Trie<V> {
    fn default() -> Self {
        Self(None)
    }
}

#[derive(Clone)]
struct Node<V> {
    kind: Kind<V>,
    /// How the parent refers to this node, with the depth it was computed for: a node's encoding
    /// changes when a collapse above lengthens the path to it.
    reference: OnceLock<(usize, Reference)>,
}

#[derive(Clone)]
enum Kind<V> {
    Leaf {
        key: B256,
        value: V,
    },
    Branch {
        depth: usize,
        key: B256,
        children: [Option<Arc<Node<V>>>; 16],
    },
}

/// A node inside its parent: its RLP when shorter than 32 bytes, else the hash of it.
#[derive(Clone)]
enum Reference {
    Inline(Vec<u8>),
    Hash(B256),
}

const NIBBLES: usize = 64;

fn nibble(key: &B256, at: usize) -> usize {
    let byte = key.0[at / 2];
    usize::from(if at.is_multiple_of(2) {
        byte >> 4
    } else {
        byte & 15
    })
}

/// The first nibble in `from..to` where the keys differ.
fn first_difference(a: &B256, b: &B256, from: usize, to: usize) -> Option<usize> {
    (from..to).find(|&at| nibble(a, at) != nibble(b, at))
}

impl<V: Value> Trie<V> {
    /// The value at `key`.
    pub(super) fn find(&self, key: &B256) -> Option<&V> {
        let mut node = self.0.as_deref()?;
        loop {
            match &node.kind {
                Kind::Leaf { key: found, value } => return (found == key).then_some(value),
                Kind::Branch {
                    depth, children, ..
                } => {
                    node = children[nibble(key, *depth)].as_deref()?;
                }
            }
        }
    }

    /// Sets the value at `key`.
    pub(super) fn insert(&mut self, key: B256, value: V) {
        insert(&mut self.0, 0, key, value);
    }

    /// Removes the value at `key`, if any.
    pub(super) fn remove(&mut self, key: &B256) {
        // Looked up first: an absent key must not copy and unhash the path to where it would be.
        if self.find(key).is_some() {
            remove(&mut self.0, key);
        }
    }

    /// Whether there is no value at all.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The Merkle root, as in the yellow paper.
    pub(super) fn root(&self) -> B256 {
        match &self.0 {
            None => EMPTY_ROOT_HASH,
            Some(node) => match node.reference(0) {
                Reference::Hash(hash) => hash,
                Reference::Inline(bytes) => keccak256(bytes),
            },
        }
    }

    /// The nodes on the way to `key`, root first: a Merkle proof of its value or absence.
    pub(super) fn proof(&self, key: &B256) -> Vec<Vec<u8>> {
        let mut proof = Vec::new();
        let mut next = self.0.as_deref();
        let mut from = 0;
        while let Some(node) = next {
            // The root is always listed; a node embedded in its parent is not.
            for encoding in node.encodings(from) {
                if proof.is_empty() || encoding.len() >= 32 {
                    proof.push(encoding);
                }
            }
            next = match &node.kind {
                Kind::Leaf { .. } => None,
                Kind::Branch {
                    depth,
                    key: prefix,
                    children,
                } => {
                    if first_difference(key, prefix, from, *depth).is_some() {
                        None
                    } else {
                        from = depth + 1;
                        children[nibble(key, *depth)].as_deref()
                    }
                }
            };
        }
        proof
    }
}

fn insert<V: Value>(slot: &mut Option<Arc<Node<V>>>, from: usize, key: B256, value: V) {
    let Some(node) = slot else {
        *slot = Some(Arc::new(Node::leaf(key, value)));
        return;
    };
    let (old_key, limit) = match &node.kind {
        Kind::Leaf { key, .. } => (*key, NIBBLES),
        Kind::Branch { depth, key, .. } => (*key, *depth),
    };
    if let Some(depth) = first_difference(&old_key, &key, from, limit) {
        let mut children: [Option<Arc<Node<V>>>; 16] = Default::default();
        children[nibble(&old_key, depth)] = Some(Arc::clone(node));
        children[nibble(&key, depth)] = Some(Arc::new(Node::leaf(key, value)));
        *slot = Some(Arc::new(Node::new(Kind::Branch {
            depth,
            key,
            children,
        })));
        return;
    }
    let node = Arc::make_mut(node);
    node.reference = OnceLock::new();
    match &mut node.kind {
        Kind::Leaf { value: old, .. } => *old = value,
        Kind::Branch {
            depth, children, ..
        } => {
            insert(&mut children[nibble(&key, *depth)], *depth + 1, key, value);
        }
    }
}

/// Removes a key that is known to be there.
fn remove<V: Value>(slot: &mut Option<Arc<Node<V>>>, key: &B256) {
    let Some(node) = slot else { return };
    let node = Arc::make_mut(node);
    node.reference = OnceLock::new();
    let Kind::Branch {
        depth, children, ..
    } = &mut node.kind
    else {
        *slot = None;
        return;
    };
    remove(&mut children[nibble(key, *depth)], key);
    let mut left = children.iter_mut().filter(|child| child.is_some());
    if let (Some(only), None) = (left.next(), left.next()) {
        // A branch with one child is no branch: the child takes its place with a longer path.
        *slot = only.take();
    }
}

impl<V: Value> Node<V> {
    fn new(kind: Kind<V>) -> Self {
        Self {
            kind,
            reference: OnceLock::new(),
        }
    }

    fn leaf(key: B256, value: V) -> Self {
        Self::new(Kind::Leaf { key, value })
    }

    fn reference(&self, from: usize) -> Reference {
        if let Some((cached_from, reference)) = self.reference.get()
            && *cached_from == from
        {
            return reference.clone();
        }
        let reference = match self.encodings(from).into_iter().next() {
            Some(encoding) => Reference::of(encoding),
            None => Reference::Hash(EMPTY_ROOT_HASH),
        };
        // Someone else's value for another depth may be there already; then this one is not kept.
        let _ = self.reference.set((from, reference.clone()));
        reference
    }

    /// The RLP of this node, outermost first: a leaf, a branch, or an extension and its branch.
    fn encodings(&self, from: usize) -> Vec<Vec<u8>> {
        match &self.kind {
            Kind::Leaf { key, value } => {
                let path = hex_prefix(key, from, NIBBLES, true);
                vec![pair(&path, |out| value.encoded().as_slice().encode(out))]
            }
            Kind::Branch {
                depth,
                key,
                children,
            } => {
                let mut payload = Vec::with_capacity(17 * 33);
                for child in children {
                    match child {
                        Some(child) => child.reference(depth + 1).put(&mut payload),
                        None => payload.put_u8(alloy::rlp::EMPTY_STRING_CODE),
                    }
                }
                // Keys have one length, so no key ends at a branch: its value is empty.
                payload.put_u8(alloy::rlp::EMPTY_STRING_CODE);
                let branch = list(&payload);
                if *depth == from {
                    return vec![branch];
                }
                let path = hex_prefix(key, from, *depth, false);
                let child = Reference::of(branch.clone());
                vec![pair(&path, |out| child.put(out)), branch]
            }
        }
    }
}

impl Reference {
    fn of(encoding: Vec<u8>) -> Self {
        if encoding.len() < 32 {
            Self::Inline(encoding)
        } else {
            Self::Hash(keccak256(encoding))
        }
    }

    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Inline(bytes) => out.extend_from_slice(bytes),
            Self::Hash(hash) => hash.encode(out),
        }
    }
}

fn list(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 4);
    Header {
        list: true,
        payload_length: payload.len(),
    }
    .encode(&mut out);
    out.extend_from_slice(payload);
    out
}

fn pair(path: &[u8], second: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut payload = Vec::with_capacity(80);
    path.encode(&mut payload);
    second(&mut payload);
    list(&payload)
}

/// Nibbles `from..to` of a key with the yellow paper's parity and terminator flag.
fn hex_prefix(key: &B256, from: usize, to: usize, leaf: bool) -> Vec<u8> {
    let flag = if leaf { 0x20 } else { 0 };
    let mut out = Vec::with_capacity((to - from) / 2 + 1);
    let mut at = from;
    if (to - from).is_multiple_of(2) {
        out.push(flag);
    } else {
        out.push(flag | 0x10 | nibble(key, at) as u8);
        at += 1;
    }
    while at < to {
        out.push((nibble(key, at) << 4 | nibble(key, at + 1)) as u8);
        at += 2;
    }
    out
}

#[cfg(test)]
mod tests {
    use alloy::consensus::proofs::storage_root_unsorted;
    use alloy::primitives::U256;
    use proptest::prelude::*;

    use super::*;

    fn naive_root(entries: &std::collections::BTreeMap<B256, U256>) -> B256 {
        storage_root_unsorted(entries.iter().map(|(key, value)| (*key, *value)))
    }

    /// Keys that share long prefixes on purpose, so that extensions, collapses and short leaves
    /// occur; only a few nibbles vary.
    fn key() -> impl Strategy<Value = B256> {
        (prop::collection::vec(0u8..3, 4), 0usize..60).prop_map(|(nibbles, place)| {
            let mut key = B256::repeat_byte(0x11);
            for (i, n) in nibbles.iter().enumerate() {
                let at = (place / 20) * 20 + i;
                let byte = &mut key.0[at / 2];
                *byte = if at % 2 == 0 {
                    *byte & 15 | n << 4
                } else {
                    *byte & 0xf0 | n
                };
            }
            key
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn root_equals_the_reference_after_every_change(
            changes in prop::collection::vec((key(), prop::option::weighted(0.7, 1u64..300)), 1..40)
        ) {
            let mut trie = Trie::<U256>::default();
            let mut naive = std::collections::BTreeMap::new();
            let mut history = Vec::new();
            for (key, value) in changes {
                match value {
                    Some(value) => {
                        trie.insert(key, U256::from(value));
                        naive.insert(key, U256::from(value));
                    }
                    None => {
                        trie.remove(&key);
                        naive.remove(&key);
                    }
                }
                prop_assert_eq!(trie.root(), naive_root(&naive));
                prop_assert_eq!(trie.find(&key).copied(), naive.get(&key).copied());
                history.push((trie.clone(), trie.root()));
            }
            // Older versions are untouched by later changes.
            for (old, root) in history {
                prop_assert_eq!(old.root(), root);
            }
        }
    }

    #[test]
    fn a_proof_starts_at_the_root_and_links_by_hash() {
        let mut trie = Trie::<U256>::default();
        for i in 0u64..300 {
            trie.insert(keccak256(i.to_be_bytes()), U256::from(i + 1));
        }
        let proof = trie.proof(&keccak256(7u64.to_be_bytes()));
        assert!(proof.len() >= 2);
        assert_eq!(keccak256(&proof[0]), trie.root());
        for link in proof.windows(2) {
            let hash = keccak256(&link[1]);
            assert!(link[0].windows(32).any(|bytes| bytes == hash.as_slice()));
        }
    }
}
