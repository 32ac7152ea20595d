//! The lies of the gas table, each from the claim to the last payment.

use alloy_primitives::B256;
use sworn_inference::program::Op;
use sworn_prover::constants::{
    CONTENT_LEVELS, FAULT_ADDENDS, FAULT_LEAF_SUM, FAULT_STEP, FAULT_TOTAL, FAULT_VALUE,
    FAULT_WEIGHT, RUN_ADDENDS, TOKEN_LEAF_ELEMENTS,
};
use sworn_prover::dispute::abi::Leaf;
use sworn_prover::dispute::faults::attention;
use sworn_prover::dispute::faults::attention::contents::{Addend, running_sums, write_tile_with};
use sworn_prover::dispute::faults::selection;
use sworn_prover::dispute::faults::step::{Builder, Place, is_long_sum, leaf_in_node};
use sworn_prover::dispute::position::{NodeKind, Position};
use sworn_prover::dispute::trace::layout::{Step, TraceLayout};
use sworn_prover::record::{JobRecord, RunRecord};
use sworn_prover::text;
use sworn_prover::{Digest, Error};

use super::abi;
use super::driver::{Dispute, LiarTree};
use super::shape::Shape;
use super::shaped::{ShapedTrace, ShapedWeights};
use super::sparse::SparseTree;
use super::texts::Texts;
use super::world::{INPUTS, Sent, World};

/// Where the claim lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// An element of the longest matmul of the last layer.
    Matmul,
    /// An element of the last layer's attention: the tile's addends do not add up.
    MixAddends,
    /// The same: a weight is not that of the scores.
    MixWeight,
    /// The same: a value is not that of its row.
    MixValue,
    /// The last token is not the drawn one.
    Selection,
    /// A byte of the text is not that of its token's piece.
    Text,
}

impl Lie {
    /// All of the table.
    pub const ALL: [Lie; 6] = [
        Lie::Matmul,
        Lie::MixAddends,
        Lie::MixWeight,
        Lie::MixValue,
        Lie::Selection,
        Lie::Text,
    ];
}

/// What a dispute cost.
#[derive(Debug)]
pub struct Cost {
    /// Transactions in order.
    pub sent: Vec<Sent>,
    /// Openings with their reveals.
    pub rounds: u32,
}

/// Disputes a lie about a model of that shape.
///
/// # Errors
/// The shape has no such place.
///
/// # Panics
/// A contract refuses a move.
pub fn dispute(shape: &Shape, lie: Lie) -> Result<Cost, Error> {
    let program = shape.program();
    let layout = TraceLayout::new(&program)?;
    let (tokens, n_prompt) = (shape.tokens, shape.tokens / 2);
    let row = tokens - 2;
    let tokens_of: Vec<u32> = (0..tokens).map(|i| 3 + i * 31 % 1000).collect();
    let texts = Texts::new(&tokens_of, n_prompt, program.vocab_size());
    let mut liar = Liar {
        trace: ShapedTrace::new(layout.clone(), tokens - 1, n_prompt),
        weights: ShapedWeights::new(program.clone()),
        tokens: tokens_of,
        texts,
        layout,
    };
    // Once to learn which leaves a trace must hold, then with the trees over them.
    let place = liar.place(lie, row)?;
    liar.prepare(lie, &place)?;
    let trace_root = liar.trace.plant()?;
    let weights_root = liar.weights.plant()?;

    let params = abi::Params {
        kind: 1,
        nRuns: 1,
        maxNewTokens: 0,
        maxTotalTokens: 0,
        temperatureMilli: 800,
        topK: 40,
        topPPpm: 950_000,
        minPPpm: 0,
    };
    let mut world = World::new(
        &program.encode(),
        weights_root,
        liar.texts.tokenizer_root(),
        params,
        b"\x01\x00\0\0\0\x04tell",
    );
    let run = RunRecord {
        n_prompt,
        n_tokens: tokens,
        finish: 0,
        tokens_root: text::numbers_root(&liar.tokens),
        offsets_root: liar.texts.offsets_root(),
        text_root: liar.texts.tree().tree.root(),
        text_length: liar.texts.length(),
        score: 0,
        greedy: false,
    };
    let record = JobRecord {
        input_id: 0,
        n_runs: 1,
        runs_root: run.digest(),
        score_root: Digest::ZERO,
    };
    let mut jobs = vec![record.digest()];
    jobs.extend((1..INPUTS).map(|i| Digest::of(&i.to_be_bytes())));
    let claim_id = world.claim(&jobs);
    let job = abi::Job {
        inputId: Default::default(),
        scoreRoot: B256::ZERO,
        runs: vec![abi::Run {
            nPrompt: run.n_prompt,
            nTokens: run.n_tokens,
            finish: run.finish,
            tokensRoot: run.tokens_root.0.into(),
            offsetsRoot: run.offsets_root.0.into(),
            textRoot: run.text_root.0.into(),
            textLength: run.text_length,
            score: 0,
            greedy: false,
        }],
        traceRoots: vec![trace_root.0.into()],
    };
    let mut dispute = Dispute {
        world: &mut world,
        claim_id,
        job,
        rounds: 0,
        lines: 0,
    };
    liar.play(&mut dispute, &jobs, lie, &place)?;
    let rounds = dispute.rounds;
    Ok(Cost {
        sent: world.sent,
        rounds,
    })
}

