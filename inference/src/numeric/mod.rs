//! The exact arithmetic, one function each: the definition every backend is compared with.

pub mod constants;
