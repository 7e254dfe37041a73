//! Input that is already preprocessed, as a user brings it: checked once, so that no network meets a shape, a kind
//! or a number that it cannot take.

use candle_core::{DType, Device, Tensor};

use crate::{arch::i3d, error::Error, manifest::Modality};

/// Preprocessed input of a network.
#[derive(Clone, Debug)]
pub enum Prepared {
    /// For text.
    Tokens(Tokens),
    /// For images.
    Images(Images),
    /// For video.
    Clips(Clips),
}

/// Token ids `[b, l]` and, where some are padding, a mask.
#[derive(Clone, Debug)]
pub struct Tokens {
    ids: Tensor,
    mask: Option<Tensor>,
}

/// Images `[b, 3, h, w]` of finite numbers, in f32 unless [placed](Prepared::placed), scaled as the network wants them.
#[derive(Clone, Debug)]
pub struct Images(Tensor);

/// Clips `[b, 3, t, h, w]` of finite numbers, in f32 unless [placed](Prepared::placed), scaled as the network wants them.
#[derive(Clone, Debug)]
pub struct Clips(Tensor);

impl Prepared {
    /// What it is.
    pub fn modality(&self) -> Modality {
        match self {
            Self::Tokens(_) => Modality::Text,
            Self::Images(_) => Modality::Image,
            Self::Clips(_) => Modality::Video,
        }
    }

    /// Images and clips on a device, in an arithmetic, and channels-last in memory, which is how networks take them:
    /// one that is there computes on them without a copy. Token ids stay on the host, where networks look for the
    /// ends of texts.
    ///
    /// # Errors
    ///
    /// A device that fails.
    pub fn placed(&self, device: &Device, dtype: DType) -> Result<Self, Error> {
        // A view whose shape is channels-first; converted as it lies in memory, since a conversion writes its output
        // in the order of the shape.
        let place = |x: &Tensor, last: &[usize], first: &[usize]| -> Result<Tensor, Error> {
            let x = x.permute(last)?.contiguous()?.to_device(device)?.to_dtype(dtype)?;
            Ok(x.permute(first)?)
        };
        Ok(match self {
            Self::Tokens(tokens) => Self::Tokens(tokens.clone()),
            Self::Images(Images(x)) => Self::Images(Images(place(x, &[0, 2, 3, 1], &[0, 3, 1, 2])?)),
            Self::Clips(Clips(x)) => Self::Clips(Clips(place(x, &[0, 2, 3, 4, 1], &[0, 4, 1, 2, 3])?)),
        })
    }
}

impl Tokens {
    /// Ids `[b, l]`, i64 or u32. Whether a vocabulary has them is for its network to say.
    ///
    /// # Errors
    ///
    /// Another number of axes, an empty one, numbers with a fraction.
    pub fn new(ids: &Tensor) -> Result<Self, Error> {
        if !matches!(ids.dtype(), DType::I64 | DType::U32) {
            return Err(kind("token ids", "whole numbers (i64)", ids));
        }
        if ids.rank() != 2 || ids.elem_count() == 0 {
            let expected = "token ids [b, l], b and l at least 1";
            return Err(Error::Input { architecture: "a text model", expected, actual: ids.dims().to_vec() });
        }
        Ok(Self { ids: ids.clone(), mask: None })
    }

    /// The ids with a mask `[b, l]` of any dtype: 1 for a token, 0 for padding.
    ///
    /// # Errors
    ///
    /// Another shape than the ids have, a number that is neither, a row without a token.
    pub fn with_mask(self, mask: &Tensor) -> Result<Self, Error> {
        if mask.dims() != self.ids.dims() {
            let (expected, actual) = (self.ids.dims().to_vec(), mask.dims().to_vec());
            return Err(Error::MaskShape { expected, actual });
        }
        for (row, values) in mask.to_dtype(DType::F64)?.to_vec2::<f64>()?.into_iter().enumerate() {
            if let Some((column, &value)) = values.iter().enumerate().find(|(_, v)| **v != 0.0 && **v != 1.0)
            {
                return Err(Error::MaskValue { row, column, value });
            }
            if !values.contains(&1.0) {
                return Err(Error::EmptyMask { row });
            }
        }
        Ok(Self { mask: Some(mask.clone()), ..self })
    }

