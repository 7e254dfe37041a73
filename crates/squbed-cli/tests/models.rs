//! `squbed models` and `squbed devices` as a user calls them: environment, proxies, bundles, conversion.

#[path = "../../squbed-models/tests/common/web.rs"]
mod web;

use std::{
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use squbed::models::sha256;
use web::{FakeHub, Request, Response, Server};

const CONTENT: &[u8] = b"the weights of a model";
const TOKEN: &str = "hf_a_secret_token";

/// A home, a folder of manifests with the model `tiny`, and a home of the hub, all temporary.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    /// A place whose model `tiny` has the file `w.bin` and these sources (TOML).
    fn new(sources: &str) -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        let (digest, size) = (sha256(CONTENT), CONTENT.len());
        let file = format!("[[files]]\npath = \"w.bin\"\nsha256 = \"{digest}\"\nsize = {size}\n");
        place.manifest(&format!("{file}{sources}"));
        place
    }

    fn manifest(&self, rest: &str) {
        let text = format!(
            "manifest = 1\nname = \"tiny\"\narchitecture = \"bert\"\nlicence = \"MIT\"\n\
             citation = {{ text = \"nobody\" }}\n\
             input = {{ kind = \"text\", preprocessing = \"sentence/1\", max_tokens = 8 }}\n\
             embedding = {{ width = 2, what = \"nothing\" }}\n{rest}"
        );
        fs::create_dir_all(self.path("manifests/tiny")).unwrap();
        fs::write(self.path("manifests/tiny/model.toml"), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_squbed"));
        for name in [
            "HF_ENDPOINT",
            "HF_TOKEN",
            "HF_TOKEN_PATH",
            "HF_HUB_CACHE",
            "HUGGINGFACE_HUB_CACHE",
            "HF_HUB_OFFLINE",
            "HF_HUB_DISABLE_IMPLICIT_TOKEN",
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "ALL_PROXY",
            "NO_PROXY",
            "http_proxy",
            "https_proxy",
            "all_proxy",
            "no_proxy",
            "XDG_CACHE_HOME",
            "SSL_CERT_FILE",
            "SSL_CERT_DIR",
        ] {
            command.env_remove(name);
        }
        command
            .args(arguments)
            .env("SQUBED_HOME", self.path("home"))
            .env("SQUBED_MODELS", self.path("manifests"))
            .env("HF_HOME", self.path("hf"))
            .envs(environment.iter().copied())
            .output()
            .unwrap()
    }

    fn fetch(&self, environment: &[(&str, &str)]) -> (bool, String) {
        let output = self.run(&["models", "fetch", "tiny"], environment);
        assert!(output.status.code() == Some(0) || output.status.code() == Some(1), "{output:?}");
        (output.status.success(), said(&output))
    }

    fn arrived(&self) -> bool {
        fs::read(self.path("home/models/tiny/w.bin")).is_ok_and(|bytes| bytes == CONTENT)
    }
}

/// All that a command said.
fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

const HUB: &str = "[[sources]]\nkind = \"hub\"\nrepo = \"a/b\"\nrevision = \"main\"\n";

/// The requests of a server that carried the token.
fn with_token(server: &Server) -> usize {
    let all = server.requests();
    all.iter()
        .filter(|r| r.headers.values().any(|value| value.contains(TOKEN)) || r.target.contains(TOKEN))
        .count()
}

#[test]
fn a_token_reaches_the_hub_and_nobody_else() {
    let hub = FakeHub::new("w.bin", CONTENT, Some(TOKEN));
    let place = Place::new(HUB);
    let (ok, said) = place.fetch(&[("HF_ENDPOINT", &hub.hub.address), ("HF_TOKEN", TOKEN)]);
    assert!(ok && place.arrived(), "{said}");
    assert!(with_token(&hub.hub) > 0 && !hub.cdn.gets().is_empty());
    assert_eq!(with_token(&hub.cdn), 0, "{:?}", hub.cdn.requests());
    assert!(!said.contains(TOKEN), "{said}");

    // As `huggingface-cli login` leaves it.
    let place = Place::new(HUB);
    fs::create_dir_all(place.path("hf")).unwrap();
    fs::write(place.path("hf/token"), format!("{TOKEN}\n")).unwrap();
    let (ok, said) = place.fetch(&[("HF_ENDPOINT", &hub.hub.address)]);
    assert!(ok && place.arrived(), "{said}");
    assert_eq!(with_token(&hub.cdn), 0);
}

