//! The use-cases, one readable function each
