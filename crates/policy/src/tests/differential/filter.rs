//! Row filters in the abstract: what they mean, and the SQL that says the same.

use std::cmp::Ordering;

use meshgate_model::AttributeValue;

use super::asker::Asker;
use super::mesh::{LOOKED_AT, Mesh, RIGHTS, Row, Value};

/// True or false of a row, or unknown.
#[derive(Debug, Clone)]
pub(super) enum Filter {
    Known(Option<bool>),
    /// The boolean column.
    Flag,
    /// The boolean attribute.
    Vip,
    Compare(Operand, &'static str, Operand),
    Distinct(Operand, Operand),
    In(Operand, Vec<Element>, bool),
    /// `operand IN (SELECT column FROM rights.grants.given WHERE ..)`
    Entitled(Operand, usize, Option<Box<Filter>>, bool),
    IsNull(Operand, bool),
    Is(Box<Filter>, bool, bool),
    Between(Operand, Operand, Operand, bool),
    /// `operand LIKE 'start%'`
    Like(Operand, &'static str, bool),
    /// `$now < ..`, in seconds since 1970
    Before(i64),
    Not(Box<Filter>),
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Case(Box<Filter>, Box<Filter>, Option<Box<Filter>>),
    /// `coalesce(flag, ..)`
    Coalesce(bool),
}

/// A number or a text.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operand {
    Column(usize),
    Number(i64),
    Text(&'static str),
    User,
    Purpose,
    Region,
    Clearance,
}

/// What may stand in a list.
#[derive(Debug, Clone)]
pub(super) enum Element {
    One(Operand),
    Groups,
    Countries,
    Levels,
}

/// What a filter is asked with.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) asker: &'a Asker,
    pub(super) mesh: &'a Mesh,
}

/// SQL's AND: false beats unknown.
pub(super) fn and(values: impl IntoIterator<Item = Option<bool>>) -> Option<bool> {
    not(or(values.into_iter().map(not)))
}

/// SQL's OR: true beats unknown.
pub(super) fn or(values: impl IntoIterator<Item = Option<bool>>) -> Option<bool> {
    let mut result = Some(false);
    for value in values {
        match value {
            Some(true) => return Some(true),
            Some(false) => {}
            None => result = None,
        }
    }
    result
}

pub(super) fn not(value: Option<bool>) -> Option<bool> {
    value.map(|value| !value)
}

/// The order of two values; unknown if one is NULL.
pub(super) fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Null, _) | (_, Value::Null) => None,
        (Value::Integer(left), Value::Integer(right)) => Some(left.cmp(right)),
        (Value::Text(left), Value::Text(right)) => Some(left.cmp(right)),
        (Value::Boolean(left), Value::Boolean(right)) => Some(left.cmp(right)),
        _ => panic!("{left:?} is compared with {right:?}"),
    }
}

/// Whether a value is one of a list.
pub(super) fn is_in(value: &Value, list: &[Value]) -> Option<bool> {
    or(list.iter().map(|element| order(value, element).map(Ordering::is_eq)))
}

pub(super) fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Null => None,
        Value::Boolean(value) => Some(*value),
        other => panic!("{other:?} is neither true nor false"),
    }
}

/// The result of an operator, by the order of its sides.
pub(super) fn compared(order: Ordering, operator: &str) -> bool {
    match operator {
        "=" => order.is_eq(),
        "<>" => order.is_ne(),
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        ">=" => order.is_ge(),
        other => panic!("{other} is no comparison"),
    }
}

impl Filter {
    pub(super) fn holds(&self, row: &Row, asked: Asked<'_>) -> Option<bool> {
        let value = |operand: &Operand| operand.value(row, asked.asker);
        let turned = |result: Option<bool>, negated: bool| if negated { not(result) } else { result };
        match self {
            Self::Known(value) => *value,
            Self::Flag => truth(&row[4]),
            Self::Vip => match asked.asker.attributes.get("vip") {
                Some(AttributeValue::Boolean(vip)) => Some(*vip),
                _ => None,
            },
            Self::Compare(left, operator, right) => {
                order(&value(left), &value(right)).map(|order| compared(order, operator))
            }
            Self::Distinct(left, right) => Some(value(left) != value(right)),
            Self::In(operand, elements, negated) => {
                let list: Vec<Value> = elements.iter().flat_map(|element| element.values(row, asked.asker)).collect();
                turned(is_in(&value(operand), &list), *negated)
            }
            Self::Entitled(operand, column, filter, negated) => {
                let rights = asked.mesh.rights().iter();
                let given = rights.filter(|row| filter.as_ref().is_none_or(|f| f.holds(row, asked) == Some(true)));
                let list: Vec<Value> = given.map(|row| row[*column].clone()).collect();
                turned(is_in(&value(operand), &list), *negated)
            }
            Self::IsNull(operand, negated) => Some((value(operand) == Value::Null) != *negated),
            Self::Is(filter, wanted, negated) => Some((filter.holds(row, asked) == Some(*wanted)) != *negated),
            Self::Between(operand, low, high, negated) => {
                let above = order(&value(operand), &value(low)).map(Ordering::is_ge);
                let below = order(&value(operand), &value(high)).map(Ordering::is_le);
                turned(and([above, below]), *negated)
            }
            Self::Like(operand, start, negated) => match value(operand) {
                Value::Text(text) => Some(text.starts_with(start) != *negated),
                _ => None,
            },
            Self::Before(moment) => Some(asked.asker.now < *moment),
            Self::Not(filter) => not(filter.holds(row, asked)),
            Self::And(all) => and(all.iter().map(|filter| filter.holds(row, asked))),
            Self::Or(all) => or(all.iter().map(|filter| filter.holds(row, asked))),
            Self::Case(when, then, otherwise) => match when.holds(row, asked) {
                Some(true) => then.holds(row, asked),
                _ => otherwise.as_ref().and_then(|otherwise| otherwise.holds(row, asked)),
            },
            Self::Coalesce(value) => Some(truth(&row[4]).unwrap_or(*value)),
        }
    }

