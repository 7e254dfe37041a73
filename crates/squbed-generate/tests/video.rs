//! Video models that behave, and some that do not, with real clips.
#![cfg(all(unix, feature = "ffmpeg"))]

mod common;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use common::{Reply, Server};
use serde_json::json;
use squbed_core::{GenerateRequest, VideoGenerator, causes};
use squbed_generate::{
    http::{HttpOptions, Service},
    video::{
        CommandModel, CommandOptions, Job, Ledger, LedgerRow, Outcome, ProduceOptions, Produced, VideoServer,
        VideoServerOptions, produce,
    },
};

const CLIP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/video/made/h264-bframes.mp4");

/// A folder with a script that gets prompt, seed and file.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("model.sh"), script).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn model(&self, timeout: Option<Duration>) -> CommandModel {
        let script = self.path("model.sh");
        let template = format!("sh '{}' {{prompt}} {{seed}} {{out}} '{CLIP}'", script.display());
        CommandModel::new(&template, CommandOptions { timeout, ..CommandOptions::default() }).unwrap()
    }

    fn produce(&self, model: &dyn VideoGenerator, prompt: &str, m: usize, retries: u32) -> Produced {
        let ledger = Ledger::open(&self.path("videos")).unwrap();
        let jobs: Vec<Job<'_>> = (0..m)
            .map(|sample| Job {
                prompt,
                base: 100,
                sample,
                out: self.path(&format!("videos/t/latent_0/gen_video_{sample}.mp4")),
            })
            .collect();
        let options = ProduceOptions { parallel: 3, retries, price_per_hour: Some(3600.0) };
        produce(&jobs, model, &options, &ledger, &|| ()).unwrap()
    }

    fn rows(&self) -> Vec<LedgerRow> {
        let text = fs::read_to_string(self.path("videos/ledger.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn log(&self, sample: usize) -> String {
        fs::read_to_string(self.path(&format!("videos/t/latent_0/gen_video_{sample}.log"))).unwrap()
    }

    /// Names in the clips' folder.
    fn names(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(self.path("videos/t/latent_0")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

fn message(produced: &Produced) -> String {
    causes(&produced.failed[0].1).join(": ")
}

#[test]
fn clips_are_made_looked_into_and_written_down() {
    let place = Place::new("echo \"prompt=[$1] seed=[$2]\"\ncp \"$4\" \"$3\"\n");
    let prompt = "a \"cat\" $(touch hacked); `touch hacked` {seed} -- '";
    let produced = place.produce(&place.model(None), prompt, 4, 0);
    assert_eq!((produced.made, produced.reused, produced.failed.len()), (4, 0, 0), "{produced:?}");
    assert_eq!(place.log(2), format!("== seed 102\nprompt=[{prompt}] seed=[102]\n"));
    assert!(!Path::new("hacked").exists() && !place.path("hacked").exists());
    let rows = place.rows();
    let seeds: BTreeSet<u64> = rows.iter().map(|row| row.seed).collect();
    assert_eq!(seeds.into_iter().collect::<Vec<_>>(), [100, 101, 102, 103]);
    for row in &rows {
        assert_eq!(row.prompt, prompt);
        assert!((row.cost.unwrap() - row.seconds).abs() < 1e-9 && row.seconds > 0.0, "{row:?}");
        let Outcome::Made { digest, bytes, frames } = &row.outcome else { panic!("{row:?}") };
        assert_eq!(*digest, squbed_store::digest_file(CLIP.as_ref()).unwrap());
        assert!(*bytes == fs::metadata(CLIP).unwrap().len() && *frames > 0);
        assert!(place.path("videos").join(&row.video).is_file());
    }
    // A second call makes nothing.
    let again = place.produce(&place.model(None), prompt, 4, 0);
    assert_eq!((again.made, again.reused), (0, 4));
    assert_eq!(place.rows().len(), 4);
}

#[test]
fn a_bad_clip_is_made_again_with_another_seed() {
    // The first try of each writes half a clip.
    let script = "if [ \"$2\" -gt 1000 ]; then cp \"$4\" \"$3\"; else head -c 700 \"$4\" > \"$3\"; fi\n";
    let place = Place::new(script);
    let produced = place.produce(&place.model(None), "a cat", 2, 1);
    assert_eq!((produced.made, produced.failed.len()), (2, 0), "{produced:?}");
    let rows = place.rows();
    assert_eq!(rows.len(), 4);
    let seeds: BTreeSet<u64> = rows.iter().map(|row| row.seed).collect();
    assert_eq!(seeds.len(), 4, "every try has a seed of its own");
    assert_eq!(rows.iter().filter(|row| matches!(row.outcome, Outcome::Failed { .. })).count(), 2);
}

#[test]
fn a_model_that_fails_writes_nothing_or_hangs_is_told_and_leaves_nothing() {
    for (script, part) in [
        ("echo out of memory >&2; exit 3\n", "exit status: 3; see"),
        ("exit 0\n", "wrote no file"),
        ("echo no video > \"$3\"\n", "cannot be read as a video"),
        ("mkdir \"$3\"\n", "something else than a file"),
    ] {
        let place = Place::new(script);
        let produced = place.produce(&place.model(None), "a cat", 1, 1);
        assert!(produced.made == 0 && message(&produced).contains(part), "{}", message(&produced));
        assert_eq!(place.rows().len(), 2, "{script}");
        assert_eq!(place.names(), BTreeSet::from(["gen_video_0.log".to_owned()]));
    }
    // What it starts is stopped with it: the file that a child would write later never comes.
    let place = Place::new("(sleep 3; touch \"$0.late\") & sleep 60\n");
    let produced = place.produce(&place.model(Some(Duration::from_millis(300))), "a cat", 1, 0);
    assert!(message(&produced).contains("was stopped after 0.3 s"), "{}", message(&produced));
    std::thread::sleep(Duration::from_secs(4));
    assert!(!place.path("model.sh.late").exists());

    let nowhere =
        CommandModel::new("/nowhere/model {prompt} {seed} {out}", CommandOptions::default()).unwrap();
    let produced = place.produce(&nowhere, "a cat", 1, 0);
    assert!(message(&produced).contains("cannot start `/nowhere/model`"), "{}", message(&produced));
}

const KEY: &str = "sk-very-s3cret";

fn server_model(server: &Server, max_bytes: u64) -> VideoServer {
    let limits = HttpOptions {
        attempts: 2,
        pause: Duration::from_millis(1),
        deadline: Duration::from_secs(5),
        ..HttpOptions::default()
    };
    let service = Service::new(&format!("{}/v1", server.address), Some(KEY.to_owned()), limits).unwrap();
    VideoServer::new(
        service,
        VideoServerOptions {
            model: "m".to_owned(),
            size: Some("64x64".to_owned()),
            seconds: None,
            poll: Duration::from_millis(1),
            timeout: Duration::from_millis(500),
            max_bytes,
        },
    )
}

#[test]
fn a_video_server_is_asked_until_the_clip_is_there() {
    let clip = fs::read(CLIP).unwrap();
    let server = Server::new(move |request, number| match request.line.as_str() {
        "POST /v1/videos HTTP/1.1" => Reply::json(&json!({ "id": "video_1", "status": "queued" })),
        "GET /v1/videos/video_1 HTTP/1.1" if number < 4 => {
            Reply::json(&json!({ "id": "video_1", "status": "in_progress", "progress": 10 }))
        }
        "GET /v1/videos/video_1 HTTP/1.1" => Reply::json(&json!({ "id": "video_1", "status": "completed" })),
        "GET /v1/videos/video_1/content HTTP/1.1" => Reply::Whole("200 OK", Vec::new(), clip.clone()),
        other => panic!("{other}"),
    });
    let place = Place::new("");
    let produced = place.produce(&server_model(&server, 1 << 20), "a cat", 1, 0);
    assert_eq!((produced.made, produced.failed.len()), (1, 0), "{produced:?}");
    let first = &server.requests()[0];
    assert_eq!(first.body, json!({ "model": "m", "prompt": "a cat", "seed": 100, "size": "64x64" }));
    assert_eq!(first.authorization.as_deref(), Some("Bearer sk-very-s3cret"));
    assert_eq!(fs::read(place.path("videos/t/latent_0/gen_video_0.mp4")).unwrap(), fs::read(CLIP).unwrap());
    assert!(!fs::read_to_string(place.path("videos/ledger.jsonl")).unwrap().contains(KEY));
}

#[test]
fn a_video_server_that_lies_is_survived() {
    let describe = |id: &str, status: &str| json!({ "id": id, "status": status });
    let ask = |answer: Box<dyn Fn(&str) -> Reply + Send + Sync>, part: &str| {
        let server = Server::new(move |request, _| answer(&request.line));
        let place = Place::new("");
        let out = place.path("clip.mp4");
        let request = GenerateRequest { prompt: "a cat", seed: 1, out: &out };
        let error = server_model(&server, 1000).generate(&request).unwrap_err();
        let text = causes(&*error).join(": ");
        assert!(text.contains(part) && !text.contains(KEY), "{text}");
    };
    for id in ["../../etc/passwd", "a/b", "", "a b", "sk-very-s3cret"] {
        let reply = describe(id, "queued");
        ask(Box::new(move |_| Reply::json(&reply)), "gave no description of a video");
    }
    let stuck = describe("v", "queued");
    ask(Box::new(move |_| Reply::json(&stuck)), "did not finish video v");
    ask(
        Box::new(|_| {
            let error = json!({ "message": "refused for sk-very-s3cret" });
            Reply::json(&json!({ "id": "v", "status": "failed", "error": error }))
        }),
        "could not make video v: refused for [key]",
    );
    let ready = describe("v", "completed");
    ask(
        Box::new(move |line| {
            if line.contains("content") {
                Reply::Endless(&[0; 512], Duration::ZERO)
            } else {
                Reply::json(&ready)
            }
        }),
        "answered with more than 1000 bytes",
    );
    ask(Box::new(|_| Reply::Truncated(b"{\"id\"".to_vec())), "cannot be reached");
}
