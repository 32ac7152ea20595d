//! The node's HTTP API as the command line uses it. A node that is not there is no error: the chain has the last word anyway.

use std::time::Duration;

use sworn_node::config::Config;

/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A client of the node.
pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(2))
        .build()
        .unwrap_or_default()
}

/// What a node says about a prompt.
pub(crate) async fn prompt(config: &Config, id: u64) -> Option<serde_json::Value> {
    fetch(&client(), &format!("{}/v1/prompts/{id}", config.api_url)).await
}

/// A node's status.
pub(crate) async fn status(config: &Config) -> Option<serde_json::Value> {
    fetch(&client(), &format!("{}/v1/status", config.api_url)).await
}

/// Gets JSON; none when the node is not there, does not know, or answers something else.
pub(crate) async fn fetch(client: &reqwest::Client, url: &str) -> Option<serde_json::Value> {
    let answer = client.get(url).timeout(TIMEOUT).send().await.ok()?;
    answer.error_for_status().ok()?.json().await.ok()
}

/// Text of a response in a node's answer about a prompt.
pub(crate) fn response_text(node: &serde_json::Value, run: u32) -> Option<String> {
    let responses = node.get("responses")?.as_array()?;
    let response = responses.iter().find(|response| {
        response.get("run").and_then(serde_json::Value::as_u64) == Some(u64::from(run))
    })?;
    Some(response.get("text")?.as_str()?.to_owned())
}
