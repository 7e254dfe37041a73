//! NumPy's `.npy` files: f32, f64 and i64, C order, little endian.
//!
//! Format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>. Versions 1.0 and
//! 2.0 are read; 1.0 is written, byte by byte as NumPy writes it.

use std::{io::Write, path::Path};

use crate::{
    atomic::write_atomic_with,
    error::{Error, Result},
};

const MAGIC: &[u8] = b"\x93NUMPY";

/// NumPy aligns the data to this many bytes.
const ALIGNMENT: usize = 64;

/// An array in C order (the last index runs fastest).
#[derive(Clone, Debug, PartialEq)]
pub struct NpyArray {
    shape: Vec<usize>,
    data: NpyData,
}

/// The numbers of an array.
#[derive(Clone, Debug, PartialEq)]
pub enum NpyData {
    /// `<f4`
    F32(Vec<f32>),
    /// `<f8`
    F64(Vec<f64>),
    /// `<i8`
    I64(Vec<i64>),
}

/// What is wrong with a `.npy` file, or with an array.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NpyError {
    /// It does not begin as such a file does.
    #[error("it is no .npy file; write it with numpy.save")]
    Magic,
    /// A version of the format that is not read.
    #[error("its format version is {major}.{minor}; 1.0 and 2.0 are read")]
    Version {
        /// Major version.
        major: u8,
        /// Minor version.
        minor: u8,
    },
    /// The header is not the dictionary that it should be.
    #[error("its header is damaged at {at:?}")]
    Header {
        /// The rest of the header from where it could not be read, at most 40 characters.
        at: String,
    },
    /// A type that is not read.
    #[error("its type is `{descr}`; convert it with x.astype('<f4'), '<f8' or '<i8'")]
    Type {
        /// NumPy's name of the type.
        descr: String,
    },
    /// Fortran order.
    #[error("it is in Fortran order; convert it with numpy.ascontiguousarray")]
    Fortran,
    /// The numbers are not as many as the shape says.
    #[error("the shape {shape:?} needs {expected} bytes of data, there are {got}; it may be cut short")]
    Length {
        /// The shape.
        shape: Vec<usize>,
        /// Bytes that the shape needs.
        expected: u128,
        /// Bytes there are.
        got: usize,
    },
}

impl NpyData {
    /// How many numbers.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(x) => x.len(),
            Self::F64(x) => x.len(),
            Self::I64(x) => x.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn descr(&self) -> &'static str {
        match self {
            Self::F32(_) => "<f4",
            Self::F64(_) => "<f8",
            Self::I64(_) => "<i8",
        }
    }

    fn item_bytes(&self) -> usize {
        if matches!(self, Self::F32(_)) { 4 } else { 8 }
    }
}

impl NpyArray {
    /// An array of `shape`, which must hold as many numbers as `data`; `[]` is the shape of one number.
    pub fn new(shape: Vec<usize>, data: NpyData) -> Result<Self, NpyError> {
        let expected = bytes_of(&shape, data.item_bytes());
        let got = data.len() * data.item_bytes();
        if expected != got as u128 {
            return Err(NpyError::Length { shape, expected, got });
        }
        Ok(Self { shape, data })
    }

    /// The lengths of the axes.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The numbers.
    pub fn data(&self) -> &NpyData {
        &self.data
    }

    /// Gives shape and numbers away.
    pub fn into_parts(self) -> (Vec<usize>, NpyData) {
        (self.shape, self.data)
    }

    /// The numbers as f64.
    pub fn to_f64(&self) -> Vec<f64> {
        match &self.data {
            NpyData::F32(x) => x.iter().map(|&x| x.into()).collect(),
            NpyData::F64(x) => x.clone(),
            NpyData::I64(x) => x.iter().map(|&x| x as f64).collect(),
        }
    }

