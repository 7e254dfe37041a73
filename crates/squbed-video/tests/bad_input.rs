//! Each kind of bad input gets its own error, and nothing hangs or opens another file.
#![cfg(feature = "ffmpeg")]

mod common;

use std::{fs, path::Path, time::Duration};

use common::{clip, picture, video};
use squbed_core::Sampling;
use squbed_video::{
    Damaged, DecodeOptions, EncodeOptions, Error, Limits, Unit, Warning, decode, encode, probe,
};

fn open(bytes: &[u8], name: &str) -> Error {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    let error = decode(&path, &[Sampling::Uniform(2)], &DecodeOptions::default()).unwrap_err();
    assert!(error.to_string().contains(name), "{error}");
    assert_eq!(error.to_string(), probe(&path).unwrap_err().to_string());
    error
}

fn small(path: &Path, frames: usize) {
    encode(path, (0..frames).map(|i| picture(i, 64, 64)), &EncodeOptions::default()).unwrap();
}

#[test]
fn a_missing_file() {
    let error = probe(Path::new("no/such/file.mp4")).unwrap_err();
    assert_eq!(error.to_string(), "cannot read no/such/file.mp4");
    assert!(matches!(error, Error::Unreadable { .. }));
}

#[test]
fn garbage_and_nothing() {
    let empty = open(b"", "empty.mp4");
    assert!(matches!(empty, Error::Empty { .. }) && empty.to_string().ends_with("is empty: it has 0 bytes"));
    let garbage: Vec<u8> = (0..20_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    assert!(matches!(open(&garbage, "garbage.mp4"), Error::Corrupt { .. }));
    assert!(matches!(open(b"a text about a video", "text.mp4"), Error::Corrupt { .. }));
}

#[test]
fn a_file_without_its_table() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole.mp4");
    small(&whole, 20);
    let bytes = fs::read(&whole).unwrap();
    // Our mp4 has its table (moov) at the end, so half the file has none; its largest box tells what it lacks.
    let error = open(&bytes[..bytes.len() / 2], "half.mp4");
    let Error::Truncated { expected, got, unit: Unit::Bytes, .. } = error else { panic!("{error}") };
    assert!(got == bytes.len() / 2 && got < expected && expected < bytes.len(), "{got} {expected}");
    // Without the table and otherwise whole, as a recording is left that was broken off.
    let table = bytes.windows(4).position(|w| w == b"moov").unwrap() - 4;
    let error = open(&bytes[..table], "broken-off.mp4");
    assert!(
        matches!(error, Error::Corrupt { .. }) && error.to_string().contains("header is missing"),
        "{error}"
    );
}

#[test]
fn sound_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("whole.mp4");
    small(&path, 3);
    // The same file with its only track declared as sound.
    let mut bytes = fs::read(&path).unwrap();
    let handler = bytes.windows(8).position(|w| w == b"\0\0\0\0vide").unwrap() + 4;
    bytes[handler..handler + 4].copy_from_slice(b"soun");
    assert!(matches!(open(&bytes, "sound.mp4"), Error::NoVideoStream { .. }));
}

/// A track whose tables list nothing.
#[test]
fn a_video_of_no_frames() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("whole.mp4");
    small(&path, 3);
    let mut bytes = fs::read(&path).unwrap();
    for (table, count) in
        [(b"stts", 8), (b"stsc", 8), (b"stco", 8), (b"ctts", 8), (b"stss", 8), (b"stsz", 12)]
    {
        if let Some(at) = bytes.windows(4).position(|w| w == table) {
            bytes[at + count..at + count + 4].fill(0);
        }
    }
    assert!(matches!(open(&bytes, "none.mp4"), Error::NoFrames { .. }));
}

#[test]
fn a_play_list_under_another_name() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("target.ts");
    small(&target, 2);
    let list =
        format!("#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{}\n#EXT-X-ENDLIST\n", target.display());
    assert!(matches!(open(list.as_bytes(), "list.mp4"), Error::Container { .. } | Error::Corrupt { .. }));
    let list = format!("ffconcat version 1.0\nfile '{}'\n", target.display());
    assert!(matches!(
        open(list.as_bytes(), "list.ffconcat"),
        Error::Container { .. } | Error::Corrupt { .. }
    ));
}

