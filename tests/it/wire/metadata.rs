//! D: metadata commands.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, TimeUnit, UInt8Type, UInt32Type};
use arrow_flight::sql::{
    CommandGetCatalogs, CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys, CommandGetImportedKeys,
    CommandGetPrimaryKeys, CommandGetSqlInfo, CommandGetTableTypes, CommandGetTables, CommandGetXdbcTypeInfo,
    ProstMessageExt,
};
use meshgate_testkit::rows_text;

use super::{Raw, decoded, shop};

fn text(name: &str, nullable: bool) -> Field {
    Field::new(name, DataType::Utf8, nullable)
}

fn int(name: &str, nullable: bool) -> Field {
    Field::new(name, DataType::Int32, nullable)
}

/// The one batch that a command gives, after what is said of its schema in both places was compared.
async fn rows(client: &Raw, command: &impl ProstMessageExt) -> RecordBatch {
    let info = client.info(command).await.expect("metadata").into_inner();
    let got = client.run(command).await.expect("metadata");
    assert_eq!(*decoded(&info.schema), *got.schema);
    assert_eq!(client.schema(command).await.expect("a schema"), got.schema);
    assert!(got.batches.len() <= 1, "some clients read one batch");
    got.batches.into_iter().next().unwrap_or_else(|| RecordBatch::new_empty(got.schema))
}

async fn lines(client: &Raw, command: &impl ProstMessageExt) -> Vec<String> {
    rows_text(&[rows(client, command).await])
}