    /// Reads the bytes of a `.npy` file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NpyError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(NpyError::Magic)?;
        let (&[major, minor], rest) = rest.split_first_chunk().ok_or(NpyError::Magic)?;
        let cut = || NpyError::Header { at: String::new() };
        let (length, rest) = match (major, minor) {
            (1, 0) => rest.split_first_chunk().map(|(n, rest)| (u16::from_le_bytes(*n) as usize, rest)),
            (2, 0) => rest.split_first_chunk().map(|(n, rest)| (u32::from_le_bytes(*n) as usize, rest)),
            _ => return Err(NpyError::Version { major, minor }),
        }
        .ok_or_else(cut)?;
        let (header, data) = rest.split_at_checked(length).ok_or_else(cut)?;
        let Header { descr, fortran, shape } = Header::parse(header)?;
        let item = match descr.as_str() {
            "<f4" => 4,
            "<f8" | "<i8" => 8,
            _ => return Err(NpyError::Type { descr }),
        };
        if fortran {
            return Err(NpyError::Fortran);
        }
        let expected = bytes_of(&shape, item);
        if expected != data.len() as u128 {
            return Err(NpyError::Length { shape, expected, got: data.len() });
        }
        let data = match descr.as_str() {
            "<f4" => NpyData::F32(data.as_chunks().0.iter().map(|&x| f32::from_le_bytes(x)).collect()),
            "<f8" => NpyData::F64(data.as_chunks().0.iter().map(|&x| f64::from_le_bytes(x)).collect()),
            _ => NpyData::I64(data.as_chunks().0.iter().map(|&x| i64::from_le_bytes(x)).collect()),
        };
        Ok(Self { shape, data })
    }

    fn header(&self) -> Vec<u8> {
        let shape = match self.shape.as_slice() {
            [n] => format!("{n},"),
            shape => shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        };
        let mut header =
            format!("{{'descr': '{}', 'fortran_order': False, 'shape': ({shape}), }}", self.data.descr());
        let before = MAGIC.len() + 4;
        // With the closing end of line the data starts at a multiple of the alignment.
        let padding = ALIGNMENT - 1 - (before + header.len()) % ALIGNMENT;
        header.extend(std::iter::repeat_n(' ', padding));
        header.push('\n');
        header.into_bytes()
    }

    fn write(&self, writer: &mut impl Write) -> std::io::Result<()> {
        let header = self.header();
        let length = u16::try_from(header.len()).map_err(std::io::Error::other)?;
        writer.write_all(MAGIC)?;
        writer.write_all(&[1, 0])?;
        writer.write_all(&length.to_le_bytes())?;
        writer.write_all(&header)?;
        match &self.data {
            NpyData::F32(x) => x.iter().try_for_each(|x| writer.write_all(&x.to_le_bytes())),
            NpyData::F64(x) => x.iter().try_for_each(|x| writer.write_all(&x.to_le_bytes())),
            NpyData::I64(x) => x.iter().try_for_each(|x| writer.write_all(&x.to_le_bytes())),
        }
    }
}

/// Reads a `.npy` file.
pub fn read_npy(path: &Path) -> Result<NpyArray> {
    let bytes = squbed_files::read(path).map_err(Error::io("read", path))?;
    NpyArray::from_bytes(&bytes).map_err(|source| Error::Npy { path: path.to_owned(), source })
}

/// Writes a `.npy` file, which appears whole or not at all.
pub fn write_npy(path: &Path, array: &NpyArray) -> Result<()> {
    write_atomic_with(path, |writer| array.write(writer))
}

/// Bytes of an array, wide enough for any shape that a header can name.
fn bytes_of(shape: &[usize], item: usize) -> u128 {
    shape.iter().fold(item as u128, |bytes, &n| bytes.saturating_mul(n as u128))
}

/// The header: a dictionary as Python prints it.
struct Header {
    descr: String,
    fortran: bool,
    shape: Vec<usize>,
}

impl Header {
    fn parse(header: &[u8]) -> Result<Self, NpyError> {
        let text = std::str::from_utf8(header).map_err(|_| NpyError::Header {
            at: String::from_utf8_lossy(header).chars().take(40).collect(),
        })?;
        let mut rest = Literal(text);
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        rest.expect("{")?;
        while !rest.take("}") {
            let key = rest.string()?;
            rest.expect(":")?;
            match key {
                "descr" => descr = Some(rest.value()?.to_owned()),
                "fortran_order" => fortran = Some(rest.boolean()?),
                "shape" => shape = Some(rest.tuple()?),
                _ => return Err(rest.wrong()),
            }
            if !rest.take(",") {
                rest.expect("}")?;
                break;
            }
        }
        match (descr, fortran, shape, rest.0.trim()) {
            (Some(descr), Some(fortran), Some(shape), "") => Ok(Self { descr, fortran, shape }),
            _ => Err(rest.wrong()),
        }
    }
}

/// What is left of a Python literal.
struct Literal<'a>(&'a str);

impl<'a> Literal<'a> {
    fn wrong(&self) -> NpyError {
        NpyError::Header { at: self.0.trim().chars().take(40).collect() }
    }

    fn take(&mut self, token: &str) -> bool {
        match self.0.trim_start().strip_prefix(token) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &str) -> Result<(), NpyError> {
        if self.take(token) { Ok(()) } else { Err(self.wrong()) }
    }

    fn string(&mut self) -> Result<&'a str, NpyError> {
        let quote = if self.take("'") { '\'' } else { self.expect("\"").map(|()| '"')? };
        let (text, rest) = self.0.split_once(quote).ok_or_else(|| self.wrong())?;
        self.0 = rest;
        Ok(text)
    }

    /// A string, or the list of fields of a structured type, which is given as it stands.
    fn value(&mut self) -> Result<&'a str, NpyError> {
        let start = self.0.trim_start();
        if !start.starts_with('[') {
            return self.string();
        }
        let end = start.find("],").ok_or_else(|| self.wrong())?;
        let (list, rest) = start.split_at(end + 1);
        self.0 = rest;
        Ok(list)
    }

    fn boolean(&mut self) -> Result<bool, NpyError> {
        if self.take("True") {
            return Ok(true);
        }
        self.expect("False").map(|()| false)
    }

    fn tuple(&mut self) -> Result<Vec<usize>, NpyError> {
        self.expect("(")?;
        let mut numbers = Vec::new();
        while !self.take(")") {
            let start = self.0.trim_start();
            let end = start.find(|c: char| !c.is_ascii_digit()).unwrap_or(start.len());
            numbers.push(start[..end].parse().map_err(|_| self.wrong())?);
            self.0 = &start[end..];
            if !self.take(",") {
                self.expect(")")?;
                break;
            }
        }
        Ok(numbers)
    }
}
