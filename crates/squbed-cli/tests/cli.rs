//! The program from outside: output that other programs read, messages, exit codes.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

#[path = "cli/bench.rs"]
mod bench;
#[path = "cli/claim.rs"]
mod claim;
#[path = "cli/cuda_program.rs"]
mod cuda_program;
#[path = "cli/dataset.rs"]
mod dataset;
#[path = "cli/dataset_forms.rs"]
mod dataset_forms;
#[path = "cli/embed.rs"]
mod embed;
#[path = "cli/generate.rs"]
mod generate;
#[path = "cli/hints.rs"]
mod hints;
#[path = "cli/limits.rs"]
mod limits;
#[path = "cli/models.rs"]
mod models;
#[path = "cli/refine.rs"]
mod refine;
#[path = "cli/run.rs"]
mod run;
#[path = "cli/steps.rs"]
mod steps;
#[path = "cli/tensor.rs"]
mod tensor;

fn squbed(arguments: &[&str]) -> Output {
    squbed_with(&[], arguments)
}

/// The program with variables in its environment.
fn squbed_with(variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_squbed"));
    command.args(arguments).envs(variables.iter().copied()).output().unwrap()
}

/// Exit code, stdout and stderr.
fn ended(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
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
        ("[[1, 0], [NaN, 0]]", "row 1, number 0"),
        ("[[[1, 0]],\n [[1, 0], [0, Infinity]]]", "group 1, row 1, number 1"),
        ("[[1, 0], [1, null]]", "row 1 is no row of numbers: its number 1 is null"),
        ("[[[1, 0]], [[1, 0], 3]]", "because: group 1\n  because: row 1 is a number"),
        ("[[[1, 0]], 3]", "group 1 is a number"),
        ("[[[1, 0]], []]", "group 1"),
        (
            "[[[1, 0]], [[1, 0], [0, 0]]]",
            "group 1 cannot be fitted; mend or leave out what is named below\n  because: sample 1 has no direction",
        ),
        (
            "[[[1, 0]], [[1, 0], [1, 0, 0]]]",
            "group 1 cannot be fitted; mend or leave out what is named below\n  because: sample 1 has dimension 3",
        ),
        ("[[1, 0], [1,", "row 1, number 1"),
    ] {
        fs::write(&path, content).unwrap();
        let (code, message) = failure(&["vmf", "fit", text(&path)]);
        assert!(code == 1 && message.contains(part) && message.contains("rows.json"), "{content}: {message}");
    }
    let (code, message) = failure(&["vmf", "fit", "nowhere.npy"]);
    assert!(code == 1 && message.contains("nowhere.npy"), "{message}");
}

#[test]
fn vmf_fit_takes_ragged_groups() {
    let folder = tempfile::tempdir().unwrap();
    let json_file = folder.path().join("groups.json");
    fs::write(
        &json_file,
        "[[[1, 0], [0, 1]], [[2, 1], [1, 2], [1, 1]], [[1, 0], [0, 1], [-1, 0.5], [1, 1]]]",
    )
    .unwrap();
    let tensor = |rows: &[f64]| {
        let bytes: Vec<u8> = rows.iter().flat_map(|x| x.to_le_bytes()).collect();
        (vec![rows.len() / 2, 2], bytes)
    };
    // By their numbers: 2 before 10.
    let tensors = [
        ("group10", tensor(&[1.0, 0.0, 0.0, 1.0, -1.0, 0.5, 1.0, 1.0])),
        ("group2", tensor(&[2.0, 1.0, 1.0, 2.0, 1.0, 1.0])),
        ("group1", tensor(&[1.0, 0.0, 0.0, 1.0])),
    ];
    let views = tensors.iter().map(|(name, (shape, bytes))| {
        let dtype = safetensors::Dtype::F64;
        (*name, safetensors::tensor::TensorView::new(dtype, shape.clone(), bytes).unwrap())
    });
    let file = folder.path().join("groups.safetensors");
    fs::write(&file, safetensors::serialize(views, None).unwrap()).unwrap();
    let got = json(&["vmf", "fit", text(&json_file), "--estimator", "u", "--format", "json"]);
    assert_eq!(got, json(&["vmf", "fit", text(&file), "--estimator", "u", "--format", "json"]));
    assert_eq!([0, 1, 2].map(|i| got[i]["m"].as_u64().unwrap()), [2, 3, 4]);
    for (i, group) in ["[[1,0],[0,1]]", "[[2,1],[1,2],[1,1]]"].into_iter().enumerate() {
        fs::write(&json_file, group).unwrap();
        let alone = json(&["vmf", "fit", text(&json_file), "--estimator", "u", "--format", "json"]);
        assert_eq!(alone[0], got[i]);
    }
}

