//! Chooses the server of a contract and says where each of its tables is.

use std::path::Path;

use meshgate_model::Name;
use percent_encoding::percent_decode_str;

use crate::location::{self, BadLocation};
use crate::notes::Notes;
use crate::release::{Location, StorageGrant};
use crate::yaml::{Node, short};

/// The environment a gateway serves if its config names none.
const ENVIRONMENT_DEFAULT: &str = "prod";

/// Where a domain's tables may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Storage<'a> {
    pub(crate) domain: &'a Name,
    /// The mesh directory, absolute.
    pub(crate) directory: &'a Path,
    pub(crate) grants: &'a [StorageGrant],
    /// The gateway's environment.
    pub(crate) environment: Option<&'a str>,
}

/// Which way a server is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way<'n> {
    /// The key that holds the location, and the format.
    Files(&'static str, Format),
    Catalog,
    Foreign(&'n str),
    /// There is a location, but nothing says what is there.
    NoFormat,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Delta,
    Iceberg,
    Parquet,
}

/// The server that is used here, or none if the contract lists none. Says why if no choice can be made.
pub(crate) fn choose<'n>(
    contract: &'n Node,
    environment: Option<&str>,
    notes: &mut Notes,
) -> Result<Option<&'n Node>, ()> {
    let servers = contract.list("servers");
    if let [only] = servers {
        if let (Some(wanted), Some(given)) = (environment, only.text("environment"))
            && wanted != given
        {
            let message =
                format!("the only server is for `{}`; this gateway's environment is `{wanted}`", short(given));
            notes.warning(only.mark_of("environment"), "other-environment", message).hint("it is used all the same");
        }
        return Ok(Some(only));
    }
    let of = |wanted: Option<&str>| -> Vec<&Node> {
        servers.iter().filter(|server| server.text("environment") == wanted).collect()
    };
    let named = of(Some(environment.unwrap_or(ENVIRONMENT_DEFAULT)));
    let found = if named.is_empty() { of(None) } else { named };
    let readable: Vec<&Node> = found.iter().copied().filter(|node| !matches!(way(node), Way::Foreign(_))).collect();
    match (readable.as_slice(), found.as_slice(), servers) {
        (_, _, []) => Ok(None),
        ([only], ..) | ([], [only, ..], _) => Ok(Some(only)),
        ([_, second, ..], ..) => {
            notes
                .error(second.mark, "ambiguous-server", "several servers of this contract could be used here")
                .hint("give each its own `environment`; the gateway's config names the one to use");
            Err(())
        }
        ([], [], [first, ..]) => {
            let wanted = environment.unwrap_or(ENVIRONMENT_DEFAULT);
            let known: Vec<_> = servers.iter().filter_map(|server| server.text("environment")).collect();
            notes
                .error(first.mark, "no-server", format!("no server of this contract is for the environment `{wanted}`"))
                .hint(format!("there are servers for {}", known.join(", ")));
            Err(())
        }
    }
}

/// Says once what there is to say about a server, whatever tables it holds.
pub(crate) fn remark(server: &Node, notes: &mut Notes) {
    match way(server) {
        Way::Foreign(kind) => notes
            .notice(
                server.mark_of("type"),
                "foreign-server",
                format!("this gateway does not read servers of kind `{kind}`"),
            )
            .hint("its tables are listed; queries on them fail as unavailable"),
        // SECURITY: the endpoint is where credentials are sent, so the platform names it, not a contract.
        Way::Files(..) if server.get("endpointUrl").is_some() => notes
            .notice(server.mark_of("endpointUrl"), "unused-field", "`endpointUrl` is not used")
            .hint("the gateway's credentials say which endpoint a store has"),
        _ => {}
    }
}

/// Where a table is; `alone` if it is the contract's only one. None if that cannot be served, which was reported.
pub(crate) fn locate(
    server: &Node,
    physical_name: &str,
    alone: bool,
    storage: Storage<'_>,
    notes: &mut Notes,
) -> Option<Location> {
    match way(server) {
        Way::Foreign(kind) => Some(Location::Foreign { kind: kind.to_owned() }),
        Way::NoFormat => {
            notes
                .error(server.mark, "no-format", "the server does not say how its tables are stored")
                .hint("add `format: delta`, `format: iceberg` or `format: parquet`");
            None
        }
        Way::Catalog => catalog_table(server, physical_name, storage, notes),
        Way::Files(key, format) => files(server, key, format, physical_name, alone, storage, notes),
    }
}

fn way(server: &Node) -> Way<'_> {
    let kind = server.text("type").unwrap_or("none");
    let key = match kind {
        "s3" | "azure" => "location",
        "local" => "path",
        "custom" if server.get("location").is_some() => "location",
        "custom" if server.get("path").is_some() => "path",
        "iceberg" => return Way::Catalog,
        _ => return Way::Foreign(kind),
    };
    let location = server.text(key).unwrap_or_default();
    match server.text("format").map(str::to_ascii_lowercase).as_deref() {
        Some("delta") => Way::Files(key, Format::Delta),
        Some("iceberg") => Way::Files(key, Format::Iceberg),
        Some("parquet") => Way::Files(key, Format::Parquet),
        Some(_) => Way::Foreign(server.text("format").unwrap_or_default()),
        None if location.ends_with(".metadata.json") => Way::Files(key, Format::Iceberg),
        None if location.ends_with(".parquet") => Way::Files(key, Format::Parquet),
        None => Way::NoFormat,
    }
}

