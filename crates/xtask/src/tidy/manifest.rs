//! Who may depend on whom: layers point down only, and a heavy dependency has its owners.

use std::collections::BTreeMap;

use anyhow::Context;
use toml::{Table, Value};

use super::Finding;

/// The crates and their layers; a crate depends on lower numbers only. The last digit orders crates within a layer.
const LAYERS: &[(&str, u32)] = &[
    ("model", 0),
    ("product", 10),
    ("identity", 10),
    ("policy", 20),
    ("ledger", 20),
    ("state", 20),
    ("table", 30),
    ("table-delta", 31),
    ("table-iceberg", 31),
    ("table-parquet", 31),
    ("govern", 40),
    ("engine", 41),
    ("cluster", 42),
    ("gateway", 50),
    ("flight", 60),
    ("http", 60),
    ("server", 70),
];

/// Crates outside the layers: they may use everything, nothing depends on them but tests.
const OUTSIDE: &[&str] = &["testkit", "fuzzing", "xtask", "tests", "benches"];

/// A dependency and all whose name begins with it and a dash, and the only crates that may have it.
struct Owned {
    dependency: &'static str,
    owners: &'static [&'static str],
    instead: &'static str,
}

const OWNED: &[Owned] = &[
    Owned { dependency: "cedar-policy", owners: &["policy"], instead: "ask `policy` for a Decision" },
    Owned {
        dependency: "sqlx",
        // table-iceberg asks Iceberg's SQL catalogs where a table's metadata is.
        owners: &["state", "table-iceberg"],
        instead: "keep state in `state`",
    },
    Owned {
        dependency: "object_store",
        owners: &["table", "table-delta", "table-iceberg", "table-parquet"],
        instead: "take a contained store from `table`",
    },
    Owned { dependency: "deltalake", owners: &["table-delta"], instead: "use the contract in `table`" },
    Owned { dependency: "iceberg", owners: &["table-iceberg"], instead: "use the contract in `table`" },
    Owned {
        dependency: "arrow",
        owners: &[
            "table",
            "table-delta",
            "table-iceberg",
            "table-parquet",
            "govern",
            "engine",
            "cluster",
            "gateway",
            "flight",
            "http",
            "server",
        ],
        instead: "the words of the lower layers know no Arrow",
    },
    Owned {
        dependency: "datafusion",
        owners: &["table", "table-delta", "table-iceberg", "table-parquet", "govern", "engine", "cluster"],
        instead: "go through `engine`",
    },
    // `meshgate sql` is a client of the gateway like any other, so the binary has the client half.
    Owned { dependency: "arrow-flight", owners: &["flight", "server"], instead: "only `flight` knows this wire" },
    Owned { dependency: "tonic", owners: &["flight", "server"], instead: "only `flight` knows this wire" },
    Owned { dependency: "prost", owners: &["flight"], instead: "only `flight` knows this wire" },
    Owned { dependency: "axum", owners: &["http"], instead: "only `http` knows this wire" },
    Owned { dependency: "anyhow", owners: &["server", "xtask"], instead: "libraries have an `Error` of their own" },
    Owned { dependency: "clap", owners: &["server"], instead: "arguments end in the binary" },
    Owned { dependency: "rustyline", owners: &["server"], instead: "the terminal ends in the binary" },
    Owned { dependency: "indicatif", owners: &["server"], instead: "the terminal ends in the binary" },
];

struct Manifest<'a> {
    file: &'a str,
    text: &'a str,
    /// The directory below `crates`, or the top-level directory.
    name: &'a str,
    parsed: Table,
}

