//! How each column, and each field inside it, may be read.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use cedar_policy::Effect;
use meshgate_model::mutant;
use meshgate_product::Table;

use super::Sorted;
use super::inquiry::Inquiry;
use super::parameters::Parameters;
use crate::entities::{ColumnEntity, Likeness};
use crate::refusal::Refusal;
use crate::rule::Rule;
use crate::slice::{Action, Slice};
use crate::{ColumnVerdict, Mask, PolicyRef, Reading, compose};

/// The columns of one table, for one principal and request.
pub(super) struct Columns<'a> {
    inquiry: &'a Inquiry<'a>,
    slice: &'a Slice,
    parameters: &'a Parameters<'a>,
    /// What was answered about columns that policies cannot tell apart. INVARIANT: principal, context and table are
    /// those of this one inquiry. Failures are not kept: the first ends it.
    known: HashMap<(Effect, Likeness<'a>), Vec<&'a Arc<Rule>>>,
}

impl<'a> Columns<'a> {
    pub(super) fn new(inquiry: &'a Inquiry<'a>, slice: &'a Slice, parameters: &'a Parameters<'a>) -> Self {
        Self { inquiry, slice, parameters, known: HashMap::new() }
    }

    pub(super) fn all(mut self, table: &'a Table) -> Result<Vec<ColumnVerdict>, Refusal> {
        let columns = table.columns.iter().map(|column| ColumnEntity::of_table(&table.address, column));
        columns.map(|column| self.verdict(&column, &[])).collect()
    }

    /// `above` are the permits of the column that holds this field: they cover everything inside it.
    fn verdict(&mut self, entity: &ColumnEntity<'a>, above: &[PolicyRef]) -> Result<ColumnVerdict, Refusal> {
        let verdict = |reading, fields, determining: Vec<PolicyRef>| ColumnVerdict {
            name: entity.column.name.clone(),
            reading,
            fields,
            determining: determining.sorted(),
        };
        let own = self.satisfied(Effect::Permit, entity)?;
        let permits: Vec<_> = above.iter().cloned().chain(own.iter().map(|rule| rule.id.clone())).collect();
        let forbids = self.forbids(entity)?;
        let forbidden_by = || forbids.iter().map(|rule| rule.id.clone());
        let masks: Option<Vec<Mask>> = forbids.iter().map(|rule| self.mask(rule)).collect();
        // SECURITY: asked whatever is said of the column, since what fails denies; else a forbid of the column would keep
        // a policy about something inside from failing.
        let skipped = mutant("what fails inside a hidden column is not noticed") && !forbids.is_empty();
        let fields = if skipped { Vec::new() } else { self.fields(entity, &permits)? };
        let mut inside = Vec::new();
        fields.iter().for_each(|field| all(field, &mut inside));
        match masks {
            // Some forbid has no mask.
            None => Ok(verdict(Reading::Hidden, Vec::new(), forbidden_by().collect())),
            Some(masks) if masks.is_empty() => {
                let hidden = |field: &ColumnVerdict| field.reading == Reading::Hidden;
                let plain = |field: &ColumnVerdict| field.reading == Reading::Plain && field.fields.is_empty();
                let nothing_left = fields.iter().all(hidden) && (permits.is_empty() || !fields.is_empty());
                if nothing_left {
                    let by = fields.iter().flat_map(|field| field.determining.iter().cloned()).collect();
                    Ok(verdict(Reading::Hidden, Vec::new(), by))
                } else if fields.iter().all(plain) {
                    Ok(verdict(Reading::Plain, Vec::new(), permits))
                } else {
                    Ok(verdict(Reading::Plain, fields, permits))
                }
            }
            Some(mut masks) if !permits.is_empty() || mutant("a mask is a right to read") => {
                let limited = || inside.iter().filter(|part| part.reading != Reading::Plain);
                let by = limited().flat_map(|part| part.determining.iter().cloned()).chain(forbidden_by()).collect();
                // SECURITY: a mask is on the whole of a column, and what is inside would be seen through it.
                if limited().any(|part| part.reading == Reading::Hidden) && !mutant("a mask shows hidden fields") {
                    return Ok(verdict(Reading::Hidden, Vec::new(), by));
                }
                masks.extend(limited().filter(|_| !mutant("a mask shows masked fields")).filter_map(|part| {
                    match &part.reading {
                        Reading::Masked(mask) => Some(mask.clone()),
                        Reading::Plain | Reading::Hidden => None,
                    }
                }));
                Ok(verdict(compose::masks(masks), Vec::new(), by))
            }
            // A mask gives no right to read.
            Some(_) => Ok(verdict(Reading::Hidden, Vec::new(), Vec::new())),
        }
    }

    fn fields(&mut self, entity: &ColumnEntity<'a>, permits: &[PolicyRef]) -> Result<Vec<ColumnVerdict>, Refusal> {
        entity.fields().map(|field| self.verdict(&field, permits)).collect()
    }

    /// The forbids on a column; what is forbidden of a list's elements is forbidden of the list.
    fn forbids(&mut self, entity: &ColumnEntity<'a>) -> Result<Vec<&'a Arc<Rule>>, Refusal> {
        if mutant("columns are never forbidden") {
            return Ok(Vec::new());
        }
        let mut forbids = self.satisfied(Effect::Forbid, entity)?;
        let mut element = entity.element().filter(|_| !mutant("elements of lists have no rules"));
        while let Some(inner) = element {
            forbids.extend(self.satisfied(Effect::Forbid, &inner)?);
            element = inner.element();
        }
        forbids.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        forbids.dedup_by(|a, b| a.id == b.id);
        Ok(forbids)
    }

    /// The satisfied policies about one column or element, sorted by id.
    fn satisfied(&mut self, effect: Effect, entity: &ColumnEntity<'a>) -> Result<Vec<&'a Arc<Rule>>, Refusal> {
        let uid = entity.uid();
        if self.slice.tells_apart(&uid) {
            return self.inquiry.satisfied(self.slice, effect, Action::Read, &uid);
        }
        Ok(match self.known.entry((effect, entity.likeness())) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(asked) => {
                asked.insert(self.inquiry.satisfied(self.slice, effect, Action::Read, &uid)?).clone()
            }
        })
    }

    fn mask(&self, rule: &Rule) -> Option<Mask> {
        rule.mask.as_ref().map(|note| self.parameters.bind_mask(&note.mask))
    }
}

/// A verdict and those on everything inside.
fn all<'a>(verdict: &'a ColumnVerdict, into: &mut Vec<&'a ColumnVerdict>) {
    into.push(verdict);
    verdict.fields.iter().for_each(|field| all(field, into));
}
