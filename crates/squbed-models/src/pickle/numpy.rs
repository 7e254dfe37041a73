//! The names that numpy's arrays are pickled with.

use super::{
    PickleError,
    machine::{Machine, Object, Ref},
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
}

/// The type of an array's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// IEEE binary16.
    F16,
    /// IEEE binary32.
    F32,
    /// IEEE binary64.
    F64,
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
    /// Byte.
    U8,
}

impl Element {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::F16 => 2,
            Self::F32 | Self::I32 => 4,
            Self::F64 | Self::I64 => 8,
        }
    }

    fn named(name: &str) -> Option<Self> {
        Some(match name {
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
    element: Element,
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
    pub data: &'a [u8],
}

impl<'a> Machine<'a> {
    /// numpy 2 renamed `numpy.core` to `numpy._core`.
    pub(super) fn global(&self, module: &str, name: &str) -> Result<Object<'a>, PickleError> {
        Ok(Object::Global(match (module, name) {
            ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => Global::Reconstruct,
            ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") => Global::Scalar,
            ("numpy", "ndarray") => Global::Ndarray,
            ("numpy", "dtype") => Global::Dtype,
            _ => {
                let (module, name) = (module.to_owned(), name.to_owned());
                return Err(PickleError::Global { at: self.began(), module, name });
            }
        }))
    }

    /// What a call of one of the names stands for.
    pub(super) fn reduce(&self, function: Ref, arguments: Ref) -> Result<Object<'a>, PickleError> {
        let Object::Global(function) = self.object(function) else {
            return Err(self.kind("one of numpy's functions"));
        };
        match (function, self.tuple(arguments)?) {
            // (ndarray, (0,), b"b"): the state brings the rest.
            (Global::Reconstruct, &[class, _, _])
                if matches!(self.object(class), Object::Global(Global::Ndarray)) =>
            {
                Ok(Object::Array(None))
            }
            // ("f4", align, copy)
            (Global::Dtype, &[name, _, _]) => match self.object(name) {
                &Object::Text(name) => {
                    let element = Element::named(name)
                        .ok_or_else(|| PickleError::Dtype { at: self.began(), dtype: name.to_owned() })?;
                    Ok(Object::Dtype(Dtype { element, little_endian: true }))
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
            Object::Array(None) => Object::Array(Some(self.array_state(state)?)),
            Object::Dtype(dtype) => Object::Dtype(self.dtype_state(*dtype, state)?),
            _ => return Err(self.kind("an array or a type to fill")),
        };
        *self.object_mut(target) = built;
        Ok(true)
    }

    /// (version, shape, dtype, column-major, bytes)
    fn array_state(&self, state: Ref) -> Result<Array<'a>, PickleError> {
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
        let shape = self.tuple(shape)?.iter().map(|&dim| match *self.object(dim) {
            Object::Int(dim) => Ok(dim),
            _ => Err(self.kind("a shape of whole numbers")),
        });
        self.check_array(&shape.collect::<Result<Vec<_>, _>>()?, dtype, bytes)
    }

    fn check_array(&self, dims: &[i64], dtype: Ref, bytes: Ref) -> Result<Array<'a>, PickleError> {
        let (&Object::Dtype(dtype), &Object::Bytes(data)) = (self.object(dtype), self.object(bytes)) else {
            return Err(self.kind("a type and bytes"));
        };
        if !dtype.little_endian {
            return Err(PickleError::Order { at: self.began(), order: "big-endian" });
        }
        let wrong = || PickleError::Shape { at: self.began(), shape: dims.to_vec(), bytes: data.len() };
        let shape: Vec<usize> =
            dims.iter().map(|&d| usize::try_from(d)).collect::<Result<_, _>>().map_err(|_| wrong())?;
        let needed = shape.iter().try_fold(dtype.element.size(), |size, &dim| size.checked_mul(dim));
        match needed {
            Some(needed) if needed == data.len() => Ok(Array { element: dtype.element, shape, data }),
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
