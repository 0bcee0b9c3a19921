//! A mesh of two domains: people in Delta, orders in Iceberg, with a row filter, masks, a hidden column and a forbidden
//! table.

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
use meshgate_testkit::{Column, Product, World, WorldBuilder};

/// Opens for `analysts` their own region with masks, for `stewards` everything.
const POLICY: &str = r#"
@id("stewards-all")
permit (principal in Group::"stewards", action in Action::"access", resource);

@id("analysts-own-region") @rows("region = $region")
permit (principal in Group::"analysts", action in Action::"access", resource in Table::"crm.people.people");

@id("analysts-orders")
permit (principal in Group::"analysts", action in Action::"access", resource in Product::"sales.orders");

@id("mask-pii") @mask("show-last-4")
forbid (principal, action == Action::"read", resource) when { resource.tags.contains("pii") }
unless { principal in Group::"stewards" };

@id("hide-secret")
forbid (principal, action == Action::"read", resource) when { resource.tags.contains("secret") }
unless { principal in Group::"stewards" };

@id("no-payroll")
forbid (principal, action == Action::"query", resource == Table::"crm.people.payroll")
unless { principal in Group::"stewards" };
"#;

/// Six people; those of the US are hidden from analysts of the EU.
pub(crate) fn people() -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 3, 4, 5, 6]));
    let names = StringArray::from(vec!["Ada Lovelace", "Bob", "Carl-Gustav 7", "Dora", "Eve", "Fritz"]);
    let regions = StringArray::from(vec!["EU", "EU", "EU", "US", "US", "US"]);
    let x = Int32Array::from(vec![Some(1), Some(2), None, Some(5), Some(5), Some(20)]);
    let notes = StringArray::from(vec!["10", "20", "30", "not a number", "canary-hidden-note-0123456789", "40"]);
    let salaries = Float64Array::from(vec![10.0, 20.0, 30.0, 40.0, 50.0, 60.0]);
    let born = Date32Array::from(vec![0, 1000, 2000, 3000, 4000, 5000]);
    RecordBatch::try_from_iter([
        ("id", ids),
        ("name", Arc::new(names) as ArrayRef),
        ("region", Arc::new(regions)),
        ("x", Arc::new(x)),
        ("note", Arc::new(notes)),
        ("salary", Arc::new(salaries)),
        ("born", Arc::new(born)),
    ])
    .expect("six people")
}

fn payroll() -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
    RecordBatch::try_from_iter([("id", ids)]).expect("a payroll")
}

/// Ten orders, by all people.
fn orders() -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(100..110));
    let people = Int32Array::from(vec![1, 2, 3, 4, 5, 6, 1, 2, 3, 1]);
    let totals = Float64Array::from_iter_values((0..10).map(|n| f64::from(n) * 1.5));
    RecordBatch::try_from_iter([("id", ids), ("person", Arc::new(people) as ArrayRef), ("total", Arc::new(totals))])
        .expect("ten orders")
}

fn people_columns() -> Vec<Column> {
    vec![
        Column::new("id", "integer").line("primaryKey: true").line("description: The person"),
        Column::new("name", "string").tag("pii"),
        Column::new("region", "string"),
        Column::new("x", "integer"),
        Column::new("note", "string"),
        Column::new("salary", "number").tag("secret"),
        Column::new("born", "date"),
    ]
}

/// The files of the mesh, not yet opened.
pub(crate) async fn builder() -> WorldBuilder {
    let people_product = Product::new("crm", "people")
        .table("people", "delta", "data/crm/people/", people_columns())
        .table("payroll", "delta", "data/crm/payroll/", vec![Column::new("id", "integer")]);
    let orders_product = Product::new("sales", "orders").table(
        "orders",
        "iceberg",
        "data/sales/orders/",
        vec![Column::new("id", "integer"), Column::new("person", "integer"), Column::new("total", "number")],
    );
    WorldBuilder::new()
        .domain("crm")
        .domain("sales")
        .attributes("{ region: string }")
        .file("governance/policies/all.cedar", POLICY)
        .product(&people_product)
        .product(&orders_product)
        .delta("crm", "people", vec![people()])
        .await
        .delta("crm", "payroll", vec![payroll()])
        .await
        .iceberg("sales", "orders", vec![orders()])
        .await
}

/// The world.
pub(crate) async fn world() -> World {
    builder().await.start().await.expect("a valid mesh")
}
