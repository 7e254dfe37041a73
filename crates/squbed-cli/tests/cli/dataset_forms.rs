//! `squbed dataset import|validate|export`: the forms of other programs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use squbed::core::Task;

use crate::{ended, json as run_json, squbed, text};

const MADE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/video/made");

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// A real clip under another name.
    fn clip(&self, name: &str, of: &str) -> PathBuf {
        self.write(name, fs::read(Path::new(MADE).join(of)).unwrap())
    }

    fn import(&self, source: &Path, more: &[&str]) -> (Value, Vec<Task>) {
        let out = self.path("imported/tasks.jsonl");
        let words = ["dataset", "import", text(source), "--out", text(&out), "--format", "json"];
        let record = run_json(&[&words[..], more].concat());
        (record, squbed::store::read_tasks(&out).unwrap())
    }

    fn refused(&self, source: &Path, more: &[&str]) -> String {
        let out = self.path("refused/tasks.jsonl");
        let words = ["dataset", "import", text(source), "--out", text(&out)];
        let (code, stdout, message) = ended(squbed(&[&words[..], more].concat()));
        assert!(code == 1 && stdout.is_empty() && !out.exists(), "{code} {message}");
        message
    }
}

/// The columns of Panda-70M's files, written by pandas: lists of Python in a cell.
const PANDA: &str = r#"videoID,url,timestamp,caption,matching_score,desirable_filtering,shot_boundary_detection
--007lBq0AE,https://www.youtube.com/watch?v=--007lBq0AE,"[['0:00:23.989', '0:00:26.024'], ['0:00:26.526', '0:00:31.447']]","['A person is holding a dog\'s leash.', ""It's a red car, parked \""outside\"".""]","[0.4365234375, 0.513671875]","['desirable', '2_tiny_camera_movement']","[[['0:00:00.000', '0:00:02.035']], [['0:00:00.000', '0:00:04.921']]]"
abc_DEF-123,https://www.youtube.com/watch?v=abc_DEF-123,"[['0:00:01.000', '0:00:02.000']]","['one', 'two']","[0.5]","['desirable']","[[['0:00:00.000', '0:00:01.000']]]"
xyz,https://www.youtube.com/watch?v=xyz,"[['0:00:01.000', '0:00:02.000']]","[__import__('os').system('true')]","[0.5]","['desirable']","[[['0:00:00.000', '0:00:01.000']]]"
"#;

#[test]
fn panda_70m_gives_a_task_a_clip() {
    let place = Place::new();
    let source = place.write("panda70m_testing.csv", PANDA);
    let clip = place.clip("clips/00000/--007lBq0AE_00001.mp4", "h264-bframes.mp4");
    let (record, tasks) =
        place.import(&source, &["--videos", text(&place.path("clips")), "--dataset", "panda-70m"]);
    assert_eq!(record["form"], "panda-70m");
    assert_eq!(
        (&record["tasks"], &record["ground_truths"], &record["passed_over"]),
        (&json!(2), &json!(1), &json!(2))
    );
    let ids: Vec<&str> = tasks.iter().map(|task| task.id.as_str()).collect();
    assert_eq!(ids, ["--007lBq0AE_00000", "--007lBq0AE_00001"]);
    assert_eq!(tasks[0].prompt, "A person is holding a dog's leash.");
    assert_eq!(tasks[1].prompt, "It's a red car, parked \"outside\".");
    assert_eq!(tasks[1].ground_truth.as_ref().unwrap().canonicalize().unwrap(), clip.canonicalize().unwrap());
    assert_eq!(tasks[0].dataset.as_deref(), Some("panda-70m"));
    let written: Value =
        serde_json::from_slice(&fs::read(place.path("imported/import.json")).unwrap()).unwrap();
    let reasons = written["passed_over"].to_string();
    assert!(reasons.contains("line 3") && reasons.contains("1 timestamps for 2 captions"), "{reasons}");
    assert!(reasons.contains("line 4") && reasons.contains("no literal"), "{reasons}");
    // Two clips of one name are not chosen between.
    place.clip("clips/00001/--007lBq0AE_00001.mp4", "odd.mp4");
    let message = place.refused(&source, &["--videos", text(&place.path("clips"))]);
    assert!(message.contains("both") && message.contains("--007lBq0AE_00001"), "{message}");
    let message = place.refused(&place.write("x.csv", "a,b\n1,2\n"), &["--form", "panda-70m"]);
    assert!(message.contains("no column `videoID`") && message.contains("a, b"), "{message}");
}

