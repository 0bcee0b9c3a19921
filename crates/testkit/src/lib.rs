//! Builders of meshes, tables, tokens and an in-process gateway