/// Checks all manifests of the workspace; the root's is `Cargo.toml`.
pub(super) fn check(manifests: &[(String, String)]) -> anyhow::Result<Vec<Finding>> {
    let mut packages = BTreeMap::new();
    let mut members = Vec::new();
    for (file, text) in manifests {
        let parsed: Table = toml::from_str(text).with_context(|| format!("reading {file}"))?;
        if file == "Cargo.toml" {
            packages = renamed(&parsed);
        } else {
            let directory = file.trim_end_matches("/Cargo.toml");
            let name = directory.strip_prefix("crates/").unwrap_or(directory);
            members.push(Manifest { file, text, name, parsed });
        }
    }
    Ok(members.iter().flat_map(|member| check_member(member, &packages)).collect())
}

/// Keys of `[workspace.dependencies]` that stand for a package of another name.
fn renamed(root: &Table) -> BTreeMap<String, String> {
    let dependencies = root.get("workspace").and_then(|w| w.get("dependencies")).and_then(Value::as_table);
    dependencies
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.clone(), value.get("package")?.as_str()?.to_owned())))
        .collect()
}

fn check_member(member: &Manifest<'_>, packages: &BTreeMap<String, String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut say = |line: usize, message: String| findings.push(Finding::new(member.file, line, message));
    let layer = layer(member.name);
    if layer.is_none() && !OUTSIDE.contains(&member.name) {
        say(1, format!("crate `{}` has no layer: give it one in crates/README.md and in xtask's tidy", member.name));
    }
    let inherits =
        |section: &str| member.parsed.get(section).and_then(|s| s.get("workspace")) == Some(&Value::Boolean(true));
    if !inherits("lints") {
        say(1, "add `[lints] workspace = true`".to_owned());
    }
    for (kind, key, value) in dependencies(&member.parsed) {
        // Written by `cargo hakari` in its own form; it only settles features.
        if key == "workspace-hack" {
            continue;
        }
        let line = line_of(member.text, &key);
        if value.get("workspace") != Some(&Value::Boolean(true)) {
            say(line, format!("`{key}`: take it from [workspace.dependencies] with `{key}.workspace = true`"));
        }
        let package = packages.get(&key).map_or(key.as_str(), String::as_str);
        if let Some(complaint) = complaint(member.name, layer, kind, package) {
            say(line, complaint);
        }
    }
    findings
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Normal,
    Dev,
}

