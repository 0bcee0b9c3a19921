//! Hostile text for policies, row filters and tests of policies.

use std::path::Path;

use meshgate_fuzzing::{Counting, Fuzz};
use meshgate_model::{Epoch, Severity};

use super::bad_policies;
use super::fixture::{GLOBAL, PEOPLE, SALES, World, analyst, request, sound};
use super::sql_texts::{self, parse};
use crate::{Access, Policies, run_test_file};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const SOUND: [&str; 4] = [
    "@id(\"own-region\") @rows(\"region = $region\")\npermit (principal in Group::\"analysts\", action in Action::\"access\", resource == Table::\"sales.orders.lines\");",
    "@id(\"mask\") @mask(\"show-last-4\") forbid (principal, action == Action::\"read\", resource) when { resource.tags.contains(\"pii\") };",
    "@id(\"e\") @rows(\"region IN (SELECT g.region FROM hr.people.grants AS g WHERE g.login = $user)\")\nforbid (principal, action == Action::\"query\", resource == Table::\"sales.orders.lines\");",
    "permit (principal is User, action, resource in Domain::\"sales\") unless { principal has region && principal.region like \"E*\" || context.purpose == \"marketing\" };",
];

const WORDS: [&str; 32] = [
    "permit ",
    "forbid ",
    "principal",
    "action",
    "resource",
    " in ",
    " == ",
    " is ",
    " has ",
    " like ",
    "when { ",
    "unless { ",
    " };",
    "@id(\"a\") ",
    "@rows(\"",
    "@mask(\"sql:",
    "\\\"",
    "\\u{110000}",
    "Group::\"",
    "Action::\"access\"",
    "Table::\"hr.people.staff\"",
    "Domain::\"hr\"",
    "?principal",
    "if true then ",
    "[",
    "{",
    "!",
    "-",
    "9223372036854775808",
    "ip(\"::1\")",
    "__cedar::",
    "//",
];

/// A domain's policies are hostile: whatever they say, somebody else's tables stay as they are, and what is wrong is told
/// with its place.
#[test]
fn fuzz_policy() {
    let open = "permit (principal in Group::\"analysts\", action in Action::\"access\", resource);";
    let world = sound(&[
        (
            PEOPLE,
            "@rows(\"level > 2\") permit (principal, action in Action::\"access\", resource == Table::\"hr.people.grants\");",
        ),
        (SALES, open),
    ]);
    let elsewhere = ["hr.people.grants", "hr.people.staff"].map(|table| world.table(table));
    let usual = elsewhere
        .clone()
        .map(|table| format!("{:?}", world.policies.decide(&analyst(), &world.release, &table, &request()).access()));
    let inputs = SOUND.into_iter().chain(bad_policies::CASES.iter().map(|(_, text, _)| *text));
    Fuzz::text("policy").all(inputs).words(WORDS).inputs(60).run(|input| {
        let text = String::from_utf8_lossy(input);
        std::fs::write(world.path().join(SALES), text.as_bytes()).map_err(|error| error.to_string())?;
        let release = meshgate_product::load(&world.path(), None, Epoch(1)).map_err(|error| error.to_string())?;
        let (policies, findings) = Policies::compile(&release);
        for (table, usual) in elsewhere.iter().zip(&usual) {
            let now = policies.decide(&analyst(), &release, table, &request());
            if format!("{:?}", now.access()) != *usual {
                return Err(format!("{table} changed: {:?}", now.access()));
            }
        }
        let errors: Vec<_> = findings.iter().filter(|finding| finding.severity == Severity::Error).collect();
        for finding in &findings {
            let lines = text.lines().count().max(1) + 1;
            let placed = finding.place.line.is_some_and(|line| line > 0 && line as usize <= lines);
            if finding.place.file == Path::new(SALES)
                && !(placed && finding.place.column.is_some_and(|column| column > 0))
            {
                return Err(format!("the text has {lines} lines, and this is said of it: {finding}"));
            }
        }
        let here = policies.decide(&analyst(), &release, &world.table("sales.orders.lines"), &request());
        if !errors.is_empty() && !matches!(here.access(), Access::Absent) {
            return Err(format!("served in spite of {errors:?}"));
        }
        Ok(errors.iter().map(|finding| format!("{} {}", finding.code, finding.message)).collect::<Vec<_>>().join(", "))
    });
}

/// A filter means what it prints as: what is read is printed, read again and printed the same.
#[test]
fn fuzz_filter() {
    let world = empty();
    let inputs = sql_texts::READ.iter().chain(sql_texts::REFUSED).map(|(text, _)| *text);
    let words = [
        "$user",
        "$value",
        "$now",
        "SELECT ",
        " FROM hr.people.grants",
        " AND ",
        " OR ",
        "NOT ",
        "CASE ",
        "IN (",
        "'",
        "::",
        "INTERVAL ",
        "--",
    ];
    Fuzz::text("filter").all(inputs).words(words).inputs(15_000).run(|input| {
        let text = String::from_utf8_lossy(input);
        match parse(&world, &text, input.len() % 2 == 0) {
            Err(error) => Ok(error),
            Ok(read) => {
                let printed = read.to_string();
                match parse(&world, &printed, input.len() % 2 == 0) {
                    Ok(again) if again.to_string() == printed => Ok("read".to_owned()),
                    // Brackets that were not written are.
                    Err(error) if error.contains("nested") => Ok("printed deeper than it was written".to_owned()),
                    other => Err(format!("{printed} is read as {other:?}")),
                }
            }
        }
    });
}

#[test]
fn fuzz_policy_test() {
    let world = empty();
    let valid = "- name: analysts\n  principal: { kind: user, name: ann, groups: [analysts], attributes: { region: EU } }\n  purpose: marketing\n  clientIp: 10.0.0.1\n  now: 2026-01-31T12:00:00Z\n  resource: sales.orders.lines\n  expect:\n    visible: true\n    rows: region = $region\n    columns: { id: plain, email: show-last-4, parts.cost: hidden }\n";
    let words = ["&a ", "*a", "[", "{", "- ", ": ", "!!int ", "expect: ", "|\n", "---\n", "\"\\x"];
    Fuzz::text("policy_test").input(valid).words(words).inputs(4_000).run(|input| {
        let text = String::from_utf8_lossy(input);
        let now = request().now;
        let outcomes = run_test_file(Path::new("x.yaml"), &text, &world.release, &world.policies, now);
        let failures: Vec<_> = outcomes.iter().flat_map(|outcome| &outcome.failures).map(String::as_str).collect();
        Ok(failures.join(", "))
    });
}

fn empty() -> World {
    sound(&[(GLOBAL, "permit (principal, action in Action::\"access\", resource);")])
}
