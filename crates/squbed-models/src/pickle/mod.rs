//! A restricted reader of pickles: numpy's arrays and PyTorch's tensors, in dicts and lists.
//!
//! A pickle is a program for a small stack machine that may name any function of the machine it runs
//! on. This reader knows the opcodes that tensors need, resolves the few names that arrays and
//! tensors are made with to values of its own, and refuses everything else. Nothing is run, every
//! length is checked against the input before it is used, and arrays borrow from the input where they can.
//!
//! The opcodes are documented in CPython's `Lib/pickletools.py`; the shape of an array's state in
//! numpy's `ndarray.__setstate__`; PyTorch's files in `torch.rs`.

mod machine;
mod names;
mod numpy;
mod old;
#[cfg(test)]
mod tests;
mod torch;
#[cfg(test)]
mod torch_tests;
mod walk;

pub use numpy::{Array, Element};
pub(crate) use old::refuse_old;
pub(crate) use torch::is_legacy;
pub use torch::read_torch;

use machine::Machine;
use walk::{MAX_DEPTH, MAX_NAME, MAX_REPEAT, Walk};

/// What a checkpoint holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tensors<'a> {
    /// Tensors by name, keys joined by `.`, in the file's order.
    pub tensors: Vec<(String, Array<'a>)>,
    /// Names of what is there besides: numbers, texts, and all that lies beside a state dict.
    pub left_out: Vec<String>,
}

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
    #[error("it is a pickle of protocol {protocol}; this reader knows 2 to 4")]
    Protocol {
        /// The protocol given.
        protocol: u8,
    },
    /// An instruction that tensors do not need.
    #[error("instruction 0x{opcode:02x} at byte {at} is not one that tensors need; nothing was run")]
    Opcode {
        /// Where it stands.
        at: usize,
        /// The instruction.
        opcode: u8,
    },
    /// A name that tensors do not need; it might have been a function to run.
    #[error("it names `{module}.{name}` at byte {at}, which tensors do not need; nothing was run")]
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
    #[error("arrays of type `{dtype}` at byte {at} are not read; f2, f4, f8, i1, i2, i4, i8, u1 and b1 are")]
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
    /// More instructions than any checkpoint has.
    #[error("it has more than {limit} instructions; no checkpoint needs as many")]
    Long {
        /// Instructions that are admitted.
        limit: usize,
    },
    /// A name longer than any tensor's.
    #[error("a name that contains `{begin}…` has more than {MAX_NAME} bytes")]
    Name {
        /// How the last part of it begins.
        begin: String,
    },
    /// Tensors that would take far more memory than their file.
    #[error("with `{name}` its tensors take more than {MAX_REPEAT} times the size of the file")]
    Repeat {
        /// The tensor.
        name: String,
    },
    /// Neither form of PyTorch's files.
    #[error("it is no checkpoint of PyTorch: there is no `data.pkl` in it")]
    NoCheckpoint,
    /// A zip archive that cannot be read.
    #[error("its zip archive cannot be read: {message}")]
    Zip {
        /// What is wrong with it.
        message: String,
    },
    /// A compressed member; PyTorch writes none.
    #[error("`{name}` in it is compressed; PyTorch compresses nothing")]
    Compressed {
        /// The member.
        name: String,
    },
    /// A storage that the file lacks.
    #[error("it has no storage `{key}`, in which a tensor lies")]
    NoStorage {
        /// The storage's key.
        key: String,
    },
    /// A storage that goes on beyond the file's end.
    #[error("its storage `{key}` is cut short")]
    ShortStorage {
        /// The storage's key.
        key: String,
    },
    /// A tensor that lies outside of its storage.
    #[error(
        "a tensor of shape {shape:?}, stride {stride:?} and offset {offset} lies outside of its storage `{key}`"
    )]
    View {
        /// The storage's key.
        key: String,
        /// Shape of the tensor.
        shape: Vec<u64>,
        /// Its strides, in elements.
        stride: Vec<u64>,
        /// Its first element.
        offset: u64,
    },
}

impl PickleError {
    /// The same error of a pickle that begins at byte `by` of its file.
    fn shifted(mut self, by: usize) -> Self {
        match &mut self {
            Self::Truncated { at, .. }
            | Self::Opcode { at, .. }
            | Self::Global { at, .. }
            | Self::Text { at }
            | Self::Stack { at }
            | Self::Memo { at, .. }
            | Self::Kind { at, .. }
            | Self::Dtype { at, .. }
            | Self::Order { at, .. }
            | Self::Shape { at, .. } => *at += by,
            _ => {}
        }
        self
    }
}

/// The arrays of a pickle of nested dicts of numpy arrays, each with the keys that lead to it, joined by `.`,
/// in the file's order.
///
/// # Errors
///
/// See [`PickleError`]; any sequence of bytes gives arrays or an error.
pub fn read_arrays(bytes: &[u8]) -> Result<Vec<(String, Array<'_>)>, PickleError> {
    Walk::new(&Machine::run(bytes)?, bytes.len()).arrays()
}
