//! Lists of tasks.

use std::{
    fs,
    path::{Path, PathBuf},
};

use parquet::basic::Compression;
use proptest::prelude::*;
use squbed_core::{LatentPrompt, Task};
use squbed_store::{read_rows, read_tasks, write_tasks};

use crate::{compressed, golden, told};

fn task(id: &str, prompt: &str) -> Task {
    Task {
        id: id.into(),
        prompt: prompt.into(),
        dataset: None,
        category: None,
        ground_truth: None,
        latents: vec![],
    }
}

fn latent(prompt: &str, videos: &[&str], folder: &Path) -> LatentPrompt {
    LatentPrompt { prompt: prompt.into(), videos: videos.iter().map(|v| folder.join(v)).collect() }
}

/// Reads `text` as `tasks.jsonl`, and gives the error as told.
fn refused(text: impl AsRef<[u8]>) -> String {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("tasks.jsonl");
    fs::write(&path, text).unwrap();
    told(&read_tasks(&path).unwrap_err(), home.path())
}

#[test]
fn json_lines_are_read_with_paths_from_the_file() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("tasks.jsonl");
    let text = r#"{"id":"a","prompt":"a cat"}

  {"id":"b","prompt":"a dog","dataset":"vqa","category":"animals","ground_truth":"gt/b.mp4",
"#
    .replace(
        ",\n",
        r#","latents":[{"prompt":"a red dog","videos":["v/0.mp4","/abs/1.mp4"]},{"prompt":"z"}]}"#,
    );
    fs::write(&path, format!("\u{feff}{text}\r\n")).unwrap();
    let b = Task {
        dataset: Some("vqa".into()),
        category: Some("animals".into()),
        ground_truth: Some(home.path().join("gt/b.mp4")),
        latents: vec![
            latent("a red dog", &["v/0.mp4", "/abs/1.mp4"], home.path()),
            latent("z", &[], home.path()),
        ],
        ..task("b", "a dog")
    };
    assert_eq!(read_tasks(&path).unwrap(), [task("a", "a cat"), b]);
}

