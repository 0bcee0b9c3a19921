//! The Cedar schema of a mesh: the same for all but the attributes that mesh.yaml declares.

use std::fmt::Write;
use std::str::FromStr;
use std::sync::LazyLock;

use cedar_policy::entities_errors::EntitiesError;
use cedar_policy::{CedarSchemaError, Entity, EntityId, EntityTypeName, EntityUid, Schema};
use meshgate_model::{AttributeType, AttributeTypes};

const RESOURCES: &str = r#"
entity Group;
entity Domain;
entity Product in [Domain] { "name": String, "version": String, "status": String, "tags": Set<String> };
entity Table in [Product] { "name": String, "version": String, "tags": Set<String> };
entity Column in [Table, Column] {
    "name": String, "logicalType": String, "classification"?: String, "tags": Set<String>, "critical": Bool
};
type About = { "purpose"?: String, "clientIp": ipaddr, "authentication": String, "now": datetime };
action "access";
action "query" in [Action::"access"] appliesTo { principal: [User, Service], resource: [Table], context: About };
action "read" in [Action::"access"] appliesTo { principal: [User, Service], resource: [Column], context: About };
action "discover" appliesTo { principal: [User, Service], resource: [Product, Table], context: About };
action "manage" appliesTo { principal: [User, Service], resource: [Domain, Product], context: About };
"#;

/// The schema as text.
pub(crate) fn text(attributes: &AttributeTypes) -> String {
    let mut text = String::from("entity User, Service in [Group] {");
    for (name, kind) in attributes {
        let kind = match kind {
            AttributeType::String => "String",
            AttributeType::Integer => "Long",
            AttributeType::Boolean => "Bool",
            AttributeType::StringSet => "Set<String>",
            AttributeType::IntegerSet => "Set<Long>",
        };
        // A debug-printed string is a Cedar string: the escapes that names could need are the same.
        let _ = write!(text, " {name:?}?: {kind},");
    }
    text.push_str(" };\n");
    text + RESOURCES
}

/// The schema, parsed.
pub(crate) fn schema(attributes: &AttributeTypes) -> Result<Schema, Box<CedarSchemaError>> {
    Schema::from_cedarschema_str(&text(attributes)).map(|(schema, _)| schema).map_err(Box::new)
}

/// The action entities with their groups.
pub(crate) fn actions(schema: &Schema) -> Result<Vec<Entity>, Box<EntitiesError>> {
    Ok(schema.action_entities()?.iter().cloned().collect())
}

/// The entity types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Group,
    User,
    Service,
    Domain,
    Product,
    Table,
    Column,
    Action,
}

struct Types([EntityTypeName; 8]);

static TYPES: LazyLock<Types> = LazyLock::new(|| {
    let name = |kind: Kind| EntityTypeName::from_str(kind.as_str()).expect("the words of `Kind` are entity type names");
    Types(Kind::ALL.map(name))
});

impl Kind {
    const ALL: [Self; 8] =
        [Self::Group, Self::User, Self::Service, Self::Domain, Self::Product, Self::Table, Self::Column, Self::Action];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Group => "Group",
            Self::User => "User",
            Self::Service => "Service",
            Self::Domain => "Domain",
            Self::Product => "Product",
            Self::Table => "Table",
            Self::Column => "Column",
            Self::Action => "Action",
        }
    }

    /// The type of an entity, if it is one of ours.
    pub(crate) fn of(name: &EntityTypeName) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| TYPES.0[*kind as usize] == *name)
    }

    /// The entity of this type with this id.
    pub(crate) fn uid(self, id: impl AsRef<str>) -> EntityUid {
        EntityUid::from_type_name_and_id(TYPES.0[self as usize].clone(), EntityId::new(id))
    }
}
