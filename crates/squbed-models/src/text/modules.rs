//! The module files of a sentence-transformers repository: what stands around the network.

use std::{collections::BTreeMap, path::Path};

use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, de::DeserializeOwned};
use squbed_tensor::Linear;

use crate::{
    arch::{Pooling, unit_rows},
    bare::Head,
    error::Error,
    store::{Content, Opened},
    weights::Weights,
};

/// What a repository says besides the network.
pub(super) struct Modules {
    /// Their results stand one behind the other.
    pub(super) pooling: Vec<Pooling>,
    /// What follows, in its order.
    pub(super) steps: Vec<Step>,
    /// Numbers in an embedding.
    pub(super) width: usize,
    /// Tokens in the longest text, if it says.
    pub(super) max_tokens: Option<usize>,
    /// Whether texts are brought to lower case.
    pub(super) lower_case: bool,
    /// What every text begins with.
    pub(super) prompt: Option<String>,
}

/// A step from pooled vectors `[b, d]` to others.
pub(super) enum Step {
    Dense { linear: Linear, activation: DenseActivation },
    Normalize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DenseActivation {
    Identity,
    Tanh,
    Relu,
    Gelu,
}

#[derive(Deserialize)]
struct Module {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    path: String,
}

#[derive(Default, Deserialize)]
struct SentenceConfig {
    max_seq_length: Option<usize>,
    #[serde(default)]
    do_lower_case: bool,
}

#[derive(Default, Deserialize)]
struct Prompts {
    #[serde(default)]
    prompts: BTreeMap<String, String>,
    default_prompt_name: Option<String>,
}

#[derive(Deserialize)]
struct PoolingConfig {
    pooling_mode: Option<Modes>,
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(default)]
    pooling_mode_max_tokens: bool,
    #[serde(default)]
    pooling_mode_mean_tokens: bool,
    #[serde(default)]
    pooling_mode_mean_sqrt_len_tokens: bool,
    #[serde(default)]
    pooling_mode_weightedmean_tokens: bool,
    #[serde(default)]
    pooling_mode_lasttoken: bool,
    include_prompt: Option<bool>,
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum Modes {
    One(String),
    Several(Vec<String>),
}

#[derive(Deserialize)]
struct DenseConfig {
    in_features: usize,
    out_features: usize,
    #[serde(default = "yes")]
    bias: bool,
    activation_function: String,
    #[serde(default)]
    use_residual: bool,
}

fn yes() -> bool {
    true
}

impl Modules {
    /// Reads the files that `modules.json` names, for a network of hidden states of this width.
    pub(super) fn read(model: &Opened<'_>, hidden: usize, device: &Device) -> Result<Self, Error> {
        let file = model.read("modules.json")?;
        let modules: Vec<Module> = json(&file)?;
        let (pooling, steps) = order(&file.path, &modules)?;
        let pooling_file = model.read(&format!("{}/config.json", pooling.path))?;
        let pooling_config: PoolingConfig = json(&pooling_file)?;
        let pooling = pooling_of(&pooling_file.path, &pooling_config)?;
        let sentence: SentenceConfig = optional(model, "sentence_bert_config.json")?;
        let prompts: Prompts = optional(model, "config_sentence_transformers.json")?;
        let prompt = match prompts.default_prompt_name {
            None => None,
            Some(name) => match prompts.prompts.get(&name) {
                Some(prompt) => Some(prompt.clone()),
                None => {
                    let file = model.read("config_sentence_transformers.json")?.path;
                    let expected = "it is one of the `prompts`";
                    return Err(Error::Config { file, field: "default_prompt_name", value: name, expected });
                }
            },
        };
        if prompt.is_some() && pooling_config.include_prompt == Some(false) {
            let (file, value) = (pooling_file.path, "false".to_owned());
            let expected = "prompts that the pooling leaves out are not built";
            return Err(Error::Config { file, field: "include_prompt", value, expected });
        }
        let mut width = hidden * pooling.len();
        let mut read = Vec::new();
        for (kind, path) in steps {
            read.push(match kind {
                Kind::Normalize => Step::Normalize,
                Kind::Dense => dense(model, path, &mut width, device)?,
            });
        }
        Ok(Self {
            pooling,
            steps: read,
            width,
            max_tokens: sentence.max_seq_length,
            lower_case: sentence.do_lower_case,
            prompt,
        })
    }

