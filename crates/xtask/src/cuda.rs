//! `cargo xtask build-cuda`: the program for CUDA devices, on a machine that needs no GPU.
//!
//! nvcc is the machine's own, or comes with its headers from PyPI's wheels of NVIDIA. The libraries that the program is
//! linked with need not be there: a stub of each, with the real file name in it and no code, is enough to link, and the
//! real ones are loaded where the program runs.

use std::{
    collections::BTreeSet,
    env, fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use crate::{
    exec::{Exec, Failure},
    setup::{self, python},
    steps::{Outcome, Steps},
    workspace::Workspace,
};

/// nvcc, what it calls, the headers of the runtime and of CCCL. One release of CUDA, for drivers from 580 on.
const WHEELS: [&str; 5] = [
    "nvidia-cuda-nvcc==13.0.88",
    "nvidia-cuda-crt==13.0.88",
    "nvidia-nvvm==13.0.88",
    "nvidia-cuda-runtime==13.0.96",
    "nvidia-cuda-cccl==13.0.85",
];

/// The oldest GPUs with bf16; newer ones translate its code when the program starts there.
const CAPABILITY: &str = "80";

/// What the program is linked with: the library, the number in its file name (none: that of CUDA's release), the module
/// of cudarc that declares its functions, and how their names begin.
const LIBRARIES: [(&str, Option<&str>, &str, &str); 6] = [
    ("cuda", Some("1"), "driver", "cu"),
    ("cublas", None, "cublas", "cublas"),
    ("cublasLt", None, "cublaslt", "cublasLt"),
    ("curand", Some("10"), "curand", "curand"),
    ("nvrtc", None, "nvrtc", "nvrtc"),
    ("cudnn", Some("9"), "cudnn", "cudnn"),
];

/// Where nvcc is, and which release of CUDA it belongs to.
#[derive(Debug, PartialEq)]
struct Toolkit {
    nvcc: PathBuf,
    /// 13 and 0.
    release: [u32; 2],
}

impl Toolkit {
    fn new(nvcc: PathBuf) -> Option<Self> {
        let release = release(&Exec::new(&nvcc).arg("--version").output()?)?;
        Some(Self { nvcc, release })
    }

    /// The folder with `bin`, `include` and `lib64`.
    fn home(&self) -> &Path {
        self.nvcc.ancestors().nth(2).unwrap_or(&self.nvcc)
    }
}

/// `13.0` of `Cuda compilation tools, release 13.0, V13.0.88`.
fn release(words: &str) -> Option<[u32; 2]> {
    let (_, rest) = words.split_once("release ")?;
    let (major, minor) = rest.split([',', ' ', '\n']).next()?.split_once('.')?;
    Some([major.parse().ok()?, minor.parse().ok()?])
}

/// `cargo xtask build-cuda [-- ARGS…]`; ARGS go to `cargo build`.
pub(crate) fn command(workspace: &Workspace, args: &[String]) -> Result<ExitCode, Failure> {
    let args = args.strip_prefix(&["--".to_owned()]).unwrap_or(args);
    if !cfg!(target_os = "linux") {
        return Err(Failure::new(
            "the program for CUDA devices is built on Linux alone",
            "run it there; on macOS build with `--features metal`",
        ));
    }
    let folder = workspace.target.join("cuda");
    let mut steps = Steps::new(setup::BUILD_STEPS + 3);
    setup::to_build(workspace, &mut steps, &[])?;
    let toolkit = steps.need("CUDA compiler", || toolkit(workspace, &folder))?;
    let stubs = steps.need("link stubs", || stubs(workspace, &toolkit, &folder.join("stubs")))?;
    let built = steps.need("build", || build(workspace, &toolkit, &stubs, &folder, args))?;
    eprintln!("\n{}\nprogram: {}", steps.table(), built.display());
    eprintln!(
        "beside `squbed` it does what is asked of CUDA devices; `squbed devices` says whether it starts"
    );
    eprintln!("on the machine with the GPU: scripts/gpu-check.sh {} OUT", folder.join("release").display());
    Ok(ExitCode::SUCCESS)
}

/// The machine's own, as NVCC, CUDA_HOME, CUDA_PATH and PATH name it in this order, else that of the wheels.
fn toolkit(workspace: &Workspace, folder: &Path) -> Result<(Outcome, Toolkit), Failure> {
    let named = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let homes = ["CUDA_HOME", "CUDA_PATH"].map(|name| named(name).map(|home| home.join("bin/nvcc")));
    let on_path = env::var_os("PATH").into_iter().flat_map(|path| {
        env::split_paths(&path)
            .map(|folder| folder.join("nvcc"))
            .filter(|nvcc| nvcc.is_file())
            .collect::<Vec<_>>()
    });
    let own = named("NVCC").into_iter().chain(homes.into_iter().flatten()).chain(on_path);
    if let Some(toolkit) = own.into_iter().find_map(|nvcc| Toolkit::new(fs::canonicalize(nvcc).ok()?)) {
        let [major, minor] = toolkit.release;
        let told = format!("{}, release {major}.{minor}", toolkit.nvcc.display());
        return Ok((Outcome::Already(told), toolkit));
    }
    let wheels = folder.join(WHEELS[0].replace("==", "-"));
    let nvcc = wheels.join("nvidia/cu13/bin/nvcc");
    if let Some(toolkit) = Toolkit::new(nvcc.clone()) {
        return Ok((Outcome::Already(format!("{}, from PyPI", nvcc.display())), toolkit));
    }
    install(workspace, &wheels)?;
    let toolkit = Toolkit::new(nvcc.clone()).ok_or_else(|| {
        Failure::new(
            format!("{} does not say its release", nvcc.display()),
            format!("remove {} and run again, or name another nvcc in NVCC", wheels.display()),
        )
    })?;
    Ok((Outcome::Done(format!("{}, from PyPI", nvcc.display())), toolkit))
}

/// Stands in for nvcc where only types are checked: writes empty outputs where the build scripts look for them.
const STAND_IN: &str = r#"#!/bin/sh
[ "$1" = --version ] && { echo 'Cuda compilation tools, release 13.0, V13.0.88'; exit 0; }
while [ $# -gt 0 ]; do
    case $1 in
        --ptx) ptx=1 ;;
        -o) out=$2; shift ;;
        --output-directory) folder=$2; shift ;;
        *.cu) source=$1 ;;
    esac
    shift
