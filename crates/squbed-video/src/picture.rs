//! A picture file to a frame.

use std::{fs, io, path::Path};

use image::{DynamicImage, ImageDecoder, ImageReader};
use squbed_core::Frame;

use crate::{Error, Limits};

pub(crate) fn open(path: &Path) -> Result<ImageReader<io::BufReader<fs::File>>, Error> {
    let unreadable = |source| Error::Unreadable { path: path.to_owned(), source };
    ImageReader::open(path).and_then(ImageReader::with_guessed_format).map_err(unreadable)
}

/// A PNG, JPEG, BMP or WebP file as 8-bit RGB, turned as its EXIF orientation says.
///
/// Grey stands in all three channels, transparency is dropped without a background showing through, and of 16 bits
/// the upper 8 stay. This is Pillow's `convert("RGB")` but for 16-bit grey, which Pillow cuts off at 255.
///
/// # Errors
///
/// No such picture, or more pixels than the limits allow.
pub fn read_picture(path: &Path, limits: &Limits) -> Result<Frame, Error> {
    let picture = |source| Error::Picture { path: path.to_owned(), source };
    let mut decoder = open(path)?.into_decoder().map_err(picture)?;
    let (width, height) = decoder.dimensions();
    let pixels = width as usize * height as usize;
    if pixels > limits.pixels {
        return Err(Error::Limit {
            path: path.to_owned(),
            what: "pixels a frame",
            value: pixels as f64,
            limit: limits.pixels as f64,
        });
    }
    let orientation = decoder.orientation().map_err(picture)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(picture)?;
    image.apply_orientation(orientation);
    let (width, height) = (image.width() as usize, image.height() as usize);
    Frame::new(width, height, rgb(image)).map_err(|source| Error::Clip { path: path.to_owned(), source })
}

fn rgb(image: DynamicImage) -> Vec<u8> {
    match image {
        DynamicImage::ImageLuma16(_)
        | DynamicImage::ImageLumaA16(_)
        | DynamicImage::ImageRgb16(_)
        | DynamicImage::ImageRgba16(_) => {
            image.into_rgb16().into_raw().into_iter().map(|value| (value >> 8) as u8).collect()
        }
        _ => image.into_rgb8().into_raw(),
    }
}

#[cfg(test)]
mod tests {
    use image::{ImageBuffer, Luma, LumaA, Rgb, Rgba};

    use super::*;

    /// Expected values are those of Pillow 13, except where said.
    #[test]
    fn every_kind_of_picture_becomes_rgb() {
        let folder = tempfile::tempdir().unwrap();
        let read = |image: DynamicImage| {
            let path = folder.path().join("p.png");
            image.save(&path).unwrap();
            read_picture(&path, &Limits::default()).unwrap().into_rgb()
        };
        let grey = ImageBuffer::from_pixel(1, 1, Luma([7u8]));
        assert_eq!(read(grey.into()), [7, 7, 7]);
        let grey_alpha = ImageBuffer::from_vec(2, 1, vec![10u8, 0, 200, 128]).unwrap();
        assert_eq!(
            read(DynamicImage::from(grey_alpha as ImageBuffer<LumaA<u8>, _>)),
            [10, 10, 10, 200, 200, 200]
        );
        let transparent = ImageBuffer::from_vec(2, 1, vec![10u8, 20, 30, 0, 40, 50, 60, 128]).unwrap();
        assert_eq!(
            read(DynamicImage::from(transparent as ImageBuffer<Rgba<u8>, _>)),
            [10, 20, 30, 40, 50, 60]
        );
        let deep = vec![0u16, 127, 128, 255, 256, 384, 65535, 65407, 32768];
        let deep: ImageBuffer<Rgb<u16>, _> = ImageBuffer::from_vec(3, 1, deep).unwrap();
        assert_eq!(read(deep.into()), [0, 0, 0, 0, 1, 1, 255, 255, 128]);
        let deep: ImageBuffer<Rgba<u16>, _> =
            ImageBuffer::from_vec(1, 1, vec![0x1234u16, 0x56ff, 0xabcd, 0]).unwrap();
        assert_eq!(read(deep.into()), [18, 86, 171]);
        // Pillow would give 0, 128, 255, 255.
        let deep: ImageBuffer<Luma<u16>, _> =
            ImageBuffer::from_vec(4, 1, vec![0u16, 128, 256, 65535]).unwrap();
        assert_eq!(read(deep.into()), [0, 0, 0, 0, 0, 0, 1, 1, 1, 255, 255, 255]);
    }

    #[test]
    fn a_picture_that_is_none_or_too_large_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.png");
        let message = |limits: &Limits| read_picture(&path, limits).unwrap_err().to_string();
        assert!(message(&Limits::default()).contains("p.png"));
        fs::write(&path, b"no picture").unwrap();
        assert!(message(&Limits::default()).contains("p.png"));
        let image: ImageBuffer<Rgb<u8>, _> = ImageBuffer::new(3, 2);
        image.save(&path).unwrap();
        let text = message(&Limits { pixels: 5, ..Limits::default() });
        assert!(text.contains("p.png") && text.contains("pixels"), "{text}");
    }
}
