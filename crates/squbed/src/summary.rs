//! From a results' folder to its report.

use std::{
    collections::BTreeMap,
    io::Cursor,
    path::{Path, PathBuf},
};

use rayon::prelude::*;
use squbed_core::{Sampling, Task, TaskUncertainty};
use squbed_report::{
    AccuracyMetric, Bound, Estimate, Image, LatentReport, Method, MethodOption, Note, Origin, Outcome,
    Quantity, ReportData, Run, SeedRow, SeedTable, Step, TaskReport, Verdict,
};

use crate::{
    accuracy,
    calibrate::{self, Calibration, Correlation, Parts, Truth},
    demo::{Floor, SeedCalibration, median},
    error::Result,
    experiment::{Experiment, TaskSource},
    method::{Preset, Projection},
    run::{self, CalibrationFile, MethodInForce, RunRecord},
};

/// What a demonstration adds to a report.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    /// The floors and what became of them.
    pub floors: &'a [Floor],
    /// Every seed of the demonstration.
    pub seeds: &'a [SeedCalibration],
}

/// Writes `report.html` and `plots/` into `into` from what the results' folder `out` holds. Returns the
/// report's path.
pub fn report(out: &Path, into: &Path, context: Context<'_>) -> Result<PathBuf> {
    let folder = Folder::read(out)?;
    squbed_report::write(&folder.data(context), into)?;
    Ok(into.join("report.html"))
}

/// Everything that a results' folder holds.
struct Folder {
    experiment: Experiment,
    tasks: Vec<Task>,
    truth: BTreeMap<String, Truth>,
    accuracy: BTreeMap<String, f64>,
    uncertainty: BTreeMap<Preset, (MethodInForce, Vec<TaskUncertainty>)>,
    baselines: BTreeMap<String, Vec<Parts>>,
    calibration: CalibrationFile,
    record: RunRecord,
    failures: Vec<squbed_store::Failure>,
}

impl Folder {
    fn read(out: &Path) -> Result<Self> {
        let mut uncertainty = BTreeMap::new();
        for preset in [Preset::Default, Preset::Paper] {
            if let Some(rows) = run::read_uncertainty(out, preset)? {
                let in_force = run::read_json(&out.join(preset.to_string()).join("method.json"))?;
                uncertainty.insert(preset, (in_force, rows));
            }
        }
        Ok(Self {
            experiment: Experiment::read_recorded(out)?,
            tasks: squbed_store::read_tasks(&out.join("tasks.jsonl"))?,
            truth: run::read_truth(out)?.unwrap_or_default(),
            accuracy: accuracy::by_task(&squbed_store::read_accuracy(out)?),
            uncertainty,
            baselines: run::read_parts(&out.join(run::BASELINES))?,
            calibration: run::read_json(&out.join("calibration.json"))?,
            record: run::read_json(&out.join("run.json"))?,
            failures: squbed_store::read_failures(&out.join(run::FAILURES))?,
        })
    }

    fn data(&self, context: Context<'_>) -> ReportData {
        let apart = self.calibration.confidently_wrong;
        let scope = match apart {
            0 => String::new(),
            1 => "without the confidently wrong task".to_owned(),
            k => format!("without the {k} confidently wrong tasks"),
        };
        let methods: Vec<Method> = self
            .uncertainty
            .iter()
            .map(|(preset, (in_force, _))| {
                let calibration = self.calibration.presets.get(preset);
                preset_method(*preset, in_force, &self.calibration.accuracy, calibration, &scope)
            })
            .collect();
        let baselines = self
            .baselines
            .keys()
            .map(|name| Method {
                key: name.clone(),
                about: "1 − the mean cosine over all pairs, of the latent prompts' embeddings and of each latent \
                        prompt's videos; no fit."
                    .to_owned(),
                unit: String::new(),
                options: Vec::new(),
                correlations: correlations(self.calibration.baselines.get(name), &scope),
            })
            .collect();
        ReportData {
            title: self.experiment.title.clone(),
            summary: self.summary(),
            verdict: self.verdict(context.floors),
            floors: report_floors(context),
            run: self.run(),
            accuracies: vec![AccuracyMetric {
                name: self.calibration.accuracy.clone(),
                unit: String::new(),
                about: "Cosine of a generated video's embedding with its ground truth's, averaged over the task's \
                        videos. It is not a CLIP score."
                    .to_owned(),
            }],
            methods,
            baselines,
            seeds: seed_tables(context.seeds),
            notes: self.notes(),
            confidently_wrong: self.confidently_wrong(),
            tasks: self.task_reports(),
            failures: self
                .failures
                .iter()
                .map(|f| squbed_report::Failure {
                    item: f.item.clone(),
                    step: f.step.clone(),
                    error: f.error.clone(),
                })
                .collect(),
            warnings: self.warnings(),
            citations: vec![
                "How Confident Are Video Models? Empowering Video Models to Express Their Uncertainty (S-QUBED)."
                    .to_owned(),
                "Carreira and Zisserman, Quo Vadis, Action Recognition?, CVPR 2017 (I3D).".to_owned(),
                "Reimers and Gurevych, Sentence-BERT, EMNLP 2019.".to_owned(),
            ],
        }
    }

