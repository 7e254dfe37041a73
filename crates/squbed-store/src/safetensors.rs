//! Arrays from safetensors files.

use std::{fs, path::Path};

use ::safetensors::{Dtype, SafeTensors};

use crate::{
    error::{Error, Result},
    npy::{NpyArray, NpyData},
};

/// Reads the tensor `name` of a safetensors file, or its only one; F32, F64 or I64.
pub fn read_safetensors(path: &Path, name: Option<&str>) -> Result<NpyArray> {
    let bytes = fs::read(path).map_err(Error::io("read", path))?;
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
    let tensor = file.tensor(chosen).map_err(damaged)?;
    let data = tensor.data();
    let data = match tensor.dtype() {
        Dtype::F32 => NpyData::F32(data.as_chunks().0.iter().map(|&x| f32::from_le_bytes(x)).collect()),
        Dtype::F64 => NpyData::F64(data.as_chunks().0.iter().map(|&x| f64::from_le_bytes(x)).collect()),
        Dtype::I64 => NpyData::I64(data.as_chunks().0.iter().map(|&x| i64::from_le_bytes(x)).collect()),
        dtype => {
            let (path, name) = (path.to_owned(), chosen.clone());
            return Err(Error::TensorType { path, name, dtype: format!("{dtype:?}") });
        }
    };
    // The file's own check of offsets against shapes makes this hold.
    NpyArray::new(tensor.shape().to_vec(), data)
        .map_err(|source| Error::Npy { path: path.to_owned(), source })
}
