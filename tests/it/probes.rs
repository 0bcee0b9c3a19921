//! What a principal may not see does not exist: errors, statistics, plans and names say nothing of it.

use meshgate_model::Failure;
use meshgate_testkit::rows_text;

use crate::mesh::world;

/// Expressions that fail on hidden rows (x = 5, notes that are no numbers) and on no visible one.
const PROBES: &[&str] = &[
    "SELECT id FROM crm.people.people WHERE 1/(x-5) >= 0 OR true",
    "SELECT id FROM crm.people.people WHERE CAST(note AS INT) > 0",
    "SELECT id FROM crm.people.people WHERE CAST(note AS INT) > 0 AND x > 0",
    "SELECT 1/(x-5) FROM crm.people.people",
    "SELECT CAST(note AS INT) FROM crm.people.people",
    "SELECT id FROM crm.people.people ORDER BY 1/(x-5)",
    "SELECT id FROM crm.people.people ORDER BY CAST(note AS INT) LIMIT 1",
    "SELECT p.id FROM crm.people.people p JOIN sales.orders.orders o ON 1/(p.x-5) <= o.id AND p.id = o.person",
    "SELECT p.id FROM crm.people.people p JOIN sales.orders.orders o ON CAST(p.note AS INT) < o.id",
    "SELECT count(*) FROM crm.people.people GROUP BY CAST(note AS INT)",
    "SELECT max(CAST(note AS INT)) FROM crm.people.people HAVING max(1/(x-5)) < 1",
    "SELECT id FROM crm.people.people WHERE x IN (SELECT 1/(x-5) FROM crm.people.people)",
    "SELECT sum(CAST(note AS INT)) OVER (ORDER BY 1/(x-5)) FROM crm.people.people",
    "SELECT CASE WHEN region = 'US' THEN 1/(x-5) ELSE 0 END FROM crm.people.people",
];

#[tokio::test(flavor = "multi_thread")]
async fn fallible_expressions_never_meet_hidden_rows() {
    let world = world().await;
    let analyst = world.user("analyst", &["analysts"], &[("region", "EU")]).await;
    let steward = world.user("steward", &["stewards"], &[]).await;
    let mut failed = 0;
    for sql in PROBES {
        let seen = world.query(&analyst, sql).await;
        assert!(seen.is_ok(), "{sql}: {:?}", seen.err());
        failed += usize::from(world.query(&steward, sql).await.is_err());
    }
    // The probes are real: over all rows most of them fail.
    assert!(failed >= PROBES.len() / 2, "only {failed} probes fail over all rows");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_data_quote_no_values() {
    let world = world().await;
    let steward = world.user("steward", &["stewards"], &[]).await;
    let error = world.query(&steward, "SELECT CAST(note AS INT) FROM crm.people.people").await.expect_err("no number");
    let text = error.public().to_string();
    assert!(!text.contains("canary") && !text.contains("not a number"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_shows_the_users_own_words_only() {
    let world = world().await;
    let analyst = world.user("analyst", &["analysts"], &[("region", "EU")]).await;
    for sql in [
        "EXPLAIN SELECT * FROM crm.people.people WHERE x > 1",
        "EXPLAIN VERBOSE SELECT count(*) FROM crm.people.people",
        "EXPLAIN FORMAT TREE SELECT count(*) FROM crm.people.people",
    ] {
        let text = world.text(&analyst, sql).await.join("\n");
        for hidden in ["salary", "parquet", "region = ", "'EU'", "show-last-4", "/data/", "GovernedExec"] {
            assert!(!text.contains(hidden), "{sql}: {hidden} in {text}");
        }
    }
    // Who owns all of it sees how it is read; one table of another domain, and it is nobody's business again.
    let owner = world.user("owner", &["stewards", "crm-owners"], &[]).await;
    for (sql, seen) in [
        ("EXPLAIN SELECT * FROM crm.people.people", true),
        ("EXPLAIN SELECT 1 FROM crm.people.people p JOIN sales.orders.orders o ON o.person = p.id", false),
        ("EXPLAIN SELECT 1", false),
    ] {
        let text = world.text(&owner, sql).await.join("\n");
        assert_eq!(text.contains("GovernedExec"), seen, "{sql}: {text}");
    }
    let analyze = world.query(&analyst, "EXPLAIN ANALYZE SELECT * FROM crm.people.people").await;
    assert!(analyze.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn forbidden_and_absent_names_answer_alike() {
    let world = world().await;
    let analyst = world.user("analyst", &["analysts"], &[("region", "EU")]).await;
    let ask = async |sql: String| {
        let error = world.query(&analyst, &sql).await.expect_err("no such table");
        (error.fault(), error.public().to_string())
    };
    for form in ["SELECT * FROM {}", "SELECT count(*) FROM {} t", "DESCRIBE {}", "EXPLAIN SELECT 1 FROM {}"] {
        let (fault, text) = ask(form.replace("{}", "crm.people.payroll")).await;
        let (absent_fault, absent) = ask(form.replace("{}", "crm.people.payrolx")).await;
        assert_eq!((fault, text.replace("payroll", "payrolx")), (absent_fault, absent), "{form}");
    }
    for form in ["SELECT {} FROM crm.people.people", "SELECT 1 FROM crm.people.people WHERE {} > 1"] {
        let (fault, text) = ask(form.replace("{}", "salary")).await;
        let (absent_fault, absent) = ask(form.replace("{}", "salarx")).await;
        assert_eq!((fault, text.replace("salary", "salarx")), (absent_fault, absent), "{form}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hidden_bytes_do_not_ride_along() {
    let world = world().await;
    let analyst = world.user("analyst", &["analysts"], &[("region", "EU")]).await;
    let batches = world.query(&analyst, "SELECT note, name, region FROM crm.people.people").await.expect("rows");
    assert_eq!(rows_text(&batches).len(), 3);
    for batch in &batches {
        for column in batch.columns() {
            let data = column.to_data();
            for buffer in data.buffers() {
                let bytes = String::from_utf8_lossy(buffer.as_slice());
                for canary in ["canary-hidden-note", "not a number", "Dora", "Lovelace"] {
                    assert!(!bytes.contains(canary), "{canary} in a buffer");
                }
            }
        }
    }
}
