//! Data on stdout, in the form that was asked for.

use std::{
    fmt,
    io::{self, Write},
};

use anyhow::Context;
use clap::ValueEnum;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor},
};
use serde_json::Value;

/// What is told where data cannot go to stdout.
const STDOUT: &str = "cannot write to standard output";

/// Form of the data on stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Columns for people.
    Table,
    /// One JSON document.
    Json,
    /// One JSON object a line.
    Jsonl,
    /// Comma-separated values with a header.
    Csv,
}

/// Rows of named values, printable in each [`Format`]. Keys keep the order of the struct's fields.
pub(crate) struct Records {
    keys: Vec<String>,
    rows: Vec<Vec<Value>>,
    single: bool,
}

impl Records {
    /// A list of structs: JSON gives an array.
    pub(crate) fn list<T: Serialize>(items: &[T]) -> anyhow::Result<Self> {
        let mut records = Self { keys: Vec::new(), rows: Vec::new(), single: false };
        for item in items {
            let Fields(fields) = serde_json::from_str(&serde_json::to_string(item)?)?;
            let (keys, row) = fields.into_iter().unzip();
            records.keys = keys;
            records.rows.push(row);
        }
        Ok(records)
    }

    /// One struct: JSON gives an object.
    pub(crate) fn one<T: Serialize>(item: &T) -> anyhow::Result<Self> {
        Ok(Self { single: true, ..Self::list(std::slice::from_ref(item))? })
    }

    /// Prints to stdout.
    pub(crate) fn print(&self, format: Format) -> anyhow::Result<()> {
        self.write(format).context(STDOUT)
    }

    fn write(&self, format: Format) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        match format {
            Format::Json if self.single => writeln!(out, "{}", self.object(&self.rows[0]))?,
            Format::Json => {
                let rows: Vec<String> = self.rows.iter().map(|row| self.object(row)).collect();
                writeln!(out, "[{}]", rows.join(",\n "))?;
            }
            Format::Jsonl => {
                for row in &self.rows {
                    writeln!(out, "{}", self.object(row))?;
                }
            }
            Format::Csv => {
                let mut csv = csv::Writer::from_writer(&mut out);
                csv.write_record(&self.keys)?;
                for row in &self.rows {
                    csv.write_record(row.iter().map(field))?;
                }
                csv.flush()?;
            }
            Format::Table if self.single => {
                let width = self.keys.iter().map(|k| k.chars().count()).max().unwrap_or(0);
                for (key, value) in self.keys.iter().zip(&self.rows[0]) {
                    writeln!(out, "{key:width$}  {}", plain(value))?;
                }
            }
            Format::Table => {
                let mut table = comfy_table::Table::new();
                let columns: Vec<usize> = (0..self.keys.len()).filter(|&i| self.says_something(i)).collect();
                table
                    .load_style(comfy_table::presets::NOTHING)
                    .set_header(columns.iter().map(|&i| &self.keys[i]));
                for row in &self.rows {
                    table.add_row(columns.iter().map(|&i| rounded(&row[i])));
                }
                for (at, &i) in columns.iter().enumerate() {
                    if self.rows.iter().any(|row| row[i].is_number())
                        && let Some(column) = table.column_mut(at)
                    {
                        column.set_cell_alignment(comfy_table::CellAlignment::Right);
                    }
                }
                writeln!(out, "{}", table.trim_fmt())?;
            }
        }
        Ok(())
    }

    /// Whether a column is anything but empty lists, such as those of flags where none is set.
    fn says_something(&self, column: usize) -> bool {
        let empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
        self.rows.is_empty() || !self.rows.iter().all(|row| empty(&row[column]))
    }

    fn object(&self, row: &[Value]) -> String {
        let fields: Vec<String> = self
            .keys
            .iter()
            .zip(row)
            .map(|(key, value)| format!("{}:{value}", Value::from(key.as_str())))
            .collect();
        format!("{{{}}}", fields.join(","))
    }
}

/// Prints a text as it is.
pub(crate) fn print_text(text: &str) -> anyhow::Result<()> {
    io::stdout().lock().write_all(text.as_bytes()).context(STDOUT)
}

