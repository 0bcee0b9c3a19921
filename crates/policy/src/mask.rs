//! The names of masks in `@mask`.

use crate::Mask;

/// The masks that are a name, in the order of the documentation.
const NAMED: &[(&str, Mask)] = &[
    ("replace-with-null", Mask::ReplaceWithNull),
    ("mask-alphanum", Mask::MaskAlphanum),
    ("show-first-4", Mask::ShowFirst4),
    ("show-last-4", Mask::ShowLast4),
    ("mask-to-fixed-value", Mask::MaskToFixedValue),
    ("truncate-to-year", Mask::TruncateToYear),
    ("truncate-to-month", Mask::TruncateToMonth),
    ("sha-256-global", Mask::Sha256Global),
    ("sha-256-query-local", Mask::Sha256QueryLocal),
    ("hmac-sha-256", Mask::HmacSha256),
];

impl Mask {
    /// The mask of this name. `sql:` masks have no fixed name.
    pub fn named(name: &str) -> Option<Self> {
        NAMED.iter().find(|(known, _)| *known == name).map(|(_, mask)| mask.clone())
    }

    /// All names, for suggestions.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMED.iter().map(|(name, _)| *name)
    }
}

impl std::fmt::Display for Mask {
    /// As it stands in a policy; parameters of a `sql:` mask that are bound show their values.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sql(expr) => write!(f, "sql:{expr}"),
            other => f.write_str(NAMED.iter().find(|(_, mask)| mask == other).map_or("", |(name, _)| name)),
        }
    }
}
