//! Flight SQL
