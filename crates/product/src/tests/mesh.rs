//! Scopes: what is out of service when something is wrong, and what is not.

use meshgate_model::{Epoch, Failure, Fault, Finding, Name, Place, Scope, Severity};

use super::{CONTRACT_FILE, MESH_FILE, PRODUCT_FILE, TestMesh, address, errors, orders};
use crate::{Documents, ScopeState, StorageGrant};

#[test]
fn a_valid_mesh_serves_everything() {
    let release = TestMesh::valid()
        .with("governance/policies/b.cedar", "permit(principal, action, resource);")
        .with("governance/policies/a.cedar", "forbid(principal, action, resource);")
        .with("domains/sales/policies/d.cedar", "// nothing")
        .with("domains/sales/products/orders/policies/p.cedar", "// nothing")
        .with("domains/sales/products/orders/policies/tests/t.yaml", "cases: []")
        .with("domains/sales/products/orders/README.md", "read me")
        .release();
    assert_eq!(release.findings(), []);
    assert_eq!(release.mesh().name, "acme");
    let files: Vec<_> = release.mesh().policies.iter().map(|policy| policy.file.display().to_string()).collect();
    assert_eq!(files, ["governance/policies/a.cedar", "governance/policies/b.cedar"]);
    let sales = &release.domains()["sales"];
    assert_eq!(
        (sales.policies.len(), sales.title.as_deref(), sales.state == ScopeState::Serving),
        (1, Some("Sales"), true)
    );
    assert!(
        matches!(&sales.storage[..], [StorageGrant::Prefix { url, credentials: None }] if url.ends_with("/data/sales/"))
    );
    let product = orders(&release);
    assert_eq!((product.policies.len(), product.id.as_str()), (1, "orders-product"));
    assert!(release.table(&address("sales", "orders").table(1, "orders")).is_some());
    assert!(release.table(&address("sales", "orders").table(2, "orders")).is_none());
}

#[test]
fn nothing_is_served_without_a_valid_global_part() {
    for (mesh, code) in [
        (TestMesh::valid().without(MESH_FILE), "missing-document"),
        (TestMesh::valid().with(MESH_FILE, ""), "missing-document"),
        (TestMesh::valid().with(MESH_FILE, "- a list"), "wrong-type"),
        (TestMesh::valid().with(MESH_FILE, "name: acme\n"), "missing-field"),
        (TestMesh::valid().with("governance/stray.cedar", "forbid"), "misplaced-policy"),
        (TestMesh::valid().with("governance/policy/a.cedar", "forbid"), "misplaced-policy"),
        (TestMesh::valid().with("governance/policies/more/a.Cedar", "forbid"), "misplaced-policy"),
        (TestMesh::valid().with("a.cedar", "forbid"), "misplaced-policy"),
        (TestMesh::valid().with("policies/a.cedar", "forbid"), "misplaced-policy"),
        (TestMesh::valid().with("domains/a.cedar", "forbid"), "misplaced-policy"),
        (TestMesh::valid().with("governance/policies", "not a directory"), "unreadable"),
        (
            TestMesh::valid().with("domains/sales/x", "").without("domains").with("domains", "not a directory"),
            "unreadable",
        ),
    ] {
        let error = mesh.load().expect_err(code);
        let found: Vec<_> = error.findings().iter().filter(|f| f.severity == Severity::Error).map(|f| f.code).collect();
        assert!(found.contains(&code), "{found:?}");
        assert_eq!(error.fault(), Fault::Invalid);
        assert!(!error.public().to_string().contains("mesh.yaml"));
    }
    let mesh = TestMesh::valid();
    std::fs::create_dir_all(mesh.path().join("governance/policies")).expect("made");
    std::fs::write(mesh.path().join("governance/policies/a.cedar"), b"forbid \xff").expect("written");
    assert_eq!(errors(mesh.load().expect_err("not UTF-8").findings()).len(), 1);
}

