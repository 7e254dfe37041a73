use proptest::prelude::*;

use super::*;

/// `{"a": {"b": array([[1, 2, 3]], dtype=float32)}}` as protocol 4 writes it.
fn good() -> Vec<u8> {
    let mut p = b"\x80\x04\x95\0\0\0\0\0\0\0\0}\x94\x8c\x01a\x94}\x94\x8c\x01b\x94".to_vec();
    p.extend(array("numpy.core.multiarray", "f4", "<", &[1, 3], false, &[0; 12]));
    p.extend(b"ss.");
    p
}

fn text(s: &str) -> Vec<u8> {
    [&[0x8c, s.len() as u8], s.as_bytes()].concat()
}

fn global(module: &str, name: &str) -> Vec<u8> {
    [text(module), text(name), vec![0x93]].concat()
}

fn array(module: &str, dtype: &str, order: &str, shape: &[u8], fortran: bool, data: &[u8]) -> Vec<u8> {
    let mut p = global(module, "_reconstruct");
    p.extend(global("numpy", "ndarray"));
    p.extend(b"K\0\x85C\x01b\x87R(K\x01(");
    shape.iter().for_each(|&d| p.extend([b'K', d]));
    p.push(b't');
    p.extend(global("numpy", "dtype"));
    p.extend(text(dtype));
    p.extend(b"\x89\x88\x87R(K\x03");
    p.extend(text(order));
    p.extend(b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb");
    p.push(if fortran { 0x88 } else { 0x89 });
    p.extend([b'C', data.len() as u8]);
    p.extend(data);
    p.extend(b"tb");
    p
}

fn error_of(program: &[u8]) -> PickleError {
    read_arrays(program).unwrap_err()
}

/// An error of a program that is one array and the end.
fn array_error(dtype: &str, order: &str, shape: &[u8], fortran: bool, data: &[u8]) -> PickleError {
    let mut p = array("numpy.core.multiarray", dtype, order, shape, fortran, data);
    p.push(b'.');
    error_of(&p)
}

#[test]
fn nested_dicts_of_arrays_are_read() {
    let bytes = good();
    let arrays = read_arrays(&bytes).unwrap();
    assert_eq!(arrays.len(), 1);
    assert_eq!(arrays[0].0, "a.b");
    assert_eq!(arrays[0].1, Array { element: Element::F32, shape: vec![1, 3], data: [0; 12][..].into() });
}

#[test]
fn both_names_of_numpys_core_are_known() {
    let mut p = array("numpy._core.multiarray", "i8", "<", &[], false, &[7; 8]);
    p.push(b'.');
    assert_eq!(read_arrays(&p).unwrap()[0].1.shape, [0usize; 0]);
}

#[test]
fn a_scalar_is_an_array_without_dimensions() {
    let mut p = global("numpy.core.multiarray", "scalar");
    p.extend(global("numpy", "dtype"));
    p.extend(text("f8"));
    p.extend(b"\x89\x88\x87RC\x0812345678\x86R.");
    let arrays = read_arrays(&p).unwrap();
    assert_eq!(arrays[0].1, Array { element: Element::F64, shape: vec![], data: b"12345678"[..].into() });
}

#[test]
fn the_text_form_of_names_is_read_and_checked() {
    assert_eq!(
        error_of(b"\x80\x02cos\nsystem\nX\x02\0\0\0ls\x85R."),
        PickleError::Global { at: 2, module: "os".into(), name: "system".into() }
    );
    assert_eq!(error_of(b"\x80\x02cnumpy\nndarray\n."), PickleError::Entry { path: String::new() });
    assert_eq!(error_of(b"cnumpy\nndarray"), PickleError::Truncated { at: 14, needed: 1 });
}

#[test]
fn a_function_of_the_machine_is_never_named() {
    let mut p = global("builtins", "eval");
    p.extend(b".");
    assert_eq!(
        error_of(&p).to_string(),
        "it names `builtins.eval` at byte 16, which tensors do not need; nothing was run"
    );
}

#[test]
fn a_file_that_ends_early_says_where() {
    let whole = good();
    for end in 0..whole.len() {
        let error = error_of(&whole[..end]);
        assert!(matches!(error, PickleError::Truncated { at, .. } if at == end), "{end}: {error}");
    }
}

#[test]
fn bytes_after_the_end_are_refused() {
    let mut p = good();
    p.extend(b"xy");
    assert_eq!(error_of(&p), PickleError::Trailing { at: p.len() - 2, count: 2 });
}

#[test]
fn protocols_outside_2_to_4_are_refused() {
    assert_eq!(error_of(b"\x80\x05."), PickleError::Protocol { protocol: 5 });
    assert_eq!(error_of(b"\x80\x01."), PickleError::Protocol { protocol: 1 });
}

#[test]
fn instructions_that_tensors_do_not_need_are_refused() {
    // INST, OBJ, NEWOBJ, EXT1, PERSID, POP, INT, NEWOBJ_EX, BYTEARRAY8.
    for opcode in [b'i', b'o', 0x81, 0x82, b'P', b'0', b'I', 0x92, 0x96, 0xff] {
        assert_eq!(error_of(&[opcode]), PickleError::Opcode { at: 0, opcode });
    }
}

#[test]
fn missing_arguments_are_noticed() {
    for program in
        [&b"."[..], b"s.", b"t.", b"R.", b"b.", b"\x94.", b"\x93.", b"}Ns.", b"}(Nu.", b"N(\x85.", b"NN."]
    {
        assert!(matches!(error_of(program), PickleError::Stack { .. }), "{program:?}: {}", error_of(program));
    }
}

#[test]
fn what_was_not_stored_cannot_be_recalled() {
    assert_eq!(error_of(b"h\x07."), PickleError::Memo { at: 0, index: 7 });
    assert_eq!(error_of(b"Nr\x09\0\0\0j\x08\0\0\0."), PickleError::Memo { at: 6, index: 8 });
}

#[test]
fn lengths_beyond_the_file_allocate_nothing() {
    assert_eq!(
        error_of(b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff"),
        PickleError::Truncated { at: 9, needed: u64::MAX }
    );
    assert_eq!(error_of(b"X\xff\xff\xff\xffab"), PickleError::Truncated { at: 7, needed: 0xffff_ffff - 2 });
}

#[test]
fn text_is_utf8() {
    assert_eq!(error_of(b"\x8c\x01\xff."), PickleError::Text { at: 0 });
}

#[test]
fn arguments_have_their_kind() {
    for program in [&b"NNs."[..], b"NNNs.", b"NN\x93.", b"NNR.", b"NNb.", b"\x8a\x09123456789."] {
        assert!(
            matches!(error_of(program), PickleError::Kind { .. } | PickleError::Stack { .. }),
            "{program:?}"
        );
    }
    let mut p = global("numpy", "dtype");
    p.extend(b"N\x85R.");
    assert!(matches!(error_of(&p), PickleError::Kind { .. }));
}

#[test]
fn long_numbers_keep_their_sign() {
    // A shape of -1, written as LONG1.
    let mut p = global("numpy.core.multiarray", "_reconstruct");
    p.extend(global("numpy", "ndarray"));
    p.extend(b"K\0\x85C\x01b\x87R(K\x01\x8a\x01\xff\x85");
    p.extend(global("numpy", "dtype"));
    p.extend(text("u1"));
    p.extend(b"\x89\x88\x87R\x89C\x00tb.");
    assert!(matches!(error_of(&p), PickleError::Shape { shape, .. } if shape == [-1]));
}

#[test]
fn element_types_are_listed() {
    assert!(
        matches!(array_error("c8", "<", &[], false, &[0; 8]), PickleError::Dtype { dtype, .. } if dtype == "c8")
    );
    // Objects come as a list and not as bytes.
    assert!(matches!(array_error("O8", "|", &[], false, &[0; 8]), PickleError::Kind { .. }));
}

#[test]
fn other_orders_are_refused() {
    assert!(matches!(
        array_error("f4", ">", &[], false, &[0; 4]),
        PickleError::Order { order: "big-endian", .. }
    ));
    assert!(matches!(
        array_error("f4", "<", &[1], true, &[0; 4]),
        PickleError::Order { order: "in column-major order", .. }
    ));
}

#[test]
fn a_shape_has_its_bytes() {
    assert!(matches!(array_error("f4", "<", &[2, 3], false, &[0; 20]), PickleError::Shape { bytes: 20, .. }));
    assert!(matches!(array_error("f4", "<", &[255; 12], false, &[0; 4]), PickleError::Shape { .. }));
}

#[test]
fn keys_are_text_and_entries_are_arrays() {
    assert_eq!(error_of(b"}NNs."), PickleError::Key { path: String::new() });
    assert_eq!(error_of(b"}\x8c\x01aNs."), PickleError::Entry { path: "a".into() });
    // An array that never gets its state.
    let mut p = global("numpy.core.multiarray", "_reconstruct");
    p.extend(global("numpy", "ndarray"));
    p.extend(b"K\0\x85C\x01b\x87R.");
    assert_eq!(error_of(&p), PickleError::Entry { path: String::new() });
}

#[test]
fn a_dict_that_contains_itself_ends() {
    let error = error_of(b"}\x94\x8c\x01ah\x00s.");
    assert!(matches!(error, PickleError::Deep | PickleError::Shared), "{error}");
}

#[test]
fn dicts_that_share_dicts_do_not_explode() {
    // d0 = {}; d(k+1) = {"a": dk, "b": dk}: 2^30 paths.
    let mut p = b"}\x94".to_vec();
    for k in 0..30u8 {
        p.extend(b"}\x94");
        for key in [b'a', b'b'] {
            p.extend([0x8c, 1, key, b'h', k, b's']);
        }
    }
    // The dicts below the last are taken off the stack as a tuple's items.
    let mut program = b"(".to_vec();
    program.extend(p);
    program.extend(b"\x94t\x94}\x8c\x01xh\x1es.");
    let error = read_arrays(&program);
    assert!(error.is_err());
    let mut alone = b"}\x94".to_vec();
    alone.extend(b"}\x94\x8c\x01ah\0s\x8c\x01bh\0s\x8c\x01ch\0s");
    alone.extend(b"\x86}\x8c\x01xh\x01s");
    alone.push(b'.');
    assert!(read_arrays(&alone).is_err());
}

#[test]
fn deep_nesting_ends() {
    let mut p = Vec::new();
    for _ in 0..100_000 {
        p.extend(b"}\x8c\x01a");
    }
    p.extend(b"}");
    p.extend(std::iter::repeat_n(b's', 100_000));
    p.push(b'.');
    assert_eq!(error_of(&p), PickleError::Deep);
}

proptest! {
    #[test]
    fn any_bytes_give_arrays_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read_arrays(&bytes);
    }

    #[test]
    fn a_damaged_pickle_gives_arrays_or_an_error(at in 0usize..160, byte: u8, cut in 0usize..160) {
        let mut p = good();
        let n = p.len();
        p[at % n] = byte;
        let _ = read_arrays(&p);
        p.remove(cut % n);
        let _ = read_arrays(&p);
    }
}
