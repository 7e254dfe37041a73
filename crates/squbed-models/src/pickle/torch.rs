//! Checkpoints of PyTorch: a pickle that says how tensors lie in storages, and the storages.
//!
//! ```text
//! zip, since 1.6            legacy
//!   NAME/data.pkl             pickle: the number 0x1950a86a20f9469cfc6c
//!   NAME/byteorder            pickle: the protocol, 1001
//!   NAME/data/KEY  storages   pickle: the machine that wrote it
//!                             pickle: the object that was saved
//!                             pickle: the storages' keys
//!                             storages: count (i64), elements
//! ```
//!
//! The two forms are documented by `torch/serialization.py`. Members of the zip are stored and not compressed,
//! so that tensors borrow from the file.

use std::{borrow::Cow, collections::BTreeMap, io::Cursor};

use zip::{CompressionMethod, ZipArchive};

use super::{
    PickleError, Tensors,
    machine::{Machine, Object, Ref},
    names::Global,
    numpy::{Array, Element, MAX_RANK},
    walk::Walk,
};

/// What a legacy file begins with: protocol 2 and torch's number.
const LEGACY: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
/// Version of the legacy form.
const LEGACY_PROTOCOL: i64 = 1001;

/// A storage as a pickle names it; its elements lie elsewhere.
#[derive(Clone, Copy, Debug)]
pub(super) struct Storage<'a> {
    element: Element,
    key: &'a str,
    /// First element within the storage of that key.
    start: u64,
    /// Elements.
    len: u64,
}

/// A tensor: a part of a storage. Positions and strides count elements.
#[derive(Clone, Debug)]
pub(super) struct View<'a> {
    storage: Storage<'a>,
    offset: u64,
    shape: Vec<u64>,
    stride: Vec<u64>,
}

/// Whether a file is a legacy checkpoint.
pub(crate) fn is_legacy(bytes: &[u8]) -> bool {
    bytes.starts_with(LEGACY)
}

/// The tensors of a checkpoint of either form.
///
/// # Errors
///
/// See [`PickleError`]; any sequence of bytes gives tensors or an error.
pub fn read_torch(bytes: &[u8]) -> Result<Tensors<'_>, PickleError> {
    if is_legacy(bytes) { read_legacy(bytes) } else { read_zip(bytes) }
}

fn read_zip(bytes: &[u8]) -> Result<Tensors<'_>, PickleError> {
    let members = members(bytes)?;
    let root = members
        .keys()
        .filter_map(|name| name.strip_suffix("data.pkl"))
        .find(|root| root.is_empty() || (root.ends_with('/') && root.matches('/').count() == 1))
        .ok_or(PickleError::NoCheckpoint)?;
    if members.get(format!("{root}byteorder").as_str()).is_some_and(|order| order.trim_ascii() == b"big") {
        return Err(PickleError::Order { at: 0, order: "big-endian" });
    }
    let machine = Machine::run(members[format!("{root}data.pkl").as_str()])?;
    let storages = |key: &str| members.get(format!("{root}data/{key}").as_str()).copied();
    Walk::new(&machine, bytes.len()).torch(&storages)
}

/// The members of a zip archive, as parts of its bytes.
fn members(bytes: &[u8]) -> Result<BTreeMap<String, &[u8]>, PickleError> {
    let zip_error = |error: zip::result::ZipError| PickleError::Zip { message: error.to_string() };
    let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(zip_error)?;
    let mut members = BTreeMap::new();
    for i in 0..zip.len() {
        let member = zip.by_index_raw(i).map_err(zip_error)?;
        if member.is_dir() {
            continue;
        }
        let name = member.name().map_err(zip_error)?.into_owned();
        if member.compression() != CompressionMethod::Stored {
            return Err(PickleError::Compressed { name });
        }
        let start = member.data_start().and_then(|start| usize::try_from(start).ok());
        let length = usize::try_from(member.size()).ok();
        let data = start.zip(length).and_then(|(start, length)| bytes.get(start..start.checked_add(length)?));
        members.insert(name.clone(), data.ok_or(PickleError::ShortStorage { key: name })?);
    }
    Ok(members)
}