#[test]
fn no_message_tells_a_token_or_a_signature() {
    for (content, token) in [(&b"something else entirely"[..], TOKEN), (CONTENT, "hf_another")] {
        let hub = FakeHub::new("w.bin", content, Some(token));
        let place = Place::new(HUB);
        let (ok, said) = place.fetch(&[("HF_ENDPOINT", &hub.hub.address), ("HF_TOKEN", TOKEN)]);
        assert!(!ok && said.contains("w.bin") && !said.contains(TOKEN) && !said.contains("s3cret"), "{said}");
    }
    // A CDN that is gone, and one that fails: the client's own message would name its address.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let failing = Server::new(|_| Response::new("500 Internal Server Error", b""));
    for cdn in [format!("http://{closed}"), failing.address.clone()] {
        let hub = Server::new(move |_| {
            Response::redirect(&format!("{cdn}/blob?signature=s3cret"))
                .header("X-Repo-Commit", "0123456789abcdef0123456789abcdef01234567")
                .header("X-Linked-Size", &CONTENT.len().to_string())
                .header("X-Linked-ETag", "\"5f70bf18\"")
        });
        let place = Place::new(HUB);
        let (ok, said) = place.fetch(&[("HF_ENDPOINT", &hub.address), ("HF_TOKEN", TOKEN)]);
        assert!(!ok && said.contains("the hub did not give `w.bin`"), "{said}");
        assert!(!said.contains(TOKEN) && !said.contains("s3cret"), "{said}");
    }
    assert!(!failing.requests().is_empty());
}

#[test]
fn a_web_server_is_told_no_token() {
    let server = Server::new(|request| Response::file(request, CONTENT));
    let place = Place::new(&format!("[[sources]]\nkind = \"url\"\nurl = \"{}\"\n", server.address));
    let (ok, said) = place.fetch(&[("HF_TOKEN", TOKEN)]);
    assert!(ok && place.arrived(), "{said}");
    assert_eq!((server.requests().len(), with_token(&server)), (1, 0));
}

#[test]
fn the_hubs_cache_below_hf_home_serves_without_network() {
    let hub = FakeHub::new("w.bin", CONTENT, None);
    let place = Place::new(HUB);
    let offline = [("HF_ENDPOINT", hub.hub.address.as_str()), ("HF_HUB_OFFLINE", "1")];
    let (ok, said) = place.fetch(&offline);
    assert!(!ok && said.contains("the hub is not asked (HF_HUB_OFFLINE or offline mode)"), "{said}");

    let commit = "0123456789abcdef0123456789abcdef01234567";
    let repository = place.path("hf/hub/models--a--b");
    fs::create_dir_all(repository.join("refs")).unwrap();
    fs::write(repository.join("refs/main"), commit).unwrap();
    fs::create_dir_all(repository.join("snapshots").join(commit)).unwrap();
    fs::write(repository.join("snapshots").join(commit).join("w.bin"), CONTENT).unwrap();
    let (ok, said) = place.fetch(&offline);
    assert!(ok && place.arrived(), "{said}");
    assert!(hub.hub.requests().is_empty());
}

