//! Policies on both sides, and what becomes of the answers when they change.

use super::asker::Asker;
use super::dice::Dice;
use super::loaded::Loaded;
use super::mesh::{Mesh, Placed};
use super::policy::{Policy, Scope};
use super::reference::{Listed, Reference, Told, Why};
use super::write;

/// A change of policies.
#[derive(Debug, Clone)]
pub(super) enum Change {
    /// Without the permit of this number.
    Without(usize),
    /// With a forbid more.
    With(Box<Policy>),
    /// In another order, in other files.
    Shuffled(u64),
}

impl Change {
    /// One of each, if there is a permit to be removed.
    pub(super) fn random(mesh: &Mesh, policies: &[Policy], dice: &mut Dice) -> Vec<Self> {
        let permits: Vec<usize> = policies
            .iter()
            .filter(|policy| policy.permits && policy.broken.is_none())
            .map(|policy| policy.id)
            .collect();
        let removed = (!permits.is_empty()).then(|| Self::Without(dice.pick(&permits)));
        let scope = dice.pick(&[
            Scope::Mesh,
            Scope::Mesh,
            Scope::Domain("sales"),
            Scope::Product("sales", "orders"),
            Scope::Product("hr", "people"),
        ]);
        let forbid = write::random(mesh, scope, 1_000, Some(false), dice);
        let rest = [Self::With(Box::new(forbid)), Self::Shuffled(dice.below(1_000_000) as u64)];
        removed.into_iter().chain(rest).collect()
    }

    pub(super) fn applied(&self, policies: &[Policy]) -> Vec<Policy> {
        match self {
            Self::Without(id) => policies.iter().filter(|policy| policy.id != *id).cloned().collect(),
            Self::With(policy) => policies.iter().chain([policy.as_ref()]).cloned().collect(),
            Self::Shuffled(seed) => {
                let mut dice = Dice::new(*seed);
                let mut policies = dice.shuffled(policies.to_vec());
                policies.iter_mut().for_each(|policy| policy.file = dice.below(4));
                policies
            }
        }
    }

    /// What is wrong with the answers before and after.
    pub(super) fn wrong(&self, before: &Answer, after: &Answer) -> Option<String> {
        match self {
            // What fails denies everything, so a permit that fails and is removed lets others speak.
            Self::Without(_) if matches!(before.why, Some(Why::Failed | Why::Broken)) => None,
            Self::Without(_) | Self::With(_) => {
                let more = after.told.more_than(&before.told)?;
                Some(format!("there is more after the change: {more}"))
            }
            Self::Shuffled(_) if before.told == after.told => None,
            Self::Shuffled(_) => Some(format!("order matters: {:?} and then {:?}", before.told, after.told)),
        }
    }
}

/// What both sides say, and why nothing is seen.
pub(super) struct Answer {
    pub(super) told: Told,
    pub(super) why: Option<Why>,
}

/// Policies, loaded and in the abstract.
pub(super) struct Side {
    policies: Vec<Policy>,
    loaded: Loaded,
}

impl Side {
    pub(super) fn new(mesh: &Mesh, policies: Vec<Policy>) -> Result<Self, String> {
        let loaded = Loaded::new(mesh, &policies)?;
        Ok(Self { policies, loaded })
    }

    /// The answer, if it is that of the reference; the difference, if not.
    pub(super) fn ask(&mut self, mesh: &Mesh, asker: &Asker, placed: Placed<'_>) -> Result<Answer, String> {
        let actual = self.loaded.ask(mesh, asker, placed);
        let expected = Reference { mesh, policies: &self.policies }.decide(asker, placed);
        let why = expected.as_ref().err().copied();
        let expected = expected.map_or(Told::Absent, Told::Visible);
        if actual == expected {
            return Ok(Answer { told: actual, why });
        }
        Err(format!("expected {}\nbut it is {}", in_words(&expected, why), in_words(&actual, None)))
    }

    /// What the catalog says to both, if that is the same.
    pub(super) fn list(&self, mesh: &Mesh, asker: &Asker, placed: Placed<'_>) -> Result<Listed, String> {
        let expected = Reference { mesh, policies: &self.policies }.listed(asker, placed);
        let actual = self.loaded.list(asker, placed);
        let what = "discover the product, the table, manage the product, the domain";
        if actual == expected {
            Ok(actual)
        } else {
            Err(format!("{what}: expected {expected:?}, but it is {actual:?}"))
        }
    }

    /// How many decisions were made, and not kept from others.
    pub(super) fn made(&self) -> usize {
        self.loaded.made()
    }
}

fn in_words(told: &Told, why: Option<Why>) -> String {
    match (told, why) {
        (Told::Absent, None) => "absent".to_owned(),
        (Told::Absent, Some(why)) => format!("absent ({why:?})"),
        (Told::Visible(seen), _) => {
            let rows: String = seen.rows.iter().map(|shown| if *shown { '1' } else { '0' }).collect();
            let columns: Vec<_> = seen.columns.iter().map(|(path, reading)| format!("  {path}: {reading:?}")).collect();
            format!("rows {rows} by {:?}\n{}", seen.by, columns.join("\n"))
        }
    }
}
