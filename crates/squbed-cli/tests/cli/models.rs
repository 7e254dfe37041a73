//! `squbed models`: manifests of the user's own, and sources that fail.

use std::{fs, net::TcpListener, path::Path};

use crate::{ended, squbed, squbed_with, text};

/// A manifest of one file of two bytes, `{}`.
fn manifest(models: &Path, name: &str, sources: &str) {
    let folder = models.join(name);
    fs::create_dir_all(&folder).unwrap();
    let manifest = format!(
        r#"
        manifest = 1
        name = "{name}"
        architecture = "bert"
        licence = "MIT"
        citation = {{ text = "nobody" }}
        input = {{ kind = "text", preprocessing = "sentence/1", max_tokens = 8 }}
        embedding = {{ width = 2, what = "nothing" }}
        [[files]]
        path = "config.json"
        sha256 = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
        size = 2
        {sources}
        "#
    );
    fs::write(folder.join("model.toml"), manifest).unwrap();
}

#[test]
fn one_bad_manifest_does_not_hide_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let models = folder.path().join("manifests");
    manifest(&models, "good", "");
    manifest(&models, "bad", "[[sources]]\nkind = \"ftp\"\n");
    let variables = [("SQUBED_MODELS", text(&models)), ("SQUBED_HOME", text(folder.path()))];
    let (code, table, message) = ended(squbed_with(&variables, &["models", "list", "--format", "csv"]));
    assert_eq!(code, 3, "{message}");
    for name in ["all-MiniLM-L6-v2", "i3d-kinetics-400", "good"] {
        assert!(table.lines().any(|line| line.starts_with(name)), "{table}");
    }
    assert!(!table.contains("bad"), "{table}");
    let file = models.join("bad/model.toml");
    assert!(message.starts_with(&format!("error: the manifest {} is refused", file.display())), "{message}");
    assert!(message.contains("because: ") && message.contains("ftp"), "{message}");
    assert!(message.contains("hint: ") && message.contains("SQUBED_MODELS"), "{message}");

    let (code, _, message) = ended(squbed_with(&variables, &["models", "verify", "bad"]));
    assert!(code == 1 && message.contains("ftp"), "{message}");
    let (code, _, message) = ended(squbed_with(&[("SQUBED_MODELS", "/nowhere")], &["models", "list"]));
    assert!(code == 1 && message.contains("/nowhere") && message.contains("SQUBED_MODELS"), "{message}");
}

#[test]
fn help_names_the_variables() {
    for arguments in [&["--help"][..], &["models", "--help"]] {
        let (_, help, _) = ended(squbed(arguments));
        assert!(help.contains("SQUBED_HOME") && help.contains("SQUBED_MODELS"), "{help}");
    }
}

#[test]
fn a_failed_source_is_told_with_all_its_causes_once() {
    let folder = tempfile::tempdir().unwrap();
    let models = folder.path().join("manifests");
    manifest(&models, "tiny", "[[sources]]\nkind = \"hub\"\nrepo = \"a/b\"\nrevision = \"main\"\n");
    // Nobody listens there any more.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoint = format!("http://{closed}");
    let variables = [
        ("SQUBED_MODELS", text(&models)),
        ("SQUBED_HOME", text(folder.path())),
        ("HF_HOME", text(folder.path())),
        ("HF_ENDPOINT", &endpoint),
        ("HF_HUB_OFFLINE", "0"),
        ("NO_PROXY", "127.0.0.1"),
    ];
    let (code, _, message) = ended(squbed_with(&variables, &["models", "fetch", "tiny"]));
    assert_eq!(code, 1, "{message}");
    assert!(
        message.starts_with("error: no source gave model `tiny`:\n  hub a/b@main: the hub did not give"),
        "{message}"
    );
    assert!(message.contains("Connection refused"), "the last cause: {message}");
    for words in ["the hub did not give", "Connection refused", "hub a/b@main"] {
        assert_eq!(message.matches(words).count(), 1, "{words} in: {message}");
    }
    assert!(message.contains("squbed models fetch tiny --from FOLDER"), "{message}");
}