#[cfg(unix)]
#[test]
fn links_that_lead_nowhere_are_told() {
    for (link, served) in [("governance", false), ("governance/policies", false), ("domains/sales/policies", true)] {
        let mesh = TestMesh::valid();
        let path = mesh.path().join(link);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::os::unix::fs::symlink("/nowhere/at/all", &path).expect("linked");
        assert_eq!(mesh.load().is_ok(), served, "{link}");
        assert!(mesh.findings().iter().any(|finding| finding.code == "unreadable"), "{link}");
    }
}

/// Two domains, the first with two products.
fn wide() -> TestMesh {
    let product = std::fs::read_to_string(TestMesh::valid().path().join(PRODUCT_FILE)).expect("read");
    let contract = std::fs::read_to_string(TestMesh::valid().path().join(CONTRACT_FILE)).expect("read");
    TestMesh::valid()
        .edit(MESH_FILE, "attributes:", "  people:\n    storage: [{prefix: ./data/}]\nattributes:")
        .with("domains/people/domain.yaml", "title: People")
        .with("domains/people/products/staff/product.odps.yaml", &product)
        .with("domains/people/products/staff/c.odcs.yaml", &contract)
        .with("domains/sales/products/returns/product.odps.yaml", &product)
        .with("domains/sales/products/returns/c.odcs.yaml", &contract)
}

#[test]
fn a_reload_tells_what_a_load_tells() {
    let reload = |mesh: &TestMesh, before: &Documents| {
        let (release, documents) = crate::reload(mesh.path(), None, Epoch(1), before).expect("a release");
        assert_eq!(format!("{release:?}"), format!("{:?}", mesh.release()));
        documents
    };
    let mesh = wide();
    let first = reload(&mesh, &Documents::default());
    let mesh = mesh.edit(CONTRACT_FILE, "logicalType: integer", "logicalType: int");
    let second = reload(&mesh, &first);
    assert!(matches!(orders(&mesh.release()).state, ScopeState::Unavailable(_)));
    let mesh = mesh.edit(CONTRACT_FILE, "logicalType: int", "logicalType: integer").with(PRODUCT_FILE, "kind: [");
    let third = reload(&mesh, &second);
    reload(&mesh.without("domains/people"), &third);
}

#[test]
fn every_product_has_an_id_of_its_own() {
    let release = wide().release();
    let told: Vec<_> = release.findings().iter().map(|f| (f.severity, f.code, f.message.as_str())).collect();
    let says = "the product has the same id as people.staff";
    assert_eq!(told, [(Severity::Warning, "duplicate-id", says); 2]);
}

#[test]
fn passwords_are_not_repeated() {
    let url = "https://me:secret@catalog.example/api";
    for findings in [
        TestMesh::valid().edit(MESH_FILE, "- prefix: ./data/sales/", &format!("- catalog: {url}")).findings(),
        TestMesh::valid()
            .edit(CONTRACT_FILE, "v3.1.0", "v3.2.0")
            .edit(
                CONTRACT_FILE,
                "type: local",
                &format!("type: iceberg\n    catalog: c\n    catalogUrl: {url}\n    namespace: n"),
            )
            .findings(),
    ] {
        assert!(findings.iter().any(|finding| finding.code == "bad-location"), "{findings:#?}");
        assert!(!format!("{findings:?}").contains("secret"), "{findings:#?}");
    }
}

#[test]
fn an_error_takes_its_own_scope_out_of_service() {
    let cases: [(&str, TestMesh, [bool; 3]); 9] = [
        ("nothing", wide(), [true, true, true]),
        ("a product", wide().with(PRODUCT_FILE, "kind: ["), [false, true, true]),
        ("a product without its document", wide().without(PRODUCT_FILE), [false, true, true]),
        ("a stray policy", wide().with("domains/sales/products/orders/x.cedar", ""), [false, true, true]),
        ("a misspelt directory", wide().with("domains/sales/products/orders/policy/x.cedar", ""), [false, true, true]),
        ("a policy beside products", wide().with("domains/sales/products/x.cedar", ""), [false, false, true]),
        ("a misspelt directory of a domain", wide().with("domains/sales/rules/x.cedar", ""), [false, false, true]),
        ("a domain", wide().with("domains/sales/domain.yaml", "titel: x"), [false, false, true]),
        ("a policy of a domain", wide().with("domains/people/policies/tests/x.cedar", ""), [true, true, false]),
    ];
    for (what, mesh, expected) in cases {
        let release = mesh.release();
        let serving = [("sales", "orders"), ("sales", "returns"), ("people", "staff")].map(|(domain, product)| {
            release.product(&address(domain, product)).expect("listed").state == ScopeState::Serving
        });
        assert_eq!(serving, expected, "{what}");
    }
}

