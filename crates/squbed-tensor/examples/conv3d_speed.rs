//! GFLOP/s of each convolution of I3D or S3D at 16×224×224, of their pools, and of a 2048³ product beside them.
//!
//! `cargo run --release -p squbed-tensor --example conv3d_speed [THREADS [i3d|s3d]]`. Each figure is the best of a few
//! rounds; the products are timed anew every few layers, so that a busy machine shows.
#![expect(clippy::print_stdout, reason = "an example that reports")]

use std::{hint::black_box, time::Instant};

use candle_core::{Device, Tensor};
use squbed_tensor::{
    Conv3d, Padding3d, Result,
    device::{describe, set_threads},
    max_pool3d,
};

/// Name, input `[t, h, w, c]`, kernel, stride, output channels.
type Layer = (String, [usize; 4], [usize; 3], [usize; 3], usize);

fn main() -> Result<()> {
    if let Some(threads) = std::env::args().nth(1).and_then(|n| n.parse().ok()) {
        // SAFETY: nothing has started a thread yet.
        unsafe { set_threads(threads)? };
    }
    let parted = std::env::args().nth(2).as_deref() == Some("s3d");
    println!("{}", describe(&Device::Cpu));
    let mut peak: f64 = 0.0;
    let (mut seconds, mut flops) = (0.0, 0.0);
    for (i, (name, [t, h, w, c], k, stride, cout)) in layers(parted).into_iter().enumerate() {
        if i % 8 == 0 {
            peak = peak.max(product(2048)?);
        }
        let x = numbers(&[1, t, h, w, c])?;
        let conv = Conv3d::new(
            &numbers(&[k[0], k[1], k[2], c, cout])?,
            Some(&numbers(&[cout])?),
            stride,
            &Padding3d::Same,
            true,
        )?;
        let positions = std::iter::zip([t, h, w], stride).map(|(n, s)| n.div_ceil(s)).product::<usize>();
        let took = best(8, || conv.forward(&x))?;
        let work = 2.0 * (positions * k.iter().product::<usize>() * c * cout) as f64;
        println!("{name:20} {:8.2} ms {:7.1} GFLOP/s", took * 1e3, work / took / 1e9);
        seconds += took;
        flops += work;
    }
    let speed = flops / seconds / 1e9;
    println!("2048³ product    {peak:19.1} GFLOP/s");
    println!(
        "all convolutions {:7.1} ms {speed:7.1} GFLOP/s, {:.0} % of it",
        seconds * 1e3,
        100.0 * speed / peak
    );

    let mut seconds = 0.0;
    for (shape, kernel, stride, times) in [
        ([8, 112, 112, 64], [1, 3, 3], [1, 2, 2], 1),
        ([8, 56, 56, 192], [1, 3, 3], [1, 2, 2], 1),
        ([8, 28, 28, 192], [3; 3], [1; 3], 1),
        ([8, 28, 28, 256], [3; 3], [1; 3], 1),
        ([8, 28, 28, 480], [3; 3], [2; 3], 1),
        ([4, 14, 14, 512], [3; 3], [1; 3], 5),
        ([4, 14, 14, 832], [2; 3], [2; 3], 1),
        ([2, 7, 7, 832], [3; 3], [1; 3], 2),
    ] {
        let [t, h, w, c] = shape;
        let x = numbers(&[1, t, h, w, c])?;
        let took = best(8, || max_pool3d(&x, kernel, stride, &Padding3d::Same))?;
        println!("pool {kernel:?}/{stride:?} of {shape:?}: {:.2} ms, {times} of them", took * 1e3);
        seconds += took * f64::from(times);
    }
    println!("all max pools    {:7.1} ms", seconds * 1e3);
    Ok(())
}

