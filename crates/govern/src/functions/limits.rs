//! How large a function's result may be.
//!
//! DataFusion's memory pools do not see what an expression makes, so a few characters of SQL could take all memory.

use datafusion::common::{DataFusionError, Result};

/// Bytes of one text that a function makes.
pub const TEXT_BYTES_MAX: u64 = 1 << 20;
/// Elements of one list that a function makes.
pub const ARRAY_LEN_MAX: u64 = 100_000;
/// Bytes of one list that a function makes.
pub const ARRAY_BYTES_MAX: u64 = 16 << 20;
/// Bytes of all results that a function makes for one batch of rows.
pub const BATCH_BYTES_MAX: u64 = 256 << 20;
/// Bytes of a result that a function makes from constants alone: it may be repeated for every row of a batch.
pub const CONSTANT_BYTES_MAX: u64 = 64 << 10;
/// Elements of a list that a function makes from constants alone.
pub const CONSTANT_ARRAY_LEN_MAX: u64 = 10_000;
/// Bytes of such a list.
pub(super) const CONSTANT_ARRAY_BYTES_MAX: u64 = 1 << 20;
/// Steps that a function of quadratic time may take for one batch of rows.
pub(super) const BATCH_STEPS_MAX: u64 = 1 << 30;
/// Size of the sketch of an approximate percentile.
pub const SKETCH_LEN_MAX: u64 = 10_000;
/// Bytes of one value of a type of fixed size that a cast may name.
pub(super) const FIXED_SIZE_MAX: u64 = 1 << 10;

/// What a function would make or do for one row, at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cost {
    /// A text of so many bytes.
    Text(u64),
    /// A list of so many elements and bytes.
    Array { len: u64, bytes: u64 },
    /// So many steps.
    Steps(u64),
}

/// Adds up the costs of a batch and stops at the first that is too high.
#[derive(Debug)]
pub(super) struct Meter<'a> {
    pub(super) function: &'a str,
    pub(super) constant: bool,
    pub(super) bytes: u64,
    pub(super) steps: u64,
}

impl Meter<'_> {
    pub(super) fn row(&mut self, cost: Cost) -> Result<()> {
        let of = |constant, otherwise| if self.constant { constant } else { otherwise };
        match cost {
            Cost::Text(bytes) => {
                self.check(bytes, of(CONSTANT_BYTES_MAX, TEXT_BYTES_MAX), "bytes in one result")?;
                self.bytes = self.bytes.saturating_add(bytes);
            }
            Cost::Array { len, bytes } => {
                self.check(len, of(CONSTANT_ARRAY_LEN_MAX, ARRAY_LEN_MAX), "elements in one result")?;
                self.check(bytes, of(CONSTANT_ARRAY_BYTES_MAX, ARRAY_BYTES_MAX), "bytes in one result")?;
                self.bytes = self.bytes.saturating_add(bytes);
            }
            Cost::Steps(steps) => self.steps = self.steps.saturating_add(steps),
        }
        self.check(self.bytes, BATCH_BYTES_MAX, "bytes in one batch of results")?;
        self.check(self.steps, BATCH_STEPS_MAX, "steps for one batch of rows")
    }

    /// SECURITY: the text names the function and the limit, never the size found, which is made of values.
    fn check(&self, found: u64, limit: u64, of: &str) -> Result<()> {
        if found <= limit {
            return Ok(());
        }
        let function = self.function;
        let from = if self.constant { " made of constants" } else { "" };
        Err(DataFusionError::ResourcesExhausted(format!("`{function}` is limited to {limit} {of}{from}")))
    }
}
