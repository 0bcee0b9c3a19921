//! What has to be done to a file's column to make it the table's column.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};
use datafusion::common::{DataFusionError, Result};

use crate::{Binding, FIELD_ID, NameMapping, PHYSICAL_NAME};

/// What to do to one column, recursively.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Plan {
    /// It is right as it is.
    Keep,
    /// Another type, that loses nothing.
    Cast(DataType),
    /// For each field of the table's struct, which of the file's fields it is, if any.
    Struct(Fields, Vec<Option<(usize, Plan)>>),
    /// The elements.
    List(FieldRef, Box<Plan>),
    /// Keys and values.
    Map(FieldRef, Box<Plan>, Box<Plan>),
}

/// Matches the fields of one level.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matcher<'a> {
    binding: &'a Binding,
    names: Option<&'a NameMapping>,
    /// Whether the file itself has ids.
    has_ids: bool,
    top: bool,
}

impl<'a> Matcher<'a> {
    /// For the columns of a file.
    pub(crate) fn new(binding: &'a Binding, file: &Fields) -> Self {
        let names = match binding {
            Binding::FieldId { names, .. } => names.as_ref(),
            Binding::Name => None,
        };
        Self { binding, names, has_ids: file.iter().any(|field| has_id(field)), top: true }
    }

    /// For each field of the table the index of the file's field.
    pub(crate) fn bind(&self, table: &Fields, file: &Fields) -> Vec<Option<usize>> {
        let by_name: HashMap<&str, usize> =
            file.iter().enumerate().map(|(index, field)| (field.name().as_str(), index)).collect();
        let by_id: HashMap<i32, usize> = match self.binding {
            Binding::Name => HashMap::new(),
            Binding::FieldId { .. } => {
                file.iter().enumerate().filter_map(|(index, field)| Some((self.id_of(index, field)?, index))).collect()
            }
        };
        let find = |field: &FieldRef| match self.binding {
            Binding::Name => by_name.get(physical_name(field)).copied(),
            Binding::FieldId { .. } if by_id.is_empty() && !self.top && !self.has_ids => {
                by_name.get(physical_name(field)).copied()
            }
            Binding::FieldId { .. } => by_id.get(&field_id(field)?).copied(),
        };
        table.iter().map(find).collect()
    }

    /// What to do to a file's field to make it the table's.
    pub(crate) fn plan(&self, table: &Field, file: &Field) -> Result<Plan> {
        let inner = self.below(file.name());
        let plan = match (table.data_type(), file.data_type()) {
            (DataType::Struct(wanted), DataType::Struct(found)) => {
                let columns = inner.bind(wanted, found).into_iter().zip(wanted.iter()).map(|(index, field)| {
                    let Some(index) = index else {
                        return Ok(None);
                    };
                    Ok(Some((index, inner.plan(field, &found[index])?)))
                });
                Plan::Struct(wanted.clone(), columns.collect::<Result<_>>()?)
            }
            (DataType::List(wanted), DataType::List(found) | DataType::LargeList(found)) => {
                Plan::List(wanted.clone(), Box::new(inner.plan(wanted, found)?))
            }
            (DataType::Map(wanted, _), DataType::Map(found, _)) => match (wanted.data_type(), found.data_type()) {
                (DataType::Struct(to), DataType::Struct(from)) if to.len() == 2 && from.len() == 2 => Plan::Map(
                    wanted.clone(),
                    Box::new(inner.plan(&to[0], &from[0])?),
                    Box::new(inner.plan(&to[1], &from[1])?),
                ),
                _ => return Err(mismatch(table, file)),
            },
            (wanted, found) if wanted == found => Plan::Keep,
            (wanted, found) if loses_nothing(found, wanted) => Plan::Cast(wanted.clone()),
            _ => return Err(mismatch(table, file)),
        };
        Ok(if table.data_type() == file.data_type() && is_identity(&plan) { Plan::Keep } else { plan })
    }

