//! From a results' folder to its report.

mod tasks;
mod words;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use squbed_core::{Task, TaskUncertainty};
use squbed_report::{AccuracyMetric, Method, Note, Outcome, ReportData, Run, Step, Verdict};
use words::{correlations, preset_method, report_floors, seed_tables, tau_text};

use crate::{
    accuracy,
    calibrate::{Calibration, Parts, Truth},
    demo::{Floor, SeedCalibration, median},
    error::Result,
    experiment::{Experiment, TaskSource},
    method::Preset,
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
    /// Absent where the steps were run one by one.
    experiment: Option<Experiment>,
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
            record: if out.join("run.json").exists() {
                run::read_json(&out.join("run.json"))?
            } else {
                RunRecord::new("")
            },
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
            title: self.experiment.as_ref().map_or_else(|| "Uncertainty of a video model".to_owned(), |e| e.title.clone()),
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
        match self.experiment.as_ref().map(|e| (&e.tasks, e.seed)) {
            Some((TaskSource::World { kind, .. }, seed)) => {
                format!("closed world, knowledge by {kind}, seed {seed}")
            }
            Some((TaskSource::File(path), _)) => path.display().to_string(),
            None => "tasks.jsonl".to_owned(),
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
                let sampling =
                    if e.sampling.is_empty() { String::new() } else { format!(", frames {}", e.sampling) };
                let digest = e.weights_sha256.get(..12).unwrap_or(&e.weights_sha256);
                let value =
                    format!("{} ({}, {} numbers{sampling}, sha256 {digest}…)", e.name, e.dtype, e.dim);
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
            evidence
                .push(format!("Estimated with true aleatoric uncertainty: {}.", tau_text(&truth.aleatoric)));
            evidence
                .push(format!("Estimated with true epistemic uncertainty: {}.", tau_text(&truth.epistemic)));
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
            (
                Outcome::Missed,
                format!("{} of {} floors missed: {}.", missed.len(), floors.len(), names.join("; ")),
            )
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
                    (false, _, false) => paragraphs
                        .push(format!("The estimate leaks: {what} should vanish and is {}.", tau_text(c))),
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
}
