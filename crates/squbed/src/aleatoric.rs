//! The ambiguity of one prompt, without videos: Algorithm 1 alone.

use std::path::Path;

use candle_core::Device;
use squbed_core::{GroupFit, Interval};
use squbed_tensor::TextEncoder;
use squbed_vmf::Estimator;

use crate::{
    basis, embed, error::Result, fit::Group, interval::jackknife_of_prompts, method::aleatoric_uncertainty,
    progress::Progress,
};

/// h(Z | ℓ) of one prompt.
#[derive(Clone, Debug)]
pub struct PromptUncertainty {
    /// The fit of the latent prompts' embeddings; its entropy is h, in nats.
    pub fit: GroupFit,
    /// The interval of h.
    pub interval: Interval,
}

/// Embeds latent prompts and fits them; `stored_basis`, of an earlier estimate of this encoder, projects them first.
///
/// # Errors
///
/// Embeddings without direction; a basis of another encoder.
pub fn of_latents(
    latents: &[String],
    encoder: &dyn TextEncoder,
    estimator: Estimator,
    stored_basis: Option<&Path>,
    device: &Device,
    progress: &dyn Progress,
) -> Result<PromptUncertainty> {
    let texts: Vec<&str> = latents.iter().map(String::as_str).collect();
    // A prompt whose embedding has no direction is missing from them.
    let (embeddings, _) = embed::embed_texts(&texts, encoder, None, progress)?;
    let group: Group<'_> = texts
        .iter()
        .map(|text| {
            embeddings.text(text).ok_or_else(|| crate::Error::NotEmbedded {
                encoder: encoder.identity().name.clone(),
                item: format!("“{text}”"),
            })
        })
        .collect::<Result<_>>()?;
    let basis = match stored_basis {
        Some(file) => {
            basis::check_encoder(file, encoder.identity())?;
            Some(basis::load(file, std::slice::from_ref(&group), device)?)
        }
        None => None,
    };
    let fit =
        aleatoric_uncertainty(std::slice::from_ref(&group), basis.as_ref(), estimator, device)?.remove(0);
    let interval = jackknife_of_prompts(&group, basis.as_ref(), estimator, device, fit.entropy)?;
    Ok(PromptUncertainty { fit, interval })
}
