//! A file run through DataFusion first: what to ask the gateway record by record, and the tables that are there each time.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use datafusion::common::ResolvedTableReference;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Set, Statement as Sql};

use super::answer::Answer;
use super::format::{Expected, Record, Records};
use super::local::{Contents, Local};
use super::reason::Reason;
use super::stored::stored;

/// What is asked, in order, and of what.
#[derive(Default)]
pub(super) struct Script {
    pub(super) steps: Vec<(Record, Ask)>,
    /// The tables between two changes, by schema and name: which of the versions they have.
    pub(super) states: Vec<BTreeMap<(String, String), usize>>,
    pub(super) versions: Vec<Version>,
}

/// A table's contents.
pub(super) struct Version {
    pub(super) original: Contents,
    /// The same as Delta can hold it, or why it cannot.
    pub(super) stored: Result<Contents, String>,
    /// Whether it is stored in other types.
    pub(super) changed: bool,
}

/// What becomes of a record.
pub(super) enum Ask {
    LeftOut(Reason),
    /// A statement that the gateway has to refuse; whether as a statement of its kind, or as one that cannot be read.
    Refused {
        readable: bool,
    },
    /// A statement about the session.
    Session,
    /// Something that has no answer to compare with, asked over the tables of a state.
    Explained {
        state: usize,
    },
    Read(Box<Read>),
}

/// A statement that only reads.
pub(super) struct Read {
    pub(super) state: usize,
    /// The versions of tables that it names.
    pub(super) versions: Vec<usize>,
    /// What DataFusion says.
    pub(super) local: Result<Answer, String>,
    /// Settings are not what they were at the beginning.
    pub(super) settings: bool,
    /// A function was made.
    pub(super) functions: bool,
    /// A table is a view.
    pub(super) views: bool,
    pub(super) zone: Option<String>,
    /// It says in which order rows come.
    pub(super) ordered: bool,
    /// It asks for what there is, not for what is in it.
    pub(super) listing: bool,
}

struct Writer {
    local: Local,
    script: Script,
    /// The versions of tables that were looked at since the last change.
    seen: HashMap<ResolvedTableReference, usize>,
    /// Their last versions, changed or not.
    last: HashMap<ResolvedTableReference, usize>,
    settings: (bool, Option<String>),
    functions: bool,
}

impl Script {
    pub(super) async fn write(folder: &Path, file: &Path, records: Records) -> Self {
        let local = Local::new(folder, file);
        let settings = local.settings();
        let script = Self { states: vec![BTreeMap::new()], ..Self::default() };
        let (seen, last) = (HashMap::new(), HashMap::new());
        let mut writer = Writer { local, script, seen, last, settings, functions: false };
        for record in records.all {
            let ask = writer.step(&record).await;
            writer.script.steps.push((record, ask));
        }
        writer.script
    }
}

impl Writer {
    async fn step(&mut self, record: &Record) -> Ask {
        let explains = record.sql.trim_start().get(..7).is_some_and(|word| word.eq_ignore_ascii_case("explain"));
        let Ok(statement) = self.local.read(&record.sql) else {
            let state = self.script.states.len() - 1;
            return if explains { Ask::Explained { state } } else { self.reading(record, None).await };
        };
        if explains {
            return self.explaining(&statement).await;
        }
        let changes = match &statement {
            Statement::Explain(_) => return self.explaining(&statement).await,
            Statement::CreateExternalTable(_) | Statement::CopyTo(_) => Ask::Refused { readable: false },
            Statement::Reset(reset) if is_zone(&reset.to_string()) => Ask::Session,
            Statement::Reset(_) => Ask::Refused { readable: false },
            Statement::Statement(inner) => match inner.as_ref() {
                Sql::Explain { .. } => return self.explaining(&statement).await,
                sql if reads(sql) => return self.reading(record, Some(&statement)).await,
                Sql::Set(Set::SetTimeZone { .. }) => Ask::Session,
                Sql::Set(Set::SingleAssignment { variable, .. }) if is_zone(&variable.to_string()) => Ask::Session,
                Sql::Set(_) => Ask::Refused { readable: false },
                // Another dialect may have words that the gateway's has not.
                _ => Ask::Refused { readable: !self.settings.0 },
            },
        };
        let succeeds = !matches!(record.expected, Expected::Failure(_));
        self.local.change(&record.sql, &statement, succeeds).await;
        self.functions |=
            matches!(&statement, Statement::Statement(inner) if matches!(**inner, Sql::CreateFunction(_)));
        self.settings = self.local.settings();
        self.seen.clear();
        if !self.script.states.last().is_some_and(BTreeMap::is_empty) {
            self.script.states.push(BTreeMap::new());
        }
        changes
    }

