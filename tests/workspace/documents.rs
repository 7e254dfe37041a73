//! What the documents say is so.

use std::path::Path;

use squbed_tests::{read, root, sources};

/// Targets of `[text](target)` that are files of the checkout.
fn links(text: &str) -> Vec<&str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', '#', ' ']).next())
        .filter(|target| !target.is_empty() && !target.contains("://"))
        .collect()
}

#[test]
fn links_lead_somewhere() {
    assert_eq!(links("[a](b.md#c) [d](https://e) [f](#g) [h](../i)"), ["b.md", "../i"]);
    for document in sources().iter().filter(|path| path.extension().is_some_and(|end| end == "md")) {
        let folder = root().join(document.parent().unwrap_or(Path::new("")));
        for link in links(&read(document)) {
            assert!(folder.join(link).exists(), "{}: {link} is not there", document.display());
        }
    }
}

#[test]
fn the_map_stays_at_two_pages() {
    let lines = read("crates/README.md").lines().count();
    assert!(lines <= 120, "crates/README.md has {lines} lines");
}

#[test]
fn the_readme_states_the_rust_that_the_workspace_states() {
    let manifest = read("Cargo.toml");
    let stated = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = \""))
        .and_then(|rest| rest.split('"').next())
        .expect("Cargo.toml states a rust-version");
    assert!(read("README.md").contains(&format!("Rust {stated}")), "README.md does not say Rust {stated}");
}
