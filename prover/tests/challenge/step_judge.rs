//! The judge of steps and sums in Rust (faults 64 to 66 of what is not attention).

use alloy_primitives::B256;
use alloy_sol_types::SolValue;
use sworn_inference::program::Op;
use sworn_prover::constants::PART_SUMS;
use sworn_prover::dispute::abi::{Case, Leaf, Row};
use sworn_prover::dispute::faults::step::{
    CombineWitness, Needs, Opened, Place, SHAPE, StepWitness, TotalWitness, combine, needs,
    range_root, recompute, recompute_tile, stored, tile_needs, well_shaped,
};
use sworn_prover::dispute::parts::Parts;
use sworn_prover::dispute::position::Position;
use sworn_prover::dispute::source::WeightSource;
use sworn_prover::dispute::trace::{ModelWeights, Step, TraceLayout};
use sworn_prover::{Digest, merkle};

type Refused = String;

/// The step that a witness of a trace node is about: its second word. Attention's witnesses are tuples with an offset first, as all of these are.
pub(crate) fn step_of(witness: &[u8]) -> u32 {
    let word: [u8; 4] = witness[32 + 32 + 28..32 + 64].try_into().unwrap();
    u32::from_be_bytes(word)
}

pub(crate) fn is_fault(
    layout: &TraceLayout,
    weights: &ModelWeights,
    case: &Case,
    fault: u8,
    witness: &[u8],
) -> Result<bool, Refused> {
    let node = Position::from_word(&case.node.position.to_be_bytes()).ok_or("position")?;
    let run = &case.job.runs[usize::from(node.run)];
    let rows = run.nTokens - 1;
    let judge = Judge {
        layout,
        weights,
        rows,
        trace_root: case.job.traceRoots[usize::from(node.run)],
    };
    match fault {
        64 => {
            let w = StepWitness::abi_decode(witness).map_err(|e| e.to_string())?;
            let step = layout.step(w.step).map_err(|e| e.to_string())?;
            check_exists(layout, &step, w.row, run.nPrompt, rows, w.leaf)?;
            let index = layout.index(w.row, step.first_leaf + w.leaf);
            in_node(&w.claimed, &node, case.node.value, index)?;
            if w.lane == SHAPE {
                return Ok(!well_shaped(&step, w.leaf, &w.claimed.data));
            }
            let place = Place {
                leaf: w.leaf,
                lane: w.lane,
            };
            let claimed = stored(step.kind, &w.claimed.data, w.lane).map_err(|e| e.to_string())?;
            let token = if step.op == Op::Embed {
                let leaf = &w.inputs[0];
                let path: Vec<Digest> = leaf.path.iter().map(|d| Digest(d.0)).collect();
                let depth = merkle::depth(u64::from(run.nTokens).div_ceil(64));
                if path.len() != depth as usize {
                    return Err("token path".to_owned());
                }
                let root = merkle::root_of(Digest::of(&leaf.data), u64::from(w.row) / 64, &path);
                if root.0 != run.tokensRoot.0 {
                    return Err("token leaf".to_owned());
                }
                let at = 4 * (w.row as usize % 64);
                u32::from_le_bytes(leaf.data[at..at + 4].try_into().unwrap())
            } else {
                0
            };
            let needs = needs(layout, &step, place, w.row, token).map_err(|e| e.to_string())?;
            let opened = if step.op == Op::Embed {
                judge.opened(&needs, w.row, None, &[], &w.weights)?
            } else {
                judge.opened(&needs, w.row, Some(&w.trace), &w.inputs, &w.weights)?
            };
            let own = recompute(&step, place, &opened).map_err(|e| e.to_string())?;
            Ok(own != claimed)
        }
        65 => {
            let w = CombineWitness::abi_decode(witness).map_err(|e| e.to_string())?;
            if Parts::TOTALS.digest(&w.contents).0 != case.node.value.0 {
                return Err("contents".to_owned());
            }
            let step = layout.step(node.a).map_err(|e| e.to_string())?;
            let parent =
                Position::from_word(&case.parent.position.to_be_bytes()).ok_or("parent")?;
            let (leaf, lane) = step.leaf_of(node.b).map_err(|e| e.to_string())?;
            let index = layout.index(node.index as u32, leaf);
            in_node(&w.claimed, &parent, case.parent.value, index)?;
            let claimed = stored(step.kind, &w.claimed.data, lane).map_err(|e| e.to_string())?;
            Ok(combine(&step, &words(&w.contents)) != claimed)
        }
        66 => {
            let w = TotalWitness::abi_decode(witness).map_err(|e| e.to_string())?;
            let step = layout.step(node.a).map_err(|e| e.to_string())?;
            let length = 4 * step.sum_tiles().ok_or("sum")? as usize;
            let part = w.tile as usize / PART_SUMS;
            let checked = Parts::TOTALS.check(&w.contents, case.node.value, length, part);
            checked.map_err(|e| e.to_string())?;
            let needs = tile_needs(layout, &step, node.b, w.tile).map_err(|e| e.to_string())?;
            let row = node.index as u32;
            let inputs = [w.input];
            let opened = judge.opened(&needs, row, Some(&w.trace), &inputs, &w.weights)?;
            let own = recompute_tile(&step, w.tile, &opened).map_err(|e| e.to_string())?;
            let totals = words(&w.contents.data);
            Ok(own != *totals.get(w.tile as usize % PART_SUMS).ok_or("tile")?)
        }
        _ => Err("fault".to_owned()),
    }
}

