//! Masks that keep the shape of a text: its length in code points, its digits, letters and separators.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, LargeStringBuilder, StringArrayType, StringBuilder, StringViewBuilder};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use meshgate_model::mutant;

use super::unsuited;

/// Code points that the `show-` masks keep.
const SHOWN: usize = 4;

/// What stays readable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// Nothing.
    All,
    /// The first four code points.
    ShowFirst4,
    /// The last four code points.
    ShowLast4,
}

pub(super) fn applies(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

pub(super) fn apply(array: &ArrayRef, style: Style) -> Result<ArrayRef, ArrowError> {
    match array.data_type() {
        DataType::Utf8 => {
            let source = array.as_string::<i32>();
            let mut builder = StringBuilder::with_capacity(source.len(), source.values().len());
            each(source, style, |text| builder.append_option(text));
            Ok(Arc::new(builder.finish()))
        }
        DataType::LargeUtf8 => {
            let source = array.as_string::<i64>();
            let mut builder = LargeStringBuilder::with_capacity(source.len(), source.values().len());
            each(source, style, |text| builder.append_option(text));
            Ok(Arc::new(builder.finish()))
        }
        DataType::Utf8View => {
            let mut builder = StringViewBuilder::with_capacity(array.len());
            each(array.as_string_view(), style, |text| builder.append_option(text));
            Ok(Arc::new(builder.finish()))
        }
        _ => Err(unsuited(array)),
    }
}

fn each<'a>(source: impl StringArrayType<'a>, style: Style, mut append: impl FnMut(Option<&str>)) {
    let mut masked = String::new();
    for text in source.iter() {
        match text {
            None => append(None),
            Some(text) => {
                masked.clear();
                mask(text, style, &mut masked);
                append(Some(&masked));
            }
        }
    }
}

fn mask(text: &str, style: Style, out: &mut String) {
    match style {
        Style::All => out.extend(text.chars().map(alphanum)),
        Style::ShowFirst4 => {
            let kept = text.char_indices().nth(SHOWN).map_or(text.len(), |(at, _)| at);
            out.push_str(&text[..kept]);
            out.extend(text[kept..].chars().map(alphanum));
        }
        Style::ShowLast4 => {
            let shown = if mutant("one more character is shown") { SHOWN + 1 } else { SHOWN };
            let kept = text.char_indices().rev().nth(shown - 1).map_or(0, |(at, _)| at);
            out.extend(text[..kept].chars().map(alphanum));
            out.push_str(&text[kept..]);
        }
    }
}

fn alphanum(point: char) -> char {
    match point {
        '0'..='9' if !mutant("digits are not masked") => 'n',
        '(' | ')' | ',' | '.' | '-' | '@' => point,
        _ if mutant("letters are not masked") => point,
        _ => 'x',
    }
}
