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
    let fail = |source: candle_core::Error| Error::Device { device: device.clone(), source: source.into() };
    let found = Device::new_cuda(ordinal).map_err(fail)?;
    #[cfg(feature = "cuda")]
    {
        keep_memory(ordinal);
        whole_precision();
    }
    Ok(found)
}

/// Products in the arithmetic of their numbers: f32 without the shortened one of tensor cores (TF32), half precision
/// summed in f32.
#[cfg(feature = "cuda")]
fn whole_precision() {
    candle_core::cuda::set_gemm_reduced_precision_f32(false);
    candle_core::cuda::set_gemm_reduced_precision_f16(false);
    candle_core::cuda::set_gemm_reduced_precision_bf16(false);
}

/// Lets the device's pool keep memory that was given back, where by default it returns it to the system at every
/// synchronisation and allocates it anew behind it. A device without pools has nothing to keep.
#[cfg(feature = "cuda")]
fn keep_memory(ordinal: usize) {
    use candle_core::cuda_backend::cudarc::driver::{result, sys};
    let Ok(ordinal) = i32::try_from(ordinal) else { return };
    let mut most = u64::MAX;
    let pool = result::device::get(ordinal)
        // SAFETY: the device is one that answers.
        .and_then(|device| unsafe { result::device::get_default_mem_pool(device) });
    if let Ok(pool) = pool {
        // SAFETY: the attribute is a number of 64 bits.
        let _ = unsafe {
            sys::cuMemPoolSetAttribute(
                pool,
                sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD,
                std::ptr::from_mut(&mut most).cast(),
            )
        };
    }
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
            format!("cpu, {} threads, {}", rayon::current_num_threads(), crate::cpu::kernel_name())
        }
        DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
        DeviceLocation::Metal { gpu_id } => format!("metal:{gpu_id}"),
    }
}

/// Threads of the CPU in use.
pub fn threads() -> usize {
    rayon::current_num_threads()
}

/// What a GPU says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpu {
    /// Its name.
    pub name: String,
    /// Its memory in bytes, all of it and what is free.
    pub memory: Option<(u64, u64)>,
    /// Names of the arithmetic that Candle has kernels for on it.
    pub dtypes: Vec<&'static str>,
}

/// What the GPU behind a device says of itself; none for the CPU, and for one that does not answer.
#[cfg(feature = "cuda")]
pub fn gpu(device: &Device) -> Option<Gpu> {
    use candle_core::cuda_backend::cudarc::driver::CudaContext;

    let DeviceLocation::Cuda { gpu_id } = device.location() else { return None };
    let context = CudaContext::new(gpu_id).ok()?;
    let (free, total) = context.mem_get_info().ok()?;
    // Candle's kernels of half precision need compute capability 5.3, those of bf16 8.0.
    let capability = context.compute_capability().ok()?;
    let halves = [("f16", (5, 3)), ("bf16", (8, 0))].into_iter().filter(|(_, least)| capability >= *least);
    Some(Gpu {
        name: context.name().ok()?,
        memory: Some((total as u64, free as u64)),
        dtypes: std::iter::once("f32").chain(halves.map(|(name, _)| name)).collect(),
    })
}

/// What the GPU behind a device says of itself; none for the CPU.
#[cfg(not(feature = "cuda"))]
pub fn gpu(device: &Device) -> Option<Gpu> {
    device.is_metal().then(|| Gpu {
        name: "Metal".to_owned(),
        memory: None,
        dtypes: vec!["f32", "f16", "bf16"],
    })
}

/// CUDA devices that this program can use: none where it is built without.
pub fn cuda_devices() -> usize {
    #[cfg(feature = "cuda")]
    return candle_core::cuda_backend::cudarc::driver::CudaContext::device_count()
        .map_or(0, |count| usize::try_from(count).unwrap_or(0));
    #[cfg(not(feature = "cuda"))]
    0
}

/// How the CPU computes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuPaths {
    /// Vector instructions that this processor has, of those that a kernel here exists for.
    pub detected: Vec<&'static str>,
    /// The kernel of this crate's convolutions and linear maps.
    pub convolution: &'static str,
    /// The kernel of Candle's other products of f32 matrices, from the crate `gemm`.
    pub matrix_product: &'static str,
}

/// How this CPU computes.
pub fn cpu_paths() -> CpuPaths {
    #[cfg(target_arch = "x86_64")]
    let detected: Vec<&'static str> = {
        use std::arch::is_x86_feature_detected as has;
        let wide = has!("avx512bw") && has!("avx512cd") && has!("avx512dq") && has!("avx512vl");
        [
            ("AVX-512", has!("avx512f")),
            // What gemm asks for besides.
            ("AVX-512 BW/CD/DQ/VL", wide),
            ("AVX2", has!("avx2")),
            ("FMA", has!("fma")),
        ]
        .into_iter()
        .filter_map(|(name, has)| has.then_some(name))
        .collect()
    };
    #[cfg(target_arch = "aarch64")]
    let detected = vec!["NEON"];
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let detected: Vec<&'static str> = Vec::new();
    let has = |names: &[&str]| names.iter().all(|name| detected.contains(name));
    let matrix_product = if has(&["AVX-512", "AVX-512 BW/CD/DQ/VL", "FMA"]) {
        "AVX-512"
    } else if has(&["AVX2", "FMA"]) {
        "AVX2"
    } else if has(&["NEON"]) {
        "NEON"
    } else {
        "portable"
    };
    CpuPaths { convolution: crate::cpu::kernel_name(), matrix_product, detected }
}

/// Sets the threads of the CPU for everything here and in Candle. Once, before any work.
///
/// They are Rayon's global pool. Candle cuts a matrix product into as many parts as the machine has cores (or
/// `RAYON_NUM_THREADS` says) and gives them to that same pool. For operations on single elements it keeps threads of
/// its own, whose number it reads from `CANDLE_NUM_THREADS`; that is set here, so that no more than `threads` are ever
/// at work.
///
/// # Errors
///
/// Zero threads, or after the first use.
///
/// # Safety
///
/// No other thread runs yet: the environment of the process is changed.
pub unsafe fn set_threads(threads: usize) -> Result<()> {
    let fail = |reason| Error::Threads { threads, reason };
    if threads == 0 {
        return Err(fail("at least 1 is needed".to_owned()));
    }
    // SAFETY: the caller's promise.
    unsafe { std::env::set_var("CANDLE_NUM_THREADS", threads.to_string()) };
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
    fn the_kernel_in_use_is_among_those_that_the_processor_has() {
        let paths = cpu_paths();
        for kernel in [paths.convolution, paths.matrix_product] {
            assert!(kernel == "portable" || paths.detected.contains(&kernel), "{paths:?}");
        }
        // A processor with wide vectors is not left on the portable path.
        assert!(!paths.detected.contains(&"AVX-512") || paths.convolution == "AVX-512", "{paths:?}");
    }

    #[test]
    fn a_cpu_is_no_gpu() {
        assert_eq!(gpu(&Device::Cpu), None);
        if !cfg!(feature = "cuda") {
            assert_eq!(cuda_devices(), 0);
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
