//! `squbed-gpu-check`: every golden on a device, in f32, f16 and bf16, beside its reference.
//!
//! Needs no cargo, no FFmpeg and no network where it runs: the goldens' folder and the program are all.
//! Exit codes: 0 all within their tolerances, 1 a miss or a failure, 2 options that cannot be.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line program")]

use std::{fs, path::PathBuf, process::ExitCode};

use candle_core::DType;
use clap::Parser;
use serde_json::json;
use squbed_tensor::device::{describe, gpu, select_device, select_dtype};
use squbed_tests::parity::{Row, Sources, items, refused, run};

/// Compares encoders, metrics and fits on a device with their references.
#[derive(Parser)]
#[command(name = "squbed-gpu-check", version)]
struct Options {
    /// cpu, cuda, cuda:N or metal.
    #[arg(long, default_value = "cuda:0")]
    device: String,
    /// The folder tests/golden of the project.
    #[arg(long)]
    goldens: PathBuf,
    /// A home of squbed with real weights of MiniLM and I3D in its folder models; else they have weights by formula.
    #[arg(long)]
    models: Option<PathBuf>,
    /// Only items whose name holds this text.
    #[arg(long, default_value = "")]
    only: String,
    /// Only these, f32, f16 and bf16, with commas.
    #[arg(long, value_delimiter = ',', default_value = "f32,f16,bf16")]
    dtypes: Vec<String>,
    /// Write every row here as well, after each item.
    #[arg(long)]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    match check(&options) {
        Ok(bad) => ExitCode::from(u8::from(bad > 0)),
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::from(2)
        }
    }
}

/// Runs everything; the number of rows that are bad.
fn check(options: &Options) -> Result<usize, String> {
    let device = select_device(&options.device).map_err(|e| squbed_core::causes(&e).join(": "))?;
    let goldens = options.goldens.join("encoders");
    if !goldens.is_dir() {
        return Err(format!(
            "{} is not there; --goldens is the project's folder tests/golden",
            goldens.display()
        ));
    }
    let (mut offered, mut withheld) = (Vec::new(), Vec::new());
    for name in &options.dtypes {
        match (select_dtype(name, &device), name.as_str()) {
            (Ok(dtype), _) => offered.push(dtype),
            (Err(why), "f16") => withheld.push((DType::F16, why.to_string())),
            (Err(why), "bf16") => withheld.push((DType::BF16, why.to_string())),
            (Err(why), _) => return Err(why.to_string()),
        }
    }
    let name = gpu(&device).map(|gpu| gpu.name);
    println!("{}{}", describe(&device), name.as_ref().map(|name| format!(", {name}")).unwrap_or_default());
    println!("{}", line(["item", "output", "dtype", "error", "tolerance", "measure", "1 − cos", "verdict"]));
    let sources = Sources { goldens: options.goldens.clone(), home: options.models.clone() };
    // A panic becomes a row; its usual words would stand between the rows.
    std::panic::set_hook(Box::new(|_| ()));
    let mut rows: Vec<Row> = Vec::new();
    for (dtype, why) in &withheld {
        let row = refused("all", *dtype, why);
        tell(&row);
        rows.push(row);
    }
    for item in items().iter().filter(|item| item.name.contains(&options.only)) {
        run(item, &sources, &device, &offered, &mut |row| {
            tell(&row);
            rows.push(row);
        });
        if let Some(path) = &options.json {
            let about = json!({
                "program": env!("CARGO_PKG_VERSION"), "device": options.device, "name": name, "rows": rows,
            });
            let text = serde_json::to_string_pretty(&about).map_err(|error| error.to_string())?;
            fs::write(path, text + "\n").map_err(|error| format!("{}: {error}", path.display()))?;
        }
    }
    let bad = rows.iter().filter(|row| row.verdict.is_bad()).count();
    println!("{} rows, {bad} of them bad", rows.len());
    if rows.len() == withheld.len() {
        return Err(format!("nothing was compared; no item's name holds `{}`", options.only));
    }
    Ok(bad)
}

fn line(cells: [&str; 8]) -> String {
    let [item, output, dtype, error, tolerance, measure, cosine, verdict] = cells;
    format!("{item:26} {output:38} {dtype:5} {error:>9} {tolerance:>9} {measure:9} {cosine:>9} {verdict}")
}

fn tell(row: &Row) {
    let number = |x: Option<f64>| x.map_or("–".to_owned(), |x| format!("{x:.1e}"));
    let cells = [number(row.error), number(row.tolerance), number(row.one_minus_cosine)];
    let measure = row.measure.map_or("–", |measure| measure.word());
    let [error, tolerance, cosine] = cells.each_ref().map(String::as_str);
    let verdict = row.verdict.word();
    println!("{}", line([&row.item, &row.output, &row.dtype, error, tolerance, measure, cosine, verdict]));
    if row.error.is_none() {
        println!("  {}", row.why);
    }
}
