//! What an encoder is.

use candle_core::Tensor;
use squbed_core::{BoxError, Clip, EncoderIdentity, Frame, Sampling};

/// Why an encoder failed.
#[derive(Debug, thiserror::Error)]
#[error("encoder {encoder} failed")]
pub struct EncodeError {
    /// The encoder's name.
    pub encoder: String,
    /// Why.
    #[source]
    pub source: BoxError,
}

/// Texts to embeddings.
pub trait TextEncoder: Send {
    /// Everything that decides an embedding's value besides its text.
    fn identity(&self) -> &EncoderIdentity;

    /// Numbers in an embedding.
    fn dim(&self) -> usize {
        self.identity().dim
    }

    /// `[b, d]` f32, in the order of the texts. Longer texts are truncated.
    ///
    /// # Errors
    ///
    /// A text that cannot be tokenised, or a device that fails.
    fn embed(&self, texts: &[&str]) -> Result<Tensor, EncodeError>;

    /// Characters at each text's end that lie behind the model's limit, which an embedding does not see; none where an encoder
    /// has no limit.
    ///
    /// # Errors
    ///
    /// A text that cannot be tokenised.
    fn characters_cut(&self, texts: &[&str]) -> Result<Vec<usize>, EncodeError> {
        Ok(vec![0; texts.len()])
    }
}

/// Images to embeddings.
pub trait ImageEncoder: Send + Sync {
    /// Everything that decides an embedding's value besides its image.
    fn identity(&self) -> &EncoderIdentity;

    /// Numbers in an embedding.
    fn dim(&self) -> usize {
        self.identity().dim
    }

    /// An image of any size, `[h, w, 3]`, resized, cropped and scaled.
    ///
    /// # Errors
    ///
    /// An image that the model cannot take.
    fn preprocess(&self, image: &Frame) -> Result<Tensor, EncodeError>;

    /// `[b, h, w, 3]` to `[b, d]` f32.
    ///
    /// # Errors
    ///
    /// Another shape, or a device that fails.
    fn embed(&self, batch: &Tensor) -> Result<Tensor, EncodeError>;
}

/// Clips to embeddings.
pub trait VideoEncoder: Send + Sync {
    /// Everything that decides an embedding's value besides its video.
    fn identity(&self) -> &EncoderIdentity;

    /// Which frames of a video it sees.
    fn sampling(&self) -> &Sampling;

    /// Numbers in an embedding.
    fn dim(&self) -> usize {
        self.identity().dim
    }

    /// A clip of the frames that [`sampling`](Self::sampling) chose, `[t, h, w, 3]`, resized, cropped and scaled.
    ///
    /// # Errors
    ///
    /// A clip that the model cannot take.
    fn preprocess(&self, clip: &Clip) -> Result<Tensor, EncodeError>;

    /// `[b, t, h, w, 3]` to `[b, d]` f32.
    ///
    /// # Errors
    ///
    /// Another shape, or a device that fails.
    fn embed(&self, batch: &Tensor) -> Result<Tensor, EncodeError>;
}
