//! A report of numbers invented by a seed, of the size of the demo.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use squbed_core::Flag;
use squbed_report::{
    AccuracyMetric, Bound, Claim, ClaimCurves, ClaimScatter, ClaimTest, Contribution, Correlation, Curve,
    CurvePoint, Curves, Estimate, Failure, Floor, Image, LatentReport, Method, MethodOption, NotRun, Note,
    Origin, Outcome, Point, Quantity, Range, ReportData, RiskCoverage, Run, Scatter, SeedRow, SeedTable,
    Step, TaskReport, Truth, Verdict, VideoAnomaly,
};

const METHODS: [&str; 4] = [
    "default",
    "paper",
    "mean pairwise cosine, colour-histogram-64",
    "mean pairwise cosine, i3d-kinetics-400",
];
const PAIRS: [(Quantity, Quantity); 9] = [
    (Quantity::Aleatoric, Quantity::TrueAleatoric),
    (Quantity::Epistemic, Quantity::TrueEpistemic),
    (Quantity::Aleatoric, Quantity::TrueEpistemic),
    (Quantity::Epistemic, Quantity::TrueAleatoric),
    (Quantity::TotalRankSum, Quantity::Accuracy(0)),
    (Quantity::TotalSum, Quantity::Accuracy(0)),
    (Quantity::TotalZSum, Quantity::Accuracy(0)),
    (Quantity::Aleatoric, Quantity::Accuracy(0)),
    (Quantity::Epistemic, Quantity::Accuracy(0)),
];

/// A report on `tasks` tasks.
pub(crate) fn sample(tasks: usize, seed: u64) -> ReportData {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut data = ReportData {
        title: "SAMPLE: every number of this report is invented".to_owned(),
        summary: "A page to look at while the report is worked on. Its numbers come from a random generator and \
                  say nothing about any method."
            .to_owned(),
        verdict: Verdict {
            outcome: Outcome::Missed,
            headline: "Four of five floors hold; Ê goes along with the wrong truth (invented).".to_owned(),
            evidence: vec![
                "Both parts follow their own truth: τ = 0.80 [0.72, 0.87] and 0.83 [0.75, 0.89].".to_owned(),
                "Ê follows A as well: τ = 0.33, where at most 0.30 was allowed.".to_owned(),
            ],
        },
        floors: floors(),
        run: run(),
        accuracies: vec![
            AccuracyMetric {
                name: "I3D cosine".to_owned(),
                unit: String::new(),
                about: "cosine of the pooled I3D features of generated and true video, mean over a task’s videos."
                    .to_owned(),
            },
            AccuracyMetric { name: "PSNR".to_owned(), unit: "dB".to_owned(), about: "of frames in pairs.".to_owned() },
        ],
        methods: METHODS[..2].iter().map(|key| method(&mut rng, key, "nats", tasks)).collect(),
        baselines: METHODS[2..].iter().map(|key| method(&mut rng, key, "", tasks)).collect(),
        seeds: seeds(&mut rng),
        notes: vec![Note {
            title: "The paper preset’s total follows the epistemic part".to_owned(),
            paragraphs: vec![
                "Its plain sum goes along with Ê at τ = 0.78 and with Â at 0.22 (invented): the two spaces have \
                 different dimension, and the part that varies more decides the order."
                    .to_owned(),
                "The world is visually easy: a colour histogram does as well as I3D here.".to_owned(),
            ],
        }],
        confidently_wrong: vec![
            "On some values the model always draws the same wrong thing. Such tasks have no epistemic entropy by \
             definition, and low uncertainty with low accuracy is what an honest estimate gives."
                .to_owned(),
        ],
        failures: vec![Failure {
            item: "tasks/t07/latent_2/v3.mp4".to_owned(),
            step: "embed".to_owned(),
            error: "cannot decode: the file ends after 812 bytes".to_owned(),
            hint: "make it again".to_owned(),
        }],
        claim: claim(),
        methods_text: vec!["Prompts were embedded by an invented encoder <with brackets>.".to_owned()],
        warnings: vec!["Task t09 has 3 of 4 videos in latent prompt 2.".to_owned()],
        citations: vec!["How Confident Are Video Models? (S-QUBED), 2025.".to_owned()],
        ..ReportData::default()
    };
    data.tasks = (0..tasks).map(|i| task(&mut rng, i)).collect();
    data.anomalies = (0..3)
        .map(|i| VideoAnomaly {
            task: format!("t{i:02}"),
            prompt: "a small red cube drifts slowly to the left".to_owned(),
            video: format!("videos/t{i:02}/latent_1/gen_video_{i}.mp4"),
            videos: 4,
            surprise: [f64::INFINITY, 412.25, 96.5][i],
            log_density: [f64::NEG_INFINITY, 1850.5, 2101.75][i],
            frame: (i > 0).then(|| picture([200, 60, 60], 9, "first frame of the video")),
        })
        .collect();
    fill_rank_sums(&mut data);
    data
}

