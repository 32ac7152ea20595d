//! HTTP and WebSocket at one port.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::Value;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tower_http::cors::CorsLayer;

use super::node::Node;
use super::rpc::subscriptions::Subscriptions;
use super::rpc::{self, Body, Request, RpcError, response};

/// Larger requests are refused.
const MAX_BODY: usize = 32 << 20;

#[derive(Clone)]
struct Shared {
    node: Arc<Node>,
    stop: watch::Receiver<bool>,
}

/// The routes of a devnet: JSON-RPC by POST and by WebSocket, for pages of any origin.
pub(super) fn router(node: Arc<Node>, stop: watch::Receiver<bool>) -> Router {
    Router::new()
        .route("/", post(http).get(websocket))
        .route("/ws", post(http).get(websocket))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(CorsLayer::permissive())
        .with_state(Shared { node, stop })
}

/// Ends when the devnet is to stop, or its handle is gone.
pub(super) async fn stopped(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

fn json(value: &Value) -> Response {
    (
        [(header::CONTENT_TYPE, "application/json")],
        value.to_string(),
    )
        .into_response()
}

async fn http(State(shared): State<Shared>, body: Result<Bytes, BytesRejection>) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(rejection) => {
            let error = RpcError::request(format!(
                "request body: expected at most {MAX_BODY} bytes ({})",
                rejection.body_text()
            ));
            return (rejection.status(), json(&response(Value::Null, Err(error)))).into_response();
        }
    };
    match answer(shared.node, body).await {
        Some(reply) => json(&reply),
        // Only notifications: there is nothing to say.
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

/// Answers a body; execution happens off the async threads.
async fn answer(node: Arc<Node>, body: Bytes) -> Option<Value> {
    spawn_blocking(move || match rpc::parse(&body) {
        Err(refusal) => Some(refusal),
        Ok(Body::One(request)) => answer_one(&node, request),
        Ok(Body::Batch(requests)) => {
            let replies: Vec<Value> = requests
                .into_iter()
                .filter_map(|request| answer_one(&node, request))
                .collect();
            (!replies.is_empty()).then_some(Value::Array(replies))
        }
    })
    .await
    .unwrap_or_else(|error| {
        tracing::error!(%error, "request handler failed");
        Some(response(
            Value::Null,
            Err(RpcError::internal("internal error")),
        ))
    })
}

fn answer_one(node: &Node, request: Result<Request, Value>) -> Option<Value> {
    match request {
        Err(refusal) => Some(refusal),
        Ok(Request { id, method, params }) => {
            tracing::trace!(method, "request");
            let reply = rpc::dispatch(node, &method, params);
            id.map(|id| response(id, reply))
        }
    }
}

async fn websocket(
    State(shared): State<Shared>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    match upgrade {
        Ok(upgrade) => upgrade
            .max_message_size(MAX_BODY)
            .max_frame_size(MAX_BODY)
            .on_upgrade(move |socket| serve_socket(socket, shared)),
        Err(_) => {
            let hint = "This is a JSON-RPC node: send requests by POST, or open a WebSocket.\n";
            (StatusCode::BAD_REQUEST, hint).into_response()
        }
    }
}

/// One WebSocket connection: requests in order, notifications in between.
async fn serve_socket(mut socket: WebSocket, shared: Shared) {
    let Shared { node, stop } = shared;
    let mut notices = node.follow();
    let mut subscriptions = Subscriptions::default();
    let stopped = stopped(stop);
    tokio::pin!(stopped);
    loop {
        let replies = tokio::select! {
            _ = &mut stopped => {
                let _ = socket.send(Message::Close(None)).await;
                return;
            }
            message = socket.recv() => {
                let body = match message {
                    Some(Ok(Message::Text(text))) => Bytes::from(text),
                    Some(Ok(Message::Binary(bytes))) => bytes,
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                };
                answer_socket(&node, &mut subscriptions, body).await.into_iter().collect()
            }
            notice = notices.recv() => match notice {
                Ok(notice) => subscriptions.messages(&node, &notice),
                Err(RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "a subscriber is too slow and missed events");
                    continue;
                }
                Err(RecvError::Closed) => return,
            }
        };
        for reply in replies {
            if socket
                .send(Message::Text(reply.to_string().into()))
                .await
                .is_err()
            {
                return;
            }
        }
    }
}

async fn answer_socket(
    node: &Arc<Node>,
    subscriptions: &mut Subscriptions,
    body: Bytes,
) -> Option<Value> {
    // Subscriptions belong to the connection, so they are picked out here.
    let own = |request: &Result<Request, Value>| {
        matches!(request, Ok(Request { method, .. })
            if method == "eth_subscribe" || method == "eth_unsubscribe")
    };
    match rpc::parse(&body) {
        Ok(Body::One(request)) if own(&request) => answer_own(node, subscriptions, request),
        Ok(Body::Batch(requests)) if requests.iter().any(own) => {
            let mut replies = Vec::new();
            for request in requests {
                replies.extend(if own(&request) {
                    answer_own(node, subscriptions, request)
                } else {
                    let node = Arc::clone(node);
                    spawn_blocking(move || answer_one(&node, request))
                        .await
                        .unwrap_or(None)
                });
            }
            (!replies.is_empty()).then_some(Value::Array(replies))
        }
        _ => answer(Arc::clone(node), body).await,
    }
}

fn answer_own(
    node: &Node,
    subscriptions: &mut Subscriptions,
    request: Result<Request, Value>,
) -> Option<Value> {
    let Request { id, method, params } = request.ok()?;
    let reply = subscriptions.dispatch(node, &method, &params)?;
    id.map(|id| response(id, reply))
}