/// Prints rows of `width` finite numbers each, in full precision. JSON gives an array of arrays, JSON Lines an array a
/// line, CSV a header x1, x2, …
pub(crate) fn print_rows(numbers: &[f64], width: usize, format: Format) -> anyhow::Result<()> {
    write_rows(numbers, width, format).context(STDOUT)
}

fn write_rows(numbers: &[f64], width: usize, format: Format) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let (before, between, after, separator) = match format {
        Format::Json => ("[[", "],\n [", "]]", ","),
        Format::Jsonl => ("[", "]\n[", "]", ","),
        Format::Csv => ("", "\n", "", ","),
        Format::Table => ("", "\n", "", " "),
    };
    if format == Format::Csv {
        let header: Vec<String> = (1..=width).map(|i| format!("x{i}")).collect();
        writeln!(out, "{}", header.join(","))?;
    }
    write!(out, "{before}")?;
    for (i, row) in numbers.chunks(width).enumerate() {
        write!(out, "{}", if i == 0 { "" } else { between })?;
        for (j, &number) in row.iter().enumerate() {
            write!(out, "{}{}", if j == 0 { "" } else { separator }, Value::from(number))?;
        }
    }
    writeln!(out, "{after}")?;
    out.flush()
}

/// A value of a table: numbers that are not whole have six significant digits; the other formats give all.
fn rounded(value: &Value) -> String {
    match value.as_f64() {
        Some(number) if value.is_f64() => {
            let places = 5 - number.abs().log10().floor().clamp(-4.0, 5.0) as i32;
            match number.abs() {
                0.0 => "0".to_owned(),
                size if !(1e-4..1e15).contains(&size) => format!("{number:.5e}"),
                _ => format!("{number:.places$}", places = places.unsigned_abs() as usize),
            }
        }
        _ => plain(value),
    }
}

/// A field of CSV: empty where there is no value, so that programs read a column of numbers as such.
fn field(value: &Value) -> String {
    if value.is_null() { String::new() } else { plain(value) }
}

/// A value without JSON's quotes.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let between = if items.iter().any(Value::is_string) { ", " } else { " " };
            items.iter().map(plain).collect::<Vec<_>>().join(between)
        }
        other => other.to_string(),
    }
}

/// The fields of a JSON object in their order.
struct Fields(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Ordered;
        impl<'de> Visitor<'de> for Ordered {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a struct with named fields")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Ordered)
    }
}

/// Tells of an error or a warning on stderr: what, the causes below it, and what to do next.
pub(crate) fn tell(kind: &str, layers: &[String], hint: Option<&str>) {
    let mut err = io::stderr().lock();
    let mut line = |text: &str| {
        // A closed stderr leaves nobody to tell.
        let _ = writeln!(err, "{text}");
    };
    for (i, layer) in layers.iter().enumerate() {
        line(&if i == 0 { format!("{kind}: {layer}") } else { format!("  because: {layer}") });
    }
    if let Some(hint) = hint {
        line(&format!("hint: {hint}"));
    }
}

/// Whether an error is one of writing to stdout.
pub(crate) fn is_of_stdout(error: &anyhow::Error) -> bool {
    error.to_string() == STDOUT
}

/// Whether an error only says that the reader of stdout went away.
pub(crate) fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|e| e.downcast_ref::<io::Error>()).any(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_gives_six_digits() {
        for (number, text) in [
            (0.857_053_923_370_451_3, "0.857054"),
            (-717.891_446_092_072_3, "-717.891"),
            (0.000_123_456_78, "0.000123457"),
            (5.662_435_177_114_859e-8, "5.66244e-8"),
            (-0.999_999_999_999_999_9, "-1.000000"),
            (0.0, "0"),
            (123_456_789.25, "123456789"),
        ] {
            assert_eq!(rounded(&Value::from(number)), text);
        }
        assert_eq!(rounded(&Value::from(16)), "16");
        assert_eq!(rounded(&Value::Null), "–");
        // Programs read the other form.
        assert_eq!((field(&Value::Null), field(&Value::from(0.5))), (String::new(), "0.5".to_owned()));
    }
}
