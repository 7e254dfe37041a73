//! `squbed`: how far can a text-to-video model be trusted on a prompt?
//!
//! Data goes to stdout, all else to stderr: progress and notes where that is a terminal, warnings and errors always.
//! Exit codes: 0 success; 1 the user's input, be it that every item of it failed; 2 the program's own fault; 3 finished
//! with results, but items failed or a floor of the demonstration was missed.

mod commands;
mod output;
mod progress;

use std::{panic, process::ExitCode};

use clap::{Args, Parser, Subcommand};
use squbed::Fault;

use commands::{
    aleatoric, bench, calibrate, dataset, demo, devices, embed, estimate, generate, models, plan, probe,
    refine, run, score, sim, stats, vmf,
};

/// Variables that decide where models are and come from, for `--help`.
const ENVIRONMENT: &str = "\
Environment:
  SQUBED_HOME    Where models and test videos are kept; else squbed in the user's cache folder
  SQUBED_MODELS  Folders with manifests of your own, each FOLDER/NAME/model.toml, separated as in PATH;
                 one of a known name replaces that model";

/// Uncertainty of text-to-video models: S-QUBED on Candle.
#[derive(Parser)]
#[command(name = "squbed", version, propagate_version = true, max_term_width = 100, after_help = ENVIRONMENT)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Args, Clone)]
struct Common {
    /// Where encoders run: auto, cpu, cuda, cuda:N or metal.
    #[arg(long, global = true, default_value = "auto")]
    device: String,
    /// Arithmetic of the encoders: auto (f32), f32, or on a GPU f16 or bf16.
    #[arg(long, global = true, default_value = "auto")]
    dtype: String,
    /// Threads of the CPU in use; all where not given.
    #[arg(long, global = true)]
    threads: Option<usize>,
    /// Form of the data on stdout.
    #[arg(long, global = true, value_enum, default_value = "table")]
    format: output::Format,
    /// No progress, no notes and no place of a report on stderr. Progress and notes are shown on a terminal only;
    /// warnings and errors always are.
    #[arg(long, short, global = true)]
    quiet: bool,
}

#[derive(Subcommand)]
enum Command {
    /// The whole method on the closed world, whose truth is known, with a report at the end.
    Demo(demo::Demo),
    /// All steps of one experiment file; finished work is not done again.
    Run(run::Run),
    /// Give each task latent prompts.
    Refine(refine::Refine),
    /// Give each latent prompt videos.
    Generate(generate::Generate),
    /// How ambiguous a prompt is, without any video.
    Aleatoric(aleatoric::Aleatoric),
    /// Embed texts, images or videos.
    #[command(subcommand)]
    Embed(embed::Embed),
    /// Aleatoric, epistemic and total uncertainty of each task.
    Estimate(estimate::Estimate),
    /// Accuracy of each task's videos against its ground truth.
    Score(score::Score),
    /// Rank correlation of uncertainty with accuracy, and with the truth where it is known.
    Calibrate(calibrate::Calibrate),
    /// What a study of so many tasks can show, before it is paid for.
    Plan(plan::Plan),
    /// The HTML report of a results' folder.
    Report(calibrate::Report),
    /// Data sets of tasks: categories, and samples.
    #[command(subcommand)]
    Dataset(dataset::Dataset),
    /// The closed world.
    #[command(subcommand)]
    Sim(sim::Sim),
    /// What a video file holds.
    Probe(probe::Probe),
    /// Encoders: what is known, what is present.
    #[command(subcommand, after_help = ENVIRONMENT)]
    Models(models::Models),
    /// The von Mises–Fisher distribution.
    #[command(subcommand)]
    Vmf(vmf::Vmf),
    /// Rank statistics.
    #[command(subcommand)]
    Stats(stats::Stats),
    /// How fast this machine works.
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Devices that encoders can run on.
    Devices,
}

/// How a command ended that did not fail.
enum Done {
    /// Everything is done.
    Whole,
    /// Finished with results, but items failed or a floor was missed.
    WithFailures,
    /// Every item failed, which is told already; there is no result.
    Nothing,
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { 1 } else { 0 };
            return if error.print().is_ok() { ExitCode::from(code) } else { ExitCode::from(2) };
        }
    };
    #[cfg(unix)]
    survive_file_limits();
    // Only an experiment has keys; everything else is given by flags.
    let by_flags = !matches!(cli.command, Command::Run(_));
    match panic::catch_unwind(|| dispatch(cli)) {
        Ok(Ok(Done::Whole)) => ExitCode::SUCCESS,
        Ok(Ok(Done::WithFailures)) => ExitCode::from(3),
        Ok(Ok(Done::Nothing)) => ExitCode::from(1),
        Ok(Err(error)) if output::is_closed_pipe(&error) => ExitCode::SUCCESS,
        Ok(Err(mut error)) => {
            if let Some(known) = error.downcast_mut::<squbed::Error>().filter(|_| by_flags) {
                known.name_flags();
            }
            ExitCode::from(explain(&error))
        }
        Err(_) => ExitCode::from(2),
    }
}

