//! Lies about answers, each with the nodes that a challenger opens and the fault that it proves (`prover/SPEC.md` section 10.3).

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use serde_json::{Value, json};
use sworn_inference::engine::RunResult;
use sworn_inference::format::packed::Model;
use sworn_inference::program::Op;
use sworn_prover::Digest;
use sworn_prover::dispute::contents::{Contents, claim_tree, published};
use sworn_prover::dispute::lie::{Hiding, Liar, Lie};
use sworn_prover::dispute::position::{NodeKind, Position};
use sworn_prover::dispute::results::{Answer, LaneInput, LaneResults, run_record};
use sworn_prover::dispute::strategy::{ClaimView, Move, NodeView, next};

use super::hex;
use super::machine::Answered;
use super::models::OwnAnswered;
use super::steps::Lane;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Answers that a lie is told about.
const KEPT: usize = 2;

/// Where a dispute ended.
struct Verdict {
    fault: u8,
    node: Position,
    /// The nodes that were opened, with what they hold.
    opened: Vec<(Position, Contents)>,
}

/// Plays a dispute to its end.
fn dispute(own: &mut dyn LaneResults, liar: &mut Liar) -> Result<Verdict> {
    let mut view = ClaimView::new(1, claim_tree(liar)?.root(), published(liar)?);
    let mut opened = Vec::new();
    loop {
        match next(&view, own)? {
            Move::Open {
                parent,
                position,
                value,
                ..
            } => {
                let contents = liar.reveal(&position)?.ok_or("a liar that is not silent")?;
                opened.push((position, contents.clone()));
                view.put(NodeView {
                    key: Digest::of(&[position.to_word(), parent.0].concat()),
                    parent,
                    position,
                    value,
                    contents: Some(contents),
                });
            }
            Move::Prove { node, fault, .. } => {
                let node = view.node(node).ok_or("a node that was opened")?.position;
                return Ok(Verdict {
                    fault,
                    node,
                    opened,
                });
            }
            other => return Err(format!("a lie stands: {other:?}").into()),
        }
    }
}

/// Leaves of the claimed trace that are not those of its own tokens.
fn bent_leaves(lane: &mut Lane, liar: &mut Liar, run: u32) -> Result<Vec<Value>> {
    let (rows, leaves) = (
        lane.results.trace(0, run)?.rows(),
        liar.model().layout.row_leaves(),
    );
    let mut bent = Vec::new();
    for row in 0..rows {
        for leaf in 0..leaves {
            // Tail steps have no leaves in the prompt.
            let (Ok(honest), Ok(told)) = (
                lane.results.trace(0, run)?.leaf(row, leaf),
                liar.trace(0, run)?.leaf(row, leaf),
            ) else {
                continue;
            };
            if honest != told {
                bent.push(json!([row, leaf, hex(&told)]));
            }
        }
    }
    Ok(bent)
}

