//! Every golden on a device of choice, in an arithmetic of choice: one body for the tests on the CPU and for the program
//! `squbed-gpu-check` that is carried to a machine with a GPU.
//!
//! An [`Item`] makes its weights once by formula (or opens real ones) and is then run in each dtype. How far an output
//! may be from its reference is said in one place, [`tolerance`](mod@tolerance). What fails in one item, a panic too,
//! becomes a row of its own, and the others go on.

mod encoders;
// The formula of the weights is that of the encoders' own tests.
#[path = "../../../crates/squbed-models/tests/common/formula.rs"]
mod formula;
mod metrics;
mod numbers;
pub mod tolerance;

use std::{
    any::Any,
    collections::HashMap,
    fs,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    time::Instant,
};

use candle_core::{DType, Device, Tensor};
use serde::Serialize;
use serde_json::Value;
use squbed_core::{BoxError, causes};
use squbed_models::ModelStore;

use tolerance::{Kind, Measure};

/// Where expected values and weights lie.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The folder `tests/golden`.
    pub goldens: PathBuf,
    /// A home of squbed, with the folder `models` in it; without one MiniLM and I3D have weights by formula and are
    /// compared with the CPU.
    pub home: Option<PathBuf>,
}

impl Sources {
    fn path(&self, file: &str) -> PathBuf {
        self.goldens.join(file)
    }

    fn json(&self, file: &str) -> Result<Value, BoxError> {
        let path = self.path(file);
        let bytes = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(serde_json::from_slice(&bytes)?)
    }

    fn tensors(&self, file: &str) -> Result<HashMap<String, Tensor>, BoxError> {
        let path = self.path(file);
        let told = |error| format!("{}: {error}", path.display());
        Ok(candle_core::safetensors::load(&path, &Device::Cpu).map_err(told)?)
    }

    /// The store of real weights, where it has the model.
    fn real(&self, model: &str) -> Result<Option<ModelStore>, BoxError> {
        let Some(home) = &self.home else { return Ok(None) };
        let store = ModelStore::with_manifests(home.clone(), &[])?;
        Ok(store.status(model)?.present.then_some(store))
    }
}

/// Something that is run on the device.
pub struct Item {
    /// Its name, for people and for `--only`.
    pub name: String,
    make: Make,
}

type Make = Box<dyn Fn(&Sources) -> Result<Run, BoxError>>;
/// Outputs on a device in a dtype.
type Run = Box<dyn Fn(&Device, DType) -> Result<Vec<Output>, BoxError>>;

impl Item {
    fn new(name: impl Into<String>, make: impl Fn(&Sources) -> Result<Run, BoxError> + 'static) -> Self {
        Self { name: name.into(), make: Box::new(make) }
    }
}

/// An output beside its reference, in rows.
struct Output {
    what: String,
    kind: Kind,
    actual: Vec<Vec<f64>>,
    expected: Vec<Vec<f64>>,
}

impl Output {
    /// Of tensors `[b, d]`.
    fn new(what: &str, kind: Kind, actual: &Tensor, expected: &Tensor) -> Result<Self, BoxError> {
        Ok(Self { what: what.to_owned(), kind, actual: rows(actual)?, expected: rows(expected)? })
    }
}

fn rows(x: &Tensor) -> Result<Vec<Vec<f64>>, BoxError> {
    Ok(x.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.to_vec2()?)
}

/// How one comparison ended.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The item.
    pub item: String,
    /// The output of it; empty where it gave none.
    pub output: String,
    /// Arithmetic of the device.
    pub dtype: String,
    /// How far the output is from its reference, by [`measure`](Self::measure).
    pub error: Option<f64>,
    /// How far it may be.
    pub tolerance: Option<f64>,
    /// What the error is.
    pub measure: Option<Measure>,
    /// 1 − cosine of the worst row and its reference.
    pub one_minus_cosine: Option<f64>,
    /// `ok`, `MISS`, `FAILED` or `refused`.
    pub verdict: Verdict,
    /// Why the tolerance is what it is, or why there is no figure.
    pub why: String,
    /// Seconds of the item in this dtype, loading included.
    pub seconds: f64,
}

