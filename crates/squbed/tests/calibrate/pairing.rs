//! Uncertainties and accuracies of other videos.

use super::*;

/// Rows with the digest of the videos that they are of.
fn of_videos(mut rows: Vec<Value>, digest: impl Fn(usize) -> &'static str) -> Vec<Value> {
    rows.iter_mut().enumerate().for_each(|(i, row)| row["videos_digest"] = digest(i).into());
    rows
}

#[test]
fn accuracies_of_other_videos_are_refused_with_tasks_and_command() {
    let parts: Vec<(f64, f64)> = mixed(6, 5).into_iter().zip(mixed(6, 1)).collect();
    let folder = Folder::new(&parts, &[("ssim", &mixed(6, 1))]);
    let warned = || {
        let warnings = Told::default();
        calibrate_folder(folder.path(), &quick(), &warnings).unwrap();
        warnings.0.into_inner().unwrap()
    };
    // What says nothing is taken, and that is told with the files.
    let [unknown] = warned().try_into().unwrap();
    assert!(unknown.contains("accuracy.jsonl, default/uncertainty.jsonl"), "{unknown}");
    let rows: Vec<Value> =
        parts.iter().enumerate().map(|(i, (a, e))| row(&format!("t{i}"), *a, *e)).collect();
    folder.estimate(&of_videos(rows.clone(), |_| "old"));
    let scores = folder.lines("accuracy.jsonl");
    let score = |digest: &dyn Fn(usize) -> &'static str| {
        write_lines(&folder.path().join("accuracy.jsonl"), &of_videos(scores.clone(), digest));
    };
    let [unknown] = warned().try_into().unwrap();
    assert!(unknown.contains(": accuracy.jsonl of"), "{unknown}");
    score(&|_| "old");
    assert_eq!(warned(), [""; 0]);

    // Videos of two tasks changed, and only their estimate was made again.
    folder.estimate(&of_videos(rows, |i| if i == 1 || i == 4 { "new" } else { "old" }));
    let error = folder.calibrate(&quick()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the estimate `default` and the accuracy `ssim` are of different videos of 2 task(s): t1, t4"
    );
    assert!(error.hint().unwrap().contains("`squbed estimate` and `squbed score` again"));
    let commands = json!([["score", "squbed score x"], ["estimate default", "squbed estimate x"]]);
    fs::write(folder.path().join("commands.json"), commands.to_string()).unwrap();
    let error = folder.calibrate(&quick()).unwrap_err();
    assert!(error.hint().unwrap().ends_with("`squbed score x`"), "{:?}", error.hint());
    score(&|i| if i == 1 || i == 4 { "new" } else { "old" });
    assert_eq!(warned(), [""; 0]);

    // Baselines and variants of an earlier run are no better.
    let baseline =
        json!({"name": "b", "id": "t1", "aleatoric": 1.0, "epistemic": 1.0, "videos_digest": "old"});
    write_lines(&folder.path().join("baselines.jsonl"), &[baseline]);
    let error = folder.calibrate(&quick()).unwrap_err();
    assert!(error.to_string().starts_with("`b` and the accuracy `ssim` are of different videos"), "{error}");
    assert!(error.hint().unwrap().contains("squbed run"));
}
