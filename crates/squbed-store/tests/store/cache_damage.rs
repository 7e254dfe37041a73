//! The embedding cache on a disk that fails: nothing damaged is trusted, and nothing else is lost.

use std::{fs, path::PathBuf};

use parquet::basic::Compression;
use squbed_store::{EmbeddingCache, PartProblem, digest_text};

use crate::{
    cache::{identity, parts, row},
    compressed, golden,
};

const DIM: usize = 3;

/// A cache of two parts; gives the path of the first, which holds `a` and `b`; the other holds `c`.
fn two_parts(home: &std::path::Path) -> PathBuf {
    let mut cache = EmbeddingCache::open(home, &identity(DIM)).unwrap();
    cache.append(&[row("a one two", DIM), row("b", DIM)]).unwrap();
    let first = parts(&cache).remove(0);
    cache.append(&[row("c", DIM)]).unwrap();
    first
}

fn open(home: &std::path::Path) -> EmbeddingCache {
    EmbeddingCache::open(home, &identity(DIM)).unwrap()
}

/// Opens the cache and asks for everything; says whether there was a warning.
fn nothing_false_comes_out(home: &std::path::Path, what: &str) -> bool {
    let cache = open(home);
    let texts = ["a one two", "b", "c"];
    let found = cache.get_rows(&texts.map(digest_text)).unwrap();
    for (text, found) in texts.iter().zip(&found) {
        if let Some(found) = found {
            assert_eq!(*found, row(text, DIM), "{what}");
        }
    }
    assert!(found[2].is_some(), "{what}: the sound part was lost");
    let warned = !cache.warnings().is_empty();
    assert!(warned || found.iter().all(Option::is_some), "{what}: a loss that nobody was told of");
    warned
}

#[test]
fn every_flipped_byte_is_noticed_or_harmless() {
    let home = tempfile::tempdir().unwrap();
    let path = two_parts(home.path());
    let whole = fs::read(&path).unwrap();
    let mut noticed = 0;
    // The Parquet library itself panics on some of these; that is caught, but shown by the test.
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= if at % 3 == 0 { 4 } else { 1 << (at % 8) };
        fs::write(&path, &damaged).unwrap();
        noticed += usize::from(nothing_false_comes_out(home.path(), &format!("byte {at}")));
    }
    // Harmless are statistics, the copy of the schema for Arrow, and offsets that nobody reads.
    assert!(noticed * 3 > whole.len(), "{noticed} of {}", whole.len());
}

#[test]
fn every_cut_is_noticed() {
    let home = tempfile::tempdir().unwrap();
    let path = two_parts(home.path());
    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(nothing_false_comes_out(home.path(), &format!("{length} bytes")), "{length} bytes");
    }
}

#[test]
fn a_part_cut_short_is_named_with_the_remedy() {
    let home = tempfile::tempdir().unwrap();
    let path = two_parts(home.path());
    let whole = fs::read(&path).unwrap();
    for bytes in [&b""[..], b"PAR1", b"no parquet at all", &whole[..whole.len() - 9]] {
        fs::write(&path, bytes).unwrap();
        let [warning] = open(home.path()).warnings().try_into().unwrap();
        assert_eq!(warning.path, path);
        let text = warning.to_string();
        assert!(text.starts_with(&format!("`{}` is passed over: damaged: ", path.display())), "{text}");
        assert!(text.ends_with("; delete it, and what it held is embedded again"), "{text}");
    }
}

