//! A statement, read once and found to be of a kind that is served.

use datafusion::sql::sqlparser::ast::{Expr, ObjectName, ResetStatement, Set, Statement, Use, Value};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use meshgate_model::{PublicText, mutant};

use crate::allow::{STRAY_PIN, allow_query, is_pinned};
use crate::{Error, Options, show, text};

/// A statement that is served, not yet planned.
#[derive(Debug, Clone)]
pub struct Request {
    pub(crate) kind: Kind,
    pub(crate) parameters: usize,
    /// How many words and signs it is written with.
    pub(crate) tokens: usize,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// Rows.
    Query(Box<Statement>),
    /// The logical plan of a query.
    Explain(Box<Statement>),
    /// The columns of a table.
    Describe(ObjectName),
    /// Options of the session.
    Session(Vec<SessionChange>),
}

/// One change of a session option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionChange {
    /// The option.
    pub name: String,
    /// Its value; `None` resets it.
    pub value: Option<String>,
}

impl Request {
    /// Reads a statement.
    pub fn read(sql: &str, options: &Options) -> Result<Self, Error> {
        let read = text::tokens(sql, options)?;
        let tokens = read.tokens.len();
        let statement = parse(read.tokens, options)?;
        let kind = Self::classify(statement, read.pins, options)?;
        Ok(Self { kind, parameters: read.parameters, tokens })
    }

    /// How many parameters it has.
    pub fn parameters(&self) -> usize {
        self.parameters
    }

    /// The changes it makes to the session, if that is what it is.
    pub fn session_changes(&self) -> Option<&[SessionChange]> {
        match &self.kind {
            Kind::Session(changes) => Some(changes),
            _ => None,
        }
    }

    /// SECURITY: the allow-list of statements. What is not named here is refused.
    fn classify(statement: Statement, pins: usize, options: &Options) -> Result<Kind, Error> {
        Ok(match statement {
            Statement::Query(_) => {
                allow_query(&statement, pins, options)?;
                Kind::Query(Box::new(statement))
            }
            Statement::Explain { options: Some(_), .. }
            | Statement::Explain { format: Some(_), .. }
            | Statement::Explain { query_plan: true, .. }
            | Statement::Explain { estimate: true, .. } => return Err(refused("EXPLAIN with options")),
            Statement::Explain { analyze: false, statement, .. } if matches!(*statement, Statement::Query(_)) => {
                allow_query(&statement, pins, options)?;
                Kind::Explain(statement)
            }
            // Its counters would tell of rows that the principal may not see.
            Statement::Explain { analyze: true, statement, .. } if mutant("EXPLAIN ANALYZE is served") => {
                Kind::Explain(statement)
            }
            Statement::Explain { analyze: true, .. } => return Err(refused("EXPLAIN ANALYZE")),
            Statement::Explain { .. } => return Err(refused("EXPLAIN of anything but a query")),
            Statement::ExplainTable { table_name, .. } if pins == usize::from(is_pinned(&table_name)) => {
                Kind::Describe(table_name)
            }
            _ if pins > 0 => return Err(refused(STRAY_PIN)),
            Statement::Set(set) => Kind::Session(session_set(set)?),
            Statement::Reset(reset) => Kind::Session(session_reset(reset)?),
            Statement::Use(target) => Kind::Session(session_use(target)?),
            other => match show::as_query(&other)? {
                Some(show::Shown::Sql(sql)) => {
                    let read = text::tokens(&sql, options)?;
                    Kind::Query(Box::new(parse(read.tokens, options)?))
                }
                Some(show::Shown::Table(name)) => Kind::Describe(name),
                None => return Err(refused(&first_words(&other))),
            },
        })
    }
}

fn parse(
    tokens: Vec<datafusion::sql::sqlparser::tokenizer::TokenWithSpan>,
    options: &Options,
) -> Result<Statement, Error> {
    let dialect = GenericDialect {};
    let mut statements = Parser::new(&dialect)
        .with_recursion_limit(options.sql_depth_max)
        .with_tokens_with_locations(tokens)
        .parse_statements()
        .map_err(|error| match error {
            ParserError::RecursionLimitExceeded => Error::Limited {
                text: PublicText::new(format!("the statement nests more than {} deep", options.sql_depth_max)),
            },
            error => Error::invalid(format!("the statement cannot be read: {error}")),
        })?;
    match (statements.pop(), statements.len()) {
        (Some(statement), 0) => Ok(statement),
        (Some(_), _) => Err(Error::invalid("one statement at a time, please")),
        (None, _) => Err(Error::invalid("the statement is empty")),
    }
}

