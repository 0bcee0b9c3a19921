//! SQL text to [`Expr`]: `sqlparser` reads it, this lets through what policies may say and refuses everything else.

mod entitlement;
mod scalar;

use meshgate_model::AttributeTypes;
use meshgate_product::Release;
use sqlparser::ast;
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token, Tokenizer};

pub(crate) use entitlement::table_address;

use crate::{Expr, Literal, Parameter};

/// The longest expression, in bytes.
const LEN_MAX: usize = 16 * 1024;
/// The most words and signs. It also bounds the depth of what `sqlparser` builds from chains of operators, which it
/// prints and drops recursively.
const TOKENS_MAX: usize = 2_000;
/// How deep parentheses, functions and the like may be nested.
const NESTING_MAX: usize = 50;
/// How deep expressions may be nested, and how long chains of operators other than AND and OR may be.
const DEPTH_MAX: usize = 60;

/// A line and a column in a text, both from 1.
pub(crate) type Position = (u64, u64);

/// What is known where an expression is read.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    pub(crate) attributes: &'a AttributeTypes,
    pub(crate) release: &'a Release,
    /// Whether `$value` means something: only in `sql:` masks.
    pub(crate) masked_value: bool,
}

/// An expression and where its columns stand.
#[derive(Debug, Clone)]
pub(crate) struct Parsed {
    pub(crate) expr: Expr,
    /// Columns of the policy's own table, with line and column in the text.
    pub(crate) columns: Vec<(Vec<String>, Option<Position>)>,
    /// What sub-selects name and the documents of the mesh do not have. Documents change without the text, so this is
    /// no mistake in it; but `expr` is NULL then, which shows nothing, hides everything and masks with NULL.
    pub(crate) lost: Vec<SqlError>,
}

impl Parsed {
    /// The expression, if everything that it names is there.
    pub(crate) fn whole(self) -> Result<Expr, SqlError> {
        self.lost.into_iter().next().map_or(Ok(self.expr), Err)
    }
}

/// Why a text is no expression for a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct SqlError {
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    /// Line and column in the text, from 1.
    pub(crate) position: Option<Position>,
}

impl SqlError {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, position: None }
    }

    fn hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    fn at(mut self, location: Location) -> Self {
        self.position = self.position.or_else(|| position(location));
        self
    }
}

impl From<ParserError> for SqlError {
    fn from(error: ParserError) -> Self {
        match error {
            ParserError::RecursionLimitExceeded => Self::new("the expression is nested too deeply"),
            ParserError::TokenizerError(text) | ParserError::ParserError(text) => {
                let (message, place) = text.rsplit_once(" at Line: ").unwrap_or((&text, ""));
                let position = place
                    .split_once(", Column: ")
                    .and_then(|(line, column)| Some((line.trim().parse().ok()?, column.trim().parse().ok()?)));
                Self { message: format!("the SQL does not parse: {message}"), hint: None, position }
            }
        }
    }
}

/// Reads one expression.
pub(crate) fn parse<'a>(text: &'a str, surroundings: Surroundings<'a>) -> Result<Parsed, SqlError> {
    if text.len() > LEN_MAX {
        return Err(SqlError::new(format!("the expression is longer than {LEN_MAX} bytes")));
    }
    let dialect = GenericDialect {};
    let tokens = Tokenizer::new(&dialect, text).tokenize_with_location().map_err(ParserError::from)?;
    if tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).count() > TOKENS_MAX {
        let error = SqlError::new(format!("the expression has more than {TOKENS_MAX} words and signs"));
        return Err(error.hint(Some("keep the values in a table, and use IN (SELECT ..)".to_owned())));
    }
    let mut parser = Parser::new(&dialect).with_recursion_limit(NESTING_MAX).with_tokens_with_locations(tokens);
    let read = parser.parse_expr()?;
    let rest = parser.peek_token();
    if rest.token != Token::EOF {
        let error = SqlError::new(format!("one expression is expected, but `{rest}` follows it"));
        return Err(error.at(rest.span.start));
    }
    let mut reader = Reader { surroundings, text, columns: Vec::new(), lost: Vec::new(), table: None, depth: 0 };
    let expr = reader.expr(&read)?;
    // SECURITY: an expression with a hole in it means something else; the whole of it is nothing.
    let expr = if reader.lost.is_empty() { expr } else { Expr::Literal(Literal::Null) };
    Ok(Parsed { expr, columns: reader.columns, lost: reader.lost })
}

/// Translates parts of what `sqlparser` read.
struct Reader<'a> {
    surroundings: Surroundings<'a>,
    text: &'a str,
    columns: Vec<(Vec<String>, Option<Position>)>,
    lost: Vec<SqlError>,
    /// The entitlement table whose filter is being read; none in the policy's own expression.
    table: Option<entitlement::Source<'a>>,
    depth: usize,
}

