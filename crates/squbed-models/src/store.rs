//! Models on this machine.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use candle_core::{DType, Device, Tensor};
use squbed_tensor::{ImageEncoder, TextEncoder, VideoEncoder};

use crate::{
    arch::bert::Family,
    bare::{Head, Network, no_embedder},
    digest::{Digest, sha256, sha256_file},
    error::Error,
    fetch::{FetchOptions, Fetched, Progress, fetch},
    image_text::{self, ClipImages, ClipText, EachFrame, FrameMean},
    llm::LanguageModel,
    manifest::{Architecture, Input, Manifest, Modality, ModelFile},
    prepared::Prepared,
    text::{SentenceEncoder, WordEncoder},
    video::ClipEncoder,
    weights::Weights,
};

/// Manifests of the repository's folder `models`, by its names.
macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        [$((
            concat!("models/", $name, "/model.toml"),
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/", $name, "/model.toml")),
        )),*]
    };
}

/// The manifests that come with the program.
const BUILT_IN: &[(&str, &str)] = &built_in![
    "CLIP-ViT-B-16-laion2B-s34B-b88K",
    "CLIP-ViT-B-32-laion2B-s34B-b79K",
    "CLIP-ViT-H-14-laion2B-s32B-b79K",
    "CLIP-ViT-L-14-laion2B-s32B-b82K",
    "all-MiniLM-L6-v2",
    "all-mpnet-base-v2",
    "bge-base-en-v1.5",
    "bge-small-en-v1.5",
    "clip-vit-base-patch16",
    "clip-vit-base-patch32",
    "clip-vit-large-patch14",
    "clip-vit-large-patch14-336",
    "e5-small-v2",
    "i3d-kinetics-400",
    "llama-3.2-1b",
    "lpips-alex",
    "lpips-vgg",
    "multilingual-e5-base",
    "multilingual-e5-small",
    "paraphrase-multilingual-MiniLM-L12-v2",
    "qwen3-0.6b",
    "qwen3-4b",
    "s3d-kinetics-400",
    "s3d-milnce",
    "smollm2-135m",
];

/// The known models and the place of their files, `<home>/models/<name>/`.
#[derive(Debug)]
pub struct ModelStore {
    models: PathBuf,
    known: BTreeMap<String, Known>,
    broken: Vec<Broken>,
}

/// A manifest that is refused. The others are of use nevertheless.
#[derive(Clone, Debug)]
pub struct Broken {
    /// The model, by the name of its folder.
    pub name: String,
    /// What is wrong; it names the manifest.
    pub error: Arc<Error>,
}

#[derive(Debug)]
struct Known {
    manifest: Manifest,
    /// The folder of a manifest that does not come with the program.
    origin: Option<PathBuf>,
}

/// One line of a listing. Nothing is hashed for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// The model.
    pub name: String,
    /// Its network.
    pub architecture: Architecture,
    /// Whether every file is there in its size; [`ModelStore::verify`] looks at the content.
    pub present: bool,
    /// Of a model that is there in part, the files that are not, by their paths in its folder.
    pub missing: Vec<String>,
    /// Where its files are, or would be.
    pub folder: PathBuf,
    /// Bytes of all its files, where known.
    pub size: Option<u64>,
    /// Licence of the weights.
    pub licence: String,
    /// Whether the manifest pins every file by a SHA-256.
    pub pinned: bool,
    /// The manifest, if it does not come with the program.
    pub manifest: Option<PathBuf>,
}

/// What a file of a model turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileState {
    /// What the manifest promises.
    Verified,
    /// There, but the manifest promises nothing; this is its SHA-256.
    Unverified(String),
    /// Not there.
    Missing,
    /// Other content, of this SHA-256.
    Damaged(String),
}

/// One file of a [`ModelStore::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileReport {
    /// The file.
    pub path: PathBuf,
    /// What was found.
    pub state: FileState,
}