done
if [ -n "$ptx" ]; then : >"$folder/$(basename "$source" .cu).ptx"
elif [ -n "$out" ]; then case $out in *.a) rm -f "$out" && ar rcs "$out" ;; *) : >"$out" ;; esac
fi
"#;

/// The environment in which the features `cuda` and `cudnn` type-check without nvcc.
pub(crate) fn without_nvcc(workspace: &Workspace) -> Result<[(&'static str, String); 3], Failure> {
    let folder = workspace.target.join("cuda");
    let nvcc = folder.join("stand-in-for-nvcc");
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(&nvcc, STAND_IN))
        .and_then(|()| make_executable(&nvcc))
        .map_err(|error| {
            Failure::new(
                format!("could not write {}: {error}", nvcc.display()),
                "free space there, then run again",
            )
        })?;
    Ok([
        ("NVCC", nvcc.display().to_string()),
        ("CUDA_COMPUTE_CAP", CAPABILITY.to_owned()),
        ("CUDARC_CUDA_VERSION", "13000".to_owned()),
    ])
}

/// Installs the wheels into a folder of their own, whole or not at all.
fn install(workspace: &Workspace, folder: &Path) -> Result<(), Failure> {
    let python = python::with_pip(workspace)?;
    let part = folder.with_extension("part");
    let failed = |error: io::Error| {
        Failure::new(
            format!("could not make {}: {error}", folder.display()),
            "free space there, then run again",
        )
    };
    if part.exists() {
        fs::remove_dir_all(&part).map_err(failed)?;
    }
    Exec::new(&python)
        .args(["-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"])
        .args(["--only-binary=:all:", "--no-compile", "--target"])
        .arg(&part)
        .args(WHEELS)
        .run()
        .map_err(|error| {
            Failure::new(
                error,
                "network: pip needs PyPI once, or a mirror (PIP_INDEX_URL);\n\
                 or install CUDA 12.8 or newer and name its nvcc in NVCC",
            )
        })?;
    // pip drops the permission to execute of what is not a script of Python.
    let home = part.join("nvidia/cu13");
    for bin in ["bin", "nvvm/bin"] {
        for entry in fs::read_dir(home.join(bin)).map_err(failed)? {
            make_executable(&entry.map_err(failed)?.path()).map_err(failed)?;
        }
    }
    // Where build scripts look, and the names that the linker looks for.
    link("lib", &home.join("lib64")).map_err(failed)?;
    for entry in fs::read_dir(home.join("lib")).map_err(failed)? {
        let file = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        if let Some((name, _)) = file.split_once(".so.") {
            link(&file, &home.join("lib").join(format!("{name}.so"))).map_err(failed)?;
        }
    }
    let _ = fs::remove_dir_all(folder);
    fs::rename(&part, folder).map_err(failed)
}

