//! Random policies.

use meshgate_identity::Authentication;

use super::condition::Condition;
use super::dice::Dice;
use super::filter::{Element, Filter, Operand};
use super::generate::{CLASSES, GROUPS, MIDDLE, PURPOSES, TAGS, TEXTS, USERS};
use super::mesh::{Column, Mesh, Placed};
use super::policy::{About, Act, Action, Broken, MaskText, Policy, Scope, Who};
use super::things::{Entity, Kind};

/// Everything that policies can name.
struct Writer<'a> {
    dice: &'a mut Dice,
    scope: Scope,
    domains: Vec<Entity>,
    products: Vec<Entity>,
    tables: Vec<Entity>,
    columns: Vec<Entity>,
}

/// The policies of a mesh.
pub(super) fn policies(mesh: &Mesh, dice: &mut Dice) -> Vec<Policy> {
    let mut all = Vec::new();
    let scopes = [
        (Scope::Mesh, 5),
        (Scope::Domain("sales"), 3),
        (Scope::Domain("hr"), 2),
        (Scope::Domain("rights"), 1),
        (Scope::Product("sales", "orders"), 4),
        (Scope::Product("sales", "returns"), 2),
        (Scope::Product("hr", "people"), 3),
    ];
    for (scope, most) in scopes {
        for _ in 0..=dice.below(most) {
            let policy = random(mesh, scope, all.len(), None, dice);
            all.push(policy);
        }
    }
    if dice.chance(80) {
        let scope = dice.pick(&[Scope::Mesh, Scope::Domain("sales"), Scope::Product("hr", "people")]);
        all.push(open(scope, all.len(), dice));
    }
    if dice.chance(8) {
        let number = dice.below(all.len());
        all[number].broken = Some(dice.pick(&[Broken::Annotation, Broken::Condition, Broken::Mask]));
    }
    all
}

/// A permit for most.
fn open(scope: Scope, id: usize, dice: &mut Dice) -> Policy {
    let who = if dice.chance(60) { Who::Anybody } else { Who::In(dice.pick(&GROUPS)) };
    Policy {
        id,
        scope,
        file: 0,
        permits: true,
        who,
        action: Act::Access,
        about: About::Anything,
        clauses: Vec::new(),
        rows: None,
        mask: None,
        broken: None,
    }
}

/// A policy of a scope that can apply to something, and permits or forbids if that is said.
pub(super) fn random(mesh: &Mesh, scope: Scope, id: usize, permits: Option<bool>, dice: &mut Dice) -> Policy {
    loop {
        let policy = Writer::new(mesh, scope, dice).policy(id, permits);
        if policy.is_possible() {
            return policy;
        }
    }
}

impl<'a> Writer<'a> {
    fn new(mesh: &Mesh, scope: Scope, dice: &'a mut Dice) -> Self {
        // Mostly about what it has a say in.
        let everywhere = dice.chance(6);
        let inside = |placed: &Placed<'_>| everywhere || scope.is_about(*placed);
        let mut writer = Self { dice, scope, domains: vec![], products: vec![], tables: vec![], columns: vec![] };
        for placed in mesh.tables().filter(inside) {
            writer.domains.push(Entity::new(Kind::Domain, placed.domain.name));
            writer.products.push(Entity::new(Kind::Product, placed.product_id()));
            writer.tables.push(Entity::new(Kind::Table, placed.id()));
            for column in &placed.table.columns {
                collect(column, &placed.id(), &mut writer.columns);
            }
        }
        writer
    }

    fn policy(&mut self, id: usize, permits: Option<bool>) -> Policy {
        let permits = permits.unwrap_or_else(|| self.dice.chance(52));
        let action = if permits {
            self.dice.pick(&[
                Act::Access,
                Act::Access,
                Act::Access,
                Act::Query,
                Act::Query,
                Act::Read,
                Act::Any,
                Act::QueryAndRead,
                Act::AccessAndDiscover,
                Act::Discover,
                Act::Manage,
            ])
        } else {
            self.dice.pick(&[
                Act::Query,
                Act::Query,
                Act::Query,
                Act::Read,
                Act::Read,
                Act::Read,
                Act::Read,
                Act::Read,
                Act::Access,
                Act::QueryAndRead,
                Act::Any,
                Act::Discover,
                Act::Manage,
            ])
        };
        let (query, read) = (action.covers(Action::Query), action.covers(Action::Read));
        let filtered = if permits {
            55
        } else if read {
            30
        } else {
            85
        };
        let rows = (query && self.dice.chance(filtered)).then(|| self.filter(2));
        let mask = (!permits && read && self.dice.chance(75)).then(|| self.mask());
        let mut about = self.about(read && !query);
        if rows.as_ref().is_some_and(Filter::has_entitlement) {
            // A policy about the table that it reads would go in a circle.
            about = match self.scope {
                Scope::Mesh => About::In(self.dice.pick(&[
                    Entity::new(Kind::Domain, "sales"),
                    Entity::new(Kind::Domain, "hr"),
                    Entity::new(Kind::Product, "sales.orders"),
                ])),
                Scope::Domain("rights") => About::Equals(Entity::new(Kind::Table, "rights.grants.other")),
                _ => about,
            };
        }
        let count = self.dice.pick(if permits { &[0, 0, 1, 1, 2] } else { &[0, 1, 1, 1, 2] });
        let mut clauses: Vec<(bool, Condition)> =
            (0..count).map(|_| (self.dice.chance(70), self.condition(2))).collect();
        if action.covers(Action::Manage) {
            // Domains have no tags.
            clauses.retain(|(_, condition)| !condition.asks_for_tags());
        }
        let file = self.dice.below(2);
        let who = self.who(permits);
        Policy { id, scope: self.scope, file, permits, who, action, about, clauses, rows, mask, broken: None }
    }

