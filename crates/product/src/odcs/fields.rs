//! Every field of the Open Data Contract Standard v3.0 to v3.2; schemas and servers have files of their own.

use crate::shape::{Field, Kind, Shape, may, must};

use super::schema::OBJECT;
use super::servers;

pub(super) const V31: u16 = 310;
pub(super) const V32: u16 = 320;

pub(super) const ID: Field = may("id", Kind::Id).since(V31);
pub(super) const TAGS: Field = may("tags", Kind::Texts);
pub(super) const DEFINITIONS: Field = may("authoritativeDefinitions", Kind::List(&DEFINITION));
/// Where none of our names has a meaning.
pub(super) const CUSTOM: Field = may("customProperties", Kind::Custom(&CUSTOM_PROPERTY, &[]));
/// On the contract and on a schema object.
pub(super) const CUSTOM_OURS: Field =
    may("customProperties", Kind::Custom(&CUSTOM_PROPERTY, &[super::ON_BREACH, super::MAX_STALENESS]));

pub(super) static CONTRACT: Shape = Shape {
    what: "a contract",
    fields: &[&[
        must("version", Kind::Text),
        must("apiVersion", Kind::Text),
        must("kind", Kind::Text),
        must("id", Kind::Text),
        may("name", Kind::Text),
        may("tenant", Kind::Text),
        TAGS,
        may("status", Kind::Text),
        may("servers", Kind::PickList(servers::shape_of)),
        may("dataProduct", Kind::Text),
        may("description", Kind::Object(&DESCRIPTION)),
        may("domain", Kind::Text),
        may("context", Kind::TextOrObject(&CONTEXT)).since(V32),
        may("schema", Kind::List(&OBJECT)),
        may("support", Kind::List(&SUPPORT)),
        may("price", Kind::Object(&PRICE)),
        may("team", Kind::ObjectOrList(&TEAM, &MEMBER)),
        may("roles", Kind::List(&ROLE)),
        may("slaDefaultElement", Kind::Text),
        may("slaProperties", Kind::List(&SLA)),
        DEFINITIONS,
        CUSTOM_OURS,
        may("contractCreatedTs", Kind::Text),
    ]],
};

static DESCRIPTION: Shape = Shape {
    what: "a description",
    fields: &[&[
        may("usage", Kind::Text),
        may("purpose", Kind::Text),
        may("limitations", Kind::Text),
        DEFINITIONS,
        CUSTOM,
    ]],
};

pub(super) static CONTEXT: Shape = Shape {
    what: "a context",
    fields: &[&[
        may("instructions", Kind::Text),
        may("verifiedStatements", Kind::List(&STATEMENT)),
        may("constraints", Kind::List(&CONSTRAINT)),
    ]],
};

static STATEMENT: Shape = Shape {
    what: "a verified statement",
    fields: &[&[
        may("id", Kind::Text),
        must("question", Kind::Text),
        may("answer", Kind::Text),
        DEFINITIONS,
        TAGS,
        CUSTOM,
    ]],
};

static CONSTRAINT: Shape = Shape {
    what: "a constraint",
    fields: &[&[may("id", Kind::Text), must("constraint", Kind::Text), DEFINITIONS, TAGS, CUSTOM]],
};

pub(super) static DEFINITION: Shape = Shape {
    what: "an authoritative definition",
    fields: &[&[ID, must("url", Kind::Text), must("type", Kind::Text), may("description", Kind::Text)]],
};

pub(super) static CUSTOM_PROPERTY: Shape = Shape {
    what: "a custom property",
    fields: &[&[
        ID,
        must("property", Kind::Text),
        must("value", Kind::Any),
        may("description", Kind::Text),
        may("vendor", Kind::Text).since(V32),
    ]],
};

static SUPPORT: Shape = Shape {
    what: "a support channel",
    fields: &[&[
        ID,
        must("channel", Kind::Text),
        may("url", Kind::Text),
        may("description", Kind::Text),
        may("tool", Kind::Text),
        may("scope", Kind::Text),
        may("invitationUrl", Kind::Text),
        CUSTOM,
    ]],
};

static PRICE: Shape = Shape {
    what: "a price",
    fields: &[&[ID, may("priceAmount", Kind::Number), may("priceCurrency", Kind::Text), may("priceUnit", Kind::Text)]],
};

static MEMBER: Shape = Shape {
    what: "a team member",
    fields: &[&[
        ID,
        must("username", Kind::Text),
        may("name", Kind::Text),
        may("description", Kind::Text),
        may("role", Kind::Text),
        may("dateIn", Kind::Text),
        may("dateOut", Kind::Text),
        may("replacedByUsername", Kind::Text),
        TAGS,
        CUSTOM,
        DEFINITIONS,
    ]],
};

static TEAM: Shape = Shape {
    what: "a team",
    fields: &[&[
        ID,
        may("name", Kind::Text),
        may("description", Kind::Text),
        may("members", Kind::List(&MEMBER)),
        TAGS,
        CUSTOM,
        DEFINITIONS,
    ]],
};

pub(super) static ROLE: Shape = Shape {
    what: "a role",
    fields: &[&[
        ID,
        must("role", Kind::Text),
        may("description", Kind::Text),
        may("access", Kind::Text),
        may("firstLevelApprovers", Kind::Text),
        may("secondLevelApprovers", Kind::Text),
        CUSTOM,
    ]],
};

static SLA: Shape = Shape {
    what: "an SLA property",
    fields: &[&[
        ID,
        must("property", Kind::Text),
        must("value", Kind::Scalar),
        may("valueExt", Kind::Scalar),
        may("unit", Kind::Text),
        may("element", Kind::Text),
        may("driver", Kind::Text),
        may("description", Kind::Text).since(V31),
        may("scheduler", Kind::Text).since(V31),
        may("schedule", Kind::Text).since(V31),
        may("customProperties", Kind::Custom(&CUSTOM_PROPERTY, &[])).since(V32),
        may("authoritativeDefinitions", Kind::List(&DEFINITION)).since(V32),
    ]],
};
