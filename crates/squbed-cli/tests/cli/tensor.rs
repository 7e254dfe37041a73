//! `squbed embed --tensor`: what a user may get wrong is an error of one clear message, before any weights are read.

use std::path::{Path, PathBuf};

use squbed::store::{NpyArray, NpyData, read_npy, write_npy};

use crate::{ended, failure, squbed, text};

const MODEL: &str = "all-MiniLM-L6-v2";

fn npy(path: PathBuf, shape: &[usize], data: NpyData) -> PathBuf {
    write_npy(&path, &NpyArray::new(shape.to_vec(), data).unwrap()).unwrap();
    path
}

fn clips(path: PathBuf, shape: &[usize; 5], at: usize, value: f32) -> PathBuf {
    let mut numbers = vec![0.25; shape.iter().product()];
    numbers[at] = value;
    npy(path, shape, NpyData::F32(numbers))
}

/// The message of `squbed embed KIND … --tensor X`, which must end with exit code 1, without a backtrace and
/// without an output.
fn refused(kind: &str, encoder: &[&str], x: &Path, more: &[&str]) -> String {
    let out = x.with_file_name("y.npy");
    let (code, message) =
        failure(&[&["embed", kind][..], encoder, &["--tensor", text(x), "--out", text(&out)], more].concat());
    assert_eq!(code, 1, "{message}");
    assert!(!message.contains("backtrace") && !message.contains("candle"), "{message}");
    assert!(!out.exists());
    message
}

/// Inputs are checked first, so that these weights are never looked for.
const I3D: [&str; 4] = ["--arch", "i3d", "--weights", "nowhere.safetensors"];

#[test]
fn numbers_that_are_not_finite_are_named_with_file_place_and_value() {
    let folder = tempfile::tempdir().unwrap();
    for (value, told) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")] {
        // Clip 1, channel 2, frame 1, row 0, column 1.
        let at = 24 + 2 * 8 + 4 + 1;
        let x = clips(folder.path().join("x.npy"), &[2, 3, 2, 2, 2], at, value);
        let message = refused("video", &I3D, &x, &[]);
        assert!(message.contains(&format!("{} cannot be embedded", x.display())), "{message}");
        assert!(message.contains(&format!("the clips hold {told} at [1, 2, 1, 0, 1]")), "{message}");
    }
}

#[test]
fn shape_kind_and_modality_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let last = clips(path("last.npy"), &[1, 2, 2, 2, 3], 0, 0.0);
    let message = refused("video", &I3D, &last, &[]);
    assert!(message.contains("[b, 3, t, h, w]") && message.contains("[1, 2, 2, 2, 3]"), "{message}");
    let bytes = npy(path("bytes.npy"), &[1, 3, 1, 1, 1], NpyData::I64(vec![0; 3]));
    let message = refused("video", &I3D, &bytes, &[]);
    assert!(message.contains("bytes.npy") && message.contains("not i64"), "{message}");
    let floats = npy(path("floats.npy"), &[1, 2], NpyData::F32(vec![101.0, 102.0]));
    let message = refused("text", &["--model", MODEL], &floats, &[]);
    assert!(message.contains("floats.npy") && message.contains("whole numbers (i64), not f32"), "{message}");

    let message = refused("text", &I3D, &last, &[]);
    assert!(
        message.contains("`i3d` takes video clips") && message.contains("`squbed embed video`"),
        "{message}"
    );
    let message = refused("video", &["--model", MODEL], &floats, &[]);
    assert!(message.contains("takes text") && message.contains("`squbed embed text`"), "{message}");
    let message = refused("video", &I3D, &last, &["--output", "last"]);
    assert!(message.contains("it has embedding, features, logits, pooled, mixed_5c"), "{message}");
    let message = refused("text", &["--model", MODEL], &floats, &["--output", "logits"]);
    assert!(message.contains("it has embedding, features"), "{message}");
    assert!(refused("video", &I3D, &last, &["a.mp4"]).contains("cannot be used with"));
    assert!(refused("video", &I3D, &last, &["--mask", "m.npy"]).contains("--mask"));
    let message = refused("video", &I3D, &path("nowhere.npy"), &[]);
    assert!(message.contains("nowhere.npy") && message.contains("No such file"), "{message}");
    std::fs::create_dir(path("folder.npy")).unwrap();
    assert!(refused("video", &I3D, &path("folder.npy"), &[]).contains("folder.npy"));
    std::fs::write(path("empty.npy"), b"").unwrap();
    let message = refused("video", &I3D, &path("empty.npy"), &[]);
    assert!(message.contains("empty.npy") && message.contains("no .npy file"), "{message}");
}