/// What a row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Verdict {
    /// Within the tolerance.
    #[serde(rename = "ok")]
    Within,
    /// Outside of it.
    #[serde(rename = "MISS")]
    Miss,
    /// No figure, because of an error or a panic.
    #[serde(rename = "FAILED")]
    Failed,
    /// The program does not offer this dtype on this device.
    #[serde(rename = "refused")]
    Refused,
}

impl Verdict {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Within => "ok",
            Self::Miss => "MISS",
            Self::Failed => "FAILED",
            Self::Refused => "refused",
        }
    }

    /// Whether the check as a whole fails by it.
    pub fn is_bad(self) -> bool {
        matches!(self, Self::Miss | Self::Failed)
    }
}

/// Everything that there is to compare, the cheap and telling first.
pub fn items() -> Vec<Item> {
    [numbers::items(), metrics::items(), encoders::items()].into_iter().flatten().collect()
}

/// Runs an item on `device` in each of `dtypes` and hands every row to `see` as soon as it is there.
pub fn run(item: &Item, sources: &Sources, device: &Device, dtypes: &[DType], see: &mut dyn FnMut(Row)) {
    let made = caught(|| (item.make)(sources));
    for &dtype in dtypes {
        let started = Instant::now();
        let outputs = match &made {
            Ok(run) => caught(|| {
                let outputs = run(device, dtype)?;
                if outputs.is_empty() {
                    return Err("nothing was compared".into());
                }
                Ok(outputs)
            }),
            Err(why) => Err(why.clone()),
        };
        let seconds = started.elapsed().as_secs_f64();
        match outputs {
            Ok(outputs) => {
                outputs.iter().for_each(|output| see(judged(&item.name, output, device, dtype, seconds)))
            }
            Err(why) => see(without_figure(&item.name, dtype, Verdict::Failed, why, seconds)),
        }
    }
}

/// A row that says that the program refuses this dtype on this device.
pub fn refused(item: &str, dtype: DType, why: &str) -> Row {
    without_figure(item, dtype, Verdict::Refused, why.to_owned(), 0.0)
}

fn without_figure(item: &str, dtype: DType, verdict: Verdict, why: String, seconds: f64) -> Row {
    Row {
        item: item.to_owned(),
        output: String::new(),
        dtype: dtype.as_str().to_owned(),
        error: None,
        tolerance: None,
        measure: None,
        one_minus_cosine: None,
        verdict,
        why,
        seconds,
    }
}

fn judged(item: &str, output: &Output, device: &Device, dtype: DType, seconds: f64) -> Row {
    let allowed = output.kind.tolerance(dtype, device);
    let row = |verdict, error, cosine, why: String| Row {
        output: output.what.clone(),
        error,
        tolerance: Some(allowed.bound),
        measure: Some(allowed.measure),
        one_minus_cosine: cosine,
        ..without_figure(item, dtype, verdict, why, seconds)
    };
    let shape = |rows: &[Vec<f64>]| rows.iter().map(Vec::len).collect::<Vec<_>>();
    if shape(&output.actual) != shape(&output.expected) {
        let (actual, expected) = (shape(&output.actual), shape(&output.expected));
        return row(Verdict::Failed, None, None, format!("rows of {actual:?} numbers for {expected:?}"));
    }
    let error = allowed.measure.of(&output.actual, &output.expected);
    let cosine =
        output.kind.has_direction().then(|| tolerance::one_minus_cosine(&output.actual, &output.expected));
    // NaN is outside of every tolerance.
    let verdict = if error <= allowed.bound { Verdict::Within } else { Verdict::Miss };
    row(verdict, Some(error), cosine, allowed.reason.to_owned())
}

