//! `squbed embed`: inputs as files, patterns, folders and lists, outputs in each form.

use std::{
    collections::HashMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};
use squbed::store::{read_npy, read_safetensors, write_npy};

use crate::{ended, squbed, text};

/// Numbers in an embedding of the small model.
const DIM: usize = 6;

/// A folder with pictures and a small CLIP of 32×32 pixels, whose tower of images is all it has.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        let manifest = format!(
            r#"
            manifest = 1
            name = "tiny"
            architecture = "clip"
            licence = "MIT"
            citation = {{ text = "nobody" }}
            embedding = {{ width = {DIM}, what = "nothing" }}
            files = [
                {{ path = "model.safetensors", sha256 = "unverified" }},
                {{ path = "config.json", sha256 = "unverified" }},
            ]
            [input]
            kind = "image-text"
            preprocessing = "tiny/1"
            max_tokens = 77
            sampling = "uniform:2"
            side = 32
            filter = "bicubic"
            crop_rule = "floor"
            mean = [0.5, 0.5, 0.5]
            std = [0.5, 0.5, 0.5]
            "#
        );
        place.write("manifests/tiny/model.toml", manifest.as_bytes());
        let config = json!({
            "projection_dim": DIM,
            "text_config": {},
            "vision_config": {
                "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
                "image_size": 32, "patch_size": 16,
            },
        });
        place.write("home/models/tiny/config.json", config.to_string().as_bytes());
        place.write("home/models/tiny/model.safetensors", &weights());
        for (name, grey) in [("pictures/p10.png", 10), ("pictures/p9.png", 90), ("pictures/deep/q.png", 200)]
        {
            place.picture(name, grey);
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn picture(&self, name: &str, grey: u8) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // Not of one colour, whose embedding would be that of no picture at all.
        image::RgbImage::from_fn(40, 32, |x, y| image::Rgb([grey, (x * 6) as u8, (y * 5) as u8]))
            .save(path)
            .unwrap();
    }

    /// `squbed embed` in the folder with the small model.
    fn command(&self, kind: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_squbed"));
        command
            .args(["embed", kind, "--model", "tiny"])
            .args(arguments)
            .env("SQUBED_HOME", self.path("home"))
            .env("SQUBED_MODELS", self.path("manifests"))
            .current_dir(self.folder.path());
        command
    }

    /// `squbed embed image`.
    fn embed(&self, arguments: &[&str], stdin: &[u8]) -> Output {
        self.embed_kind("image", arguments, stdin)
    }

    fn embed_kind(&self, kind: &str, arguments: &[&str], stdin: &[u8]) -> Output {
        let mut child = self
            .command(kind, arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // One that reads no stdin may be gone already.
        let _ = child.stdin.take().unwrap().write_all(stdin);
        child.wait_with_output().unwrap()
    }

    /// Keys and embeddings of these inputs, which must succeed, or end with 3 where `failed`.
    fn lines(&self, inputs: &[&str], stdin: &[u8], failed: bool) -> Vec<(String, Option<Vec<f32>>)> {
        let output = self.embed(&[inputs, &["--out", "y.jsonl"]].concat(), stdin);
        let (code, _, message) = ended(output);
        assert_eq!(code, if failed { 3 } else { 0 }, "{message}");
        let row = |line: &str| {
            let row: Value = serde_json::from_str(line).unwrap();
            (
                row["key"].as_str().unwrap().to_owned(),
                serde_json::from_value(row["embedding"].clone()).unwrap(),
            )
        };
        fs::read_to_string(self.path("y.jsonl")).unwrap().lines().map(row).collect()
    }

    fn keys(&self, inputs: &[&str], stdin: &[u8]) -> Vec<String> {
        self.lines(inputs, stdin, false).into_iter().map(|(key, _)| key).collect()
    }
}

