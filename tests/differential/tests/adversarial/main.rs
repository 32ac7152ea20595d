//! Whole disputes against the real contracts: whoever lies loses, whoever is right does not pay for it, whatever the others do.

mod clocks;
mod crowds;
mod every_lie;
mod flood;
mod lane;
mod replay;
mod scene;
mod silence;
mod trial;
