//! Tensors of a weights file, by name and shape.

use std::{
    collections::BTreeSet,
    fmt,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use candle_core::{DType, Device, Tensor};
use safetensors::{Dtype, SafeTensors, tensor::Metadata};

use crate::{
    checkpoint::{ConvertError, from_bytes},
    digest::sha256,
    error::Error,
    random,
    store::Content,
};

/// A safetensors file begins with the length of its header.
const LENGTH_BYTES: usize = 8;
/// The longest header that safetensors admits.
const MAX_HEADER: u64 = 100_000_000;

/// A file of weights in memory, as safetensors. What a network asks of it is checked by name, shape, kind and
/// finiteness, and errors name the file. Or no file, but numbers by chance: [`random`](Self::random).
pub struct Weights {
    source: Source,
    audit: Mutex<Audit>,
}

enum Source {
    File(File),
    Random,
}

struct File {
    content: Content,
    metadata: Metadata,
    /// Where the header ends and the tensors begin.
    start: usize,
}

/// What a network asked for, while [`Weights::all_of`] watches.
#[derive(Default)]
struct Audit {
    watching: bool,
    asked: BTreeSet<String>,
    unneeded: Vec<String>,
    unneeded_endings: Vec<String>,
    mismatch: Mismatch,
}

/// How the tensors of a file differ from those of a network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mismatch {
    /// Names and shapes that the network needs and the file lacks.
    pub missing: Vec<(String, Vec<usize>)>,
    /// Name, shape in the file, shape that the network needs.
    pub misshapen: Vec<(String, Vec<usize>, Vec<usize>)>,
    /// Names and shapes that the network has no use for.
    pub surplus: Vec<(String, Vec<usize>)>,
}

impl Mismatch {
    fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.misshapen.is_empty() && self.surplus.is_empty()
    }
}

/// All kinds on lines of their own; of each at most 12 tensors and the number of the others.
impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn line(f: &mut fmt::Formatter<'_>, kind: &str, tensors: Vec<String>) -> fmt::Result {
            match tensors.len() {
                0 => Ok(()),
                n if n <= SHOWN => write!(f, "\n  {n} {kind}: {}", tensors.join(", ")),
                n => write!(f, "\n  {n} {kind}: {}, and {} more", tensors[..SHOWN].join(", "), n - SHOWN),
            }
        }
        let named = |(name, shape): &(String, Vec<usize>)| format!("`{name}` {shape:?}");
        line(f, "missing", self.missing.iter().map(named).collect())?;
        let shapes = |(name, actual, expected): &(String, Vec<usize>, Vec<usize>)| {
            format!("`{name}` {actual:?} instead of {expected:?}")
        };
        line(f, "of another shape", self.misshapen.iter().map(shapes).collect())?;
        line(f, "surplus", self.surplus.iter().map(named).collect())
    }
}

/// Tensors of one kind that a message names.
const SHOWN: usize = 12;

