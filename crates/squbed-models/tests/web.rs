//! Fetching from a hub that behaves like the real one, and from any web server.

mod common;
#[path = "common/web.rs"]
mod web;

use std::{
    fs,
    sync::atomic::{AtomicUsize, Ordering},
};

use common::{Place, write};
use squbed_models::{Error, FetchOptions, Fetched, FileState, Progress, SourceError};
use web::{FakeHub, Response, Server};

fn failures(error: Error) -> Vec<SourceError> {
    match error {
        Error::Fetch { failures, .. } => failures.into_iter().map(|f| f.error).collect(),
        other => panic!("{other}"),
    }
}

fn quiet(_: Progress<'_>) {}

mod hub {
    use super::*;

    const SOURCE: &str = "[[sources]]\nkind = \"hub\"\nrepo = \"a/b\"\nrevision = \"main\"\n";
    const CONTENT: &[u8] = b"the weights of a model";

    fn options(place: &Place, hub: &FakeHub) -> FetchOptions {
        FetchOptions { hub_endpoint: Some(hub.hub.address.clone()), ..place.options() }
    }

    #[test]
    fn a_large_file_comes_from_the_cdn_by_range() {
        let (place, hub) = (Place::new(), FakeHub::new("w.bin", CONTENT, None));
        let store = place.store(&[("w.bin", CONTENT)], SOURCE);
        let fetched = store.fetch("tiny", &options(&place, &hub), &mut quiet).unwrap();
        assert_eq!(fetched, Fetched::From("hub a/b@main".into()));
        let asked = hub.cdn.gets();
        assert_eq!(asked.len(), 1);
        assert_eq!(asked[0].range(), Some((0, Some(CONTENT.len() - 1))));
        assert_eq!(store.verify("tiny").unwrap()[0].state, FileState::Verified);
    }

    #[test]
    fn a_gated_file_names_the_token_and_what_to_do() {
        let (place, hub) = (Place::new(), FakeHub::new("w.bin", CONTENT, Some("hf_right")));
        let store = place.store(&[("w.bin", CONTENT)], SOURCE);
        let error = store.fetch("tiny", &options(&place, &hub), &mut quiet).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("the hub refuses `w.bin` of a/b with status 401"), "{text}");
        assert!(text.contains("set HF_TOKEN"), "{text}");
        assert!(hub.cdn.requests().is_empty());
        // A refusal is not asked for again.
        assert!(hub.hub.requests().len() <= 2, "{:?}", hub.hub.requests());
        assert!(matches!(failures(error)[..], [SourceError::HubDenied { status: 401, .. }]));
    }

    #[test]
    fn a_file_that_the_hub_lacks_is_named() {
        let (place, hub) = (Place::new(), FakeHub::new("other.bin", CONTENT, None));
        let store = place.store(&[("w.bin", CONTENT)], SOURCE);
        let text = store.fetch("tiny", &options(&place, &hub), &mut quiet).unwrap_err().to_string();
        assert!(text.contains("the hub did not give `w.bin`: Entry not found: w.bin in a/b"), "{text}");
    }

    #[test]
    fn another_digest_than_the_manifests_is_refused() {
        let (place, hub) = (Place::new(), FakeHub::new("w.bin", b"the weights of a mOdel", None));
        let store = place.store(&[("w.bin", CONTENT)], SOURCE);
        let error = failures(store.fetch("tiny", &options(&place, &hub), &mut quiet).unwrap_err());
        assert!(matches!(error[..], [SourceError::Digest { .. }]), "{error:?}");
        assert_eq!(place.left_behind(), [".tiny.lock"]);
    }

    #[test]
    fn the_hubs_own_cache_is_read_first() {
        let (place, hub) = (Place::new(), FakeHub::new("w.bin", CONTENT, None));
        let store = place.store(&[("w.bin", CONTENT)], SOURCE);
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let cache = place.path("hub-cache/models--a--b");
        write(&cache.join("refs/main"), commit.as_bytes());
        write(&cache.join("blobs/b10b"), CONTENT);
        let snapshot = cache.join("snapshots").join(commit);
        fs::create_dir_all(&snapshot).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink("../../blobs/b10b", snapshot.join("w.bin")).unwrap();
        #[cfg(not(unix))]
        fs::copy(cache.join("blobs/b10b"), snapshot.join("w.bin")).unwrap();
        store.fetch("tiny", &options(&place, &hub), &mut quiet).unwrap();
        assert!(hub.hub.requests().is_empty() && hub.cdn.requests().is_empty());
        assert_eq!(fs::read(place.model().join("w.bin")).unwrap(), CONTENT);
        // The cache keeps what it has.
        assert_eq!(fs::read(cache.join("blobs/b10b")).unwrap(), CONTENT);

        // A damaged entry is passed over.
        fs::write(cache.join("blobs/b10b"), b"damaged").unwrap();
        let force = FetchOptions { force: true, ..options(&place, &hub) };
        store.fetch("tiny", &force, &mut quiet).unwrap();
        assert_eq!(hub.cdn.gets().len(), 1);
        assert_eq!(fs::read(place.model().join("w.bin")).unwrap(), CONTENT);
    }
}

