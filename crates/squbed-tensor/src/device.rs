//! Where tensors live, and in which arithmetic. Never a silent fall-back.

use candle_core::{DType, Device, DeviceLocation};

use crate::error::{Error, Result};

/// The device of a name: `auto`, `cpu`, `cuda`, `cuda:N` or `metal`.
///
/// `auto` is the first of CUDA, Metal and CPU that this program was built with; [`describe`] says which it
/// became. A GPU that the build is for but that does not answer is an error with `auto` too: who wants the CPU
/// then says `cpu`.
///
/// # Errors
///
/// An unknown name; a device that this build lacks or that does not answer.
pub fn select_device(spec: &str) -> Result<Device> {
    match spec {
        "auto" if candle_core::utils::cuda_is_available() => cuda(0),
        "auto" if candle_core::utils::metal_is_available() => metal(),
        "auto" | "cpu" => Ok(Device::Cpu),
        "cuda" => cuda(0),
        "metal" => metal(),
        _ => match spec.strip_prefix("cuda:").and_then(|n| n.parse().ok()) {
            Some(ordinal) => cuda(ordinal),
            None => Err(Error::DeviceSpec { spec: spec.to_owned() }),
        },
    }
}

fn cuda(ordinal: usize) -> Result<Device> {
    let device = format!("cuda:{ordinal}");
    if !candle_core::utils::cuda_is_available() {
        return Err(Error::NotBuilt { device, feature: "cudnn" });
    }
    Device::new_cuda(ordinal).map_err(|source| Error::Device { device, source: source.into() })
}

fn metal() -> Result<Device> {
    let device = "metal".to_owned();
    if !candle_core::utils::metal_is_available() {
        return Err(Error::NotBuilt { device, feature: "metal" });
    }
    Device::new_metal(0).map_err(|source| Error::Device { device, source: source.into() })
}

/// The arithmetic of a name on a device: `f32`, `f16`, `bf16`, or `auto`, which is f32 everywhere: the
/// references that encoders are held against are f32.
///
/// # Errors
///
/// An unknown name; f16 and bf16 on the CPU, for which there is no kernel here: through Candle's own products an
/// I3D clip takes some twenty times as long as in f32.
pub fn select_dtype(spec: &str, device: &Device) -> Result<DType> {
    let fail = |reason| Err(Error::Dtype { spec: spec.to_owned(), reason });
    match spec {
        "auto" | "f32" => Ok(DType::F32),
        "f16" | "bf16" if device.is_cpu() => fail(
            "half precision has no kernel on the CPU, where it is many times slower than f32; \
             use --dtype f32, or a GPU (--device cuda or metal)",
        ),
        "f16" => Ok(DType::F16),
        "bf16" => Ok(DType::BF16),
        _ => fail("write auto, f32, f16 or bf16"),
    }
}

/// A device in words.
pub fn describe(device: &Device) -> String {
    match device.location() {
        DeviceLocation::Cpu => {
            format!("cpu, {} threads, {}", rayon::current_num_threads(), crate::conv::kernel_name())
        }
        DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
        DeviceLocation::Metal { gpu_id } => format!("metal:{gpu_id}"),
    }
}

/// Sets the threads of the CPU for everything here and in Candle. Once, before any work.
///
/// They are Rayon's global pool. Candle cuts a matrix product into as many parts as the machine has cores (or
/// `RAYON_NUM_THREADS` says) and gives them to that same pool, so no more than `threads` are ever at work.
///
/// # Errors
///
/// Zero threads, or after the first use.
pub fn set_threads(threads: usize) -> Result<()> {
    let fail = |reason| Error::Threads { threads, reason };
    if threads == 0 {
        return Err(fail("at least 1 is needed".to_owned()));
    }
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().map_err(|e| fail(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_never_fall_back() {
        assert!(select_device("cpu").unwrap().is_cpu());
        assert!(matches!(select_device("gpu"), Err(Error::DeviceSpec { .. })));
        assert!(matches!(select_device("cuda:x"), Err(Error::DeviceSpec { .. })));
        if !cfg!(feature = "cuda") {
            let error = select_device("cuda:1").unwrap_err().to_string();
            assert!(error.contains("cuda:1") && error.contains("--features"), "{error}");
        }
    }

    #[test]
    fn auto_says_what_it_became() {
        if !cfg!(any(feature = "cuda", feature = "metal")) {
            assert!(describe(&select_device("auto").unwrap()).starts_with("cpu, "));
        }
    }

    #[test]
    fn half_precision_is_explicit() {
        let cpu = Device::Cpu;
        assert_eq!(select_dtype("auto", &cpu).unwrap(), DType::F32);
        for half in ["f16", "bf16"] {
            let error = select_dtype(half, &cpu).unwrap_err().to_string();
            assert!(error.starts_with(&format!("dtype `{half}` cannot be used")), "{error}");
            assert!(error.contains("--dtype f32") && error.contains("--device cuda"), "{error}");
        }
        assert!(select_dtype("f64", &cpu).is_err());
    }
}
