//! Values that errors speak of, by the names under which a user gave them.

use crate::{choice::ChoiceError, error::Error};

impl Error {
    /// Names the flag that a value was given by in the place of an experiment's key.
    pub fn name_flags(&mut self) {
        let name = match self {
            Self::Option { name, .. } | Self::TooSmall { name, .. } | Self::OutOfRange { name, .. } => name,
            Self::World(squbed_sim::Error::Spec { parameter, .. }) => parameter,
            Self::Choice(ChoiceError::Superfluous { option, .. } | ChoiceError::Needs { option, .. }) => {
                option
            }
            _ => return,
        };
        *name = match *name {
            "tasks.world.tasks" | "tasks" => "--tasks",
            "refine.latents" | "latents" => "--latents",
            "generate.videos" | "videos" => "--videos",
            "embed.batch" | "batch" => "--batch",
            "file" => "--latents",
            "key_env" => "--key-env",
            "top_p" => "--top-p",
            "min_p" => "--min-p",
            "repetition_penalty" => "--repetition-penalty",
            "max_tokens" => "--max-tokens",
            "similarity_model" => "--similarity-model",
            "token_cap" => "--token-cap",
            "price_per_hour" => "--price-per-hour",
            "video_model" => "--video-model",
            "llm" => "--llm",
            "server" => "--server",
            "concurrency" => "--concurrency",
            "parallel" => "--parallel",
            "timeout" => "--timeout",
            "instruction" => "--instruction",
            "temperature" => "--temperature",
            "redraws" => "--redraws",
            "negative" => "--negative",
            "frames" => "--frames",
            "fps" => "--fps",
            "retries" => "--retries",
            "size" => "--size",
            "seconds" => "--seconds",
            "command" => "--command",
            "from" => "--from",
            "confidently_wrong" => "--confidently-wrong",
            "bootstrap" => "--bootstrap",
            "tests" => "--tests",
            "projection" => "--projection",
            other => other,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_is_named_where_a_flag_was_given() {
        let told = |mut error: Error| {
            error.name_flags();
            error.to_string()
        };
        let small = || Error::TooSmall { name: "refine.latents", value: 1, least: 2 };
        assert_eq!(small().to_string(), "refine.latents is 1; it must be at least 2");
        assert_eq!(told(small()), "--latents is 1; it must be at least 2");
        let world =
            squbed_sim::Error::Spec { parameter: "tasks", value: "0".to_owned(), allowed: "at least 1" };
        assert_eq!(told(world.into()), "--tasks = 0 is out of range; it must be at least 1");
        let superfluous = ChoiceError::Superfluous { option: "file", chosen: "the refiner llm".to_owned() };
        assert!(told(superfluous.into()).starts_with("`--latents` is given, and the refiner llm"));
        assert_eq!(told(Error::NoPreset), Error::NoPreset.to_string());
    }
}