/// The tensors of the small tower.
fn weights() -> Vec<u8> {
    let mut tensors: Vec<(String, Vec<usize>)> = vec![
        ("vision_model.embeddings.patch_embedding.weight".to_owned(), vec![8, 3, 16, 16]),
        ("vision_model.embeddings.class_embedding".to_owned(), vec![8]),
        ("vision_model.embeddings.position_embedding.weight".to_owned(), vec![5, 8]),
        ("visual_projection.weight".to_owned(), vec![DIM, 8]),
    ];
    let layer = "encoder.layers.0";
    let norms =
        ["pre_layrnorm", "post_layernorm", &format!("{layer}.layer_norm1"), &format!("{layer}.layer_norm2")]
            .map(|norm| (norm.to_owned(), vec![8]));
    let linear = |name: &str, output, input| (format!("{layer}.{name}"), vec![output, input]);
    let maps =
        ["q_proj", "k_proj", "v_proj", "out_proj"].map(|map| linear(&format!("self_attn.{map}"), 8, 8));
    let maps = maps.into_iter().chain([linear("mlp.fc1", 16, 8), linear("mlp.fc2", 8, 16)]);
    for (name, shape) in norms.into_iter().chain(maps) {
        tensors.push((format!("vision_model.{name}.bias"), vec![shape[0]]));
        tensors.push((format!("vision_model.{name}.weight"), shape));
    }
    let number = |i: usize| ((i * 7919 + 13) % 1009) as f32 / 1009.0 - 0.4;
    let bytes: HashMap<String, Vec<u8>> = tensors
        .iter()
        .map(|(name, shape)| {
            let count = shape.iter().product::<usize>();
            (name.clone(), (0..count).flat_map(|i| number(i + 31 * name.len()).to_le_bytes()).collect())
        })
        .collect();
    let views = tensors.iter().map(|(name, shape)| {
        let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), &bytes[name]);
        (name.clone(), view.unwrap())
    });
    safetensors::serialize(views, None).unwrap()
}

#[test]
fn pictures_are_named_by_file_pattern_folder_and_list_in_the_order_given() {
    let place = Place::new();
    assert_eq!(place.keys(&["pictures"], b""), ["pictures/p9.png", "pictures/p10.png"]);
    let all = ["pictures/deep/q.png", "pictures/p9.png", "pictures/p10.png"];
    assert_eq!(place.keys(&["pictures/**/*.png"], b""), all);
    // The same one twice keeps both rows.
    let given = ["pictures/p10.png", "pictures/deep", "pictures/p10.png"];
    assert_eq!(place.keys(&given, b""), ["pictures/p10.png", all[0], "pictures/p10.png"]);
    let list = b"pictures/p10.png\n./pictures/deep/q.png\n";
    let listed = ["pictures/p9.png", "pictures/p10.png", "./pictures/deep/q.png"];
    assert_eq!(place.keys(&["pictures/p9.png", "-"], list), listed);
    assert_eq!(place.keys(&["-"], b"pictures/p10.png\0pictures/p9.png\0"), ["pictures/p10.png", all[1]]);
    for (inputs, stdin, part) in [
        (&["-"][..], &b"\n"[..], "the list on stdin is empty"),
        (&["-", "-"], list, "stdin is named twice"),
        (&["home"], b"", "the folder home holds no picture file"),
        (&["*.bmp"], b"", "no file matches `*.bmp`"),
    ] {
        let (code, _, message) = ended(place.embed(&[inputs, &["--out", "y.npy"]].concat(), stdin));
        assert!(code == 1 && message.contains(part), "{inputs:?}: {message}");
    }
}