#[cfg(unix)]
fn make_executable(file: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(file)?.permissions().mode();
    fs::set_permissions(file, fs::Permissions::from_mode(mode | 0o755))
}

#[cfg(unix)]
fn link(to: &str, at: &Path) -> io::Result<()> {
    if at.exists() { Ok(()) } else { std::os::unix::fs::symlink(to, at) }
}

#[cfg(not(unix))]
fn make_executable(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(not(unix))]
fn link(_: &str, _: &Path) -> io::Result<()> {
    Ok(())
}

/// Stubs of the libraries that the toolkit does not have, and the folders to link from.
fn stubs(
    workspace: &Workspace,
    toolkit: &Toolkit,
    folder: &Path,
) -> Result<(Outcome, Vec<PathBuf>), Failure> {
    let home = toolkit.home();
    let own = ["lib64", "lib64/stubs", "lib", "lib/stubs"].map(|name| home.join(name));
    let failed = |error: io::Error| {
        Failure::new(
            format!("could not write to {}: {error}", folder.display()),
            "free space there, then run again",
        )
    };
    fs::create_dir_all(folder).map_err(failed)?;
    let sources = cudarc(workspace)?;
    let mut made = Vec::new();
    for (library, number, module, beginning) in LIBRARIES {
        let file = format!("lib{library}.so");
        if own.iter().any(|folder| folder.join(&file).exists()) {
            continue;
        }
        let number = number.map_or_else(|| toolkit.release[0].to_string(), str::to_owned);
        let declared = sources.join(module).join("sys/mod.rs");
        let text = fs::read_to_string(&declared).map_err(|error| {
            Failure::new(
                format!("could not read {}: {error}", declared.display()),
                "run `cargo fetch` and try again",
            )
        })?;
        let code: String = functions(&text, beginning)
            .into_iter()
            .map(|name| format!("int {name}(void) {{ return 100; }}\n"))
            .collect();
        let source = folder.join(format!("{library}.c"));
        fs::write(&source, code).map_err(failed)?;
        let compiler = env::var_os("CC").filter(|name| !name.is_empty()).unwrap_or_else(|| "cc".into());
        Exec::new(compiler)
            .args(["-w", "-shared", "-fPIC"])
            .arg(format!("-Wl,-soname,{file}.{number}"))
            .arg("-o")
            .arg(folder.join(&file))
            .arg(&source)
            .capture()
            .map_err(|error| Failure::new(error, "install a C compiler, or name it in CC"))?;
        made.push(library);
    }
    let told = if made.is_empty() { "the toolkit has every library".to_owned() } else { made.join(", ") };
    // The stubs last, so that a real library comes before its own.
    Ok((Outcome::Done(told), own.into_iter().filter(|own| own.is_dir()).chain([folder.to_owned()]).collect()))
}

/// The functions that cudarc declares, by how their names begin: `cu` alone with a capital behind it.
fn functions<'a>(text: &'a str, beginning: &str) -> BTreeSet<&'a str> {
    text.split("fn ")
        .skip(1)
        .filter_map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next())
        .filter(|name| {
            name.strip_prefix(beginning)
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
        })
        .collect()
}

/// The sources of the crate cudarc in the release of `Cargo.lock`, as cargo unpacked them.
fn cudarc(workspace: &Workspace) -> Result<PathBuf, Failure> {
    let lock = fs::read_to_string(workspace.root.join("Cargo.lock")).unwrap_or_default();
    let missing = |what: &str| Failure::new(what, "run `cargo fetch --locked`, then run again");
    let version = locked_version(&lock, "cudarc").ok_or_else(|| missing("Cargo.lock names no cudarc"))?;
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    let registries = home.and_then(|home| fs::read_dir(home.join("registry/src")).ok());
    registries
        .into_iter()
        .flatten()
        .flatten()
        .map(|registry| registry.path().join(format!("cudarc-{version}/src")))
        .find(|sources| sources.is_dir())
        .ok_or_else(|| missing(&format!("the sources of cudarc {version} are not in cargo's registry")))
}

