//! One table of a REST catalog.

use std::sync::Arc;

use async_trait::async_trait;
use iceberg::spec::TableMetadata;
use meshgate_model::Instant;
use meshgate_table::{CatalogRef, DomainStores, Error, Lease, Vended, Vendor};
use reqwest::StatusCode;
use reqwest::header::HeaderValue;
use tokio::sync::Mutex;

use super::answer::{Told, ToldMetadata, places};
use super::client::Client;
use crate::table::refuse_too_many;

/// How long a catalog that says that nothing is new is believed. A tag is of the table's metadata alone, and what may be
/// read of it can change without.
const UNCHANGED_S: i64 = 60;

/// Keeps what the catalog last told.
#[derive(Debug)]
pub(crate) struct RestTable {
    counter: Arc<Counter>,
    domain: Arc<DomainStores>,
    known: Mutex<Option<Known>>,
}

/// Where the catalog is asked for the table, whatever for.
#[derive(Debug)]
struct Counter {
    client: Arc<Client>,
    reference: CatalogRef,
    /// Where files are written, for credentials that name no prefix.
    places: parking_lot::Mutex<Vec<String>>,
}

#[derive(Debug)]
struct Known {
    e_tag: Option<HeaderValue>,
    /// When all of it was told.
    told: Instant,
    location: Option<String>,
    metadata: Arc<TableMetadata>,
    stores: Arc<DomainStores>,
    leased: Option<Leased>,
}

/// Credentials in use, and what the stores were made of.
#[derive(Debug)]
struct Leased {
    lease: Arc<Lease>,
    shape: Vec<(String, Option<String>, Option<String>)>,
}

impl RestTable {
    /// Nothing is asked yet.
    pub(crate) fn new(client: Arc<Client>, reference: &CatalogRef, domain: Arc<DomainStores>) -> Self {
        let counter = Counter { client, reference: reference.clone(), places: parking_lot::Mutex::default() };
        Self { counter: Arc::new(counter), domain, known: Mutex::default() }
    }

    /// The newest metadata, and the stores to read the table's files with. Both stay what they are while nothing is new.
    pub(crate) async fn refresh(&self) -> Result<(Arc<TableMetadata>, Arc<DomainStores>), Error> {
        let mut known = self.known.lock().await;
        let client = &self.counter.client;
        let now = client.now();
        let believed = known.as_ref().filter(|known| now < known.told.plus_seconds(UNCHANGED_S));
        let e_tag = believed.and_then(|known| known.e_tag.clone());
        let answer = client.table(&self.counter.reference, e_tag.as_ref()).await?;
        if answer.status == StatusCode::NOT_MODIFIED {
            let unchanged = known.as_ref().filter(|known| known.e_tag.is_some() && e_tag.is_some());
            let unchanged =
                unchanged.ok_or_else(|| client.error("it says that nothing is new to whoever knows nothing"))?;
            return Ok((unchanged.metadata.clone(), unchanged.stores.clone()));
        }
        let told = self.counter.read(&answer.body)?;
        told.refuse_restrictions().inspect_err(|_| *known = None)?;
        let same = known.as_ref().filter(|known| known.location.is_some() && known.location == told.metadata_location);
        let metadata = match same {
            Some(known) => known.metadata.clone(),
            None => self.metadata(&told, &answer.body)?,
        };
        let vended = told.vended(&self.counter.places.lock());
        let (stores, leased) = self.stores(known.take(), vended).await?;
        let (e_tag, location) = (answer.e_tag, told.metadata_location);
        *known = Some(Known { e_tag, told: now, location, metadata: metadata.clone(), stores: stores.clone(), leased });
        Ok((metadata, stores))
    }

    fn metadata(&self, told: &Told, body: &[u8]) -> Result<Arc<TableMetadata>, Error> {
        let read: ToldMetadata =
            serde_json::from_slice(body).map_err(|error| Error::format("reading Iceberg metadata", error))?;
        // SECURITY: a table of others is none of ours, though nothing of it was opened yet.
        self.domain.locate_literal(told.metadata_location.as_deref().unwrap_or_else(|| read.metadata.location()))?;
        *self.counter.places.lock() = places(&read.metadata);
        Ok(Arc::new(read.metadata))
    }

    /// The stores with these credentials: those at hand if only the credentials are others.
    async fn stores(
        &self,
        known: Option<Known>,
        vended: Vec<Vended>,
    ) -> Result<(Arc<DomainStores>, Option<Leased>), Error> {
        if vended.is_empty() {
            let kept = known.filter(|known| known.leased.is_none()).map(|known| known.stores);
            return Ok((kept.unwrap_or_else(|| self.domain.clone()), None));
        }
        let of = |one: &Vended| (one.prefix.clone(), one.endpoint.clone(), one.region.clone());
        let shape: Vec<_> = vended.iter().map(of).collect();
        if let Some(Known { stores, leased: Some(leased), .. }) = known
            && leased.shape == shape
        {
            leased.lease.replace(vended).await;
            return Ok((stores, Some(leased)));
        }
        let lease = Lease::new(self.counter.clone(), self.counter.client.clock().clone(), vended.clone());
        let stores = self.domain.with_lease(&lease, &vended)?;
        Ok((stores, Some(Leased { lease, shape })))
    }
}

impl Counter {
    fn read(&self, body: &[u8]) -> Result<Told, Error> {
        refuse_too_many(body)?;
        serde_json::from_slice(body).map_err(|error| Error::format("reading what a catalog says of a table", error))
    }
}

#[async_trait]
impl Vendor for Counter {
    async fn vend(&self) -> Result<Vec<Vended>, Error> {
        let answer = self.client.table(&self.reference, None).await?;
        let told = self.read(&answer.body)?;
        // SECURITY: a table that may not be read any more is not read to its end.
        told.refuse_restrictions()?;
        let vended = told.vended(&self.places.lock());
        if vended.is_empty() {
            return Err(self.client.error("it gives no credentials for the storage any more"));
        }
        Ok(vended)
    }
}
