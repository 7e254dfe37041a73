//! Weights in the forms in which they are published, brought to safetensors.
//!
//! | form | recognised by |
//! | --- | --- |
//! | shards of safetensors | the name `*.index.json`; the shards lie beside it |
//! | safetensors | a header that fits the file; its first bytes, a length, may be those of any other form |
//! | PyTorch, zip | `PK` |
//! | PyTorch, legacy | the number that it begins with |
//! | numpy's `.npy`: one array, or a dict of arrays | `\x93NUMPY` |
//! | a pickle of nested dicts of numpy arrays | a pickle's first byte; those of protocols 0 and 1 have none and are refused |

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use safetensors::{
    SafeTensors,
    tensor::{Dtype, SafeTensorError, TensorView},
};
use serde::Deserialize;

use crate::{
    error::Error,
    npy::{NpyError, read_npy},
    pickle::{Array, Element, PickleError, is_legacy, read_arrays, read_torch, refuse_old},
};

/// Why weights cannot be converted.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// The pickle is refused.
    #[error("the pickle is refused")]
    Pickle(#[from] PickleError),
    /// The array is refused.
    #[error("the array is refused")]
    Npy(#[from] NpyError),
    /// The file is no safetensors file, or is cut short.
    #[error("it is no whole safetensors file, nor a checkpoint of PyTorch or numpy")]
    Safetensors(#[source] SafeTensorError),
    /// Two arrays would get one name.
    #[error("two arrays are named `{name}`")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// Nothing in it is a tensor.
    #[error("no tensor is in it")]
    Empty,
    /// The index of shards cannot be read.
    #[error("the index of its shards cannot be read")]
    Index(#[source] serde_json::Error),
    /// A shard outside of the index's folder.
    #[error("the index names the shard `{shard}`; shards lie beside it")]
    ShardName {
        /// The shard.
        shard: String,
    },
    /// A shard that cannot be read.
    #[error("the shard {file} cannot be read", file = file.display())]
    ShardUnreadable {
        /// The shard.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A shard that is no safetensors file, or is cut short.
    #[error("the shard {file} is no whole safetensors file", file = file.display())]
    Shard {
        /// The shard.
        file: PathBuf,
        /// What is wrong with it.
        source: SafeTensorError,
    },
    /// A shard without a tensor that the index promises.
    #[error("the shard `{shard}` has no tensor `{name}`, which the index says is there")]
    ShardTensor {
        /// The shard.
        shard: String,
        /// The tensor.
        name: String,
    },
    /// The tensors cannot be written.
    #[error("the tensors cannot be written")]
    Write(#[source] SafeTensorError),
}

/// A file of weights brought to safetensors.
#[derive(Debug)]
pub struct Converted {
    /// The safetensors file; it depends on the content of what was read alone, byte for byte.
    pub bytes: Vec<u8>,
    /// Names of what the file holds besides tensors, or beside its state dict.
    pub left_out: Vec<String>,
}

/// A tensor of a file, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its name.
    pub name: String,
    /// Type of its elements, as safetensors names it.
    pub dtype: String,
    /// Lengths of its dimensions.
    pub shape: Vec<usize>,
}

/// Reads a file of weights in any of the forms above. Layouts stay as they are; the name of an array in a `.npy`
/// is the file's.
///
/// # Errors
///
/// [`Error::Io`], [`Error::Convert`].
pub fn read_checkpoint(path: &Path) -> Result<Converted, Error> {
    let bytes = squbed_files::read(path).map_err(Error::io("read", path))?;
    let refused = |source| Error::Convert { file: path.to_path_buf(), source };
    from_bytes(path, bytes).map_err(refused)
}

/// The tensors of a safetensors file.
///
/// # Errors
///
/// [`ConvertError::Safetensors`].
pub fn tensors_of(safetensors: &[u8]) -> Result<Vec<TensorInfo>, ConvertError> {
    let (_, metadata) = SafeTensors::read_metadata(safetensors).map_err(ConvertError::Safetensors)?;
    let info = |name: String| {
        let info = metadata.info(&name)?;
        Some(TensorInfo { dtype: info.dtype.to_string(), shape: info.shape.clone(), name })
    };
    let names: BTreeSet<String> = metadata.offset_keys().into_iter().collect();
    Ok(names.into_iter().filter_map(info).collect())
}

/// As [`read_checkpoint`], of a file whose content is at hand.
pub(crate) fn from_bytes(path: &Path, bytes: Vec<u8>) -> Result<Converted, ConvertError> {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    if name.ends_with(".index.json") {
        return merge(path, &bytes);
    }
    let Err(no_safetensors) = SafeTensors::read_metadata(&bytes) else {
        return Ok(Converted { bytes, left_out: Vec::new() });
    };
    if bytes.starts_with(b"PK") || is_legacy(&bytes) {
        return torch(&bytes);
    }
    if bytes.starts_with(b"\x93NUMPY") {
        let stem = path.file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default();
        return serialize(read_npy(&bytes, &stem)?, Vec::new());
    }
    if bytes.starts_with(b"\x80") {
        return numpy_pickle(&bytes);
    }
    Err(refuse_old(&bytes).map_or(ConvertError::Safetensors(no_safetensors), ConvertError::from))
}

/// A checkpoint of PyTorch, in either form.
pub(crate) fn torch(bytes: &[u8]) -> Result<Converted, ConvertError> {
    let found = read_torch(bytes)?;
    serialize(found.tensors, found.left_out)
}

/// A pickle of nested dicts of numpy arrays. flax's own `/` within a key becomes `.` too, so that
/// `params → Mixed_3b → Branch_0/Conv3d_0a_1x1 → Conv_0 → kernel` is
/// `params.Mixed_3b.Branch_0.Conv3d_0a_1x1.Conv_0.kernel`.
pub(crate) fn numpy_pickle(bytes: &[u8]) -> Result<Converted, ConvertError> {
    let arrays = read_arrays(bytes)?.into_iter().map(|(name, array)| (name.replace('/', "."), array));
    serialize(arrays.collect(), Vec::new())
}

fn serialize(arrays: Vec<(String, Array<'_>)>, left_out: Vec<String>) -> Result<Converted, ConvertError> {
    if arrays.is_empty() {
        return Err(ConvertError::Empty);
    }
    let mut tensors = BTreeMap::new();
    for (name, array) in &arrays {
        let view = TensorView::new(dtype(array.element), array.shape.clone(), &array.data);
        if tensors.insert(name.as_str(), view.map_err(ConvertError::Write)?).is_some() {
            return Err(ConvertError::Duplicate { name: name.clone() });
        }
    }
    let bytes = safetensors::serialize(tensors, None).map_err(ConvertError::Write)?;
    Ok(Converted { bytes, left_out })
}

fn dtype(element: Element) -> Dtype {
    match element {
        Element::F16 => Dtype::F16,
        Element::BF16 => Dtype::BF16,
        Element::F32 => Dtype::F32,
        Element::F64 => Dtype::F64,
        Element::I8 => Dtype::I8,
        Element::I16 => Dtype::I16,
        Element::I32 => Dtype::I32,
        Element::I64 => Dtype::I64,
        Element::U8 => Dtype::U8,
        Element::Bool => Dtype::BOOL,
    }
}

/// `model.safetensors.index.json`: which shard holds which tensor.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// Joins the shards of an index.
fn merge(path: &Path, index: &[u8]) -> Result<Converted, ConvertError> {
    let Index { weight_map } = serde_json::from_slice(index).map_err(ConvertError::Index)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut shards = BTreeMap::new();
    for shard in weight_map.values().collect::<BTreeSet<_>>() {
        if shard.is_empty() || shard == ".." || shard.contains(['/', '\\', ':', '\0']) {
            return Err(ConvertError::ShardName { shard: shard.clone() });
        }
        let file = folder.join(shard);
        let bytes = squbed_files::read(&file)
            .map_err(|source| ConvertError::ShardUnreadable { file: file.clone(), source })?;
        shards.insert(shard.as_str(), (file, bytes));
    }
    let mut opened = BTreeMap::new();
    for (&shard, (file, bytes)) in &shards {
        let tensors = SafeTensors::deserialize(bytes)
            .map_err(|source| ConvertError::Shard { file: file.clone(), source })?;
        opened.insert(shard, tensors);
    }
    let mut tensors: BTreeMap<&str, TensorView<'_>> = BTreeMap::new();
    for (name, shard) in &weight_map {
        let found = opened.get(shard.as_str()).and_then(|tensors| tensors.tensor(name).ok());
        let missing = || ConvertError::ShardTensor { shard: shard.clone(), name: name.clone() };
        tensors.insert(name, found.ok_or_else(missing)?);
    }
    if tensors.is_empty() {
        return Err(ConvertError::Empty);
    }
    let bytes = safetensors::serialize(tensors, None).map_err(ConvertError::Write)?;
    Ok(Converted { bytes, left_out: Vec::new() })
}

/// An array whose elements are copied in row-major order from column-major `data`.
pub(crate) fn row_major(shape: &[usize], size: usize, data: &[u8]) -> Cow<'static, [u8]> {
    // Beside a dimension of no length the others may be of any, and have no product.
    if data.is_empty() {
        return Cow::Borrowed(&[]);
    }
    let mut out = vec![0; data.len()];
    // The position in `out` of each element of `data`, whose first dimension is the fastest.
    let mut strides = vec![1; shape.len()];
    for d in (1..shape.len()).rev() {
        strides[d - 1] = strides[d] * shape[d];
    }
    let mut index = vec![0; shape.len()];
    for element in data.chunks_exact(size) {
        let at: usize = index.iter().zip(&strides).map(|(i, stride)| i * stride).sum::<usize>() * size;
        out[at..at + size].copy_from_slice(element);
        for (i, dim) in index.iter_mut().zip(shape) {
            *i += 1;
            if *i < *dim {
                break;
            }
            *i = 0;
        }
    }
    Cow::Owned(out)
}
