//! Hostile paths: whatever a log, a manifest or a document says, what is found lies under a grant.

use std::fs;
use std::path::{Component, Path};

use meshgate_fuzzing::{Counting, Fuzz};

use super::tests::stores;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const WORDS: [&str; 24] = [
    "../",
    "/..",
    "./",
    "//",
    "%2e%2e/",
    "%2E",
    "..%2f",
    "%5c",
    "\\",
    "%00",
    "%252e%252e%252f",
    "?",
    "#",
    "@",
    ":",
    "localhost",
    "file:",
    "s3://lake/",
    "S3A://",
    "door/",
    "window",
    "dangling",
    "．．／",
    "hr/",
];

#[test]
fn fuzz_path() {
    let root = tempfile::tempdir().expect("a directory");
    let base = root.path().canonicalize().expect("there");
    let (inside, outside) = (base.join("sales"), base.join("hr"));
    fs::create_dir_all(inside.join("t")).expect("made");
    fs::create_dir_all(&outside).expect("made");
    fs::write(outside.join("secret"), b"theirs").expect("written");
    for (target, link) in
        [(outside.clone(), "door"), (outside.join("secret"), "window"), (outside.join("no"), "dangling")]
    {
        std::os::unix::fs::symlink(target, inside.join(link)).expect("linked");
    }
    let local = inside.display().to_string();
    let stores = stores(&[&local, "s3://lake/sales/"]);
    let inputs = [
        format!("{local}/t/a b.parquet"),
        format!("file://{local}/t/a%20b.parquet"),
        format!("file:{local}/../sales/./t//x"),
        format!("FILE://localhost{local}/door/secret"),
        "s3://lake/sales/t/part-0.parquet".to_owned(),
        "s3a://lake/sales/../hr/%2e%2e/x".to_owned(),
        "S3N://lake/salesx/t".to_owned(),
    ];
    Fuzz::text("path").all(inputs).words(WORDS).inputs(15_000).run(|input| {
        let text = String::from_utf8_lossy(input);
        let mut found = 0;
        for located in [stores.locate(&text), stores.locate_literal(&text)].into_iter().flatten() {
            found += 1;
            let path = located.path.as_ref();
            if located.local {
                // The system says where it leads: the longest part of it that is there.
                let whole = Path::new("/").join(path);
                let there = whole.ancestors().find(|part| part.exists()).unwrap_or(Path::new("/"));
                let real = there.canonicalize().map_err(|error| error.to_string())?;
                let climbs = whole.components().any(|part| part == Component::ParentDir);
                if climbs || !real.starts_with(&inside) && !inside.starts_with(&real) || real.starts_with(&outside) {
                    return Err(format!("{} leads to {}", whole.display(), real.display()));
                }
                if !whole.starts_with(&inside) {
                    return Err(format!("{} lies outside", whole.display()));
                }
            } else if !(path == "sales" || path.starts_with("sales/")) || path.split('/').any(|part| part == "..") {
                return Err(format!("{path} lies outside"));
            }
        }
        Ok(["nowhere", "once", "twice"][found].to_owned())
    });
}

#[test]
fn fuzz_catalog_url() {
    let stores = stores(&["s3://lake/sales/"]);
    let inputs = ["https://catalog.example/v1", "https://catalog.example/v1/ns/../x", "https://catalog.example/v10"];
    Fuzz::text("catalog_url").all(inputs).words(["../", "%2e%2e/", "@", "\\", "/v1/", "?", "#"]).inputs(15_000).run(
        |input| {
            let text = String::from_utf8_lossy(input);
            if stores.catalog(&text).is_err() {
                return Ok("refused".to_owned());
            }
            let Ok(url) = url::Url::parse(&text) else { return Err(format!("{text} is no URL and allowed")) };
            let allowed =
                url.host_str() == Some("catalog.example") && (url.path() == "/v1" || url.path().starts_with("/v1/"));
            if allowed { Ok("allowed".to_owned()) } else { Err(format!("{url} is allowed")) }
        },
    );
}