#[tokio::test(flavor = "multi_thread")]
async fn d1_schemas_are_those_of_the_specification() {
    let shop = shop::open().await;
    let client = &shop.clerk;
    let tables = vec![
        text("catalog_name", true),
        text("db_schema_name", true),
        text("table_name", false),
        text("table_type", false),
    ];
    let mut with_schema = tables.clone();
    with_schema.push(Field::new("table_schema", DataType::Binary, false));
    let primary = vec![
        text("catalog_name", true),
        text("db_schema_name", true),
        text("table_name", false),
        text("column_name", false),
        text("key_name", true),
        int("key_sequence", false),
    ];
    let foreign = vec![
        text("pk_catalog_name", true),
        text("pk_db_schema_name", true),
        text("pk_table_name", false),
        text("pk_column_name", false),
        text("fk_catalog_name", true),
        text("fk_db_schema_name", true),
        text("fk_table_name", false),
        text("fk_column_name", false),
        int("key_sequence", false),
        text("fk_key_name", true),
        text("pk_key_name", true),
        Field::new("update_rule", DataType::UInt8, false),
        Field::new("delete_rule", DataType::UInt8, false),
    ];
    let types = vec![
        text("type_name", false),
        int("data_type", false),
        int("column_size", true),
        text("literal_prefix", true),
        text("literal_suffix", true),
        Field::new("create_params", DataType::List(Arc::new(Field::new("item", DataType::Utf8, false))), true),
        int("nullable", false),
        Field::new("case_sensitive", DataType::Boolean, false),
        int("searchable", false),
        Field::new("unsigned_attribute", DataType::Boolean, true),
        Field::new("fixed_prec_scale", DataType::Boolean, false),
        Field::new("auto_increment", DataType::Boolean, true),
        text("local_type_name", true),
        int("minimum_scale", true),
        int("maximum_scale", true),
        int("sql_data_type", false),
        int("datetime_subcode", true),
        int("num_prec_radix", true),
        int("interval_precision", true),
    ];
    let same = |found: RecordBatch, fields: Vec<Field>| assert_eq!(*found.schema(), Schema::new(fields));
    same(rows(client, &CommandGetCatalogs {}).await, vec![text("catalog_name", false)]);
    let schemas = vec![text("catalog_name", true), text("db_schema_name", false)];
    same(rows(client, &CommandGetDbSchemas::default()).await, schemas);
    same(rows(client, &CommandGetTables::default()).await, tables);
    let command = CommandGetTables { include_schema: true, ..CommandGetTables::default() };
    same(rows(client, &command).await, with_schema);
    same(rows(client, &CommandGetTableTypes {}).await, vec![text("table_type", false)]);
    same(rows(client, &CommandGetPrimaryKeys::default()).await, primary);
    same(rows(client, &CommandGetExportedKeys::default()).await, foreign.clone());
    same(rows(client, &CommandGetImportedKeys::default()).await, foreign.clone());
    same(rows(client, &CommandGetCrossReference::default()).await, foreign);
    same(rows(client, &CommandGetXdbcTypeInfo::default()).await, types);
    let infos = rows(client, &CommandGetSqlInfo::default()).await.schema();
    assert_eq!(infos.field(0), &Field::new("info_name", DataType::UInt32, false));
    let value = infos.field(1);
    assert!(!value.is_nullable() && value.name() == "value", "{value:?}");
    let DataType::Union(children, arrow::datatypes::UnionMode::Dense) = value.data_type() else { panic!("{value:?}") };
    let children = children.iter().map(|(id, field)| (id, field.name().clone())).collect::<Vec<_>>();
    let names =
        ["string_value", "bool_value", "bigint_value", "int32_bitmask", "string_list", "int32_to_int32_list_map"];
    assert_eq!(children, (0..).zip(names.map(str::to_owned)).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn d1_rows_are_sorted() {
    let shop = shop::open().await;
    let all = lines(&shop.steward, &CommandGetTables::default()).await;
    assert!(all.len() > 8 && all.is_sorted(), "{all:?}");
    let schemas = lines(&shop.steward, &CommandGetDbSchemas::default()).await;
    assert!(schemas.is_sorted() && schemas.contains(&"shop\torders".to_owned()), "{schemas:?}");
    assert_eq!(lines(&shop.steward, &CommandGetCatalogs {}).await, ["meshgate", "shop"]);
    assert_eq!(lines(&shop.steward, &CommandGetTableTypes {}).await, ["SYSTEM TABLE", "TABLE"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn d2_filters_mean_what_the_specification_says() {
    let shop = shop::open().await;
    let some = |value: &str| Some(value.to_owned());
    let names = async |client: &Raw, command: CommandGetTables| {
        let rows = rows(client, &command).await;
        rows.column(2).as_string::<i32>().iter().flatten().map(str::to_owned).collect::<Vec<_>>()
    };
    let shop_tables = async |pattern: &str| {
        let command = CommandGetTables {
            catalog: some("shop"),
            table_name_filter_pattern: some(pattern),
            ..CommandGetTables::default()
        };
        names(&shop.clerk, command).await
    };
    assert_eq!(shop_tables("%").await, ["customers", "order1lines", "order_lines"]);
    assert_eq!(shop_tables("%lines").await, ["order1lines", "order_lines"]);
    assert_eq!(shop_tables(r"order\_lines").await, ["order_lines"]);
    assert_eq!(shop_tables("c_st%").await, ["customers"]);
    assert_eq!(shop_tables("").await, [""; 0]);
    assert_eq!(shop_tables("Customers").await, [""; 0]);
    // Absent is all; the empty text is those without, of which there are none.
    for (catalog, schema, found) in [
        (None, None, true),
        (some("shop"), some("orders"), true),
        (some("shop"), some("ord%"), true),
        (some("sho_"), None, false),
        (some(""), None, false),
        (None, some(""), false),
        (some("meshgate"), some("orders"), false),
    ] {
        let command = CommandGetDbSchemas { catalog: catalog.clone(), db_schema_filter_pattern: schema.clone() };
        let schemas = lines(&shop.clerk, &command).await;
        assert_eq!(schemas.contains(&"shop\torders".to_owned()), found, "{catalog:?} {schema:?}: {schemas:?}");
        let command = CommandGetTables { catalog, db_schema_filter_pattern: schema, ..CommandGetTables::default() };
        assert_eq!(names(&shop.clerk, command).await.contains(&"customers".to_owned()), found);
    }
    for (types, found) in
        [(vec![], true), (vec!["TABLE"], true), (vec!["BASE TABLE", "table"], true), (vec!["VIEW"], false)]
    {
        let table_types = types.iter().map(|kind| (*kind).to_owned()).collect();
        let command = CommandGetTables { table_types, ..CommandGetTables::default() };
        assert_eq!(names(&shop.clerk, command).await.contains(&"customers".to_owned()), found, "{types:?}");
    }
    // Only what may be queried.
    let vault = async |client: &Raw| names(client, CommandGetTables::default()).await.contains(&"vault".to_owned());
    assert!(vault(&shop.steward).await && !vault(&shop.clerk).await);
    let stranger = Raw::connect(&shop.wire).await.bearer(&shop.world.token("stranger", &[], &[]).await);
    assert_eq!(lines(&stranger, &CommandGetCatalogs {}).await, ["meshgate"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn d3_table_schemas_describe_every_column() {
    let shop = shop::open().await;
    let command = CommandGetTables { include_schema: true, ..CommandGetTables::default() };
    let tables = rows(&shop.clerk, &command).await;
    let bytes = tables.column(4).as_binary::<i32>();
    let mut seen = BTreeMap::new();
    for row in 0..tables.num_rows() {
        assert_eq!(bytes.value(row)[..4], [0xff; 4], "a continuation marker");
        let schema = decoded(&bytes.value(row).to_vec().into());
        for field in schema.fields() {
            for key in ["TYPE_NAME", "CATALOG_NAME", "SCHEMA_NAME", "TABLE_NAME"] {
                assert!(field.metadata().contains_key(&format!("ARROW:FLIGHT:SQL:{key}")), "{key} of {field:?}");
            }
        }
        let at = |column: usize| tables.column(column).as_string::<i32>().value(row).to_owned();
        seen.insert(format!("{}.{}.{}", at(0), at(1), at(2)), schema);
    }
    let lines = &seen["shop.orders.order_lines"];
    let said = |column: &str, key: &str| {
        let field = lines.field_with_name(column).expect("a column");
        field.metadata().get(&format!("ARROW:FLIGHT:SQL:{key}")).cloned().unwrap_or_default()
    };
    for (column, kind, precision, scale) in [
        ("order_id", "BIGINT", "19", "0"),
        ("line", "INTEGER", "10", "0"),
        ("total", "DECIMAL", "12", "2"),
        ("at", "TIMESTAMP WITH TIME ZONE", "", ""),
        ("day", "DATE", "", ""),
        ("tags", "ARRAY", "", ""),
        ("label", "STRUCT", "", ""),
    ] {
        let found = [said(column, "TYPE_NAME"), said(column, "PRECISION"), said(column, "SCALE")];
        assert_eq!(found, [kind, precision, scale], "{column}");
    }
    assert_eq!((said("total", "REMARKS").as_str(), said("total", "CATALOG_NAME").as_str()), ("What it costs", "shop"));
    assert!(lines.field_with_name("margin").is_err(), "what is hidden is not described");

    // Rows carry none of it but the digits of decimals: JDBC makes labels of remarks. And their types are those that were
    // described.
    let got = shop.clerk.query("SELECT * FROM shop.orders.order_lines").await.expect("rows");
    for (field, described) in got.schema.fields().iter().zip(lines.fields()) {
        let digits = ["ARROW:FLIGHT:SQL:PRECISION", "ARROW:FLIGHT:SQL:SCALE"];
        assert!(field.metadata().keys().all(|key| digits.contains(&key.as_str())), "{field:?}");
        assert_eq!((field.name(), field.data_type()), (described.name(), described.data_type()));
    }
    assert_eq!(got.schema.fields().len(), lines.fields().len());
    let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    assert_eq!(lines.field_with_name("at").expect("a column").data_type(), &instant);
}

#[tokio::test(flavor = "multi_thread")]
async fn d4_exact_names_come_first_and_no_table_is_opened() {
    let shop = shop::open().await;
    // Listing works where opening would not.
    std::fs::remove_dir_all(shop.world.mesh().join("data/shop")).expect("the tables are gone");
    assert_eq!(shop.clerk.text("SELECT count(*) FROM shop.orders.customers").await, ["Unavailable"]);
    for pattern in ["order_lines", "order1lines"] {
        let command = CommandGetTables {
            table_name_filter_pattern: Some(pattern.to_owned()),
            include_schema: true,
            ..CommandGetTables::default()
        };
        let found = rows(&shop.clerk, &command).await;
        assert_eq!(found.column(2).as_string::<i32>().value(0), pattern);
        assert_eq!(found.num_rows(), if pattern.contains('_') { 2 } else { 1 });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d5_sql_info_has_the_ids_and_types_that_drivers_cast_to() {
    let shop = shop::open().await;
    let all = rows(&shop.clerk, &CommandGetSqlInfo::default()).await;
    let ids = all.column(0).as_primitive::<UInt32Type>().values().to_vec();
    assert_eq!(ids, (0..=9).chain(100..=101).chain(500..=576).collect::<Vec<u32>>());
    let values = all.column(1).as_union();
    for (row, id) in ids.iter().enumerate() {
        let expected = match id {
            0 | 1 | 2 | 6 | 7 | 504 | 513 | 514 | 529 | 530 | 531 => 0,
            503 | 505 | 507 | 541..=555 | 557..=562 => 2,
            8 | 100 | 101 | 522 | 525 | 526 | 528 | 533 | 534 | 535 | 538 | 540 | 564 | 567..=571 => 3,
            508..=512 => 4,
            517 => 5,
            _ => 1,
        };
        assert_eq!(values.type_id(row), expected, "{id}");
    }
    let one = async |id: u32| {
        let found = rows(&shop.clerk, &CommandGetSqlInfo { info: vec![id] }).await;
        assert_eq!(found.num_rows(), 1, "{id}");
        found.column(1).as_union().value(0)
    };
    assert!(one(3).await.as_boolean().value(0), "read only");
    assert_eq!(one(504).await.as_string::<i32>().value(0), "\"");
    assert_eq!(one(513).await.as_string::<i32>().value(0), "\\");
    assert_eq!(one(8).await.as_primitive::<Int32Type>().value(0), 1);
    let version = one(1).await.as_string::<i32>().value(0).to_owned();
    assert!(version.split('.').all(|part| part.parse::<u32>().is_ok()), "{version}: ODBC wants numbers and dots");
    let some = rows(&shop.clerk, &CommandGetSqlInfo { info: vec![3, 0, 12_345] }).await;
    assert_eq!(some.column(0).as_primitive::<UInt32Type>().values().to_vec(), [0, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn d6_type_info_is_complete_ordered_and_filtered() {
    let shop = shop::open().await;
    let all = rows(&shop.clerk, &CommandGetXdbcTypeInfo::default()).await;
    let codes = all.column(1).as_primitive::<Int32Type>().values().to_vec();
    assert!(codes.is_sorted(), "{codes:?}");
    let names = all.column(0).as_string::<i32>().iter().flatten().collect::<BTreeSet<_>>();
    let command = CommandGetTables { include_schema: true, ..CommandGetTables::default() };
    let tables = rows(&shop.clerk, &command).await;
    for schema in tables.column(4).as_binary::<i32>().iter().flatten() {
        for field in decoded(&schema.to_vec().into()).fields() {
            let name = &field.metadata()["ARROW:FLIGHT:SQL:TYPE_NAME"];
            assert!(names.contains(name.as_str()) || field.data_type().is_nested(), "{name}");
        }
    }
    for code in [4, 12, 93, 9_999] {
        let some = rows(&shop.clerk, &CommandGetXdbcTypeInfo { data_type: Some(code) }).await;
        assert_eq!(some.num_rows(), codes.iter().filter(|other| **other == code).count(), "{code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d7_keys_come_from_the_contracts() {
    let shop = shop::open().await;
    let some = |value: &str| Some(value.to_owned());
    let primary = |table: &str| CommandGetPrimaryKeys {
        catalog: some("shop"),
        db_schema: some("orders"),
        table: table.to_owned(),
    };
    let of_lines = ["shop\torders\torder_lines\torder_id\tNULL\t1", "shop\torders\torder_lines\tline\tNULL\t2"];
    assert_eq!(lines(&shop.clerk, &primary("order_lines")).await, of_lines);
    for nothing in ["order1lines", "vault", "nothing"] {
        assert_eq!(lines(&shop.clerk, &primary(nothing)).await, [""; 0], "{nothing}");
    }
    assert_eq!(lines(&shop.steward, &primary("vault")).await.len(), 1);

    let key = "shop\torders\tcustomers\tid\tshop\torders\torder_lines\tcustomer\t1\tNULL\tNULL\t3\t3";
    let imported = CommandGetImportedKeys { table: "order_lines".to_owned(), ..CommandGetImportedKeys::default() };
    assert_eq!(lines(&shop.clerk, &imported).await, [key], "the key into the vault is not there");
    assert_eq!(lines(&shop.steward, &imported).await.len(), 2);
    let exported =
        |table: &str| CommandGetExportedKeys { table: table.to_owned(), ..CommandGetExportedKeys::default() };
    assert_eq!(lines(&shop.clerk, &exported("customers")).await, [key]);
    assert_eq!(lines(&shop.clerk, &exported("vault")).await, [""; 0]);
    let cross = |primary: &str| CommandGetCrossReference {
        pk_table: primary.to_owned(),
        fk_table: "order_lines".to_owned(),
        ..CommandGetCrossReference::default()
    };
    assert_eq!(lines(&shop.clerk, &cross("customers")).await, [key]);
    assert_eq!(lines(&shop.clerk, &cross("vault")).await, [""; 0]);
    let rules = rows(&shop.steward, &imported).await;
    assert_eq!(rules.column(11).as_primitive::<UInt8Type>().values().to_vec(), [3, 3], "no action");
}

#[tokio::test(flavor = "multi_thread")]
async fn s9_information_schema_has_what_tools_look_for() {
    let shop = shop::open().await;
    let schemata = "SELECT schema_name FROM information_schema.schemata WHERE catalog_name = 'shop'";
    assert_eq!(shop.clerk.text(schemata).await, ["orders"]);
    // What Power BI asks for.
    let keys = "SELECT kcu.table_name, kcu.column_name, tc.constraint_type, kcu.ordinal_position, \
                kcu.position_in_unique_constraint FROM information_schema.table_constraints tc \
                JOIN information_schema.key_column_usage kcu ON tc.constraint_name = kcu.constraint_name \
                AND tc.table_schema = kcu.table_schema AND tc.table_name = kcu.table_name \
                WHERE kcu.table_catalog = 'shop' ORDER BY 1, 3, 4, 2";
    let of_clerk = [
        "customers\tid\tPRIMARY KEY\t1\tNULL",
        "order_lines\tcustomer\tFOREIGN KEY\t1\t1",
        "order_lines\torder_id\tPRIMARY KEY\t1\tNULL",
        "order_lines\tline\tPRIMARY KEY\t2\tNULL",
    ];
    assert_eq!(shop.clerk.text(keys).await, of_clerk);
    let of_steward = shop.steward.text(keys).await;
    assert_eq!(of_steward.len(), of_clerk.len() + 2, "the vault's, and the one that points there: {of_steward:?}");
    let points =
        "SELECT constraint_name, unique_constraint_name FROM information_schema.referential_constraints ORDER BY 1";
    assert_eq!(shop.clerk.text(points).await, ["order_lines_fk1\tcustomers_pk"]);
    let columns = "SELECT column_name FROM information_schema.columns WHERE table_name = 'order_lines' AND column_name = 'margin'";
    assert_eq!(shop.clerk.text(columns).await, [""; 0]);
    assert_eq!(shop.steward.text(columns).await, ["margin"]);
    let kinds = "SELECT DISTINCT table_type FROM information_schema.tables WHERE table_catalog = 'shop'";
    assert_eq!(shop.clerk.text(kinds).await, ["BASE TABLE"]);
}