    fn who(&mut self, permits: bool) -> Who {
        let service = self.dice.chance(25);
        match self.dice.below(if permits { 9 } else { 12 }) {
            0..=3 => Who::Anybody,
            4 => Who::Is(service),
            5 => Who::Equals(service, self.dice.pick(&USERS)),
            6 => Who::IsIn(service, self.dice.pick(&GROUPS)),
            _ => Who::In(self.dice.pick(&GROUPS)),
        }
    }

    fn about(&mut self, columns: bool) -> About {
        if columns && self.dice.chance(35) {
            let column = self.dice.pick(&self.columns);
            return if self.dice.chance(50) { About::In(column) } else { About::Equals(column) };
        }
        match self.dice.below(12) {
            0..=5 => About::Anything,
            6 => About::Is(self.dice.pick(&[Kind::Table, Kind::Column])),
            7 => About::IsIn(self.dice.pick(&[Kind::Table, Kind::Column]), self.wide()),
            8 => About::Equals(self.narrow()),
            9 => About::In(self.narrow()),
            _ => About::In(self.wide()),
        }
    }

    fn wide(&mut self) -> Entity {
        let all = [&self.domains, &self.products, &self.tables];
        let among: &Vec<Entity> = all[self.dice.below(3)];
        self.dice.pick(among)
    }

    fn narrow(&mut self) -> Entity {
        if self.dice.chance(25) { self.dice.pick(&self.tables) } else { self.dice.pick(&self.columns) }
    }

    fn mask(&mut self) -> MaskText {
        self.dice.pick(&[
            MaskText::Named("show-last-4"),
            MaskText::Named("show-last-4"),
            MaskText::Named("mask-alphanum"),
            MaskText::Named("mask-to-fixed-value"),
            MaskText::Named("hmac-sha-256"),
            MaskText::Named("replace-with-null"),
            MaskText::WithRegion,
            MaskText::WithPurpose,
            MaskText::WithText,
            MaskText::Value,
        ])
    }

    fn condition(&mut self, depth: usize) -> Condition {
        let dice = &mut *self.dice;
        if depth > 0 && dice.chance(35) {
            let count = 2 + dice.below(2);
            return match dice.below(3) {
                0 => Condition::Not(Box::new(self.condition(depth - 1))),
                1 => Condition::And((0..count).map(|_| self.condition(depth - 1)).collect()),
                _ => Condition::Or((0..count).map(|_| self.condition(depth - 1)).collect()),
            };
        }
        match dice.below(31) {
            0 => Condition::True,
            1..=3 => Condition::InGroups(vec![dice.pick(&GROUPS)]),
            4 => Condition::InGroups(vec![dice.pick(&GROUPS), dice.pick(&GROUPS)]),
            5 => Condition::IsPrincipal(dice.chance(25), dice.pick(&USERS)),
            6 => Condition::IsService(dice.chance(50)),
            7 => Condition::HasRegion,
            8 => Condition::Region(dice.pick(&TEXTS)),
            9 => Condition::Clearance(dice.number(0, 4)),
            10 => Condition::ClearanceAbove(dice.number(0, 4)),
            11 => Condition::Vip,
            12 => Condition::Country(dice.pick(&TEXTS)),
            13..=15 => Condition::Tag(dice.pick(&TAGS)),
            16 => Condition::AnyTag(dice.some(&TAGS, 60)).or_tag(dice),
            17 => Condition::Classification(dice.pick(&CLASSES)),
            18 => Condition::Classified,
            19 => Condition::Critical,
            20 => Condition::Type(dice.pick(&["string", "integer", "object", "array"])),
            21 => Condition::ColumnNamed(dice.pick(&["id", "region", "city", "f0", "item", "c0"])),
            22 => match dice.below(3) {
                0 => Condition::TableNamed(dice.pick(&["lines", "staff"])),
                1 => Condition::TableVersion(dice.pick(&["1.", "2."])),
                _ => Condition::Is(dice.pick(&[Kind::Table, Kind::Column])),
            },
            23 => Condition::Equals(self.narrow()),
            24 => Condition::Within(vec![self.wide()]),
            25 => {
                let among = if dice.chance(50) { &self.columns } else { &self.tables };
                let first = dice.pick(among);
                Condition::Within(vec![first, dice.pick(among)])
            }
            26 => Condition::Holds(dice.pick(&self.columns)),
            27 => {
                let entity = if dice.chance(50) { self.wide() } else { self.narrow() };
                let tag = self.dice.pick(&TAGS);
                if entity.kind == Kind::Domain { Condition::Vip } else { Condition::TagOf(entity, tag) }
            }
            28 => Condition::Purpose(dice.pick(&PURPOSES)),
            29 => match dice.below(2) {
                0 => Condition::Authentication(dice.pick(&[Authentication::Token, Authentication::Anonymous])),
                _ => Condition::FromInside,
            },
            _ => Condition::Before(MIDDLE),
        }
    }

