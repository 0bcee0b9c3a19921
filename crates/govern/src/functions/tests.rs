//! The lists are complete, and what is listed keeps to its limits.

use std::collections::BTreeSet;

use datafusion::execution::{SessionStateBuilder, SessionStateDefaults};
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};

use super::*;

fn names(table: &[(&str, &[&str])]) -> Vec<String> {
    table.iter().flat_map(|(_, names)| names.iter().map(|name| (*name).to_owned())).collect()
}

fn complete(kind: &str, table: &[(&str, &[&str])], refused: &[&str], existing: Vec<String>) {
    let listed: Vec<_> = names(table).into_iter().chain(refused.iter().map(|name| (*name).to_owned())).collect();
    let unique: BTreeSet<_> = listed.iter().cloned().collect();
    assert_eq!(unique.len(), listed.len(), "{kind}: a name is listed twice");
    let existing: BTreeSet<_> = existing.into_iter().collect();
    let unlisted: Vec<_> = existing.difference(&unique).collect();
    let gone: Vec<_> = unique.difference(&existing).collect();
    assert!(unlisted.is_empty() && gone.is_empty(), "{kind}: not listed {unlisted:?}, listed but not there {gone:?}");
}

#[test]
fn every_function_of_datafusion_is_allowed_or_refused() {
    let refused: Vec<_> = lists::REFUSED.iter().map(|(name, _)| *name).collect();
    let scalar = SessionStateDefaults::default_scalar_functions().iter().map(|f| f.name().to_owned()).collect();
    complete("scalar", lists::SCALAR, &refused, scalar);
    let aggregate = SessionStateDefaults::default_aggregate_functions().iter().map(|f| f.name().to_owned()).collect();
    complete("aggregate", lists::AGGREGATE, &[], aggregate);
    let window = SessionStateDefaults::default_window_functions().iter().map(|f| f.name().to_owned()).collect();
    complete("window", lists::WINDOW, &[], window);
    let higher = SessionStateDefaults::default_higher_order_functions().iter().map(|f| f.name().to_owned()).collect();
    complete("higher-order", &[], lists::REFUSED_HIGHER_ORDER, higher);
}

#[test]
fn refused_functions_are_not_there_under_any_name() {
    for function in SessionStateDefaults::default_scalar_functions() {
        let refused = refused(function.name()).is_some();
        for name in std::iter::once(function.name()).chain(function.aliases().iter().map(String::as_str)) {
            assert_eq!(is_allowed(name), !refused, "{name}");
            assert_eq!(is_allowed(&name.to_uppercase()), !refused, "{name}");
        }
    }
    assert!(!is_allowed("array_transform") && !is_allowed("||") && !is_allowed("no_such"));
}

