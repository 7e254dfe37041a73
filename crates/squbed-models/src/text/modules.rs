//! The module files of a sentence-transformers repository.

use std::path::Path;

use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    error::Error,
    store::{Content, Opened},
};

/// How hidden states become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pooling {
    /// Mean over the tokens.
    Mean,
    /// The first token.
    Cls,
}

/// What follows the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Modules {
    pub(super) pooling: Pooling,
    pub(super) normalize: bool,
    pub(super) max_tokens: usize,
}

#[derive(Deserialize)]
struct Module {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct SentenceConfig {
    max_seq_length: usize,
}

#[derive(Deserialize)]
struct PoolingConfig {
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(default)]
    pooling_mode_mean_tokens: bool,
    #[serde(default)]
    pooling_mode_max_tokens: bool,
    #[serde(default)]
    pooling_mode_mean_sqrt_len_tokens: bool,
}

impl Modules {
    pub(super) fn read(model: &Opened<'_>) -> Result<Self, Error> {
        let modules = model.read("modules.json")?;
        let normalize = normalizes(&modules.path, &json::<Vec<Module>>(&modules)?)?;
        let pooling = model.read("1_Pooling/config.json")?;
        let sentence = model.read("sentence_bert_config.json")?;
        Ok(Self {
            pooling: pooling_of(&pooling.path, &json(&pooling)?)?,
            normalize,
            max_tokens: json::<SentenceConfig>(&sentence)?.max_seq_length,
        })
    }
}

fn json<T: DeserializeOwned>(content: &Content) -> Result<T, Error> {
    serde_json::from_slice(&content.bytes)
        .map_err(|source| Error::Json { file: content.path.clone(), source })
}

/// Transformer, Pooling, and at times Normalize; their full names differ between versions of the library.
fn normalizes(file: &Path, modules: &[Module]) -> Result<bool, Error> {
    let kinds: Vec<&str> = modules.iter().map(|m| m.kind.rsplit('.').next().unwrap_or(&m.kind)).collect();
    match kinds.as_slice() {
        ["Transformer", "Pooling"] => Ok(false),
        ["Transformer", "Pooling", "Normalize"] => Ok(true),
        _ => Err(Error::Config {
            file: file.to_path_buf(),
            field: "type",
            value: kinds.join(", "),
            expected: "built are Transformer, Pooling and, after them, Normalize",
        }),
    }
}

fn pooling_of(file: &Path, config: &PoolingConfig) -> Result<Pooling, Error> {
    let modes = [
        ("cls", config.pooling_mode_cls_token),
        ("mean", config.pooling_mode_mean_tokens),
        ("max", config.pooling_mode_max_tokens),
        ("mean_sqrt_len", config.pooling_mode_mean_sqrt_len_tokens),
    ];
    let on: Vec<&str> = modes.iter().filter(|(_, on)| *on).map(|(name, _)| *name).collect();
    match on.as_slice() {
        ["mean"] => Ok(Pooling::Mean),
        ["cls"] => Ok(Pooling::Cls),
        _ => Err(Error::Config {
            file: file.to_path_buf(),
            field: "pooling_mode",
            value: if on.is_empty() { "none".to_owned() } else { on.join(" and ") },
            expected: "built are mean and cls, one at a time",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modules(kinds: &[&str]) -> Vec<Module> {
        kinds.iter().map(|k| Module { kind: format!("sentence_transformers.models.{k}") }).collect()
    }

    #[test]
    fn the_order_of_modules_decides() {
        let file = Path::new("modules.json");
        assert!(!normalizes(file, &modules(&["Transformer", "Pooling"])).unwrap());
        assert!(normalizes(file, &modules(&["Transformer", "Pooling", "Normalize"])).unwrap());
        assert_eq!(
            normalizes(file, &modules(&["Transformer", "Pooling", "Dense"])).unwrap_err().to_string(),
            "modules.json: `type` is Transformer, Pooling, Dense; built are Transformer, Pooling and, after them, Normalize"
        );
    }

    #[test]
    fn one_pooling_at_a_time() {
        let file = Path::new("p.json");
        let pooling = |json| pooling_of(file, &serde_json::from_str(json).unwrap());
        assert_eq!(pooling(r#"{"pooling_mode_cls_token": true}"#).unwrap(), Pooling::Cls);
        assert_eq!(pooling(r#"{"pooling_mode_mean_tokens": true}"#).unwrap(), Pooling::Mean);
        assert!(pooling("{}").unwrap_err().to_string().contains("is none"));
        let both = pooling(r#"{"pooling_mode_mean_tokens": true, "pooling_mode_max_tokens": true}"#);
        assert!(both.unwrap_err().to_string().contains("is mean and max"));
    }
}
