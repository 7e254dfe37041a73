//! How numpy's arrays are pickled.

use std::borrow::Cow;

use super::{
    PickleError,
    machine::{Machine, Object, Ref},
    names::Global,
};

/// Dimensions of an array; numpy and PyTorch admit 64.
pub(super) const MAX_RANK: usize = 64;

/// The type of an array's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// IEEE binary16.
    F16,
    /// bfloat16: the upper half of a binary32.
    BF16,
    /// IEEE binary32.
    F32,
    /// IEEE binary64.
    F64,
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
    /// 16-bit integer.
    I16,
    /// 8-bit integer.
    I8,
    /// Byte.
    U8,
    /// Truth value, a byte of 0 or 1.
    Bool,
}

impl Element {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Self::U8 | Self::I8 | Self::Bool => 1,
            Self::F16 | Self::BF16 | Self::I16 => 2,
            Self::F32 | Self::I32 => 4,
            Self::F64 | Self::I64 => 8,
        }
    }

    /// The type of numpy's short name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "b1" => Self::Bool,
            "i1" => Self::I8,
            "i2" => Self::I16,
            "u1" => Self::U8,
            "f2" => Self::F16,
            "f4" => Self::F32,
            "f8" => Self::F64,
            "i4" => Self::I32,
            "i8" => Self::I64,
            _ => return None,
        })
    }
}

/// numpy's dtype; its byte order comes in a second step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dtype {
    /// None for arrays of Python's objects.
    element: Option<Element>,
    little_endian: bool,
}

/// An array in C order, little-endian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Array<'a> {
    /// Type of the elements.
    pub element: Element,
    /// Lengths of the dimensions.
    pub shape: Vec<usize>,
    /// The elements.
    pub data: Cow<'a, [u8]>,
}

impl<'a> Machine<'a> {
    /// What a call of one of numpy's names stands for.
    pub(super) fn numpy_call(&self, function: Global, arguments: Ref) -> Result<Object<'a>, PickleError> {
        match (function, self.tuple(arguments)?) {
            // (ndarray, (0,), b"b"): the state brings the rest.
            (Global::Reconstruct, &[class, _, _])
                if matches!(self.object(class), Object::Global(Global::Ndarray)) =>
            {
                Ok(Object::Array(None))
            }
            // ("f4", align, copy)
            (Global::Dtype, &[name, _, _]) => match self.object(name) {
                Object::Text("O" | "O8") => Ok(Object::Dtype(Dtype { element: None, little_endian: true })),
                &Object::Text(name) => {
                    let element = Element::named(name)
                        .ok_or_else(|| PickleError::Dtype { at: self.began(), dtype: name.to_owned() })?;
                    Ok(Object::Dtype(Dtype { element: Some(element), little_endian: true }))
                }
                _ => Err(self.kind("the name of a type")),
            },
            (Global::Scalar, &[dtype, bytes]) => {
                self.check_array(&[], dtype, bytes).map(|array| Object::Array(Some(array)))
            }
            _ => Err(self.kind("the arguments of one of numpy's functions")),
        }
    }

    /// Gives the object below the top of the stack the state on the top.
    pub(super) fn build(&mut self) -> Result<bool, PickleError> {
        let [state] = self.pop()?;
        let target = self.top()?;
        let built = match self.object(target) {
            Object::Array(None) => self.array_state(state)?,
            // An ordered dict's attributes, torch's `_metadata`; no tensor is among them.
            Object::Dict(_) => return Ok(true),
            Object::Dtype(dtype) => Object::Dtype(self.dtype_state(*dtype, state)?),
            _ => return Err(self.kind("an array or a type to fill")),
        };
        *self.object_mut(target) = built;
        Ok(true)
    }

    /// (version, shape, dtype, column-major, bytes)
    fn array_state(&mut self, state: Ref) -> Result<Object<'a>, PickleError> {
        let &[_, shape, dtype, column_major, bytes] = self.tuple(state)? else {
            return Err(self.kind("the five parts of an array"));
        };
        match self.object(column_major) {
            Object::Bool(false) => {}
            Object::Bool(true) => {
                return Err(PickleError::Order { at: self.began(), order: "in column-major order" });
            }
            _ => return Err(self.kind("the order of an array's elements")),
        }
        let shape = self.tuple(shape)?;
        if shape.len() > MAX_RANK {
            return Err(self.kind("at most 64 dimensions"));
        }
        let shape = shape.iter().map(|&dim| match *self.object(dim) {
            Object::Int(dim) => Ok(dim),
            _ => Err(self.kind("a shape of whole numbers")),
        });
        let shape = shape.collect::<Result<Vec<_>, _>>()?;
        match (self.object(dtype), self.object(bytes)) {
            // An array of objects is what it holds; one without dimensions is its only object.
            (Object::Dtype(Dtype { element: None, .. }), Object::List(items)) => {
                let held = match (shape.as_slice(), items.as_slice()) {
                    ([], &[only]) => only,
                    _ => bytes,
                };
                self.copy(held)
            }
            _ => Ok(Object::Array(Some(self.check_array(&shape, dtype, bytes)?))),
        }
    }

    fn check_array(&self, dims: &[i64], dtype: Ref, bytes: Ref) -> Result<Array<'a>, PickleError> {
        let (dtype, element) = match *self.object(dtype) {
            Object::Dtype(dtype @ Dtype { element: Some(element), .. }) => (dtype, element),
            _ => return Err(self.kind("a type of numbers")),
        };
        let data = match *self.object(bytes) {
            Object::Bytes(data) => data,
            Object::Text(data) => data.as_bytes(),
            _ => return Err(self.kind("bytes")),
        };
        if !dtype.little_endian {
            return Err(PickleError::Order { at: self.began(), order: "big-endian" });
        }
        let wrong = || PickleError::Shape { at: self.began(), shape: dims.to_vec(), bytes: data.len() };
        let shape: Vec<usize> =
            dims.iter().map(|&d| usize::try_from(d)).collect::<Result<_, _>>().map_err(|_| wrong())?;
        let needed = shape.iter().try_fold(element.size(), |size, &dim| size.checked_mul(dim));
        match needed {
            Some(needed) if needed == data.len() => Ok(Array { element, shape, data: Cow::Borrowed(data) }),
            _ => Err(wrong()),
        }
    }

    /// (version, byte order, …)
    fn dtype_state(&self, dtype: Dtype, state: Ref) -> Result<Dtype, PickleError> {
        let order = self.tuple(state)?.get(1).map(|&order| self.object(order));
        match order {
            Some(Object::Text("<" | "|")) => Ok(Dtype { little_endian: true, ..dtype }),
            Some(Object::Text(">")) => Ok(Dtype { little_endian: false, ..dtype }),
            _ => Err(self.kind("a byte order")),
        }
    }
}
