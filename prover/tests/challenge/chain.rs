//! The rules of openings and reveals, as the contract has them, and a judge that sends every fault to its family.

use std::collections::HashSet;

use alloy_primitives::{B256, U256, keccak256};
use alloy_sol_types::SolValue;
use sworn_inference::program::Op;
use sworn_prover::dispute::abi::{Case, Job, Node, Run};
use sworn_prover::dispute::contents::Contents;
use sworn_prover::dispute::faults::job::JobFacts;
use sworn_prover::dispute::faults::{attention, prompt, selection, tokens};
use sworn_prover::dispute::parts;
use sworn_prover::dispute::position::{NodeKind, Position};
use sworn_prover::dispute::results::{DisputeModel, LaneInput, run_record};
use sworn_prover::dispute::shape::TreeShape;
use sworn_prover::dispute::strategy::{ClaimView, NodeView, goes_on};
use sworn_prover::{Digest, constants as c, merkle, text};

use crate::step_judge;

/// What the chain keeps of a claim.
pub(crate) struct Chain<'a> {
    pub(crate) view: ClaimView,
    pub(crate) model: &'a DisputeModel,
    pub(crate) inputs: &'a [LaneInput],
    pub(crate) tokenizer_root: Digest,
    pub(crate) model_id: Digest,
    /// Nodes whose place in their line another took.
    pub(crate) passed: HashSet<Digest>,
}

