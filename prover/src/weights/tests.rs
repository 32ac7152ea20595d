use proptest::prelude::*;
use sworn_inference::program::WeightFormat;

use super::*;

fn write_leaf(tensor: usize, row: u32, tile: u32, out: &mut Vec<u8>) {
    out.extend((0..40u32).map(|i| (i * 3 + row * 5 + tile * 7) as u8 ^ tensor as u8));
}

/// The definition: every row padded to a power of two of leaves, every tensor to one of rows, with digests of level 0.
fn naive_tensor(tensor: usize, shape: &WeightShape) -> Digest {
    let tiles = shape.cols.div_ceil(256);
    let (width, height) = (tiles.next_power_of_two(), shape.rows.next_power_of_two());
    let leaf = |row, tile| {
        let mut bytes = Vec::new();
        write_leaf(tensor, row, tile, &mut bytes);
        if row < shape.rows && tile < tiles {
            Digest::of(&bytes)
        } else {
            Digest::ZERO
        }
    };
    let leaves: Vec<_> = (0..height)
        .flat_map(|row| (0..width).map(move |tile| leaf(row, tile)))
        .collect();
    merkle::root(&leaves)
}

fn shapes() -> impl Strategy<Value = Vec<WeightShape>> {
    let shape = (
        0u8..5,
        prop_oneof![1u32..5, 60u32..70, 120u32..300],
        prop_oneof![1u32..600, 1u32..2000],
    )
        .prop_map(|(code, rows, cols)| WeightShape {
            format: WeightFormat::from_code(code).unwrap(),
            rows,
            cols,
        });
    prop::collection::vec(shape, 0..5)
}

#[test]
fn empty_tensors_are_refused() {
    let shape = WeightShape {
        format: WeightFormat::F32,
        rows: 0,
        cols: 4,
    };
    assert!(WeightsTree::build(&[shape], 1, &write_leaf, &mut |_, _| ()).is_err());
}

#[test]
fn a_row_of_one_tile_is_its_leaf() {
    let shape = WeightShape {
        format: WeightFormat::F32,
        rows: 1,
        cols: 64,
    };
    let tree = WeightsTree::build(&[shape], 1, &write_leaf, &mut |_, _| ()).unwrap();
    let mut leaf = Vec::new();
    write_leaf(0, 0, 0, &mut leaf);
    assert_eq!(tree.root(), Digest::of(&leaf));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn the_tree_is_the_definition(shapes in shapes(), threads in 0usize..5, row: u32, tile: u32, byte: usize) {
        let mut last = (0, 0);
        let tree = WeightsTree::build(&shapes, threads, &write_leaf, &mut |done, total| {
            assert!(last.0 <= done && done <= total);
            last = (done, total);
        }).unwrap();
        prop_assert_eq!(last.0, last.1);
        let roots: Vec<_> = shapes.iter().enumerate().map(|(i, shape)| naive_tensor(i, shape)).collect();
        prop_assert_eq!(tree.root(), merkle::root(&roots));

        let mut bytes = tree.to_bytes();
        prop_assert_eq!(WeightsTree::from_bytes(&bytes, &shapes, tree.root()).unwrap(), tree.clone());
        let at = byte % bytes.len();
        prop_assert!(WeightsTree::from_bytes(&bytes[..at], &shapes, tree.root()).is_err());
        prop_assert!(WeightsTree::from_bytes(&[&bytes[..], &[0]].concat(), &shapes, tree.root()).is_err());
        bytes[at] ^= 1;
        prop_assert!(WeightsTree::from_bytes(&bytes, &shapes, tree.root()).is_err());

        for (i, shape) in shapes.iter().enumerate() {
            let (row, tile) = (row % shape.rows, tile % shape.cols.div_ceil(256));
            let path = tree.path(i, row, tile, &write_leaf).unwrap();
            let mut leaf = Vec::new();
            write_leaf(i, row, tile, &mut leaf);
            let (to_tensor, to_root) = path.split_at(path.len() - merkle::depth(shapes.len() as u64) as usize);
            prop_assert_eq!(verify_leaf(shape, row, tile, &leaf, to_tensor, roots[i]), Ok(()));
            prop_assert!(merkle::verify("weights", roots[i], i as u64, to_root.len() as u32, to_root, tree.root()).is_ok());
            let at = byte % leaf.len();
            leaf[at] ^= 1;
            prop_assert!(verify_leaf(shape, row, tile, &leaf, to_tensor, roots[i]).is_err());
            prop_assert!(tree.path(i, shape.rows, 0, &write_leaf).is_err());
        }
        prop_assert!(tree.path(shapes.len(), 0, 0, &write_leaf).is_err());
    }

    #[test]
    fn any_bytes_are_read_without_panic(shapes in shapes(), tail in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(WeightsTree::from_bytes(&tail, &shapes, Digest([1; 32])).is_err());
        prop_assert!(WeightsTree::from_bytes(&[&MAGIC[..], &tail].concat(), &shapes, Digest([1; 32])).is_err());
    }
}
