//! A restricted reader of pickles: nested dicts of numpy arrays and nothing else.
//!
//! A pickle is a program for a small stack machine that may name any function of the machine it runs
//! on. This reader knows the opcodes that dicts of arrays need, resolves the four names that numpy's
//! arrays are made with to values of its own, and refuses everything else. Nothing is run, every
//! length is checked against the input before it is used, and arrays borrow from the input.
//!
//! The opcodes are documented in CPython's `Lib/pickletools.py`; the shape of an array's state in
//! numpy's `ndarray.__setstate__`.

mod machine;
mod numpy;
#[cfg(test)]
mod tests;

pub use numpy::{Array, Element};

use machine::{Machine, Object, Ref};

/// Dicts within dicts; published checkpoints have about five.
const MAX_DEPTH: usize = 32;

/// Why a pickle is refused. `at` counts bytes from the start of the file.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PickleError {
    /// The file ends within an instruction.
    #[error("it ends at byte {at}, where {needed} more are needed")]
    Truncated {
        /// Where the missing bytes begin.
        at: usize,
        /// Bytes that the instruction needs.
        needed: u64,
    },
    /// Bytes follow the end of the program.
    #[error("{count} bytes follow its end at byte {at}")]
    Trailing {
        /// First of them.
        at: usize,
        /// How many.
        count: usize,
    },
    /// A protocol that this reader does not know.
    #[error("it has protocol {protocol}; this reader knows 2 to 4")]
    Protocol {
        /// The protocol given.
        protocol: u8,
    },
    /// An instruction that dicts of arrays do not need.
    #[error("instruction 0x{opcode:02x} at byte {at} is not one that arrays need")]
    Opcode {
        /// Where it stands.
        at: usize,
        /// The instruction.
        opcode: u8,
    },
    /// A name that arrays do not need; it might have been a function to run.
    #[error("it names `{module}.{name}` at byte {at}, which arrays do not need; nothing was run")]
    Global {
        /// Where it is named.
        at: usize,
        /// Its module.
        module: String,
        /// Its name.
        name: String,
    },
    /// Text that is not UTF-8.
    #[error("the text at byte {at} is not UTF-8")]
    Text {
        /// Where it stands.
        at: usize,
    },
    /// An instruction finds too little on the stack.
    #[error("the instruction at byte {at} finds its arguments missing")]
    Stack {
        /// Where it stands.
        at: usize,
    },
    /// An instruction recalls what was never stored.
    #[error("the instruction at byte {at} recalls entry {index}, which was never stored")]
    Memo {
        /// Where it stands.
        at: usize,
        /// The entry.
        index: u32,
    },
    /// An argument of the wrong kind.
    #[error("the instruction at byte {at} needs {expected}")]
    Kind {
        /// Where it stands.
        at: usize,
        /// What it needs.
        expected: &'static str,
    },
    /// An element type that this reader does not know.
    #[error("arrays of type `{dtype}` at byte {at} are not read; f2, f4, f8, i4, i8 and u1 are")]
    Dtype {
        /// Where it is named.
        at: usize,
        /// numpy's name of it.
        dtype: String,
    },
    /// Big-endian or column-major data.
    #[error("the array at byte {at} is {order}; only little-endian arrays in C order are read")]
    Order {
        /// Where it is described.
        at: usize,
        /// What it is instead.
        order: &'static str,
    },
    /// As many bytes as the shape needs are not there.
    #[error("the array at byte {at} has shape {shape:?} but {bytes} bytes")]
    Shape {
        /// Where it is described.
        at: usize,
        /// Its shape.
        shape: Vec<i64>,
        /// Bytes it has.
        bytes: usize,
    },
    /// An entry of a dict that is neither array nor dict.
    #[error("entry `{path}` is neither an array nor a dict")]
    Entry {
        /// Its keys, joined by `.`.
        path: String,
    },
    /// A key that is no text.
    #[error("a key below `{path}` is no text")]
    Key {
        /// The keys above it, joined by `.`.
        path: String,
    },
    /// Dicts within dicts without end.
    #[error("its dicts lie more than {MAX_DEPTH} deep or contain themselves")]
    Deep,
    /// One dict stands in several places.
    #[error("its dicts are shared between entries")]
    Shared,
}

/// The arrays of a pickle of nested dicts, each with the keys that lead to it, in the file's order.
///
/// # Errors
///
/// See [`PickleError`]; any sequence of bytes gives arrays or an error.
pub fn read_arrays(bytes: &[u8]) -> Result<Vec<(Vec<&str>, Array<'_>)>, PickleError> {
    let machine = Machine::run(bytes)?;
    let mut walk = Walk { machine: &machine, arrays: Vec::new(), budget: machine.len() };
    walk.descend(machine.root(), &mut Vec::new())?;
    Ok(walk.arrays)
}

struct Walk<'m, 'a> {
    machine: &'m Machine<'a>,
    arrays: Vec<(Vec<&'a str>, Array<'a>)>,
    /// A tree visits each object once at most; more visits mean sharing, which could grow without bound.
    budget: usize,
}

impl<'a> Walk<'_, 'a> {
    fn descend(&mut self, at: Ref, path: &mut Vec<&'a str>) -> Result<(), PickleError> {
        self.budget = self.budget.checked_sub(1).ok_or(PickleError::Shared)?;
        match self.machine.object(at) {
            Object::Array(Some(array)) => self.arrays.push((path.clone(), array.clone())),
            Object::Dict(_) if path.len() == MAX_DEPTH => return Err(PickleError::Deep),
            Object::Dict(entries) => {
                for &(key, value) in entries {
                    let Object::Text(key) = self.machine.object(key) else {
                        return Err(PickleError::Key { path: path.join(".") });
                    };
                    path.push(key);
                    self.descend(value, path)?;
                    path.pop();
                }
            }
            _ => return Err(PickleError::Entry { path: path.join(".") }),
        }
        Ok(())
    }
}
