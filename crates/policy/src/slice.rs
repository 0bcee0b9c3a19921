//! The policies that have a say about one product (or about a domain itself), by scope and by what they are about.

use std::collections::HashMap;
use std::sync::Arc;

use cedar_policy::{Effect, EntityUid, PolicyId, PolicySet};

use crate::rule::{Covers, Distinctions, Mentions, Rule};
use crate::schema::Kind;

/// Global, domain and product policies together. Each scope is asked by itself and the answers are joined: a global
/// policy is held once, not once for every product.
#[derive(Debug, Default)]
pub(crate) struct Slice {
    scopes: Vec<Arc<Own>>,
    /// What decisions about tables depend on besides the principal.
    pub(crate) mentions: Mentions,
    /// Whether a policy about tables names a column: then tables cannot be asked about without their columns.
    pub(crate) looks_inside_tables: bool,
    /// A scope whose policies are not all valid decides nothing.
    pub(crate) broken: bool,
}

/// The policies of one scope.
#[derive(Debug, Default)]
pub(crate) struct Own {
    query: Sides,
    read: Sides,
    discover: Sides,
    manage: Sides,
    mentions: Mentions,
    distinctions: Distinctions,
    looks_inside_tables: bool,
    broken: bool,
}

/// The policies about one action. Permits and forbids are asked separately: Cedar names the satisfied permits only
/// where no forbid is satisfied, and rows and masks need both.
#[derive(Debug, Default)]
struct Sides {
    permits: PolicySet,
    forbids: PolicySet,
}

/// The actions that are asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Query,
    Read,
    Discover,
    Manage,
}

/// The rules of a mesh by their Cedar ids.
pub(crate) type Rules = HashMap<PolicyId, Arc<Rule>>;

impl Action {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Read => "read",
            Self::Discover => "discover",
            Self::Manage => "manage",
        }
    }
}

impl Slice {
    /// The policies of these scopes, which are out if one of them is.
    pub(crate) fn new<'a>(scopes: impl IntoIterator<Item = &'a Arc<Own>>, broken: bool) -> Self {
        let mut slice = Self { broken, ..Self::default() };
        for own in scopes {
            slice.mentions = slice.mentions.union(own.mentions);
            slice.looks_inside_tables |= own.looks_inside_tables;
            slice.broken |= own.broken;
            slice.scopes.push(Arc::clone(own));
        }
        slice
    }

    /// The policies of one effect about one action, scope by scope.
    pub(crate) fn policies(&self, action: Action, effect: Effect) -> impl Iterator<Item = &PolicySet> {
        let sets = self.scopes.iter().map(move |own| {
            let sides = own.sides(action);
            match effect {
                Effect::Permit => &sides.permits,
                Effect::Forbid => &sides.forbids,
            }
        });
        sets.filter(|set| !set.is_empty())
    }

    /// Whether a policy about columns may tell one from its siblings that say the same of themselves.
    pub(crate) fn tells_apart(&self, column: &EntityUid) -> bool {
        self.scopes.iter().any(|own| own.distinctions.apart(column))
    }
}

impl Own {
    pub(crate) fn new<'a>(rules: impl IntoIterator<Item = &'a Arc<Rule>>) -> Self {
        let mut own = Self::default();
        for rule in rules {
            if rule.covers.query || rule.covers.read {
                own.mentions = own.mentions.union(rule.mentions);
            }
            if rule.covers.read {
                own.distinctions.add(&rule.distinctions);
            }
            own.looks_inside_tables |= rule.covers.query && names_column(rule);
            let Covers { query, read, discover, manage } = rule.covers;
            let sides = [
                (query, &mut own.query),
                (read, &mut own.read),
                (discover, &mut own.discover),
                (manage, &mut own.manage),
            ];
            for (_, sides) in sides.into_iter().filter(|(covered, _)| *covered) {
                let set = match rule.effect {
                    Effect::Permit => &mut sides.permits,
                    Effect::Forbid => &mut sides.forbids,
                };
                // SECURITY: a forbid that is left out is a hole, so a set that does not take it decides nothing.
                own.broken |= set.add(rule.policy.clone()).is_err();
            }
        }
        own
    }

    fn sides(&self, action: Action) -> &Sides {
        match action {
            Action::Query => &self.query,
            Action::Read => &self.read,
            Action::Discover => &self.discover,
            Action::Manage => &self.manage,
        }
    }
}

fn names_column(rule: &Rule) -> bool {
    rule.policy.entity_literals().iter().any(|uid| Kind::of(uid.type_name()) == Some(Kind::Column))
}
