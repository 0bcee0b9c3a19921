//! How one stored column becomes one governed column: as it is, masked, or rebuilt field by field.

use std::any::Any;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, LargeListArray, ListArray, MapArray, StructArray, new_null_array};
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::config::ConfigOptions;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use meshgate_model::mutant;
use meshgate_policy::{ColumnVerdict, Mask, Reading};
use meshgate_product::{Column, LogicalType};

use crate::masks::{MaskKeys, mask_function};

/// What is done to a value to make it servable.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Shape {
    /// Nothing.
    Keep,
    /// A mask that needs only the value.
    Mask(ScalarUDF),
    /// NULL of the promised type: the field is promised, but not stored, and the product only warns.
    Missing(DataType),
    /// A struct of some of its fields, under the contract's names.
    Struct(Vec<ShapedField>),
    /// Each element.
    List(Box<Shape>),
    /// Each value of a map; keys stay.
    Map(Box<Shape>),
}

/// One field of a rebuilt struct.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ShapedField {
    name: String,
    /// Its place in the stored struct.
    stored: Option<usize>,
    shape: Shape,
}

impl Shape {
    /// The shape of a column or field that may be read plainly, down to its fields.
    pub(crate) fn plain(
        column: &Column,
        verdicts: &[ColumnVerdict],
        stored: &DataType,
        keys: &MaskKeys,
    ) -> Result<Self, String> {
        if mutant("hidden fields are served") {
            return Ok(Self::Keep);
        }
        match (stored, &column.items, column.fields.as_slice()) {
            (DataType::Map(entries, _), None, [key, value]) if column.logical_type == Some(LogicalType::Map) => {
                let inner = Self::map(key, value, verdicts, entries, keys)?;
                Ok(if inner == Self::Keep { Self::Keep } else { Self::Map(Box::new(inner)) })
            }
            (DataType::Struct(fields), None, promised @ [_, ..]) if column.logical_type != Some(LogicalType::Map) => {
                Self::fields(promised, verdicts, fields, keys)
            }
            (DataType::List(item) | DataType::LargeList(item), Some(promised), _) => {
                let inner = Self::plain(promised, verdicts, item.data_type(), keys)?;
                Ok(if inner == Self::Keep { Self::Keep } else { Self::List(Box::new(inner)) })
            }
            // SECURITY: a verdict on something inside a value that cannot be taken apart must not be lost.
            _ if verdicts.iter().any(|verdict| verdict.reading != Reading::Plain) => {
                Err(format!("the fields of `{}` have rules of their own, but it is stored as {stored}", column.name))
            }
            // SECURITY: what is inside is served only as far as it is listed.
            _ if stored.is_nested() && lists_fields(column) => {
                Err(format!("the fields of `{}` cannot be told apart as it is stored: {stored}", column.name))
            }
            _ => Ok(Self::Keep),
        }
    }

    /// The shape of a map's values.
    fn map(
        key: &Column,
        value: &Column,
        verdicts: &[ColumnVerdict],
        entries: &FieldRef,
        keys: &MaskKeys,
    ) -> Result<Self, String> {
        let DataType::Struct(pair) = entries.data_type() else { return Err(format!("a map of {entries}")) };
        let [stored_key, stored_value] = &pair[..] else { return Err(format!("a map of {entries}")) };
        let mut shapes = Vec::with_capacity(2);
        for (column, stored) in [(key, stored_key), (value, stored_value)] {
            let shape = match Self::part(column, verdicts)? {
                (Reading::Plain, inner) => Self::plain(column, inner, stored.data_type(), keys)?,
                (Reading::Masked(mask), _) => Self::masked(column, mask, keys)?,
                (Reading::Hidden, _) => {
                    return Err(format!("a map without the `{}` of each entry is none", column.name));
                }
            };
            shapes.push(shape);
        }
        match <[Self; 2]>::try_from(shapes) {
            Ok([Self::Keep, value]) => Ok(value),
            // Keys that are made alike would be one key.
            _ => Err(format!("the `{}` of a map is served as it is stored or not at all", key.name)),
        }
    }