/// A correlation of invented strength for each pair; a baseline has no estimate of the prompts.
fn method(rng: &mut ChaCha8Rng, key: &str, unit: &str, n: usize) -> Method {
    let strength = [0.8, 0.82, -0.05, 0.08, -0.58, -0.4, -0.55, -0.3, -0.5];
    let correlations = PAIRS
        .into_iter()
        .zip(strength)
        .filter(|((x, _), _)| unit == "nats" || matches!(x, Quantity::Epistemic))
        .map(|((x, y), strength)| {
            let tau = strength + rng.random_range(-0.1..0.1);
            let half = rng.random_range(0.08..0.25);
            Correlation {
                x,
                y,
                scope: if y == Quantity::Accuracy(0) {
                    String::new()
                } else {
                    "without the confidently wrong".into()
                },
                n,
                tau,
                p: if tau.abs() > 0.3 { 2.3e-7 } else { 0.412 },
                p_method: "exact, two-sided".to_owned(),
                ci_low: (tau - half).max(-1.0),
                ci_high: (tau + half).min(1.0),
                ci_method: "95 % percentile bootstrap over tasks, 2000 resamples".to_owned(),
                undefined: None,
            }
        })
        .collect();
    let option = |name: &str, value: &str, origin, reason: &str| MethodOption {
        name: name.to_owned(),
        value: value.to_owned(),
        origin,
        reason: reason.to_owned(),
    };
    Method {
        key: key.to_owned(),
        about: format!("The {key} of the sample."),
        unit: unit.to_owned(),
        options: vec![
            option(
                "κ estimator",
                "u",
                Origin::Ours,
                "r̄² is biased upwards at small m; the correction removes it",
            ),
            option(
                "projection",
                "none",
                Origin::Ours,
                "no dimension is stated; none changes the entropy least",
            ),
            option("text encoder", "all-MiniLM-L6-v2, 384 dimensions", Origin::Ours, "the paper names none"),
            option("total", "sum (Eq. 3)", Origin::Paper, "as stated"),
        ],
        correlations,
    }
}

