//! Where data is: texts of documents to absolute, normalised URLs, and whether a URL lies under what a domain may read.

use std::path::{Component, Path};

use meshgate_model::mutant;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use crate::release::StorageGrant;
use crate::yaml::short;

/// What must be encoded in a path segment so that decoding it once gives the segment back.
const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Why a text is no location.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadLocation {
    #[error("it is empty")]
    Empty,
    #[error("`{0}` is no scheme this gateway reads")]
    Scheme(String),
    #[error("it leaves its root with `..`")]
    AboveRoot,
    #[error("`{0}` hides a separator, a dot or a control character behind percent-encoding")]
    Encoded(String),
    #[error("`{0}` must not stand in a location")]
    Character(char),
    #[error("a file URL must not name a host: write `file:///...`")]
    FileHost,
    #[error("it must name a bucket or host")]
    NoHost,
    #[error("it must not hold a user name or password")]
    Credentials,
}

impl BadLocation {
    /// The location as a message may show it: with a password in it, not at all.
    pub(crate) fn shown(&self, text: &str) -> String {
        match self {
            Self::Credentials => "this".to_owned(),
            _ => format!("`{}`", short(text)),
        }
    }
}

/// The absolute, normalised URL of a location: a URL, an absolute path, or a path relative to `base`. A directory ends
/// in `/` only if it was written so. Percent-encoding is decoded once, everywhere, so `%2e%2e` is `..`.
pub(crate) fn absolute(text: &str, base: &Path) -> Result<String, BadLocation> {
    let text = text.trim();
    if text.is_empty() {
        return Err(BadLocation::Empty);
    }
    if let Some(character) = text.chars().find(|c| matches!(c, '\\' | '?' | '#') || c.is_control()) {
        return Err(BadLocation::Character(character));
    }
    let (root, path, mut segments) = match scheme(text) {
        None if text.starts_with('/') => ("file://".to_owned(), text, Vec::new()),
        None => ("file://".to_owned(), text, directory_segments(base)),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("file") => {
            let path = match rest.strip_prefix("//") {
                Some(rest) => rest.strip_prefix("localhost").filter(|path| path.starts_with('/')).unwrap_or(rest),
                None => rest,
            };
            if !path.starts_with('/') {
                return Err(BadLocation::FileHost);
            }
            ("file://".to_owned(), path, Vec::new())
        }
        Some((given, rest)) => {
            let scheme = store_scheme(given).ok_or_else(|| BadLocation::Scheme(given.to_owned()))?;
            let rest = rest.strip_prefix("//").ok_or(BadLocation::NoHost)?;
            let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            (format!("{scheme}://{}", checked_host(scheme, host)?), path, Vec::new())
        }
    };
    normalise(path, &mut segments)?;
    // The root of a disk is a directory however it is written; that of a bucket is the bucket's name.
    let ends = match segments.as_slice() {
        [] if root == "file://" => "/",
        [_, ..] if path.ends_with('/') => "/",
        _ => "",
    };
    let path: String = segments.iter().map(|segment| format!("/{}", utf8_percent_encode(segment, SEGMENT))).collect();
    Ok(format!("{root}{path}{ends}"))
}

/// The same URL as a directory: ending in `/`.
pub(crate) fn directory(url: String) -> String {
    if url.ends_with('/') { url } else { format!("{url}/") }
}

/// The grant under which a URL of a store or a file lies: the longest prefix.
pub(crate) fn granted<'g>(url: &str, grants: &'g [StorageGrant]) -> Option<&'g StorageGrant> {
    let length = |grant: &StorageGrant| match grant {
        // INVARIANT: both are normalised and the prefix ends in `/`, so text order is path order.
        StorageGrant::Prefix { url: prefix, .. } => {
            let is_inside = url.starts_with(prefix.as_str()) || mutant("every location is granted");
            is_inside.then_some(prefix.len())
        }
        StorageGrant::Catalog { .. } => None,
    };
    grants.iter().filter(|grant| length(grant).is_some()).max_by_key(|grant| length(grant))
}

