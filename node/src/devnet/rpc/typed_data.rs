//! EIP-712: the hash that `eth_signTypedData_v4` signs.
//!
//! ```text
//! hash           = keccak256(0x1901 ‖ hashStruct(EIP712Domain, domain) ‖ hashStruct(primaryType, message))
//! hashStruct     = keccak256(typeHash ‖ encodeData);  typeHash = keccak256(encodeType)
//! encodeData     = one 32-byte word per member: atomic values as the ABI encodes them, dynamic
//!                  bytes and strings by hash, arrays by hash of their elements' words, structs
//!                  by hashStruct
//! ```

use std::collections::{BTreeMap, BTreeSet};

use alloy::dyn_abi::{DynSolType, DynSolValue};
use alloy::primitives::{B256, hex, keccak256};
use serde::Deserialize;
use serde_json::Value;

/// Deeper nesting (of structs and arrays) is refused.
const MAX_DEPTH: usize = 32;
const DOMAIN: &str = "EIP712Domain";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TypedData {
    types: Types,
    primary_type: String,
    domain: Value,
    message: Value,
}

type Types = BTreeMap<String, Vec<Member>>;

#[derive(Deserialize)]
struct Member {
    name: String,
    #[serde(rename = "type")]
    kind: String,
}

/// The hash to sign.
pub(super) fn signing_hash(data: &Value) -> Result<B256, String> {
    let mut data = TypedData::deserialize(data).map_err(|error| error.to_string())?;
    if !data.types.contains_key(DOMAIN) {
        let members = domain_members(&data.domain);
        data.types.insert(DOMAIN.to_owned(), members);
    }
    let mut bytes = vec![0x19, 0x01];
    bytes.extend(hash_struct(&data.types, DOMAIN, &data.domain, 0)?);
    if data.primary_type != DOMAIN {
        bytes.extend(hash_struct(
            &data.types,
            &data.primary_type,
            &data.message,
            0,
        )?);
    }
    Ok(keccak256(bytes))
}

/// The domain's type where it is left out: the standard members that are present, in order.
fn domain_members(domain: &Value) -> Vec<Member> {
    [
        ("name", "string"),
        ("version", "string"),
        ("chainId", "uint256"),
        ("verifyingContract", "address"),
        ("salt", "bytes32"),
    ]
    .into_iter()
    .filter(|(name, _)| domain.get(name).is_some())
    .map(|(name, kind)| Member {
        name: name.to_owned(),
        kind: kind.to_owned(),
    })
    .collect()
}

fn hash_struct(types: &Types, name: &str, value: &Value, depth: usize) -> Result<B256, String> {
    if depth > MAX_DEPTH {
        return Err(format!("{name}: nested deeper than {MAX_DEPTH}"));
    }
    let members = types
        .get(name)
        .ok_or_else(|| format!("type {name} is not defined"))?;
    let mut words = keccak256(encode_type(types, name)?).to_vec();
    for member in members {
        let found = value.get(&member.name).unwrap_or(&Value::Null);
        let word = encode(types, &member.kind, found, depth + 1)
            .map_err(|error| format!("{name}.{}: {error}", member.name))?;
        words.extend(word);
    }
    Ok(keccak256(words))
}

fn encode(types: &Types, kind: &str, value: &Value, depth: usize) -> Result<B256, String> {
    if depth > MAX_DEPTH {
        return Err(format!("nested deeper than {MAX_DEPTH}"));
    }
    if let Some((element, length)) = array(kind) {
        let items = value
            .as_array()
            .ok_or_else(|| format!("expected {kind}, found {value}"))?;
        if !length.is_empty() && length.parse() != Ok(items.len()) {
            return Err(format!("expected {kind}, found {} elements", items.len()));
        }
        let mut words = Vec::with_capacity(items.len() * 32);
        for item in items {
            words.extend(encode(types, element, item, depth + 1)?);
        }
        return Ok(keccak256(words));
    }
    if types.contains_key(kind) {
        // A struct that is left out is zero: clients send null for it.
        return if value.is_null() {
            Ok(B256::ZERO)
        } else {
            hash_struct(types, kind, value, depth)
        };
    }
    let expected = || format!("expected {kind}, found {value}");
    match kind {
        "string" => Ok(keccak256(value.as_str().ok_or_else(expected)?)),
        "bytes" => {
            let text = value.as_str().ok_or_else(expected)?;
            Ok(keccak256(hex::decode(text).map_err(|_| expected())?))
        }
        _ => {
            let parsed = DynSolType::parse(kind).map_err(|_| format!("unknown type {kind}"))?;
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Number(_) | Value::Bool(_) => value.to_string(),
                _ => return Err(expected()),
            };
            let atom: DynSolValue = parsed.coerce_str(&text).map_err(|_| expected())?;
            atom.as_word().or_else(|| word(&atom)).ok_or_else(expected)
        }
    }
}

/// The word of an atomic value that `as_word` leaves out.
fn word(atom: &DynSolValue) -> Option<B256> {
    let encoded = atom.abi_encode();
    (encoded.len() == 32).then(|| B256::from_slice(&encoded))
}

