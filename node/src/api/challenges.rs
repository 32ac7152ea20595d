//! Challenges of claims: which lines there are and how low they go, whose clock runs, what it costs.

use alloy::primitives::{Address, B256, U256};
use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use sworn_prover::dispute::Position;
use sworn_prover::dispute::position::NodeKind;

use super::{ApiError, ApiState};
use crate::chain::ChallengeRules;
use crate::store::{
    ClaimEnd, Line, Lines, Store, StoreError, StoredClaim, StoredFall, StoredNode, StoredReward,
    tables,
};

/// A claim with its challenges.
#[derive(Debug, Clone, Serialize)]
pub struct ChallengedClaim {
    /// Id.
    pub claim: B256,
    /// Epoch of its lane.
    pub epoch: u64,
    /// Model of its lane.
    pub model: B256,
    /// Who bonded it.
    pub proposer: Address,
    /// Its root.
    pub root: B256,
    /// Bond.
    pub bond_wei: String,
    /// End of its window, in seconds.
    pub window_end: u64,
    /// Its transaction.
    pub transaction: B256,
    /// Standing, final, fallen or superseded.
    pub status: &'static str,
    /// Nodes that wait for their contents.
    pub pending: usize,
    /// Until then it cannot be final, in seconds, even if nothing more is opened and nothing is pending.
    pub alive_until: u64,
    /// By then it is decided, whatever happens, in seconds.
    pub decided_by: u64,
    /// Who goes down where, in the order of the lines' beginnings.
    pub lines: Vec<LineView>,
    /// Opened nodes in order.
    pub nodes: Vec<NodeView>,
    /// How it fell.
    pub fall: Option<FallView>,
    /// Rewards paid for its fall.
    pub rewards: Vec<RewardView>,
}

/// A line: what one account opened, each node in the place of the one above it.
#[derive(Debug, Clone, Serialize)]
pub struct LineView {
    /// Where the contract keeps it.
    pub line: B256,
    /// Whose it is.
    pub owner: Address,
    /// Its number among its owner's.
    pub number: u16,
    /// Its lowest node's key.
    pub lowest: B256,
    /// What that is, for people.
    pub name: String,
    /// Its state: pending, overdue, revealed or culprit.
    pub state: &'static str,
    /// How many nodes were opened in it.
    pub nodes: usize,
    /// Seconds of the proposer's budget, used so far.
    pub proposer_seconds: u64,
    /// Seconds of the challengers' budget, used when its lowest node was opened.
    pub challenger_seconds: u64,
    /// What is left of the budget of who has to move: the proposer while the lowest node is pending, else the challengers.
    pub seconds_left: u64,
    /// What is left of its prepayments.
    pub prepaid_wei: String,
    /// What its reveals take if the claim is right.
    pub spent_wei: String,
    /// Whether it has a deposit.
    pub late: bool,
    /// Whether what was left has been paid out.
    pub reclaimed: bool,
}

/// An opened node.
#[derive(Debug, Clone, Serialize)]
pub struct NodeView {
    /// Key.
    pub key: B256,
    /// The line that it was opened in.
    pub line: B256,
    /// Its parent's key, in whatever line; zero under the claim itself.
    pub parent: B256,
    /// Position word.
    pub position: B256,
    /// What it is, for people.
    pub name: String,
    /// Kind, as the specification names it.
    pub kind: &'static str,
    /// Pending, overdue, revealed or culprit.
    pub state: &'static str,
    /// Who opened it.
    pub opener: Address,
    /// When, in seconds.
    pub opened_at: u64,
    /// Transaction of the opening.
    pub opened_in: B256,
    /// Who revealed it.
    pub revealer: Option<Address>,
    /// When, in seconds.
    pub revealed_at: Option<u64>,
    /// Transaction of the reveal.
    pub revealed_in: Option<B256>,
    /// Seconds of the proposer's budget, used so far.
    pub proposer_seconds: u64,
    /// Seconds of the challengers' budget, used when it was opened.
    pub challenger_seconds: u64,
    /// What is left of the budget of who has to move: the proposer while it is pending, else the challengers; 0 once its line went on.
    pub seconds_left: u64,
    /// What is left of the prepayment; 0 once its line went on, which takes it along.
    pub prepaid_wei: String,
    /// What the reveal takes if the claim is right.
    pub spent_wei: String,
    /// Whether its line had a deposit by then.
    pub late: bool,
    /// Bytes of its contents.
    pub contents_bytes: Option<usize>,
}