    fn sizes(&self) -> (usize, usize) {
        let n = self.tasks.iter().map(|t| t.latents.len()).max().unwrap_or(0);
        let m = self.tasks.iter().flat_map(|t| &t.latents).map(|z| z.videos.len()).max().unwrap_or(0);
        (n, m)
    }

    fn world(&self) -> String {
        match &self.experiment.tasks {
            TaskSource::File(path) => path.display().to_string(),
            TaskSource::World { kind, .. } => {
                format!("closed world, knowledge by {kind}, seed {}", self.experiment.seed)
            }
        }
    }

    fn summary(&self) -> String {
        let (n, m) = self.sizes();
        format!(
            "{} tasks ({}), {n} latent prompts each, {m} videos a latent prompt. Aleatoric uncertainty is the \
             entropy of a von Mises–Fisher distribution fitted to the latent prompts' embeddings, epistemic \
             uncertainty the mean entropy of those fitted to each latent prompt's videos; entropies are in nats.",
            self.tasks.len(),
            self.world()
        )
    }

    fn run(&self) -> Run {
        let (latents, videos) = self.sizes();
        let encoder = self.uncertainty.values().next().map(|(m, _)| (&m.text_encoder, &m.video_encoder));
        let mut facts = vec![
            ("refiner".to_owned(), self.record.refiner.clone()),
            ("video model".to_owned(), self.record.generator.clone()),
        ];
        if let Some((text, video)) = encoder {
            for (name, e) in [("text encoder", text), ("video encoder", video)] {
                let sampling = if e.sampling.is_empty() { String::new() } else { format!(", frames {}", e.sampling) };
                let digest = e.weights_sha256.get(..12).unwrap_or(&e.weights_sha256);
                let value = format!("{} ({}, {} numbers{sampling}, sha256 {digest}…)", e.name, e.dtype, e.dim);
                facts.push((name.to_owned(), value));
            }
        }
        for step in self.record.steps.iter().filter(|s| s.done > 0 && s.seconds > 0.0) {
            let rate = step.done as f64 / step.seconds;
            facts.push((format!("{}, rate", step.step), format!("{rate:.3} {} a second", step.unit)));
        }
        facts.retain(|(_, value)| !value.is_empty());
        Run {
            made: self.record.made.clone(),
            command: self.record.command.clone(),
            version: self.record.squbed.clone(),
            machine: self.record.machine.clone(),
            device: self.record.device.clone(),
            world: self.world(),
            tasks: self.tasks.len(),
            latents,
            videos,
            steps: self
                .record
                .steps
                .iter()
                .map(|s| Step {
                    name: s.step.clone(),
                    seconds: s.seconds,
                    items: s.done + s.reused,
                    unit: s.unit.clone(),
                    reused: s.reused,
                })
                .collect(),
            facts,
        }
    }

