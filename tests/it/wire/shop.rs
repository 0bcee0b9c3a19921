//! A mesh for what metadata says: keys, types, names that look like patterns, a hidden table and a hidden column.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray, StructArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Int32Type};
use meshgate_testkit::{Column, Product, Wire, World, WorldBuilder};

use super::Raw;

const POLICY: &str = r#"
@id("stewards-all")
permit (principal in Group::"stewards", action in Action::"access", resource);

@id("clerks")
permit (principal in Group::"clerks", action in Action::"access", resource in Product::"shop.orders");

@id("no-vault")
forbid (principal, action == Action::"query", resource == Table::"shop.orders.vault")
unless { principal in Group::"stewards" };

@id("no-margin")
forbid (principal, action == Action::"read", resource) when { resource.tags.contains("secret") }
unless { principal in Group::"stewards" };
"#;

pub(crate) fn lines() -> RecordBatch {
    let tags = vec![Some(vec![Some(1), None]), None, Some(vec![])];
    let label = StructArray::from(vec![
        (
            Arc::new(Field::new("text", DataType::Utf8, true)),
            Arc::new(StringArray::from(vec!["a", "b", "c"])) as ArrayRef,
        ),
        (Arc::new(Field::new("count", DataType::Int64, true)), Arc::new(Int64Array::from(vec![1, 2, 3]))),
    ]);
    let total = Decimal128Array::from(vec![1_050, 250, 999]).with_precision_and_scale(12, 2).expect("fits");
    let at = TimestampMicrosecondArray::from(vec![0, 1_000_000, 1_700_000_000_123_456]).with_timezone("UTC");
    let columns: [(&str, ArrayRef); 10] = [
        ("order_id", Arc::new(Int64Array::from(vec![1, 1, 2]))),
        ("line", Arc::new(Int32Array::from(vec![1, 2, 1]))),
        ("customer", Arc::new(Int64Array::from(vec![Some(7), Some(7), None]))),
        ("vault_id", Arc::new(Int64Array::from(vec![1, 1, 1]))),
        ("total", Arc::new(total)),
        ("at", Arc::new(at)),
        ("day", Arc::new(Date32Array::from(vec![0, 1, 20_000]))),
        ("tags", Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(tags))),
        ("label", Arc::new(label)),
        ("margin", Arc::new(Int64Array::from(vec![11, 12, 13]))),
    ];
    RecordBatch::try_from_iter(columns).expect("three lines")
}

fn ids(ids: Vec<i64>) -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from(ids));
    RecordBatch::try_from_iter([("id", ids)]).expect("ids")
}

fn product() -> Product {
    let fields = "properties:\n          - name: text\n            logicalType: string\n          \
                  - name: count\n            logicalType: integer";
    Product::new("shop", "orders")
        .table(
            "customers",
            "delta",
            "data/shop/customers/",
            vec![Column::new("id", "integer").line("primaryKey: true").line("description: Who buys")],
        )
        .table(
            "order_lines",
            "delta",
            "data/shop/order_lines/",
            vec![
                Column::new("order_id", "integer").line("primaryKey: true").line("primaryKeyPosition: 1"),
                Column::new("line", "integer")
                    .line("physicalType: int")
                    .line("primaryKey: true")
                    .line("primaryKeyPosition: 2"),
                Column::new("customer", "integer").line("relationships: [{to: customers.id}]"),
                Column::new("vault_id", "integer").line("relationships: [{to: vault.id}]"),
                Column::new("total", "number").line("physicalType: decimal(12,2)").line("description: What it costs"),
                Column::new("at", "timestamp").line("physicalType: timestamptz"),
                Column::new("day", "date"),
                Column::new("tags", "array")
                    .line("items:\n          logicalType: integer\n          physicalType: int"),
                Column::new("label", "object").line(fields),
                Column::new("margin", "integer").tag("secret"),
            ],
        )
        .table("order1lines", "delta", "data/shop/order1lines/", vec![Column::new("id", "integer")])
        .table("vault", "delta", "data/shop/vault/", vec![Column::new("id", "integer").line("primaryKey: true")])
}

pub(crate) async fn builder() -> WorldBuilder {
    WorldBuilder::new()
        .domain("shop")
        .file("governance/policies/all.cedar", POLICY)
        .product(&product())
        .delta("shop", "customers", vec![ids(vec![7, 8])])
        .await
        .delta("shop", "order_lines", vec![lines()])
        .await
        .delta("shop", "order1lines", vec![ids(vec![1])])
        .await
        .delta("shop", "vault", vec![ids(vec![1])])
        .await
}

/// The shop on a socket, a steward who sees everything, and a clerk who sees neither the vault nor margins.
pub(crate) struct Shop {
    pub(crate) world: World,
    pub(crate) wire: Wire,
    pub(crate) steward: Raw,
    pub(crate) clerk: Raw,
}

pub(crate) async fn open() -> Shop {
    let world = builder().await.start().await.expect("a valid mesh");
    assert!(world.gateway.findings().is_empty(), "{:?}", world.gateway.findings());
    let wire = Wire::open(&world).await;
    let steward = Raw::connect(&wire).await.bearer(&world.token("sam", &["stewards"], &[]).await);
    let clerk = Raw::connect(&wire).await.bearer(&world.token("cleo", &["clerks"], &[]).await);
    Shop { world, wire, steward, clerk }
}
