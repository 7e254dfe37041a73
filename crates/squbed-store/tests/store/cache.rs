//! The embedding cache: what goes in comes out.

use std::{fs, path::Path};

use proptest::prelude::*;
use squbed_core::EncoderIdentity;
use squbed_store::{EmbeddingCache, EmbeddingRow, PartProblem, digest_text};

use crate::{golden, told};

pub(crate) fn identity(dim: usize) -> EncoderIdentity {
    EncoderIdentity {
        name: "test/encoder v1".into(),
        weights_sha256: "ab".repeat(32),
        preprocessing: "test/1".into(),
        sampling: "uniform:4".into(),
        head: "embedding".into(),
        dtype: "f32".into(),
        dim,
    }
}

/// A row whose numbers follow from its text.
pub(crate) fn row(text: &str, dim: usize) -> EmbeddingRow {
    let bytes = digest_text(text).into_bytes();
    EmbeddingRow {
        digest: digest_text(text),
        source: text.into(),
        frames: text.len(),
        warnings: text.split_whitespace().skip(1).map(str::to_owned).collect(),
        embedding: (0..dim).map(|i| f32::from(bytes[i % 64]) / 7.0 - i as f32).collect(),
    }
}

pub(crate) fn parts(cache: &EmbeddingCache) -> Vec<std::path::PathBuf> {
    let mut paths: Vec<_> =
        fs::read_dir(cache.folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

#[test]
fn rows_come_back_after_opening_again() {
    let home = tempfile::tempdir().unwrap();
    let rows = [row("a cat", 5), row("a dog runs", 5), row("", 5)];
    let mut cache = EmbeddingCache::open(home.path(), &identity(5)).unwrap();
    assert!(cache.is_empty());
    assert!(!cache.folder().exists());
    cache.append(&rows[..2]).unwrap();
    assert_eq!(cache.get(&rows[1].digest), Some(rows[1].embedding.as_slice()));
    cache.append(&rows[2..]).unwrap();
    assert_eq!(parts(&cache).len(), 2);

    let cache = EmbeddingCache::open(home.path(), &identity(5)).unwrap();
    assert_eq!(cache.len(), 3);
    assert!(cache.contains(&rows[0].digest));
    assert!(!cache.contains(&digest_text("a fish")));
    let wanted = [&rows[2].digest, &digest_text("a fish"), &rows[0].digest, &rows[2].digest];
    assert_eq!(
        cache.get_rows(&wanted).unwrap(),
        [Some(rows[2].clone()), None, Some(rows[0].clone()), Some(rows[2].clone())]
    );
    assert_eq!(cache.get_many(&wanted).unwrap()[0], Some(rows[2].embedding.clone()));
    assert_eq!(cache.get(&rows[0].digest), Some(rows[0].embedding.as_slice()));
    assert_eq!(cache.get("not a digest"), None);
    let mut digests: Vec<_> = rows.iter().map(|row| row.digest.clone()).collect();
    digests.sort();
    assert_eq!(cache.digests(), digests);
    assert_eq!(cache.warnings(), []);
}

#[test]
fn a_part_larger_than_a_row_group_is_read_by_group() {
    let home = tempfile::tempdir().unwrap();
    // 4 MiB a group are 512 rows of 2048 numbers.
    let rows: Vec<_> = (0..1100).map(|i| row(&format!("item {i}"), 2048)).collect();
    let mut cache = EmbeddingCache::open(home.path(), &identity(2048)).unwrap();
    cache.append(&rows).unwrap();
    let cache = EmbeddingCache::open(home.path(), &identity(2048)).unwrap();
    assert_eq!((cache.len(), parts(&cache).len()), (1100, 1));
    let wanted: Vec<_> = rows.iter().rev().step_by(97).collect();
    let digests: Vec<_> = wanted.iter().map(|row| &row.digest).collect();
    let found = cache.get_rows(&digests).unwrap();
    assert!(found.iter().zip(wanted).all(|(found, row)| found.as_ref() == Some(row)));
}

#[test]
fn what_is_cached_is_not_written_again() {
    let home = tempfile::tempdir().unwrap();
    let mut cache = EmbeddingCache::open(home.path(), &identity(2)).unwrap();
    let (a, b) = (row("a", 2), row("b", 2));
    cache.append(&[a.clone(), a.clone()]).unwrap();
    cache.append(&[a.clone(), b.clone()]).unwrap();
    cache.append(std::slice::from_ref(&b)).unwrap();
    cache.append(&[]).unwrap();
    assert_eq!((cache.len(), parts(&cache).len()), (2, 2));
}

#[test]
fn of_two_rows_with_one_digest_the_first_part_by_name_counts() {
    let home = tempfile::tempdir().unwrap();
    let (first, mut second) = (row("a", 2), row("a", 2));
    second.embedding = vec![8.0, 9.0];
    // Two processes that open the cache before either writes.
    let mut one = EmbeddingCache::open(home.path(), &identity(2)).unwrap();
    let mut two = EmbeddingCache::open(home.path(), &identity(2)).unwrap();
    one.append(std::slice::from_ref(&first)).unwrap();
    two.append(&[second.clone(), row("b", 2)]).unwrap();
    let cache = EmbeddingCache::open(home.path(), &identity(2)).unwrap();
    assert_eq!(cache.len(), 2);
    // The names begin with the time, so that the order is mostly that of writing; turn it round.
    let [x, y] = parts(&cache).try_into().unwrap();
    let before = cache.get(&first.digest).unwrap().to_vec();
    fs::rename(y, x.with_file_name("part-0.parquet")).unwrap();
    let cache = EmbeddingCache::open(home.path(), &identity(2)).unwrap();
    let after = cache.get(&first.digest).unwrap().to_vec();
    assert!([[&before, &after], [&after, &before]].contains(&[&first.embedding, &second.embedding]));
}

#[test]
fn caches_are_merged_by_copying_files() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut a = EmbeddingCache::open(here.path(), &identity(3)).unwrap();
    let mut b = EmbeddingCache::open(there.path(), &identity(3)).unwrap();
    a.append(&[row("a", 3)]).unwrap();
    b.append(&[row("b", 3)]).unwrap();
    for path in parts(&b) {
        fs::copy(&path, a.folder().join(path.file_name().unwrap())).unwrap();
    }
    let merged = EmbeddingCache::open(here.path(), &identity(3)).unwrap();
    assert_eq!(merged.get(&digest_text("b")), Some(row("b", 3).embedding.as_slice()));
    assert_eq!(merged.len(), 2);
}

#[test]
fn many_writers_at_once_lose_nothing() {
    let home = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let home = home.path();
            scope.spawn(move || {
                let mut cache = EmbeddingCache::open(home, &identity(2)).unwrap();
                for i in 0..10 {
                    cache.append(&[row(&format!("{writer} {i}"), 2)]).unwrap();
                }
            });
        }
    });
    let cache = EmbeddingCache::open(home.path(), &identity(2)).unwrap();
    assert_eq!((cache.len(), cache.warnings().len()), (80, 0));
}

