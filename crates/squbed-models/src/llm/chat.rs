//! Conversations, and the template that makes them a prompt.

use minijinja::{Environment, Error, ErrorKind, Value, context, syntax::SyntaxConfig};
use serde::{Deserialize, Serialize};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The instruction that stands above the conversation.
    System,
    /// Who asks.
    User,
    /// The model.
    Assistant,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
}

impl Message {
    /// The instruction above a conversation.
    pub fn system(content: impl Into<String>) -> Self {
        Self { role: Role::System, content: content.into() }
    }

    /// A question.
    pub fn user(content: impl Into<String>) -> Self {
        Self { role: Role::User, content: content.into() }
    }

    /// An answer.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self { role: Role::Assistant, content: content.into() }
    }
}

/// A model's own template, in Jinja as Hugging Face's libraries render it.
pub(super) struct ChatTemplate(Environment<'static>);

const NAME: &str = "chat";

impl ChatTemplate {
    pub(super) fn new(source: &str) -> Result<Self, Error> {
        let mut environment = Environment::new();
        // As transformers sets its own.
        environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |message: String| -> Result<String, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        });
        environment.add_template_owned(NAME, source.to_owned())?;
        Ok(Self(environment))
    }

    /// The prompt of a conversation, up to where the model's answer begins. A model that can think aloud is told not to.
    pub(super) fn render(&self, messages: &[Message], bos: &str, eos: &str) -> Result<String, Error> {
        let turn = |m: &Message| Value::from_pairs([("role", m.role.name()), ("content", &m.content)]);
        let messages: Vec<Value> = messages.iter().map(turn).collect();
        self.0.get_template(NAME)?.render(context! {
            messages,
            bos_token => bos,
            eos_token => eos,
            add_generation_prompt => true,
            enable_thinking => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_written_for_python_work() {
        let source = "{%- if messages[0].role == 'system' %}\n  S:{{ messages[0].content.strip() }}\n{%- endif %}\n\
                      {%- for m in messages[1:] %}[{{ m.role.upper() }}]{{ m.content.split('|')[-1] }}{% endfor %}\
                      {%- if add_generation_prompt %}{{ bos_token }}{% endif %}";
        let messages = [Message::system(" x "), Message::user("a|b")];
        let prompt = ChatTemplate::new(source).unwrap().render(&messages, "<s>", "</s>").unwrap();
        assert_eq!(prompt, "  S:x[USER]b<s>");
    }

    #[test]
    fn a_template_that_refuses_says_why() {
        let template = ChatTemplate::new("{{ raise_exception('roles must alternate') }}").unwrap();
        let error = template.render(&[Message::user("a")], "", "").unwrap_err().to_string();
        assert!(error.contains("roles must alternate"), "{error}");
        assert!(ChatTemplate::new("{% for %}").is_err());
    }
}
