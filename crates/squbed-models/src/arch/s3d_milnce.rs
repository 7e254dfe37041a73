//! S3D-G as MIL-NCE trained it on HowTo100M, with its tower of words.
//!
//! Miech et al., *End-to-End Learning of Visual Representations from Uncurated Instructional Videos* (CVPR
//! 2020, arXiv 1912.06430). Layers and names are those of the authors' PyTorch port,
//! <https://github.com/antoine77340/S3D_HowTo100M>, whose weights are `s3d_howto100m.pth`.

use candle_core::{D, DType, Device, Tensor};
use squbed_tensor::{Linear, Padding3d};

use super::{
    VideoNetwork,
    inception::{
        Design, FEATURES, Folded, GateNames, Loader, PoolPadding, STEM, See, Trunk, UnitNames, global_mean,
        read_torch,
    },
};
use crate::{bare::Head, error::Error, manifest::Architecture, weights::Weights};

/// Width of the embeddings, which videos and texts share.
pub const EMBEDDING: usize = 512;
const WORD: usize = 300;
const HIDDEN: usize = 2048;

/// Table of the words' vectors.
const WORDS: &str = "text_module.word_embd.weight";

const DESIGN: Design = Design {
    name: "s3d-milnce",
    layers: [
        "maxpool_2a",
        "conv_2b",
        "conv_2c",
        "maxpool_3a",
        "mixed_3b",
        "mixed_3c",
        "maxpool_4a",
        "mixed_4b",
        "mixed_4c",
        "mixed_4d",
        "mixed_4e",
        "mixed_4f",
        "maxpool_5a",
        "mixed_5b",
        "mixed_5c",
    ],
    branches: ["conv_b0", "conv_b1_a", "conv_b1_b", "conv_b2_a", "conv_b2_b", "conv_b3_b"],
    unit: UnitNames { convolution: "conv1", norm: "bn1" },
    halves: Some([
        UnitNames { convolution: "conv1", norm: "bn1" },
        UnitNames { convolution: "conv2", norm: "bn2" },
    ]),
    gates: Some(GateNames {
        layer: "gating",
        branches: ["gating_b0", "gating_b1", "gating_b2", "gating_b3"],
    }),
    // The reference pads by 1 behind and lets the last window reach beyond.
    pools: PoolPadding::Behind,
    epsilon: 1e-5,
    read: read_torch,
};

/// The network of videos.
pub struct S3dMilNce {
    trunk: Trunk,
    projection: Linear,
}

/// What the network gives for clips.
pub struct S3dMilNceOutput {
    /// Embedding `[b, 512]` in the space that videos and texts share.
    pub embedding: Tensor,
    /// Features `[b, 1024]`: the last map averaged over all positions.
    pub mixed_5c: Tensor,
}

impl S3dMilNce {
    /// Builds the network from the tensors of the authors' checkpoint, by their names there.
    pub fn load(weights: &Weights, device: &Device, dtype: DType) -> Result<Self, Error> {
        weights.leave("text_module.");
        weights.leave_ending(".num_batches_tracked");
        let loader = Loader { weights, device, dtype, design: &DESIGN };
        let name = "conv1";
        let stem = loader.folded(name, DESIGN.unit, [2, 4, 4], 24, STEM)?;
        // Of positions shifted by the reference's crop, so that the first row and column of its padding go.
        let stem = loader.conv(
            unblocked(stem)?,
            [4, 8, 8, 3, STEM],
            [2; 3],
            Padding3d::Explicit([(0, 2), (2, 4), (2, 4)]),
        )?;
        let trunk = Trunk::load(&loader, (name, vec![stem]))?;
        Ok(Self { trunk, projection: loader.linear("fc", FEATURES, EMBEDDING)? })
    }

    /// Embeddings of clips `[b, t, h, w, 3]` with values in [0, 1].
    ///
    /// # Errors
    ///
    /// An odd number of frames, rows or columns: the stem takes blocks of 2×2×2.
    pub fn forward(&self, x: &Tensor) -> Result<S3dMilNceOutput, Error> {
        self.forward_with(x, &mut |_, _| Ok(()))
    }