#[test]
fn encoders_do_not_share_a_folder() {
    let home = tempfile::tempdir().unwrap();
    let one = identity(2);
    let others = [
        EncoderIdentity { weights_sha256: "cd".repeat(32), ..one.clone() },
        EncoderIdentity { preprocessing: "test/2".into(), ..one.clone() },
        EncoderIdentity { sampling: "uniform:8".into(), ..one.clone() },
        EncoderIdentity { head: "features".into(), ..one.clone() },
        EncoderIdentity { dtype: "bf16".into(), ..one.clone() },
    ];
    let mut cache = EmbeddingCache::open(home.path(), &one).unwrap();
    cache.append(&[row("a", 2)]).unwrap();
    let name = cache.folder().file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with("test-encoder-v1-"), "{name}");
    for other in others {
        let other = EmbeddingCache::open(home.path(), &other).unwrap();
        assert_ne!(other.folder(), cache.folder());
        assert!(other.is_empty());
    }
}

#[test]
fn rows_that_are_no_embeddings_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let mut cache = EmbeddingCache::open(home.path(), &identity(2)).unwrap();
    let good = row("a", 2);
    for (bad, message) in [
        (
            EmbeddingRow { embedding: vec![1.0, f32::NAN], ..good.clone() },
            "number 1 of it is NaN; look at the input and the arithmetic of the encoder",
        ),
        (
            EmbeddingRow { embedding: vec![f32::INFINITY, 0.0], ..good.clone() },
            "number 0 of it is inf; look at the input and the arithmetic of the encoder",
        ),
        (
            EmbeddingRow { embedding: vec![1.0; 3], ..good.clone() },
            "it has 3 numbers where the encoder has 2",
        ),
        (
            EmbeddingRow { digest: "ABC".into(), ..good.clone() },
            "its digest `ABC` is not 64 lower-case hex digits; use digest_file or digest_text",
        ),
    ] {
        let error = cache.append(&[row("b", 2), bad]).unwrap_err();
        assert_eq!(told(&error, home.path()), format!("the embedding of `a` cannot be cached: {message}"));
    }
    assert!(!cache.folder().exists(), "nothing was written");
}

