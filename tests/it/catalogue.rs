//! The adversarial catalogue: `catalogue.txt`, asked in all twin worlds on both formats.

use std::collections::{BTreeMap, BTreeSet};

use meshgate_testkit::attack::answer::Answer;
use meshgate_testkit::attack::worlds;
use tonic::Code;

use crate::attack::{Side, is_quick, twins};

struct Case {
    id: &'static str,
    kind: &'static str,
    request: String,
}

/// Every line, for both formats where it speaks of a table.
fn cases() -> Vec<Case> {
    let lines = include_str!("catalogue.txt").lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let cases = lines.flat_map(|line| {
        let mut words = line.splitn(3, ' ');
        let mut word = || words.next().unwrap_or_else(|| panic!("`id kind request`: {line}"));
        let (id, kind, request) = (word(), word(), word());
        let of_tables = request.contains("{t}") || request.contains("{o}");
        let formats = if of_tables { worlds::PEOPLE.len() } else { 1 };
        (0..formats).map(move |format| {
            let request = request.replace("{t}", worlds::PEOPLE[format]).replace("{o}", worlds::ORDERS[format]);
            Case { id, kind, request }
        })
    });
    cases.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_holds_in_all_twin_worlds() {
    let first = Side::open("the first world", worlds::world(worlds::FIRST).await).await;
    let twins = twins().await;
    let (mut wrong, mut kinds, mut incidents, mut asked) = (Vec::new(), BTreeMap::new(), BTreeSet::new(), 0);
    for case in cases() {
        if is_quick() && !wrong.is_empty() {
            break;
        }
        *kinds.entry(case.kind).or_insert(0) += 1;
        if case.id.starts_with("incident") {
            incidents.insert(case.id);
        }
        // Without an order, rows are compared as a set.
        let ordered = case.request.contains("ORDER BY");
        for request in requests(&case) {
            let here = Answer::of(&first.client.query(&request).await, ordered);
            if let Some(problem) = unexpected(&case, &here) {
                wrong.push(format!("{} {}\n  {problem}", case.id, request));
                continue;
            }
            for twin in &twins {
                asked += 1;
                let there = Answer::of(&twin.client.query(&request).await, ordered);
                if let Some(difference) = here.difference(&there) {
                    wrong.push(format!("{} {request}\n  in the world of other {}: {difference}", case.id, twin.name));
                }
            }
        }
        if case.kind == "absent" {
            let end = async |name: &str| {
                let reply = first.client.query(&case.request.replace("{n}", name)).await;
                Answer::of(&reply, ordered).end
            };
            let (hidden, absent) = (end(HIDDEN).await, end(ABSENT).await);
            if hidden.replace(HIDDEN, ABSENT) != absent {
                wrong.push(format!("{} {}\n  hidden: {hidden}\n  absent: {absent}", case.id, case.request));
            }
        }
    }
    println!("{kinds:?}, {} incidents, {asked} comparisons", incidents.len());
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(kinds.values().sum::<usize>() >= 250, "{kinds:?}");
}

/// A column that is hidden, and a name of the same length that never was.
const HIDDEN: &str = "secret";
const ABSENT: &str = "secrey";

fn requests(case: &Case) -> Vec<String> {
    if case.kind == "absent" { vec![case.request.replace("{n}", HIDDEN)] } else { vec![case.request.clone()] }
}

/// What is wrong with an answer of the first world by itself.
fn unexpected(case: &Case, answer: &Answer) -> Option<String> {
    // How many rows and bytes there are is data; there is one place to get them.
    if answer.head.first().is_some_and(|totals| totals != "-1 -1 1") {
        return Some(format!("FlightInfo tells {}", answer.head[0]));
    }
    let is = |code: Code| answer.end.starts_with(&format!("{code:?}"));
    let fine = match case.kind {
        "same" => answer.end == "Ok",
        "fails" | "absent" => answer.end != "Ok" && !is(Code::Internal),
        "refused" => is(Code::PermissionDenied) || is(Code::InvalidArgument),
        other => panic!("{other} is no kind"),
    };
    (!fine).then(|| format!("{}: {}", case.kind, answer.end))
}
