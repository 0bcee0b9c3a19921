//! SQL of row filters: what is read and printed again, and what is refused.

use super::fixture::{World, sound};
use crate::sql::{self, Parsed, Surroundings};
use crate::{Expr, Literal};

pub(super) fn parse(world: &World, text: &str, masked_value: bool) -> Result<Expr, String> {
    let surroundings =
        Surroundings { attributes: &world.release.mesh().attributes, release: &world.release, masked_value };
    sql::parse(text, surroundings).and_then(Parsed::whole).map_err(|error| {
        let place = error.position.map_or_else(String::new, |(line, column)| format!("{line}:{column}: "));
        let hint = error.hint.map_or_else(String::new, |hint| format!(" ? {hint}"));
        format!("{place}{}{hint}", error.message)
    })
}

/// As written, and as printed if that differs.
pub(super) const READ: &[(&str, &str)] = &[
    ("a = 1 AND (b <> 'it''s' OR NOT c)", ""),
    ("(a = 1) and b < -2 or c >= 1.50", "a = 1 AND b < -2 OR c >= 1.50"),
    ("NOT (a AND b)", ""),
    ("NOT a = b", ""),
    ("(NOT a) = b", ""),
    ("- a - (b - c) - d * (e + f) % 2", "-a - (b - c) - d * (e + f) % 2"),
    ("(a OR b) AND (c OR d) AND e", ""),
    ("a || b || 'x' = c", ""),
    ("a IS NULL OR b IS NOT NULL", ""),
    ("(a = b) IS NOT TRUE AND c IS FALSE", ""),
    ("a IS DISTINCT FROM b", ""),
    ("a IS NOT UNKNOWN", "a IS NOT NULL"),
    ("a IN (1, 2, $levels) AND b NOT IN ($groups)", ""),
    ("a BETWEEN 1 AND 2 AND b NOT BETWEEN $clearance AND 3 + 4", ""),
    ("(a BETWEEN 1 AND 2) IS TRUE", ""),
    ("a LIKE 'x%' AND b NOT ILIKE '!_%' ESCAPE '!'", ""),
    ("CASE WHEN a THEN b ELSE FALSE END", ""),
    ("CASE a WHEN 1 THEN TRUE END", ""),
    ("CAST(a AS DECIMAL(10,2)) > 1 AND TRY_CAST(b AS BIGINT) = 2", ""),
    ("a::DATE = DATE '2026-01-31'", "CAST(a AS DATE) = DATE '2026-01-31'"),
    (
        "a < TIMESTAMP '2026-01-31 12:00:00' AND b > $now - INTERVAL '30 days'",
        "a < TIMESTAMP '2026-01-31 12:00:00' AND b > $now - CAST('30 days' AS INTERVAL)",
    ),
    ("b > $now - INTERVAL '1' DAY", "b > $now - CAST('1 day' AS INTERVAL)"),
    ("substring(a from 2 for 3) = trim(leading 'x' from b)", "substr(a, 2, 3) = ltrim(b, 'x')"),
    ("Substring(a, 2) = LENGTH(b)", "substr(a, 2) = character_length(b)"),
    ("extract(YEAR from a) = ceil(b) + floor(c)", "date_part('year', a) = ceil(b) + floor(c)"),
    ("position('x' in a) > 0", "strpos(a, 'x') > 0"),
    ("address.city = \"Mixed Case\" AND \"select\" = \"a\"\"b\"", ""),
    ("owner = $user OR $vip OR purpose = $purpose", ""),
    (
        "region IN (SELECT region FROM hr.people.grants WHERE login = $user AND level > 2)",
        "region IN (SELECT region FROM hr.people_v1.grants WHERE login = $user AND level > 2)",
    ),
    (
        "region NOT IN (SELECT g.region FROM hr.people_v1.grants AS g WHERE g.login IN (SELECT login FROM hr.people.staff))",
        "region NOT IN (SELECT region FROM hr.people_v1.grants WHERE login IN (SELECT login FROM hr.people_v1.staff))",
    ),
    ("id IN (SELECT id FROM sales.orders_v2.lines)", ""),
];

#[test]
fn what_is_read_is_printed_and_read_again() {
    let world = sound(&[]);
    for (text, printed) in READ {
        let printed = if printed.is_empty() { text } else { printed };
        let expr = parse(&world, text, false).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(expr.to_string(), *printed);
        assert_eq!(parse(&world, printed, false).as_ref(), Ok(&expr), "{printed}");
        assert_eq!(expr.bind(&|_| None), expr);
    }
}

