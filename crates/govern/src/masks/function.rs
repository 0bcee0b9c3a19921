//! A mask as DataFusion sees it.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::Transform;

/// One mask, with its keys inside.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MaskFunction {
    name: String,
    transform: Transform,
    signature: Signature,
}

impl MaskFunction {
    pub(super) fn new(name: String, transform: Transform) -> Self {
        // Immutable: the salt of `sha-256-query-local` is part of the function, and the function is made for a query.
        Self { name, transform, signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl Hash for MaskFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // SECURITY: the keys count for equality but never enter a hash that others may see.
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for MaskFunction {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match arg_types {
            [only] if self.transform.applies(only) => Ok(only.clone()),
            [_] => plan_err!("the mask {} does not apply to a column's type", self.name),
            _ => plan_err!("the mask {} takes one argument", self.name),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<_> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let nullable = self.transform == Transform::Null || args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(&self.name, self.return_type(&types)?, nullable)))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.as_slice() {
            [ColumnarValue::Array(array)] => Ok(ColumnarValue::Array(self.transform.apply(array)?)),
            [ColumnarValue::Scalar(value)] => {
                let masked = self.transform.apply(&value.to_array()?)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&masked, 0)?))
            }
            _ => exec_err!("the mask {} takes one argument", self.name),
        }
    }
}