#[test]
fn a_line_that_is_no_task_is_named_with_column_value_and_remedy() {
    const REMEDY: &str = r#"; a row is one object {"id", "prompt", "dataset"?, "category"?, "ground_truth"?, "latents": [{"prompt", "videos": [path]}]}"#;
    let good = "{\"id\":\"a\",\"prompt\":\"x\"}\n\n";
    for (line, message) in [
        (r#"{"id":"b"}"#, "line 3, column 10: missing field `prompt`"),
        (r#"{"id":"b","prompt":7}"#, "line 3, column 20: invalid type: integer `7`, expected a string"),
        (
            r#"{"id":"b","prompt":"x","lattents":[]}"#,
            "line 3, column 33: unknown field `lattents`, expected one of `id`, `prompt`, `dataset`, \
             `category`, `ground_truth`, `latents`",
        ),
        (
            r#"{"id":"b","prompt":"x","latents":[{"prompt":"z","videos":"v.mp4"}]}"#,
            "line 3, column 64: invalid type: string \"v.mp4\", expected a sequence",
        ),
        (
            r#"{"id":"b","prompt":"x""#,
            "line 3, column 22: the row ends too early (EOF while parsing an object); it may be cut short",
        ),
        (r#"["b"]"#, "line 3, column 5: invalid length 1, expected struct Task with 6 elements"),
        ("tasks", "line 3, column 2: expected ident"),
        (r#"{"id":"b","prompt":"x"} {}"#, "line 3, column 25: trailing characters"),
    ] {
        assert_eq!(refused(format!("{good}{line}")), format!("`tasks.jsonl`, {message}{REMEDY}"), "{line}");
    }
    let message = refused(b"{\"id\":\"a\",\"prompt\":\"\xff\"}");
    assert!(message.starts_with("`tasks.jsonl`, line 1, column "), "{message}");
    assert!(message.contains("invalid unicode code point"), "{message}");
}

#[test]
fn tasks_that_cannot_be_used_are_refused_with_their_line() {
    for (text, message) in [
        (
            r#"{"id":"a","prompt":" "}"#,
            "`tasks.jsonl`, line 1: not a usable task; correct it or take it out: task `a` has an empty prompt",
        ),
        (
            "\n{\"id\":\"\",\"prompt\":\"x\"}",
            "`tasks.jsonl`, line 2: not a usable task; correct it or take it out: a task has an empty id",
        ),
        (
            r#"{"id":"a","prompt":"x","latents":[{"prompt":"y"},{"prompt":""}]}"#,
            "`tasks.jsonl`, line 1: not a usable task; correct it or take it out: task `a`: latent prompt 1 is empty",
        ),
        (
            "\n{\"id\":\"a\\u001b[2J\\n\",\"prompt\":\"x\"}",
            r#"`tasks.jsonl`, line 2: not a usable task; correct it or take it out: the task id "a\u{1b}[2J\n" has blanks at its ends or control characters, and ids become names of files and rows; write it without them"#,
        ),
        (
            r#"{"id":" a","prompt":"x"}"#,
            r#"`tasks.jsonl`, line 1: not a usable task; correct it or take it out: the task id " a" has blanks at its ends or control characters, and ids become names of files and rows; write it without them"#,
        ),
        (
            r#"{"id":"a","prompt":"x","latents":[{"prompt":"y","videos":["v.mp4"]},{"prompt":"z","videos":["v.mp4",""]}]}"#,
            "`tasks.jsonl`, line 1: not a usable task; correct it or take it out: task `a`: latents[1].videos[1] is an \
             empty path; name the video's file, or leave the entry out",
        ),
        (
            "{\"id\":\"a\",\"prompt\":\"x\"}\n{\"id\":\"b\",\"prompt\":\"x\",\"ground_truth\":\" \"}",
            "`tasks.jsonl`, line 2: not a usable task; correct it or take it out: task `b`: ground_truth is an empty \
             path; name the video's file, or leave the entry out",
        ),
        (
            r#"{"id":"a","prompt":"x","latents":[{"prompt":"y","videos":["v.mp4","w.mp4","./v.mp4"]}]}"#,
            "`tasks.jsonl`, line 1: not a usable task; correct it or take it out: task `a`: latents[0] has the video \
             `v.mp4` twice, which would count as two; name each file once",
        ),
        (
            "{\"id\":\"a\",\"prompt\":\"x\"}\n\n{\"id\":\"a\",\"prompt\":\"y\"}",
            "task id `a` is given twice, in `tasks.jsonl`, line 1 and in `tasks.jsonl`, line 3; give each task its own",
        ),
        (
            "\n",
            "`tasks.jsonl` holds no task; give JSON Lines or Parquet with one task a row, or a folder with one \
             folder a task",
        ),
    ] {
        assert_eq!(refused(text), message);
    }
    // A folder's name is its task's id.
    let home = tempfile::tempdir().unwrap();
    lay(home.path(), &[("a /prompt.txt", "x")]);
    let error = told(&read_tasks(home.path()).unwrap_err(), home.path());
    assert!(error.starts_with("`a `: not a usable task") && error.contains(r#""a ""#), "{error}");
    let error = read_tasks(Path::new("no/such/tasks.jsonl")).unwrap_err();
    assert_eq!(error.to_string(), "cannot read `no/such/tasks.jsonl`");
}

fn lay(root: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

#[test]
fn a_folder_tree_is_read_in_natural_order() {
    let home = tempfile::tempdir().unwrap();
    lay(
        home.path(),
        &[
            ("README.md", "no task"),
            (".git/config", ""),
            ("task_10/prompt.txt", "ten"),
            ("task_9/prompt.txt", " a cat\n"),
            ("task_9/ground_truth.mp4", ""),
            ("task_9/latent_10/prompt.txt", "z10"),
            ("task_9/latent_10/b.mp4", ""),
            ("task_9/latent_2/prompt.txt", "z2"),
            ("task_9/latent_2/v10.MP4", ""),
            ("task_9/latent_2/v9.mp4", ""),
            ("task_9/latent_2/notes.txt", ""),
            ("task_9/latent_2/.hidden.mp4", ""),
        ],
    );
    let nine = home.path().join("task_9");
    let expected = Task {
        ground_truth: Some(nine.join("ground_truth.mp4")),
        latents: vec![
            latent("z2", &["latent_2/v9.mp4", "latent_2/v10.MP4"], &nine),
            latent("z10", &["latent_10/b.mp4"], &nine),
        ],
        ..task("task_9", "a cat")
    };
    assert_eq!(read_tasks(home.path()).unwrap(), [expected, task("task_10", "ten")]);
}

#[test]
fn the_released_layout_is_read() {
    let home = tempfile::tempdir().unwrap();
    lay(home.path(), &[("t/prompt.txt", "a cat")]);
    for k in 0..12 {
        lay(home.path(), &[(&format!("t/latent_{k}/prompt.txt"), &format!("z{k}"))]);
        for v in 0..11 {
            lay(home.path(), &[(&format!("t/latent_{k}/videos/gen_video_{v}.mp4"), "")]);
        }
    }
    let [task] = read_tasks(home.path()).unwrap().try_into().unwrap();
    let prompts: Vec<_> = task.latents.iter().map(|z| z.prompt.clone()).collect();
    assert_eq!(prompts, (0..12).map(|k| format!("z{k}")).collect::<Vec<_>>());
    let videos: Vec<PathBuf> =
        (0..11).map(|v| home.path().join(format!("t/latent_11/videos/gen_video_{v}.mp4"))).collect();
    assert_eq!(task.latents[11].videos, videos);
}

#[test]
fn a_folder_tree_that_is_not_whole_is_refused() {
    type Files<'a> = &'a [(&'a str, &'a str)];
    let cases: [(Files<'_>, &str); 5] = [
        (
            &[("t/ground_truth.mp4", "")],
            "`t` has no prompt.txt; write its prompt there, or move the folder away if it holds no task",
        ),
        (
            &[("t/prompt.txt", "x"), ("t/z/v.mp4", "")],
            "`t/z` has no prompt.txt; write its prompt there, or move the folder away if it holds no task",
        ),
        (
            &[("t/prompt.txt", "\n")],
            "`t`: not a usable task; correct it or take it out: task `t` has an empty prompt",
        ),
        (
            &[("t/prompt.txt", "x"), ("t/ground_truth.mp4", ""), ("t/ground_truth.avi", "")],
            "`t/ground_truth.avi` and `t/ground_truth.mp4` are both the ground truth of one task; keep one",
        ),
        (&[("tasks.txt", "")], "holds no task"),
    ];
    for (files, message) in cases {
        let home = tempfile::tempdir().unwrap();
        lay(home.path(), files);
        let error = told(&read_tasks(home.path()).unwrap_err(), home.path());
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn parquet_of_other_programs_is_read() {
    for name in
        ["tasks_pyarrow.parquet", "tasks_snappy.parquet", "tasks_polars.parquet", "tasks_duckdb.parquet"]
    {
        let here = golden("");
        let path = here.join(name);
        let full = Task {
            dataset: Some("vqa".into()),
            category: Some("animals".into()),
            ground_truth: Some(here.join("gt/a.mp4")),
            latents: vec![
                latent("a red cat", &["v/0.mp4", "/abs/1.mp4"], &here),
                latent("a blaue Katze ü", &[], &here),
            ],
            ..task("a", "a cat")
        };
        assert_eq!(read_tasks(&path).unwrap(), [full, task("b", "a dog")], "{name}");
    }
    assert_eq!(read_tasks(&golden("tasks_bare.parquet")).unwrap(), [task("a", "a cat"), task("b", "a dog")]);
}

#[test]
fn snappy_and_no_compression_are_read() {
    let home = tempfile::tempdir().unwrap();
    for codec in [Compression::SNAPPY, Compression::UNCOMPRESSED] {
        let path = home.path().join(format!("{codec}.parquet"));
        let again = compressed(&golden("tasks_pyarrow.parquet"), codec);
        fs::write(&path, again).unwrap();
        let ids: Vec<String> = read_tasks(&path).unwrap().into_iter().map(|task| task.id).collect();
        assert_eq!(ids, ["a", "b"], "{codec}");
        assert_eq!(read_rows(&path).unwrap()[1]["prompt"], "a dog", "{codec}");
    }
    let error = read_rows(&golden("tasks_gzip.parquet")).unwrap_err().to_string();
    assert!(error.contains("tasks_gzip.parquet` is compressed with GZIP, which this program"), "{error}");
}

#[test]
fn parquet_that_holds_no_tasks_is_refused_with_its_column() {
    for (name, message) in [
        (
            "tasks_wrong_type.parquet",
            "`tasks_wrong_type.parquet`: column `prompt` should be text, found Int64",
        ),
        (
            "tasks_unknown.parquet",
            "`tasks_unknown.parquet`: column `lattents` should be one of id, prompt, dataset, category, \
             ground_truth and latents, found Utf8",
        ),
        ("tasks_null.parquet", "`tasks_null.parquet`, row 2: column `prompt` is null; fill it"),
        (
            "tasks_flat.parquet",
            "`tasks_flat.parquet`: column `latents.item` should be a list of structs of `prompt` (text) and \
             `videos` (list of text), found Utf8",
        ),
        (
            "tasks_gzip.parquet",
            "`tasks_gzip.parquet` is compressed with GZIP, which this program cannot read; write it with snappy, \
             with zstd or without compression",
        ),
        ("tasks_twice.parquet", "task id `a` is given twice, in `tasks_twice.parquet`, row 1 and in"),
    ] {
        let error = read_tasks(&golden(name)).unwrap_err().to_string();
        let error = error.replace(&format!("{}/", golden("").display()).replace("//", "/"), "");
        assert!(error.starts_with(message), "{error}");
    }
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("tasks.parquet");
    let whole = fs::read(golden("tasks_pyarrow.parquet")).unwrap();
    fs::write(&path, &whole[..whole.len() - 100]).unwrap();
    assert!(told(&read_tasks(&path).unwrap_err(), home.path()).starts_with(
        "cannot read `tasks.parquet` as Parquet; it may be cut short, or hold something else: "
    ));
}

#[test]
fn tasks_are_written_relative_and_can_move() {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("one/out");
    let mut original = task("a", "a cat");
    original.ground_truth = Some(home.path().join("one/gt.mp4"));
    original.latents = vec![latent("z", &["one/out/v/0.mp4", "/elsewhere/1.mp4"], home.path())];
    write_tasks(&out.join("tasks.jsonl"), std::slice::from_ref(&original)).unwrap();
    let text = fs::read_to_string(out.join("tasks.jsonl")).unwrap();
    assert_eq!(
        text,
        "{\"id\":\"a\",\"prompt\":\"a cat\",\"ground_truth\":\"../gt.mp4\",\"latents\":[{\"prompt\":\"z\",\
         \"videos\":[\"v/0.mp4\",\"/elsewhere/1.mp4\"]}]}\n"
    );
    fs::rename(home.path().join("one"), home.path().join("two")).unwrap();
    let moved = read_tasks(&home.path().join("two/out/tasks.jsonl")).unwrap();
    assert_eq!(moved[0].latents[0].videos[0], home.path().join("two/out/v/0.mp4"));
    let truth = moved[0].ground_truth.clone().unwrap();
    assert_eq!(truth, fs::canonicalize(home.path()).unwrap().join("two/gt.mp4"));
}

fn any_task() -> impl Strategy<Value = Task> {
    let text = "\\PC*[a-z]\\PC*";
    let path = prop_oneof![
        "[a-zü ]{1,6}/[a-z]{1,4}\\.mp4",
        "[a-z]\\.mp4",
        "\\.\\./[a-z]{1,4}/v\\.mp4",
        "/[a-z]{9}/[a-z]\\.mp4",
    ];
    let latents = prop::collection::vec((text, prop::collection::vec(path.clone(), 0..3)), 0..3);
    (text, prop::option::of(".*"), prop::option::of(".*"), prop::option::of(path), latents).prop_map(
        |(prompt, dataset, category, truth, latents)| Task {
            id: String::new(),
            prompt,
            dataset,
            category,
            ground_truth: truth.map(PathBuf::from),
            latents: latents
                .into_iter()
                .map(|(prompt, videos)| LatentPrompt {
                    prompt,
                    videos: videos.into_iter().map(PathBuf::from).collect(),
                })
                .collect(),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn tasks_survive_a_round_trip(mut tasks in prop::collection::vec(any_task(), 1..5)) {
        let home = tempfile::tempdir().unwrap();
        let home = fs::canonicalize(home.path()).unwrap();
        // Absolute, without `..`: so paths come back as they were.
        let place = |path: &mut PathBuf| {
            *path = match path.strip_prefix("..") {
                Ok(beside) => home.join(beside),
                Err(_) => home.join("out").join(&path),
            };
        };
        for (i, task) in tasks.iter_mut().enumerate() {
            task.id = format!("task {i}");
            task.ground_truth.iter_mut().for_each(place);
            for z in &mut task.latents {
                z.videos.iter_mut().for_each(place);
                // A file stands once in a latent prompt.
                z.videos.sort();
                z.videos.dedup();
            }
        }
        let path = home.join("out/tasks.jsonl");
        write_tasks(&path, &tasks).unwrap();
        prop_assert_eq!(read_tasks(&path).unwrap(), tasks);
    }
}

#[test]
fn a_folder_with_a_list_is_read_by_its_list_and_an_unfinished_world_is_told() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("world.json"), "{}").unwrap();
    fs::create_dir_all(home.path().join("videos/t1")).unwrap();
    let told = read_tasks(home.path()).unwrap_err().to_string();
    assert!(told.contains("is not finished") && told.contains("squbed sim world"), "{told}");
    fs::write(home.path().join("tasks.jsonl"), r#"{"id": "t1", "prompt": "p", "latents": []}"#).unwrap();
    assert_eq!(read_tasks(home.path()).unwrap()[0].id, "t1");
}

#[test]
fn a_row_cut_short_is_told_as_such_with_its_end() {
    let told = refused(r#"{"id": "t1", "prompt": "#);
    assert!(told.contains("line 1, column 23: the row ends too early"), "{told}");
}

#[test]
fn other_forms_of_a_list_are_named_with_the_way_out() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("tasks.jsonl");
    let row = r#"{"id": "a", "prompt": "x", "latents": []}"#;
    let utf16 = |units: Vec<u16>| units.into_iter().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    for (bytes, form, remedy) in [
        (format!("[{row}]").into_bytes(), "one JSON array", "jq -c '.[]'"),
        (format!("[\n {row},\n {row}\n]\n").into_bytes(), "one JSON array", "jq"),
        (b"id,prompt\na,x\n".to_vec(), "a CSV table", "a JSON object on a line"),
        (b"\xef\xbb\xbfid;prompt\r\na;x\r\n".to_vec(), "a CSV table", "a JSON object on a line"),
        (b"id\tprompt\na\tx\n".to_vec(), "separated by tabs", "a JSON object on a line"),
        (utf16(format!("\u{feff}{row}").encode_utf16().collect()), "UTF-16", "iconv"),
        (utf16(row.encode_utf16().collect()), "UTF-16", "iconv"),
        (b"PK\x03\x04 and more".to_vec(), "a zip archive", "export its rows"),
        (b"\x1f\x8b\x08 and more".to_vec(), "gzip", "gunzip"),
    ] {
        fs::write(&path, bytes).unwrap();
        let message = read_tasks(&path).unwrap_err().to_string();
        assert!(message.contains(form) && message.contains(remedy), "{message}");
        assert!(message.contains("tasks.jsonl") && message.contains("JSON Lines"), "{message}");
    }
    // A byte-order mark of UTF-8 is passed over.
    fs::write(&path, format!("\u{feff}{row}\n")).unwrap();
    assert_eq!(read_tasks(&path).unwrap()[0].id, "a");
}
