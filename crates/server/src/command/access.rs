//! `meshgate access explain`: what a principal may see of a table, and why.

use std::collections::BTreeMap;
use std::sync::Arc;

use meshgate_identity::{ClientInfo, Credential, Identity, Options, Principal, PrincipalKind};
use meshgate_model::{AttributeTypes, Clock, Name, ProductAddress, Secret, TableAddress};
use meshgate_policy::{ExplainedColumn, Explanation, PolicyRef, RequestContext};
use meshgate_product::Release;
use serde_json::{Value, json};

use crate::ambient::{SystemClock, SystemEntropy};
use crate::args::{AccessExplain, Report};
use crate::state::{self, attribute_texts};
use crate::trouble::{Exit, Outcome, Trouble};
use crate::{mesh, output};

/// Prints the decision. Exit code 1 if the table does not exist for the principal.
pub(super) async fn explain(arguments: AccessExplain) -> Outcome<Exit> {
    let (release, policies) = mesh::usable(&arguments.mesh)?;
    let table = address(&release, &arguments.table)?;
    let principal = principal(&arguments, &release.mesh().attributes).await?;
    if let Some(purpose) = arguments.purpose.as_ref().filter(|purpose| !release.mesh().purposes.contains(purpose)) {
        return Err(Trouble::usage(format!("`{purpose}` is no purpose of this mesh"))
            .hint(format!("purposes are {}", release.mesh().purposes.join(", "))));
    }
    let request = RequestContext { purpose: arguments.purpose.clone(), client_ip: None, now: SystemClock.now() };
    let explanation = policies.explain(&principal, &release, &table, &request);
    match arguments.format {
        Report::Json => output::json(&as_json(principal.name(), &explanation))?,
        Report::Text => output::text(as_text(principal.name(), &explanation))?,
    }
    Ok(if explanation.visible { Exit::Success } else { Exit::Failure })
}

/// `domain.product.table`, where the product may carry its version.
fn address(release: &Release, text: &str) -> Outcome<TableAddress> {
    let parts: Vec<&str> = text.split('.').collect();
    let [domain, product, table] = parts.as_slice() else {
        return Err(Trouble::usage(format!("`{text}` is no table's address")).hint("write domain.product.table"));
    };
    let name = |text: &str| Name::parse(text).map_err(|error| Trouble::usage("no such table").because(&error));
    let domain = name(domain)?;
    let of = |product: Name| ProductAddress::new(domain.clone(), product);
    let unsuffixed = of(name(product)?);
    if let Some(found) = release.product(&unsuffixed) {
        let major = found.current().map_or(1, |version| version.major);
        return Ok(unsuffixed.table(major, *table));
    }
    let versioned = product.rsplit_once("_v").and_then(|(base, major)| Some((base, major.parse::<u32>().ok()?)));
    match versioned {
        Some((base, major)) if release.product(&of(name(base)?)).is_some() => Ok(of(name(base)?).table(major, *table)),
        _ => Err(Trouble::failure(format!("the mesh has no product `{unsuffixed}`"))
            .hint("`meshgate check` lists what is wrong with a product that should be there")),
    }
}

async fn principal(arguments: &AccessExplain, types: &AttributeTypes) -> Outcome<Principal> {
    if let Some(token) = &arguments.token {
        let state = state::open(&arguments.state).await?;
        let identity = Identity::new(Arc::new(state), Options::default(), Arc::new(SystemClock), &SystemEntropy);
        let credential = Credential::Bearer(Secret::new(token));
        let found = identity.authenticate(&credential, &ClientInfo::default(), types).await;
        return found.map_err(|error| Trouble::of("the token's holder cannot be found", &error));
    }
    let (kind, name) = match (&arguments.user, &arguments.service) {
        (Some(user), _) => (PrincipalKind::User, user),
        (None, service) => (PrincipalKind::Service, service.as_ref().unwrap_or(&arguments.table)),
    };
    let mut attributes = BTreeMap::new();
    for (name, texts) in attribute_texts(&arguments.carries) {
        let kind = types.get(&name).ok_or_else(|| {
            Trouble::usage(format!("mesh.yaml declares no attribute `{name}`"))
                .hint(format!("attributes are {}", types.keys().cloned().collect::<Vec<_>>().join(", ")))
        })?;
        let value =
            kind.read(&name, &texts).map_err(|error| Trouble::usage("an attribute does not fit").because(&error))?;
        attributes.insert(name, value);
    }
    let groups = arguments.carries.groups.iter().cloned().collect();
    Ok(Principal::hypothetical(kind, name, groups, attributes))
}

fn as_text(principal: &str, explanation: &Explanation) -> String {
    let mut text = format!("{principal} and {}\n", explanation.table);
    if explanation.visible {
        text.push_str(&format!("  rows: {}", explanation.rows.as_deref().unwrap_or("all")));
    } else {
        let reason = explanation.reason.as_deref().unwrap_or("no policy permits it");
        text.push_str(&format!("  the table does not exist for this principal: {reason}"));
    }
    text.push_str(&because(&explanation.policies));
    text.push('\n');
    if explanation.visible {
        text.push_str("  columns:\n");
        for ExplainedColumn { path, reading, policies } in &explanation.columns {
            text.push_str(&format!("    {path}: {reading}{}\n", because(policies)));
        }
    }
    text
}

fn because(policies: &[PolicyRef]) -> String {
    if policies.is_empty() { String::new() } else { format!("  [{}]", ids(policies).join(", ")) }
}

fn ids(policies: &[PolicyRef]) -> Vec<String> {
    policies.iter().map(ToString::to_string).collect()
}

fn as_json(principal: &str, explanation: &Explanation) -> Value {
    json!({
        "principal": principal,
        "table": explanation.table.policy_id(),
        "version": explanation.table.major,
        "visible": explanation.visible,
        "reason": explanation.reason,
        "rows": explanation.rows,
        "policies": ids(&explanation.policies),
        "columns": explanation.columns.iter().map(column_json).collect::<Value>(),
    })
}

fn column_json(column: &ExplainedColumn) -> Value {
    let kind = match column.reading.as_str() {
        known @ ("plain" | "hidden") => known,
        _ => "masked",
    };
    json!({
        "name": column.path,
        "reading": kind,
        "mask": (kind == "masked").then_some(&column.reading),
        "policies": ids(&column.policies),
    })
}
