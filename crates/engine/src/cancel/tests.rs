//! Functions that look whether the query is cancelled give what they gave without.

use arrow::array::RecordBatch;
use datafusion::physical_plan::{displayable, execute_stream};
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use meshgate_govern::functions::{aggregate_functions, window_functions};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::windows;

const ROWS: &str =
    "(SELECT value % 7 AS a, value * 37 % 100 AS b, nullif(value % 5, 0) AS c FROM generate_series(1, 60))";
const FRAMES: [&str; 7] = [
    "()",
    "(PARTITION BY a)",
    "(ORDER BY b, c)",
    "(PARTITION BY a ORDER BY b DESC, c)",
    "(PARTITION BY a ORDER BY b, c ROWS BETWEEN 3 PRECEDING AND 2 FOLLOWING)",
    "(ORDER BY b RANGE BETWEEN 5 PRECEDING AND UNBOUNDED FOLLOWING)",
    "(PARTITION BY c ORDER BY b GROUPS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)",
];

/// The same in a task of its own: some frames make the library panic.
async fn survived(sql: &str, cancelled: Option<CancellationToken>) -> Result<(String, Vec<RecordBatch>), String> {
    let sql = sql.to_owned();
    let mut answering = JoinSet::from_iter([async move { answer(&sql, cancelled.as_ref()).await }]);
    let ended = answering.join_next().await.expect("one task");
    ended.unwrap_or_else(|_| Err("a panic".to_owned()))
}

/// The plan as text and the rows, of a query whose windows look at the token, if one is given.
async fn answer(sql: &str, cancelled: Option<&CancellationToken>) -> Result<(String, Vec<RecordBatch>), String> {
    let context = SessionContext::new();
    let text = |error: datafusion::error::DataFusionError| error.strip_backtrace();
    let state = context.state();
    let plan = state.create_logical_plan(sql).await.map_err(text)?;
    let mut plan = state.optimize(&plan).map_err(text)?;
    if let Some(cancelled) = cancelled {
        plan = windows::cancellable(plan, cancelled).map_err(text)?;
    }
    let plan = state.query_planner().create_physical_plan(&plan, &state).await.map_err(text)?;
    let shown = displayable(plan.as_ref()).indent(true).to_string();
    let rows = execute_stream(plan, state.task_ctx()).map_err(text)?;
    Ok((shown, rows.try_collect().await.map_err(text)?))
}

fn queries() -> Vec<String> {
    let windows = window_functions();
    let names = windows.iter().map(|function| function.name().to_owned());
    let aggregates = aggregate_functions();
    let names = names.chain(aggregates.iter().map(|function| function.name().to_owned()));
    let calls = names.flat_map(|name| {
        ["()", "(b)", "(b, 2)", "(c, 0.5)", "(b, ',')", "(b, c)"].map(|arguments| format!("{name}{arguments}"))
    });
    let calls =
        calls.flat_map(|call| [call.clone(), format!("{call} FILTER (WHERE b > 50)"), format!("{call} IGNORE NULLS")]);
    let over = |call: String| {
        FRAMES.map(|frame| format!("SELECT a, b, c, {call} OVER {frame} AS w FROM {ROWS} ORDER BY 1, 2, 3, 4"))
    };
    calls.flat_map(over).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_give_what_they_gave() {
    let running = CancellationToken::new();
    let mut valid = 0;
    for sql in queries() {
        let (plain, looking) = (survived(&sql, None).await, survived(&sql, Some(running.clone())).await);
        assert_eq!(plain, looking, "{sql}");
        valid += usize::from(plain.is_ok());
    }
    assert!(valid > 500, "only {valid} of the queries can be run");
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_of_a_cancelled_query_end_at_once() {
    let cancelled = CancellationToken::new();
    cancelled.cancel();
    for call in ["sum(b)", "median(b)", "first_value(b)", "row_number()", "rank()", "ntile(3)", "lag(b)"] {
        for frame in ["(ORDER BY b RANGE BETWEEN 5 PRECEDING AND UNBOUNDED FOLLOWING)", "(ORDER BY b ROWS 9 PRECEDING)"]
        {
            let sql = format!("SELECT {call} OVER {frame} FROM {ROWS}");
            assert!(answer(&sql, None).await.is_ok(), "{sql}");
            let ended = answer(&sql, Some(&cancelled)).await.expect_err(&sql);
            assert!(ended.contains("cancelled"), "{sql}: {ended}");
        }
    }
}
