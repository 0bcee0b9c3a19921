//! Delta Lake tables
