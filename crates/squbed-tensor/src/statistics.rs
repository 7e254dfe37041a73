//! Sufficient statistics of many groups of embeddings at once.

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;
use squbed_vmf::GroupStatistics;

use crate::error::{Error, Result};

/// Statistics of groups `[g, m, d]` of any float dtype: each row is normalised, r̄ is the length of the mean,
/// and 1 − r̄ comes from the centred scatter q = Σ‖yᵢ − ȳ‖²/m = 1 − r̄² as q/(1 + r̄), since 1 − ‖ȳ‖ keeps
/// no digit of a tight group.
///
/// On the CPU sums are in f64, and for f64 input in double-double. Elsewhere they are in f64 where the device
/// has it, else in f32; what leaves the device is one length a row and two sums a group.
///
/// # Errors
///
/// Another number of axes, an empty axis, d below 2; rows of length zero, infinite or NaN.
pub fn group_statistics(x: &Tensor) -> Result<Vec<GroupStatistics>> {
    let (g, m, d) = match *x.dims() {
        [g, m, d] if m > 0 && d > 1 => (g, m, d),
        _ => {
            return Err(Error::Shape {
                operation: "group_statistics",
                expected: "[groups, m, d] with m >= 1 and d >= 2",
                actual: x.dims().to_vec(),
            });
        }
    };
    if g == 0 {
        return Ok(Vec::new());
    }
    #[cfg(feature = "cuda")]
    if x.device().is_cuda()
        && let Some(sums) = crate::cuda::group_sums(x)?
    {
        let statistics = |(group, &[square, scatter, bad, norm]): (usize, &[f64; 4])| {
            if bad >= 0.0 {
                return Err(Error::NoDirection { group, row: bad as usize, norm });
            }
            Ok(reduce(m, d, square, scatter))
        };
        return sums.iter().enumerate().map(statistics).collect();
    }
    if !x.device().is_cpu() {
        // Metal has no f64.
        return on_device(&x.to_dtype(if x.device().is_metal() { DType::F32 } else { DType::F64 })?);
    }
    if x.dtype() == DType::F64 {
        let rows = x.flatten_all()?.to_vec1::<f64>()?;
        return rows.par_chunks(m * d).enumerate().map(|(group, rows)| exact(group, rows, d)).collect();
    }
    let rows = x.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
    rows.par_chunks(m * d).enumerate().map(|(group, rows)| single(group, rows, d)).collect()
}

fn exact(group: usize, rows: &[f64], d: usize) -> Result<GroupStatistics> {
    let rows: Vec<&[f64]> = rows.chunks_exact(d).collect();
    match squbed_vmf::group_statistics(&rows) {
        Ok((statistics, _)) => Ok(statistics),
        Err(squbed_vmf::Error::NoDirection { row, .. }) => {
            let norm = rows[row].iter().map(|x| x * x).sum::<f64>().sqrt();
            Err(Error::NoDirection { group, row, norm })
        }
        Err(source) => Err(Error::Statistics { group, source }),
    }
}

/// Embeddings in single precision: sums in f64 lose nothing that they hold.
fn single(group: usize, rows: &[f32], d: usize) -> Result<GroupStatistics> {
    let m = rows.len() / d;
    let mut units: Vec<f64> = rows.iter().map(|&x| x.into()).collect();
    for (row, unit) in units.chunks_exact_mut(d).enumerate() {
        let norm = sum_of_squares(unit).sqrt();
        if !(norm.is_finite() && norm > 0.0) {
            return Err(Error::NoDirection { group, row, norm });
        }
        unit.iter_mut().for_each(|x| *x /= norm);
    }
    // Taken from the first row, so that equal rows have a scatter of exactly 0.
    let first = units[..d].to_vec();
    let mut mean = vec![0.0; d];
    for unit in units.chunks_exact_mut(d) {
        for ((x, first), mean) in unit.iter_mut().zip(&first).zip(&mut mean) {
            *x -= first;
            *mean += *x / m as f64;
        }
    }
    let square: f64 = first.iter().zip(&mean).map(|(first, mean)| (first + mean).powi(2)).sum();
    for unit in units.chunks_exact_mut(d) {
        unit.iter_mut().zip(&mean).for_each(|(x, mean)| *x -= mean);
    }
    let scatter = sum_of_squares(&units);
    Ok(reduce(m, d, square, scatter / m as f64))
}

/// In eight partial sums, which a processor adds at once.
fn sum_of_squares(x: &[f64]) -> f64 {
    let (blocks, rest) = x.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for block in blocks {
        sums.iter_mut().zip(block).for_each(|(sum, x)| *sum += x * x);
    }
    sums.iter().sum::<f64>() + rest.iter().map(|x| x * x).sum::<f64>()
}

/// From ‖ȳ‖² and the scatter q.
fn reduce(m: usize, dim: usize, square: f64, scatter: f64) -> GroupStatistics {
    // 1 = r̄² + q: of the two the smaller is the better known.
    let rbar = if scatter < 0.5 { (1.0 - scatter).max(0.0).sqrt() } else { square.min(1.0).sqrt() };
    GroupStatistics { m, dim, rbar, one_minus_rbar: (scatter / (1.0 + rbar)).clamp(0.0, 1.0) }
}

