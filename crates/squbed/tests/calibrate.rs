//! A results' folder from outside: the claim's tests, the curves, what is kept and what is refused.

use std::{collections::BTreeMap, fs, path::Path, sync::Mutex};

use serde_json::{Value, json};
use squbed::{
    calibrate::{CalibrateOptions, SubsetRule, calibrate_folder, claim::Test, decision::Target},
    progress::{Progress, Silent},
    results::CalibrationFile,
};

#[path = "calibrate/pairing.rs"]
mod pairing;

/// A task's row of `uncertainty.jsonl`.
fn row(id: &str, aleatoric: f64, epistemic: f64) -> Value {
    let fit = |dim: usize, entropy: f64| {
        json!({"m": 4, "dim": dim, "rbar": 0.5, "one_minus_rbar": 0.5, "kappa": 9.0, "entropy": number(entropy),
               "relative_entropy": -1.0, "rayleigh_p": 0.001, "flags": []})
    };
    json!({
        "id": id, "aleatoric": number(aleatoric), "epistemic": number(epistemic),
        "total": number(aleatoric + epistemic), "epistemic_median": 0.0, "epistemic_max": 0.0, "worst_latent": 0,
        "prompts": fit(384, aleatoric), "videos": [fit(512, epistemic)], "latents_left_out": 0,
        "pooled": fit(512, epistemic + 2.0), "mutual_information": 2.0, "interval": null,
    })
}

fn number(x: f64) -> Value {
    match x {
        f64::INFINITY => "inf".into(),
        f64::NEG_INFINITY => "-inf".into(),
        x if x.is_nan() => Value::Null,
        x => x.into(),
    }
}

fn write_lines(path: &Path, rows: &[Value]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, rows.iter().map(|row| format!("{row}\n")).collect::<String>()).unwrap();
}

fn encoder(name: &str) -> Value {
    json!({"name": name, "weights_sha256": "", "preprocessing": "p/1", "sampling": "", "head": "embedding",
           "dtype": "f32", "dim": 512})
}

fn method() -> Value {
    json!({"preset": "default", "options": {"estimator": "u", "projection": {"basis": "none"}}, "components": null,
           "text_encoder": encoder("text"), "video_encoder": encoder("video"), "squbed": "0.1.0"})
}

struct Folder(tempfile::TempDir);