#[test]
fn a_picture_that_fails_keeps_its_row_in_every_form() {
    let place = Place::new();
    place.write("broken.png", b"no picture");
    let inputs = ["pictures/p9.png", "broken.png", "nowhere.png", "pictures/p10.png"];
    let lines = place.lines(&inputs, b"", true);
    let there: Vec<bool> = lines.iter().map(|(_, row)| row.is_some()).collect();
    assert_eq!(there, [true, false, false, true]);
    assert_ne!(lines[0].1, lines[3].1);
    for (_, row) in &lines {
        let Some(row) = row else { continue };
        let norm: f32 = row.iter().map(|x| x * x).sum::<f32>().sqrt();
        assert!(row.len() == DIM && (norm - 1.0).abs() < 1e-5, "{row:?}");
    }
    let failures = fs::read_to_string(place.path("failures.jsonl")).unwrap();
    assert!(failures.lines().count() == 2 && failures.contains("nowhere.png"), "{failures}");

    let write = |out: &str| {
        let (code, _, message) = ended(place.embed(&[&inputs[..], &["--out", out]].concat(), b""));
        assert!(code == 3 && message.contains("2 item(s) failed"), "{message}");
        place.path(out)
    };
    let expected: Vec<f64> =
        lines.iter().flat_map(|(_, row)| row.clone().unwrap_or(vec![f32::NAN; DIM])).map(f64::from).collect();
    let same = |got: Vec<f64>| {
        got.len() == expected.len()
            && got.iter().zip(&expected).all(|(a, b)| a == b || a.is_nan() && b.is_nan())
    };
    assert!(same(read_npy(&write("y.npy")).unwrap().to_f64()));
    assert!(same(read_safetensors(&write("y.safetensors"), Some("embeddings")).unwrap().to_f64()));
    let document: Value = serde_json::from_slice(&fs::read(write("y.json")).unwrap()).unwrap();
    assert_eq!((&document[1]["key"], &document[1]["embedding"]), (&json!("broken.png"), &Value::Null));
    assert!(fs::read(write("y.parquet")).unwrap().starts_with(b"PAR1"));
    let (code, _, message) = ended(place.embed(&["broken.png", "--out", "none.npy"], b""));
    assert!(code == 1 && message.contains("none of the 1 image(s) could be embedded"), "{message}");
    assert!(
        message.contains("broken.png") && message.contains("failures.jsonl lists all 1 failure(s)"),
        "{message}"
    );
    assert!(!place.path("none.npy").exists());
}

#[test]
fn a_picture_beyond_the_limit_fails_with_the_flag_that_raises_it() {
    let place = Place::new();
    // 40 x 32 pixels.
    let (code, _, message) = ended(place.embed(&["pictures", "--out", "y.npy", "--max-pixels", "1279"], b""));
    assert!(code == 1 && message.contains("the limit is 1279"), "{message}");
    let failures = fs::read_to_string(place.path("failures.jsonl")).unwrap();
    assert!(failures.contains("the limit is 1279") && failures.contains("--max-pixels"), "{failures}");
    let (code, _, message) = ended(place.embed(&["pictures", "--out", "y.npy", "--max-pixels", "1280"], b""));
    assert_eq!(code, 0, "{message}");
}

#[test]
fn files_say_what_made_the_embeddings() {
    let place = Place::new();
    let (code, _, message) = ended(place.embed(&["pictures", "--out", "y.json"], b""));
    assert_eq!(code, 0, "{message}");
    let rows: Value = serde_json::from_slice(&fs::read(place.path("y.json")).unwrap()).unwrap();
    let digest = squbed::models::sha256(&weights());
    assert_eq!(
        rows[1]["encoder"],
        json!({
            "name": "tiny", "weights_sha256": digest, "preprocessing": "tiny/1", "sampling": "",
            "head": "image", "dtype": "f32", "dim": DIM,
        })
    );
}