/// Element type and length text of `T[n]` or `T[]`.
fn array(kind: &str) -> Option<(&str, &str)> {
    let open = kind.rfind('[')?;
    Some((&kind[..open], kind[open + 1..].strip_suffix(']')?))
}

/// `Primary(…)` followed by the types it refers to, in order of their names.
fn encode_type(types: &Types, name: &str) -> Result<String, String> {
    let mut referred = BTreeSet::new();
    collect(types, name, &mut referred);
    referred.remove(name);
    let mut text = String::new();
    for name in std::iter::once(name).chain(referred.iter().copied()) {
        let members = types
            .get(name)
            .ok_or_else(|| format!("type {name} is not defined"))?;
        let list: Vec<String> = members
            .iter()
            .map(|m| format!("{} {}", m.kind, m.name))
            .collect();
        text += &format!("{name}({})", list.join(","));
    }
    Ok(text)
}

fn collect<'a>(types: &'a Types, name: &str, found: &mut BTreeSet<&'a str>) {
    let base = name.split('[').next().unwrap_or(name);
    let Some((name, members)) = types.get_key_value(base) else {
        return;
    };
    if found.insert(name) {
        for member in members {
            collect(types, &member.kind, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::b256;
    use alloy::sol;
    use alloy::sol_types::{SolStruct, eip712_domain};
    use serde_json::json;

    use super::*;

    /// The example of the EIP itself.
    #[test]
    fn the_mail_of_the_standard() {
        let data = json!({
            "types": {
                "EIP712Domain": [
                    {"name": "name", "type": "string"}, {"name": "version", "type": "string"},
                    {"name": "chainId", "type": "uint256"},
                    {"name": "verifyingContract", "type": "address"}],
                "Person": [{"name": "name", "type": "string"}, {"name": "wallet", "type": "address"}],
                "Mail": [{"name": "from", "type": "Person"}, {"name": "to", "type": "Person"},
                    {"name": "contents", "type": "string"}]},
            "primaryType": "Mail",
            "domain": {"name": "Ether Mail", "version": "1", "chainId": 1,
                "verifyingContract": "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC"},
            "message": {
                "from": {"name": "Cow", "wallet": "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"},
                "to": {"name": "Bob", "wallet": "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"},
                "contents": "Hello, Bob!"}});
        let expected = b256!("0xbe609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2");
        assert_eq!(signing_hash(&data), Ok(expected));
    }

    sol! {
        struct Item { int64 delta; bool flag; bytes4 tag; }
        struct Basket { uint256 id; Item[] items; bytes data; uint8[2] pair; string note; }
    }

    #[test]
    fn arrays_and_atoms_agree_with_the_compiled_encoder() {
        let basket = Basket {
            id: alloy::primitives::U256::from(u128::MAX),
            items: vec![
                Item {
                    delta: -5,
                    flag: true,
                    tag: [1, 2, 3, 4].into(),
                },
                Item {
                    delta: 7,
                    flag: false,
                    tag: [0xff; 4].into(),
                },
            ],
            data: vec![1, 2, 3].into(),
            pair: [9, 250],
            note: "ü".to_owned(),
        };
        let domain = eip712_domain! { name: "Test", chain_id: 31337, };
        let data = json!({
            "types": {
                "Item": [{"name": "delta", "type": "int64"}, {"name": "flag", "type": "bool"},
                    {"name": "tag", "type": "bytes4"}],
                "Basket": [{"name": "id", "type": "uint256"}, {"name": "items", "type": "Item[]"},
                    {"name": "data", "type": "bytes"}, {"name": "pair", "type": "uint8[2]"},
                    {"name": "note", "type": "string"}]},
            "primaryType": "Basket",
            "domain": {"name": "Test", "chainId": "0x7a69"},
            "message": {"id": u128::MAX.to_string(), "items": [
                    {"delta": -5, "flag": true, "tag": "0x01020304"},
                    {"delta": "7", "flag": false, "tag": "0xffffffff"}],
                "data": "0x010203", "pair": [9, "0xfa"], "note": "ü"}});
        assert_eq!(signing_hash(&data), Ok(basket.eip712_signing_hash(&domain)));
    }

    #[test]
    fn nonsense_is_refused() {
        let cyclic = json!({"types": {"A": [{"name": "a", "type": "A"}]}, "primaryType": "A",
            "domain": {}, "message": {}});
        assert!(
            signing_hash(&cyclic).is_ok(),
            "an absent struct ends the cycle"
        );
        for (kind, value) in [
            ("uint8", json!(256)),
            ("address", json!("0x12")),
            ("tuple", json!(1)),
            ("uint256[]", json!(3)),
            ("uint8[2]", json!([1])),
            ("B", json!({})),
        ] {
            let data = json!({"types": {"A": [{"name": "a", "type": kind}]}, "primaryType": "A",
                "domain": {}, "message": {"a": value}});
            assert!(signing_hash(&data).is_err(), "{kind} {value}");
        }
    }
}