impl Weights {
    /// Reads a file that no manifest describes, in any form that [`read_checkpoint`](crate::read_checkpoint)
    /// knows.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        let bytes = squbed_files::read(&path).map_err(Error::io("read", &path))?;
        let length = cut(&bytes);
        let bytes = match from_bytes(&path, bytes) {
            Ok(converted) => converted.bytes,
            Err(ConvertError::Safetensors(source)) => return Err(damaged(path, length, source)),
            Err(source) => return Err(Error::Convert { file: path, source }),
        };
        let sha256 = sha256(&bytes);
        Self::new(Content { path, bytes, sha256 })
    }

    pub(crate) fn new(content: Content) -> Result<Self, Error> {
        let (header, metadata) = SafeTensors::read_metadata(&content.bytes)
            .map_err(|source| damaged(content.path.clone(), cut(&content.bytes), source))?;
        let source = Source::File(File { start: LENGTH_BYTES + header, metadata, content });
        Ok(Self { source, audit: Mutex::default() })
    }

    /// Weights that hold every tensor that a network asks for, in the shape that it asks for: numbers by chance, the same
    /// each time, of such sizes that what the network computes stays finite. They are for measuring speed.
    pub fn random() -> Self {
        Self { source: Source::Random, audit: Mutex::default() }
    }

    fn file(&self) -> Option<&File> {
        match &self.source {
            Source::File(file) => Some(file),
            Source::Random => None,
        }
    }

    /// The file, for messages.
    fn path(&self) -> PathBuf {
        self.file().map_or_else(|| "random weights".into(), |file| file.content.path.clone())
    }

    /// Runs `load`, which builds a network, and compares all that it asks for with all that is there: missing,
    /// surplus and misshapen tensors become one error. Where one is missing, `load` goes on with zeros, so that
    /// the others are found too; its network is then dropped.
    ///
    /// # Errors
    ///
    /// [`Error::Tensors`], else what `load` gives.
    pub fn all_of<T>(&self, load: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        *self.audit() = Audit { watching: true, ..Audit::default() };
        let loaded = load();
        let Audit { asked, unneeded, unneeded_endings, mut mismatch, .. } =
            std::mem::take(&mut *self.audit());
        // A load that ended early did not ask for everything.
        if loaded.is_ok() || !mismatch.is_empty() {
            let surplus = self.names().into_iter().filter(|name| {
                !asked.contains(name)
                    && !unneeded.iter().any(|prefix| name.starts_with(prefix))
                    && !unneeded_endings.iter().any(|ending| name.ends_with(ending))
            });
            let with_shape = surplus.map(|name| {
                let shape = self.shape(&name).map(<[usize]>::to_vec).unwrap_or_default();
                (name, shape)
            });
            mismatch.surplus = with_shape.collect();
        }
        if mismatch.is_empty() {
            return loaded;
        }
        Err(Error::Tensors { file: self.path(), mismatch: Box::new(mismatch) })
    }

    /// Says that tensors whose names begin so are of no use to the network and may be there.
    pub fn leave(&self, prefix: impl Into<String>) {
        self.audit().unneeded.push(prefix.into());
    }

    /// Says the same of tensors whose names end so, such as PyTorch's counters of batches.
    pub fn leave_ending(&self, ending: impl Into<String>) {
        self.audit().unneeded_endings.push(ending.into());
    }

    fn audit(&self) -> MutexGuard<'_, Audit> {
        self.audit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// SHA-256 of the file; empty where there is none.
    pub fn sha256(&self) -> &str {
        self.file().map_or("", |file| &file.content.sha256)
    }

    /// Names of all tensors, in the order of their data.
    pub fn names(&self) -> Vec<String> {
        self.file().map(|file| file.metadata.offset_keys()).unwrap_or_default()
    }

    /// Whether a tensor of this name is there.
    pub fn contains(&self, name: &str) -> bool {
        self.file().is_none_or(|file| file.metadata.info(name).is_some())
    }

    /// The shape that a tensor has in the file, if it is there.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.file()?.metadata.info(name).map(|info| info.shape.as_slice())
    }

    /// The elements of a tensor of floating-point numbers as f64, in row-major order.
    pub fn f64(&self, name: &str, shape: &[usize]) -> Result<Vec<f64>, Error> {
        self.tensor(name, shape, &Device::Cpu, DType::F64)?.flatten_all()?.to_vec1().map_err(Error::from)
    }

    /// A tensor of floating-point numbers.
    pub fn tensor(
        &self,
        name: &str,
        shape: &[usize],
        device: &Device,
        dtype: DType,
    ) -> Result<Tensor, Error> {
        let Some(File { content, metadata, start }) = self.file() else {
            return Ok(random::weight(name, shape)?.to_dtype(dtype)?.to_device(device)?);
        };
        let file = || content.path.clone();
        let info = metadata.info(name).filter(|info| info.shape == shape);
        let Some(info) = info else {
            return self.absent(name, shape).and_then(|()| Ok(Tensor::zeros(shape, dtype, device)?));
        };
        self.audit().asked.insert(name.to_owned());
        let stored = match info.dtype {
            Dtype::F16 => DType::F16,
            Dtype::BF16 => DType::BF16,
            Dtype::F32 => DType::F32,
            Dtype::F64 => DType::F64,
            other => {
                let dtype = format!("{other:?}");
                return Err(Error::TensorDtype { file: file(), tensor: name.to_owned(), dtype });
            }
        };
        // The header was checked against the file's length.
        let (from, to) = info.data_offsets;
        let data = &content.bytes[start + from..start + to];
        if !finite(data, stored) {
            return Err(Error::TensorNotFinite { file: file(), tensor: name.to_owned() });
        }
        Ok(Tensor::from_raw_buffer(data, stored, shape, &Device::Cpu)?.to_dtype(dtype)?.to_device(device)?)
    }

    /// Notes a tensor that is missing or has another shape where [`all_of`](Self::all_of) watches; an error
    /// elsewhere.
    fn absent(&self, name: &str, shape: &[usize]) -> Result<(), Error> {
        let (tensor, expected) = (name.to_owned(), shape.to_vec());
        let actual = self.shape(name).map(<[usize]>::to_vec);
        let mut audit = self.audit();
        match (actual, audit.watching) {
            (None, true) => audit.mismatch.missing.push((tensor, expected)),
            (Some(actual), true) => {
                audit.asked.insert(tensor.clone());
                audit.mismatch.misshapen.push((tensor, actual, expected));
            }
            (None, false) => {
                return Err(Error::MissingTensor { file: self.path(), tensor, expected });
            }
            (Some(actual), false) => {
                let file = self.path();
                return Err(Error::TensorShape { file, tensor, expected, actual });
            }
        }
        Ok(())
    }
}

