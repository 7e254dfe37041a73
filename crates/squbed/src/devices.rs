//! What this build and this machine can do: for `squbed devices`, and for reports of faults.

use std::{fs, path::PathBuf};

use serde::Serialize;
use squbed_models::{default_home, hub_cache};
use squbed_tensor::device::{cpu_paths, cuda_devices, gpu, select_device, select_dtype};

use crate::{
    cuda_program::{self, CudaProgramReport},
    machine,
};

/// All of it.
#[derive(Clone, Debug, Serialize)]
pub struct Survey {
    /// Version of the program.
    pub version: &'static str,
    /// What the program was built with.
    pub features: Features,
    /// Devices that encoders can run on, and those that they cannot, with the reason.
    pub devices: Vec<DeviceReport>,
    /// The program beside this one that CUDA devices are left to.
    pub cuda_program: CudaProgramReport,
    /// How the CPU computes.
    pub cpu: Cpu,
    /// FFmpeg; none in a build without it.
    pub ffmpeg: Option<Ffmpeg>,
    /// Where models and caches lie.
    pub folders: Vec<Folder>,
}

/// Cargo features of this build.
#[derive(Clone, Copy, Debug, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a feature of its own")]
pub struct Features {
    /// Video files.
    pub ffmpeg: bool,
    /// NVIDIA GPUs.
    pub cuda: bool,
    /// NVIDIA's convolutions.
    pub cudnn: bool,
    /// Apple's GPUs.
    pub metal: bool,
}

/// A device.
#[derive(Clone, Debug, Serialize)]
pub struct DeviceReport {
    /// As `--device` takes it.
    pub device: String,
    /// Whether encoders can run on it.
    pub usable: bool,
    /// Its name.
    pub name: Option<String>,
    /// Its driver.
    pub driver: Option<String>,
    /// Memory in bytes.
    pub memory: Option<u64>,
    /// Memory in bytes that is free.
    pub memory_free: Option<u64>,
    /// What `--dtype` may be on it.
    pub dtypes: Vec<&'static str>,
    /// Why it is not usable, or which arithmetic it lacks and why.
    pub note: Option<String>,
}

/// How the CPU computes.
#[derive(Clone, Debug, Serialize)]
pub struct Cpu {
    /// Vector instructions that it has, of those that a kernel exists for.
    pub detected: Vec<&'static str>,
    /// Kernel of convolutions and linear maps.
    pub convolution: &'static str,
    /// Kernel of other products of f32 matrices.
    pub matrix_product: &'static str,
    /// Threads in use.
    pub threads: usize,
}

/// The FFmpeg in use.
#[derive(Clone, Debug, Serialize)]
pub struct Ffmpeg {
    /// Its release.
    pub version: String,
    /// Licence of this build of it.
    pub licence: String,
    /// Options that it was built with.
    pub configuration: String,
    /// Its libraries and their versions.
    pub libraries: Vec<String>,
}

/// A folder that the program keeps, or reads, files in.
#[derive(Clone, Debug, Serialize)]
pub struct Folder {
    /// What lies there.
    pub what: &'static str,
    /// Where.
    pub path: PathBuf,
    /// Bytes of its files; none where there is no folder.
    pub bytes: Option<u64>,
}

/// Looks at this build and this machine.
pub fn survey() -> Survey {
    let paths = cpu_paths();
    let gpus = cuda_devices();
    let cuda = (0..gpus.max(1)).map(|i| format!("cuda:{i}"));
    let names = ["cpu".to_owned()].into_iter().chain(cuda).chain(["metal".to_owned()]);
    Survey {
        version: env!("CARGO_PKG_VERSION"),
        features: Features {
            ffmpeg: cfg!(feature = "ffmpeg"),
            cuda: cfg!(feature = "cuda"),
            cudnn: cfg!(feature = "cudnn"),
            metal: cfg!(feature = "metal"),
        },
        devices: names.map(report).collect(),
        cuda_program: cuda_program::report(),
        cpu: Cpu {
            detected: paths.detected,
            convolution: paths.convolution,
            matrix_product: paths.matrix_product,
            threads: squbed_tensor::device::threads(),
        },
        ffmpeg: ffmpeg(),
        folders: folders(),
    }
}

