//! The demo's documents: the files of `deploy/demo-mesh`, which can be read and checked there.

use std::fs;
use std::path::Path;

use crate::trouble::{Outcome, Trouble};

macro_rules! documents {
    ($($path:literal),+ $(,)?) => {
        &[$(($path, include_str!(concat!("../../../../deploy/demo-mesh/", $path)))),+]
    };
}

/// All files with their text.
pub(super) const DOCUMENTS: &[(&str, &str)] = documents![
    "mesh.yaml",
    "governance/policies/platform.cedar",
    "domains/crm/domain.yaml",
    "domains/crm/policies/domain.cedar",
    "domains/crm/products/customers/product.odps.yaml",
    "domains/crm/products/customers/customers.odcs.yaml",
    "domains/crm/products/customers/policies/customers.cedar",
    "domains/crm/products/customers/policies/tests/customers.yaml",
    "domains/sales/domain.yaml",
    "domains/sales/policies/domain.cedar",
    "domains/sales/products/orders/product.odps.yaml",
    "domains/sales/products/orders/orders.odcs.yaml",
    "domains/sales/products/orders/policies/orders.cedar",
    "domains/sales/products/orders/policies/tests/orders.yaml",
    "domains/supply/domain.yaml",
    "domains/supply/policies/domain.cedar",
    "domains/supply/products/parts/product.odps.yaml",
    "domains/supply/products/parts/parts.odcs.yaml",
    "domains/supply/products/parts/policies/parts.cedar",
];

/// Writes them all into a mesh directory.
pub(super) fn write(mesh: &Path) -> Outcome {
    for (path, text) in DOCUMENTS {
        let file = mesh.join(path);
        let made = file.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&file, text));
        made.map_err(|error| Trouble::failure(format!("{} cannot be written", file.display())).because(&error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use meshgate_model::{Clock, Severity};

    use super::{DOCUMENTS, write};
    use crate::ambient::SystemClock;
    use crate::mesh;

    fn below(directory: &Path, found: &mut BTreeSet<PathBuf>) {
        for entry in std::fs::read_dir(directory).expect("a directory").flatten() {
            let path = entry.path();
            if path.is_dir() {
                below(&path, found);
            } else {
                found.insert(path);
            }
        }
    }

    #[test]
    fn the_list_is_the_directory() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/demo-mesh");
        let mut found = BTreeSet::new();
        below(&root, &mut found);
        let listed: BTreeSet<_> = DOCUMENTS.iter().map(|(path, _)| root.join(path)).collect();
        assert_eq!(found, listed);
    }

    #[test]
    fn the_demo_mesh_is_valid_and_keeps_its_own_promises() {
        let directory = tempfile::tempdir().expect("a directory");
        write(directory.path()).expect("writes");
        let (release, policies) = mesh::load(directory.path(), None).unwrap_or_else(|findings| panic!("{findings:#?}"));
        let bad: Vec<_> = release.findings().iter().filter(|found| found.severity != Severity::Notice).collect();
        assert!(bad.is_empty(), "{bad:#?}");
        let tests = meshgate_policy::run_tests(directory.path(), &release, &policies, SystemClock.now());
        let failed: Vec<_> = tests.iter().filter(|test| !test.passed()).collect();
        assert!(tests.len() >= 7 && failed.is_empty(), "{failed:#?}");
    }
}