/// How a claim fell.
#[derive(Debug, Clone, Serialize)]
pub struct FallView {
    /// The node.
    pub node: B256,
    /// The fault's code; none for silence.
    pub fault: Option<u8>,
    /// Its name, or `silence`.
    pub name: String,
    /// Who sent the proof, or expired the node.
    pub sender: Address,
    /// Transaction.
    pub transaction: B256,
    /// When, in seconds.
    pub fell_at: u64,
    /// What is left of the reward for the line's owner or a declaration.
    pub reward_wei: String,
    /// Whose declaration counts.
    pub winner: Option<Address>,
    /// What the reveals of the culprit's line would have taken, which its owner has back with the rest of the line's money; known once settled.
    pub refunded_wei: Option<String>,
    /// Paid as a reward.
    pub rewarded_wei: Option<String>,
    /// Burned at the settlement.
    pub burned_wei: Option<String>,
    /// Burned in all: what of the bond nobody got.
    pub burned_in_all_wei: Option<String>,
    /// Transaction that settled it.
    pub settled_in: Option<B256>,
}

/// A reward.
#[derive(Debug, Clone, Serialize)]
pub struct RewardView {
    /// Who got it.
    pub account: Address,
    /// How much.
    pub amount_wei: String,
}

/// Name of a kind as the specification has it.
pub fn kind_name(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::Claim => "claim",
        NodeKind::Job => "job",
        NodeKind::Tokens => "tokens",
        NodeKind::Offsets => "offsets",
        NodeKind::Text => "text",
        NodeKind::Trace => "trace",
        NodeKind::Totals => "totals",
        NodeKind::Tile => "tile",
        NodeKind::Selection => "selection",
        NodeKind::Group => "group",
        NodeKind::Prompt => "prompt",
        NodeKind::Starts => "starts",
        NodeKind::Malformed => "malformed",
    }
}

/// A position for people.
pub fn position_name(word: B256) -> (&'static str, String) {
    let Some(p) = Position::from_word(&word.0) else {
        return ("unknown", word.to_string());
    };
    let kind = kind_name(p.kind);
    let of_run = format!("job {} run {}", p.lane, p.run);
    let name = match p.kind {
        NodeKind::Claim => format!("claim, height {} node {}", p.height, p.index),
        NodeKind::Job => format!("job {}", p.lane),
        NodeKind::Tokens | NodeKind::Offsets | NodeKind::Text | NodeKind::Trace => {
            format!("{of_run} {kind}, height {} node {}", p.height, p.index)
        }
        NodeKind::Totals => format!(
            "{of_run} totals, row {} step {} element {}",
            p.index, p.a, p.b
        ),
        NodeKind::Tile => format!(
            "{of_run} tile {}, row {} step {} element {}",
            p.c, p.index, p.a, p.b
        ),
        NodeKind::Selection => format!("{of_run} selection of token {}", p.index),
        NodeKind::Group => format!("{of_run} group {} of sum {}, token {}", p.b, p.a, p.index),
        NodeKind::Starts => format!("{of_run} starts of leaf {}", p.index),
        NodeKind::Prompt | NodeKind::Malformed => format!("{of_run} {kind}"),
    };
    (kind, name)
}

/// Name of a fault as the specification has it.
pub fn fault_name(code: u8) -> String {
    use sworn_prover::constants as c;
    let name = match code {
        c::FAULT_EXPANSION => "expansion",
        c::FAULT_RUN_SHAPE => "run_shape",
        c::FAULT_TOKEN => "token",
        c::FAULT_STOP => "stop",
        c::FAULT_OFFSET_PADDING => "offset_padding",
        c::FAULT_OFFSET => "offset",
        c::FAULT_TEXT_PADDING => "text_padding",
        c::FAULT_TEXT => "text",
        c::FAULT_BOS => "bos",
        c::FAULT_PROMPT_PLACE => "prompt_place",
        c::FAULT_PLACE_STEP => "place_step",
        c::FAULT_CONTROL => "control",
        c::FAULT_PIECE => "piece",
        c::FAULT_CANONICAL => "canonical",
        c::FAULT_PAIR => "pair",
        c::FAULT_BYTE => "byte",
        c::FAULT_SEGMENTS => "segments",
        c::FAULT_GOOD_CONTROL => "good_control",
        c::FAULT_STEP => "step",
        c::FAULT_COMBINE => "combine",
        c::FAULT_TOTAL => "total",
        c::FAULT_ADDENDS => "addends",
        c::FAULT_WEIGHT => "weight",
        c::FAULT_VALUE => "value",
        c::FAULT_ARGMAX => "argmax",
        c::FAULT_BEST => "best",
        c::FAULT_CHOICE => "choice",
        c::FAULT_GROUP_SUM => "group_sum",
        c::FAULT_LEAF_SUM => "leaf_sum",
        _ => return format!("fault {code}"),
    };
    name.to_owned()
}

