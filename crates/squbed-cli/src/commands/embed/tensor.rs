//! Input that is already preprocessed: `--tensor`.

use std::path::Path;

use anyhow::{Context, bail};
use squbed::{
    core::EncoderIdentity,
    embed::{read_tensor, to_rows},
    models::{Architecture, Clips, Images, Modality, ModelStore, Prepared, Tokens, load_arch},
    progress::Progress,
};

use super::Encoder;
use crate::{Common, Done, progress::Bars};

/// The preprocessing of an input that came preprocessed.
const GIVEN: &str = "the user's own";

impl Encoder {
    /// Embeds what `--tensor` gives.
    pub(super) fn embed_tensor(
        &self,
        tensor: &Path,
        mask: Option<&Path>,
        wanted: Modality,
        common: &Common,
    ) -> anyhow::Result<Done> {
        let (device, dtype) = crate::commands::place(common)?;
        let store = ModelStore::new(None).map_err(squbed::Error::from)?;
        let architecture = match (&self.model, &self.arch) {
            (Some(name), _) => store.manifest(name).map(|manifest| manifest.architecture),
            (None, Some(arch)) => arch.parse(),
            // clap demands one of the two.
            (None, None) => bail!("give --model, or --arch with --weights"),
        };
        let architecture: Architecture = architecture.map_err(squbed::Error::from)?;
        if !architecture.takes(wanted) {
            let commands = [
                (Modality::Text, "embed text"),
                (Modality::Image, "embed image"),
                (Modality::Video, "embed video"),
            ];
            let command = commands.into_iter().find(|(modality, _)| architecture.takes(*modality));
            bail!(
                "`{}` takes {}, not {wanted}; use `squbed {}`",
                self.model.as_deref().unwrap_or(architecture.name()),
                architecture.modality(),
                command.map_or("score pair", |(_, command)| command),
            );
        }
        let head = architecture.head(&self.output).map_err(squbed::Error::from)?;
        let input = prepared(tensor, mask, wanted)?;
        let output = match (&self.model, &self.weights) {
            (Some(name), _) => store.embed_tensor(name, &input, head, &device, dtype),
            (None, Some(weights)) => load_arch(architecture, weights, self.config.as_deref(), &device, dtype)
                .and_then(|network| network.forward_tensor(&input, head)),
            (None, None) => bail!("--arch {architecture} needs --weights"),
        };
        let output = output
            .map_err(squbed::Error::from)
            .with_context(|| format!("cannot embed {}", tensor.display()))?;
        if let (Prepared::Clips(clips), Architecture::I3d) = (&input, architecture)
            && let Some(remark) = clips.remark_for_i3d()
        {
            Bars::new(common.quiet).warn(&remark);
        }
        let rows: Vec<Option<Vec<f32>>> = to_rows(&output)?.into_iter().map(Some).collect();
        let keys: Vec<String> = (0..rows.len()).map(|row| row.to_string()).collect();
        let of_weights = match (&self.model, &self.weights) {
            (Some(name), _) => store.weights_sha256(name).map_err(squbed::Error::from)?,
            (None, Some(weights)) => squbed::models::sha256_file(weights)
                .with_context(|| format!("cannot read {}", weights.display()))?,
            (None, None) => String::new(),
        };
        let encoder = EncoderIdentity {
            name: self.model.as_deref().unwrap_or(architecture.name()).to_owned(),
            weights_sha256: of_weights,
            preprocessing: GIVEN.to_owned(),
            sampling: String::new(),
            head: head.to_string(),
            dtype: dtype.as_str().to_owned(),
            dim: output.dims().last().copied().unwrap_or(0),
        };
        self.write(&encoder, &keys, &rows, None)?;
        Ok(Done::Whole)
    }
}

/// The input of `--tensor` and `--mask`, checked; an error names its file.
fn prepared(tensor: &Path, mask: Option<&Path>, modality: Modality) -> anyhow::Result<Prepared> {
    let x = read_tensor(tensor)?;
    let of_tensor = || format!("{} cannot be embedded", tensor.display());
    if modality == Modality::Image {
        let images = Images::new(&x).map_err(squbed::Error::from).with_context(of_tensor)?;
        return Ok(Prepared::Images(images));
    }
    if modality == Modality::Video {
        let clips = Clips::new(&x).map_err(squbed::Error::from).with_context(of_tensor)?;
        return Ok(Prepared::Clips(clips));
    }
    let tokens = Tokens::new(&x).map_err(squbed::Error::from).with_context(of_tensor)?;
    let Some(mask) = mask else { return Ok(Prepared::Tokens(tokens)) };
    let tokens = tokens
        .with_mask(&read_tensor(mask)?)
        .map_err(squbed::Error::from)
        .with_context(|| format!("{} is no mask of {}", mask.display(), tensor.display()))?;
    Ok(Prepared::Tokens(tokens))
}