/// The disputed place.
struct Target {
    row: u32,
    step: Step,
    element: u32,
}

struct Liar {
    layout: TraceLayout,
    trace: ShapedTrace,
    weights: ShapedWeights,
    tokens: Vec<u32>,
    texts: Texts,
}

impl Liar {
    fn place(&self, lie: Lie, row: u32) -> Result<Target, Error> {
        let mut best: Option<Step> = None;
        for number in 0..self.layout.steps() {
            let step = self.layout.step(number)?;
            let better = match lie {
                Lie::Matmul => {
                    step.op == Op::Matmul && best.is_none_or(|best| best.dims[1] <= step.dims[1])
                }
                Lie::Selection | Lie::Text => true,
                _ => step.op == Op::AttnMix,
            };
            if better {
                best = Some(step);
            }
        }
        let step = best.ok_or(Error::IndexOutOfRange {
            what: "steps",
            found: 0,
            expected: 0,
        })?;
        Ok(Target {
            row,
            step,
            element: step.elements - 1,
        })
    }

    /// Asks for every leaf that the witness will open, and for those of the content node.
    fn prepare(&mut self, lie: Lie, target: &Target) -> Result<(), Error> {
        let (first, count) = self.content_node(target);
        for leaf in first..first + count {
            use sworn_prover::dispute::source::TraceSource as _;
            self.trace.leaf(target.row, leaf)?;
        }
        let node = leaf_in_node(&[Vec::new()], 0, 0)?;
        self.trace.open_along(self.layout.index(target.row, first));
        let (parent, contents) = self.posted(lie, target)?;
        self.witness(lie, target, node, &parent, &contents)
            .map(|_| ())
    }

    /// The leaves of the content node over the target's leaf, in its row.
    fn content_node(&self, target: &Target) -> (u32, u32) {
        let leaf = target.step.first_leaf + target.element / target.step.kind.elements();
        let first = leaf >> CONTENT_LEVELS << CONTENT_LEVELS;
        (
            first,
            (self.layout.row_leaves() - first).min(1 << CONTENT_LEVELS),
        )
    }

    /// The contents of the node that the fault shows in and of its parent, where these are posted.
    fn posted(&self, lie: Lie, target: &Target) -> Result<(Vec<u8>, Vec<u8>), Error> {
        let row = target.row;
        Ok(match lie {
            Lie::Matmul if is_long_sum(&target.step) => (Vec::new(), self.totals(target)),
            Lie::Matmul | Lie::Text => (Vec::new(), Vec::new()),
            Lie::Selection => {
                let groups = selection::Site::of(&self.layout, row + 1)?.groups;
                let mut bytes: Vec<u8> = [groups.vocabulary - 5, 1 << 20, 1 << 21]
                    .iter()
                    .flat_map(|word| word.to_be_bytes())
                    .collect();
                let sums = |n: usize, of: usize| {
                    (0..n).map(move |i| if i % 6 < 2 { 0 } else { (i % of) as u8 })
                };
                bytes.extend(sums(groups.selection_bytes() - 12, 251));
                let group = sums(6 * groups.sums_of(0) as usize, 199).collect();
                (bytes, group)
            }
            _ => {
                let totals = match attention::tiles(row) {
                    1 => Vec::new(),
                    _ => self.totals(target),
                };
                (totals, self.tile(lie, target, row / 256))
            }
        })
    }

