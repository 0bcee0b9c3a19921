//! Masks as functions of one argument: what a principal sees instead of a column's values.
//!
//! Each mask is a [`ScalarUDF`] whose result has exactly its argument's type, in which NULL stays NULL, and which
//! cannot fail on data: a mask that does not suit a type is refused when the policy is loaded ([`mask_applies`]) and
//! again when a plan is made.
//!
//! * [`text`]: `mask-alphanum`, `show-first-4`, `show-last-4`
//! * [`digest`]: `sha-256-global`, `sha-256-query-local`, `hmac-sha-256`
//! * [`calendar`]: `truncate-to-year`, `truncate-to-month`
//! * [`fixed`]: `mask-to-fixed-value`, with the table of fixed values
//! * [`function`]: the wrapper that DataFusion calls
//!
//! `sql:` masks are expressions and are translated with the row filters, not here.

mod calendar;
mod digest;
mod fixed;
mod function;
mod text;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use datafusion::logical_expr::ScalarUDF;
use meshgate_model::mutant;
use meshgate_policy::Mask;

/// The secrets that masks depend on.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct MaskKeys {
    /// Fresh for each query: values hashed with it can be compared within one answer only.
    pub query_salt: [u8; 32],
    /// The mesh's own: values keyed with it stay joinable between queries.
    pub mesh_key: [u8; 32],
}

impl std::fmt::Debug for MaskKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // SECURITY: plans are printed; keys are not.
        f.write_str("MaskKeys(..)")
    }
}

/// The function that masks a column, or `None` for `sql:` masks.
pub(crate) fn mask_function(mask: &Mask, keys: &MaskKeys) -> Option<Arc<ScalarUDF>> {
    let transform = Transform::of(mask, keys)?;
    Some(Arc::new(ScalarUDF::from(function::MaskFunction::new(mask.to_string(), transform))))
}

/// Whether a mask can be put on a column of this type; if not, what it applies to.
pub(crate) fn mask_applies(mask: &Mask, data_type: &DataType) -> Result<(), String> {
    let plain = value_type(data_type);
    let (applies, to) = match mask {
        Mask::ReplaceWithNull | Mask::Sql(_) => (true, ""),
        Mask::MaskAlphanum | Mask::ShowFirst4 | Mask::ShowLast4 => (text::applies(plain), "strings"),
        Mask::MaskToFixedValue => (fixed::applies(data_type), "all types but unions and run-end encoded values"),
        Mask::TruncateToYear | Mask::TruncateToMonth => (calendar::applies(plain), "dates and timestamps"),
        Mask::Sha256Global | Mask::Sha256QueryLocal | Mask::HmacSha256 => {
            (digest::applies(plain), "strings, integers and binary values (fixed-size ones of up to 32 bytes)")
        }
    };
    if applies { Ok(()) } else { Err(format!("`{mask}` applies to {to}")) }
}

/// What a mask does to an array.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Transform {
    Null,
    Fixed,
    Text(text::Style),
    Truncate(calendar::Unit),
    Digest(digest::Keyed),
}

impl Transform {
    fn of(mask: &Mask, keys: &MaskKeys) -> Option<Self> {
        Some(match mask {
            Mask::ReplaceWithNull => Self::Null,
            Mask::MaskToFixedValue => Self::Fixed,
            Mask::MaskAlphanum => Self::Text(text::Style::All),
            Mask::ShowFirst4 => Self::Text(text::Style::ShowFirst4),
            Mask::ShowLast4 => Self::Text(text::Style::ShowLast4),
            Mask::TruncateToYear => Self::Truncate(calendar::Unit::Year),
            Mask::TruncateToMonth => Self::Truncate(calendar::Unit::Month),
            Mask::Sha256Global => Self::Digest(digest::Keyed::global()),
            Mask::Sha256QueryLocal => Self::Digest(digest::Keyed::salted(&keys.query_salt)),
            Mask::HmacSha256 => Self::Digest(digest::Keyed::hmac(&keys.mesh_key)),
            Mask::Sql(_) => return None,
        })
    }

    fn applies(&self, data_type: &DataType) -> bool {
        let plain = value_type(data_type);
        match self {
            Self::Null => true,
            Self::Fixed => fixed::applies(data_type),
            Self::Text(_) => text::applies(plain),
            Self::Truncate(_) => calendar::applies(plain),
            Self::Digest(_) => digest::applies(plain),
        }
    }

    /// The masked array. It shares no buffer with the argument.
    fn apply(&self, array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
        // SECURITY: an encoded array is decoded first. Masking a dictionary's values in place would leave keys that
        // still tell the original values apart.
        if let DataType::Dictionary(_, values) = array.data_type() {
            return cast(&self.apply(&cast(array, values)?)?, array.data_type());
        }
        match self {
            Self::Null if mutant("what is masked by null stays") => Ok(array.clone()),
            Self::Null => Ok(new_null_array(array.data_type(), array.len())),
            Self::Fixed => fixed::apply(array),
            Self::Text(style) => text::apply(array, *style),
            Self::Truncate(unit) => calendar::apply(array, *unit),
            Self::Digest(keyed) => digest::apply(array, keyed),
        }
    }
}

/// The type of the values, whatever their encoding.
fn value_type(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, values) => values,
        other => other,
    }
}

fn unsuited(array: &dyn Array) -> ArrowError {
    ArrowError::InvalidArgumentError(format!("this mask does not apply to {}", array.data_type()))
}