    /// Hidden states `[b, l, h]` to embeddings `[b, width]` in f32; as [`Head::Features`] without a last normalisation.
    pub(super) fn embed(&self, hidden: &Tensor, mask: Option<&Tensor>, head: Head) -> Result<Tensor, Error> {
        let pooled: Vec<Tensor> =
            self.pooling.iter().map(|pooling| pooling.pool(hidden, mask)).collect::<Result<_, _>>()?;
        let steps = match self.steps.as_slice() {
            [before @ .., Step::Normalize] if head == Head::Features => before,
            all => all,
        };
        steps.iter().try_fold(Tensor::cat(&pooled, 1)?, |x, step| step.forward(&x))
    }
}

impl Step {
    fn forward(&self, x: &Tensor) -> Result<Tensor, Error> {
        match self {
            Self::Normalize => unit_rows(x),
            Self::Dense { linear, activation } => {
                let x = linear.forward(x)?;
                Ok(match activation {
                    DenseActivation::Identity => x,
                    DenseActivation::Tanh => x.tanh()?,
                    DenseActivation::Relu => x.relu()?,
                    DenseActivation::Gelu => x.gelu_erf()?,
                })
            }
        }
    }
}

fn json<T: DeserializeOwned>(content: &Content) -> Result<T, Error> {
    serde_json::from_slice(&content.bytes)
        .map_err(|source| Error::Json { file: content.path.clone(), source })
}

/// A file that a repository may lack; then it says nothing.
fn optional<T: DeserializeOwned + Default>(model: &Opened<'_>, path: &str) -> Result<T, Error> {
    if model.manifest.file(path).is_none() { Ok(T::default()) } else { json(&model.read(path)?) }
}

/// What may follow the pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Dense,
    Normalize,
}

/// The pooling's module, and kind and folder of each that follows.
type Order<'m> = (&'m Module, Vec<(Kind, &'m str)>);

/// Transformer, Pooling, then any of the rest; their full names differ between versions of the library.
fn order<'m>(file: &Path, modules: &'m [Module]) -> Result<Order<'m>, Error> {
    let kinds: Vec<&str> = modules.iter().map(|m| m.kind.rsplit('.').next().unwrap_or(&m.kind)).collect();
    let refuse = |expected| {
        Err(Error::Config { file: file.to_path_buf(), field: "type", value: kinds.join(", "), expected })
    };
    let (["Transformer", "Pooling", after @ ..], [transformer, pooling, rest @ ..]) =
        (kinds.as_slice(), modules)
    else {
        return refuse("built are Transformer, Pooling and, after them, Dense and Normalize");
    };
    if !transformer.path.is_empty() {
        return refuse("the Transformer lies in the repository's own folder");
    }
    let mut steps = Vec::new();
    for (kind, module) in after.iter().zip(rest) {
        steps.push(match *kind {
            "Dense" => (Kind::Dense, module.path.as_str()),
            "Normalize" => (Kind::Normalize, module.path.as_str()),
            _ => return refuse("built are Transformer, Pooling and, after them, Dense and Normalize"),
        });
    }
    Ok((pooling, steps))
}

/// In the order in which the library joins them.
fn pooling_of(file: &Path, config: &PoolingConfig) -> Result<Vec<Pooling>, Error> {
    let names: Vec<String> = match config.pooling_mode.clone() {
        Some(Modes::One(name)) => vec![name],
        Some(Modes::Several(names)) => names,
        // How it was written before version 5 of the library.
        None => [
            ("cls", config.pooling_mode_cls_token),
            ("max", config.pooling_mode_max_tokens),
            ("mean", config.pooling_mode_mean_tokens),
            ("mean_sqrt_len_tokens", config.pooling_mode_mean_sqrt_len_tokens),
            ("weightedmean", config.pooling_mode_weightedmean_tokens),
            ("lasttoken", config.pooling_mode_lasttoken),
        ]
        .into_iter()
        .filter(|(_, on)| *on)
        .map(|(name, _)| name.to_owned())
        .collect(),
    };
    let modes: Option<Vec<Pooling>> = names.iter().map(|name| Pooling::parse(name)).collect();
    modes.filter(|modes| !modes.is_empty()).ok_or_else(|| Error::Config {
        file: file.to_path_buf(),
        field: "pooling_mode",
        value: if names.is_empty() { "none".to_owned() } else { names.join(" and ") },
        expected: "built are cls, max, mean, mean_sqrt_len_tokens, weightedmean and lasttoken",
    })
}