    fn totals(&self, target: &Target) -> Vec<u8> {
        let tiles = match target.step.op {
            Op::Matmul => target.step.sum_tiles().unwrap_or(1),
            _ => attention::tiles(target.row),
        };
        (0..tiles)
            .flat_map(|tile| (tile as f32 + 0.5).to_bits().to_be_bytes())
            .collect()
    }

    fn tile(&self, lie: Lie, target: &Target, tile: u32) -> Vec<u8> {
        let addends: Vec<Addend> = attention::positions_of(target.row, tile)
            .map(|j| Addend {
                weight: (j as f32 + 1.0) / 700.0,
                value: Some(0x3000u16 + j as u16),
            })
            .collect();
        let mut sums = running_sums(&addends);
        // The dearest lie: in the middle, and the sums after it follow from it.
        if lie == Lie::MixAddends {
            for sum in &mut sums[(addends.len() - 1) / RUN_ADDENDS / 2..] {
                *sum += 0.5;
            }
        }
        write_tile_with(&sums, &addends)
    }

    /// The fault with its witness.
    fn witness(
        &mut self,
        lie: Lie,
        target: &Target,
        claimed: Leaf,
        parent: &[u8],
        contents: &[u8],
    ) -> Result<(u8, Vec<u8>), Error> {
        let (row, element) = (target.row, target.element);
        let at = attention::witness::Place { row, element };
        let tile = row / 256;
        let index = row % 256;
        Ok(match lie {
            Lie::Matmul => {
                let mut builder =
                    Builder::new(&self.layout, &mut self.trace, &self.weights, &self.tokens);
                if is_long_sum(&target.step) {
                    (
                        FAULT_TOTAL,
                        builder.total(row, &target.step, element, 1, contents)?,
                    )
                } else {
                    (
                        FAULT_STEP,
                        builder.step(
                            row,
                            &target.step,
                            Place::of(&target.step, element),
                            claimed,
                        )?,
                    )
                }
            }
            Lie::Text => {
                let leaf = self.texts.leaf();
                let depth = CONTENT_LEVELS as u32;
                self.texts
                    .witness(&self.texts.tree().tree.path(0, leaf, depth))
            }
            Lie::MixAddends => {
                let site = attention::Site::of(&self.layout, target.step.number)?;
                let run = index / RUN_ADDENDS as u32 / 2;
                (FAULT_ADDENDS, site.run_witness(row, tile, contents, run)?)
            }
            Lie::MixWeight | Lie::MixValue => {
                let site = attention::Site::of(&self.layout, target.step.number)?;
                // Not at the row itself, whose root is opened anyway.
                let index = index.saturating_sub(1);
                match lie {
                    Lie::MixWeight => (
                        FAULT_WEIGHT,
                        site.weight_witness(&mut self.trace, at, tile, contents, index)?,
                    ),
                    _ => (
                        FAULT_VALUE,
                        site.value_witness(&mut self.trace, at, tile, contents, index)?,
                    ),
                }
            }
            Lie::Selection => {
                let site = selection::Site::of(&self.layout, row + 1)?;
                let best = site.groups.vocabulary - 5;
                let witness = site.leaf_sum_witness(
                    &mut self.trace,
                    (contents, parent),
                    (6, 0, 1),
                    claimed,
                    best,
                )?;
                (FAULT_LEAF_SUM, witness)
            }
        })
    }

