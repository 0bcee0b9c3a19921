//! Functions whose result can be far larger than their arguments, with a look at the arguments first.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use super::estimate::Argument;
use super::limits::{Cost, FIXED_SIZE_MAX, Meter};

/// Bytes of the longest that a format code of `to_char` writes, and of a number or date within a text.
const WRITTEN_BYTES: u64 = 32;

/// What makes a function's result large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Growth {
    Repeat,
    Pad,
    Replace,
    RegexpReplace,
    Concat,
    ConcatWs,
    ArrayRepeat,
    ArrayResize,
    ArrayReplace,
    MakeArray,
    ArrayConcat,
    ArrayToString,
    Series {
        inclusive: bool,
    },
    Levenshtein,
    ToChar,
    /// Not the arguments but the type asked for.
    Cast,
}

impl Growth {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "repeat" => Self::Repeat,
            "lpad" | "rpad" => Self::Pad,
            "replace" => Self::Replace,
            "regexp_replace" => Self::RegexpReplace,
            "concat" | "overlay" | super::text_concat::NAME => Self::Concat,
            "concat_ws" => Self::ConcatWs,
            "array_repeat" => Self::ArrayRepeat,
            "array_resize" => Self::ArrayResize,
            "array_replace" | "array_replace_all" | "array_replace_n" => Self::ArrayReplace,
            "make_array" => Self::MakeArray,
            "array_append" | "array_concat" | "array_prepend" => Self::ArrayConcat,
            "array_to_string" => Self::ArrayToString,
            "range" => Self::Series { inclusive: false },
            "generate_series" => Self::Series { inclusive: true },
            "levenshtein" => Self::Levenshtein,
            "to_char" => Self::ToChar,
            "arrow_cast" | "arrow_try_cast" => Self::Cast,
            _ => return None,
        })
    }

    /// The cost of a row at most; `None` where it is nothing to speak of.
    fn cost(self, args: &[Argument], row: usize) -> Result<Option<Cost>> {
        let text = |at: usize| args.get(at).and_then(|arg| arg.text(row)).unwrap_or("");
        let len = |at: usize| text(at).len() as u64;
        let count = |at: usize| args.get(at).map_or(0, |arg| arg.count(row));
        let bytes = || args.iter().fold(0, |sum: u64, arg| sum.saturating_add(arg.bytes(row)));
        let elements = || args.iter().fold(0, |sum: u64, arg| sum.saturating_add(arg.elements(row)));
        Ok(Some(match self {
            Self::Repeat => Cost::Text(len(0).saturating_mul(count(1))),
            Self::Pad => Cost::Text(count(1).saturating_mul(if text(2).is_ascii() { 1 } else { 4 })),
            Self::Replace => Cost::Text(replaced(text(0), text(1), text(2))),
            Self::RegexpReplace => Cost::Text(regexp_replaced(len(0), text(2), text(3).contains('g'))),
            Self::Concat => Cost::Text(bytes()),
            Self::ConcatWs => Cost::Text(bytes().saturating_add(len(0).saturating_mul(args.len() as u64))),
            Self::ArrayRepeat => {
                let (one, times) = (&args[0], count(1));
                let (len, bytes) = (one.elements(row).max(1), one.bytes(row).max(1));
                Cost::Array { len: len.saturating_mul(times), bytes: bytes.saturating_mul(times) }
            }
            Self::ArrayResize => {
                let (len, filler) = (count(1), args.get(2).map_or(1, |arg| arg.bytes(row)).max(1));
                Cost::Array { len, bytes: args[0].bytes(row).saturating_add(len.saturating_mul(filler)) }
            }
            Self::ArrayReplace => {
                let (len, by) = (args[0].elements(row), args.get(2).map_or(1, |arg| arg.bytes(row)));
                Cost::Array { len, bytes: args[0].bytes(row).saturating_add(len.saturating_mul(by)) }
            }
            Self::MakeArray | Self::ArrayConcat => Cost::Array { len: elements(), bytes: bytes() },
            Self::ArrayToString => {
                let each = len(1).saturating_add(len(2)).saturating_add(WRITTEN_BYTES);
                Cost::Text(args[0].bytes(row).saturating_add(args[0].elements(row).saturating_mul(each)))
            }
            Self::Series { inclusive } => {
                if args.iter().any(|arg| arg.is_null(row)) {
                    return Ok(None);
                }
                let values = args.iter().map(|arg| arg.scalar(row)).collect::<Result<Vec<_>>>()?;
                let len = super::series::len(&values, inclusive);
                Cost::Array { len, bytes: len.saturating_mul(8) }
            }
            Self::Levenshtein => Cost::Steps(len(0).saturating_mul(len(1))),
            Self::ToChar => Cost::Text(len(1).saturating_mul(WRITTEN_BYTES)),
            Self::Cast => return Ok(None),
        }))
    }
}

