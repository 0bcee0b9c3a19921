//! Policy's small expressions as DataFusion's, over the columns of a stored table.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::expr::{InList, ScalarFunction};
use datafusion::logical_expr::{Between, BinaryExpr, Case, Cast, Expr as Df, Like, Operator, ScalarUDF, TryCast, lit};
use meshgate_model::{AttributeType, Instant};
use meshgate_policy::{BinaryOp, Entitlement, Expr, Literal, Parameter, ROW_FUNCTIONS};

use crate::functions;
use crate::promise::sql_type;

/// The functions that policies may call, by name.
#[derive(Debug, Clone)]
pub(crate) struct PolicyFunctions(Arc<HashMap<String, Arc<ScalarUDF>>>);

impl PolicyFunctions {
    pub(crate) fn new() -> Self {
        let listed = functions::scalar_functions().into_iter();
        let named = listed.flat_map(|function| {
            let mut names = vec![function.name().to_owned()];
            names.extend(function.aliases().iter().cloned());
            names.into_iter().map(move |name| (name, function.clone()))
        });
        Self(Arc::new(named.filter(|(name, _)| ROW_FUNCTIONS.contains(&name.as_str())).collect()))
    }

    pub(crate) fn get(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.0.get(name).cloned()
    }
}

/// What an expression is read against.
pub(crate) struct Translation<'a> {
    /// A column of the contract, or a field inside one, as an expression over the stored columns.
    pub(crate) column: &'a (dyn Fn(&[String]) -> Option<Df> + Sync),
    /// `$value` in a mask.
    pub(crate) value: Option<Df>,
    /// `$now`.
    pub(crate) now: Instant,
    /// The values of entitlement sub-selects, already read.
    pub(crate) entitled: &'a (dyn Fn(&Entitlement) -> Option<Arc<Vec<ScalarValue>>> + Sync),
    /// Functions by name.
    pub(crate) functions: &'a PolicyFunctions,
    /// Whether parameters may be without a value, which then is NULL of their type: at load time, to check types.
    pub(crate) typing: bool,
}

impl Translation<'_> {
    /// Translates, or says what cannot be.
    pub(crate) fn expr(&self, expr: &Expr) -> Result<Df, String> {
        Ok(match expr {
            Expr::Column(path) => {
                (self.column)(path).ok_or_else(|| format!("there is no column `{}`", path.join(".")))?
            }
            Expr::MaskedValue => self.value.clone().ok_or("`$value` has a meaning in masks only")?,
            Expr::Literal(literal) => scalar(literal)?,
            Expr::Parameter(Parameter::Now) => {
                Df::Literal(ScalarValue::TimestampMicrosecond(Some(self.now.micros()), Some("UTC".into())), None)
            }
            Expr::Parameter(other) => self.unbound(other)?,
            Expr::Not(inner) => Df::Not(self.boxed(inner)?),
            Expr::Negate(inner) => Df::Negative(self.boxed(inner)?),
            Expr::Binary(left, op, right) => {
                Df::BinaryExpr(BinaryExpr::new(self.boxed(left)?, operator(*op), self.boxed(right)?))
            }
            Expr::IsNull { expr, negated: false } => Df::IsNull(self.boxed(expr)?),
            Expr::IsNull { expr, negated: true } => Df::IsNotNull(self.boxed(expr)?),
            Expr::IsBoolean { expr, value, negated } => {
                let inner = self.boxed(expr)?;
                match (value, negated) {
                    (true, false) => Df::IsTrue(inner),
                    (true, true) => Df::IsNotTrue(inner),
                    (false, false) => Df::IsFalse(inner),
                    (false, true) => Df::IsNotFalse(inner),
                }
            }
            Expr::InList { expr, list, negated } => {
                // A set without a value yet: only its elements' type counts.
                let items = list.iter().map(|item| self.items(item)).collect::<Result<Vec<_>, _>>()?;
                self.one_of(expr, items.into_iter().flatten().collect(), *negated)?
            }
            Expr::InEntitlement { expr, entitlement, negated } => {
                let values = (self.entitled)(entitlement).ok_or("an entitlement was not read")?;
                let items = values.iter().map(|value| Df::Literal(value.clone(), None)).collect();
                self.one_of(expr, items, *negated)?
            }
            Expr::Between { expr, low, high, negated } => {
                Df::Between(Between::new(self.boxed(expr)?, *negated, self.boxed(low)?, self.boxed(high)?))
            }
            Expr::Like { expr, pattern, escape, case_insensitive, negated } => {
                Df::Like(Like::new(*negated, self.boxed(expr)?, self.boxed(pattern)?, *escape, *case_insensitive))
            }
            Expr::Case { operand, branches, otherwise } => Df::Case(Case::new(
                operand.as_ref().map(|operand| self.boxed(operand)).transpose()?,
                branches
                    .iter()
                    .map(|(when, then)| Ok((self.boxed(when)?, self.boxed(then)?)))
                    .collect::<Result<_, String>>()?,
                otherwise.as_ref().map(|otherwise| self.boxed(otherwise)).transpose()?,
            )),
            Expr::Cast { expr, to, lenient } => {
                let target = sql_type(to).ok_or_else(|| format!("`{to}` is no type that policies may cast to"))?;
                let inner = self.boxed(expr)?;
                if *lenient { Df::TryCast(TryCast::new(inner, target)) } else { Df::Cast(Cast::new(inner, target)) }
            }
            Expr::Function { name, arguments } => {
                let function = self.functions.get(name).ok_or_else(|| format!("there is no function `{name}`"))?;
                let arguments = arguments.iter().map(|argument| self.expr(argument)).collect::<Result<_, _>>()?;
                Df::ScalarFunction(ScalarFunction::new_udf(function, arguments))
            }
        })
    }

    fn boxed(&self, expr: &Expr) -> Result<Box<Df>, String> {
        self.expr(expr).map(Box::new)
    }

    /// An element of an IN list; a set stands for all its values.
    fn items(&self, item: &Expr) -> Result<Vec<Df>, String> {
        Ok(match item {
            Expr::Literal(Literal::StringSet(values)) => values.iter().map(|value| lit(value.as_str())).collect(),
            Expr::Literal(Literal::IntegerSet(values)) => values.iter().map(|value| lit(*value)).collect(),
            other => vec![self.expr(other)?],
        })
    }

    /// INVARIANT: a decision has bound every parameter but `$now`; only a check of types meets others.
    fn unbound(&self, parameter: &Parameter) -> Result<Df, String> {
        if !self.typing {
            return Err(format!("the parameter {parameter:?} has no value"));
        }
        let value = match parameter {
            Parameter::User | Parameter::Groups | Parameter::Purpose => ScalarValue::Utf8(None),
            Parameter::Now => ScalarValue::TimestampMicrosecond(None, Some("UTC".into())),
            Parameter::Attribute(_, AttributeType::String | AttributeType::StringSet) => ScalarValue::Utf8(None),
            Parameter::Attribute(_, AttributeType::Integer | AttributeType::IntegerSet) => ScalarValue::Int64(None),
            Parameter::Attribute(_, AttributeType::Boolean) => ScalarValue::Boolean(None),
        };
        Ok(Df::Literal(value, None))
    }

    fn one_of(&self, expr: &Expr, list: Vec<Df>, negated: bool) -> Result<Df, String> {
        // An empty list: nothing is in it, not even NULL.
        if list.is_empty() {
            return Ok(lit(negated));
        }
        Ok(Df::InList(InList::new(self.boxed(expr)?, list, negated)))
    }
}

