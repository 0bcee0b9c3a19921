//! A release's policy files to [`Policies`].

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use cedar_policy::{Entity, Schema, Validator};
use meshgate_model::{Finding, Place, Scope, Severity, mutant};
use meshgate_product::{PolicySource, Release};

use crate::cache::Cache;
use crate::rule::{self, Rule};
use crate::slice::{Own, Rules, Slice};
use crate::source::Document;
use crate::{Policies, check, schema};

pub(crate) fn compile(release: &Release) -> (Policies, Vec<Finding>) {
    let mut findings = Vec::new();
    let (rules, actions) = match prepared(release) {
        Ok((schema, actions)) => (read_all(release, &schema, &mut findings), actions),
        Err(error) => {
            let message = format!("the attributes of mesh.yaml make no Cedar schema: {error}");
            let place = Place::file("mesh.yaml");
            findings.push(Finding::new(Severity::Error, Scope::Mesh, place, "policy-schema", message));
            (Vec::new(), Vec::new())
        }
    };
    let uses = check::against_release(release, &rules, &mut findings);
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
    let broken: BTreeSet<Scope> = errors.map(|finding| finding.scope.clone()).collect();
    let mut policies = Policies {
        epoch: release.epoch(),
        rules: by_id(&rules),
        products: Default::default(),
        domains: Default::default(),
        broken,
        uses,
        actions,
        cache: Cache::default(),
    };
    slices(release, &rules, &mut policies);
    (policies, findings)
}

/// The schema, and the actions with their groups. Without those, a policy about `access` would be about nothing.
fn prepared(release: &Release) -> Result<(Schema, Vec<Entity>), Box<dyn std::error::Error>> {
    let schema = schema::schema(&release.mesh().attributes)?;
    let actions = schema::actions(&schema)?;
    Ok((schema, actions))
}

/// The scopes of a release with their files: global first, then each domain with its products.
fn sources(release: &Release) -> Vec<(Scope, &[PolicySource])> {
    let mut scopes = vec![(Scope::Mesh, release.mesh().policies.as_slice())];
    for domain in release.domains().values() {
        scopes.push((Scope::Domain(domain.name.clone()), &domain.policies));
        for product in domain.products.values() {
            scopes.push((Scope::Product(product.address.clone()), &product.policies));
        }
    }
    scopes
}

fn read_all(release: &Release, schema: &Schema, findings: &mut Vec<Finding>) -> Vec<Arc<Rule>> {
    let mut rules: Vec<Arc<Rule>> = Vec::new();
    let mut ids = Ids::default();
    let attributes = &release.mesh().attributes;
    let validator = Validator::new(schema.clone());
    for (scope, files) in sources(release) {
        for file in files {
            let document = Document::new(file);
            let setting =
                rule::Setting { release, validator: &validator, attributes, scope: &scope, document: &document };
            for (number, statement) in (1..).zip(document.statements()) {
                let default_id = format!("{}#{number}", file.file.display());
                let (rule, found) = rule::read(setting, &statement, default_id);
                findings.extend(found);
                let Some(rule) = rule else { continue };
                match ids.take(&rule) {
                    Ok(()) => rules.push(Arc::new(rule)),
                    Err(finding) => findings.push(*finding),
                }
            }
        }
    }
    rules
}

/// The ids that policies have, by scope. Nobody is stopped by an id of a scope that is never asked together with theirs.
#[derive(Default)]
struct Ids(HashMap<(Scope, String), Place>);

impl Ids {
    /// Notes a policy's id. INVARIANT: scopes come widest first, so whoever shares one is in the same or a wider scope.
    fn take(&mut self, rule: &Rule) -> Result<(), Box<Finding>> {
        let (domain, product) = match &rule.scope {
            Scope::Mesh => (None, None),
            Scope::Domain(domain) => (Some(domain), None),
            Scope::Product(product) => (Some(&product.domain), Some(product)),
        };
        let domain = domain.map(|domain| Scope::Domain(domain.clone()));
        let product = product.map(|product| Scope::Product(product.clone()));
        let mut chain = [Some(Scope::Mesh), domain, product].into_iter().flatten();
        if let Some(first) = chain.find_map(|scope| self.0.get(&(scope, rule.id.id.clone()))) {
            let message = format!("the policy id `{}` is taken: {first} has it", rule.id);
            let (scope, place) = (rule.scope.clone(), rule.place.clone());
            return Err(Box::new(Finding::new(Severity::Error, scope, place, "duplicate-policy-id", message)));
        }
        self.0.insert((rule.scope.clone(), rule.id.id.clone()), rule.place.clone());
        Ok(())
    }
}

fn by_id(rules: &[Arc<Rule>]) -> Rules {
    rules.iter().map(|rule| (rule.policy.id().clone(), Arc::clone(rule))).collect()
}

fn slices(release: &Release, rules: &[Arc<Rule>], policies: &mut Policies) {
    let mut by_scope: HashMap<&Scope, Vec<&Arc<Rule>>> = HashMap::new();
    for rule in rules {
        by_scope.entry(&rule.scope).or_default().push(rule);
    }
    let own: HashMap<&Scope, Arc<Own>> =
        by_scope.into_iter().map(|(scope, rules)| (scope, Arc::new(Own::new(rules)))).collect();
    let slice = |scopes: &[Scope]| {
        let broken = scopes.iter().any(|scope| policies.broken.contains(scope));
        let forgets = mutant("products forget the global policies") && scopes.len() > 2;
        let scopes = if forgets { &scopes[1..] } else { scopes };
        Slice::new(scopes.iter().filter_map(|scope| own.get(scope)), broken)
    };
    let mut domains = std::collections::BTreeMap::new();
    let mut products = std::collections::BTreeMap::new();
    for domain in release.domains().values() {
        let scope = Scope::Domain(domain.name.clone());
        domains.insert(domain.name.clone(), slice(&[Scope::Mesh, scope.clone()]));
        for product in domain.products.values() {
            let own = Scope::Product(product.address.clone());
            products.insert(product.address.clone(), slice(&[Scope::Mesh, scope.clone(), own]));
        }
    }
    policies.domains = domains;
    policies.products = products;
}