fn claim() -> Claim {
    let test = |figure: u8, estimate: &str, x: &str, tau: f64| ClaimTest {
        figure,
        estimate: estimate.to_owned(),
        metric: "I3D cosine".to_owned(),
        x: x.to_owned(),
        y: if figure == 3 { "human ranking" } else { "I3D cosine" }.to_owned(),
        scope: "all tasks".to_owned(),
        n: 24,
        tau,
        ci_low: tau - 0.2,
        ci_high: tau + 0.2,
        p: 0.0123,
        p_method: "exact".to_owned(),
        p_permutation: if figure == 4 { 0.0117 } else { f64::NAN },
        p_less: 0.00615,
        p_holm: 0.0738,
        undefined: None,
    };
    let mut undefined = test(5, "paper", "epistemic", f64::NAN);
    undefined.undefined = Some("all values of one side are the same".to_owned());
    let curve = |label: &str, dashed: bool, slope: f64| Curve {
        label: label.to_owned(),
        dashed,
        points: (5..24)
            .map(|n| CurvePoint {
                x: f64::from(n),
                y: if n == 9 { f64::NAN } else { slope * f64::from(n) / 24.0 - 0.2 },
                marked: !dashed && n > 15,
                label: format!("{n} tasks"),
            })
            .collect(),
    };
    let curves = |title: &str, level: Option<f64>| ClaimCurves {
        curves: Curves {
            name: String::new(),
            title: title.to_owned(),
            subtitle: "default, I3D cosine".to_owned(),
            x: "tasks of lowest epistemic uncertainty".to_owned(),
            y: "Kendall’s τ".to_owned(),
            level,
            lines: vec![
                curve("aleatoric", false, -0.5),
                curve("epistemic", false, -0.3),
                curve("random order", true, 0.1),
            ],
        },
        caption: "Marks where p < 0.05.".to_owned(),
    };
    let scatter = |figure: u8, x: &str, y: &str| ClaimScatter {
        figure,
        scatter: Scatter {
            title: format!("{x} with {y}"),
            subtitle: "τ = −0.64".to_owned(),
            x: x.to_owned(),
            y: y.to_owned(),
            points: (0..9)
                .map(|i| Point {
                    label: format!("t{i:02}"),
                    x: f64::from(i),
                    y: f64::from(i * 5 % 9),
                    marked: false,
                })
                .collect(),
            ..Scatter::default()
        },
    };
    Claim {
        scatters: vec![
            scatter(3, "human ranking", "I3D cosine"),
            scatter(4, "total mi", "I3D cosine"),
            scatter(4, "total mi", "PSNR"),
        ],
        past_the_prompts: vec![ClaimTest {
            scope: "the prompt’s words held fixed".to_owned(),
            p_holm: f64::NAN,
            ..test(0, "default", "total by rank sum", -0.47)
        }],
        accepted: vec!["default: accept tasks up to a total of −1850.2.".to_owned()],
        not_computed: vec![NotRun {
            metric: "risk and coverage, PSNR".to_owned(),
            why: "1 of 24 tasks have an infinite accuracy".to_owned(),
        }],
        tests: vec![
            test(3, "", "I3D cosine", -0.64),
            test(4, "default", "total by rank sum", -0.53),
            test(4, "paper", "total by plain sum", -0.31),
            test(5, "default", "aleatoric", -0.73),
            undefined,
        ],
        subset_rule: "the share 0.25 of the tasks".to_owned(),
        families: "Holm’s correction is over each estimate’s tests.".to_owned(),
        human_ranking: "10 tasks ranked in ranking.csv, 1 the best.".to_owned(),
        curves: vec![curves("τ over the choice of the subset", Some(0.0)), curves("Risk and coverage", None)],
        contributions: vec![Contribution {
            estimate: "default".to_owned(),
            total: "plain sum".to_owned(),
            tau_aleatoric: 0.81,
            tau_epistemic: 0.22,
            share_aleatoric: 0.84,
            share_epistemic: f64::NAN,
        }],
        risk_coverage: vec![RiskCoverage {
            estimate: "default".to_owned(),
            metric: "I3D cosine".to_owned(),
            total: "rank sum".to_owned(),
            area: -0.91,
            optimal: -0.95,
            random: -0.85,
            gain: 0.6,
        }],
        not_run: vec![NotRun {
            metric: "lpips-alex".to_owned(),
            why: "its weights are not there; run `squbed models fetch lpips-alex`".to_owned(),
        }],
    }
}

fn floors() -> Vec<Floor> {
    let bounds = [
        Bound::AtLeast(0.6),
        Bound::AtLeast(0.6),
        Bound::Within(0.3),
        Bound::Within(0.3),
        Bound::AtMost(-0.3),
    ];
    PAIRS
        .into_iter()
        .zip(bounds)
        .zip([0.79, 0.81, -0.04, 0.33, -0.57])
        .map(|(((x, y), bound), value)| Floor {
            method: METHODS[0].to_owned(),
            x,
            y,
            bound,
            value,
            basis: "median of seeds 1 to 5".to_owned(),
            held: value != 0.33,
        })
        .collect()
}

fn run() -> Run {
    let step = |name: &str, seconds, items, unit: &str, reused| Step {
        name: name.to_owned(),
        seconds,
        items,
        unit: unit.to_owned(),
        reused,
    };
    Run {
        made: "2026-01-01T00:00:00Z".to_owned(),
        command: "squbed demo --out demo --tasks 24 --latents 4 --videos 4 --seed 7 --world realm".to_owned(),
        version: "0.1.0".to_owned(),
        machine: "2 × invented CPU, 24 GiB".to_owned(),
        device: "cpu, f32".to_owned(),
        world: "closed world, realm knowledge, seed 7".to_owned(),
        tasks: 24,
        latents: 4,
        videos: 4,
        steps: vec![
            step("refine", 0.21, 96, "latent prompts", 0),
            step("generate", 42.0, 408, "clips", 0),
            step("embed text", 1.4, 120, "sentences", 120),
            step("embed video", 251.0, 408, "clips", 102),
            step("estimate", 0.7, 0, "", 0),
        ],
        facts: vec![("I3D weights, sha256".to_owned(), "0123456789abcdef".repeat(4))],
    }
}

fn seeds(rng: &mut ChaCha8Rng) -> Vec<SeedTable> {
    let columns = PAIRS[..5].to_vec();
    let median = [0.79, 0.81, -0.04, 0.33, -0.57];
    METHODS[..2]
        .iter()
        .map(|method| SeedTable {
            method: (*method).to_owned(),
            // Two below, two above and one at the median.
            rows: (1..=5)
                .map(|seed| {
                    let away = rng.random_range(0.01..0.15) * f64::from((seed as i32 - 3).signum());
                    SeedRow { seed, taus: median.iter().map(|m| m + away).collect() }
                })
                .collect(),
            median: median.to_vec(),
            columns: columns.clone(),
        })
        .collect()
}

