//! The GPU's kernels and all that drives them, run on the processor and compared with the scalar backend bit by bit. What this shows: the kernels'
//! arithmetic, order, indices, barriers and exchanges between lanes. What it can't show: that a GPU does what CUDA says of it. Where there is
//! one, the tests run on it too.

mod desk;
mod devices;
mod emulator;
mod engines;
mod kernels;
mod models;