fn read_legacy(bytes: &[u8]) -> Result<Tensors<'_>, PickleError> {
    let mut at = LEGACY.len();
    let mut next = || {
        let machine = Machine::run_first(&bytes[at..]).map_err(|error| error.shifted(at))?;
        at += machine.end();
        Ok::<_, PickleError>((machine, at))
    };
    let (protocol, _) = next()?;
    if !matches!(protocol.object(protocol.root()), Object::Int(LEGACY_PROTOCOL)) {
        return Err(PickleError::NoCheckpoint);
    }
    let (system, _) = next()?;
    if system.entry(system.root(), "little_endian").is_some_and(|o| matches!(o, Object::Bool(false))) {
        return Err(PickleError::Order { at: 0, order: "big-endian" });
    }
    let (machine, _) = next()?;
    let (keys, end) = next()?;

    let elements = machine.elements();
    let mut storages = BTreeMap::new();
    let mut rest = &bytes[end..];
    for &key in keys.items(keys.root())? {
        let &Object::Text(key) = keys.object(key) else {
            return Err(keys.kind("the keys of storages"));
        };
        let short = || PickleError::ShortStorage { key: key.to_owned() };
        let element = elements.get(key).ok_or_else(|| PickleError::NoStorage { key: key.to_owned() })?;
        let (count, after) = rest.split_first_chunk().ok_or_else(short)?;
        let length = usize::try_from(i64::from_le_bytes(*count)).ok();
        let length = length.and_then(|n| n.checked_mul(element.size())).ok_or_else(short)?;
        let (data, after) = after.split_at_checked(length).ok_or_else(short)?;
        storages.insert(key, data);
        rest = after;
    }
    if !rest.is_empty() {
        return Err(PickleError::Trailing { at: bytes.len() - rest.len(), count: rest.len() });
    }
    Walk::new(&machine, bytes.len()).torch(&|key| storages.get(key).copied())
}

impl<'a> Machine<'a> {
    /// `("storage", type, key, location, count)`, in legacy files with `None` or
    /// `(key, first element, count)` of a part behind it.
    pub(super) fn storage(&self, id: Ref) -> Result<Storage<'a>, PickleError> {
        let fail = || self.kind("the five parts of a storage");
        let (parts, view) = match *self.tuple(id)? {
            [kind, class, key, _, count] => ([kind, class, key, count], None),
            [kind, class, key, _, count, view] => ([kind, class, key, count], Some(view)),
            _ => return Err(fail()),
        };
        let [kind, class, key, count] = parts.map(|part| self.object(part));
        let (Object::Text("storage"), &Object::Global(Global::Storage(element)), &Object::Text(key)) =
            (kind, class, key)
        else {
            return Err(fail());
        };
        let &Object::Int(count) = count else { return Err(fail()) };
        let whole = u64::try_from(count).map_err(|_| fail())?;
        let (start, len) = match view.map(|view| self.object(view)) {
            None | Some(Object::None) => (0, whole),
            Some(Object::Tuple(part)) if part.len() == 3 => match self.lengths(&part[1..])?[..] {
                [start, len] => (start, len),
                _ => return Err(fail()),
            },
            Some(_) => return Err(fail()),
        };
        Ok(Storage { element, key, start, len })
    }

    /// What a call of one of torch's names stands for.
    pub(super) fn torch_call(&self, function: Global, arguments: Ref) -> Result<Object<'a>, PickleError> {
        match (function, self.tuple(arguments)?) {
            // (storage, offset, shape, stride, …): what follows concerns training.
            (Global::RebuildTensor, &[storage, offset, shape, stride, ..]) => {
                let (&Object::Storage(storage), &Object::Int(offset)) =
                    (self.object(storage), self.object(offset))
                else {
                    return Err(self.kind("a storage and an offset"));
                };
                let offset = u64::try_from(offset).map_err(|_| self.kind("an offset of at least 0"))?;
                let lengths = |tuple| self.items(tuple).and_then(|items| self.lengths(items));
                let (shape, stride) = (lengths(shape)?, lengths(stride)?);
                if shape.len() != stride.len() {
                    return Err(self.kind("as many strides as dimensions"));
                }
                Ok(Object::Tensor(View { storage, offset, shape, stride }))
            }
            // (tensor, requires_grad, hooks)
            (Global::RebuildParameter, &[tensor, ..]) => match self.object(tensor) {
                Object::Tensor(view) => Ok(Object::Tensor(view.clone())),
                _ => Err(self.kind("a tensor")),
            },
            (Global::Size, &[shape]) => {
                let items = self.items(shape)?;
                // What is no shape is refused before it is copied.
                self.lengths(items).map(|_| Object::Tuple(items.to_vec()))
            }
            _ => Err(self.kind("the arguments of one of torch's functions")),
        }
    }

    /// A shape or strides.
    fn lengths(&self, items: &[Ref]) -> Result<Vec<u64>, PickleError> {
        if items.len() > MAX_RANK {
            return Err(self.kind("at most 64 dimensions"));
        }
        let length = |&item: &Ref| match *self.object(item) {
            Object::Int(length) => u64::try_from(length).ok(),
            _ => None,
        };
        let lengths = items.iter().map(length).collect::<Option<_>>();
        lengths.ok_or_else(|| self.kind("whole numbers of at least 0"))
    }

    /// The value behind a key of a dict.
    fn entry(&self, dict: Ref, name: &str) -> Option<&Object<'a>> {
        let Object::Dict(entries) = self.object(dict) else { return None };
        let named = |&&(key, _): &&(Ref, Ref)| matches!(self.object(key), Object::Text(key) if *key == name);
        entries.iter().find(named).map(|&(_, value)| self.object(value))
    }

    /// The element types of all storages, by key.
    fn elements(&self) -> BTreeMap<&'a str, Element> {
        let storage = |object: &Object<'a>| match object {
            Object::Storage(storage) => Some((storage.key, storage.element)),
            _ => None,
        };
        self.objects().filter_map(storage).collect()
    }
}

