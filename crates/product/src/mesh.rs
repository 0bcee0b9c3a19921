//! The platform's file, mesh.yaml, and each domain's own domain.yaml.

use std::collections::BTreeMap;
use std::path::Path;

use meshgate_model::{AttributeType, AttributeTypes, Name};

use crate::location;
use crate::notes::{Notes, nearest};
use crate::release::StorageGrant;
use crate::shape::{Kind, Shape, examine, may, must};
use crate::yaml::{Entry, Mark, Node, Value, short};

/// Domains that the gateway itself answers for.
const RESERVED_DOMAINS: [&str; 2] = ["meshgate", "information_schema"];
/// What a session knows of everybody; no attribute may be called so.
const RESERVED_ATTRIBUTES: [&str; 4] = ["user", "groups", "purpose", "now"];

/// mesh.yaml, read.
#[derive(Debug, Default)]
pub(crate) struct MeshFile {
    pub(crate) name: String,
    pub(crate) domains: BTreeMap<Name, Granted>,
    pub(crate) attributes: AttributeTypes,
    pub(crate) purposes: Vec<String>,
}

/// What the platform says of one domain.
#[derive(Debug, Default)]
pub(crate) struct Granted {
    pub(crate) mark: Mark,
    pub(crate) owners: Vec<String>,
    pub(crate) storage: Vec<StorageGrant>,
    pub(crate) cost_centre: Option<String>,
}

/// What a domain says of itself.
#[derive(Debug, Default)]
pub(crate) struct DomainFile {
    pub(crate) title: Option<String>,
    pub(crate) description: Option<String>,
}

static MESH: Shape = Shape {
    what: "mesh.yaml",
    fields: &[&[
        must("name", Kind::Text),
        must("domains", Kind::Any),
        may("attributes", Kind::Any),
        may("purposes", Kind::Texts),
    ]],
};

static DOMAIN_GRANT: Shape = Shape {
    what: "a domain",
    fields: &[&[
        may("owners", Kind::Texts),
        may("storage", Kind::PickList(storage_shape)),
        may("costCentre", Kind::Text),
    ]],
};

fn storage_shape(node: &Node) -> &'static Shape {
    static PREFIX: Shape =
        Shape { what: "a storage prefix", fields: &[&[must("prefix", Kind::Text), may("credentials", Kind::Text)]] };
    static CATALOG: Shape =
        Shape { what: "a storage catalog", fields: &[&[must("catalog", Kind::Text), may("credentials", Kind::Text)]] };
    if node.entry("catalog").is_some() { &CATALOG } else { &PREFIX }
}

static DOMAIN: Shape = Shape {
    what: "domain.yaml",
    fields: &[&[
        may("name", Kind::Text),
        may("title", Kind::Text),
        may("description", Kind::TextOrObject(&DESCRIPTION)),
        may("tags", Kind::Texts),
        may("contact", Kind::Object(&CONTACT)),
        may("links", Kind::List(&LINK)),
    ]],
};

static DESCRIPTION: Shape = Shape {
    what: "a description",
    fields: &[&[may("purpose", Kind::Text), may("limitations", Kind::Text), may("usage", Kind::Text)]],
};

static CONTACT: Shape = Shape {
    what: "a contact",
    fields: &[&[may("name", Kind::Text), may("email", Kind::Text), may("channel", Kind::Text), may("url", Kind::Text)]],
};

static LINK: Shape = Shape { what: "a link", fields: &[&[must("url", Kind::Text), may("title", Kind::Text)]] };

/// Reads mesh.yaml; relative prefixes are relative to `directory`.
pub(crate) fn read(node: &Node, directory: &Path, notes: &mut Notes) -> MeshFile {
    examine(node, &MESH, 0, notes);
    let name = node.owned("name").unwrap_or_default();
    if node.get("name").is_some() && !is_word(&name, "-_.") {
        let message = format!("`{}` cannot be the name of a mesh", short(&name));
        notes.error(node.mark_of("name"), "bad-name", message).hint("use letters, digits, `-`, `_` and `.`");
    }
    MeshFile {
        name,
        domains: mapping(node, "domains", notes).iter().filter_map(|e| domain(e, directory, notes)).collect(),
        attributes: mapping(node, "attributes", notes).iter().filter_map(|e| attribute(e, notes)).collect(),
        purposes: node.texts("purposes"),
    }
}

/// Reads domain.yaml.
pub(crate) fn read_domain(node: &Node, directory_name: &Name, notes: &mut Notes) -> DomainFile {
    examine(node, &DOMAIN, 0, notes);
    if let Some(name) = node.text("name").filter(|name| *name != directory_name.as_str()) {
        let message = format!("the domain's directory is `{directory_name}`, so its name cannot be `{}`", short(name));
        notes
            .error(node.mark_of("name"), "wrong-name", message)
            .hint("the directory is the name; use `title` for more");
    }
    DomainFile { title: node.owned("title"), description: description(node) }
}

