use sworn_inference::program::llama::{MatrixFormats, compile};
use sworn_inference::testing::tiny_config;

use super::*;

fn tiny(format: WeightFormat) -> TraceLayout {
    let program = compile(&tiny_config(), &MatrixFormats::all(format), &[2]).unwrap();
    TraceLayout::new(&program).unwrap()
}

#[test]
fn steps_tile_a_row() {
    for format in [WeightFormat::F32, WeightFormat::Q8_0] {
        let layout = tiny(format);
        let mut next = 0;
        for number in 0..layout.steps() {
            let step = layout.step(number).unwrap();
            assert_eq!(step.first_leaf, next, "step {number}");
            assert_eq!(layout.step_of(step.entry, step.layer), number);
            for leaf in step.first_leaf..step.first_leaf + step.leaf_count {
                assert_eq!(layout.step_at(leaf).unwrap(), step);
            }
            let held: u32 = (0..step.leaf_count)
                .map(|k| step.elements_of(k).len() as u32)
                .sum();
            assert_eq!(held, step.elements);
            assert!(step.inputs.iter().flatten().all(|input| *input < number));
            next += step.leaf_count;
        }
        assert_eq!(next, layout.row_leaves());
        assert!(layout.step(layout.steps()).is_err());
        assert!(layout.step_at(next).is_err());
    }
}

#[test]
fn carries_name_the_layer_before() {
    let layout = tiny(WeightFormat::F32);
    let body = layout.program().entries(Part::Body).len() as u32;
    let first = layout.step(1).unwrap();
    assert_eq!((first.op, first.inputs[0]), (Op::NormStat, Some(0)));
    assert_eq!(layout.step(1 + body).unwrap().inputs[0], Some(body));
    let tail = layout.step(layout.tail_start()).unwrap();
    assert_eq!((tail.part, tail.inputs[0]), (Part::Tail, Some(2 * body)));
    assert_eq!(tail.first_leaf, layout.tail_leaf());
    // The second layer has its own weights.
    let apply = |layer: u32| layout.step(2 + layer * body).unwrap().weights[0].unwrap();
    assert_eq!(apply(1) - apply(0), 9);
}

#[test]
fn nodes_exist_over_leaves_only() {
    let layout = tiny(WeightFormat::Q8_0);
    let (rows, n_prompt) = (5, 3);
    let depth = layout.depth(rows);
    let leaf = |index: u64| {
        let (row, leaf) = layout.place(index);
        row < rows && leaf < layout.leaves_at(row, n_prompt)
    };
    for height in 0..=depth {
        for index in 0..1u64 << (depth - height) {
            let any = (index << height..(index + 1) << height).any(leaf);
            assert_eq!(
                layout.exists(height, index, rows, n_prompt),
                any,
                "{height} {index}"
            );
        }
        assert!(!layout.exists(height, 1 << (depth - height), rows, n_prompt));
    }
    assert!(layout.leaves_at(1, n_prompt) < layout.leaves_at(2, n_prompt));
}

#[test]
fn the_code_of_a_program_has_its_index() {
    let layout = tiny(WeightFormat::Q4_0);
    let bytes = layout.program().encode();
    let code = program_code(&bytes).unwrap();
    assert_eq!(code[0], 0);
    assert_eq!(code[1..=bytes.len()], bytes);
    let index: Vec<u32> = code[1 + bytes.len()..]
        .chunks(4)
        .map(|word| u32::from_be_bytes(word.try_into().unwrap()))
        .collect();
    let entries = layout.program().entry_count();
    assert_eq!(index.len(), entries + 3);
    let [head, body, tail] = [index[entries], index[entries + 1], index[entries + 2]];
    assert_eq!(head + 2 * body + tail, layout.row_leaves());
    assert_eq!(index[0], 0);
    assert!(program_code(&bytes[1..]).is_err());
}