/// The length of a safetensors file beside the one that its header promises.
struct Cut {
    promised: u64,
    actual: u64,
    /// Whether the header is there as a whole.
    whole: bool,
}

/// How a safetensors file has another length than its header promises, if it has.
fn cut(bytes: &[u8]) -> Option<Cut> {
    let actual = bytes.len() as u64;
    let (header, rest) = bytes.split_first_chunk()?;
    let header = u64::from_le_bytes(*header);
    if header > MAX_HEADER {
        return None;
    }
    let begin = LENGTH_BYTES as u64 + header;
    if begin > actual {
        return Some(Cut { promised: begin, actual, whole: false });
    }
    let json: serde_json::Value = serde_json::from_slice(&rest[..header as usize]).ok()?;
    let ends = json.as_object()?.values().filter_map(|tensor| tensor.get("data_offsets")?.get(1)?.as_u64());
    let promised = begin.checked_add(ends.max()?)?;
    (promised != actual).then_some(Cut { promised, actual, whole: true })
}

fn damaged(file: PathBuf, cut: Option<Cut>, source: safetensors::SafeTensorError) -> Error {
    match cut {
        Some(Cut { promised, actual, whole }) => Error::SafetensorsLength { file, promised, actual, whole },
        None => Error::Safetensors { file, source },
    }
}

