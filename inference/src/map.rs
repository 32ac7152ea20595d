//! The one place that maps files into memory.
