//! What the library's errors mean to us.

use deltalake::DeltaTableError;
use meshgate_table::Error;

/// Names the feature if one is missing; everything else is the library's affair.
pub(crate) fn translate(what: &'static str, place: &str, error: DeltaTableError) -> Error {
    match &error {
        DeltaTableError::NotATable(_) | DeltaTableError::InvalidTableLocation(_) => {
            return Error::NotFound { format: "Delta", place: place.to_owned() };
        }
        DeltaTableError::MissingFeature { feature, .. } => return Error::unsupported(format!("the feature {feature}")),
        _ => {}
    }
    let text = chain(&error);
    if let Some(feature) = feature_named_in(&text) {
        return Error::unsupported(feature);
    }
    if text.contains("No files in log segment") || text.contains("no log files") || text.contains("No table version") {
        return Error::NotFound { format: "Delta", place: place.to_owned() };
    }
    Error::format(what, error)
}

/// The library says which features it lacks in the text of its errors only.
fn feature_named_in(text: &str) -> Option<String> {
    let known = [
        ("TypeWidening", "type widening"),
        ("typeWidening", "type widening"),
        ("DeletionVectors", "deletion vectors"),
        ("VariantType", "variants"),
        ("variantType", "variants"),
    ];
    if !text.contains("nsupported") && !text.contains("nknown") && !text.contains("not supported") {
        return None;
    }
    if let Some((_, words)) = known.iter().find(|(name, _)| text.contains(name)) {
        return Some((*words).to_owned());
    }
    let lower = text.to_ascii_lowercase();
    if lower.contains("feature") || lower.contains("reader version") || lower.contains("protocol") {
        return Some("a reader feature this gateway does not know".to_owned());
    }
    None
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::feature_named_in;

    #[test]
    fn names_features() {
        for (text, feature) in [
            ("Unsupported table features required: [TypeWidening]", Some("type widening")),
            ("Unsupported: Unknown TableFeature teleport", Some("a reader feature this gateway does not know")),
            ("Object at location x not found", None),
        ] {
            assert_eq!(feature_named_in(text).as_deref(), feature, "{text}");
        }
    }
}
