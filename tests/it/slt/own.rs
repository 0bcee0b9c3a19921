//! `slt/*.slt`, each as the principal that its first line names: `# principal: steward`.

use std::path::Path;

use meshgate_gateway::Caller;
use meshgate_model::Failure;
use meshgate_testkit::{World, rows_text};
use regex::Regex;

use super::format::{self, Expected, Record, Sort};
use crate::mesh::world;

#[tokio::test(flavor = "multi_thread")]
async fn every_file_holds() {
    let world = world().await;
    let steward = world.user("steward", &["stewards"], &[]).await;
    let analyst = world.user("analyst", &["analysts"], &[("region", "EU")]).await;
    let stranger = world.user("stranger", &[], &[]).await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("it/slt");
    let mut files = std::fs::read_dir(folder)
        .expect("the folder of .slt files")
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "slt"))
        .collect::<Vec<_>>();
    files.sort();
    assert!(files.len() >= 3, "{files:?}");
    let mut wrong = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a readable file");
        let caller = match text.lines().next().and_then(|line| line.strip_prefix("# principal: ")) {
            Some("steward") => &steward,
            Some("analyst") => &analyst,
            Some("stranger") => &stranger,
            other => panic!("{}: the first line must name a principal, not {other:?}", file.display()),
        };
        let records = format::read(&file).expect("a file in the format");
        assert!(!records.all.is_empty(), "{} is empty", file.display());
        for record in records.all {
            if let Err(problem) = holds(&world, caller, &record).await {
                wrong.push(format!("{}: {problem}\n{}", record.place, record.sql));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Runs one record and compares.
async fn holds(world: &World, caller: &Caller, record: &Record) -> Result<(), String> {
    let answer = world.query(caller, &record.sql).await.map_err(|error| error.public().to_string());
    match (&record.expected, answer) {
        (Expected::Success, Ok(_)) => Ok(()),
        (Expected::Failure(pattern), Err(text)) if Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(&text)) => {
            Ok(())
        }
        (Expected::Rows { sort, lines, .. }, Ok(batches)) => {
            let mut found = rows_text(&batches).iter().map(|row| row.replace('\t', " ")).collect::<Vec<_>>();
            let mut expected = lines.clone();
            if *sort != Sort::No {
                found.sort();
                expected.sort_unstable();
            }
            if found == expected { Ok(()) } else { Err(format!("found\n{}", found.join("\n"))) }
        }
        (_, answer) => Err(format!("found {:?}", answer.map(|batches| rows_text(&batches)))),
    }
}
