//! Hostile text for the reader of statements.

use datafusion::sql::sqlparser::ast::Statement;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use meshgate_fuzzing::{Counting, Fuzz};
use meshgate_model::{Failure, Fault};

use crate::request::Kind;
use crate::{Options, Request};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Statements that are served and such as are not.
const STATEMENTS: &[&str] = &[
    "SELECT 1",
    "SELECT a.x, count(*) FILTER (WHERE y > 1) OVER (PARTITION BY z ORDER BY w ROWS UNBOUNDED PRECEDING) FROM c.s.t AS a",
    "WITH a AS (SELECT 1), b AS (SELECT * FROM a UNION ALL VALUES (1), (2)) SELECT * FROM a JOIN b USING (x)",
    "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT * FROM r",
    "SELECT * EXCEPT (a) FROM t WHERE x IN (SELECT y FROM u) AND z BETWEEN $1 AND $2 OR NOT EXISTS (SELECT 1)",
    "SELECT CASE WHEN a IS NULL THEN 'it''s' ELSE E'\\n' END, CAST(b AS DECIMAL(10, 2)), c::DATE, [1, 2][1], {a: 1}",
    "SELECT * FROM t FOR VERSION AS OF 3 x, u FOR TIMESTAMP AS OF '2026-01-01' CROSS JOIN LATERAL (SELECT 1) l",
    "SELECT x FROM t GROUP BY GROUPING SETS ((a), CUBE (b, c), ROLLUP (d)) HAVING sum(x) > ? ORDER BY 1 LIMIT 5 OFFSET 2",
    "SELECT t.* FROM unnest([1, 2]) AS t, (VALUES (1, 'a')) AS v (a, b) TABLESAMPLE BERNOULLI (10)",
    "EXPLAIN VERBOSE SELECT INTERVAL '1' DAY, TIMESTAMP '2026-01-01', extract(YEAR FROM d), substring(a FROM 2 FOR 3)",
    "DESCRIBE a.b.c",
    "SHOW TABLES LIKE 'a%'",
    "SHOW COLUMNS FROM a.b.c",
    "SHOW ALL",
    "SET meshgate.purpose = 'marketing'",
    "SET TIME ZONE 'UTC'",
    "RESET meshgate.purpose",
    "USE sales.orders",
    "INSERT INTO t (a) SELECT 1 ON CONFLICT DO NOTHING RETURNING *",
    "UPDATE t SET x = 1 WHERE y",
    "DELETE FROM t USING u WHERE t.a = u.a",
    "MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (a) VALUES (1)",
    "CREATE EXTERNAL TABLE t (a INT) STORED AS PARQUET LOCATION '/x'",
    "CREATE OR REPLACE VIEW v AS SELECT 1",
    "COPY (SELECT 1) TO '/x' (FORMAT CSV)",
    "EXPLAIN ANALYZE SELECT 1",
    "SELECT * INTO t FROM s FOR UPDATE",
    "SELECT * FROM read_parquet('x') PREWHERE a SETTINGS b = 1 FORMAT JSON",
    "WITH x AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM x",
    "SELECT x, MATCH (a) AGAINST ('b') FROM t PIVOT (sum(a) FOR b IN ('c')) CONNECT BY PRIOR a = b",
    "GRANT SELECT ON t TO u",
    "PREPARE p AS SELECT 1",
    "ALTER TABLE t ADD COLUMN x INT",
    "DROP TABLE IF EXISTS t CASCADE",
    "BEGIN; COMMIT",
    "FROM t |> WHERE a |> SELECT b",
];

const WORDS: &[&str] = &[
    "SELECT ",
    " FROM ",
    " WHERE ",
    " UNION ALL ",
    " AS ",
    " VERSION AS OF 1",
    " FOR UPDATE",
    " INTO x",
    "(",
    ")",
    ";",
    "--",
    "/*",
    "*/",
    "'",
    "\"",
    "`",
    "$$",
    "$a$",
    "?",
    "$1",
    "$0",
    "$99999",
    ":a",
    "@a",
    "E'\\u{110000}'",
    "X'0'",
    "U&'\\0000'",
    "1e400",
    "99999999999999999999",
    "0x",
    "INTERVAL ",
    "CASE WHEN ",
    " END",
    "ARRAY[",
    "STRUCT<",
    ">>",
    "::",
    "->",
    "=> ",
    "LATERAL ",
    "TABLE(",
    "INSERT INTO t ",
    "DELETE FROM t ",
    "UPDATE t SET a = 1 ",
    "MERGE INTO t ",
    " RETURNING *",
    "EXPLAIN ",
    "ANALYZE ",
    "DESCRIBE ",
];

#[test]
fn fuzz_statement() {
    let options = Options::default();
    Fuzz::text("statement").all(STATEMENTS.iter().copied()).words(WORDS.iter().copied()).inputs(20_000).run(|input| {
        let sql = String::from_utf8_lossy(input);
        match Request::read(&sql, &options) {
            Ok(request) => allowed(&request, &sql).map(str::to_owned),
            Err(error) if matches!(error.fault(), Fault::Invalid | Fault::Denied | Fault::Limited) => {
                Ok(error.public().to_string())
            }
            Err(other) => Err(format!("{other:?}")),
        }
    });
}

/// Whether a statement may be what it was taken for; the kind of the statement is looked at again, without the allow-list.
fn allowed(request: &Request, sql: &str) -> Result<&'static str, String> {
    let kind = match &request.kind {
        Kind::Session(_) => return Ok("a change of the session"),
        Kind::Describe(_) => return Ok("the columns of a table"),
        Kind::Query(statement) | Kind::Explain(statement) => statement,
    };
    if !matches!(**kind, Statement::Query(_)) {
        return Err(format!("not a query: {kind:?}"));
    }
    // What the parser calls what writes, at any depth.
    let tree = format!("{kind:?}");
    for writes in
        ["Insert(", "Update(", "Delete(", "Merge(", "SelectInto", "locks: [LockClause", "Update {", "Insert {"]
    {
        if tree.contains(writes) && !sql.contains(writes) {
            return Err(format!("a query that holds {writes}"));
        }
    }
    let first = Parser::parse_sql(&GenericDialect {}, sql);
    match first.as_deref() {
        Ok(
            [
                Statement::Query(_)
                | Statement::Explain { analyze: false, .. }
                | Statement::ShowTables { .. }
                | Statement::ShowColumns { .. }
                | Statement::ShowVariable { .. }
                | Statement::ShowCatalogs { .. }
                | Statement::ShowDatabases { .. }
                | Statement::ShowSchemas { .. }
                | Statement::ShowViews { .. }
                | Statement::ShowFunctions { .. }
                | Statement::ExplainTable { .. },
            ],
        ) => Ok("a query"),
        // `?`, `$a` and AS OF are ours: the parser may know none of them.
        Err(_) => Ok("a query that only we can read"),
        Ok(other) => Err(format!("taken for a query: {other:?}")),
    }
}
