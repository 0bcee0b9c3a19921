//! Documents on their own: every field of the standards is known, at the edition that has it.

use meshgate_model::Severity;

use crate::check_file;

/// Uses every field of the contract standard v3.2 but those of servers.
const CONTRACT: &str = include_str!("documents/contract.yaml");
/// Uses every field of the product standard v1.0.
const PRODUCT: &str = include_str!("documents/product.yaml");

fn check(name: &str, text: &str) -> Vec<String> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join(name);
    std::fs::write(&file, text).expect("written");
    let prefix = format!("{}:", directory.path().display()).replace(':', "/");
    check_file(&file).iter().map(|finding| finding.to_string().replace(&prefix, "")).collect()
}

#[test]
fn every_field_of_the_standards_is_known() {
    assert_eq!(check("contract.odcs.yaml", CONTRACT), [""; 0]);
    assert_eq!(check("product.odps.yaml", PRODUCT), [""; 0]);
    assert_eq!(check("anything.yaml", CONTRACT), [""; 0], "told by its kind");
    assert_eq!(check("product.odps.yaml", &PRODUCT.replace("v1.0.0", "v0.9.0")), [""; 0]);
}

#[test]
fn what_is_new_in_an_edition_is_an_error_in_the_one_before() {
    let found = check("contract.odcs.yaml", &CONTRACT.replace("v3.2.0", "v3.1.0"));
    for new in [
        "`context`",
        "`deprecated`",
        "`synonyms`",
        "`enum`",
        "`semanticType`",
        "`logicalType: map`",
        "`logicalType: vector`",
        "`map`",
        "`vendor`",
        "`id`",
        "`customProperties`",
        "`authoritativeDefinitions`",
    ] {
        assert!(found.iter().any(|text| text.contains(&format!("{new} is new in v3.2.0"))), "{new}: {found:#?}");
    }
    assert!(found.iter().all(|text| text.contains("[newer-field]")), "{found:#?}");
    // Documents of v3.0 may use what came with v3.1.
    let older = CONTRACT.replace("v3.2.0", "v3.0.2");
    assert_eq!(check("contract.odcs.yaml", &older).len(), found.len());
}

/// Every type of server with all of its fields.
const SERVERS: &[&str] = &[
    "api: location",
    "athena: stagingDir schema catalog regionName workgroup",
    "azure: location format encoding delimiter",
    "bigquery: project dataset",
    "btrieve: host port database",
    "clickhouse: host port database",
    "databricks: host catalog schema",
    "denodo: host port database",
    "dremio: host port schema",
    "duckdb: database schema",
    "exasol: host port schema",
    "fastobjects: database host port",
    "glue: account database location format encoding",
    "hana: host port database schema",
    "cloudsql: host port database schema",
    "db2: host port database schema",
    "hive: host port database",
    "iceberg: catalog catalogUrl namespace warehouse",
    "impala: host port database",
    "informix: host port database",
    "ingres: database host port",
    "kafka: host format encoding",
    "kinesis: stream region format encoding",
    "local: path format encoding",
    "mysql: host port database",
    "oracle: host port serviceName",
    "poet: database host port",
    "postgresql: host port database schema",
    "postgres: host port database schema",
    "presto: host catalog schema",
    "pubsub: project",
    "redshift: host database schema region account",
    "s3: location format encoding delimiter",
    "sftp: location format encoding delimiter",
    "snowflake: host port account database schema warehouse",
    "sqlserver: host port database schema",
    "synapse: host port database",
    "teradata: host port database",
    "trino: host port catalog schema",
    "vectorwise: database host port",
    "versant: database host port",
    "vertica: host port database schema",
    "zen: host port database",
    "custom: account catalog database dataset delimiter endpointUrl format encoding host location path port project region regionName schema serviceName stagingDir warehouse stream",
];

