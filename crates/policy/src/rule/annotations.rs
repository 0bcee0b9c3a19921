//! `@rows` and `@mask`: what Cedar has no words for.

use cedar_policy::{Effect, Policy};
use meshgate_model::{Finding, Place, Severity};

use super::{ColumnUse, Covers, MaskNote, RowsNote, Setting};
use crate::source::{Annotation, Statement};
use crate::sql::{self, Parsed, Position, SqlError, Surroundings};
use crate::{Mask, shape, suggest};

/// The annotations there are.
const KNOWN: [&str; 4] = ["id", "rows", "mask", "description"];

#[derive(Default)]
pub(super) struct Notes {
    pub(super) rows: Option<RowsNote>,
    pub(super) mask: Option<MaskNote>,
}

pub(super) fn read(
    setting: Setting<'_>,
    statement: &Statement<'_>,
    policy: &Policy,
    covers: Covers,
    findings: &mut Vec<Finding>,
) -> Notes {
    let mut notes = Notes::default();
    let mut annotations: Vec<_> = policy.annotations().collect();
    annotations.sort_unstable();
    for (name, value) in annotations {
        let unplaced = Annotation { name: name.to_owned(), offset: statement.offset, value: None };
        let written = statement.annotations.iter().find(|written| written.name == name).unwrap_or(&unplaced);
        let note = Note { setting, written, value, covers, forbids: policy.effect() == Effect::Forbid };
        match name {
            "rows" => notes.rows = note.rows().map_err(|finding| findings.push(*finding)).ok(),
            "mask" => notes.mask = note.mask().map_err(|finding| findings.push(*finding)).ok(),
            _ if KNOWN.contains(&name) => {}
            _ => {
                let finding =
                    setting.error(note.place(), "unknown-annotation", format!("there is no annotation `@{name}`"));
                let near = suggest::closest(name, KNOWN).map(|near| format!("did you mean `@{near}`?"));
                findings.push(hinted(finding, near));
            }
        }
    }
    side_effects(setting, statement, &notes, covers, policy.effect(), findings);
    notes
}

/// An annotation that says one thing of an action and another thing of a second one is rarely meant.
fn side_effects(
    setting: Setting<'_>,
    statement: &Statement<'_>,
    notes: &Notes,
    covers: Covers,
    effect: Effect,
    findings: &mut Vec<Finding>,
) {
    if effect == Effect::Permit {
        return;
    }
    let mut warn = |message: &str, hint: &str| {
        let place = setting.document.place(statement.offset);
        findings.push(setting.finding(Severity::Warning, place, "wide-forbid", message).hint(hint));
    };
    if notes.rows.is_some() && notes.mask.is_none() && covers.read {
        warn(
            "this forbid hides some rows, and all columns of all rows besides",
            "limit it to `action == Action::\"query\"`",
        );
    }
    if notes.mask.is_some() && notes.rows.is_none() && covers.query {
        warn(
            "this forbid masks columns, and denies the whole table besides",
            "limit it to `action == Action::\"read\"`",
        );
    }
}

struct Note<'a> {
    setting: Setting<'a>,
    written: &'a Annotation,
    value: &'a str,
    covers: Covers,
    forbids: bool,
}

impl Note<'_> {
    fn rows(&self) -> Result<RowsNote, Box<Finding>> {
        if !self.covers.query {
            let message = "`@rows` says nothing here: the policy does not cover the action `query`";
            return Err(Box::new(self.setting.error(self.place(), "misplaced-annotation", message)));
        }
        let parsed = self.sql(self.value, 0, false, "row-filter")?;
        if let Some(why) = shape::not_boolean(&parsed.expr, &|_| false) {
            let message = format!("a row filter is true or false of a row, but {why}");
            return Err(Box::new(self.setting.error(self.value_place(None), "row-filter", message)));
        }
        let (columns, lost) = (self.columns(&parsed, 0), self.lost(&parsed, 0, "row-filter"));
        Ok(RowsNote { columns, lost, expr: parsed.expr, place: self.value_place(None) })
    }

    fn mask(&self) -> Result<MaskNote, Box<Finding>> {
        if !self.forbids || !self.covers.read {
            let message = "`@mask` belongs on a `forbid` that covers the action `read`";
            return Err(Box::new(self.setting.error(self.place(), "misplaced-annotation", message)));
        }
        let place = self.value_place(None);
        if let Some(text) = self.value.strip_prefix("sql:") {
            let skipped = 4;
            let parsed = self.sql(text, skipped, true, "mask-expression")?;
            let (columns, lost) = (self.columns(&parsed, skipped), self.lost(&parsed, skipped, "mask-expression"));
            return Ok(MaskNote { columns, lost, mask: Mask::Sql(parsed.expr), place });
        }
        match Mask::named(self.value) {
            Some(mask) => Ok(MaskNote { mask, columns: Vec::new(), lost: Vec::new(), place }),
            None => {
                let finding = self.setting.error(place, "unknown-mask", format!("there is no mask `{}`", self.value));
                let hint = suggest::hint(self.value, Mask::names()).unwrap_or_else(|| {
                    format!("one of {}, or sql:<expression>", Mask::names().collect::<Vec<_>>().join(", "))
                });
                Err(Box::new(finding.hint(hint)))
            }
        }
    }

    fn sql(&self, text: &str, skipped: u64, masked_value: bool, code: &'static str) -> Result<Parsed, Box<Finding>> {
        let Setting { attributes, release, .. } = self.setting;
        let parsed = sql::parse(text, Surroundings { attributes, release, masked_value });
        parsed.map_err(|error| Box::new(self.explained(error, skipped, code)))
    }

    fn lost(&self, parsed: &Parsed, skipped: u64, code: &'static str) -> Vec<Finding> {
        parsed.lost.iter().map(|error| self.explained(error.clone(), skipped, code)).collect()
    }

    fn explained(&self, error: SqlError, skipped: u64, code: &'static str) -> Finding {
        let SqlError { message, hint, position } = error;
        hinted(self.setting.error(self.value_place(shifted(position, skipped)), code, message), hint)
    }

    fn columns(&self, parsed: &Parsed, skipped: u64) -> Vec<ColumnUse> {
        let used = parsed.columns.iter();
        used.map(|(path, position)| ColumnUse {
            path: path.clone(),
            place: self.value_place(shifted(*position, skipped)),
        })
        .collect()
    }

    fn place(&self) -> Place {
        self.setting.document.place(self.written.offset)
    }

    fn value_place(&self, position: Option<Position>) -> Place {
        self.setting.document.place_in_value(self.written, position)
    }
}

/// A position in the text after a prefix, as a position in the whole value.
fn shifted(position: Option<Position>, skipped: u64) -> Option<Position> {
    position.map(|(line, column)| if line == 1 { (line, column + skipped) } else { (line, column) })
}

fn hinted(finding: Finding, hint: Option<String>) -> Finding {
    match hint {
        Some(hint) => finding.hint(hint),
        None => finding,
    }
}
