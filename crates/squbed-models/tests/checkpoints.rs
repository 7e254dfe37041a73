//! Weights in every form in which they are published, against what PyTorch and numpy read from the same files.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use candle_core::{DType, Device};
use safetensors::SafeTensors;
use squbed_models::{
    Architecture, ConvertError, Error, Weights, load_arch, pickle::PickleError, read_checkpoint, sha256,
    tensors_of,
};

fn golden(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/checkpoints")).join(name)
}

/// Type, shape and bytes of each tensor.
type Tensors = BTreeMap<String, (String, Vec<usize>, Vec<u8>)>;

fn tensors(safetensors: &[u8]) -> Tensors {
    let file = SafeTensors::deserialize(safetensors).unwrap();
    let owned = file
        .tensors()
        .into_iter()
        .map(|(name, view)| (name, (view.dtype().to_string(), view.shape().to_vec(), view.data().to_vec())));
    owned.collect()
}

fn check(file: &str, expected: &str) -> Vec<String> {
    let converted = read_checkpoint(&golden(file)).unwrap_or_else(|error| panic!("{file}: {error:?}"));
    let expected = tensors(&fs::read(golden(&format!("{expected}.expected.safetensors"))).unwrap());
    let found = tensors(&converted.bytes);
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{file}");
    for (name, tensor) in &expected {
        assert_eq!(&found[name], tensor, "{file}: {name}");
    }
    converted.left_out
}

#[test]
fn both_forms_of_pytorch_are_read_bit_for_bit() {
    for form in ["zip", "legacy"] {
        assert!(check(&format!("kinds.{form}.pth"), "kinds").is_empty());
        assert!(check(&format!("views.{form}.pth"), "views").is_empty());
        let left = check(&format!("parameters.{form}.pth"), "parameters");
        assert_eq!(left, ["nested.steps.0", "nested.steps.1"]);
        let left = check(&format!("training.{form}.pth"), "training");
        assert_eq!(left, ["epoch", "loss", "optimizer"]);
    }
}

#[test]
fn files_that_python_2_wrote_are_read() {
    assert!(check("lpips_alex.legacy.pth", "lpips_alex").is_empty());
    assert!(check("lpips_vgg.legacy.pth", "lpips_vgg").is_empty());
}

#[test]
fn arrays_and_dicts_of_numpy_are_read() {
    for name in ["c", "fortran", "dict"] {
        check(&format!("{name}.npy"), name);
    }
}

#[test]
fn shards_are_joined() {
    check("model.safetensors.index.json", "shards");
    let w = Weights::open(golden("model.safetensors.index.json")).unwrap();
    assert_eq!(w.f64("c", &[1]).unwrap(), [1.0]);
}

#[test]
fn weights_open_in_every_form() {
    for file in ["views.zip.pth", "views.legacy.pth", "views.expected.safetensors"] {
        let w = Weights::open(golden(file)).unwrap();
        assert_eq!(w.f64("column", &[4]).unwrap(), [2.0, 8.0, 14.0, 20.0], "{file}");
        assert_eq!(w.f64("expanded", &[3, 2]).unwrap(), [5.0; 6], "{file}");
    }
    let w = Weights::open(golden("dict.npy")).unwrap();
    assert_eq!(w.f64("conv.w", &[2, 2]).unwrap(), [1.0, 2.0, 3.0, 4.0]);
    assert!(w.tensor("steps", &[2], &Device::Cpu, DType::F32).unwrap_err().to_string().contains("holds I64"));
}

#[test]
fn conversion_depends_on_the_content_alone() {
    let read = |file| sha256(&read_checkpoint(&golden(file)).unwrap().bytes);
    assert_eq!(read("kinds.zip.pth"), read("kinds.legacy.pth"));
    assert_eq!(read("kinds.zip.pth"), read("kinds.zip.pth"));
    let kinds = tensors_of(&read_checkpoint(&golden("kinds.zip.pth")).unwrap().bytes).unwrap();
    let bf16 = kinds.iter().find(|tensor| tensor.name == "bfloat16").unwrap();
    assert_eq!((bf16.dtype.as_str(), bf16.shape.as_slice()), ("BF16", &[3, 4][..]));
}