#[test]
fn every_server_of_the_standard_is_known() {
    let contract = |server: &str, fields: &str| {
        let fields: String = fields
            .split(' ')
            .map(|field| format!("    {field}: {}\n", if field == "port" { "1" } else { "x" }))
            .collect();
        format!(
            "apiVersion: v3.2.0\nkind: DataContract\nid: c\nversion: 1.0.0\nservers:\n  - server: s\n    id: s\n    type: {server}\n    description: d\n    environment: prod\n    roles: [{{role: r}}]\n    customProperties: [{{property: a, value: 1}}]\n{fields}"
        )
    };
    for server in SERVERS {
        let (server, fields) = server.split_once(": ").expect("a type and its fields");
        let found = check("c.odcs.yaml", &contract(server, fields));
        assert!(
            found.iter().all(|text| text.contains("[foreign-server]") || text.contains("[unused-field]")),
            "{server}: {found:#?}"
        );
        let found = check("c.odcs.yaml", &contract(server, &format!("{fields} shelf")));
        assert!(found.iter().any(|text| text.contains("has no field `shelf`")), "{server}: {found:#?}");
    }
}

#[test]
fn what_the_text_of_the_standard_lets_out_may_be_left_out() {
    for server in ["postgres, host: h, database: d", "postgresql, host: h, database: d", "mysql, host: h, database: d"]
    {
        let servers = format!("status: active\nservers: [{{server: s, type: {server}}}]\n");
        let found = check("c.odcs.yaml", &CONTRACT.replacen("status: active\n", &servers, 1));
        assert!(found.len() == 1 && found[0].contains("[foreign-server]"), "{server}: {found:#?}");
    }
}

#[test]
fn ids_and_object_types_are_those_of_the_edition() {
    let small = |edition: &str, object: &str| {
        let head = format!("apiVersion: {edition}\nkind: DataContract\nid: c\nversion: 1.0.0\nschema:\n");
        let found =
            check("c.odcs.yaml", &format!("{head}  - name: t\n    {object}\n    properties: [{{ name: a }}]\n"));
        found.iter().map(|text| text.split(['[', ']']).nth(1).unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    for (edition, object, expected) in [
        ("v3.2.0", "logicalType: blob", None),
        ("v3.1.0", "logicalType: blob", Some("newer-field")),
        ("v3.1.0", "logicalType: object", None),
        ("v3.2.0", "id: größe~1", None),
        ("v3.1.0", "id: größe~1", Some("bad-id")),
        ("v3.1.0", "id: Size-1_a", None),
        ("v3.2.0", "id: a.b", Some("bad-id")),
    ] {
        assert_eq!(small(edition, object), expected.into_iter().collect::<Vec<_>>(), "{edition} {object}");
    }
}

#[test]
fn a_team_is_a_list_in_the_first_edition_only() {
    let start = PRODUCT.find("team:\n").expect("a team");
    let end = PRODUCT.find("productCreatedTs").expect("what follows");
    let listed = PRODUCT.replace(&PRODUCT[start..end], "team: [{ username: ada }]\n");
    let found = check("product.odps.yaml", &listed);
    assert!(found.len() == 1 && found[0].contains("under `members:`"), "{found:#?}");
    assert_eq!(check("product.odps.yaml", &listed.replace("v1.0.0", "v0.9.0")), [""; 0]);
}

#[test]
fn a_directory_that_is_no_mesh_is_searched_for_documents() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let root = directory.path();
    std::fs::create_dir_all(root.join("a/b")).expect("made");
    std::fs::create_dir_all(root.join(".git")).expect("made");
    assert_eq!(check_file(root)[0].code, "missing-document");
    std::fs::write(root.join("a/b/c.odcs.yaml"), CONTRACT.replace("\nschema:", "\nscheme:")).expect("written");
    std::fs::write(root.join("a/other.yml"), "x: 1").expect("written");
    std::fs::write(root.join(".git/config.yaml"), "kind: DataContract").expect("written");
    let found: Vec<_> = check_file(root).iter().map(|finding| (finding.severity, finding.code)).collect();
    assert_eq!(found, [(Severity::Error, "unknown-field"), (Severity::Notice, "unread-file")]);
    assert_eq!(check_file(&root.join("a/other.yml"))[0].code, "wrong-kind");
    assert_eq!(check_file(&root.join("a/none.yml"))[0].code, "missing-document");
}

#[test]
fn references_inside_a_document_are_checked() {
    let found = check("c.odcs.yaml", &CONTRACT.replace("to: everything.number", "to: everything.nmuber"));
    assert!(found.len() == 1 && found[0].contains("did you mean `number`?"), "{found:#?}");
}