#[test]
fn names_are_names_and_no_protocols() {
    let folder = tempfile::tempdir().unwrap();
    let in_folder = |name: &str| folder.path().join(name).into_os_string().into_string().unwrap();
    let (real, other) = (in_folder("real.mp4"), in_folder("img001.mp4"));
    small(Path::new(&real), 3);
    small(Path::new(&other), 3);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    // Each would reach a file that is there, or the listener, if it were taken for more than a name.
    for name in [
        format!("concat:{real}|{other}"),
        format!("http://{address}/v.mp4"),
        format!("tcp://{address}"),
        format!("file:{real}"),
        format!("file:file:{real}"),
        format!("subfile,,start,0,end,0,,:{real}"),
        format!("crypto:{real}"),
        format!("async:{real}"),
        in_folder("img%03d.mp4"),
        "pipe:0".to_owned(),
        "data:text/plain,x".to_owned(),
    ] {
        let error = probe(Path::new(&name)).unwrap_err();
        assert!(matches!(error, Error::Unreadable { .. }), "{name}: {error}");
    }
    // The same through a list, under every name that might make FFmpeg believe in it.
    for (list, content) in [
        ("list.mp4", format!("#EXTM3U\n#EXTINF:1,\nhttp://{address}/v.ts\n#EXT-X-ENDLIST\n")),
        ("list.m3u8", format!("#EXTM3U\n#EXTINF:1,\n{real}\n#EXT-X-ENDLIST\n")),
        ("list.mkv", format!("ffconcat version 1.0\nfile '{real}'\n")),
        ("list.sdp", format!("v=0\nc=IN IP4 {}\nm=video {} RTP/AVP 96\n", address.ip(), address.port())),
        ("list.mpd", format!("<?xml version=\"1.0\"?><MPD><BaseURL>{real}</BaseURL></MPD>\n")),
    ] {
        let error = open(content.as_bytes(), list);
        assert!(matches!(error, Error::Container { .. } | Error::Corrupt { .. }), "{list}: {error}");
    }
    assert!(listener.accept().is_err(), "something connected");
}

#[cfg(unix)]
#[test]
fn names_of_any_letters_open() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole.mp4");
    small(&whole, 3);
    let names: [&[u8]; 8] = [
        b"-v.mp4",
        b"concat:a|b",
        b"img%03d.mp4",
        "é: ü%20.mp4".as_bytes(),
        b"http:",
        b"file:v.mp4",
        b"a\xff\xfe.mp4",
        b"line\nbreak 'quoted' \\.mp4",
    ];
    for name in names {
        let path = folder.path().join(std::ffi::OsStr::from_bytes(name));
        fs::copy(&whole, &path).unwrap();
        assert_eq!(probe(&path).unwrap().frames, 3, "{}", path.display());
    }
    let nul = folder.path().join(std::ffi::OsStr::from_bytes(b"whole.mp4\0.png"));
    assert!(matches!(probe(&nul), Err(Error::Unreadable { .. })));
    let written = encode(&nul, [picture(0, 32, 32)], &EncodeOptions::default());
    assert!(matches!(written, Err(Error::Path { .. } | Error::Unwritable { .. })));
}

/// To open a pipe would wait for a writer for ever.
#[cfg(unix)]
#[test]
fn a_pipe_and_a_device_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe.mp4");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for path in [pipe.as_path(), Path::new("/dev/zero")] {
        let error = probe(path).unwrap_err();
        assert!(matches!(error, Error::NotAFile { .. }), "{error}");
    }
}

/// `bytes` of an mp4 that ends with its table (moov), with the table in front of the pictures (mdat).
fn table_first(bytes: &[u8]) -> Vec<u8> {
    let find = |bytes: &[u8], name: &[u8; 4]| bytes.windows(4).position(|w| w == name).unwrap() - 4;
    let (pictures, table) = (find(bytes, b"mdat"), find(bytes, b"moov"));
    assert!(pictures < table);
    let mut moved = bytes[table..].to_vec();
    let shift = moved.len() as u32;
    // The chunk offsets count from the file's beginning: a box header, flags, their number, they.
    let offsets = find(&moved, b"stco") + 12;
    let number = |bytes: &[u8]| u32::from_be_bytes(bytes[..4].try_into().unwrap());
    for i in 0..number(&moved[offsets..]) as usize {
        let at = offsets + 4 + 4 * i;
        let offset = number(&moved[at..]) + shift;
        moved[at..at + 4].copy_from_slice(&offset.to_be_bytes());
    }
    [&bytes[..pictures], &moved, &bytes[pictures..table]].concat()
}

