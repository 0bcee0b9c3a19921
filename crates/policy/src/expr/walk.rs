//! Going through expressions: all parts, and a copy with parameters bound.

use super::{Entitlement, Expr, Literal, Parameter};

impl Expr {
    /// Visits this expression and everything inside it, entitlement filters included.
    pub fn visit<'a>(&'a self, visitor: &mut impl FnMut(&'a Expr)) {
        visitor(self);
        self.children(&mut |child| child.visit(visitor));
    }

    /// Visits the expressions directly inside this one.
    fn children<'a>(&'a self, visitor: &mut impl FnMut(&'a Expr)) {
        match self {
            Self::Column(_) | Self::MaskedValue | Self::Literal(_) | Self::Parameter(_) => {}
            Self::Not(expr) | Self::Negate(expr) | Self::IsNull { expr, .. } | Self::IsBoolean { expr, .. } => {
                visitor(expr);
            }
            Self::Cast { expr, .. } => visitor(expr),
            Self::Binary(left, _, right) => {
                visitor(left);
                visitor(right);
            }
            Self::InList { expr, list, .. } => {
                visitor(expr);
                list.iter().for_each(visitor);
            }
            Self::InEntitlement { expr, entitlement, .. } => {
                visitor(expr);
                entitlement.filter.iter().for_each(visitor);
            }
            Self::Between { expr, low, high, .. } => [expr, low, high].into_iter().for_each(|part| visitor(part)),
            Self::Like { expr, pattern, .. } => [expr, pattern].into_iter().for_each(|part| visitor(part)),
            Self::Case { operand, branches, otherwise } => {
                operand.iter().for_each(|part| visitor(part));
                branches.iter().for_each(|(when, then)| {
                    visitor(when);
                    visitor(then);
                });
                otherwise.iter().for_each(|part| visitor(part));
            }
            Self::Function { arguments, .. } => arguments.iter().for_each(visitor),
        }
    }

    /// The same expression with parameters replaced by what `value` says; `None` leaves the parameter.
    pub(crate) fn bind(&self, value: &impl Fn(&Parameter) -> Option<Literal>) -> Self {
        let boxed = |expr: &Expr| Box::new(expr.bind(value));
        match self {
            Self::Column(_) | Self::MaskedValue | Self::Literal(_) => self.clone(),
            Self::Parameter(parameter) => value(parameter).map_or_else(|| self.clone(), Self::Literal),
            Self::Not(expr) => Self::Not(boxed(expr)),
            Self::Negate(expr) => Self::Negate(boxed(expr)),
            Self::Binary(left, op, right) => Self::Binary(boxed(left), *op, boxed(right)),
            Self::IsNull { expr, negated } => Self::IsNull { expr: boxed(expr), negated: *negated },
            Self::IsBoolean { expr, value: wanted, negated } => {
                Self::IsBoolean { expr: boxed(expr), value: *wanted, negated: *negated }
            }
            Self::InList { expr, list, negated } => Self::InList {
                expr: boxed(expr),
                list: list.iter().map(|element| element.bind(value)).collect(),
                negated: *negated,
            },
            Self::InEntitlement { expr, entitlement, negated } => Self::InEntitlement {
                expr: boxed(expr),
                entitlement: Box::new(entitlement.bind(value)),
                negated: *negated,
            },
            Self::Between { expr, low, high, negated } => {
                Self::Between { expr: boxed(expr), low: boxed(low), high: boxed(high), negated: *negated }
            }
            Self::Like { expr, pattern, escape, case_insensitive, negated } => Self::Like {
                expr: boxed(expr),
                pattern: boxed(pattern),
                escape: *escape,
                case_insensitive: *case_insensitive,
                negated: *negated,
            },
            Self::Case { operand, branches, otherwise } => Self::Case {
                operand: operand.as_deref().map(boxed),
                branches: branches.iter().map(|(when, then)| (when.bind(value), then.bind(value))).collect(),
                otherwise: otherwise.as_deref().map(boxed),
            },
            Self::Cast { expr, to, lenient } => Self::Cast { expr: boxed(expr), to: to.clone(), lenient: *lenient },
            Self::Function { name, arguments } => Self::Function {
                name: name.clone(),
                arguments: arguments.iter().map(|argument| argument.bind(value)).collect(),
            },
        }
    }
}

impl Entitlement {
    fn bind(&self, value: &impl Fn(&Parameter) -> Option<Literal>) -> Self {
        Self {
            table: self.table.clone(),
            column: self.column.clone(),
            filter: self.filter.as_ref().map(|filter| filter.bind(value)),
        }
    }
}