#[test]
fn frames_one_by_one_are_those_of_the_pictures_and_their_mean_is_the_video() {
    let place = Place::new();
    // A folder of frames is a video; of four `uniform:2` takes the second and the fourth.
    for (i, grey) in [20, 60, 140, 230].into_iter().enumerate() {
        place.picture(&format!("clips/a/{i}.png"), grey);
        place.picture(&format!("clips/b/{i}.png"), 255 - grey);
    }
    let videos = ["clips/a", "clips/none", "clips/b", "--cache", "cache"];
    let video = |more: &[&str]| {
        let (code, _, message) = ended(place.embed_kind("video", &[&videos, more].concat(), b""));
        assert_eq!(code, 3, "{message}");
    };
    video(&["--out", "frames.npy", "--per-frame"]);
    video(&["--out", "means.npy"]);
    let frames = read_npy(&place.path("frames.npy")).unwrap();
    assert_eq!(frames.shape(), [3, 2, DIM]);
    let frames: Vec<Vec<f64>> = frames.to_f64().chunks(DIM).map(<[f64]>::to_vec).collect();
    assert!(frames[2..4].iter().flatten().all(|x| x.is_nan()));
    let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
    let pictures = ["clips/a/1.png", "clips/a/3.png", "clips/b/1.png", "clips/b/3.png"];
    let pictures = place.lines(&pictures, b"", false);
    for (frame, (key, row)) in [0, 1, 4, 5].into_iter().zip(&pictures) {
        let row: Vec<f64> = row.as_ref().unwrap().iter().map(|&x| x.into()).collect();
        assert!(near(&frames[frame], &row), "{key}");
    }
    let means = read_npy(&place.path("means.npy")).unwrap().to_f64();
    for (pair, mean) in frames.chunks(2).zip(means.chunks(DIM)).step_by(2) {
        let sum: Vec<f64> = pair[0].iter().zip(&pair[1]).map(|(a, b)| a + b).collect();
        let norm = sum.iter().map(|x| x * x).sum::<f64>().sqrt();
        assert!(near(mean, &sum.iter().map(|x| x / norm).collect::<Vec<_>>()));
    }

    // As a table, and from the cache, which keeps frames and means apart.
    video(&["--out", "frames.jsonl", "--per-frame"]);
    let rows: Vec<Value> = fs::read_to_string(place.path("frames.jsonl"))
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let keys: Vec<_> = rows.iter().map(|row| json!([row["key"], row["frame"]])).collect();
    let expected =
        ["clips/a", "clips/none", "clips/b"].map(|key| [json!([key, 0]), json!([key, 1])]).concat();
    assert_eq!(keys, expected);
    let row: Vec<f64> = serde_json::from_value(rows[5]["embedding"].clone()).unwrap();
    assert!(near(&row, &frames[5]) && rows[2]["embedding"].is_null());
    let encoder = &rows[0]["encoder"];
    assert_eq!(
        [&encoder["head"], &encoder["sampling"], &encoder["dim"]],
        [&json!("image of each frame"), &json!("uniform:2/3"), &json!(DIM)]
    );

    let whole = ["embed", "video", "--model", "i3d-kinetics-400", "--per-frame", "--out", "y.npy", "v.mp4"];
    let (code, message) = crate::failure(&whole);
    assert!(code == 1 && message.contains("one embedding for all frames of a clip"), "{message}");
    let (code, _, message) = ended(place.embed(&["--per-frame", "pictures", "--out", "y.npy"], b""));
    assert!(code == 1 && message.contains("--per-frame"), "{message}");
}

#[test]
fn a_cache_keeps_what_is_embedded_and_takes_what_is_new() {
    let place = Place::new();
    let inputs = ["pictures", "--cache", "cache"];
    let parts = || {
        let of_encoder = fs::read_dir(place.path("cache")).unwrap().next().unwrap().unwrap().path();
        fs::read_dir(of_encoder).unwrap().count()
    };
    let first = place.lines(&inputs, b"", false);
    assert_eq!(parts(), 1);
    assert_eq!(place.lines(&inputs, b"", false), first);
    assert_eq!(parts(), 1, "what is there is not written again");
    place.picture("pictures/p11.png", 11);
    let more = place.lines(&inputs, b"", false);
    assert_eq!((more.len(), &more[..2], parts()), (3, &first[..], 2));
    // Another content under a known name is another picture.
    place.picture("pictures/p9.png", 250);
    let changed = place.lines(&inputs, b"", false);
    assert!(changed[0].1 != first[0].1 && changed[1..] == more[1..]);
}

