//! HTTP and WebSocket at one port, and the life of a devnet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

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
use tokio::net::TcpListener;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval_at, timeout};
use tower_http::cors::CorsLayer;

use super::config::{DevAccount, DevnetConfig};
use super::error::DevnetError;
use super::node::Node;
use super::rpc::subscriptions::Subscriptions;
use super::rpc::{self, Body, Request, RpcError, response};

/// Larger requests are refused.
const MAX_BODY: usize = 32 << 20;
/// How long [`DevnetHandle::shutdown`] waits for open connections.
const GRACE: Duration = Duration::from_secs(3);

/// The embedded chain; see [`Devnet::spawn`].
#[derive(Debug)]
pub struct Devnet;

impl Devnet {
    /// Starts a chain and its server inside this process, on the current tokio runtime.
    ///
    /// It runs until the handle is dropped or [`DevnetHandle::shutdown`].
    pub async fn spawn(config: DevnetConfig) -> Result<DevnetHandle, DevnetError> {
        let wanted = SocketAddr::new(config.host, config.port);
        let listener = TcpListener::bind(wanted)
            .await
            .map_err(|source| match source.kind() {
                std::io::ErrorKind::AddrInUse => DevnetError::PortInUse { address: wanted },
                _ => DevnetError::Listen {
                    address: wanted,
                    source,
                },
            })?;
        let address = listener
            .local_addr()
            .map_err(|source| DevnetError::Listen {
                address: wanted,
                source,
            })?;
        let node = Arc::new(Node::new(&config)?);
        let stop = watch::Sender::new(false);

        let shared = Shared {
            node: Arc::clone(&node),
            stop: stop.subscribe(),
        };
        let router = Router::new()
            .route("/", post(http).get(websocket))
            .route("/ws", post(http).get(websocket))
            .layer(DefaultBodyLimit::max(MAX_BODY))
            .layer(CorsLayer::permissive())
            .with_state(shared);
        let server = tokio::spawn({
            let stopped = stopped(stop.subscribe());
            async move {
                if let Err(error) = axum::serve(listener, router)
                    .with_graceful_shutdown(stopped)
                    .await
                {
                    tracing::error!(%error, "devnet server failed");
                }
            }
        });
        let miner = tokio::spawn(mine_at_intervals(Arc::clone(&node), stop.subscribe()));
        tracing::info!(%address, chain_id = config.chain_id, "devnet is up");

        let reachable = SocketAddr::new(reachable(address.ip()), address.port());
        Ok(DevnetHandle {
            node,
            address,
            http_url: format!("http://{reachable}"),
            ws_url: format!("ws://{reachable}"),
            stop,
            tasks: vec![server, miner],
        })
    }
}

/// A running devnet. Dropping it stops the chain.
pub struct DevnetHandle {
    node: Arc<Node>,
    address: SocketAddr,
    http_url: String,
    ws_url: String,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for DevnetHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DevnetHandle")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl DevnetHandle {
    /// `http://host:port`.
    pub fn http_url(&self) -> &str {
        &self.http_url
    }

    /// `ws://host:port`, the same port.
    pub fn ws_url(&self) -> &str {
        &self.ws_url
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The EIP-155 chain id.
    pub fn chain_id(&self) -> u64 {
        self.node.chain_id
    }

    /// The unlocked accounts, funded at genesis.
    pub fn accounts(&self) -> &[DevAccount] {
        &self.node.accounts
    }

    /// Answers a JSON-RPC method without the network. `params` is an array or null.
    pub async fn request(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        let (node, method) = (Arc::clone(&self.node), method.to_owned());
        spawn_blocking(move || rpc::dispatch(&node, &method, params))
            .await
            .unwrap_or_else(|error| Err(RpcError::internal(error.to_string())))
    }

    /// Stops the chain and waits until its port is free.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        for mut task in std::mem::take(&mut self.tasks) {
            if timeout(GRACE, &mut task).await.is_err() {
                task.abort();
            }
        }
    }
}

impl Drop for DevnetHandle {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

#[derive(Clone)]
struct Shared {
    node: Arc<Node>,
    stop: watch::Receiver<bool>,
}

/// An unspecified address is listened on, but not connected to.
fn reachable(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(v4) if v4.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(v6) if v6.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    }
}

/// Ends when the devnet is to stop, or its handle is gone.
async fn stopped(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Makes a block at each interval while there is one.
async fn mine_at_intervals(node: Arc<Node>, stop: watch::Receiver<bool>) {
    let mut setting = node.interval.subscribe();
    let stopped = stopped(stop);
    tokio::pin!(stopped);
    loop {
        let interval = *setting.borrow_and_update();
        let Some(interval) = interval else {
            tokio::select! {
                _ = &mut stopped => return,
                changed = setting.changed() => if changed.is_err() { return },
            }
            continue;
        };
        let mut ticks = interval_at(tokio::time::Instant::now() + interval, interval);
        // A block that took long is not followed by a burst.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = &mut stopped => return,
                changed = setting.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    break;
                }
                _ = ticks.tick() => {
                    let node = Arc::clone(&node);
                    let mined = spawn_blocking(move || node.write(|chain, now| chain.mine(now)));
                    match mined.await {
                        Ok(Ok(_)) => {}
                        Ok(Err(error)) => tracing::error!(%error, "no block was mined"),
                        Err(error) => tracing::error!(%error, "no block was mined"),
                    }
                }
            }
        }
    }
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
