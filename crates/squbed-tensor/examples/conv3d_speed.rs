//! GFLOP/s of each convolution of I3D at 16×224×224, of its pools, and of a 2048³ product beside them.
//!
//! `cargo run --release -p squbed-tensor --example conv3d_speed [THREADS]`. Each figure is the best of a few
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
type Layer = (String, [usize; 4], usize, usize, usize);

fn main() -> Result<()> {
    if let Some(threads) = std::env::args().nth(1).and_then(|n| n.parse().ok()) {
        set_threads(threads)?;
    }
    println!("{}", describe(&Device::Cpu));
    let mut peak: f64 = 0.0;
    let (mut seconds, mut flops) = (0.0, 0.0);
    for (i, (name, [t, h, w, c], k, stride, cout)) in layers().into_iter().enumerate() {
        if i % 8 == 0 {
            peak = peak.max(product(2048)?);
        }
        let x = numbers(&[1, t, h, w, c])?;
        let conv = Conv3d::new(
            &numbers(&[k, k, k, c, cout])?,
            Some(&numbers(&[cout])?),
            [stride; 3],
            &Padding3d::Same,
            true,
        )?;
        let positions = [t, h, w].iter().map(|n| n.div_ceil(stride)).product::<usize>();
        let took = best(8, || conv.forward(&x))?;
        let work = 2.0 * (positions * k * k * k * c * cout) as f64;
        println!("{name:16} {:8.2} ms {:7.1} GFLOP/s", took * 1e3, work / took / 1e9);
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

fn layers() -> Vec<Layer> {
    let mut layers = vec![
        ("Conv3d_1a".to_owned(), [16, 224, 224, 3], 7, 2, 64),
        ("Conv3d_2b".to_owned(), [8, 56, 56, 64], 1, 1, 64),
        ("Conv3d_2c".to_owned(), [8, 56, 56, 64], 3, 1, 192),
    ];
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
        let mut add =
            |part: &str, c, k, cout| layers.push((format!("Mixed_{block} {part}"), [t, h, w, c], k, 1, cout));
        add("reduce 1³", cin, 1, out[0] + out[1] + out[3]);
        add("branch 1 3³", out[1], 3, out[2]);
        add("branch 2 3³", out[3], 3, out[4]);
        add("branch 3 1³", cin, 1, out[5]);
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
