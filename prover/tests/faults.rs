//! Real traces of a small model: nothing in them is a fault of attention or of a choice, and posted contents give what the engine stored.

use std::sync::Arc;

use alloy_primitives::{B256, U256};
use sworn_inference::engine::{BackendKind, EngineOptions, Sampling, select};
use sworn_inference::format::ModelSource;
use sworn_inference::format::packed::Model;
use sworn_inference::numeric::draw;
use sworn_inference::program::{LlamaConfig, Op, WeightFormat};
use sworn_inference::testing::{self, Random};
use sworn_prover::Digest;
use sworn_prover::constants::{FAULT_COMBINE, FAULT_WEIGHT};
use sworn_prover::dispute::Position;
use sworn_prover::dispute::abi::{Case, Job, Leaf, Node, Run};
use sworn_prover::dispute::faults::attention::contents::{
    combine, read_tile, read_totals, total_of,
};
use sworn_prover::dispute::faults::attention::find::{Finding, TileParent};
use sworn_prover::dispute::faults::attention::judge::is_fault;
use sworn_prover::dispute::faults::attention::witness::Place;
use sworn_prover::dispute::faults::{attention, selection};
use sworn_prover::dispute::parts;
use sworn_prover::dispute::position::NodeKind;
use sworn_prover::dispute::source::TraceSource;
use sworn_prover::dispute::trace::{Trace, TraceLayout, TraceOptions};
use sworn_prover::params::Params;

const ROWS: u32 = 300;
const PROMPT: u32 = 250;

fn trace() -> Trace {
    let folder = tempfile::tempdir().unwrap();
    let config = LlamaConfig {
        context: 320,
        ..testing::tiny_config()
    };
    let path = folder.path().join("model");
    std::fs::write(
        &path,
        testing::gguf(&config, WeightFormat::Q8_0, 4).to_bytes(),
    )
    .unwrap();
    let source = ModelSource::open(&path, None).unwrap();
    let model = Model::import(&source, &folder.path().join("packed"), &mut |_, _| ()).unwrap();
    let options = EngineOptions {
        backend: BackendKind::Auto,
        threads: 0,
    };
    let mut random = Random(8);
    let tokens: Vec<u32> = (0..=ROWS)
        .map(|_| random.below(config.vocab_size as usize) as u32)
        .collect();
    let (backend, make) = (options.open().unwrap(), TraceOptions::default());
    Trace::build(
        Arc::new(model),
        backend,
        &tokens,
        PROMPT,
        make,
        &mut |_, _| (),
    )
    .unwrap()
}

fn posted(site: &attention::Site, kind: NodeKind, at: Place, tile: u32, contents: &[u8]) -> Node {
    let position = Position {
        a: site.step.number,
        b: at.element,
        c: tile,
        ..Position::tree(kind, 0, 0, 0, at.row.into())
    };
    node(position, parts::digest(&position, contents))
}

fn node(position: Position, value: Digest) -> Node {
    Node {
        position: U256::from_be_bytes(position.to_word()),
        value: value.0.into(),
    }
}

fn case(root: Digest, node: Node, parent: Node) -> Case {
    let run = Run {
        nPrompt: PROMPT,
        nTokens: ROWS + 1,
        finish: 0,
        tokensRoot: B256::ZERO,
        offsetsRoot: B256::ZERO,
        textRoot: B256::ZERO,
        textLength: 0,
        score: 0,
        greedy: false,
    };
    Case {
        epoch: 0,
        modelId: B256::ZERO,
        job: Job {
            inputId: U256::ZERO,
            scoreRoot: B256::ZERO,
            runs: vec![run],
            traceRoots: vec![root.0.into()],
        },
        node,
        parent,
    }
}