#[test]
fn a_domain_that_the_platform_does_not_know_is_not_served() {
    let release = TestMesh::valid().with("domains/market/products/x/product.odps.yaml", "").release();
    assert!(
        matches!(&release.domains()["market"].state, ScopeState::Unavailable(reasons) if reasons[0].contains("market"))
    );
    assert!(release.domains()["market"].products.is_empty());
    assert_eq!(orders(&release).state, ScopeState::Serving);
}

#[test]
fn directories_that_cannot_be_addresses_are_told_and_harm_nobody() {
    for (path, code, hint) in [
        ("domains/Sales-EU/domain.yaml", "bad-name", "rename the directory to `sales_eu`"),
        ("domains/sales/products/9lives/product.odps.yaml", "bad-name", "rename the directory to `x9lives`"),
        ("domains/sales/products/orders_v2/product.odps.yaml", "reserved-name", "rename"),
        ("domains/sales/products/information_schema/product.odps.yaml", "reserved-name", "rename"),
    ] {
        let release = TestMesh::valid().with(path, "").release();
        let found = release.findings().iter().find(|finding| finding.code == code);
        let found = found.unwrap_or_else(|| panic!("{path}: {:#?}", release.findings()));
        assert_eq!(found.severity, Severity::Error);
        assert!(found.hint.as_deref().is_some_and(|text| text.contains(hint)), "{found}");
        assert_eq!(orders(&release).state, ScopeState::Serving, "{path}");
    }
}

#[test]
fn a_misnamed_directory_is_no_fault_of_the_one_it_resembles() {
    for (path, hint) in [
        ("domains/Sales/domain.yaml", "rename the directory to `sales_2`"),
        ("domains/sales/products/Orders/product.odps.yaml", "rename the directory to `orders_2`"),
        ("domains/sales/products/ORDERS/product.odps.yaml", "rename the directory to `orders_2`"),
    ] {
        let release = TestMesh::valid().with(path, "").release();
        let hints: Vec<_> = release.findings().iter().map(|finding| (finding.code, finding.hint.as_deref())).collect();
        assert_eq!(hints, [("bad-name", Some(hint))], "{path}");
        assert_eq!(release.domains()["sales"].state, ScopeState::Serving, "{path}");
        assert_eq!(orders(&release).state, ScopeState::Serving, "{path}");
    }
}

#[test]
fn later_checks_take_scopes_out_of_service() {
    let finding =
        |severity, scope| Finding::new(severity, scope, Place::file("x.cedar"), "policy", "it does not parse");
    let orders = Scope::Product(address("sales", "orders"));
    let sales = Scope::Domain(Name::parse("sales").expect("a name"));
    let states = |severity, scope: &Scope| {
        let release = wide().release().with_findings(vec![finding(severity, scope.clone())]).expect("a release");
        let product = |name| release.product(&address("sales", name)).expect("listed").state.clone();
        (release.domains()["sales"].state.clone(), product("orders"), product("returns"))
    };
    let out = || ScopeState::Unavailable(vec!["x.cedar: it does not parse".to_owned()]);
    let up = || ScopeState::Serving;
    assert_eq!(states(Severity::Error, &orders), (up(), out(), up()));
    assert_eq!(states(Severity::Error, &sales), (out(), out(), out()));
    assert_eq!(states(Severity::Warning, &sales), (up(), up(), up()));
    assert!(wide().release().with_findings(vec![finding(Severity::Error, Scope::Mesh)]).is_err());
    let warned = wide().release().with_findings(vec![finding(Severity::Warning, Scope::Mesh)]).expect("a release");
    assert!(warned.findings().iter().any(|finding| finding.code == "policy"));
}