fn refused(path: &Path) -> ConvertError {
    match read_checkpoint(path) {
        Err(Error::Convert { source, file }) => {
            assert_eq!(file, path);
            source
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_module_saved_whole_is_refused_by_the_name_of_its_class() {
    match refused(&golden("module.zip.pth")) {
        ConvertError::Pickle(PickleError::Global { module, name, .. }) => {
            assert_eq!(format!("{module}.{name}"), "torch.nn.modules.linear.Linear");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_checkpoint_cut_anywhere_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for file in ["views.zip.pth", "parameters.legacy.pth", "dict.npy", "c.npy"] {
        let whole = fs::read(golden(file)).unwrap();
        let path = dir.path().join(file);
        for end in 0..whole.len() {
            fs::write(&path, &whole[..end]).unwrap();
            refused(&path);
        }
    }
}

#[test]
fn a_checkpoint_with_any_byte_changed_is_read_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    for file in ["views.zip.pth", "views.legacy.pth", "dict.npy", "model.safetensors.index.json"] {
        let whole = fs::read(golden(file)).unwrap();
        let path = dir.path().join(file);
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= [0xff, 0x80, 0x01][at % 3];
            fs::write(&path, &bytes).unwrap();
            // Either answer is right; a panic or a read beyond the end is not.
            let _ = read_checkpoint(&path);
        }
    }
}

#[test]
fn what_is_no_checkpoint_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let message = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        refused(&path).to_string()
    };
    assert_eq!(
        message("x.bin", b"hello, this is a text"),
        "it is no whole safetensors file, nor a checkpoint of PyTorch or numpy"
    );
    assert!(
        message("x.zip", b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0").contains("pickle is refused")
    );
    let npy = |header: &str, data: &[u8]| {
        [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), data].concat()
    };
    let source = |bytes: &[u8]| {
        let path = dir.path().join("x.npy");
        fs::write(&path, bytes).unwrap();
        std::error::Error::source(&refused(&path)).unwrap().to_string()
    };
    let header = |descr: &str, shape: &str| {
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n")
    };
    assert!(source(&npy(&header(">f4", "(1,)"), &[0; 4])).starts_with("its elements are `>f4`"));
    assert!(source(&npy(&header("<U7", "(1,)"), &[0; 28])).starts_with("its elements are `<U7`"));
    assert_eq!(
        source(&npy(&header("<f4", "(2, 3)"), &[0; 20])),
        "its shape [2, 3] needs other than the 20 bytes that follow the header"
    );
    assert!(source(&npy(&header("<f4", "(18446744073709551615, 2)"), &[0; 4])).contains("needs other than"));
    assert!(source(&npy("{}", &[])).starts_with("its header lacks a descr"));
    assert!(
        source(&npy(&header("|O", "()"), b"\x80\x02cos\nsystem\nU\x02lsR.")).contains("it names `os.system`")
    );
}

/// The first bytes of a safetensors file are the length of its header; 19280 reads as `PK`, with which zips begin.
#[test]
fn a_header_of_any_length_is_one_of_safetensors() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("w.bin");
    for length in [19280, 0x80, 0x180] {
        let mut header = br#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#.to_vec();
        header.resize(length, b' ');
        let bytes = [&(length as u64).to_le_bytes(), &header[..], &2.5f32.to_le_bytes()].concat();
        fs::write(&path, &bytes).unwrap();
        assert!(read_checkpoint(&path).unwrap().bytes == bytes, "{length}");
        assert_eq!(Weights::open(&path).unwrap().f64("a", &[1]).unwrap(), [2.5], "{length}");
    }
}

#[test]
fn an_array_without_elements_has_dimensions_of_any_length() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    for order in ["True", "False"] {
        let header = format!(
            "{{'descr': '<f4', 'fortran_order': {order}, 'shape': (0, 1099511627776, 1099511627776), }}\n"
        );
        let bytes =
            [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes()].concat();
        fs::write(&path, bytes).unwrap();
        let found = tensors_of(&read_checkpoint(&path).unwrap().bytes).unwrap();
        assert_eq!((found[0].name.as_str(), found[0].shape.as_slice()), ("a", &[0, 1 << 40, 1 << 40][..]));
    }
}

#[test]
fn an_index_keeps_to_its_folder_and_its_promise() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors.index.json");
    let message = |map: &str| {
        fs::write(&path, format!("{{\"weight_map\": {map}}}")).unwrap();
        refused(&path).to_string()
    };
    for shard in ["../x.safetensors", "/etc/passwd", "a/b", "", "..", "C:x"] {
        let text = message(&format!("{{\"a\": \"{shard}\"}}"));
        assert_eq!(text, format!("the index names the shard `{shard}`; shards lie beside it"));
    }
    let shard = dir.path().join("x.safetensors");
    assert_eq!(
        message("{\"a\": \"x.safetensors\"}"),
        format!("the shard {} cannot be read", shard.display())
    );
    let bytes = fs::read(golden("model-00001-of-00002.safetensors")).unwrap();
    fs::write(&shard, &bytes[..bytes.len() - 1]).unwrap();
    let text = message("{\"a\": \"x.safetensors\"}");
    assert_eq!(text, format!("the shard {} is no whole safetensors file", shard.display()));
    fs::write(&shard, &bytes).unwrap();
    assert_eq!(
        message("{\"z\": \"x.safetensors\"}"),
        "the shard `x.safetensors` has no tensor `z`, which the index says is there"
    );
    assert_eq!(message("{}"), "no tensor is in it");
    assert_eq!(message("[]"), "the index of its shards cannot be read");
}

#[test]
fn weights_of_another_network_are_one_error_with_all_names() {
    let error = load_arch(Architecture::I3d, &golden("views.zip.pth"), None, &Device::Cpu, DType::F32);
    let error = error.err().expect("LPIPS is no I3D");
    let text = error.to_string();
    assert!(text.contains("230 missing: `params.Conv3d_1a_7x7.Conv_0.kernel` [7, 7, 7, 3, 64], "), "{text}");
    assert!(text.contains(", and 218 more") && text.contains("8 surplus: "), "{text}");
    assert!(text.contains("`transposed` [6, 4]"), "{text}");
    assert!(matches!(error, Error::Tensors { mismatch, .. } if mismatch.missing.len() == 230));
}
