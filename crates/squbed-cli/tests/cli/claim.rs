//! `squbed calibrate` and `squbed plan` on results that other programs could have written.

use std::{fs, path::Path};

use serde_json::json;

use crate::{ended, failure, json, keys, squbed, text};

/// Twelve tasks with two parts, intervals and one accuracy.
fn results(folder: &Path) {
    let fit = |entropy: f64| {
        json!({"m": 4, "dim": 16, "rbar": 0.5, "one_minus_rbar": 0.5, "kappa": 9.0, "entropy": entropy,
               "relative_entropy": -1.0, "rayleigh_p": 0.001, "flags": []})
    };
    let interval = |at: f64| json!({"low": at - 2.0, "high": at + 2.0, "standard_error": 0.7});
    let encoder = json!({"name": "e", "weights_sha256": "", "preprocessing": "p/1", "sampling": "", "head": "embedding",
                         "dtype": "f32", "dim": 16});
    let (mut rows, mut scores) = (String::new(), String::new());
    for i in 0..12 {
        let (a, e) = (f64::from(i * 5 % 12), f64::from(i * 7 % 12));
        let row = json!({
            "id": format!("t{i}"), "aleatoric": a, "epistemic": e, "total": a + e, "epistemic_median": e,
            "epistemic_max": e, "worst_latent": 0, "prompts": fit(a), "videos": vec![fit(e); 4], "latents_left_out": 0,
            "pooled": fit(e + 1.0), "mutual_information": 1.0,
            "interval": {"level": 0.95, "method": "jackknife", "aleatoric": interval(a), "epistemic": interval(e),
                         "total": interval(a + e), "pooled": interval(e), "mutual_information": interval(1.0),
                         "epistemic_error_of_videos": 0.3},
        });
        rows.push_str(&format!("{row}\n"));
        let score = json!({"id": format!("t{i}"), "metric": "ssim", "value": -a - 1.5 * e, "videos": 16});
        scores.push_str(&format!("{score}\n"));
    }
    let method = json!({"preset": "default", "options": {"estimator": "u", "projection": {"basis": "none"}},
                        "components": null, "text_encoder": encoder, "video_encoder": encoder, "squbed": "0.1.0"});
    fs::create_dir_all(folder.join("default")).unwrap();
    fs::write(folder.join("default/uncertainty.jsonl"), rows).unwrap();
    fs::write(folder.join("default/method.json"), method.to_string()).unwrap();
    fs::write(folder.join("accuracy.jsonl"), scores).unwrap();
}

