//! Challenges of answers of small models: layouts, nodes, and single elements with the leaves that they need.

use std::error::Error;
use std::sync::Arc;

use serde_json::{Value, json};
use sworn_inference::engine::{BackendKind, EngineOptions, RunResult};
use sworn_inference::format::packed::Model;
use sworn_inference::program::{Op, Part, WeightFormat};
use sworn_prover::Digest;
use sworn_prover::commitment::Commitments;
use sworn_prover::constants::CONTENT_LEVELS;
use sworn_prover::dispute::contents::{Contents, contents_of};
use sworn_prover::dispute::faults::attention;
use sworn_prover::dispute::faults::step::{Place, TraceRange, WeightRange, is_long_sum, needs};
use sworn_prover::dispute::own::OwnResults;
use sworn_prover::dispute::parts::digest;
use sworn_prover::dispute::position::{NodeKind, Position};
use sworn_prover::dispute::results::{Answer, DisputeModel, LaneInput, LaneResults};
use sworn_prover::dispute::shape::levels_in_job;
use sworn_prover::dispute::source::WeightSource;
use sworn_prover::dispute::trace::{LeafKind, ModelWeights, Step, TraceLayout, TraceOptions};

use super::hex;
use super::machine::{Answered, rows};
use super::models::OwnAnswered;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A lane of one job of a model.
pub(super) struct Lane {
    pub(super) results: OwnResults,
    layout: Arc<TraceLayout>,
    weights: ModelWeights,
    runs: Vec<RunResult>,
    temperature: u32,
}

impl Lane {
    pub(super) fn new(model: &Arc<Model>, input: LaneInput, runs: &[RunResult]) -> Result<Lane> {
        Lane::of(model, vec![Arc::new(Answer::new(input, runs.to_vec())?)])
    }

    /// Runs and parameters are the first job's.
    pub(super) fn of(model: &Arc<Model>, answers: Vec<Arc<Answer>>) -> Result<Lane> {
        let (_, tree) = Commitments::of(model, &mut |_, _| ())?;
        let layout = Arc::new(TraceLayout::new(model.program())?);
        let weights = ModelWeights::new(model.clone(), Arc::new(tree));
        let backend = EngineOptions {
            backend: BackendKind::Scalar,
            threads: 1,
        };
        let dispute = DisputeModel {
            model: model.clone(),
            layout: layout.clone(),
            weights: weights.clone(),
        };
        let (runs, temperature) = match answers.first() {
            Some(answer) => (answer.runs.clone(), answer.input.params.temperature_milli),
            None => (Vec::new(), 0),
        };
        Ok(Lane {
            results: OwnResults::new(
                dispute,
                backend.open()?,
                answers,
                TraceOptions {
                    threads: 1,
                    ..TraceOptions::default()
                },
                Box::new(|_, _| ()),
            ),
            layout,
            weights,
            runs,
            temperature,
        })
    }

    fn steps(&self) -> Result<Vec<Step>> {
        let numbers = 0..self.layout.steps();
        Ok(numbers
            .map(|number| self.layout.step(number))
            .collect::<std::result::Result<_, _>>()?)
    }

    fn node(&mut self, position: Position) -> Result<Value> {
        let found = contents_of(&mut self.results, &position)?;
        let contents = match &found {
            Contents::Digests(digests) => {
                json!(digests.iter().map(|d| hex(&d.0)).collect::<Vec<_>>())
            }
            Contents::Leaves(leaves) => {
                json!(leaves.iter().map(|leaf| hex(leaf)).collect::<Vec<_>>())
            }
            Contents::Posted(bytes) => json!(hex(bytes)),
            Contents::Job(..) => return Err("jobs are checked elsewhere".into()),
        };
        let mut node = json!({
            "kind": position.kind as u8,
            "run": position.run,
            "height": position.height,
            "index": position.index,
            "a": position.a,
            "b": position.b,
            "c": position.c,
            "position": hex(&position.to_word()),
            "contents": contents,
        });
        if let Contents::Posted(bytes) = &found {
            node["digest"] = json!(hex(&digest(&position, bytes).0));
        }
        Ok(node)
    }

    /// The digests of traces that a job comes with.
    fn in_job(&mut self) -> Result<Value> {
        let position = Position::tree(NodeKind::Job, 0, 0, 0, 0);
        match contents_of(&mut self.results, &position)? {
            Contents::Job(_, digests) => {
                Ok(json!(digests.iter().map(|d| hex(&d.0)).collect::<Vec<_>>()))
            }
            _ => Err("a job without a job's contents".into()),
        }
    }