impl ModelStore {
    /// The store below `home`, or below [`default_home`]. Besides the built-in manifests it knows those of
    /// the folders in `$SQUBED_MODELS`, separated as in `$PATH`, each `<folder>/<name>/model.toml`; a later one
    /// replaces an earlier one of its name.
    ///
    /// # Errors
    ///
    /// No place for models; a folder that cannot be read. A manifest that is refused is one of
    /// [`broken`](Self::broken), and an error to whoever asks for its model.
    pub fn new(home: Option<PathBuf>) -> Result<Self, Error> {
        let home = home.map_or_else(default_home, Ok)?;
        let folders = env::var_os("SQUBED_MODELS").unwrap_or_default();
        let folders: Vec<_> = env::split_paths(&folders).filter(|f| !f.as_os_str().is_empty()).collect();
        Self::with_manifests(home, &folders)
    }

    /// The store below `home` with the manifests of these folders besides the built-in ones.
    pub fn with_manifests(home: PathBuf, folders: &[PathBuf]) -> Result<Self, Error> {
        let home = std::path::absolute(&home).map_err(Error::io("find", &home))?;
        let mut known = BTreeMap::new();
        for &(file, text) in BUILT_IN {
            let manifest = parse(Path::new(file), text)?;
            known.insert(manifest.name.clone(), Known { manifest, origin: None });
        }
        let mut broken: Vec<Broken> = Vec::new();
        for origin in
            folders.iter().map(|folder| model_folders(folder)).collect::<Result<Vec<_>, _>>()?.concat()
        {
            let name = origin.file_name().unwrap_or_default().to_string_lossy().into_owned();
            broken.retain(|earlier| earlier.name != name);
            match read_manifest(&origin) {
                Ok(manifest) => {
                    known.insert(name, Known { manifest, origin: Some(origin) });
                }
                Err(error) => {
                    // The one it would have replaced is not what the user means.
                    known.remove(&name);
                    broken.push(Broken { name, error: Arc::new(error) });
                }
            }
        }
        Ok(Self { models: home.join("models"), known, broken })
    }

    /// Manifests that are refused, in the order of their folders.
    pub fn broken(&self) -> &[Broken] {
        &self.broken
    }

    /// All manifests, by name.
    pub fn manifests(&self) -> impl Iterator<Item = &Manifest> {
        self.known.values().map(|known| &known.manifest)
    }

    /// The manifest of this name.
    pub fn manifest(&self, name: &str) -> Result<&Manifest, Error> {
        self.known(name).map(|known| &known.manifest)
    }