    /// The ids.
    pub fn ids(&self) -> &Tensor {
        &self.ids
    }

    /// The mask, where there is one.
    pub fn mask(&self) -> Option<&Tensor> {
        self.mask.as_ref()
    }
}

impl Images {
    /// Images `[b, 3, h, w]`; f64, f16 and bf16 are converted to f32.
    ///
    /// # Errors
    ///
    /// As of [`Clips::new`].
    pub fn new(x: &Tensor) -> Result<Self, Error> {
        if !x.dtype().is_float() {
            return Err(kind("images", "f32 (f64 is converted)", x));
        }
        if !matches!(x.dims(), [_, 3, _, _]) || x.elem_count() == 0 {
            let expected = "images [b, 3, h, w], none of them 0";
            return Err(Error::Input { architecture: "an image model", expected, actual: x.dims().to_vec() });
        }
        Ok(Self(finite("images", x)?))
    }

    /// The images, `[b, 3, h, w]`.
    pub fn tensor(&self) -> &Tensor {
        &self.0
    }
}

impl Clips {
    /// Clips `[b, 3, t, h, w]`; f64, f16 and bf16 are converted to f32.
    ///
    /// # Errors
    ///
    /// Whole numbers, which are no preprocessed clip; another number of axes or of channels, an empty axis; a number
    /// that is not finite in f32.
    pub fn new(x: &Tensor) -> Result<Self, Error> {
        if !x.dtype().is_float() {
            return Err(kind("clips", "f32 (f64 is converted)", x));
        }
        if !matches!(x.dims(), [_, 3, _, _, _]) || x.elem_count() == 0 {
            let expected = "clips [b, 3, t, h, w], none of them 0";
            return Err(Error::Input { architecture: "a video model", expected, actual: x.dims().to_vec() });
        }
        Ok(Self(finite("clips", x)?))
    }

    /// The clips, `[b, 3, t, h, w]`.
    pub fn tensor(&self) -> &Tensor {
        &self.0
    }

    /// What a user should know of clips that are smaller than those the published I3D takes.
    pub fn remark_for_i3d(&self) -> Option<String> {
        let &[_, _, t, h, w] = self.0.dims() else { return None };
        let [least_t, least_h, least_w] = i3d::WHOLE_WINDOW;
        (t < least_t || h < least_h || w < least_w).then(|| {
            format!(
                "clips of {t} frames of {h}×{w} are below the {least_t} frames of {least_h}×{least_w} that the \
                 published I3D takes: its averaging window is cut to the map, so that the features are no \
                 reference's"
            )
        })
    }
}

/// The numbers in f32, each of them finite.
fn finite(what: &'static str, x: &Tensor) -> Result<Tensor, Error> {
    let converted = x.to_dtype(DType::F32)?;
    let numbers = converted.flatten_all()?.to_vec1::<f32>()?;
    if let Some(at) = numbers.iter().position(|v| !v.is_finite()) {
        // As it was before the conversion, which may have made it infinite.
        let value = x.flatten_all()?.get(at)?.to_dtype(DType::F64)?.to_scalar::<f64>()?;
        return Err(Error::NotFinite { what, position: position(at, x.dims()), value });
    }
    Ok(converted)
}

/// Indices of the element at a row-major offset.
fn position(mut at: usize, dims: &[usize]) -> Vec<usize> {
    let mut position = vec![0; dims.len()];
    for (index, &size) in position.iter_mut().zip(dims).rev() {
        *index = at % size;
        at /= size;
    }
    position
}