/// Runs `work`; an error and a panic become words.
fn caught<T>(work: impl FnOnce() -> Result<T, BoxError>) -> Result<T, String> {
    match panic::catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(causes(&*error).join(": ")),
        Err(panic) => Err(format!("panic: {}", words(&*panic))),
    }
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without words").to_owned()
}

/// Weights by formula as a checkpoint in a folder that vanishes with it.
struct Checkpoint {
    folder: tempfile::TempDir,
}

impl Checkpoint {
    fn new(shapes: &Value, seed: u64, config: Option<&Value>) -> Result<Self, BoxError> {
        let folder = tempfile::tempdir()?;
        formula::write(&formula::tensors(shapes, seed), &folder.path().join("model.safetensors"));
        if let Some(config) = config {
            fs::write(folder.path().join("config.json"), config.to_string())?;
        }
        Ok(Self { folder })
    }

    fn weights(&self) -> PathBuf {
        self.folder.path().join("model.safetensors")
    }

    fn config(&self) -> Option<PathBuf> {
        let file = self.folder.path().join("config.json");
        Path::exists(&file).then_some(file)
    }
}

/// A field that must be a whole number.
fn whole(value: &Value, field: &str) -> Result<u64, BoxError> {
    value[field].as_u64().ok_or_else(|| format!("the golden lacks `{field}`").into())
}

/// A field that must be a list.
fn list<'a>(value: &'a Value, field: &str) -> Result<&'a Vec<Value>, BoxError> {
    value[field].as_array().ok_or_else(|| format!("the golden lacks the list `{field}`").into())
}

/// A field that must be text.
fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str, BoxError> {
    value[field].as_str().ok_or_else(|| format!("the golden lacks the text `{field}`").into())
}

/// A tensor of a golden by its name.
fn named<'a>(tensors: &'a HashMap<String, Tensor>, name: &str) -> Result<&'a Tensor, BoxError> {
    tensors.get(name).ok_or_else(|| format!("the golden lacks the tensor `{name}`").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row_of(actual: &[f64], dtype: DType) -> Row {
        let expected = vec![vec![3.0, 4.0]];
        let output = Output { what: "x".into(), kind: Kind::S3d, actual: vec![actual.to_vec()], expected };
        judged("item", &output, &Device::Cpu, dtype, 0.0)
    }

    #[test]
    fn an_output_is_held_against_its_tolerance() {
        let near = row_of(&[3.0, 4.0 + 4e-4], DType::F32);
        assert_eq!((near.verdict, near.tolerance), (Verdict::Within, Some(1e-4)));
        assert!((near.error.unwrap() - 8e-5).abs() < 1e-12, "{near:?}");
        assert_eq!(row_of(&[3.0, 4.0 + 6e-4], DType::F32).verdict, Verdict::Miss);
        // What f32 may not, bf16 may; NaN and another shape may nowhere.
        assert_eq!(row_of(&[3.0, 4.0 + 6e-4], DType::BF16).verdict, Verdict::Within);
        assert_eq!(row_of(&[3.0, f64::NAN], DType::BF16).verdict, Verdict::Miss);
        assert_eq!(row_of(&[3.0], DType::F32).verdict, Verdict::Failed);
    }

    #[test]
    fn what_fails_is_a_row_and_no_end() {
        let sources = Sources { goldens: "nowhere".into(), home: None };
        let told = |item: Item| {
            let mut rows = Vec::new();
            run(&item, &sources, &Device::Cpu, &[DType::F32, DType::F16], &mut |row| rows.push(row));
            assert!(rows.len() == 2 && rows.iter().all(|row| row.verdict == Verdict::Failed), "{rows:?}");
            rows.remove(0).why
        };
        assert_eq!(told(Item::new("a", |_| panic!("no {}", 1))), "panic: no 1");
        assert_eq!(told(Item::new("a", |_| Ok(Box::new(|_, _| Ok(Vec::new()))))), "nothing was compared");
        assert!(
            told(Item::new("a", |s| s.json("x.json").map(|_| unreachable!())))
                .starts_with("nowhere/x.json: ")
        );
    }
}
