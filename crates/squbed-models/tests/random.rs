//! Networks with random weights: what they compute is finite, and costs what others count for the same networks.

use std::path::Path;

use candle_core::{DType, Device};
use squbed_models::{Architecture, Error, Head, InputSize, Modality, random_network};
use squbed_tensor::counted;

/// Operations of one item in billions, after checking that its embedding is finite and not constant.
fn gflop(architecture: Architecture, size: InputSize) -> f64 {
    let (network, _) = random_network(architecture, None, &Device::Cpu, DType::F32).unwrap();
    let input = network.random_input(size).unwrap();
    let (row, flop) = counted(|| network.forward_tensor(&input, Head::Embedding).unwrap());
    let row = row.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let (least, greatest) = row.iter().fold((f32::MAX, f32::MIN), |(a, b), &x| (a.min(x), b.max(x)));
    assert!(
        row.iter().all(|x| x.is_finite()) && greatest - least > 1e-4,
        "{architecture}: {least} {greatest}"
    );
    // Nothing so small that the processor would take long for it.
    let tiny = row.iter().filter(|x| **x != 0.0 && x.abs() < 1e-30).count();
    assert_eq!(tiny, 0, "{architecture}");
    flop as f64 / 1e9
}

const CLIP: InputSize = InputSize::Clips { batch: 1, frames: 16, side: 224 };

fn close(got: f64, want: f64, within: f64) {
    assert!((got / want - 1.0).abs() < within, "{got} GFLOP, not {want}");
}

/// Multiply-adds of a transformer's blocks for `l` tokens, from its definition.
fn blocks(layers: usize, l: usize, width: usize, inner: usize) -> usize {
    let linear = 3 * width * width + width * width + 2 * width * inner;
    layers * (l * linear + 2 * l * l * width)
}

#[test]
fn sentence_models_cost_what_their_definition_says() {
    let text = InputSize::Texts { batch: 1, tokens: 32 };
    for (architecture, layers, width) in
        [(Architecture::Bert, 6, 384), (Architecture::Mpnet, 12, 768), (Architecture::XlmRoberta, 12, 768)]
    {
        // And the mean over the tokens.
        let products = blocks(layers, 32, width, 4 * width) + 32 * width;
        close(gflop(architecture, text), 2e-9 * products as f64, 1e-12);
    }
    // PyTorch's FlopCounterMode counts this for MiniLM, without the mean.
    close(2e-9 * blocks(6, 32, 384, 1536) as f64, 0.688914432, 1e-12);
}

#[test]
fn clip_towers_cost_what_their_definition_says() {
    for architecture in [Architecture::Clip, Architecture::OpenClip] {
        let products = 49 * 3072 * 768 + blocks(12, 50, 768, 3072) + 768 * 512;
        let image = gflop(architecture, InputSize::Images { batch: 1 });
        close(image, 2e-9 * products as f64, 1e-12);
        // PyTorch's FlopCounterMode counts this for the tower of the transformers library.
        close(image, 8.817623040, 1e-9);
        let products = blocks(12, 77, 512, 2048) + 512 * 512;
        let text = gflop(architecture, InputSize::Texts { batch: 1, tokens: 77 });
        close(text, 2e-9 * products as f64, 1e-12);
    }
}

#[test]
fn video_networks_cost_what_others_count() {
    // torchvision's S3D_Weights.KINETICS400_V1 says 17.979 billion multiply-adds.
    let kinetics = gflop(Architecture::S3dKinetics, CLIP);
    close(kinetics, 2.0 * 17.979, 1e-4);
    // PyTorch's FlopCounterMode counts this for the I3D of scripts/bench_peers.py, which ends at the features; the class
    // scores, which are computed here too, are 1024 × 400 multiply-adds.
    close(gflop(Architecture::I3d, CLIP), 55.575138304 + 2e-9 * 1024.0 * 400.0, 1e-9);
    // S3D-G differs by its stem, 8 × 112 × 112 positions of 2×4×4×24 inputs, by its gates and its head.
    let stems: i64 =
        8 * 112 * 112 * 2 * 4 * 4 * 24 * 64 - 64 * 16 * 112 * 112 * 49 * 3 - 64 * 8 * 112 * 112 * 7 * 64;
    let mixed: [[usize; 4]; 9] = [
        [64, 128, 32, 32],
        [128, 192, 96, 64],
        [192, 208, 48, 64],
        [160, 224, 64, 64],
        [128, 256, 64, 64],
        [112, 288, 64, 64],
        [256, 320, 128, 128],
        [256, 320, 128, 128],
        [384, 384, 128, 128],
    ];
    let gates: usize = 192 * 192 + mixed.iter().flatten().map(|width| width * width).sum::<usize>();
    let products = stems + gates as i64 + 1024 * 512 - 1024 * 400;
    close(gflop(Architecture::S3dMilnce, CLIP), kinetics + 2e-9 * products as f64, 1e-9);
    let words = InputSize::Texts { batch: 1, tokens: 5 };
    let products = 5 * 300 * 2048 + 2048 * 512;
    close(gflop(Architecture::S3dMilnce, words), 2e-9 * f64::from(products), 1e-12);
}

#[test]
fn an_input_of_another_kind_and_needless_sizes_are_refused() {
    let load = |architecture, config| random_network(architecture, config, &Device::Cpu, DType::F32);
    let (i3d, sizes) = load(Architecture::I3d, None).unwrap();
    assert_eq!(sizes, None);
    let refused = i3d.random_input(InputSize::Images { batch: 1 }).unwrap_err();
    assert!(matches!(refused, Error::Modality { wanted: Modality::Image, .. }), "{refused}");
    let config = Some(Path::new("config.json"));
    assert!(matches!(load(Architecture::I3d, config), Err(Error::NeedlessConfig { architecture: "i3d" })));
    assert!(matches!(load(Architecture::Bert, config), Err(Error::Io { .. })));
    assert!(load(Architecture::Vgg16, None).is_err());
    assert_eq!(load(Architecture::Bert, None).unwrap().1, Some("all-MiniLM-L6-v2"));
}