    /// How something inside a column is read, and what is inside of that.
    fn part<'v>(column: &Column, verdicts: &'v [ColumnVerdict]) -> Result<(&'v Reading, &'v [ColumnVerdict]), String> {
        // No verdicts at all: the fields have the column's own. Some, but none for this field: fail closed.
        match verdicts.iter().find(|verdict| verdict.name == column.name) {
            Some(verdict) => Ok((&verdict.reading, &verdict.fields)),
            None if verdicts.is_empty() => Ok((&Reading::Plain, &[])),
            None => Err(format!("there is no verdict on the field `{}`", column.name)),
        }
    }

    fn masked(column: &Column, mask: &Mask, keys: &MaskKeys) -> Result<Self, String> {
        let function = mask_function(mask, keys)
            .ok_or_else(|| format!("a `sql:` mask cannot be put on the field `{}`", column.name))?;
        Ok(Self::Mask(function.as_ref().clone()))
    }

    fn fields(
        promised: &[Column],
        verdicts: &[ColumnVerdict],
        stored: &Fields,
        keys: &MaskKeys,
    ) -> Result<Self, String> {
        let mut shaped = Vec::with_capacity(promised.len());
        for column in promised {
            let (reading, inner) = Self::part(column, verdicts)?;
            let found = stored.iter().position(|field| field.name() == &column.physical_name);
            let shape = match (reading, found) {
                (Reading::Hidden, _) => continue,
                (_, None) => Self::Missing(crate::promise::promised_type(column)),
                (Reading::Masked(mask), Some(_)) => Self::masked(column, mask, keys)?,
                (Reading::Plain, Some(index)) => Self::plain(column, inner, stored[index].data_type(), keys)?,
            };
            shaped.push(ShapedField { name: column.name.clone(), stored: found, shape });
        }
        let untouched = shaped.len() == stored.len()
            && shaped.iter().enumerate().all(|(index, field)| {
                field.stored == Some(index) && field.shape == Self::Keep && &field.name == stored[index].name()
            });
        Ok(if untouched { Self::Keep } else { Self::Struct(shaped) })
    }

    /// The type of the result.
    fn output(&self, stored: &DataType) -> DataType {
        match (self, stored) {
            (Self::Missing(promised), _) => promised.clone(),
            (Self::Struct(shaped), DataType::Struct(fields)) => DataType::Struct(
                shaped.iter().map(|field| Arc::new(field.output(fields)) as FieldRef).collect::<Fields>(),
            ),
            (Self::List(inner), DataType::List(item)) => DataType::List(element(inner, item)),
            (Self::List(inner), DataType::LargeList(item)) => DataType::LargeList(element(inner, item)),
            (Self::Map(inner), DataType::Map(entries, sorted)) => DataType::Map(entry(inner, entries), *sorted),
            _ => stored.clone(),
        }
    }

    fn apply(&self, array: &ArrayRef, config: &Arc<ConfigOptions>) -> Result<ArrayRef> {
        match self {
            Self::Keep => Ok(array.clone()),
            Self::Missing(promised) => Ok(new_null_array(promised, array.len())),
            Self::Mask(function) => {
                let field = Arc::new(Field::new("value", array.data_type().clone(), true));
                function
                    .invoke_with_args(ScalarFunctionArgs {
                        args: vec![ColumnarValue::Array(array.clone())],
                        arg_fields: vec![field.clone()],
                        number_rows: array.len(),
                        return_field: field,
                        config_options: config.clone(),
                    })?
                    .into_array(array.len())
            }
            Self::Struct(shaped) => {
                let stored = array.as_struct_opt().ok_or_else(|| unexpected(array))?;
                let mut fields = Vec::with_capacity(shaped.len());
                let mut columns = Vec::with_capacity(shaped.len());
                for field in shaped {
                    let column = match field.stored {
                        Some(index) => field.shape.apply(stored.column(index), config)?,
                        None => field.shape.apply(array, config)?,
                    };
                    fields.push(Arc::new(field.output(stored.fields())) as FieldRef);
                    columns.push(column);
                }
                Ok(Arc::new(StructArray::try_new_with_length(
                    fields.into(),
                    columns,
                    stored.nulls().cloned(),
                    stored.len(),
                )?))
            }
            Self::List(inner) => match array.data_type() {
                DataType::List(item) => {
                    let list = array.as_list::<i32>();
                    let values = inner.apply(list.values(), config)?;
                    let offsets = list.offsets().clone();
                    Ok(Arc::new(ListArray::try_new(element(inner, item), offsets, values, list.nulls().cloned())?))
                }
                DataType::LargeList(item) => {
                    let list = array.as_list::<i64>();
                    let values = inner.apply(list.values(), config)?;
                    let offsets = list.offsets().clone();
                    Ok(Arc::new(LargeListArray::try_new(element(inner, item), offsets, values, list.nulls().cloned())?))
                }
                _ => Err(unexpected(array)),
            },
            Self::Map(inner) => {
                let (DataType::Map(stored, sorted), Some(map)) = (array.data_type(), array.as_map_opt()) else {
                    return Err(unexpected(array));
                };
                let stored = entry(inner, stored);
                let DataType::Struct(pair) = stored.data_type() else { return Err(unexpected(array)) };
                let columns = vec![map.keys().clone(), inner.apply(map.values(), config)?];
                let entries = StructArray::try_new(pair.clone(), columns, map.entries().nulls().cloned())?;
                let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
                Ok(Arc::new(MapArray::try_new(stored, offsets, entries, nulls, *sorted)?))
            }
        }
    }
}