impl Chain<'_> {
    /// Opens a node; panics where the contract reverts.
    pub(crate) fn open(
        &mut self,
        parent: Digest,
        position: Position,
        value: Digest,
        path: &[Digest],
    ) {
        let above = self.view.node(parent).expect("a parent").clone();
        assert!(above.contents.is_some(), "the parent is revealed");
        assert!(self.view.child(parent, &position).is_none(), "opened once");
        assert!(
            !self.passed.contains(&parent),
            "{:?} is not the lowest of its line",
            above.position
        );
        if parent != Digest::ZERO && goes_on(above.position.kind, position.kind) {
            self.passed.insert(parent);
        }
        match position.kind {
            NodeKind::Claim | NodeKind::Job => {
                let shape = TreeShape::claim(self.inputs.len() as u32);
                let (height, index) = match position.kind {
                    NodeKind::Job => (0, u64::from(position.lane)),
                    _ => (u32::from(position.height), position.index),
                };
                check_child(&shape, &above, height, index, value, path);
            }
            kind if kind.is_tree() => {
                let shape = self.shape(&position);
                if above.position.kind == NodeKind::Job && kind == NodeKind::Trace {
                    assert_eq!(above.position.lane, position.lane);
                    let job = above.job().unwrap();
                    let root = Digest(job.traceRoots[usize::from(position.run)].0);
                    let levels = shape.levels_in_job(job.runs.len() as u32);
                    let height = u32::from(position.height);
                    assert_eq!(shape.depth() - levels, height);
                    assert_eq!(path.len(), levels as usize);
                    assert_eq!(merkle::root_of(value, position.index, path), root);
                    assert!(shape.exists(height, position.index), "absent");
                } else if above.position.kind == NodeKind::Job {
                    assert_eq!(above.position.lane, position.lane);
                    assert_eq!(u32::from(position.height), shape.depth());
                    let job = above.job().unwrap();
                    let run = &job.runs[usize::from(position.run)];
                    let root = match kind {
                        NodeKind::Tokens => run.tokensRoot,
                        NodeKind::Offsets => run.offsetsRoot,
                        _ => run.textRoot,
                    };
                    assert_eq!((root.0, path), (value.0, &[][..]));
                    assert!(shape.exists(shape.depth(), 0));
                } else {
                    assert_eq!(above.position.kind, kind);
                    let height = u32::from(position.height);
                    check_child(&shape, &above, height, position.index, value, path);
                }
            }
            _ => {
                assert_eq!((value, path), (Digest::ZERO, &[][..]));
                use NodeKind::*;
                let fits = match (above.position.kind, position.kind) {
                    (Trace, Totals) => true,
                    (Trace, Tile) => position.index < 256,
                    (Totals, Tile) => position.index >= 256,
                    (Job | Tokens | Trace, Selection) => true,
                    (Selection, Group) => position.index == above.position.index,
                    (Job, Prompt) => true,
                    (Prompt, Starts) | (Job, Malformed) => true,
                    _ => false,
                };
                assert!(fits, "{:?} under {:?}", position, above.position);
                let own = (above.position.lane, above.position.run);
                if above.position.kind != Job {
                    assert_eq!(own, (position.lane, position.run));
                }
            }
        }
        self.view.put(NodeView {
            key: key(&position, parent),
            parent,
            position,
            value,
            contents: None,
        });
    }

    /// Reveals a node; panics where the contract reverts. Through bytes, as the event has them.
    pub(crate) fn reveal(&mut self, parent: Digest, position: &Position, contents: &Contents) {
        let bytes = contents.to_bytes();
        let contents = Contents::from_bytes(position, &bytes).unwrap();
        let mut node = self.view.child(parent, position).unwrap().clone();
        match &contents {
            Contents::Digests(digests) => {
                let shape = self.shape(position);
                let height = u32::from(position.height);
                let levels = shape.levels(height).unwrap();
                let root = subtree(&shape, height, position.index, levels, digests);
                assert_eq!(root, node.value, "{position:?}");
            }
            Contents::Leaves(leaves) => {
                let shape = self.shape(position);
                let height = u32::from(position.height);
                assert_eq!(shape.levels(height), None);
                let digests: Vec<Digest> = leaves.iter().map(|leaf| Digest::of(leaf)).collect();
                let root = subtree(&shape, height, position.index, height, &digests);
                assert_eq!(root, node.value, "{position:?}");
            }
            Contents::Job(job, digests) => {
                let runs = job.runs.iter().map(run_record).collect();
                let mut record =
                    sworn_prover::result::JobCommitment::of_records(job.inputId.to::<u64>(), runs)
                        .unwrap()
                        .record;
                record.score_root = Digest(job.scoreRoot.0);
                assert_eq!(record.digest(), node.value);
                assert_eq!(job.runs.len(), job.traceRoots.len());
                let mut rest = &digests[..];
                for (run, root) in (0u8..).zip(&job.traceRoots) {
                    let fields = run_record(&job.runs[usize::from(run)]);
                    if fields.n_tokens <= fields.n_prompt {
                        assert!(root.is_zero());
                        continue;
                    }
                    let shape = TreeShape::of_run(
                        NodeKind::Trace,
                        position.lane,
                        run,
                        &fields,
                        &self.model.layout,
                    )
                    .unwrap();
                    let (depth, levels) =
                        (shape.depth(), shape.levels_in_job(job.runs.len() as u32));
                    let (own, after) = rest.split_at(shape.below(depth, 0, levels).count());
                    rest = after;
                    assert_eq!(subtree(&shape, depth, 0, levels, own).0, root.0);
                }
                assert!(rest.is_empty(), "too many digests");
            }
            Contents::Posted(bytes) => {
                if let Some(expected) = self.posted_length(position) {
                    assert_eq!(bytes.len(), expected, "{position:?}");
                }
            }
        }
        node.contents = Some(contents);
        self.view.put(node);
    }

    fn posted_length(&self, position: &Position) -> Option<usize> {
        let layout = &self.model.layout;
        let tiles = |row: u64| row as usize / 256 + 1;
        match position.kind {
            NodeKind::Totals => {
                let step = layout.step(position.a).unwrap();
                let tiles = step
                    .sum_tiles()
                    .map_or(tiles(position.index), |tiles| tiles as usize);
                let least = match step.op {
                    Op::Matmul if step.format.is_quantised() => c::DIRECT_TILES,
                    _ => 1,
                };
                assert!(tiles > least, "no totals: {step:?}");
                Some(4 * tiles)
            }
            NodeKind::Tile => {
                let step = layout.step(position.a).unwrap();
                let each = match step.op {
                    Op::AttnSum => 4,
                    Op::AttnMix => 6,
                    op => panic!("a tile of {op:?}"),
                };
                let positions = position.index as usize + 1;
                let addends = (positions - 256 * position.c as usize).min(256);
                Some(each * addends + 4 * addends.div_ceil(c::RUN_ADDENDS))
            }
            NodeKind::Selection => {
                let groups = selection::Groups::of(layout.program().vocab_size());
                Some(groups.selection_bytes())
            }
            NodeKind::Group => {
                let groups = selection::Groups::of(layout.program().vocab_size());
                Some(6 * groups.sums_of(position.b) as usize)
            }
            NodeKind::Prompt => Some(prompt::places::prompt_length(self.run(position).nPrompt)),
            NodeKind::Starts => Some(prompt::places::starts_length(
                self.run(position).nPrompt,
                position.index as u32,
            )),
            _ => None,
        }
    }

    fn shape(&self, position: &Position) -> TreeShape {
        if position.kind == NodeKind::Claim {
            return TreeShape::claim(self.inputs.len() as u32);
        }
        let record = run_record(self.run(position));
        TreeShape::of_run(
            position.kind,
            position.lane,
            position.run,
            &record,
            &self.model.layout,
        )
        .unwrap()
    }

    fn job(&self, lane: u32) -> &Job {
        let nodes = self.view.nodes().iter();
        let job = { nodes }
            .find(|node| node.position.kind == NodeKind::Job && node.position.lane == lane);
        job.and_then(NodeView::job).expect("a revealed job")
    }

    fn run(&self, position: &Position) -> &Run {
        &self.job(position.lane).runs[usize::from(position.run)]
    }

    /// Whether a witness shows a fault. Panics where the contract reverts.
    pub(crate) fn judge(&self, node: Digest, fault: u8, witness: &[u8]) -> bool {
        let found = self.view.node(node).unwrap();
        let parent = self.view.node(found.parent).unwrap();
        let lane = found.position.lane;
        let case = Case {
            epoch: 3,
            modelId: B256::from(self.model_id.0),
            job: self.job(lane).clone(),
            node: abi_node(found),
            parent: if found.parent == Digest::ZERO {
                Node {
                    position: U256::ZERO,
                    value: B256::ZERO,
                }
            } else {
                abi_node(parent)
            },
        };
        let layout = &self.model.layout;
        let input = &self.inputs[lane as usize];
        let step = match found.position.kind {
            NodeKind::Trace => Some(step_judge::step_of(witness)),
            NodeKind::Totals | NodeKind::Tile => Some(found.position.a),
            _ => None,
        };
        let op = step.map(|step| layout.step(step).unwrap().op);
        let attends = matches!(op, Some(Op::AttnMax | Op::AttnSum | Op::AttnMix));
        match fault {
            c::FAULT_EXPANSION | c::FAULT_RUN_SHAPE => {
                let facts = JobFacts {
                    input_id: input.input_id,
                    params: &input.params,
                    context: layout.program().context(),
                };
                facts.judge(&case.job, fault, witness).unwrap()
            }
            c::FAULT_TOKEN..=c::FAULT_TEXT => {
                let facts = tokens::judge::ModelFacts {
                    vocabulary: layout.program().vocab_size(),
                    stop_tokens: layout.program().stop_tokens(),
                    tokenizer_root: self.tokenizer_root,
                };
                tokens::judge::is_fault(&facts, &case, fault, witness).unwrap()
            }
            c::FAULT_BOS..=c::FAULT_GOOD_CONTROL => {
                let facts = prompt::Facts {
                    payload_root: text::root(&input.payload),
                    payload_length: input.payload.len() as u64,
                    tokenizer_root: self.tokenizer_root,
                };
                prompt::judge(&case, &facts, fault, witness).unwrap()
            }
            c::FAULT_STEP..=c::FAULT_VALUE if attends => {
                attention::judge::is_fault(layout, &case, fault, witness).unwrap()
            }
            c::FAULT_STEP..=c::FAULT_TOTAL => {
                step_judge::is_fault(layout, &self.model.weights, &case, fault, witness).unwrap()
            }
            c::FAULT_ARGMAX..=c::FAULT_LEAF_SUM => selection::judge::is_fault(
                layout,
                &case,
                &input.params,
                &input.seed.0,
                fault,
                witness,
            )
            .unwrap(),
            _ => panic!("no judge of fault {fault}"),
        }
    }
}

