//! JSON-RPC errors, with the codes clients know.

use alloy::primitives::Bytes;
use serde::Serialize;

use crate::devnet::error::Refusal;

/// A JSON-RPC error object.
#[derive(Clone, Debug, PartialEq, Serialize, thiserror::Error)]
#[error("{message} (code {code})")]
pub struct RpcError {
    /// -32700 parse, -32600 request, -32601 method, -32602 parameters, -32603 internal,
    /// -32000 refused by the chain, 3 execution reverted.
    pub code: i64,
    /// What was found and what was expected.
    pub message: String,
    /// Output of a reverted execution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Bytes>,
}

impl RpcError {
    fn new(code: i64, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }

    pub(in crate::devnet) fn parse(message: impl Into<String>) -> Self {
        Self::new(-32700, message)
    }

    pub(in crate::devnet) fn request(message: impl Into<String>) -> Self {
        Self::new(-32600, message)
    }

    pub(super) fn method(name: &str) -> Self {
        Self::new(
            -32601,
            format!("the method {name} does not exist/is not available"),
        )
    }

    pub(super) fn params(message: impl Into<String>) -> Self {
        Self::new(-32602, message)
    }

    pub(in crate::devnet) fn internal(message: impl Into<String>) -> Self {
        Self::new(-32603, message)
    }

    pub(super) fn refused(message: impl Into<String>) -> Self {
        Self::new(-32000, message)
    }
}

impl From<Refusal> for RpcError {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            Refusal::Reverted { data, .. } => Self {
                code: 3,
                message,
                data: Some(data),
            },
            Refusal::TooLarge { .. } => Self::params(message),
            _ => Self::refused(message),
        }
    }
}
