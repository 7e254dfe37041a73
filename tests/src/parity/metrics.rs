//! LPIPS on the device; PSNR and SSIM, which are computed on the CPU whatever the device.

use candle_core::{DType, Device, Tensor};
use serde_json::Value;
use squbed_core::{BoxError, Frame};
use squbed_metrics::{Lpips, Metric, PixelMetric};
use squbed_models::{Weights, arch::backbone::Backbone};

use super::{Checkpoint, Item, Output, Run, Sources, list, text, tolerance::Kind, whole};

pub(super) fn items() -> Vec<Item> {
    vec![
        Item::new("PSNR and SSIM", pixels),
        Item::new("LPIPS AlexNet", |sources| lpips(sources, Backbone::AlexNet)),
        Item::new("LPIPS VGG16", |sources| lpips(sources, Backbone::Vgg16)),
    ]
}

fn picture(sources: &Sources, file: &str) -> Result<Frame, BoxError> {
    let picture = image::open(sources.path(&format!("metrics/{file}")))?.into_rgb8();
    Ok(Frame::new(picture.width() as usize, picture.height() as usize, picture.into_raw())?)
}

fn pixels(sources: &Sources) -> Result<Run, BoxError> {
    let golden = sources.json("metrics/metrics.json")?;
    let sources = sources.clone();
    Ok(Box::new(move |_, _| {
        let (mut actual, mut expected) = (Vec::new(), Vec::new());
        for pair in list(&golden, "pairs")? {
            let a = [picture(&sources, text(pair, "pristine")?)?];
            let b = [picture(&sources, text(pair, "distorted")?)?];
            for (metric, name) in [(PixelMetric::Psnr, "psnr"), (PixelMetric::Ssim, "ssim")] {
                actual.extend(metric.frames(&a, &b)?);
                expected.push(pair["rgb"][name].as_f64().ok_or("the golden lacks a metric")?);
            }
        }
        let what = "three pairs, on the CPU in f64".to_owned();
        Ok(vec![Output { what, kind: Kind::Pixels, actual: vec![actual], expected: vec![expected] }])
    }))
}

fn lpips(sources: &Sources, backbone: Backbone) -> Result<Run, BoxError> {
    let golden = sources.json("metrics/metrics.json")?;
    let net = Metric::Lpips(backbone).name().replace("lpips-", "");
    let found = list(&golden, "lpips")?.iter().find(|case| case["net"] == net.as_str());
    let about: Value = found.ok_or("the golden lacks the network")?.clone();
    let shapes = sources.json(&format!("metrics/lpips_{net}.shapes.json"))?;
    let checkpoint = Checkpoint::new(&shapes, whole(&about, "weights_seed")?, None)?;
    let linear = sources.path(&format!("metrics/{}", text(&about, "lin")?));
    let sources = sources.clone();
    Ok(Box::new(move |device: &Device, dtype: DType| {
        let weights = Weights::open(checkpoint.weights())?;
        let lpips = Lpips::load(backbone, &weights, &Weights::open(&linear)?, device, dtype)?;
        let tensor = |frame: &Frame| {
            let values: Vec<f32> = frame.rgb().iter().map(|&x| f32::from(x) / 127.5 - 1.0).collect();
            Tensor::from_vec(values, (1, frame.height(), frame.width(), 3), &Device::Cpu)
        };
        let (mut actual, mut expected) = (Vec::new(), Vec::new());
        for case in list(&about, "cases")? {
            let number = text(case, "pair")?.trim_start_matches("carphone ");
            let [a, b] = ["p", "d"].map(|kind| picture(&sources, &format!("carphone_{kind}{number}.png")));
            let (a, b) = ([a?], [b?]);
            let depths = lpips.by_depth(&tensor(&a[0])?, &tensor(&b[0])?)?;
            let whole = lpips.frames(&a, &b)?;
            actual.push(depths.into_iter().flatten().chain(whole).collect());
            let wanted = list(case, "per_layer")?.iter().chain([&case["lpips"]]);
            expected.push(
                wanted.map(|x| x.as_f64().ok_or("the golden lacks a number")).collect::<Result<_, _>>()?,
            );
        }
        let what = "five depths and their sum, three pairs".to_owned();
        Ok(vec![Output { what, kind: Kind::Lpips, actual, expected }])
    }))
}
