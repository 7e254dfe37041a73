//! The encoders.

use std::path::PathBuf;

use candle_core::{DType, Device, Tensor};
use serde_json::Value;
use squbed_core::BoxError;
use squbed_models::{Architecture, Clips, Head, Images, Network, Prepared, Tokens, load_arch};

use super::{Checkpoint, Item, Output, Run, Sources, formula, list, named, text, tolerance::Kind, whole};

/// CLIPs with weights by formula. The last three are of full size and take some 2 GB each.
const CLIPS: [&str; 11] = [
    "clip_tiny_quickgelu",
    "clip_tiny_gelu",
    "clip_tiny_legacy_eos2",
    "openclip_tiny",
    "clip_l14",
    "clip_l14_336",
    "clip_h14",
    "openclip_h14",
    "clip_vit_b32",
    "clip_vit_b16",
    "openclip_vit_b32",
];

pub(super) fn items() -> Vec<Item> {
    let mut items = vec![
        Item::new("s3d_milnce", |sources| s3d(sources, Architecture::S3dMilnce, "s3d_milnce")),
        Item::new("s3d_milnce words", words),
        Item::new("s3d_milnce odd sizes", |sources| odd_sizes(sources, Architecture::S3dMilnce, "milnce")),
        Item::new("s3d_torchvision", |sources| s3d(sources, Architecture::S3dKinetics, "s3d_torchvision")),
        Item::new("s3d_torchvision odd sizes", |sources| {
            odd_sizes(sources, Architecture::S3dKinetics, "kinetics")
        }),
        Item::new("i3d", i3d),
        Item::new("minilm", minilm),
        Item::new("mpnet_tiny", |sources| tokens(sources, "mpnet", "mpnet_tiny")),
        Item::new("xlmr_tiny", |sources| tokens(sources, "xlm-roberta", "xlmr_tiny")),
    ];
    items.extend(CLIPS.map(|name| Item::new(name, move |sources| clip(sources, name))));
    items
}

fn golden(name: &str) -> String {
    format!("encoders/{name}")
}

/// Loads the network on the device and gives an output of it, on the CPU.
fn forward(
    load: &dyn Fn(&Device, DType) -> Result<Network, BoxError>,
    device: &Device,
    dtype: DType,
    input: &Prepared,
    head: Head,
) -> Result<Tensor, BoxError> {
    Ok(load(device, dtype)?.forward_tensor(input, head)?)
}

fn bare(
    architecture: Architecture,
    checkpoint: &Checkpoint,
    device: &Device,
    dtype: DType,
) -> Result<Network, BoxError> {
    let config: Option<PathBuf> = checkpoint.config();
    Ok(load_arch(architecture, &checkpoint.weights(), config.as_deref(), device, dtype)?)
}

/// The clips of a case, as the network wants them: torchvision's in [−2, 2).
fn video(case: &Value, architecture: Architecture) -> Result<Prepared, BoxError> {
    let shape: [usize; 5] = serde_json::from_value(case["shape"].clone())?;
    let x = formula::video(shape, whole(case, "input_seed")?);
    let x = if architecture == Architecture::S3dKinetics { x.affine(4.0, -2.0)? } else { x };
    Ok(Prepared::Clips(Clips::new(&x)?))
}

/// Outputs of an S3D: head, its name in `s3d_*.safetensors` and in `s3d_sizes.safetensors`.
fn heads(architecture: Architecture) -> &'static [(Head, &'static str, &'static str)] {
    if architecture == Architecture::S3dMilnce {
        &[(Head::Embedding, "video_embedding", "embedding"), (Head::Mixed5c, "mixed_5c", "mixed_5c")]
    } else {
        &[
            (Head::Logits, "logits", "logits"),
            (Head::Pooled, "pooled", "pooled"),
            (Head::Mixed5c, "global_mean", "mixed_5c"),
        ]
    }
}

