//! What policies are about: domains, products, tables, columns, and what each says of itself.

use std::fmt;

use super::mesh::{Column, Domain, Placed, Product};

/// The kinds, each of which is inside the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Domain,
    Product,
    Table,
    Column,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entity {
    pub(super) kind: Kind,
    pub(super) id: String,
}

impl Entity {
    pub(super) fn new(kind: Kind, id: impl Into<String>) -> Self {
        Self { kind, id: id.into() }
    }
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}::\"{}\"", self.kind, self.id)
    }
}

/// Something that policies are asked about.
#[derive(Debug, Clone)]
pub(super) struct Thing<'a> {
    pub(super) entity: Entity,
    /// What it is in, without itself.
    pub(super) above: Vec<Entity>,
    pub(super) name: &'a str,
    pub(super) version: String,
    pub(super) tags: Vec<&'static str>,
    pub(super) classification: Option<&'static str>,
    pub(super) logical_type: &'static str,
    pub(super) critical: bool,
}

impl<'a> Thing<'a> {
    pub(super) fn is_in(&self, entity: &Entity) -> bool {
        self.entity == *entity || self.above.contains(entity)
    }

    fn plain(entity: Entity, above: Vec<Entity>, name: &'a str) -> Self {
        Self {
            entity,
            above,
            name,
            version: String::new(),
            tags: Vec::new(),
            classification: None,
            logical_type: "",
            critical: false,
        }
    }

    pub(super) fn domain(domain: &'a Domain) -> Self {
        Self::plain(Entity::new(Kind::Domain, domain.name), Vec::new(), domain.name)
    }

    pub(super) fn product(domain: &'a Domain, product: &'a Product) -> Self {
        let entity = Entity::new(Kind::Product, format!("{}.{}", domain.name, product.name));
        let above = vec![Entity::new(Kind::Domain, domain.name)];
        Self { tags: product.tags.clone(), ..Self::plain(entity, above, product.name) }
    }

    /// A table; its contract's tags are its own.
    pub(super) fn table(placed: Placed<'a>) -> Self {
        let product = Self::product(placed.domain, placed.product);
        let tags = [placed.table.tags.clone(), placed.version.tags.clone()].concat();
        let entity = Entity::new(Kind::Table, placed.id());
        Self { tags, version: placed.version.number(), ..Self::plain(entity, product.inside(), placed.table.name) }
    }

    /// What stands in this one, of a column, a field or an element.
    fn part(&self, column: &'a Column, id: String) -> Self {
        Self {
            tags: column.tags.clone(),
            classification: column.classification,
            logical_type: column.kind,
            critical: column.critical,
            ..Self::plain(Entity::new(Kind::Column, id), self.inside(), &column.name)
        }
    }

    /// A column of this table, or a field of this column.
    pub(super) fn field(&self, column: &'a Column) -> Self {
        self.part(column, format!("{}.{}", self.entity.id, column.name))
    }

    /// The element of this list.
    pub(super) fn element(&self, items: &'a Column) -> Self {
        self.part(items, format!("{}[]", self.entity.id))
    }

    fn inside(&self) -> Vec<Entity> {
        self.above.iter().chain([&self.entity]).cloned().collect()
    }
}

/// A question: about what, and everything that is there to look at.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) resource: Thing<'a>,
    pub(super) described: &'a [Thing<'a>],
}

impl View<'_> {
    fn find(&self, entity: &Entity) -> Option<&Thing<'_>> {
        self.described.iter().find(|thing| thing.entity == *entity)
    }

    /// Whether something is inside something else; nothing is known of what is not described.
    pub(super) fn is_inside(&self, entity: &Entity, above: &Entity) -> bool {
        entity == above || self.find(entity).is_some_and(|thing| thing.is_in(above))
    }

    /// The tags of something that is described.
    pub(super) fn tags_of(&self, entity: &Entity) -> Option<&[&'static str]> {
        self.find(entity).map(|thing| thing.tags.as_slice())
    }
}

/// A table's domain, product, itself, and everything inside it.
pub(super) fn described(placed: Placed<'_>) -> Vec<Thing<'_>> {
    let table = Thing::table(placed);
    let mut all = vec![Thing::domain(placed.domain), Thing::product(placed.domain, placed.product), table.clone()];
    for column in &placed.table.columns {
        describe(table.field(column), column, &mut all);
    }
    all
}

fn describe<'a>(thing: Thing<'a>, column: &'a Column, all: &mut Vec<Thing<'a>>) {
    for field in column.inside() {
        describe(thing.field(field), field, all);
    }
    all.extend(elements(&thing, column));
    all.push(thing);
}

/// The elements of a list, and of the lists in it.
pub(super) fn elements<'a>(list: &Thing<'a>, column: &'a Column) -> Vec<Thing<'a>> {
    let mut all = Vec::new();
    let (mut list, mut column) = (list.clone(), column);
    while let Some(items) = column.items.as_deref() {
        list = list.element(items);
        all.push(list.clone());
        column = items;
    }
    all
}
