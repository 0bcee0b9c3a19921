//! The values of parameters.

use meshgate_identity::Principal;
use meshgate_model::{AttributeType, AttributeValue, mutant};

use crate::{Expr, Literal, Mask, Parameter, RequestContext};

/// Where values come from. `$now` is not bound: a decision outlives the moment it was made in.
pub(super) struct Parameters<'a> {
    pub(super) principal: &'a Principal,
    pub(super) request: &'a RequestContext,
}

impl Parameters<'_> {
    pub(super) fn bind(&self, expr: &Expr) -> Expr {
        expr.bind(&|parameter| self.value(parameter))
    }

    pub(super) fn bind_mask(&self, mask: &Mask) -> Mask {
        match mask {
            Mask::Sql(expr) => Mask::Sql(self.bind(expr)),
            other => other.clone(),
        }
    }

    fn value(&self, parameter: &Parameter) -> Option<Literal> {
        match parameter {
            Parameter::User => Some(Literal::String(self.principal.name().to_owned())),
            Parameter::Groups => Some(Literal::StringSet(self.principal.groups().iter().cloned().collect())),
            Parameter::Purpose => Some(self.request.purpose.clone().map_or(Literal::Null, Literal::String)),
            Parameter::Now => None,
            Parameter::Attribute(name, kind) => Some(attribute(*kind, self.principal.attributes().get(name))),
        }
    }
}

/// An absent attribute is NULL. (One of another type than the declared is refused before this.)
fn attribute(kind: AttributeType, value: Option<&AttributeValue>) -> Literal {
    match (kind, value) {
        (AttributeType::String, Some(AttributeValue::String(text))) => Literal::String(text.clone()),
        (AttributeType::Integer, Some(AttributeValue::Integer(number))) => Literal::Integer(*number),
        (AttributeType::Boolean, Some(AttributeValue::Boolean(value))) => Literal::Boolean(*value),
        (AttributeType::StringSet, Some(AttributeValue::StringSet(texts))) => {
            Literal::StringSet(texts.iter().cloned().collect())
        }
        (AttributeType::IntegerSet, Some(AttributeValue::IntegerSet(numbers))) => {
            Literal::IntegerSet(numbers.iter().copied().collect())
        }
        (AttributeType::String, None) if mutant("an absent attribute is an empty text") => {
            Literal::String(String::new())
        }
        _ => Literal::Null,
    }
}
