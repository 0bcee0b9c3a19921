//! Who asks, and how.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use meshgate_identity::{Authentication, Principal, PrincipalKind};
use meshgate_model::{AttributeType, AttributeValue, Instant};

use crate::RequestContext;

/// A principal with a request.
#[derive(Debug, Clone)]
pub(super) struct Asker {
    pub(super) service: bool,
    pub(super) name: &'static str,
    pub(super) groups: BTreeSet<&'static str>,
    pub(super) attributes: BTreeMap<&'static str, AttributeValue>,
    pub(super) authentication: Authentication,
    pub(super) purpose: Option<&'static str>,
    pub(super) client_ip: Option<[u8; 4]>,
    /// Seconds since 1970.
    pub(super) now: i64,
}

/// The attributes that the mesh declares.
pub(super) const ATTRIBUTES: [(&str, AttributeType); 5] = [
    ("region", AttributeType::String),
    ("clearance", AttributeType::Integer),
    ("vip", AttributeType::Boolean),
    ("countries", AttributeType::StringSet),
    ("levels", AttributeType::IntegerSet),
];

impl Asker {
    pub(super) fn principal(&self) -> Principal {
        let kind = if self.service { PrincipalKind::Service } else { PrincipalKind::User };
        let groups = self.groups.iter().map(|group| (*group).to_owned()).collect();
        let attributes = self.attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Principal::hypothetical(kind, self.name, groups, attributes).supposing(self.authentication)
    }

    pub(super) fn request(&self) -> RequestContext {
        RequestContext {
            purpose: self.purpose.map(str::to_owned),
            client_ip: self.client_ip.map(IpAddr::from),
            now: Instant(self.now * 1_000_000),
        }
    }

    /// Whether an attribute is not what the mesh says it is: then nothing can be believed of it.
    pub(super) fn is_mistyped(&self) -> bool {
        ATTRIBUTES.iter().any(|(name, kind)| {
            self.attributes.get(name).is_some_and(|value| {
                *kind
                    != match value {
                        AttributeValue::String(_) => AttributeType::String,
                        AttributeValue::Integer(_) => AttributeType::Integer,
                        AttributeValue::Boolean(_) => AttributeType::Boolean,
                        AttributeValue::StringSet(_) => AttributeType::StringSet,
                        AttributeValue::IntegerSet(_) => AttributeType::IntegerSet,
                    }
            })
        })
    }

    /// The same with a group, an attribute or something else of the request less.
    pub(super) fn simpler(&self) -> Vec<Self> {
        let mut all = Vec::new();
        for group in &self.groups {
            let mut less = self.clone();
            less.groups.remove(group);
            all.push(less);
        }
        for name in self.attributes.keys() {
            let mut less = self.clone();
            less.attributes.remove(name);
            all.push(less);
        }
        if self.purpose.is_some() {
            all.push(Self { purpose: None, ..self.clone() });
        }
        all
    }
}