    /// [`forward`](Self::forward), showing every layer's output; of `conv1` the part that the reference keeps.
    pub fn forward_with(&self, x: &Tensor, see: &mut See<'_>) -> Result<S3dMilNceOutput, Error> {
        if let &[_, t, h, w, _] = x.dims() {
            self.check([t, h, w])?;
        }
        let mixed_5c = global_mean(&self.trunk.forward(x, see)?)?;
        let embedding = self.projection.forward(&mixed_5c)?;
        Ok(S3dMilNceOutput {
            embedding: embedding.to_dtype(DType::F32)?,
            mixed_5c: mixed_5c.to_dtype(DType::F32)?,
        })
    }
}

impl VideoNetwork for S3dMilNce {
    fn device(&self) -> &Device {
        &self.trunk.device
    }

    fn check(&self, size: [usize; 3]) -> Result<(), Error> {
        if size.iter().any(|n| n % 2 == 1) {
            let needs = "an even number of frames, rows and columns";
            return Err(Error::Clip { architecture: DESIGN.name, needs, size });
        }
        Ok(())
    }

    fn output(&self, clips: &Tensor, head: Head) -> Result<Tensor, Error> {
        Architecture::S3dMilnce.check_head(head)?;
        let output = self.forward(clips)?;
        Ok(if head == Head::Embedding { output.embedding } else { output.mixed_5c })
    }
}

/// The stem on the video itself. The reference puts each block of 2×2×2 pixels into 24 channels, offsets
/// (t, h, w) before the colour, and convolves by 2×4×4 in steps of 1; that is a convolution by 4×8×8 in steps
/// of 2, which leaves the video where it is.
fn unblocked(stem: Folded) -> Result<Folded, Error> {
    let weight = Tensor::from_vec(stem.weight, &[2, 4, 4, 2, 2, 2, 3 * STEM][..], &Device::Cpu)?;
    let weight = weight.permute([0, 3, 1, 4, 2, 5, 6])?.flatten_all()?.to_vec1()?;
    Ok(Folded { weight, ..stem })
}

/// The tower of texts: vectors of words, a layer of their own, the largest of each number over the words, and a
/// projection into the space of the videos.
pub struct WordTower {
    /// `[vocabulary + 1, 300]`; row 0 stands for no word.
    vectors: Tensor,
    hidden: Linear,
    projection: Linear,
    device: Device,
}

impl WordTower {
    /// Whether the checkpoint has one.
    pub fn is_in(weights: &Weights) -> bool {
        weights.contains(WORDS)
    }

    /// Builds the tower from the tensors of the authors' checkpoint, by their names there.
    pub fn load(weights: &Weights, device: &Device, dtype: DType) -> Result<Self, Error> {
        let loader = Loader { weights, device, dtype, design: &DESIGN };
        let rows = weights.shape(WORDS).and_then(|shape| shape.first().copied()).unwrap_or(66_250);
        Ok(Self {
            vectors: weights.tensor(WORDS, &[rows, WORD], device, dtype)?,
            hidden: loader.linear("text_module.fc1", WORD, HIDDEN)?,
            projection: loader.linear("text_module.fc2", HIDDEN, EMBEDDING)?,
            device: device.clone(),
        })
    }

    /// Rows of the table, the one for no word among them.
    pub fn rows(&self) -> usize {
        self.vectors.dims()[0]
    }

    /// Embeddings `[b, 512]` in f32 of word ids `[b, l]`, 0 for no word; that one takes part like any other.
    pub fn forward(&self, ids: &Tensor) -> Result<Tensor, Error> {
        let &[b, l] = ids.dims() else { return Err(not_ids(ids)) };
        if b * l == 0 {
            return Err(not_ids(ids));
        }
        let rows: Vec<Vec<i64>> = ids.to_dtype(DType::I64)?.to_vec2()?;
        let vocabulary = self.rows();
        let mut flat = Vec::with_capacity(b * l);
        for (row, ids) in rows.into_iter().enumerate() {
            for (column, id) in ids.into_iter().enumerate() {
                match u32::try_from(id) {
                    Ok(known) if (known as usize) < vocabulary => flat.push(known),
                    _ => return Err(Error::TokenId { id, row, column, vocabulary }),
                }
            }
        }
        let flat = Tensor::from_vec(flat, b * l, &self.device)?;
        let words = self.hidden.forward(&self.vectors.index_select(&flat, 0)?)?.relu()?;
        let sentence = words.reshape((b, l, HIDDEN))?.max(D::Minus2)?;
        Ok(self.projection.forward(&sentence)?.to_dtype(DType::F32)?)
    }
}

fn not_ids(x: &Tensor) -> Error {
    Error::Input { architecture: DESIGN.name, expected: "word ids [b, l]", actual: x.dims().to_vec() }
}
