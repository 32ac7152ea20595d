//! Writes `tests/vectors/`.
fn main() {}
