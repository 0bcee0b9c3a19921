//! `meshgate.catalog.snapshots`: the versions of tables, for who reads all of a table as it is stored.

use meshgate_testkit::{Column, Product};

use crate::mesh;

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_listed_for_who_reads_all_of_a_table() {
    let loose =
        Product::new("crm", "web").table("visits", "parquet", "data/crm/visits/", vec![Column::new("id", "integer")]);
    let gone = Product::new("crm", "gone").table("gone", "delta", "data/crm/gone/", vec![Column::new("id", "integer")]);
    let builder = mesh::builder().await.product(&loose).product(&gone);
    let world = builder.parquet("crm", "visits", vec![mesh::people()], &[]).start().await.expect("a valid mesh");
    world.append("crm", "people", mesh::people()).await;
    let steward = world.user("steward", &["stewards"], &[]).await;
    let analyst = world.user("analyst", &["analysts"], &[("region", "EU")]).await;
    let stranger = world.user("stranger", &[], &[]).await;
    let owner = world.user("owner", &["crm-owners", "sales-owners"], &[]).await;

    let all = "SELECT domain, product, table_name, operation, names, is_current FROM meshgate.catalog.snapshots ORDER BY 1, 2, 3, made_at";
    let found = world.text(&steward, all).await;
    // A table that is not there is left out; a directory of Parquet files has no versions.
    assert_eq!(
        found,
        [
            "crm\tpeople\tpayroll\tCREATE TABLE\tNULL\ttrue",
            "crm\tpeople\tpeople\tCREATE TABLE\tNULL\tfalse",
            "crm\tpeople\tpeople\tWRITE\tNULL\ttrue",
            "sales\torders\torders\tappend\tmain\ttrue",
        ]
    );
    // What is listed can be asked for.
    for (table, domain) in [("crm.people.people", "crm"), ("sales.orders.orders", "sales")] {
        let sql = format!(
            "SELECT snapshot FROM meshgate.catalog.snapshots WHERE domain = '{domain}' AND table_name <> 'payroll'"
        );
        for snapshot in world.text(&steward, &sql).await {
            let count =
                world.text(&steward, &format!("SELECT count(*) FROM {table} FOR VERSION AS OF '{snapshot}'")).await;
            assert!(count[0].parse::<u32>().is_ok_and(|count| count > 0), "{table} {snapshot}: {count:?}");
        }
    }
    // Rows of `people` are hidden from analysts; all of `orders` they see.
    let own = world.text(&analyst, all).await;
    assert_eq!(own, ["sales\torders\torders\tappend\tmain\ttrue"]);
    for (who, name) in [(&stranger, "stranger"), (&owner, "owner")] {
        assert_eq!(world.text(who, all).await, [""; 0], "{name}");
    }
    for sql in [
        "SELECT * FROM meshgate.catalog.snapshots WHERE table_name = 'people'",
        "SELECT * FROM meshgate.catalog.snapshots WHERE domain = 'crm' AND product = 'people' AND table_name = 'payroll'",
        "SELECT * FROM meshgate.catalog.snapshots WHERE domain = 'crm' AND product = 'gone' AND table_name = 'gone'",
        "SELECT * FROM meshgate.catalog.snapshots WHERE domain = 'crm' AND product = 'no' AND table_name = 'such'",
    ] {
        assert_eq!(world.text(&analyst, sql).await, [""; 0], "{sql}");
    }
    // Asked for one table that cannot be read, there is no answer without it.
    let sql =
        "SELECT * FROM meshgate.catalog.snapshots WHERE domain = 'crm' AND product = 'gone' AND table_name = 'gone'";
    assert_eq!(world.text(&steward, sql).await, ["error: the table's data cannot be read just now"]);
    let columns = "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'snapshots' AND column_name = 'made_at'";
    assert_eq!(world.text(&analyst, columns).await, ["made_at\tTimestamp(µs, \"UTC\")"]);
}
