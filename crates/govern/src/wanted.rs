//! Which rows of a listing a query's filters ask for.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::common::ScalarValue;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, Operator};

/// For some text columns, the only values that rows are wanted of.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Wanted {
    values: BTreeMap<String, BTreeSet<String>>,
}

impl Wanted {
    /// Rows with one value in each of these columns.
    pub fn only(values: &[(&str, &str)]) -> Self {
        let each = |(column, value): &(&str, &str)| ((*column).to_owned(), BTreeSet::from([(*value).to_owned()]));
        Self { values: values.iter().map(each).collect() }
    }

    /// By filters that all have to hold. What is no comparison of a column with texts asks for nothing less.
    pub(crate) fn by(filters: &[Expr]) -> Self {
        let mut wanted = Self::default();
        for filter in filters.iter().flat_map(split_conjunction) {
            let Some((column, values)) = values_of(filter) else { continue };
            match wanted.values.get_mut(column) {
                Some(known) => known.retain(|value| values.contains(value)),
                None => drop(wanted.values.insert(column.to_owned(), values)),
            }
        }
        wanted
    }

    /// Whether rows with this value in this column are wanted.
    pub fn takes(&self, column: &str, value: &str) -> bool {
        self.values.get(column).is_none_or(|values| values.contains(value))
    }

    /// Whether a column can have one value at most.
    pub fn fixes(&self, column: &str) -> bool {
        self.values.get(column).is_some_and(|values| values.len() <= 1)
    }

    /// Whether not all rows are wanted.
    pub(crate) fn narrows(&self) -> bool {
        !self.values.is_empty()
    }
}

/// The column and the texts of `column = 'text'`, `'text' = column` and `column IN ('text', ..)`.
fn values_of(filter: &Expr) -> Option<(&str, BTreeSet<String>)> {
    match filter {
        Expr::BinaryExpr(binary) if binary.op == Operator::Eq => {
            let (column, value) = match (&*binary.left, &*binary.right) {
                (Expr::Column(column), Expr::Literal(value, _)) | (Expr::Literal(value, _), Expr::Column(column)) => {
                    (column, value)
                }
                _ => return None,
            };
            Some((&column.name, BTreeSet::from([text(value)?])))
        }
        Expr::BinaryExpr(binary) if binary.op == Operator::Or => {
            let ((one, mut values), (other, more)) = (values_of(&binary.left)?, values_of(&binary.right)?);
            values.extend(more);
            (one == other).then_some((one, values))
        }
        Expr::InList(list) if !list.negated => {
            let Expr::Column(column) = &*list.expr else { return None };
            let values = list.list.iter().map(|item| match item {
                Expr::Literal(value, _) => text(value),
                _ => None,
            });
            Some((&column.name, values.collect::<Option<_>>()?))
        }
        _ => None,
    }
}

fn text(value: &ScalarValue) -> Option<String> {
    value.try_as_str().flatten().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{Expr, col, lit};

    use super::Wanted;

    #[test]
    fn comparisons_with_texts_narrow() {
        let (a, b) = (|| col("t.c").eq(lit("a")), || lit("b").eq(col("t.c")));
        for (filters, taken, fixed) in [
            (vec![], "abc", false),
            (vec![a()], "a", true),
            (vec![b().and(col("n").gt(lit(1)))], "b", true),
            (vec![a(), b()], "", true),
            (vec![a().or(b())], "ab", false),
            (vec![a().or(col("d").eq(lit("b")))], "abc", false),
            (vec![col("t.c").in_list(vec![lit("a"), lit("c")], false), col("t.c").not_eq(lit("a"))], "ac", false),
            (vec![col("t.c").in_list(vec![lit("a")], true)], "abc", false),
            (vec![col("t.c").in_list(vec![col("d"), lit("a")], false)], "abc", false),
            (vec![!a()], "abc", false),
            (vec![col("t.c").eq(lit(1))], "abc", false),
            (vec![col("t.c").like(lit("a"))], "abc", false),
        ] as [(Vec<Expr>, &str, bool); 12]
        {
            let wanted = Wanted::by(&filters);
            let found: String = ["a", "b", "c"].into_iter().filter(|value| wanted.takes("c", value)).collect();
            assert_eq!((found.as_str(), wanted.fixes("c")), (taken, fixed), "{filters:?}");
            assert!(wanted.takes("another", "anything"));
        }
    }
}