mod url {
    use super::*;

    fn source(address: &str) -> String {
        format!("[[sources]]\nkind = \"url\"\nurl = \"{address}/weights/\"\n")
    }

    /// Numbers without a pattern, more than a server's buffer holds.
    fn content() -> Vec<u8> {
        (0..3u32 << 20).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
    }

    fn fetch(place: &Place, server: &Server, files: &[(&str, &[u8])]) -> Result<Fetched, Error> {
        place.store(files, &source(&server.address)).fetch("tiny", &place.options(), &mut quiet)
    }

    #[test]
    fn files_come_from_their_paths() {
        let place = Place::new();
        let server = Server::new(|request| match request.target.as_str() {
            "/weights/w.bin" => Response::new("200 OK", b"weights"),
            "/weights/1_Pooling/a%20b.json" => Response::new("200 OK", b"{}"),
            _ => Response::not_found(),
        });
        let files: [(&str, &[u8]); 2] = [("w.bin", b"weights"), ("1_Pooling/a b.json", b"{}")];
        let fetched = fetch(&place, &server, &files).unwrap();
        assert_eq!(fetched, Fetched::From(format!("{}/weights/", server.address)));
        assert_eq!(fs::read(place.model().join("1_Pooling/a b.json")).unwrap(), b"{}");
        assert_eq!(place.left_behind(), [".tiny.lock", "tiny"]);
        assert!(server.requests().iter().all(|r| r.header("authorization").is_none()));
    }

    /// A server that cuts the first answers after a megabyte.
    fn cutting(cuts: usize, file: Vec<u8>, etag: &'static str) -> Server {
        let count = AtomicUsize::new(0);
        Server::new(move |request| {
            let response = Response::file(request, &file).header("ETag", etag);
            if count.fetch_add(1, Ordering::SeqCst) < cuts { response.cut_after(1 << 20) } else { response }
        })
    }

    #[test]
    fn a_cut_download_goes_on_where_it_ended() {
        let (place, file) = (Place::new(), content());
        let server = cutting(2, file.clone(), "\"v1\"");
        fetch(&place, &server, &[("w.bin", &file)]).unwrap();
        let asked = server.gets();
        assert_eq!(asked.len(), 3);
        assert_eq!(asked[0].range(), None);
        for (request, first) in asked[1..].iter().zip([1 << 20, 2 << 20]) {
            assert_eq!(request.range(), Some((first, None)));
            assert_eq!(request.header("if-range"), Some("\"v1\""));
        }
        assert_eq!(fs::read(place.model().join("w.bin")).unwrap(), file);
    }