fn complaint(member: &str, layer: Option<u32>, kind: Kind, package: &str) -> Option<String> {
    if let Some(target) = package.strip_prefix("meshgate-") {
        return match (layer, self::layer(target)) {
            (_, None) if OUTSIDE.contains(&target) && kind == Kind::Dev => None,
            (Some(_), None) => Some(format!("`{package}` is for tests: make it a dev-dependency")),
            (Some(own), Some(below)) if below >= own => Some(format!(
                "`{member}` stands no higher than `{target}`: dependencies point down only; see crates/README.md"
            )),
            _ => None,
        };
    }
    // What tests need is the tests' business, and so are the crates outside the layers.
    if kind == Kind::Dev || (layer.is_none() && member != "xtask") {
        return None;
    }
    let matching = |owned: &&Owned| {
        package.strip_prefix(owned.dependency).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    // The longest name wins: arrow-flight is not arrow's.
    let owned = OWNED.iter().filter(matching).max_by_key(|owned| owned.dependency.len())?;
    (!owned.owners.contains(&member))
        .then(|| format!("`{package}` belongs to {} alone: {}", owned.owners.join(", "), owned.instead))
}

fn layer(name: &str) -> Option<u32> {
    LAYERS.iter().find(|(known, _)| *known == name).map(|(_, layer)| *layer)
}

/// All dependencies of a manifest, those under `[target.*]` included. Build dependencies count as normal ones.
fn dependencies(manifest: &Table) -> Vec<(Kind, String, Value)> {
    let of = |table: &Table| {
        [("dependencies", Kind::Normal), ("build-dependencies", Kind::Normal), ("dev-dependencies", Kind::Dev)]
            .into_iter()
            .flat_map(|(section, kind)| {
                let entries = table.get(section).and_then(Value::as_table).into_iter().flatten();
                entries.map(move |(key, value)| (kind, key.clone(), value.clone())).collect::<Vec<_>>()
            })
            .collect::<Vec<_>>()
    };
    let targets = manifest.get("target").and_then(Value::as_table).into_iter().flatten();
    let mut all = of(manifest);
    all.extend(targets.filter_map(|(_, target)| target.as_table()).flat_map(of));
    all
}

fn line_of(text: &str, key: &str) -> usize {
    let names = |line: &str| {
        line.trim_start().strip_prefix(key).is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
            || line.contains(&format!("dependencies.{key}]"))
    };
    text.lines().position(names).map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::check;

    const ROOT: &str = "[workspace.dependencies]\narrow58 = { package = \"arrow\", version = \"58\" }\n";

    fn found(file: &str, dependencies: &str) -> Vec<(usize, String)> {
        let manifest = format!("[lints]\nworkspace = true\n{dependencies}\n");
        let manifests = [("Cargo.toml".to_owned(), ROOT.to_owned()), (file.to_owned(), manifest)];
        check(&manifests).expect("valid TOML").into_iter().map(|f| (f.line, f.message)).collect()
    }

    #[test]
    fn dependencies_point_down_only_and_have_owners() {
        let cases = [
            ("gateway", "[dependencies]\nmeshgate-engine.workspace = true", None),
            ("engine", "[dependencies]\nmeshgate-gateway.workspace = true", Some("no higher than `gateway`")),
            ("identity", "[dependencies]\nmeshgate-product.workspace = true", Some("no higher than `product`")),
            ("table-delta", "[dependencies]\nmeshgate-table.workspace = true", None),
            ("table", "[dependencies]\nmeshgate-table-delta.workspace = true", Some("no higher than `table-delta`")),
            ("engine", "[dev-dependencies]\nmeshgate-testkit.workspace = true", None),
            ("engine", "[dependencies]\nmeshgate-testkit.workspace = true", Some("make it a dev-dependency")),
            ("policy", "[dependencies]\ncedar-policy.workspace = true", None),
            ("govern", "[dependencies]\ncedar-policy.workspace = true", Some("belongs to policy alone")),
            ("govern", "[dev-dependencies]\ncedar-policy.workspace = true", None),
            (
                "policy",
                "[target.'cfg(unix)'.dependencies]\ntonic.workspace = true",
                Some("belongs to flight, server alone"),
            ),
            ("policy", "[build-dependencies]\naxum-core.workspace = true", Some("belongs to http alone")),
            ("flight", "[dependencies]\narrow-flight.workspace = true", None),
            ("gateway", "[dependencies]\narrow-flight.workspace = true", Some("belongs to flight, server alone")),
            ("model", "[dependencies]\narrow58.workspace = true", Some("`arrow` belongs to")),
            ("testkit", "[dependencies]\ndatafusion.workspace = true", None),
            ("xtask", "[dependencies]\ntonic.workspace = true", Some("belongs to flight, server alone")),
            ("model", "[dependencies]\nthiserror = \"2\"", Some("take it from [workspace.dependencies]")),
        ];
        for (name, dependencies, expected) in cases {
            let found = found(&format!("crates/{name}/Cargo.toml"), dependencies);
            match expected {
                None => assert_eq!(found, [], "{name}: {dependencies}"),
                Some(part) => {
                    assert!(matches!(found.as_slice(), [(4, message)] if message.contains(part)), "{name}: {found:?}");
                }
            }
        }
    }

    #[test]
    fn a_new_crate_needs_a_layer_and_the_lints() {
        assert_eq!(found("crates/novelty/Cargo.toml", "").len(), 1);
        assert_eq!(found("tests/Cargo.toml", ""), []);
        let bare = [("crates/model/Cargo.toml".to_owned(), "[package]\nname = \"m\"\n".to_owned())];
        assert_eq!(check(&bare).expect("valid TOML").len(), 1);
    }
}