#[test]
fn vidgen_1m_and_lists_give_a_task_a_row() {
    let place = Place::new();
    let rows = json!([
        {"vid": "-0_1CsNgwTA-Scene-0014", "caption": "The video shows a man."},
        {"vid": "b", "caption": " "},
        {"vid": "c", "caption": "A cat."},
    ]);
    let source = place.write("VidGen_1M_video_caption.json", rows.to_string());
    place.clip("v/c.mp4", "h264-bframes.mp4");
    let (record, tasks) = place.import(&source, &["--videos", text(&place.path("v"))]);
    assert_eq!((&record["form"], &record["passed_over"]), (&json!("vidgen-1m"), &json!(1)));
    assert_eq!((tasks[0].id.as_str(), tasks[1].ground_truth.is_some()), ("-0_1CsNgwTA-Scene-0014", true));
    assert_eq!(place.import(&source, &["--limit", "1"]).1.len(), 1);

    let source = place.write("prompts.txt", "\u{feff}a cat\n\n  a dog  \n");
    let (_, tasks) = place.import(&source, &[]);
    let prompts: Vec<(&str, &str)> = tasks.iter().map(|t| (t.id.as_str(), t.prompt.as_str())).collect();
    assert_eq!(prompts, [("000001", "a cat"), ("000003", "a dog")]);
    let rows = "id,prompt,category\nx,\"a cat, napping\",animals\ny,,food\nx,a dog,animals\n\"a\tb\",a bird,animals\n";
    let source = place.write("list.csv", rows);
    let (record, tasks) = place.import(&source, &[]);
    assert_eq!((tasks[0].prompt.as_str(), tasks[0].category.as_deref()), ("a cat, napping", Some("animals")));
    // Without a prompt, with the id of another, and with one that no file can have.
    assert_eq!((tasks.len(), &record["passed_over"]), (1, &json!(3)));

    let message = place.refused(&place.write("x.bin", "x"), &[]);
    assert!(message.contains("no known form") && message.contains("--form"), "{message}");
    let message = place.refused(&place.write("y.json", "{}"), &[]);
    assert!(message.contains("y.json") && message.contains("vidgen-1m"), "{message}");
    let message = place.refused(&place.write("z.txt", "\n\n"), &[]);
    assert!(message.contains("holds no task"), "{message}");
}

fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        // As an archiver does that checks nothing.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        archive.append(&header, *bytes).unwrap();
    }
    archive.into_inner().unwrap()
}

