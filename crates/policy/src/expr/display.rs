//! Expressions as SQL text: for `explain`, the audit trail and error messages. Reads back as the same expression.

use std::fmt::{self, Display, Formatter};

use super::{BinaryOp, Entitlement, Expr, Literal, Parameter};

/// Words that mean something of their own in an expression.
const RESERVED: &str = "all and any array as at between binary case cast ceil collate convert current_catalog current_date \
    current_time current_timestamp current_user date datetime distinct div else end escape except exists \
    extract false floor for from full group having ilike in inner intersect interval is join lambda left \
    like limit localtime localtimestamp map match not null offset on operator or order outer overlaps \
    overlay position prior regexp right rlike safe_cast select session_user similar some struct substr \
    substring table then time timestamp trim true try_cast try_convert union unknown user using when \
    where with xor";

/// How tightly an expression holds together; a part that binds looser than its place needs parentheses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Bond {
    Or,
    And,
    Not,
    Compare,
    Concat,
    Sum,
    Product,
    Sign,
    Atom,
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Column(path) => separated(f, ".", path.iter().map(|name| Quoted(name))),
            Self::MaskedValue => f.write_str("$value"),
            Self::Literal(literal) => literal.fmt(f),
            Self::Parameter(parameter) => parameter.fmt(f),
            Self::Not(expr) => write!(f, "NOT {}", At(expr, Bond::Not)),
            Self::Negate(expr) => write!(f, "-{}", At(expr, Bond::Atom)),
            Self::Binary(left, op, right) => {
                let bond = op.bond();
                let (left_bond, right_bond) = match bond {
                    Bond::Or => (Bond::Or, Bond::Or),
                    Bond::And => (Bond::And, Bond::And),
                    Bond::Compare => (Bond::Concat, Bond::Concat),
                    Bond::Concat => (Bond::Concat, Bond::Sum),
                    Bond::Sum => (Bond::Sum, Bond::Product),
                    _ => (Bond::Product, Bond::Sign),
                };
                write!(f, "{} {op} {}", At(left, left_bond), At(right, right_bond))
            }
            Self::IsNull { expr, negated } => write!(f, "{} IS {}NULL", At(expr, Bond::Concat), not(*negated)),
            Self::IsBoolean { expr, value, negated } => {
                let word = if *value { "TRUE" } else { "FALSE" };
                write!(f, "{} IS {}{word}", At(expr, Bond::Concat), not(*negated))
            }
            Self::InList { expr, list, negated } => {
                write!(f, "{} {}IN (", At(expr, Bond::Concat), not(*negated))?;
                separated(f, ", ", list)?;
                f.write_str(")")
            }
            Self::InEntitlement { expr, entitlement, negated } => {
                write!(f, "{} {}IN ({entitlement})", At(expr, Bond::Concat), not(*negated))
            }
            Self::Between { expr, low, high, negated } => {
                let at = |expr| At(expr, Bond::Concat);
                write!(f, "{} {}BETWEEN {} AND {}", at(expr), not(*negated), at(low), at(high))
            }
            Self::Like { expr, pattern, escape, case_insensitive, negated } => {
                let word = if *case_insensitive { "ILIKE" } else { "LIKE" };
                write!(f, "{} {}{word} {}", At(expr, Bond::Concat), not(*negated), At(pattern, Bond::Concat))?;
                escape.map_or(Ok(()), |escape| write!(f, " ESCAPE {}", Text(&escape.to_string())))
            }
            Self::Case { operand, branches, otherwise } => {
                f.write_str("CASE")?;
                operand.as_ref().map_or(Ok(()), |operand| write!(f, " {operand}"))?;
                branches.iter().try_for_each(|(when, then)| write!(f, " WHEN {when} THEN {then}"))?;
                otherwise.as_ref().map_or(Ok(()), |otherwise| write!(f, " ELSE {otherwise}"))?;
                f.write_str(" END")
            }
            Self::Cast { expr, to, lenient } => {
                write!(f, "{}({expr} AS {to})", if *lenient { "TRY_CAST" } else { "CAST" })
            }
            Self::Function { name, arguments } => {
                write!(f, "{name}(")?;
                separated(f, ", ", arguments)?;
                f.write_str(")")
            }
        }
    }
}

