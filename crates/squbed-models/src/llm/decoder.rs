//! The network of the Llama and Qwen families: RMS normalisation, rotary positions, grouped-query attention, SwiGLU
//! (Touvron et al. 2023, arXiv 2302.13971; Yang et al. 2024, arXiv 2407.10671; Yang et al. 2025, arXiv 2505.09388).
//!
//! Built on candle's quantised products; its crate `candle-transformers` has these models as well, but in version 0.11
//! leaves out the causal mask of Qwen 3 for batches on the CPU and the rotary factors of Llama 3.1, and keeps its cache
//! to itself, so that many answers to one prompt would read the prompt as many times.

use candle_core::{DType, Device, Module, Tensor, quantized::QMatMul};
use candle_nn::{
    ops::{rms_norm, silu, softmax_last_dim},
    rotary_emb::{rope, rope_i},
};

use super::{WeightForm, error::LlmError, gguf::Gguf};

/// A linear map of rows `[n, input]` to `[n, output]`.
enum Linear {
    /// In f32, `[input, output]`.
    Dense(Tensor),
    /// As the file holds it.
    Quantised(QMatMul),
}

impl Linear {
    fn load(place: &Place<'_>, name: &str, input: usize, output: usize) -> Result<Self, LlmError> {
        let shape = [output, input];
        Ok(match place.form {
            WeightForm::F32 => Self::Dense(place.gguf.dense(name, &shape, place.device)?.t()?.contiguous()?),
            WeightForm::Quantised => {
                Self::Quantised(QMatMul::from_qtensor(place.gguf.tensor(name, &shape, place.device)?)?)
            }
        })
    }

    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        match self {
            Self::Dense(weight) => x.matmul(weight),
            Self::Quantised(weight) => weight.forward(x),
        }
    }
}

/// Where weights come from and go to.
struct Place<'g> {
    gguf: &'g Gguf,
    device: &'g Device,
    form: WeightForm,
}

/// What the metadata say of a network.
struct Shape {
    layers: usize,
    width: usize,
    inner: usize,
    heads: usize,
    kv_heads: usize,
    head: usize,
    vocabulary: usize,
    eps: f32,
    rope_base: f64,
    context: usize,
    /// Whether a rotation pairs i with i + d/2; llama.cpp's Llama files are permuted so that neighbours pair.
    halves: bool,
}

/// Longest context that tables of rotations are made for; no refinement is as long.
const LONGEST: usize = 16_384;

impl Shape {
    fn read(gguf: &Gguf, vocabulary: usize) -> Result<Self, LlmError> {
        let family = gguf.text("general.architecture")?;
        if !matches!(family, "llama" | "qwen2" | "qwen3") {
            return Err(gguf.unsupported("general.architecture", family, "known are llama, qwen2 and qwen3"));
        }
        let key = |name: &str| format!("{family}.{name}");
        let number = |name: &str| match gguf.number(&key(name)) {
            Ok(0) => Err(gguf.unsupported(&key(name), "0", "it is at least 1")),
            number => number,
        };
        if let Some(experts) = gguf.optional_number(&key("expert_count")).filter(|&n| n > 0) {
            let expected = "mixtures of experts are not built here";
            return Err(gguf.unsupported(&key("expert_count"), &experts.to_string(), expected));
        }
        if let Ok(scaling) = gguf.text(&key("rope.scaling.type")).map(str::to_owned)
            && scaling != "none"
        {
            let expected = "positions are not scaled here (Llama 3.1's factors, a tensor, are)";
            return Err(gguf.unsupported(&key("rope.scaling.type"), &scaling, expected));
        }
        let (width, heads) = (number("embedding_length")?, number("attention.head_count")?);
        let head = gguf.optional_number(&key("attention.key_length")).unwrap_or(width / heads);
        let kv_heads = gguf.optional_number(&key("attention.head_count_kv")).unwrap_or(heads);
        if kv_heads == 0 || !heads.is_multiple_of(kv_heads) {
            let expected = "it divides the number of heads";
            return Err(gguf.unsupported(&key("attention.head_count_kv"), &kv_heads.to_string(), expected));
        }
        let turned = gguf.optional_number(&key("rope.dimension_count")).unwrap_or(head);
        if turned != head || head == 0 || head % 2 == 1 {
            let expected = "every dimension of a head is turned, and their number is even";
            return Err(gguf.unsupported(&key("rope.dimension_count"), &turned.to_string(), expected));
        }
        Ok(Self {
            layers: number("block_count")?,
            width,
            inner: number("feed_forward_length")?,
            heads,
            kv_heads,
            head,
            vocabulary,
            eps: gguf.real(&key("attention.layer_norm_rms_epsilon"))? as f32,
            rope_base: gguf.real(&key("rope.freq_base")).unwrap_or(10_000.0),
            context: number("context_length")?.min(LONGEST),
            halves: family != "llama",
        })
    }

