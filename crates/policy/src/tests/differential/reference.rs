//! The documentation of policies, read to the letter and nothing else: no Cedar, no code of this crate. In doubt, less is
//! shown.

use std::collections::{BTreeMap, BTreeSet};

use super::asker::Asker;
use super::condition::Fails;
use super::filter::{Asked, Filter};
use super::mesh::{Column, Mesh, Placed, Version};
use super::policy::{Action, Policy};
use super::things::{self, Thing, View};

/// What somebody sees of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    Absent,
    Visible(Seen),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// For each row of the table, whether it is shown.
    pub(super) rows: Vec<bool>,
    /// How each column and each field is read.
    pub(super) columns: BTreeMap<String, Reading>,
    /// The policies that decided about the table and its rows.
    pub(super) by: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reading {
    Hidden,
    Plain,
    /// By which mask, and the column that it is put on: this one or one that it is in.
    Masked(String, String),
}

/// Why a table is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Why {
    NotPermitted,
    Forbidden,
    /// A policy could not be evaluated, or an attribute is of another type than the mesh says.
    Failed,
    /// A policy that has a say is no policy.
    Broken,
    /// The version is not out.
    NotOut,
}

impl From<Fails> for Why {
    fn from(_: Fails) -> Self {
        Self::Failed
    }
}

pub(super) struct Reference<'a> {
    pub(super) mesh: &'a Mesh,
    pub(super) policies: &'a [Policy],
}

/// One table and who asks for it.
struct Question<'a> {
    asker: &'a Asker,
    described: &'a [Thing<'a>],
    /// All policies that have a say.
    policies: Vec<&'a Policy>,
}

impl Question<'_> {
    fn satisfied(&self, permits: bool, action: Action, thing: &Thing<'_>) -> Result<Vec<&Policy>, Fails> {
        let view = View { resource: thing.clone(), described: self.described };
        let mut satisfied = Vec::new();
        for policy in self.policies.iter().filter(|policy| policy.permits == permits && policy.action.covers(action)) {
            if policy.is_satisfied(self.asker, &view)? {
                satisfied.push(*policy);
            }
        }
        Ok(satisfied)
    }
}

impl<'a> Reference<'a> {
    pub(super) fn decide(&self, asker: &'a Asker, placed: Placed<'a>) -> Result<Seen, Why> {
        let policies: Vec<_> = self.policies.iter().filter(|policy| policy.scope.is_about(placed)).collect();
        if policies.iter().any(|policy| policy.broken.is_some()) {
            return Err(Why::Broken);
        }
        if matches!(placed.version.status, "draft" | "proposed") && !asker.groups.contains(placed.domain.owners) {
            return Err(Why::NotOut);
        }
        if asker.is_mistyped() {
            return Err(Why::Failed);
        }
        let described = things::described(placed);
        let question = Question { asker, described: &described, policies };

        let table = Thing::table(placed);
        let permits = question.satisfied(true, Action::Query, &table)?;
        let forbids = question.satisfied(false, Action::Query, &table)?;
        let mut columns = BTreeMap::new();
        for column in &placed.table.columns {
            Part::of(&question, table.field(column), column)?.told(false, "", &mut columns);
        }
        if permits.is_empty() {
            return Err(Why::NotPermitted);
        }
        if forbids.iter().any(|forbid| forbid.rows.is_none()) {
            return Err(Why::Forbidden);
        }
        let asked = Asked { asker, mesh: self.mesh };
        let rows = placed.table.rows.iter().map(|row| {
            let holds = |filter: &Filter| filter.holds(row, asked);
            let permitted = permits.iter().any(|policy| policy.rows.as_ref().is_none_or(|f| holds(f) == Some(true)));
            permitted && forbids.iter().filter_map(|policy| policy.rows.as_ref()).all(|f| holds(f) == Some(false))
        });
        let rows = rows.collect();
        let by = permits.iter().chain(&forbids).map(|policy| policy.name()).collect();
        Ok(Seen { rows, columns, by })
    }
}

/// Who sees what in the catalog and manages what: the product, the table, the product, the domain.
pub(super) type Listed = [bool; 4];

impl<'a> Reference<'a> {
    /// Whether a table's product and the table may be discovered, and its product and its domain managed.
    pub(super) fn listed(&self, asker: &'a Asker, placed: Placed<'a>) -> Listed {
        let owns = asker.groups.contains(placed.domain.owners);
        let is_out = |version: &Version| matches!(version.status, "active" | "deprecated");
        let things =
            [Thing::domain(placed.domain), Thing::product(placed.domain, placed.product), Thing::table(placed)];
        let product = Some(placed.product.name);
        let allows = |action, thing: usize, product| self.allows(asker, action, &things[..=thing], placed, product);
        [
            owns || placed.product.versions.iter().any(is_out) && allows(Action::Discover, 1, product),
            owns || is_out(placed.version) && allows(Action::Discover, 2, product),
            owns || allows(Action::Manage, 1, product),
            owns || allows(Action::Manage, 0, None),
        ]
    }