    fn id_of(&self, index: usize, field: &Field) -> Option<i32> {
        if self.has_ids {
            return field_id(field);
        }
        match (self.names, self.top) {
            (Some(names), _) => names.fields.get(field.name())?.0,
            // Files that were written without ids before the table had a mapping: by position, as the format says.
            (None, true) => i32::try_from(index + 1).ok(),
            (None, false) => None,
        }
    }

    fn below(&self, name: &str) -> Self {
        Self { names: self.names.and_then(|names| Some(&names.fields.get(name)?.1)), top: false, ..*self }
    }
}

/// The id of a field of a table or a file.
pub(crate) fn field_id(field: &Field) -> Option<i32> {
    field.metadata().get(FIELD_ID)?.parse().ok()
}

fn has_id(field: &Field) -> bool {
    field_id(field).is_some()
        || match field.data_type() {
            DataType::Struct(fields) => fields.iter().any(|field| has_id(field)),
            DataType::List(field) | DataType::LargeList(field) | DataType::Map(field, _) => has_id(field),
            _ => false,
        }
}

fn physical_name(field: &Field) -> &str {
    field.metadata().get(PHYSICAL_NAME).unwrap_or_else(|| field.name())
}

fn is_identity(plan: &Plan) -> bool {
    match plan {
        Plan::Keep => true,
        Plan::Cast(_) => false,
        Plan::Struct(_, fields) => fields
            .iter()
            .enumerate()
            .all(|(to, from)| matches!(from, Some((index, plan)) if *index == to && is_identity(plan))),
        Plan::List(_, element) => is_identity(element),
        Plan::Map(_, key, value) => is_identity(key) && is_identity(value),
    }
}

/// Whether all values of one type are values of the other.
///
/// SECURITY: a cast that can fail would put a value of the file into its error. Of these only instants far outside of what
/// the finer unit can tell have no counterpart; they become NULL (see the adapter).
pub fn loses_nothing(from: &DataType, to: &DataType) -> bool {
    use DataType::{
        Binary, BinaryView, Date32, Decimal128, Decimal256, Dictionary, FixedSizeBinary, Float16, Float32, Float64,
        Int8, Int16, Int32, Int64, LargeBinary, LargeUtf8, Time32, Time64, Timestamp, UInt8, UInt16, UInt32, Utf8,
        Utf8View,
    };
    match (from, to) {
        (Dictionary(_, values), to) => values.as_ref() == to || loses_nothing(values, to),
        (Int8, Int16 | Int32 | Int64)
        | (Int16 | UInt8, Int32 | Int64)
        | (UInt8, Int16)
        | (Int32 | UInt16 | UInt32, Int64)
        | (UInt16, Int32)
        | (Float16, Float32 | Float64)
        | (Float32 | Int8 | Int16 | Int32, Float64)
        | (Utf8 | LargeUtf8 | Utf8View, Utf8 | LargeUtf8 | Utf8View)
        | (Binary | LargeBinary | BinaryView | FixedSizeBinary(_), Binary | LargeBinary | BinaryView)
        | (Date32, Timestamp(TimeUnit::Second | TimeUnit::Millisecond | TimeUnit::Microsecond, None))
        | (Time32(_), Time64(_)) => true,
        (Binary | BinaryView, FixedSizeBinary(_)) => false,
        // Coarser to finer and the other way round; a time zone is only a way to show the same instant.
        (Timestamp(_, from), Timestamp(_, to)) => from.is_some() == to.is_some() || from.is_none(),
        (Decimal128(p, s), Decimal128(to_p, to_s) | Decimal256(to_p, to_s))
        | (Decimal256(p, s), Decimal256(to_p, to_s)) => {
            to_s >= s && i16::from(*to_p) - i16::from(*to_s) >= i16::from(*p) - i16::from(*s)
        }
        _ => false,
    }
}

fn mismatch(table: &Field, file: &Field) -> DataFusionError {
    DataFusionError::Execution(format!(
        "a data file has {} for a column that the table says is {}",
        file.data_type(),
        table.data_type()
    ))
}

/// The field of the table with the type the file has: what the default adapter casts from.
pub(crate) fn as_in_file(table: &FieldRef, file: &Field) -> FieldRef {
    Arc::new(table.as_ref().clone().with_data_type(file.data_type().clone()))
}
