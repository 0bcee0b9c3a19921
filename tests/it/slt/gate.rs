//! The gateway that a file is asked of: a mesh whose rules permit everything, on a socket. Each state of the file's tables
//! is a domain.

use std::collections::BTreeMap;

use meshgate_testkit::{Column, Product, Wire, World, WorldBuilder};

use super::answer::Answer;
use super::script::Script;
use crate::wire::{Raw, first};

const POLICY: &str = r#"
@id("everything") permit (principal, action in Action::"access", resource);
"#;

/// The gateway, and somebody who may read everything.
pub(super) struct Gate {
    reader: Raw,
    other: Raw,
    _wire: Wire,
    _world: World,
}

/// The domain of a state.
pub(super) fn domain(state: usize) -> String {
    format!("s{state}")
}

impl Gate {
    /// Writes the tables. A version that cannot be written after all is marked as such.
    pub(super) async fn open(script: &mut Script) -> Self {
        let mut builder = WorldBuilder::new().file("governance/policies/all.cedar", POLICY);
        for (index, version) in script.versions.iter_mut().enumerate() {
            let Ok(stored) = &version.stored else { continue };
            let directory = builder.data("all", &format!("v{index}"));
            let rows = plainly_named(&stored.rows);
            if let Err(error) = meshgate_table_delta::append(&directory, [rows], &[]).await {
                version.stored = Err(error.to_string());
            }
        }
        let mut yaml = "name: test\ndomains:\n".to_owned();
        for (state, tables) in script.states.iter().enumerate() {
            let domain = domain(state);
            yaml += &format!("  {domain}:\n    owners: [owners]\n    storage:\n      - prefix: ./data/all/\n");
            builder = builder.domain(&domain);
            let mut products = BTreeMap::new();
            for ((schema, table), version) in tables {
                let Ok(stored) = &script.versions[*version].stored else { continue };
                let columns = stored
                    .schema
                    .fields()
                    .iter()
                    .enumerate()
                    .map(|(index, field)| Column::stored(field.name()).line(&format!("physicalName: c{index}")));
                let product = products.remove(schema).unwrap_or_else(|| Product::new(&domain, schema));
                let path = format!("data/all/v{version}/");
                products.insert(schema, product.table(table, "delta", &path, columns.collect()));
            }
            for product in products.values() {
                builder = builder.product(product);
            }
        }
        std::fs::create_dir_all(builder.data("all", "")).expect("a directory");
        let world = builder.file("mesh.yaml", &yaml).start().await.expect("a valid mesh");
        assert!(world.gateway.findings().is_empty(), "{:?}", world.gateway.findings());
        let wire = Wire::open(&world).await;
        let reader = Raw::connect(&wire).await.bearer(&world.token("reader", &[], &[]).await);
        let other = Raw::connect(&wire).await.bearer(&world.token("other", &[], &[]).await);
        Self { reader, other, _wire: wire, _world: world }
    }

    /// Asks for rows, where unqualified names are those of a state.
    pub(super) async fn ask(&self, state: usize, zone: Option<&str>, sql: &str) -> Result<Answer, tonic::Status> {
        let mut reader = self.reader.with("meshgate-catalog", &domain(state)).with("meshgate-schema", "public");
        if let Some(zone) = zone {
            reader = reader.with("meshgate-timezone", zone);
        }
        let got = reader.query(sql).await?;
        Ok(Answer::of(&got.schema, &got.batches))
    }

    /// Sends a statement in each of the ways that a driver could. The ways have to agree; how they fail, if so.
    pub(super) async fn change(&self, sql: &str) -> Result<(), tonic::Status> {
        use arrow_flight::sql::CommandStatementUpdate;
        let queried = self.other.query(sql).await;
        let update = CommandStatementUpdate { query: sql.to_owned(), transaction_id: None };
        let updated = self.other.put(vec![first(&update)]).await;
        assert_eq!(
            queried.as_ref().err().map(tonic::Status::code),
            updated.as_ref().err().map(tonic::Status::code),
            "as a query and as an update: {sql}"
        );
        queried.map(drop)
    }
}

/// With names that any Parquet file may have; the contract knows the others.
fn plainly_named(rows: &arrow::array::RecordBatch) -> arrow::array::RecordBatch {
    use arrow::datatypes::Schema;
    let fields = rows
        .schema()
        .fields()
        .iter()
        .enumerate()
        .map(|(index, field)| field.as_ref().clone().with_name(format!("c{index}")))
        .collect::<Vec<_>>();
    let schema = std::sync::Arc::new(Schema::new(fields));
    arrow::array::RecordBatch::try_new(schema, rows.columns().to_vec()).expect("the same columns")
}