    /// The roots of a run's lists, and nodes of its trace from those of the job down.
    fn tree_nodes(&mut self, run: u8) -> Result<Vec<Value>> {
        let (rows, n_tokens, n_new, text) = {
            let found = &self.runs[usize::from(run)];
            let n_new = found.tokens.len() as u32 - found.n_prompt;
            (
                found.tokens.len() as u32 - 1,
                found.tokens.len(),
                n_new,
                found.text.len(),
            )
        };
        let depth_of = |leaves: usize| leaves.max(1).next_power_of_two().trailing_zeros() as u8;
        let mut positions = vec![
            (NodeKind::Tokens, depth_of(n_tokens.div_ceil(64)), 0),
            (
                NodeKind::Offsets,
                depth_of((n_new as usize).div_ceil(64)),
                0,
            ),
        ];
        if text > 0 {
            positions.push((NodeKind::Text, depth_of(text.div_ceil(256)), 0));
        }
        let depth = self.layout.depth(rows);
        let top = (depth - levels_in_job(depth, self.runs.len() as u32)) as u8;
        let last = self.layout.index(rows - 1, self.layout.row_leaves() - 1);
        let lowest = CONTENT_LEVELS as u8;
        let ends = [top, top - 1, lowest + 2, lowest + 1, lowest, 0].map(|h| (h, last >> h));
        for (height, index) in [(top, 0), (lowest, 0)].into_iter().chain(ends) {
            let place = (NodeKind::Trace, height, index);
            if height <= top && !positions.contains(&place) {
                positions.push(place);
            }
        }
        let mut nodes = Vec::new();
        for (kind, height, index) in positions {
            nodes.push(self.node(Position::tree(kind, 0, run, height, index))?);
        }
        Ok(nodes)
    }

    fn posted(&self, kind: NodeKind, run: u8, index: u32, a: u32, b: u32, c: u32) -> Position {
        Position {
            a,
            b,
            c,
            ..Position::tree(kind, 0, run, 0, index.into())
        }
    }

    /// Totals and tiles at a row: of the first and last element of every step that has some.
    fn sums(&mut self, run: u8, row: u32) -> Result<Vec<Value>> {
        let mut nodes = Vec::new();
        for step in self.steps()? {
            let attention = matches!(step.op, Op::AttnSum | Op::AttnMix);
            let tiles = attention::tiles(row);
            for element in [0, step.elements - 1] {
                let at = |kind, c| self.posted(kind, run, row, step.number, element, c);
                if if attention {
                    tiles > 1
                } else {
                    is_long_sum(&step)
                } {
                    nodes.push(at(NodeKind::Totals, 0));
                }
                if attention {
                    nodes.push(at(NodeKind::Tile, tiles - 1));
                    // A whole one.
                    if tiles > 1 && element == 0 {
                        nodes.push(at(NodeKind::Tile, 0));
                    }
                }
            }
        }
        nodes
            .into_iter()
            .map(|position| self.node(position))
            .collect()
    }

    /// The choices of a run with temperature, with the groups of some components.
    fn choices(&mut self, run: u8) -> Result<Vec<Value>> {
        if self.temperature == 0 {
            return Ok(Vec::new());
        }
        let found = &self.runs[usize::from(run)];
        let places = found.n_prompt..found.tokens.len() as u32;
        let mut positions = Vec::new();
        for place in places {
            positions.push(self.posted(NodeKind::Selection, run, place, 0, 0, 0));
            for component in [0, 1, 2, 3, 4, 5, 6] {
                positions.push(self.posted(NodeKind::Group, run, place, component, 0, 0));
            }
        }
        positions
            .into_iter()
            .map(|position| self.node(position))
            .collect()
    }

    fn open_trace(&mut self, run: u8, row: u32, range: TraceRange) -> Result<Vec<Value>> {
        let trace = self.results.trace(0, run.into())?;
        let mut opened = Vec::new();
        for leaf in range.first..range.first + range.count {
            let mut path = trace.leaf_path(row, leaf)?;
            path.extend(trace.row(row)?.1);
            opened.push(json!({
                "row": row,
                "leaf": leaf,
                "data": hex(&trace.leaf(row, leaf)?),
                "path": path.iter().map(|d| hex(&d.0)).collect::<Vec<_>>(),
            }));
        }
        Ok(opened)
    }

    fn open_weights(&self, range: WeightRange) -> Result<Vec<Value>> {
        (range.first..range.first + range.count)
            .map(|tile| {
                let path = self.weights.path(range.tensor, range.row, tile)?;
                Ok(json!({
                    "tensor": range.tensor,
                    "row": range.row,
                    "tile": tile,
                    "data": hex(&self.weights.leaf(range.tensor, range.row, tile)?),
                    "path": path.iter().map(|d| hex(&d.0)).collect::<Vec<_>>(),
                }))
            })
            .collect()
    }

