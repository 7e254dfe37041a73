//! Principal components of a corpus, as a basis that can be kept and used again.

use std::{collections::HashMap, io, path::Path};

use candle_core::{DType, Device, Tensor};
use faer::{Mat, Side};

use crate::error::{CandleError, Error, Result};

/// A basis of the directions in which a corpus spreads most.
#[derive(Clone, Debug)]
pub struct Pca {
    mean: Option<Tensor>,
    basis: Tensor,
    variances: Vec<f64>,
    total_variance: f64,
}

impl Pca {
    /// The first `k` components of rows `[N, d]`; `centred` takes the corpus mean away first, as PCA is by
    /// definition. Signs are fixed: the largest number of a component is positive.
    ///
    /// # Errors
    ///
    /// Another number of axes, k = 0, numbers that are not finite, no spread at all, and k above the rank:
    /// further components would be noise of rounding.
    pub fn fit(x: &Tensor, k: usize, centred: bool) -> Result<Self> {
        let spectrum = Spectrum::of(x, centred)?;
        if k == 0 || k > spectrum.rank {
            let (rows, width) = x.dims2()?;
            return Err(Error::Rank { wanted: k, rank: spectrum.rank, rows, width });
        }
        spectrum.first(k, x.device())
    }

    /// As [`fit`](Self::fit) with `most` components, or as many as the rank allows.
    ///
    /// # Errors
    ///
    /// As [`fit`](Self::fit), k above the rank excepted.
    pub fn fit_at_most(x: &Tensor, most: usize, centred: bool) -> Result<Self> {
        let spectrum = Spectrum::of(x, centred)?;
        spectrum.first(most.clamp(1, spectrum.rank), x.device())
    }

    /// Components k.
    pub fn components(&self) -> usize {
        self.variances.len()
    }

    /// The basis `[d, k]`, orthonormal columns, f64 (f32 where the device has no f64).
    pub fn basis(&self) -> &Tensor {
        &self.basis
    }

    /// The corpus mean `[1, d]` that [`project`](Self::project) takes away, if it does.
    pub fn mean(&self) -> Option<&Tensor> {
        self.mean.as_ref()
    }

    /// Mean square along each component, in descending order.
    pub fn variances(&self) -> &[f64] {
        &self.variances
    }

    /// Share of the corpus' mean square that the components keep.
    pub fn explained(&self) -> f64 {
        self.variances.iter().sum::<f64>() / self.total_variance
    }

    /// Coordinates in the basis: `[…, d]` to `[…, k]`, not normalised.
    ///
    /// # Errors
    ///
    /// A last axis other than d.
    pub fn project(&self, x: &Tensor) -> Result<Tensor> {
        let mut dims = x.dims().to_vec();
        let (d, k) = self.basis.dims2()?;
        if dims.last() != Some(&d) {
            return Err(Error::Shape {
                operation: "project", expected: "[…, d] of the basis", actual: dims
            });
        }
        let rows = x.reshape(((), d))?.to_dtype(self.basis.dtype())?;
        let rows = match &self.mean {
            Some(mean) => rows.broadcast_sub(mean)?,
            None => rows,
        };
        if let Some(last) = dims.last_mut() {
            *last = k;
        }
        Ok(rows.matmul(&self.basis)?.reshape(dims)?)
    }

    /// Writes `basis`, `variances`, `total_variance` and, where there is one, `mean`, as safetensors.
    ///
    /// # Errors
    ///
    /// A file that cannot be written, with its path; an older one is kept then.
    pub fn save(&self, path: &Path) -> Result<()> {
        let cpu = Device::Cpu;
        let mut tensors = HashMap::from([
            ("basis", self.basis.to_device(&cpu)?),
            ("variances", Tensor::new(self.variances.as_slice(), &cpu)?),
            ("total_variance", Tensor::new(&[self.total_variance], &cpu)?),
        ]);
        if let Some(mean) = &self.mean {
            tensors.insert("mean", mean.to_device(&cpu)?);
        }
        let bytes = safetensors::serialize(&tensors, None).map_err(candle_core::Error::from)?;
        squbed_files::write(path, bytes).map_err(|source| Error::BasisFile {
            operation: "write",
            path: path.to_owned(),
            source,
        })
    }

