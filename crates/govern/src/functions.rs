//! The functions that queries may call: an allow-list, never DataFusion's defaults.
//!
//! * `lists`: every function DataFusion has, allowed or refused with the reason
//! * `bounded`: functions whose result can be far larger than their arguments, held to limits (`limits`, `estimate`)
//! * `text_concat`: the operator `||` on texts as such a function
//! * `planner`: what DataFusion's own syntax (`a || b`, `[a, b]`, `s.f`) turns into, held to the same list
//!
//! There are no table functions and no functions over functions.

mod bounded;
mod estimate;
mod limits;
mod lists;
mod planner;
mod series;
mod text_concat;

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};
use meshgate_model::mutant;

pub use limits::{
    ARRAY_BYTES_MAX, ARRAY_LEN_MAX, BATCH_BYTES_MAX, CONSTANT_ARRAY_LEN_MAX, CONSTANT_BYTES_MAX, SKETCH_LEN_MAX,
    TEXT_BYTES_MAX,
};

/// The scalar functions that queries and policies may call.
pub fn scalar_functions() -> Vec<Arc<ScalarUDF>> {
    SessionStateDefaults::default_scalar_functions()
        .into_iter()
        .filter(|function| lists::lists(lists::SCALAR, function.name()) || mutant("all functions are served"))
        .map(bounded::bounded)
        .collect()
}

/// The aggregate functions that queries may call.
pub fn aggregate_functions() -> Vec<Arc<AggregateUDF>> {
    SessionStateDefaults::default_aggregate_functions()
        .into_iter()
        .filter(|function| lists::lists(lists::AGGREGATE, function.name()))
        .collect()
}

/// The window functions that queries may call.
pub fn window_functions() -> Vec<Arc<WindowUDF>> {
    SessionStateDefaults::default_window_functions()
        .into_iter()
        .filter(|function| lists::lists(lists::WINDOW, function.name()))
        .collect()
}

/// What SQL's own syntax means, in functions of the list.
pub fn expr_planners() -> Vec<Arc<dyn ExprPlanner>> {
    planner::planners()
}

/// Whether queries may call a function of this name or alias, of whatever kind.
pub fn is_allowed(name: &str) -> bool {
    static NAMES: LazyLock<HashSet<String>> = LazyLock::new(|| {
        let named = |own: &str, aliases: &[String]| {
            std::iter::once(own.to_owned()).chain(aliases.iter().cloned()).collect::<Vec<_>>()
        };
        let scalar = scalar_functions().into_iter().flat_map(|f| named(f.name(), f.aliases()));
        let aggregate = aggregate_functions().into_iter().flat_map(|f| named(f.name(), f.aliases()));
        let window = window_functions().into_iter().flat_map(|f| named(f.name(), f.aliases()));
        scalar.chain(aggregate).chain(window).collect()
    });
    NAMES.contains(&name.to_lowercase())
}

/// Why a function of DataFusion is not on the list, for those that were left out on purpose.
pub fn refused(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase();
    lists::REFUSED.iter().find(|(refused, _)| *refused == name).map(|(_, reason)| *reason)
}