fn dense(model: &Opened<'_>, path: &str, width: &mut usize, device: &Device) -> Result<Step, Error> {
    let file = model.read(&format!("{path}/config.json"))?;
    let config: DenseConfig = json(&file)?;
    let refuse = |field, value: String, expected| {
        Err(Error::Config { file: file.path.clone(), field, value, expected })
    };
    if config.in_features != *width {
        let given = config.in_features.to_string();
        return refuse("in_features", given, "it is the width of what stands before");
    }
    if config.use_residual {
        return refuse("use_residual", "true".to_owned(), "a Dense module with a residual is not built");
    }
    let activation = match config.activation_function.rsplit('.').next() {
        Some("Identity") => DenseActivation::Identity,
        Some("Tanh") => DenseActivation::Tanh,
        Some("ReLU") => DenseActivation::Relu,
        Some("GELU") => DenseActivation::Gelu,
        _ => {
            let given = config.activation_function.clone();
            return refuse("activation_function", given, "built are Identity, Tanh, ReLU and GELU");
        }
    };
    let weights = Weights::new(model.read(&format!("{path}/model.safetensors"))?)?;
    let (from, to) = (config.in_features, config.out_features);
    // In f32 whatever the network's dtype: pooled vectors are.
    let tensor = |name, shape: &[usize]| weights.tensor(name, shape, device, DType::F32);
    let bias = config.bias.then(|| tensor("linear.bias", &[to])).transpose()?;
    let linear = Linear::new(&tensor("linear.weight", &[to, from])?, bias.as_ref())?;
    *width = to;
    Ok(Step::Dense { linear, activation })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modules(kinds: &[&str]) -> Vec<Module> {
        let module = |kind: &&str| Module {
            kind: format!("sentence_transformers.models.{kind}"),
            path: if *kind == "Transformer" { String::new() } else { format!("1_{kind}") },
        };
        kinds.iter().map(module).collect()
    }

    #[test]
    fn the_order_of_modules_decides() {
        let file = Path::new("modules.json");
        let kinds = |names: &[&str]| {
            let modules = modules(names);
            order(file, &modules).map(|(_, steps)| steps.iter().map(|(kind, _)| *kind).collect::<Vec<_>>())
        };
        assert_eq!(kinds(&["Transformer", "Pooling"]).unwrap(), []);
        assert_eq!(
            kinds(&["Transformer", "Pooling", "Dense", "Normalize"]).unwrap(),
            [Kind::Dense, Kind::Normalize]
        );
        let refused = kinds(&["Transformer", "Pooling", "LSTM"]).unwrap_err().to_string();
        assert_eq!(
            refused,
            "modules.json: `type` is Transformer, Pooling, LSTM; built are Transformer, Pooling and, after \
             them, Dense and Normalize"
        );
        assert!(kinds(&["Pooling"]).is_err());
    }

    #[test]
    fn poolings_are_read_as_every_version_writes_them() {
        let file = Path::new("p.json");
        let pooling = |json| pooling_of(file, &serde_json::from_str(json).unwrap());
        assert_eq!(pooling(r#"{"pooling_mode_cls_token": true}"#).unwrap(), [Pooling::Cls]);
        assert_eq!(pooling(r#"{"pooling_mode": "weightedmean"}"#).unwrap(), [Pooling::WeightedMean]);
        assert_eq!(
            pooling(r#"{"pooling_mode_mean_tokens": true, "pooling_mode_max_tokens": true}"#).unwrap(),
            [Pooling::Max, Pooling::Mean]
        );
        assert_eq!(pooling(r#"{"pooling_mode": ["mean", "max"]}"#).unwrap(), [Pooling::Mean, Pooling::Max]);
        assert!(pooling("{}").unwrap_err().to_string().contains("is none"));
        assert!(pooling(r#"{"pooling_mode": "median"}"#).unwrap_err().to_string().contains("is median"));
    }
}