fn s3d(sources: &Sources, architecture: Architecture, name: &str) -> Result<Run, BoxError> {
    let json = sources.json(&golden(&format!("{name}.json")))?;
    let expected = sources.tensors(&golden(&format!("{name}.safetensors")))?;
    let shapes = sources.json(&golden(&format!("shapes/{name}.json")))?;
    let checkpoint = Checkpoint::new(&shapes, whole(&json, "weights_seed")?, None)?;
    Ok(Box::new(move |device, dtype| {
        let network = bare(architecture, &checkpoint, device, dtype)?;
        let mut outputs = Vec::new();
        for case in list(&json, "cases")? {
            let (id, input) = (text(case, "id")?, video(case, architecture)?);
            for (head, what, _) in heads(architecture) {
                let what = format!("{id}.{what}");
                let actual = network.forward_tensor(&input, *head)?;
                outputs.push(Output::new(&what, kind(architecture), &actual, named(&expected, &what)?)?);
            }
        }
        Ok(outputs)
    }))
}

fn kind(architecture: Architecture) -> Kind {
    if architecture == Architecture::S3dMilnce { Kind::GatedS3d } else { Kind::S3d }
}

fn odd_sizes(sources: &Sources, architecture: Architecture, of: &'static str) -> Result<Run, BoxError> {
    let json = sources.json(&golden("s3d_sizes.json"))?[of].take();
    let expected = sources.tensors(&golden("s3d_sizes.safetensors"))?;
    let shapes = if of == "milnce" { "s3d_milnce" } else { "s3d_torchvision" };
    let shapes = sources.json(&golden(&format!("shapes/{shapes}.json")))?;
    let checkpoint = Checkpoint::new(&shapes, whole(&json, "weights_seed")?, None)?;
    Ok(Box::new(move |device, dtype| {
        let network = bare(architecture, &checkpoint, device, dtype)?;
        let mut outputs = Vec::new();
        for case in list(&json, "cases")? {
            let input = video(case, architecture)?;
            for (head, _, what) in heads(architecture) {
                let actual = network.forward_tensor(&input, *head)?;
                let reference = named(&expected, &format!("{of}.{}.{what}", case["input_seed"]))?;
                outputs.push(Output::new(
                    &format!("{} {what}", case["shape"]),
                    kind(architecture),
                    &actual,
                    reference,
                )?);
            }
        }
        Ok(outputs)
    }))
}

fn words(sources: &Sources) -> Result<Run, BoxError> {
    let json = sources.json(&golden("s3d_milnce.json"))?;
    let expected = sources.tensors(&golden("s3d_milnce.safetensors"))?;
    let shapes = sources.json(&golden("shapes/s3d_milnce.json"))?;
    let checkpoint = Checkpoint::new(&shapes, whole(&json, "weights_seed")?, None)?;
    Ok(Box::new(move |device, dtype| {
        let ids = Prepared::Tokens(Tokens::new(named(&expected, "text.ids")?)?);
        let load = |device: &Device, dtype| bare(Architecture::S3dMilnce, &checkpoint, device, dtype);
        let actual = forward(&load, device, dtype, &ids, Head::Embedding)?;
        let reference = named(&expected, "text.embedding")?;
        Ok(vec![Output::new("text.embedding", Kind::Words, &actual, reference)?])
    }))
}

