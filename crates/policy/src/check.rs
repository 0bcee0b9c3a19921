//! Policies against the documents: do the columns exist that they name, do the things exist that they are about.

mod cycles;
mod mentions;
mod reach;
mod uses;

use std::sync::Arc;

use meshgate_model::{Finding, Scope};
use meshgate_product::{Product, Release, Table, Version};

use crate::Use;
use crate::rule::Rule;

/// Adds what is wrong to the findings; returns every use of a row filter or mask that was found to be possible.
pub(crate) fn against_release(release: &Release, rules: &[Arc<Rule>], findings: &mut Vec<Finding>) -> Vec<Use> {
    for rule in rules {
        mentions::unknown_entities(release, rule, findings);
        mentions::foreign_entitlements(rule, findings);
    }
    let reaches = reach::of_rules(release, rules);
    cycles::find(&reaches, findings);
    uses::check(&reaches, findings)
}

/// The tables inside a scope.
fn tables_in<'a>(release: &'a Release, scope: &Scope) -> impl Iterator<Item = (&'a Product, &'a Version, &'a Table)> {
    let domains = || release.domains();
    let products: Vec<&Product> = match scope {
        Scope::Mesh => domains().values().flat_map(|domain| domain.products.values()).collect(),
        Scope::Domain(name) => domains().get(name).into_iter().flat_map(|domain| domain.products.values()).collect(),
        Scope::Product(address) => release.product(address).into_iter().collect(),
    };
    products.into_iter().flat_map(|product| {
        let versions = product.versions.iter();
        versions.flat_map(move |version| version.tables.iter().map(move |table| (product, version, table)))
    })
}