    async fn explaining(&mut self, statement: &Statement) -> Ask {
        for (_, table) in self.local.names(statement) {
            if self.local.lacks(&table).is_none() {
                self.version(&table).await;
            }
        }
        Ask::Explained { state: self.script.states.len() - 1 }
    }

    async fn reading(&mut self, record: &Record, statement: Option<&Statement>) -> Ask {
        let mut versions = Vec::new();
        let mut informs = false;
        let mut views = false;
        let succeeds = !matches!(record.expected, Expected::Failure(_));
        for (written, table) in statement.map(|statement| self.local.names(statement)).unwrap_or_default() {
            informs |= &*table.schema == "information_schema";
            views |= self.local.is_view(&table).await;
            if let Some(reason) = self.local.lacks(&table) {
                return Ask::LeftOut(reason);
            }
            match self.version(&table).await {
                Some(Ok(_)) if written.catalog().is_some() && succeeds => return Ask::LeftOut(Reason::Names),
                Some(Ok(version)) => versions.push(version),
                Some(Err(_)) => return Ask::LeftOut(Reason::NotBuilt),
                None => {}
            }
        }
        let statement = statement.and_then(|statement| match statement {
            Statement::Statement(inner) => Some(inner.as_ref()),
            _ => None,
        });
        let ordered = matches!(statement, Some(Sql::Query(query)) if query.order_by.is_some());
        let listing = informs || !matches!(statement, None | Some(Sql::Query(_)));
        let (settings, zone) = self.settings.clone();
        let local = self.local.ask(&record.sql).await;
        let state = self.script.states.len() - 1;
        let functions = self.functions;
        Ask::Read(Box::new(Read { state, versions, local, settings, functions, views, zone, ordered, listing }))
    }

    /// The version of a table that there is now.
    async fn version(&mut self, table: &ResolvedTableReference) -> Option<Result<usize, String>> {
        if let Some(version) = self.seen.get(table) {
            return Some(Ok(*version));
        }
        if &*table.schema == "information_schema" {
            return None;
        }
        let contents = match self.local.contents(table).await? {
            Ok(contents) => contents,
            Err(error) => return Some(Err(error)),
        };
        let same = |version: &usize| {
            let before = &self.script.versions[*version].original;
            before.schema == contents.schema && before.rows == contents.rows
        };
        let version = match self.last.get(table).copied().filter(same) {
            Some(version) => version,
            None => {
                let (stored, changed) = match stored(&contents) {
                    Ok((stored, changed)) => (Ok(stored), changed),
                    Err(error) => (Err(error), true),
                };
                self.script.versions.push(Version { original: contents, stored, changed });
                self.script.versions.len() - 1
            }
        };
        self.seen.insert(table.clone(), version);
        self.last.insert(table.clone(), version);
        if let Some(state) = self.script.states.last_mut() {
            state.insert((table.schema.to_string(), table.table.to_string()), version);
        }
        Some(Ok(version))
    }
}

/// `SET TIMEZONE` is the session's own business, as it is at the gateway.
fn is_zone(name: &str) -> bool {
    name.trim_start_matches("RESET ").eq_ignore_ascii_case("timezone")
}

fn reads(sql: &Sql) -> bool {
    matches!(
        sql,
        Sql::Query(_)
            | Sql::ExplainTable { .. }
            | Sql::ShowTables { .. }
            | Sql::ShowColumns { .. }
            | Sql::ShowFunctions { .. }
            | Sql::ShowVariable { .. }
            | Sql::ShowVariables { .. }
            | Sql::ShowCreate { .. }
            | Sql::ShowCollation { .. }
            | Sql::ShowDatabases { .. }
            | Sql::ShowSchemas { .. }
            | Sql::ShowViews { .. }
            | Sql::ShowStatus { .. }
    )
}