    fn filter(&mut self, depth: usize) -> Filter {
        let dice = &mut *self.dice;
        if depth > 0 && dice.chance(40) {
            let count = 2 + dice.below(2);
            let boxed = |writer: &mut Self| Box::new(writer.filter(depth - 1));
            return match self.dice.below(6) {
                0 => Filter::Not(boxed(self)),
                1 => Filter::Is(boxed(self), self.dice.chance(50), self.dice.chance(50)),
                2 => {
                    let otherwise = self.dice.chance(50).then(|| boxed(self));
                    Filter::Case(boxed(self), boxed(self), otherwise)
                }
                3 | 4 => Filter::And((0..count).map(|_| self.filter(depth - 1)).collect()),
                _ => Filter::Or((0..count).map(|_| self.filter(depth - 1)).collect()),
            };
        }
        let negated = dice.chance(35);
        let operator = dice.pick(&["=", "=", "<>", "<", "<=", ">", ">="]);
        match dice.below(20) {
            0 => Filter::Known(dice.pick(&[None, Some(true), Some(false)])),
            1 | 2 => Filter::Flag,
            3 => Filter::Vip,
            4..=6 => Filter::Compare(self.text_column(), operator, self.text()),
            7..=8 => Filter::Compare(self.number_column(), operator, self.number()),
            9 => Filter::Distinct(self.text_column(), self.text()),
            10 => {
                let set = self.dice.pick(&[Element::Groups, Element::Countries]);
                let list = if self.dice.chance(40) { vec![Element::One(self.text()), set] } else { vec![set] };
                Filter::In(self.text_column(), list, negated)
            }
            11 => Filter::In(self.number_column(), vec![Element::Levels], negated),
            12 => Filter::In(
                self.number_column(),
                vec![Element::One(self.number()), Element::One(self.number())],
                negated,
            ),
            13 | 14 => self.entitled(negated),
            15 => Filter::IsNull(self.text(), negated),
            16 => Filter::Between(self.number_column(), self.number(), self.number(), negated),
            17 => Filter::Like(self.text_column(), self.dice.pick(&["E", "a", ""]), negated),
            18 => Filter::Before(MIDDLE),
            _ => Filter::Coalesce(negated),
        }
    }

    fn entitled(&mut self, negated: bool) -> Filter {
        let (operand, column) = if self.dice.chance(70) { (self.text(), 2) } else { (self.number(), 1) };
        let filter = self.dice.chance(75).then(|| {
            loop {
                let filter = self.filter(1);
                if !filter.has_entitlement() {
                    break Box::new(filter);
                }
            }
        });
        Filter::Entitled(operand, column, filter, negated)
    }

    fn text_column(&mut self) -> Operand {
        Operand::Column(self.dice.pick(&[2, 2, 3]))
    }

    fn number_column(&mut self) -> Operand {
        Operand::Column(self.dice.below(2))
    }

    fn text(&mut self) -> Operand {
        match self.dice.below(8) {
            0..=2 => Operand::Region,
            3 => Operand::User,
            4 => Operand::Purpose,
            5 => self.text_column(),
            _ => Operand::Text(self.dice.pick(&TEXTS)),
        }
    }

    fn number(&mut self) -> Operand {
        match self.dice.below(5) {
            0 | 1 => Operand::Clearance,
            2 => self.number_column(),
            _ => Operand::Number(self.dice.number(0, 4)),
        }
    }
}

impl Condition {
    /// A list of no tags at all is refused: its elements have no type.
    fn or_tag(self, dice: &mut Dice) -> Self {
        match self {
            Self::AnyTag(tags) if tags.is_empty() => Self::Tag(dice.pick(&TAGS)),
            other => other,
        }
    }
}

fn collect(column: &Column, above: &str, into: &mut Vec<Entity>) {
    let id = format!("{above}.{}", column.name);
    column.inside().iter().for_each(|field| collect(field, &id, into));
    let (mut element, mut list) = (id.clone(), column);
    while let Some(items) = list.items.as_deref() {
        element += "[]";
        into.push(Entity::new(Kind::Column, element.clone()));
        list = items;
    }
    into.push(Entity::new(Kind::Column, id));
}
