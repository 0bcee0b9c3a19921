//! Mutable state of a gateway
