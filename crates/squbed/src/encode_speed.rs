//! How fast an encoder's network is, beside what this machine can do.
//!
//! The operations are counted where they are done ([`squbed_tensor::counted`]), and the device's peak is the best
//! product of two square matrices of any kernel here, measured in the same run: of 2048 rows on the CPU, on the same
//! threads, and of 8192 rows on a GPU, in the network's arithmetic.
//!
//! Images and clips lie on the device before the clock starts, channels-last and in the network's arithmetic, as the
//! steps before leave them; what bringing a batch there takes is measured apart. Each run ends when the device has
//! finished it.

use std::{path::PathBuf, time::Instant};

use cpu_time::ProcessTime;
use serde::Serialize;
use squbed_core::Sampling;
use squbed_models::{
    Architecture, Head, InputSize, Modality, ModelStore, Network, Prepared, manifest::Input, random_network,
};
use squbed_tensor::{Conv3d, DType, Device, Padding3d, Tensor, counted, device};

use crate::{
    embed::{no_direction, to_rows},
    error::{Error, Result},
};

/// Rows and columns of the matrices whose product is the peak, of the CPU and of a GPU, which smaller ones do not fill.
const PEAK_SIDE: (usize, usize) = (2048, 8192);

/// Seconds given to each measurement of the peak, one before and one after the encoder's.
const PEAK_SECONDS: f64 = 0.4;

/// The part of the time that goes to warming up.
const WARM_UP: f64 = 0.1;

/// Runs that warm a GPU up, at least: libraries choose their kernels in the first, and its clock rises.
const WARM_UP_RUNS: usize = 5;

/// Times that a batch is brought to a GPU.
const UPLOADS: usize = 9;

/// Tokens of a text where their number is not given.
const TOKENS: usize = 32;

/// Frames and side of a clip for an architecture without a manifest.
const CLIP: (usize, usize) = (16, 224);

/// Why a measurement cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum EncodeSpeedError {
    /// A length that the input does not have.
    #[error("`{encoder}` gets {input}, which have no {what}; leave their number away")]
    Length {
        /// The encoder.
        encoder: String,
        /// What it gets.
        input: Modality,
        /// `tokens` or `frames`.
        what: &'static str,
    },
}

/// What is measured.
#[derive(Clone, Debug)]
pub enum Subject {
    /// A model that is here, with its own weights.
    Model(String),
    /// An architecture with weights by chance.
    Random {
        /// Which one.
        architecture: Architecture,
        /// Its sizes, where it has any; else those of a known model.
        config: Option<PathBuf>,
    },
}

/// What to measure, and on what.
#[derive(Clone, Debug)]
pub struct EncodeSpeed {
    /// The encoder.
    pub subject: Subject,
    /// What it gets, where it takes more than one kind: images rather than texts, and clips rather than texts, where
    /// this says nothing.
    pub input: Option<Modality>,
    /// Items that it gets at a time.
    pub batch: usize,
    /// Tokens of each text, none of them padding.
    pub tokens: Option<usize>,
    /// Frames of each clip; else as many as the model's sampling gives.
    pub frames: Option<usize>,
    /// Seconds of steady work that are timed, at least.
    pub seconds: f64,
}

/// How fast it was.
#[derive(Clone, Debug, Serialize)]
pub struct EncodeSpeedResult {
    /// The model or the architecture.
    pub model: String,
    /// The device in words.
    pub device: String,
    /// Arithmetic of the network.
    pub dtype: String,
    /// Threads of the CPU in use.
    pub threads: usize,
    /// Items at a time.
    pub batch: usize,
    /// Texts, images or clips a second, over all timed runs.
    pub items_per_s: f64,
    /// Billions of floating-point operations a second, of those that [`gflop_per_item`](Self::gflop_per_item) counts.
    pub gflop_per_s: f64,
    /// The best product of two square matrices in this run, in billions of operations a second: in f32 on the CPU, in
    /// [`dtype`](Self::dtype) on a GPU.
    pub gemm_peak_gflop_per_s: f64,
    /// The one by the other.
    pub share_of_peak: f64,
    /// The kernel that the peak is of.
    pub gemm_peak_kernel: &'static str,
    /// Where the weights come from.
    pub weights: String,
    /// What an item is.
    pub item: String,
    /// Billions of floating-point operations of an item's matrix products and convolutions, two a multiply-add.
    pub gflop_per_item: f64,
    /// The rate of the run in the middle.
    pub items_per_s_median: f64,
    /// The rate that nine in ten runs reach.
    pub items_per_s_low: f64,
    /// The rate that one in ten runs reaches.
    pub items_per_s_high: f64,
    /// Timed runs, of one batch each.
    pub runs: usize,
    /// Seconds that they took.
    pub seconds: f64,
    /// Processor time in it of all threads together.
    pub cpu_s: f64,
    /// Milliseconds that bringing a batch of images or clips to the device takes, in f32 and converted there, in the
    /// middle of some; not a part of any other figure. None on the CPU and of texts, whose ids go there in each run.
    pub upload_ms: Option<f64>,
}