fn task(rng: &mut ChaCha8Rng, i: usize) -> TaskReport {
    let (a, e) = (f64::from(i as u32 % 5) * 0.9, f64::from(i as u32 * 7 % 6) * 0.8);
    let wrong = i % 8 == 5;
    let truth = Truth { aleatoric: a, epistemic: if wrong { 0.0 } else { e } };
    let mut noise = |scale: f64| rng.random_range(-scale..scale);
    let estimates = METHODS
        .into_iter()
        .map(|method| {
            let nats = METHODS[..2].contains(&method);
            let aleatoric = if nats { -900.0 + 60.0 * a + noise(60.0) } else { f64::NAN };
            let epistemic = if nats {
                -2100.0 + 90.0 * truth.epistemic + noise(90.0)
            } else {
                0.1 + 0.02 * e + noise(0.02)
            };
            Estimate {
                method: method.to_owned(),
                aleatoric,
                epistemic,
                total_sum: aleatoric + epistemic,
                total_rank_sum: f64::NAN,
                total_z_sum: noise(2.0),
                intervals: (method == METHODS[0]).then(|| {
                    [aleatoric, epistemic, aleatoric + epistemic]
                        .map(|x| Range { low: x - 3.0, high: x + 3.0 })
                }),
            }
        })
        .collect();
    let accuracies = vec![0.95 - 0.03 * e - 0.02 * a + noise(0.03), 24.0 - e + noise(2.0)];
    let colour = [(40 * i % 256) as u8, (90 + 25 * i % 160) as u8, (200 - 8 * i % 200) as u8];
    let latents = (0..4)
        .map(|z| LatentReport {
            prompt: format!(
                "a small red cube drifts slowly to the left across a plain grey floor, take {}",
                z + 1
            ),
            entropies: vec![-2100.0 + noise(90.0), -2095.0 + noise(90.0)],
            flags: if z == 2 && i.is_multiple_of(6) { vec![Flag::Saturated] } else { Vec::new() },
            frames: (0..4)
                .map(|v| picture(colour, z * 4 + v, &format!("first frame of video {}", v + 1)))
                .collect(),
        })
        .collect();
    TaskReport {
        id: format!("t{i:02}"),
        prompt: "a cube drifts across a floor, in the manner of Mirela Ostrander".to_owned(),
        category: Some(["still life", "motion", "crowd"][i % 3].to_owned()),
        truth: Some(truth),
        estimates,
        accuracies,
        flags: if i % 7 == 3 { vec![Flag::Clipped] } else { Vec::new() },
        confidently_wrong: wrong.then(|| "draws every cube of this director as a disc".to_owned()),
        ground_truth: Some(picture(colour, 3, "first frame of the ground truth")),
        latents,
    }
}

/// Ranks of both parts, added; ties do not happen among random numbers.
fn fill_rank_sums(data: &mut ReportData) {
    for at in 0..METHODS.len() {
        let rank = |of: fn(&Estimate) -> f64| -> Vec<f64> {
            let values: Vec<f64> = data.tasks.iter().map(|t| of(&t.estimates[at])).collect();
            values.iter().map(|x| 1.0 + values.iter().filter(|y| *y < x).count() as f64).collect()
        };
        let sums: Vec<f64> =
            rank(|e| e.aleatoric).iter().zip(rank(|e| e.epistemic)).map(|(a, e)| a + e).collect();
        for (task, sum) in data.tasks.iter_mut().zip(sums) {
            task.estimates[at].total_rank_sum = if at < 2 { sum } else { f64::NAN };
        }
    }
}

/// A disc on a plain ground.
fn picture(colour: [u8; 3], place: usize, alt: &str) -> Image {
    use tiny_skia::{Color, FillRule, Paint, PathBuilder, Pixmap, Transform};
    let mut canvas = Pixmap::new(96, 72).expect("a small picture");
    canvas.fill(Color::from_rgba8(214, 211, 204, 255));
    let mut paint = Paint::default();
    paint.set_color_rgba8(colour[0], colour[1], colour[2], 255);
    paint.anti_alias = true;
    let disc = PathBuilder::from_circle(14.0 + 4.0 * place as f32, 36.0, 12.0).expect("a disc");
    canvas.fill_path(&disc, &paint, FillRule::Winding, Transform::identity(), None);
    Image { bytes: canvas.encode_png().expect("a PNG"), alt: alt.to_owned() }
}