/// A video of one frame, unlike all others.
fn clip(place: &Place, i: usize) {
    let path = place.path(&format!("clips/{i}/0.png"));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let pixel =
        |x: u32, y: u32| image::Rgb([(i % 256) as u8, (x * 6) as u8, (y * 5 + (i / 256) as u32) as u8]);
    image::RgbImage::from_fn(40, 32, pixel).save(path).unwrap();
}

/// What a cache holds by the folders of its encoders: each part, and its bytes.
fn parts(cache: &Path) -> Vec<Vec<(PathBuf, Vec<u8>)>> {
    let entries = |folder: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.is_dir() || is_part(path)).collect()
    };
    let of = |folder: &PathBuf| -> Vec<(PathBuf, Vec<u8>)> {
        entries(folder).into_iter().map(|part| (part.clone(), fs::read(part).unwrap())).collect()
    };
    entries(cache).iter().map(of).filter(|parts| !parts.is_empty()).collect()
}

fn is_part(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("part-"))
}

/// Files that a process left under temporary names.
fn leftovers(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let of = |path: PathBuf| match path.is_dir() {
        true => leftovers(&path),
        false if path.extension().is_some_and(|ending| ending == "tmp") => vec![path],
        false => Vec::new(),
    };
    entries.flat_map(of).collect()
}

/// Killed between the cache's first part and its last: what is written by then is kept and not done again, and the next
/// call ends with the embeddings of one that nobody killed.
#[test]
fn videos_killed_with_a_cache_filled_in_part_go_on_to_the_same_embeddings() {
    const CLIPS: usize = 700;
    let place = Place::new();
    (0..CLIPS).for_each(|i| clip(&place, i));
    let arguments = |cache: &'static str, out: &'static str| ["clips/*", "--cache", cache, "--out", out];
    let run = |cache, out| {
        let (code, _, message) = ended(place.command("video", &arguments(cache, out)).output().unwrap());
        assert_eq!((code, message.as_str()), (0, ""));
        fs::read(place.path(out)).unwrap()
    };
    let whole = run("whole", "whole.npy");
    // Right after the first part of the embeddings, and once that of their colour histograms is there as well.
    for (encoders, cache, out) in [(1, "early", "early.npy"), (2, "late", "late.npy")] {
        let mut child = place
            .command("video", &arguments(cache, out))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while parts(&place.path(cache)).len() < encoders {
            assert!(child.try_wait().unwrap().is_none(), "it ended before it could be killed");
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!place.path(out).exists(), "it was killed after its end");
        let before = parts(&place.path(cache)).concat();
        assert_eq!(run(cache, out), whole, "{cache}");
        let after = parts(&place.path(cache)).concat();
        assert!(before.iter().all(|part| after.contains(part)), "{cache}: a part was changed");
        assert!(leftovers(place.folder.path()).is_empty(), "{:?}", leftovers(place.folder.path()));
        // A third call has nothing left to do.
        assert_eq!(run(cache, out), whole);
        assert_eq!(parts(&place.path(cache)).concat().len(), after.len());
    }
    rows_are_there_once(&place, CLIPS);
}

