//! The table of `crates/README.md` is the law: a crate uses what its row allows, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use squbed_tests::{Metadata, metadata, read};

/// A row of the table.
#[derive(Debug, PartialEq)]
struct Row {
    name: String,
    never: String,
    may_use: BTreeSet<String>,
}

/// The rows below the header `| crate | is | never | may use |`, in their order.
fn table(text: &str) -> Vec<Row> {
    let cells = |line: &str| -> Vec<String> {
        line.trim().trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    text.lines()
        .skip_while(|line| cells(line) != ["crate", "is", "never", "may use"])
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells = cells(line);
            assert_eq!(cells.len(), 4, "not four cells: {line}");
            let may_use =
                cells[3].split(',').map(str::trim).filter(|name| *name != "–").map(full_name).collect();
            Row { name: cells[0].trim_matches('`').to_owned(), never: cells[2].clone(), may_use }
        })
        .collect()
}

/// The table says `core` for `squbed-core`; `squbed` and `xtask` are names already.
fn full_name(short: &str) -> String {
    if short == "squbed" || short == "xtask" { short.to_owned() } else { format!("squbed-{short}") }
}

/// Every edge that the table does not allow, and every crate that has no row.
fn forbidden(metadata: &Metadata, table: &[Row]) -> Vec<String> {
    let rows: BTreeMap<&str, &Row> = table.iter().map(|row| (row.name.as_str(), row)).collect();
    let mut found = Vec::new();
    for package in &metadata.packages {
        let Some(row) = rows.get(package.name.as_str()) else {
            found.push(format!("{} has no row", package.name));
            continue;
        };
        for dependency in &package.dependencies {
            let inside = dependency.path.is_some() || rows.contains_key(dependency.name.as_str());
            if inside && !row.may_use.contains(&dependency.name) {
                found.push(format!("{} uses {}", package.name, dependency.name));
            }
            if row.never.contains("knows Candle") && dependency.name.starts_with("candle") {
                found.push(format!("{} knows {}", package.name, dependency.name));
            }
        }
    }
    found
}

#[test]
fn only_the_edges_of_the_map() {
    let table = table(&read("crates/README.md"));
    let found = forbidden(&metadata(&["--no-deps"]), &table);
    assert!(found.is_empty(), "crates/README.md does not allow: {found:#?}");
}

#[test]
fn every_row_is_a_crate_and_uses_rows_above_it() {
    let table = table(&read("crates/README.md"));
    let members: BTreeSet<String> =
        metadata(&["--no-deps"]).packages.into_iter().map(|package| package.name).collect();
    let mut above = BTreeSet::new();
    for row in &table {
        assert!(members.contains(&row.name), "{} has a row and is no crate", row.name);
        assert!(
            row.may_use.is_subset(&above),
            "{} may use only rows above it, not {:?}",
            row.name,
            row.may_use
        );
        assert!(above.insert(row.name.clone()), "{} has two rows", row.name);
    }
}

#[test]
fn xtask_depends_on_nothing() {
    let metadata = metadata(&["--no-deps"]);
    let xtask = metadata.packages.iter().find(|package| package.name == "xtask").expect("xtask is a member");
    assert!(xtask.dependencies.is_empty(), "{:?}", xtask.dependencies);
}

#[test]
fn a_forbidden_edge_is_seen() {
    let table = table(
        "text\n| crate | is | never | may use |\n| --- | --- | --- | --- |\n\
         | `squbed-core` | words | knows Candle | – |\n| `squbed-vmf` | numbers | does I/O | core |\n\nmore",
    );
    assert_eq!(table.len(), 2);
    let metadata: Metadata = serde_json::from_str(
        r#"{"packages": [
            {"name": "squbed-core", "version": "0.1.0", "dependencies": [
                {"name": "squbed-vmf", "path": "/vmf"}, {"name": "candle-core"}, {"name": "serde"}]},
            {"name": "squbed-vmf", "version": "0.1.0", "dependencies": [
                {"name": "squbed-core", "path": "/core"}, {"name": "candle-core"}]},
            {"name": "squbed-new", "version": "0.1.0", "dependencies": []}]}"#,
    )
    .expect("a sample of cargo's JSON");
    assert_eq!(
        forbidden(&metadata, &table),
        ["squbed-core uses squbed-vmf", "squbed-core knows candle-core", "squbed-new has no row"]
    );
}