    /// Numbers in the weights of the layers and the output.
    fn parameters(&self) -> usize {
        let attention = 2 * self.width * self.head * (self.heads + self.kv_heads);
        self.layers * (attention + 3 * self.width * self.inner) + self.vocabulary * self.width
    }
}

struct Layer {
    attention_norm: Tensor,
    q: Linear,
    k: Linear,
    v: Linear,
    /// Of Qwen 2: biases of q, k and v.
    biases: Option<[Tensor; 3]>,
    /// Of Qwen 3: norms of each head of q and k.
    head_norms: Option<[Tensor; 2]>,
    output: Linear,
    inner_norm: Tensor,
    gate: Linear,
    up: Linear,
    down: Linear,
}

/// Keys and values of the tokens read so far.
pub(super) struct Cache {
    /// Of each layer `[b, kv_heads, capacity, head]` twice; the first `length` positions are filled.
    layers: Vec<[Tensor; 2]>,
    length: usize,
}

impl Cache {
    /// One row as many, with room for further tokens.
    pub(super) fn spread(&self, rows: usize, capacity: usize) -> Result<Self, LlmError> {
        let spread = |filled: &Tensor| -> Result<Tensor, LlmError> {
            let (_, heads, _, head) = filled.dims4()?;
            let wide = Tensor::zeros((rows, heads, capacity, head), filled.dtype(), filled.device())?;
            if self.length > 0 {
                let filled = filled.narrow(2, 0, self.length)?;
                let filled = filled.broadcast_as((rows, heads, self.length, head))?;
                wide.slice_set(&filled.contiguous()?, 2, 0)?;
            }
            Ok(wide)
        };
        let layers = self.layers.iter().map(|[k, v]| Ok([spread(k)?, spread(v)?]));
        Ok(Self { layers: layers.collect::<Result<_, LlmError>>()?, length: self.length })
    }
}

/// The network with its weights.
pub(super) struct Decoder {
    shape: Shape,
    /// `[vocabulary, width]`.
    tokens: Tensor,
    layers: Vec<Layer>,
    norm: Tensor,
    output: Linear,
    cos: Tensor,
    sin: Tensor,
    device: Device,
    form: WeightForm,
}

impl Decoder {
    /// The weights in the form that is asked for; without one in f32 where that takes at most 1 GiB: candle's products
    /// of many quantised kinds are scalar code on a CPU, and a small model is there several times as fast in f32.
    pub(super) fn load(
        gguf: &Gguf,
        vocabulary: usize,
        device: &Device,
        form: Option<WeightForm>,
    ) -> Result<Self, LlmError> {
        let shape = Shape::read(gguf, vocabulary)?;
        let small = shape.parameters().saturating_mul(4) <= 1 << 30;
        let form = form.unwrap_or(if small { WeightForm::F32 } else { WeightForm::Quantised });
        let place = Place { gguf, device, form };
        let layers = (0..shape.layers)
            .map(|i| layer(&place, &shape, &format!("blk.{i}.")))
            .collect::<Result<_, _>>()?;
        // Small models use one table for input and output.
        let output = if gguf.has("output.weight") { "output.weight" } else { "token_embd.weight" };
        let (cos, sin) = rotations(gguf, &shape, device)?;
        Ok(Self {
            tokens: gguf.dense("token_embd.weight", &[vocabulary, shape.width], device)?,
            layers,
            norm: gguf.dense("output_norm.weight", &[shape.width], device)?,
            output: Linear::load(&place, output, shape.width, vocabulary)?,
            cos,
            sin,
            device: device.clone(),
            form,
            shape,
        })
    }

