//! LPIPS against the package `lpips` 0.1.4: its published heads, and networks with weights by formula.

mod common;

use std::fs;

use candle_core::{DType, Device, Tensor};
use common::{array, golden_json, golden_path, picture, weights};
use squbed_core::Frame;
use squbed_metrics::{Error, Lpips, Metric};
use squbed_models::{ModelStore, Weights, arch::backbone::Backbone};

/// Relative. The reference is f32 too, and sums in another order move a distance by some 1e-6 of itself.
const TOLERANCE: f64 = 1e-5;

fn lpips(backbone: Backbone) -> Lpips {
    let case = golden_json("metrics.json")["lpips"]
        .as_array()
        .unwrap()
        .iter()
        .find(|case| Metric::Lpips(backbone).name() == format!("lpips-{}", case["net"].as_str().unwrap()))
        .unwrap()
        .clone();
    let shapes = format!("lpips_{}.shapes.json", case["net"].as_str().unwrap());
    let (_folder, file) = weights(&shapes, case["weights_seed"].as_u64().unwrap());
    let linear = Weights::open(golden_path(case["lin"].as_str().unwrap())).unwrap();
    Lpips::load(backbone, &Weights::open(file).unwrap(), &linear, &Device::Cpu, DType::F32).unwrap()
}

/// Frames as `[b, h, w, 3]` in [−1, 1].
fn tensor(frame: &Frame) -> Tensor {
    let values: Vec<f32> = frame.rgb().iter().map(|&x| f32::from(x) / 127.5 - 1.0).collect();
    Tensor::from_vec(values, (1, frame.height(), frame.width(), 3), &Device::Cpu).unwrap()
}

fn pair(number: u64) -> [Frame; 2] {
    ["p", "d"].map(|kind| picture(&format!("carphone_{kind}{number}.png")))
}

/// The worst relative error of all depths and their sums.
fn worst_error(backbone: Backbone) -> f64 {
    let lpips = lpips(backbone);
    let net = Metric::Lpips(backbone).name().replace("lpips-", "");
    let golden = golden_json("metrics.json");
    let cases = array(&golden["lpips"]).iter().find(|c| c["net"] == net.as_str()).unwrap();
    let mut worst = 0.0f64;
    for case in array(&cases["cases"]) {
        let number = case["pair"].as_str().unwrap().trim_start_matches("carphone ").parse().unwrap();
        let [a, b] = pair(number).map(|frame| [frame]);
        let depths = lpips.by_depth(&tensor(&a[0]), &tensor(&b[0])).unwrap()[0];
        let whole = lpips.frames(&a, &b).unwrap()[0];
        let wanted = array(&case["per_layer"]).iter().chain([&case["lpips"]]);
        for (got, want) in depths.into_iter().chain([whole]).zip(wanted) {
            let error = (got / want.as_f64().unwrap() - 1.0).abs();
            assert!(error < TOLERANCE, "{net}: {got} for {want}");
            worst = worst.max(error);
        }
        assert_eq!(lpips.frames(&a, &a).unwrap(), [0.0]);
    }
    worst
}

#[test]
fn alexnet_equals_the_package() {
    println!("worst relative error {:.1e} of {TOLERANCE:.0e}", worst_error(Backbone::AlexNet));
}

#[test]
fn vgg16_equals_the_package() {
    println!("worst relative error {:.1e} of {TOLERANCE:.0e}", worst_error(Backbone::Vgg16));
}

#[test]
fn a_batch_equals_its_pairs() {
    let lpips = lpips(Backbone::AlexNet);
    // Five pairs: more than pass through the network at once.
    let pairs = [0, 20, 40, 0, 20].map(pair);
    let side = |i: usize| -> Vec<Frame> { pairs.iter().map(|pair| pair[i].clone()).collect() };
    let together = lpips.frames(&side(0), &side(1)).unwrap();
    let alone: Vec<f64> = pairs
        .iter()
        .map(|[a, b]| lpips.frames(std::slice::from_ref(a), std::slice::from_ref(b)).unwrap()[0])
        .collect();
    assert_eq!(together, alone);
    assert_eq!((together[0], together[1]), (together[3], together[4]));
    assert!(lpips.frames(&[], &[]).unwrap().is_empty());
}

#[test]
fn odd_sizes_down_to_the_least_have_a_distance() {
    let frame = |width: usize, height: usize, salt: u64| {
        let rgb = (0..(width * height * 3) as u64)
            .map(|i| (common::formula::splitmix64(i ^ salt << 32) >> 56) as u8);
        Frame::new(width, height, rgb.collect()).unwrap()
    };
    for (backbone, sizes) in
        [(Backbone::AlexNet, [(31, 31), (67, 45)]), (Backbone::Vgg16, [(16, 16), (21, 35)])]
    {
        let lpips = lpips(backbone);
        for (width, height) in sizes {
            let distance = lpips.frames(&[frame(width, height, 1)], &[frame(width, height, 2)]).unwrap()[0];
            assert!(distance.is_finite() && distance > 0.0, "{backbone:?} {width}x{height}: {distance}");
        }
        let small = |width, height| lpips.frames(&[frame(width, height, 1)], &[frame(width, height, 2)]);
        let least = backbone.least_side();
        let message = small(least, least - 1).unwrap_err().to_string();
        let name = Metric::Lpips(backbone).name();
        assert_eq!(
            message,
            format!("{name} takes images of at least {least}x{least} pixels, not {least}x{}", least - 1)
        );
        let mixed = lpips.frames(&[frame(40, 40, 1)], &[frame(40, 41, 2)]);
        assert!(matches!(mixed.unwrap_err(), Error::Sizes { a: [40, 40], b: [40, 41] }));
    }
}

#[test]
fn weights_of_another_network_are_refused() {
    let (_folder, file) = weights("lpips_alex.shapes.json", 8001);
    let linear = Weights::open(golden_path("lpips_vgg_lin_v0.1.safetensors")).unwrap();
    let load = |linear: &Weights, backbone| {
        Lpips::load(backbone, &Weights::open(&file).unwrap(), linear, &Device::Cpu, DType::F32)
            .err()
            .unwrap()
            .to_string()
    };
    let message = load(&linear, Backbone::Vgg16);
    assert!(
        message.contains("`features.0.weight` has shape [64, 3, 11, 11], not [64, 3, 3, 3]"),
        "{message}"
    );
    let message = load(&linear, Backbone::AlexNet);
    assert!(
        message.contains("`lin1.model.1.weight` has shape [1, 128, 1, 1], not [1, 192, 1, 1]"),
        "{message}"
    );
}

#[test]
fn a_store_opens_both_files_and_names_the_command_where_they_are_not() {
    let home = tempfile::tempdir().unwrap();
    let store = ModelStore::with_manifests(home.path().to_owned(), &[]).unwrap();
    let open = || Lpips::open(&store, Backbone::AlexNet, &Device::Cpu, DType::F32);
    let message = open().err().unwrap().to_string();
    assert!(message.ends_with("run `squbed models fetch lpips-alex`"), "{message}");

    let (_folder, file) = weights("lpips_alex.shapes.json", 8001);
    let place = store.folder("lpips-alex");
    fs::create_dir_all(&place).unwrap();
    fs::copy(file, place.join("backbone.safetensors")).unwrap();
    fs::copy(golden_path("lpips_alex_lin_v0.1.safetensors"), place.join("linear.safetensors")).unwrap();
    let [a, b] = pair(20).map(|frame| [frame]);
    assert_eq!(open().unwrap().frames(&a, &b).unwrap(), lpips(Backbone::AlexNet).frames(&a, &b).unwrap());
}