    /// Where the files of a model are, or would be.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.models.join(name)
    }

    /// All models, by name.
    pub fn list(&self) -> Vec<Status> {
        self.known.values().map(|known| self.status_of(known)).collect()
    }

    /// One model.
    pub fn status(&self, name: &str) -> Result<Status, Error> {
        Ok(self.status_of(self.known(name)?))
    }

    /// Brings a model's files to this machine, those that are not there yet as the manifest promises. Sources are
    /// tried in the manifest's order; the model appears whole and verified, or not at all.
    pub fn fetch(
        &self,
        name: &str,
        options: &FetchOptions,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Fetched, Error> {
        let Known { manifest, origin } = self.known(name)?;
        fetch(manifest, &self.models, origin.as_deref(), options, progress)
    }

    /// Hashes every file of a model anew.
    pub fn verify(&self, name: &str) -> Result<Vec<FileReport>, Error> {
        let manifest = self.manifest(name)?;
        let check = |file: &ModelFile| {
            let path = self.folder(name).join(&file.path);
            let state = if !path.is_file() {
                FileState::Missing
            } else {
                let actual = sha256_file(&path).map_err(Error::io("read", &path))?;
                match &file.sha256 {
                    Digest::Unverified => FileState::Unverified(actual),
                    promised if promised.admits(&actual) => FileState::Verified,
                    Digest::Sha256(_) => FileState::Damaged(actual),
                }
            };
            Ok(FileReport { path, state })
        };
        manifest.files.iter().map(check).collect()
    }

    /// The encoder of sentences of this name.
    pub fn text_encoder(
        &self,
        name: &str,
        device: &Device,
        dtype: DType,
    ) -> Result<Box<dyn TextEncoder>, Error> {
        let manifest = self.manifest(name)?;
        if manifest.architecture == Architecture::S3dMilnce {
            return Ok(Box::new(WordEncoder::load(&self.open(manifest), device, dtype)?));
        }
        Ok(match manifest.input {
            Input::ImageText { .. } => Box::new(self.clip_text(name, device, dtype)?),
            _ => Box::new(self.sentence_encoder(name, device, dtype)?),
        })
    }

    /// [`text_encoder`](Self::text_encoder) by its own type, which gives token ids as well.
    pub fn sentence_encoder(
        &self,
        name: &str,
        device: &Device,
        dtype: DType,
    ) -> Result<SentenceEncoder, Error> {
        let manifest = self.manifest(name)?;
        let family = match (&manifest.input, manifest.architecture) {
            (Input::Text { .. }, Architecture::Bert) => Family::Bert,
            (Input::Text { .. }, Architecture::Mpnet) => Family::Mpnet,
            (Input::Text { .. }, Architecture::XlmRoberta) => Family::XlmRoberta,
            _ => return Err(Error::modality(manifest, Modality::Text)),
        };
        SentenceEncoder::load(&self.open(manifest), family, device, dtype)
    }

    /// The encoder of video clips of this name.
    pub fn video_encoder(
        &self,
        name: &str,
        device: &Device,
        dtype: DType,
    ) -> Result<Box<dyn VideoEncoder>, Error> {
        let manifest = self.manifest(name)?;
        Ok(match &manifest.input {
            Input::ImageText { sampling, .. } => {
                Box::new(FrameMean::new(self.clip_images(name, device, dtype)?, sampling.clone()))
            }
            _ => Box::new(self.clip_encoder(name, device, dtype)?),
        })
    }

    /// The encoder of the frames of video clips of this name, one by one.
    ///
    /// # Errors
    ///
    /// A model whose embedding is of a clip as a whole; one that is not here whole.
    pub fn frame_encoder(
        &self,
        name: &str,
        device: &Device,
        dtype: DType,
    ) -> Result<EachFrame<ClipImages>, Error> {
        let manifest = self.manifest(name)?;
        match &manifest.input {
            Input::ImageText { sampling, .. } => {
                EachFrame::new(self.clip_images(name, device, dtype)?, sampling.clone())
            }
            Input::Video { .. } => Err(Error::WholeClips { name: name.to_owned() }),
            _ => Err(Error::modality(manifest, Modality::Video)),
        }
    }

    /// The encoder of images of this name.
    pub fn image_encoder(
        &self,
        name: &str,
        device: &Device,
        dtype: DType,
    ) -> Result<Box<dyn ImageEncoder>, Error> {
        Ok(Box::new(self.clip_images(name, device, dtype)?))
    }

    /// The images' side of a model for images and texts, by its own type.
    pub fn clip_images(&self, name: &str, device: &Device, dtype: DType) -> Result<ClipImages, Error> {
        ClipImages::load(&self.open(self.manifest(name)?), device, dtype)
    }

    /// The texts' side of a model for images and texts, by its own type, which gives token ids as well.
    pub fn clip_text(&self, name: &str, device: &Device, dtype: DType) -> Result<ClipText, Error> {
        ClipText::load(&self.open(self.manifest(name)?), device, dtype)
    }

    /// [`video_encoder`](Self::video_encoder) by its own type.
    pub fn clip_encoder(&self, name: &str, device: &Device, dtype: DType) -> Result<ClipEncoder, Error> {
        let manifest = self.manifest(name)?;
        match &manifest.input {
            Input::Video { .. } => ClipEncoder::load(&self.open(manifest), device, dtype),
            _ => Err(Error::modality(manifest, Modality::Video)),
        }
    }

    /// SHA-256 of the weights of a model that gives embeddings, hashed anew.
    ///
    /// # Errors
    ///
    /// A file that cannot be read.
    pub fn weights_sha256(&self, name: &str) -> Result<String, Error> {
        let open_clip = self.manifest(name)?.architecture == Architecture::OpenClip;
        let file = if open_clip { "open_clip_model.safetensors" } else { "model.safetensors" };
        let path = self.folder(name).join(file);
        sha256_file(&path).map_err(Error::io("read", path))
    }

    /// The tensors of one of a model's files, for networks that are no encoder.
    pub fn weights(&self, name: &str, file: &'static str) -> Result<Weights, Error> {
        Weights::new(self.open(self.manifest(name)?).read(file)?)
    }

    /// The language model of this name. Weights that take at most 1 GiB in f32 are dequantised.
    ///
    /// # Errors
    ///
    /// A model of another kind, or one that is not here whole.
    pub fn language_model(&self, name: &str, device: &Device) -> Result<LanguageModel, Error> {
        let manifest = self.manifest(name)?;
        let file = manifest.files.iter().find(|file| file.path.ends_with(".gguf"));
        let (Input::Chat {}, Some(file)) = (&manifest.input, file) else {
            return Err(Error::modality(manifest, Modality::Chat));
        };
        Ok(LanguageModel::open(&self.open(manifest).checked(file)?, device, None)?)
    }

    /// An output `[b, d]` of a model for an input that is already preprocessed. The embedding of a text model is
    /// what its module files say.
    ///
    /// # Errors
    ///
    /// As [`Network::forward_tensor`](crate::Network::forward_tensor); a model that is not here whole.
    pub fn embed_tensor(
        &self,
        name: &str,
        input: &Prepared,
        head: Head,
        device: &Device,
        dtype: DType,
    ) -> Result<Tensor, Error> {
        let manifest = self.manifest(name)?;
        let architecture = manifest.architecture;
        if !architecture.takes(input.modality()) {
            let (takes, wanted) = (architecture.modality(), input.modality());
            return Err(Error::Modality { name: name.to_owned(), takes, wanted });
        }
        architecture.check_head(head)?;
        self.network(name, device, dtype)?.forward_tensor(input, head)
    }

    /// The network of a model, for input that is already preprocessed; of a text model with what its module files say.
    ///
    /// # Errors
    ///
    /// A model that gives no embeddings, or is not here whole.
    pub fn network(&self, name: &str, device: &Device, dtype: DType) -> Result<Network, Error> {
        let manifest = self.manifest(name)?;
        let architecture = manifest.architecture;
        match architecture {
            Architecture::Bert | Architecture::Mpnet | Architecture::XlmRoberta => {
                Ok(Network::Sentence(Box::new(self.sentence_encoder(name, device, dtype)?)))
            }
            Architecture::Clip | Architecture::OpenClip => {
                Ok(Network::Clip(Box::new(image_text::network(&self.open(manifest), device, dtype)?)))
            }
            Architecture::I3d | Architecture::S3dMilnce | Architecture::S3dKinetics => {
                let weights = self.weights(name, "model.safetensors")?;
                weights.all_of(|| Network::video(architecture, &weights, device, dtype))
            }
            Architecture::Alexnet
            | Architecture::Vgg16
            | Architecture::Llama
            | Architecture::Qwen2
            | Architecture::Qwen3 => Err(no_embedder(architecture.name())),
        }
    }

    fn known(&self, name: &str) -> Result<&Known, Error> {
        if let Some(broken) = self.broken.iter().find(|broken| broken.name == name) {
            return Err(Error::Refused(Arc::clone(&broken.error)));
        }
        self.known.get(name).ok_or_else(|| Error::UnknownModel {
            name: name.to_owned(),
            known: self.known.keys().cloned().collect::<Vec<_>>().join(", "),
        })
    }

    fn status_of(&self, Known { manifest, origin }: &Known) -> Status {
        let folder = self.folder(&manifest.name);
        let there = |file: &ModelFile| {
            fs::metadata(folder.join(&file.path))
                .is_ok_and(|found| found.is_file() && file.size.is_none_or(|size| size == found.len()))
        };
        let missing = manifest.files.iter().filter(|file| !there(file));
        let missing: Vec<String> = missing.map(|file| file.path.clone()).collect();
        Status {
            name: manifest.name.clone(),
            architecture: manifest.architecture,
            present: missing.is_empty(),
            missing: if missing.len() < manifest.files.len() { missing } else { Vec::new() },
            size: manifest.size(),
            licence: manifest.licence.clone(),
            pinned: manifest.files.iter().all(ModelFile::is_pinned),
            manifest: origin.as_ref().map(|origin| origin.join("model.toml")),
            folder,
        }
    }

    fn open<'s>(&self, manifest: &'s Manifest) -> Opened<'s> {
        Opened { manifest, folder: self.folder(&manifest.name) }
    }
}