pub(super) const REFUSED: &[(&str, &str)] = &[
    ("", "the SQL does not parse: Expected: an expression, found: EOF"),
    ("a = ", "the SQL does not parse: Expected: an expression, found: EOF"),
    ("a = 'x", "1:5: the SQL does not parse: Unterminated string literal"),
    ("a = 1; DROP TABLE x", "1:6: one expression is expected, but `;` follows it"),
    ("a = 1 b", "1:7: one expression is expected, but `b` follows it"),
    ("sum(a) > 1", "1:1: `sum` is an aggregate, and a policy looks at one row at a time"),
    (
        "a IN (SELECT region FROM hr.people.grants WHERE login)",
        "1:49: the WHERE of a sub-select is true or false of a row, but `login` is a column of another type",
    ),
    (
        "a IN (SELECT region FROM hr.people.grants WHERE level + 1)",
        "the WHERE of a sub-select is true or false of a row, but `level + 1` is the result of arithmetic",
    ),
    (
        "a IN (SELECT region FROM hr.people.grants WHERE login IN (SELECT login FROM hr.people.staff WHERE salary))",
        "the WHERE of a sub-select is true or false of a row, but `salary` is a column of another type",
    ),
    ("count(*) > 1", "1:1: `count` is an aggregate, and a policy looks at one row at a time"),
    ("rank() OVER (ORDER BY a) = 1", "1:1: a policy looks at one row at a time: no window functions"),
    ("random() < 0.5", "1:1: `random` is not the same for each row of a query ? write `$now`"),
    ("now() > a", "1:1: `now` is not the same for each row of a query ? write `$now`"),
    ("user = a", "1:1: `user` would be the gateway's own user ? write `$user`, or `\"user\"` for the column"),
    ("current_timestamp > a", "1:1: `current_timestamp` is not the same for each row of a query ? write `$now`"),
    ("a = 1 AND\n uper(b) = 'X'", "2:2: the function `uper` is not one that policies may call ? did you mean `upper`?"),
    ("read_parquet('/etc/x') = 1", "1:1: the function `read_parquet` is not one that policies may call"),
    ("pg_catalog.lower(a) = 'x'", "1:1: the function `pg_catalog.lower` is not one that policies may call"),
    ("coalesce(DISTINCT a)", "1:1: `coalesce` takes plain arguments only"),
    ("lower(a) FILTER (WHERE b) = 'x'", "1:1: `lower` takes plain arguments only"),
    ("EXISTS (SELECT 1)", "the only sub-select a policy may hold is `column IN (SELECT ..)`"),
    ("a = (SELECT max(b) FROM c)", "the only sub-select a policy may hold is `column IN (SELECT ..)`"),
    ("a = $regoin", "1:5: there is no parameter `$regoin` ? did you mean `$region`?"),
    ("a = $1", "1:5: there is no parameter `$1`"),
    ("a = $groups", "1:5: `$groups` is a set and has no single value ? write `.. IN ($groups)`"),
    ("a = ?", "1:5: there is no parameter `?`"),
    ("a = $value", "1:5: `$value` is the value under a mask, and stands for nothing here"),
    ("a = $$x$$", "a policy may not say `$$x$$`"),
    ("a = X'41'", "a policy may not say `X'41'`"),
    ("a = DATE '2026-02-30'", "1:10: `2026-02-30` is no date"),
    ("a = TIME '10:00'", "1:10: write `CAST('10:00' AS TIME)`"),
    ("CAST(a AS REGCLASS) = 1", "1:6: a policy may not cast to `REGCLASS`"),
    ("a ~ 'x'", "1:1: a policy may not use the operator `~`"),
    ("a @> b", "1:1: a policy may not use the operator `@>`"),
    ("(a, b) = (1, 2)", "a policy may not say `(a, b)"),
    ("a[1] = 2", "1:1: a policy may not say `a[1]"),
    ("a = ANY(b)", "1:1: a policy may not say `a = ANY(b)`"),
    ("a LIKE ANY ('x')", "a policy may not say `a LIKE ANY ('x')`"),
    ("a COLLATE x = b", "1:1: a policy may not say `a COLLATE x"),
    ("a AT TIME ZONE 'x' = b", "1:1: a policy may not say `a AT TIME ZONE 'x'"),
    (
        "a IN (SELECT region FROM grants)",
        "`grants` is no table of the mesh ? a table in a policy has its full name: domain.product.table",
    ),
    (
        "a IN (SELECT region FROM hr.people.grant)",
        "version 1 of the product hr.people has no table `grant` ? did you mean `grants`?",
    ),
    ("a IN (SELECT region FROM hr.peple.grants)", "the domain hr has no product `peple` ? did you mean `people`?"),
    ("a IN (SELECT region FROM hx.people.grants)", "there is no domain `hx` ? did you mean `hr`?"),
    ("a IN (SELECT region FROM hr.people_v9.grants)", "version 9 of the product hr.people has no table `grants`"),
    (
        "a IN (SELECT regio FROM hr.people.grants)",
        "the table hr.people.grants has no column `regio` ? did you mean `region`?",
    ),
    (
        "a IN (SELECT region FROM hr.people.grants WHERE lines.a = 1)",
        "the table hr.people.grants has no column `lines.a`",
    ),
];