#[test]
fn a_file_cut_short() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.mp4");
    let bytes = table_first(&fs::read(video("bikes.mp4")).unwrap());
    fs::write(&path, &bytes).unwrap();
    assert!(clip(&path, "uniform:3") == clip(&video("bikes.mp4"), "uniform:3"));
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();

    let error = decode(&path, &[Sampling::Uniform(4)], &DecodeOptions::default()).unwrap_err();
    let Error::Truncated { expected: 250, got, unit: Unit::Frames, .. } = error else { panic!("{error}") };
    assert!((20..240).contains(&got), "{got}");

    let info = probe(&path).unwrap();
    let warning = Warning::Truncated { expected: 250, got, unit: Unit::Frames };
    assert_eq!(info.warnings, std::slice::from_ref(&warning));
    assert!(info.frames.abs_diff(got) <= 1, "{} of {got}", info.frames);
    let options = DecodeOptions { damaged: Damaged::Warn, ..DecodeOptions::default() };
    let decoded = decode(&path, &[Sampling::Uniform(4)], &options).unwrap();
    assert_eq!(decoded.clips[0].frames().len(), 4);
    assert!(decoded.warnings.contains(&warning));
}

#[test]
fn flipped_bits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flipped.mp4");
    let mut bytes = fs::read(video("bikes.mp4")).unwrap();
    let mdat = bytes.windows(4).position(|w| w == b"mdat").unwrap();
    let middle = mdat + (bytes.len() - mdat) / 3;
    for byte in bytes[middle..middle + 4000].iter_mut().step_by(37) {
        *byte ^= 0x55;
    }
    fs::write(&path, bytes).unwrap();
    let plans = [Sampling::Uniform(8)];
    let error = decode(&path, &plans, &DecodeOptions::default()).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    let options = DecodeOptions { damaged: Damaged::Warn, ..DecodeOptions::default() };
    let decoded = decode(&path, &plans, &options).unwrap();
    assert_eq!(decoded.clips[0].frames().len(), 8);
    assert!(decoded.warnings.iter().any(|w| matches!(w, Warning::Damaged { .. })), "{:?}", decoded.warnings);
    // Nothing of the damage is reached before it.
    assert_eq!(clip(&path, "indices:0,1"), clip(&video("bikes.mp4"), "indices:0,1"));
}

#[test]
fn a_frame_that_is_not_there() {
    let error = decode(&video("bikes.mp4"), &[Sampling::Indices(vec![3, 250])], &DecodeOptions::default());
    assert!(matches!(error, Err(Error::FrameOutOfRange { index: 250, frames: 250, .. })));
}

#[test]
fn no_plan_is_no_clip() {
    let decoded = decode(&video("bikes.mp4"), &[], &DecodeOptions::default()).unwrap();
    assert_eq!((decoded.clips.len(), decoded.info.frames), (0, 250));
}

#[test]
fn limits_hold() {
    let path = video("bikes.mp4");
    let with = |limits: Limits| {
        let options = DecodeOptions { limits, ..DecodeOptions::default() };
        decode(&path, &[Sampling::Uniform(4)], &options).unwrap_err()
    };
    let usual = Limits::default;
    let what = |error: Error| match error {
        Error::Limit { what, .. } => what,
        error => panic!("{error}"),
    };
    assert_eq!(what(with(Limits { pixels: 640 * 272 - 1, ..usual() })), "pixels a frame");
    assert_eq!(what(with(Limits { frames: 249, ..usual() })), "frames");
    assert_eq!(what(with(Limits { duration_seconds: 9.9, ..usual() })), "seconds");
    assert_eq!(what(with(Limits { kept_bytes: 4 * 640 * 272 * 3 - 1, ..usual() })), "bytes of frames");
    assert!(matches!(with(Limits { time: Duration::ZERO, ..usual() }), Error::Timeout { .. }));

    let exact = Limits {
        pixels: 640 * 272,
        frames: 250,
        duration_seconds: 10.1,
        kept_bytes: 4 * 640 * 272 * 3,
        time: Duration::MAX,
    };
    let options = DecodeOptions { limits: exact, ..DecodeOptions::default() };
    assert!(decode(&path, &[Sampling::Uniform(4)], &options).is_ok());
}
