//! Deletes.