    /// Whether the last of these may be, as Cedar has it: permitted, not forbidden, and nothing failed.
    fn allows(
        &self,
        asker: &'a Asker,
        action: Action,
        described: &[Thing<'_>],
        placed: Placed<'a>,
        product: Option<&str>,
    ) -> bool {
        let covers = |policy: &&Policy| policy.scope.covers(placed.domain.name, product);
        let policies: Vec<_> = self.policies.iter().filter(covers).collect();
        if policies.iter().any(|policy| policy.broken.is_some()) || asker.is_mistyped() {
            return false;
        }
        let question = Question { asker, described, policies };
        let satisfied = |permits| described.last().map(|thing| question.satisfied(permits, action, thing));
        match (satisfied(true), satisfied(false)) {
            (Some(Ok(permits)), Some(Ok(forbids))) => !permits.is_empty() && forbids.is_empty(),
            _ => false,
        }
    }
}

/// A column or field, and what was said of it and of everything inside.
struct Part<'a> {
    column: &'a Column,
    permitted: bool,
    /// The masks of its forbids; none for a forbid without one.
    forbids: Vec<Option<String>>,
    inside: Vec<Part<'a>>,
}

impl<'a> Part<'a> {
    fn of(question: &Question<'a>, thing: Thing<'a>, column: &'a Column) -> Result<Self, Fails> {
        let permitted = !question.satisfied(true, Action::Read, &thing)?.is_empty();
        let mut forbids = Vec::new();
        // What is forbidden of an element is forbidden of the list.
        for thing in [thing.clone()].iter().chain(&things::elements(&thing, column)) {
            let forbidding = question.satisfied(false, Action::Read, thing)?;
            forbids.extend(forbidding.iter().map(|policy| policy.mask.map(|mask| mask.bound(question.asker))));
        }
        let fields = column.inside().iter();
        let inside = fields.map(|field| Self::of(question, thing.field(field), field)).collect::<Result<_, _>>()?;
        Ok(Self { column, permitted, forbids, inside })
    }

    /// The forbids of this and of everything inside.
    fn all_forbids(&self) -> Vec<&Option<String>> {
        self.forbids.iter().chain(self.inside.iter().flat_map(Self::all_forbids)).collect()
    }

    /// Whether anything is left of it.
    fn is_visible(&self, above: bool) -> bool {
        let permitted = self.permitted || above;
        if !self.forbids.is_empty() {
            // A mask is on the whole of a column, so that there must be a permit for the whole, and nothing inside may be
            // more than masked.
            return permitted && self.all_forbids().iter().all(|mask| mask.is_some());
        }
        if self.inside.is_empty() { permitted } else { self.inside.iter().any(|part| part.is_visible(permitted)) }
    }

    fn told(&self, above: bool, place: &str, into: &mut BTreeMap<String, Reading>) {
        let place = if place.is_empty() { self.column.name.clone() } else { format!("{place}.{}", self.column.name) };
        let permitted = self.permitted || above;
        if !self.is_visible(above) {
            return self.all_told(&Reading::Hidden, &place, into);
        }
        if !self.forbids.is_empty() {
            let masks: BTreeSet<_> = self.all_forbids().into_iter().flatten().collect();
            let mask = match masks.first() {
                Some(only) if masks.len() == 1 => (*only).clone(),
                _ => "replace-with-null".to_owned(),
            };
            return self.all_told(&Reading::Masked(mask, place.clone()), &place, into);
        }
        self.inside.iter().for_each(|part| part.told(permitted, &place, into));
        into.insert(place, Reading::Plain);
    }

    fn all_told(&self, reading: &Reading, place: &str, into: &mut BTreeMap<String, Reading>) {
        into.insert(place.to_owned(), reading.clone());
        for part in &self.inside {
            part.all_told(reading, &format!("{place}.{}", part.column.name), into);
        }
    }
}

impl Told {
    /// What is more here than in another answer; nothing, if all of this is in the other.
    pub(super) fn more_than(&self, other: &Self) -> Option<String> {
        let (less, more) = match (self, other) {
            (Self::Absent, _) => return None,
            (Self::Visible(_), Self::Absent) => return Some("the table".to_owned()),
            (Self::Visible(less), Self::Visible(more)) => (less, more),
        };
        if let Some(row) = less.rows.iter().zip(&more.rows).position(|(less, more)| *less && !*more) {
            return Some(format!("row {row}"));
        }
        let fits = |less: &Reading, more: &Reading| match (less, more) {
            (Reading::Hidden, _) | (_, Reading::Plain) => true,
            (Reading::Masked(less, _), Reading::Masked(more, _)) => less == more || less == "replace-with-null",
            _ => false,
        };
        let mut columns = less.columns.iter();
        columns
            .find(|(path, reading)| !more.columns.get(*path).is_some_and(|more| fits(reading, more)))
            .map(|(path, reading)| format!("column {path}: {:?} before, {reading:?} now", more.columns.get(path)))
    }
}