    #[test]
    fn a_broken_download_goes_on_in_a_later_run() {
        let (place, file) = (Place::new(), content());
        // One megabyte comes; then nothing, as often as it is asked for.
        let count = AtomicUsize::new(0);
        let whole = file.clone();
        let server = Server::new(move |request| match count.fetch_add(1, Ordering::SeqCst) {
            0 => Response::file(request, &whole).header("ETag", "\"v1\"").cut_after(1 << 20),
            1..=4 => Response::new("503 Service Unavailable", b""),
            _ => Response::file(request, &whole).header("ETag", "\"v1\""),
        });
        let error = fetch(&place, &server, &[("w.bin", &file)]).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("/weights/w.bin gives status 503 Service Unavailable"), "{text}");
        assert_eq!(place.left_behind(), [".tiny.lock", ".tiny.partial"]);
        server.forget();
        fetch(&place, &server, &[("w.bin", &file)]).unwrap();
        let asked = server.gets();
        assert_eq!(asked.len(), 1);
        assert_eq!((asked[0].range(), asked[0].header("if-range")), (Some((1 << 20, None)), Some("\"v1\"")));
        assert_eq!(fs::read(place.model().join("w.bin")).unwrap(), file);
        assert_eq!(place.left_behind(), [".tiny.lock", "tiny"]);
    }

    #[test]
    fn a_body_that_stays_short_is_an_error_with_what_is_missing() {
        let place = Place::new();
        let server = Server::new(|request| Response::file(request, b"half of it").cut_after(0));
        let error = fetch(&place, &server, &[("w.bin", b"half of it")]).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("/weights/w.bin ends early, 10 bytes before its end"), "{text}");
        assert_eq!(server.gets().len(), 4);
        assert!(!place.model().exists());
        // A server whose whole file is shorter than the manifest says.
        let server = Server::new(|request| Response::file(request, b"half"));
        let error = failures(fetch(&place, &server, &[("w.bin", b"half of it")]).unwrap_err());
        assert!(
            matches!(error[..], [SourceError::HttpStatus { .. } | SourceError::HttpCut { .. }]),
            "{error:?}"
        );
    }

    #[test]
    fn a_server_that_ignores_ranges_serves_too() {
        let (place, file) = (Place::new(), content());
        let (count, whole) = (AtomicUsize::new(0), file.clone());
        let server = Server::new(move |_| {
            let response = Response::new("200 OK", &whole).header("ETag", "\"v1\"");
            if count.fetch_add(1, Ordering::SeqCst) == 0 { response.cut_after(1 << 20) } else { response }
        });
        fetch(&place, &server, &[("w.bin", &file)]).unwrap();
        assert_eq!(server.gets().len(), 2);
        assert_eq!(fs::read(place.model().join("w.bin")).unwrap(), file);
    }

    #[test]
    fn a_file_that_changed_meanwhile_comes_whole() {
        let (place, file) = (Place::new(), content());
        let mut old = file.clone();
        old[0] ^= 1;
        // The first version is cut; the second honours If-Range, so it sends all of it.
        let (count, whole) = (AtomicUsize::new(0), file.clone());
        let server = Server::new(move |request| {
            if count.fetch_add(1, Ordering::SeqCst) == 0 {
                return Response::file(request, &old).header("ETag", "\"v1\"").cut_after(1 << 20);
            }
            match request.header("if-range") {
                Some("\"v2\"") | None => Response::file(request, &whole).header("ETag", "\"v2\""),
                Some(_) => Response::new("200 OK", &whole).header("ETag", "\"v2\""),
            }
        });
        fetch(&place, &server, &[("w.bin", &file)]).unwrap();
        assert_eq!(server.gets().len(), 2);
        assert_eq!(fs::read(place.model().join("w.bin")).unwrap(), file);
    }

    #[test]
    fn a_part_of_another_file_is_noticed_by_its_digest_and_fetched_anew() {
        // Without a validator only the digest can tell.
        let (place, file) = (Place::new(), content());
        write(&place.path("home/models/.tiny.partial/w.bin.part"), &vec![0; 1 << 20]);
        let whole = file.clone();
        let server = Server::new(move |request| Response::file(request, &whole));
        fetch(&place, &server, &[("w.bin", &file)]).unwrap();
        let ranges: Vec<_> = server.gets().iter().map(web::Request::range).collect();
        assert_eq!(ranges, [Some((1 << 20, None)), None]);
        assert_eq!(fs::read(place.model().join("w.bin")).unwrap(), file);
    }

    #[test]
    fn a_range_that_was_not_asked_for_is_not_taken() {
        let (place, file) = (Place::new(), content());
        write(&place.path("home/models/.tiny.partial/w.bin.part"), &file[..1 << 20]);
        let (count, whole) = (AtomicUsize::new(0), file.clone());
        let server = Server::new(move |request| match count.fetch_add(1, Ordering::SeqCst) {
            0 => {
                Response::new("206 Partial Content", &whole[..100]).header("Content-Range", "bytes 0-99/200")
            }
            _ => Response::file(request, &whole),
        });
        fetch(&place, &server, &[("w.bin", &file)]).unwrap();
        assert_eq!(fs::read(place.model().join("w.bin")).unwrap(), file);
    }

    #[test]
    fn other_content_is_refused_and_not_kept() {
        let place = Place::new();
        let server = Server::new(|request| Response::file(request, b"[]"));
        let error = failures(fetch(&place, &server, &[("w.bin", b"{}")]).unwrap_err());
        assert!(matches!(error[..], [SourceError::Digest { .. }]), "{error:?}");
        assert_eq!(place.left_behind(), [".tiny.lock"]);
        let server = Server::new(|request| Response::file(request, &[b' '; 9000]));
        let error = failures(fetch(&place, &server, &[("w.bin", b"{}")]).unwrap_err());
        assert!(matches!(error[..], [SourceError::Size { expected: 2, actual: 3, .. }]), "{error:?}");
    }

    #[test]
    fn a_refusal_is_told_at_once() {
        let place = Place::new();
        for status in ["401 Unauthorized", "403 Forbidden", "404 Not Found", "410 Gone"] {
            let server = Server::new(move |_| Response::new(status, b""));
            let text = fetch(&place, &server, &[("w.bin", b"{}")]).unwrap_err().to_string();
            assert!(
                text.contains(&format!("{}/weights/w.bin gives status {status}", server.address)),
                "{text}"
            );
            assert_eq!(server.gets().len(), 1);
        }
    }

    #[test]
    fn a_redirect_is_followed_and_a_circle_is_not() {
        let place = Place::new();
        let behind = Server::new(|request| Response::file(request, b"{}"));
        let to = format!("{}/elsewhere?signature=s3cret", behind.address);
        let server = Server::new(move |_| Response::redirect(&to));
        fetch(&place, &server, &[("w.bin", b"{}")]).unwrap();
        assert_eq!(behind.gets()[0].target, "/elsewhere?signature=s3cret");

        let place = Place::new();
        let circle = Server::new(|_| Response::redirect("/again?signature=s3cret"));
        let error = failures(fetch(&place, &circle, &[("w.bin", b"{}")]).unwrap_err());
        let text = format!("{}: {:?}", error[0], std::error::Error::source(&error[0]).unwrap().to_string());
        assert!(!text.contains("s3cret"), "{text}");
        assert!(circle.gets().len() < 15);
    }

    #[test]
    fn plain_http_brings_nothing_that_is_not_verified() {
        let place = Place::new();
        drop(place.store(&[("w.bin", b"{}")], &source("http://127.0.0.1:1")));
        let text = fs::read_to_string(place.path("manifests/tiny/model.toml")).unwrap();
        let digest = squbed_models::sha256(b"{}");
        let manifest = squbed_models::Manifest::parse(&text.replace(&digest, "unverified"));
        let text = manifest.unwrap_err().to_string();
        assert!(text.contains("plain http needs a sha256 of every file"), "{text}");
    }

    #[test]
    fn addresses_are_checked() {
        let place = Place::new();
        drop(place.store(&[("w.bin", b"{}")], &source("http://127.0.0.1:1")));
        let good = fs::read_to_string(place.path("manifests/tiny/model.toml")).unwrap();
        let message = |url: &str| {
            let text = good.replace("http://127.0.0.1:1/weights/", url);
            squbed_models::Manifest::parse(&text).unwrap_err().to_string()
        };
        assert!(message("ftp://example.org/").contains("begins with https:// or http://"));
        assert!(message("example.org").contains("write an address such as"));
        assert!(message("https://example.org/?x=1").contains("no `?` or `#`"));
        let text = message("https://user:hunter2@example.org/");
        assert!(text.contains("holds no password") && !text.contains("hunter2"), "{text}");
    }

    #[test]
    fn offline_nothing_is_asked() {
        let place = Place::new();
        let server = Server::new(|request| Response::file(request, b"{}"));
        let store = place.store(&[("w.bin", b"{}")], &source(&server.address));
        let options = FetchOptions { offline: true, ..place.options() };
        let error = failures(store.fetch("tiny", &options, &mut quiet).unwrap_err());
        assert!(matches!(error[..], [SourceError::Offline]), "{error:?}");
        assert!(server.requests().is_empty());
    }
}
