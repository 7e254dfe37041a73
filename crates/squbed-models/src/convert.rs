//! Published weights brought to safetensors.

use std::collections::BTreeMap;

use safetensors::tensor::{Dtype, SafeTensorError, TensorView};

use crate::{
    manifest::Conversion,
    pickle::{Element, PickleError, read_arrays},
};

/// Why weights cannot be converted.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// The pickle is refused.
    #[error("the pickle is refused")]
    Pickle(#[from] PickleError),
    /// Two arrays would get one name.
    #[error("two arrays are named `{name}`")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// The tensors cannot be written.
    #[error("the tensors cannot be written")]
    Write(#[from] SafeTensorError),
}

/// Converts a file's content. The result depends on the content alone, byte for byte.
pub fn convert(conversion: Conversion, bytes: &[u8]) -> Result<Vec<u8>, ConvertError> {
    match conversion {
        // A checkpoint of PyTorch keeps its names; until it is read here, it is refused as a pickle.
        Conversion::I3dJax | Conversion::Torch => pickle_to_safetensors(bytes),
    }
}

/// Keys are joined by `.`; flax's own `/` within a key becomes `.` too, so that
/// `params → Mixed_3b → Branch_0/Conv3d_0a_1x1 → Conv_0 → kernel` is
/// `params.Mixed_3b.Branch_0.Conv3d_0a_1x1.Conv_0.kernel`. Layouts stay as they are.
fn pickle_to_safetensors(bytes: &[u8]) -> Result<Vec<u8>, ConvertError> {
    let mut tensors = BTreeMap::new();
    for (keys, array) in read_arrays(bytes)? {
        let dtype = match array.element {
            Element::F16 => Dtype::F16,
            Element::F32 => Dtype::F32,
            Element::F64 => Dtype::F64,
            Element::I32 => Dtype::I32,
            Element::I64 => Dtype::I64,
            Element::U8 => Dtype::U8,
        };
        let name = keys.join(".").replace('/', ".");
        let view = TensorView::new(dtype, array.shape, array.data)?;
        if tensors.insert(name.clone(), view).is_some() {
            return Err(ConvertError::Duplicate { name });
        }
    }
    Ok(safetensors::serialize(tensors, None)?)
}
