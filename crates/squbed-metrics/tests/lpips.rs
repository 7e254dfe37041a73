//! LPIPS against the package `lpips` 0.1.4: its published heads, and networks with weights by formula.

mod common;
#[path = "../../squbed-models/tests/common/web.rs"]
mod web;

use std::{fs, io::Write as _};

use candle_core::{DType, Device, Tensor};
use common::{array, formula, golden_json, golden_path, picture, weights};
use squbed_core::Frame;
use squbed_metrics::{Error, Lpips, Metric};
use squbed_models::{FetchOptions, Fetched, ModelStore, Weights, arch::backbone::Backbone, sha256};
use web::{Response, Server};

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
    // Several clips against one are each of them against it, whatever the number of frames at once.
    let (one, other) = ([side(0), side(0), side(0)].concat(), [side(1), side(1), side(1)].concat());
    let clips = lpips.clips(&[&one, &other, &one], &other).unwrap();
    let alone = lpips.frames(&one, &other).unwrap();
    assert_eq!(clips, [alone.clone(), vec![0.0; other.len()], alone.clone()]);
    assert_eq!(alone[..together.len()], together);
    assert_eq!(alone, together.repeat(3));
    assert!(lpips.clips(&[], &other).unwrap().is_empty());
    assert!(lpips.clips(&[&one, &other[1..]], &other).is_err());
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

fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in members {
        zip.start_file(*name, stored).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Tensors of f32 as PyTorch saves a state dict.
fn pth(tensors: &std::collections::BTreeMap<String, Tensor>) -> Vec<u8> {
    let text = |text: &str| [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat();
    let int = |n: usize| [b"J", &(n as i32).to_le_bytes()[..]].concat();
    let ints =
        |ns: &[usize]| [b"(", &ns.iter().flat_map(|&n| int(n)).collect::<Vec<u8>>()[..], b"t"].concat();
    let mut program = b"\x80\x02}(".to_vec();
    let mut storages = Vec::new();
    for (name, tensor) in tensors {
        program.extend(text(name));
        program.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        program.extend(text("storage"));
        program.extend(b"ctorch\nFloatStorage\n");
        program.extend(text(&storages.len().to_string()));
        program.extend(text("cpu"));
        program.extend(int(tensor.elem_count()));
        program.extend(b"tQ");
        program.extend(int(0));
        program.extend(ints(tensor.dims()));
        program.extend(ints(tensor.layout().stride()));
        program.extend(b"\x89ccollections\nOrderedDict\n)RtR");
        let numbers = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        storages.push((format!("archive/data/{}", storages.len()), bytes));
    }
    program.extend(b"u.");
    let mut members: Vec<(&str, &[u8])> =
        vec![("archive/data.pkl", &program), ("archive/byteorder", b"little")];
    members.extend(storages.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())));
    zip(&members)
}

/// The built-in manifest, with torchvision's server and the package's wheel replaced by those of this machine.
#[test]
fn heads_and_network_come_from_their_publishers_as_they_are_published() {
    let network = pth(&formula::tensors(&golden_json("lpips_alex.shapes.json"), 8001));
    let heads = fs::read(golden_path("../checkpoints/lpips_alex.legacy.pth")).unwrap();
    let wheel = zip(&[("lpips/weights/v0.1/alex.pth", &heads)]);

    let built_in = include_str!("../../../models/lpips-alex/model.toml");
    let pinned = |bytes: &[u8]| format!("sha256 = \"{}\"\nsize = {}", sha256(bytes), bytes.len());
    let replaced = |text: &str, from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    };
    let raw = "path = \"alexnet-owt-7be5be79.pth\"\nconvert = \"torch\"\n";
    let text =
        replaced(built_in, &format!("{raw}sha256 = \"unverified\""), &format!("{raw}{}", pinned(&network)));
    let archive = "fd537af5828b69d2e6ffc0a397bd506dbc28ca183543617690844c08e102ec5e\"\nsize = 53763";
    let text = replaced(&text, &format!("sha256 = \"{archive}"), &pinned(&wheel));
    let server = Server::new(move |request| match request.target.as_str() {
        "/models/alexnet-owt-7be5be79.pth" => Response::file(request, &network),
        _ => Response::not_found(),
    });
    let text = replaced(&text, "https://download.pytorch.org", &server.address);

    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    for (name, bytes) in
        [("manifests/lpips-alex/model.toml", text.as_bytes()), ("links/lpips-0.1.4-py3-none-any.whl", &wheel)]
    {
        fs::create_dir_all(path(name).parent().unwrap()).unwrap();
        fs::write(path(name), bytes).unwrap();
    }
    let store = ModelStore::with_manifests(path("home"), &[path("manifests")]).unwrap();
    let options = FetchOptions {
        pip_environment: vec![
            ("PIP_NO_INDEX".into(), "1".into()),
            ("PIP_FIND_LINKS".into(), path("links").into()),
        ],
        ..FetchOptions::default()
    };
    let fetched = store.fetch("lpips-alex", &options, &mut |_| ()).unwrap();
    let expected = format!(
        "pypi lpips==0.1.4 for linear.safetensors and {}/models for backbone.safetensors",
        server.address
    );
    assert_eq!(fetched, Fetched::From(expected));
    let [a, b] = pair(20).map(|frame| [frame]);
    let fetched = Lpips::open(&store, Backbone::AlexNet, &Device::Cpu, DType::F32).unwrap();
    assert_eq!(fetched.frames(&a, &b).unwrap(), lpips(Backbone::AlexNet).frames(&a, &b).unwrap());
}
