//! Reading positional parameters, with errors that say what was expected and found.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::RpcError;

/// The parameters of one request.
pub(super) struct Params<'a> {
    method: &'a str,
    values: Vec<Value>,
}

/// Long values are cut in error messages.
const SHOWN: usize = 120;

impl<'a> Params<'a> {
    pub(super) fn new(method: &'a str, params: Value) -> Result<Self, RpcError> {
        let values = match params {
            Value::Null => Vec::new(),
            Value::Array(values) => values,
            other => {
                return Err(RpcError::params(format!(
                    "params of {method}: expected an array, found {}",
                    shown(&other)
                )));
            }
        };
        Ok(Self { method, values })
    }

    /// The parameter at `index`; absent or null is an error.
    pub(super) fn required<T: DeserializeOwned>(
        &mut self,
        index: usize,
        expected: &str,
    ) -> Result<T, RpcError> {
        self.optional(index, expected)?.ok_or_else(|| {
            RpcError::params(format!(
                "missing value for required argument {index} of {}: expected {expected}",
                self.method
            ))
        })
    }

    /// The parameter at `index`; absent or null is `None`.
    pub(super) fn optional<T: DeserializeOwned>(
        &mut self,
        index: usize,
        expected: &str,
    ) -> Result<Option<T>, RpcError> {
        let Some(value) = self
            .values
            .get_mut(index)
            .map(Value::take)
            .filter(|v| !v.is_null())
        else {
            return Ok(None);
        };
        T::deserialize(&value).map(Some).map_err(|error| {
            RpcError::params(format!(
                "invalid argument {index} of {}: expected {expected}, found {} ({error})",
                self.method,
                shown(&value)
            ))
        })
    }
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// A number as a hex quantity, a decimal string or a JSON number: development tools send all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Quantity(pub(super) u64);

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let value = Value::deserialize(deserializer)?;
        let number = match &value {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => match text.strip_prefix("0x") {
                Some(digits) => u64::from_str_radix(digits, 16).ok(),
                None => text.parse().ok(),
            },
            _ => None,
        };
        number
            .map(Self)
            .ok_or_else(|| D::Error::custom("not a number below 2^64"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn errors_say_what_was_expected_and_found() {
        let mut params = Params::new("eth_x", json!(["0x10", null, {"a": 1}])).unwrap();
        assert_eq!(params.required::<Quantity>(0, "a number"), Ok(Quantity(16)));
        assert_eq!(params.optional::<Quantity>(1, "a number"), Ok(None));
        let error = params.required::<Quantity>(2, "a number").unwrap_err();
        assert_eq!(error.code, -32602);
        assert!(error.message.contains("expected a number") && error.message.contains("{\"a\":1}"));
        let error = params.required::<Quantity>(3, "a number").unwrap_err();
        assert!(
            error
                .message
                .contains("missing value for required argument 3 of eth_x")
        );
        assert!(Params::new("eth_x", json!({"a": 1})).is_err());
    }
}
