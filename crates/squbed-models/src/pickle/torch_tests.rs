//! PyTorch's checkpoints made by hand, most of them hostile. Real ones are in `tests/checkpoints.rs`.

use std::io::Write as _;

use proptest::prelude::*;

use super::*;

/// A zip as PyTorch writes it, with one storage `0`.
fn zip_of(program: &[u8], storage: &[u8], method: zip::CompressionMethod) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(method);
    for (name, data) in [("a/data.pkl", program), ("a/byteorder", b"little"), ("a/data/0", storage)] {
        zip.start_file(name, options).unwrap();
        zip.write_all(data).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn stored(program: &[u8], storage: &[u8]) -> Vec<u8> {
    zip_of(program, storage, zip::CompressionMethod::Stored)
}

fn int(n: i64) -> Vec<u8> {
    [&[0x8a, 8], &n.to_le_bytes()[..]].concat()
}

fn tuple(items: &[i64]) -> Vec<u8> {
    let items: Vec<u8> = items.iter().flat_map(|&n| int(n)).collect();
    [b"(", &items[..], b"t"].concat()
}

/// A float tensor in storage `0` of `count` elements.
fn tensor(count: i64, offset: i64, shape: &[i64], stride: &[i64]) -> Vec<u8> {
    let mut p =
        b"ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\nU\x010U\x03cpu".to_vec();
    p.extend(int(count));
    p.extend(b"tQ");
    p.extend(int(offset));
    p.extend(tuple(shape));
    p.extend(tuple(stride));
    p.extend(b"\x89ccollections\nOrderedDict\n)RtR");
    p
}

/// `{"w": …}`.
fn dict(value: &[u8]) -> Vec<u8> {
    [b"\x80\x02}U\x01w", value, b"s."].concat()
}

fn error_of(program: &[u8], storage: &[u8]) -> PickleError {
    read_torch(&stored(program, storage)).unwrap_err()
}

#[test]
fn a_tensor_is_read_from_its_storage() {
    let numbers: Vec<u8> = (0..6u8).flat_map(|n| f32::from(n).to_le_bytes()).collect();
    let file = stored(&dict(&tensor(6, 1, &[2, 2], &[1, 3])), &numbers);
    let found = read_torch(&file).unwrap();
    let expected: Vec<u8> = [1f32, 4.0, 2.0, 5.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    let array = Array { element: Element::F32, shape: vec![2, 2], data: expected.into() };
    assert_eq!(found, Tensors { tensors: vec![("w".into(), array)], left_out: vec![] });
}

#[test]
fn every_other_name_is_refused_by_name() {
    for (module, name) in [
        ("os", "system"),
        ("posix", "system"),
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("__builtin__", "exec"),
        ("subprocess", "Popen"),
        ("torch", "load"),
        ("torch.storage", "_load_from_bytes"),
        ("torch._utils", "_rebuild_wrapper_subclass"),
        ("numpy.core.multiarray", "fromstring"),
        ("collections", "defaultdict"),
        ("argparse", "Namespace"),
        ("functools", "partial"),
        ("torch", "FloatStorage.__init__"),
    ] {
        let by_line = format!("c{module}\n{name}\nU\x02lsU\x01aR.").into_bytes();
        let by_line = [&b"\x80\x02"[..], &by_line].concat();
        let error = error_of(&by_line, b"");
        assert!(
            matches!(&error, PickleError::Global { at: 2, module: m, name: n } if m == module && n == name),
            "{error}"
        );
        // The two names on the stack, as protocol 4 has them.
        let text = |text: &str| [&[0x8c, text.len() as u8], text.as_bytes()].concat();
        let error = error_of(&[&b"\x80\x04"[..], &text(module), &text(name), b"\x93."].concat(), b"");
        assert!(error.to_string().starts_with(&format!("it names `{module}.{name}` at byte ")), "{error}");
    }
}

#[test]
fn names_that_are_known_do_nothing_else() {
    // REDUCE, BUILD, NEWOBJ, INST and OBJ on what only makes tensors.
    for program in [
        &b"\x80\x02ctorch\nFloatStorage\n)R."[..],
        b"\x80\x02ctorch\nFloatStorage\nNb.",
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}b.",
        b"\x80\x02ctorch._utils\n_rebuild_parameter\nN\x85R.",
        b"\x80\x02ccollections\nOrderedDict\nU\x01a\x85R.",
        b"\x80\x02ctorch\nSize\n(U\x01at\x85R.",
        b"\x80\x02ctorch\nSize\nctorch\nSize\n\x85R.",
    ] {
        assert!(matches!(error_of(program, b""), PickleError::Kind { .. }), "{:?}", error_of(program, b""));
    }
    for (opcode, program) in [
        (0x81, &b"\x80\x02ctorch\nFloatStorage\n)\x81."[..]),
        (b'o', b"\x80\x02(ctorch\nFloatStorage\no."),
        (b'i', b"\x80\x02(itorch\nFloatStorage\n."),
        (0x92, b"\x80\x02ctorch\nFloatStorage\n)}\x92."),
    ] {
        assert!(matches!(error_of(program, b""), PickleError::Opcode { opcode: o, .. } if o == opcode));
    }
    // A function is no tensor, and what is saved beside tensors is named.
    let file = stored(b"\x80\x02}U\x01wctorch\nSize\ns.", b"");
    assert_eq!(read_torch(&file).unwrap().left_out, ["w"]);
}

#[test]
fn a_tensor_lies_within_its_storage() {
    let inside = stored(&dict(&tensor(6, 2, &[2, 2], &[2, 1])), &[0; 24]);
    assert!(read_torch(&inside).is_ok());
    for (count, offset, shape, stride) in [
        (6, 3, &[2, 2][..], &[2, 1][..]),
        (6, 0, &[7], &[1]),
        (6, 6, &[1], &[1]),
        (6, i64::MAX, &[2], &[i64::MAX]),
        (6, 0, &[i64::MAX, i64::MAX], &[0, 0]),
        (6, 0, &[i64::MAX], &[0]),
        // The pickle promises more than the storage has.
        (7, 0, &[7], &[1]),
        (i64::MAX, 0, &[1 << 40], &[1]),
    ] {
        let error = error_of(&dict(&tensor(count, offset, shape, stride)), &[0; 24]);
        assert!(matches!(error, PickleError::View { .. } | PickleError::Repeat { .. }), "{shape:?}: {error}");
    }
    for (count, offset, shape) in [(-1, 0, 1), (6, -1, 1), (6, 0, -1)] {
        let error = error_of(&dict(&tensor(count, offset, &[shape], &[1])), &[0; 24]);
        assert!(matches!(error, PickleError::Kind { .. }), "{error}");
    }
    assert!(matches!(error_of(&dict(&tensor(6, 0, &[1, 2], &[1])), &[0; 24]), PickleError::Kind { .. }));
    assert!(matches!(error_of(&dict(&tensor(6, 0, &[1; 65], &[1; 65])), &[0; 24]), PickleError::Kind { .. }));
}

#[test]
fn a_tensor_without_elements_needs_none() {
    let file = stored(&dict(&tensor(0, 0, &[0, i64::MAX], &[1, 1])), b"");
    assert_eq!(read_torch(&file).unwrap().tensors[0].1.data.len(), 0);
}

#[test]
fn a_storage_that_is_repeated_without_end_is_refused() {
    // Of one number four gigabytes.
    let error = error_of(&dict(&tensor(1, 0, &[1 << 30], &[0])), &[0; 4]);
    assert_eq!(error, PickleError::Repeat { name: "w".into() });
    // A hundred names for the same megabyte, each within its rights.
    let mut program = b"\x80\x02}".to_vec();
    for i in 0..100u8 {
        program.extend([b'U', 1, b' ' + i % 90]);
        program.extend(tensor(1 << 18, 0, &[1 << 18], &[1]));
        program.push(b's');
    }
    program.push(b'.');
    assert!(matches!(error_of(&program, &vec![0; 1 << 20]), PickleError::Repeat { .. }));
}

#[test]
fn a_compressed_storage_is_refused_unopened() {
    let file = zip_of(&dict(&tensor(1, 0, &[1], &[1])), &[0; 1 << 20], zip::CompressionMethod::Deflated);
    assert!(matches!(read_torch(&file).unwrap_err(), PickleError::Compressed { .. }));
}

#[test]
fn a_missing_storage_and_another_byte_order_are_named() {
    let mut program = dict(&tensor(1, 0, &[1], &[1]));
    let at = program.windows(3).position(|w| w == b"U\x010").unwrap();
    program[at + 2] = b'7';
    assert_eq!(error_of(&program, &[0; 4]), PickleError::NoStorage { key: "7".into() });
    let mut zip = stored(&dict(&tensor(1, 0, &[1], &[1])), &[0; 4]);
    let at = zip.windows(6).position(|w| w == b"little").unwrap();
    zip[at..at + 6].copy_from_slice(b"   big");
    assert!(matches!(read_torch(&zip), Err(PickleError::Order { order: "big-endian", .. })));
    assert_eq!(
        read_torch(b"PK").unwrap_err().to_string().split(':').next().unwrap(),
        "its zip archive cannot be read"
    );
}

#[test]
fn instructions_without_end_are_refused() {
    let error = error_of(&[&b"\x80\x02"[..], &vec![b'N'; 5 << 20]].concat(), b"");
    assert!(matches!(error, PickleError::Long { .. }), "{error}");
    // The memo: what is stored again and again, and recalled.
    let error = error_of(&[&b"\x80\x02}"[..], &b"q\x01h\x01".repeat(2 << 20)].concat(), b"");
    assert!(matches!(error, PickleError::Long { .. }), "{error}");
    // Copies of one big list of pairs.
    let pairs = [&b"\x80\x02]q\x01(](NNeq\x02"[..], &b"h\x02".repeat(100_000), b"e"].concat();
    let mut program = pairs;
    for _ in 0..100 {
        program.extend(b"ccollections\nOrderedDict\nh\x01\x85R");
    }
    let error = error_of(&program, b"");
    assert!(matches!(error, PickleError::Long { .. }), "{error}");
}

#[test]
fn lists_and_dicts_within_each_other_end() {
    // Lists within lists, by hand and by recursion.
    let mut program = b"\x80\x02".to_vec();
    program.extend(b"]".repeat(100_000));
    program.extend(b"a".repeat(99_999));
    program.push(b'.');
    assert_eq!(error_of(&program, b""), PickleError::Deep);
    assert!(matches!(error_of(b"\x80\x02]q\x01h\x01a.", b""), PickleError::Deep | PickleError::Shared));
    // l0 = []; l(k+1) = [lk, lk]: 2^31 paths.
    let mut program = b"\x80\x02]q\x00".to_vec();
    for k in 0..31u8 {
        program.extend([b']', b'(', b'h', k, b'h', k, b'e', b'q', k + 1]);
    }
    let head = program.split_off(2);
    let program = [&program[..], b"(", &head, b"t."].concat();
    assert!(matches!(error_of(&program, b""), PickleError::Deep | PickleError::Shared));
}

#[test]
fn a_name_of_gigabytes_is_refused() {
    // One long key above many short ones would be as many long names.
    let long = [&b"X"[..], &5000u32.to_le_bytes(), &[b'k'; 5000]].concat();
    let inner = dict(&tensor(1, 0, &[1], &[1]));
    let program = [b"\x80\x02}", &long[..], &inner[2..inner.len() - 1], b"s."].concat();
    let error = error_of(&program, &[0; 4]);
    assert!(matches!(&error, PickleError::Name { begin } if begin.len() == 40), "{error}");
}

#[test]
fn a_legacy_file_is_checked_in_each_of_its_parts() {
    let magic = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";
    let main = dict(&tensor(1, 0, &[1], &[1]));
    let file = |protocol: &[u8], system: &[u8], keys: &[u8], storages: &[u8]| {
        [&magic[..], protocol, system, &main, keys, storages].concat()
    };
    let (protocol, system) = (&b"\x80\x02M\xe9\x03."[..], &b"\x80\x02}U\x0dlittle_endian\x88s."[..]);
    let keys = &b"\x80\x02]U\x010a."[..];
    let storages = [&1i64.to_le_bytes()[..], &[0; 4]].concat();
    assert_eq!(read_torch(&file(protocol, system, keys, &storages)).unwrap().tensors.len(), 1);

    let error = |file: Vec<u8>| read_torch(&file).unwrap_err();
    assert_eq!(error(file(b"\x80\x02M\xe8\x03.", system, keys, &storages)), PickleError::NoCheckpoint);
    let big = b"\x80\x02}U\x0dlittle_endian\x89s.";
    assert!(matches!(error(file(protocol, big, keys, &storages)), PickleError::Order { .. }));
    assert!(matches!(error(file(protocol, system, b"\x80\x02]Na.", &storages)), PickleError::Kind { .. }));
    assert_eq!(error(file(protocol, system, b"\x80\x02].", b"")), PickleError::NoStorage { key: "0".into() });
    assert_eq!(
        error(file(protocol, system, b"\x80\x02]U\x017a.", &storages)),
        PickleError::NoStorage { key: "7".into() }
    );
    for count in [2i64, -1, i64::MAX] {
        let storages = [&count.to_le_bytes()[..], &[0; 4]].concat();
        assert_eq!(
            error(file(protocol, system, keys, &storages)),
            PickleError::ShortStorage { key: "0".into() }
        );
    }
    let long = [&storages[..], b"xy"].concat();
    assert!(matches!(error(file(protocol, system, keys, &long)), PickleError::Trailing { count: 2, .. }));
    // Where a name stands is counted from the beginning of the file.
    let hostile = [&magic[..], protocol, b"\x80\x02cos\nsystem\n."].concat();
    let at = magic.len() + protocol.len() + 2;
    assert!(matches!(error(hostile), PickleError::Global { at: found, .. } if found == at));
}

proptest! {
    #[test]
    fn any_program_gives_tensors_or_an_error(program in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read_torch(&stored(&program, &[0; 24]));
    }

    #[test]
    fn a_damaged_program_gives_tensors_or_an_error(at in any::<prop::sample::Index>(), byte: u8) {
        let mut program = dict(&tensor(6, 1, &[2, 2], &[1, 3]));
        let at = at.index(program.len());
        program[at] = byte;
        let _ = read_torch(&stored(&program, &[0; 24]));
    }
}