#[test]
fn a_newer_part_is_left_to_a_newer_program() {
    let home = tempfile::tempdir().unwrap();
    let path = two_parts(home.path());
    replace(&path, br#"{"version":1,"#, br#"{"version":2,"#);
    let [warning] = open(home.path()).warnings().try_into().unwrap();
    assert_eq!(warning.problem, PartProblem::Newer { version: 2 });
    assert!(warning.to_string().ends_with(
        "it has version 2 of the format and this program reads up to 1; update the program, or choose \
         another cache folder"
    ));
    assert!(path.exists());
}

#[test]
fn a_parquet_file_that_is_no_part_is_told() {
    let home = tempfile::tempdir().unwrap();
    let path = two_parts(home.path());
    replace(&path, b"squbed.cache", b"squbed.xxxxx");
    let [warning] = open(home.path()).warnings().try_into().unwrap();
    assert!(warning.to_string().contains("damaged: its metadata has no `squbed.cache`"), "{warning}");
}

#[test]
fn a_part_in_another_compression_is_read_or_told_by_its_name() {
    let home = tempfile::tempdir().unwrap();
    let path = two_parts(home.path());
    let whole = open(home.path()).len();
    fs::write(&path, compressed(&path, Compression::SNAPPY)).unwrap();
    assert_eq!((open(home.path()).len(), open(home.path()).warnings()), (whole, Vec::new()));
    assert!(!nothing_false_comes_out(home.path(), "snappy"));

    let home = tempfile::tempdir().unwrap();
    let folder = EmbeddingCache::open(home.path(), &identity(6)).unwrap().folder().to_owned();
    fs::create_dir_all(&folder).unwrap();
    fs::copy(golden("cache_gzip.parquet"), folder.join("part-gzip.parquet")).unwrap();
    let cache = EmbeddingCache::open(home.path(), &identity(6)).unwrap();
    assert_eq!(cache.len(), 0);
    let [warning] = cache.warnings().try_into().unwrap();
    assert_eq!(warning.problem, PartProblem::Codec { codec: "GZIP".into() });
    assert!(warning.to_string().ends_with(
        "part-gzip.parquet` is passed over: it is compressed with GZIP, which this program cannot read; write it \
         with snappy, with zstd or without compression"
    ));
}

/// Replaces text in a file by as much other text.
fn replace(path: &std::path::Path, old: &[u8], new: &[u8]) {
    let mut bytes = fs::read(path).unwrap();
    let at = bytes.windows(old.len()).position(|window| window == old).unwrap();
    bytes[at..at + old.len()].copy_from_slice(new);
    fs::write(path, bytes).unwrap();
}

#[test]
fn what_is_damaged_is_embedded_again_and_found_from_then_on() {
    let home = tempfile::tempdir().unwrap();
    let path = two_parts(home.path());
    // The embedding lies in the file as it is where zstd gains nothing; find one of its floats.
    let number = row("b", DIM).embedding[1].to_le_bytes();
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(4).position(|window| window == number).expect("stored uncompressed");
    bytes[at + 1] ^= 4;
    fs::write(&path, bytes).unwrap();

    let b = digest_text("b");
    let mut cache = open(home.path());
    assert!(cache.contains(&b), "the digests are sound");
    assert_eq!(cache.get(&b), None);
    assert!(!cache.contains(&b));
    let text = cache.warnings()[0].to_string();
    assert!(text.contains("the content of row group 0 is not what was written"), "{text}");
    cache.append(&[row("b", DIM)]).unwrap();
    assert_eq!(cache.get(&b), Some(row("b", DIM).embedding.as_slice()));

    let cache = open(home.path());
    assert_eq!(
        cache.get_many(&[&b, &digest_text("a one two")]).unwrap(),
        [Some(row("b", DIM).embedding), None]
    );
    assert_eq!(cache.warnings().len(), 1);
}

#[test]
fn a_part_that_vanishes_while_open_is_an_error_and_not_a_miss() {
    let home = tempfile::tempdir().unwrap();
    let path = two_parts(home.path());
    let cache = open(home.path());
    fs::remove_file(&path).unwrap();
    let error = cache.get_many(&[digest_text("a one two")]).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot read `{}`", path.display()));
    assert_eq!(cache.get(&digest_text("a one two")), None);
    assert!(cache.warnings()[0].to_string().contains("is passed over: cannot read it: "));
}

#[test]
fn what_a_killed_writer_leaves_is_not_read() {
    let home = tempfile::tempdir().unwrap();
    let path = two_parts(home.path());
    fs::rename(&path, path.with_file_name(".squbed-x1y2z3.tmp")).unwrap();
    let cache = open(home.path());
    assert_eq!((cache.len(), cache.warnings().len()), (1, 0));
}