/// Makes a file that grows past the user's limit (`ulimit -f`) an error of its writer, told like a full disk, and not
/// the silent end of the program.
#[cfg(unix)]
fn survive_file_limits() {
    // Linux and macOS number it alike; the crate has no name for it.
    const SIGXFSZ: std::ffi::c_int = 25;
    // That there is a handler is enough: what it sets is not looked at. Without it the program works as well.
    let _ = signal_hook::flag::register(SIGXFSZ, std::sync::Arc::default());
}

fn dispatch(cli: Cli) -> anyhow::Result<Done> {
    let common = cli.common;
    if (common.device == "cuda" || common.device.starts_with("cuda:"))
        && let Some(program) = squbed::cuda_program::find().map_err(squbed::Error::from)?
    {
        return hand_over(&program);
    }
    if let Some(threads) = common.threads {
        // SAFETY: nothing has started a thread yet.
        unsafe { squbed::tensor::device::set_threads(threads) }.map_err(squbed::Error::from)?;
    }
    match cli.command {
        Command::Demo(c) => c.run(&common),
        Command::Run(c) => c.run(&common),
        Command::Refine(c) => c.run(&common),
        Command::Generate(c) => c.run(&common),
        Command::Aleatoric(c) => c.run(&common),
        Command::Embed(c) => c.run(&common),
        Command::Estimate(c) => c.run(&common),
        Command::Score(c) => c.run(&common),
        Command::Calibrate(c) => c.run(&common),
        Command::Plan(c) => c.run(&common),
        Command::Report(c) => c.run(&common),
        Command::Dataset(c) => c.run(&common),
        Command::Sim(c) => c.run(&common),
        Command::Probe(c) => c.run(&common),
        Command::Models(c) => c.run(&common),
        Command::Vmf(c) => c.run(&common),
        Command::Stats(c) => c.run(&common),
        Command::Bench(c) => c.run(&common),
        Command::Devices => devices::run(&common),
    }
}

/// Lets `squbed-cuda` do the command in this program's place, with the same arguments.
fn hand_over(program: &std::path::Path) -> anyhow::Result<Done> {
    let mut command = std::process::Command::new(program);
    command.args(std::env::args_os().skip(1));
    #[cfg(unix)]
    let error = std::os::unix::process::CommandExt::exec(&mut command);
    #[cfg(not(unix))]
    let error = match command.status() {
        Ok(status) => std::process::exit(status.code().unwrap_or(2)),
        Err(error) => error,
    };
    let why = error.to_string();
    Err(squbed::Error::from(squbed::cuda_program::CudaProgramError::Start {
        program: program.to_owned(),
        why,
    })
    .into())
}

/// Says what failed, why and what to do next; returns the exit code.
fn explain(error: &anyhow::Error) -> u8 {
    let known = error.chain().find_map(|e| e.downcast_ref::<squbed::Error>());
    let fault = known.map(squbed::Error::fault);
    let hint = match fault {
        Some(Fault::Program) => Some(
            "this is a fault of the program, not of your input; please report it with the command line"
                .to_owned(),
        ),
        _ if output::is_of_stdout(error) => Some(
            "standard output goes where the shell sends it (`>`, `|`): see that there is room there and that it may be written to"
                .to_owned(),
        ),
        _ => known.and_then(squbed::Error::hint).or_else(|| squbed::remedy(error.as_ref())),
    };
    output::tell("error", &squbed::core::causes(error.as_ref()), hint.as_deref());
    if fault == Some(Fault::Program) { 2 } else { 1 }
}

#[cfg(test)]
mod tests {
    use squbed::tensor::{DType, Device, Tensor};

    use super::*;

    #[test]
    fn a_tensor_operation_that_fails_is_the_program_s_fault() {
        let flat = Tensor::zeros(3, DType::F32, &Device::Cpu).unwrap();
        let error = squbed::embed::to_rows(&flat).unwrap_err();
        assert_eq!(explain(&anyhow::Error::from(error).context("cannot embed x.npy")), 2);
        let missing = squbed::embed::read_tensor("nowhere.npy".as_ref()).unwrap_err();
        assert_eq!(explain(&missing.into()), 1);
    }
}
