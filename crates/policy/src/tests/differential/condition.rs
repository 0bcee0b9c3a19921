//! Conditions of `when` and `unless` in the abstract: what they mean, and the Cedar that says the same.

use meshgate_identity::Authentication;
use meshgate_model::AttributeValue;

use super::asker::Asker;
use super::things::{Entity, Kind, View};

/// True or false of a question, or an error.
#[derive(Debug, Clone)]
pub(super) enum Condition {
    True,
    InGroups(Vec<&'static str>),
    IsPrincipal(bool, &'static str),
    IsService(bool),
    HasRegion,
    Region(&'static str),
    Clearance(i64),
    /// `clearance + 1 > ..`, which the greatest number is too great for.
    ClearanceAbove(i64),
    Vip,
    Country(&'static str),
    /// Of the resource; without the action `manage`, of which some resources have none.
    Tag(&'static str),
    AnyTag(Vec<&'static str>),
    Classification(&'static str),
    Classified,
    Critical,
    Type(&'static str),
    ColumnNamed(&'static str),
    TableNamed(&'static str),
    TableVersion(&'static str),
    Is(Kind),
    Equals(Entity),
    /// In one of several entities of one kind.
    Within(Vec<Entity>),
    /// `Column::".." in resource`
    Holds(Entity),
    /// `Table::"..".tags.contains("..")`, which is an error of anything else's.
    TagOf(Entity, &'static str),
    Purpose(&'static str),
    Authentication(Authentication),
    /// Within 10.0.0.0/8, if there is an address; an error without one.
    FromInside,
    /// Before a moment in seconds since 1970.
    Before(i64),
    Not(Box<Condition>),
    And(Vec<Condition>),
    Or(Vec<Condition>),
}

/// A policy could not be evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fails;

impl Condition {
    pub(super) fn holds(&self, asker: &Asker, view: &View<'_>) -> Result<bool, Fails> {
        let attribute = |name: &str| asker.attributes.get(name);
        let own = &view.resource;
        let is_column = own.entity.kind == Kind::Column;
        let is_table = own.entity.kind == Kind::Table;
        Ok(match self {
            Self::True => true,
            Self::InGroups(groups) => groups.iter().any(|group| asker.groups.contains(group)),
            Self::IsPrincipal(service, name) => asker.service == *service && asker.name == *name,
            Self::IsService(service) => asker.service == *service,
            Self::HasRegion => attribute("region").is_some(),
            Self::Region(region) => {
                matches!(attribute("region"), Some(AttributeValue::String(own)) if own == region)
            }
            Self::Clearance(least) => {
                matches!(attribute("clearance"), Some(AttributeValue::Integer(own)) if own > least)
            }
            Self::ClearanceAbove(least) => match attribute("clearance") {
                Some(AttributeValue::Integer(own)) => own.checked_add(1).ok_or(Fails)? > *least,
                _ => false,
            },
            Self::Vip => matches!(attribute("vip"), Some(AttributeValue::Boolean(true))),
            Self::Country(country) => {
                matches!(attribute("countries"), Some(AttributeValue::StringSet(own)) if own.contains(*country))
            }
            Self::Tag(tag) => own.tags.contains(tag),
            Self::AnyTag(tags) => tags.iter().any(|tag| own.tags.contains(tag)),
            Self::Classification(word) => own.classification == Some(word),
            Self::Classified => is_column && own.classification.is_some(),
            Self::Critical => is_column && own.critical,
            Self::Type(kind) => is_column && own.logical_type == *kind,
            Self::ColumnNamed(name) => is_column && own.name == *name,
            Self::TableNamed(name) => is_table && own.name == *name,
            Self::TableVersion(start) => is_table && own.version.starts_with(start),
            Self::Is(kind) => own.entity.kind == *kind,
            Self::Equals(entity) => own.entity == *entity,
            Self::Within(entities) => entities.iter().any(|entity| own.is_in(entity)),
            Self::Holds(column) => view.is_inside(column, &own.entity),
            Self::TagOf(entity, tag) => view.tags_of(entity).ok_or(Fails)?.contains(tag),
            Self::Purpose(purpose) => asker.purpose == Some(purpose),
            Self::Authentication(way) => asker.authentication == *way,
            Self::FromInside => asker.client_ip.ok_or(Fails)?[0] == 10,
            Self::Before(moment) => asker.now < *moment,
            Self::Not(inner) => !inner.holds(asker, view)?,
            Self::And(all) => {
                for part in all {
                    if !part.holds(asker, view)? {
                        return Ok(false);
                    }
                }
                true
            }
            Self::Or(all) => {
                for part in all {
                    if part.holds(asker, view)? {
                        return Ok(true);
                    }
                }
                false
            }
        })
    }

    /// What can be told of the condition by kinds alone. A policy that can never apply by its kinds is refused.
    pub(super) fn by_kind(&self, service: bool, resource: Kind) -> Option<bool> {
        let only = |possible: bool| if possible { None } else { Some(false) };
        match self {
            Self::True => Some(true),
            Self::IsPrincipal(of, _) => only(*of == service),
            Self::IsService(of) => Some(*of == service),
            Self::Tag(_) | Self::AnyTag(_) => only(resource != Kind::Domain),
            Self::Classification(_) | Self::Classified | Self::Critical | Self::Type(_) | Self::ColumnNamed(_) => {
                only(resource == Kind::Column)
            }
            Self::TableNamed(_) | Self::TableVersion(_) => only(resource == Kind::Table),
            Self::Is(kind) => Some(*kind == resource),
            Self::Equals(entity) => only(entity.kind == resource),
            Self::Within(entities) => only(entities.iter().any(|entity| entity.kind <= resource)),
            Self::Not(inner) => inner.by_kind(service, resource).map(|known| !known),
            Self::And(all) => super::filter::and(all.iter().map(|part| part.by_kind(service, resource))),
            Self::Or(all) => super::filter::or(all.iter().map(|part| part.by_kind(service, resource))),
            _ => None,
        }
    }

    /// Whether the condition asks for the tags of a resource that may have none.
    pub(super) fn asks_for_tags(&self) -> bool {
        matches!(self, Self::Tag(_) | Self::AnyTag(_)) || self.parts().iter().any(|part| part.asks_for_tags())
    }

    pub(super) fn cedar(&self) -> String {
        let joined = |all: &[Self], word: &str| {
            let parts: Vec<_> = all.iter().map(|part| format!("({})", part.cedar())).collect();
            parts.join(word)
        };
        match self {
            Self::True => "true".to_owned(),
            Self::InGroups(groups) => match groups.as_slice() {
                [group] => format!("principal in Group::\"{group}\""),
                groups => {
                    let groups: Vec<_> = groups.iter().map(|group| format!("Group::\"{group}\"")).collect();
                    format!("principal in [{}]", groups.join(", "))
                }
            },
            Self::IsPrincipal(service, name) => format!("principal == {}::\"{name}\"", kind_of(*service)),
            Self::IsService(service) => format!("principal is {}", kind_of(*service)),
            Self::HasRegion => "principal has region".to_owned(),
            Self::Region(region) => format!("principal has region && principal.region == \"{region}\""),
            Self::Clearance(least) => format!("principal has clearance && principal.clearance > {least}"),
            Self::ClearanceAbove(least) => format!("principal has clearance && principal.clearance + 1 > {least}"),
            Self::Vip => "principal has vip && principal.vip".to_owned(),
            Self::Country(country) => {
                format!("principal has countries && principal.countries.contains(\"{country}\")")
            }
            Self::Tag(tag) => format!("resource.tags.contains(\"{tag}\")"),
            Self::AnyTag(tags) => format!("resource.tags.containsAny({tags:?})"),
            Self::Classification(word) => {
                format!("resource is Column && resource has classification && resource.classification == \"{word}\"")
            }
            Self::Classified => "resource is Column && resource has classification".to_owned(),
            Self::Critical => "resource is Column && resource.critical".to_owned(),
            Self::Type(kind) => format!("resource is Column && resource.logicalType == \"{kind}\""),
            Self::ColumnNamed(name) => format!("resource is Column && resource.name == \"{name}\""),
            Self::TableNamed(name) => format!("resource is Table && resource.name == \"{name}\""),
            Self::TableVersion(start) => format!("resource is Table && resource.version like \"{start}*\""),
            Self::Is(kind) => format!("resource is {kind:?}"),
            Self::Equals(entity) => format!("resource == {entity}"),
            Self::Within(entities) => match entities.as_slice() {
                [entity] => format!("resource in {entity}"),
                entities => {
                    let entities: Vec<_> = entities.iter().map(ToString::to_string).collect();
                    format!("resource in [{}]", entities.join(", "))
                }
            },
            Self::Holds(column) => format!("{column} in resource"),
            Self::TagOf(entity, tag) => format!("{entity}.tags.contains(\"{tag}\")"),
            Self::Purpose(purpose) => format!("context has purpose && context.purpose == \"{purpose}\""),
            Self::Authentication(way) => format!("context.authentication == \"{}\"", way.as_str()),
            Self::FromInside => "context.clientIp.isInRange(ip(\"10.0.0.0/8\"))".to_owned(),
            Self::Before(moment) => {
                let moment = chrono::DateTime::from_timestamp(*moment, 0).expect("a time");
                format!("context.now < datetime(\"{}\")", moment.format("%Y-%m-%dT%H:%M:%SZ"))
            }
            Self::Not(inner) => format!("!({})", inner.cedar()),
            Self::And(all) => joined(all, " && "),
            Self::Or(all) => joined(all, " || "),
        }
    }

    pub(super) fn parts(&self) -> Vec<&Self> {
        match self {
            Self::Not(inner) => vec![inner],
            Self::And(all) | Self::Or(all) => all.iter().collect(),
            _ => Vec::new(),
        }
    }
}

pub(super) fn kind_of(service: bool) -> &'static str {
    if service { "Service" } else { "User" }
}
