//! `a || b` for texts. DataFusion evaluates the operator itself, without a limit; this function is what the planner
//! puts in its place. NULL on either side gives NULL, as the operator does.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, LargeStringBuilder, StringArrayType, StringBuilder, StringViewBuilder};
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::binary::BinaryTypeCoercer;
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// The function's name. It is not registered: only the operator leads to it.
pub(super) const NAME: &str = "||";

/// The function.
pub(super) fn text_concat() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(TextConcat { signature: Signature::user_defined(Volatility::Immutable) }))
}

/// The type of the result, if the operator makes a text of its operands.
pub(super) fn text_type(left: &DataType, right: &DataType) -> Option<DataType> {
    if left.is_null() || right.is_null() {
        return None;
    }
    let (left, right) = BinaryTypeCoercer::new(left, &Operator::StringConcat, right).get_input_types().ok()?;
    (left == right && matches!(left, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)).then_some(left)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct TextConcat {
    signature: Signature,
}

impl ScalarUDFImpl for TextConcat {
    fn name(&self) -> &str {
        NAME
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        match args {
            [left, right] => Ok(format!("{} || {}", left.schema_name(), right.schema_name())),
            _ => plan_err!("|| has two operands"),
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        match arg_types {
            [left, right] => match text_type(left, right) {
                Some(text) => Ok(vec![text.clone(), text]),
                None => plan_err!("|| does not apply to its operands' types"),
            },
            _ => plan_err!("|| has two operands"),
        }
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match arg_types {
            [only, _] => Ok(only.clone()),
            _ => plan_err!("|| has two operands"),
        }
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let [left, right] = args.args.as_slice() else { return exec_err!("|| has two operands") };
        let joined = join(left, right, rows, args.return_field.data_type())?;
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&joined, 0)?));
        }
        Ok(ColumnarValue::Array(joined))
    }
}

fn join(left: &ColumnarValue, right: &ColumnarValue, rows: usize, text: &DataType) -> Result<ArrayRef> {
    let (left, right) = (left.to_array(rows)?, right.to_array(rows)?);
    Ok(match text {
        DataType::Utf8 => {
            let mut builder = StringBuilder::new();
            each(left.as_string::<i32>(), right.as_string::<i32>(), |text| builder.append_option(text));
            Arc::new(builder.finish())
        }
        DataType::LargeUtf8 => {
            let mut builder = LargeStringBuilder::new();
            each(left.as_string::<i64>(), right.as_string::<i64>(), |text| builder.append_option(text));
            Arc::new(builder.finish())
        }
        DataType::Utf8View => {
            let mut builder = StringViewBuilder::new();
            each(left.as_string_view(), right.as_string_view(), |text| builder.append_option(text));
            Arc::new(builder.finish())
        }
        other => return exec_err!("|| does not make {other}"),
    })
}

fn each<'a, S: StringArrayType<'a>>(left: S, right: S, mut append: impl FnMut(Option<&str>)) {
    let mut joined = String::new();
    for pair in left.iter().zip(right.iter()) {
        match pair {
            (Some(left), Some(right)) => {
                joined.clear();
                joined.push_str(left);
                joined.push_str(right);
                append(Some(&joined));
            }
            _ => append(None),
        }
    }
}