#[test]
fn token_ids_and_masks_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let ids = npy(path("ids.npy"), &[2, 3], NpyData::I64(vec![101, 2003, 102, 101, 102, 0]));
    let with_mask = |shape: &[usize], numbers: &[i64]| {
        let mask = npy(path("mask.npy"), shape, NpyData::I64(numbers.to_vec()));
        let message = refused("text", &["--model", MODEL], &ids, &["--mask", text(&mask)]);
        assert!(message.contains("mask.npy is no mask of "), "{message}");
        message
    };
    assert!(with_mask(&[2, 2], &[1; 4]).contains("shape [2, 2]; it must be that of the token ids, [2, 3]"));
    assert!(with_mask(&[2, 3], &[1, 1, 1, 1, 2, 0]).contains("holds 2 in row 1, column 1"));
    assert!(with_mask(&[2, 3], &[1, 1, 1, 0, 0, 0]).contains("row 1 of the mask keeps no token"));
    for beyond in [30522, -1] {
        let ids = npy(path("beyond.npy"), &[2, 2], NpyData::I64(vec![101, 102, 101, beyond]));
        let message = refused("text", &["--model", MODEL], &ids, &[]);
        assert!(message.contains("beyond.npy"), "{message}");
        assert!(message.contains(&format!("token id {beyond} in row 1, column 1,")), "{message}");
    }
    let ids = npy(path("long.npy"), &[1, 513], NpyData::I64(vec![101; 513]));
    assert!(refused("text", &["--model", MODEL], &ids, &[]).contains("[1, 513]"));
}

#[test]
fn features_are_the_embedding_before_its_normalisation() {
    let folder = tempfile::tempdir().unwrap();
    let ids = npy(folder.path().join("ids.npy"), &[1, 3], NpyData::I64(vec![101, 2003, 102]));
    let row = |head: &str| {
        let out = folder.path().join(format!("{head}.npy"));
        let arguments = [
            "embed",
            "text",
            "--model",
            MODEL,
            "--tensor",
            text(&ids),
            "--output",
            head,
            "--out",
            text(&out),
        ];
        let (code, _, message) = ended(squbed(&arguments));
        assert_eq!((code, message.as_str()), (0, ""));
        read_npy(&out).unwrap().to_f64()
    };
    let norm = |row: &[f64]| row.iter().map(|x| x * x).sum::<f64>().sqrt();
    let (embedding, features) = (row("embedding"), row("features"));
    assert!((norm(&embedding) - 1.0).abs() < 1e-6 && norm(&features) > 1.5);
    for (e, f) in embedding.iter().zip(&features) {
        assert!((e - f / norm(&features)).abs() < 1e-6);
    }
}

#[test]
fn clips_in_f64_are_taken_and_small_ones_are_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let dims = [1, 3, 2, 40, 40];
    let x = npy(folder.path().join("x.npy"), &dims, NpyData::F64(vec![0.25; 2 * 3 * 1600]));
    let out = folder.path().join("y.npy");
    let arguments =
        ["embed", "video", "--model", "i3d-kinetics-400", "--tensor", text(&x), "--out", text(&out)];
    let (code, _, message) = ended(squbed(&arguments));
    assert_eq!(code, 0, "{message}");
    assert!(
        message.starts_with("warning: clips of 2 frames of 40×40 are below the 9 frames of 193×193"),
        "{message}"
    );
    assert_eq!(read_npy(&out).unwrap().shape(), [1, 1024]);
}

#[test]
fn half_precision_on_the_cpu_is_refused_with_reason_and_remedy() {
    for dtype in ["f16", "bf16"] {
        let arguments =
            ["embed", "text", "--model", MODEL, "--device", "cpu", "--dtype", dtype, "--out", "y.npy"];
        let output = crate::with_stdin(&arguments, "x\n");
        let (code, _, message) = ended(output);
        assert!(code == 1 && message.contains("no kernel on the CPU"), "{message}");
        assert!(message.contains("--dtype f32"), "{message}");
    }
}

#[test]
fn pictures_need_a_model_for_pictures() {
    let embed = |arguments: &[&str]| failure(&[&["embed", "image", "--out", "y.npy"], arguments].concat());
    let (code, message) = embed(&["--model", "all-MiniLM-L6-v2", "p.png"]);
    assert!(code == 1 && message.contains("takes text, not images"), "{message}");
    let (code, message) = embed(&["--model", "clip-vit-base-patch32"]);
    assert!(code == 1 && message.contains("no picture files"), "{message}");
    let (code, message) =
        embed(&["--arch", "siglip", "--weights", "w.safetensors", "--tensor", "nowhere.npy"]);
    assert!(code == 1 && message.contains("no architecture `siglip`"), "{message}");
    let (code, message) = embed(&["--arch", "clip", "--weights", "w.safetensors", "--tensor", "nowhere.npy"]);
    assert!(code == 1 && message.contains("nowhere.npy"), "{message}");
}
