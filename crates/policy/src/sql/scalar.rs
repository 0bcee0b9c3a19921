//! Everything of an expression but sub-selects, columns and parameters.

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use sqlparser::ast::{self, BinaryOperator, CastKind, CeilFloorKind, DataType, TrimWhereField, UnaryOperator, Value};

use super::{Reader, SqlError};
use crate::{BinaryOp, Expr, Literal, compose, functions};

impl Reader<'_> {
    pub(super) fn translate(&mut self, read: &ast::Expr) -> Result<Expr, SqlError> {
        use ast::Expr as Sql;
        Ok(match read {
            Sql::Nested(inner) => self.expr(inner)?,
            Sql::Identifier(ident) => self.column(std::slice::from_ref(ident))?,
            Sql::CompoundIdentifier(path) => self.column(path)?,
            Sql::Value(value) => self.value(&value.value)?,
            Sql::TypedString(typed) if !typed.uses_odbc_syntax => typed_literal(&typed.data_type, &typed.value.value)?,
            Sql::Interval(interval) => self.interval(interval)?,
            Sql::UnaryOp { op, expr } => self.unary(*op, expr)?,
            Sql::BinaryOp { op: BinaryOperator::And, .. } => self.chain(read, BinaryOp::And)?,
            Sql::BinaryOp { op: BinaryOperator::Or, .. } => self.chain(read, BinaryOp::Or)?,
            Sql::BinaryOp { left, op, right } => {
                let op = binary(op)?;
                Expr::Binary(self.boxed(left)?, op, self.boxed(right)?)
            }
            Sql::IsDistinctFrom(left, right) => {
                Expr::Binary(self.boxed(left)?, BinaryOp::IsDistinctFrom, self.boxed(right)?)
            }
            Sql::IsNotDistinctFrom(left, right) => {
                Expr::Binary(self.boxed(left)?, BinaryOp::IsNotDistinctFrom, self.boxed(right)?)
            }
            Sql::IsNull(expr) | Sql::IsUnknown(expr) => Expr::IsNull { expr: self.boxed(expr)?, negated: false },
            Sql::IsNotNull(expr) | Sql::IsNotUnknown(expr) => Expr::IsNull { expr: self.boxed(expr)?, negated: true },
            Sql::IsTrue(expr) => self.is_boolean(expr, true, false)?,
            Sql::IsNotTrue(expr) => self.is_boolean(expr, true, true)?,
            Sql::IsFalse(expr) => self.is_boolean(expr, false, false)?,
            Sql::IsNotFalse(expr) => self.is_boolean(expr, false, true)?,
            Sql::InList { expr, list, negated } => Expr::InList {
                expr: self.boxed(expr)?,
                list: list.iter().map(|element| self.element(element)).collect::<Result<_, _>>()?,
                negated: *negated,
            },
            Sql::InSubquery { expr, subquery, negated } => {
                let expr = self.boxed(expr)?;
                match self.entitlement(subquery)? {
                    Some(entitlement) => {
                        Expr::InEntitlement { expr, entitlement: Box::new(entitlement), negated: *negated }
                    }
                    None => Expr::Literal(Literal::Null),
                }
            }
            Sql::Between { expr, negated, low, high } => Expr::Between {
                expr: self.boxed(expr)?,
                low: self.boxed(low)?,
                high: self.boxed(high)?,
                negated: *negated,
            },
            Sql::Like { negated, any: false, expr, pattern, escape_char } => {
                self.like(expr, pattern, escape_char.as_ref(), false, *negated)?
            }
            Sql::ILike { negated, any: false, expr, pattern, escape_char } => {
                self.like(expr, pattern, escape_char.as_ref(), true, *negated)?
            }
            Sql::Case { operand, conditions, else_result, .. } => Expr::Case {
                operand: operand.as_deref().map(|operand| self.boxed(operand)).transpose()?,
                branches: conditions
                    .iter()
                    .map(|branch| Ok((self.expr(&branch.condition)?, self.expr(&branch.result)?)))
                    .collect::<Result<_, SqlError>>()?,
                otherwise: else_result.as_deref().map(|otherwise| self.boxed(otherwise)).transpose()?,
            },
            Sql::Cast { kind, expr, data_type, array: false, format: None } => Expr::Cast {
                expr: self.boxed(expr)?,
                to: cast_type(data_type)?,
                lenient: matches!(kind, CastKind::TryCast | CastKind::SafeCast),
            },
            Sql::Substring { expr, substring_from, substring_for, special: _, shorthand: _ } => {
                let from = match substring_from {
                    Some(from) => self.expr(from)?,
                    None => Expr::Literal(Literal::Integer(1)),
                };
                let mut arguments = vec![self.expr(expr)?, from];
                arguments.extend(substring_for.as_deref().map(|length| self.expr(length)).transpose()?);
                function("substr", arguments)
            }
            Sql::Trim { trim_where, trim_what, expr, trim_characters } => {
                let name = match trim_where {
                    None | Some(TrimWhereField::Both) => "btrim",
                    Some(TrimWhereField::Leading) => "ltrim",
                    Some(TrimWhereField::Trailing) => "rtrim",
                };
                let mut arguments = vec![self.expr(expr)?];
                arguments.extend(trim_what.as_deref().map(|what| self.expr(what)).transpose()?);
                arguments.extend(self.list(trim_characters.as_deref().unwrap_or_default())?);
                function(name, arguments)
            }
            Sql::Position { expr, r#in } => function("strpos", vec![self.expr(r#in)?, self.expr(expr)?]),
            Sql::Extract { field, expr, .. } => {
                let field = Expr::Literal(Literal::String(field.to_string().to_lowercase()));
                function("date_part", vec![field, self.expr(expr)?])
            }
            Sql::Ceil { expr, field: CeilFloorKind::DateTimeField(ast::DateTimeField::NoDateTime) } => {
                function("ceil", vec![self.expr(expr)?])
            }
            Sql::Floor { expr, field: CeilFloorKind::DateTimeField(ast::DateTimeField::NoDateTime) } => {
                function("floor", vec![self.expr(expr)?])
            }
            Sql::Function(call) => self.call(call)?,
            Sql::Subquery(_) | Sql::Exists { .. } => {
                return Err(SqlError::new("the only sub-select a policy may hold is `column IN (SELECT ..)`"));
            }
            other => return Err(SqlError::new(format!("a policy may not say `{}`", self.excerpt(other)))),
        })
    }

    /// All operands of a chain of ANDs or of ORs, as a balanced tree.
    fn chain(&mut self, read: &ast::Expr, wanted: BinaryOp) -> Result<Expr, SqlError> {
        let mut operands = Vec::new();
        let mut waiting = vec![read];
        while let Some(next) = waiting.pop() {
            let mut inner = next;
            while let ast::Expr::Nested(nested) = inner {
                inner = nested;
            }
            match inner {
                ast::Expr::BinaryOp { left, op, right } if binary(op).ok() == Some(wanted) => {
                    waiting.extend([right.as_ref(), left.as_ref()]);
                }
                _ => operands.push(self.expr(next)?),
            }
        }
        compose::joined(wanted, operands).ok_or_else(|| SqlError::new("the expression is empty"))
    }

    fn value(&mut self, value: &Value) -> Result<Expr, SqlError> {
        Ok(Expr::Literal(match value {
            Value::Null => Literal::Null,
            Value::Boolean(value) => Literal::Boolean(*value),
            Value::Number(text, false) => number(text),
            Value::SingleQuotedString(text) => Literal::String(text.clone()),
            Value::Placeholder(name) => return self.placeholder(name),
            other => return Err(SqlError::new(format!("a policy may not say `{other}`"))),
        }))
    }

    fn unary(&mut self, op: UnaryOperator, read: &ast::Expr) -> Result<Expr, SqlError> {
        match op {
            UnaryOperator::Not => Ok(Expr::Not(self.boxed(read)?)),
            UnaryOperator::Plus => self.expr(read),
            UnaryOperator::Minus => {
                if let ast::Expr::Value(ast::ValueWithSpan { value: Value::Number(text, false), .. }) = read {
                    return Ok(Expr::Literal(number(&format!("-{text}"))));
                }
                Ok(Expr::Negate(self.boxed(read)?))
            }
            other => Err(SqlError::new(format!("a policy may not use the operator `{other}`"))),
        }
    }

    fn is_boolean(&mut self, read: &ast::Expr, value: bool, negated: bool) -> Result<Expr, SqlError> {
        Ok(Expr::IsBoolean { expr: self.boxed(read)?, value, negated })
    }

    fn like(
        &mut self,
        read: &ast::Expr,
        pattern: &ast::Expr,
        escape: Option<&ast::ValueWithSpan>,
        case_insensitive: bool,
        negated: bool,
    ) -> Result<Expr, SqlError> {
        let escape = match escape.map(|escape| &escape.value) {
            None => None,
            Some(Value::SingleQuotedString(text)) if text.chars().count() == 1 => text.chars().next(),
            Some(other) => return Err(SqlError::new(format!("ESCAPE takes one character, not `{other}`"))),
        };
        Ok(Expr::Like { expr: self.boxed(read)?, pattern: self.boxed(pattern)?, escape, case_insensitive, negated })
    }

    /// `INTERVAL '30 days'` as a cast, which is what it is to the engine.
    fn interval(&mut self, interval: &ast::Interval) -> Result<Expr, SqlError> {
        let error = || SqlError::new("an interval is written `INTERVAL '30 days'`");
        let ast::Expr::Value(value) = interval.value.as_ref() else { return Err(error()) };
        let Value::SingleQuotedString(text) = &value.value else { return Err(error()) };
        let text = match &interval.leading_field {
            Some(unit) if interval.last_field.is_none() => format!("{text} {}", unit.to_string().to_lowercase()),
            Some(_) => return Err(error()),
            None => text.clone(),
        };
        let expr = Box::new(Expr::Literal(Literal::String(text)));
        Ok(Expr::Cast { expr, to: "INTERVAL".to_owned(), lenient: false })
    }

    fn call(&mut self, call: &ast::Function) -> Result<Expr, SqlError> {
        if call.over.is_some() {
            return Err(SqlError::new("a policy looks at one row at a time: no window functions"));
        }
        let [ast::ObjectNamePart::Identifier(name)] = call.name.0.as_slice() else {
            return Err(SqlError::new(format!("the function `{}` is not one that policies may call", call.name)));
        };
        let resolved = functions::resolve(&name.value);
        let name = resolved.map_err(|(message, hint)| SqlError::new(message).hint(hint).at(name.span.start))?;
        let plain_only = || SqlError::new(format!("`{name}` takes plain arguments only"));
        // Every field is looked at: what is ignored would be lost.
        let ast::Function {
            name: _,
            uses_odbc_syntax: false,
            parameters: ast::FunctionArguments::None,
            args: ast::FunctionArguments::List(list),
            filter: None,
            null_treatment: None,
            over: None,
            within_group,
        } = call
        else {
            return Err(plain_only());
        };
        let ast::FunctionArgumentList { duplicate_treatment: None, args, clauses } = list else {
            return Err(plain_only());
        };
        if !within_group.is_empty() || !clauses.is_empty() {
            return Err(plain_only());
        }
        let mut arguments = Vec::with_capacity(args.len());
        for argument in args {
            match argument {
                ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(expr)) => arguments.push(self.expr(expr)?),
                _ => return Err(plain_only()),
            }
        }
        Ok(function(name, arguments))
    }
}

