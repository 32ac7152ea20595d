//! The rules of a program's header.

use super::{CAPS, range};
use crate::numeric::constants::MAX_STOP_TOKENS;
use crate::program::{Parts, ProgramError};

pub(super) fn check(parts: &Parts) -> Result<(), ProgramError> {
    range("context", parts.context, 1, CAPS.context)?;
    range("vocabulary size", parts.vocab_size, 1, CAPS.dimension)?;
    range("layers", u32::from(parts.layers), 1, u32::from(CAPS.layers))?;
    for (name, table, weights) in [
        ("head", &parts.head, parts.weight_counts[0]),
        ("body", &parts.body, parts.weight_counts[1]),
        ("tail", &parts.tail, parts.weight_counts[2]),
    ] {
        range(
            format!("entries of the {name}"),
            table.len() as u32,
            1,
            CAPS.entries as u32,
        )?;
        range(
            format!("weights of the {name}"),
            u32::from(weights),
            0,
            u32::from(CAPS.weights),
        )?;
    }
    range(
        "number of stop tokens",
        parts.stop_tokens.len() as u32,
        0,
        MAX_STOP_TOKENS as u32,
    )?;
    if parts.stop_tokens.windows(2).any(|pair| pair[0] >= pair[1]) {
        return Err(ProgramError::new(
            "stop tokens",
            format!("{:?}", parts.stop_tokens),
            "rising numbers",
        ));
    }
    if let Some(token) = parts
        .stop_tokens
        .iter()
        .find(|token| **token >= parts.vocab_size)
    {
        return Err(ProgramError::new(
            "stop tokens",
            token,
            format!("numbers below the vocabulary size {}", parts.vocab_size),
        ));
    }
    Ok(())
}