/// With the published weights against its published port, else with weights by formula against the CPU.
fn i3d(sources: &Sources) -> Result<Run, BoxError> {
    const MODEL: &str = "i3d-kinetics-400";
    let cases = list(&sources.json(&golden("i3d.json"))?, "cases")?.clone();
    let clip = |case: &Value| -> Result<Prepared, BoxError> {
        let stack = image::open(sources.path(&golden(text(case, "frames_png")?)))?.into_rgb8();
        let t = stack.height() as usize / 224;
        let scale = |&x: &u8| f32::from(x) * (2.0f64 / 255.0) as f32 - 1.0;
        let x = Tensor::from_vec(stack.iter().map(scale).collect(), (1, t, 224, 224, 3), &Device::Cpu)?;
        Ok(Prepared::Clips(Clips::new(&x.permute((0, 4, 1, 2, 3))?.contiguous()?)?))
    };
    let clips = cases.iter().map(clip).collect::<Result<Vec<_>, _>>()?;
    if let Some(store) = sources.real(MODEL)? {
        let expected = sources.tensors(&golden("i3d.safetensors"))?;
        return Ok(Box::new(move |device, dtype| {
            let network = store.network(MODEL, device, dtype)?;
            let mut outputs = Vec::new();
            for (case, clip) in cases.iter().zip(&clips) {
                for (head, kind, what) in
                    [(Head::Logits, Kind::I3dLogits, "logits"), (Head::Pooled, Kind::I3dPooled, "pooled")]
                {
                    let what = format!("{}.{what}", text(case, "id")?);
                    let actual = network.forward_tensor(clip, head)?;
                    outputs.push(Output::new(&what, kind, &actual, named(&expected, &what)?)?);
                }
            }
            Ok(outputs)
        }));
    }
    let shapes = sources.json(&golden("shapes/i3d.json"))?;
    let checkpoint = Checkpoint::new(&shapes, 9001, None)?;
    let reference = bare(Architecture::I3d, &checkpoint, &Device::Cpu, DType::F32)?;
    let clip = clips.into_iter().next().ok_or("the golden lacks a case")?;
    let outputs = [Head::Logits, Head::Pooled].map(|head| Ok((head, reference.forward_tensor(&clip, head)?)));
    let references = outputs.into_iter().collect::<Result<Vec<_>, BoxError>>()?;
    Ok(Box::new(move |device, dtype| {
        let network = bare(Architecture::I3d, &checkpoint, device, dtype)?;
        let output = |(head, reference): &(Head, Tensor)| {
            let what = format!("{head}, beside the CPU");
            Output::new(&what, Kind::I3d, &network.forward_tensor(&clip, *head)?, reference)
        };
        references.iter().map(output).collect()
    }))
}

/// Token ids as a batch padded to the longest, with its mask.
fn padded(ids: &[Vec<i64>]) -> Result<Prepared, BoxError> {
    let longest = ids.iter().map(Vec::len).max().unwrap_or(0);
    let fill = |of: &dyn Fn(&[i64], usize) -> i64| {
        let numbers = ids.iter().flat_map(|ids| (0..longest).map(|i| of(ids, i))).collect();
        Tensor::from_vec(numbers, (ids.len(), longest), &Device::Cpu)
    };
    let x = fill(&|ids, i| ids.get(i).copied().unwrap_or(0))?;
    let mask = fill(&|ids, i| i64::from(i < ids.len()))?;
    Ok(Prepared::Tokens(Tokens::new(&x)?.with_mask(&mask)?))
}

/// With the published weights against the reference library, else with weights by formula against the CPU.
fn minilm(sources: &Sources) -> Result<Run, BoxError> {
    const MODEL: &str = "all-MiniLM-L6-v2";
    let ids: Vec<Vec<i64>> =
        serde_json::from_value(sources.json(&golden("minilm.json"))?["token_ids"].take())?;
    let input = padded(&ids)?;
    if let Some(store) = sources.real(MODEL)? {
        let expected = sources.tensors(&golden("minilm.safetensors"))?;
        return Ok(Box::new(move |device, dtype| {
            let network = store.network(MODEL, device, dtype)?;
            let batch = network.forward_tensor(&input, Head::Embedding)?;
            let alone = |ids: &Vec<i64>| -> Result<Tensor, BoxError> {
                Ok(network.forward_tensor(&padded(std::slice::from_ref(ids))?, Head::Embedding)?)
            };
            let alone = Tensor::cat(&ids.iter().map(alone).collect::<Result<Vec<_>, _>>()?, 0)?;
            Ok(vec![
                Output::new("embeddings", Kind::MiniLm, &batch, named(&expected, "embeddings")?)?,
                Output::new(
                    "embeddings_single",
                    Kind::MiniLm,
                    &alone,
                    named(&expected, "embeddings_single")?,
                )?,
            ])
        }));
    }
    let shapes = sources.json(&golden("shapes/minilm.json"))?;
    let checkpoint = Checkpoint::new(&shapes, 9002, Some(&shapes["config"]))?;
    let load = move |device: &Device, dtype| bare(Architecture::Bert, &checkpoint, device, dtype);
    let reference = forward(&load, &Device::Cpu, DType::F32, &input, Head::Embedding)?;
    Ok(Box::new(move |device, dtype| {
        let actual = forward(&load, device, dtype, &input, Head::Embedding)?;
        Ok(vec![Output::new("mean, beside the CPU", Kind::MiniLmMean, &actual, &reference)?])
    }))
}