    /// One element of the last step of every operation, with what it is computed from.
    fn elements(&mut self, run: u8, row: u32) -> Result<Vec<Value>> {
        let steps = self.steps()?;
        let mut elements = Vec::new();
        for op in Op::ALL {
            let of_op = |step: &&Step| step.op == op && !is_long_sum(step);
            let Some(step) = steps.iter().rev().find(of_op) else {
                continue;
            };
            let element = step.elements - 1;
            let (leaf, lane) = step.leaf_of(element)?;
            let claimed = self.results.trace(0, run.into())?.leaf(row, leaf)?;
            let (mut trace, mut weights) = (Vec::new(), Vec::new());
            if matches!(op, Op::AttnMax | Op::AttnSum | Op::AttnMix) {
                for (row, range) in attention_needs(&steps, step, row) {
                    trace.extend(self.open_trace(run, row, range)?);
                }
            } else {
                let token = self.runs[usize::from(run)].tokens[row as usize];
                let needed = needs(&self.layout, step, Place::of(step, element), row, token)?;
                for range in needed.inputs {
                    trace.extend(self.open_trace(run, row, range)?);
                }
                for range in needed.weights {
                    weights.extend(self.open_weights(range)?);
                }
            }
            elements.push(json!({
                "row": row,
                "step": step.number,
                "element": element,
                "value": stored(step.kind, &claimed, lane as usize),
                "trace": trace,
                "weights": weights,
            }));
        }
        Ok(elements)
    }

    /// The first 40 elements of every step at every row, as they are stored one after another.
    fn values(&mut self, rows: u32) -> Result<Value> {
        let (steps, n_prompt) = (self.steps()?, self.runs[0].n_prompt);
        let mut values = Vec::new();
        for row in 0..rows {
            for step in &steps {
                if step.part == Part::Tail && row + 1 < n_prompt {
                    continue;
                }
                let mut bits = Vec::new();
                for element in 0..step.elements.min(40) {
                    let (leaf, lane) = step.leaf_of(element)?;
                    let leaf = self.results.trace(0, 0)?.leaf(row, leaf)?;
                    bits.push(stored(step.kind, &leaf, lane as usize));
                }
                values.push(json!([row, step.number, bits]));
            }
        }
        Ok(json!(values))
    }

    fn run(&mut self, run: u8, sum_rows: &[u32], element_row: Option<u32>) -> Result<Value> {
        let steps = self.steps()?;
        let trace = self.results.trace(0, run.into())?;
        let (rows, depth) = (trace.rows(), trace.depth());
        let root = trace.node(depth, 0)?;
        let mut nodes = self.tree_nodes(run)?;
        for row in sum_rows {
            nodes.extend(self.sums(run, *row)?);
        }
        nodes.extend(self.choices(run)?);
        Ok(json!({
            "run": run,
            "n_prompt": self.runs[usize::from(run)].n_prompt,
            "tokens": self.runs[usize::from(run)].tokens,
            "rows": rows,
            "first": steps.iter().map(|step| step.first_leaf).collect::<Vec<_>>(),
            "row_leaves": self.layout.row_leaves(),
            "row_depth": self.layout.row_depth(),
            "depth": depth,
            "trace_root": hex(&root.0),
            "nodes": nodes,
            "elements": match element_row {
                Some(row) => self.elements(run, row)?,
                None => Vec::new(),
            },
        }))
    }
}

/// The leaves of queries, keys, and as the operation has them maxima, sums and values. All heads of a row: models here are small.
fn attention_needs(steps: &[Step], step: &Step, row: u32) -> Vec<(u32, TraceRange)> {
    let whole = |number: u32| {
        let step = &steps[number as usize];
        TraceRange {
            first: step.first_leaf,
            count: step.leaf_count,
        }
    };
    let input = |i: usize| whole(step.inputs[i].unwrap_or_default());
    let mut ranges = vec![(row, input(0))];
    ranges.extend((0..=row).map(|j| (j, input(1))));
    match step.op {
        Op::AttnSum => ranges.push((row, whole(step.number - 1))),
        Op::AttnMix => {
            ranges.push((row, whole(step.number - 2)));
            ranges.push((row, whole(step.number - 1)));
            ranges.extend((0..=row).map(|j| (j, input(2))));
        }
        _ => (),
    }
    ranges
}

