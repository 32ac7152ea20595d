//! Prompts, one and many.

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::{Deserialize, Serialize};

use super::views::PromptView;
use super::{ApiError, ApiState, Text};
use crate::store::{StoredInput, tables};

const DEFAULT_LIMIT: u64 = 50;
const LARGEST_LIMIT: u64 = 1_000;
/// A page ends early when its payloads and texts reach this: prompts may be long, and nobody should fill the node's memory.
const LARGEST_PAGE_BYTES: usize = 4 << 20;

/// Reads an id of the path.
pub(super) fn parse_id(text: &str) -> Result<u64, ApiError> {
    text.parse().map_err(|_| ApiError::BadParameter {
        param: "id",
        found: text.to_owned(),
        expected: "a whole number from 0 on".into(),
    })
}

pub(super) fn find(state: &ApiState, id: u64) -> Result<StoredInput, ApiError> {
    let store = &state.context.store;
    match store.read(tables::INPUTS, &id)? {
        Some(input) => Ok(input),
        None => Err(ApiError::UnknownPrompt {
            id,
            read: store.last(tables::INPUTS)?.map_or(0, |(last, _)| last + 1),
            block: state.context.cursor()?.map_or(0, |cursor| cursor.number),
        }),
    }
}

pub(super) async fn one(
    State(state): State<ApiState>,
    Path(id): Path<String>,
) -> Result<Json<PromptView>, ApiError> {
    let input = find(&state, parse_id(&id)?)?;
    Ok(Json(PromptView::load(&state.context, input)?))
}

/// What this node computed for an input: tokens, offsets and texts, for who checks a claim on them.
#[derive(Debug, Serialize)]
pub(super) struct Results {
    id: u64,
    seed: alloy::primitives::B256,
    job: alloy::primitives::B256,
    runs: Vec<crate::store::StoredRun>,
}

pub(super) async fn results(
    State(state): State<ApiState>,
    Path(id): Path<String>,
) -> Result<Json<Results>, ApiError> {
    let input = find(&state, parse_id(&id)?)?;
    let result = state.context.store.read(tables::RESULTS, &input.id)?;
    match result.filter(|r| input.seal.is_some_and(|s| s.seed == r.seed)) {
        Some(result) => Ok(Json(Results {
            id: input.id,
            seed: result.seed,
            job: result.job,
            runs: result.runs,
        })),
        None => Err(ApiError::NoResults { id: input.id }),
    }
}

/// A page of prompts.
#[derive(Debug, Serialize)]
pub(super) struct Page {
    prompts: Vec<PromptView>,
    /// The `from` of the next page; nothing on the last one.
    next: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Range {
    from: Option<String>,
    limit: Option<String>,
}

pub(super) async fn list(
    State(state): State<ApiState>,
    range: Result<Query<Range>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Page>, ApiError> {
    let Query(range) = range.map_err(|err| ApiError::BadParameter {
        param: "query",
        found: err.body_text(),
        expected: "from and limit".into(),
    })?;
    let number = |param, text: Option<String>, default: u64, most: u64| match text {
        None => Ok(default),
        Some(text) => {
            text.parse()
                .ok()
                .filter(|n| *n <= most)
                .ok_or_else(|| ApiError::BadParameter {
                    param,
                    found: text,
                    expected: format!("a whole number from 0 to {most}"),
                })
        }
    };
    let from = number("from", range.from, 0, u64::MAX)?;
    let limit = number("limit", range.limit, DEFAULT_LIMIT, LARGEST_LIMIT)?;
    let (mut prompts, mut next, mut bytes) = (Vec::new(), None, 0);
    for item in state.context.store.scan_from(tables::INPUTS, &from) {
        let (id, input) = item?;
        if prompts.len() as u64 == limit || bytes >= LARGEST_PAGE_BYTES {
            next = Some(id);
            break;
        }
        bytes += input.payload.len();
        let view = PromptView::load(&state.context, input)?;
        bytes += view
            .responses
            .iter()
            .map(|response| match &response.text {
                Text::Utf8 { text } => text.len(),
                Text::Hex { text_hex } => text_hex.len(),
            })
            .sum::<usize>();
        prompts.push(view);
    }
    Ok(Json(Page { prompts, next }))
}