fn report(name: String) -> DeviceReport {
    let driver = if name.starts_with("cuda") { nvidia_driver() } else { None };
    let device = match select_device(&name) {
        Ok(device) => device,
        Err(error) => {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            return DeviceReport {
                device: name,
                usable: false,
                name: None,
                driver,
                memory: None,
                memory_free: None,
                dtypes: Vec::new(),
                note: Some(format!("{error}{}", cause.unwrap_or_default())),
            };
        }
    };
    let gpu = gpu(&device);
    let (mut dtypes, mut refused) = (Vec::new(), Vec::new());
    for dtype in ["f32", "f16", "bf16"] {
        match select_dtype(dtype, &device) {
            Ok(_) if gpu.as_ref().is_none_or(|gpu| gpu.dtypes.contains(&dtype)) => dtypes.push(dtype),
            Ok(_) => refused.push(format!("{dtype}: this GPU is too old for it")),
            Err(error) => refused.push(error.to_string()),
        }
    }
    let (memory, memory_free) = if device.is_cpu() {
        machine::memory().map_or((None, None), |(total, free)| (Some(total), free))
    } else {
        gpu.as_ref()
            .and_then(|gpu| gpu.memory)
            .map_or((None, None), |(total, free)| (Some(total), Some(free)))
    };
    DeviceReport {
        device: name,
        usable: true,
        name: gpu.map(|gpu| gpu.name).or_else(|| device.is_cpu().then(machine::processor).flatten()),
        driver,
        memory,
        memory_free,
        dtypes,
        note: (!refused.is_empty()).then(|| refused.join("; ")),
    }
}

/// The version of NVIDIA's kernel module, whatever this program was built with.
fn nvidia_driver() -> Option<String> {
    driver_version(&fs::read_to_string("/proc/driver/nvidia/version").ok()?)
}

/// The first word of the form `580.65.06` in what the module says of itself.
fn driver_version(text: &str) -> Option<String> {
    let is_version = |word: &&str| word.contains('.') && word.chars().all(|c| c.is_ascii_digit() || c == '.');
    text.split_whitespace().find(is_version).map(|version| format!("NVIDIA {version}"))
}

#[cfg(feature = "ffmpeg")]
fn ffmpeg() -> Option<Ffmpeg> {
    let library = squbed_video::library();
    Some(Ffmpeg {
        version: library.version,
        licence: library.licence,
        configuration: library.configuration,
        libraries: library.parts.iter().map(|(name, version)| format!("{name} {version}")).collect(),
    })
}

#[cfg(not(feature = "ffmpeg"))]
fn ffmpeg() -> Option<Ffmpeg> {
    None
}

fn folders() -> Vec<Folder> {
    let home = default_home().ok();
    let named = [
        ("home of squbed", home.clone()),
        ("models", home.map(|home| home.join("models"))),
        ("cache of the Hugging Face hub", Some(hub_cache())),
    ];
    let folder = |(what, path): (&'static str, Option<PathBuf>)| {
        let path = path?;
        let bytes = path.is_dir().then(|| machine::folder_size(&path));
        Some(Folder { what, path, bytes })
    };
    named.into_iter().filter_map(folder).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_is_usable_and_what_is_not_says_why() {
        let survey = survey();
        let cpu = &survey.devices[0];
        assert!(cpu.device == "cpu" && cpu.usable && cpu.dtypes.contains(&"f32"), "{cpu:?}");
        assert!(survey.devices.iter().all(|device| device.usable || device.note.is_some()), "{survey:?}");
        assert_eq!(survey.ffmpeg.is_some(), cfg!(feature = "ffmpeg"));
        assert!(survey.cpu.threads > 0);
    }

    #[test]
    fn the_drivers_version_is_found_in_its_words() {
        let text = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  Sun Jul 27 07:16:28 UTC 2025\n\
                    GCC version:  gcc version 12.2.0\n";
        assert_eq!(driver_version(text).as_deref(), Some("NVIDIA 580.65.06"));
        assert_eq!(driver_version("nothing here"), None);
    }
}