/// Those of I3D, or those of S3D, whose 3-D convolutions are parted into space and time. MIL-NCE's stem, a 4×8×8
/// convolution, stands beside torchvision's.
fn layers(parted: bool) -> Vec<Layer> {
    let layer = |name: &str, x, k, stride, cout| (name.to_owned(), x, k, stride, cout);
    let mut layers = if parted {
        vec![
            layer("stem 4x8x8", [16, 224, 224, 3], [4, 8, 8], [2; 3], 64),
            layer("stem 1x7x7", [16, 224, 224, 3], [1, 7, 7], [1, 2, 2], 64),
            layer("stem 7x1x1", [16, 112, 112, 64], [7, 1, 1], [2, 1, 1], 64),
            layer("2b", [8, 56, 56, 64], [1; 3], [1; 3], 64),
            layer("2c 1x3x3", [8, 56, 56, 64], [1, 3, 3], [1; 3], 192),
            layer("2c 3x1x1", [8, 56, 56, 192], [3, 1, 1], [1; 3], 192),
        ]
    } else {
        vec![
            layer("Conv3d_1a", [16, 224, 224, 3], [7; 3], [2; 3], 64),
            layer("Conv3d_2b", [8, 56, 56, 64], [1; 3], [1; 3], 64),
            layer("Conv3d_2c", [8, 56, 56, 64], [3; 3], [1; 3], 192),
        ]
    };
    let mut cin = 192;
    for (block, [t, h, w], out) in [
        ("3b", [8, 28, 28], [64, 96, 128, 16, 32, 32]),
        ("3c", [8, 28, 28], [128, 128, 192, 32, 96, 64]),
        ("4b", [4, 14, 14], [192, 96, 208, 16, 48, 64]),
        ("4c", [4, 14, 14], [160, 112, 224, 24, 64, 64]),
        ("4d", [4, 14, 14], [128, 128, 256, 24, 64, 64]),
        ("4e", [4, 14, 14], [112, 144, 288, 32, 64, 64]),
        ("4f", [4, 14, 14], [256, 160, 320, 32, 128, 128]),
        ("5b", [2, 7, 7], [256, 160, 320, 32, 128, 128]),
        ("5c", [2, 7, 7], [384, 192, 384, 48, 128, 128]),
    ] {
        let mut add = |part: &str, c, k: [usize; 3], cout| {
            let [kt, kh, kw] = k;
            let name = format!("Mixed_{block} {part} {kt}x{kh}x{kw}");
            layers.push((name, [t, h, w, c], k, [1; 3], cout));
        };
        add("reduce", cin, [1; 3], out[0] + out[1] + out[3]);
        for (branch, c, cout) in [("b1", out[1], out[2]), ("b2", out[3], out[4])] {
            if parted {
                add(branch, c, [1, 3, 3], cout);
                add(branch, cout, [3, 1, 1], cout);
            } else {
                add(branch, c, [3; 3], cout);
            }
        }
        add("b3", cin, [1; 3], out[5]);
        cin = out[0] + out[2] + out[4] + out[5];
    }
    layers
}

fn numbers(shape: &[usize]) -> Result<Tensor> {
    let count: usize = shape.iter().product();
    let numbers: Vec<f32> = (0..count).map(|i| (i * 7919 % 2003) as f32 / 1001.5 - 1.0).collect();
    Ok(Tensor::from_vec(numbers, shape, &Device::Cpu)?)
}

/// Candle's own product of n × n matrices, in GFLOP/s.
fn product(n: usize) -> Result<f64> {
    let (a, b) = (numbers(&[n, n])?, numbers(&[n, n])?);
    let took = best(4, || Ok(a.matmul(&b)?))?;
    Ok(2.0 * (n * n * n) as f64 / took / 1e9)
}

/// Seconds of the fastest of some rounds, after one to warm up.
fn best(rounds: usize, mut work: impl FnMut() -> Result<Tensor>) -> Result<f64> {
    black_box(work()?);
    let mut best = f64::INFINITY;
    for _ in 0..rounds {
        let start = Instant::now();
        black_box(work()?);
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok(best)
}
