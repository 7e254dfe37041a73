//! What the README shows is what the program takes.

use std::{fs, process::Command};

use squbed::experiment::{Experiment, TaskSource};

fn readme() -> String {
    fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).unwrap()
}

/// The code blocks of a language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let block = |rest: &str| rest.split("```").next().unwrap().to_owned();
    text.split(&fence).skip(1).map(block).collect()
}

#[test]
fn the_experiment_is_read_as_it_stands_and_in_its_other_form() {
    let [example] = blocks(&readme(), "toml").try_into().expect("one experiment in the README");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("experiment.toml");
    let read = |text: &str| {
        fs::write(&path, text).unwrap();
        Experiment::read(&path).unwrap()
    };
    let file = read(&example);
    assert!(matches!(&file.tasks, TaskSource::File(tasks) if tasks.ends_with("tasks.jsonl")));
    assert_eq!(file.presets.len(), 2);
    // `tasks = { file = … }     # or: tasks = { world = … }`
    let other: Vec<&str> =
        example.lines().map(|line| line.split_once("# or: ").map_or(line, |(_, other)| other)).collect();
    assert_ne!(other.join("\n"), example.trim_end());
    assert!(matches!(read(&other.join("\n")).tasks, TaskSource::World { .. }));
}

/// The commands of the program in a text of shell lines, each as its words without `squbed`.
fn commands(text: &str) -> Vec<Vec<String>> {
    text.lines()
        .map(|line| line.split(" #").next().unwrap())
        .flat_map(|line| line.split("&&"))
        .filter_map(|command| command.trim().strip_prefix("squbed"))
        .map(|words| words.split_whitespace().map(str::to_owned).collect())
        .collect()
}

/// What stands between backticks in a text and begins with the program's name: `a|b` as one command each.
fn inline(text: &str) -> Vec<Vec<String>> {
    let spans =
        text.split('`').skip(1).step_by(2).filter(|span| *span == "squbed" || span.starts_with("squbed "));
    spans
        .flat_map(|span| {
            let words: Vec<String> =
                span.replace("\\|", "|").split_whitespace().skip(1).map(str::to_owned).collect();
            let choices = words.iter().find(|word| word.contains('|')).cloned().unwrap_or_default();
            let with = |choice: &str| {
                words.iter().map(|w| if w.contains('|') { choice.to_owned() } else { w.clone() }).collect()
            };
            choices.split('|').map(with).collect::<Vec<Vec<String>>>()
        })
        .collect()
}

/// Whether the program knows the command and each of its flags: its help comes before anything is done, and
/// after the words before it were understood.
fn understood(words: &[String]) -> Result<(), String> {
    let output = Command::new(env!("CARGO_BIN_EXE_squbed")).args(words).arg("--help").output().unwrap();
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    // The help of the command, not of the program.
    let command = words.first().map_or("", String::as_str);
    if output.status.success() && help.contains(&format!("Usage: squbed {command}")) {
        return Ok(());
    }
    Err(format!("squbed {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn every_command_of_the_readme_exists_with_its_flags() {
    let text = readme();
    let (shown, named) = (commands(&blocks(&text, "sh").join("\n")), inline(&text));
    assert!(shown.len() >= 5 && named.len() >= 15, "{} {}", shown.len(), named.len());
    let wrong: Vec<String> = shown.iter().chain(&named).filter_map(|words| understood(words).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for wrong in ["estimat tasks.jsonl", "estimate --cachee x", "models frobnicate"] {
        let words: Vec<String> = wrong.split(' ').map(str::to_owned).collect();
        assert!(understood(&words).is_err(), "{wrong} passed");
    }
}

#[test]
fn the_readme_names_every_command() {
    let output = Command::new(env!("CARGO_BIN_EXE_squbed")).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let listed = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let text = readme();
    let names = listed.lines().filter_map(|line| line.split_whitespace().next());
    for name in names.filter(|name| *name != "help") {
        assert!(text.contains(&format!("| `squbed {name}")), "the README's table lacks `squbed {name}`");
    }
}