fn locked_version<'a>(lock: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
    rest.split('"').next()
}

/// Builds both programs, and puts the first beside the `squbed` of a release build.
fn build(
    workspace: &Workspace,
    toolkit: &Toolkit,
    stubs: &[PathBuf],
    folder: &Path,
    args: &[String],
) -> Result<(Outcome, PathBuf), Failure> {
    let [major, minor] = toolkit.release;
    let list = |first: &[PathBuf], name: &str| {
        let behind = env::var_os(name).unwrap_or_default();
        let all = first
            .iter()
            .cloned()
            .chain(env::split_paths(&behind).filter(|path| !path.as_os_str().is_empty()));
        env::join_paths(all).unwrap_or(behind.clone())
    };
    let capability = env::var("CUDA_COMPUTE_CAP").unwrap_or_else(|_| CAPABILITY.to_owned());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let build = workspace
        .cargo("build --locked --release -p squbed-cli -p squbed-tests --bins --features cudnn --target-dir")
        .arg(folder)
        .args(args)
        .env("NVCC", &toolkit.nvcc)
        .env("CUDA_HOME", toolkit.home())
        .env("CUDA_PATH", toolkit.home())
        .env("CUDA_COMPUTE_CAP", &capability)
        .env("CUDARC_CUDA_VERSION", format!("{major}{:03}", 10 * minor))
        .env("CUDAFORGE_HOME", folder.join("forge"))
        .env("CUDAFORGE_THREADS", threads.to_string())
        .env("PATH", list(&[toolkit.home().join("bin")], "PATH"))
        .env("LIBRARY_PATH", list(stubs, "LIBRARY_PATH"));
    build.run().map_err(|error| {
        Failure::new(
            error,
            "the compiler's message above says what is wrong; killed, or out of memory: CARGO_BUILD_JOBS=1 \
             CUDAFORGE_THREADS=1 cargo xtask build-cuda",
        )
    })?;
    let program = workspace.target.join("release/squbed-cuda");
    let copied = fs::create_dir_all(workspace.target.join("release"))
        .and_then(|()| fs::copy(folder.join("release/squbed"), &program));
    copied.map_err(|error| {
        Failure::new(
            format!("could not write {}: {error}", program.display()),
            "free space there, then run again",
        )
    })?;
    let told = format!("{}, for compute capability {capability} and newer", program.display());
    Ok((Outcome::Done(told), program))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_stands_in_nvccs_words() {
        let words =
            "nvcc: NVIDIA (R) Cuda compiler driver\nCuda compilation tools, release 13.0, V13.0.88\nBuild x";
        assert_eq!(release(words), Some([13, 0]));
        assert_eq!(release("gcc 12"), None);
    }

    #[test]
    fn functions_are_found_by_how_their_names_begin() {
        let text =
            "pub fn cuInit(flags: u32) -> r;\n pub unsafe fn cublasCreate_v2(h) {}\n fn culib() fn cuInit(x)";
        assert_eq!(functions(text, "cu").into_iter().collect::<Vec<_>>(), ["cuInit"]);
        assert_eq!(functions(text, "cublas").into_iter().collect::<Vec<_>>(), ["cublasCreate_v2"]);
    }

    #[test]
    fn the_lock_file_names_the_version() {
        let lock = "[[package]]\nname = \"cudarc\"\nversion = \"0.19.10\"\nsource = \"x\"\n";
        assert_eq!(locked_version(lock, "cudarc"), Some("0.19.10"));
        assert_eq!(locked_version(lock, "candle"), None);
    }

    /// The functions that the stubs are made of are those of the release that is locked.
    #[test]
    fn cudarc_declares_functions_of_every_library() {
        let sources = cudarc(&Workspace::find().unwrap()).unwrap();
        for (library, _, module, beginning) in LIBRARIES {
            let text = fs::read_to_string(sources.join(module).join("sys/mod.rs")).unwrap();
            assert!(functions(&text, beginning).len() > 10, "{library}");
        }
    }
}
