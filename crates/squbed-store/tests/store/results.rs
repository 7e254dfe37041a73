//! Results of the method.

use std::fs;

use arrow_array::{Array, cast::AsArray, types::Float64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use squbed_core::{AccuracyScore, CutPrompt, Flag, GroupFit, Interval, Intervals, Repeat, TaskUncertainty};
use squbed_store::{
    TruthRow, read_accuracy, read_method, read_truth, read_uncertainty, write_accuracy, write_truth,
    write_uncertainty,
};

use crate::told;

fn fit(kappa: f64, flags: &[Flag]) -> GroupFit {
    let entropy = if kappa.is_infinite() { f64::NEG_INFINITY } else { -812.345_678_901_234_5 };
    GroupFit {
        m: 4,
        dim: 384,
        rbar: 0.1 + 0.2,
        one_minus_rbar: 1e-300,
        kappa,
        entropy,
        relative_entropy: entropy - 3.0,
        rayleigh_p: 1e-200,
        two_clusters_p: Some(0.25),
        flags: flags.to_vec(),
    }
}

fn interval(low: f64) -> Interval {
    Interval { low, high: low + 1.0, standard_error: 0.25 }
}

pub(crate) fn rows() -> Vec<TaskUncertainty> {
    let row = |id: &str, aleatoric, videos| TaskUncertainty {
        id: id.into(),
        aleatoric,
        epistemic: -1084.1,
        total: aleatoric - 1084.1,
        epistemic_median: -1.0,
        epistemic_max: f64::NEG_INFINITY,
        worst_latent: 1,
        prompts: fit(3.5, &[]),
        videos,
        latents_left_out: 2,
        pooled: Some(fit(0.5, &[Flag::NearUniform])),
        mutual_information: 3.25,
        interval: Some(Intervals {
            level: 0.95,
            method: "jackknife".into(),
            aleatoric: interval(-2.0),
            epistemic: interval(f64::NEG_INFINITY),
            total: interval(0.1 + 0.2),
            pooled: interval(1e-3),
            mutual_information: interval(7.0),
            epistemic_error_of_videos: 0.5,
        }),
        videos_digest: Some("0a1b".into()),
        repeats: vec![
            Repeat::Prompt { latents: vec![0, 2], text: "a cat".into() },
            Repeat::Video { latent: 1, videos: vec!["a.mp4".into(), "b.mp4".into()] },
            Repeat::Shared { latents: vec![0, 1], videos: vec!["a.mp4".into(), "c.mp4".into()] },
            Repeat::GroundTruth { videos: vec!["c.mp4".into()] },
        ],
        cut: vec![CutPrompt { latent: 2, characters: 140 }],
    };
    vec![
        row(
            "a",
            -0.1,
            vec![fit(0.0, &[Flag::Uniform, Flag::Clipped]), fit(f64::INFINITY, &[Flag::PointMass])],
        ),
        row("b", f64::NEG_INFINITY, vec![]),
        row("ü", 5e-324, vec![fit(1.0, &[Flag::Saturated, Flag::Bimodal])]),
    ]
}

#[test]
fn uncertainties_survive_with_full_precision() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("out");
    let method = serde_json::json!({"preset": "default", "estimator": "u"});
    write_uncertainty(&dir, &rows(), &method).unwrap();
    assert_eq!(read_uncertainty(&dir).unwrap(), rows());
    assert_eq!(read_method(&dir).unwrap(), method);
    let text = fs::read_to_string(dir.join("uncertainty.jsonl")).unwrap();
    assert!(text.contains(r#""epistemic_max":"-inf""#), "{text}");
}

/// Rows of the first version, which had no pooled fit, no interval and no test of uniformity.
#[test]
fn older_rows_are_read() {
    let home = tempfile::tempdir().unwrap();
    let mut row = serde_json::to_value(&rows()[0]).unwrap();
    for key in ["pooled", "mutual_information", "interval", "videos_digest", "repeats"] {
        row.as_object_mut().unwrap().remove(key).unwrap();
    }
    for key in ["rayleigh_p", "two_clusters_p"] {
        row["prompts"].as_object_mut().unwrap().remove(key).unwrap();
    }
    fs::write(home.path().join("uncertainty.jsonl"), format!("{row}\n")).unwrap();
    let read = read_uncertainty(home.path()).unwrap().remove(0);
    assert!(read.pooled.is_none() && read.interval.is_none() && read.mutual_information.is_nan());
    assert!(read.videos_digest.is_none() && read.repeats.is_empty());
    assert!(read.prompts.rayleigh_p.is_nan() && read.prompts.two_clusters_p.is_none());
    assert!(read.videos == rows()[0].videos);
}

#[test]
fn an_undefined_number_stays_undefined() {
    let home = tempfile::tempdir().unwrap();
    let undefined = TaskUncertainty { epistemic: f64::NAN, ..rows().remove(0) };
    write_uncertainty(home.path(), &[undefined], &serde_json::Value::Null).unwrap();
    assert!(read_uncertainty(home.path()).unwrap()[0].epistemic.is_nan());
}

#[test]
fn accuracies_and_truths_survive() {
    let home = tempfile::tempdir().unwrap();
    let scores = [
        AccuracyScore {
            id: "a".into(),
            metric: "i3d_cosine".into(),
            value: 0.123_456_789_012_345_68,
            videos: 16,
            videos_digest: Some("0a1b".into()),
        },
        AccuracyScore {
            id: "b".into(),
            metric: "psnr".into(),
            value: f64::INFINITY,
            videos: 2,
            videos_digest: None,
        },
    ];
    write_accuracy(home.path(), &scores).unwrap();
    assert_eq!(read_accuracy(home.path()).unwrap(), scores);
    // The same for programs that load tables.
    let file = fs::File::open(home.path().join("accuracy.parquet")).unwrap();
    let mut reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let table = reader.next().unwrap().unwrap();
    let names: Vec<String> = table.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["id", "metric", "value", "videos", "videos_digest"]);
    let digests = table["videos_digest"].as_string::<i32>();
    assert!(digests.value(0) == "0a1b" && digests.is_null(1));
    let values = table["value"].as_primitive::<Float64Type>();
    assert_eq!(values.values(), &[0.123_456_789_012_345_68, f64::INFINITY]);
    assert_eq!(table["metric"].as_string::<i32>().value(1), "psnr");
    let truths = [
        TruthRow {
            id: "a".into(),
            aleatoric: 2.772_588_722_239_781,
            epistemic: 0.0,
            confidently_wrong: true,
        },
        TruthRow { id: "b".into(), aleatoric: 0.0, epistemic: 1.25, confidently_wrong: false },
    ];
    write_truth(home.path(), &truths).unwrap();
    assert_eq!(read_truth(home.path()).unwrap(), truths);
    assert_eq!(
        fs::read_to_string(home.path().join("truth.jsonl")).unwrap().lines().nth(1).unwrap(),
        r#"{"id":"b","aleatoric":0.0,"epistemic":1.25,"confidently_wrong":false}"#
    );
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    let home = tempfile::tempdir().unwrap();
    assert!(
        told(&read_truth(home.path()).unwrap_err(), home.path()).starts_with("cannot open `truth.jsonl`: ")
    );
    fs::write(home.path().join("truth.jsonl"), "{\"id\":\"a\",\"aleatoric\":\"x\"}\n").unwrap();
    assert_eq!(
        told(&read_truth(home.path()).unwrap_err(), home.path()),
        "`truth.jsonl`, line 1, column 26: expected a number, \"inf\", \"-inf\" or null, got \"x\"; a row is an \
         object with id, aleatoric, epistemic and confidently_wrong"
    );
    fs::write(home.path().join("uncertainty.parquet"), "PAR1").unwrap();
    assert!(told(&read_method(home.path()).unwrap_err(), home.path()).starts_with(
        "cannot read `uncertainty.parquet` as Parquet; it may be cut short, or hold something else: "
    ));
}