    fn verdict(&self, floors: &[Floor]) -> Verdict {
        let default = self.calibration.presets.get(&Preset::Default);
        let mut evidence = Vec::new();
        if let Some(truth) = default.and_then(|c| c.truth.as_ref()) {
            evidence.push(format!("Estimated with true aleatoric uncertainty: {}.", tau_text(&truth.aleatoric)));
            evidence.push(format!("Estimated with true epistemic uncertainty: {}.", tau_text(&truth.epistemic)));
        }
        if let Some(c) = default.and_then(|c| c.total_accuracy.as_ref()) {
            evidence.push(format!("Rank-sum total with {}: {}.", self.calibration.accuracy, tau_text(c)));
        }
        let missed: Vec<&Floor> = floors.iter().filter(|f| !f.holds).collect();
        let (outcome, headline) = if floors.is_empty() {
            (Outcome::Unclaimed, "No floor was named for this run; these are its figures.".to_owned())
        } else if missed.is_empty() {
            (Outcome::Held, format!("All {} floors held.", floors.len()))
        } else {
            let names: Vec<&str> = missed.iter().map(|f| f.name.as_str()).collect();
            (Outcome::Missed, format!("{} of {} floors missed: {}.", missed.len(), floors.len(), names.join("; ")))
        };
        Verdict { outcome, headline, evidence }
    }

    /// Says, with figures, where an estimate follows its truth and where it does not.
    fn notes(&self) -> Vec<Note> {
        let mut notes = Vec::new();
        for (preset, calibration) in &self.calibration.presets {
            let Some(truth) = &calibration.truth else { continue };
            let mut paragraphs = Vec::new();
            for (what, c, wanted) in [
                ("aleatoric", &truth.aleatoric, true),
                ("epistemic", &truth.epistemic, true),
                ("aleatoric against the true epistemic", &truth.cross_ae, false),
                ("epistemic against the true aleatoric", &truth.cross_ea, false),
            ] {
                let follows = c.ci_low > 0.0;
                let vanishes = c.ci_low <= 0.0 && c.ci_high >= 0.0;
                match (wanted, follows, vanishes) {
                    (true, false, _) => paragraphs.push(format!(
                        "The {what} estimate does not follow its truth here: {}, an interval that reaches 0.",
                        tau_text(c)
                    )),
                    (false, _, false) => paragraphs.push(format!(
                        "The estimate leaks: {what} should vanish and is {}.",
                        tau_text(c)
                    )),
                    _ => {}
                }
            }
            if !paragraphs.is_empty() {
                notes.push(Note { title: format!("Where the {preset} preset misses its truth"), paragraphs });
            }
        }
        notes.extend(self.ablation_note());
        if let Some(c) = self.calibration.presets.get(&Preset::Default) {
            notes.push(Note {
                title: "The plain sum is ranked by the part with the larger range".to_owned(),
                paragraphs: vec![format!(
                    "The paper's total (Eq. 3) adds entropies of two spaces of different dimension. Its ranking \
                     goes with its aleatoric part at τ = {:.2} and with its epistemic part at τ = {:.2}; the \
                     rank-sum total weighs both alike. By the chain rule the sum is h(V, Z | ℓ), the joint \
                     entropy, rather than h(V | ℓ).",
                    c.total_aleatoric.tau, c.total_epistemic.tau
                )],
            });
        }
        if !self.truth.is_empty() {
            notes.push(Note {
                title: "What this world can and cannot show".to_owned(),
                paragraphs: vec![
                    "The closed world is visually easy: a 64-bin colour histogram may do as well as the video \
                     encoder (see the baselines). Nothing here shows that a video encoder is needed."
                        .to_owned(),
                    "Its parameters were fixed before the first estimate was looked at.".to_owned(),
                ],
            });
        }
        notes
    }

    /// The same embeddings with one choice changed at a time.
    fn ablation_note(&self) -> Option<Note> {
        let truth = |c: &Calibration| {
            c.truth.as_ref().map(|t| {
                format!("Â with true A {}, Ê with true E {}", tau_text(&t.aleatoric), tau_text(&t.epistemic))
            })
        };
        let default = truth(self.calibration.presets.get(&Preset::Default)?)?;
        let mut paragraphs = vec![format!("The default preset as it is: {default}.")];
        for (name, calibration) in &self.calibration.variants {
            paragraphs.push(format!("{name}: {}.", truth(calibration)?));
        }
        Some(Note { title: "Which part is at fault: one choice changed at a time".to_owned(), paragraphs })
    }

