//! Every refusal says what failed, which value it was, and what to do next.

use super::*;

/// The one hint line of a command that fails with code 1.
fn hint(arguments: &[&str], names: &str) -> String {
    let (code, message) = failure(arguments);
    assert_eq!(code, 1, "{arguments:?}: {message}");
    assert!(message.contains(names), "{arguments:?} does not name {names}: {message}");
    let hints: Vec<&str> = message.lines().filter_map(|line| line.strip_prefix("hint: ")).collect();
    assert_eq!(hints.len(), 1, "{arguments:?}: {message}");
    hints[0].to_owned()
}

#[test]
fn what_is_no_video_has_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (text, empty) = (path("notes.mp4", "not a video"), path("empty.mp4", ""));
    let list = path("list.mp4", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\na.ts\n#EXT-X-ENDLIST\n");
    let pictures = folder.path().join("frames");
    fs::create_dir(&pictures).unwrap();
    let word = |file: &str, word: &str| {
        let hint = hint(&["probe", file], file);
        assert!(hint.contains(word), "{file}: {hint}");
    };
    word(&text, "give a video file");
    word(&empty, "copy or make it again");
    word(&list, "give the path of a video file");
    word(pictures.to_str().unwrap(), "put the frames there");
    word("nowhere.mp4", "check the path");
    for url in ["https://example.invalid/v.mp4", "s3://bucket/v.mp4"] {
        word(url, "URLs are not opened: download it first");
    }
    // Also of a list of tasks, whose paths are joined with its folder and cleaned.
    let latent = |name: &str| {
        format!(
            r#"{{"prompt": "{name}", "videos": ["https://e.invalid/{name}1.mp4", "s3://e/{name}2.mp4"]}}"#
        )
    };
    let tasks = path(
        "tasks.jsonl",
        &format!(r#"{{"id": "a", "prompt": "x", "latents": [{}, {}]}}"#, latent("y"), latent("z")),
    );
    let (cache, out) = (folder.path().join("cache"), folder.path().join("out"));
    let arguments = ["estimate", &tasks, "--cache", cache.to_str().unwrap(), "--out", out.to_str().unwrap()];
    let hint_of_tasks = hint(&arguments, "e.invalid");
    assert!(hint_of_tasks.starts_with("URLs are not opened"), "{hint_of_tasks}");
    let failures = fs::read_to_string(out.join("failures.jsonl")).unwrap();
    assert_eq!(failures.matches("URLs are not opened").count(), 4, "{failures}");
    let picture = path("p.png", "no picture");
    let hint = hint(&["score", "pair", &picture, &picture, "--metric", "psnr"], "p.png");
    assert!(hint.contains("give a picture"), "{hint}");
}

#[test]
fn a_number_out_of_range_has_a_hint() {
    for (arguments, names, word) in [
        (&["entropy", "--dim", "1", "--kappa", "2"][..], "dimension 1", "--dim"),
        (&["entropy", "--dim", "3", "--kappa", "-2"], "kappa -2", "--kappa from 0"),
        (&["entropy", "--dim", "3", "--kappa", "nan"], "kappa NaN", "--kappa from 0"),
        (&["kappa", "--dim", "3", "--rbar", "1.5"], "1.5", "--rbar from 0 to 1"),
        (&["kappa", "--dim", "3", "--rbar", "0.5", "--one-minus-rbar", "0.4"], "0.4", "--one-minus-rbar"),
        (&["kappa", "--dim", "0", "--rbar", "0.5"], "dimension 0", "2 or more"),
        (&["sample", "--dim", "3", "--kappa", "-1", "--count", "1"], "kappa -1", "--kappa from 0"),
    ] {
        let hint = hint(&[&["vmf"], arguments].concat(), names);
        assert!(hint.contains(word), "{arguments:?}: {hint}");
    }
}

#[test]
fn an_array_without_groups_is_refused_in_words() {
    use squbed::store::{NpyArray, NpyData, write_npy};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.npy");
    write_npy(&path, &NpyArray::new(vec![0, 10, 384], NpyData::F32(Vec::new())).unwrap()).unwrap();
    let (code, message) = failure(&["vmf", "fit", text(&path)]);
    assert!(code == 1 && message.contains("none.npy") && message.contains("[0, 10, 384]"), "{message}");
    assert!(message.contains("at least one group"), "{message}");
    let path = folder.path().join("none.safetensors");
    let none: [(&str, safetensors::tensor::TensorView<'_>); 0] = [];
    fs::write(&path, safetensors::serialize(none, None).unwrap()).unwrap();
    let (code, message) = failure(&["vmf", "fit", text(&path)]);
    assert!(code == 1 && message.contains("has no tensor"), "{message}");
}

/// Directions that cancel but for their rounding have no mean direction.
#[test]
fn what_cancels_but_for_rounding_is_uniform() {
    let rows = |height: f64| format!("[[1, 0], [-0.5, {height}], [-0.5, -{height}]]");
    let fit = |rows: &str| -> Value {
        let output = with_stdin(&["vmf", "fit", "-", "--format", "json"], rows);
        serde_json::from_slice::<Value>(&output.stdout).unwrap()[0].take()
    };
    let height = 0.75_f64.sqrt();
    let row = fit(&rows(height));
    assert!(row["rbar"].as_f64().unwrap() < 1e-15, "{row}");
    assert!(row["flags"].as_array().unwrap().contains(&"uniform".into()), "{row}");
    assert!(row["mean_direction"].is_null(), "{row}");
    // What f64 can tell is a direction.
    let row = fit(&rows(height * (1.0 + 1e-12)));
    assert!(row["rbar"].as_f64().unwrap() > 1e-14, "{row}");
    assert!(!row["flags"].as_array().unwrap().contains(&"uniform".into()), "{row}");
    assert!(row["mean_direction"].is_array(), "{row}");

    // And as embeddings in f32 have it.
    use squbed::store::{NpyArray, NpyData, write_npy};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    let flags = |height: f32| {
        let numbers = vec![1.0, 0.0, -0.5, height, -0.5, -height];
        write_npy(&path, &NpyArray::new(vec![3, 2], NpyData::F32(numbers)).unwrap()).unwrap();
        json(&["vmf", "fit", text(&path), "--format", "json"])[0]["flags"].to_string()
    };
    assert!(flags(height as f32).contains("\"uniform\""));
    assert!(!flags(height as f32 * 1.00001).contains("\"uniform\""));
}

#[test]
fn limits_are_the_user_s() {
    let video = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/video/made/h264-bframes.mp4");
    // 30 frames of 96 x 64 in 1.2 s.
    for (flag, tight, enough, told) in [
        ("--max-pixels", "6143", "6144", "6144 pixels a frame; the limit is 6143"),
        ("--max-frames", "29", "30", "30 frames; the limit is 29"),
        ("--max-duration", "1.1", "1.3", "seconds; the limit is 1.1"),
    ] {
        let hint = hint(&["probe", video, flag, tight], told);
        assert!(hint.contains(flag), "{hint}");
        assert!(squbed(&["probe", video, flag, enough]).status.success(), "{flag}");
        let (code, message) = failure(&["bench", "decode", video, flag, tight]);
        assert!(code == 1 && message.contains(told), "{message}");
    }
    let (code, message) = failure(&["probe", video, "--max-time", "0"]);
    assert!(code == 1 && message.contains("0.001"), "{message}");
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("y.npy");
    let embed = ["embed", "video", "--model", "i3d-kinetics-400", "--out", text(&out), video];
    let (code, message) = failure(&[&embed[..], &["--max-frames", "29"]].concat());
    assert!(code == 1 && message.contains("30 frames; the limit is 29"), "{message}");
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::copy(video, path("copy.mp4")).unwrap();
    let videos = format!(r#""videos": ["{video}", "copy.mp4"]"#);
    let task = format!(
        r#"{{"id": "a", "prompt": "x", "ground_truth": "{video}",
            "latents": [{{"prompt": "y", {videos}}}, {{"prompt": "z", {videos}}}]}}"#
    );
    fs::write(path("tasks.jsonl"), task.replace('\n', "")).unwrap();
    let (tasks, cache, out) = (path("tasks.jsonl"), path("cache"), path("out"));
    let score = ["score", text(&tasks), "--cache", text(&cache), "--out", text(&out), "--metric", "psnr"];
    let (code, message) = failure(&[&score[..], &["--max-frames", "29"]].concat());
    assert!(code == 1 && message.contains("30 frames; the limit is 29"), "{message}");
    let (code, _, message) = ended(squbed(&[&score[..], &["--max-frames", "30"]].concat()));
    assert_eq!(code, 0, "{message}");

    // Of a run, in its file, and a flag in its place.
    let experiment = path("experiment.toml");
    let limits = "limits = { frames = 29 }";
    fs::write(&experiment, format!("out = 'run'\ntasks = {{ file = 'tasks.jsonl' }}\n{limits}\n")).unwrap();
    for (flags, limit) in [(&[][..], 29), (&["--max-frames", "28"], 28)] {
        let (code, message) = failure(&[&["run", text(&experiment)], flags].concat());
        let failures = fs::read_to_string(path("run/failures.jsonl")).unwrap();
        // Counting ends one past the limit.
        let told = format!("{} frames; the limit is {limit}", limit + 1);
        assert!(code == 1 && failures.contains(&told), "{message} {failures}");
        assert!(failures.contains("raise the limit"), "{failures}");
    }
    let help = ended(squbed(&["probe", "--help"])).1;
    for default in ["[default: 67108864]", "[default: 2000000]", "[default: 86400]", "[default: 600]"] {
        assert!(help.contains(default), "{default}: {help}");
    }
}

#[test]
fn what_other_files_lack_has_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("experiment.toml");
    fs::write(&path, "out = ").unwrap();
    assert!(hint(&["run", text(&path)], "experiment.toml").contains("correct that line"));
    fs::write(&path, "no weights").unwrap();
    let out = folder.path().join("w.safetensors");
    assert!(
        hint(&["models", "convert", text(&path), text(&out)], "experiment.toml").contains("copy or fetch it")
    );
    assert!(
        hint(&["stats", "kendall", "nowhere.csv", "--x", "a", "--y", "b"], "nowhere.csv")
            .contains("check the path")
    );
    assert!(hint(&["plan", "--tasks", "1"], "1 pair(s)").contains("--tasks"));
    let image = ["embed", "image", "--model", "i3d-kinetics-400", "--out", "y.npy", "p.png"];
    assert!(hint(&image, "i3d-kinetics-400").contains("models list"));
}

#[test]
fn a_number_that_a_flag_gave_is_told_by_its_flag_and_one_of_a_file_by_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let out = text(&out);
    let sim = ["sim", "world", "--out", out];
    for (arguments, told) in [
        (&["demo", "--out", out, "--tasks", "0"][..], "--tasks is 0; it must be at least 4"),
        (&["demo", "--out", out, "--latents", "1"], "--latents is 1; it must be at least 2"),
        (&["demo", "--out", out, "--videos", "1"], "--videos is 1; it must be at least 2"),
        (&[&sim[..], &["--tasks", "0", "--latents", "2", "--videos", "2"]].concat(), "--tasks = 0"),
        (&[&sim[..], &["--tasks", "4", "--latents", "1", "--videos", "2"]].concat(), "--latents = 1"),
        (&[&sim[..], &["--tasks", "4", "--latents", "2", "--videos", "0"]].concat(), "--videos = 0"),
        (&["plan", "--tasks", "9", "--tests", "0"], "--tests is 0; it must be at least 1"),
    ] {
        let (code, message) = failure(arguments);
        assert!(code == 1 && message.contains(told), "{arguments:?}: {message}");
        assert!(!message.contains("refine.") && !message.contains("tasks.world"), "{message}");
    }
    let path = folder.path().join("experiment.toml");
    let world = "[tasks.world]\nkind = 'realm'\ntasks = ";
    for (written, told) in [
        (format!("out = 'r'\n{world}0"), "tasks.world.tasks is 0; it must be at least 4"),
        (format!("out = 'r'\n{world}4\n[refine]\nlatents = 1"), "refine.latents is 1; it must be at least 2"),
        (format!("out = 'r'\npresets = []\n{world}4"), "presets is empty"),
    ] {
        fs::write(&path, written).unwrap();
        let (code, message) = failure(&["run", text(&path)]);
        assert!(code == 1 && message.contains(told) && !message.contains("--"), "{message}");
    }
}