    fn play(
        &mut self,
        dispute: &mut Dispute<'_>,
        jobs: &[Digest],
        lie: Lie,
        target: &Target,
    ) -> Result<(), Error> {
        let trace = self.liar_tree()?;
        let job = dispute.open_job(jobs, &trace.tree);
        let posted = |kind: NodeKind, index: u32, a: u32, b: u32, c: u32| Position {
            kind,
            lane: 0,
            run: 0,
            height: 0,
            index: index.into(),
            a,
            b,
            c,
        };
        let (row, step) = (target.row, target.step);
        if lie == Lie::Text {
            let leaf = self.texts.leaf();
            let nodes = dispute.descend(&job, NodeKind::Text, &self.texts.tree(), leaf, 0);
            let (fault, witness) = self.witness(
                lie,
                target,
                Leaf {
                    data: Vec::new().into(),
                    path: Vec::new(),
                },
                &[],
                &[],
            )?;
            dispute.convict(&nodes[..1], fault, witness);
            return Ok(());
        }
        if lie == Lie::Selection {
            let last = (self.tokens.len() as u64 - 1) / TOKEN_LEAF_ELEMENTS as u64;
            let token_tree = self.token_tree();
            let tokens = dispute.descend(&job, NodeKind::Tokens, &token_tree, last, 0);
            let index = self.layout.index(row, 0);
            let rows = self.layout.row_depth();
            dispute.descend(&job, NodeKind::Trace, &trace, index, rows);
            let (contents, group) = self.posted(lie, target)?;
            let node = dispute.open_posted(
                &tokens[0],
                posted(NodeKind::Selection, row + 1, 0, 0, 0),
                &contents,
            );
            let group_node =
                dispute.open_posted(&node, posted(NodeKind::Group, row + 1, 6, 0, 0), &group);
            let path = [group_node, node];
            let tokens = self.token_leaf(last)?;
            let (fault, witness) = self.witness(lie, target, tokens, &contents, &group)?;
            dispute.convict(&path, fault, witness);
            return Ok(());
        }
        let leaf = step.first_leaf + target.element / step.kind.elements();
        let mut path = dispute.descend(
            &job,
            NodeKind::Trace,
            &trace,
            self.layout.index(row, leaf),
            0,
        );
        let (first, count) = self.content_node(target);
        let leaves: Vec<Vec<u8>> = (first..first + count)
            .map(|leaf| self.trace.bytes(row, leaf))
            .collect::<Result<_, _>>()?;
        let claimed = leaf_in_node(&leaves, CONTENT_LEVELS as u32, (leaf - first) as usize)?;
        let place = (row, step.number, target.element);
        let tile = row / 256;
        let (parent, contents) = self.posted(lie, target)?;
        let totals = if lie == Lie::Matmul {
            &contents
        } else {
            &parent
        };
        if !totals.is_empty() {
            let node = dispute.open_posted(
                &path[0].clone(),
                posted(NodeKind::Totals, place.0, place.1, place.2, 0),
                totals,
            );
            path.insert(0, node);
        }
        if lie != Lie::Matmul {
            let node = dispute.open_posted(
                &path[0].clone(),
                posted(NodeKind::Tile, place.0, place.1, place.2, tile),
                &contents,
            );
            path.insert(0, node);
        }
        // Of a node of a tree only itself is judged.
        let judged = 1 + usize::from(!totals.is_empty() || lie != Lie::Matmul);
        let (fault, witness) = self.witness(lie, target, claimed, &parent, &contents)?;
        dispute.convict(&path[..judged], fault, witness);
        Ok(())
    }

    /// The planted trace, for the driver.
    fn liar_tree(&self) -> Result<LiarTree, Error> {
        let mut again = ShapedTrace::new(
            self.layout.clone(),
            self.tokens.len() as u32 - 1,
            self.tokens.len() as u32 / 2,
        );
        again.clone_asked(&self.trace);
        again.plant()?;
        let layout = self.layout.clone();
        let source = ShapedTrace::new(self.layout.clone(), 0, 0);
        Ok(LiarTree {
            tree: again.into_tree(),
            leaves: Box::new(move |index| {
                let (row, leaf) = layout.place(index);
                source.bytes(row, leaf).unwrap_or_default()
            }),
        })
    }

    fn token_bytes(&self, leaf: u64) -> Vec<u8> {
        let from = leaf as usize * TOKEN_LEAF_ELEMENTS;
        let tokens = self.tokens.iter().skip(from).take(TOKEN_LEAF_ELEMENTS);
        let mut bytes: Vec<u8> = tokens.flat_map(|token| token.to_le_bytes()).collect();
        bytes.resize(4 * TOKEN_LEAF_ELEMENTS, 0);
        bytes
    }

    fn token_tree(&self) -> LiarTree {
        let count = self.tokens.len().div_ceil(TOKEN_LEAF_ELEMENTS) as u64;
        let mut tree = SparseTree::of_count(9, count);
        let leaves: Vec<Vec<u8>> = (0..count).map(|leaf| self.token_bytes(leaf)).collect();
        for (index, bytes) in (0..).zip(&leaves) {
            tree.set(index, Digest::of(bytes));
        }
        LiarTree {
            tree,
            leaves: Box::new(move |leaf| leaves[leaf as usize].clone()),
        }
    }

    fn token_leaf(&self, leaf: u64) -> Result<Leaf, Error> {
        let tree = self.token_tree().tree;
        Ok(Leaf {
            data: self.token_bytes(leaf).into(),
            path: tree
                .path(0, leaf, tree.depth())
                .iter()
                .map(|digest| B256::from(digest.0))
                .collect(),
        })
    }
}
