//! From what is written to what is asked and expected.

use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;
use meshgate_identity::{Principal, PrincipalKind};
use meshgate_model::{AttributeValue, Instant};
use meshgate_product::Release;

use super::reader::{RawCase, Value};
use crate::expectation::{Case, Expected};
use crate::sql::{self, Parsed, Surroundings};
use crate::{RequestContext, suggest};

type Problems = Vec<String>;

impl RawCase {
    /// All that is wrong with the test itself, or the test.
    pub(super) fn read(&self, release: &Release, now: Instant) -> Result<Case, Problems> {
        let content = self.content.as_ref().map_err(|problem| vec![problem.clone()])?;
        let mut read = CaseReader { problems: Vec::new(), release };
        read.keys("the test", content, &["name", "principal", "purpose", "clientIp", "now", "resource", "expect"]);
        let principal = read.principal(content.get("principal"));
        let request = read.request(content, now);
        let written = content.get("resource").and_then(Value::text).unwrap_or_default();
        let table = sql::table_address(release, written);
        if table.is_none() {
            read.problems.push(format!("there is no table `{written}` (resource: domain.product.table)"));
        }
        let expected = read.expected(content.get("expect"));
        match table {
            Some(table) if read.problems.is_empty() => Ok(Case { principal, request, table, expected }),
            _ => Err(read.problems),
        }
    }
}

struct CaseReader<'a> {
    problems: Problems,
    release: &'a Release,
}

impl CaseReader<'_> {
    /// A misspelt key would be an expectation that nobody checks.
    fn keys(&mut self, what: &str, value: &Value, known: &[&str]) {
        for (key, _) in value.entries().iter().filter(|(key, _)| !known.contains(&key.as_str())) {
            let hint = suggest::hint(key, known.iter().copied()).map(|hint| format!(" ({hint})")).unwrap_or_default();
            self.problems.push(format!("{what} has no `{key}`{hint}"));
        }
    }

    fn principal(&mut self, written: Option<&Value>) -> Principal {
        let nobody = Value::Map(Vec::new());
        let written = written.unwrap_or_else(|| {
            self.problems.push("`principal` is missing".to_owned());
            &nobody
        });
        self.keys("`principal`", written, &["kind", "name", "groups", "attributes"]);
        let kind = match written.get("kind").and_then(Value::text) {
            None | Some("user") => PrincipalKind::User,
            Some("service") => PrincipalKind::Service,
            Some(other) => {
                self.problems.push(format!("`kind` is user or service, not `{other}`"));
                PrincipalKind::User
            }
        };
        let name = written.get("name").and_then(Value::text).unwrap_or("somebody");
        let groups: BTreeSet<_> =
            written.get("groups").and_then(Value::texts).unwrap_or_default().into_iter().collect();
        let attributes = self.attributes(written.get("attributes"));
        Principal::hypothetical(kind, name, groups, attributes)
    }

    fn attributes(&mut self, written: Option<&Value>) -> BTreeMap<String, AttributeValue> {
        let declared = &self.release.mesh().attributes;
        let mut attributes = BTreeMap::new();
        for (name, value) in written.map(Value::entries).unwrap_or_default() {
            let Some(kind) = declared.get(name) else {
                let hint = suggest::hint(name, declared.keys().map(String::as_str));
                let hint = hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
                self.problems.push(format!("mesh.yaml declares no attribute `{name}`{hint}"));
                continue;
            };
            match kind.read(name, &value.texts().unwrap_or_default()) {
                Ok(value) => {
                    attributes.insert(name.clone(), value);
                }
                Err(error) => self.problems.push(error.to_string()),
            }
        }
        attributes
    }

    fn request(&mut self, content: &Value, now: Instant) -> RequestContext {
        let text = |key: &str| content.get(key).and_then(Value::text);
        let purpose = text("purpose").map(str::to_owned);
        let client_ip = text("clientIp").and_then(|text| match text.parse() {
            Ok(address) => Some(address),
            Err(_) => {
                self.problems.push(format!("`{text}` is no IP address"));
                None
            }
        });
        let now = match text("now").map(DateTime::parse_from_rfc3339) {
            None => now,
            Some(Ok(time)) => Instant(time.timestamp_micros()),
            Some(Err(error)) => {
                self.problems.push(format!("`now` is no time: {error}"));
                now
            }
        };
        RequestContext { purpose, client_ip, now }
    }

    fn expected(&mut self, written: Option<&Value>) -> Expected {
        let mut expected = Expected { visible: true, rows: None, columns: Vec::new() };
        let Some(written) = written else {
            self.problems.push("`expect` is missing".to_owned());
            return expected;
        };
        self.keys("`expect`", written, &["visible", "rows", "columns"]);
        match written.get("visible").and_then(Value::text) {
            None | Some("true") => {}
            Some("false") => expected.visible = false,
            Some(other) => self.problems.push(format!("`visible` is true or false, not `{other}`")),
        }
        expected.rows = match written.get("rows").and_then(Value::text) {
            None => None,
            Some("all") => Some(None),
            Some(text) => {
                let attributes = &self.release.mesh().attributes;
                let surroundings = Surroundings { attributes, release: self.release, masked_value: false };
                match sql::parse(text, surroundings).and_then(Parsed::whole) {
                    Ok(expr) => Some(Some(expr)),
                    Err(error) => {
                        self.problems.push(format!("`rows`: {error}"));
                        None
                    }
                }
            }
        };
        for (column, reading) in written.get("columns").map(Value::entries).unwrap_or_default() {
            match reading.text() {
                Some(reading) => expected.columns.push((column.clone(), reading.to_owned())),
                None => self.problems.push(format!("`columns.{column}` is plain, hidden or the name of a mask")),
            }
        }
        expected
    }
}