#[test]
fn a_file_in_the_place_of_the_cache_is_an_error() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("cache"), "").unwrap();
    let error = EmbeddingCache::open(&home.path().join("cache"), &identity(2)).unwrap_err();
    assert!(told(&error, home.path()).starts_with("cannot list `cache/test-encoder-v1-"), "{error}");
}

#[test]
fn parts_of_version_1_are_read() {
    let cache = EmbeddingCache::open(&golden("cache-v1"), &identity(6)).unwrap();
    assert_eq!(cache.warnings(), []);
    assert_eq!(cache.len(), 5);
    for text in ["", "a cat", "a dog runs fast", "ein Hund läuft", "\u{1F408}"] {
        let found = cache.get_rows(&[digest_text(text)]).unwrap().remove(0);
        assert_eq!(found, Some(row(text, 6)), "{text}");
    }
}

#[test]
fn a_part_of_another_encoder_is_told_and_passed_over() {
    let home = tempfile::tempdir().unwrap();
    let other = EncoderIdentity { dtype: "f16".into(), ..identity(2) };
    let mut foreign = EmbeddingCache::open(home.path(), &other).unwrap();
    foreign.append(&[row("b", 2)]).unwrap();
    let mut cache = EmbeddingCache::open(home.path(), &identity(2)).unwrap();
    cache.append(&[row("a", 2)]).unwrap();
    fs::copy(&parts(&foreign)[0], cache.folder().join("part-from-elsewhere.parquet")).unwrap();
    let cache = EmbeddingCache::open(home.path(), &identity(2)).unwrap();
    assert_eq!(cache.len(), 1);
    let [warning] = cache.warnings().try_into().unwrap();
    assert_eq!(warning.problem, PartProblem::Foreign { identity: Box::new(other) });
    let text = warning.to_string();
    let folder = foreign.folder().file_name().unwrap().to_str().unwrap();
    assert!(text.contains("part-from-elsewhere.parquet` is passed over: it was made by test/encoder v1"));
    assert!(text.ends_with(&format!("move it into the folder `{folder}`")), "{text}");
}

fn open_and_compare(home: &Path, rows: &[EmbeddingRow], dim: usize) {
    let cache = EmbeddingCache::open(home, &identity(dim)).unwrap();
    let digests: Vec<_> = rows.iter().map(|row| &row.digest).collect();
    let found = cache.get_rows(&digests).unwrap();
    for (row, found) in rows.iter().zip(found) {
        let found = found.unwrap();
        assert_eq!((&found.source, &found.warnings), (&row.source, &row.warnings));
        let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&found.embedding), bits(&row.embedding));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_rows_survive(
        rows in prop::collection::vec(
            (".*", 0usize..1 << 40, prop::collection::vec(".*", 0..4),
             prop::collection::vec(prop::num::f32::NORMAL | prop::num::f32::SUBNORMAL | prop::num::f32::ZERO, 3)),
            1..20,
        ),
        cut in 0usize..20,
    ) {
        let rows: Vec<EmbeddingRow> = rows
            .into_iter()
            .enumerate()
            .map(|(i, (source, frames, warnings, embedding))| EmbeddingRow {
                digest: digest_text(&i.to_string()), source, frames, warnings, embedding,
            })
            .collect();
        let home = tempfile::tempdir().unwrap();
        let mut cache = EmbeddingCache::open(home.path(), &identity(3)).unwrap();
        let (first, second) = rows.split_at(cut.min(rows.len()));
        cache.append(first).unwrap();
        cache.append(second).unwrap();
        open_and_compare(home.path(), &rows, 3);
    }
}

/// Writes a small cache and results for other programs to open, and for `tests/golden/store`.
#[test]
#[ignore = "writes into the folder that SQUBED_SAMPLES names"]
fn write_samples() {
    let out = std::path::PathBuf::from(std::env::var_os("SQUBED_SAMPLES").unwrap());
    let mut cache = EmbeddingCache::open(&out.join("cache"), &identity(6)).unwrap();
    cache.append(&["", "a cat", "a dog runs fast"].map(|text| row(text, 6))).unwrap();
    cache.append(&["ein Hund läuft", "\u{1F408}"].map(|text| row(text, 6))).unwrap();
    let method = serde_json::json!({"preset": "default", "estimator": "u"});
    squbed_store::write_uncertainty(&out.join("results"), &crate::results::rows(), &method).unwrap();
}