    /// In parentheses wherever it could be taken apart.
    pub(super) fn sql(&self) -> String {
        let negated = |negated: &bool| if *negated { "NOT " } else { "" };
        let joined = |all: &[Self], word: &str| {
            let parts: Vec<_> = all.iter().map(|filter| format!("({})", filter.sql())).collect();
            parts.join(word)
        };
        match self {
            Self::Known(None) => "NULL".to_owned(),
            Self::Known(Some(value)) => value.to_string(),
            Self::Flag => "flag".to_owned(),
            Self::Vip => "$vip".to_owned(),
            Self::Compare(left, operator, right) => format!("{} {operator} {}", left.sql(), right.sql()),
            Self::Distinct(left, right) => format!("{} IS DISTINCT FROM {}", left.sql(), right.sql()),
            Self::In(operand, elements, not) => {
                let list: Vec<_> = elements.iter().map(Element::sql).collect();
                format!("{} {}IN ({})", operand.sql(), negated(not), list.join(", "))
            }
            Self::Entitled(operand, column, filter, not) => {
                let filter = filter.as_ref().map_or_else(String::new, |filter| format!(" WHERE {}", filter.sql()));
                let column = LOOKED_AT[*column];
                format!("{} {}IN (SELECT {column} FROM {RIGHTS}{filter})", operand.sql(), negated(not))
            }
            Self::IsNull(operand, not) => format!("{} IS {}NULL", operand.sql(), negated(not)),
            Self::Is(filter, value, not) => format!("({}) IS {}{value}", filter.sql(), negated(not)),
            Self::Between(operand, low, high, not) => {
                format!("{} {}BETWEEN {} AND {}", operand.sql(), negated(not), low.sql(), high.sql())
            }
            Self::Like(operand, start, not) => format!("{} {}LIKE '{start}%'", operand.sql(), negated(not)),
            Self::Before(moment) => {
                let moment = chrono::DateTime::from_timestamp(*moment, 0).expect("a time");
                format!("$now < TIMESTAMP '{}'", moment.format("%Y-%m-%d %H:%M:%S"))
            }
            Self::Not(filter) => format!("NOT ({})", filter.sql()),
            Self::And(all) => joined(all, " AND "),
            Self::Or(all) => joined(all, " OR "),
            Self::Case(when, then, otherwise) => {
                let otherwise =
                    otherwise.as_ref().map_or_else(String::new, |otherwise| format!(" ELSE {}", otherwise.sql()));
                format!("CASE WHEN {} THEN {}{otherwise} END", when.sql(), then.sql())
            }
            Self::Coalesce(value) => format!("coalesce(flag, {value})"),
        }
    }

    pub(super) fn has_entitlement(&self) -> bool {
        matches!(self, Self::Entitled(..)) || self.parts().iter().any(|part| part.has_entitlement())
    }

    /// The filters inside, none of which is an entitlement's.
    pub(super) fn parts(&self) -> Vec<&Self> {
        match self {
            Self::Not(inner) | Self::Is(inner, ..) => vec![inner],
            Self::And(all) | Self::Or(all) => all.iter().collect(),
            Self::Case(when, then, otherwise) => {
                [when, then].into_iter().chain(otherwise).map(|part| part.as_ref()).collect()
            }
            _ => Vec::new(),
        }
    }
}

impl Operand {
    fn value(&self, row: &Row, asker: &Asker) -> Value {
        let text = |text: &str| Value::Text(text.to_owned());
        match self {
            Self::Column(number) => row[*number].clone(),
            Self::Number(number) => Value::Integer(*number),
            Self::Text(constant) => text(constant),
            Self::User => text(asker.name),
            Self::Purpose => asker.purpose.map_or(Value::Null, text),
            Self::Region => match asker.attributes.get("region") {
                Some(AttributeValue::String(region)) => text(region),
                _ => Value::Null,
            },
            Self::Clearance => match asker.attributes.get("clearance") {
                Some(AttributeValue::Integer(clearance)) => Value::Integer(*clearance),
                _ => Value::Null,
            },
        }
    }

    fn sql(&self) -> String {
        match self {
            Self::Column(number) => LOOKED_AT[*number].to_owned(),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => format!("'{}'", text.replace('\'', "''")),
            Self::User => "$user".to_owned(),
            Self::Purpose => "$purpose".to_owned(),
            Self::Region => "$region".to_owned(),
            Self::Clearance => "$clearance".to_owned(),
        }
    }
}

impl Element {
    /// An attribute that the principal does not have is one NULL.
    fn values(&self, row: &Row, asker: &Asker) -> Vec<Value> {
        let text = |text: &String| Value::Text(text.clone());
        match self {
            Self::One(operand) => vec![operand.value(row, asker)],
            Self::Groups => asker.groups.iter().map(|group| Value::Text((*group).to_owned())).collect(),
            Self::Countries => match asker.attributes.get("countries") {
                Some(AttributeValue::StringSet(countries)) => countries.iter().map(text).collect(),
                _ => vec![Value::Null],
            },
            Self::Levels => match asker.attributes.get("levels") {
                Some(AttributeValue::IntegerSet(levels)) => levels.iter().copied().map(Value::Integer).collect(),
                _ => vec![Value::Null],
            },
        }
    }

    fn sql(&self) -> String {
        match self {
            Self::One(operand) => operand.sql(),
            Self::Groups => "$groups".to_owned(),
            Self::Countries => "$countries".to_owned(),
            Self::Levels => "$levels".to_owned(),
        }
    }
}