    /// Reads what [`save`](Self::save) wrote.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or is no basis.
    pub fn load(path: &Path, device: &Device) -> Result<Self> {
        let unreadable = |source| Error::BasisFile { operation: "read", path: path.to_owned(), source };
        let bytes = std::fs::read(path).map_err(unreadable)?;
        let mut tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu).map_err(|error| {
            unreadable(io::Error::new(io::ErrorKind::InvalidData, CandleError::from(error)))
        })?;
        let mut take = |name: &str| tensors.remove(name).map(|t| t.to_dtype(DType::F64)).transpose();
        let lacking = Error::NoBasis { reason: "the file lacks basis, variances or total_variance" };
        let (Some(basis), Some(variances), Some(total)) =
            (take("basis")?, take("variances")?, take("total_variance")?)
        else {
            return Err(lacking);
        };
        let (d, k) = basis.dims2()?;
        let mean = take("mean")?;
        let fits = variances.dims() == [k] && total.dims() == [1];
        if !fits || mean.as_ref().is_some_and(|mean| mean.dims() != [1, d]) {
            return Err(Error::NoBasis { reason: "the shapes in the file do not belong together" });
        }
        let place = |t: &Tensor| t.to_dtype(width(device))?.to_device(device);
        Ok(Self {
            mean: mean.as_ref().map(place).transpose()?,
            basis: place(&basis)?,
            variances: variances.to_vec1()?,
            total_variance: total.to_vec1()?[0],
        })
    }
}

/// f64, where the device has it.
fn width(device: &Device) -> DType {
    if device.is_metal() { DType::F32 } else { DType::F64 }
}

/// All principal directions of a corpus.
struct Spectrum {
    mean: Option<Tensor>,
    /// `[d][j]`, by descending variance.
    vectors: Mat<f64>,
    variances: Vec<f64>,
    total: f64,
    rank: usize,
}

impl Spectrum {
    fn of(x: &Tensor, centred: bool) -> Result<Self> {
        let &[n, d] = x.dims() else {
            return Err(Error::Shape {
                operation: "pca",
                expected: "rows [n, d]",
                actual: x.dims().to_vec(),
            });
        };
        if n * d == 0 {
            return Err(Error::NoBasis { reason: "there are no embeddings" });
        }
        let x = x.to_dtype(width(x.device()))?;
        let mean = if centred { Some(x.mean_keepdim(0)?) } else { None };
        let rows = match &mean {
            Some(mean) => x.broadcast_sub(mean)?,
            None => x,
        };
        // The smaller of the two products of the rows with themselves has all eigenvalues that are not 0.
        let gram = n < d;
        let square = if gram { rows.matmul(&rows.t()?)? } else { rows.t()?.contiguous()?.matmul(&rows)? };
        let square = host(&(square / n as f64)?)?;
        if !square.col_iter().all(|c| c.iter().all(|v| v.is_finite())) {
            return Err(Error::NoBasis { reason: "the embeddings have numbers that are not finite" });
        }
        let eigen = square
            .self_adjoint_eigen(Side::Lower)
            .map_err(|_| Error::NoBasis { reason: "the eigenvalues do not converge" })?;
        // faer gives them in ascending order.
        let size = square.nrows();
        let values: Vec<f64> = (0..size).rev().map(|i| eigen.S()[i].max(0.0)).collect();
        // Singular values that single-precision input cannot tell from 0, as NumPy's matrix_rank has it.
        let floor = n.max(d) as f64 * f64::from(f32::EPSILON);
        let rank = values.iter().filter(|v| **v > values[0] * floor * floor).count();
        if rank == 0 {
            return Err(Error::NoBasis { reason: "all embeddings are the same" });
        }
        let mut vectors = Mat::from_fn(size, rank, |i, j| eigen.U()[(i, size - 1 - j)]);
        if gram {
            // From directions among rows to directions among numbers.
            vectors = host(&rows)?.transpose() * vectors;
        }
        for j in 0..rank {
            let column = || vectors.col(j).iter();
            let norm = column().map(|v| v * v).sum::<f64>().sqrt();
            let largest = column().fold(0.0_f64, |a, &b| if b.abs() > a.abs() { b } else { a });
            let scale = largest.signum() / norm;
            for i in 0..d {
                vectors[(i, j)] *= scale;
            }
        }
        Ok(Self { mean, vectors, total: values.iter().sum(), variances: values, rank })
    }

    fn first(&self, k: usize, device: &Device) -> Result<Pca> {
        let d = self.vectors.nrows();
        let numbers: Vec<f64> = (0..d * k).map(|i| self.vectors[(i / k, i % k)]).collect();
        Ok(Pca {
            mean: self.mean.clone(),
            basis: Tensor::from_vec(numbers, (d, k), &Device::Cpu)?
                .to_dtype(width(device))?
                .to_device(device)?,
            variances: self.variances[..k].to_vec(),
            total_variance: self.total,
        })
    }
}

fn host(x: &Tensor) -> Result<Mat<f64>> {
    let (rows, columns) = x.dims2()?;
    let numbers: Vec<f64> = x.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?;
    Ok(Mat::from_fn(rows, columns, |i, j| numbers[i * columns + j]))
}
