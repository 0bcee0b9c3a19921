//! Principals, tables and columns as Cedar sees them. Entities are made for one table at a time; there is no store of
//! the whole mesh.

use std::collections::{BTreeSet, HashMap, HashSet};

use cedar_policy::{Entity, EntityAttrEvaluationError, EntityUid, RestrictedExpression};
use meshgate_identity::{Principal, PrincipalKind};
use meshgate_model::{AttributeType, AttributeTypes, AttributeValue, Name, TableAddress, mutant};
use meshgate_product::{Column, LogicalType, Product, Status, Table, Version};

use crate::path;
use crate::schema::Kind;

type Made = Result<Entity, Box<EntityAttrEvaluationError>>;

/// The principal's entity id.
pub(crate) fn principal_uid(principal: &Principal) -> EntityUid {
    match principal.kind() {
        PrincipalKind::User => Kind::User.uid(principal.name()),
        PrincipalKind::Service => Kind::Service.uid(principal.name()),
    }
}

/// The principal with its groups and the attributes that the mesh declares. The error names an attribute whose value
/// is not of the declared type: then nothing that a policy says of it can be trusted.
pub(crate) fn principal(principal: &Principal, declared: &AttributeTypes) -> Result<Made, String> {
    let mut attributes = HashMap::new();
    for (name, value) in principal.attributes() {
        match declared.get(name) {
            Some(kind) if *kind == type_of(value) => attributes.insert(name.clone(), restricted(value)),
            Some(_) if mutant("an attribute of another type is no attribute") => continue,
            Some(_) => return Err(name.clone()),
            // No policy of this release can name it.
            None => continue,
        };
    }
    let groups = principal.groups().iter().map(|group| Kind::Group.uid(group)).collect();
    Ok(Entity::new(principal_uid(principal), attributes, groups).map_err(Box::new))
}

fn type_of(value: &AttributeValue) -> AttributeType {
    match value {
        AttributeValue::String(_) => AttributeType::String,
        AttributeValue::Integer(_) => AttributeType::Integer,
        AttributeValue::Boolean(_) => AttributeType::Boolean,
        AttributeValue::StringSet(_) => AttributeType::StringSet,
        AttributeValue::IntegerSet(_) => AttributeType::IntegerSet,
    }
}

fn restricted(value: &AttributeValue) -> RestrictedExpression {
    use RestrictedExpression as Value;
    match value {
        AttributeValue::String(text) => Value::new_string(text.clone()),
        AttributeValue::Integer(number) => Value::new_long(*number),
        AttributeValue::Boolean(value) => Value::new_bool(*value),
        AttributeValue::StringSet(texts) => strings(texts),
        AttributeValue::IntegerSet(numbers) => Value::new_set(numbers.iter().map(|number| Value::new_long(*number))),
    }
}

pub(crate) fn domain(name: &Name) -> Entity {
    Entity::new_no_attrs(Kind::Domain.uid(name.as_str()), HashSet::new())
}

/// A product, as one of its versions; without any version, as its document.
pub(crate) fn product(product: &Product, version: Option<&Version>) -> Made {
    let status = version.map_or(product.status, |version| version.status);
    let attributes = HashMap::from([
        ("name".to_owned(), string(product.address.product.as_str())),
        ("version".to_owned(), string(version.map_or("", |version| &version.version))),
        ("status".to_owned(), string(status_word(status))),
        ("tags".to_owned(), strings(&product.tags)),
    ]);
    let parent = HashSet::from([Kind::Domain.uid(product.address.domain.as_str())]);
    Entity::new(Kind::Product.uid(product.address.to_string()), attributes, parent).map_err(Box::new)
}

/// A table; the tags of its contract are its tags as well.
pub(crate) fn table(table: &Table, version: &Version) -> Made {
    let attributes = HashMap::from([
        ("name".to_owned(), string(&table.name)),
        ("version".to_owned(), string(&table.version)),
        ("tags".to_owned(), strings(table.tags.iter().chain(&version.tags))),
    ]);
    let parent = HashSet::from([Kind::Product.uid(table.address.product.to_string())]);
    Entity::new(Kind::Table.uid(table.address.policy_id()), attributes, parent).map_err(Box::new)
}

/// A column or something inside one, with the id of its entity.
#[derive(Debug, Clone)]
pub(crate) struct ColumnEntity<'a> {
    pub(crate) column: &'a Column,
    pub(crate) id: String,
    parent: EntityUid,
}

/// What policies can tell a column by without its name. Columns of which it is the same stand in the same place and say
/// the same of themselves.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Likeness<'a> {
    parent: EntityUid,
    logical_type: Option<LogicalType>,
    classification: Option<&'a str>,
    tags: BTreeSet<&'a str>,
    critical: bool,
}

