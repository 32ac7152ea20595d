//! Who signs transactions.

use std::path::Path;

use alloy::signers::local::coins_bip39::English;
use alloy::signers::local::{MnemonicBuilder, PrivateKeySigner};
use sworn_node::config::{Config, Source};

use super::failure::{Classify, Failure, Kind};

/// Chain id of development chains, whose accounts' keys everybody knows.
pub(crate) const DEV_CHAIN_ID: u64 = 31337;

/// The development account of commands that are given no key.
const USER_ACCOUNT: u32 = 1;

/// The development account of nodes that are given no key; another one than that of users, so that their transactions do not meet.
pub(crate) const NODE_ACCOUNT: u32 = 0;

/// The mnemonic of the usual development accounts.
const DEV_MNEMONIC: &str = "test test test test test test test test test test test junk";

/// The signer that the configuration names; on a development chain account 1 when it names none.
pub(crate) fn signer(config: &Config, chain_id: u64) -> Result<Option<PrivateKeySigner>, Failure> {
    signer_or(config, chain_id, USER_ACCOUNT)
}

/// The signer that the configuration names; on a development chain account `default` when it names none.
pub(crate) fn signer_or(
    config: &Config,
    chain_id: u64,
    default: u32,
) -> Result<Option<PrivateKeySigner>, Failure> {
    match chosen(config)? {
        Some("key") => {
            let key = config
                .key
                .as_ref()
                .map(|key| key.expose())
                .unwrap_or_default();
            parse_key(key, "SWORN_KEY").map(Some)
        }
        Some("key_file") => config.key_file.as_deref().map(read_key_file).transpose(),
        Some(_) => config
            .account
            .map(|index| dev_account(index, chain_id))
            .transpose(),
        None if chain_id == DEV_CHAIN_ID => dev_account(default, chain_id).map(Some),
        None => Ok(None),
    }
}

/// Which of the three settings counts: that of the highest layer.
fn chosen(config: &Config) -> Result<Option<&'static str>, Failure> {
    let layer = |key: &'static str| {
        let entry = config
            .entries
            .iter()
            .find(|entry| entry.setting.key == key && entry.value.is_some())?;
        let layer = match entry.source {
            Source::Flag(_) => 0,
            Source::Environment(_) => 1,
            Source::File(_) => 2,
            Source::Demo(_) | Source::Default => 3,
        };
        Some((layer, key, entry.source.to_string()))
    };
    let mut set: Vec<_> = ["key", "key_file", "account"]
        .into_iter()
        .filter_map(layer)
        .collect();
    set.sort();
    match set.as_slice() {
        [] => Ok(None),
        [(a, first, from), (b, second, also), ..] if a == b => Err(Failure::usage(format!(
            "found {first} ({from}) and {second} ({also}), expected one of key, key_file and account; leave the others out"
        ))),
        [(_, key, _), ..] => Ok(Some(key)),
    }
}

/// A development account; its key is public, so it is refused on other chains.
pub(crate) fn dev_account(index: u32, chain_id: u64) -> Result<PrivateKeySigner, Failure> {
    if chain_id != DEV_CHAIN_ID {
        return Err(Failure::usage(format!(
            "found development account {index} on chain {chain_id}, expected chain {DEV_CHAIN_ID}: everybody knows its key; give --key-file or SWORN_KEY_FILE"
        )));
    }
    MnemonicBuilder::<English>::default()
        .phrase(DEV_MNEMONIC)
        .index(index)
        .and_then(|builder| builder.build())
        .exit(Kind::Other)
}

fn read_key_file(path: &Path) -> Result<PrivateKeySigner, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::input(format!(
            "{}: {error}; give a readable key file",
            path.display()
        ))
    })?;
    if text.trim_start().starts_with('{') {
        let message = "found JSON, such as an encrypted keystore, expected 64 hexadecimal digits; export the key to a file that only you can read";
        return Err(Failure::input(format!("{}: {message}", path.display())));
    }
    parse_key(text.trim(), &path.display().to_string())
}

/// Parses a key. The message never holds any of it.
fn parse_key(text: &str, origin: &str) -> Result<PrivateKeySigner, Failure> {
    let digits = text.trim().strip_prefix("0x").unwrap_or(text.trim());
    let message = || {
        Failure::input(format!(
            "{origin}: found {} characters that are no private key, expected 64 hexadecimal digits",
            digits.len()
        ))
    };
    if digits.len() != 64 {
        return Err(message());
    }
    digits.parse().map_err(|_| message())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn development_accounts_are_the_usual_ones() {
        let address = |index| {
            dev_account(index, DEV_CHAIN_ID)
                .unwrap()
                .address()
                .to_string()
        };
        assert_eq!(address(0), "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
        assert_eq!(address(1), "0x70997970C51812dc3A010C7d01b50e0d17dc79C8");
        assert_eq!(dev_account(0, 1).unwrap_err().kind, Kind::Usage);
    }

    #[test]
    fn keys_are_checked_and_not_repeated() {
        let key = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
        let expected = dev_account(0, DEV_CHAIN_ID).unwrap().address();
        assert_eq!(parse_key(key, "x").unwrap().address(), expected);
        assert_eq!(
            parse_key(&format!(" 0x{key}\n"), "x").unwrap().address(),
            expected
        );
        let zero = "0".repeat(64);
        for bad in [
            "",
            "0x12",
            &key[1..],
            &zero,
            "zz0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
        ] {
            let message = parse_key(bad, "SWORN_KEY").unwrap_err().error.to_string();
            assert!(message.contains("64 hexadecimal digits"), "{message}");
            assert!(bad.is_empty() || !message.contains(bad), "{message}");
        }
    }
}