const FORM: &str = "a sub-select in a policy has the form `SELECT column FROM domain.product.table WHERE ..`";

const NOT_THE_FORM: &[&str] = &[
    "SELECT max(region) FROM hr.people.grants",
    "SELECT region, login FROM hr.people.grants",
    "SELECT * FROM hr.people.grants",
    "SELECT DISTINCT region FROM hr.people.grants",
    "SELECT region AS r FROM hr.people.grants",
    "SELECT region FROM hr.people.grants, hr.people.staff",
    "SELECT region FROM hr.people.grants JOIN hr.people.staff ON TRUE",
    "SELECT region FROM hr.people.grants LIMIT 1",
    "SELECT region FROM hr.people.grants ORDER BY 1",
    "SELECT region FROM hr.people.grants GROUP BY region",
    "SELECT region FROM hr.people.grants HAVING TRUE",
    "SELECT region FROM hr.people.grants UNION SELECT 'x'",
    "WITH g AS (SELECT 1) SELECT region FROM hr.people.grants",
    "SELECT region FROM (SELECT * FROM hr.people.grants)",
    "SELECT region FROM hr.people.grants FOR SYSTEM_TIME AS OF '2020-01-01'",
    "SELECT region FROM hr.people.grants TABLESAMPLE (10)",
    "SELECT region FROM hr.people.grants(1)",
    "SELECT region FROM hr.people.grants QUALIFY TRUE",
    "VALUES (1)",
];

#[test]
fn what_policies_may_not_say_is_refused() {
    let world = sound(&[]);
    let mut wrong = Vec::new();
    for (text, expected) in REFUSED {
        match parse(&world, text, false) {
            Err(error) if error.contains(expected) => {}
            other => wrong.push(format!("{text}\n  expected {expected}\n  found    {other:?}")),
        }
    }
    for query in NOT_THE_FORM {
        match parse(&world, &format!("a IN ({query})"), false) {
            Err(error) if error.contains(FORM) || error.contains("does not parse") => {}
            other => wrong.push(format!("{query}\n  found {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn long_and_deep_texts_are_refused() {
    let world = sound(&[]);
    let error = |text: String| parse(&world, &text, false).expect_err("too much");
    assert!(error("(".repeat(900) + "a" + &")".repeat(900)).contains("nested"));
    assert!(parse(&world, &vec!["a = 'x'"; 450].join(" OR "), false).is_ok());
    assert!(error(vec!["a"; 3_000].join(" OR ")).contains("words and signs"));
    assert!(error(vec!["a"; 900].join("+")).contains("nested more than"));
    assert!(error(format!("abs({})", vec!["a"; 900].join("+"))).contains("nested more than"));
    assert!(
        error(format!("a IN (SELECT region FROM hr.people.grants WHERE {})", vec!["a"; 900].join("+")))
            .contains("nested more than")
    );
    assert!(error(format!("({}, 1) = 2", vec!["a"; 900].join("+"))).contains("may not say"));
    assert!(error(format!("lower(DISTINCT {})", vec!["a"; 900].join(" OR "))).contains("plain arguments"));
    assert!(
        error(format!("a IN (SELECT {} FROM hr.people.grants)", vec!["a"; 900].join("+"))).contains("has the form")
    );
    assert!(error("NOT ".repeat(900) + "a").contains("one expression is expected"));
    assert!(error(format!("a = '{}'", "x".repeat(20_000))).contains("longer than"));
}

#[test]
fn masks_see_the_value_and_numbers_keep_their_precision() {
    let world = sound(&[]);
    assert_eq!(parse(&world, "$value", true), Ok(Expr::MaskedValue));
    assert_eq!(parse(&world, "9223372036854775807", false), Ok(Expr::Literal(Literal::Integer(i64::MAX))));
    assert_eq!(parse(&world, "-9223372036854775808", false), Ok(Expr::Literal(Literal::Integer(i64::MIN))));
    let big = "123456789012345678901234567890.5";
    assert_eq!(parse(&world, big, false), Ok(Expr::Literal(Literal::Number(big.to_owned()))));
}