/// A model whose files are read, each checked against its manifest at that moment.
pub(crate) struct Opened<'s> {
    pub(crate) manifest: &'s Manifest,
    folder: PathBuf,
}

/// A file's content, which is what the manifest promises.
pub(crate) struct Content {
    pub(crate) path: PathBuf,
    pub(crate) bytes: Vec<u8>,
    pub(crate) sha256: String,
}

impl Opened<'_> {
    pub(crate) fn read(&self, path: &str) -> Result<Content, Error> {
        let model = &self.manifest.name;
        let architecture = self.manifest.architecture.name();
        let file = self.manifest.file(path).ok_or_else(|| Error::Incomplete {
            model: model.clone(),
            file: path.to_owned(),
            architecture,
        })?;
        let path = self.folder.join(path);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::Missing { model: model.clone(), file: path });
            }
            Err(error) => return Err(Error::io("read", path)(error)),
        };
        let sha256 = sha256(&bytes);
        if !file.sha256.admits(&sha256) {
            let (model, expected) = (model.clone(), file.sha256.to_string());
            return Err(Error::Digest { model, file: path, expected, actual: sha256 });
        }
        Ok(Content { path, bytes, sha256 })
    }
}

impl Opened<'_> {
    /// The path of a file that holds what the manifest promises, for readers that do not want it in memory.
    fn checked(&self, file: &ModelFile) -> Result<PathBuf, Error> {
        let model = self.manifest.name.clone();
        let path = self.folder.join(&file.path);
        if !path.is_file() {
            return Err(Error::Missing { model, file: path });
        }
        if file.is_pinned() {
            let actual = sha256_file(&path).map_err(Error::io("read", &path))?;
            if !file.sha256.admits(&actual) {
                return Err(Error::Digest { model, file: path, expected: file.sha256.to_string(), actual });
            }
        }
        Ok(path)
    }
}

