//! The lines of a claim's dispute (`prover/SPEC.md` section 10.6): each opening of a line takes the place of the one above it, and the contract knows the
//! lowest node only.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, B256};

use super::StoredNode;

/// Nodes that one account opened, one below the other.
#[derive(Debug, Clone)]
pub struct Line<'a> {
    /// Where the contract keeps it.
    pub key: B256,
    /// Whose it is.
    pub owner: Address,
    /// Its number among its owner's.
    pub number: u16,
    /// Its nodes, the lowest last; at least one.
    pub nodes: Vec<&'a StoredNode>,
}

/// All lines of a claim.
#[derive(Debug)]
pub struct Lines<'a> {
    lines: Vec<Line<'a>>,
    /// Revealed nodes by the hash of their record.
    revealed: BTreeMap<B256, &'a StoredNode>,
    lowest: BTreeSet<B256>,
}

impl<'a> Lines<'a> {
    /// Sorts a claim's nodes, given in the order of their openings, into their lines; lines are in the order of their beginnings.
    pub fn of(nodes: &'a [StoredNode]) -> Lines<'a> {
        let mut lines: Vec<Line<'a>> = Vec::new();
        let mut places = BTreeMap::new();
        let mut revealed = BTreeMap::new();
        for node in nodes {
            let record = node.record();
            let key = record.line(node.claim);
            let place = *places.entry(key).or_insert(lines.len());
            match lines.get_mut(place) {
                Some(line) => line.nodes.push(node),
                None => lines.push(Line {
                    key,
                    owner: record.opener(),
                    number: record.number(),
                    nodes: vec![node],
                }),
            }
            if !node.is_pending() {
                revealed.insert(record.hash(node.claim), node);
            }
        }
        let lowest = lines
            .iter()
            .filter_map(|line| line.nodes.last().map(|node| node.key))
            .collect();
        Lines {
            lines,
            revealed,
            lowest,
        }
    }

    /// All of them.
    pub fn all(&self) -> &[Line<'a>] {
        &self.lines
    }

    /// Those of an account.
    pub fn owned(&self, owner: Address) -> impl Iterator<Item = &Line<'a>> {
        self.lines.iter().filter(move |line| line.owner == owner)
    }

    /// Whether the contract still knows a node: nothing took its place.
    pub fn is_lowest(&self, node: &StoredNode) -> bool {
        self.lowest.contains(&node.key)
    }

    /// What a node was opened under; none for the claim itself.
    pub fn parent_of(&self, node: &StoredNode) -> Option<&'a StoredNode> {
        self.revealed.get(&node.opened.record.parent_hash).copied()
    }

    /// The smallest number that an account has no line of.
    pub fn unused(&self, owner: Address) -> Option<u16> {
        let used: BTreeSet<u16> = self.owned(owner).map(|line| line.number).collect();
        (0..=u16::MAX).find(|number| !used.contains(number))
    }
}

impl<'a> Line<'a> {
    /// The one that the contract knows.
    pub fn lowest(&self) -> Option<&'a StoredNode> {
        self.nodes.last().copied()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::store::{Opening, Reveal, StoredRecord};
    use alloy::primitives::{U256, keccak256};

    pub(crate) const CLAIM: B256 = B256::repeat_byte(0xc1);

    /// A node of a line, opened in a block of its own; revealed unless it is pending.
    pub(crate) fn node(
        owner: u8,
        number: u16,
        position: B256,
        parent: Option<&StoredNode>,
        block: u64,
        contents: Option<Vec<u8>>,
    ) -> StoredNode {
        let owner = U256::from_be_slice(Address::repeat_byte(owner).as_slice());
        let record = StoredRecord {
            position,
            parent_hash: parent.map_or(B256::ZERO, |parent| parent.record().hash(CLAIM)),
            value: B256::repeat_byte(3),
            times: owner << 96 | U256::from(block) << 56 | U256::from(number),
            funds: U256::ZERO,
            shape: U256::ZERO,
            job: B256::ZERO,
        };
        let revealed = contents.map(|contents| Reveal {
            record: StoredRecord {
                times: record.times | U256::from(block + 1) << 16,
                ..record
            },
            contents: contents.into(),
            revealer: Address::ZERO,
            block: block + 1,
            log_index: 0,
            transaction: B256::ZERO,
        });
        let line = record.line(CLAIM);
        StoredNode {
            claim: CLAIM,
            key: keccak256([line, position].concat()),
            opened: Opening {
                record,
                block,
                log_index: 0,
                transaction: B256::ZERO,
            },
            revealed,
            reclaimed: None,
        }
    }

    #[test]
    fn nodes_are_sorted_into_lines_and_find_their_parents() {
        let word = B256::repeat_byte;
        let top = node(1, 0, word(1), None, 10, Some(vec![]));
        let below = node(1, 0, word(2), Some(&top), 20, Some(vec![]));
        let aside = node(1, 2, word(3), Some(&below), 30, None);
        let other = node(2, 0, word(1), None, 40, None);
        let nodes = [top, below, aside, other];
        let lines = Lines::of(&nodes);
        let shown: Vec<_> = lines
            .all()
            .iter()
            .map(|line| (line.owner, line.number, line.nodes.len()))
            .collect();
        let (one, two) = (Address::repeat_byte(1), Address::repeat_byte(2));
        assert_eq!(shown, [(one, 0, 2), (one, 2, 1), (two, 0, 1)]);
        let keys = nodes.each_ref().map(|node| lines.is_lowest(node));
        assert_eq!(keys, [false, true, true, true]);
        let parents = nodes
            .each_ref()
            .map(|node| lines.parent_of(node).map(|parent| parent.key));
        assert_eq!(
            parents,
            [None, Some(nodes[0].key), Some(nodes[1].key), None]
        );
        assert_eq!((lines.unused(one), lines.unused(two)), (Some(1), Some(1)));
        assert_eq!(lines.unused(Address::ZERO), Some(0));
        assert_eq!(lines.owned(one).count(), 2);
    }
}
