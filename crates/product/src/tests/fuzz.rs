//! Hostile text for documents and locations.

use std::fs;
use std::path::{Component, Path};

use meshgate_fuzzing::{Counting, Fuzz};
use meshgate_model::Finding;

use super::{CONTRACT, CONTRACT_FILE, MESH, MESH_FILE, PRODUCT, PRODUCT_FILE, TestMesh};
use crate::location::{absolute, catalog_service, granted, listed_catalog};
use crate::release::StorageGrant;
use crate::{Location, check_file, yaml};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What a document can hold: the standards' own examples of everything.
const DOCUMENTS: [&str; 6] = [
    MESH,
    PRODUCT,
    CONTRACT,
    include_str!("documents/product.yaml"),
    include_str!("documents/contract.yaml"),
    "a: &a [1, 2.5, .inf, ~, true, 'x', \"\\u00e9\", !!str 3]\nb: { <<: *a, c: |\n    text\n  }\n? - key\n: - value\n...\n",
];

const WORDS: [&str; 28] = [
    ": ",
    "- ",
    "? ",
    "&a ",
    "*a",
    "<<: *a",
    "!!binary ",
    "!!int ",
    "!<tag:x> ",
    "|\n",
    ">-\n",
    "---\n",
    "...\n",
    "%YAML 9.9\n",
    "{",
    "[",
    "\"\\x",
    "\"\\U00110000\"",
    "0o777",
    ".nan",
    "1e999",
    "2026-01-31",
    "null",
    "\u{feff}",
    "\t",
    "#",
    "'",
    "@",
];

/// Every finding says where it stands, in text that was there.
fn placed(findings: &[Finding], file: &str, text: &str) -> Result<String, String> {
    for finding in findings.iter().filter(|finding| finding.place.file == Path::new(file)) {
        let (line, column) = (finding.place.line.unwrap_or(1), finding.place.column.unwrap_or(1));
        // A document's end is the line after its last.
        let lines = text.lines().count().max(1) + 1;
        if line == 0 || column == 0 || line as usize > lines {
            return Err(format!("the text has {lines} lines, and this is said of it: {finding}"));
        }
        if finding.message.is_empty() || finding.message.len() > 4_000 {
            return Err(format!("a message of {} bytes: {}", finding.message.len(), finding.code));
        }
    }
    Ok(findings.iter().map(|finding| finding.code).collect::<Vec<_>>().join(" "))
}

#[test]
fn fuzz_yaml() {
    Fuzz::text("yaml").all(DOCUMENTS).words(WORDS).inputs(10_000).run(|input| {
        let text = String::from_utf8_lossy(input);
        let parsed = yaml::parse(&text);
        if parsed.node.is_none() && parsed.problems.is_empty() && !text.trim().is_empty() && parsed.values > 0 {
            return Err("nothing was read and nothing is said".to_owned());
        }
        let codes: Vec<_> =
            parsed.problems.iter().map(|problem| format!("{} {}", problem.code, problem.message)).collect();
        Ok(codes.join(", "))
    });
}

#[test]
fn fuzz_document() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("x.yaml");
    Fuzz::text("document").all(DOCUMENTS).words(WORDS).inputs(4_000).run(|input| {
        let text = String::from_utf8_lossy(input);
        fs::write(&file, text.as_bytes()).map_err(|error| error.to_string())?;
        placed(&check_file(&file), &file.to_string_lossy(), &text)
    });
}

/// One document of a mesh is hostile: there is a release or there are errors, and whatever a table's location is, it lies
/// under the storage of its domain.
#[test]
fn fuzz_mesh() {
    let files = [MESH_FILE, PRODUCT_FILE, CONTRACT_FILE];
    let texts = [MESH, PRODUCT, CONTRACT];
    let mesh = TestMesh::valid();
    let words = [
        "./data/sales/",
        "../",
        "/etc/",
        "s3://lake/",
        "%2e%2e",
        "file:///",
        "{model}",
        "type: s3",
        "catalog:",
        "prefix: ",
    ];
    // The first byte says which of the documents it is.
    let inputs = texts.iter().zip(0_u8..).map(|(text, file)| [&[b'0' + file], text.as_bytes()].concat());
    Fuzz::text("mesh").all(inputs).words(words).words(WORDS).inputs(2_000).run(|input| {
        let text = String::from_utf8_lossy(input);
        let which = usize::from(input.first().copied().unwrap_or_default() % 3);
        let hostile = text.get(1..).unwrap_or_default();
        let write = |file: &str, text: &str| fs::write(mesh.path().join(file), text).map_err(|error| error.to_string());
        write(files[which], hostile)?;
        let loaded = mesh.load();
        write(files[which], texts[which])?;
        let findings = match &loaded {
            Ok(release) => release.findings(),
            Err(error) => error.findings(),
        };
        let end = placed(findings, files[which], hostile)?;
        let Ok(release) = loaded else { return Ok(end) };
        for domain in release.domains().values() {
            let tables =
                domain.products.values().flat_map(|product| &product.versions).flat_map(|version| &version.tables);
            for table in tables {
                match &table.location {
                    Location::Delta { url } | Location::Iceberg { url } | Location::Parquet { url } => {
                        inside(url, &domain.storage)?;
                    }
                    Location::Foreign { .. } => {}
                    Location::IcebergCatalog { url, .. } => match url.strip_prefix("sqlite://") {
                        Some(path) => inside(&format!("file://{}", path.replace('%', "%25")), &domain.storage)?,
                        None => return Err(format!("{url} is no catalog of the mesh")),
                    },
                }
            }
        }
        Ok(end)
    });
}