impl Reader<'_> {
    /// One expression: the depth is kept, and an error without a position gets that of the expression.
    fn expr(&mut self, read: &ast::Expr) -> Result<Expr, SqlError> {
        if self.depth >= DEPTH_MAX {
            let error = SqlError::new(format!("the expression is nested more than {DEPTH_MAX} deep"));
            return Err(error.hint(Some("use fewer operators".to_owned())));
        }
        self.depth += 1;
        let result = self.translate(read).map_err(|error| error.at(start(read)));
        self.depth -= 1;
        if let Ok(Expr::Parameter(parameter)) = &result
            && parameter.is_set()
        {
            let error = SqlError::new(format!("`{parameter}` is a set and has no single value"));
            return Err(error.hint(Some(format!("write `.. IN ({parameter})`"))).at(start(read)));
        }
        result
    }

    fn boxed(&mut self, read: &ast::Expr) -> Result<Box<Expr>, SqlError> {
        self.expr(read).map(Box::new)
    }

    fn list(&mut self, read: &[ast::Expr]) -> Result<Vec<Expr>, SqlError> {
        read.iter().map(|expr| self.expr(expr)).collect()
    }

    /// An element of an IN list, where sets may stand.
    fn element(&mut self, read: &ast::Expr) -> Result<Expr, SqlError> {
        if let ast::Expr::Value(ast::ValueWithSpan { value: ast::Value::Placeholder(name), .. }) = read {
            return self.placeholder(name).map_err(|error| error.at(start(read)));
        }
        self.expr(read)
    }

    /// A column of the policy's table, checked later against each table it may apply to, or of an entitlement table,
    /// checked here.
    fn column(&mut self, path: &[ast::Ident]) -> Result<Expr, SqlError> {
        let mut names: Vec<String> = path.iter().map(|ident| ident.value.clone()).collect();
        let location = path.first().map_or(Location::empty(), |ident| ident.span.start);
        match &self.table {
            Some(source) => {
                let (resolved, lost) = source.resolve(names);
                names = resolved;
                self.lost.extend(lost.map(|error| error.at(location)));
            }
            None => self.columns.push((names.clone(), position(location))),
        }
        Ok(Expr::Column(names))
    }

    /// The text where an expression begins, for messages. (Printing it recurses.)
    fn excerpt(&self, read: &ast::Expr) -> String {
        const CHARS_MAX: usize = 40;
        let (line, column) = position(start(read)).unwrap_or((1, 1));
        let index = |number: u64| usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
        let line = self.text.lines().nth(index(line)).unwrap_or_default();
        let mut rest = line.chars().skip(index(column));
        let text: String = rest.by_ref().take(CHARS_MAX).collect();
        if rest.next().is_some() { text + ".." } else { text }
    }

    fn placeholder(&self, written: &str) -> Result<Expr, SqlError> {
        let name = written.strip_prefix('$').unwrap_or_default();
        let own = self.surroundings;
        let parameter = match name {
            "value" if own.masked_value && self.table.is_none() => return Ok(Expr::MaskedValue),
            "value" => {
                return Err(SqlError::new("`$value` is the value under a mask, and stands for nothing here"));
            }
            "user" => Parameter::User,
            "groups" => Parameter::Groups,
            "purpose" => Parameter::Purpose,
            "now" => Parameter::Now,
            _ => match own.attributes.get(name) {
                Some(kind) => Parameter::Attribute(name.to_owned(), *kind),
                None => {
                    let known = ["user", "groups", "purpose", "now"].into_iter();
                    let value = own.masked_value.then_some("value");
                    let known = known.chain(value).chain(own.attributes.keys().map(String::as_str));
                    let near = crate::suggest::closest(name, known);
                    let hint = near.map_or_else(
                        || "declare it under `attributes` in mesh.yaml".to_owned(),
                        |near| format!("did you mean `${near}`?"),
                    );
                    return Err(SqlError::new(format!("there is no parameter `{written}`")).hint(Some(hint)));
                }
            },
        };
        Ok(Expr::Parameter(parameter))
    }
}

/// Where an expression begins. (`Spanned` recurses, and chains of operators are deep.)
fn start(mut read: &ast::Expr) -> Location {
    use ast::Expr as Sql;
    loop {
        read = match read {
            Sql::Identifier(ident) => return ident.span.start,
            Sql::CompoundIdentifier(path) => return path.first().map_or(Location::empty(), |ident| ident.span.start),
            Sql::Value(value) => return value.span.start,
            Sql::TypedString(typed) => return typed.value.span.start,
            Sql::Function(call) => match call.name.0.first() {
                Some(ast::ObjectNamePart::Identifier(ident)) => return ident.span.start,
                _ => return Location::empty(),
            },
            Sql::BinaryOp { left, .. } | Sql::AnyOp { left, .. } | Sql::AllOp { left, .. } => left,
            Sql::CompoundFieldAccess { root, .. } => root,
            Sql::AtTimeZone { timestamp, .. } => timestamp,
            Sql::Nested(expr) | Sql::UnaryOp { expr, .. } | Sql::Cast { expr, .. } | Sql::Collate { expr, .. } => expr,
            Sql::InList { expr, .. } | Sql::InSubquery { expr, .. } | Sql::Between { expr, .. } => expr,
            Sql::Like { expr, .. } | Sql::ILike { expr, .. } | Sql::SimilarTo { expr, .. } => expr,
            Sql::IsNull(expr) | Sql::IsNotNull(expr) | Sql::IsTrue(expr) | Sql::IsFalse(expr) => expr,
            _ => return Location::empty(),
        };
    }
}

fn position(location: Location) -> Option<Position> {
    (location.line > 0).then_some((location.line, location.column))
}
