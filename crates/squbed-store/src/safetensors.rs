//! Arrays from safetensors files.

use std::path::Path;

use ::safetensors::{Dtype, SafeTensors};

use crate::{
    error::{Error, Result},
    npy::{NpyArray, NpyData},
};

/// Reads the tensor `name` of a safetensors file, or its only one; F32, F64 or I64.
pub fn read_safetensors(path: &Path, name: Option<&str>) -> Result<NpyArray> {
    let bytes = squbed_files::read(path).map_err(Error::io("read", path))?;
    let damaged = |source| Error::Safetensors { path: path.to_owned(), source };
    let file = SafeTensors::deserialize(&bytes).map_err(damaged)?;
    let mut names: Vec<String> = file.names().into_iter().map(str::to_owned).collect();
    names.sort_unstable();
    let chosen = match (name, names.as_slice()) {
        (Some(name), names) => names.iter().find(|n| *n == name),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    let Some(chosen) = chosen else {
        let wanted = name.map(str::to_owned);
        return Err(Error::TensorName { path: path.to_owned(), wanted, names });
    };
    read_tensor(path, &file, chosen)
}

/// Reads all tensors of a safetensors file with their names, F32, F64 or I64, in the order of their names; numbers in
/// names count as numbers, so that `g2` comes before `g10`.
pub fn read_all_safetensors(path: &Path) -> Result<Vec<(String, NpyArray)>> {
    let bytes = squbed_files::read(path).map_err(Error::io("read", path))?;
    let damaged = |source| Error::Safetensors { path: path.to_owned(), source };
    let file = SafeTensors::deserialize(&bytes).map_err(damaged)?;
    let mut names: Vec<String> = file.names().into_iter().map(str::to_owned).collect();
    if names.is_empty() {
        return Err(Error::TensorName { path: path.to_owned(), wanted: None, names });
    }
    names.sort_by_cached_key(|name| natural_key(name));
    names.into_iter().map(|name| read_tensor(path, &file, &name).map(|array| (name, array))).collect()
}

/// Runs of digits as numbers, the characters between as they are; the name itself settles what is left, such as
/// leading zeros.
fn natural_key(name: &str) -> (Vec<(char, u128)>, String) {
    let mut key = Vec::new();
    let mut rest = name.chars().peekable();
    while let Some(c) = rest.next() {
        let Some(mut number) = c.to_digit(10).map(u128::from) else {
            key.push((c, 0));
            continue;
        };
        while let Some(digit) = rest.peek().and_then(|c| c.to_digit(10)) {
            number = number.saturating_mul(10).saturating_add(digit.into());
            rest.next();
        }
        // In the place that digits have among the characters.
        key.push(('0', number));
    }
    (key, name.to_owned())
}

fn read_tensor(path: &Path, file: &SafeTensors<'_>, chosen: &str) -> Result<NpyArray> {
    let tensor =
        file.tensor(chosen).map_err(|source| Error::Safetensors { path: path.to_owned(), source })?;
    let data = tensor.data();
    let data = match tensor.dtype() {
        Dtype::F32 => NpyData::F32(data.as_chunks().0.iter().map(|&x| f32::from_le_bytes(x)).collect()),
        Dtype::F64 => NpyData::F64(data.as_chunks().0.iter().map(|&x| f64::from_le_bytes(x)).collect()),
        Dtype::I64 => NpyData::I64(data.as_chunks().0.iter().map(|&x| i64::from_le_bytes(x)).collect()),
        dtype => {
            let (path, name) = (path.to_owned(), chosen.to_owned());
            return Err(Error::TensorType { path, name, dtype: format!("{dtype:?}") });
        }
    };
    // The file's own check of offsets against shapes makes this hold.
    NpyArray::new(tensor.shape().to_vec(), data)
        .map_err(|source| Error::Npy { path: path.to_owned(), source })
}