/// At most so many bytes come of replacing one text by another.
fn replaced(text: &str, from: &str, to: &str) -> u64 {
    let (len, grown) = (text.len() as u64, to.len().saturating_sub(from.len()) as u64);
    if grown == 0 {
        return len;
    }
    len.saturating_add(grown.saturating_mul(text.matches(from).count() as u64))
}

/// At most so many bytes come of replacing matches: the matches are not looked for, each may be empty, and every
/// reference in the replacement may stand for all of the text.
fn regexp_replaced(len: u64, replacement: &str, all: bool) -> u64 {
    let references = replacement.matches(['$', '\\']).count() as u64;
    let matches = if all { len + 1 } else { 1 };
    len.saturating_mul(references + 1).saturating_add(matches.saturating_mul(replacement.len() as u64))
}

/// The function as it is, or held to the limits if its result can grow.
pub(super) fn bounded(function: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    match Growth::of(function.name()) {
        Some(growth) => Arc::new(ScalarUDF::from(Bounded { function, growth })),
        None => function,
    }
}

/// A function that looks at its arguments before it works.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    function: Arc<ScalarUDF>,
    growth: Growth,
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn aliases(&self) -> &[String] {
        self.function.aliases()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.function.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.function.signature()
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.function.coerce_types(arg_types)
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.function.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let field = self.function.return_field_from_args(args)?;
        if self.growth == Growth::Cast && fixed_size(field.data_type()) > FIXED_SIZE_MAX {
            let name = self.name();
            return plan_err!("`{name}` is limited to types of at most {FIXED_SIZE_MAX} bytes of fixed size");
        }
        Ok(field)
    }

    fn is_strict(&self) -> bool {
        self.function.is_strict()
    }

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        let function = Arc::new(self.function.inner().with_updated_config(config)?);
        Some(ScalarUDF::from(Self { function, growth: self.growth }))
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        // SECURITY: a simplification may put the unbounded function in our place. Only casts need theirs.
        match self.growth {
            Growth::Cast => self.function.simplify(args, info),
            _ => Ok(ExprSimplifyResult::Original(args)),
        }
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.function.documentation()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let arguments = args.args.iter().map(Argument::new).collect::<Result<Vec<_>>>()?;
        let mut meter = Meter { function: self.name(), constant, bytes: 0, steps: 0 };
        for row in 0..rows {
            if let Some(cost) = self.growth.cost(&arguments, row)? {
                meter.row(cost)?;
            }
        }
        self.function.invoke_with_args(args)
    }
}

/// Bytes that one value of a type takes even if it is NULL, beyond those of a number.
fn fixed_size(data_type: &DataType) -> u64 {
    match data_type {
        DataType::FixedSizeBinary(width) => u64::try_from(*width).unwrap_or(0),
        DataType::FixedSizeList(field, width) => {
            u64::try_from(*width).unwrap_or(0).saturating_mul(fixed_size(field.data_type()).max(1))
        }
        DataType::Struct(fields) => fields.iter().map(|field| fixed_size(field.data_type())).sum(),
        DataType::List(field) | DataType::LargeList(field) | DataType::Map(field, _) => fixed_size(field.data_type()),
        DataType::Dictionary(_, values) => fixed_size(values),
        _ => 8,
    }
}