/// The grant that lists a catalog service: the same scheme, host and port, and a path that begins alike.
pub(crate) fn listed_catalog<'g>(catalog: &str, grants: &'g [StorageGrant]) -> Option<&'g StorageGrant> {
    grants.iter().find(|grant| match grant {
        StorageGrant::Catalog { url, .. } => {
            catalog == url || catalog.strip_prefix(url.trim_end_matches('/')).is_some_and(|rest| rest.starts_with('/'))
        }
        StorageGrant::Prefix { .. } => false,
    })
}

/// A catalog service's URL in one spelling.
pub(crate) fn catalog_service(text: &str) -> Result<String, BadLocation> {
    let mut url = url::Url::parse(text.trim()).map_err(|_| BadLocation::Scheme(short_scheme(text)))?;
    match url.scheme() {
        "http" | "https" | "postgres" => {}
        "postgresql" => {
            // A scheme of the same class, so this cannot fail.
            let _ = url.set_scheme("postgres");
        }
        other => return Err(BadLocation::Scheme(other.to_owned())),
    }
    // SECURITY: a contract is a shared document; credentials come from the gateway's own configuration.
    if !url.username().is_empty() || url.password().is_some() {
        return Err(BadLocation::Credentials);
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(BadLocation::Character('?'));
    }
    let hidden = ["%2e", "%2f", "%5c", "%25"].into_iter().find(|code| url.path().to_ascii_lowercase().contains(code));
    match (url.host_str(), hidden) {
        (None | Some(""), _) => Err(BadLocation::NoHost),
        (_, Some(code)) => Err(BadLocation::Encoded(code.to_owned())),
        _ => Ok(url.as_str().trim_end_matches('/').to_owned()),
    }
}

/// `scheme:rest`, if the text begins with a scheme.
pub(crate) fn scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let valid = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    valid.then_some((scheme, rest))
}

fn short_scheme(text: &str) -> String {
    scheme(text).map_or_else(|| "none".to_owned(), |(scheme, _)| scheme.to_owned())
}

fn store_scheme(scheme: &str) -> Option<&'static str> {
    Some(match scheme.to_ascii_lowercase().as_str() {
        "s3" | "s3a" | "s3n" => "s3",
        "gs" | "gcs" => "gs",
        "az" | "azure" => "az",
        "abfs" | "abfss" => "abfss",
        _ => return None,
    })
}

fn checked_host<'h>(scheme: &str, host: &'h str) -> Result<&'h str, BadLocation> {
    let (user, name) = host.rsplit_once('@').map_or(("", host), |(user, name)| (user, name));
    match name {
        "" | "." | ".." => Err(BadLocation::NoHost),
        // `abfss://container@account.dfs.core.windows.net/...` has the container where others have a user.
        _ if host.contains('@') && (scheme != "abfss" || user.contains([':', '@'])) => Err(BadLocation::Credentials),
        _ => match host.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@' | ':'))) {
            Some(character) => Err(BadLocation::Character(character)),
            None => Ok(host),
        },
    }
}

