//! Compiles the CUDA kernels, where they are asked for.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "cuda")]
    kernels();
}

/// `cuda/*.cu` to PTX, and `ptx.rs` that includes it. For compute capability 8.0, which every later one runs; the driver
/// compiles it for its card at the first use.
#[cfg(feature = "cuda")]
fn kernels() {
    println!("cargo::rerun-if-changed=cuda");
    let out = std::path::PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let kernels = cudaforge::KernelBuilder::new()
        .source_dir("cuda")
        .watch(["cuda/number.cuh", "cuda/convolution.cuh"])
        .compute_cap_arch("80")
        .arg("-std=c++17")
        .arg("-O3")
        .build_ptx();
    match kernels.and_then(|kernels| kernels.write(out.join("ptx.rs"))) {
        Ok(_) => {}
        Err(error) => {
            println!("cargo::error=nvcc cannot compile the CUDA kernels: {error}");
            std::process::exit(1);
        }
    }
}