#[test]
fn proxies_are_used_and_left_as_the_environment_says() {
    // The proxy is the hub: it answers what is asked of `hub.example`, which no resolver knows.
    let hub = FakeHub::new("w.bin", CONTENT, None);
    let place = Place::new(HUB);
    let proxy = hub.hub.address.as_str();
    let cdn = hub.cdn.address.trim_start_matches("http://").to_owned();
    let (ok, said) = place.fetch(&[
        ("HF_ENDPOINT", "http://hub.example"),
        ("HTTP_PROXY", proxy),
        ("http_proxy", proxy),
        ("NO_PROXY", "127.0.0.1"),
    ]);
    assert!(ok && place.arrived(), "{cdn}: {said}");
    assert!(hub.hub.requests().iter().all(|r| r.target.starts_with("http://hub.example/")));
    assert!(hub.cdn.gets().iter().all(|r| r.target.starts_with("/blob")));

    // The same for any web server.
    let server = Server::new(|request| Response::file(request, CONTENT));
    let place = Place::new("[[sources]]\nkind = \"url\"\nurl = \"http://weights.example/x\"\n");
    let (ok, said) = place.fetch(&[("HTTP_PROXY", &server.address), ("http_proxy", &server.address)]);
    assert!(ok && place.arrived(), "{said}");
    assert_eq!(server.gets()[0].target, "http://weights.example/x/w.bin");

    // https goes through a tunnel, which this proxy refuses.
    let refusing = Server::new(|_| Response::new("502 Bad Gateway", b""));
    let place = Place::new("[[sources]]\nkind = \"url\"\nurl = \"https://weights.example/x\"\n");
    let (ok, said) = place.fetch(&[("HTTPS_PROXY", &refusing.address), ("https_proxy", &refusing.address)]);
    assert!(!ok && said.contains("https://weights.example/x/w.bin cannot be reached"), "{said}");
    let seen = refusing.requests();
    assert!(!seen.is_empty() && seen.iter().all(|r| r.method == "CONNECT"), "{seen:?}");
    assert_eq!(seen[0].target, "weights.example:443");

    // A host that is excepted is asked directly.
    let direct = Server::new(|request| Response::file(request, CONTENT));
    let place = Place::new(&format!("[[sources]]\nkind = \"url\"\nurl = \"{}\"\n", direct.address));
    let closed = refusing.address.as_str();
    refusing.forget();
    let (ok, said) =
        place.fetch(&[("HTTP_PROXY", closed), ("http_proxy", closed), ("NO_PROXY", "127.0.0.1")]);
    assert!(ok && place.arrived() && refusing.requests().is_empty(), "{said}");
}

/// A server of https for 127.0.0.1, and the certificate of the authority that vouches for it, as PEM. Both are of this
/// test alone.
fn https(answer: impl Fn(&Request) -> Response + Send + Sync + 'static) -> (Server, String) {
    let key = || KeyPair::generate().unwrap();
    let mut of_authority = CertificateParams::new(Vec::new()).unwrap();
    of_authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = key();
    let authority = of_authority.self_signed(&authority_key).unwrap();
    let server_key = key();
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()])
        .unwrap()
        .signed_by(&server_key, &Issuer::new(of_authority, authority_key))
        .unwrap();
    let secret = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(server_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], secret)
        .unwrap();
    let config = Arc::new(config);
    let wrap = move |stream: TcpStream| {
        StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream)
    };
    (Server::over("https", wrap, answer), authority.pem())
}

/// The model `tiny` from an https server, with a file that names the certificates to trust.
fn from_https(server: &Server, authority: &str) -> (Place, PathBuf) {
    let place = Place::new(&format!("[[sources]]\nkind = \"url\"\nurl = \"{}/weights\"\n", server.address));
    let trusted = place.path("authority.pem");
    fs::write(&trusted, authority).unwrap();
    (place, trusted)
}

#[test]
fn https_is_trusted_by_the_certificates_that_ssl_cert_file_names() {
    let (server, authority) = https(|request| Response::file(request, CONTENT));
    let (place, trusted) = from_https(&server, &authority);
    let (ok, said) = place.fetch(&[]);
    assert!(!ok && !place.arrived(), "{said}");
    assert!(said.contains("UnknownIssuer") && said.contains("SSL_CERT_FILE"), "{said}");
    assert!(server.requests().is_empty(), "nothing is asked of a server that is not trusted");

    // Another authority is as good as none.
    let (_, stranger) = https(|request| Response::file(request, CONTENT));
    fs::write(place.path("stranger.pem"), stranger).unwrap();
    let (ok, said) = place.fetch(&[("SSL_CERT_FILE", text(&place.path("stranger.pem")))]);
    assert!(!ok && said.contains("invalid peer certificate") && said.contains("SSL_CERT_FILE"), "{said}");

    let (ok, said) = place.fetch(&[("SSL_CERT_FILE", text(&trusted))]);
    assert!(ok && place.arrived(), "{said}");
    let targets: Vec<String> = server.gets().into_iter().map(|request| request.target).collect();
    assert_eq!(targets, ["/weights/w.bin"]);
}

