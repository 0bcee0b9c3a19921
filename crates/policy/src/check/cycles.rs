//! Tables whose rows depend on themselves by way of entitlements.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use meshgate_model::{Finding, Severity, TableAddress};

use super::mentions::entitlements;
use super::reach::Reach;

type Graph<'a> = BTreeMap<&'a TableAddress, BTreeSet<&'a TableAddress>>;

/// An error at every policy that is part of a cycle.
pub(super) fn find(reaches: &[Reach<'_>], findings: &mut Vec<Finding>) {
    let mut graph = Graph::new();
    for reach in reaches {
        let targets: Vec<_> = entitlements(reach.rule).into_iter().map(|entitlement| &entitlement.table).collect();
        for reached in &reach.tables {
            graph.entry(&reached.table.address).or_default().extend(&targets);
        }
    }
    for reach in reaches {
        let own: BTreeSet<_> = reach.tables.iter().map(|reached| &reached.table.address).collect();
        let targets = entitlements(reach.rule).into_iter().map(|entitlement| &entitlement.table);
        if let Some(path) = targets.into_iter().find_map(|target| path_to(&graph, target, &own)) {
            let names: Vec<_> = path.iter().map(|table| table.policy_id()).collect();
            let message = format!(
                "the entitlement of `{}` goes in a circle: {} -> {}",
                reach.rule.id,
                names.last().map(String::as_str).unwrap_or_default(),
                names.join(" -> ")
            );
            let (scope, place) = (reach.rule.scope.clone(), reach.rule.place.clone());
            let hint = "an entitlement table must not be under a policy that leads back to it; exclude it with `unless { resource == Table::\"..\" }`";
            findings.push(Finding::new(Severity::Error, scope, place, "entitlement-cycle", message).hint(hint));
        }
    }
}

/// The tables from `start` to one of `goals`, both included, along policies.
fn path_to<'a>(
    graph: &Graph<'a>,
    start: &'a TableAddress,
    goals: &BTreeSet<&'a TableAddress>,
) -> Option<Vec<&'a TableAddress>> {
    let mut came_from: BTreeMap<&TableAddress, Option<&TableAddress>> = BTreeMap::from([(start, None)]);
    let mut queue = VecDeque::from([start]);
    while let Some(table) = queue.pop_front() {
        if goals.contains(table) {
            let mut path = vec![table];
            while let Some(Some(previous)) = came_from.get(path[path.len() - 1]) {
                path.push(previous);
            }
            path.reverse();
            return Some(path);
        }
        for next in graph.get(table).into_iter().flatten() {
            if !came_from.contains_key(next) {
                came_from.insert(next, Some(table));
                queue.push_back(next);
            }
        }
    }
    None
}
