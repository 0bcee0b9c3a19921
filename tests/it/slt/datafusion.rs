//! DataFusion's own files, those of the crate `datafusion-sqllogictest`, asked of the gateway over its socket.
//!
//! `MESHGATE_SLT_FILES` names the crate's folder; `cargo xtask test` and `cargo xtask slt` set it. `MESHGATE_SLT_ONLY`: files
//! whose names contain this. `MESHGATE_SLT_REMEMBER`: write `left-out.md` instead of comparing with it.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::format;
use super::gate::Gate;
use super::reason::Reason;
use super::script::Script;
use super::tally::{Tally, Totals};
use super::verdict::{Verdict, verdict};

/// Plans nest as deep as statements do, and this is a build without optimisation.
const STACK_BYTES: usize = 64 << 20;

#[test]
fn every_file_of_datafusion_holds() {
    let Some(folder) = std::env::var_os("MESHGATE_SLT_FILES").map(PathBuf::from) else {
        // Not by a macro, whose output the harness keeps to itself.
        let told = b"not run: DataFusion's own files. `cargo xtask slt` fetches them and runs this test\n";
        std::io::stdout().write_all(told).expect("a place to say so");
        return;
    };
    let only = std::env::var("MESHGATE_SLT_ONLY").unwrap_or_default();
    let root = folder.join("test_files");
    let mut files = Vec::new();
    find(&root, &mut files);
    files.retain(|file| name(&root, file).contains(&only));
    files.sort();
    assert!(!files.is_empty(), "no file's name contains `{only}`");
    let waiting = Mutex::new(files.into_iter().rev().collect::<Vec<_>>());
    let totals = Mutex::new(Totals::default());
    let work = || {
        let mut threads = tokio::runtime::Builder::new_multi_thread();
        let runtime = threads.worker_threads(1).thread_stack_size(STACK_BYTES).enable_all().build().expect("threads");
        loop {
            let Some(file) = waiting.lock().expect("no panic before").pop() else { break };
            let name = name(&root, &file);
            let running = AssertUnwindSafe(|| runtime.block_on(run(&folder, &file, &name)));
            let tally = catch_unwind(running).unwrap_or_else(|panic| Tally::panicked(&name, panic.as_ref()));
            totals.lock().expect("no panic before").add(name, tally);
        }
    };
    std::thread::scope(|scope| {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        let worker =
            || std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work).expect("a thread");
        let workers = (0..count).map(|_| worker()).collect::<Vec<_>>();
        for worker in workers {
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    });
    let totals = totals.into_inner().expect("no panic before");
    println!("{}", totals.summary());
    totals.check(only.is_empty(), std::env::var_os("MESHGATE_SLT_REMEMBER").is_some());
}

async fn run(folder: &Path, file: &Path, name: &str) -> Tally {
    let mut tally = Tally::default();
    let records = format::read(file).unwrap_or_else(|problem| panic!("{problem}"));
    (0..records.for_others).for_each(|_| tally.left_out(Reason::Others));
    if name.starts_with("spark/") {
        records.all.iter().for_each(|_| tally.left_out(Reason::Spark));
        return tally;
    }
    let mut script = Script::write(folder, file, records).await;
    let gate = Gate::open(&mut script).await;
    for (record, ask) in &script.steps {
        match verdict(&gate, &script, record, ask).await {
            Verdict::Wrong(problem) => tally.wrong(format!("{name}: {}: {problem}\n{}", record.place, record.sql)),
            verdict => tally.count(&verdict),
        }
    }
    tally
}

fn name(root: &Path, file: &Path) -> String {
    file.strip_prefix(root).unwrap_or(file).display().to_string()
}

fn find(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for path in entries.map(|entry| entry.expect("a readable folder").path()) {
        if path.is_dir() {
            find(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "slt") {
            found.push(path);
        }
    }
}
