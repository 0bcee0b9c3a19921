//! Domains, products, tables and columns that policies are about.

use cedar_policy::EntityUid;
use meshgate_model::{Finding, Name, Scope, Severity};
use meshgate_product::{Column, Product, Release, ScopeState};

use crate::rule::Rule;
use crate::schema::Kind;
use crate::{Entitlement, Expr, Mask, path, suggest};

/// What a policy names and nobody has. Only a warning: a product may be written before or after the policies about it.
pub(super) fn unknown_entities(release: &Release, rule: &Rule, findings: &mut Vec<Finding>) {
    for uid in rule.policy.entity_literals() {
        let finding = |message: String, hint: Option<String>| {
            let finding =
                Finding::new(Severity::Warning, rule.scope.clone(), rule.place.clone(), "unknown-entity", message);
            match hint {
                Some(hint) => finding.hint(hint),
                None => finding,
            }
        };
        match find(release, &uid) {
            Found::Nothing(hint) => {
                findings.push(finding(format!("`{}` is about {uid}, which does not exist", rule.id), hint));
            }
            Found::In(domain, product) if !inside(&rule.scope, &domain, product.as_deref()) => {
                let message =
                    format!("`{}` is about {uid}, but policies here are asked for the {} only", rule.id, rule.scope);
                findings.push(finding(message, None));
            }
            Found::In(..) | Found::Unknown => {}
        }
    }
}

enum Found {
    /// It exists, in this domain and product.
    In(String, Option<String>),
    /// It does not.
    Nothing(Option<String>),
    /// It is of another kind, or in documents that are broken.
    Unknown,
}

fn inside(scope: &Scope, domain: &str, product: Option<&str>) -> bool {
    match scope {
        Scope::Mesh => true,
        Scope::Domain(own) => own.as_str() == domain,
        Scope::Product(own) => {
            own.domain.as_str() == domain && product.is_none_or(|product| own.product.as_str() == product)
        }
    }
}

fn find(release: &Release, uid: &EntityUid) -> Found {
    let depth = match Kind::of(uid.type_name()) {
        Some(Kind::Domain) => 1,
        Some(Kind::Product) => 2,
        Some(Kind::Table) => 3,
        Some(Kind::Column) => 4,
        _ => return Found::Unknown,
    };
    let id: &str = uid.id().unescaped();
    let parts: Vec<&str> = id.splitn(depth, '.').collect();
    if parts.len() < depth {
        let form = ["domain", "domain.product", "domain.product.table", "domain.product.table.column"];
        return Found::Nothing(Some(format!("the id has the form {}", form[depth - 1])));
    }
    let Some(domain) = release.domains().get(parts[0]) else {
        return Found::Nothing(suggest::hint(parts[0], release.domains().keys().map(Name::as_str)));
    };
    if depth == 1 {
        return Found::In(parts[0].to_owned(), None);
    }
    let Some(product) = domain.products.get(parts[1]) else {
        return Found::Nothing(suggest::hint(parts[1], domain.products.keys().map(Name::as_str)));
    };
    let broken = |state: &ScopeState| matches!(state, ScopeState::Unavailable(_));
    if broken(&domain.state) || broken(&product.state) {
        return Found::Unknown;
    }
    match inside_product(product, &parts[2..]) {
        Ok(()) => Found::In(parts[0].to_owned(), Some(parts[1].to_owned())),
        Err(hint) => Found::Nothing(hint),
    }
}

/// A table in any version, and a column in any of those.
fn inside_product(product: &Product, parts: &[&str]) -> Result<(), Option<String>> {
    let Some(table) = parts.first() else { return Ok(()) };
    let tables = || product.versions.iter().flat_map(|version| &version.tables);
    if !tables().any(|known| known.name == *table) {
        return Err(suggest::hint(table, tables().map(|known| known.name.as_str())));
    }
    let Some(column) = parts.get(1) else { return Ok(()) };
    let names: Vec<String> = column.split('.').map(|name| name.trim_end_matches("[]").to_owned()).collect();
    let mut same = tables().filter(|known| known.name == *table);
    if same.clone().any(|known| exists(&known.columns, &names)) {
        return Ok(());
    }
    Err(same.find_map(|known| path::hint(&known.columns, &names)))
}

fn exists(columns: &[Column], names: &[String]) -> bool {
    let Some((first, rest)) = names.split_first() else { return true };
    columns.iter().any(|column| column.name == *first && exists(path::fields(column), rest))
}

/// A domain's policy that reads another domain's table, with the gateway's rights, tells its members what is in there.
pub(super) fn foreign_entitlements(rule: &Rule, findings: &mut Vec<Finding>) {
    let home = match &rule.scope {
        Scope::Mesh => return,
        Scope::Domain(domain) => domain,
        Scope::Product(product) => &product.domain,
    };
    for entitlement in entitlements(rule) {
        let product = &entitlement.table.product;
        if product.domain != *home {
            let message = format!(
                "`{}` reads {} of another domain with the gateway's own rights",
                rule.id,
                entitlement.table.policy_id()
            );
            let finding =
                Finding::new(Severity::Notice, rule.scope.clone(), rule.place.clone(), "foreign-entitlement", message);
            findings
                .push(finding.hint(format!("ask the owners of {}, or move it to governance/policies", product.domain)));
        }
    }
}

/// The entitlement tables of a rule, nested ones included.
pub(super) fn entitlements(rule: &Rule) -> Vec<&Entitlement> {
    let mask = rule.mask.iter().filter_map(|note| match &note.mask {
        Mask::Sql(expr) => Some(expr),
        _ => None,
    });
    let mut found = Vec::new();
    for expr in rule.rows.iter().map(|rows| &rows.expr).chain(mask) {
        expr.visit(&mut |part| {
            if let Expr::InEntitlement { entitlement, .. } = part {
                found.push(entitlement.as_ref());
            }
        });
    }
    found
}
