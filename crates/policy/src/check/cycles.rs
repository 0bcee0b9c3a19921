//! Tables whose rows depend on themselves by way of entitlements.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use meshgate_model::{Finding, Scope, Severity, TableAddress};
use meshgate_product::Table;

use super::mentions::entitlements;
use super::reach::Reach;

/// From each table to the tables that its rows depend on.
type Graph<'a> = BTreeMap<&'a TableAddress, BTreeSet<&'a TableAddress>>;

/// An error at the policies of the narrowest scope in each circle.
///
/// SECURITY: a circle can be closed by one product, with a policy of its own or with a tag that a wider policy looks
/// for. So it is an error of the products whose tables it goes through, or of the policy's scope if the policy is about
/// everything there and nobody else's doing is needed.
pub(super) fn find(reaches: &[Reach<'_>], findings: &mut Vec<Finding>) {
    let mut graph = Graph::new();
    for width in [Width::Mesh, Width::Domain, Width::Product] {
        let of_width = || reaches.iter().filter(|reach| Width::of(&reach.rule.scope) == width);
        for reach in of_width() {
            let targets: Vec<_> = targets(reach).collect();
            for reached in &reach.tables {
                graph.entry(&reached.table.address).or_default().extend(&targets);
            }
        }
        // With the policies of wider scopes in the graph, and no narrower ones.
        of_width().for_each(|reach| of_policy(reach, &graph, findings));
    }
}

#[derive(PartialEq)]
enum Width {
    Mesh,
    Domain,
    Product,
}

impl Width {
    fn of(scope: &Scope) -> Self {
        match scope {
            Scope::Mesh => Self::Mesh,
            Scope::Domain(_) => Self::Domain,
            Scope::Product(_) => Self::Product,
        }
    }
}

fn targets<'a>(reach: &Reach<'a>) -> impl Iterator<Item = &'a TableAddress> + use<'a> {
    entitlements(reach.rule).into_iter().map(|entitlement| &entitlement.table)
}

fn of_policy(reach: &Reach<'_>, graph: &Graph<'_>, findings: &mut Vec<Finding>) {
    let came_from = walk(graph, targets(reach));
    let on_circle = |table: &&Table| came_from.contains_key(&table.address);
    let mut told = BTreeSet::new();
    for table in reach.tables.iter().map(|reached| reached.table).filter(on_circle) {
        let scope = if reach.everywhere { reach.rule.scope.clone() } else { Reach::product_scope(table) };
        if told.insert(scope.clone()) {
            findings.push(circle(reach, scope, &path_to(&came_from, &table.address)));
        }
    }
}

fn circle(reach: &Reach<'_>, scope: Scope, path: &[&TableAddress]) -> Finding {
    let names: Vec<_> = path.iter().map(|table| table.policy_id()).collect();
    let message = format!(
        "the entitlement of `{}` goes in a circle: {} -> {}",
        reach.rule.id,
        names.last().map(String::as_str).unwrap_or_default(),
        names.join(" -> ")
    );
    let hint = "an entitlement table must not be under a policy that leads back to it; exclude it with `unless { resource == Table::\"..\" }`";
    Finding::new(Severity::Error, scope, reach.rule.place.clone(), "entitlement-cycle", message).hint(hint)
}

type CameFrom<'a> = BTreeMap<&'a TableAddress, Option<&'a TableAddress>>;

/// Every table that can be reached along policies, with the one before it.
fn walk<'a>(graph: &Graph<'a>, starts: impl Iterator<Item = &'a TableAddress>) -> CameFrom<'a> {
    let mut came_from: CameFrom<'_> = starts.map(|start| (start, None)).collect();
    let mut queue: VecDeque<_> = came_from.keys().copied().collect();
    while let Some(table) = queue.pop_front() {
        for next in graph.get(table).into_iter().flatten() {
            if !came_from.contains_key(next) {
                came_from.insert(next, Some(table));
                queue.push_back(next);
            }
        }
    }
    came_from
}

/// The tables from a start of a walk to `goal`, both included.
fn path_to<'a>(came_from: &CameFrom<'a>, goal: &'a TableAddress) -> Vec<&'a TableAddress> {
    let mut path = vec![goal];
    let mut at = goal;
    while let Some(Some(previous)) = came_from.get(at) {
        path.push(previous);
        at = previous;
    }
    path.reverse();
    path
}
