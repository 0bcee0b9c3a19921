//! Positions of deleted rows as what a Parquet reader skips.

use std::ops::Range;

use arrow::array::BooleanBufferBuilder;
use datafusion::datasource::physical_plan::parquet::{ParquetAccessPlan, RowGroupAccess};
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use roaring::RoaringTreemap;

use crate::Error;

/// The rows of a file that are left.
#[derive(Debug)]
pub(crate) struct Access {
    /// What to read of each row group.
    pub(crate) plan: ParquetAccessPlan,
    /// How many rows are left.
    pub(crate) rows: u64,
    /// How many runs of rows there are, deleted ones and others.
    pub(crate) runs: usize,
    /// What `plan` takes, in bytes.
    pub(crate) bytes: usize,
}

/// A run of rows for the reader takes as much memory as the bits of so many rows.
const ROWS_PER_SELECTOR: usize = 8 * size_of::<RowSelector>();

impl Access {
    /// Divides positions of a file among its row groups, which have so many rows each.
    pub(crate) fn new(deleted: &RoaringTreemap, row_groups: impl Iterator<Item = i64>) -> Result<Self, Error> {
        let mut runs = Runs::new(deleted);
        let (mut start, mut left, mut count, mut bytes) = (0_u64, 0_u64, 0, 0);
        let mut groups = Vec::new();
        for rows in row_groups {
            let rows = u64::try_from(rows).ok();
            let end = rows.and_then(|rows| start.checked_add(rows)).ok_or_else(|| impossible("row counts"))?;
            let mut selection = Selection::new(end - start)?;
            let mut at = start;
            while let Some(run) = runs.before(end) {
                selection.push(run.start - at, true)?;
                selection.push(run.end - run.start, false)?;
                at = run.end;
            }
            selection.push(end - at, true)?;
            left += selection.kept as u64;
            count += selection.runs;
            bytes += selection.bytes();
            groups.push(selection.access());
            start = end;
        }
        if deleted.max().is_some_and(|last| last >= start) {
            return Err(impossible("deleted rows beyond the last row"));
        }
        Ok(Self { plan: ParquetAccessPlan::new(groups), rows: left, runs: count, bytes })
    }
}

fn impossible(what: &str) -> Error {
    Error::malformed(format!("{what} of a data file"))
}

/// The runs of a set of positions, in their order.
struct Runs<'a> {
    bitmaps: roaring::treemap::BitmapIter<'a>,
    bitmap: Option<(u64, roaring::bitmap::Iter<'a>)>,
    next: Option<Range<u64>>,
}

impl<'a> Runs<'a> {
    fn new(positions: &'a RoaringTreemap) -> Self {
        let mut runs = Self { bitmaps: positions.bitmaps(), bitmap: None, next: None };
        runs.next = runs.advance();
        runs
    }

    fn advance(&mut self) -> Option<Range<u64>> {
        loop {
            if let Some((base, positions)) = &mut self.bitmap
                && let Some(run) = positions.next_range()
            {
                return Some(*base + u64::from(*run.start())..*base + u64::from(*run.end()) + 1);
            }
            let (high, positions) = self.bitmaps.next()?;
            self.bitmap = Some((u64::from(high) << 32, positions.iter()));
        }
    }

    /// The next run that begins before `end`, up to there.
    fn before(&mut self, end: u64) -> Option<Range<u64>> {
        let run = self.next.take_if(|run| run.start < end)?;
        if run.end > end {
            self.next = Some(end..run.end);
            return Some(run.start..end);
        }
        self.next = self.advance();
        Some(run)
    }
}

/// Which rows of a row group are kept: as runs, or as bits where that takes less.
struct Selection {
    rows: usize,
    kept: usize,
    runs: usize,
    last: Option<bool>,
    form: Form,
}

enum Form {
    Runs(Vec<RowSelector>),
    Bits(BooleanBufferBuilder),
}

impl Selection {
    fn new(rows: u64) -> Result<Self, Error> {
        let rows = usize::try_from(rows).map_err(|_| impossible("row counts"))?;
        Ok(Self { rows, kept: 0, runs: 0, last: None, form: Form::Runs(Vec::new()) })
    }