#[test]
fn policies_find_their_functions() {
    let missing: Vec<_> = meshgate_policy::ROW_FUNCTIONS.iter().filter(|name| !is_allowed(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// A session with the allow-list and nothing else.
fn session() -> SessionContext {
    let state = SessionStateBuilder::new()
        .with_config(SessionConfig::new().with_target_partitions(1))
        .with_scalar_functions(scalar_functions())
        .with_aggregate_functions(aggregate_functions())
        .with_window_functions(window_functions())
        .with_expr_planners(expr_planners())
        .build();
    SessionContext::new_with_state(state)
}

/// What an expression is over `t(x)` of some rows, as text, or why not.
async fn value(expression: &str, x: &[&str]) -> Result<Vec<String>, String> {
    let context = session();
    let rows = x.iter().map(|x| vec![datafusion::prelude::lit(*x)]).collect();
    let values = LogicalPlanBuilder::values(rows)
        .and_then(|plan| plan.project([datafusion::prelude::col("column1").alias("x")]));
    let plan = values.and_then(LogicalPlanBuilder::build).expect("values are a plan");
    let schema = plan.schema().clone();
    let run = async {
        let expression = context.state().create_logical_expr(expression, &schema)?;
        let plan = LogicalPlanBuilder::from(plan).project([expression.alias("v")])?.build()?;
        let state = context.state();
        let physical = state.create_physical_plan(&plan).await?;
        #[expect(clippy::disallowed_methods, reason = "a test's few rows")]
        datafusion::physical_plan::collect(physical, context.task_ctx()).await
    };
    let batches = run.await.map_err(|error: datafusion::error::DataFusionError| error.to_string())?;
    let mut found = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            found.push(arrow::util::display::array_value_to_string(batch.column(0), row).unwrap());
        }
    }
    Ok(found)
}

#[tokio::test]
async fn bounded_functions_still_work() {
    let cases = [
        ("repeat(x, 3)", "ababab"),
        ("lpad(x, 4, '*')", "**ab"),
        ("rpad(x, 4)", "ab  "),
        ("replace(x, 'b', 'cd')", "acd"),
        ("regexp_replace(x, '[a-z]', '<\\0>', 'g')", "<a><b>"),
        ("concat(x, '-', x)", "ab-ab"),
        ("concat_ws('-', x, x)", "ab-ab"),
        ("x || '!' || x", "ab!ab"),
        ("(x || NULL) IS NULL", "true"),
        ("(x || nullif(x, 'ab')) IS NULL", "true"),
        ("1 || x", "1ab"),
        ("overlay(x PLACING 'zz' FROM 2 FOR 1)", "azz"),
        ("array_repeat(x, 2)", "[ab, ab]"),
        ("array_resize([1], 3, 7)", "[1, 7, 7]"),
        ("[x, 'c'] || ['d']", "[ab, c, d]"),
        ("array_to_string([1, 2], '-')", "1-2"),
        ("array_replace([x, 'c'], 'c', 'd')", "[ab, d]"),
        ("concat(arrow_cast(x, 'Dictionary(Int32, Utf8)'), '!')", "ab!"),
        ("cardinality(generate_series(1, 10000))", "10000"),
        ("cardinality(range(10, 0, -3))", "4"),
        ("array_length(generate_series(DATE '2024-01-01', DATE '2024-03-01', INTERVAL '1 month'))", "3"),
        ("range(1, NULL) IS NULL", "true"),
        ("levenshtein(x, 'abc')", "1"),
        ("to_char(DATE '2024-02-03', '%Y')", "2024"),
        ("arrow_cast('5', 'Int16') + 1", "6"),
        ("{'a': x}['a']", "ab"),
        ("substring(x FROM 2)", "b"),
        ("position('b' IN x)", "2"),
        ("extract(year FROM DATE '2024-02-03')", "2024"),
    ];
    for (expression, expected) in cases {
        assert_eq!(value(expression, &["ab"]).await, Ok(vec![expected.to_owned()]), "{expression}");
    }
}

#[tokio::test]
async fn nothing_grows_beyond_the_limits() {
    let cases = [
        ("repeat(x, 1048577)", "`repeat` is limited to 1048576 bytes in one result"),
        ("repeat('a', 65537)", "`repeat` is limited to 65536 bytes in one result made of constants"),
        ("repeat(x, 9223372036854775807)", "`repeat`"),
        ("lpad(x, 2147483647)", "`lpad`"),
        ("rpad(x, 300000, 'ä')", "`rpad`"),
        ("replace(repeat(x, 1000000), 'a', repeat('b', 1000))", "`replace`"),
        ("replace(repeat(x, 100000), '', repeat('b', 1000))", "`replace`"),
        ("regexp_replace(repeat(x, 100000), 'a', repeat('b', 1000), 'g')", "`regexp_replace`"),
        ("regexp_replace(repeat(x, 100000), '.*', repeat('$0', 1000))", "`regexp_replace`"),
        ("concat(repeat(x, 1000000), repeat(x, 1000000))", "`concat`"),
        ("concat_ws(repeat(x, 600000), x, x, x)", "`concat_ws`"),
        ("repeat(x, 600000) || repeat(x, 600000)", "`||` is limited to 1048576 bytes in one result"),
        ("overlay(repeat(x, 1000000) PLACING repeat(x, 1000000) FROM 1)", "`overlay`"),
        ("array_repeat(x, 100001)", "`array_repeat` is limited to 100000 elements in one result"),
        ("array_repeat(repeat(x, 100000), 1000)", "`array_repeat` is limited to 16777216 bytes in one result"),
        ("array_repeat(array_repeat(x, 1000), 1000)", "`array_repeat`"),
        ("array_resize([x], 2000000000)", "`array_resize`"),
        ("array_repeat(x, 60000) || array_repeat(x, 60000)", "`array_concat`"),
        ("[array_repeat(x, 60000), array_repeat(x, 60000)]", "`make_array`"),
        ("array_replace_all(array_repeat(x, 1000), x, repeat(x, 100000))", "`array_replace_all`"),
        ("array_to_string(array_repeat(x, 50000), repeat(x, 1000))", "`array_to_string`"),
        ("generate_series(1, 10000000000)", "`generate_series`"),
        ("generate_series(1, 10001)", "`generate_series` is limited to 10000 elements"),
        ("range(0, 100001 * character_length(x))", "`range` is limited to 100000 elements in one result"),
        ("range(9223372036854775807)", "`range`"),
        ("generate_series(9223372036854775807, -9223372036854775807, -1)", "`generate_series`"),
        ("range(DATE '1900-01-01', DATE '2100-01-01', INTERVAL '1 second')", "`range`"),
        ("range(DATE '1900-01-01', DATE '2100-01-01', INTERVAL '1 month -30 days')", "`range`"),
        ("to_char(DATE '2024-01-01', repeat('%A', 20000))", "`to_char`"),
        ("levenshtein(repeat(x, 1000000), repeat('b', 60000))", "`levenshtein`"),
        ("arrow_cast(NULL, 'FixedSizeBinary(2000000000)')", "`arrow_cast`"),
        ("arrow_try_cast(NULL, 'FixedSizeList(2000000000, Int8)')", "`arrow_try_cast`"),
    ];
    for (expression, expected) in cases {
        let error = value(expression, &["a"]).await.expect_err(expression);
        assert!(error.contains(expected), "{expression}: {error}");
    }
    for x in ["input_file_name()", "file_row_index()", "version()", "arrow_metadata(x)", "array_transform([1], v -> v)"]
    {
        value(x, &["a"]).await.expect_err(x);
    }
}

#[tokio::test]
async fn a_batch_of_results_is_limited_too() {
    let rows = vec!["a"; 300];
    let error = value("repeat(x, 1000000)", &rows).await.expect_err("300 MB");
    assert!(error.contains("`repeat` is limited to 268435456 bytes in one batch of results"), "{error}");
    assert_eq!(value("character_length(repeat(x, 1000))", &rows).await.map(|found| found.len()), Ok(300));
}

#[test]
fn sketches_are_limited() {
    use datafusion::functions_aggregate::approx_percentile_cont::approx_percentile_cont_udaf;
    use datafusion::logical_expr::planner::RawAggregateExpr;
    use datafusion::prelude::{Expr, col, lit, placeholder};
    let plan = |centroids: Expr| {
        let raw = || RawAggregateExpr {
            func: approx_percentile_cont_udaf(),
            args: vec![col("x"), lit(0.5), centroids.clone()],
            distinct: false,
            filter: None,
            order_by: Vec::new(),
            null_treatment: None,
        };
        expr_planners().iter().try_for_each(|planner| planner.plan_aggregate(raw()).map(|_| ()))
    };
    plan(lit(10_000)).expect("within the limit");
    for refused in [lit(10_001), lit(i64::MAX), placeholder("$1"), lit("x")] {
        plan(refused).expect_err("beyond the limit");
    }
}