/// Where models and other large files live: `$SQUBED_HOME`, else `squbed` in the user's cache folder.
pub fn default_home() -> Result<PathBuf, Error> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let user = || set("HOME").or_else(|| set("USERPROFILE"));
    set("SQUBED_HOME")
        .or_else(|| set("XDG_CACHE_HOME").map(|cache| cache.join("squbed")))
        .or_else(|| {
            let cache = if cfg!(target_os = "macos") { "Library/Caches" } else { ".cache" };
            user().map(|home| home.join(cache).join("squbed"))
        })
        .ok_or(Error::NoHome)
}

/// The manifest in a folder, which must have its name.
fn read_manifest(origin: &Path) -> Result<Manifest, Error> {
    let file = origin.join("model.toml");
    let text = fs::read_to_string(&file).map_err(Error::io("read", &file))?;
    let manifest = parse(&file, &text)?;
    if origin.file_name() != Some(manifest.name.as_ref()) {
        return Err(Error::ManifestName { file, name: manifest.name });
    }
    Ok(manifest)
}

fn parse(file: &Path, text: &str) -> Result<Manifest, Error> {
    Manifest::parse(text).map_err(|source| Error::Manifest { file: file.to_path_buf(), source })
}

/// The folders in `folder` that hold a `model.toml`, by name.
fn model_folders(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let unreadable = |source| Error::Manifests { folder: folder.to_owned(), source };
    let mut folders = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.join("model.toml").is_file() {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}
