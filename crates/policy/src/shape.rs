//! What an expression certainly is not, without knowing the stored types. `govern` does the full typing.

use meshgate_model::AttributeType;
use meshgate_product::{Column, LogicalType};

use crate::{BinaryOp, Expr, Literal, Parameter, functions, path};

/// Why an expression cannot be true or false, if that is plain to see. `other_type` says which columns are known to be
/// of another type.
pub(crate) fn not_boolean(expr: &Expr, other_type: &dyn Fn(&[String]) -> bool) -> Option<String> {
    let not_boolean = |expr| not_boolean(expr, other_type);
    let why = match expr {
        Expr::Literal(Literal::Null | Literal::Boolean(_)) | Expr::MaskedValue => return None,
        Expr::Column(path) if other_type(path) => "is a column of another type",
        Expr::Column(_) => return None,
        Expr::Literal(_) => "is a constant of another type",
        Expr::Parameter(Parameter::Attribute(_, AttributeType::Boolean)) => return None,
        Expr::Parameter(_) => "is a parameter of another type",
        Expr::Not(inner) => return not_boolean(inner),
        Expr::Negate(_) => "is a number",
        Expr::Binary(left, BinaryOp::And | BinaryOp::Or, right) => {
            return not_boolean(left).or_else(|| not_boolean(right));
        }
        Expr::Binary(_, op, _) => match op {
            BinaryOp::Plus | BinaryOp::Minus | BinaryOp::Multiply | BinaryOp::Divide | BinaryOp::Modulo => {
                "is the result of arithmetic"
            }
            BinaryOp::Concat => "is text",
            _ => return None,
        },
        Expr::Case { branches, otherwise, .. } => {
            let results = branches.iter().map(|(_, then)| then).chain(otherwise.as_deref());
            return results.into_iter().find_map(not_boolean);
        }
        Expr::Cast { to, .. } if to.starts_with("BOOL") => return None,
        Expr::Cast { .. } => "is cast to another type",
        Expr::Function { name, .. } if functions::is_predicate(name) == Some(false) => {
            "is the result of a function of another type"
        }
        _ => return None,
    };
    Some(format!("`{expr}` {why}"))
}

/// Whether a column is promised as something else than true or false.
pub(crate) fn is_other_type(columns: &[Column], column: &[String]) -> bool {
    let kind = path::find(columns, column).and_then(|column| column.logical_type);
    kind.is_some_and(|kind| kind != LogicalType::Boolean)
}
