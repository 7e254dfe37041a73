//! A world: its tasks, their truths, and the record of every parameter.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use squbed_core::Task;

use crate::{
    design,
    error::Error,
    grammar::{self, FRAMES, GRAMMAR, SYNONYMS},
    knowledge::{self, CONFIDENTLY_WRONG, Knowledge, MISTAKEN, director_knowledge, value_knowledge},
    model::WorldModel,
    refiner::GrammarRefiner,
    render::{self, NUISANCE},
    rng::{Rng, draw_seed},
    scene::{Attribute, Description, Director},
};

/// What makes one world out of many.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorldSpec {
    /// What knowledge is a property of.
    pub kind: Knowledge,
    /// Number of tasks N, at least 1; from 12 on the two truths are uncorrelated, |τ_b| ≤ .05.
    pub tasks: usize,
    /// Latent prompts of a task, n ≥ 2.
    pub latents: usize,
    /// Videos of a latent prompt, m ≥ 2.
    pub videos: usize,
    /// Everything random follows from it.
    pub seed: u64,
    /// Share of the tasks on which the model is confidently wrong, in [0, 1], rounded to whole tasks.
    pub confidently_wrong: f64,
}

impl Default for WorldSpec {
    /// The world of the demo: 24 tasks by realm at 4 × 4, two of them confidently wrong.
    fn default() -> Self {
        Self {
            kind: Knowledge::Realm,
            tasks: 24,
            latents: 4,
            videos: 4,
            seed: 1,
            confidently_wrong: 1.0 / 12.0,
        }
    }
}

/// The true uncertainty of a task, in nats.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// The task.
    pub id: String,
    /// Entropy of what the prompt leaves open.
    pub aleatoric: f64,
    /// Entropy of what the model shows for a refinement, in the mean over refinements.
    pub epistemic: f64,
    /// Whether the model is wrong here and sure of it. Such tasks are to be reported apart.
    pub confidently_wrong: bool,
    /// The open attributes.
    pub open: Vec<String>,
    /// The director in the prompt.
    pub realm: Option<String>,
    /// The director's k.
    pub knowledge: Option<f64>,
}

/// A closed world.
#[derive(Clone, Debug)]
pub struct World {
    spec: WorldSpec,
    tasks: Vec<(Task, Truth)>,
}

impl World {
    /// The world of a specification.
    pub fn new(spec: WorldSpec) -> Result<Self, Error> {
        let at_least = |parameter, value: usize, least, allowed| match value >= least {
            true => Ok(()),
            false => Err(Error::Spec { parameter, value: value.to_string(), allowed }),
        };
        at_least("tasks", spec.tasks, 1, "at least 1")?;
        at_least("latents", spec.latents, 2, "at least 2, as a spread needs two")?;
        at_least("videos", spec.videos, 2, "at least 2, as a spread needs two")?;
        if !(0.0..=1.0).contains(&spec.confidently_wrong) {
            let value = spec.confidently_wrong.to_string();
            return Err(Error::Spec {
                parameter: "confidently_wrong",
                value,
                allowed: "a share from 0 to 1",
            });
        }
        let tasks = tasks(&spec);
        Ok(Self { spec, tasks })
    }

    /// What the world was made from.
    pub fn spec(&self) -> &WorldSpec {
        &self.spec
    }

    /// The tasks, without latent prompts yet, and their truths. Paths are relative to the world's
    /// folder.
    pub fn tasks(&self) -> &[(Task, Truth)] {
        &self.tasks
    }

    /// The refiner p(Z | ℓ).
    pub fn refiner(&self) -> GrammarRefiner {
        GrammarRefiner
    }

    /// The video model p(V | z).
    pub fn generator(&self) -> WorldModel {
        WorldModel::new(self.spec.kind)
    }

    /// Everything that decides what the files of this world hold, as `world.json` keeps it.
    pub fn record(&self) -> Value {
        let per_attribute = |of: &dyn Fn(Attribute) -> Value| {
            Value::Object(Attribute::ALL.into_iter().map(|a| (a.name().to_owned(), of(a))).collect())
        };
        let directors = Director::all().map(|d| json!({ "name": d.name(), "k": director_knowledge(d) }));
        json!({
            "version": self.spec.kind.version(),
            "spec": self.spec,
            "attributes": per_attribute(&|a| json!(a.values())),
            "directors": directors.collect::<Vec<_>>(),
            "confidently_wrong": {
                "director": CONFIDENTLY_WRONG.name(),
                "next_value_of": MISTAKEN,
            },
            "k_of_values": match self.spec.kind {
                Knowledge::Realm => Value::Null,
                Knowledge::Value => per_attribute(&|a| {
                    (0..a.count()).map(|value| value_knowledge(a, value)).collect()
                }),
            },
            "grammar": {
                "version": GRAMMAR,
                "frames": FRAMES,
                "synonyms": SYNONYMS.map(|(slot, ways)| json!({ "slot": slot, "ways": ways })),
            },
            "video": {
                "width": render::SIDE,
                "height": render::SIDE,
                "frames": render::FRAMES,
                "fps": render::FPS,
                "radii": render::RADII.map(|radius| f64::from((radius * 1000.0).round()) / 1000.0),
                "colours": render::COLOURS,
                "tints": render::TINTS,
                "nuisance": NUISANCE,
            },
        })
    }
}

/// Where a task's true video lies, relative to the world's folder.
pub fn ground_truth_path(task: &str) -> PathBuf {
    PathBuf::from(format!("videos/{task}/ground_truth.mp4"))
}