fn function(name: &str, arguments: Vec<Expr>) -> Expr {
    Expr::Function { name: name.to_owned(), arguments }
}

fn number(text: &str) -> Literal {
    text.parse().map_or_else(|_| Literal::Number(text.to_owned()), Literal::Integer)
}

fn typed_literal(kind: &DataType, value: &Value) -> Result<Expr, SqlError> {
    let Value::SingleQuotedString(text) = value else {
        return Err(SqlError::new(format!("a policy may not say `{kind} {value}`")));
    };
    let literal = match kind {
        DataType::Date => {
            let valid = NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok();
            valid.then(|| Literal::Date(text.clone()))
        }
        DataType::Timestamp(None, _) => {
            let local = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"];
            let valid = local.iter().any(|format| NaiveDateTime::parse_from_str(text, format).is_ok())
                || DateTime::parse_from_rfc3339(text).is_ok();
            valid.then(|| Literal::Timestamp(text.clone()))
        }
        _ => return Err(SqlError::new(format!("write `CAST('{text}' AS {kind})`"))),
    };
    literal
        .map(Expr::Literal)
        .ok_or_else(|| SqlError::new(format!("`{text}` is no {}", kind.to_string().to_lowercase())))
}

/// The scalar types of SQL; what each becomes is the engine's matter.
fn cast_type(kind: &DataType) -> Result<String, SqlError> {
    let text = kind.to_string();
    let word = text.split(['(', ' ']).next().unwrap_or_default();
    let known = [
        "BOOLEAN",
        "BOOL",
        "TINYINT",
        "SMALLINT",
        "INT",
        "INTEGER",
        "BIGINT",
        "REAL",
        "FLOAT",
        "DOUBLE",
        "DECIMAL",
        "NUMERIC",
        "CHAR",
        "VARCHAR",
        "TEXT",
        "STRING",
        "DATE",
        "TIMESTAMP",
        "BYTEA",
        "INTERVAL",
    ];
    if known.contains(&word) && !text.ends_with("[]") {
        Ok(text)
    } else {
        Err(SqlError::new(format!("a policy may not cast to `{text}`")))
    }
}

fn binary(op: &BinaryOperator) -> Result<BinaryOp, SqlError> {
    Ok(match op {
        BinaryOperator::And => BinaryOp::And,
        BinaryOperator::Or => BinaryOp::Or,
        BinaryOperator::Eq => BinaryOp::Eq,
        BinaryOperator::NotEq => BinaryOp::NotEq,
        BinaryOperator::Lt => BinaryOp::Lt,
        BinaryOperator::LtEq => BinaryOp::LtEq,
        BinaryOperator::Gt => BinaryOp::Gt,
        BinaryOperator::GtEq => BinaryOp::GtEq,
        BinaryOperator::Plus => BinaryOp::Plus,
        BinaryOperator::Minus => BinaryOp::Minus,
        BinaryOperator::Multiply => BinaryOp::Multiply,
        BinaryOperator::Divide => BinaryOp::Divide,
        BinaryOperator::Modulo => BinaryOp::Modulo,
        BinaryOperator::StringConcat => BinaryOp::Concat,
        other => return Err(SqlError::new(format!("a policy may not use the operator `{other}`"))),
    })
}
