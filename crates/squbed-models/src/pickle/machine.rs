//! The stack machine.

use std::collections::BTreeMap;

use super::{
    PickleError,
    names::Global,
    numpy::{Array, Dtype},
    torch::{Storage, View},
};

/// Instructions of one program; published checkpoints have some ten thousand. It bounds memory (each
/// instruction makes one object at most) where a file of gigabytes is nothing but instructions.
const MAX_INSTRUCTIONS: usize = 1 << 22;

/// A position in [`Machine::objects`]. Objects refer to each other by position, so that what one
/// instruction stores a later one may still fill, as pickles do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ref(usize);

#[derive(Debug)]
pub(super) enum Object<'a> {
    None,
    Bool(bool),
    Int(i64),
    Text(&'a str),
    Bytes(&'a [u8]),
    /// A number with a fraction; no tensor needs its value.
    Float,
    Tuple(Vec<Ref>),
    List(Vec<Ref>),
    Dict(Vec<(Ref, Ref)>),
    Global(Global),
    Dtype(Dtype),
    /// Empty between its creation and its state.
    Array(Option<Array<'a>>),
    /// Numbers that lie elsewhere in the file.
    Storage(Storage<'a>),
    /// A part of them with a shape.
    Tensor(View<'a>),
}

/// Each instruction makes one object at most, so memory is bounded by the input's length.
pub(super) struct Machine<'a> {
    input: &'a [u8],
    /// Next byte.
    at: usize,
    /// Where the current instruction began.
    began: usize,
    objects: Vec<Object<'a>>,
    stack: Vec<Ref>,
    marks: Vec<usize>,
    memo: BTreeMap<u32, Ref>,
    /// Instructions that may follow; copies of containers count as well.
    budget: usize,
}

impl<'a> Machine<'a> {
    /// Runs the program, which must be all of the input.
    pub(super) fn run(input: &'a [u8]) -> Result<Self, PickleError> {
        let machine = Self::run_first(input)?;
        match machine.input.len() - machine.at {
            0 => Ok(machine),
            count => Err(PickleError::Trailing { at: machine.at, count }),
        }
    }

    /// Runs the program that the input begins with.
    pub(super) fn run_first(input: &'a [u8]) -> Result<Self, PickleError> {
        let mut machine = Self {
            input,
            at: 0,
            began: 0,
            objects: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: BTreeMap::new(),
            budget: MAX_INSTRUCTIONS,
        };
        while machine.step()? {
            machine.charge(1)?;
        }
        match machine.stack.as_slice() {
            [_] => Ok(machine),
            _ => Err(machine.short()),
        }
    }

    /// The first byte behind the program.
    pub(super) fn end(&self) -> usize {
        self.at
    }

    /// What the program leaves behind.
    pub(super) fn root(&self) -> Ref {
        // `run` ends with one object on the stack.
        self.stack[0]
    }

    pub(super) fn object(&self, at: Ref) -> &Object<'a> {
        &self.objects[at.0]
    }

    pub(super) fn object_mut(&mut self, at: Ref) -> &mut Object<'a> {
        &mut self.objects[at.0]
    }

    /// All objects, in the order in which they were made.
    pub(super) fn objects(&self) -> impl Iterator<Item = &Object<'a>> {
        self.objects.iter()
    }

    /// Objects made.
    pub(super) fn len(&self) -> usize {
        self.objects.len()
    }

    /// Where the current instruction stands, for errors.
    pub(super) fn began(&self) -> usize {
        self.began
    }

    pub(super) fn kind(&self, expected: &'static str) -> PickleError {
        PickleError::Kind { at: self.began, expected }
    }

    pub(super) fn tuple(&self, at: Ref) -> Result<&[Ref], PickleError> {
        match self.object(at) {
            Object::Tuple(items) => Ok(items),
            _ => Err(self.kind("a tuple")),
        }
    }

    pub(super) fn items(&self, at: Ref) -> Result<&[Ref], PickleError> {
        match self.object(at) {
            Object::Tuple(items) | Object::List(items) => Ok(items),
            _ => Err(self.kind("a tuple or a list")),
        }
    }

    /// Counts what takes memory.
    pub(super) fn charge(&mut self, count: usize) -> Result<(), PickleError> {
        self.budget = self.budget.checked_sub(count).ok_or(PickleError::Long { limit: MAX_INSTRUCTIONS })?;
        Ok(())
    }

    /// Adds an object without an instruction of its own.
    pub(super) fn add(&mut self, object: Object<'a>) -> Ref {
        self.objects.push(object);
        Ref(self.objects.len() - 1)
    }

    /// One instruction; false at the end.
    fn step(&mut self) -> Result<bool, PickleError> {
        self.began = self.at;
        let opcode = self.byte()?;
        let object = match opcode {
            b'.' => return Ok(false),
            0x80 => return self.protocol(),
            // FRAME groups instructions for readers that buffer.
            0x95 => {
                self.take(8)?;
                return Ok(true);
            }
            b'(' => {
                self.marks.push(self.stack.len());
                return Ok(true);
            }
            0x94 => return self.store(self.memo.len() as u32),
            b'q' => {
                let index = self.byte()?.into();
                return self.store(index);
            }
            b'r' => {
                let index = self.u32()?;
                return self.store(index);
            }
            b'h' => {
                let index = self.byte()?.into();
                return self.recall(index);
            }
            b'j' => {
                let index = self.u32()?;
                return self.recall(index);
            }
            b's' | b'u' => return self.set_items(opcode == b'u'),
            b'a' | b'e' => return self.append(opcode == b'e'),
            b'b' => return self.build(),
            b'N' => Object::None,
            0x88 => Object::Bool(true),
            0x89 => Object::Bool(false),
            b'J' => Object::Int(i32::from_le_bytes(self.array()?).into()),
            b'K' => Object::Int(self.byte()?.into()),
            b'M' => Object::Int(u16::from_le_bytes(self.array()?).into()),
            0x8a => Object::Int(self.long()?),
            b'G' => {
                self.take(8)?;
                Object::Float
            }
            0x8c | b'X' | 0x8d => {
                let bytes = self.sized(opcode, 0x8c, b'X')?;
                Object::Text(std::str::from_utf8(bytes).map_err(|_| PickleError::Text { at: self.began })?)
            }
            // Strings of Python 2 are text or bytes.
            b'U' | b'T' => {
                let bytes = self.sized(opcode, b'U', b'T')?;
                std::str::from_utf8(bytes).map_or(Object::Bytes(bytes), Object::Text)
            }
            b'C' | b'B' | 0x8e => Object::Bytes(self.sized(opcode, b'C', b'B')?),
            b'}' => Object::Dict(Vec::new()),
            b')' => Object::Tuple(Vec::new()),
            b']' => Object::List(Vec::new()),
            0x85..=0x87 => Object::Tuple(self.pop_last(usize::from(opcode - 0x84))?),
            b't' => Object::Tuple(self.pop_to_mark()?),
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(module, name)?
            }
            0x93 => {
                let [module, name] = self.pop()?;
                match (self.object(module), self.object(name)) {
                    (&Object::Text(module), &Object::Text(name)) => self.global(module, name)?,
                    _ => return Err(self.kind("two names")),
                }
            }
            b'R' => {
                let [function, arguments] = self.pop()?;
                self.reduce(function, arguments)?
            }
            b'Q' => {
                let [id] = self.pop()?;
                Object::Storage(self.storage(id)?)
            }
            _ => return Err(PickleError::Opcode { at: self.began, opcode }),
        };
        let made = self.add(object);
        self.stack.push(made);
        Ok(true)
    }

    fn protocol(&mut self) -> Result<bool, PickleError> {
        match self.byte()? {
            2..=4 => Ok(true),
            protocol => Err(PickleError::Protocol { protocol }),
        }
    }

    fn store(&mut self, index: u32) -> Result<bool, PickleError> {
        let top = *self.stack.last().ok_or_else(|| self.short())?;
        self.memo.insert(index, top);
        Ok(true)
    }

    fn recall(&mut self, index: u32) -> Result<bool, PickleError> {
        let object = *self.memo.get(&index).ok_or(PickleError::Memo { at: self.began, index })?;
        self.stack.push(object);
        Ok(true)
    }

    fn set_items(&mut self, many: bool) -> Result<bool, PickleError> {
        let items = if many { self.pop_to_mark()? } else { self.pop_last(2)? };
        if items.len() % 2 != 0 {
            return Err(self.short());
        }
        let dict = *self.stack.last().ok_or_else(|| self.short())?;
        let error = self.kind("a dict");
        let Object::Dict(entries) = self.object_mut(dict) else {
            return Err(error);
        };
        entries.extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1])));
        Ok(true)
    }

    fn append(&mut self, many: bool) -> Result<bool, PickleError> {
        let items = if many { self.pop_to_mark()? } else { self.pop_last(1)? };
        let list = self.top()?;
        let error = self.kind("a list");
        let Object::List(entries) = self.object_mut(list) else {
            return Err(error);
        };
        entries.extend(items);
        Ok(true)
    }

    fn short(&self) -> PickleError {
        PickleError::Stack { at: self.began }
    }

    /// The first position that belongs to the innermost mark's frame; nothing below it is popped.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop_last(&mut self, count: usize) -> Result<Vec<Ref>, PickleError> {
        match self.stack.len().checked_sub(count) {
            Some(start) if start >= self.floor() => Ok(self.stack.split_off(start)),
            _ => Err(self.short()),
        }
    }

    pub(super) fn pop<const N: usize>(&mut self) -> Result<[Ref; N], PickleError> {
        self.pop_last(N)?.try_into().map_err(|_| self.short())
    }

    pub(super) fn top(&self) -> Result<Ref, PickleError> {
        self.stack.last().copied().ok_or_else(|| self.short())
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Ref>, PickleError> {
        match self.marks.pop() {
            Some(start) if start <= self.stack.len() => Ok(self.stack.split_off(start)),
            _ => Err(self.short()),
        }
    }

    fn take(&mut self, count: u64) -> Result<&'a [u8], PickleError> {
        let rest = &self.input[self.at..];
        match usize::try_from(count) {
            Ok(n) if n <= rest.len() => {
                self.at += n;
                Ok(&rest[..n])
            }
            _ => Err(PickleError::Truncated { at: self.input.len(), needed: count - rest.len() as u64 }),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PickleError> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N as u64)?);
        Ok(bytes)
    }

    fn byte(&mut self) -> Result<u8, PickleError> {
        Ok(self.array::<1>()?[0])
    }

    fn u32(&mut self) -> Result<u32, PickleError> {
        self.array().map(u32::from_le_bytes)
    }

    /// Bytes behind a length of one byte, four, or eight.
    fn sized(&mut self, opcode: u8, one: u8, four: u8) -> Result<&'a [u8], PickleError> {
        let length = match opcode {
            o if o == one => self.byte()?.into(),
            o if o == four => self.u32()?.into(),
            _ => u64::from_le_bytes(self.array()?),
        };
        self.take(length)
    }

    /// LONG1: a little-endian two's complement number, here of at most eight bytes.
    fn long(&mut self) -> Result<i64, PickleError> {
        let count = self.byte()?;
        let bytes = self.take(count.into())?;
        let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
        let mut wide = [if negative { 0xff } else { 0 }; 8];
        match wide.get_mut(..bytes.len()) {
            Some(low) => low.copy_from_slice(bytes),
            None => return Err(self.kind("a number of at most 64 bits")),
        }
        Ok(i64::from_le_bytes(wide))
    }

    fn line(&mut self) -> Result<&'a str, PickleError> {
        let rest = &self.input[self.at..];
        let end = rest.iter().position(|&b| b == b'\n');
        let end = end.ok_or(PickleError::Truncated { at: self.input.len(), needed: 1 })?;
        self.at += end + 1;
        std::str::from_utf8(&rest[..end]).map_err(|_| PickleError::Text { at: self.began })
    }
}
