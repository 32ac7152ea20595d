//! The node itself: health, status, models.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{ApiError, ApiState};
use crate::chain::MACHINE_VERSION;
use crate::store::tables;

pub(super) async fn health(State(state): State<ApiState>) -> (StatusCode, Json<Value>) {
    match state.context.cursor() {
        Ok(Some(cursor)) => (
            StatusCode::OK,
            Json(json!({ "status": "ok", "block": cursor.number })),
        ),
        Ok(None) => (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(json!({ "status": "starting" })),
        ),
        Err(err) => (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(json!({ "status": "broken", "reason": err.to_string() })),
        ),
    }
}

pub(super) async fn status(State(state): State<ApiState>) -> Result<Json<Value>, ApiError> {
    let context = &state.context;
    let cursor = context.cursor()?;
    // The chain may be away; the node's own state is still worth telling.
    let (head, chain_error) = match context.client.head().await {
        Ok(head) => (Some(head), None),
        Err(err) => (None, Some(err.to_string())),
    };
    let mut account = Value::Null;
    if let Some(address) = context.client.account() {
        let balance = context.client.balance(address).await.ok();
        let withdrawable = context
            .client
            .withdrawable(&context.deployment, address)
            .await
            .ok();
        account = json!({
            "address": address,
            "balance_wei": balance.map(|wei| wei.to_string()),
            "released_bonds_wei": withdrawable.map(|(bonds, _)| bonds.to_string()),
            "earned_fees_wei": withdrawable.map(|(_, fees)| fees.to_string()),
            "challenges_wei": context.client.challenge_balance(&context.deployment, address).await.ok().map(|wei| wei.to_string()),
        });
    }
    Ok(Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "machine_version": MACHINE_VERSION,
        "uptime_seconds": state.started.elapsed().as_secs(),
        "chain": {
            "id": context.client.chain_id(),
            "head": head.map(|h| json!({ "number": h.number, "hash": h.hash, "timestamp": h.timestamp })),
            "read": cursor.map(|c| json!({ "number": c.number, "hash": c.hash, "timestamp": c.timestamp })),
            "error": chain_error,
        },
        "deployment": context.deployment,
        "roles": *state.roles,
        "account": account,
        "models": context.machines.values().map(|machine| machine.card().clone()).collect::<Vec<_>>(),
        "waiting": {
            "unsealed": context.store.scan(tables::UNSEALED).count(),
            "unanswered": context.store.scan(tables::UNANSWERED).count(),
            "open_lanes": context.store.scan(tables::OPEN_LANES).count(),
            "disputed_claims": context.store.scan(tables::DISPUTED).count(),
            "failed_vouchers": context.store.scan(tables::ATTEMPTS).count(),
        },
    })))
}

pub(super) async fn models(State(state): State<ApiState>) -> Result<Json<Value>, ApiError> {
    let context = &state.context;
    let mut registered = Vec::new();
    for item in context.store.scan(tables::MODELS) {
        let (id, model) = item?;
        let card = context
            .machines
            .get(&id)
            .map(|machine| machine.card().clone());
        registered.push(json!({
            "id": id,
            "name": model.name,
            "version": model.version,
            "license": model.license,
            "publisher": model.publisher,
            "weights_uri": model.weights_uri,
            "parent": model.parent,
            "served": card.is_some(),
            "quantisation": card.as_ref().map(|c| c.quantisation.clone()),
            "parameters": card.as_ref().map(|c| c.parameters),
            "context_tokens": card.as_ref().map(|c| c.context_tokens),
            "vocabulary": card.as_ref().map(|c| c.vocabulary),
        }));
    }
    let mut unregistered = Vec::new();
    for (id, machine) in context.machines.iter() {
        if !context.store.contains(tables::MODELS, id)? {
            unregistered.push(machine.card().clone());
        }
    }
    Ok(Json(
        json!({ "models": registered, "served_but_unregistered": unregistered }),
    ))
}