impl ShapedField {
    fn output(&self, stored: &Fields) -> Field {
        let stored = self.stored.and_then(|index| stored.get(index));
        let data_type = stored.map_or(DataType::Null, |field| field.data_type().clone());
        Field::new(&self.name, self.shape.output(&data_type), true)
    }
}

fn element(inner: &Shape, item: &FieldRef) -> FieldRef {
    Arc::new(Field::new(item.name(), inner.output(item.data_type()), true))
}

/// The entries of a map whose values have a shape.
fn entry(inner: &Shape, entries: &FieldRef) -> FieldRef {
    let pair = match entries.data_type() {
        DataType::Struct(pair) => match &pair[..] {
            [key, value] => DataType::Struct(Fields::from(vec![key.clone(), element(inner, value)])),
            _ => entries.data_type().clone(),
        },
        other => other.clone(),
    };
    Arc::new(Field::new(entries.name(), pair, entries.is_nullable()))
}

/// Whether the contract lists fields anywhere inside a column.
fn lists_fields(column: &Column) -> bool {
    !column.fields.is_empty() || column.items.as_deref().is_some_and(lists_fields)
}

fn unexpected(array: &ArrayRef) -> DataFusionError {
    DataFusionError::Internal(format!("a {} cannot be taken apart", array.data_type()))
}

/// A shape as a function of one argument.
#[derive(Debug)]
pub(crate) struct Reshape {
    shape: Shape,
    signature: Signature,
}

impl Reshape {
    pub(crate) fn function(shape: Shape) -> Arc<ScalarUDF> {
        let signature = Signature::any(1, Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(Self { shape, signature }))
    }
}

impl PartialEq for Reshape {
    fn eq(&self, other: &Self) -> bool {
        self.shape == other.shape
    }
}

impl Eq for Reshape {}

impl Hash for Reshape {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.type_id().hash(state);
        self.shape.hash(state);
    }
}

impl ScalarUDFImpl for Reshape {
    fn name(&self) -> &str {
        "reshape"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(self.shape.output(&arguments[0]))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let array = args.args[0].to_array(args.number_rows)?;
        Ok(ColumnarValue::Array(self.shape.apply(&array, &args.config_options)?))
    }
}

#[cfg(test)]
mod tests;
