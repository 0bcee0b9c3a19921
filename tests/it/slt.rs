//! `slt/*.slt`: queries and their answers in the sqllogictest format (`statement ok`, `statement error <text>`,
//! `query <types> [rowsort]`), each file as one principal, which its first line names: `# principal: steward`.

use std::path::Path;

use meshgate_gateway::Caller;
use meshgate_model::Failure;
use meshgate_testkit::{World, rows_text};

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
        let mut records = 0;
        for record in text.split("\n\n") {
            let lines = record.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>();
            if lines.iter().all(|line| line.is_empty()) {
                continue;
            }
            records += 1;
            if let Err(problem) = holds(&world, caller, &lines).await {
                wrong.push(format!("{}: {problem}\n{}", file.display(), lines.join("\n")));
            }
        }
        assert!(records > 0, "{} is empty", file.display());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Runs one record and compares.
async fn holds(world: &World, caller: &Caller, lines: &[&str]) -> Result<(), String> {
    let (head, body) = lines.split_first().ok_or("an empty record")?;
    let split = body.iter().position(|line| *line == "----").unwrap_or(body.len());
    let sql = body[..split].join("\n");
    let answer = world.query(caller, &sql).await.map_err(|error| error.public().to_string());
    let words = head.split(' ').collect::<Vec<_>>();
    match (words.as_slice(), answer) {
        (["statement", "ok"], Ok(_)) => Ok(()),
        (["statement", "error", expected @ ..], Err(text)) if text.contains(&expected.join(" ")) => Ok(()),
        (["query", options @ ..], Ok(batches)) => {
            let mut found = rows_text(&batches).iter().map(|row| row.replace('\t', " ")).collect::<Vec<_>>();
            let mut expected = body[(split + 1).min(body.len())..].to_vec();
            if options.contains(&"rowsort") {
                found.sort();
                expected.sort_unstable();
            }
            if found == expected { Ok(()) } else { Err(format!("found\n{}", found.join("\n"))) }
        }
        (_, answer) => Err(format!("found {:?}", answer.map(|batches| rows_text(&batches)))),
    }
}
