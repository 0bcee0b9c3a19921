//! Rows of several policies made one predicate, columns of several policies made one reading.

use meshgate_model::mutant;

use crate::{BinaryOp, Expr, Mask, Reading, Rows};

/// `(some permit's rows) AND NOT (some forbid's rows)`. `None` among the permits is a permit of all rows; there must be
/// at least one permit.
///
/// A row is visible where the result is true, neither false nor NULL. So a permit that is NULL shows nothing
/// (`NULL OR p` is true only where `p` is) and a forbid that is NULL hides (`NOT NULL` is NULL), without `IS TRUE` and
/// `IS FALSE` around them, which would keep readers from pruning by the predicate.
pub(crate) fn rows(permits: Vec<Option<Expr>>, forbids: Vec<Expr>) -> Rows {
    let permitted: Option<Vec<Expr>> = permits.into_iter().collect();
    let permitted = permitted.map(|permits| joined(BinaryOp::Or, distinct(permits)));
    let forbids = if mutant("forbidden rows are shown") { Vec::new() } else { forbids };
    let forbids = if mutant("only what all forbids hide is hidden") {
        joined(BinaryOp::And, forbids).into_iter().collect()
    } else {
        forbids
    };
    let hidden = distinct(forbids).into_iter().map(|forbid| Some(Expr::Not(Box::new(forbid))));
    let parts: Vec<Expr> = std::iter::once(permitted.flatten()).chain(hidden).flatten().collect();
    joined(BinaryOp::And, parts).map_or(Rows::All, Rows::Where)
}

/// The masks of all satisfied forbids on one column, of which there is at least one.
pub(crate) fn masks(masks: Vec<Mask>) -> Reading {
    match distinct(masks).as_slice() {
        [mask] => Reading::Masked(mask.clone()),
        // Which of two masks shows less is not for us to guess.
        [first, ..] if mutant("the first of two masks wins") => Reading::Masked(first.clone()),
        _ => Reading::Masked(Mask::ReplaceWithNull),
    }
}

/// Parts of an AND or OR, balanced, so that no number of them makes a deep tree.
pub(crate) fn joined(op: BinaryOp, mut parts: Vec<Expr>) -> Option<Expr> {
    while parts.len() > 1 {
        let mut halved = Vec::with_capacity(parts.len().div_ceil(2));
        let mut pairs = parts.into_iter();
        while let Some(left) = pairs.next() {
            halved.push(match pairs.next() {
                Some(right) => Expr::Binary(Box::new(left), op, Box::new(right)),
                None => left,
            });
        }
        parts = halved;
    }
    parts.pop()
}

fn distinct<T: PartialEq>(parts: Vec<T>) -> Vec<T> {
    let mut kept: Vec<T> = Vec::with_capacity(parts.len());
    for part in parts {
        if !kept.contains(&part) {
            kept.push(part);
        }
    }
    kept
}