/// An element as bits: one number, or scale and integer, or maximum and position.
fn stored(kind: LeafKind, leaf: &[u8], lane: usize) -> Value {
    let u32_at =
        |at: usize| u32::from_le_bytes([leaf[at], leaf[at + 1], leaf[at + 2], leaf[at + 3]]);
    match kind {
        LeafKind::F32 => json!([u32_at(4 * lane)]),
        LeafKind::F16 => json!([u16::from_le_bytes([leaf[2 * lane], leaf[2 * lane + 1]])]),
        LeafKind::Quantised => json!([u32_at(4 * (lane / 32)), leaf[32 + lane] as i8]),
        LeafKind::Maxima => json!([u32_at(8 * lane), u32_at(8 * lane + 4)]),
    }
}

pub(super) fn steps(answered: &[Answered], own: &[OwnAnswered]) -> Result<Value> {
    let mut models = Vec::new();
    for (number, answer) in answered.iter().enumerate() {
        let input = LaneInput {
            input_id: answer.input_id,
            params: answer.params,
            payload: answer.payload.clone(),
            seed: answer.seed,
        };
        let mut lane = Lane::new(&answer.model, input, &answer.runs)?;
        let mut runs = Vec::new();
        for (run, found) in answer.runs.iter().enumerate() {
            let last = found.tokens.len() as u32 - 2;
            // Elements are of a row with logits: the first.
            let row = (run == 0).then(|| found.n_prompt - 1);
            let sums = if run == 0 { vec![last] } else { vec![] };
            runs.push(lane.run(run as u8, &sums, row)?);
        }
        let mut case = json!({
            "name": format!("{:?}", answer.format),
            "machine": number,
            "params": answer.params.pack().to_string(),
            "seed": answer.seed.to_string(),
            "in_job": lane.in_job()?,
            "runs": runs,
        });
        // Its traces are of two depths.
        if answer.format == WeightFormat::F32 {
            case["jobs"] = json!(jobs_of_many(answer)?);
        }
        models.push(case);
    }
    for own in own {
        let model = &own.model;
        let (commitments, _) = Commitments::of(model, &mut |_, _| ())?;
        let mut lane = Lane::new(model, own.input.clone(), std::slice::from_ref(&own.run))?;
        let n_tokens = own.run.tokens.len() as u32;
        let mut run = lane.run(0, &[n_tokens - 2], None)?;
        if own.listed {
            run["values"] = lane.values(n_tokens - 1)?;
        }
        models.push(json!({
            "name": own.name,
            "program": hex(model.program_bytes()),
            "weights": (0..model.weight_count()).map(|tensor| rows(model, tensor)).collect::<Vec<_>>(),
            "weights_root": hex(&commitments.weights_root.0),
            "in_job": lane.in_job()?,
            "runs": [run],
        }));
    }
    Ok(json!({ "models": models, "claim": claim(&answered[0])? }))
}

/// The digests of jobs of many runs, in which the answer's runs come again and again: the most for which there is room as for few, one more, the most.
fn jobs_of_many(answer: &Answered) -> Result<Vec<Value>> {
    let mut jobs = Vec::new();
    for count in [8, 9, 16] {
        let input = LaneInput {
            input_id: answer.input_id,
            params: answer.params,
            payload: answer.payload.clone(),
            seed: answer.seed,
        };
        let runs: Vec<_> = answer.runs.iter().cycle().take(count).cloned().collect();
        let mut lane = Lane::new(&answer.model, input, &runs)?;
        jobs.push(json!({ "runs": count, "digests": lane.in_job()? }));
    }
    Ok(jobs)
}

/// Openings of the tree of a claim of 70 jobs.
fn claim(answer: &Answered) -> Result<Value> {
    let input = |input_id| LaneInput {
        input_id,
        params: answer.params,
        payload: answer.payload.clone(),
        seed: answer.seed,
    };
    let answers = (0..70)
        .map(|id| Ok(Arc::new(Answer::new(input(id), answer.runs.clone())?)))
        .collect::<Result<Vec<_>>>()?;
    let jobs: Vec<Digest> = answers
        .iter()
        .map(|answer| answer.commitment.record.digest())
        .collect();
    let mut lane = Lane::of(&answer.model, answers)?;
    // The root, inner nodes, one that is partly absent, nodes of one digest.
    let nodes = [(7, 0), (6, 0), (6, 1), (3, 8), (1, 34), (0, 69)]
        .map(|(height, index)| lane.node(Position::tree(NodeKind::Claim, 0, 0, height, index)))
        .into_iter()
        .collect::<Result<Vec<_>>>()?;
    Ok(json!({
        "jobs": jobs.iter().map(|digest| hex(&digest.0)).collect::<Vec<_>>(),
        "nodes": nodes,
    }))
}