pub(crate) fn refused(what: &str) -> Error {
    Error::Statement { what: what.to_owned() }
}

/// `INSERT INTO` of an INSERT: enough to say what is refused.
fn first_words(statement: &Statement) -> String {
    let text = statement.to_string();
    let words = text.split_whitespace().take(2).filter(|word| word.chars().all(|c| c.is_ascii_alphabetic()));
    words.collect::<Vec<_>>().join(" ").to_uppercase()
}

fn session_set(set: Set) -> Result<Vec<SessionChange>, Error> {
    match set {
        Set::SingleAssignment { variable, values, hivevar: false, .. } => {
            let name = option_name(&variable)?;
            let [value] = values.as_slice() else {
                return Err(Error::invalid(format!("`{name}` takes one value")));
            };
            Ok(vec![SessionChange { name, value: option_value(value)? }])
        }
        Set::SetTimeZone { value, .. } => {
            Ok(vec![SessionChange { name: "timezone".to_owned(), value: option_value(&value)? }])
        }
        other => Err(refused(&first_words(&Statement::Set(other)))),
    }
}

fn session_reset(reset: ResetStatement) -> Result<Vec<SessionChange>, Error> {
    match reset.reset {
        datafusion::sql::sqlparser::ast::Reset::ConfigurationParameter(name) => {
            Ok(vec![SessionChange { name: option_name(&name)?, value: None }])
        }
        datafusion::sql::sqlparser::ast::Reset::ALL => Err(refused("RESET ALL")),
    }
}

fn session_use(target: Use) -> Result<Vec<SessionChange>, Error> {
    let change = |name: &str, value: &str| SessionChange { name: name.to_owned(), value: Some(value.to_owned()) };
    let parts = |name: &ObjectName| name.0.iter().map(part).collect::<Result<Vec<_>, Error>>();
    match target {
        Use::Catalog(name) | Use::Database(name) => match parts(&name)?.as_slice() {
            [catalog] => Ok(vec![change("catalog", catalog)]),
            _ => Err(Error::invalid("USE CATALOG takes one name")),
        },
        Use::Schema(name) => match parts(&name)?.as_slice() {
            [schema] => Ok(vec![change("schema", schema)]),
            [catalog, schema] => Ok(vec![change("catalog", catalog), change("schema", schema)]),
            _ => Err(Error::invalid("USE SCHEMA takes `schema` or `catalog.schema`")),
        },
        Use::Object(name) => match parts(&name)?.as_slice() {
            [catalog] => Ok(vec![change("catalog", catalog)]),
            [catalog, schema] => Ok(vec![change("catalog", catalog), change("schema", schema)]),
            _ => Err(Error::invalid("USE takes `catalog` or `catalog.schema`")),
        },
        Use::Default => {
            Ok(["catalog", "schema"].map(|name| SessionChange { name: name.to_owned(), value: None }).into())
        }
        Use::Warehouse(_) | Use::Role(_) | Use::SecondaryRoles(_) => Err(refused("this form of USE")),
    }
}

/// `meshgate.<option>`; everything else is refused by name.
fn option_name(name: &ObjectName) -> Result<String, Error> {
    match name.0.iter().map(part).collect::<Result<Vec<_>, _>>()?.as_slice() {
        [first, option] if first == "meshgate" => Ok(option.clone()),
        [only] if only == "timezone" => Ok(only.clone()),
        _ => Err(Error::Invalid {
            text: PublicText::new(format!("`{name}` is no option of a session"))
                .hint("options are set as `SET meshgate.<name> = ...`"),
        }),
    }
}

fn option_value(value: &Expr) -> Result<Option<String>, Error> {
    match value {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => Ok(Some(text.clone())),
            Value::Number(text, _) => Ok(Some(text.clone())),
            Value::Boolean(value) => Ok(Some(value.to_string())),
            Value::Null => Ok(None),
            other => Err(Error::invalid(format!("`{other}` is no value for an option"))),
        },
        Expr::Identifier(ident) if ident.value.eq_ignore_ascii_case("default") => Ok(None),
        Expr::Identifier(ident) => Ok(Some(ident.value.clone())),
        other => Err(Error::invalid(format!("`{other}` is no value for an option"))),
    }
}

