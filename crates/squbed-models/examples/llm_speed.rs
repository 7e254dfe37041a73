//! Tokens a second of a language model in a GGUF file: reading a prompt, and answering it once and ten times at once.
//!
//! `cargo run --release -p squbed-models --example llm_speed -- MODEL.gguf [f32|quantised] [TOKENS]`

#![expect(clippy::print_stdout, reason = "figures are for people to read")]

use std::{error::Error, path::PathBuf, time::Instant};

use candle_core::Device;
use squbed_models::llm::{AnswerOptions, LanguageModel, Message, TokenSampling, WeightForm};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = PathBuf::from(arguments.next().ok_or("name a GGUF file")?);
    let form = match arguments.next().as_deref() {
        None => None,
        Some("f32") => Some(WeightForm::F32),
        Some("quantised") => Some(WeightForm::Quantised),
        Some(other) => return Err(format!("`{other}` is neither f32 nor quantised").into()),
    };
    let tokens: usize = arguments.next().map_or(Ok(64), |n| n.parse())?;
    let begin = Instant::now();
    let model = LanguageModel::open(&file, &Device::Cpu, form)?;
    println!("opened in {:.2} s, weights {}", begin.elapsed().as_secs_f64(), model.weight_form());
    let prompt = "Write a long story about a cat that walks through a town at night. ".repeat(12);
    let conversation = vec![Message::user(prompt)];
    let read = model.token_ids(&model.prompt(&conversation)?)?.len();
    for round in 0..3 {
        let begin = Instant::now();
        model.next_token(std::slice::from_ref(&conversation))?;
        let prompt = begin.elapsed().as_secs_f64();
        print!("round {round}: prompt {:.1} tokens/s", read as f64 / prompt);
        for n in [1, 10] {
            let options =
                AnswerOptions { n, max_tokens: tokens, sampling: TokenSampling::default(), seed: round };
            let begin = Instant::now();
            let made: usize = model.answer(&conversation, &options)?.iter().map(|a| a.tokens.len()).sum();
            print!(
                "; {n} answers {:.1} tokens/s",
                made as f64 / (begin.elapsed().as_secs_f64() - prompt).max(1e-9)
            );
        }
        println!();
    }
    Ok(())
}
