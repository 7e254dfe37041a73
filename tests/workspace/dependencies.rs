//! What the dependencies ask for, and where they come from.

use std::process::Command;

use squbed_tests::{metadata, read};

#[test]
fn the_stated_rust_is_enough_for_every_dependency() {
    let output = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let words = String::from_utf8(output.stdout).expect("rustc writes UTF-8");
    let host = words.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host");
    let numbers = |text: &str| -> Vec<u32> {
        text.split('.').map(|part| part.parse().unwrap_or_else(|_| panic!("not a version: {text}"))).collect()
    };
    let packages = metadata(&["--filter-platform", host]).packages;
    let of = |name: &str| {
        packages.iter().find(|package| package.name == name).and_then(|p| p.rust_version.clone())
    };
    let stated = of("squbed").expect("the workspace states a rust-version");
    let newer: Vec<String> = packages
        .iter()
        .filter(|package| package.source.is_some())
        .filter_map(|package| package.rust_version.as_ref().map(|version| (package, version)))
        .filter(|(_, version)| numbers(version) > numbers(&stated))
        .map(|(package, version)| format!("{} {} needs {version}", package.name, package.version))
        .collect();
    assert!(newer.is_empty(), "rust-version says {stated}, but: {newer:#?}");
}

#[test]
fn every_crate_comes_from_crates_io() {
    let others: Vec<String> = read("Cargo.lock")
        .lines()
        .filter_map(|line| line.strip_prefix("source = "))
        .filter(|source| *source != "\"registry+https://github.com/rust-lang/crates.io-index\"")
        .map(str::to_owned)
        .collect();
    assert!(others.is_empty(), "{others:?}");
}

#[test]
fn every_member_says_what_it_is() {
    for package in metadata(&["--no-deps"]).packages {
        let description = package.description.unwrap_or_default();
        assert!(description.split_whitespace().count() >= 3, "{}: description {description:?}", package.name);
    }
}
