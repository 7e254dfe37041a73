//! What refines and what generates, as a user chooses them: options that fit the choice, and keys.

use crate::error::Error;

/// The environment variable with a key where none is named.
pub const KEY_ENV: &str = "OPENAI_API_KEY";

/// A refiner or a generator that cannot be used as it is described.
#[derive(Debug, thiserror::Error)]
pub enum ChoiceError {
    /// An option that what was chosen does not read.
    #[error("`{option}` is given, and {chosen} does not read it; take it out, or choose another")]
    Superfluous {
        /// The option.
        option: &'static str,
        /// What was chosen, e.g. `the refiner file`.
        chosen: String,
    },
    /// An option that what was chosen needs.
    #[error("{chosen} needs `{option}`: {what}")]
    Needs {
        /// The option.
        option: &'static str,
        /// What was chosen, e.g. `the refiner file`.
        chosen: String,
        /// What the option is.
        what: &'static str,
    },
    /// What should name an environment variable. It is not shown: it may be the key.
    #[error(
        "`key_env` is no name of an environment variable; it is not the key, but the name of the variable that holds it"
    )]
    KeyVariable,
    /// A named variable that is not set.
    #[error("the environment variable {variable}, which `key_env` names, is not set")]
    NoKey {
        /// The variable.
        variable: String,
    },
    /// A refiner that cannot be made ready.
    #[error("the refiner cannot be used")]
    Refiner {
        /// Why.
        source: squbed_core::BoxError,
    },
    /// A generator that cannot be made ready.
    #[error("the generator cannot be used")]
    Generator {
        /// Why.
        source: squbed_core::BoxError,
    },
}

/// An option of a refiner or a generator: its name, whether it is given, and whether what was chosen reads it.
pub(crate) type Given = (&'static str, bool, bool);

/// Refuses the first option that is given and that what was chosen, such as `the refiner file`, does not read.
pub(crate) fn refuse_superfluous(chosen: &str, options: &[Given]) -> Result<(), ChoiceError> {
    match options.iter().find(|(_, given, read)| *given && !read) {
        Some(&(option, ..)) => Err(ChoiceError::Superfluous { option, chosen: chosen.to_owned() }),
        None => Ok(()),
    }
}

/// Refuses what cannot be the name of an environment variable: it may be the key itself, and would be written down.
pub(crate) fn check_key_env(name: Option<&str>) -> Result<(), ChoiceError> {
    let plain = |name: &str| {
        name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && name.bytes().next().is_some_and(|b| !b.is_ascii_digit())
    };
    if name.is_none_or(plain) { Ok(()) } else { Err(ChoiceError::KeyVariable) }
}

/// The key: none where its variable is not named and not set.
pub(crate) fn key(name: Option<&str>) -> Result<Option<String>, ChoiceError> {
    check_key_env(name)?;
    match (std::env::var(name.unwrap_or(KEY_ENV)), name) {
        (Ok(key), _) => Ok(Some(key)),
        (Err(_), Some(name)) => Err(ChoiceError::NoKey { variable: name.to_owned() }),
        (Err(_), None) => Ok(None),
    }
}

/// What a refiner or a generator needs and was not given.
pub(crate) fn missing(option: &'static str, chosen: String, what: &'static str) -> Error {
    ChoiceError::Needs { option, chosen, what }.into()
}
