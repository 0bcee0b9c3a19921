//! What the row filter of a decision shows: its expression, evaluated on rows with SQL's three truths.

use std::cmp::Ordering;

use super::filter::{Asked, and, compared, is_in, not, or, order, truth};
use super::mesh::{LOOKED_AT, RIGHTS, Row, Value};
use crate::{BinaryOp, Expr, Literal, Parameter, Rows};

/// For each row, whether it is shown.
pub(super) fn shown(rows: &Rows, of: &[Row], asked: Asked<'_>) -> Vec<bool> {
    of.iter()
        .map(|row| match rows {
            Rows::All => true,
            Rows::Where(expr) => holds(expr, row, asked) == Some(true),
        })
        .collect()
}

fn holds(expr: &Expr, row: &Row, asked: Asked<'_>) -> Option<bool> {
    truth(&value(expr, row, asked))
}

fn boolean(value: Option<bool>) -> Value {
    value.map_or(Value::Null, Value::Boolean)
}

fn value(expr: &Expr, row: &Row, asked: Asked<'_>) -> Value {
    let holds = |expr: &Expr| holds(expr, row, asked);
    let of = |expr: &Expr| value(expr, row, asked);
    let turned = |result: Option<bool>, negated: bool| if negated { not(result) } else { result };
    boolean(match expr {
        Expr::Column(path) => {
            let path = path.join(".");
            let number = LOOKED_AT.iter().position(|name| *name == path);
            return row[number.unwrap_or_else(|| panic!("no row has `{path}`"))].clone();
        }
        Expr::Literal(literal) => return constant(literal),
        // Everything else is bound in a decision.
        Expr::Parameter(Parameter::Now) => return Value::Integer(asked.asker.now),
        Expr::Not(inner) => not(holds(inner)),
        Expr::Binary(left, BinaryOp::And, right) => and([holds(left), holds(right)]),
        Expr::Binary(left, BinaryOp::Or, right) => or([holds(left), holds(right)]),
        Expr::Binary(left, BinaryOp::IsDistinctFrom, right) => Some(of(left) != of(right)),
        Expr::Binary(left, op, right) => order(&of(left), &of(right)).map(|order| compared(order, &op.to_string())),
        Expr::IsNull { expr, negated } => Some((of(expr) == Value::Null) != *negated),
        Expr::IsBoolean { expr, value, negated } => Some((holds(expr) == Some(*value)) != *negated),
        Expr::InList { expr, list, negated } => {
            let list: Vec<Value> = list.iter().flat_map(|element| elements(element, row, asked)).collect();
            turned(is_in(&of(expr), &list), *negated)
        }
        Expr::InEntitlement { expr, entitlement, negated } => {
            assert_eq!(entitlement.table.policy_id(), RIGHTS);
            let column = LOOKED_AT.iter().position(|name| *name == entitlement.column).expect("a column of rights");
            let rights = asked.mesh.rights().iter();
            let given = rights.filter(|row| {
                entitlement.filter.as_ref().is_none_or(|filter| self::holds(filter, row, asked) == Some(true))
            });
            let list: Vec<Value> = given.map(|row| row[column].clone()).collect();
            turned(is_in(&of(expr), &list), *negated)
        }
        Expr::Between { expr, low, high, negated } => {
            let above = order(&of(expr), &of(low)).map(Ordering::is_ge);
            let below = order(&of(expr), &of(high)).map(Ordering::is_le);
            turned(and([above, below]), *negated)
        }
        Expr::Like { expr, pattern, escape: None, case_insensitive: false, negated } => match (of(expr), of(pattern)) {
            (Value::Text(text), Value::Text(pattern)) => {
                let start = pattern.strip_suffix('%').expect("a pattern that ends in %");
                Some(text.starts_with(start) != *negated)
            }
            _ => None,
        },
        Expr::Case { operand: None, branches, otherwise } => {
            let branch = branches.iter().find(|(when, _)| holds(when) == Some(true)).map(|(_, then)| then);
            return branch.or(otherwise.as_deref()).map_or(Value::Null, of);
        }
        Expr::Function { name, arguments } if name == "coalesce" => {
            return arguments.iter().map(of).find(|value| *value != Value::Null).unwrap_or(Value::Null);
        }
        other => panic!("not generated, or not bound: {other:?}"),
    })
}

fn elements(expr: &Expr, row: &Row, asked: Asked<'_>) -> Vec<Value> {
    match expr {
        Expr::Literal(Literal::StringSet(texts)) => texts.iter().cloned().map(Value::Text).collect(),
        Expr::Literal(Literal::IntegerSet(numbers)) => numbers.iter().copied().map(Value::Integer).collect(),
        other => vec![value(other, row, asked)],
    }
}

fn constant(literal: &Literal) -> Value {
    match literal {
        Literal::Null => Value::Null,
        Literal::Boolean(value) => Value::Boolean(*value),
        Literal::Integer(number) => Value::Integer(*number),
        Literal::String(text) => Value::Text(text.clone()),
        Literal::Timestamp(text) => {
            let moment = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").expect("a time");
            Value::Integer(moment.and_utc().timestamp())
        }
        other => panic!("not generated: {other:?}"),
    }
}