    pub(super) fn form(&self) -> WeightForm {
        self.form
    }

    pub(super) fn context(&self) -> usize {
        self.shape.context
    }

    /// A cache of `rows` that has room for this many tokens.
    pub(super) fn cache(&self, rows: usize, capacity: usize) -> Result<Cache, LlmError> {
        let Shape { kv_heads, head, .. } = self.shape;
        let empty = || Tensor::zeros((rows, kv_heads, capacity, head), DType::F32, &self.device);
        let layers = self.layers.iter().map(|_| Ok([empty()?, empty()?]));
        Ok(Cache { layers: layers.collect::<Result<_, LlmError>>()?, length: 0 })
    }

    /// Reads further tokens `[b, l]`, all rows at once, and gives the last layer's states `[b, l, width]`.
    pub(super) fn read(&self, tokens: &Tensor, cache: &mut Cache) -> Result<Tensor, LlmError> {
        let (b, l) = tokens.dims2()?;
        let Shape { width, eps, .. } = self.shape;
        let start = cache.length;
        let mask = (l > 1).then(|| self.mask(l, start)).transpose()?;
        let (cos, sin) = (self.cos.narrow(0, start, l)?, self.sin.narrow(0, start, l)?);
        let mut x = self.tokens.index_select(&tokens.flatten_all()?, 0)?;
        for (layer, store) in self.layers.iter().zip(&cache.layers) {
            let y = rms_norm(&x, &layer.attention_norm, eps)?;
            let y = self.attend(layer, &y, (b, l, start), (&cos, &sin), mask.as_ref(), store)?;
            x = (x + y)?;
            let y = rms_norm(&x, &layer.inner_norm, eps)?;
            let y = (silu(&layer.gate.forward(&y)?)? * layer.up.forward(&y)?)?;
            x = (x + layer.down.forward(&y)?)?;
        }
        cache.length += l;
        Ok(x.reshape((b, l, width))?)
    }

    /// Logits `[n, vocabulary]` of states `[n, width]`.
    pub(super) fn logits(&self, states: &Tensor) -> Result<Tensor, LlmError> {
        Ok(self.output.forward(&rms_norm(&states.contiguous()?, &self.norm, self.shape.eps)?)?)
    }

    /// Of rows `[b·l, width]`, with keys and values added to `store` behind its `start` positions.
    fn attend(
        &self,
        layer: &Layer,
        x: &Tensor,
        (b, l, start): (usize, usize, usize),
        (cos, sin): (&Tensor, &Tensor),
        mask: Option<&Tensor>,
        [keys, values]: &[Tensor; 2],
    ) -> Result<Tensor, LlmError> {
        let Shape { heads, kv_heads, head, eps, halves, .. } = self.shape;
        let [mut q, mut k, mut v] = [layer.q.forward(x)?, layer.k.forward(x)?, layer.v.forward(x)?];
        if let Some([bq, bk, bv]) = &layer.biases {
            [q, k, v] = [q.broadcast_add(bq)?, k.broadcast_add(bk)?, v.broadcast_add(bv)?];
        }
        // [b·l, heads·head] as [b, heads, l, head]
        let split = |y: Tensor, heads: usize, norm: Option<&Tensor>| {
            let mut y = y.reshape((b, l, heads, head))?;
            if let Some(norm) = norm {
                y = rms_norm(&y, norm, eps)?;
            }
            y.transpose(1, 2)?.contiguous()
        };
        let turn = |y: &Tensor| if halves { rope(y, cos, sin) } else { rope_i(y, cos, sin) };
        let norms = layer.head_norms.as_ref();
        let q = turn(&split(q, heads, norms.map(|n| &n[0]))?)?;
        keys.slice_set(&turn(&split(k, kv_heads, norms.map(|n| &n[1]))?)?, 2, start)?;
        values.slice_set(&split(v, kv_heads, None)?, 2, start)?;
        let (k, v) = (keys.narrow(2, 0, start + l)?, values.narrow(2, 0, start + l)?);
        // The heads that share keys and values are further rows of one product.
        let group = heads / kv_heads;
        let q = (q.reshape((b, kv_heads, group * l, head))? / (head as f64).sqrt())?;
        let mut scores = q.matmul(&k.transpose(2, 3)?)?;
        if let Some(mask) = mask {
            let wide = scores.reshape((b, kv_heads, group, l, start + l))?;
            scores = wide.broadcast_add(mask)?.reshape((b, kv_heads, group * l, start + l))?;
        }
        let y = softmax_last_dim(&scores)?.matmul(&v)?;
        let y = y.reshape((b, heads, l, head))?.transpose(1, 2)?.reshape((b * l, heads * head))?;
        Ok(layer.output.forward(&y.contiguous()?)?)
    }