struct Judge<'a> {
    layout: &'a TraceLayout,
    weights: &'a ModelWeights,
    rows: u32,
    trace_root: B256,
}

impl Judge<'_> {
    fn opened(
        &self,
        needs: &Needs,
        row: u32,
        trace: Option<&Row>,
        inputs: &[Leaf],
        weights: &[Leaf],
    ) -> Result<Opened, Refused> {
        let mut opened = Opened::default();
        if inputs.len() != needs.inputs.len() || weights.len() != needs.weights.len() {
            return Err("number of openings".to_owned());
        }
        if let Some(trace) = trace {
            let path: Vec<Digest> = trace.path.iter().map(|d| Digest(d.0)).collect();
            let depth = merkle::depth(self.rows.into());
            let root = merkle::root_of(Digest(trace.root.0), row.into(), &path);
            if path.len() != depth as usize || root.0 != self.trace_root.0 {
                return Err("row path".to_owned());
            }
        }
        for (range, leaf) in needs.inputs.iter().zip(inputs) {
            let size = leaf.data.len() / range.count as usize;
            let digests: Vec<Digest> = leaf.data.chunks(size).map(Digest::of).collect();
            let path: Vec<Digest> = leaf.path.iter().map(|d| Digest(d.0)).collect();
            let depth = self.layout.row_depth();
            let root = range_root(range.first.into(), &digests, depth, &path);
            if digests.len() != range.count as usize || root.map(|d| d.0) != trace.map(|t| t.root.0)
            {
                return Err("input path".to_owned());
            }
            opened.inputs.push(leaf.data.to_vec());
        }
        for (range, leaf) in needs.weights.iter().zip(weights) {
            // Paths of weights are checked where they are made; here the bytes must be the model's.
            let mut bytes = Vec::new();
            for tile in range.first..range.first + range.count {
                bytes.extend(
                    self.weights
                        .leaf(range.tensor, range.row, tile)
                        .map_err(|e| e.to_string())?,
                );
            }
            if bytes != leaf.data {
                return Err("weights".to_owned());
            }
            opened.weights.push(bytes);
        }
        Ok(opened)
    }
}

fn check_exists(
    layout: &TraceLayout,
    step: &Step,
    row: u32,
    n_prompt: u32,
    rows: u32,
    leaf: u32,
) -> Result<(), Refused> {
    let exists = row < rows
        && leaf < step.leaf_count
        && step.first_leaf + leaf < layout.leaves_at(row, n_prompt);
    exists
        .then_some(())
        .ok_or_else(|| "no such leaf".to_owned())
}

fn in_node(leaf: &Leaf, node: &Position, value: B256, index: u64) -> Result<(), Refused> {
    let path: Vec<Digest> = leaf.path.iter().map(|d| Digest(d.0)).collect();
    let root = merkle::root_of(Digest::of(&leaf.data), index, &path);
    let height = u32::from(node.height);
    if path.len() != height as usize || index >> height != node.index || root.0 != value.0 {
        return Err("leaf in node".to_owned());
    }
    Ok(())
}

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes
        .chunks(4)
        .map(|word| u32::from_be_bytes(word.try_into().unwrap()))
        .collect()
}
