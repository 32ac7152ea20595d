//! The node on real chains, from a question to its posted answer, and through trouble.

mod bonds;
mod challenges;
mod path;
mod restart;
mod together;
mod trouble;
mod world;