/// Of the cache whose writer was killed between parts, each clip has one row of each encoder.
fn rows_are_there_once(place: &Place, clips: usize) {
    use squbed::{
        models::ModelStore,
        store::EmbeddingCache,
        tensor::{DType, Device},
    };
    let store = ModelStore::with_manifests(place.path("home"), &[place.path("manifests")]).unwrap();
    let encoder = store.video_encoder("tiny", &Device::Cpu, DType::F32).unwrap();
    let cache = EmbeddingCache::open(&place.path("late"), encoder.identity()).unwrap();
    assert_eq!(cache.len(), clips);
    let single = |part: PathBuf| {
        let home = tempfile::tempdir().unwrap();
        let alone = home.path().join(cache.folder().file_name().unwrap());
        fs::create_dir(&alone).unwrap();
        fs::copy(&part, alone.join(part.file_name().unwrap())).unwrap();
        EmbeddingCache::open(home.path(), encoder.identity()).unwrap().len()
    };
    let entries = fs::read_dir(cache.folder()).unwrap().map(|entry| entry.unwrap().path());
    assert_eq!(entries.filter(|path| is_part(path)).map(single).sum::<usize>(), clips);
}

#[test]
fn an_output_of_another_form_is_refused_before_any_work() {
    let place = Place::new();
    for out in ["y.csv", "y"] {
        let (code, _, message) = ended(place.embed(&["pictures", "--out", out], b""));
        assert!(code == 1 && message.contains(".safetensors, .parquet, .json or .jsonl"), "{message}");
    }
}

#[test]
fn sentences_come_from_files_and_tensors_from_safetensors() {
    const MODEL: &str = "all-MiniLM-L6-v2";
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("prompts")).unwrap();
    fs::write(path("prompts/10.txt"), "a cat\n\n").unwrap();
    fs::write(path("prompts/9.txt"), "a dog\n").unwrap();
    fs::write(path("notes.md"), "a bird").unwrap();
    let embed = |inputs: &[&Path], out: &Path| {
        let inputs: Vec<&str> = inputs.iter().map(|path| text(path)).collect();
        let options = ["embed", "text", "--model", MODEL, "--out", text(out)];
        let (code, _, message) = ended(squbed(&[&options[..], &inputs].concat()));
        assert_eq!((code, message.as_str()), (0, ""));
    };
    let json = path("y.json");
    embed(&[&path("notes.md"), &path("prompts")], &json);
    let rows: Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    let keys: Vec<&str> = rows.as_array().unwrap().iter().map(|row| row["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["a bird", "a dog", "a cat", ""]);
    let of_text = rows[0]["encoder"].clone();
    assert_eq!((&of_text["name"], &of_text["dim"]), (&json!(MODEL), &json!(384)));
    let (code, _, message) =
        ended(squbed(&["embed", "text", "--model", MODEL, "--out", text(&json), text(&path("nowhere.txt"))]));
    assert!(code == 1 && message.contains("nowhere.txt"), "{message}");

    let ids: Vec<u8> = [101i64, 2003, 102].iter().flat_map(|id| id.to_le_bytes()).collect();
    let view = safetensors::tensor::TensorView::new(safetensors::Dtype::I64, vec![1, 3], &ids).unwrap();
    let tensors = path("ids.safetensors");
    fs::write(&tensors, safetensors::serialize([("ids", view)], None).unwrap()).unwrap();
    let array = read_safetensors(&tensors, None).unwrap();
    write_npy(&path("ids.npy"), &array).unwrap();
    let embedded = |x: &Path| {
        let out = path("e.npy");
        let options = ["embed", "text", "--model", MODEL, "--tensor", text(x), "--out", text(&out)];
        let (code, _, message) = ended(squbed(&options));
        assert_eq!((code, message.as_str()), (0, ""));
        read_npy(&out).unwrap()
    };
    assert_eq!(embedded(&tensors), embedded(&path("ids.npy")));

    // Of an input that came preprocessed the file says that, and which weights they were.
    let options = ["embed", "text", "--model", MODEL, "--tensor", text(&tensors), "--out", text(&json)];
    let (code, _, message) = ended(squbed(&options));
    assert_eq!((code, message.as_str()), (0, ""));
    let rows: Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    let mut expected = of_text;
    expected["preprocessing"] = json!("the user's own");
    assert_eq!(rows[0]["encoder"], expected);
}
