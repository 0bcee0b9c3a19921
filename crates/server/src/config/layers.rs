//! The file and the environment, laid over each other.

use std::path::Path;

use serde::Deserialize;
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::keys;
use super::raw::Raw;
use crate::trouble::{Outcome, Trouble};

/// Variables that mean something to the gateway.
pub(super) const PREFIX: &str = "MESHGATE_";
const SEPARATOR: &str = "__";

/// What was written, the environment over the file.
pub(super) fn read(file: Option<&Path>, environment: impl Iterator<Item = (String, String)>) -> Outcome<Raw> {
    let mut table = match file {
        Some(file) => from_file(file)?,
        None => Table::new(),
    };
    for (name, value) in environment {
        if let Some(path) = path_of(&name) {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            keys::check(&path, &format!("from {name}"))?;
            lay(&mut table, &path, &name, &value)?;
        }
    }
    Raw::deserialize(table).map_err(|error| Trouble::config("the configuration cannot be read").because(&error))
}

fn from_file(file: &Path) -> Outcome<Table> {
    let shown = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| {
        Trouble::config(format!("the configuration {shown} cannot be read"))
            .because(&error)
            .hint("give another file with --config, or none: every key has a default")
    })?;
    let wrong = |error: &toml::de::Error| {
        let place = keys::place(&shown, &text, error.span().unwrap_or(0..0));
        Trouble::config(format!("{place}: the configuration cannot be read")).why(error.message())
    };
    let parsed = DeTable::parse(&text).map_err(|error| wrong(&error))?;
    check_keys(&shown, &text, &mut Vec::new(), parsed.get_ref())?;
    // Read once as it stands, for the place of a wrong value; once more when the environment is laid over it.
    toml::from_str::<Raw>(&text).map_err(|error| wrong(&error))?;
    toml::from_str(&text).map_err(|error| wrong(&error))
}

fn check_keys<'t>(file: &str, text: &str, above: &mut Vec<&'t str>, table: &'t DeTable<'_>) -> Outcome {
    for (key, value) in table {
        above.push(key.get_ref());
        match value.get_ref() {
            DeValue::Table(inner) if !inner.is_empty() => check_keys(file, text, above, inner)?,
            DeValue::Array(list) if list.iter().any(|one| matches!(one.get_ref(), DeValue::Table(_))) => {
                for one in list.iter().filter_map(|one| one.get_ref().as_table()) {
                    check_keys(file, text, above, one)?;
                }
            }
            _ => keys::check(above, &keys::place(file, text, key.span()))?,
        }
        above.pop();
    }
    Ok(())
}

/// `MESHGATE_ENGINE__MEMORY_MIB` is `engine.memory_mib`; other variables of the prefix belong to flags.
fn path_of(name: &str) -> Option<Vec<String>> {
    let rest = name.strip_prefix(PREFIX)?;
    if rest == "ENVIRONMENT" || rest.contains(SEPARATOR) {
        Some(rest.split(SEPARATOR).map(str::to_lowercase).collect())
    } else {
        None
    }
}

/// Sets one value. It is read as TOML if it is one and the key takes it so, else as text.
fn lay(table: &mut Table, path: &[&str], name: &str, text: &str) -> Outcome {
    let typed = toml::from_str::<Table>(&format!("value = {text}")).ok().and_then(|mut table| table.remove("value"));
    let candidates = typed.into_iter().chain([Value::String(text.to_owned())]);
    let mut complaint = None;
    for value in candidates {
        let alone = path
            .iter()
            .rev()
            .fold(value.clone(), |inner, key| Value::Table(Table::from_iter([((*key).to_owned(), inner)])));
        match Raw::deserialize(alone) {
            Ok(_) => return put(table, path, value, name),
            Err(error) => complaint = complaint.or(Some(error)),
        }
    }
    let why = complaint.map(|error| error.message().to_owned()).unwrap_or_default();
    Err(Trouble::config(format!("the value of {name} cannot be used")).why(why))
}

fn put(table: &mut Table, path: &[&str], value: Value, name: &str) -> Outcome {
    match path {
        [] => Ok(()),
        [key] => {
            table.insert((*key).to_owned(), value);
            Ok(())
        }
        [key, rest @ ..] => {
            let inner = table.entry(*key).or_insert_with(|| Value::Table(Table::new()));
            match inner.as_table_mut() {
                Some(inner) => put(inner, rest, value, name),
                None => Err(Trouble::config(format!("{name} sets a part of something that is no table in the file"))),
            }
        }
    }
}
