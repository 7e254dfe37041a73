//! `squbed refine` and `squbed aleatoric`.

use std::fs;

use serde_json::Value;

use crate::{ended, json, squbed, squbed_with, text};

const LATENTS: &str = r#"{"prompt": "a cat napping", "latents": ["A grey cat naps on a red sofa.", "A grey cat naps on a blue sofa.", "A grey cat naps on a green sofa."]}
{"prompt": "a cat doing something", "latents": ["A cat chases a moth in a garden.", "A kitten washes its paws by the fire.", "A black cat jumps from a high wall into deep snow."]}
"#;

#[test]
fn a_file_of_latent_prompts_refines_and_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("latents.jsonl"), LATENTS).unwrap();
    let latents = path("latents.jsonl");
    fs::write(path("tasks.jsonl"), "{\"id\": \"a\", \"prompt\": \"a cat napping\"}\n").unwrap();
    let out = path("out/refined.jsonl");
    let refine = |n: &str| {
        let tasks = path("tasks.jsonl");
        let from = ["--refiner", "file", "--latents", text(&latents), "-n", n, "--out", text(&out)];
        ended(squbed(&[&["refine", text(&tasks)][..], &from].concat()))
    };
    let (code, _, message) = refine("3");
    assert_eq!(code, 0, "{message}");
    let task: Value = serde_json::from_slice(&fs::read(&out).unwrap()).unwrap();
    assert_eq!(task["latents"][2]["prompt"], "A grey cat naps on a green sofa.");
    let account: Value = serde_json::from_slice(&fs::read(path("out/refinement.jsonl")).unwrap()).unwrap();
    assert_eq!((&account["id"], &account["drawn"]), (&"a".into(), &3.into()));
    let record: Value = serde_json::from_slice(&fs::read(path("out/refiner.json")).unwrap()).unwrap();
    assert!(record["refiner"].as_str().unwrap().starts_with("file ") && record["n"] == 3, "{record}");
    let (code, _, message) = refine("4");
    assert!(code == 1 && message.contains("has 3 different latent prompts"), "{message}");

    let from = ["--refiner", "file", "--latents", text(&latents), "-n", "3", "--format", "json"];
    let rows = json(&[&["aleatoric", "a cat napping", "a cat doing something"][..], &from].concat());
    let h = |i: usize, key: &str| rows[i][key].as_f64().unwrap();
    assert!(h(0, "h") < h(1, "h"), "{rows}");
    for i in 0..2 {
        assert!(h(i, "low") < h(i, "h") && h(i, "h") < h(i, "high"), "{rows}");
        assert_eq!((&rows[i]["n"], &rows[i]["dim"]), (&3.into(), &384.into()));
    }
    assert_eq!(rows[1]["how"]["latents"][0], "A cat chases a moth in a garden.");
}

/// The small model itself, from the prompt to h.
#[test]
fn a_language_model_refines_alone() {
    let of = |seed| {
        let asked = ["aleatoric", "a cat doing something", "-n", "3", "--max-tokens", "40", "--seed", seed];
        json(&[&asked[..], &["--format", "json"]].concat())
    };
    let row = of("3");
    let how = &row["how"];
    let latents: Vec<&str> = how["latents"].as_array().unwrap().iter().map(|z| z.as_str().unwrap()).collect();
    assert!(latents.len() == 3 && latents[0] != latents[1] && latents[1] != latents[2], "{latents:?}");
    assert!(latents.iter().all(|z| z.split_whitespace().count() > 4), "{latents:?}");
    assert_eq!(how["refiner"]["instruction"]["version"], "refine/1");
    assert_eq!(how["refiner"]["model"], "smollm2-135m (f32 weights)");
    assert_eq!(how["refiner"]["sampling"]["temperature"], 1.0);
    assert!(how["refiner"]["judge"].as_str().unwrap().contains("of 8 controls"), "{how}");
    assert!(row["h"].as_f64().unwrap().is_finite() && row["projection"] == "none");
}

#[test]
fn the_instruction_is_shown_and_can_be_another() {
    let own = json(&["refine", "--show-instruction", "--format", "json"]);
    assert_eq!(own["version"], "refine/1");
    assert!(own["system"].as_str().unwrap().contains("Keep everything"), "{own}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.toml");
    fs::write(&file, "version = \"mine/1\"\nsystem = \"Say more.\"\n").unwrap();
    let mine = json(&["refine", "--show-instruction", "--instruction", text(&file), "--format", "json"]);
    assert_eq!(mine["system"], "Say more.");
}

#[test]
fn a_key_is_in_no_message() {
    let key = "sk-very-s3cret";
    let arguments = ["aleatoric", "a cat", "--refiner", "server", "--server", "http://example.org/v1"];
    let (code, out, message) = ended(squbed_with(&[("OPENAI_API_KEY", key)], &arguments));
    assert!(code == 1 && message.contains("https alone"), "{message}");
    assert!(!out.contains(key) && !message.contains(key), "{message}");
}