/// Whether a URL lies under one of the prefixes, by other means than those that granted it.
fn inside(url: &str, grants: &[StorageGrant]) -> Result<(), String> {
    let place = |url: &str| {
        let url = url::Url::parse(url).map_err(|error| format!("{url}: {error}"))?;
        let path = percent_encoding::percent_decode_str(url.path()).decode_utf8_lossy().into_owned();
        if path.contains(['\\', '\0']) || Path::new(&path).components().any(|part| part == Component::ParentDir) {
            return Err(format!("{url} hides something"));
        }
        Ok((url.scheme().to_owned(), url.host_str().unwrap_or_default().to_owned(), path))
    };
    let (scheme, host, path) = place(url)?;
    for grant in grants {
        let StorageGrant::Prefix { url: prefix, .. } = grant else { continue };
        let (granted_scheme, granted_host, granted_path) = place(prefix)?;
        if scheme == granted_scheme && host == granted_host && Path::new(&path).starts_with(&granted_path) {
            return Ok(());
        }
    }
    Err(format!("{url} lies outside of the storage"))
}

#[test]
fn fuzz_location() {
    let base = Path::new("/mesh");
    let prefix = |url: &str| StorageGrant::Prefix { url: url.to_owned(), credentials: None };
    let grants =
        ["s3://lake/sales/", "file:///mesh/data/sales/", "abfss://c@a.dfs.core.windows.net/sales/"].map(prefix);
    let inputs = [
        "./data/sales/orders/",
        "data/sales/../sales/x",
        "/mesh/data/sales/a b",
        "file:///mesh/data/sales/%C3%BC/",
        "FILE://localhost/mesh/data/sales/x",
        "s3a://lake/sales/orders/part-0.parquet",
        "S3://lake/sales/../hr/x",
        "abfss://c@a.dfs.core.windows.net/sales/x",
    ];
    let words = [
        "../",
        "/..",
        "%2e",
        "%2F",
        "%252e",
        "//",
        "\\",
        "@",
        ":",
        "?",
        "#",
        "%00",
        "localhost",
        "s3://",
        "file:",
        "ı",
        "．．",
    ];
    Fuzz::text("location").all(inputs).words(words).inputs(40_000).run(|input| {
        let text = String::from_utf8_lossy(input);
        match absolute(&text, base) {
            Err(error) => Ok(error.to_string()),
            Ok(url) => {
                if absolute(&url, base).as_deref() != Ok(url.as_str()) {
                    return Err(format!("{url} is read as {:?}", absolute(&url, base)));
                }
                match granted(&url, &grants) {
                    None => Ok("outside".to_owned()),
                    Some(_) => inside(&url, &grants).map(|()| "inside".to_owned()),
                }
            }
        }
    });
}

#[test]
fn fuzz_catalog() {
    let grants = [StorageGrant::Catalog { url: "https://catalog.example/iceberg".to_owned(), credentials: None }];
    let inputs = [
        "https://catalog.example/iceberg",
        "https://CATALOG.example:443/iceberg/v1/",
        "http://catalog.example/iceberg/../x",
        "postgresql://db.example:5432/catalog",
    ];
    let words = ["../", "%2e%2e/", "@", ":443", "catalog.example", "https://", "\\", "?", "#", "\u{3002}", "[::1]"];
    Fuzz::text("catalog").all(inputs).words(words).inputs(40_000).run(|input| {
        let text = String::from_utf8_lossy(input);
        let Ok(url) = catalog_service(&text) else { return Ok("refused".to_owned()) };
        if listed_catalog(&url, &grants).is_none() {
            return Ok("not listed".to_owned());
        }
        let parsed = url::Url::parse(&url).map_err(|error| format!("{url}: {error}"))?;
        let path = percent_encoding::percent_decode_str(parsed.path()).decode_utf8_lossy().into_owned();
        let whole = parsed.scheme() == "https"
            && parsed.host_str() == Some("catalog.example")
            && parsed.port_or_known_default() == Some(443)
            && parsed.username().is_empty()
            && Path::new(&path).starts_with("/iceberg")
            && !path.split('/').any(|segment| segment == "..");
        if whole { Ok("listed".to_owned()) } else { Err(format!("{url} is listed")) }
    });
}