    fn confidently_wrong(&self) -> Vec<String> {
        let wrong: Vec<&String> =
            self.truth.iter().filter(|(_, t)| t.confidently_wrong).map(|(id, _)| id).collect();
        if wrong.is_empty() {
            return Vec::new();
        }
        let (mut its, mut others) = (Vec::new(), Vec::new());
        for (id, value) in &self.accuracy {
            if wrong.contains(&id) { its.push(*value) } else { others.push(*value) }
        }
        vec![
            format!(
                "On {} task(s) the model always draws the same wrong value. Their epistemic entropy is 0 by \
                 definition, so a method that measures spread must call them certain: low uncertainty with low \
                 accuracy is the honest finding here, and the method's blind spot.",
                wrong.len()
            ),
            format!(
                "Their median accuracy is {:.3}, that of the others {:.3}. They take no part in the correlations.",
                median(&its),
                median(&others)
            ),
        ]
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for (preset, (_, rows)) in &self.uncertainty {
            let left_out: usize = rows.iter().map(|r| r.latents_left_out).sum();
            if left_out > 0 {
                warnings.push(format!(
                    "{preset} preset: {left_out} latent prompt(s) have videos that are all the same (h = −∞); they \
                     are left out of their tasks' means"
                ));
            }
            let groups = || rows.iter().flat_map(|r| r.videos.iter().chain([&r.prompts]));
            for (flag, words) in [
                (squbed_core::Flag::Clipped, "were clipped to κ = 0 by the U correction"),
                (squbed_core::Flag::Saturated, "are as tight as single-precision embeddings resolve"),
            ] {
                let k = groups().filter(|g| g.flags.contains(&flag)).count();
                if k > 0 {
                    warnings.push(format!("{preset} preset: {k} of {} groups {words}", groups().count()));
                }
            }
        }
        warnings
    }

    /// Every method's and baseline's numbers by task.
    fn estimates(&self) -> BTreeMap<String, Vec<Estimate>> {
        let mut by_task: BTreeMap<String, Vec<Estimate>> = BTreeMap::new();
        let presets =
            self.uncertainty.iter().map(|(p, (_, rows))| (p.to_string(), rows.iter().map(Parts::from).collect()));
        let all = presets.chain(self.baselines.iter().map(|(name, parts)| (name.clone(), parts.clone())));
        for (method, parts) in all {
            let parts: Vec<Parts> = parts;
            let (a, e): (Vec<f64>, Vec<f64>) = parts.iter().map(|p| (p.aleatoric, p.epistemic)).unzip();
            let (ranks, zs) = (calibrate::rank_sum(&a, &e), calibrate::zscore_sum(&a, &e));
            for (i, part) in parts.into_iter().enumerate() {
                by_task.entry(part.id).or_default().push(Estimate {
                    method: method.clone(),
                    aleatoric: a[i],
                    epistemic: e[i],
                    total_sum: a[i] + e[i],
                    total_rank_sum: ranks[i],
                    total_z_sum: zs[i],
                });
            }
        }
        by_task
    }

    fn task_reports(&self) -> Vec<TaskReport> {
        let mut estimates = self.estimates();
        let latents: usize = self.tasks.iter().map(|t| t.latents.len()).sum();
        let frames_a_latent = (MOST_THUMBNAILS / latents.max(1)).clamp(0, 3);
        let fits: Vec<BTreeMap<&str, &TaskUncertainty>> = self
            .uncertainty
            .values()
            .map(|(_, rows)| rows.iter().map(|r| (r.id.as_str(), r)).collect())
            .collect();
        let mut reports: Vec<TaskReport> = self
            .tasks
            .par_iter()
            .map(|task| {
                let of_task: Vec<Option<&TaskUncertainty>> =
                    fits.iter().map(|f| f.get(task.id.as_str()).copied()).collect();
                self.task_report(task, &of_task, frames_a_latent)
            })
            .collect();
        for report in &mut reports {
            report.estimates = estimates.remove(&report.id).unwrap_or_default();
        }
        reports
    }

