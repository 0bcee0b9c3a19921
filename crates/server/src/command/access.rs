//! `meshgate access explain`: what a principal may see of a table, and why.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use meshgate_identity::{ClientInfo, Credential, Identity, Options, Principal, PrincipalKind};
use meshgate_model::{AttributeTypes, Clock, Name, ProductAddress, Secret, TableAddress};
use meshgate_policy::{ExplainedColumn, Explanation, PolicyRef, RequestContext};
use meshgate_product::{Product, Release, ScopeState};
use serde_json::{Value, json};

use crate::ambient::{SystemClock, SystemEntropy};
use crate::args::{AccessExplain, Report};
use crate::state::{self, attribute_texts};
use crate::trouble::{Exit, Outcome, Trouble};
use crate::{mesh, output};

/// Where the question is asked from: nobody is connected, and a rule about the client's address needs one.
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Prints the decision. Exit code 1 if the table does not exist for the principal, or is out of service for everybody.
pub(super) async fn explain(arguments: AccessExplain) -> Outcome<Exit> {
    let (release, policies) = mesh::usable(&arguments.mesh)?;
    let table = address(&release, &arguments.table)?;
    let principal = principal(&arguments, &release.mesh().attributes).await?;
    if let Some(purpose) = arguments.purpose.as_ref().filter(|purpose| !release.mesh().purposes.contains(purpose)) {
        return Err(Trouble::usage(format!("`{purpose}` is no purpose of this mesh"))
            .hint(format!("purposes are {}", release.mesh().purposes.join(", "))));
    }
    let request =
        RequestContext { purpose: arguments.purpose.clone(), client_ip: Some(CLIENT), now: SystemClock.now() };
    let explanation = policies.explain(&principal, &release, &table, &request);
    match arguments.format {
        Report::Json => output::json(&as_json(principal.name(), &explanation))?,
        Report::Text => output::text(as_text(principal.name(), &explanation))?,
    }
    Ok(if explanation.visible { Exit::Success } else { Exit::Failure })
}

/// `domain.product.table`, where the product may carry its version; without one it means the active version, as in a
/// query.
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
        in_service(found)?;
        return match found.current() {
            Some(version) => Ok(unsuffixed.table(version.major, *table)),
            None => Err(Trouble::failure(format!("`{unsuffixed}` has no active version")).hint(versions(found, table))),
        };
    }
    if let Some((base, major)) = product.rsplit_once("_v")
        && let (Ok(base), Ok(major)) = (Name::parse(base), major.parse())
        && let Some(found) = release.product(&of(base))
    {
        in_service(found)?;
        return Ok(found.address.table(major, *table));
    }
    Err(Trouble::failure(format!("the mesh has no product `{unsuffixed}`"))
        .hint("`meshgate check` lists what is wrong with a product that should be there"))
}

/// Whether queries on a product get as far as policy; what is wrong with its domain is among its own reasons.
fn in_service(product: &Product) -> Outcome {
    let ScopeState::Unavailable(reasons) = &product.state else { return Ok(()) };
    let what = format!("`{}` is out of service: queries on it fail, whatever policy says", product.address);
    let trouble = reasons.iter().fold(Trouble::failure(what), |trouble, reason| trouble.why(reason.as_str()));
    Err(trouble.hint("`meshgate check` shows where it is wrong"))
}

fn versions(product: &Product, table: &str) -> String {
    let names = product.versions.iter().map(|version| format!("{}_v{}.{table}", product.address, version.major));
    match names.collect::<Vec<_>>().as_slice() {
        [] => "every version of it is retired".to_owned(),
        names => format!("name a version: {}", names.join(", ")),
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
    let mut text = format!("{principal} from {CLIENT} and {}\n", explanation.table);
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
        "client_ip": CLIENT.to_string(),
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

#[cfg(test)]
mod tests {
    use super::address;
    use crate::mesh;

    const MESH: &str = "name: acme\ndomains:\n  sales: { storage: [{ prefix: ./data/ }] }\n";
    const CONTRACT: &str = "\
apiVersion: v3.1.0
kind: DataContract
id: c
version: 1.0.0
servers: [{ server: files, type: local, path: ./data/t, format: delta }]
schema:
  - name: lines
    properties: [{ name: id, logicalType: integer }]
";

    /// The address a name means, or what is said instead.
    fn told(status: &str, policy: &str, name: &str) -> String {
        let directory = tempfile::tempdir().expect("a directory");
        let product = "apiVersion: v1.0.0\nkind: DataProduct\nid: p\n";
        let port = "outputPorts: [{ name: p, version: 2.0.0, contractId: c }]";
        let home = "domains/sales/products/orders";
        for (file, text) in [
            ("mesh.yaml", MESH),
            (&format!("{home}/product.odps.yaml"), &format!("{product}status: {status}\n{port}\n")),
            (&format!("{home}/c.odcs.yaml"), CONTRACT),
            (&format!("{home}/policies/p.cedar"), policy),
        ] {
            let path = directory.path().join(file);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            std::fs::write(path, text).expect("a file");
        }
        let (release, _) = mesh::load(directory.path(), None).expect("a mesh");
        address(&release, name).map_or_else(|trouble| trouble.to_string(), |address| address.to_string())
    }

    #[test]
    fn names_mean_what_they_mean_in_a_query() {
        let mistyped = "@rows(\"id\") permit (principal, action in Action::\"access\", resource);";
        for (status, policy, name, expected) in [
            ("active", "", "sales.orders.lines", "sales.orders_v2.lines"),
            ("active", "", "sales.orders_v7.lines", "sales.orders_v7.lines"),
            ("deprecated", "", "sales.orders.lines", "no active version"),
            ("deprecated", "", "sales.orders.lines", "sales.orders_v2.lines"),
            ("deprecated", "", "sales.orders_v2.lines", "sales.orders_v2.lines"),
            ("active", "", "sales.oders.lines", "no product `sales.oders`"),
            ("active", "", "lines", "no table's address"),
            ("active", "permit (", "sales.orders.lines", "out of service"),
            ("active", mistyped, "sales.orders.lines", "out of service"),
            ("active", mistyped, "sales.orders_v2.lines", "out of service"),
            ("actve", "", "sales.orders.lines", "out of service"),
        ] {
            let told = told(status, policy, name);
            assert!(told.contains(expected), "{status} {policy} {name}: {told}");
        }
    }
}
