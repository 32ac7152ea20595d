//! Unfinal answers from a node: its stream of server-sent events, then the whole.

use std::time::Duration;

use futures::StreamExt;
use serde_json::Value;
use tokio::sync::mpsc;

use super::api;

/// Pause before a node is asked again.
const RETRY: Duration = Duration::from_millis(100);

/// News from a node.
#[derive(Debug, Clone)]
pub(crate) enum FromNode {
    /// More text of a run.
    Token { run: u32, text: String },
    /// Every response is there; the node's answer about the prompt.
    Answered(Value),
    /// What the node says went wrong.
    Trouble(String),
}

/// Listens until the prompt is answered or nobody wants to know. A node that is away or has not read the prompt yet is asked again.
pub(crate) async fn listen(api_url: String, id: u64, news: mpsc::Sender<FromNode>) {
    let client = api::client();
    let mut sent = 0;
    while !news.is_closed() {
        if stream(&client, &api_url, id, &news, &mut sent)
            .await
            .is_none()
        {
            tokio::time::sleep(RETRY).await;
            continue;
        }
        if let Some(node) = api::fetch(&client, &format!("{api_url}/v1/prompts/{id}")).await {
            let _ = news.send(FromNode::Answered(node)).await;
            return;
        }
    }
}

/// Follows the stream once; something when it came to its end. A stream that starts again repeats its tokens: `sent` counts those passed on.
async fn stream(
    client: &reqwest::Client,
    api_url: &str,
    id: u64,
    news: &mpsc::Sender<FromNode>,
    sent: &mut usize,
) -> Option<()> {
    let answer = client
        .get(format!("{api_url}/v1/prompts/{id}/stream"))
        .send()
        .await
        .ok()?
        .error_for_status()
        .ok()?;
    let mut bytes = answer.bytes_stream();
    let mut parser = EventParser::default();
    let mut tokens = 0;
    let mut failed = false;
    while let Some(Ok(chunk)) = bytes.next().await {
        for (kind, data) in parser.push(&chunk) {
            match kind.as_str() {
                "token" | "text" => {
                    tokens += 1;
                    if tokens > *sent {
                        *sent = tokens;
                        news.send(token(&data)).await.ok()?;
                    }
                }
                "error" => {
                    failed = true;
                    let message = data
                        .get("message")
                        .and_then(Value::as_str)
                        .unwrap_or("the node gave no reason")
                        .to_owned();
                    news.send(FromNode::Trouble(message)).await.ok()?;
                }
                // Somebody else may answer what this node cannot: keep watching the chain, not this node.
                "done" if failed => return std::future::pending().await,
                "done" => return Some(()),
                _ => {}
            }
        }
    }
    None
}

fn token(data: &Value) -> FromNode {
    let run = data
        .get("run")
        .and_then(Value::as_u64)
        .and_then(|run| u32::try_from(run).ok())
        .unwrap_or_default();
    let hex = data
        .get("text_hex")
        .and_then(Value::as_str)
        .and_then(|hex| alloy::hex::decode(hex).ok());
    let text = match hex {
        Some(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        None => data
            .get("text")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
    };
    FromNode::Token { run, text }
}

/// Server-sent events from bytes that come in any pieces.
#[derive(Debug, Default)]
struct EventParser {
    line: Vec<u8>,
    kind: String,
    data: String,
}

impl EventParser {
    fn push(&mut self, bytes: &[u8]) -> Vec<(String, Value)> {
        let mut events = Vec::new();
        for &byte in bytes {
            if byte != b'\n' {
                self.line.push(byte);
                continue;
            }
            let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
            let line = line.trim_end_matches('\r');
            if line.is_empty() {
                let (kind, data) = (
                    std::mem::take(&mut self.kind),
                    std::mem::take(&mut self.data),
                );
                // Comments that keep the connection open end up here without data.
                if let Ok(value) = serde_json::from_str(&data) {
                    events.push((kind, value));
                }
            } else if let Some(kind) = line.strip_prefix("event:") {
                self.kind = kind.trim_start().to_owned();
            } else if let Some(data) = line.strip_prefix("data:") {
                self.data.push_str(data.strip_prefix(' ').unwrap_or(data));
            }
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn events_come_in_any_pieces() {
        let text = ": hello\n\nevent: token\ndata: {\"run\":1,\"text\":\"é\"}\n\nevent: done\r\ndata: {}\r\n\r\n";
        let expected = vec![
            ("token".to_owned(), json!({"run": 1, "text": "é"})),
            ("done".to_owned(), json!({})),
        ];
        for size in 1..text.len() {
            let mut parser = EventParser::default();
            let events: Vec<_> = text
                .as_bytes()
                .chunks(size)
                .flat_map(|chunk| parser.push(chunk))
                .collect();
            assert_eq!(events, expected, "{size}");
        }
    }

    #[test]
    fn tokens_may_be_bytes() {
        let FromNode::Token { run, text } = token(&json!({"run": 2, "text_hex": "ff41"})) else {
            panic!("a token")
        };
        assert_eq!((run, text.as_str()), (2, "\u{fffd}A"));
    }
}