    fn task_report(
        &self,
        task: &Task,
        fits: &[Option<&TaskUncertainty>],
        frames_a_latent: usize,
    ) -> TaskReport {
        let first = fits.first().copied().flatten();
        let truth = self.truth.get(&task.id);
        TaskReport {
            id: task.id.clone(),
            prompt: task.prompt.clone(),
            category: task.category.clone(),
            truth: truth
                .map(|t| squbed_report::Truth { aleatoric: t.aleatoric, epistemic: t.epistemic }),
            estimates: Vec::new(),
            accuracies: vec![self.accuracy.get(&task.id).copied().unwrap_or(f64::NAN)],
            flags: first.map(|f| f.prompts.flags.clone()).unwrap_or_default(),
            confidently_wrong: truth
                .filter(|t| t.confidently_wrong)
                .map(|_| "the model always draws the same wrong value".to_owned()),
            ground_truth: task.ground_truth.as_deref().and_then(|p| thumbnail(p, "first frame of the true video")),
            latents: task
                .latents
                .iter()
                .enumerate()
                .map(|(i, latent)| LatentReport {
                    prompt: latent.prompt.clone(),
                    entropies: fits
                        .iter()
                        .map(|f| f.and_then(|f| f.videos.get(i)).map_or(f64::NAN, |v| v.entropy))
                        .collect(),
                    flags: first
                        .and_then(|f| f.videos.get(i))
                        .map(|v| v.flags.clone())
                        .unwrap_or_default(),
                    frames: latent.videos.iter().take(frames_a_latent).filter_map(|p| thumbnail(p, &latent.prompt)).collect(),
                })
                .collect(),
        }
    }
}

/// First frames in one report.
const MOST_THUMBNAILS: usize = 1500;

/// Pixels of a thumbnail's shorter side.
const THUMBNAIL: usize = 96;

/// The first frame, small. A video that cannot be read has none: its failure is reported elsewhere.
fn thumbnail(path: &Path, alt: &str) -> Option<Image> {
    let mut decoded = squbed_video::decode(path, &[Sampling::Indices(vec![0])], &Default::default()).ok()?;
    let clip = decoded.clips.pop()?;
    let small =
        squbed_frame::resize_shorter_side(clip.frames().first()?, THUMBNAIL, squbed_frame::Filter::Bilinear)
            .ok()?;
    let (width, height) = (small.width() as u32, small.height() as u32);
    let picture = image::RgbImage::from_raw(width, height, small.into_rgb())?;
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, image::ImageFormat::Jpeg).ok()?;
    Some(Image { bytes: bytes.into_inner(), alt: alt.to_owned() })
}

fn tau_text(c: &Correlation) -> String {
    format!("τ = {:.2} [{:.2}, {:.2}], p = {:.2e}, n = {}", c.tau, c.ci_low, c.ci_high, c.p, c.n)
}

fn preset_method(
    preset: Preset,
    in_force: &MethodInForce,
    accuracy: &str,
    calibration: Option<&Calibration>,
    scope: &str,
) -> Method {
    let option = |name: &str, value: String, origin, reason: &str| MethodOption {
        name: name.to_owned(),
        value,
        origin,
        reason: reason.to_owned(),
    };
    let paper = preset == Preset::Paper;
    let basis = match (in_force.options.projection, in_force.components) {
        (Projection::None, _) => "none".to_owned(),
        (Projection::Corpus { centred, .. }, k) => format!(
            "corpus-wide PCA of the prompts, {}, {} components",
            if centred { "centred" } else { "not centred" },
            k.unwrap_or(0)
        ),
    };
    let options = vec![
        option(
            "κ estimator",
            in_force.options.estimator.to_string(),
            if paper { Origin::Paper } else { Origin::Ours },
            if paper {
                "the closed form that the paper cites"
            } else {
                "exact κ of the bias-corrected r̄: the plug-in is biased by up to 27 nats at m = 10"
            },
        ),
        option(
            "projection",
            basis,
            if paper { Origin::Paper } else { Origin::Ours },
            if paper {
                "PCA on the prompt embeddings is the paper's; its basis, centring and width are ours: the paper gives none"
            } else {
                "the instability that the paper avoids by PCA is gone with this arithmetic"
            },
        ),
        option(
            "text encoder",
            in_force.text_encoder.name.clone(),
            Origin::Ours,
            "the paper says sentence embeddings and names no model",
        ),
        option(
            "video encoder",
            in_force.video_encoder.name.clone(),
            Origin::Ours,
            "the paper names S3D; its MIL-NCE weights are not here",
        ),
        option("epistemic", "mean over latent prompts".to_owned(), Origin::Paper, "Eq. 9"),
        option("total", "sum; rank and z-score sums beside it".to_owned(), Origin::Paper, "Eq. 3"),
        option("accuracy", accuracy.to_owned(), Origin::Ours, "the paper's CLIP score needs CLIP weights"),
    ];
    Method {
        key: preset.to_string(),
        about: if paper {
            "The paper to the letter where it is explicit."
        } else {
            "The paper's method with exact κ, the U correction and no projection."
        }
        .to_owned(),
        unit: "nats".to_owned(),
        options,
        correlations: correlations(calibration, scope),
    }
}