impl Folder {
    /// Tasks t0, t1, … with these parts, and accuracies by metric.
    fn new(parts: &[(f64, f64)], accuracies: &[(&str, &[f64])]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let rows: Vec<Value> =
            parts.iter().enumerate().map(|(i, (a, e))| row(&format!("t{i}"), *a, *e)).collect();
        folder.estimate(&rows);
        let mut scores = Vec::new();
        for (metric, values) in accuracies {
            scores.extend(values.iter().enumerate().map(|(i, value)| {
                json!({"id": format!("t{i}"), "metric": metric, "value": number(*value), "videos": 16})
            }));
        }
        write_lines(&folder.path().join("accuracy.jsonl"), &scores);
        folder
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn estimate(&self, rows: &[Value]) {
        write_lines(&self.path().join("default/uncertainty.jsonl"), rows);
        fs::write(self.path().join("default/method.json"), method().to_string()).unwrap();
    }

    fn calibrate(&self, options: &CalibrateOptions) -> squbed::Result<CalibrationFile> {
        calibrate_folder(self.path(), options, &Silent)
    }

    fn refused(&self) -> String {
        let error = self.calibrate(&quick()).unwrap_err();
        assert!(error.hint().is_some(), "{error}");
        error.to_string()
    }

    fn written(&self) -> Value {
        serde_json::from_str(&fs::read_to_string(self.path().join("calibration.json")).unwrap()).unwrap()
    }

    fn lines(&self, file: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.path().join(file)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn quick() -> CalibrateOptions {
    let mut options = CalibrateOptions::default();
    options.resampling.resamples = 200;
    options
}

/// Values of which each follows the other's order but for some.
fn mixed(n: usize, step: usize) -> Vec<f64> {
    (0..n).map(|i| (i * step % n) as f64).collect()
}

fn test<'a>(file: &'a CalibrationFile, x: &str, scope: &str) -> &'a Test {
    let scoped = |t: &Test| t.scope == scope || t.scope.contains(&format!("{scope} un"));
    let found: Vec<&Test> = file.claim.tests.iter().filter(|t| t.x == x && scoped(t)).collect();
    assert_eq!(found.len(), 1, "{x}, {scope}: {:?}", file.claim.tests);
    found[0]
}

fn sample() -> Folder {
    let parts: Vec<(f64, f64)> =
        mixed(30, 7).into_iter().zip(mixed(30, 11)).map(|(a, e)| (a - 800.0, e / 10.0 - 1080.0)).collect();
    let ssim: Vec<f64> = parts.iter().map(|(a, e)| -(a + 800.0) - 20.0 * (e + 1080.0)).collect();
    let psnr: Vec<f64> = mixed(30, 13);
    Folder::new(&parts, &[("ssim", &ssim), ("psnr", &psnr)])
}

/// The paper's Figure 3: S of each accuracy with the ranking of ten tasks, its τ and its p.
#[test]
fn figure_3_as_the_paper_has_it() {
    let names = ["SSIM", "PSNR", "-LPIPS", "CLIP"];
    let columns: Vec<Vec<f64>> = [-11_i64, 1, -7, -29]
        .into_iter()
        .map(|s| {
            let mut discordant = ((45 - s) / 2) as usize;
            let mut order = Vec::new();
            for i in 0..10_usize {
                let back = discordant.min(i);
                discordant -= back;
                order.insert(i - back, i as f64);
            }
            order
        })
        .collect();
    let accuracies: Vec<(&str, &[f64])> = names.into_iter().zip(columns.iter().map(Vec::as_slice)).collect();
    let parts: Vec<(f64, f64)> = (0..10).map(|i| (f64::from(i), f64::from(i * 3 % 10))).collect();
    let folder = Folder::new(&parts, &accuracies);
    let ranking = folder.path().join("human.csv");
    let rows: String = (0..10).map(|i| format!("t{i},{}\n", i + 1)).collect();
    fs::write(&ranking, format!("id,rank\n{rows}")).unwrap();
    let options = CalibrateOptions { human_ranking: Some(ranking.clone()), permutations: 500, ..quick() };
    let file = folder.calibrate(&options).unwrap();
    let tests: Vec<&Test> = file.claim.tests.iter().filter(|t| t.figure == 3).collect();
    for (test, (name, tau, p)) in tests.iter().zip([
        ("SSIM", -0.244, 0.381),
        ("PSNR", 0.022, 1.0),
        ("-LPIPS", -0.156, 0.601),
        ("CLIP", -0.644, 0.009),
    ]) {
        assert_eq!((test.x.as_str(), test.y.as_str(), test.correlation.n), (name, "human_ranking", 10));
        assert_eq!(test.correlation.p_method, "exact");
        assert!((test.correlation.tau - tau).abs() < 5.001e-4 && (test.correlation.p - p).abs() < 5.001e-4);
        assert!((test.p_permutation.unwrap() - p).abs() < 0.1, "{test:?}");
    }
    // Of the four CLIP alone remains; one-sided p is half of the two-sided one, p and 1 − p overlap in one point.
    let clip = tests[3];
    assert!((clip.p_holm - 4.0 * clip.correlation.p).abs() < 1e-12 && clip.p_holm < 0.05);
    assert!(tests[..3].iter().all(|t| t.p_holm > 0.9));
    assert!((clip.p_less * 2.0 - clip.correlation.p).abs() < 1e-12 && clip.p_less + clip.p_greater > 1.0);
    assert!(file.claim.human_ranking.as_ref().unwrap().unknown_ids.is_empty());

    // Ids without an accuracy are listed, those of tasks with an estimate too; of none that has one nothing can be said.
    fs::write(&ranking, "id,rank\nt1,1\nt2,2\nelsewhere,3\n").unwrap();
    let file = folder.calibrate(&options).unwrap();
    assert_eq!(file.claim.human_ranking.unwrap().unknown_ids, ["elsewhere"]);
    let scores = folder.lines("accuracy.jsonl");
    let kept: Vec<Value> = scores.iter().filter(|row| row["id"] != "t2").cloned().collect();
    write_lines(&folder.path().join("accuracy.jsonl"), &kept);
    let file = folder.calibrate(&options).unwrap();
    assert_eq!(file.claim.human_ranking.unwrap().unknown_ids, ["elsewhere", "t2"]);
    fs::write(&ranking, "id,rank\nx,1\ny,2\n").unwrap();
    let error = folder.calibrate(&options).unwrap_err();
    assert!(
        error.to_string().contains("none of the 2 id(s)") && error.to_string().contains("x, y"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("tasks.jsonl"));
}

#[test]
fn figures_4_and_5_their_family_and_the_curves() {
    let folder = sample();
    let options = CalibrateOptions { subset: SubsetRule::Count(8), ..quick() };
    let file = folder.calibrate(&options).unwrap();
    assert_eq!(
        (file.accuracy.as_str(), &file.claim.metrics),
        ("ssim", &vec!["ssim".to_owned(), "psnr".into()])
    );
    // Four totals, and two parts on the subset, on all tasks and with the other held fixed, for two accuracies.
    assert_eq!(file.claim.tests.len(), 2 * (4 + 6));
    let p: Vec<f64> = file.claim.tests.iter().map(|t| t.correlation.p).collect();
    let holm = squbed::stats::holm(&p).unwrap();
    assert!(file.claim.tests.iter().zip(&holm).all(|(t, holm)| t.p_holm == *holm));
    assert!(file.claim.families.contains("Holm") && file.claim.subset_rule.starts_with("the 8 tasks"));

    let ssim = CalibrationFile {
        claim: squbed::calibrate::folder::Claim {
            tests: file.claim.tests.iter().filter(|t| t.metric == "ssim").cloned().collect(),
            ..file.claim.clone()
        },
        ..file.clone()
    };
    let subset = test(&ssim, "aleatoric", "lowest epistemic");
    let whole = test(&ssim, "aleatoric", "all tasks, epistemic");
    assert_eq!((subset.figure, subset.correlation.n, whole.correlation.n), (5, 8, 30));
    // What the other part adds is noise to this one: with it held fixed, τ is the stronger.
    assert!(whole.correlation.tau < test(&ssim, "aleatoric", "all tasks").correlation.tau);
    assert_eq!(whole.correlation.p_method, "residuals permuted, random 9999 pairings");
    // As small as so many pairings can say, on the side of the claim.
    assert_eq!((whole.p_less, whole.correlation.p, whole.p_greater), (1e-4, 1e-4, 1.0));
    assert!(
        whole.correlation.ci_low < whole.correlation.tau && whole.correlation.tau < whole.correlation.ci_high
    );
    // The primary metric's total is the one of old.
    let primary = file.presets["default"].as_ref().unwrap();
    assert_eq!(
        primary.total_accuracy_sum.as_ref().unwrap(),
        &test(&ssim, "total_sum", "all tasks").correlation
    );
    assert_eq!(
        primary.total_accuracy.as_ref().unwrap(),
        &test(&ssim, "total_rank_sum", "all tasks").correlation
    );

    // Every threshold, the last one being all tasks; at eight tasks what the test says.
    let curve: Vec<Value> = folder
        .lines("subset_curves.jsonl")
        .into_iter()
        .filter(|p| p["metric"] == "ssim" && p["part"] == "aleatoric")
        .collect();
    assert_eq!(curve.len(), 29);
    let at = |n: usize| curve.iter().find(|p| p["n"] == n).unwrap();
    assert_eq!(at(8)["tau"].as_f64(), Some(subset.correlation.tau));
    assert_eq!(at(8)["p"].as_f64(), Some(subset.correlation.p));
    assert!(at(30)["by"] == "epistemic" && at(30)["threshold"].as_f64().unwrap() > -1080.0);

    // Contributions and coverage; the sum follows the part of the larger range.
    let analysis = &file.claim.by_metric["default"]["ssim"];
    let share = &analysis.contributions["sum"];
    assert!(share.share_aleatoric > 0.9 && share.share_epistemic < 0.1, "{share:?}");
    assert!((analysis.contributions["rank_sum"].share_aleatoric - 0.5).abs() < 0.2);
    assert!(analysis.risk_coverage["rank_sum"].gain > 0.5);
    // Four totals and the best order.
    let coverage = folder.lines("risk_coverage.jsonl");
    assert_eq!(coverage.len(), 2 * (4 + 1) * 30);
    let best: Vec<f64> = coverage
        .iter()
        .filter(|p| p["metric"] == "ssim" && p["total"] == "optimal")
        .map(|p| p["risk"].as_f64().unwrap())
        .collect();
    assert!(best.len() == 30 && best.is_sorted(), "the most accurate come first: {best:?}");
    let area = best.iter().sum::<f64>() / 30.0;
    assert!((area - analysis.risk_coverage["sum"].optimal).abs() < 1e-9);
    // What was written is read back.
    let back: CalibrationFile = serde_json::from_value(folder.written()).unwrap();
    assert_eq!(serde_json::to_value(&back.claim).unwrap(), serde_json::to_value(&file.claim).unwrap());

    let other = CalibrateOptions { metric: Some("psnr".to_owned()), ..quick() };
    assert_eq!(folder.calibrate(&other).unwrap().accuracy, "psnr");
    let unknown = CalibrateOptions { metric: Some("fvd".to_owned()), ..quick() };
    assert!(folder.calibrate(&unknown).unwrap_err().to_string().contains("it has: ssim, psnr"));
    for subset in [SubsetRule::Count(1), SubsetRule::Quantile(1.5)] {
        let options = CalibrateOptions { subset, ..quick() };
        assert!(folder.calibrate(&options).unwrap_err().to_string().contains("a subset of"));
    }
}

#[test]
fn a_wanted_accuracy_gives_a_threshold_or_the_reason_why_not() {
    let folder = sample();
    let wanted = |alpha| CalibrateOptions { target: Some(Target { accuracy: -30.0, alpha }), ..quick() };
    let file = folder.calibrate(&wanted(0.1)).unwrap();
    let of = |metric: &str| file.claim.by_metric["default"][metric].clone();
    let sum = &of("ssim").acceptance["sum"];
    assert!(sum.n == 30 && sum.accepted > 0 && sum.short <= 2 && sum.threshold < -1850.0, "{sum:?}");
    assert!(of("ssim").acceptance.contains_key("mi") && !of("ssim").acceptance.contains_key("rank_sum"));
    assert!(of("psnr").acceptance.is_empty(), "the target is one of the primary metric");
    let file = folder.calibrate(&wanted(0.01)).unwrap();
    let why = &file.claim.by_metric["default"]["ssim"].not_computed["acceptance"];
    assert_eq!(why, "30 items give no guarantee at the level 0.01; at least 99 are needed");
    assert!(folder.calibrate(&wanted(0.0)).is_err());
}

#[test]
fn equal_uncertainties_have_no_tau_and_it_is_said() {
    let accuracy = mixed(8, 3);
    let folder = Folder::new(&[(-800.0, -1080.0); 8], &[("ssim", &accuracy)]);
    let file = folder.calibrate(&quick()).unwrap();
    // Ties make the subsets all tasks, which are tested once.
    assert_eq!(file.claim.tests.len(), 8);
    for test in &file.claim.tests {
        let c = &test.correlation;
        assert!(c.tau.is_nan() && c.p.is_nan() && test.p_holm.is_nan() && test.p_less.is_nan(), "{test:?}");
        assert!(c.undefined.as_ref().unwrap().contains("the same"), "{test:?}");
    }
    let written = folder.written();
    assert!(
        written["tests"][0]["tau"].is_null()
            && written["presets"]["default"]["total_accuracy"]["tau"].is_null()
    );
    assert!(written["by_metric"]["default"]["ssim"]["contributions"]["sum"]["share_aleatoric"].is_null());
    assert!(folder.lines("subset_curves.jsonl").iter().all(|point| point["tau"].is_null()));
}

#[test]
fn few_tasks_have_no_interval_and_one_nothing_at_all() {
    for n in 1..5 {
        let parts: Vec<(f64, f64)> = (0..n).map(|i| (i as f64, (i * 3 % 5) as f64)).collect();
        let accuracy: Vec<f64> = (0..n).map(|i| -(i as f64)).collect();
        let file = Folder::new(&parts, &[("ssim", &accuracy)]).calibrate(&quick()).unwrap();
        let sum = test(&file, "total_sum", "all tasks");
        assert_eq!((sum.correlation.n, sum.correlation.tau.is_nan()), (n, n < 2));
        assert!(sum.correlation.ci_low.is_nan() && sum.correlation.ci_method.contains("too few"));
        let partial = test(&file, "aleatoric", "all tasks, epistemic");
        assert_eq!(partial.correlation.p.is_nan(), n < 4, "{partial:?}");
        assert!(partial.correlation.ci_low.is_nan(), "{partial:?}");
        let analysis = &file.claim.by_metric["default"]["ssim"];
        assert_eq!(analysis.not_computed.contains_key("all"), n < 2);
    }
}

#[test]
fn infinities_keep_their_rank_and_take_the_mean_away() {
    let mut parts: Vec<(f64, f64)> = mixed(12, 5).into_iter().zip(mixed(12, 7)).collect();
    parts[3].0 = f64::NEG_INFINITY;
    let mut psnr = mixed(12, 5);
    psnr.reverse();
    psnr[0] = f64::INFINITY;
    let folder = Folder::new(&parts, &[("psnr", &psnr)]);
    let file = folder.calibrate(&quick()).unwrap();
    assert_eq!(test(&file, "total_sum", "all tasks").correlation.n, 12);
    assert!(!file.claim.tests.iter().any(|t| t.x == "total_zscore_sum"));
    let analysis = &file.claim.by_metric["default"]["psnr"];
    assert!(analysis.not_computed["total_zscore_sum"].contains("no z-scores"));
    assert!(analysis.not_computed["risk_coverage"].contains("infinite"));
    assert_eq!(folder.written()["presets"]["default"]["point_masses"]["aleatoric"], 1);
}

#[test]
fn ids_that_do_not_match_are_listed() {
    let parts: Vec<(f64, f64)> = mixed(6, 5).into_iter().zip(mixed(6, 1)).collect();
    let folder = Folder::new(&parts, &[("ssim", &[0.1, 0.2, f64::NAN, 0.4, 0.5, 0.6, 0.7, 0.8])]);
    let file = folder.calibrate(&quick()).unwrap();
    let left_out = &file.claim.participation["ssim"].left_out;
    assert_eq!(left_out["its accuracy is no number"], ["t2"]);
    assert_eq!(left_out["no estimate"], ["t6", "t7"]);
    assert_eq!(test(&file, "total_sum", "5 of 8 tasks").correlation.n, 5);
    assert_eq!(test(&file, "aleatoric", "5 of 8 tasks, epistemic").correlation.n, 5);
    // Of the list, one task more has neither; its failure says why.
    let task = |i: usize| json!({"id": format!("t{i}"), "prompt": "x", "ground_truth": "v.mp4"});
    write_lines(&folder.path().join("tasks.jsonl"), &(0..9).map(task).collect::<Vec<_>>());
    let failure = json!({"step": "estimate", "item": "t8", "error": "too few videos", "hint": ""});
    write_lines(&folder.path().join("failures.jsonl"), &[failure]);
    let file = folder.calibrate(&quick()).unwrap();
    assert_eq!(test(&file, "total_sum", "5 of 9 tasks").correlation.n, 5);
    let [(said, as_meant)] = file.claim.left_out().try_into().unwrap();
    assert!(!as_meant);
    assert_eq!(
        said,
        "5 of 9 tasks take part in the correlations with ssim; 4 left out: t2 (its accuracy is no number); t6, t7 (no \
         estimate); t8 (no estimate: too few videos; no accuracy)"
    );
    assert_eq!(folder.written()["participation"]["ssim"]["taking_part"], 5);
    fs::remove_file(folder.path().join("tasks.jsonl")).unwrap();
    // No accuracy at all: what does not need one stands.
    fs::write(folder.path().join("accuracy.jsonl"), "").unwrap();
    let file = folder.calibrate(&quick()).unwrap();
    assert!(file.claim.tests.is_empty() && file.claim.metrics.is_empty());
    assert!(file.presets["default"].as_ref().unwrap().total_accuracy.is_none());
    fs::remove_file(folder.path().join("accuracy.jsonl")).unwrap();
    assert!(folder.refused().ends_with("accuracy.jsonl is not there"));
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let parts: Vec<(f64, f64)> = mixed(6, 5).into_iter().zip(mixed(6, 1)).collect();
    let folder = Folder::new(&parts, &[("ssim", &mixed(6, 1))]);
    let rows =
        || parts.iter().enumerate().map(|(i, (a, e))| row(&format!("t{i}"), *a, *e)).collect::<Vec<_>>();
    let refused = |change: &dyn Fn(&mut Vec<Value>)| {
        let mut rows = rows();
        change(&mut rows);
        folder.estimate(&rows);
        folder.refused()
    };
    let nan = refused(&|rows| rows[2]["epistemic"] = Value::Null);
    assert_eq!(nan, "estimate `default`, task `t2`: its epistemic uncertainty is not a number");
    assert!(refused(&|rows| rows[1]["aleatoric"] = "inf".into()).contains("task `t1`: its aleatoric"));
    let prompts = refused(&|rows| rows[4]["prompts"]["dim"] = 64.into());
    assert!(
        prompts.contains("the latent prompts of task `t4` are fitted in 64, those of others in 384"),
        "{prompts}"
    );
    let videos = refused(&|rows| rows[5]["videos"][0]["dim"] = 1024.into());
    assert!(
        videos.contains("the videos of task `t5` are fitted in 1024, those of others in 512"),
        "{videos}"
    );
    assert!(refused(&|rows| rows.push(row("t0", 1.0, 1.0))).contains("has task `t0` twice"));

    // Uncertainties of one preset beside the options of another.
    folder.estimate(&rows());
    assert!(folder.calibrate(&quick()).is_ok());
    let mut paper = method();
    paper["preset"] = "paper".into();
    squbed::store::write_uncertainty(&folder.path().join("default"), &[], &paper).unwrap();
    folder.estimate(&rows());
    let mixed = folder.refused();
    assert!(mixed.contains("mixes two estimates") && mixed.contains("preset \"paper\""), "{mixed}");
}

/// Keeps what it is told.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Progress for Told {
    fn begin(&self, _: &str, _: u64, _: &str) {}
    fn advance(&self, _: u64) {}
    fn end(&self) {}
    fn warn(&self, message: &str) {
        self.0.lock().unwrap().push(message.to_owned());
    }
}

#[test]
fn a_demonstration_s_floors_are_held_against_the_new_figures() {
    let folder = sample();
    let truth: Vec<Value> = (0..30)
        .map(|i| {
            json!({"id": format!("t{i}"), "aleatoric": (i * 7 % 30) as f64, "epistemic": (i * 11 % 30) as f64,
                   "confidently_wrong": i == 3})
        })
        .collect();
    write_lines(&folder.path().join("truth.jsonl"), &truth);
    assert!(folder.calibrate(&quick()).is_ok());
    let mut written = folder.written();
    assert!(written.get("floors").is_none(), "there is no demonstration here");
    let floor = |name: &str, least: f64, most: f64| json!({"name": name, "value": 0.123, "bound": {"least": least, "most": most}, "holds": false});
    written["floors"] = json!([
        floor("estimated with true aleatoric", 0.6, 1.0),
        floor("rank-sum total with accuracy", -1.0, -0.3),
        floor("estimated aleatoric with true epistemic", 0.9, 1.0),
    ]);
    fs::write(folder.path().join("calibration.json"), written.to_string()).unwrap();
    let file = folder.calibrate(&quick()).unwrap();
    let floors = folder.written()["floors"].clone();
    let held: Vec<bool> = floors.as_array().unwrap().iter().map(|f| f["holds"].as_bool().unwrap()).collect();
    assert_eq!(held, [true, true, false]);
    let truth = file.presets["default"].as_ref().unwrap().truth.clone().unwrap();
    assert_eq!((floors[0]["value"].as_f64(), truth.aleatoric.n), (Some(truth.aleatoric.tau), 29));

    // Another accuracy is not what the floor binds.
    let told = Told::default();
    let other = CalibrateOptions { metric: Some("psnr".to_owned()), ..quick() };
    calibrate_folder(folder.path(), &other, &told).unwrap();
    let names: BTreeMap<String, ()> = folder.written()["floors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| (f["name"].as_str().unwrap().to_owned(), ()))
        .collect();
    assert!(names.len() == 2 && !names.contains_key("rank-sum total with accuracy"));
    let told = told.0.into_inner().unwrap();
    let told: Vec<&String> = told.iter().filter(|told| told.starts_with("the floor of")).collect();
    assert!(
        told.len() == 1 && told[0].contains("binds ssim, and the primary accuracy is psnr now"),
        "{told:?}"
    );
}

#[test]
fn a_subset_that_is_the_whole_is_one_test() {
    let folder = sample();
    let options = |count| CalibrateOptions { subset: SubsetRule::Count(count), ..quick() };
    let some = folder.calibrate(&options(29)).unwrap();
    let all = folder.calibrate(&options(30)).unwrap();
    assert_eq!((some.claim.tests.len(), all.claim.tests.len()), (2 * 10, 2 * 8));
    let of = |file: &CalibrationFile, part: &str| -> Vec<Test> {
        let of_part = file.claim.tests.iter().filter(|t| t.x == part && t.metric == "ssim");
        of_part.filter(|t| t.correlation.n == 30).cloned().collect()
    };
    let [whole, partial] = &of(&all, "aleatoric")[..] else { panic!("{:?}", all.claim.tests) };
    assert_eq!(whole.scope, "all tasks, which the subset of lowest epistemic uncertainty is as well");
    assert!(partial.scope.ends_with("held fixed"));
    // One test the less in the family: the correction is the milder.
    let before = &of(&some, "aleatoric")[0];
    assert_eq!(before.correlation.p, whole.correlation.p);
    assert!(whole.p_holm < before.p_holm, "{} {}", whole.p_holm, before.p_holm);
}

#[test]
fn few_tasks_with_ties_have_a_p_that_holds_with_ties_and_says_so() {
    // The 120 orders of the accuracies: |τ| is as large in 12 of them, of which the asymptotic p knows nothing.
    let parts = [(1.0, 5.0), (2.0, 4.0), (2.0, 3.0), (3.0, 2.0), (4.0, 1.0)];
    let file = Folder::new(&parts, &[("ssim", &[9.0, 8.0, 7.0, 6.0, 5.0])]).calibrate(&quick()).unwrap();
    let tied = test(&file, "aleatoric", "all tasks, which the subset of lowest epistemic");
    let c = &tied.correlation;
    assert_eq!(c.p_method, "exact, all 120 pairings");
    // The order and its reverse, each with the tied pair in both orders.
    assert!((c.p - 4.0 / 120.0).abs() < 1e-15 && (tied.p_less - 2.0 / 120.0).abs() < 1e-15, "{tied:?}");
    assert_eq!(
        test(&file, "epistemic", "all tasks, which the subset of lowest aleatoric").correlation.p_method,
        "exact"
    );
    let asymptotic = squbed::stats::kendall(
        &[1.0, 2.0, 2.0, 3.0, 4.0],
        &[9.0, 8.0, 7.0, 6.0, 5.0],
        squbed::stats::Alternative::TwoSided,
        squbed::stats::KendallMethod::Auto,
    );
    assert!((asymptotic.unwrap().p - c.p).abs() > 0.01);

    // Twenty tasks: more orders than can be looked at.
    let twice: Vec<f64> = mixed(20, 7).into_iter().map(|x| (x / 2.0).floor()).collect();
    let parts: Vec<(f64, f64)> = twice.iter().copied().zip(mixed(20, 3)).collect();
    let file = Folder::new(&parts, &[("ssim", &mixed(20, 9))]).calibrate(&quick()).unwrap();
    let tied = test(&file, "aleatoric", "all tasks");
    assert_eq!(tied.correlation.p_method, "permutation, 9999 random pairings");
    let asymptotic = squbed::stats::kendall(
        &twice,
        &mixed(20, 9),
        squbed::stats::Alternative::TwoSided,
        squbed::stats::KendallMethod::Asymptotic,
    );
    assert!((asymptotic.unwrap().p - tied.correlation.p).abs() < 0.02, "{tied:?}");
}

#[test]
fn prompt_length_and_category_are_looked_past() {
    // Uncertainty and accuracy follow the prompt's length, each with a noise of its own.
    let noise = |i: usize, step: usize| (i * step % 24) as f64 / 3.0;
    let parts: Vec<(f64, f64)> = (0..24).map(|i| (-(i as f64) + noise(i, 7), noise(i, 11))).collect();
    let accuracy: Vec<f64> = (0..24).map(|i| i as f64 + noise(i, 5)).collect();
    let folder = Folder::new(&parts, &[("ssim", &accuracy)]);
    let confounders = |file: &CalibrationFile| file.claim.by_metric["default"]["ssim"].confounders.clone();
    let without = confounders(&folder.calibrate(&quick()).unwrap());
    assert_eq!(without.not_computed["all"], "tasks.jsonl of the folder does not have every task");

    let tasks: Vec<Value> = (0..24)
        .map(|i| {
            let category = if i < 20 { ["cats", "dogs"][i % 2] } else { "owls" };
            json!({"id": format!("t{i}"), "prompt": "word ".repeat(i + 1), "category": category, "latents": []})
        })
        .collect();
    write_lines(&folder.path().join("tasks.jsonl"), &tasks);
    let file = folder.calibrate(&quick()).unwrap();
    let found = confounders(&file);
    let plain = test(&file, "aleatoric", "all tasks").correlation.tau;
    let given = &found.given_prompt_length["aleatoric"];
    assert!(plain < -0.6 && given.tau.abs() < plain.abs() / 2.0 && given.n == 24, "{plain} {given:?}");
    let lengths: Vec<f64> = (0..24).map(f64::from).collect();
    let column: Vec<f64> = parts.iter().map(|(a, _)| *a).collect();
    let seed = quick().resampling.seed;
    let expected =
        squbed::stats::permutation_partial_kendall(&column, &accuracy, &lengths, 9999, seed).unwrap();
    assert_eq!((given.tau, given.p), (expected.tau, expected.p_two_sided));

    let cats = &found.within_category["cats"]["total_sum"];
    assert_eq!((cats.n, found.within_category.len()), (10, 2));
    assert_eq!(found.not_computed["category owls"], "4 task(s) are too few, at least 5 are needed");
    assert!(found.given_prompt_length.contains_key("total_rank_sum"));
}
