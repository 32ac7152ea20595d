//! The node's HTTP API. What it says about a prompt before finality is marked unfinal.

mod challenges;
mod error;
mod prompts;
mod status;
mod stream;
mod text;
mod views;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::routing::get;
use tokio::sync::watch;
use tower_http::cors::{Any, CorsLayer};

pub use challenges::{
    ChallengedClaim, FallView, LineView, NodeView, RewardView, fault_name, kind_name, position_name,
};
pub use error::ApiError;
pub use text::Text;
pub use views::{
    ClaimView, ModelRef, ParamsView, PromptView, ResponseView, Segment, SettlementView,
};

use crate::roles::{Context, RoleName};

/// What the handlers share.
#[derive(Debug, Clone)]
pub struct ApiState {
    context: Context,
    roles: Arc<BTreeSet<RoleName>>,
    started: Instant,
    stop: watch::Receiver<bool>,
}

impl ApiState {
    /// For a node with these roles; `stop` ends open streams.
    pub fn new(
        context: Context,
        roles: BTreeSet<RoleName>,
        stop: watch::Receiver<bool>,
    ) -> ApiState {
        ApiState {
            context,
            roles: Arc::new(roles),
            started: Instant::now(),
            stop,
        }
    }
}

/// The routes.
pub fn router(state: ApiState) -> Router {
    Router::new()
        .route("/v1/prompts", get(prompts::list))
        .route("/v1/prompts/{id}", get(prompts::one))
        .route("/v1/prompts/{id}/stream", get(stream::stream))
        .route("/v1/prompts/{id}/results", get(prompts::results))
        .route("/v1/challenges", get(challenges::list))
        .route("/v1/claims/{id}", get(challenges::one))
        .route("/v1/models", get(status::models))
        .route("/v1/status", get(status::status))
        .route("/healthz", get(status::health))
        .fallback(error::unknown_route)
        .method_not_allowed_fallback(error::wrong_method)
        .layer(
            CorsLayer::new()
                .allow_origin(Any)
                .allow_methods(Any)
                .allow_headers(Any),
        )
        .with_state(state)
}