#[test]
fn a_cut_https_download_goes_on_where_it_ended() {
    let count = AtomicUsize::new(0);
    let (server, authority) = https(move |request| {
        let whole = Response::file(request, CONTENT).header("ETag", "\"v1\"");
        if count.fetch_add(1, Ordering::SeqCst) == 0 { whole.cut_after(9) } else { whole }
    });
    let (place, trusted) = from_https(&server, &authority);
    let (ok, said) = place.fetch(&[("SSL_CERT_FILE", text(&trusted))]);
    assert!(ok && place.arrived(), "{said}");
    let asked = server.gets();
    assert_eq!(asked.iter().map(Request::range).collect::<Vec<_>>(), [None, Some((9, None))]);
    assert_eq!(asked[1].header("if-range"), Some("\"v1\""));
}

#[test]
fn another_file_from_https_is_refused_by_its_digest() {
    let (server, authority) = https(|request| Response::file(request, b"the weights of a mOdel"));
    let (place, trusted) = from_https(&server, &authority);
    let (ok, said) = place.fetch(&[("SSL_CERT_FILE", text(&trusted))]);
    assert!(!ok && said.contains("has sha256") && said.contains(&sha256(CONTENT)), "{said}");
    assert!(!place.path("home/models/tiny").exists());
}

#[test]
fn verify_tells_whole_damaged_missing_and_unverified_files_apart() {
    let place = Place::new("");
    let file = |name: &str, digest: &str, size: usize| {
        format!("[[files]]\npath = \"{name}\"\nsha256 = \"{digest}\"\nsize = {size}\n")
    };
    let (right, wrong) = (sha256(b"abc"), sha256(b"xyz"));
    place.manifest(&format!(
        "{}{}{}{}",
        file("whole.bin", &right, 3),
        file("damaged.bin", &wrong, 3),
        file("missing.bin", &right, 3),
        "[[files]]\npath = \"taken.bin\"\nsha256 = \"unverified\"\n"
    ));
    let nothing = place.run(&["models", "verify"], &[]);
    assert!(nothing.status.code() == Some(1) && said(&nothing).contains("no model is here"), "{nothing:?}");

    let model = place.path("home/models/tiny");
    fs::create_dir_all(&model).unwrap();
    for name in ["whole.bin", "damaged.bin", "taken.bin"] {
        fs::write(model.join(name), b"abc").unwrap();
    }
    let output = place.run(&["models", "verify", "--format", "json"], &[]);
    assert_eq!(output.status.code(), Some(1));
    let rows: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let states: Vec<&str> =
        rows.as_array().unwrap().iter().map(|row| row["state"].as_str().unwrap()).collect();
    assert_eq!(
        states,
        ["verified", &format!("damaged, sha256 {right}"), "missing", &format!("unverified, sha256 {right}")]
    );
    assert!(said(&output).contains("tiny is not intact; run `squbed models fetch tiny`"));
}

