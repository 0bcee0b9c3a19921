//! The policies that have a say about one product (or about a domain itself), sorted by what they are about.

use std::collections::HashMap;
use std::sync::Arc;

use cedar_policy::{Effect, PolicyId, PolicySet};

use crate::rule::{Covers, Mentions, Rule};
use crate::schema::Kind;

/// Global, domain and product policies merged, once, when a release is compiled.
#[derive(Debug, Default)]
pub(crate) struct Slice {
    pub(crate) query: Sides,
    pub(crate) read: Sides,
    pub(crate) discover: Sides,
    pub(crate) manage: Sides,
    /// What decisions about tables depend on besides the principal.
    pub(crate) mentions: Mentions,
    /// Whether a policy about tables names a column: then tables cannot be asked about without their columns.
    pub(crate) looks_inside_tables: bool,
    /// A scope whose policies are not all valid decides nothing.
    pub(crate) broken: bool,
}

/// The policies about one action. Permits and forbids are asked separately: Cedar names the satisfied permits only
/// where no forbid is satisfied, and rows and masks need both.
#[derive(Debug, Default)]
pub(crate) struct Sides {
    pub(crate) permits: PolicySet,
    pub(crate) forbids: PolicySet,
}

/// The rules of a mesh by their Cedar ids.
pub(crate) type Rules = HashMap<PolicyId, Arc<Rule>>;

impl Slice {
    pub(crate) fn new<'a>(rules: impl IntoIterator<Item = &'a Arc<Rule>>, broken: bool) -> Self {
        let mut slice = Self { broken, ..Self::default() };
        for rule in rules {
            if rule.covers.query || rule.covers.read {
                slice.mentions = slice.mentions.union(rule.mentions);
            }
            slice.looks_inside_tables |= rule.covers.query && names_column(rule);
            let Covers { query, read, discover, manage } = rule.covers;
            let sides = [
                (query, &mut slice.query),
                (read, &mut slice.read),
                (discover, &mut slice.discover),
                (manage, &mut slice.manage),
            ];
            for (_, sides) in sides.into_iter().filter(|(covered, _)| *covered) {
                let set = match rule.effect {
                    Effect::Permit => &mut sides.permits,
                    Effect::Forbid => &mut sides.forbids,
                };
                // SECURITY: a forbid that is left out is a hole, so a set that does not take it decides nothing.
                slice.broken |= set.add(rule.policy.clone()).is_err();
            }
        }
        slice
    }
}

fn names_column(rule: &Rule) -> bool {
    rule.policy.entity_literals().iter().any(|uid| Kind::of(uid.type_name()) == Some(Kind::Column))
}
