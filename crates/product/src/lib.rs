//! Data product documents: ODPS products, ODCS contracts and mesh.yaml, parsed and validated into one immutable [`Release`].

mod release;

pub use release::{
    Column, Domain, Location, LogicalType, Mesh, OnBreach, PolicySource, Product, Relationship, Release, ScopeState,
    Status, StorageGrant, Table, Version,
};
