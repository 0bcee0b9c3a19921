//! The smallest policies, principals and history that still show a difference.

use super::asker::Asker;
use super::loaded;
use super::mesh::Mesh;
use super::policy::Policy;
use super::trial::{Change, Side};

/// What was asked when a difference was met.
#[derive(Clone)]
pub(super) struct Case<'a> {
    pub(super) mesh: &'a Mesh,
    pub(super) policies: Vec<Policy>,
    pub(super) change: Option<Change>,
    /// Everybody who asked, in this order: what was decided for one may be kept for another.
    pub(super) askers: Vec<Asker>,
    /// Which of the mesh's tables.
    pub(super) table: usize,
}

impl Case<'_> {
    /// Fails with the smallest case that still shows a difference.
    pub(super) fn report(self, seed: u64, mut found: String) -> ! {
        let mut smallest = self;
        'smaller: loop {
            for simpler in smallest.simpler() {
                if let Some(still) = simpler.complaint() {
                    (smallest, found) = (simpler, still);
                    continue 'smaller;
                }
            }
            break;
        }
        panic!("MESHGATE_POLICY_SEED={seed}\n{}\n{found}", smallest.text());
    }

    /// What is wrong, asked anew. Policies that do not load show nothing.
    fn complaint(&self) -> Option<String> {
        let mut base = Side::new(self.mesh, self.policies.clone()).ok()?;
        let changed = self.change.as_ref().map(|change| Side::new(self.mesh, change.applied(&self.policies)));
        let mut changed = changed.transpose().ok()?;
        let placed = self.mesh.tables().nth(self.table).expect("a table");
        self.askers.iter().find_map(|asker| {
            let before = match base.ask(self.mesh, asker, placed) {
                Ok(before) => before,
                Err(wrong) => return Some(wrong),
            };
            if let Err(wrong) = base.list(self.mesh, asker, placed) {
                return Some(wrong);
            }
            let (change, side) = self.change.as_ref().zip(changed.as_mut())?;
            match side.ask(self.mesh, asker, placed) {
                Ok(after) => change.wrong(&before, &after),
                Err(wrong) => Some(wrong),
            }
        })
    }

    fn simpler(&self) -> Vec<Self> {
        let mut all = vec![];
        if let Some(last) = self.askers.last().filter(|_| self.askers.len() > 1) {
            all.push(Self { askers: vec![last.clone()], ..self.clone() });
        }
        for policies in lists_without_one(&self.policies) {
            all.push(Self { policies, ..self.clone() });
        }
        if self.change.is_some() {
            all.push(Self { change: None, ..self.clone() });
        }
        if self.askers.len() > 1 {
            all.extend(lists_without_one(&self.askers).map(|askers| Self { askers, ..self.clone() }));
        }
        for (number, policy) in self.policies.iter().enumerate() {
            for less in policy.simpler() {
                let mut policies = self.policies.clone();
                policies[number] = less;
                all.push(Self { policies, ..self.clone() });
            }
        }
        if let Some(Change::With(policy)) = &self.change {
            let less = policy.simpler().into_iter();
            all.extend(less.map(|less| Self { change: Some(Change::With(Box::new(less))), ..self.clone() }));
        }
        for (number, asker) in self.askers.iter().enumerate() {
            for less in asker.simpler() {
                let mut askers = self.askers.clone();
                askers[number] = less;
                all.push(Self { askers, ..self.clone() });
            }
        }
        all
    }

    fn text(&self) -> String {
        let placed = self.mesh.tables().nth(self.table).expect("a table");
        let mut text = String::new();
        for (file, policies) in loaded::files(&self.policies) {
            text += &format!("// {file}\n{policies}");
        }
        match &self.change {
            Some(Change::With(policy)) => {
                text += &format!("and then, in {}\n{}", policy.scope.file(policy.file), policy.cedar());
            }
            Some(Change::Without(id)) => text += &format!("and then without p{id}\n"),
            Some(change @ Change::Shuffled(_)) => text += &format!("and then {change:?}\n"),
            None => {}
        }
        text += &format!("table {} ({}, tags {:?}):\n", placed.address(), placed.version.status, placed.table.tags);
        for column in &placed.table.columns {
            text += &format!("  {}\n", column.text(true));
        }
        for asker in &self.askers {
            text += &format!("asked by {asker:?}\n");
        }
        text
    }
}

fn lists_without_one<T: Clone>(all: &[T]) -> impl Iterator<Item = Vec<T>> {
    (0..all.len()).map(|number| {
        let mut less = all.to_vec();
        less.remove(number);
        less
    })
}