/// Where sample `sample` of latent prompt `latent` lies, relative to the world's folder.
pub fn video_path(task: &str, latent: usize, sample: usize) -> PathBuf {
    PathBuf::from(format!("videos/{task}/latent_{latent}/video_{sample}.mp4"))
}

fn tasks(spec: &WorldSpec) -> Vec<(Task, Truth)> {
    let wrong = (spec.confidently_wrong * spec.tasks as f64).round() as usize;
    let descriptions = design::arrange(spec.kind, spec.tasks, wrong, spec.seed);
    let with_id = |(index, description): (usize, &Description)| {
        let id = format!("task-{index:04}");
        let mut wording = Rng::of(draw_seed(spec.seed, index), "wording of the prompt");
        let task = Task {
            prompt: grammar::render(description, &mut wording),
            dataset: Some(format!("closed-world {}", spec.kind.version())),
            category: Some(description.words(Attribute::Shape).unwrap_or("object").to_owned()),
            ground_truth: Some(ground_truth_path(&id)),
            latents: Vec::new(),
            id,
        };
        let truth = truth(&task.id, description);
        (task, truth)
    };
    descriptions.iter().enumerate().map(with_id).collect()
}

/// The truth about a prompt.
fn truth(id: &str, description: &Description) -> Truth {
    Truth {
        id: id.to_owned(),
        aleatoric: description.aleatoric(),
        epistemic: knowledge::epistemic(description),
        confidently_wrong: description.director == Some(CONFIDENTLY_WRONG),
        open: description.open().map(|attribute| attribute.name().to_owned()).collect(),
        realm: description.director.map(|director| director.name().to_owned()),
        knowledge: description.director.and_then(director_knowledge),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use squbed_core::{PromptRefiner, RefineRequest};

    use super::*;

    fn world(kind: Knowledge, tasks: usize, seed: u64) -> World {
        World::new(WorldSpec { kind, tasks, seed, ..Default::default() }).unwrap()
    }

    #[test]
    fn parameters_out_of_range_are_refused_by_name() {
        let default = WorldSpec::default;
        for (spec, parameter) in [
            (WorldSpec { tasks: 0, ..default() }, "tasks = 0"),
            (WorldSpec { latents: 1, ..default() }, "latents = 1"),
            (WorldSpec { videos: 0, ..default() }, "videos = 0"),
            (WorldSpec { confidently_wrong: 1.5, ..default() }, "confidently_wrong = 1.5"),
            (WorldSpec { confidently_wrong: f64::NAN, ..default() }, "confidently_wrong = NaN"),
        ] {
            let message = World::new(spec).unwrap_err().to_string();
            assert!(message.starts_with(parameter), "{message}");
        }
    }

    #[test]
    fn a_prompt_says_what_its_truth_is_about() {
        for kind in [Knowledge::Realm, Knowledge::Value] {
            let world = world(kind, 40, 2);
            let model = world.generator();
            assert_eq!(world.tasks().iter().filter(|(_, truth)| truth.confidently_wrong).count(), 3);
            for (task, truth_of_task) in world.tasks() {
                task.check().unwrap();
                assert_eq!(truth(&task.id, &model.read(&task.prompt).unwrap()), *truth_of_task);
            }
        }
    }

    #[test]
    fn the_seed_decides_everything() {
        let text = |seed| format!("{:?}", world(Knowledge::Value, 30, seed).tasks());
        assert_eq!(text(1), text(1));
        assert_ne!(text(1), text(2));
    }

    /// The truths against brute force: entropy of the refiner's scenes, and the mean over refinements
    /// of the entropy that the model has for each.
    #[test]
    fn truths_are_those_of_what_refiner_and_model_do() {
        for kind in [Knowledge::Realm, Knowledge::Value] {
            let world = world(kind, 12, 1);
            let model = world.generator();
            for (task, truth) in world.tasks() {
                let request = RefineRequest { prompt: &task.prompt, n: 4000, seed: 9 };
                let latents = world.refiner().refine(&request).unwrap();
                let mut epistemic = 0.0;
                let mut counts: BTreeMap<(Attribute, usize), f64> = BTreeMap::new();
                for latent in &latents {
                    let description = model.read(latent).unwrap();
                    assert_eq!(description.aleatoric(), 0.0);
                    epistemic += knowledge::epistemic(&description) / latents.len() as f64;
                    for attribute in Attribute::ALL {
                        *counts.entry((attribute, description.value(attribute).unwrap())).or_default() += 1.0;
                    }
                }
                let n = latents.len() as f64;
                let aleatoric: f64 = counts.values().map(|count| -count / n * (count / n).ln()).sum();
                assert!((aleatoric - truth.aleatoric).abs() < 0.02, "{aleatoric} {truth:?}");
                assert!((epistemic - truth.epistemic).abs() < 0.15, "{epistemic} {truth:?}");
            }
        }
    }

    #[test]
    fn the_record_names_every_parameter_of_the_specification() {
        let record = world(Knowledge::Value, 12, 1).record();
        assert_eq!(record["version"], "value/1");
        assert_eq!(record["spec"]["tasks"], 12);
        assert_eq!(record["k_of_values"]["shape"].as_array().map(Vec::len), Some(6));
        assert_eq!(world(Knowledge::Value, 12, 1).record(), record);
        assert_ne!(world(Knowledge::Value, 12, 2).record(), record);
    }
}