    /// `[l, start + l]`: 0 where a token may look, −∞ at what comes after it.
    fn mask(&self, l: usize, start: usize) -> candle_core::Result<Tensor> {
        let row =
            |i: usize| (0..start + l).map(move |j| if j <= start + i { 0.0 } else { f32::NEG_INFINITY });
        Tensor::from_vec((0..l).flat_map(row).collect::<Vec<f32>>(), (l, start + l), &self.device)
    }
}

fn layer(place: &Place<'_>, shape: &Shape, prefix: &str) -> Result<Layer, LlmError> {
    let Shape { width, inner, heads, kv_heads, head, .. } = *shape;
    let name = |part: &str| format!("{prefix}{part}");
    let linear = |part: &str, input, output| Linear::load(place, &name(part), input, output);
    let vector = |part: &str, length: usize| place.gguf.dense(&name(part), &[length], place.device);
    let (q, kv) = (heads * head, kv_heads * head);
    let biases = if place.gguf.has(&name("attn_q.bias")) {
        Some([vector("attn_q.bias", q)?, vector("attn_k.bias", kv)?, vector("attn_v.bias", kv)?])
    } else {
        None
    };
    let head_norms = if place.gguf.has(&name("attn_q_norm.weight")) {
        Some([vector("attn_q_norm.weight", head)?, vector("attn_k_norm.weight", head)?])
    } else {
        None
    };
    Ok(Layer {
        attention_norm: vector("attn_norm.weight", width)?,
        q: linear("attn_q.weight", width, q)?,
        k: linear("attn_k.weight", width, kv)?,
        v: linear("attn_v.weight", width, kv)?,
        biases,
        head_norms,
        output: linear("attn_output.weight", q, width)?,
        inner_norm: vector("ffn_norm.weight", width)?,
        gate: linear("ffn_gate.weight", width, inner)?,
        up: linear("ffn_up.weight", width, inner)?,
        down: linear("ffn_down.weight", inner, width)?,
    })
}

/// Cosines and sines `[context, head/2]` (Su et al. 2021, arXiv 2104.09864). Llama 3.1 divides frequencies by factors
/// that its files hold.
fn rotations(gguf: &Gguf, shape: &Shape, device: &Device) -> Result<(Tensor, Tensor), LlmError> {
    let half = shape.head / 2;
    let factors = if gguf.has("rope_freqs.weight") {
        gguf.dense("rope_freqs.weight", &[half], &Device::Cpu)?.to_vec1::<f32>()?
    } else {
        vec![1.0; half]
    };
    let frequency =
        |i: usize| shape.rope_base.powf(-((2 * i) as f64) / shape.head as f64) / f64::from(factors[i]);
    let angles: Vec<f64> = (0..shape.context)
        .flat_map(|at| (0..half).map(move |i| (at, i)))
        .map(|(at, i)| at as f64 * frequency(i))
        .collect();
    let table = |of: fn(f64) -> f64| {
        let table: Vec<f32> = angles.iter().map(|&angle| of(angle) as f32).collect();
        Tensor::from_vec(table, (shape.context, half), device)
    };
    Ok((table(f64::cos)?, table(f64::sin)?))
}
