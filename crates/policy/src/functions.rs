//! The functions that row filters and SQL masks may call: scalar, deterministic, total in memory, by the names that
//! the engine gives them.

/// The allow-list. Anything else is refused when the policy is loaded.
pub const ROW_FUNCTIONS: &[&str] = &[
    "abs",
    "array_has",
    "ascii",
    "btrim",
    "ceil",
    "character_length",
    "coalesce",
    "concat",
    "concat_ws",
    "contains",
    "date_part",
    "date_trunc",
    "ends_with",
    "floor",
    "greatest",
    "initcap",
    "least",
    "left",
    "lower",
    "ltrim",
    "md5",
    "nullif",
    "octet_length",
    "regexp_like",
    "replace",
    "reverse",
    "right",
    "round",
    "rtrim",
    "sha224",
    "sha256",
    "sha384",
    "sha512",
    "signum",
    "split_part",
    "starts_with",
    "strpos",
    "substr",
    "translate",
    "trunc",
    "upper",
];

/// Functions of the list that answer true or false.
const PREDICATES: &[&str] = &["array_has", "contains", "ends_with", "regexp_like", "starts_with"];

/// Other words for functions of the list.
const ALIASES: &[(&str, &str)] = &[
    ("char_length", "character_length"),
    ("ceiling", "ceil"),
    ("datepart", "date_part"),
    ("datetrunc", "date_trunc"),
    ("length", "character_length"),
    ("list_contains", "array_has"),
    ("position", "strpos"),
    ("sign", "signum"),
    ("substring", "substr"),
    ("trim", "btrim"),
];

const AGGREGATES: &[&str] =
    &["array_agg", "avg", "bool_and", "bool_or", "count", "max", "mean", "median", "min", "string_agg", "sum"];

const VOLATILE: &[&str] = &[
    "current_date",
    "current_time",
    "current_timestamp",
    "localtime",
    "localtimestamp",
    "now",
    "rand",
    "random",
    "today",
    "uuid",
];

/// The name the engine knows, or why there is none.
pub(crate) fn resolve(written: &str) -> Result<&'static str, (String, Option<String>)> {
    let name = written.to_lowercase();
    let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name.as_str(), |(_, name)| name);
    if let Ok(found) = ROW_FUNCTIONS.binary_search(&name) {
        return Ok(ROW_FUNCTIONS[found]);
    }
    if AGGREGATES.contains(&name) {
        return Err((format!("`{name}` is an aggregate, and a policy looks at one row at a time"), None));
    }
    if VOLATILE.contains(&name) {
        return Err((format!("`{name}` is not the same for each row of a query"), Some("write `$now`".to_owned())));
    }
    if ["user", "current_user", "session_user"].contains(&name) {
        let message = format!("`{written}` would be the gateway's own user");
        return Err((message, Some("write `$user`, or `\"user\"` for the column".to_owned())));
    }
    let aliases = ALIASES.iter().map(|(alias, _)| *alias);
    let hint = crate::suggest::closest(name, ROW_FUNCTIONS.iter().copied().chain(aliases))
        .map(|near| format!("did you mean `{near}`?"));
    Err((format!("the function `{written}` is not one that policies may call"), hint))
}

/// Whether a function of the list answers true or false; `None` if that depends on its arguments.
pub(crate) fn is_predicate(name: &str) -> Option<bool> {
    match name {
        "coalesce" | "nullif" | "greatest" | "least" => None,
        _ => Some(PREDICATES.contains(&name)),
    }
}

#[cfg(test)]
mod tests {
    use super::{ROW_FUNCTIONS, resolve};

    #[test]
    fn knows_its_functions_and_says_why_not() {
        assert!(ROW_FUNCTIONS.is_sorted());
        assert_eq!(resolve("SUBSTRING").ok(), Some("substr"));
        assert_eq!(resolve("lower").ok(), Some("lower"));
        for (bad, word) in [("sum", "aggregate"), ("random", "each row"), ("read_file", "may call")] {
            let (message, _) = resolve(bad).expect_err(bad);
            assert!(message.contains(word), "{message}");
        }
        assert_eq!(resolve("uper").expect_err("misspelt").1.as_deref(), Some("did you mean `upper`?"));
    }
}
