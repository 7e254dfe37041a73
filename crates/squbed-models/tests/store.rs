//! Manifests and files on this machine.

mod common;

use std::fs;

use candle_core::{DType, Device};
use common::{Place, write};
use squbed_models::ModelStore;

fn message<T>(result: Result<T, squbed_models::Error>) -> String {
    result.err().expect("an error").to_string()
}

#[test]
fn the_built_in_models_are_listed_by_name() {
    let place = Place::new();
    let store = ModelStore::with_manifests(place.path("home"), &[]).unwrap();
    let list = store.list();
    let names: Vec<&str> = list.iter().map(|status| status.name.as_str()).collect();
    assert!(names.is_sorted());
    let folders = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models")).unwrap();
    let folders = folders.map(Result::unwrap).filter(|entry| entry.path().is_dir());
    let mut folders: Vec<_> = folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
    folders.sort_unstable();
    assert_eq!(names, folders, "every manifest of the repository is built in");
    assert!(list.iter().all(|status| !status.present && status.size.is_some() == status.pinned));
    for name in ["all-MiniLM-L6-v2", "i3d-kinetics-400"] {
        let status = store.status(name).unwrap();
        assert!(status.pinned && status.folder.ends_with(format!("home/models/{name}")));
    }
}

#[test]
fn a_folder_adds_models_and_replaces_built_in_ones() {
    let place = Place::new();
    drop(place.store(&[("config.json", b"{}")], ""));
    let text =
        include_str!("../../../models/i3d-kinetics-400/model.toml").replace("uniform:16", "uniform:32");
    write(&place.path("manifests/i3d-kinetics-400/model.toml"), text.as_bytes());
    let store = ModelStore::with_manifests(place.path("home"), &[place.path("manifests")]).unwrap();
    assert_eq!(store.list().len(), built_in() + 1);
    let status = store.status("i3d-kinetics-400").unwrap();
    assert_eq!(status.manifest, Some(place.path("manifests/i3d-kinetics-400/model.toml")));
    assert!(toml::to_string(store.manifest("i3d-kinetics-400").unwrap()).unwrap().contains("uniform:32"));
}

/// How many models the program brings.
fn built_in() -> usize {
    ModelStore::with_manifests(Place::new().path("home"), &[]).unwrap().list().len()
}

#[test]
fn a_bad_manifest_is_named_with_its_file_and_stops_no_other() {
    let place = Place::new();
    drop(place.store(&[("config.json", b"{}")], ""));
    let file = place.path("manifests/tiny/model.toml");
    let good = fs::read_to_string(&file).unwrap();
    let open = || ModelStore::with_manifests(place.path("home"), &[place.path("manifests")]).unwrap();

    fs::write(&file, good.replace("\"config.json\"", "\"../config.json\"")).unwrap();
    let store = open();
    assert_eq!(store.list().len(), built_in(), "the built-in ones");
    let [broken] = store.broken() else { panic!("{:?}", store.broken()) };
    assert_eq!(broken.name, "tiny");
    let words = squbed_core::causes(&store.status("tiny").unwrap_err());
    assert_eq!(words, squbed_core::causes(&*broken.error));
    assert_eq!(
        words,
        [
            format!("the manifest {} is refused", file.display()).as_str(),
            "`files.path = \"../config.json\"` leaves its folder; write a relative path without `..`, `\\` or NUL"
        ]
    );

    fs::write(&file, good.replace("\"tiny\"", "\"other\"")).unwrap();
    assert!(message(open().status("tiny")).ends_with("describes `other`; its folder must have that name"));
}

#[test]
fn a_bad_manifest_does_not_fall_back_to_the_built_in_one() {
    let place = Place::new();
    write(&place.path("manifests/i3d-kinetics-400/model.toml"), b"manifest = 1");
    let store = ModelStore::with_manifests(place.path("home"), &[place.path("manifests")]).unwrap();
    assert!(message(store.status("i3d-kinetics-400")).contains("i3d-kinetics-400/model.toml is refused"));
    // A later folder mends it.
    let text = include_str!("../../../models/i3d-kinetics-400/model.toml");
    write(&place.path("later/i3d-kinetics-400/model.toml"), text.as_bytes());
    let folders = [place.path("manifests"), place.path("later")];
    let store = ModelStore::with_manifests(place.path("home"), &folders).unwrap();
    assert!(store.broken().is_empty() && store.status("i3d-kinetics-400").is_ok());
}

#[test]
fn a_folder_of_manifests_that_cannot_be_read_is_named_with_its_variable() {
    let place = Place::new();
    let text = message(ModelStore::with_manifests(place.path("home"), &[place.path("nowhere")]));
    assert!(text.contains("nowhere, a folder that SQUBED_MODELS names"), "{text}");
}

#[test]
fn an_unknown_name_lists_the_known_ones() {
    let place = Place::new();
    let store = ModelStore::with_manifests(place.path("home"), &[]).unwrap();
    let text = message(store.status("i3d"));
    assert!(text.starts_with("there is no model `i3d`; known are "), "{text}");
    assert!(text.contains("all-MiniLM-L6-v2, ") && text.contains("i3d-kinetics-400"), "{text}");
}

#[test]
fn a_missing_model_names_file_place_and_command() {
    let place = Place::new();
    let store = ModelStore::with_manifests(place.path("home"), &[]).unwrap();
    let text = message(store.video_encoder("i3d-kinetics-400", &Device::Cpu, DType::F32));
    let file = place.path("home/models/i3d-kinetics-400/model.safetensors");
    assert_eq!(
        text,
        format!(
            "model `i3d-kinetics-400` is not complete: {} is missing; run `squbed models fetch i3d-kinetics-400`",
            file.display()
        )
    );
}

#[test]
fn a_damaged_model_is_not_used() {
    let place = Place::new();
    let store = ModelStore::with_manifests(place.path("home"), &[]).unwrap();
    write(&store.folder("i3d-kinetics-400").join("model.safetensors"), b"damaged");
    let text = message(store.video_encoder("i3d-kinetics-400", &Device::Cpu, DType::F32));
    assert!(
        text.contains("model.safetensors has sha256 ")
            && text.ends_with("run `squbed models fetch i3d-kinetics-400`"),
        "{text}"
    );
}

#[test]
fn a_distance_is_no_encoder() {
    let place = Place::new();
    let store = ModelStore::with_manifests(place.path("home"), &[]).unwrap();
    assert_eq!(
        message(store.video_encoder("lpips-vgg", &Device::Cpu, DType::F32)),
        "model `lpips-vgg` takes pairs of images, not video clips"
    );
    assert_eq!(
        message(store.text_encoder("lpips-alex", &Device::Cpu, DType::F32)),
        "model `lpips-alex` takes pairs of images, not text"
    );
    assert!(
        message(store.weights("lpips-alex", "linear.safetensors")).contains("squbed models fetch lpips-alex")
    );
}

#[test]
fn text_and_video_are_not_mixed_up() {
    let place = Place::new();
    let store = ModelStore::with_manifests(place.path("home"), &[]).unwrap();
    assert_eq!(
        message(store.text_encoder("i3d-kinetics-400", &Device::Cpu, DType::F32)),
        "model `i3d-kinetics-400` takes video clips, not text"
    );
    assert_eq!(
        message(store.video_encoder("all-MiniLM-L6-v2", &Device::Cpu, DType::F32)),
        "model `all-MiniLM-L6-v2` takes text, not video clips"
    );
}