/// A description in one text: the text itself, or its `purpose`, or what there is.
pub(crate) fn description(node: &Node) -> Option<String> {
    let description = node.get("description")?;
    let part = |key: &str| description.text(key);
    description
        .as_text()
        .or_else(|| part("purpose"))
        .or_else(|| part("usage"))
        .or_else(|| part("limitations"))
        .map(str::to_owned)
}

fn mapping<'n>(node: &'n Node, key: &str, notes: &mut Notes) -> &'n [Entry] {
    match node.get(key) {
        Some(found) if !matches!(found.value, Value::Map(_)) => {
            notes.error(found.mark, "wrong-type", format!("`{key}` must be a mapping, not {}", found.describe()));
            &[]
        }
        Some(found) => found.entries(),
        None => &[],
    }
}

fn domain(entry: &Entry, directory: &Path, notes: &mut Notes) -> Option<(Name, Granted)> {
    // Everything in a domain's entry may be left out.
    if entry.value.value != Value::Null {
        examine(&entry.value, &DOMAIN_GRANT, 0, notes);
    }
    let name = match Name::parse(&entry.key) {
        Ok(name) if RESERVED_DOMAINS.contains(&name.as_str()) => {
            notes
                .error(entry.mark, "reserved-name", format!("`{name}` is a catalog of the gateway itself"))
                .hint("give the domain another name");
            return None;
        }
        Ok(name) => name,
        Err(error) => {
            notes.error(entry.mark, "bad-name", error.to_string()).hint("the name of a domain is its directory's name");
            return None;
        }
    };
    let storage = entry.value.list("storage").iter().filter_map(|node| grant(node, directory, notes)).collect();
    let granted = Granted {
        mark: entry.mark,
        owners: entry.value.texts("owners"),
        storage,
        cost_centre: entry.value.owned("costCentre"),
    };
    Some((name, granted))
}

fn grant(node: &Node, directory: &Path, notes: &mut Notes) -> Option<StorageGrant> {
    let credentials = node.owned("credentials");
    let (key, result) = match (node.text("catalog"), node.text("prefix")) {
        (Some(text), _) => {
            let url = location::catalog_service(text);
            // SECURITY: whoever writes credentials down believes that nobody gets in without them.
            if credentials.is_some() && url.as_ref().is_ok_and(|url| !url.starts_with("http")) {
                notes
                    .error(node.mark_of("credentials"), "unknown-field", "this catalog is asked without `credentials`")
                    .hint("take them out; this gateway signs in to catalogs over http:// and https:// only");
            }
            ("catalog", url.map(|url| StorageGrant::Catalog { url, credentials }))
        }
        (None, Some(text)) => {
            let url = location::absolute(text, directory).map(location::directory);
            ("prefix", url.map(|url| StorageGrant::Prefix { url, credentials }))
        }
        (None, None) => return None,
    };
    match result {
        Ok(grant) => Some(grant),
        Err(error) => {
            let text = node.text(key).unwrap_or_default();
            let example = if key == "prefix" { "./data/sales/ or s3://bucket/sales/" } else { "https://host/path" };
            notes
                .error(node.mark_of(key), "bad-location", format!("{} cannot be a {key}: {error}", error.shown(text)))
                .hint(format!("write it like {example}"));
            None
        }
    }
}

fn attribute(entry: &Entry, notes: &mut Notes) -> Option<(String, AttributeType)> {
    let name = &entry.key;
    if RESERVED_ATTRIBUTES.contains(&name.as_str()) {
        let message = format!("every principal has `{name}` already, so no attribute can be called so");
        notes.error(entry.mark, "reserved-name", message).hint("give the attribute another name");
    } else if !is_word(name, "_") || name.starts_with(|c: char| c.is_ascii_digit()) {
        let message = format!("`{}` cannot be the name of an attribute", short(name));
        notes.error(entry.mark, "bad-name", message).hint("use letters, digits and `_`");
    }
    let node = &entry.value;
    let of_set = node.get("set").filter(|_| node.entries().len() == 1);
    let found = match (node.as_text(), of_set.and_then(Node::as_text)) {
        (Some("string"), _) => Some(AttributeType::String),
        (Some("integer"), _) => Some(AttributeType::Integer),
        (Some("boolean"), _) => Some(AttributeType::Boolean),
        (None, Some("string")) => Some(AttributeType::StringSet),
        (None, Some("integer")) => Some(AttributeType::IntegerSet),
        _ => None,
    };
    if found.is_none() {
        let message = format!("the type of attribute `{}` cannot be {}", short(name), node.describe());
        let note = notes.error(node.mark, "unknown-value", message);
        match node.as_text().and_then(|text| nearest(text, ["string", "integer", "boolean"])) {
            Some(word) => note.suggest(Some(word)),
            None => note.hint("use string, integer, boolean, { set: string } or { set: integer }"),
        }
    }
    Some((name.clone(), found?))
}

fn is_word(text: &str, more: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
}