impl<'a> ColumnEntity<'a> {
    /// A column of a table.
    pub(crate) fn of_table(table: &TableAddress, column: &'a Column) -> Self {
        let table = table.policy_id();
        Self { column, id: format!("{table}.{}", column.name), parent: Kind::Table.uid(table) }
    }

    pub(crate) fn uid(&self) -> EntityUid {
        Kind::Column.uid(&self.id)
    }

    /// The element of a list. It has tags of its own, and what is forbidden of it is forbidden of the list.
    pub(crate) fn element(&self) -> Option<Self> {
        let column = self.column.items.as_deref()?;
        Some(Self { column, id: format!("{}[]", self.id), parent: self.uid() })
    }

    /// The fields inside: those of a struct, or of the structs in a list.
    pub(crate) fn fields(&self) -> impl Iterator<Item = Self> + '_ {
        let field = |column| Self { column, id: format!("{}.{}", self.id, column.name), parent: self.uid() };
        path::fields(self.column).iter().map(field)
    }

    /// INVARIANT: everything that [`Self::entity`] shows to policies is in here, but for the name and the id.
    pub(crate) fn likeness(&self) -> Likeness<'a> {
        let column = self.column;
        Likeness {
            parent: self.parent.clone(),
            logical_type: column.logical_type,
            classification: column.classification.as_deref().filter(|_| !mutant("columns of all classes are alike")),
            tags: column.tags.iter().map(String::as_str).collect(),
            critical: column.critical,
        }
    }

    /// The entities of this column and everything inside it.
    fn collect(&self, into: &mut Described<'a, '_>) -> Result<(), Box<EntityAttrEvaluationError>> {
        let leaf = self.column.items.is_none() && self.column.fields.is_empty();
        if leaf && !(into.apart)(&self.uid()) && !into.alike.insert(self.likeness()) {
            return Ok(());
        }
        into.entities.push(self.entity()?);
        let mut element = self.element();
        while let Some(inner) = element {
            into.entities.push(inner.entity()?);
            element = inner.element();
        }
        self.fields().try_for_each(|field| field.collect(into))
    }

    fn entity(&self) -> Made {
        let column = self.column;
        let mut attributes = HashMap::from([
            ("name".to_owned(), string(&column.name)),
            ("logicalType".to_owned(), string(column.logical_type.map_or("unknown", |kind| kind.as_str()))),
            ("tags".to_owned(), strings(&column.tags)),
            ("critical".to_owned(), RestrictedExpression::new_bool(column.critical)),
        ]);
        if let Some(classification) = &column.classification {
            attributes.insert("classification".to_owned(), string(classification));
        }
        Entity::new(self.uid(), attributes, HashSet::from([self.parent.clone()])).map_err(Box::new)
    }
}

/// The entities of a table. Of columns without anything inside that need not be told apart, the first stands for all that
/// are like it: describing a wide table takes longer than asking about it.
struct Described<'a, 'b> {
    entities: Vec<Entity>,
    apart: &'b dyn Fn(&EntityUid) -> bool,
    alike: HashSet<Likeness<'a>>,
}

/// The word of the standards for a status.
pub(crate) fn status_word(status: Status) -> &'static str {
    match status {
        Status::Proposed => "proposed",
        Status::Draft => "draft",
        Status::Active => "active",
        Status::Deprecated => "deprecated",
        Status::Retired => "retired",
    }
}

/// A table with its product and domain, and nothing inside it.
pub(crate) fn around_table(
    product_of: &Product,
    version: &Version,
    table_of: &Table,
) -> Result<Vec<Entity>, Box<EntityAttrEvaluationError>> {
    Ok(vec![domain(&product_of.address.domain), product(product_of, Some(version))?, table(table_of, version)?])
}

/// Everything of a table: its domain and product, itself, its columns, of which some are to be told `apart` from those that
/// are like them.
pub(crate) fn of_table(
    product_of: &Product,
    version: &Version,
    table_of: &Table,
    apart: &dyn Fn(&EntityUid) -> bool,
) -> Result<Vec<Entity>, Box<EntityAttrEvaluationError>> {
    let entities = around_table(product_of, version, table_of)?;
    let mut described = Described { entities, apart, alike: HashSet::new() };
    for column in &table_of.columns {
        ColumnEntity::of_table(&table_of.address, column).collect(&mut described)?;
    }
    Ok(described.entities)
}

fn string(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

fn strings<'a>(texts: impl IntoIterator<Item = &'a String>) -> RestrictedExpression {
    RestrictedExpression::new_set(texts.into_iter().map(|text| string(text)))
}
