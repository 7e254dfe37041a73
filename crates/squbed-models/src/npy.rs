//! numpy's `.npy`: a header in Python's notation, then the elements, or a pickle where they are objects.
//!
//! Documented in numpy's `lib/format.py` (NEP 1).

use std::borrow::Cow;

use crate::{
    checkpoint::row_major,
    pickle::{Array, Element, PickleError, read_arrays},
};

/// Why a `.npy` is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NpyError {
    /// It does not begin as such a file does.
    #[error("it is no .npy file")]
    Magic,
    /// The file ends within its header.
    #[error("it ends within its header")]
    Truncated,
    /// A header that is not numpy's.
    #[error("its header lacks a {field}, or has one that is not understood: {header}")]
    Header {
        /// What is sought.
        field: &'static str,
        /// The header, or its beginning.
        header: String,
    },
    /// An element type that is not read.
    #[error("its elements are `{descr}`; little-endian f2, f4, f8, i1, i2, i4, i8, u1 and b1 are read")]
    Dtype {
        /// numpy's name of it.
        descr: String,
    },
    /// As many bytes as the shape needs are not there.
    #[error("its shape {shape:?} needs other than the {bytes} bytes that follow the header")]
    Shape {
        /// The shape.
        shape: Vec<usize>,
        /// Bytes that follow the header.
        bytes: usize,
    },
    /// The objects it holds are refused.
    #[error("its pickle is refused: {0}")]
    Pickle(PickleError),
}

/// The arrays of a `.npy`: the one it holds, by the name `stem`, or those of the dict it holds.
///
/// # Errors
///
/// See [`NpyError`]; any sequence of bytes gives arrays or an error.
pub(crate) fn read_npy<'a>(bytes: &'a [u8], stem: &str) -> Result<Vec<(String, Array<'a>)>, NpyError> {
    let Header { descr, column_major, shape, data } = header(bytes)?;
    if descr == "|O" {
        return read_arrays(data).map_err(NpyError::Pickle);
    }
    let element = descr.strip_prefix(['<', '|']).and_then(Element::named);
    let element = element.ok_or_else(|| NpyError::Dtype { descr: descr.to_owned() })?;
    let needed = shape.iter().try_fold(element.size(), |size, &dim| size.checked_mul(dim));
    if needed != Some(data.len()) {
        return Err(NpyError::Shape { shape, bytes: data.len() });
    }
    let data = if column_major && shape.len() > 1 {
        row_major(&shape, element.size(), data)
    } else {
        Cow::Borrowed(data)
    };
    Ok(vec![(stem.to_owned(), Array { element, shape, data })])
}

/// What a header says, and what follows it.
pub(crate) struct Header<'a> {
    /// numpy's name of the element type.
    pub(crate) descr: &'a str,
    /// Whether the first axis runs fastest.
    pub(crate) column_major: bool,
    pub(crate) shape: Vec<usize>,
    pub(crate) data: &'a [u8],
}

/// Reads the header of a `.npy`.
pub(crate) fn header(bytes: &[u8]) -> Result<Header<'_>, NpyError> {
    let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or(NpyError::Magic)?;
    let (header, data) = split(rest).ok_or(NpyError::Truncated)?;
    let header = header.trim_ascii();
    let wrong = |field| {
        let header = String::from_utf8_lossy(&header[..header.len().min(120)]).into_owned();
        NpyError::Header { field, header }
    };
    let text = std::str::from_utf8(header).map_err(|_| wrong("text"))?;
    let descr = value(text, "descr").and_then(|v| quoted(v)).ok_or_else(|| wrong("descr"))?;
    let column_major = match value(text, "fortran_order") {
        Some(v) if v.starts_with("True") => true,
        Some(v) if v.starts_with("False") => false,
        _ => return Err(wrong("fortran_order")),
    };
    let shape = value(text, "shape").and_then(tuple).ok_or_else(|| wrong("shape"))?;
    Ok(Header { descr, column_major, shape, data })
}

/// Behind the magic word, header and what follows it.
fn split(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[major, _], rest) = rest.split_first_chunk()?;
    let (length, rest) = if major == 1 {
        let (length, rest) = rest.split_first_chunk()?;
        (u16::from_le_bytes(*length).into(), rest)
    } else {
        let (length, rest) = rest.split_first_chunk()?;
        (usize::try_from(u32::from_le_bytes(*length)).ok()?, rest)
    };
    rest.split_at_checked(length)
}

/// What stands behind `'key':`.
fn value<'h>(header: &'h str, key: &str) -> Option<&'h str> {
    let (_, rest) = header.split_once(&format!("'{key}':"))?;
    Some(rest.trim_start())
}

fn quoted(text: &str) -> Option<&str> {
    text.strip_prefix('\'')?.split_once('\'').map(|(inner, _)| inner)
}

fn tuple(text: &str) -> Option<Vec<usize>> {
    let (inner, _) = text.strip_prefix('(')?.split_once(')')?;
    let dims: Vec<usize> = inner
        .split(',')
        .map(str::trim)
        .filter(|dim| !dim.is_empty())
        .map(|dim| dim.parse().ok())
        .collect::<Option<_>>()?;
    (dims.len() <= 64).then_some(dims)
}
