//! Sessions, caches, prefill, decode, selection.
