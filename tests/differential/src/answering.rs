//! Contracts that answer by a table, for what judges ask of others.

use alloy_primitives::Bytes;

/// Runtime code that answers a call with a known selector by fixed bytes and reverts every other. The whole must be shorter than 2^16 bytes.
///
/// # Panics
/// Too many bytes.
pub fn answering(table: &[([u8; 4], Vec<u8>)]) -> Bytes {
    // PUSH0 CALLDATALOAD PUSH1 224 SHR, then for each: DUP1 PUSH4 selector EQ PUSH2 entry JUMPI, then PUSH0 PUSH0 REVERT.
    let entries = 5 + 11 * table.len() + 3;
    // JUMPDEST PUSH2 length PUSH2 offset PUSH0 CODECOPY PUSH2 length PUSH0 RETURN.
    let mut data = entries + 14 * table.len();
    let short = |n: usize| u16::try_from(n).expect("short answers").to_be_bytes();
    let mut code = vec![0x5f, 0x35, 0x60, 224, 0x1c];
    for (i, (selector, _)) in table.iter().enumerate() {
        code.extend([0x80, 0x63]);
        code.extend(selector);
        code.extend([0x14, 0x61]);
        code.extend(short(entries + 14 * i));
        code.push(0x57);
    }
    code.extend([0x5f, 0x5f, 0xfd]);
    for (_, answer) in table {
        let length = short(answer.len());
        code.extend([0x5b, 0x61]);
        code.extend(length);
        code.push(0x61);
        code.extend(short(data));
        code.extend([0x5f, 0x39, 0x61]);
        code.extend(length);
        code.extend([0x5f, 0xf3]);
        data += answer.len();
    }
    assert_eq!(code.len(), entries + 14 * table.len());
    for (_, answer) in table {
        code.extend(answer);
    }
    code.into()
}
