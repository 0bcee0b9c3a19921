//! The contract of a table format, and the one scan