impl Expr {
    fn bond(&self) -> Bond {
        match self {
            Self::Binary(_, op, _) => op.bond(),
            Self::Not(_) => Bond::Not,
            Self::IsNull { .. }
            | Self::IsBoolean { .. }
            | Self::InList { .. }
            | Self::InEntitlement { .. }
            | Self::Between { .. }
            | Self::Like { .. } => Bond::Compare,
            Self::Negate(_) => Bond::Sign,
            Self::Literal(Literal::Integer(number)) if *number < 0 => Bond::Sign,
            Self::Literal(Literal::Number(number)) if number.starts_with('-') => Bond::Sign,
            _ => Bond::Atom,
        }
    }
}

impl BinaryOp {
    fn bond(self) -> Bond {
        match self {
            Self::Or => Bond::Or,
            Self::And => Bond::And,
            Self::Concat => Bond::Concat,
            Self::Plus | Self::Minus => Bond::Sum,
            Self::Multiply | Self::Divide | Self::Modulo => Bond::Product,
            _ => Bond::Compare,
        }
    }
}

impl Display for BinaryOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::And => "AND",
            Self::Or => "OR",
            Self::Eq => "=",
            Self::NotEq => "<>",
            Self::Lt => "<",
            Self::LtEq => "<=",
            Self::Gt => ">",
            Self::GtEq => ">=",
            Self::Plus => "+",
            Self::Minus => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
            Self::Concat => "||",
            Self::IsDistinctFrom => "IS DISTINCT FROM",
            Self::IsNotDistinctFrom => "IS NOT DISTINCT FROM",
        })
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Boolean(value) => f.write_str(if *value { "TRUE" } else { "FALSE" }),
            Self::Integer(number) => number.fmt(f),
            Self::Number(number) => f.write_str(number),
            Self::String(text) => Text(text).fmt(f),
            Self::Date(text) => write!(f, "DATE {}", Text(text)),
            Self::Timestamp(text) => write!(f, "TIMESTAMP {}", Text(text)),
            Self::StringSet(texts) => separated(f, ", ", texts.iter().map(|text| Text(text))),
            Self::IntegerSet(numbers) => separated(f, ", ", numbers),
        }
    }
}

impl Display for Parameter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::User => f.write_str("$user"),
            Self::Groups => f.write_str("$groups"),
            Self::Purpose => f.write_str("$purpose"),
            Self::Now => f.write_str("$now"),
            Self::Attribute(name, _) => write!(f, "${name}"),
        }
    }
}

impl Display for Entitlement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let product = &self.table.product;
        let schema = product.versioned_schema(self.table.major);
        write!(f, "SELECT {} FROM {}.{schema}.{}", Quoted(&self.column), product.domain, Quoted(&self.table.table))?;
        self.filter.as_ref().map_or(Ok(()), |filter| write!(f, " WHERE {filter}"))
    }
}

/// An expression in a place that needs a bond at least as tight.
struct At<'a>(&'a Expr, Bond);
/// A name, quoted unless it is a plain word.
struct Quoted<'a>(&'a str);
/// A string constant.
struct Text<'a>(&'a str);

impl Display for At<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0.bond() < self.1 { write!(f, "({})", self.0) } else { self.0.fmt(f) }
    }
}

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let plain = |c: char| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit();
        let word = self.0.starts_with(|c: char| plain(c) && !c.is_ascii_digit()) && self.0.chars().all(plain);
        if word && RESERVED.split(' ').all(|reserved| reserved != self.0) {
            f.write_str(self.0)
        } else {
            write!(f, "\"{}\"", self.0.replace('"', "\"\""))
        }
    }
}

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'", self.0.replace('\'', "''"))
    }
}

fn not(negated: bool) -> &'static str {
    if negated { "NOT " } else { "" }
}

fn separated<T: Display>(f: &mut Formatter<'_>, separator: &str, parts: impl IntoIterator<Item = T>) -> fmt::Result {
    for (position, part) in parts.into_iter().enumerate() {
        if position > 0 {
            f.write_str(separator)?;
        }
        part.fmt(f)?;
    }
    Ok(())
}