#[test]
fn a_model_that_is_here_in_part_says_what_is_missing() {
    let place = Place::new("");
    let golden = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/metrics"));
    let model = place.path("home/models/lpips-alex");
    fs::create_dir_all(&model).unwrap();
    fs::copy(golden.join("lpips_alex_lin_v0.1.safetensors"), model.join("linear.safetensors")).unwrap();
    let output = place.run(&["models", "list", "--format", "json"], &[]);
    let rows: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let row = |name: &str| rows.as_array().unwrap().iter().find(|row| row["name"] == name).unwrap();
    assert_eq!(row("lpips-alex")["missing"], serde_json::json!(["backbone.safetensors"]));
    assert_eq!(row("lpips-alex")["present"], false);
    assert_eq!(row("lpips-vgg")["missing"], serde_json::json!([]));
    let table = said(&place.run(&["models", "list"], &[]));
    assert!(table.contains("missing") && table.contains("backbone.safetensors"), "{table}");

    let pictures = [golden.join("carphone_p0.png"), golden.join("carphone_d0.png")];
    let [a, b] = [0, 1].map(|i| text(&pictures[i]));
    let output = place.run(&["score", "pair", a, b, "--metric", "lpips-alex"], &[]);
    let message = said(&output);
    assert_eq!(output.status.code(), Some(1));
    let file = model.join("backbone.safetensors");
    for part in [text(&file), "is missing", "squbed models fetch lpips-alex"] {
        assert!(message.contains(part), "{part}: {message}");
    }

    // Without network the source of what is missing is named, and what is here stays.
    let output = place.run(&["models", "fetch", "lpips-alex", "--offline"], &[]);
    let message = said(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(message.contains("https://download.pytorch.org/models for backbone.safetensors"), "{message}");
    assert!(!message.contains("pypi"), "{message}");
    assert!(model.join("linear.safetensors").is_file());
}

#[test]
fn a_bundle_goes_to_a_machine_without_network() {
    let server = Server::new(|request| Response::file(request, CONTENT));
    let place = Place::new(&format!("[[sources]]\nkind = \"url\"\nurl = \"{}\"\n", server.address));
    let bundle = place.path("bundle");
    let output = place.run(&["models", "bundle", text(&bundle)], &[]);
    assert!(
        output.status.code() == Some(1) && said(&output).contains("no model is here to bundle"),
        "{output:?}"
    );
    let output = place.run(&["models", "bundle", text(&bundle), "tiny"], &[]);
    assert!(
        said(&output).contains("w.bin missing or damaged here; run `squbed models fetch tiny` first"),
        "{output:?}"
    );
    assert!(!bundle.exists());

    assert!(place.fetch(&[]).0);
    let output = place.run(&["models", "bundle", text(&bundle), "--format", "json"], &[]);
    assert!(output.status.success(), "{output:?}");
    let rows: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(rows[0]["file"], "models/tiny/w.bin");
    assert_eq!(
        (rows[0]["state"].as_str(), rows[0]["sha256"].as_str()),
        (Some("verified"), Some(&*sha256(CONTENT)))
    );
    let readme = fs::read_to_string(bundle.join("README.md")).unwrap();
    for part in [
        "cargo vendor",
        "squbed models fetch --from .",
        "--offline --locked",
        "Models: tiny.",
        "SQUBED_MODELS",
    ] {
        assert!(readme.contains(part), "{part}: {readme}");
    }
    assert!(!readme.contains('{'), "{readme}");
    let sums = fs::read_to_string(bundle.join("SHA256SUMS")).unwrap();
    assert_eq!(sums, format!("{}  models/tiny/w.bin\n", sha256(CONTENT)));
    let again = place.run(&["models", "bundle", text(&bundle)], &[]);
    assert!(again.status.code() == Some(1) && said(&again).contains("exists and is not empty"), "{again:?}");

    // There: another home, manifests from the bundle, and nothing to ask.
    let there = Place { folder: tempfile::tempdir().unwrap() };
    let manifests = bundle.join("models");
    let environment = [("SQUBED_MODELS", text(&manifests)), ("HF_HUB_OFFLINE", "1")];
    server.forget();
    let output = there.run(&["models", "fetch", "--from", text(&bundle)], &environment);
    assert!(output.status.success() && there.arrived(), "{output:?}");
    let output = there.run(&["models", "verify"], &environment);
    assert!(output.status.success() && said(&output).contains("verified"), "{output:?}");
    assert!(server.requests().is_empty());

    // A copy that did not arrive whole is not installed.
    fs::write(bundle.join("models/tiny/w.bin"), b"the weights of a mOdel").unwrap();
    let output = there.run(&["models", "fetch", "--force", "--from", text(&bundle)], &environment);
    assert!(output.status.code() == Some(1) && said(&output).contains("has sha256"), "{output:?}");
    assert!(there.arrived());
}

#[test]
fn weights_are_converted_and_listed() {
    let place = Place::new("");
    let golden = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/checkpoints"));
    let out = place.path("w.safetensors");
    let input = golden.join("training.legacy.pth");
    let arguments = ["models", "convert", text(&input), text(&out), "--format", "json"];
    let output = place.run(&arguments, &[]);
    assert!(output.status.success(), "{output:?}");
    let rows: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let first = &rows[0];
    assert_eq!((first["name"].as_str(), first["dtype"].as_str()), (Some("0.bias"), Some("F32")));
    assert_eq!(first["shape"], serde_json::json!([3]));
    assert_eq!(rows.as_array().unwrap().len(), 9);
    assert!(
        said(&output).contains("left out, being no tensors of the model: epoch, loss, optimizer"),
        "{output:?}"
    );
    let written = fs::read(&out).unwrap();

    let again = place.run(&arguments, &[]);
    assert!(again.status.code() == Some(1) && said(&again).contains("give --force"), "{again:?}");
    let input = golden.join("training.zip.pth");
    let forced = place.run(&["models", "convert", "--force", text(&input), text(&out)], &[]);
    assert!(forced.status.success() && fs::read(&out).unwrap() == written, "{forced:?}");

    let input = golden.join("module.zip.pth");
    let refused = place.run(&["models", "convert", text(&input), text(&place.path("no.safetensors"))], &[]);
    let message = said(&refused);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        message.contains("module.zip.pth") && message.contains("it names `torch.nn.modules.linear.Linear`"),
        "{message}"
    );
    assert!(!place.path("no.safetensors").exists());
}

