//! Several leaves in a row under one path.

use crate::{Digest, merkle};

/// The siblings that lead from leaves `first..=last` of a tree to its root: level by level from below, at each the left one (if the range starts at
/// a right child) before the right one (if it ends at a left child). They follow from the paths of the first and the last leaf; for one leaf
/// they are its path.
#[must_use]
pub fn range_path(first: u64, last: u64, paths: [&[Digest]; 2]) -> Vec<Digest> {
    let mut path = Vec::new();
    for (level, (left, right)) in paths[0].iter().zip(paths[1]).enumerate() {
        if (first >> level) & 1 == 1 {
            path.push(*left);
        }
        if (last >> level) & 1 == 0 {
            path.push(*right);
        }
    }
    path
}

/// The root that leaves from index `first` of a tree of `depth` levels lead to by such a path; none if the path has another length or the leaves
/// do not fit.
#[must_use]
pub fn range_root(first: u64, leaves: &[Digest], depth: u32, path: &[Digest]) -> Option<Digest> {
    let mut nodes = leaves.to_vec();
    let mut first = first;
    let end = u128::from(first) + leaves.len() as u128;
    if leaves.is_empty() || depth > merkle::MAX_DEPTH || end > 1 << depth {
        return None;
    }
    let mut path = path.iter();
    for _ in 0..depth {
        if first & 1 == 1 {
            nodes.insert(0, *path.next()?);
        }
        if nodes.len() & 1 == 1 {
            nodes.push(*path.next()?);
        }
        nodes = nodes
            .chunks_exact(2)
            .map(|pair| Digest::of_pair(pair[0], pair[1]))
            .collect();
        first >>= 1;
    }
    (path.next().is_none()).then(|| nodes[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::Tree;

    #[test]
    fn every_range_leads_to_the_root() {
        for count in 1..=17u64 {
            let leaves: Vec<Digest> = (0..count).map(|i| Digest([i as u8 + 1; 32])).collect();
            let tree = Tree::new(leaves.clone());
            for first in 0..count {
                for last in first..count {
                    let paths = [tree.path(first).unwrap(), tree.path(last).unwrap()];
                    let path = range_path(first, last, [&paths[0], &paths[1]]);
                    let range = &leaves[first as usize..=last as usize];
                    let root = |first, range, path| range_root(first, range, tree.depth(), path);
                    assert_eq!(root(first, range, &path[..]), Some(tree.root()));
                    if first == last {
                        assert_eq!(path, paths[0]);
                    }
                    // Another place, a leaf less, a digest more or less: another root or none.
                    for other in 0..count + 2 {
                        let found = root(other, range, &path[..]);
                        assert_eq!(found == Some(tree.root()), other == first);
                    }
                    assert_ne!(root(first, &range[1..], &path[..]), Some(tree.root()));
                    let longer = [&path[..], &[Digest::ZERO]].concat();
                    assert_eq!(root(first, range, &longer), None);
                    if let Some((_, shorter)) = path.split_last() {
                        assert_eq!(root(first, range, shorter), None);
                    }
                }
            }
        }
    }
}
