//! `uncertainty.parquet`.

use std::{fs::File, path::Path, sync::Arc};

use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, StructArray};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use parquet::file::metadata::KeyValue;
use squbed_core::{Flag, GroupFit, Interval, Intervals, Repeat, TaskUncertainty};

use crate::{
    columns::{self, write_table},
    error::{Error, Result},
};

const METHOD_KEY: &str = "squbed.method";

pub(super) fn write(path: &Path, rows: &[TaskUncertainty], method: &str) -> Result<()> {
    let method = KeyValue::new(METHOD_KEY.to_owned(), method.to_owned());
    write_table(path, Some(vec![method]), || to_batch(rows))
}

pub(super) fn read_method(path: &Path) -> Result<serde_json::Value> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let metadata = columns::open(&file).map_err(Error::parquet(path))?;
    let text = columns::metadata_value(&metadata, METHOD_KEY);
    text.and_then(|text| serde_json::from_str(text).ok()).ok_or_else(|| Error::Column {
        path: path.to_owned(),
        column: METHOD_KEY.to_owned(),
        expected: "JSON in the file's metadata",
        found: text.unwrap_or("nothing").to_owned(),
    })
}

/// A column's name and how a row fills it.
type Column<Row, Cell> = (&'static str, fn(&Row) -> Cell);

/// How an interval is taken from those of a task.
type OfIntervals = fn(&Intervals) -> &Interval;

/// The intervals by the names of their columns.
const INTERVALS: [(&str, OfIntervals); 5] = [
    ("aleatoric", |i| &i.aleatoric),
    ("epistemic", |i| &i.epistemic),
    ("total", |i| &i.total),
    ("pooled", |i| &i.pooled),
    ("mutual_information", |i| &i.mutual_information),
];

const ENDS: [Column<Interval, f64>; 3] =
    [("low", |i| i.low), ("high", |i| i.high), ("standard_error", |i| i.standard_error)];

fn to_batch(rows: &[TaskUncertainty]) -> Result<RecordBatch, ArrowError> {
    let mut columns: Vec<(Field, ArrayRef)> = Vec::new();
    let ids = StringArray::from_iter_values(rows.iter().map(|row| &row.id));
    columns.push((Field::new("id", DataType::Utf8, false), Arc::new(ids)));
    let numbers: [Column<TaskUncertainty, f64>; 7] = [
        ("aleatoric", |row| row.aleatoric),
        ("epistemic", |row| row.epistemic),
        ("total", |row| row.total),
        ("epistemic_median", |row| row.epistemic_median),
        ("epistemic_max", |row| row.epistemic_max),
        ("pooled_entropy", |row| row.pooled.as_ref().map_or(f64::NAN, |fit| fit.entropy)),
        ("mutual_information", |row| row.mutual_information),
    ];
    for (name, number) in numbers {
        let array: Float64Array = rows.iter().map(|row| defined(number(row))).collect();
        columns.push((Field::new(name, DataType::Float64, true), Arc::new(array)));
    }
    for (name, interval) in INTERVALS {
        for (end, number) in ENDS {
            let of = |row: &TaskUncertainty| defined(number(interval(row.interval.as_ref()?)));
            let array: Float64Array = rows.iter().map(of).collect();
            let name = format!("interval_{name}_{end}");
            columns.push((Field::new(name, DataType::Float64, true), Arc::new(array)));
        }
    }
    let methods: StringArray = rows.iter().map(|row| Some(&row.interval.as_ref()?.method)).collect();
    columns.push((Field::new("interval_method", DataType::Utf8, true), Arc::new(methods)));
    let counts: [Column<TaskUncertainty, usize>; 2] =
        [("worst_latent", |row| row.worst_latent), ("latents_left_out", |row| row.latents_left_out)];
    for (name, count) in counts {
        let array = Int64Array::from_iter_values(rows.iter().map(|row| count(row) as i64));
        columns.push((Field::new(name, DataType::Int64, false), Arc::new(array)));
    }
    let (fields, prompts, _) = fits(rows.iter().map(|row| &row.prompts))?.into_parts();
    for (field, array) in fields.iter().zip(prompts) {
        columns.push((field.as_ref().clone().with_name(format!("prompts_{}", field.name())), array));
    }
    let videos = fits(rows.iter().flat_map(|row| &row.videos))?;
    let videos = columns::lists_of(rows.iter().map(|row| row.videos.len()), Arc::new(videos))?;
    columns.push((Field::new("videos", videos.data_type().clone(), false), Arc::new(videos)));
    let digests: StringArray = rows.iter().map(|row| row.videos_digest.as_ref()).collect();
    columns.push((Field::new("videos_digest", DataType::Utf8, true), Arc::new(digests)));
    let repeats =
        StringArray::from_iter_values(rows.iter().flat_map(|row| &row.repeats).map(Repeat::to_string));
    let repeats = columns::lists_of(rows.iter().map(|row| row.repeats.len()), Arc::new(repeats))?;
    columns.push((Field::new("repeats", repeats.data_type().clone(), false), Arc::new(repeats)));
    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
}

/// NaN as null.
pub(super) fn defined(x: f64) -> Option<f64> {
    (!x.is_nan()).then_some(x)
}

/// Fits as a table of their own.
fn fits<'a>(fits: impl Iterator<Item = &'a GroupFit> + Clone) -> Result<StructArray, ArrowError> {
    let mut columns: Vec<(Arc<Field>, ArrayRef)> = Vec::new();
    let counts: [Column<GroupFit, usize>; 2] = [("m", |fit| fit.m), ("dim", |fit| fit.dim)];
    for (name, count) in counts {
        let array = Int64Array::from_iter_values(fits.clone().map(|fit| count(fit) as i64));
        columns.push((Arc::new(Field::new(name, DataType::Int64, false)), Arc::new(array)));
    }
    let numbers: [Column<GroupFit, f64>; 7] = [
        ("rbar", |fit| fit.rbar),
        ("one_minus_rbar", |fit| fit.one_minus_rbar),
        ("kappa", |fit| fit.kappa),
        ("entropy", |fit| fit.entropy),
        ("relative_entropy", |fit| fit.relative_entropy),
        ("rayleigh_p", |fit| fit.rayleigh_p),
        ("two_clusters_p", |fit| fit.two_clusters_p.unwrap_or(f64::NAN)),
    ];
    for (name, number) in numbers {
        let array: Float64Array = fits.clone().map(|fit| defined(number(fit))).collect();
        columns.push((Arc::new(Field::new(name, DataType::Float64, true)), Arc::new(array)));
    }
    let names = StringArray::from_iter_values(fits.clone().flat_map(|fit| &fit.flags).map(flag_name));
    let flags = columns::lists_of(fits.map(|fit| fit.flags.len()), Arc::new(names))?;
    columns.push((Arc::new(Field::new("flags", flags.data_type().clone(), false)), Arc::new(flags)));
    let (fields, arrays): (Vec<Arc<Field>>, Vec<ArrayRef>) = columns.into_iter().unzip();
    StructArray::try_new(fields.into(), arrays, None)
}

/// As JSON has it.
fn flag_name(flag: &Flag) -> &'static str {
    match flag {
        Flag::PointMass => "point_mass",
        Flag::Uniform => "uniform",
        Flag::Clipped => "clipped",
        Flag::Saturated => "saturated",
        Flag::NearUniform => "near_uniform",
        Flag::Bimodal => "bimodal",
    }
}