impl ChallengedClaim {
    /// Reads a claim with its challenges; `now` is the chain's time in seconds.
    pub fn load(
        store: &Store,
        rules: &ChallengeRules,
        claim: &StoredClaim,
        now: u64,
    ) -> Result<ChallengedClaim, StoreError> {
        let nodes = store.nodes_of(claim.id)?;
        let fall = store.read(tables::FALLS, &claim.id)?;
        let rewards = store.rewards_of(claim.id)?;
        let budget = rules.budget_seconds;
        let alive_until = nodes
            .iter()
            .filter(|node| !node.is_pending())
            .map(|node| {
                let record = node.record();
                record.revealed_at() + budget.saturating_sub(record.challenger_seconds())
            })
            .fold(claim.window_end, u64::max);
        let status = match claim.end {
            Some((ClaimEnd::Final, _)) => "final",
            Some((ClaimEnd::Fallen, _)) => "fallen",
            None if claim.bond_gone.is_some() => "superseded",
            None if fall.is_some() => "fallen",
            None => "standing",
        };
        let is_live = status == "standing";
        let lines = Lines::of(&nodes);
        let culprit = fall.as_ref().map(|fall| fall.key);
        let is_settled = fall.as_ref().is_some_and(|fall| fall.settled.is_some());
        let show =
            |node: &StoredNode| node_view(node, claim, &lines, culprit, budget, now, is_live);
        Ok(ChallengedClaim {
            claim: claim.id,
            epoch: claim.lane.epoch,
            model: claim.lane.model,
            proposer: claim.proposer,
            root: claim.root,
            bond_wei: claim.bond_wei.to_string(),
            window_end: claim.window_end,
            transaction: claim.transaction,
            status,
            pending: nodes
                .iter()
                .filter(|node| is_live && node.is_pending())
                .count(),
            alive_until,
            decided_by: claim.window_end + 2 * budget,
            lines: lines
                .all()
                .iter()
                .filter_map(|line| {
                    let lowest = line.lowest()?;
                    let is_paid = is_settled && culprit == Some(lowest.key);
                    Some(line_view(line, lowest, show(lowest), is_paid))
                })
                .collect(),
            nodes: nodes.iter().map(show).collect(),
            fall: fall.as_ref().map(|fall| fall_view(fall, claim, &rewards)),
            rewards: rewards
                .iter()
                .map(|reward| RewardView {
                    account: reward.account,
                    amount_wei: reward.amount_wei.to_string(),
                })
                .collect(),
        })
    }

    /// All claims of the store that were ever challenged, or all of them, newest first.
    pub fn all(
        store: &Store,
        rules: &ChallengeRules,
        now: u64,
        only_challenged: bool,
    ) -> Result<Vec<ChallengedClaim>, StoreError> {
        let mut claims = store
            .scan(tables::CLAIMS)
            .map(|item| item.map(|(_, claim)| claim))
            .collect::<Result<Vec<_>, _>>()?;
        claims.sort_by_key(|claim| std::cmp::Reverse((claim.block, claim.id)));
        let mut views = Vec::new();
        for claim in &claims {
            let view = ChallengedClaim::load(store, rules, claim, now)?;
            if !only_challenged || !view.nodes.is_empty() || view.fall.is_some() {
                views.push(view);
            }
        }
        Ok(views)
    }
}

fn line_view(line: &Line<'_>, lowest: &StoredNode, shown: NodeView, is_paid: bool) -> LineView {
    LineView {
        line: line.key,
        owner: line.owner,
        number: line.number,
        lowest: shown.key,
        name: shown.name,
        state: shown.state,
        nodes: line.nodes.len(),
        proposer_seconds: shown.proposer_seconds,
        challenger_seconds: shown.challenger_seconds,
        seconds_left: shown.seconds_left,
        prepaid_wei: shown.prepaid_wei,
        spent_wei: lowest.record().spent_wei().to_string(),
        late: shown.late,
        reclaimed: is_paid || lowest.reclaimed.is_some(),
    }
}