#[test]
fn devices_says_what_this_build_and_machine_can_do() {
    let place = Place::new("");
    let output = place.run(&["devices", "--format", "json"], &[]);
    assert!(output.status.success(), "{output:?}");
    let survey: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(survey["features"]["ffmpeg"], cfg!(feature = "ffmpeg"));
    assert_eq!(survey["features"]["cuda"], cfg!(feature = "cuda"));
    let cpu = &survey["devices"][0];
    assert_eq!((cpu["device"].as_str(), cpu["usable"].as_bool()), (Some("cpu"), Some(true)));
    assert!(cpu["dtypes"].as_array().unwrap().contains(&"f32".into()), "{cpu}");
    if !cfg!(feature = "cuda") {
        let cuda = &survey["devices"][1];
        assert_eq!((cuda["device"].as_str(), cuda["usable"].as_bool()), (Some("cuda:0"), Some(false)));
        assert!(cuda["note"].as_str().unwrap().contains("--features"), "{cuda}");
    }
    assert!(survey["cpu"]["threads"].as_u64().unwrap() > 0 && survey["cpu"]["convolution"].is_string());
    if cfg!(feature = "ffmpeg") {
        assert!(survey["ffmpeg"]["licence"].as_str().unwrap().contains("GPL"), "{survey}");
        assert!(!survey["ffmpeg"]["version"].as_str().unwrap().is_empty());
    }
    let folders = survey["folders"].as_array().unwrap();
    let paths: Vec<&str> = folders.iter().map(|folder| folder["path"].as_str().unwrap()).collect();
    assert_eq!(
        paths,
        [text(&place.path("home")), text(&place.path("home/models")), text(&place.path("hf/hub"))]
    );
    assert!(folders.iter().all(|folder| folder["bytes"].is_null()));

    fs::create_dir_all(place.path("home/models/x")).unwrap();
    fs::write(place.path("home/models/x/w"), [0; 1500]).unwrap();
    let output = place.run(&["devices"], &[]);
    let table = said(&output);
    for part in ["not built in", "FFmpeg", "threads", "0.0 MB", "not there"] {
        assert!(table.to_lowercase().contains(&part.to_lowercase()), "{part}: {table}");
    }
}
