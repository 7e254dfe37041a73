//! The networks, free of files, tokenizers and preprocessing.

pub mod bert;
pub mod i3d;
pub mod inception;
pub mod s3d_kinetics;
pub mod s3d_milnce;

use candle_core::{DType, Device, Tensor};

use crate::{bare::Head, error::Error, manifest::Architecture, weights::Weights};

impl Architecture {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Bert, Self::I3d, Self::S3dMilnce, Self::S3dKinetics];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bert => "bert",
            Self::I3d => "i3d",
            Self::S3dMilnce => "s3d-milnce",
            Self::S3dKinetics => "s3d-kinetics",
        }
    }

    /// Its network of video clips.
    ///
    /// # Errors
    ///
    /// Weights of another architecture, and an architecture that takes no clips.
    pub fn video_network(
        self,
        weights: &Weights,
        device: &Device,
        dtype: DType,
    ) -> Result<Box<dyn VideoNetwork>, Error> {
        Ok(match self {
            Self::I3d => Box::new(i3d::I3d::load(weights, device, dtype)?),
            Self::S3dMilnce => Box::new(s3d_milnce::S3dMilNce::load(weights, device, dtype)?),
            Self::S3dKinetics => Box::new(s3d_kinetics::S3dKinetics::load(weights, device, dtype)?),
            Self::Bert => {
                let name = self.name().to_owned();
                return Err(Error::Modality { name, takes: "text", wanted: "video clips" });
            }
        })
    }
}

/// A network of video clips.
pub trait VideoNetwork: Send + Sync {
    /// Where its weights are.
    fn device(&self) -> &Device;

    /// Refuses a clip of so many frames, rows and columns that the network cannot take. By default it takes any.
    ///
    /// # Errors
    ///
    /// [`Error::Clip`], with what the network needs.
    fn check(&self, size: [usize; 3]) -> Result<(), Error> {
        let _ = size;
        Ok(())
    }

    /// An output `[b, d]` in f32 of preprocessed clips `[b, t, h, w, 3]`.
    ///
    /// # Errors
    ///
    /// Another shape, a clip that [`check`](Self::check) refuses, or an output that the network does not have.
    fn output(&self, clips: &Tensor, head: Head) -> Result<Tensor, Error>;
}