fn part(part: &datafusion::sql::sqlparser::ast::ObjectNamePart) -> Result<String, Error> {
    match part.as_ident() {
        Some(ident) if ident.quote_style.is_some() => Ok(ident.value.clone()),
        Some(ident) => Ok(ident.value.to_lowercase()),
        None => Err(Error::invalid("a function cannot stand for a name here")),
    }
}

#[cfg(test)]
mod tests {
    use meshgate_model::{Failure, Fault};

    use super::{Kind, Request, SessionChange};
    use crate::Options;

    #[test]
    fn statements_are_an_allow_list() {
        let options = Options::default();
        for sql in [
            "SELECT 1",
            "WITH a AS (SELECT 1) SELECT * FROM a",
            "VALUES (1), (2)",
            "EXPLAIN SELECT 1",
            "EXPLAIN VERBOSE SELECT 1",
            "DESCRIBE a.b.c",
            "SHOW TABLES",
            "SHOW COLUMNS FROM a.b.c",
            "SHOW meshgate.catalog",
            "SHOW ALL",
            "(SELECT 1) UNION ALL (SELECT 2) ORDER BY 1",
        ] {
            assert!(Request::read(sql, &options).is_ok(), "{sql}: {:?}", Request::read(sql, &options));
        }
        for sql in [
            "INSERT INTO t VALUES (1)",
            "UPDATE t SET x = 1",
            "DELETE FROM t",
            "MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN DELETE",
            "CREATE TABLE t (a INT)",
            "CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '/etc'",
            "CREATE VIEW v AS SELECT 1",
            "DROP TABLE t",
            "TRUNCATE TABLE t",
            "ALTER TABLE t ADD COLUMN x INT",
            "COPY t TO '/tmp/x'",
            "EXPLAIN ANALYZE SELECT 1",
            "EXPLAIN (COSTS FALSE) SELECT 1",
            "EXPLAIN FORMAT JSON SELECT 1",
            "EXPLAIN QUERY PLAN SELECT 1",
            "EXPLAIN INSERT INTO t VALUES (1)",
            "SELECT * INTO t FROM s",
            "SELECT * FROM t FOR UPDATE",
            "SELECT * FROM read_parquet('/etc/passwd')",
            "SELECT * FROM generate_series(1, 10)",
            "SELECT * FROM t PREWHERE x = 1",
            "SELECT * FROM t START WITH a = 1 CONNECT BY PRIOR a = b",
            "SELECT * FROM t PARTITION (p0)",
            "SELECT * FROM t SETTINGS max_threads = 1",
            "SELECT * FROM t FORMAT JSON",
            "SELECT AS STRUCT 1 AS a",
            "SELECT id FROM t AS y VERSION AS OF 0",
            "SELECT id AS x FOR VERSION AS OF 0",
            "SELECT (SELECT id FROM t GROUP BY id VERSION AS OF 0)",
            "WITH x AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM x",
            "BEGIN",
            "COMMIT",
            "GRANT SELECT ON t TO u",
            "PREPARE p AS SELECT 1",
            "EXECUTE p",
            "CALL p()",
            "ANALYZE t",
            "KILL 1",
            "LOAD 'x'",
            "RESET ALL",
        ] {
            let fault = Request::read(sql, &options).map(|_| ()).map_err(|error| error.fault());
            assert!(matches!(fault, Err(Fault::Denied | Fault::Invalid)), "{sql}: {fault:?}");
        }
        for sql in ["SET datafusion.execution.batch_size = 1", "SELECT 1; SELECT 2", "", "SELEC 1"] {
            let fault = Request::read(sql, &options).map(|_| ()).map_err(|error| error.fault());
            assert_eq!(fault, Err(Fault::Invalid), "{sql}");
        }
    }

    #[test]
    fn session_statements_change_options() {
        let change =
            |name: &str, value: Option<&str>| SessionChange { name: name.to_owned(), value: value.map(str::to_owned) };
        for (sql, expected) in [
            ("SET meshgate.purpose = 'marketing'", vec![change("purpose", Some("marketing"))]),
            ("SET meshgate.deadline_s TO 30", vec![change("deadline_s", Some("30"))]),
            ("RESET meshgate.purpose", vec![change("purpose", None)]),
            ("USE sales.orders", vec![change("catalog", Some("sales")), change("schema", Some("orders"))]),
            ("SET TIME ZONE 'UTC'", vec![change("timezone", Some("UTC"))]),
        ] {
            let request = Request::read(sql, &Options::default()).expect(sql);
            let Kind::Session(changes) = request.kind else { panic!("{sql} is no session statement") };
            assert_eq!(changes, expected, "{sql}");
        }
    }
}
