//! Volumes side by side along their channels.

use candle_core::{D, Tensor};

use crate::{
    Conv3d,
    error::{Error, Result},
};

/// Builds a volume `[b, t, h, w, c]` from convolutions whose channels stand side by side in it, in the order in which
/// they are put.
///
/// On CUDA each writes its part of the volume where it belongs; elsewhere parts are joined at the end.
#[derive(Debug, Default)]
pub struct Concat {
    /// Channels of the volume.
    channels: usize,
    parts: Vec<Tensor>,
    /// The volume, and the channels of it that are written.
    #[cfg(feature = "cuda")]
    whole: Option<(Tensor, usize)>,
}

impl Concat {
    /// A volume of this many channels.
    pub fn new(channels: usize) -> Self {
        Self { channels, ..Self::default() }
    }

    /// The channels that `conv` makes of `x`.
    ///
    /// # Errors
    ///
    /// As [`Conv3d::forward`].
    pub fn put(&mut self, conv: &Conv3d, x: &Tensor) -> Result<()> {
        self.place(conv, x, conv.channels()).map(|_| ())
    }

    /// The first `count` channels that `conv` makes of `x`; gives the others, `[b, t, h, w, ..]`.
    ///
    /// # Errors
    ///
    /// As [`Conv3d::forward`]; a convolution without others.
    pub fn put_first(&mut self, conv: &Conv3d, x: &Tensor, count: usize) -> Result<Tensor> {
        let others = self.place(conv, x, count.min(conv.channels()))?;
        others.ok_or_else(|| Error::Shape {
            operation: "Concat::put_first",
            expected: "a convolution of more channels than are put",
            actual: vec![conv.channels(), count],
        })
    }

    fn place(&mut self, conv: &Conv3d, x: &Tensor, count: usize) -> Result<Option<Tensor>> {
        let rest = conv.channels() - count;
        #[cfg(feature = "cuda")]
        if let Some(packed) = conv.packed_for_cuda() {
            let axes = conv.axes(x)?;
            let [t, h, w] = axes.map(|a| a.out);
            let blank = |channels| {
                // SAFETY: convolutions write all of it.
                unsafe { Tensor::empty((x.dims()[0], t, h, w, channels), x.dtype(), x.device()) }
            };
            let (volume, channel) = match self.whole.take() {
                Some(whole) => whole,
                None => (blank(self.channels)?, 0),
            };
            // A kernel writes where it is told to.
            let written = channel + count;
            if volume.dims()[..4] != [x.dims()[0], t, h, w] || written > self.channels {
                return Err(Error::Shape {
                    operation: "Concat::put",
                    expected: "parts of one size, and no more channels than were announced",
                    actual: vec![x.dims()[0], t, h, w, written],
                });
            }
            let others = if rest > 0 { Some(blank(rest)?) } else { None };
            let targets = [
                &crate::cuda::Target { volume: &volume, channel },
                &crate::cuda::Target { volume: others.as_ref().unwrap_or(&volume), channel: 0 },
            ];
            packed.run(x, &axes, conv.relu(), count, targets)?;
            self.whole = Some((volume, written));
            return Ok(others);
        }
        let y = conv.forward(x)?;
        if rest == 0 {
            self.parts.push(y);
            return Ok(None);
        }
        self.parts.push(y.narrow(D::Minus1, 0, count)?);
        Ok(Some(y.narrow(D::Minus1, count, rest)?))
    }

    /// The volume.
    ///
    /// # Errors
    ///
    /// Parts of other sizes, or other channels than [`new`](Self::new) was told.
    pub fn finish(self) -> Result<Tensor> {
        #[cfg(feature = "cuda")]
        if let Some((volume, written)) = self.whole {
            check(written, self.channels)?;
            return Ok(volume);
        }
        let volume = Tensor::cat(&self.parts, D::Minus1)?;
        check(volume.dim(D::Minus1)?, self.channels)?;
        Ok(volume)
    }
}

fn check(written: usize, channels: usize) -> Result<()> {
    if written == channels {
        return Ok(());
    }
    Err(Error::Shape {
        operation: "Concat::finish",
        expected: "as many channels as were announced",
        actual: vec![written, channels],
    })
}