/// What a liar says, and what becomes of it; None when it has no place for the lie.
fn told(
    model: &Arc<Model>,
    input: &LaneInput,
    runs: &[RunResult],
    lie: Lie,
    run: u32,
) -> Result<Option<Value>> {
    let lane = || Lane::new(model, input.clone(), runs);
    let Some(mut liar) = lie.tell(lane()?.results, 0, run, 1)? else {
        return Ok(None);
    };
    let verdict = dispute(&mut lane()?.results, &mut liar)?;
    let answer: Answer = (*liar.answer(0)?).clone();
    let Some((_, Contents::Job(job, ..))) = verdict
        .opened
        .iter()
        .find(|(position, _)| position.kind == NodeKind::Job)
    else {
        return Err("a dispute without a job".into());
    };
    let tokens = answer.runs.get(run as usize).map(|run| run.tokens.clone());
    // The trace matters where a node of it is opened, or logits decide.
    let needs_trace = matches!(verdict.fault, 64..=84);
    let mut trace = Value::Null;
    if needs_trace {
        let mut lane = Lane::of(model, vec![Arc::new(answer.clone())])?;
        trace = json!({ "tokens": tokens, "bent": bent_leaves(&mut lane, &mut liar, run)? });
    }
    let lists = answer.leaves.get(run as usize);
    let list = |kind| {
        let leaves = lists.and_then(|lists| lists.list(kind)).unwrap_or_default();
        leaves.iter().map(|leaf| hex(leaf)).collect::<Vec<_>>()
    };
    // Of tiles and groups the contents are the true ones of what is claimed before them.
    let posted = |(position, contents): &(Position, Contents)| match contents {
        Contents::Posted(bytes) if !matches!(position.kind, NodeKind::Tile | NodeKind::Group) => {
            hex(bytes)
        }
        _ => String::new(),
    };
    Ok(Some(json!({
        "lie": lie.to_string(),
        "run": run,
        "input_id": job.inputId.to::<u64>(),
        "score_root": hex(&job.scoreRoot.0),
        "runs": job.runs.iter().zip(&job.traceRoots).map(|(run, root)| {
            let record = run_record(run);
            json!({
                "n_prompt": record.n_prompt,
                "n_tokens": record.n_tokens,
                "finish": record.finish,
                "tokens_root": record.tokens_root.to_string(),
                "offsets_root": record.offsets_root.to_string(),
                "text_root": record.text_root.to_string(),
                "text_length": record.text_length,
                "score": record.score,
                "greedy": record.greedy,
                "trace_root": hex(&root.0),
            })
        }).collect::<Vec<_>>(),
        "tokens": list(NodeKind::Tokens),
        "offsets": list(NodeKind::Offsets),
        "text": list(NodeKind::Text),
        "trace": trace,
        "opened": verdict.opened.iter().map(|opened| json!([hex(&opened.0.to_word()), posted(opened)])).collect::<Vec<_>>(),
        "node": hex(&verdict.node.to_word()),
        "fault": verdict.fault,
    })))
}

/// Whether a lie is of those whose tiles and groups hold what they should.
fn is_listed(lie: Lie) -> bool {
    !matches!(
        lie,
        Lie::Silence(_)
            | Lie::Element(_, Hiding::Weights | Hiding::Values)
            | Lie::Token(Hiding::Weights)
    )
}

pub(super) fn lies(answered: &[Answered], own: &[OwnAnswered]) -> Result<Value> {
    let mut cases = Vec::new();
    let mut kept: BTreeMap<String, usize> = BTreeMap::new();
    for lie in Lie::all().into_iter().filter(|lie| is_listed(*lie)) {
        let kept = kept.entry(lie.to_string()).or_default();
        for (number, answer) in answered.iter().enumerate().rev() {
            let input = LaneInput {
                input_id: answer.input_id,
                params: answer.params,
                payload: answer.payload.clone(),
                seed: answer.seed,
            };
            for run in 0..answer.runs.len() as u32 {
                if *kept < KEPT
                    && let Some(mut told) = told(&answer.model, &input, &answer.runs, lie, run)?
                {
                    *kept += 1;
                    told["machine"] = json!(number);
                    cases.push(told);
                    break;
                }
            }
        }
        // Long sums.
        for (number, own) in own.iter().enumerate() {
            let is_long = match lie {
                Lie::Element(Op::NormStat, _) => own.name == "norm",
                Lie::Element(Op::Matmul, Hiding::Totals) => own.name == "wide",
                Lie::Element(Op::AttnMax | Op::AttnSum | Op::AttnMix, _) => own.name == "long",
                _ => false,
            };
            if is_long
                && let Some(mut told) = told(
                    &own.model,
                    &own.input,
                    std::slice::from_ref(&own.run),
                    lie,
                    0,
                )?
            {
                told["own"] = json!(number);
                cases.push(told);
            }
        }
    }
    Ok(json!({ "count": cases.len(), "cases": cases }))
}
