//! Errors as `{"error": {message, type, param, code}}`.

use axum::Json;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::chain::ChainError;
use crate::store::StoreError;

/// An error of the API.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// A parameter is wrong.
    #[error("{param}: found {found:?}, expected {expected}")]
    BadParameter {
        /// Which.
        param: &'static str,
        /// Its value.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// There is no such prompt.
    #[error("prompt {id} is unknown; this node has read {read} prompts up to block {block}")]
    UnknownPrompt {
        /// Id.
        id: u64,
        /// How many this node knows.
        read: u64,
        /// How far it has read.
        block: u64,
    },
    /// This node has computed nothing for it.
    #[error("prompt {id} has no results here yet; ask another node, or again later")]
    NoResults {
        /// Id.
        id: u64,
    },
    /// There is no such claim.
    #[error("claim {id} is unknown; this node has read up to block {block}")]
    UnknownClaim {
        /// Id.
        id: alloy::primitives::B256,
        /// How far it has read.
        block: u64,
    },
    /// There is no such route.
    #[error(
        "no route {method} {path}; routes are GET /v1/prompts, /v1/prompts/ID, /v1/prompts/ID/stream, /v1/prompts/ID/results, /v1/challenges, /v1/claims/ID, /v1/models, /v1/status, /healthz"
    )]
    UnknownRoute {
        /// Method.
        method: String,
        /// Path.
        path: String,
    },
    /// The chain does not answer.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, kind, param, code) = match &self {
            ApiError::BadParameter { param, .. } => (
                StatusCode::BAD_REQUEST,
                "invalid_request_error",
                Some(*param),
                "bad_parameter",
            ),
            ApiError::UnknownPrompt { .. } => (
                StatusCode::NOT_FOUND,
                "invalid_request_error",
                Some("id"),
                "unknown_prompt",
            ),
            ApiError::UnknownClaim { .. } => (
                StatusCode::NOT_FOUND,
                "invalid_request_error",
                Some("id"),
                "unknown_claim",
            ),
            ApiError::NoResults { .. } => (
                StatusCode::NOT_FOUND,
                "invalid_request_error",
                Some("id"),
                "no_results",
            ),
            ApiError::UnknownRoute { .. } => (
                StatusCode::NOT_FOUND,
                "invalid_request_error",
                None,
                "unknown_route",
            ),
            ApiError::Chain(_) => (StatusCode::BAD_GATEWAY, "chain_error", None, "chain"),
            ApiError::Store(_) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "server_error",
                None,
                "store",
            ),
        };
        let body = json!({ "error": { "message": self.to_string(), "type": kind, "param": param, "code": code } });
        (status, Json(body)).into_response()
    }
}

pub(super) async fn unknown_route(method: Method, uri: Uri) -> ApiError {
    ApiError::UnknownRoute {
        method: method.to_string(),
        path: uri.path().to_owned(),
    }
}

pub(super) async fn wrong_method(method: Method, uri: Uri) -> Response {
    let mut response = ApiError::UnknownRoute {
        method: method.to_string(),
        path: uri.path().to_owned(),
    }
    .into_response();
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
}
