//! Reading the many ways in which a path may be written as the one thing it means.

use std::path::{Component, Path, PathBuf};

use percent_encoding::percent_decode_str;

/// Whether percent signs mean something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reading {
    /// `%20` is a space.
    Encoded,
    /// `%20` is three characters.
    Literal,
}

/// A normalised path: no `.`, no `..`, no empty parts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// An absolute path on the gateway's own disk, symbolic links not yet resolved.
    Local(PathBuf),
    /// An object of an S3-compatible store.
    S3 {
        /// The bucket.
        bucket: String,
        /// The key, no slash at either end.
        key: String,
    },
}

impl Place {
    /// Reads a URL or an absolute path; none if it is of an unknown kind or climbs out of its root.
    pub(crate) fn parse(text: &str, reading: Reading) -> Option<Self> {
        if text.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
            return None;
        }
        if text.starts_with('/') {
            // A bare path is never percent-encoded.
            return local(text);
        }
        let (scheme, rest) = text.split_once(':')?;
        let scheme = scheme.to_ascii_lowercase();
        let rest = match reading {
            Reading::Encoded => {
                if rest.contains(['?', '#']) {
                    return None;
                }
                percent_decode_str(rest).decode_utf8().ok()?.into_owned()
            }
            Reading::Literal => {
                // SECURITY: a later reader may decode what we do not; parts that would climb then are refused now.
                let decoded = percent_decode_str(rest).decode_utf8().ok()?;
                normalise(&decoded)?;
                rest.to_owned()
            }
        };
        if rest.contains('\0') {
            return None;
        }
        match scheme.as_str() {
            "file" => local(file_path(&rest)?),
            "s3" | "s3a" | "s3n" => {
                let (bucket, key) = match rest.strip_prefix("//")?.split_once('/') {
                    Some((bucket, key)) => (bucket, key),
                    None => (rest.strip_prefix("//")?, ""),
                };
                if bucket.is_empty() || bucket.contains(['@', ':', '\\']) {
                    return None;
                }
                Some(Self::S3 { bucket: bucket.to_owned(), key: normalise(key)? })
            }
            _ => None,
        }
    }
}

/// The path of `file:/p`, `file:///p` and `file://localhost/p`.
fn file_path(rest: &str) -> Option<&str> {
    match rest.strip_prefix("//") {
        Some(after) => {
            let path = after.strip_prefix("localhost").unwrap_or(after);
            path.starts_with('/').then_some(path)
        }
        None => rest.starts_with('/').then_some(rest),
    }
}

fn local(path: &str) -> Option<Place> {
    Some(Place::Local(PathBuf::from(format!("/{}", normalise(path)?))))
}

/// Drops `.` and empty parts, applies `..`; none if it climbs above the root.
fn normalise(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Resolves symbolic links in the longest part of the path that exists; the rest must be plain names.
pub(crate) fn resolve(path: &Path) -> Option<PathBuf> {
    let mut missing = Vec::new();
    let mut existing = path;
    loop {
        match std::fs::canonicalize(existing) {
            Ok(mut real) => {
                real.extend(missing.iter().rev());
                return Some(real);
            }
            // SECURITY: a dangling link exists as itself; following it later would leave what was checked.
            Err(_) if std::fs::symlink_metadata(existing).is_ok() => return None,
            Err(_) => {
                match existing.components().next_back()? {
                    Component::Normal(name) => missing.push(name.to_owned()),
                    _ => return None,
                }
                existing = existing.parent()?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, Reading};

    #[test]
    fn writes_one_place_in_many_ways() {
        let local = |path: &str| Some(Place::Local(path.into()));
        let s3 = |bucket: &str, key: &str| Some(Place::S3 { bucket: bucket.into(), key: key.into() });
        for (text, reading, expected) in [
            ("/a/b", Reading::Encoded, local("/a/b")),
            ("/a%20b", Reading::Encoded, local("/a%20b")),
            ("file:/a/b/", Reading::Encoded, local("/a/b")),
            ("file:///a//./b", Reading::Encoded, local("/a/b")),
            ("FILE://localhost/a", Reading::Encoded, local("/a")),
            ("file:///a%20b", Reading::Encoded, local("/a b")),
            ("file:///a%20b", Reading::Literal, local("/a%20b")),
            ("file:///a/x/../b", Reading::Encoded, local("/a/b")),
            ("file:///a/%2e%2e/b", Reading::Encoded, local("/b")),
            ("file:///../etc", Reading::Encoded, None),
            ("file:///%2e%2e/etc", Reading::Literal, None),
            ("file://host/a", Reading::Encoded, None),
            ("file:a", Reading::Encoded, None),
            ("a/b", Reading::Encoded, None),
            ("s3a://lake/sales/x", Reading::Encoded, s3("lake", "sales/x")),
            ("S3N://lake/sales/../x", Reading::Encoded, s3("lake", "x")),
            ("s3://lake", Reading::Encoded, s3("lake", "")),
            ("s3://lake/..", Reading::Encoded, None),
            ("s3://lake/a?versionId=1", Reading::Encoded, None),
            ("s3://user@lake/a", Reading::Encoded, None),
            ("http://lake/a", Reading::Encoded, None),
            ("gs://lake/a", Reading::Literal, None),
            ("s3://lake/a\nb", Reading::Literal, None),
        ] {
            assert_eq!(Place::parse(text, reading), expected, "{text}");
        }
    }
}