fn abi_node(node: &NodeView) -> Node {
    let value = match &node.contents {
        Some(Contents::Job(job, _)) => keccak256(job.abi_encode()),
        Some(Contents::Posted(bytes)) => B256::from(parts::digest(&node.position, bytes).0),
        _ => B256::from(node.value.0),
    };
    Node {
        position: U256::from_be_bytes(node.position.to_word()),
        value,
    }
}

/// Names a node.
pub(crate) fn key(position: &Position, parent: Digest) -> Digest {
    Digest::of(&[position.to_word(), parent.0].concat())
}

fn check_child(
    shape: &TreeShape,
    above: &NodeView,
    height: u32,
    index: u64,
    value: Digest,
    path: &[Digest],
) {
    let top = u32::from(above.position.height);
    let levels = shape.levels(top).expect("contents that are digests");
    assert_eq!(top - levels, height);
    assert_eq!(index >> levels, above.position.index);
    assert_eq!(path.len(), levels as usize);
    assert_eq!(merkle::root_of(value, index, path), above.value);
    assert!(shape.exists(height, index), "absent");
}

/// The digest of a node over contents.
fn subtree(shape: &TreeShape, height: u32, index: u64, levels: u32, given: &[Digest]) -> Digest {
    let base = height - levels;
    let mut given = given.iter();
    let mut row: Vec<Digest> = (index << levels..(index + 1) << levels)
        .map(|index| match shape.exists(base, index) {
            true => *given.next().expect("enough"),
            false => merkle::empty(base),
        })
        .collect();
    assert!(given.next().is_none(), "too many");
    while row.len() > 1 {
        row = row
            .chunks(2)
            .map(|pair| Digest::of_pair(pair[0], pair[1]))
            .collect();
    }
    row[0]
}
