use proptest::prelude::*;

use super::*;

/// The definition: pad, then hash pairs until one is left.
fn naive_root(base: u32, leaves: &[Digest]) -> Digest {
    let mut level = leaves.to_vec();
    level.resize(leaves.len().max(1).next_power_of_two(), empty(base));
    while level.len() > 1 {
        level = level
            .chunks(2)
            .map(|pair| Digest::of_pair(pair[0], pair[1]))
            .collect();
    }
    level[0]
}

fn leaves(count: usize) -> Vec<Digest> {
    (0..count).map(|i| Digest::of(&i.to_le_bytes())).collect()
}

#[test]
fn empty_digests_chain() {
    assert_eq!(empty(0), Digest::ZERO);
    assert_eq!(empty(1), Digest::of(&[0; 64]));
    assert_eq!(empty(5), Digest::of_pair(empty(4), empty(4)));
    assert_eq!(empty(1000), empty(MAX_DEPTH));
}

#[test]
fn depths() {
    let expected = [
        (0, 0),
        (1, 0),
        (2, 1),
        (3, 2),
        (4, 2),
        (5, 3),
        (512, 9),
        (513, 10),
        (u64::MAX, 64),
    ];
    for (count, levels) in expected {
        assert_eq!(depth(count), levels, "{count}");
    }
}

#[test]
fn small_trees() {
    assert_eq!(root(&[]), Digest::ZERO);
    let [a, b, c] = [Digest::of(b"a"), Digest::of(b"b"), Digest::of(b"c")];
    assert_eq!(root(&[a]), a);
    assert_eq!(
        root(&[a, b, c]),
        Digest::of_pair(Digest::of_pair(a, b), Digest::of_pair(c, Digest::ZERO))
    );
}

#[test]
fn a_full_builder_refuses() {
    let mut builder = RootBuilder::new(1);
    builder.push(Digest::ZERO).unwrap();
    builder.push(Digest::ZERO).unwrap();
    assert_eq!(
        builder.push(Digest::ZERO),
        Err(Error::IndexOutOfRange {
            what: "tree",
            found: 2,
            expected: 2
        })
    );
    let mut deepest = RootBuilder::new(MAX_DEPTH);
    deepest.push(Digest::ZERO).unwrap();
    assert_eq!(deepest.finish(), empty(MAX_DEPTH));
}

#[test]
fn an_index_past_the_tree_has_no_path() {
    assert!(Tree::new(leaves(3)).path(3).is_ok());
    assert!(Tree::new(leaves(3)).path(4).is_err());
    assert!(verify("tree", Digest::ZERO, 1, 0, &[], Digest::ZERO).is_err());
}

proptest! {
    #[test]
    fn builder_and_tree_equal_the_definition(count in 0usize..70, base in 0u32..12, extra in 0u32..4) {
        let leaves = leaves(count);
        let expected = naive_root(base, &leaves);
        prop_assert_eq!(Tree::on(base, leaves.clone()).root(), expected);
        let depth = depth(count as u64);
        let mut builder = RootBuilder::on(base, depth + extra);
        for leaf in &leaves {
            builder.push(*leaf).unwrap();
        }
        // Deeper trees have empty right halves.
        let deeper = (0..extra).fold(expected, |node, k| {
            if count == 0 { empty(base + depth + k + 1) } else { Digest::of_pair(node, empty(base + depth + k)) }
        });
        prop_assert_eq!(builder.finish(), deeper);
    }

    #[test]
    fn trees_on_subtrees_are_trees(rows in 0usize..9, row_depth in 0u32..4) {
        // Rows of full width, then a tree over row roots, against one flat tree.
        let width = 1usize << row_depth;
        let flat = leaves(rows * width);
        let roots: Vec<Digest> = flat.chunks(width).map(root).collect();
        let nested = Tree::on(row_depth, roots).root();
        let mut builder = RootBuilder::new(row_depth + depth(rows as u64));
        for leaf in flat {
            builder.push(leaf).unwrap();
        }
        prop_assert_eq!(nested, builder.finish());
    }

    #[test]
    fn paths_verify_and_any_flipped_byte_fails(count in 1usize..40, pick: prop::sample::Index, flip in 0usize..32, bit in 0u8..8) {
        let tree = Tree::new(leaves(count));
        let index = pick.index(1 << tree.depth()) as u64;
        let leaf = leaves(count).get(index as usize).copied().unwrap_or(Digest::ZERO);
        let path = tree.path(index).unwrap();
        let check = |leaf, index, path: &[Digest], root| verify("tree", leaf, index, tree.depth(), path, root).is_ok();
        prop_assert!(check(leaf, index, &path, tree.root()));
        let flipped = |digest: Digest| { let mut d = digest; d.0[flip] ^= 1 << bit; d };
        prop_assert!(!check(flipped(leaf), index, &path, tree.root()));
        prop_assert!(!check(leaf, index, &path, flipped(tree.root())));
        for k in 0..path.len() {
            let mut bad = path.clone();
            bad[k] = flipped(bad[k]);
            prop_assert!(!check(leaf, index, &bad, tree.root()));
            // Another place for the same leaf fails too, unless the two siblings are equal.
            if path[k] != root_of(leaf, index, &path[..k]) {
                prop_assert!(!check(leaf, index ^ (1 << k), &path, tree.root()));
            }
        }
        let longer = [&path[..], &[Digest::ZERO]].concat();
        prop_assert!(!check(leaf, index, &longer, tree.root()));
        if let Some((_, shorter)) = path.split_last() {
            prop_assert!(!check(leaf, index, shorter, tree.root()));
        }
    }
}