fn tokens(sources: &Sources, architecture: &str, name: &str) -> Result<Run, BoxError> {
    let architecture: Architecture = architecture.parse()?;
    let json = sources.json(&golden(&format!("{name}.json")))?;
    let expected = sources.tensors(&golden(&format!("{name}.safetensors")))?;
    let shapes = sources.json(&golden(&format!("shapes/{name}.json")))?;
    let checkpoint = Checkpoint::new(&shapes, whole(&json, "weights_seed")?, Some(&json["config"]))?;
    let mask = named(&expected, "attention_mask")?;
    let input = Prepared::Tokens(Tokens::new(named(&expected, "input_ids")?)?.with_mask(mask)?);
    Ok(Box::new(move |device, dtype| {
        let load = |device: &Device, dtype| bare(architecture, &checkpoint, device, dtype);
        let actual = forward(&load, device, dtype, &input, Head::Embedding)?;
        Ok(vec![Output::new("mean_pooled", Kind::Tokens, &actual, named(&expected, "mean_pooled")?)?])
    }))
}

fn clip(sources: &Sources, name: &str) -> Result<Run, BoxError> {
    let json = sources.json(&golden(&format!("{name}.json")))?;
    let expected = sources.tensors(&golden(&format!("{name}.safetensors")))?;
    let shapes = sources.json(&golden(&format!("shapes/{}", text(&json, "shapes")?)))?;
    let (architecture, config) = formula::clip_config(&json, &shapes["config"]);
    let architecture: Architecture = architecture.parse()?;
    let checkpoint = Checkpoint::new(&shapes, whole(&json, "weights_seed")?, Some(&config))?;
    let layers = u32::try_from(whole(&shapes["config"]["vision"], "num_hidden_layers")?)?;
    let about = &json["image_input"];
    let (seed, b, side) = (whole(about, "seed")?, whole(about, "B")?, whole(about, "size")?);
    let images = Prepared::Images(Images::new(&formula::image(seed, b as usize, side as usize))?);
    let ids = Tokens::new(named(&expected, "input_ids")?)?;
    // open_clip has no mask; with one and without the outputs are the same, since what is hidden follows the end.
    let mut texts = vec![("", Prepared::Tokens(ids.clone()))];
    if let (Architecture::Clip, Some(mask)) = (architecture, expected.get("attention_mask")) {
        texts.push((", masked", Prepared::Tokens(ids.with_mask(mask)?)));
    }
    Ok(Box::new(move |device, dtype| {
        let network = bare(architecture, &checkpoint, device, dtype)?;
        let mut outputs = Vec::new();
        for (head, kind, text, image) in [
            (Head::Embedding, Kind::Clip(layers), "text_embeds", "image_embeds"),
            (Head::Features, Kind::ClipFeatures(layers), "text_features", "image_features"),
        ] {
            for (how, ids) in &texts {
                let actual = network.forward_tensor(ids, head)?;
                outputs.push(Output::new(&format!("{text}{how}"), kind, &actual, named(&expected, text)?)?);
            }
            let actual = network.forward_tensor(&images, head)?;
            outputs.push(Output::new(image, kind, &actual, named(&expected, image)?)?);
        }
        Ok(outputs)
    }))
}
