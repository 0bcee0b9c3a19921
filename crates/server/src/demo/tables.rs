//! The demo's data: TPC-H, made in memory and stored through the real writers of Delta and Iceberg.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use tpchgen::generators as tpch;
use tpchgen_arrow as rows;

use super::progress::Progress;
use crate::trouble::{Outcome, Trouble};

/// How many rows are held in memory at a time; each such part becomes one version of the table.
const PART_ROWS: usize = 1_000_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Format {
    Delta,
    Iceberg,
}

struct Plan {
    domain: &'static str,
    product: &'static str,
    table: &'static str,
    format: Format,
    /// At scale 1; tables that do not grow have a negative number.
    rows: i64,
}

const fn plan(domain: &'static str, product: &'static str, table: &'static str, format: Format, rows: i64) -> Plan {
    Plan { domain, product, table, format, rows }
}

const PLANS: [Plan; 8] = [
    plan("crm", "customers", "region", Format::Iceberg, -5),
    plan("crm", "customers", "nation", Format::Iceberg, -25),
    plan("crm", "customers", "customer", Format::Iceberg, 150_000),
    plan("sales", "orders", "orders", Format::Delta, 1_500_000),
    plan("sales", "orders", "lineitem", Format::Delta, 6_000_000),
    plan("supply", "parts", "part", Format::Delta, 200_000),
    plan("supply", "parts", "supplier", Format::Delta, 10_000),
    plan("supply", "parts", "partsupp", Format::Delta, 800_000),
];

/// Makes all tables below the mesh's data directory.
pub(super) async fn make(data: &Path, scale: f64) -> Outcome {
    let progress = Progress::start(PLANS.iter().map(|plan| plan.rows_at(scale)).sum());
    for plan in &PLANS {
        let name = plan.name();
        progress.table(&name);
        let directory = data.join(plan.domain).join(plan.product).join(plan.table);
        let mut batches = plan.batches(scale);
        let mut rows = 0;
        loop {
            let part = part(&mut batches, &progress);
            let part = part.map_err(|error| Trouble::failure(format!("{name} cannot be made")).because(&error))?;
            if part.is_empty() {
                break;
            }
            rows += part.iter().map(|batch| batch.num_rows() as u64).sum::<u64>();
            let stored = match plan.format {
                Format::Delta => meshgate_table_delta::append(&directory, part, &[]).await,
                Format::Iceberg => meshgate_table_iceberg::write(&directory, part, &[]).await.map(drop),
            };
            stored.map_err(|error| Trouble::failure(format!("{name} cannot be stored")).because(&error))?;
        }
        progress.stored(&name, plan.format.name(), rows);
    }
    progress.finish();
    Ok(())
}

/// The next rows, with texts as plain strings: what every writer takes.
fn part(batches: &mut dyn Iterator<Item = RecordBatch>, progress: &Progress) -> Result<Vec<RecordBatch>, ArrowError> {
    let (mut part, mut rows) = (Vec::new(), 0);
    while rows < PART_ROWS
        && let Some(batch) = batches.next()
    {
        rows += batch.num_rows();
        progress.rows(batch.num_rows() as u64);
        part.push(plain(&batch)?);
    }
    Ok(part)
}

fn plain(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let mut fields = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let kind = match field.data_type() {
            DataType::Utf8View => DataType::Utf8,
            other => other.clone(),
        };
        columns.push(cast(column, &kind)?);
        fields.push(Field::new(field.name(), kind, field.is_nullable()));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

impl Plan {
    fn name(&self) -> String {
        format!("{}.{}.{}", self.domain, self.product, self.table)
    }

    fn rows_at(&self, scale: f64) -> u64 {
        if self.rows < 0 { self.rows.unsigned_abs() } else { (self.rows as f64 * scale) as u64 }
    }

    fn batches(&self, scale: f64) -> Box<dyn Iterator<Item = RecordBatch> + Send> {
        match self.table {
            "region" => Box::new(rows::RegionArrow::new(tpch::RegionGenerator::new(scale, 1, 1))),
            "nation" => Box::new(rows::NationArrow::new(tpch::NationGenerator::new(scale, 1, 1))),
            "customer" => Box::new(rows::CustomerArrow::new(tpch::CustomerGenerator::new(scale, 1, 1))),
            "orders" => Box::new(rows::OrderArrow::new(tpch::OrderGenerator::new(scale, 1, 1))),
            "lineitem" => Box::new(rows::LineItemArrow::new(tpch::LineItemGenerator::new(scale, 1, 1))),
            "part" => Box::new(rows::PartArrow::new(tpch::PartGenerator::new(scale, 1, 1))),
            "supplier" => Box::new(rows::SupplierArrow::new(tpch::SupplierGenerator::new(scale, 1, 1))),
            _ => Box::new(rows::PartSuppArrow::new(tpch::PartSuppGenerator::new(scale, 1, 1))),
        }
    }
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Self::Delta => "Delta",
            Self::Iceberg => "Iceberg",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::PLANS;

    #[test]
    fn every_table_has_the_rows_it_says() {
        for plan in &PLANS {
            let rows: usize = plan.batches(0.001).map(|batch| batch.num_rows()).sum();
            let said = plan.rows_at(0.001) as f64;
            assert!((rows as f64 - said).abs() <= said * 0.01, "{}: {rows} rows, not {said}", plan.table);
        }
    }
}