/// A calibration's correlations in the report's words.
fn correlations(calibration: Option<&Calibration>, scope: &str) -> Vec<squbed_report::Correlation> {
    let Some(c) = calibration else { return Vec::new() };
    let truth = c.truth.as_ref();
    let accuracy = Quantity::Accuracy(0);
    let named = [
        (Quantity::Aleatoric, Quantity::TrueAleatoric, truth.map(|t| &t.aleatoric)),
        (Quantity::Epistemic, Quantity::TrueEpistemic, truth.map(|t| &t.epistemic)),
        (Quantity::Aleatoric, Quantity::TrueEpistemic, truth.map(|t| &t.cross_ae)),
        (Quantity::Epistemic, Quantity::TrueAleatoric, truth.map(|t| &t.cross_ea)),
        (Quantity::TotalRankSum, accuracy, c.total_accuracy.as_ref()),
        (Quantity::TotalSum, accuracy, c.total_accuracy_sum.as_ref()),
        (Quantity::TotalZSum, accuracy, c.total_accuracy_zscore.as_ref()),
        (Quantity::Aleatoric, accuracy, c.aleatoric_accuracy.as_ref()),
        (Quantity::Epistemic, accuracy, c.epistemic_accuracy.as_ref()),
    ];
    named
        .into_iter()
        .filter_map(|(x, y, c)| {
            c.map(|c| squbed_report::Correlation {
                x,
                y,
                scope: scope.to_owned(),
                n: c.n,
                tau: c.tau,
                p: c.p,
                p_method: format!("{}, two-sided", c.p_method),
                ci_low: c.ci_low,
                ci_high: c.ci_high,
                ci_method: c.ci_method.clone(),
                undefined: c.tau.is_nan().then(|| c.ci_method.clone()),
            })
        })
        .collect()
}

/// The pairs of [`crate::demo::taus`], in its order.
const FLOOR_PAIRS: [(Quantity, Quantity); 6] = [
    (Quantity::Aleatoric, Quantity::TrueAleatoric),
    (Quantity::Epistemic, Quantity::TrueEpistemic),
    (Quantity::Aleatoric, Quantity::TrueEpistemic),
    (Quantity::Epistemic, Quantity::TrueAleatoric),
    (Quantity::TotalRankSum, Quantity::Accuracy(0)),
    (Quantity::TrueAleatoric, Quantity::TrueEpistemic),
];

fn report_floors(context: Context<'_>) -> Vec<squbed_report::Floor> {
    let basis = if context.seeds.len() > 1 {
        let seeds: Vec<String> = context.seeds.iter().map(|s| s.seed.to_string()).collect();
        format!("median of seeds {}", seeds.join(", "))
    } else {
        "this run".to_owned()
    };
    context
        .floors
        .iter()
        .zip(FLOOR_PAIRS)
        .map(|(floor, (x, y))| squbed_report::Floor {
            method: Preset::Default.to_string(),
            x,
            y,
            bound: if floor.most >= 1.0 && floor.least > 0.0 {
                Bound::AtLeast(floor.least)
            } else if floor.least <= -1.0 && floor.most < 0.0 {
                Bound::AtMost(floor.most)
            } else {
                Bound::Within(floor.most)
            },
            value: floor.median,
            basis: basis.clone(),
            held: floor.holds,
        })
        .collect()
}

fn seed_tables(seeds: &[SeedCalibration]) -> Vec<SeedTable> {
    if seeds.len() < 2 {
        return Vec::new();
    }
    [Preset::Default, Preset::Paper]
        .into_iter()
        .filter_map(|preset| {
            let rows: Vec<SeedRow> = seeds
                .iter()
                .filter_map(|s| {
                    let taus = crate::demo::taus(&s.calibration, preset)?;
                    Some(SeedRow { seed: s.seed, taus: taus.iter().map(|(_, tau)| *tau).collect() })
                })
                .collect();
            let columns = FLOOR_PAIRS.to_vec();
            let column = |i: usize| rows.iter().map(|r| r.taus[i]).collect::<Vec<f64>>();
            let median = (0..columns.len()).map(|i| median(&column(i))).collect();
            (!rows.is_empty()).then(|| SeedTable { method: preset.to_string(), columns, rows, median })
        })
        .collect()
}
