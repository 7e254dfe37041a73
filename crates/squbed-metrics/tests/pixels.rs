//! PSNR and SSIM against scikit-image.

mod common;

use common::{array, formula, golden_json, picture};
use proptest::prelude::*;
use serde_json::Value;
use squbed_core::Frame;
use squbed_metrics::{Error, Image, PixelMetric, psnr, ssim};

/// scikit-image computes in f64 as well; sums in another order differ by this much.
const TOLERANCE: f64 = 1e-11;

fn check(what: &str, got: f64, want: &Value, worst: &mut f64) {
    let want = want.as_f64().unwrap();
    let error = (got - want).abs() / want;
    *worst = worst.max(error);
    assert!(error < TOLERANCE, "{what}: {got} for {want}");
}

#[test]
fn pairs_of_pictures_equal_scikit_image() {
    let mut worst = 0.0;
    let pairs = golden_json("metrics.json")["pairs"].clone();
    for pair in array(&pairs) {
        let a = [picture(pair["pristine"].as_str().unwrap())];
        let b = [picture(pair["distorted"].as_str().unwrap())];
        check("psnr", PixelMetric::Psnr.frames(&a, &b).unwrap()[0], &pair["rgb"]["psnr"], &mut worst);
        check("ssim", PixelMetric::Ssim.frames(&a, &b).unwrap()[0], &pair["rgb"]["ssim"], &mut worst);
    }
    println!("worst relative error of {} pairs: {worst:.1e}", array(&pairs).len());
}

#[test]
fn luma_of_pictures_equals_scikit_image() {
    let mut worst = 0.0;
    let pairs = golden_json("luma.json")["pairs"].clone();
    let frames = |kind: &str| -> Vec<Frame> {
        array(&pairs).iter().map(|pair| picture(&format!("carphone_{kind}{}.png", pair["frame"]))).collect()
    };
    let (a, b) = (frames("p"), frames("d"));
    let psnr = PixelMetric::PsnrLuma.frames(&a, &b).unwrap();
    let ssim = PixelMetric::SsimLuma.frames(&a, &b).unwrap();
    for (i, pair) in array(&pairs).iter().enumerate() {
        check("psnr-y", psnr[i], &pair["psnr"], &mut worst);
        check("ssim-y", ssim[i], &pair["ssim"], &mut worst);
    }
    println!("worst relative error: {worst:.1e}");
}

#[test]
fn formula_images_equal_scikit_image() {
    let cases = golden_json("metrics.json")["synthetic"].clone();
    let mut worst = 0.0;
    for case in array(&cases) {
        let number = |key: &str| case[key].as_u64().unwrap();
        let (seed, h, w) = (number("seed"), number("h") as usize, number("w") as usize);
        // a = floor(256 x), c = floor(64 x′), b = (3a + c)/4, from [c, h, w] to [h, w, c].
        let (x, y) = (formula::pixels(seed, [1, h, w]), formula::pixels(seed + 5000, [1, h, w]));
        let byte = |i: usize| (256.0 * x[i]).floor() as u32;
        let other = |i: usize| (3 * byte(i) + (64.0 * y[i]).floor() as u32) / 4;
        let frame = |value: &dyn Fn(usize) -> u32| {
            let rgb = (0..3 * h * w).map(|i| value(i % 3 * h * w + i / 3) as u8).collect();
            Frame::new(w, h, rgb).unwrap()
        };
        let (a, b) = (Image::from(&frame(&byte)), Image::from(&frame(&other)));
        check("psnr", psnr(&a, &b).unwrap(), &case["rgb"]["psnr"], &mut worst);
        check("ssim", ssim(&a, &b).unwrap(), &case["rgb"]["ssim"], &mut worst);
    }
    println!("worst relative error: {worst:.1e}");
}

fn grey(width: usize, height: usize) -> Frame {
    Frame::new(width, height, vec![128; width * height * 3]).unwrap()
}

#[test]
fn images_that_cannot_be_compared_are_refused() {
    let message =
        |metric: PixelMetric, a: Frame, b: Frame| metric.frames(&[a], &[b]).unwrap_err().to_string();
    assert_eq!(
        message(PixelMetric::Psnr, grey(20, 12), grey(12, 20)),
        "the images differ in size, 20x12 and 12x20 pixels; bring them to one size first"
    );
    assert_eq!(
        message(PixelMetric::SsimLuma, grey(11, 10), grey(11, 10)),
        "ssim takes images of at least 11x11 pixels, not 11x10"
    );
    assert!(matches!(
        PixelMetric::Psnr.frames(&[grey(1, 1)], &[]).unwrap_err(),
        Error::Frames { a: 1, b: 0 }
    ));
    // One window fits, and PSNR needs none.
    assert_eq!(PixelMetric::Ssim.frames(&[grey(11, 11)], &[grey(11, 11)]).unwrap(), [1.0]);
    assert_eq!(PixelMetric::Psnr.frames(&[grey(1, 1)], &[grey(1, 1)]).unwrap(), [f64::INFINITY]);
}

/// SSIM of one channel by its definition: every window in two dimensions, moments about the mean.
fn naive_ssim(a: &[f64], b: &[f64], width: usize, height: usize, range: f64) -> f64 {
    let weight = |i: usize| (-(i as f64 - 5.0).powi(2) / 4.5).exp();
    let total: f64 = (0..121).map(|i| weight(i / 11) * weight(i % 11)).sum();
    let (c1, c2) = ((0.01 * range).powi(2), (0.03 * range).powi(2));
    let mut sum = 0.0;
    let windows = (width - 10) * (height - 10);
    for at in 0..windows {
        let (y, x) = (at / (width - 10), at % (width - 10));
        let mean = |f: &dyn Fn(usize) -> f64| {
            let term = |i: usize| weight(i / 11) * weight(i % 11) * f((y + i / 11) * width + x + i % 11);
            (0..121).map(term).sum::<f64>() / total
        };
        let (ma, mb) = (mean(&|i| a[i]), mean(&|i| b[i]));
        let va = mean(&|i| (a[i] - ma).powi(2));
        let vb = mean(&|i| (b[i] - mb).powi(2));
        let vab = mean(&|i| (a[i] - ma) * (b[i] - mb));
        sum += (2.0 * ma * mb + c1) * (2.0 * vab + c2) / ((ma * ma + mb * mb + c1) * (va + vb + c2));
    }
    sum / windows as f64
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn ssim_is_its_definition(seed in any::<u32>(), width in 11usize..20, height in 11usize..20, range in 0.1f64..300.0) {
        let values = |salt: u64| -> Vec<f64> {
            (0..(width * height) as u64)
                .map(|i| range * formula::uniform(u64::from(seed) * 4096 + 2 * i + salt))
                .collect()
        };
        let (a, b) = (values(0), values(1));
        let image = |samples: &[f64]| Image::new(width, height, 1, samples.to_vec(), range).unwrap();
        let got = ssim(&image(&a), &image(&b)).unwrap();
        prop_assert!((got - naive_ssim(&a, &b, width, height, range)).abs() < 1e-11);
        prop_assert!((got - ssim(&image(&b), &image(&a)).unwrap()).abs() < 1e-14);
        prop_assert!((ssim(&image(&a), &image(&a)).unwrap() - 1.0).abs() < 1e-14);
        prop_assert!(got < 1.0);
    }
}
