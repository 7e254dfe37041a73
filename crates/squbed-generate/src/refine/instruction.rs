//! What a language model is told.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use squbed_models::llm::Message;

const OWN: &str = include_str!("instruction.toml");

/// The text that asks for refinements, with examples. Its version stands with every result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instruction {
    /// Its name, e.g. `refine/1`.
    pub version: String,
    /// What stands above the conversation.
    pub system: String,
    /// Turns that show what is wanted.
    #[serde(default)]
    pub examples: Vec<Example>,
}

/// A prompt and a refinement of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// The prompt.
    pub prompt: String,
    /// Its refinement.
    pub refined: String,
}

/// An instruction that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InstructionError {
    /// The file cannot be read.
    #[error("cannot read the instruction {path}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is no instruction.
    #[error("{path} is no instruction: it has `version`, `system` and any number of `[[examples]]`", path = path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: toml::de::Error,
    },
    /// A changed text under a name that is taken.
    #[error("{path} has other words under the name `{version}`; give it a version of its own", path = path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The name.
        version: String,
    },
}

impl Instruction {
    /// The program's own, `refine/1`.
    ///
    /// # Panics
    ///
    /// Never: the text is a part of the program, and a test reads it.
    pub fn own() -> Self {
        toml::from_str(OWN).expect("instruction.toml is read by a test")
    }

    /// One of the user's, from a TOML file like the program's own.
    ///
    /// # Errors
    ///
    /// A file that is no instruction, or that takes the name of the program's own.
    pub fn read(path: &Path) -> Result<Self, InstructionError> {
        let path = path.to_owned();
        let bytes = squbed_files::read(&path)
            .map_err(|source| InstructionError::Io { path: path.clone(), source })?;
        let text = String::from_utf8_lossy(&bytes);
        let read: Self =
            toml::from_str(&text).map_err(|source| InstructionError::Toml { path: path.clone(), source })?;
        let own = Self::own();
        if read.version == own.version && read != own {
            return Err(InstructionError::Version { path, version: read.version });
        }
        Ok(read)
    }

    /// The conversation that asks for a refinement of a prompt.
    pub fn messages(&self, prompt: &str) -> Vec<Message> {
        let mut messages = vec![Message::system(self.system.trim())];
        for example in &self.examples {
            messages.push(Message::user(&example.prompt));
            messages.push(Message::assistant(&example.refined));
        }
        messages.push(Message::user(prompt));
        messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_instruction_is_read_and_asks_last() {
        let own = Instruction::own();
        assert_eq!(own.version, "refine/1");
        let messages = own.messages("a cat");
        assert_eq!(messages.len(), 2 + 2 * own.examples.len());
        assert_eq!(messages.last(), Some(&Message::user("a cat")));
    }

    #[test]
    fn a_changed_text_needs_a_name_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("i.toml");
        std::fs::write(&path, OWN.replace("short", "long")).unwrap();
        assert!(matches!(Instruction::read(&path), Err(InstructionError::Version { .. })));
        std::fs::write(&path, "version = \"mine/1\"\nsystem = \"Say more.\"").unwrap();
        assert_eq!(Instruction::read(&path).unwrap().messages("x").len(), 2);
        std::fs::write(&path, "system = 1").unwrap();
        assert!(matches!(Instruction::read(&path), Err(InstructionError::Toml { .. })));
    }
}
