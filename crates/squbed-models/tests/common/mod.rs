//! A model of a few bytes, and a hub of a few threads.

#![allow(dead_code, reason = "each test file uses a part")]

use std::{
    collections::{BTreeMap, VecDeque},
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use candle_core::{DType, Device, Tensor};
use squbed_models::{FetchOptions, ModelStore, sha256};

/// A home and a folder of manifests, both temporary.
pub(crate) struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("manifests/tiny")).unwrap();
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn model(&self) -> PathBuf {
        self.path("home/models/tiny")
    }

    /// A store that knows the model `tiny` with these files and sources (TOML).
    pub(crate) fn store(&self, files: &[(&str, &[u8])], sources: &str) -> ModelStore {
        let files: String = files
            .iter()
            .map(|(path, bytes)| {
                let (digest, size) = (sha256(bytes), bytes.len());
                format!("[[files]]\npath = \"{path}\"\nsha256 = \"{digest}\"\nsize = {size}\n")
            })
            .collect();
        self.store_of(&format!("{files}\n{sources}"))
    }

    pub(crate) fn store_of(&self, rest: &str) -> ModelStore {
        let text = format!(
            r#"
            manifest = 1
            name = "tiny"
            architecture = "bert"
            licence = "MIT"
            citation = {{ text = "nobody" }}
            input = {{ kind = "text", preprocessing = "sentence/1", max_tokens = 8 }}
            embedding = {{ width = 2, what = "nothing" }}
            {rest}
            "#
        );
        fs::write(self.path("manifests/tiny/model.toml"), text).unwrap();
        ModelStore::with_manifests(self.path("home"), &[self.path("manifests")]).unwrap()
    }

    /// Names in the folder of models, hidden ones included.
    pub(crate) fn left_behind(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path("home/models"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    pub(crate) fn options(&self) -> FetchOptions {
        FetchOptions {
            hub_offline: false,
            connect_timeout: Duration::from_secs(2),
            read_timeout: Duration::from_secs(1),
            hub_cache: Some(self.path("hub-cache")),
            ..Default::default()
        }
    }
}

pub(crate) fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// What the hub does wrong with a GET.
#[derive(Clone, Copy)]
pub(crate) enum Fault {
    /// Half of the answer, then the connection closes.
    Cut,
    /// Status 503.
    Unavailable,
    /// No answer.
    Silent,
    /// The whole file, whatever was asked for.
    NoRanges,
}

/// A hub on this machine that serves `/OWNER/NAME/resolve/REVISION/FILE`.
pub(crate) struct Hub {
    pub(crate) endpoint: String,
    /// Method, path and range of each request.
    pub(crate) requests: Arc<Mutex<Vec<String>>>,
    pub(crate) faults: Arc<Mutex<VecDeque<Fault>>>,
}

impl Hub {
    pub(crate) fn serve(files: &[(&str, &[u8])]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (requests, faults) = (Arc::default(), Arc::default());
        let files: Arc<BTreeMap<String, Vec<u8>>> = Arc::new(
            files.iter().map(|(name, bytes)| (format!("/a/b/resolve/main/{name}"), bytes.to_vec())).collect(),
        );
        let hub = Self { endpoint, requests: Arc::clone(&requests), faults: Arc::clone(&faults) };
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (files, requests, faults) =
                    (Arc::clone(&files), Arc::clone(&requests), Arc::clone(&faults));
                // A client that closes early is no fault of the test.
                thread::spawn(move || answer(stream.unwrap(), &files, &requests, &faults).ok());
            }
        });
        hub
    }

    pub(crate) fn gets(&self) -> Vec<String> {
        self.requests.lock().unwrap().iter().filter(|r| r.starts_with("GET")).cloned().collect()
    }
}

fn answer(
    stream: TcpStream,
    files: &BTreeMap<String, Vec<u8>>,
    requests: &Mutex<Vec<String>>,
    faults: &Mutex<VecDeque<Fault>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split(' ');
    let (method, path) = (words.next().unwrap_or("").to_owned(), words.next().unwrap_or("").to_owned());
    let mut range = None;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        if header.trim().is_empty() {
            break;
        }
        if let Some(bytes) = header.to_ascii_lowercase().strip_prefix("range: bytes=") {
            range = bytes.trim().split_once('-').map(|(a, b)| (a.parse().unwrap(), b.parse().unwrap()));
        }
    }
    let range: Option<(usize, usize)> = range;
    requests.lock().unwrap().push(match range {
        Some((from, to)) => format!("{method} {path} {from}-{to}"),
        None => format!("{method} {path}"),
    });

    let mut stream = stream;
    let fault = if method == "GET" { faults.lock().unwrap().pop_front() } else { None };
    let Some(file) = files.get(&path) else {
        return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    if let Some(Fault::Unavailable) = fault {
        return stream.write_all(
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        );
    }
    if let Some(Fault::Silent) = fault {
        thread::sleep(Duration::from_secs(60));
        return Ok(());
    }
    let (status, body) = match range {
        Some((from, to)) if !matches!(fault, Some(Fault::NoRanges)) => {
            ("206 Partial Content", &file[from..=to])
        }
        _ => ("200 OK", &file[..]),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nETag: \"e\"\r\nX-Repo-Commit: c\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    match (method.as_str(), fault) {
        ("HEAD", _) => Ok(()),
        (_, Some(Fault::Cut)) => stream.write_all(&body[..body.len() / 2]),
        _ => stream.write_all(body),
    }
}

/// The store of this machine, with a model that must be there.
pub(crate) fn store(name: &str) -> ModelStore {
    let store = ModelStore::new(None).unwrap();
    let present = store.status(name).unwrap().present;
    assert!(present, "model {name} is not in {}; run `cargo xtask setup`", store.folder(name).display());
    store
}

pub(crate) fn golden_path(file: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/encoders")).join(file)
}

pub(crate) fn golden_json(file: &str) -> serde_json::Value {
    serde_json::from_slice(&fs::read(golden_path(file)).unwrap()).unwrap()
}

pub(crate) fn golden(file: &str, tensor: &str) -> Tensor {
    candle_core::safetensors::load(golden_path(file), &Device::Cpu).unwrap()[tensor].clone()
}

pub(crate) fn rows(x: &Tensor) -> Vec<Vec<f32>> {
    x.to_dtype(DType::F32).unwrap().to_vec2().unwrap()
}

pub(crate) fn largest_difference(a: &[Vec<f32>], b: &[Vec<f32>]) -> f64 {
    assert_eq!(a.len(), b.len());
    let mut worst = 0f64;
    for (a, b) in a.iter().zip(b) {
        assert_eq!(a.len(), b.len());
        for (a, b) in a.iter().zip(b) {
            assert!(a.is_finite() && b.is_finite());
            worst = worst.max((f64::from(*a) - f64::from(*b)).abs());
        }
    }
    worst
}
