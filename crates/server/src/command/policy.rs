//! `meshgate policy test|diff`: policies as something to be tested before they are in force.

use meshgate_model::Clock;
use meshgate_policy::{Change, Difference, TestOutcome};
use serde_json::{Value, json};

use crate::ambient::SystemClock;
use crate::args::{PolicyDiff, PolicyTest, Report};
use crate::trouble::{Exit, Outcome};
use crate::{mesh, output};

/// Runs the mesh's own tests. Fails if one of them does.
pub(super) fn test(arguments: &PolicyTest) -> Outcome<Exit> {
    let (release, policies) = mesh::usable(&arguments.mesh)?;
    let outcomes = meshgate_policy::run_tests(&arguments.mesh, &release, &policies, SystemClock.now());
    let failed = outcomes.iter().filter(|outcome| !outcome.passed()).count();
    match arguments.format {
        Report::Json => output::json(&outcomes.iter().map(outcome_json).collect())?,
        Report::Text => {
            outcomes.iter().try_for_each(|outcome| output::line(outcome_text(outcome)))?;
            output::line(format!("{} passed, {failed} failed", outcomes.len() - failed))?;
        }
    }
    Ok(if failed == 0 { Exit::Success } else { Exit::Failure })
}

/// Lists what changes for whom. A difference is no failure.
pub(super) fn diff(arguments: &PolicyDiff) -> Outcome<Exit> {
    let (old_release, old_policies) = mesh::usable(&arguments.old)?;
    let (new_release, new_policies) = mesh::usable(&arguments.new)?;
    let changes =
        meshgate_policy::diff((&old_release, &old_policies), (&new_release, &new_policies), SystemClock.now());
    match arguments.format {
        Report::Json => output::json(&changes.iter().map(change_json).collect())?,
        Report::Text if changes.is_empty() => output::line("nobody gains or loses anything")?,
        Report::Text => changes.iter().try_for_each(|change| output::line(change.to_string()))?,
    }
    Ok(Exit::Success)
}

fn outcome_text(outcome: &TestOutcome) -> String {
    let verdict = if outcome.passed() { "ok    " } else { "FAILED" };
    let head = format!("{verdict} {}:{} {}", outcome.file.display(), outcome.line, outcome.name);
    outcome.failures.iter().fold(head, |text, failure| format!("{text}\n         {failure}"))
}

fn outcome_json(outcome: &TestOutcome) -> Value {
    json!({
        "file": outcome.file.display().to_string(),
        "line": outcome.line,
        "name": outcome.name,
        "passed": outcome.passed(),
        "failures": outcome.failures,
    })
}

fn change_json(change: &Change) -> Value {
    let what = match &change.what {
        Difference::Gained => json!({ "kind": "gained" }),
        Difference::Lost => json!({ "kind": "lost" }),
        Difference::Rows { old, new } => json!({ "kind": "rows", "old": old, "new": new }),
        Difference::Column { path, old, new } => json!({ "kind": "column", "column": path, "old": old, "new": new }),
    };
    json!({
        "principal": change.principal,
        "purpose": change.purpose,
        "table": change.table.policy_id(),
        "version": change.table.major,
        "change": what,
    })
}
