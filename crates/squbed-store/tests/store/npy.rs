//! NumPy files.

use std::fs;

use proptest::prelude::*;
use squbed_store::{NpyArray, NpyData, npy::NpyError, read_npy, write_npy};

use crate::{golden, told};

fn array(shape: &[usize], data: NpyData) -> NpyArray {
    NpyArray::new(shape.to_vec(), data).unwrap()
}

#[test]
fn files_of_numpy_are_read() {
    let f4 = array(&[2, 3], NpyData::F32(vec![0.0, 1.5, -2.25, 1e-40, f32::INFINITY, 3.0]));
    assert_eq!(read_npy(&golden("f4.npy")).unwrap(), f4);
    let f8 = array(&[4], NpyData::F64(vec![0.1, -1e300, 5e-324, 2.0]));
    assert_eq!(read_npy(&golden("f8_v2.npy")).unwrap(), f8);
    let i8 = array(&[1, 2, 2], NpyData::I64(vec![0, -1, i64::MAX, i64::MIN]));
    assert_eq!(read_npy(&golden("i8.npy")).unwrap(), i8);
    let scalar = array(&[], NpyData::F64(vec![7.0]));
    assert_eq!(read_npy(&golden("scalar.npy")).unwrap(), scalar);
    let empty = array(&[0, 3], NpyData::F32(vec![]));
    assert_eq!(read_npy(&golden("empty.npy")).unwrap(), empty);
}

#[test]
fn files_are_written_byte_by_byte_as_numpy_does() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("x.npy");
    for name in ["f4.npy", "i8.npy", "scalar.npy", "empty.npy"] {
        write_npy(&path, &read_npy(&golden(name)).unwrap()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), fs::read(golden(name)).unwrap(), "{name}");
    }
}

#[test]
fn what_is_not_read_is_told_with_the_remedy() {
    for (name, message) in [
        ("fortran.npy", "it is in Fortran order; convert it with numpy.ascontiguousarray"),
        ("big_endian.npy", "its type is `>f4`; convert it with x.astype('<f4'), '<f8' or '<i8'"),
        ("bool.npy", "its type is `|b1`; convert it with x.astype('<f4'), '<f8' or '<i8'"),
        (
            "structured.npy",
            "its type is `[('a', '<f4'), ('b', '<i8')]`; convert it with x.astype('<f4'), '<f8' or '<i8'",
        ),
        ("f4_v3.npy", "its format version is 3.0; 1.0 and 2.0 are read"),
        ("f4.npz", "it is no .npy file; write it with numpy.save"),
    ] {
        let error = read_npy(&golden(name)).unwrap_err();
        assert_eq!(told(&error, &golden("")).split_once(": ").unwrap().1, message, "{name}");
    }
}

#[test]
fn a_file_cut_short_is_told_at_every_length() {
    let whole = fs::read(golden("f4.npy")).unwrap();
    for length in 0..whole.len() {
        let error = NpyArray::from_bytes(&whole[..length]).unwrap_err();
        match length {
            0..8 => assert_eq!(error, NpyError::Magic, "{length}"),
            8..128 => assert!(matches!(error, NpyError::Header { .. }), "{length}"),
            _ => assert!(matches!(error, NpyError::Length { expected: 24, .. }), "{length}"),
        }
    }
    let longer = [&whole[..], b"x"].concat();
    assert_eq!(
        NpyArray::from_bytes(&longer).unwrap_err().to_string(),
        "the shape [2, 3] needs 24 bytes of data, there are 25; it may be cut short"
    );
}

#[test]
fn a_damaged_header_is_shown() {
    let with_header = |header: &str| {
        let length = (header.len() as u16).to_le_bytes();
        NpyArray::from_bytes(&[b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), &[0; 8]].concat())
    };
    let good = "{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }";
    assert!(with_header(good).is_ok());
    assert!(with_header("{\"shape\":(1),'fortran_order':False,'descr':'<f8'}  \n").is_ok());
    for (old, new, at) in [
        ("(1,)", "(-1,)", "-1,), }"),
        ("(1,)", "(1 1)", "1), }"),
        ("(1,)", "(99999999999999999999,)", "99999999999999999999,), }"),
        ("False", "0", "0, 'shape': (1,), }"),
        ("'descr'", "descr", "descr: '<f8', 'fortran_order': False, 's"),
        ("'descr'", "'type'", "'<f8', 'fortran_order': False, 'shape': "),
        (", }", "", ""),
        ("'fortran_order': False, ", "", ""),
    ] {
        let error = with_header(&good.replace(old, new)).unwrap_err();
        let NpyError::Header { at: found } = &error else { panic!("{error:?}") };
        assert_eq!(found, at, "{new}");
    }
    // No overflow, and no allocation of what a shape only claims.
    let huge = format!("({0}, {0}, {0})", usize::MAX);
    assert!(matches!(with_header(&good.replace("(1,)", &huge)), Err(NpyError::Length { .. })));
    assert!(matches!(with_header("\u{fe}{"), Err(NpyError::Header { .. })));
}

#[test]
fn a_shape_and_its_numbers_must_agree() {
    let error = NpyArray::new(vec![2, 2], NpyData::I64(vec![1])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the shape [2, 2] needs 32 bytes of data, there are 8; it may be cut short"
    );
}

proptest! {
    #[test]
    fn any_array_survives(rows in 0usize..5, columns in 0usize..5, bits in any::<u64>()) {
        let values = |i: usize| bits.rotate_left(i as u32 * 7);
        let n = rows * columns;
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("x.npy");
        for data in [
            NpyData::F32((0..n).map(|i| (values(i) as i32) as f32).collect()),
            NpyData::F64((0..n).map(|i| values(i) as f64 / 3.0).collect()),
            NpyData::I64((0..n).map(|i| values(i) as i64).collect()),
        ] {
            let x = array(&[rows, columns], data);
            write_npy(&path, &x).unwrap();
            prop_assert_eq!(read_npy(&path).unwrap(), x);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(header in "[{}()\\[\\]':, 0-9a-zA-Z<>|]{0,80}", data in prop::collection::vec(any::<u8>(), 0..40)) {
        let length = (header.len() as u16).to_le_bytes();
        let _ = NpyArray::from_bytes(&[b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), &data].concat());
        let _ = NpyArray::from_bytes(&data);
    }
}