#[test]
fn vmf_sample() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (rows, mean) = (path("rows.npy"), path("mean.json"));
    fs::write(&mean, "[0, 0, -3, 4, 0]").unwrap();
    let sample = ["vmf", "sample", "--dim", "5", "--kappa", "40", "--count", "4000", "--seed", "3"];
    let output = squbed(&[&sample[..], &["--mean", &mean, "--out", &rows]].concat());
    assert!(output.status.success() && output.stdout.is_empty());
    let fit = json(&["vmf", "fit", &rows, "--estimator", "u", "--format", "json"]);
    // A standard error is 0.45: 1/√(4000 A′).
    assert_eq!((fit[0]["m"].as_u64(), fit[0]["dim"].as_u64()), (Some(4000), Some(5)));
    assert!((fit[0]["kappa"].as_f64().unwrap() - 40.0).abs() < 1.8, "{fit}");
    let direction = |i: usize| fit[0]["mean_direction"][i].as_f64().unwrap();
    assert!((direction(2) + 0.6).abs() < 0.02 && (direction(3) - 0.8).abs() < 0.02, "{fit}");

    // Each form holds the same numbers, and JSON is what `vmf fit` reads.
    let few = ["vmf", "sample", "--dim", "3", "--kappa", "1e9", "--count", "4", "--seed", "8"];
    let print =
        |format| String::from_utf8(squbed(&[&few[..], &["--format", format]].concat()).stdout).unwrap();
    let array: Vec<Vec<f64>> = serde_json::from_str(&print("json")).unwrap();
    assert_eq!((array.len(), array[0].len()), (4, 3));
    let lines: Vec<Vec<f64>> = print("jsonl").lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let csv = print("csv");
    assert_eq!(csv.lines().next(), Some("x1,x2,x3"));
    let split = |text: &str, by: char, skip: usize| -> Vec<Vec<f64>> {
        text.lines().skip(skip).map(|l| l.split(by).map(|x| x.parse().unwrap()).collect()).collect()
    };
    assert!(lines == array && split(&csv, ',', 1) == array && split(&print("table"), ' ', 0) == array);
    let file = path("rows.json");
    fs::write(&file, print("json")).unwrap();
    assert_eq!(json(&["vmf", "fit", &file, "--format", "json"])[0]["m"], 4);

    fs::write(path("none.json"), "[0, 0]").unwrap();
    fs::write(path("text.json"), r#"["x", 1]"#).unwrap();
    for (arguments, part) in [
        (["--dim", "1", "--kappa", "1", "--count", "1"].as_slice(), "dimension 1"),
        (&["--dim", "3", "--kappa", "-1", "--count", "1"], "kappa -1"),
        (&["--dim", "3", "--kappa", "nan", "--count", "1"], "kappa NaN"),
        (&["--dim", "3", "--kappa", "1", "--count", "0"], "--count is 0"),
        (&["--dim", "4096", "--kappa", "1", "--count", "9999999999999999"], "do not fit into memory"),
        (&["--dim", "3", "--kappa", "1", "--count", "1", "--mean", &mean], "5 numbers, the dimension is 3"),
        (
            &["--dim", "2", "--kappa", "1", "--count", "1", "--mean", &path("none.json")],
            "all its numbers are zero",
        ),
        (
            &["--dim", "2", "--kappa", "1", "--count", "1", "--mean", &path("text.json")],
            "number 0 is a string",
        ),
        (&["--dim", "5", "--kappa", "1", "--count", "1", "--mean", &rows], "[4000, 5]"),
    ] {
        let (code, message) = failure(&[&["vmf", "sample"], arguments].concat());
        assert!(code == 1 && message.contains(part), "{arguments:?}: {message}");
    }
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
    // Four rows are too few for an interval; five are enough.
    assert!(row["ci_low"].is_null() && row["ci_method"].as_str().unwrap().contains("too few"), "{row}");
    let five = folder.path().join("five.csv");
    fs::write(&five, "u,a\n1,3\n2,4\n3,2\n4,1\n5,0\n").unwrap();
    let row = json(&["stats", "kendall", text(&five), "--x", "u", "--y", "a", "--format", "json"]);
    let (low, high) = (row["ci_low"].as_f64().unwrap(), row["ci_high"].as_f64().unwrap());
    assert!(low < -0.8 && -0.8 < high, "{row}");
    let (code, message) = failure(&["stats", "kendall", text(&path), "--x", "u", "--y", "b"]);
    assert!(code == 1 && message.contains("no column `b`") && message.contains("id, u, a"), "{message}");
    let (code, message) = failure(&["stats", "kendall", text(&path), "--x", "id", "--y", "a"]);
    assert!(code == 1 && message.contains("line 2") && message.contains("`x`"), "{message}");
}

