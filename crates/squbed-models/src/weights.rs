//! Tensors of a safetensors file, by name and shape.

use std::{fs, path::PathBuf};

use candle_core::{DType, Device, Tensor};
use safetensors::{Dtype, SafeTensors, tensor::Metadata};

use crate::{digest::sha256, error::Error, store::Content};

/// A safetensors file begins with the length of its header.
const LENGTH_BYTES: usize = 8;

/// A safetensors file in memory. What a network asks of it is checked by name, shape, kind and finiteness,
/// and errors name the file.
pub struct Weights {
    content: Content,
    metadata: Metadata,
    /// Where the header ends and the tensors begin.
    start: usize,
}

impl Weights {
    /// Reads a file that no manifest describes.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        let bytes = fs::read(&path).map_err(Error::io("read", &path))?;
        let sha256 = sha256(&bytes);
        Self::new(Content { path, bytes, sha256 })
    }

    pub(crate) fn new(content: Content) -> Result<Self, Error> {
        let (header, metadata) = SafeTensors::read_metadata(&content.bytes)
            .map_err(|source| Error::Safetensors { file: content.path.clone(), source })?;
        Ok(Self { start: LENGTH_BYTES + header, metadata, content })
    }

    /// SHA-256 of the file.
    pub fn sha256(&self) -> &str {
        &self.content.sha256
    }

    /// Names of all tensors, in the order of their data.
    pub fn names(&self) -> Vec<String> {
        self.metadata.offset_keys()
    }

    /// Whether a tensor of this name is there.
    pub fn contains(&self, name: &str) -> bool {
        self.metadata.info(name).is_some()
    }

    /// The shape of a tensor, if it is there.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.metadata.info(name).map(|info| info.shape.as_slice())
    }

    /// The elements of a tensor of floating-point numbers as f64, in row-major order.
    pub fn f64(&self, name: &str, shape: &[usize]) -> Result<Vec<f64>, Error> {
        self.tensor(name, shape, &Device::Cpu, DType::F64)?.flatten_all()?.to_vec1().map_err(Error::from)
    }

    /// A tensor of floating-point numbers.
    pub fn tensor(
        &self,
        name: &str,
        shape: &[usize],
        device: &Device,
        dtype: DType,
    ) -> Result<Tensor, Error> {
        let file = || self.content.path.clone();
        let info = self.metadata.info(name).ok_or_else(|| Error::MissingTensor {
            file: file(),
            tensor: name.to_owned(),
            expected: shape.to_vec(),
        })?;
        if info.shape != shape {
            return Err(Error::TensorShape {
                file: file(),
                tensor: name.to_owned(),
                expected: shape.to_vec(),
                actual: info.shape.clone(),
            });
        }
        let stored = match info.dtype {
            Dtype::F16 => DType::F16,
            Dtype::BF16 => DType::BF16,
            Dtype::F32 => DType::F32,
            Dtype::F64 => DType::F64,
            other => {
                let dtype = format!("{other:?}");
                return Err(Error::TensorDtype { file: file(), tensor: name.to_owned(), dtype });
            }
        };
        // The header was checked against the file's length.
        let (from, to) = info.data_offsets;
        let data = &self.content.bytes[self.start + from..self.start + to];
        if !finite(data, stored) {
            return Err(Error::TensorNotFinite { file: file(), tensor: name.to_owned() });
        }
        Ok(Tensor::from_raw_buffer(data, stored, shape, &Device::Cpu)?.to_dtype(dtype)?.to_device(device)?)
    }
}

/// An exponent of ones means infinity or NaN; it lies in the top two bytes of an element.
fn finite(data: &[u8], dtype: DType) -> bool {
    let exponent = match dtype {
        DType::F16 => 0x7c00,
        DType::F64 => 0x7ff0,
        _ => 0x7f80,
    };
    let size = dtype.size_in_bytes();
    data.chunks_exact(size).all(|element| {
        let top = u16::from_le_bytes([element[size - 2], element[size - 1]]);
        top & exponent != exponent
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use safetensors::tensor::TensorView;

    use super::*;

    fn file(name: &str, dtype: Dtype, shape: &[usize], data: &[u8]) -> Vec<u8> {
        let view = TensorView::new(dtype, shape.to_vec(), data).unwrap();
        safetensors::serialize(BTreeMap::from([(name, view)]), None).unwrap()
    }

    fn weights(bytes: Vec<u8>) -> Result<Weights, Error> {
        Weights::new(Content { path: "w.safetensors".into(), sha256: sha256(&bytes), bytes })
    }

    fn message(bytes: Vec<u8>, name: &str, shape: &[usize]) -> String {
        weights(bytes).unwrap().tensor(name, shape, &Device::Cpu, DType::F32).unwrap_err().to_string()
    }

    #[test]
    fn tensors_are_read_by_name_and_shape() {
        let data: Vec<u8> = [1f32, -2.5].iter().flat_map(|x| x.to_le_bytes()).collect();
        let w = weights(file("a", Dtype::F32, &[2, 1], &data)).unwrap();
        assert_eq!(w.f64("a", &[2, 1]).unwrap(), [1.0, -2.5]);
        assert!(w.contains("a") && !w.contains("b"));
    }

    #[test]
    fn a_missing_tensor_is_named_with_its_shape() {
        assert_eq!(
            message(file("a", Dtype::F32, &[1], &[0; 4]), "b", &[3, 2]),
            "w.safetensors has no tensor `b` of shape [3, 2]"
        );
    }

    #[test]
    fn a_wrong_shape_is_named_with_both() {
        assert_eq!(
            message(file("a", Dtype::F32, &[1], &[0; 4]), "a", &[2]),
            "w.safetensors: tensor `a` has shape [1], not [2]"
        );
    }

    #[test]
    fn whole_numbers_and_numbers_that_are_not_finite_are_refused() {
        assert_eq!(
            message(file("a", Dtype::I32, &[1], &[0; 4]), "a", &[1]),
            "w.safetensors: tensor `a` holds I32, not floating-point numbers"
        );
        for (dtype, bytes) in [
            (Dtype::F32, f32::NAN.to_le_bytes().to_vec()),
            (Dtype::F64, f64::NEG_INFINITY.to_le_bytes().to_vec()),
            (Dtype::F16, half::f16::INFINITY.to_le_bytes().to_vec()),
            (Dtype::BF16, half::bf16::NAN.to_le_bytes().to_vec()),
        ] {
            let message = message(file("a", dtype, &[1], &bytes), "a", &[1]);
            assert_eq!(message, "w.safetensors: tensor `a` holds numbers that are not finite");
        }
        assert!(finite(&f32::MAX.to_le_bytes(), DType::F32));
    }

    #[test]
    fn a_file_cut_anywhere_is_refused() {
        let whole = file("a", Dtype::F32, &[2], &[0; 8]);
        for end in 0..whole.len() {
            let error = weights(whole[..end].to_vec()).err().expect("a cut file");
            assert_eq!(error.to_string(), "w.safetensors is not a whole safetensors file");
        }
    }
}