    fn push(&mut self, rows: u64, keep: bool) -> Result<(), Error> {
        let rows = usize::try_from(rows).map_err(|_| impossible("row counts"))?;
        if rows == 0 {
            return Ok(());
        }
        self.kept += if keep { rows } else { 0 };
        self.runs += usize::from(self.last != Some(keep));
        self.last = Some(keep);
        match &mut self.form {
            Form::Bits(bits) => bits.append_n(rows, keep),
            Form::Runs(runs) => {
                runs.push(if keep { RowSelector::select(rows) } else { RowSelector::skip(rows) });
                // SECURITY: room for as many bits as a footer says there are rows is made only once there are runs that
                // would take more.
                if runs.len() > self.rows / ROWS_PER_SELECTOR + 1 {
                    let mut bits = BooleanBufferBuilder::new(self.rows);
                    runs.iter().for_each(|run| bits.append_n(run.row_count, !run.skip));
                    self.form = Form::Bits(bits);
                }
            }
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        size_of::<RowGroupAccess>()
            + match &self.form {
                _ if self.runs <= 1 => 0,
                Form::Runs(runs) => runs.capacity() * size_of::<RowSelector>(),
                Form::Bits(_) => self.rows.div_ceil(8),
            }
    }

    fn access(self) -> RowGroupAccess {
        if self.kept == self.rows {
            return RowGroupAccess::Scan;
        }
        if self.kept == 0 {
            return RowGroupAccess::Skip;
        }
        RowGroupAccess::Selection(match self.form {
            Form::Runs(runs) => RowSelection::from(runs),
            Form::Bits(mut bits) => RowSelection::from_boolean_buffer(bits.finish()),
        })
    }
}

#[cfg(test)]
mod tests {
    use datafusion::datasource::physical_plan::parquet::RowGroupAccess;
    use parquet::arrow::arrow_reader::RowSelector;
    use proptest::prelude::*;
    use roaring::RoaringTreemap;

    use super::Access;

    /// Which rows are kept, by the plan.
    fn kept(access: &Access, row_groups: &[i64]) -> Vec<bool> {
        let of_group = |(group, rows): (&RowGroupAccess, &i64)| {
            let rows = usize::try_from(*rows).unwrap();
            match group {
                RowGroupAccess::Scan => vec![true; rows],
                RowGroupAccess::Skip => vec![false; rows],
                RowGroupAccess::Selection(selection) => {
                    let runs: Vec<RowSelector> = selection.clone().into();
                    runs.iter().flat_map(|run| vec![!run.skip; run.row_count]).collect()
                }
            }
        };
        access.plan.inner().iter().zip(row_groups).flat_map(of_group).collect()
    }

    proptest! {
        #[test]
        fn keeps_what_is_not_deleted(
            row_groups in prop::collection::vec(prop_oneof![Just(0_i64), 1..4_i64, 100..5_000_i64], 0..8),
            ranges in prop::collection::vec((0..20_000_u64, 0..3_000_u64, 1..9_usize), 0..12),
        ) {
            let rows = u64::try_from(row_groups.iter().sum::<i64>()).unwrap();
            let deleted: RoaringTreemap = ranges
                .into_iter()
                .flat_map(|(start, length, step)| (start..start + length).step_by(step))
                .filter(|at| *at < rows)
                .collect();
            let access = Access::new(&deleted, row_groups.iter().copied()).unwrap();
            let kept = kept(&access, &row_groups);
            let expected: Vec<bool> = (0..rows).map(|at| !deleted.contains(at)).collect();
            prop_assert_eq!(access.rows, rows - deleted.len());
            prop_assert_eq!(access.runs >= kept.chunk_by(|one, other| one == other).count(), true);
            prop_assert_eq!(kept, expected);
        }
    }

    /// A footer may say anything; what is made for it is as large as the deletes are.
    #[test]
    fn room_is_made_for_runs_only() {
        let far = 3 << 32;
        let deleted: RoaringTreemap = (0..1_000).map(|n| far + 2 * n).collect();
        let access = Access::new(&deleted, [i64::MAX].into_iter()).unwrap();
        assert_eq!((access.rows, access.runs), (i64::MAX.cast_unsigned() - 1_000, 2_001));
        assert!(access.bytes < 100_000, "{} bytes", access.bytes);
        // As bits where that is less: every other one of a million.
        let deleted: RoaringTreemap = (0..500_000).map(|n| 2 * n).collect();
        let access = Access::new(&deleted, [1_000_000].into_iter()).unwrap();
        assert!(access.bytes < 150_000, "{} bytes", access.bytes);
    }

    #[test]
    fn positions_beyond_the_last_row_are_refused() {
        let deleted = RoaringTreemap::from_iter([9_u64, 10]);
        Access::new(&deleted, [4, 6].into_iter()).unwrap_err();
        Access::new(&deleted, [4, -1].into_iter()).unwrap_err();
        Access::new(&deleted, [i64::MAX, i64::MAX, i64::MAX].into_iter()).unwrap_err();
        Access::new(&deleted, [4, 7].into_iter()).unwrap();
    }
}
