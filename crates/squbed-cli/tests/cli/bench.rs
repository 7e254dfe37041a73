//! `squbed bench encode`: what it gives, and what it refuses.

use std::fs;

use serde_json::Value;

use crate::{failure, json, squbed, text};

/// The shortest measurement; the figures are of no matter here.
fn bench(arguments: &[&str]) -> Value {
    json(
        &[&["bench", "encode", "--seconds", "0.001", "--device", "cpu", "--format", "json"], arguments]
            .concat(),
    )
}

/// A BERT of one layer, so that it takes no time in a test.
fn small(folder: &tempfile::TempDir) -> String {
    let path = folder.path().join("config.json");
    let config = r#"{"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 32, "hidden_act": "gelu", "max_position_embeddings": 20, "type_vocab_size": 2,
        "layer_norm_eps": 1e-12}"#;
    fs::write(&path, config).unwrap();
    text(&path).to_owned()
}

#[test]
fn the_result_has_the_promised_fields_and_they_fit_together() {
    let folder = tempfile::tempdir().unwrap();
    let config = small(&folder);
    let options =
        ["--arch", "bert", "--random-weights", "--config", &config, "--batch", "3", "--tokens", "5"];
    let output =
        squbed(&[&["bench", "encode", "--seconds", "0.05", "--threads", "1"], &options[..]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let result = bench(&[&options[..], &["--threads", "1"]].concat());
    assert_eq!((&result["model"], &result["dtype"]), (&"bert".into(), &"f32".into()));
    assert_eq!((&result["threads"], &result["batch"]), (&1.into(), &3.into()));
    assert!(result["device"].as_str().unwrap().starts_with("cpu, 1 threads"), "{result}");
    let number = |key: &str| result[key].as_f64().unwrap_or_else(|| panic!("{key}: {result}"));
    // One block for 5 tokens, and the mean over them.
    let products = 5 * (4 * 16 * 16 + 2 * 16 * 32) + 2 * 5 * 5 * 16 + 5 * 16;
    assert!((number("gflop_per_item") * 1e9 - f64::from(2 * products)).abs() < 1e-3, "{result}");
    let same = |a: f64, b: f64| (a / b - 1.0).abs() < 1e-9;
    assert!(same(number("gflop_per_s"), number("items_per_s") * number("gflop_per_item")));
    assert!(same(number("share_of_peak"), number("gflop_per_s") / number("gemm_peak_gflop_per_s")));
    assert!(same(number("items_per_s"), 3.0 * number("runs") / number("seconds")));
    assert!(number("items_per_s_low") <= number("items_per_s_median"), "{result}");
    assert!(
        number("items_per_s_median") <= number("items_per_s_high") && number("gemm_peak_gflop_per_s") > 0.0
    );
    assert!(result["upload_ms"].is_null(), "{result}");
    let note = result["weights"].as_str().unwrap();
    assert!(note.starts_with("random") && note.ends_with("config.json"), "{note}");
    assert_eq!(result["item"], "text of 5 tokens");
}

/// One thread cannot use more processor time than passes, however busy the machine is.
#[test]
fn one_thread_is_one_thread() {
    let options = ["--arch", "clip", "--random-weights", "--batch", "2", "--threads", "1"];
    let result = json(&[&["bench", "encode", "--seconds", "0.5", "--format", "json"], &options[..]].concat());
    let number = |key: &str| result[key].as_f64().unwrap();
    assert!(number("cpu_s") <= 1.05 * number("seconds") + 0.03, "{result}");
    assert_eq!(
        (&result["item"], &result["weights"]),
        (&"image of 224×224".into(), &"random, sizes of clip-vit-base-patch32".into())
    );
}

#[test]
fn a_model_that_is_here_is_measured_with_its_own_weights() {
    let result = bench(&["--model", "all-MiniLM-L6-v2", "--batch", "1", "--tokens", "8"]);
    assert_eq!(
        (&result["model"], &result["weights"]),
        (&"all-MiniLM-L6-v2".into(), &"of all-MiniLM-L6-v2".into())
    );
    let result = bench(&["--arch", "s3d-milnce", "--random-weights", "--tower", "text", "--batch", "1"]);
    assert_eq!(result["item"], "text of 32 tokens");
}

#[test]
fn what_does_not_fit_is_refused() {
    let random = |arch: &str, more: &[&str]| {
        let (code, message) =
            failure(&[&["bench", "encode", "--random-weights", "--arch", arch], more].concat());
        assert_eq!(code, 1, "{message}");
        message
    };
    let message = random("i3d", &["--tokens", "3"]);
    assert!(message.contains("`i3d` gets video clips, which have no tokens"), "{message}");
    assert!(random("clip", &["--frames", "3"]).contains("images, which have no frames"));
    assert!(random("bert", &["--tower", "image"]).contains("`bert` takes text, not images"));
    for arch in ["i3d", "s3d-kinetics"] {
        let told = format!("`{arch}` takes video clips, not text");
        assert!(random(arch, &["--tower", "text"]).contains(&told));
        let told = format!("`{arch}` takes video clips, not images");
        assert!(random(arch, &["--tower", "image"]).contains(&told));
    }
    assert!(
        random("s3d-milnce", &["--tower", "image"]).contains("`s3d-milnce` takes video clips, not images")
    );
    // Of a model that takes both, frames are no part of a text.
    assert!(
        random("s3d-milnce", &["--tower", "text", "--frames", "8"]).contains("text, which have no frames")
    );
    assert!(random("siglip", &[]).contains("no architecture `siglip`"));
    assert!(random("i3d", &["--config", "c.json"]).contains("leave --config away"));
    assert!(random("bert", &["--config", "nowhere.json"]).contains("nowhere.json"));
    assert!(random("bert", &["--tokens", "513"]).contains("longest sequence"));
    assert!(random("bert", &["--seconds", "0"]).contains("0.001"));
    assert!(random("bert", &["--batch", "0"]).contains("--batch"));
    assert!(random("s3d-kinetics", &["--frames", "3"]).contains("13 frames"));
    let (code, message) = failure(&["bench", "encode", "--arch", "bert"]);
    assert!(code == 1 && message.contains("--random-weights"), "{message}");
    let (code, message) = failure(&["bench", "encode", "--model", "lpips-alex"]);
    assert!(code == 1 && message.contains("lpips-alex") || message.contains("alexnet"), "{message}");
}
