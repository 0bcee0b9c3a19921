//! What a run saw, so that one that saw nothing is noticed.

use std::collections::BTreeMap;
use std::fmt;

use super::mesh::{Column, Placed};
use super::reference::{Listed, Reading, Seen, Told, Why};
use super::trial::{Answer, Change};

/// With fewer meshes, shares are chance.
const MESHES_MIN: usize = 50;

#[derive(Default)]
pub(super) struct Tally {
    pub(super) meshes: usize,
    /// Decisions that were compared, and how many of them were made and not kept from others.
    pub(super) cases: usize,
    pub(super) made: usize,
    absent: BTreeMap<Why, usize>,
    visible: usize,
    /// Tables of which some rows are shown and some not, and of which none are.
    filtered: usize,
    empty: usize,
    /// Tables with a mask, with two that gave NULL, with a hidden column, with a column read in parts.
    masked: usize,
    nulled: usize,
    hidden: usize,
    nested: usize,
    /// Questions about the catalog, and how many of them were answered with yes, no owner asking.
    listed: usize,
    shown: usize,
    /// Answers that a permit less and a forbid more made smaller.
    permits: usize,
    forbids: usize,
}

impl Tally {
    pub(super) fn count(&mut self, answer: &Answer, placed: Placed<'_>) {
        self.cases += 1;
        if let Some(why) = answer.why {
            *self.absent.entry(why).or_default() += 1;
        }
        let Told::Visible(seen) = &answer.told else { return };
        self.visible += 1;
        let shown = seen.rows.iter().filter(|shown| **shown).count();
        self.filtered += usize::from(shown > 0 && shown < seen.rows.len());
        self.empty += usize::from(shown == 0);
        let any = |wanted: fn(&Reading) -> bool| usize::from(seen.columns.values().any(wanted));
        self.masked += any(|reading| matches!(reading, Reading::Masked(..)));
        self.nulled += any(|reading| matches!(reading, Reading::Masked(mask, _) if mask == "replace-with-null"));
        self.hidden += any(|reading| *reading == Reading::Hidden);
        self.nested += usize::from(placed.table.columns.iter().any(|column| in_parts(column, seen)));
    }

    pub(super) fn count_listed(&mut self, listed: Listed) {
        self.listed += listed.len();
        let owns = listed.iter().all(|yes| *yes);
        self.shown += listed.iter().filter(|yes| **yes && !owns).count();
    }

    pub(super) fn count_change(&mut self, change: &Change, before: &Answer, after: &Answer) {
        let less = usize::from(before.told != after.told);
        match change {
            Change::Without(_) => self.permits += less,
            Change::With(_) => self.forbids += less,
            Change::Shuffled(_) => {}
        }
    }

    /// A run that sees nothing proves nothing; a short hunt may meet few of some kind.
    pub(super) fn assert_that_much_was_seen(&self) {
        if self.meshes < MESHES_MIN {
            return;
        }
        let why = |why: Why| self.absent.get(&why).copied().unwrap_or_default();
        for (what, seen, thousandths) in [
            ("made and not kept", self.made, 500),
            ("visible", self.visible, 300),
            ("not permitted", why(Why::NotPermitted), 100),
            ("forbidden", why(Why::Forbidden), 30),
            ("failing closed", why(Why::Failed), 30),
            ("under broken policies", why(Why::Broken), 5),
            ("not out", why(Why::NotOut), 15),
            ("filtered", self.filtered, 45),
            ("without a row", self.empty, 30),
            ("masked", self.masked, 50),
            ("masked by two", self.nulled, 9),
            ("with hidden columns", self.hidden, 50),
            ("read in parts", self.nested, 12),
            ("less without a permit", self.permits, 10),
            ("less with a forbid", self.forbids, 8),
            ("listed", self.shown, 4),
        ] {
            assert!(seen * 1_000 >= self.cases * thousandths, "{what}: {seen} of {}", self.cases);
        }
    }
}

/// Whether a plain column has something inside that is not.
fn in_parts(column: &Column, seen: &Seen) -> bool {
    let inside = format!("{}.", column.name);
    let mut parts = seen.columns.iter().filter(|(path, _)| path.starts_with(&inside));
    seen.columns.get(&column.name) == Some(&Reading::Plain) && parts.any(|(_, reading)| *reading != Reading::Plain)
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} cases in {} meshes ({} decisions made), absent {:?}, visible {} (filtered {}, without a row {}, masked {}, \
             by two {}, with hidden columns {}, in parts {}), less without a permit {}, less with a forbid {}, \
             {} questions about the catalog ({} yes)",
            self.cases,
            self.meshes,
            self.made,
            self.absent,
            self.visible,
            self.filtered,
            self.empty,
            self.masked,
            self.nulled,
            self.hidden,
            self.nested,
            self.permits,
            self.forbids,
            self.listed,
            self.shown
        )
    }
}