impl<'a> View<'a> {
    /// Bytes of the tensor in row-major order.
    pub(super) fn size(&self) -> Option<usize> {
        let bytes =
            self.shape.iter().try_fold(self.storage.element.size() as u64, |n, &dim| n.checked_mul(dim));
        bytes.and_then(|bytes| usize::try_from(bytes).ok())
    }

    /// The tensor in row-major order, from its storage's bytes.
    pub(super) fn array(&self, storage: Option<&'a [u8]>) -> Result<Array<'a>, PickleError> {
        let Storage { element, key, start, len } = self.storage;
        let storage = storage.ok_or_else(|| PickleError::NoStorage { key: key.to_owned() })?;
        let outside = || PickleError::View {
            key: key.to_owned(),
            shape: self.shape.clone(),
            stride: self.stride.clone(),
            offset: self.offset,
        };
        let bytes = self.size().ok_or_else(outside)?;
        let shape: Vec<usize> = self
            .shape
            .iter()
            .map(|&d| usize::try_from(d))
            .collect::<Result<_, _>>()
            .map_err(|_| outside())?;
        if bytes == 0 {
            return Ok(Array { element, shape, data: Cow::Borrowed(&[]) });
        }
        // All dimensions are at least 1 from here on.
        let last = self
            .shape
            .iter()
            .zip(&self.stride)
            .try_fold(self.offset, |at, (dim, stride)| at.checked_add((dim - 1).checked_mul(*stride)?));
        let size = element.size();
        let inside = last.filter(|&last| last < len).and_then(|_| {
            let from = usize::try_from(start).ok()?.checked_mul(size)?;
            let length = usize::try_from(len).ok()?.checked_mul(size)?;
            storage.get(from..from.checked_add(length)?)
        });
        let storage = inside.ok_or_else(outside)?;
        let first = self.offset as usize * size;
        if self.is_row_major() {
            return Ok(Array { element, shape, data: Cow::Borrowed(&storage[first..first + bytes]) });
        }
        let mut data = Vec::with_capacity(bytes);
        let mut index = vec![0u64; shape.len()];
        let mut at = first;
        loop {
            data.extend_from_slice(&storage[at..at + size]);
            // The next index, the last dimension fastest.
            let Some(d) = (0..shape.len()).rev().find(|&d| {
                let within = index[d] + 1 < self.shape[d];
                if !within {
                    at -= (index[d] * self.stride[d]) as usize * size;
                    index[d] = 0;
                }
                within
            }) else {
                return Ok(Array { element, shape, data: Cow::Owned(data) });
            };
            index[d] += 1;
            at += self.stride[d] as usize * size;
        }
    }

    fn is_row_major(&self) -> bool {
        let mut expected = 1;
        self.shape.iter().zip(&self.stride).rev().all(|(&dim, &stride)| {
            let fits = dim == 1 || stride == expected;
            expected *= dim;
            fits
        })
    }

    pub(super) fn key(&self) -> &'a str {
        self.storage.key
    }
}
