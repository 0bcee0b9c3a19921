//! The contract of a table format: a location and a pin become a snapshot, a snapshot becomes a scan.
//!
//! * [`Source`], [`CatalogRef`], [`Layout`], [`Format`], [`Pin`]: which table, and which of its versions.
//! * [`DomainStores`]: all storage a domain may read; every path is contained to its grants ([`Grant`],
//!   [`Credentials`], [`S3Credentials`], [`StoreOptions`], [`Located`]), and so are the catalogs that it asks
//!   ([`CatalogGrant`], [`CatalogCredentials`], [`CatalogLogin`]); [`Lease`] ([`Vended`], [`Vendor`]): storage credentials
//!   that a catalog gives for a while.
//! * [`TableFormat`], [`OpenTable`], [`FileList`], [`PastVersion`]: what a format implements.
//! * [`Deletes`]: which rows of a data file are deleted; [`vector`]: how deletion vectors lie in files;
//!   [`Loading`] ([`Charge`], [`Absent`]): what they are read with.
//! * [`Snapshot`], [`FileSet`]: one version of a table; [`Snapshot::scan`] reads it with DataFusion's own Parquet source.
//! * [`SameOrder`]: for plans that are made again elsewhere and have to give rows in the same order.
//! * [`Binding`]: how columns of files are matched to columns of the table; [`stored_columns`], [`loses_nothing`] for
//!   formats that know columns from the files alone.
//! * [`Tables`]: opens, refreshes and shares tables; one per gateway.
//! * [`Error`]: why a table cannot be read.
//!
//! Not here: Delta, Iceberg (see their crates), principals, policies, contracts of products.

mod binding;
mod deletes;
mod error;
mod files;
mod format;
mod scan;
mod snapshot;
mod source;
mod stores;
mod tables;

pub mod conformance;
pub mod vector;

pub use binding::{Binding, FIELD_ID, NameMapping, PHYSICAL_NAME};
pub use deletes::Deletes;
pub use error::Error;
pub use files::{ColumnStats, DataFile, FileSet};
pub use format::{FileList, OpenTable, PastVersion, TableFormat};
pub use scan::{Absent, Charge, Delivery, LakeScanExec, Loading, SameOrder, loses_nothing, stored_columns};
pub use snapshot::{Snapshot, SnapshotParts};
pub use source::{CatalogRef, Format, Layout, Pin, Source};
pub use stores::{
    CatalogCredentials, CatalogGrant, CatalogLogin, Credentials, DomainStores, Grant, Lease, Located, S3Credentials,
    StoreOptions, Vended, Vendor,
};
pub use tables::{CacheOptions, Tables};
