//! Nothing: this package only unifies the features of dependencies (see `.config/hakari.toml`), so that
//! `cargo check -p` of any crate that links DataFusion builds it once.