impl EncodeSpeed {
    /// Measures the network alone, without preprocessing and tokenizer: warm-up, then runs until the seconds are over.
    ///
    /// # Errors
    ///
    /// A model that is not here, an input that it does not take, an output that is of no use.
    pub fn run(&self, device: &Device, dtype: DType) -> Result<EncodeSpeedResult> {
        let store = ModelStore::new(None)?;
        let (name, architecture) = match &self.subject {
            Subject::Model(name) => (name.clone(), store.manifest(name)?.architecture),
            Subject::Random { architecture, .. } => (architecture.name().to_owned(), *architecture),
        };
        let size = self.size(&store, &name, architecture)?;
        let (network, weights) = self.network(&store, device, dtype)?;
        let host = network.random_input(size)?.placed(&Device::Cpu, DType::F32)?;
        let (input, upload_ms) = upload(&host, device, dtype)?;
        let embed = || -> Result<Tensor> {
            let output = network.forward_tensor(&input, Head::Embedding)?;
            device.synchronize().map_err(squbed_tensor::Error::from)?;
            Ok(output)
        };

        let warming = Instant::now();
        let (output, flop) = counted(embed);
        for row in to_rows(&output?)? {
            if let Some(why) = no_direction(&row) {
                let item = "an input by chance".to_owned();
                return Err(Error::Useless { encoder: name, item, why });
            }
        }
        let mut warm = 1;
        while warming.elapsed().as_secs_f64() < WARM_UP * self.seconds
            || (!device.is_cpu() && warm < WARM_UP_RUNS)
        {
            embed()?;
            warm += 1;
        }

        let before = peak(device, dtype)?;
        let mut runs = Vec::new();
        let (started, cpu) = (Instant::now(), ProcessTime::now());
        while started.elapsed().as_secs_f64() < self.seconds || runs.is_empty() {
            let run = Instant::now();
            embed()?;
            runs.push(run.elapsed().as_secs_f64());
        }
        let (seconds, cpu_s) = (started.elapsed().as_secs_f64(), cpu.elapsed().as_secs_f64());
        let after = peak(device, dtype)?;
        let peak = if after.gflop_per_s > before.gflop_per_s { after } else { before };

        let batch = self.batch as f64;
        let gflop_per_item = flop as f64 / 1e9 / batch;
        let items_per_s = batch * runs.len() as f64 / seconds;
        let gflop_per_s = gflop_per_item * items_per_s;
        runs.sort_by(f64::total_cmp);
        let tenth = runs.len() / 10;
        Ok(EncodeSpeedResult {
            model: name,
            device: device::describe(device),
            dtype: dtype.as_str().to_owned(),
            threads: device::threads(),
            batch: self.batch,
            items_per_s,
            gflop_per_s,
            gemm_peak_gflop_per_s: peak.gflop_per_s,
            share_of_peak: gflop_per_s / peak.gflop_per_s,
            gemm_peak_kernel: peak.kernel,
            weights,
            item: item(&input),
            gflop_per_item,
            items_per_s_median: batch / runs[runs.len() / 2],
            items_per_s_low: batch / runs[runs.len() - 1 - tenth],
            items_per_s_high: batch / runs[tenth],
            runs: runs.len(),
            seconds,
            cpu_s,
            upload_ms,
        })
    }

    fn network(&self, store: &ModelStore, device: &Device, dtype: DType) -> Result<(Network, String)> {
        Ok(match &self.subject {
            Subject::Model(name) => (store.network(name, device, dtype)?, format!("of {name}")),
            Subject::Random { architecture, config } => {
                let (network, sizes) = random_network(*architecture, config.as_deref(), device, dtype)?;
                let sizes = sizes.map(str::to_owned).or(config.as_ref().map(|c| c.display().to_string()));
                (network, sizes.map_or("random".to_owned(), |sizes| format!("random, sizes of {sizes}")))
            }
        })
    }