#[test]
fn honest_attention_has_no_fault() {
    let mut trace = trace();
    let layout = TraceLayout::clone(trace.layout());
    let root = trace.root();
    let mut random = Random(2);
    let steps: Vec<u32> = (0..layout.steps())
        .filter(|step| {
            let op = layout.step(*step).unwrap().op;
            matches!(op, Op::AttnMax | Op::AttnSum | Op::AttnMix)
        })
        .collect();
    assert_eq!(steps.len(), 6);
    for i in 0..150 {
        let site = attention::Site::of(&layout, steps[i % steps.len()]).unwrap();
        let row = [0, 1, 255, 256, ROWS - 1, random.below(ROWS as usize) as u32][i / 6 % 6];
        let at = Place {
            row,
            element: random.below(site.step.elements as usize) as u32,
        };
        let (leaf, within) = site.step.leaf_of(at.element).unwrap();
        let data = trace.leaf(row, leaf).unwrap();
        let claimed = Leaf {
            data: data.clone().into(),
            path: Vec::new(),
        };
        let k = leaf - site.step.first_leaf;
        let found = site.find_in_leaf(&mut trace, row, k, &claimed).unwrap();
        assert_eq!(found, Finding::Nothing);
        let position = Position::tree(NodeKind::Trace, 0, 0, 0, layout.index(row, leaf));
        let parent = node(position, Digest::of(&data));
        if site.step.op == Op::AttnMax {
            let (max, place) = site.maximum(&mut trace, row, at.element).unwrap();
            let query = site.query_of(&mut trace, row, at.element).unwrap();
            let score = site.score(&mut trace, &query, at.element, place).unwrap();
            assert_eq!(score.to_bits(), max.to_bits());
            continue;
        }
        let totals = site.totals(&mut trace, row, at.element).unwrap();
        let tile = random.below(attention::tiles(row) as usize) as u32;
        let contents = site.tile(&mut trace, row, at.element, tile).unwrap();
        let addends = read_tile(&contents, site.addend_bytes()).unwrap();
        let sums = read_totals(&totals).unwrap();
        let total = sums[tile as usize].to_bits();
        assert_eq!(total_of(&addends.addends).to_bits(), total);
        assert_eq!(addends.sums.last().unwrap().to_bits(), total);
        let (sum_leaf, sum_at) = site.sums.leaf_of(site.head_of(at.element)).unwrap();
        let f32_at = |data: &[u8], i: u32| {
            f32::from_le_bytes(data[4 * i as usize..][..4].try_into().unwrap())
        };
        let sum = f32_at(&trace.leaf(row, sum_leaf).unwrap(), sum_at);
        let sum = site.values.is_some().then_some(sum);
        let element = f32_at(&data, within);
        assert_eq!(
            combine(&sums, sum).to_bits(),
            element.to_bits(),
            "row {row}"
        );

        let above = posted(&site, NodeKind::Totals, at, 0, &totals);
        let witness = site
            .combine_witness(&mut trace, at, NodeKind::Totals, &totals, claimed)
            .unwrap();
        let whole = case(root, above.clone(), parent);
        assert_eq!(
            is_fault(&layout, &whole, FAULT_COMBINE, &witness),
            Ok(false)
        );
        let index = random.below(addends.addends.len()) as u32;
        let witness = site
            .weight_witness(&mut trace, at, tile, &contents, index)
            .unwrap();
        let below = case(
            root,
            posted(&site, NodeKind::Tile, at, tile, &contents),
            above,
        );
        assert_eq!(is_fault(&layout, &below, FAULT_WEIGHT, &witness), Ok(false));
        let parent = TileParent::Totals(&totals);
        let found = site
            .find_in_tile(&mut trace, at, tile, &contents, parent)
            .unwrap();
        assert_eq!(found, Finding::Nothing);
    }
}

#[test]
fn exactly_one_token_is_right() {
    let mut trace = trace();
    let layout = TraceLayout::clone(trace.layout());
    let mut random = Random(3);
    for i in 0..60 {
        let place = PROMPT + random.below((ROWS - PROMPT) as usize) as u32;
        let site = selection::Site::of(&layout, place).unwrap();
        let sampling = Sampling {
            temperature_milli: [300, 800, 1000, 2000][i % 4],
            top_k: [0, 5, 40][i % 3],
            top_p_ppm: [1_000_000, 900_000][i % 2],
            min_p_ppm: [0, 0, 30_000][i / 2 % 3],
        };
        let rule = selection::Rule {
            params: Params {
                temperature_milli: sampling.temperature_milli,
                top_k: sampling.top_k,
                top_p_ppm: sampling.top_p_ppm,
                min_p_ppm: sampling.min_p_ppm,
                ..Params::default()
            },
            seed: [i as u8; 32],
            run: 3,
            place,
        };
        let logits = site.all(&mut trace).unwrap();
        let draw = || draw(&rule.seed, rule.run.into(), place);
        let selected = select(&logits, &sampling, draw, &mut Vec::new());
        let right: Vec<u32> = (0..site.groups.vocabulary)
            .filter(|token| site.is_right(&logits, &rule, *token))
            .collect();
        assert_eq!(right, [selected]);
    }
}