#[test]
fn webdataset_archives_are_unpacked_and_lead_nowhere_else() {
    let place = Place::new();
    let clip = fs::read(Path::new(MADE).join("h264-bframes.mp4")).unwrap();
    let json = br#"{"caption": "a dog", "category": "animals"}"#;
    place.write("shards/00000.tar", tar(&[("a/0001.mp4", &clip), ("a/0001.txt", b"a cat\n")]));
    place.write(
        "shards/00001.tar",
        tar(&[
            ("../../../evil.txt", b"a door"),
            ("../../../evil.mp4", &clip),
            ("x.json", json),
            ("x.mp4", &clip),
            ("y.txt", b"no video"),
            ("z.mp4", &clip),
        ]),
    );
    let (record, tasks) = place.import(&place.path("shards"), &[]);
    assert_eq!(
        (&record["tasks"], &record["ground_truths"], &record["passed_over"]),
        (&json!(3), &json!(3), &json!(2))
    );
    let found: Vec<_> = tasks.iter().map(|t| (t.prompt.as_str(), t.category.as_deref())).collect();
    assert_eq!(found, [("a cat", None), ("a door", None), ("a dog", Some("animals"))]);
    for task in &tasks {
        let video = task.ground_truth.as_ref().unwrap();
        assert_eq!(video.parent().unwrap(), place.path("imported/videos"), "{video:?}");
        assert_eq!(fs::read(video).unwrap(), clip);
    }
    let whole = fs::read(place.path("shards/00000.tar")).unwrap();
    let cut = place.write("cut.tar", &whole[..1000]);
    let message = place.refused(&cut, &[]);
    assert!(message.contains("cut.tar"), "{message}");
    let left: Vec<_> = fs::read_dir(place.path("refused/videos")).into_iter().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_video_folder_stays_in_its_folder() {
    let place = Place::new();
    place.clip("set/v/a.mp4", "h264-bframes.mp4");
    place.clip("outside.mp4", "h264-bframes.mp4");
    let rows =
        "{\"file_name\": \"v/a.mp4\", \"text\": \"a cat\"}\n{\"file_name\": \"v/b.mp4\", \"text\": \"b\"}\n";
    place.write("set/metadata.jsonl", rows);
    let (record, tasks) = place.import(&place.path("set"), &[]);
    assert_eq!((&record["form"], &record["passed_over"]), (&json!("video-folder"), &json!(1)));
    assert_eq!((tasks[0].id.as_str(), tasks[0].prompt.as_str()), ("v_a", "a cat"));
    for name in ["../outside.mp4", "/etc/hostname", ""] {
        place.write("set/metadata.jsonl", json!({"file_name": name, "text": "x"}).to_string());
        let message = place.refused(&place.path("set"), &[]);
        assert!(message.contains("line 1") && message.contains("file_name"), "{message}");
    }
    fs::remove_file(place.path("set/metadata.jsonl")).unwrap();
    let message = place.refused(&place.path("set"), &["--form", "video-folder"]);
    assert!(message.contains("classes, not prompts"), "{message}");
}

/// Two tasks, with words in their ids that readers take for parts of a data set.
fn tasks(place: &Place) -> PathBuf {
    let clip = |name: &str, of: &str| text(&place.clip(name, of)).to_owned();
    let task = |id: &str, truth: Option<String>| {
        let videos = |l: usize| {
            [
                clip(&format!("in/{id}-{l}-0.mp4"), "h264-bframes.mp4"),
                clip(&format!("in/{id}-{l}-1.mp4"), "two-by-two.mp4"),
            ]
        };
        json!({"id": id, "prompt": "a “cat”, | and more", "category": "animals", "ground_truth": truth, "latents": [
            {"prompt": "a grey cat", "videos": videos(0)}, {"prompt": "a black cat", "videos": videos(1)},
        ]})
    };
    let truth = clip("in/truth.mp4", "odd.mp4");
    place.write("in/tasks.jsonl", format!("{}\n{}\n", task("test/ä", Some(truth)), task("val", None)))
}

#[test]
fn an_export_comes_back_as_it_was() {
    let place = Place::new();
    let tasks = tasks(&place);
    let given = squbed::store::read_tasks(&tasks).unwrap();
    for (form, more) in [("video-folder", &[][..]), ("webdataset", &["--clips-per-shard", "4"][..])] {
        let out = place.path(form);
        let words =
            ["dataset", "export", text(&tasks), "--form", form, "--license", "cc-by-4.0", "--name", "Cats"];
        let record = run_json(&[&words[..], &["--out", text(&out), "--format", "json"], more].concat());
        assert_eq!((&record["generated"], &record["ground_truths"]), (&json!(8), &json!(1)));
        assert_eq!(record["shards"], if form == "webdataset" { 3 } else { 0 });
        let card = fs::read_to_string(out.join("README.md")).unwrap();
        assert!(card.starts_with("---\npretty_name: \"Cats\"\nlicense: \"cc-by-4.0\"\n"), "{card}");
        assert!(card.contains("| animals | 2 |") && card.contains("| generated videos | 8 |"), "{card}");

        let (_, back) = place.import(&out, &[]);
        assert_eq!(back.len(), given.len());
        for (back, given) in back.iter().zip(&given) {
            let bytes = |t: &Task| -> Vec<Vec<u8>> {
                let generated = t.latents.iter().flat_map(|z| &z.videos);
                t.ground_truth.iter().chain(generated).map(|path| fs::read(path).unwrap()).collect()
            };
            assert!(bytes(back) == bytes(given), "{form}: other videos");
            let words = |t: &Task| {
                let latents: Vec<String> = t.latents.iter().map(|z| z.prompt.clone()).collect();
                (t.id.clone(), t.prompt.clone(), t.category.clone(), latents)
            };
            assert_eq!(words(back), words(given));
        }
        let again = [&words[..], &["--out", text(&out)]].concat();
        let (code, _, message) = ended(squbed(&again));
        assert!(code == 1 && message.contains("not empty"), "{message}");
    }
}

#[test]
fn what_is_unfit_is_told() {
    let place = Place::new();
    let tasks = tasks(&place);
    let words = ["dataset", "validate", text(&tasks), "--format", "json"];
    let (code, stdout, message) = ended(squbed(&words));
    let found: Value = serde_json::from_str(&stdout).unwrap();
    // Of each latent prompt's two videos one is of another size.
    assert!(code == 3, "{code} {stdout} {message}");
    let count = |part: &str| {
        let problems = found["problems"].as_array().unwrap().iter();
        problems.filter(|row| row["problem"].as_str().unwrap().contains(part)).count()
    };
    assert_eq!(count("most of its task are"), 4, "{stdout}");
    // The two latent prompts of each task have the same two videos.
    assert_eq!(count("the same content under several latent prompts"), 4, "{stdout}");
    assert_eq!(found["problems"].as_array().unwrap().len(), 8, "{stdout}");

    let of = |name: &str| fs::copy(place.path("in/val-0-0.mp4"), place.path(name)).unwrap();
    for name in ["in/val-0-1.mp4", "in/val-1-1.mp4", "in/test/ä-0-1.mp4", "in/test/ä-1-1.mp4"] {
        of(name);
    }
    place.write("in/val-1-0.mp4", "no video");
    fs::remove_file(place.path("in/truth.mp4")).unwrap();
    let (code, stdout, _) = ended(squbed(&["dataset", "validate", text(&tasks), "--format", "jsonl"]));
    assert_eq!(code, 3);
    let problems: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told =
        |part: &str| problems.iter().filter(|row| row["problem"].as_str().unwrap().contains(part)).count();
    // The two of each latent prompt are the same file's copies now, but where one was spoilt.
    assert_eq!(told("the same content more than once"), 3, "{stdout}");
    assert!(
        problems.iter().any(|row| row["video"].as_str().is_some_and(|v| v.ends_with("truth.mp4"))),
        "{stdout}"
    );
    assert!(
        problems.iter().any(|row| row["video"].as_str().is_some_and(|v| v.ends_with("val-1-0.mp4"))),
        "{stdout}"
    );
}