#[test]
fn the_claim_is_tested_figure_by_figure() {
    let home = tempfile::tempdir().unwrap();
    let out = home.path();
    results(out);
    let ranking = out.join("human.csv");
    let rows: String = (0..9).map(|i| format!("t{i},{i}\n")).collect();
    fs::write(&ranking, format!("id,rank\n{rows}elsewhere,9\n")).unwrap();
    let arguments = ["calibrate", text(out), "--resamples", "200", "--human-ranking", text(&ranking)];
    let output = squbed(
        &[&arguments[..], &["--subset-count", "7", "--target-accuracy", "-12", "--format", "csv"]].concat(),
    );
    let (code, csv, told) = ended(output);
    assert_eq!(code, 0, "{told}");
    let head = "estimate,figure,correlation,n,tau,p,p_less,p_permutation,p_holm,ci_low,ci_high,p_method,rule,accept_up_to\n";
    assert!(csv.starts_with(head), "{csv}");
    assert!(
        csv.contains("\n,3,ssim with human_ranking: tasks that are ranked and have this accuracy,9,"),
        "{csv}"
    );
    assert!(csv.contains("default,4,total_rank_sum with ssim: all tasks,12,-"), "{csv}");
    let subset = "default,5,aleatoric with ssim: the 7 tasks of lowest epistemic uncertainty,7,";
    assert!(csv.contains(subset) && csv.lines().count() == 14, "{csv}");
    // What is read by a program as well: the rule of the subset, and what may be accepted.
    let line =
        |part: &str| csv.lines().find(|line| line.contains(part)).unwrap_or_else(|| panic!("{part}: {csv}"));
    assert!(
        line(subset).ends_with(
            ",exact,the 7 tasks of lowest uncertainty; tasks that tie with the last one belong to it,"
        ),
        "{csv}"
    );
    let accepted = line(
        "accept tasks for ssim of at least -12 by total_sum, with a chance of at most 0.1 to fall short",
    );
    assert!(accepted.rsplit(',').next().unwrap().parse::<f64>().unwrap() < 20.0, "{accepted}");
    assert!(told.contains("1 id(s) have no accuracy here: elsewhere"), "{told}");
    // At twelve tasks and α = .1 one may fall short; at .05 nothing can be promised.
    let written = fs::read_to_string(out.join("calibration.json")).unwrap();
    assert!(written.contains(r#""acceptance": {"#) && written.contains(r#""families": "Holm"#));
    assert!(written.contains(r#""target": {"#) && written.contains(r#""subset_rule": "the 7 tasks"#));
    let (code, _, told) =
        ended(squbed(&[&arguments[..], &["--target-accuracy", "-12", "--alpha", "0.05"]].concat()));
    assert!(code == 0 && told.contains("12 items give no guarantee at the level 0.05"), "{told}");

    // What was typed is kept, the last of each step, and a report that is there is said to be older.
    let commands = fs::read_to_string(out.join("commands.json")).unwrap();
    assert!(
        commands.matches("squbed calibrate").count() == 1 && commands.contains("--alpha 0.05"),
        "{commands}"
    );
    assert!(!told.contains("is older than"), "{told}");
    fs::write(out.join("report.html"), "").unwrap();
    let (_, _, told) = ended(squbed(&arguments));
    assert!(told.contains("is older than these results; `squbed report "), "{told}");

    for (more, part) in [
        (&["--metric", "clip"][..], "accuracy.jsonl has no `clip`; it has: ssim"),
        (&["--subset-count", "1"][..], "a subset of 1 task(s) is none"),
        (&["--subset-quantile", "0"][..], "a subset of the share 0 is none"),
        (&["--human-ranking", "nowhere.csv"][..], "cannot read the human ranking nowhere.csv"),
        (&["--subset-count", "3", "--subset-quantile", "0.5"][..], "cannot be used with"),
    ] {
        let base: &[&str] = if more[0] == "--human-ranking" { &arguments[..4] } else { &arguments };
        let (code, message) = failure(&[base, more].concat());
        assert!(code == 1 && message.contains(part), "{message}");
    }
}

#[test]
fn a_study_is_planned_from_its_size_and_from_a_pilot() {
    let power = json(&["plan", "--tasks", "4", "--format", "json"]);
    assert_eq!(
        keys(&power),
        ["alpha", "alternative", "critical_tau", "detectable_tau", "power", "smallest_p", "tasks"]
    );
    assert!(
        (power["smallest_p"].as_f64().unwrap() - 1.0 / 12.0).abs() < 1e-12 && power["critical_tau"].is_null()
    );
    let more =
        json(&["plan", "--tasks", "100", "--tests", "10", "--alternative", "less", "--format", "json"]);
    assert!(more["alpha"] == 0.005 && more["detectable_tau"].as_f64().unwrap() < 0.3);

    let home = tempfile::tempdir().unwrap();
    results(home.path());
    let pilot =
        ["plan", "--tasks", "100", "--pilot", text(home.path()), "--latents", "4,8", "--videos", "4,16"];
    let both = json(&[&pilot[..], &["--format", "json"]].concat());
    let rows = both["settling"].as_array().unwrap();
    let sizes: Vec<u64> = rows.iter().map(|row| row["videos_in_all"].as_u64().unwrap()).collect();
    assert_eq!((sizes, &both["tasks"]), (vec![1600, 3200, 6400, 12_800], &100.into()));
    let width = |i: usize| rows[i]["half_width_epistemic"].as_f64().unwrap();
    assert!(
        width(3) < width(1)
            && width(1) < width(0)
            && rows[3]["tau_total"].as_f64() > rows[0]["tau_total"].as_f64()
    );
    let (code, csv, _) = ended(squbed(&[&pilot[..], &["--format", "csv"]].concat()));
    assert!(code == 0 && csv.starts_with("latents,videos,videos_in_all,half_width_aleatoric,"), "{csv}");
    let (code, table, _) = ended(squbed(&pilot));
    assert!(code == 0 && table.contains("detectable_tau") && table.contains("half_width_total"), "{table}");

    let nowhere = home.path().join("nowhere");
    let (code, message) = failure(&["plan", "--tasks", "9", "--pilot", text(&nowhere)]);
    assert!(code == 1 && message.contains("hint: run `squbed estimate`"), "{message}");
    let (code, message) = failure(&["plan", "--tasks", "9", "--alpha", "2"]);
    assert!(code == 1 && message.contains("the level is 2; it must lie between 0 and 1"), "{message}");
    let (code, message) = failure(&["plan", "--tasks", "1"]);
    assert!(code == 1 && message.contains("at least 2"), "{message}");
}
