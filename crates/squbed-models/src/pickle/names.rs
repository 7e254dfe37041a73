//! The names that a pickle of tensors may use. Each stands for a value of this reader; none is run.

use super::{
    PickleError,
    machine::{Machine, Object, Ref},
    numpy::Element,
};

/// What may be named in a pickle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
    /// `numpy.core.multiarray._reconstruct`: an empty array, to be filled.
    Reconstruct,
    /// `numpy.core.multiarray.scalar`: a number with its type.
    Scalar,
    /// `numpy.ndarray`.
    Ndarray,
    /// `numpy.dtype`.
    Dtype,
    /// `collections.OrderedDict`, which a state dict is.
    OrderedDict,
    /// `torch._utils._rebuild_tensor` and `_rebuild_tensor_v2`: a part of a storage, with a shape.
    RebuildTensor,
    /// `torch._utils._rebuild_parameter`: a tensor that is trained.
    RebuildParameter,
    /// `torch.Size`.
    Size,
    /// `torch.FloatStorage` and its siblings: the type of a storage's elements.
    Storage(Element),
}

impl<'a> Machine<'a> {
    /// numpy 2 renamed `numpy.core` to `numpy._core`.
    pub(super) fn global(&self, module: &str, name: &str) -> Result<Object<'a>, PickleError> {
        Ok(Object::Global(match (module, name) {
            ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => Global::Reconstruct,
            ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") => Global::Scalar,
            ("numpy", "ndarray") => Global::Ndarray,
            ("numpy", "dtype") => Global::Dtype,
            ("collections", "OrderedDict") => Global::OrderedDict,
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Global::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Global::RebuildParameter,
            ("torch", "Size") => Global::Size,
            ("torch", "DoubleStorage") => Global::Storage(Element::F64),
            ("torch", "FloatStorage") => Global::Storage(Element::F32),
            ("torch", "HalfStorage") => Global::Storage(Element::F16),
            ("torch", "BFloat16Storage") => Global::Storage(Element::BF16),
            ("torch", "LongStorage") => Global::Storage(Element::I64),
            ("torch", "IntStorage") => Global::Storage(Element::I32),
            ("torch", "ShortStorage") => Global::Storage(Element::I16),
            ("torch", "CharStorage") => Global::Storage(Element::I8),
            ("torch", "ByteStorage") => Global::Storage(Element::U8),
            ("torch", "BoolStorage") => Global::Storage(Element::Bool),
            _ => {
                let (module, name) = (module.to_owned(), name.to_owned());
                return Err(PickleError::Global { at: self.began(), module, name });
            }
        }))
    }

    /// What a call of one of the names stands for.
    pub(super) fn reduce(&mut self, function: Ref, arguments: Ref) -> Result<Object<'a>, PickleError> {
        let Object::Global(function) = *self.object(function) else {
            return Err(self.kind("a function that makes tensors"));
        };
        match function {
            Global::Reconstruct | Global::Scalar | Global::Ndarray | Global::Dtype => {
                self.numpy_call(function, arguments)
            }
            Global::OrderedDict => self.ordered_dict(arguments),
            Global::RebuildTensor | Global::RebuildParameter | Global::Size => {
                self.torch_call(function, arguments)
            }
            Global::Storage(_) => Err(self.kind("a function, not the type of a storage")),
        }
    }

    /// `OrderedDict()`, or, as Python 2 writes it, `OrderedDict([[key, value], …])`.
    fn ordered_dict(&mut self, arguments: Ref) -> Result<Object<'a>, PickleError> {
        match *self.tuple(arguments)? {
            [] => Ok(Object::Dict(Vec::new())),
            [pairs] => {
                self.charge(self.items(pairs)?.len())?;
                let pair = |&pair: &Ref| match *self.items(pair)? {
                    [key, value] => Ok((key, value)),
                    _ => Err(self.kind("pairs of key and value")),
                };
                self.items(pairs)?.iter().map(pair).collect::<Result<_, _>>().map(Object::Dict)
            }
            _ => Err(self.kind("one list of pairs")),
        }
    }

    /// A dict or a list once more.
    pub(super) fn copy(&mut self, from: Ref) -> Result<Object<'a>, PickleError> {
        match self.object(from) {
            Object::Dict(entries) => self.charge(entries.len())?,
            Object::List(items) => self.charge(items.len())?,
            _ => {}
        }
        match self.object(from) {
            Object::Dict(entries) => Ok(Object::Dict(entries.clone())),
            Object::List(items) => Ok(Object::List(items.clone())),
            _ => Err(self.kind("a dict or a list")),
        }
    }
}
