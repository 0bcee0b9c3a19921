//! HTTP: health
