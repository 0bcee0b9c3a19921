//! The memory of queries: counted where the library counts it, and where it does not.
//!
//! * [`SharedPool`]: what all queries have together; aggregations weigh more than they say.
//! * [`QueryPool`]: one query's part of it.
//! * [`metered`]: counts the input of windows that keep all of it.
//! * [`Held`]: counts batches on their way to the reader.

mod held;
mod metered;
mod query;
mod shared;

pub(crate) use held::Held;
pub(crate) use metered::metered;
pub(crate) use query::QueryPool;
pub(crate) use shared::SharedPool;
