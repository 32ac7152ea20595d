//! Each kernel alone against the scalar backend: every batch size, odd sizes, special values.

mod attention;
mod matmul;
mod rows;