fn golden(file: &str) -> String {
    format!("{}/../../tests/golden/metrics/{file}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn score_pair() {
    let (a, b) = (golden("carphone_p20.png"), golden("carphone_d20.png"));
    for (metric, want) in [
        ("psnr", 23.188637997751933),
        ("ssim", 0.7068565729839104),
        ("psnr-y", 24.962995858276884),
        ("ssim-y", 0.7522301206830535),
    ] {
        let row = json(&["score", "pair", &a, &b, "--metric", metric, "--format", "json"]);
        assert_eq!((keys(&row), row["metric"].as_str()), (vec!["metric", "value"], Some(metric)));
        assert!((row["value"].as_f64().unwrap() / want - 1.0).abs() < 1e-12, "{metric}: {row}");
    }
    let row = json(&["score", "pair", &a, &a, "--metric", "psnr", "--format", "json"]);
    assert_eq!(row["value"], "inf");

    // What the pictures or the options do not allow is named.
    let folder = tempfile::tempdir().unwrap();
    let picture = |name: &str, width: u32, height: u32| {
        let path = folder.path().join(name);
        image::RgbImage::new(width, height).save(&path).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (wide, low, tall) =
        (picture("wide.png", 20, 10), picture("low.png", 20, 10), picture("tall.png", 10, 20));
    let refused = |a: &str, b: &str, rest: &[&str], words: &[&str]| {
        let (code, message) = failure(&[&["score", "pair", a, b, "--metric"], rest].concat());
        assert_eq!(code, 1, "{message}");
        words.iter().for_each(|word| assert!(message.contains(word), "{word}: {message}"));
    };
    refused(&wide, &tall, &["psnr"], &["wide.png", "tall.png", "20x10 and 10x20"]);
    refused(&wide, &low, &["ssim"], &["low.png", "at least 11x11 pixels, not 20x10"]);
    refused(&wide, &low, &["ssim-y"], &["at least 11x11"]);
    refused(&wide, &low, &["mse"], &["psnr, ssim, psnr-y, ssim-y, lpips-alex, lpips-vgg"]);
    refused(&wide, "none.png", &["psnr"], &["none.png"]);
    refused(&a, &b, &["psnr", "--weights", "w", "--linear", "l"], &["psnr has no weights"]);
    refused(&a, &b, &["lpips-vgg", "--weights", "w"], &["--linear"]);
    refused(&a, &b, &["lpips-vgg", "--weights", "none.safetensors", "--linear", "l"], &["none.safetensors"]);

    // Weights that are not here are an error with its remedy.
    let output = Command::new(env!("CARGO_BIN_EXE_squbed"))
        .args(["score", "pair", &a, &b, "--metric", "lpips-alex"])
        .env("SQUBED_HOME", folder.path())
        .output()
        .unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(message.contains("squbed models fetch lpips-alex"), "{message}");
    // The command without `pair` still wants its own arguments.
    let (code, message) = failure(&["score"]);
    assert!(code == 1 && message.contains("--cache"), "{message}");
    let (code, message) = failure(&["score", "tasks.jsonl", "--cache", "c"]);
    assert!(code == 1 && message.contains("--out"), "{message}");
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
fn cut_weights_and_rows_without_direction_are_named_with_the_remedy() {
    use squbed::store::{NpyArray, NpyData, write_npy};
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("cut.safetensors"), [200, 0, 0, 0, 0, 0, 0, 0, b'{']).unwrap();
    let clip = NpyArray::new(vec![1, 3, 16, 32, 32], NpyData::F32(vec![0.0; 3 * 16 * 32 * 32])).unwrap();
    write_npy(&path("x.npy"), &clip).unwrap();
    let (x, weights, out) = (path("x.npy"), path("cut.safetensors"), path("y.npy"));
    let (code, message) = failure(&[
        "embed",
        "video",
        "--arch",
        "i3d",
        "--weights",
        text(&weights),
        "--tensor",
        text(&x),
        "--out",
        text(&out),
    ]);
    assert!(
        code == 1 && message.contains("cut.safetensors") && message.contains("fetch it again"),
        "{message}"
    );
    assert!(!out.exists());

    let nan = NpyArray::new(vec![2, 2], NpyData::F32(vec![1.0, 0.0, f32::NAN, 1.0])).unwrap();
    write_npy(&path("nan.npy"), &nan).unwrap();
    let (code, message) = failure(&["vmf", "fit", text(&path("nan.npy"))]);
    assert!(code == 1 && message.contains("nan.npy") && message.contains("sample 1"), "{message}");
    assert!(message.contains("mend or leave out") && !message.contains("group"), "{message}");
}

#[test]
fn decoding_is_measured_and_its_pictures_can_be_had() {
    let video = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/video/made/h264-bframes.mp4");
    let folder = tempfile::tempdir().unwrap();
    let pictures = folder.path().join("pictures.rgb");
    let options = ["--frames", "3", "--side", "32", "--threads", "2", "--format", "json"];
    let words = ["bench", "decode", video, video, "--pictures", text(&pictures)];
    let result = json(&[&words[..], &options].concat());
    assert_eq!((&result["clips"], &result["frames"], &result["threads"]), (&2.into(), &6.into(), &2.into()));
    for key in ["clips_per_s", "frames_per_s", "seconds", "cpu_s"] {
        assert!(result[key].as_f64().is_some_and(|value| value > 0.0), "{key}: {result}");
    }
    let bytes = fs::read(&pictures).unwrap();
    assert_eq!(bytes.len(), 2 * 3 * 32 * 32 * 3);
    let (first, second) = bytes.split_at(bytes.len() / 2);
    assert!(first == second && first[..32 * 32 * 3] != first[32 * 32 * 3..2 * 32 * 32 * 3]);
    let (code, message) = failure(&["bench", "decode", "nowhere.mp4"]);
    assert!(code == 1 && message.contains("nowhere.mp4"), "{message}");
}

#[test]
fn task_errors_name_row_and_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let (tasks, out) = (folder.path().join("tasks.jsonl"), folder.path().join("out.jsonl"));
    for (content, part) in [
        (r#"{"id": "a", "prompt": " "}"#, "empty prompt"),
        ("{\"id\": \"a\", \"prompt\": \"x\"}\n{\"id\": \"a\", \"prompt\": \"y\"}", "`a`"),
        (r#"{"id": "a"}"#, "prompt"),
        (
            "\n{\"id\": \"a\\u001b[2J\", \"prompt\": \"x\"}",
            r#"line 2: not a usable task; correct it or take it out"#,
        ),
        (
            r#"{"id": "a\n", "prompt": "x"}"#,
            r#"the task id "a\n" has blanks at its ends or control characters"#,
        ),
        (
            r#"{"id": "a", "prompt": "x", "latents": [{"prompt": "z", "videos": [""]}]}"#,
            "latents[0].videos[0] is an empty path",
        ),
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
    assert!(code == 1 && message.contains("n >= 2") && message.contains("tasks.jsonl"), "{message}");
    assert!(message.contains("hint: give the task further latent prompts"), "{message}");
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
    let (code, message) = failure(&["calibrate", text(&results)]);
    assert!(code == 1 && message.contains("uncertainty.jsonl is not there"), "{message}");
    assert!(message.contains("hint: run `squbed estimate` into this folder first"), "{message}");
    for command in ["estimate", "score"] {
        if command == "score" {
            let (code, message) = failure(&["calibrate", text(&results)]);
            assert!(code == 1 && message.contains("accuracy.jsonl is not there"), "{message}");
            assert!(message.contains("hint: run `squbed score` into this folder first"), "{message}");
        }
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
        // Four tasks; three metrics of each are scored.
        let expected = if command == "score" { 1 + 3 * 4 } else { 1 + 4 };
        assert!(
            output.status.success() && rows.lines().count() == expected,
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let (code, message) = failure(&["report", text(&results)]);
    assert!(code == 1 && message.contains("hint: run `squbed calibrate`"), "{message}");
    // Options of one's own stand beside the preset's result and leave it alone.
    let estimate = |more: &[&str]| {
        let all =
            ["estimate", text(&tasks), "--cache", text(&cache), "--out", text(&results), "--preset", "paper"];
        let output = squbed(&[&all[..], more].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    estimate(&[]);
    let paper = || fs::read(results.join("paper/uncertainty.jsonl")).unwrap();
    let before = paper();
    estimate(&["--estimator", "exact", "--components", "0"]);
    assert_eq!(paper(), before);
    let changed = fs::read(results.join("paper-exact-unprojected/uncertainty.jsonl")).unwrap();
    assert_ne!(changed, before);

    // The truth came along by itself.
    assert!(squbed(&["calibrate", text(&results), "--resamples", "200"]).status.success());
    let named = format!("report: {}\n", results.join("report.html").display());
    assert_eq!(ended(squbed(&["report", text(&results)])), (0, String::new(), named));
    assert_eq!(ended(squbed(&["report", text(&results), "--quiet"])), (0, String::new(), String::new()));
    let written = fs::read_to_string(results.join("calibration.json")).unwrap();
    let written: Value = serde_json::from_str(&written).unwrap();
    assert_eq!(keys(&written["presets"]), ["default", "paper", "paper-exact-unprojected"]);
    for (_, of) in written["presets"].as_object().unwrap() {
        assert!(of["truth"]["epistemic"]["n"].as_u64().unwrap() > 0, "{of}");
        assert!(of["point_masses"]["latents_left_out"].is_number(), "{of}");
    }
    let page = fs::read_to_string(results.join("report.html")).unwrap();
    assert!(page.contains("paper-exact-unprojected") && page.contains("true aleatoric A"));

    limits::a_disk_that_takes_no_more_is_told(&results);
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
