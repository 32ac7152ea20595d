//! Reverts of the contracts, by name and fields.

use alloy::primitives::Bytes;
use alloy::sol_types::{Panic, Revert as TextRevert, SolError, SolInterface};

use super::abi::{challenges, claims, fees, inbox, models, prompts, vouchers};

/// Why a call reverted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revert {
    /// The error's encoding.
    pub data: Bytes,
    /// Its name and fields.
    pub text: String,
}

impl Revert {
    /// Decodes revert data; unknown errors keep their bytes.
    pub fn decode(data: Bytes) -> Revert {
        let text = describe(&data);
        Revert { data, text }
    }

    /// Whether this is the custom error `E`.
    pub fn is<E: SolError>(&self) -> bool {
        self.data.get(..4).is_some_and(|found| found == E::SELECTOR)
    }

    /// The custom error `E`, if it is one.
    pub fn downcast<E: SolError>(&self) -> Option<E> {
        E::abi_decode(&self.data).ok()
    }
}

impl std::fmt::Display for Revert {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

fn describe(data: &[u8]) -> String {
    if data.is_empty() {
        return "no reason given".to_owned();
    }
    if let Ok(text) = TextRevert::abi_decode(data) {
        return text.reason;
    }
    if let Ok(panic) = Panic::abi_decode(data) {
        return panic.to_string();
    }
    custom::<inbox::IInboxErrors>(data)
        .or_else(|| custom::<claims::IClaimsErrors>(data))
        .or_else(|| custom::<challenges::IChallengesErrors>(data))
        .or_else(|| custom::<fees::IFeesErrors>(data))
        .or_else(|| custom::<vouchers::IVouchersErrors>(data))
        .or_else(|| custom::<prompts::IPromptsErrors>(data))
        .or_else(|| custom::<models::IModelsErrors>(data))
        .unwrap_or_else(|| format!("unknown error 0x{}", alloy::hex::encode(data)))
}

fn custom<E: SolInterface + std::fmt::Debug>(data: &[u8]) -> Option<String> {
    let selector = <[u8; 4]>::try_from(data.get(..4)?).ok()?;
    if !E::valid_selector(selector) {
        return None;
    }
    let decoded = format!("{:?}", E::abi_decode(data).ok()?);
    // The interface's enum repeats the error's name: `TooEarly(TooEarly { .. })`.
    let inner = decoded
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'))
        .unwrap_or(&decoded);
    Some(inner.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::primitives::{B256, U256};

    #[test]
    fn reverts_show_name_and_fields() {
        let error = inbox::TooEarly {
            inputId: U256::from(3),
            readyBlock: U256::from(10),
            currentBlock: U256::from(9),
        };
        let revert = Revert::decode(error.abi_encode().into());
        assert_eq!(
            revert.to_string(),
            "TooEarly { inputId: 3, readyBlock: 10, currentBlock: 9 }"
        );
        assert!(revert.is::<inbox::TooEarly>());
        assert!(!revert.is::<inbox::NothingToSeal>());
        let zero = Revert::decode(claims::ZeroRoot {}.abi_encode().into());
        assert!(zero.to_string().starts_with("ZeroRoot"), "{zero}");
        let exists = Revert::decode(
            claims::ClaimExists {
                claimId: B256::repeat_byte(0xab),
            }
            .abi_encode()
            .into(),
        );
        assert!(exists.to_string().contains("0xabab"), "{exists}");
    }

    #[test]
    fn any_bytes_have_a_description() {
        for data in [&[][..], &[1], &[1, 2, 3, 4], &inbox::TooEarly::SELECTOR] {
            assert!(!Revert::decode(data.to_vec().into()).to_string().is_empty());
        }
        let text = TextRevert {
            reason: "why not".into(),
        }
        .abi_encode();
        assert_eq!(Revert::decode(text.into()).to_string(), "why not");
    }
}
