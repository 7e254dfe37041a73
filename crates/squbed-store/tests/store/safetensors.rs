//! Safetensors files.

use std::fs;

use squbed_store::{NpyArray, NpyData, read_safetensors};

use crate::{golden, told};

#[test]
fn tensors_are_read_by_name_or_alone() {
    let x = NpyArray::new(vec![2, 2], NpyData::F32(vec![1.0, 2.5, -3.0, 0.0])).unwrap();
    assert_eq!(read_safetensors(&golden("one.safetensors"), None).unwrap(), x);
    assert_eq!(read_safetensors(&golden("one.safetensors"), Some("x")).unwrap(), x);
    let ids = NpyArray::new(vec![3], NpyData::I64(vec![7, -8, 9])).unwrap();
    assert_eq!(read_safetensors(&golden("three.safetensors"), Some("ids")).unwrap(), ids);
    let y = NpyArray::new(vec![1], NpyData::F64(vec![0.1])).unwrap();
    assert_eq!(read_safetensors(&golden("three.safetensors"), Some("y")).unwrap(), y);
}

#[test]
fn what_cannot_be_read_is_told() {
    let home = tempfile::tempdir().unwrap();
    let cut = home.path().join("cut.safetensors");
    let whole = fs::read(golden("one.safetensors")).unwrap();
    fs::write(&cut, &whole[..whole.len() - 1]).unwrap();
    let error = read_safetensors(&cut, None).unwrap_err();
    assert!(
        told(&error, home.path())
            .starts_with("cannot read `cut.safetensors` as safetensors; fetch or write it again: "),
    );
    let three = golden("three.safetensors");
    let message = |name| {
        let error = read_safetensors(&three, name).unwrap_err();
        error.to_string().replace(three.to_str().unwrap(), "three.safetensors")
    };
    assert_eq!(message(None), "`three.safetensors` has the tensors half, ids, y; keep one, or name one");
    assert_eq!(message(Some("z")), "`three.safetensors` has the tensors half, ids, y; there is no `z`");
    assert_eq!(
        message(Some("half")),
        "`three.safetensors`: tensor `half` has the type F16; give F32, F64 or I64"
    );
}