/// A stored column, or a field inside one, as an expression.
pub(crate) fn stored_path(column: &str, fields: &[&str], functions: &PolicyField) -> Df {
    let start = Df::Column(Column::new_unqualified(column));
    fields.iter().fold(start, |value, field| {
        Df::ScalarFunction(ScalarFunction::new_udf(functions.0.clone(), vec![value, lit(*field)]))
    })
}

/// The function that takes a field out of a struct.
#[derive(Debug, Clone)]
pub(crate) struct PolicyField(Arc<ScalarUDF>);

impl PolicyField {
    pub(crate) fn new() -> Self {
        Self(datafusion::functions::core::get_field())
    }
}

fn scalar(literal: &Literal) -> Result<Df, String> {
    let cast = |text: &str, to: DataType| Df::Cast(Cast::new(Box::new(lit(text)), to));
    Ok(match literal {
        Literal::Null => Df::Literal(ScalarValue::Null, None),
        Literal::Boolean(value) => lit(*value),
        Literal::Integer(value) => lit(*value),
        Literal::Number(text) => lit(text.parse::<f64>().map_err(|_| format!("`{text}` is no number"))?),
        Literal::String(text) => lit(text.as_str()),
        Literal::Date(text) => cast(text, DataType::Date32),
        Literal::Timestamp(text) => cast(text, DataType::Timestamp(TimeUnit::Microsecond, None)),
        Literal::StringSet(_) | Literal::IntegerSet(_) => return Err("a set can only stand in an IN list".to_owned()),
    })
}

fn operator(op: BinaryOp) -> Operator {
    match op {
        BinaryOp::And => Operator::And,
        BinaryOp::Or => Operator::Or,
        BinaryOp::Eq => Operator::Eq,
        BinaryOp::NotEq => Operator::NotEq,
        BinaryOp::Lt => Operator::Lt,
        BinaryOp::LtEq => Operator::LtEq,
        BinaryOp::Gt => Operator::Gt,
        BinaryOp::GtEq => Operator::GtEq,
        BinaryOp::Plus => Operator::Plus,
        BinaryOp::Minus => Operator::Minus,
        BinaryOp::Multiply => Operator::Multiply,
        BinaryOp::Divide => Operator::Divide,
        BinaryOp::Modulo => Operator::Modulo,
        BinaryOp::Concat => Operator::StringConcat,
        BinaryOp::IsDistinctFrom => Operator::IsDistinctFrom,
        BinaryOp::IsNotDistinctFrom => Operator::IsNotDistinctFrom,
    }
}