/// An exponent of ones means infinity or NaN; it lies in the top two bytes of an element.
fn finite(data: &[u8], dtype: DType) -> bool {
    let exponent = match dtype {
        DType::F16 => 0x7c00,
        DType::F64 => 0x7ff0,
        _ => 0x7f80,
    };
    let size = dtype.size_in_bytes();
    data.chunks_exact(size).all(|element| {
        let top = u16::from_le_bytes([element[size - 2], element[size - 1]]);
        top & exponent != exponent
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use safetensors::tensor::TensorView;

    use super::*;

    fn file(name: &str, dtype: Dtype, shape: &[usize], data: &[u8]) -> Vec<u8> {
        let view = TensorView::new(dtype, shape.to_vec(), data).unwrap();
        safetensors::serialize(BTreeMap::from([(name, view)]), None).unwrap()
    }

    fn weights(bytes: Vec<u8>) -> Result<Weights, Error> {
        Weights::new(Content { path: "w.safetensors".into(), sha256: sha256(&bytes), bytes })
    }

    fn message(bytes: Vec<u8>, name: &str, shape: &[usize]) -> String {
        weights(bytes).unwrap().tensor(name, shape, &Device::Cpu, DType::F32).unwrap_err().to_string()
    }

    #[test]
    fn tensors_are_read_by_name_and_shape() {
        let data: Vec<u8> = [1f32, -2.5].iter().flat_map(|x| x.to_le_bytes()).collect();
        let w = weights(file("a", Dtype::F32, &[2, 1], &data)).unwrap();
        assert_eq!(w.f64("a", &[2, 1]).unwrap(), [1.0, -2.5]);
        assert!(w.contains("a") && !w.contains("b"));
    }

    #[test]
    fn a_missing_tensor_is_named_with_its_shape() {
        assert_eq!(
            message(file("a", Dtype::F32, &[1], &[0; 4]), "b", &[3, 2]),
            "w.safetensors has no tensor `b` of shape [3, 2]"
        );
    }

    #[test]
    fn a_wrong_shape_is_named_with_both() {
        assert_eq!(
            message(file("a", Dtype::F32, &[1], &[0; 4]), "a", &[2]),
            "w.safetensors: tensor `a` has shape [1], not [2]"
        );
    }

    #[test]
    fn whole_numbers_and_numbers_that_are_not_finite_are_refused() {
        assert_eq!(
            message(file("a", Dtype::I32, &[1], &[0; 4]), "a", &[1]),
            "w.safetensors: tensor `a` holds I32, not floating-point numbers"
        );
        for (dtype, bytes) in [
            (Dtype::F32, f32::NAN.to_le_bytes().to_vec()),
            (Dtype::F64, f64::NEG_INFINITY.to_le_bytes().to_vec()),
            (Dtype::F16, half::f16::INFINITY.to_le_bytes().to_vec()),
            (Dtype::BF16, half::bf16::NAN.to_le_bytes().to_vec()),
        ] {
            let message = message(file("a", dtype, &[1], &bytes), "a", &[1]);
            assert_eq!(message, "w.safetensors: tensor `a` holds numbers that are not finite");
        }
        assert!(finite(&f32::MAX.to_le_bytes(), DType::F32));
    }

    #[test]
    fn a_file_cut_anywhere_says_how_much_is_missing() {
        let whole = file("a", Dtype::F32, &[2], &[0; 8]);
        let header = u64::from_le_bytes(whole[..8].try_into().unwrap()) + 8;
        for end in 0..whole.len() {
            let error = weights(whole[..end].to_vec()).err().expect("a cut file").to_string();
            let least = if (end as u64) < header { header } else { whole.len() as u64 };
            let expected = match end {
                0..8 => "w.safetensors is no safetensors file".to_owned(),
                _ => format!(
                    "w.safetensors is not whole: it has {end} bytes, and its header promises {}{least}; copy or \
                     fetch it again",
                    if (end as u64) < header { "at least " } else { "" }
                ),
            };
            assert_eq!(error, expected);
        }
        for other in [&b"a text of some length"[..], &[0xff; 8], &[0xff; 20]] {
            let error = weights(other.to_vec()).err().expect("no safetensors file").to_string();
            assert_eq!(error, "w.safetensors is no safetensors file");
        }
    }

    /// A file with `a [2]`, `b [1]` and `c.d [1]`.
    fn three() -> Weights {
        let view = |shape: &[usize], data| TensorView::new(Dtype::F32, shape.to_vec(), data).unwrap();
        let tensors = [("a", view(&[2], &[0; 8])), ("b", view(&[1], &[0; 4])), ("c.d", view(&[1], &[0; 4]))];
        weights(safetensors::serialize(tensors, None).unwrap()).unwrap()
    }

    #[test]
    fn missing_surplus_and_misshapen_tensors_are_one_error() {
        let w = three();
        let ask = |name: &str, shape: &[usize]| w.tensor(name, shape, &Device::Cpu, DType::F32);
        let error = w.all_of(|| {
            ask("a", &[3])?;
            ask("x", &[2, 2])?;
            ask("y", &[5])
        });
        assert_eq!(
            error.unwrap_err().to_string(),
            "w.safetensors does not hold the tensors of this architecture:\n  \
             2 missing: `x` [2, 2], `y` [5]\n  1 of another shape: `a` [2] instead of [3]\n  \
             2 surplus: `b` [1], `c.d` [1]"
        );
        // Outside of it a single question has a single answer.
        assert!(matches!(ask("x", &[1]), Err(Error::MissingTensor { .. })));
    }

    #[test]
    fn what_a_network_leaves_is_no_surplus() {
        let w = three();
        let ask = |name: &str, shape: &[usize]| w.tensor(name, shape, &Device::Cpu, DType::F32);
        let both = || ask("a", &[2]).and_then(|_| ask("b", &[1]));
        assert!(
            matches!(w.all_of(both), Err(Error::Tensors { mismatch, .. }) if mismatch.surplus == [("c.d".to_owned(), vec![1])])
        );
        let leaving = || {
            w.leave("c.");
            both()
        };
        assert!(w.all_of(leaving).is_ok());
    }

    #[test]
    fn a_long_list_is_cut_in_the_message_alone() {
        let w = three();
        let many = || {
            (0..30).try_for_each(|i| w.tensor(&format!("t{i}"), &[i], &Device::Cpu, DType::F32).map(|_| ()))
        };
        let error = w.all_of(many).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("30 missing: `t0` [0], ") && text.contains("`t11` [11], and 18 more"),
            "{text}"
        );
        assert!(matches!(error, Error::Tensors { mismatch, .. } if mismatch.missing.len() == 30));
    }
}
