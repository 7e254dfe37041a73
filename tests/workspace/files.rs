//! What holds for every file of the project.

use squbed_tests::{read, sources};

/// A longer file is split.
const LINES: usize = 600;

#[test]
fn no_file_is_too_long_to_read() {
    let long: Vec<String> = sources()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .map(|path| (read(&path).lines().count(), path))
        .filter(|(lines, _)| *lines > LINES)
        .map(|(lines, path)| format!("{}: {lines} lines", path.display()))
        .collect();
    assert!(long.is_empty(), "split these: {long:#?}");
}

#[test]
fn no_file_names_a_place_on_one_machine() {
    // Put together here, so that this file passes its own test.
    let places = ["work", "root", "home/", "Users/"].map(|folder| format!("/{folder}"));
    let named = |line: &str| {
        places.iter().any(|place| {
            line.match_indices(place.as_str()).any(|(at, _)| {
                // A place starts a path; in `frame/work/x` the same word is a part of one.
                let before = line[..at].chars().next_back();
                let after = line[at + place.len()..].chars().next();
                !before.is_some_and(|c| c.is_alphanumeric() || "}>)._-*".contains(c))
                    && after.is_some_and(|c| c == '/' || place.ends_with('/') && c.is_alphanumeric())
            })
        })
    };
    assert!(named(&format!("see {}/shared", places[0])) && !named("frame/work/x") && !named("the root/leaf"));
    let mut found = Vec::new();
    for path in sources() {
        for (number, line) in read(&path).lines().enumerate().filter(|(_, line)| named(line)) {
            found.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn text_ends_with_one_newline_and_has_no_trailing_blanks() {
    let mut found = Vec::new();
    for path in sources() {
        let text = read(&path);
        if !text.is_empty() && (!text.ends_with('\n') || text.ends_with("\n\n")) {
            found.push(format!("{}: end", path.display()));
        }
        for (number, _) in text.lines().enumerate().filter(|(_, line)| line.ends_with([' ', '\t'])) {
            found.push(format!("{}:{}", path.display(), number + 1));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}