#[test]
fn a_source_that_fails_before_another_serves_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let models = folder.path().join("manifests");
    let source = |name: &str| format!("[[sources]]\nkind = \"folder\"\npath = \"{name}\"\n");
    manifest(&models, "tiny", &format!("{}{}", source("absent"), source("here")));
    fs::create_dir(models.join("tiny/here")).unwrap();
    fs::write(models.join("tiny/here/config.json"), b"{}").unwrap();
    let variables = [("SQUBED_MODELS", text(&models)), ("SQUBED_HOME", text(folder.path()))];
    let (code, _, message) = ended(squbed_with(&variables, &["models", "fetch", "tiny"]));
    assert_eq!(code, 0, "{message}");
    assert!(message.starts_with("warning: tiny: folder absent failed: there is no folder "), "{message}");
    // Notes are for a terminal: here nothing more is said, and of a model that is there nothing at all.
    assert_eq!(message.lines().count(), 1, "{message}");
    let (code, _, message) = ended(squbed_with(&variables, &["models", "fetch", "tiny"]));
    assert_eq!((code, message.as_str()), (0, ""));
}

#[test]
fn a_damaged_model_and_a_folder_of_several_are_told_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let models = folder.path().join("manifests");
    manifest(&models, "tiny", "");
    let home = [("SQUBED_MODELS", text(&models)), ("SQUBED_HOME", text(folder.path()))];
    let place = folder.path().join("models/tiny");
    fs::create_dir_all(&place).unwrap();
    fs::write(place.join("config.json"), b"[]").unwrap();
    let (code, _, message) = ended(squbed_with(&home, &["models", "verify", "tiny"]));
    assert!(code == 1 && message.contains("run `squbed models fetch tiny`"), "{message}");
    let (code, _, message) = ended(squbed_with(&home, &["models", "fetch", "--from", text(folder.path())]));
    assert!(code == 1 && message.contains("--from holds the files of one model"), "{message}");
    let (code, _, message) = ended(squbed_with(&home, &["models", "fetch", "tiny", "nosuch"]));
    assert!(code == 1 && message.contains("there is no model `nosuch`"), "{message}");
}

#[test]
fn one_damaged_model_of_a_bundle_does_not_keep_the_others_away() {
    let folder = tempfile::tempdir().unwrap();
    let (models, home, bundle) =
        (folder.path().join("manifests"), folder.path().join("home"), folder.path().join("bundle"));
    for name in ["a", "b", "c"] {
        manifest(&models, name, "");
        let place = bundle.join("models").join(name);
        fs::create_dir_all(&place).unwrap();
        fs::copy(models.join(name).join("model.toml"), place.join("model.toml")).unwrap();
        fs::write(place.join("config.json"), b"{}").unwrap();
    }
    let variables = [("SQUBED_MODELS", text(&models)), ("SQUBED_HOME", text(&home))];
    let fetch = || ended(squbed_with(&variables, &["models", "fetch", "--from", text(&bundle)]));
    let damage = |name: &str| fs::write(bundle.join("models").join(name).join("config.json"), b"[]").unwrap();
    damage("a");
    damage("b");
    let (code, _, message) = fetch();
    assert_eq!(code, 3, "{message}");
    for name in ["a", "b"] {
        assert!(message.contains(&format!("did not give model `{name}`")), "{message}");
        assert!(!home.join("models").join(name).exists());
    }
    assert!(
        message.contains("sha256") && message.contains("2 of 3 models were not fetched: a, b"),
        "{message}"
    );
    assert!(home.join("models/c/config.json").exists());
    // Of nothing that came, there is no result.
    fs::remove_dir_all(&home).unwrap();
    damage("c");
    let (code, _, message) = fetch();
    assert!(code == 1 && message.contains("3 of 3 models were not fetched"), "{message}");
}

#[test]
fn a_pickle_of_an_early_protocol_is_refused_by_what_it_names() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("weights.pkl"), folder.path().join("weights.safetensors"));
    for (content, told) in [
        (&b"cposix\nsystem\np0\n(Vid\np1\ntp2\nRp3\n."[..], "it names `posix.system` at byte 0"),
        (b"(dp0\nVa\np1\nI1\ns.", "it is a pickle of protocol 0"),
    ] {
        fs::write(&input, content).unwrap();
        let (code, _, message) = ended(squbed(&["models", "convert", text(&input), text(&output)]));
        assert!(code == 1 && message.contains("weights.pkl") && message.contains(told), "{message}");
        assert!(!output.exists());
    }
}