fn node_view(
    node: &StoredNode,
    claim: &StoredClaim,
    lines: &Lines<'_>,
    culprit: Option<B256>,
    budget: u64,
    now: u64,
    is_live: bool,
) -> NodeView {
    let record = node.record();
    let is_lowest = lines.is_lowest(node);
    let (kind, name) = position_name(record.position);
    let is_culprit = culprit == Some(node.key);
    let proposer_seconds = if is_live {
        node.proposer_seconds_at(now)
    } else {
        record.proposer_seconds()
    };
    let state = match (is_culprit, node.is_pending()) {
        (true, _) => "culprit",
        (false, true) if is_live && proposer_seconds > budget => "overdue",
        (false, true) => "pending",
        (false, false) => "revealed",
    };
    let seconds_left = if node.is_pending() {
        budget.saturating_sub(proposer_seconds)
    } else {
        // The challengers' time runs from the later of the reveal and the window's end.
        let since = record.revealed_at().max(claim.window_end);
        budget.saturating_sub(record.challenger_seconds() + now.saturating_sub(since))
    };
    NodeView {
        key: node.key,
        line: record.line(node.claim),
        parent: lines
            .parent_of(node)
            .map_or(B256::ZERO, |parent| parent.key),
        position: record.position,
        name,
        kind,
        state,
        opener: record.opener(),
        opened_at: record.opened_at(),
        opened_in: node.opened.transaction,
        revealer: node.revealed.as_ref().map(|reveal| reveal.revealer),
        revealed_at: node.revealed.as_ref().map(|_| record.revealed_at()),
        revealed_in: node.revealed.as_ref().map(|reveal| reveal.transaction),
        proposer_seconds,
        challenger_seconds: record.challenger_seconds(),
        seconds_left: if is_live && is_lowest {
            seconds_left
        } else {
            0
        },
        prepaid_wei: if is_lowest {
            record.prepaid_wei().to_string()
        } else {
            "0".to_owned()
        },
        spent_wei: node.reveal_wei().to_string(),
        late: record.is_late(),
        contents_bytes: node.revealed.as_ref().map(|reveal| reveal.contents.len()),
    }
}

fn fall_view(fall: &StoredFall, claim: &StoredClaim, rewards: &[StoredReward]) -> FallView {
    let verdict = fall.current();
    let settled = fall.settled;
    FallView {
        node: fall.key,
        fault: fall.fault,
        name: fall.fault.map_or("silence".to_owned(), fault_name),
        sender: fall.sender,
        transaction: fall.transaction,
        fell_at: verdict.fell_at,
        reward_wei: verdict.reward_wei.to_string(),
        winner: (!verdict.winner.is_zero()).then_some(verdict.winner),
        refunded_wei: settled.map(|s| s.refunded_wei.to_string()),
        rewarded_wei: settled.map(|s| s.rewarded_wei.to_string()),
        burned_wei: settled.map(|s| s.burned_wei.to_string()),
        burned_in_all_wei: settled.map(|_| {
            let rewarded = rewards.iter().fold(U256::ZERO, |sum, reward| {
                sum.saturating_add(reward.amount_wei)
            });
            claim.bond_wei.saturating_sub(rewarded).to_string()
        }),
        settled_in: settled.map(|s| s.transaction),
    }
}

/// Challenged claims of one answer.
const MOST_CLAIMS: usize = 200;

#[derive(Debug, Serialize)]
pub(super) struct Page {
    now: u64,
    rules: ChallengeRules,
    claims: Vec<ChallengedClaim>,
}

pub(super) async fn list(State(state): State<ApiState>) -> Result<Json<Page>, ApiError> {
    let (context, rules) = (&state.context, state.context.rules.challenges);
    let now = context.cursor()?.map_or(0, |cursor| cursor.timestamp);
    let mut claims = ChallengedClaim::all(&context.store, &rules, now, true)?;
    claims.truncate(MOST_CLAIMS);
    Ok(Json(Page { now, rules, claims }))
}

pub(super) async fn one(
    State(state): State<ApiState>,
    Path(id): Path<String>,
) -> Result<Json<ChallengedClaim>, ApiError> {
    let context = &state.context;
    let id: B256 = id.parse().map_err(|_| ApiError::BadParameter {
        param: "id",
        found: id.clone(),
        expected: "0x and 64 hexadecimal digits".into(),
    })?;
    let now = context.cursor()?.map_or(0, |cursor| cursor.timestamp);
    match context.store.read(tables::CLAIMS, &id)? {
        Some(claim) => Ok(Json(ChallengedClaim::load(
            &context.store,
            &context.rules.challenges,
            &claim,
            now,
        )?)),
        None => Err(ApiError::UnknownClaim {
            id,
            block: context.cursor()?.map_or(0, |cursor| cursor.number),
        }),
    }
}