fn files(
    server: &Node,
    key: &str,
    format: Format,
    physical_name: &str,
    alone: bool,
    storage: Storage<'_>,
    notes: &mut Notes,
) -> Option<Location> {
    let node = server.get(key)?;
    let written = node.as_text()?;
    let mut text = written.replace("{model}", physical_name).replace("{table}", physical_name);
    if let Some(start) = text.find(['{', '}']) {
        let message = format!("`{}` has a placeholder that is not known", short(&text[start..]));
        notes.error(node.mark, "bad-location", message).hint("use {model} or {table} for the table's physical name");
        return None;
    }
    let pinned = text.ends_with(".metadata.json") && format == Format::Iceberg;
    if !alone && text == written {
        if pinned {
            notes
                .error(node.mark, "bad-location", "one metadata file cannot hold several tables")
                .hint("give each table a contract of its own, or put {model} into the location");
            return None;
        }
        text = format!("{}/{physical_name}", text.trim_end_matches('/'));
    }
    if format == Format::Parquet {
        let directory = text.trim_end_matches("*.parquet").trim_end_matches("**/");
        text.truncate(directory.len());
    }
    let url = match location::absolute(&text, storage.directory) {
        Ok(url) if pinned || (format == Format::Parquet && url.ends_with(".parquet")) => url,
        Ok(url) => location::directory(url),
        Err(error) => {
            refuse(node, &text, &error, storage, notes);
            return None;
        }
    };
    // SECURITY: the platform, not the domain, decides what a domain may read from.
    if location::granted(&url, storage.grants).is_none() {
        outside(node, &text, storage, notes);
        return None;
    }
    Some(match format {
        Format::Delta => Location::Delta { url },
        Format::Iceberg => Location::Iceberg { url },
        Format::Parquet => Location::Parquet { url },
    })
}

fn catalog_table(server: &Node, physical_name: &str, storage: Storage<'_>, notes: &mut Notes) -> Option<Location> {
    let node = server.get("catalogUrl")?;
    let text = node.as_text()?;
    let (namespace, table) = match (server.text("namespace"), physical_name.rsplit_once('.')) {
        (Some(namespace), _) => (namespace, physical_name),
        (None, Some((namespace, table))) => (namespace, table),
        (None, None) => {
            notes
                .error(
                    server.mark,
                    "missing-field",
                    format!("nothing says which namespace `{}` is in", short(physical_name)),
                )
                .hint("add `namespace:` to the server");
            return None;
        }
    };
    let url = match location::scheme(text) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("sqlite") => sqlite(node, rest, storage, notes)?,
        _ => match location::catalog_service(text) {
            Ok(url) if location::listed_catalog(&url, storage.grants).is_some() => url,
            Ok(url) => {
                let message =
                    format!("the catalog `{}` is not listed for the domain `{}`", short(text), storage.domain);
                notes
                    .error(node.mark, "location-outside-storage", message)
                    .hint(format!("the platform lists it in mesh.yaml: `- catalog: {url}`"));
                return None;
            }
            Err(error) => {
                refuse(node, text, &error, storage, notes);
                return None;
            }
        },
    };
    Some(Location::IcebergCatalog {
        url,
        catalog: server.owned("catalog")?,
        namespace: namespace.to_owned(),
        warehouse: server.owned("warehouse"),
        table: table.to_owned(),
    })
}

/// `sqlite:relative`, `sqlite://relative`, `sqlite:///./relative`, `sqlite:///absolute` and `sqlite:////absolute`.
fn sqlite(node: &Node, rest: &str, storage: Storage<'_>, notes: &mut Notes) -> Option<String> {
    let path = rest.strip_prefix("//").unwrap_or(rest);
    let relative = path.strip_prefix('/').filter(|path| path.starts_with("./") || path.starts_with("../"));
    let path = relative.unwrap_or(path);
    // A path, never a URL, so that `sqlite:s3://...` is no way out.
    let path = if path.starts_with('/') { path.to_owned() } else { format!("./{path}") };
    match location::absolute(&path, storage.directory) {
        // SECURITY: a SQLite file is a file like any other.
        Ok(url) if location::granted(&url, storage.grants).is_some() => {
            let path = percent_decode_str(url.trim_start_matches("file://")).decode_utf8_lossy();
            Some(format!("sqlite://{path}"))
        }
        Ok(_) => {
            outside(node, node.raw(), storage, notes);
            None
        }
        Err(error) => {
            refuse(node, node.raw(), &error, storage, notes);
            None
        }
    }
}

fn outside(node: &Node, text: &str, storage: Storage<'_>, notes: &mut Notes) {
    let message = format!("`{}` lies outside the storage of the domain `{}`", short(text), storage.domain);
    notes.error(node.mark, "location-outside-storage", message).hint(prefixes(storage));
}

fn refuse(node: &Node, text: &str, error: &BadLocation, storage: Storage<'_>, notes: &mut Notes) {
    let message = format!("{} cannot be the location of a table: {error}", error.shown(text));
    let code = match error {
        BadLocation::AboveRoot | BadLocation::Scheme(_) | BadLocation::Encoded(_) => "location-outside-storage",
        _ => "bad-location",
    };
    notes.error(node.mark, code, message).hint(prefixes(storage));
}

fn prefixes(storage: Storage<'_>) -> String {
    let urls: Vec<_> = storage
        .grants
        .iter()
        .filter_map(|grant| match grant {
            StorageGrant::Prefix { url, .. } => Some(url.as_str()),
            StorageGrant::Catalog { .. } => None,
        })
        .collect();
    match urls.as_slice() {
        [] => "mesh.yaml grants the domain no storage; add a `prefix` under its `storage`".to_owned(),
        urls => format!("mesh.yaml grants the domain {}", urls.join(", ")),
    }
}
