//! A GGUF file: metadata and tensors, with errors that name file and key.

use std::{
    cell::RefCell,
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
};

use candle_core::{
    Device, Tensor,
    quantized::{
        QTensor,
        gguf_file::{Content, Value},
    },
};

use super::error::LlmError;

/// An open file (format: ggml-org/ggml, `docs/gguf.md`).
pub(super) struct Gguf {
    content: Content,
    reader: RefCell<BufReader<File>>,
    pub(super) path: PathBuf,
}

impl Gguf {
    pub(super) fn open(path: &Path) -> Result<Self, LlmError> {
        let path = path.to_owned();
        let file = File::open(&path).map_err(|source| LlmError::Io { file: path.clone(), source })?;
        let mut reader = BufReader::new(file);
        let content =
            Content::read(&mut reader).map_err(|source| LlmError::Gguf { file: path.clone(), source })?;
        Ok(Self { content, reader: RefCell::new(reader), path })
    }

    pub(super) fn value(&self, key: &str) -> Option<&Value> {
        self.content.metadata.get(key)
    }

    fn required<T>(&self, key: &str, read: impl Fn(&Value) -> Option<T>) -> Result<T, LlmError> {
        self.value(key)
            .and_then(read)
            .ok_or_else(|| LlmError::Metadata { file: self.path.clone(), key: key.to_owned() })
    }

    pub(super) fn text(&self, key: &str) -> Result<&str, LlmError> {
        match self.value(key) {
            Some(Value::String(text)) => Ok(text),
            _ => Err(LlmError::Metadata { file: self.path.clone(), key: key.to_owned() }),
        }
    }

    pub(super) fn number(&self, key: &str) -> Result<usize, LlmError> {
        self.required(key, whole)
    }

    pub(super) fn optional_number(&self, key: &str) -> Option<usize> {
        self.value(key).and_then(whole)
    }

    pub(super) fn real(&self, key: &str) -> Result<f64, LlmError> {
        self.required(key, |value| {
            value.to_f64().ok().or_else(|| value.to_f32().ok().map(f64::from)).filter(|x| x.is_finite())
        })
    }

    pub(super) fn array(&self, key: &str) -> Result<&[Value], LlmError> {
        match self.value(key) {
            Some(Value::Array(values)) => Ok(values),
            _ => Err(LlmError::Metadata { file: self.path.clone(), key: key.to_owned() }),
        }
    }

    pub(super) fn unsupported(&self, key: &str, value: &str, expected: &'static str) -> LlmError {
        LlmError::Unsupported {
            file: self.path.clone(),
            key: key.to_owned(),
            value: value.to_owned(),
            expected,
        }
    }

    pub(super) fn has(&self, tensor: &str) -> bool {
        self.content.tensor_infos.contains_key(tensor)
    }

    /// A tensor as the file holds it.
    pub(super) fn tensor(&self, name: &str, shape: &[usize], device: &Device) -> Result<QTensor, LlmError> {
        let tensor = self
            .content
            .tensor(&mut *self.reader.borrow_mut(), name, device)
            .map_err(|source| LlmError::Gguf { file: self.path.clone(), source })?;
        let actual = tensor.shape().dims();
        if actual != shape {
            return Err(LlmError::TensorShape {
                file: self.path.clone(),
                tensor: name.to_owned(),
                actual: actual.to_vec(),
                expected: shape.to_vec(),
            });
        }
        Ok(tensor)
    }

    /// A tensor in f32.
    pub(super) fn dense(&self, name: &str, shape: &[usize], device: &Device) -> Result<Tensor, LlmError> {
        Ok(self.tensor(name, shape, device)?.dequantize(device)?)
    }
}

/// Writers differ in the width of their whole numbers.
pub(super) fn whole(value: &Value) -> Option<usize> {
    match *value {
        Value::U8(x) => Some(x.into()),
        Value::U16(x) => Some(x.into()),
        Value::U32(x) => usize::try_from(x).ok(),
        Value::U64(x) => usize::try_from(x).ok(),
        Value::I8(x) => usize::try_from(x).ok(),
        Value::I16(x) => usize::try_from(x).ok(),
        Value::I32(x) => usize::try_from(x).ok(),
        Value::I64(x) => usize::try_from(x).ok(),
        _ => None,
    }
}
