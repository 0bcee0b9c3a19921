//! Filters that stand still while a table is read.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{DynamicFilterPhysicalExpr, lit};
use meshgate_model::mutant;
use parking_lot::Mutex;

/// The dynamic filters of a scan, each with one that stands still: what it was when the scan began.
///
/// SECURITY: a filter that changes while files are read lets pass what was read before. Which rows those are depends on
/// where the rows that nobody may see lie, and so would depend whether an expression fails on one of them. What a hash
/// join has learnt of its other side is complete when this side begins; what a TopK learns is not, and is not used.
#[derive(Debug, Default)]
pub(crate) struct Frozen {
    pairs: Mutex<Vec<Pair>>,
}

/// A filter that changes, and the one that stands still in its place.
type Pair = (Arc<dyn PhysicalExpr>, Arc<DynamicFilterPhysicalExpr>);

impl Frozen {
    /// The same filter, standing still.
    pub(crate) fn still(&self, filter: &Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        let stilled = Arc::clone(filter).transform_down(|expr| {
            if !expr.is::<DynamicFilterPhysicalExpr>() || mutant("filters change while files are read") {
                return Ok(Transformed::no(expr));
            }
            let children = expr.children().into_iter().cloned().collect();
            let still = Arc::new(DynamicFilterPhysicalExpr::new(children, lit(true)));
            self.pairs.lock().push((expr, still.clone()));
            Ok(Transformed::new(still, true, TreeNodeRecursion::Jump))
        })?;
        Ok(stilled.data)
    }

    /// Takes what the filters are now.
    pub(crate) fn begin(&self) -> Result<()> {
        for (live, still) in self.pairs.lock().drain(..) {
            if let Some(live) = live.downcast_ref::<DynamicFilterPhysicalExpr>() {
                still.update(live.current()?)?;
                still.mark_complete();
            }
        }
        Ok(())
    }
}
