//! Metrics of pairs of frames by name.

use std::{fmt, str::FromStr};

use rayon::prelude::*;
use squbed_core::Frame;
use squbed_models::arch::backbone::Backbone;

use crate::{
    error::{Error, Result},
    image::Image,
    psnr, ssim,
};

/// A metric of two frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Of pixels alone.
    Pixel(PixelMetric),
    /// LPIPS with this network, which needs weights.
    Lpips(Backbone),
}

/// A metric that needs no weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PixelMetric {
    /// PSNR over red, green and blue.
    Psnr,
    /// SSIM, mean over red, green and blue.
    Ssim,
    /// PSNR of the luma alone.
    PsnrLuma,
    /// SSIM of the luma alone.
    SsimLuma,
}

impl Metric {
    /// Every metric.
    pub const ALL: [Self; 6] = [
        Self::Pixel(PixelMetric::Psnr),
        Self::Pixel(PixelMetric::Ssim),
        Self::Pixel(PixelMetric::PsnrLuma),
        Self::Pixel(PixelMetric::SsimLuma),
        Self::Lpips(Backbone::AlexNet),
        Self::Lpips(Backbone::Vgg16),
    ];

    /// The name under which its values stand.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pixel(PixelMetric::Psnr) => "psnr",
            Self::Pixel(PixelMetric::Ssim) => "ssim",
            Self::Pixel(PixelMetric::PsnrLuma) => "psnr-y",
            Self::Pixel(PixelMetric::SsimLuma) => "ssim-y",
            Self::Lpips(Backbone::AlexNet) => "lpips-alex",
            Self::Lpips(Backbone::Vgg16) => "lpips-vgg",
        }
    }

    /// All names, for messages.
    pub(crate) fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Metric {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|metric| metric.name() == name)
            .ok_or_else(|| Error::Name { name: name.to_owned() })
    }
}

impl PixelMetric {
    /// Its value for each pair of frames, in their order. Frames are worked on side by side.
    ///
    /// # Errors
    ///
    /// Clips of different length; as [`psnr`](psnr()) and [`ssim`](ssim()).
    pub fn frames(self, a: &[Frame], b: &[Frame]) -> Result<Vec<f64>> {
        check_paired(a, b)?;
        a.par_iter().zip(b).map(|(a, b)| self.frame(a, b)).collect()
    }

    fn frame(self, a: &Frame, b: &Frame) -> Result<f64> {
        match self {
            Self::Psnr => psnr(&a.into(), &b.into()),
            Self::Ssim => ssim(&a.into(), &b.into()),
            Self::PsnrLuma => psnr(&Image::luma(a), &Image::luma(b)),
            Self::SsimLuma => ssim(&Image::luma(a), &Image::luma(b)),
        }
    }
}

/// Checks that two clips have as many frames.
pub(crate) fn check_paired(a: &[Frame], b: &[Frame]) -> Result<()> {
    if a.len() == b.len() { Ok(()) } else { Err(Error::Frames { a: a.len(), b: b.len() }) }
}
