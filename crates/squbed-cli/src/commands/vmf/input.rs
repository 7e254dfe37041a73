//! Groups of rows, and single vectors, from files.

use std::{fmt::Write, fs, path::Path};

use anyhow::{Context, anyhow, bail};
use serde_json::Value;
use squbed::store::{NpyArray, NpyData, read_all_safetensors, read_npy, read_safetensors};

/// Rows of one group, which need not be as many as another's.
pub(super) type Group = Vec<Vec<f64>>;

/// Groups in f64, and the precision that their numbers had.
pub(super) fn read_groups(path: &Path) -> anyhow::Result<(Vec<Group>, f64)> {
    match path.extension().and_then(|e| e.to_str()) {
        Some("npy") => {
            let array = read_npy(path).map_err(squbed::Error::from)?;
            groups_of(&array).with_context(|| path.display().to_string())
        }
        Some("safetensors") => {
            let (mut groups, mut precision) = (Vec::new(), 0.0_f64);
            for (name, array) in read_all_safetensors(path).map_err(squbed::Error::from)? {
                let of_one =
                    groups_of(&array).with_context(|| format!("{}, tensor {name:?}", path.display()))?;
                groups.extend(of_one.0);
                precision = precision.max(of_one.1);
            }
            Ok((groups, precision))
        }
        Some("json") => Ok((read_json_groups(path)?, f64::EPSILON)),
        None if path == Path::new("-") => Ok((read_json_groups(path)?, f64::EPSILON)),
        _ => bail!("{} is none of .npy, .safetensors, .json and - (JSON on stdin)", path.display()),
    }
}

fn groups_of(array: &NpyArray) -> anyhow::Result<(Vec<Group>, f64)> {
    let (m, d) = match *array.shape() {
        [m, d] if m > 0 && d > 0 => (m, d),
        [groups, m, d] if groups > 0 && m > 0 && d > 0 => (m, d),
        ref shape => {
            bail!(
                "its shape is {shape:?}; it must be [m, d] or [groups, m, d] with at least one group, row and column"
            )
        }
    };
    let rows: Vec<Vec<f64>> = array.to_f64().chunks(d).map(<[f64]>::to_vec).collect();
    Ok((rows.chunks(m).map(<[Vec<f64>]>::to_vec).collect(), precision(array)?))
}

fn precision(array: &NpyArray) -> anyhow::Result<f64> {
    Ok(match array.data() {
        NpyData::F32(_) => f32::EPSILON.into(),
        NpyData::F64(_) => f64::EPSILON,
        NpyData::I64(_) => bail!("it holds integers; embeddings are f32 or f64"),
    })
}

/// One vector.
pub(super) fn read_vector(path: &Path) -> anyhow::Result<Vec<f64>> {
    let array = match path.extension().and_then(|e| e.to_str()) {
        Some("npy") => read_npy(path).map_err(squbed::Error::from)?,
        Some("safetensors") => read_safetensors(path, None).map_err(squbed::Error::from)?,
        Some("json") => {
            let numbers = row(&read_json(path)?).map_err(|wrong| anyhow!("it is {wrong}"));
            return numbers.with_context(|| format!("{} is not a JSON array of numbers", path.display()));
        }
        _ => bail!("{} is none of .npy, .safetensors and .json", path.display()),
    };
    match *array.shape() {
        [_] | [1, _] => Ok(array.to_f64()),
        ref shape => bail!("{} has shape {shape:?}; it must be [n] or [1, n]", path.display()),
    }
}

fn read_json_groups(path: &Path) -> anyhow::Result<Vec<Group>> {
    let groups = json_groups(&read_json(path)?);
    groups.with_context(|| {
        format!("{} is not a JSON array of rows of numbers, or of groups of such rows", path.display())
    })
}

fn json_groups(file: &Value) -> anyhow::Result<Vec<Group>> {
    let list = file.as_array().ok_or_else(|| anyhow!("it is {}", kind(file)))?;
    if list.is_empty() {
        bail!("it holds no rows");
    }
    let is_group = |x: &Value| x.as_array().is_some_and(|rows| rows.iter().any(Value::is_array));
    if !list.iter().any(is_group) {
        return Ok(vec![rows(list)?]);
    }
    list.iter()
        .enumerate()
        .map(|(i, group)| match group.as_array() {
            Some(list) => rows(list).with_context(|| format!("group {i}")),
            None => bail!("group {i} is {}", kind(group)),
        })
        .collect()
}

fn rows(list: &[Value]) -> anyhow::Result<Group> {
    list.iter().enumerate().map(|(i, x)| row(x).map_err(|wrong| anyhow!("row {i} is {wrong}"))).collect()
}

/// The numbers of a row, or what it is instead.
fn row(x: &Value) -> Result<Vec<f64>, String> {
    let list = x.as_array().ok_or_else(|| kind(x).to_owned())?;
    let number = |(j, x): (usize, &Value)| {
        x.as_f64().ok_or_else(|| format!("no row of numbers: its number {j} is {}", kind(x)))
    };
    list.iter().enumerate().map(number).collect()
}

fn kind(x: &Value) -> &'static str {
    match x {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn read_json(path: &Path) -> anyhow::Result<Value> {
    let stdin = path == Path::new("-");
    let text = if stdin { std::io::read_to_string(std::io::stdin()) } else { fs::read_to_string(path) };
    let text = text.with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| {
        // Line and column count from 1, the column in bytes.
        let line: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
        let end = if error.is_eof() { text.len() } else { line + error.column().saturating_sub(1) };
        let place = place(&text.as_bytes()[..end.min(text.len())]);
        anyhow::Error::new(error)
            .context(format!("{} is no JSON at {place}; JSON has no NaN and no infinity", path.display()))
    })
}

/// Where in nested lists of numbers a text stops: one index for each list that is open.
fn place(before: &[u8]) -> String {
    let mut open: Vec<usize> = Vec::new();
    for byte in before {
        match byte {
            b'[' => open.push(0),
            b']' => drop(open.pop()),
            b',' => {
                if let Some(index) = open.last_mut() {
                    *index += 1;
                }
            }
            _ => {}
        }
    }
    let names = ["group", "row", "number"];
    let names = &names[names.len() - open.len().min(names.len())..];
    let mut place = String::new();
    for (i, (name, index)) in names.iter().zip(&open).enumerate() {
        let comma = if i == 0 { "" } else { ", " };
        // Writing to a string does not fail.
        let _ = write!(place, "{comma}{name} {index}");
    }
    if place.is_empty() { "its beginning".to_owned() } else { place }
}