fn directory_segments(directory: &Path) -> Vec<String> {
    let mut segments = Vec::new();
    for component in directory.components() {
        match component {
            Component::Normal(name) => segments.push(name.to_string_lossy().into_owned()),
            Component::ParentDir => drop(segments.pop()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    segments
}

/// Walks the segments of a path from where `segments` stands.
fn normalise(path: &str, segments: &mut Vec<String>) -> Result<(), BadLocation> {
    for written in path.split('/') {
        let encoded = || BadLocation::Encoded(written.to_owned());
        let segment = percent_decode_str(written).decode_utf8().map_err(|_| encoded())?;
        // SECURITY: one decoding must be the last one, or what is checked here is not what a store opens.
        let hidden = segment.contains(['/', '\\'])
            || segment.chars().any(char::is_control)
            || ["%2e", "%2f", "%5c", "%25"].iter().any(|code| segment.to_ascii_lowercase().contains(code));
        if hidden && !mutant("dots hide behind percent-encoding") {
            return Err(encoded());
        }
        match segment.as_ref() {
            "" | "." => {}
            ".." => drop(segments.pop().ok_or(BadLocation::AboveRoot)?),
            segment => segments.push(segment.to_owned()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{BadLocation, absolute, catalog_service, granted, listed_catalog};
    use crate::release::StorageGrant;

    #[test]
    fn texts_become_one_spelling() {
        for (text, expected) in [
            ("./data/sales/", "file:///mesh/data/sales/"),
            ("data//sales/./x", "file:///mesh/data/sales/x"),
            ("/abs/../etc/x", "file:///etc/x"),
            ("../beside/x/", "file:///beside/x/"),
            ("data/%2e%2E/x", "file:///mesh/x"),
            ("data/%2e/x", "file:///mesh/data/x"),
            ("data/a b/ü", "file:///mesh/data/a%20b/%C3%BC"),
            ("data/a%20b", "file:///mesh/data/a%20b"),
            ("file:///a/b/../c", "file:///a/c"),
            ("/a/..", "file:///"),
            ("file://localhost/a", "file:///a"),
            ("FILE:/a/b", "file:///a/b"),
            ("s3a://bucket/a/../b/", "s3://bucket/b/"),
            ("S3://bucket", "s3://bucket"),
            ("abfss://container@account.dfs.core.windows.net/x", "abfss://container@account.dfs.core.windows.net/x"),
        ] {
            assert_eq!(absolute(text, Path::new("/mesh")).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn tricks_are_refused() {
        for text in [
            "",
            " ",
            "/..",
            "../../x",
            "s3://bucket/../other/x",
            "s3://bucket/%2e%2e/other",
            "data/%2e%2e%2fx",
            "data/%252e%252e/x",
            "data/..%5cx",
            "data\\..\\x",
            "data/x?y",
            "data/x#y",
            "data/a%00b",
            "data/%ff",
            "file://host/x",
            "http://host/x",
            "memory:///x",
            "s3:bucket/x",
            "s3:///x",
            "s3://../x",
            "s3://key:secret@bucket/x",
            "c:/windows",
        ] {
            assert!(absolute(text, Path::new("/mesh")).is_err(), "{text}: {:?}", absolute(text, Path::new("/mesh")));
        }
        assert_eq!(absolute("http://h/x", Path::new("/m")), Err(BadLocation::Scheme("http".to_owned())));
    }

    #[test]
    fn the_longest_prefix_grants() {
        let prefix = |url: &str| StorageGrant::Prefix { url: url.to_owned(), credentials: Some(url.to_owned()) };
        let grants = [prefix("s3://lake/"), prefix("s3://lake/sales/"), prefix("file:///mesh/data/sales/")];
        for (url, expected) in [
            ("s3://lake/sales/orders/", Some(1)),
            ("s3://lake/salesman/", Some(0)),
            ("s3://lake2/sales/", None),
            ("file:///mesh/data/sales/", Some(2)),
            ("file:///mesh/data/sales", None),
            ("file:///mesh/data/sales2/", None),
        ] {
            assert_eq!(granted(url, &grants), expected.map(|index: usize| &grants[index]), "{url}");
        }
    }

    #[test]
    fn catalogs_are_listed_by_host_and_path() {
        let grants = [StorageGrant::Catalog { url: "https://catalog.example/iceberg".to_owned(), credentials: None }];
        for (text, listed) in [
            ("https://catalog.example/iceberg", true),
            ("https://CATALOG.example:443/iceberg/v1/", true),
            ("https://catalog.example/iceberg2", false),
            ("https://catalog.example/iceberg/../other", false),
            ("https://catalog.example.org/iceberg", false),
            ("http://catalog.example/iceberg", false),
        ] {
            let url = catalog_service(text).expect("a catalog's URL");
            assert_eq!(listed_catalog(&url, &grants).is_some(), listed, "{text}");
        }
        for text in
            ["https://u:p@catalog.example/iceberg", "ftp://x/", "https://catalog.example/iceberg/%2e%2e%2fx", "nothing"]
        {
            assert!(catalog_service(text).is_err(), "{text}");
        }
    }
}
