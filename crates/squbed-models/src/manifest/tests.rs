use super::*;

const GOOD: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/all-MiniLM-L6-v2/model.toml"));

fn message(text: &str) -> String {
    let error = Manifest::parse(text).unwrap_err();
    match std::error::Error::source(&error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// The good manifest with one piece replaced.
fn with(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    GOOD.replacen(from, to, 1)
}

#[test]
fn a_manifest_survives_writing() {
    let manifest = Manifest::parse(GOOD).unwrap();
    assert_eq!(manifest.architecture, Architecture::Bert);
    assert_eq!(manifest.size(), Some(612 + 90868376 + 466247 + 349 + 53 + 190));
    assert_eq!(Manifest::parse(&toml::to_string(&manifest).unwrap()).unwrap(), manifest);
}

#[test]
fn another_version_is_named() {
    assert_eq!(
        message(&with("manifest = 1", "manifest = 3\nnovelty = true")),
        "`manifest = 3` is not a format this program reads; it reads 1 to 2"
    );
    assert!(message(&with("manifest = 1", "manifest = 0")).contains("it reads 1 to 2"));
    assert!(Manifest::parse(&with("manifest = 1", "manifest = 2")).is_ok());
}

#[test]
fn unknown_fields_are_refused_at_every_level() {
    for text in [
        with("licence =", "license ="),
        with("max_tokens", "max_tokenz"),
        with("revision =", "branch = \"x\"\nrevision ="),
        with("width =", "length = 3\nwidth ="),
        with("kind = \"hub\"", "kind = \"ftp\""),
    ] {
        assert!(message(&text).contains("unknown"), "{}", message(&text));
    }
}

#[test]
fn paths_that_escape_are_refused() {
    for path in
        ["../config.json", "/etc/passwd", "a/../../b", "a\\\\b", "C:/x", "a//b", "./a", "", "a\\u0000b"]
    {
        let text = with("\"config.json\"", &format!("\"{path}\""));
        let message = message(&text);
        assert!(message.starts_with("`files.path = "), "{message}");
        assert!(message.contains("leaves its folder"), "{message}");
    }
    for (from, to, field) in [
        ("name = \"all-MiniLM-L6-v2\"", "name = \"../x\"", "name"),
        ("archive = \"all", "archive = \"../all", "sources.archive"),
        ("nested = [\"all", "nested = [\"../all", "sources.nested"),
        ("repo = \"sentence-transformers/", "repo = \"../", "sources.repo"),
    ] {
        assert!(message(&with(from, to)).starts_with(&format!("`{field} = ")), "{field}");
    }
}

#[test]
fn names_cannot_pass_for_options() {
    assert!(message(&with("package = \"all", "package = \"--index-url")).contains("a letter or digit first"));
    assert!(message(&with("version = \"0.1.2", "version = \"0.1 ; x")).contains("`sources.version"));
}

#[test]
fn digests_are_checked() {
    let text = with("953f9c", "953F9C");
    assert!(message(&text).contains("is no SHA-256"), "{}", message(&text));
    let unverified =
        with("\"953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41\"", "\"unverified\"");
    assert!(Manifest::parse(&unverified).is_ok());
    assert_eq!(message(&with("size = 612", "")), "`config.json` has a sha256 but no size");
}

#[test]
fn a_path_stands_once() {
    assert!(message(&with("\"modules.json\"", "\"config.json\"")).contains("given twice"));
}

#[test]
fn a_known_preprocessing_cannot_change() {
    let i3d = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/i3d-kinetics-400/model.toml"));
    assert!(Manifest::parse(i3d).is_ok());
    assert!(
        message(&i3d.replace("bilinear", "bicubic")).contains("preprocessing `i3d/1` is defined otherwise")
    );
    assert!(Manifest::parse(&i3d.replace("bilinear", "bicubic").replace("i3d/1", "mine/1")).is_ok());
    assert!(message(&i3d.replace("crop = 224", "crop = 500")).contains("at most `shorter_side`"));

    let clip =
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/clip-vit-base-patch32/model.toml"));
    assert!(Manifest::parse(clip).is_ok());
    for (from, to) in [("floor", "round-half-even"), ("0.48145466", "0.5"), ("bicubic", "bilinear")] {
        let text = message(&clip.replace(from, to));
        assert!(text.contains("preprocessing `clip/1` is defined otherwise"), "{text}");
    }
    assert!(message(&clip.replace("side = 224", "side = 0")).contains("an image has a pixel"));
    assert!(message(&clip.replace("0.26862954", "0.0")).contains("std is not 0"));
}
