//! `squbed dataset`.

use std::fs;

use serde_json::Value;

use crate::{ended, json, squbed, text};

/// Prompts as data sets have them, with the category that a person gives them.
const PROMPTS: [(&str, &str); 15] = [
    ("animals", "A golden retriever runs through shallow water on a beach."),
    ("animals", "Two lions rest under an acacia tree."),
    ("animals", "A parrot cracks a nut with its beak."),
    ("food", "A chef pours chocolate sauce over pancakes."),
    ("food", "A bowl of ramen with egg and spring onions on a table."),
    ("food", "Hands knead dough on a floured board."),
    ("games", "A Minecraft player builds a stone tower in a video game."),
    ("games", "Gameplay of a racing video game with a score on the screen."),
    ("games", "Two men play chess."),
    ("people", "A woman in a suit talks to the camera."),
    ("people", "Three children laugh and run across a schoolyard."),
    ("people", "A man lifts weights in a gym."),
    ("other", "An aerial view of snow-covered mountains at sunrise."),
    ("other", "A red sports car drives along a coastal road."),
    ("other", "A bar chart of yearly sales grows on a white background."),
];

#[test]
fn prompts_find_their_categories_and_are_sampled_from_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let rows: String = PROMPTS
        .iter()
        .enumerate()
        .map(|(i, (_, prompt))| format!("{{\"id\": \"t{i}\", \"prompt\": \"{prompt}\"}}\n"))
        .collect();
    fs::write(path("tasks.jsonl"), rows).unwrap();
    let (tasks, classified) = (path("tasks.jsonl"), path("c/tasks.jsonl"));
    let rows = json(&["dataset", "classify", text(&tasks), "--out", text(&classified), "--format", "json"]);
    let right = PROMPTS
        .iter()
        .zip(rows.as_array().unwrap())
        .filter(|((known, _), row)| row["category"] == *known)
        .count();
    assert!(right >= 13, "{right} of 15: {rows}");
    for row in rows.as_array().unwrap() {
        let confidence = row["confidence"].as_f64().unwrap();
        assert!(confidence > 0.2 && confidence <= 1.0 && row["next"] != row["category"], "{row}");
    }

    let out = path("s/tasks.jsonl");
    let sample = ["dataset", "sample", text(&classified), "--per-category", "2", "--out", text(&out)];
    let record = json(&[&sample[..], &["--format", "json"]].concat());
    assert_eq!((&record["tasks"], &record["missing"], &record["seed"]), (&10.into(), &0.into(), &1.into()));
    let written: Value = serde_json::from_slice(&fs::read(path("s/sample.json")).unwrap()).unwrap();
    assert_eq!(written, record);
    assert_eq!(fs::read_to_string(&out).unwrap().lines().count(), 10);

    let unsorted = ["dataset", "sample", text(&tasks), "--per-category", "2", "--out", text(&out)];
    let (code, _, message) = ended(squbed(&unsorted));
    assert!(code == 1 && message.contains("squbed dataset classify"), "{message}");
    let own = path("own.json");
    fs::write(&own, "[{\"name\": \"a\", \"descriptions\": []}]").unwrap();
    let arguments =
        ["dataset", "classify", text(&tasks), "--categories", text(&own), "--out", text(&classified)];
    let (code, _, message) = ended(squbed(&arguments));
    assert!(code == 1 && message.contains("own.json") && message.contains("two categories"), "{message}");
}