    fn size(&self, store: &ModelStore, name: &str, architecture: Architecture) -> Result<InputSize> {
        let input = self.input.unwrap_or(match architecture.modality() {
            Modality::ImageText => Modality::Image,
            own => own,
        });
        let refused = |what| {
            let encoder = name.to_owned();
            Err(EncodeSpeedError::Length { encoder, input, what }.into())
        };
        let batch = self.batch;
        match input {
            Modality::Text if self.frames.is_some() => refused("frames"),
            Modality::Text => Ok(InputSize::Texts { batch, tokens: self.tokens.unwrap_or(TOKENS) }),
            _ if self.tokens.is_some() => refused("tokens"),
            Modality::Video => {
                let (mut frames, mut side) = CLIP;
                if let Subject::Model(model) = &self.subject
                    && let Input::Video { sampling, crop, .. } = &store.manifest(model)?.input
                {
                    side = *crop;
                    if let Sampling::Uniform(count) = sampling {
                        frames = *count;
                    }
                }
                Ok(InputSize::Clips { batch, frames: self.frames.unwrap_or(frames), side })
            }
            _ if self.frames.is_some() => refused("frames"),
            _ => Ok(InputSize::Images { batch }),
        }
    }
}

/// An item of an input in words.
fn item(input: &Prepared) -> String {
    match input {
        Prepared::Tokens(tokens) => format!("text of {} tokens", tokens.ids().dims()[1]),
        Prepared::Images(images) => format!("image of {0}×{0}", images.tensor().dims()[2]),
        Prepared::Clips(clips) => {
            let dims = clips.tensor().dims();
            format!("clip of {} frames of {1}×{1}", dims[2], dims[3])
        }
    }
}

/// Input on the device, and the milliseconds in the middle of [`UPLOADS`] that it took to get there.
fn upload(host: &Prepared, device: &Device, dtype: DType) -> Result<(Prepared, Option<f64>)> {
    let place = || -> Result<(Prepared, f64)> {
        let started = Instant::now();
        let placed = host.placed(device, dtype)?;
        device.synchronize().map_err(squbed_tensor::Error::from)?;
        Ok((placed, started.elapsed().as_secs_f64()))
    };
    let (input, _) = place()?;
    if device.is_cpu() || matches!(input, Prepared::Tokens(_)) {
        return Ok((input, None));
    }
    let mut took = (0..UPLOADS).map(|_| Ok(place()?.1)).collect::<Result<Vec<f64>>>()?;
    took.sort_by(f64::total_cmp);
    Ok((input, Some(1e3 * took[UPLOADS / 2])))
}

/// The device's peak by one kernel.
struct Peak {
    kernel: &'static str,
    gflop_per_s: f64,
}

/// The fastest of the products that fit into [`PEAK_SECONDS`], at least three: on the CPU of Candle's kernel and of that
/// of our convolutions in turn, on a GPU of the library's that Candle calls.
fn peak(device: &Device, dtype: DType) -> squbed_tensor::Result<Peak> {
    let side = if device.is_cpu() { PEAK_SIDE.0 } else { PEAK_SIDE.1 };
    let [a, b] =
        [(); 2].map(|()| Tensor::rand(-1f32, 1f32, (side, side), device).and_then(|x| x.to_dtype(dtype)));
    let (a, b) = (a?, b?);
    let weight = b.reshape((1, 1, 1, side, side))?;
    let rows = a.reshape((1, 1, 1, side, side))?;
    let convolution = if device.is_cpu() {
        Some(Conv3d::new(&weight, None, [1; 3], &Padding3d::Valid, false)?)
    } else {
        None
    };
    let timed = |product: &dyn Fn() -> squbed_tensor::Result<Tensor>| -> squbed_tensor::Result<f64> {
        let started = Instant::now();
        product()?;
        device.synchronize()?;
        Ok(2e-9 * side.pow(3) as f64 / started.elapsed().as_secs_f64())
    };
    let mut best = Peak { kernel: "", gflop_per_s: 0.0 };
    let (started, mut rounds) = (Instant::now(), 0);
    while rounds < 3 || started.elapsed().as_secs_f64() < PEAK_SECONDS {
        let by_candle = timed(&|| Ok(a.matmul(&b)?))?;
        let by_convolution = convolution.as_ref().map(|conv| timed(&|| conv.forward(&rows))).transpose()?;
        for (kernel, speed) in [("matmul", Some(by_candle)), ("conv3d", by_convolution)] {
            if let Some(gflop_per_s) = speed.filter(|speed| *speed > best.gflop_per_s) {
                best = Peak { kernel, gflop_per_s };
            }
        }
        rounds += 1;
    }
    Ok(best)
}
