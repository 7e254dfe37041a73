//! From the objects that a pickle makes to its arrays by name.

use super::{
    PickleError, Tensors,
    machine::{Machine, Object, Ref},
    numpy::Array,
};

/// Containers within containers; published checkpoints have about five.
pub(super) const MAX_DEPTH: usize = 32;
/// Bytes of a name; published ones have less than two hundred.
pub(super) const MAX_NAME: usize = 4096;
/// Views may repeat a storage's elements, up to so many times the file ...
pub(super) const MAX_REPEAT: usize = 8;
/// ... beyond these bytes.
const FREE_BYTES: usize = 16 << 20;
/// What training scripts name the state dict within a checkpoint.
const STATE_DICTS: [&str; 3] = ["state_dict", "model_state_dict", "model"];

/// Gives the bytes of a storage.
type Storages<'s, 'a> = &'s dyn Fn(&str) -> Option<&'a [u8]>;

pub(super) struct Walk<'m, 'a> {
    machine: &'m Machine<'a>,
    /// A tree visits each object once at most; more visits mean sharing, which could grow without bound.
    visits: usize,
    /// Bytes that tensors may take in all.
    bytes: usize,
    path: Vec<String>,
    /// Length of the path as a name.
    length: usize,
    found: Tensors<'a>,
}

impl<'m, 'a> Walk<'m, 'a> {
    pub(super) fn new(machine: &'m Machine<'a>, file: usize) -> Self {
        Self {
            machine,
            visits: machine.len(),
            bytes: file.saturating_mul(MAX_REPEAT).saturating_add(FREE_BYTES),
            path: Vec::new(),
            length: 0,
            found: Tensors::default(),
        }
    }

    /// All arrays of nested dicts of nothing else, with the keys that lead to them.
    pub(super) fn arrays(mut self) -> Result<Vec<(String, Array<'a>)>, PickleError> {
        self.descend(self.machine.root(), None)?;
        match self.found.left_out.first() {
            Some(path) => Err(PickleError::Entry { path: path.clone() }),
            None => Ok(self.found.tensors),
        }
    }

    /// All tensors of a checkpoint; of one that holds more than a state dict, those of the state dict.
    pub(super) fn torch(mut self, storages: Storages<'_, 'a>) -> Result<Tensors<'a>, PickleError> {
        let root = self.machine.root();
        match self.state_dict(root) {
            Some((state, others)) => {
                self.found.left_out.extend(others);
                self.descend(state, Some(storages))?;
            }
            None => self.descend(root, Some(storages))?,
        }
        Ok(self.found)
    }

    /// The state dict within a training checkpoint, and the names of what lies beside it.
    fn state_dict(&self, root: Ref) -> Option<(Ref, Vec<String>)> {
        let Object::Dict(entries) = self.machine.object(root) else { return None };
        let name_of = |key: Ref| match *self.machine.object(key) {
            Object::Text(key) => Some(key),
            _ => None,
        };
        let named = |name: &&str| entries.iter().find(|&&(key, _)| name_of(key) == Some(name));
        let &(chosen, state) = STATE_DICTS.iter().find_map(named)?;
        if !matches!(self.machine.object(state), Object::Dict(_)) {
            return None;
        }
        let others = entries.iter().filter(|&&(key, _)| key != chosen);
        Some((state, others.filter_map(|&(key, _)| name_of(key)).map(cut).collect()))
    }

    fn descend(&mut self, at: Ref, storages: Option<Storages<'_, 'a>>) -> Result<(), PickleError> {
        self.visits = self.visits.checked_sub(1).ok_or(PickleError::Shared)?;
        let machine = self.machine;
        match (machine.object(at), storages) {
            (Object::Array(Some(array)), _) => {
                self.spend(array.data.len())?;
                self.found.tensors.push((self.name(), array.clone()));
            }
            (Object::Tensor(view), Some(storages)) => {
                self.spend(view.size().unwrap_or(usize::MAX))?;
                let array = view.array(storages(view.key()))?;
                self.found.tensors.push((self.name(), array));
            }
            (Object::Dict(entries), _) => {
                for &(key, value) in entries {
                    let key = match *machine.object(key) {
                        Object::Text(key) => cut(key),
                        Object::Int(key) if storages.is_some() => key.to_string(),
                        _ => return Err(PickleError::Key { path: self.name() }),
                    };
                    self.enter(key, value, storages)?;
                }
            }
            (Object::List(items) | Object::Tuple(items), Some(_)) => {
                for (i, &item) in items.iter().enumerate() {
                    self.enter(i.to_string(), item, storages)?;
                }
            }
            _ => self.found.left_out.push(self.name()),
        }
        Ok(())
    }

    fn enter(
        &mut self,
        key: String,
        value: Ref,
        storages: Option<Storages<'_, 'a>>,
    ) -> Result<(), PickleError> {
        if self.path.len() == MAX_DEPTH {
            return Err(PickleError::Deep);
        }
        let length = key.len() + 1;
        if self.length + length > MAX_NAME {
            return Err(PickleError::Name { begin: key.chars().take(40).collect() });
        }
        self.length += length;
        self.path.push(key);
        self.descend(value, storages)?;
        self.path.pop();
        self.length -= length;
        Ok(())
    }

    fn spend(&mut self, bytes: usize) -> Result<(), PickleError> {
        self.bytes =
            self.bytes.checked_sub(bytes).ok_or_else(|| PickleError::Repeat { name: self.name() })?;
        Ok(())
    }

    fn name(&self) -> String {
        self.path.join(".")
    }
}

/// A key, cut where it is too long for a name in any case.
fn cut(key: &str) -> String {
    if key.len() <= MAX_NAME { key.to_owned() } else { key.chars().take(MAX_NAME).collect() }
}
