//! Backends: the same operations at different speeds, with the same bits.