fn kind(what: &'static str, expected: &'static str, x: &Tensor) -> Error {
    Error::InputKind { what, expected, actual: x.dtype().as_str() }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn tensor<T: candle_core::WithDType>(numbers: Vec<T>, dims: &[usize]) -> Tensor {
        Tensor::from_vec(numbers, dims, &Device::Cpu).unwrap()
    }

    #[test]
    fn clips_are_finite_numbers_of_five_axes() {
        let message = |x: &Tensor| Clips::new(x).unwrap_err().to_string();
        let dims = [1, 3, 2, 2, 2];
        for (value, told) in [(f64::NAN, "NaN"), (f64::NEG_INFINITY, "-inf"), (1e300, "1e300")] {
            let mut numbers = vec![0.5; 24];
            // Channel 2, frame 1, row 0, column 1.
            numbers[2 * 8 + 4 + 1] = value;
            assert_eq!(
                message(&tensor(numbers, &dims)),
                format!("the clips hold {told} at [0, 2, 1, 0, 1]; every number must be finite in f32")
            );
        }
        assert_eq!(message(&tensor(vec![0i64; 24], &dims)), "clips are f32 (f64 is converted), not i64");
        let last = tensor(vec![0f32; 24], &[1, 2, 2, 2, 3]);
        assert_eq!(
            message(&last),
            "a video model takes clips [b, 3, t, h, w], none of them 0, not [1, 2, 2, 2, 3]"
        );
        assert!(message(&Tensor::zeros((0, 3, 1, 1, 1), DType::F32, &Device::Cpu).unwrap()).contains("none"));
        let clips = Clips::new(&tensor(vec![0.25f64; 24], &dims)).unwrap();
        assert_eq!((clips.tensor().dtype(), clips.tensor().dims()), (DType::F32, &dims[..]));
    }

    #[test]
    fn placed_input_keeps_its_numbers_and_lies_channels_last() {
        let numbers: Vec<f32> = (0..24).map(|i| i as f32).collect();
        let clips = Prepared::Clips(Clips::new(&tensor(numbers.clone(), &[1, 3, 2, 2, 2])).unwrap());
        let images = Prepared::Images(Images::new(&tensor(numbers.clone(), &[2, 3, 2, 2])).unwrap());
        for (input, last) in [(clips, &[0, 2, 3, 4, 1][..]), (images, &[0, 2, 3, 1])] {
            let placed = input.placed(&Device::Cpu, DType::BF16).unwrap();
            let (Prepared::Clips(Clips(x)) | Prepared::Images(Images(x))) = &placed else {
                panic!("{placed:?}")
            };
            assert!(x.permute(last).unwrap().is_contiguous() && x.dtype() == DType::BF16);
            let back = x.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert_eq!(back, numbers);
        }
    }

    #[test]
    fn clips_below_the_published_size_are_remarked_on() {
        let remark = |t, h, w| {
            let clips = Tensor::zeros((1, 3, t, h, w), DType::F32, &Device::Cpu).unwrap();
            Clips::new(&clips).unwrap().remark_for_i3d()
        };
        assert_eq!(remark(9, 193, 193), None);
        for (t, h, w) in [(8, 193, 193), (9, 192, 193), (9, 193, 192)] {
            let remark = remark(t, h, w).unwrap();
            assert!(remark.starts_with(&format!("clips of {t} frames of {h}×{w} are below")), "{remark}");
        }
    }

    #[test]
    fn token_ids_are_whole_numbers_and_masks_are_of_ones_and_zeros() {
        let message = |tokens: Result<Tokens, Error>| tokens.unwrap_err().to_string();
        assert_eq!(
            message(Tokens::new(&tensor(vec![1f32; 4], &[2, 2]))),
            "token ids are whole numbers (i64), not f32"
        );
        let flat = message(Tokens::new(&tensor(vec![1i64; 4], &[4])));
        assert!(flat.starts_with("a text model takes token ids [b, l]") && flat.ends_with("[4]"), "{flat}");
        let masked = |mask: &Tensor| Tokens::new(&tensor(vec![1i64; 6], &[2, 3])).unwrap().with_mask(mask);
        assert_eq!(
            message(masked(&tensor(vec![1i64; 4], &[2, 2]))),
            "the mask has shape [2, 2]; it must be that of the token ids, [2, 3]"
        );
        assert_eq!(
            message(masked(&tensor(vec![1i64, 1, 0, 1, 2, 0], &[2, 3]))),
            "the mask holds 2 in row 1, column 1; write 1 for a token and 0 for padding"
        );
        assert!(message(masked(&tensor(vec![1.0, 1.0, f64::NAN, 1.0, 1.0, 0.0], &[2, 3]))).contains("NaN"));
        assert_eq!(
            message(masked(&tensor(vec![1u8, 1, 0, 0, 0, 0], &[2, 3]))),
            "row 1 of the mask keeps no token"
        );
        assert!(masked(&tensor(vec![1f32, 1.0, 0.0, 1.0, 0.0, 0.0], &[2, 3])).is_ok());
    }
}
