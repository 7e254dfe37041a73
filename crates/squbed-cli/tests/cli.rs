//! The program from outside: output that other programs read, messages, exit codes.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

fn squbed(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_squbed")).args(arguments).output().unwrap()
}

fn with_stdin(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_squbed"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn json(arguments: &[&str]) -> Value {
    let output = squbed(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Exit code and message of a command that fails.
fn failure(arguments: &[&str]) -> (i32, String) {
    let output = squbed(arguments);
    assert!(output.stdout.is_empty(), "data on stdout of a failed command");
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn vmf_entropy() {
    let row = json(&["vmf", "entropy", "--dim", "3", "--kappa", "2", "--format", "json"]);
    assert_eq!(keys(&row), ["a", "dim", "entropy", "kappa", "kl_uniform", "log_c", "one_minus_a"]);
    // On the sphere in three dimensions A = coth κ − 1/κ and C = κ / (4π sinh κ).
    let k = 2.0_f64;
    let a = 1.0 / k.tanh() - 1.0 / k;
    let log_c = (k / (4.0 * std::f64::consts::PI * k.sinh())).ln();
    for (key, want) in [("a", a), ("log_c", log_c), ("entropy", -log_c - k * a)] {
        assert!((row[key].as_f64().unwrap() - want).abs() < 1e-14, "{key}");
    }
    let row = json(&["vmf", "entropy", "--dim", "8", "--kappa", "inf", "--format", "json"]);
    assert_eq!((row["kappa"].as_str(), row["entropy"].as_str()), (Some("inf"), Some("-inf")));
    let output = squbed(&["vmf", "entropy", "--dim", "3", "--kappa", "2", "--format", "csv"]);
    let csv = String::from_utf8(output.stdout).unwrap();
    assert!(csv.starts_with("dim,kappa,log_c,a,one_minus_a,entropy,kl_uniform\n3,2.0,"), "{csv}");
}

#[test]
fn vmf_kappa() {
    let row = json(&["vmf", "kappa", "--dim", "3", "--rbar", "0.5373147207275481", "--format", "json"]);
    assert_eq!(row["estimator"], "exact");
    assert!((row["kappa"].as_f64().unwrap() - 2.0).abs() < 1e-13);
    let near =
        ["vmf", "kappa", "--dim", "16", "--rbar", "1", "--one-minus-rbar", "1e-20", "--format", "json"];
    assert!((json(&near)["kappa"].as_f64().unwrap() / 7.5e20 - 1.0).abs() < 1e-9);
    let (code, message) = failure(&["vmf", "kappa", "--dim", "3", "--rbar", "1.5"]);
    assert!(code == 1 && message.contains("1.5"), "{message}");
    let (code, message) = failure(&["vmf", "kappa", "--dim", "3", "--rbar", "0.5", "--estimator", "u"]);
    assert!(code == 1 && message.contains("vmf fit"), "{message}");
    let (code, message) = failure(&["vmf", "kappa", "--dim", "3", "--rbar", "0.5", "--estimator", "best"]);
    assert!(code == 1 && message.contains("banerjee"), "{message}");
}

#[test]
fn vmf_fit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.json");
    fs::write(&path, "[[1, 0, 0], [0, 2, 0]]").unwrap();
    let rows = json(&["vmf", "fit", text(&path), "--format", "json"]);
    assert_eq!(
        keys(&rows[0]),
        ["dim", "entropy", "flags", "kappa", "m", "mean_direction", "one_minus_rbar", "rbar"]
    );
    assert!((rows[0]["rbar"].as_f64().unwrap() - 0.5_f64.sqrt()).abs() < 1e-15);
    assert!((rows[0]["mean_direction"][0].as_f64().unwrap() - 0.5_f64.sqrt()).abs() < 1e-15);

    fs::write(&path, "[[[1, 0]], [[1, 0], [-1, 0]], [[3, 4], [6, 8], [1.5, 2]]]").unwrap();
    let rows = json(&["vmf", "fit", text(&path), "--format", "json"]);
    let flags: Vec<_> = (0..3).map(|i| rows[i]["flags"].to_string()).collect();
    assert_eq!(flags, [r#"["point_mass"]"#, r#"["uniform"]"#, r#"["point_mass"]"#]);
    assert!(rows[1]["mean_direction"].is_null() && rows[1]["kappa"] == 0.0);

    for (content, part) in [
        ("[[1, 0], [0, 0]]", "sample 1"),
        ("[[1, 0], [1]]", "sample 1"),
        ("[]", "no rows"),
        ("{}", "rows of numbers"),
        ("[[1, 0], [NaN, 0]]", "rows of numbers"),
    ] {
        fs::write(&path, content).unwrap();
        let (code, message) = failure(&["vmf", "fit", text(&path)]);
        assert!(code == 1 && message.contains(part) && message.contains("rows.json"), "{content}: {message}");
    }
    let (code, message) = failure(&["vmf", "fit", "nowhere.npy"]);
    assert!(code == 1 && message.contains("nowhere.npy"), "{message}");
}

#[test]
fn stats_kendall() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table.csv");
    fs::write(&path, "id,u,a\nx,1,4\ny,2,3\nz,3,2\nw,-inf,inf\n").unwrap();
    let row = json(&["stats", "kendall", text(&path), "--x", "u", "--y", "a", "--format", "json"]);
    assert_eq!(keys(&row), ["alternative", "ci_high", "ci_low", "ci_method", "method", "n", "p", "tau"]);
    assert_eq!(
        (row["tau"].as_f64(), row["method"].as_str(), row["n"].as_u64()),
        (Some(-1.0), Some("exact"), Some(4))
    );
    assert!((row["p"].as_f64().unwrap() - 2.0 / 24.0).abs() < 1e-15);
    let (code, message) = failure(&["stats", "kendall", text(&path), "--x", "u", "--y", "b"]);
    assert!(code == 1 && message.contains("no column `b`") && message.contains("id, u, a"), "{message}");
    let (code, message) = failure(&["stats", "kendall", text(&path), "--x", "id", "--y", "a"]);
    assert!(code == 1 && message.contains("line 2") && message.contains("`x`"), "{message}");
}

#[test]
fn probe_and_decode_errors_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.mp4");
    fs::write(&path, b"not a video").unwrap();
    for file in [text(&path), "nowhere.mp4"] {
        let (code, message) = failure(&["probe", file]);
        assert!(code == 1 && message.contains(file), "{message}");
    }
}

#[test]
fn task_errors_name_row_and_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let (tasks, out) = (folder.path().join("tasks.jsonl"), folder.path().join("out.jsonl"));
    for (content, part) in [
        (r#"{"id": "a", "prompt": " "}"#, "empty prompt"),
        ("{\"id\": \"a\", \"prompt\": \"x\"}\n{\"id\": \"a\", \"prompt\": \"y\"}", "`a`"),
        (r#"{"id": "a"}"#, "prompt"),
        ("", "tasks.jsonl"),
    ] {
        fs::write(&tasks, content).unwrap();
        let (code, message) = failure(&["refine", text(&tasks), "--out", text(&out)]);
        assert!(code == 1 && message.contains(part), "{content}: {message}");
        assert!(!out.exists());
    }
    fs::write(&tasks, r#"{"id": "a", "prompt": "x", "latents": [{"prompt": "z", "videos": ["v.mp4"]}]}"#)
        .unwrap();
    let results = folder.path().join("results");
    let cache = folder.path().join("cache");
    let (code, message) =
        failure(&["estimate", text(&tasks), "--cache", text(&cache), "--out", text(&results)]);
    assert!(code == 1 && message.contains("n >= 2"), "{message}");
    assert!(!results.exists());
}

#[test]
fn the_closed_world_goes_step_by_step() {
    let folder = tempfile::tempdir().unwrap();
    let world = folder.path().join("world");
    let arguments =
        ["sim", "world", "--tasks", "4", "--latents", "2", "--videos", "2", "--seed", "3", "--out"];
    assert!(squbed(&[&arguments[..], &[text(&world)]].concat()).status.success());
    let tasks = world.join("tasks.jsonl");
    assert!(world.join("truth.jsonl").exists());
    let probed = json(&["probe", text(&first_video(&world)), "--format", "json"]);
    for key in ["codec", "width", "height", "frames", "time_base", "first_pts", "last_pts", "rotation"] {
        assert!(probed.get(key).is_some(), "{key}: {probed}");
    }
    let (cache, results) = (folder.path().join("cache"), folder.path().join("results"));
    for command in ["estimate", "score"] {
        let output = squbed(&[
            command,
            text(&tasks),
            "--cache",
            text(&cache),
            "--out",
            text(&results),
            "--format",
            "csv",
        ]);
        let rows = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success() && rows.lines().count() == 5,
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    fs::copy(world.join("truth.jsonl"), results.join("truth.jsonl")).unwrap();
    assert!(squbed(&["calibrate", text(&results), "--resamples", "200"]).status.success());
    assert!(squbed(&["report", text(&results)]).status.success());
    assert!(results.join("report.html").exists() && results.join("calibration.json").exists());
}

fn first_video(folder: &Path) -> std::path::PathBuf {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    let video = entries.iter().find(|p| p.extension().is_some_and(|e| e == "mp4"));
    video.cloned().unwrap_or_else(|| {
        let folders = entries.iter().filter(|p| p.is_dir());
        folders.map(|p| first_video(p)).next().expect("a folder with a video")
    })
}

#[test]
fn text_goes_in_by_lines_and_comes_out_as_rows() {
    let folder = tempfile::tempdir().unwrap();
    let shape = |arguments: &[&str], input: &str| {
        let out = folder.path().join("y.npy");
        let all =
            [&["embed", "text", "--model", "all-MiniLM-L6-v2", "--out", text(&out)], arguments].concat();
        let output = with_stdin(&all, input);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let bytes = fs::read(&out).unwrap();
        let header = String::from_utf8_lossy(&bytes[..128]).into_owned();
        let numbers: Vec<f32> =
            bytes[128..].chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        (header, numbers)
    };
    let (header, lines) = shape(&[], "A red cat.\n\nA dog.\n");
    assert!(header.contains("(3, 384)"), "{header}");
    let (_, strings) = shape(&["--json-lines"], "\"A red cat.\"\n\"\"\n\"A dog.\"\n");
    assert_eq!(lines, strings);
    let output = with_stdin(&["embed", "text", "--model", "no-such-model", "--out", "y.npy"], "x\n");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && message.contains("all-MiniLM-L6-v2"), "{message}");
}

#[test]
fn a_missing_model_says_which_command_brings_it() {
    let home = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_squbed"))
        .args(["embed", "video", "--model", "i3d-kinetics-400", "--out", "y.npy", "v.mp4"])
        .env("SQUBED_HOME", home.path())
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(message.contains("squbed models fetch i3d-kinetics-400"), "{message}");
}

#[test]
fn pictures_need_a_model_for_pictures() {
    let embed = |arguments: &[&str]| failure(&[&["embed", "image", "--out", "y.npy"], arguments].concat());
    let (code, message) = embed(&["--model", "all-MiniLM-L6-v2", "p.png"]);
    assert!(code == 1 && message.contains("takes text, not images"), "{message}");
    let (code, message) = embed(&["--model", "clip-vit-base-patch32"]);
    assert!(code == 1 && message.contains("no picture files"), "{message}");
    let (code, message) =
        embed(&["--arch", "siglip", "--weights", "w.safetensors", "--tensor", "nowhere.npy"]);
    assert!(code == 1 && message.contains("nowhere.npy"), "{message}");
}

#[test]
fn an_unusable_device_is_an_error_and_help_is_none() {
    if !cfg!(feature = "cuda") {
        let (code, message) = failure(&[
            "embed",
            "video",
            "--model",
            "i3d-kinetics-400",
            "--device",
            "cuda",
            "--out",
            "y.npy",
            "v.mp4",
        ]);
        assert!(code == 1 && message.contains("cuda"), "{message}");
    }
    assert_eq!(squbed(&["--help"]).status.code(), Some(0));
    assert_eq!(failure(&["frobnicate"]).0, 1);
    assert!(squbed(&["devices"]).status.success());
}