/// The same in Candle's words, in the dtype of `x`.
fn on_device(x: &Tensor) -> Result<Vec<GroupStatistics>> {
    let (_, m, d) = x.dims3()?;
    let to_host = |t: &Tensor| -> Result<Vec<f64>> {
        Ok(t.flatten_all()?.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.to_vec1()?)
    };
    // Scaled by the largest number first: squares of f32 neither overflow nor vanish then.
    let largest = x.abs()?.max_keepdim(2)?;
    let scaled = x.broadcast_div(&largest)?;
    let norms = scaled.sqr()?.sum_keepdim(2)?.sqrt()?;
    let on_host = to_host(&norms)?.into_iter().zip(to_host(&largest)?);
    for (i, (norm, largest)) in on_host.enumerate() {
        let norm = if largest == 0.0 { 0.0 } else { norm * largest };
        if !(norm.is_finite() && norm > 0.0) {
            return Err(Error::NoDirection { group: i / m, row: i % m, norm });
        }
    }
    let units = scaled.broadcast_div(&norms)?;
    // Taken from the first row, so that equal rows have a scatter of exactly 0.
    let first = units.narrow(1, 0, 1)?;
    let units = units.broadcast_sub(&first)?;
    let mean = units.mean_keepdim(1)?;
    let squares = to_host(&(first + &mean)?.sqr()?.sum(2)?)?;
    let scatters = to_host(&(units.broadcast_sub(&mean)?.sqr()?.sum((1, 2))? / m as f64)?)?;
    Ok(squares.into_iter().zip(scatters).map(|(square, q)| reduce(m, d, square, q)).collect())
}

/// Whether a group is as tight as its numbers resolve, whose precision is `epsilon` (2⁻²³ for f32 embeddings).
///
/// Rounding moves each number by up to ε/2 of itself, evenly spread: a scatter of up to ε²/12 that has nothing to
/// do with the data. Below eight times that, 1 − r̄ (half of the scatter) may be an eighth rounding, which moves
/// h by some (n − 1)/16 nats; an encoder's own rounding is larger still.
pub fn is_saturated(statistics: &GroupStatistics, epsilon: f64) -> bool {
    statistics.one_minus_rbar < epsilon * epsilon / 3.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What other devices compute, here on the CPU, in the f64 of CUDA and the f32 of Metal.
    #[test]
    fn the_device_path_agrees_with_the_host_s() {
        let number = |i: usize| f64::from(((i * 7919 + 17) % 2003) as u32) / 1001.5 - 1.0;
        // Groups of a common direction and ever less spread; numbers from 1e-20 to 1e20.
        let rows = |d: usize| {
            move |i: usize| {
                let (group, row) = (i / (6 * d), i / d % 6);
                let spread = [1.0, 1e-2, 1e-4][group];
                [1.0, 1e-20, 1e20][row % 3] * (number(i % d) + spread * number(i + 5000))
            }
        };
        let d = 64;
        let x: Vec<f64> = (0..3 * 6 * d).map(rows(d)).collect();
        let x = Tensor::from_vec(x, (3, 6, d), &Device::Cpu).and_then(|x| x.to_dtype(DType::F32)).unwrap();
        let want = group_statistics(&x).unwrap();
        for (dtype, bound) in [(DType::F64, 1e-9), (DType::F32, 1e-3)] {
            for (got, want) in on_device(&x.to_dtype(dtype).unwrap()).unwrap().iter().zip(&want) {
                assert_eq!((got.m, got.dim), (want.m, want.dim));
                let off = (got.one_minus_rbar / want.one_minus_rbar - 1.0).abs();
                assert!(
                    off < bound,
                    "{dtype:?}: {} and {}, {off:e}",
                    got.one_minus_rbar,
                    want.one_minus_rbar
                );
                assert!((got.rbar - want.rbar).abs() < bound);
            }
        }
    }

    #[test]
    fn equal_rows_have_no_scatter_at_all() {
        let row: Vec<f32> = (0..50).map(|i| 0.1 + 0.37 * i as f32).collect();
        for m in [1, 3, 10] {
            let x = Tensor::from_vec(row.repeat(m), (1, m, 50), &Device::Cpu).unwrap();
            for statistics in [group_statistics(&x).unwrap()[0], on_device(&x).unwrap()[0]] {
                assert_eq!((statistics.one_minus_rbar, statistics.rbar), (0.0, 1.0));
            }
        }
    }

    #[test]
    fn the_device_path_names_rows_without_direction() {
        for bad in [f32::NAN, f32::INFINITY, 0.0] {
            let mut rows = vec![1.0_f32; 3 * 2 * 4];
            rows[12..16].fill(bad);
            let x = Tensor::from_vec(rows, (3, 2, 4), &Device::Cpu).unwrap();
            let error = on_device(&x).unwrap_err();
            assert!(matches!(error, Error::NoDirection { group: 1, row: 1, .. }), "{error}");
        }
    }
}
