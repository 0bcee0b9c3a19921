//! Policies in the abstract, and the Cedar that says the same.

use super::asker::Asker;
use super::condition::{Condition, kind_of};
use super::filter::Filter;
use super::mesh::Placed;
use super::things::{Entity, Kind, View};

#[derive(Debug, Clone)]
pub(super) struct Policy {
    pub(super) id: usize,
    pub(super) scope: Scope,
    /// In which of the files of its scope it stands.
    pub(super) file: usize,
    pub(super) permits: bool,
    pub(super) who: Who,
    pub(super) action: Act,
    pub(super) about: About,
    /// `when` or `unless`, and of what.
    pub(super) clauses: Vec<(bool, Condition)>,
    pub(super) rows: Option<Filter>,
    pub(super) mask: Option<MaskText>,
    /// What is wrong with it, if it is no valid policy: an annotation or a condition that there is not.
    pub(super) broken: Option<Broken>,
}

/// Whose policy it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Mesh,
    Domain(&'static str),
    Product(&'static str, &'static str),
}

#[derive(Debug, Clone)]
pub(super) enum Who {
    Anybody,
    Is(bool),
    Equals(bool, &'static str),
    In(&'static str),
    IsIn(bool, &'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Any,
    Access,
    Query,
    Read,
    QueryAndRead,
    AccessAndDiscover,
    Discover,
    Manage,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Query,
    Read,
    Discover,
    Manage,
}

#[derive(Debug, Clone)]
pub(super) enum About {
    Anything,
    Is(Kind),
    Equals(Entity),
    In(Entity),
    IsIn(Kind, Entity),
}

/// The text of a mask, which may hold a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MaskText {
    Named(&'static str),
    /// `sql:concat($value, $region)`
    WithRegion,
    /// `sql:concat($value, $purpose)`
    WithPurpose,
    /// `sql:concat($value, 'EU')`
    WithText,
    /// `sql:$value`
    Value,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Broken {
    Annotation,
    Condition,
    Mask,
}

impl Scope {
    /// Whether its policies have a say about what is in a domain and product.
    pub(super) fn covers(self, domain: &str, product: Option<&str>) -> bool {
        match self {
            Self::Mesh => true,
            Self::Domain(own) => own == domain,
            Self::Product(own, inside) => own == domain && product == Some(inside),
        }
    }

    pub(super) fn is_about(self, placed: Placed<'_>) -> bool {
        self.covers(placed.domain.name, Some(placed.product.name))
    }

    pub(super) fn file(self, number: usize) -> String {
        match self {
            Self::Mesh => format!("governance/policies/{number}.cedar"),
            Self::Domain(domain) => format!("domains/{domain}/policies/{number}.cedar"),
            Self::Product(domain, product) => format!("domains/{domain}/products/{product}/policies/{number}.cedar"),
        }
    }
}

impl Act {
    pub(super) fn covers(self, action: Action) -> bool {
        let access = matches!(action, Action::Query | Action::Read);
        match self {
            Self::Any => true,
            Self::Access | Self::QueryAndRead => access,
            Self::Query => action == Action::Query,
            Self::Read => action == Action::Read,
            Self::AccessAndDiscover => access || action == Action::Discover,
            Self::Discover => action == Action::Discover,
            Self::Manage => action == Action::Manage,
        }
    }

    fn cedar(self) -> &'static str {
        match self {
            Self::Any => "action",
            Self::Access => "action in Action::\"access\"",
            Self::Query => "action == Action::\"query\"",
            Self::Read => "action == Action::\"read\"",
            Self::QueryAndRead => "action in [Action::\"query\", Action::\"read\"]",
            Self::AccessAndDiscover => "action in [Action::\"access\", Action::\"discover\"]",
            Self::Discover => "action == Action::\"discover\"",
            Self::Manage => "action == Action::\"manage\"",
        }
    }
}

impl Action {
    const ALL: [Self; 4] = [Self::Query, Self::Read, Self::Discover, Self::Manage];

    /// The kinds of what it can be asked of.
    fn kinds(self) -> &'static [Kind] {
        match self {
            Self::Query => &[Kind::Table],
            Self::Read => &[Kind::Column],
            Self::Discover => &[Kind::Product, Kind::Table],
            Self::Manage => &[Kind::Domain, Kind::Product],
        }
    }
}

impl Who {
    fn holds(&self, asker: &Asker) -> bool {
        match self {
            Self::Anybody => true,
            Self::Is(service) => asker.service == *service,
            Self::Equals(service, name) => asker.service == *service && asker.name == *name,
            Self::In(group) => asker.groups.contains(group),
            Self::IsIn(service, group) => asker.service == *service && asker.groups.contains(group),
        }
    }

    fn can_be(&self, service: bool) -> bool {
        match self {
            Self::Anybody | Self::In(_) => true,
            Self::Is(of) | Self::Equals(of, _) | Self::IsIn(of, _) => *of == service,
        }
    }

    fn cedar(&self) -> String {
        match self {
            Self::Anybody => "principal".to_owned(),
            Self::Is(service) => format!("principal is {}", kind_of(*service)),
            Self::Equals(service, name) => format!("principal == {}::\"{name}\"", kind_of(*service)),
            Self::In(group) => format!("principal in Group::\"{group}\""),
            Self::IsIn(service, group) => format!("principal is {} in Group::\"{group}\"", kind_of(*service)),
        }
    }
}

impl About {
    fn holds(&self, view: &View<'_>) -> bool {
        let own = &view.resource;
        match self {
            Self::Anything => true,
            Self::Is(kind) => own.entity.kind == *kind,
            Self::Equals(entity) => own.entity == *entity,
            Self::In(entity) => own.is_in(entity),
            Self::IsIn(kind, entity) => own.entity.kind == *kind && own.is_in(entity),
        }
    }

    fn can_be(&self, resource: Kind) -> bool {
        match self {
            Self::Anything => true,
            Self::Is(kind) => *kind == resource,
            Self::Equals(entity) => entity.kind == resource,
            Self::In(entity) => entity.kind <= resource,
            Self::IsIn(kind, entity) => *kind == resource && entity.kind <= resource,
        }
    }

    fn cedar(&self) -> String {
        match self {
            Self::Anything => "resource".to_owned(),
            Self::Is(kind) => format!("resource is {kind:?}"),
            Self::Equals(entity) => format!("resource == {entity}"),
            Self::In(entity) => format!("resource in {entity}"),
            Self::IsIn(kind, entity) => format!("resource is {kind:?} in {entity}"),
        }
    }
}

impl MaskText {
    /// As it stands in a policy.
    pub(super) fn text(self) -> String {
        match self {
            Self::Named(name) => name.to_owned(),
            Self::WithRegion => "sql:concat($value, $region)".to_owned(),
            Self::WithPurpose => "sql:concat($value, $purpose)".to_owned(),
            Self::WithText => "sql:concat($value, 'EU')".to_owned(),
            Self::Value => "sql:$value".to_owned(),
        }
    }

    /// What it is for somebody: with values for parameters.
    pub(super) fn bound(self, asker: &Asker) -> String {
        let constant = |value: Option<&str>| value.map_or("NULL".to_owned(), |text| format!("'{text}'"));
        let region = match asker.attributes.get("region") {
            Some(meshgate_model::AttributeValue::String(region)) => Some(region.as_str()),
            _ => None,
        };
        let text = self.text();
        text.replace("$region", &constant(region)).replace("$purpose", &constant(asker.purpose))
    }
}

impl Policy {
    pub(super) fn name(&self) -> String {
        format!("p{}", self.id)
    }

    /// Whether the policy says something: its constraints and all its conditions.
    pub(super) fn is_satisfied(&self, asker: &Asker, view: &View<'_>) -> Result<bool, super::condition::Fails> {
        if !self.who.holds(asker) || !self.about.holds(view) {
            return Ok(false);
        }
        for (when, condition) in &self.clauses {
            if condition.holds(asker, view)? != *when {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether kinds alone leave something that the policy can apply to.
    pub(super) fn is_possible(&self) -> bool {
        let asked = Action::ALL.into_iter().filter(|action| self.action.covers(*action));
        let kinds: Vec<Kind> = asked.flat_map(|action| action.kinds().iter().copied()).collect();
        [false, true].into_iter().filter(|service| self.who.can_be(*service)).any(|service| {
            kinds.iter().filter(|kind| self.about.can_be(**kind)).any(|kind| {
                let mut clauses = self.clauses.iter();
                clauses.all(|(when, condition)| condition.by_kind(service, *kind) != Some(!when))
            })
        })
    }

    pub(super) fn cedar(&self) -> String {
        let mut text = format!("@id(\"{}\")", self.name());
        if let Some(rows) = &self.rows {
            text += &format!(" @rows(\"{}\")", rows.sql());
        }
        match (self.mask, self.broken) {
            (_, Some(Broken::Mask)) => text += " @mask(\"show-last-5\")",
            (Some(mask), _) => text += &format!(" @mask(\"{}\")", mask.text()),
            _ => {}
        }
        if matches!(self.broken, Some(Broken::Annotation)) {
            text += " @row(\"true\")";
        }
        let effect = if self.permits { "permit" } else { "forbid" };
        text += &format!("\n{effect} ({}, {}, {})", self.who.cedar(), self.action.cedar(), self.about.cedar());
        for (when, condition) in &self.clauses {
            let word = if *when { "when" } else { "unless" };
            text += &format!("\n{word} {{ {} }}", condition.cedar());
        }
        if matches!(self.broken, Some(Broken::Condition)) {
            text += "\nwhen { principal.nope }";
        }
        text + ";\n"
    }

    /// The same with less in it, which may say more or less.
    pub(super) fn simpler(&self) -> Vec<Self> {
        let mut all = Vec::new();
        for (number, (when, condition)) in self.clauses.iter().enumerate() {
            let mut less = self.clone();
            less.clauses.remove(number);
            all.push(less);
            for part in condition.parts() {
                let mut less = self.clone();
                less.clauses[number] = (*when, part.clone());
                all.push(less);
            }
        }
        if let Some(rows) = &self.rows {
            all.push(Self { rows: None, ..self.clone() });
            all.extend(rows.parts().into_iter().map(|part| Self { rows: Some(part.clone()), ..self.clone() }));
        }
        if self.mask.is_some() {
            all.push(Self { mask: None, ..self.clone() });
        }
        if !matches!(self.who, Who::Anybody) {
            all.push(Self { who: Who::Anybody, ..self.clone() });
        }
        if self.broken.is_some() {
            all.push(Self { broken: None, ..self.clone() });
        }
        all.retain(Self::is_possible);
        all
    }
}
