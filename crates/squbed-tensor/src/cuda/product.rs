//! Linear maps by cuBLASLt, with the bias, and where asked another matrix, added on the way out.
//!
//! f32 is computed in f32: the shortened arithmetic of tensor cores (TF32) is never asked for. Half precision is summed
//! in f32.

use std::{cell::RefCell, collections::HashMap, ffi::c_void, ptr};

use candle_core::{
    DType, Tensor,
    cuda_backend::{
        DeviceId,
        cudarc::{
            cublaslt::{result, sys},
            driver::{CudaSlice, DevicePtr},
        },
    },
};

use super::{address, blank, in_pieces, piece, wrap};
use crate::error::{Error, Result};

/// Memory that a product may use for itself: what cuBLAS asks for on Hopper.
const WORKSPACE: usize = 32 << 20;

/// A linear map's weights as cuBLASLt takes them.
#[derive(Clone, Debug)]
pub(crate) struct Matrix {
    /// `[n, k]`.
    weight: Tensor,
    /// `[n]`.
    bias: Option<Tensor>,
}

/// What a plan depends on.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    rows: usize,
    n: usize,
    k: usize,
    dtype: DType,
    biased: bool,
    added: bool,
}

/// A product's description and the algorithm chosen for it, made once.
struct Plan {
    operation: sys::cublasLtMatmulDesc_t,
    /// Of the weights, of `x`, and of the result.
    layouts: [sys::cublasLtMatrixLayout_t; 3],
    algorithm: sys::cublasLtMatmulAlgo_t,
}

/// cuBLASLt on one device.
struct Library {
    handle: sys::cublasLtHandle_t,
    workspace: CudaSlice<u8>,
    plans: HashMap<Key, Plan>,
}

thread_local! {
    // Handles are bound to a thread, as Candle's for cuDNN; one thread owns a device. They live as long as it.
    static LIBRARIES: RefCell<HashMap<DeviceId, Library>> = RefCell::new(HashMap::new());
}

impl Matrix {
    /// `weight` `[n, k]` and `bias` `[n]` on the device; none for another dtype than f32, f16 and bf16.
    pub(crate) fn new(weight: &Tensor, bias: Option<&Tensor>) -> Result<Option<Self>> {
        if !matches!(weight.dtype(), DType::F32 | DType::F16 | DType::BF16) {
            return Ok(None);
        }
        Ok(Some(Self { weight: weight.contiguous()?, bias: bias.map(Tensor::contiguous).transpose()? }))
    }

    /// x `[.., k]` to x·weightᵀ + bias (+ `added`), `[.., n]`.
    pub(crate) fn forward(&self, x: &Tensor, added: Option<&Tensor>) -> Result<Tensor> {
        let (n, k) = self.weight.dims2()?;
        let mut dims = x.dims().to_vec();
        if dims.last() != Some(&k) || x.dtype() != self.weight.dtype() {
            return Err(Error::Shape {
                operation: "a linear map",
                expected: "rows as wide as its weights are, in their dtype",
                actual: dims,
            });
        }
        if let Some(last) = dims.last_mut() {
            *last = n;
        }
        let x = x.contiguous()?;
        let added = added.map(|added| added.broadcast_as(dims.as_slice())?.contiguous()).transpose()?;
        let rows = x.elem_count() / k;
        let of_added = match &added {
            Some(added) => added.dtype() == x.dtype() && in_pieces(added, n)?,
            None => true,
        };
        let whole = n.is_multiple_of(piece(x.dtype())) && in_pieces(&x, k)? && in_pieces(&self.weight, k)?;
        if rows == 0 || !whole || !of_added {
            return self.plain(&x, added.as_ref(), &dims);
        }
        let y = blank(&dims, &x)?;
        let key = Key { rows, n, k, dtype: x.dtype(), biased: self.bias.is_some(), added: added.is_some() };
        let device = x.device().as_cuda_device()?;
        let stream = device.cuda_stream();
        let bias = self.bias.as_ref().map(address).transpose()?;
        let (weight, from, to) = (address(&self.weight)?, address(&x)?, address(&y)?);
        let added = added.as_ref().map_or(Ok(to), address)?;
        LIBRARIES.with_borrow_mut(|libraries| {
            let library = match libraries.entry(device.id()) {
                std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::hash_map::Entry::Vacant(entry) => entry.insert(Library {
                    handle: result::create_handle().map_err(wrap)?,
                    // SAFETY: written by cuBLASLt before it reads it.
                    workspace: unsafe { device.alloc(WORKSPACE) }?,
                    plans: HashMap::new(),
                }),
            };
            let Library { handle, workspace, plans } = library;
            let plan = match plans.entry(key) {
                std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::hash_map::Entry::Vacant(entry) => entry.insert(Plan::new(*handle, key)?),
            };
            if let Some(bias) = bias {
                plan.set(sys::cublasLtMatmulDescAttributes_t::CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias)?;
            }
            let (alpha, beta) = (1_f32, if key.added { 1_f32 } else { 0.0 });
            let [a, b, d] = plan.layouts;
            // SAFETY: the addresses are those of tensors of these shapes, used in the order of one stream.
            unsafe {
                result::matmul(
                    *handle,
                    plan.operation,
                    ptr::from_ref(&alpha).cast(),
                    ptr::from_ref(&beta).cast(),
                    weight as *const c_void,
                    a,
                    from as *const c_void,
                    b,
                    added as *const c_void,
                    d,
                    to as *mut c_void,
                    d,
                    &raw const plan.algorithm,
                    workspace.device_ptr(&stream).0 as *mut c_void,
                    WORKSPACE,
                    stream.cu_stream().cast(),
                )
            }
            .map_err(wrap)
        })?;
        Ok(y)
    }

    /// By Candle, what does not lie in whole pieces.
    fn plain(&self, x: &Tensor, added: Option<&Tensor>, dims: &[usize]) -> Result<Tensor> {
        let (n, k) = self.weight.dims2()?;
        let mut y = x.reshape(((), k))?.matmul(&self.weight.t()?)?;
        if let Some(bias) = &self.bias {
            y = y.broadcast_add(bias)?;
        }
        if let Some(added) = added {
            y = (y + added.reshape(((), n))?)?;
        }
        Ok(y.reshape(dims)?)
    }
}

impl Plan {
    /// cuBLAS counts columns first: the rows of `x` are columns to it, and the weights, whose rows are contiguous, are
    /// transposed.
    fn new(handle: sys::cublasLtHandle_t, key: Key) -> candle_core::Result<Self> {
        use sys::{
            cublasLtEpilogue_t as Epilogue, cublasLtMatmulDescAttributes_t as Attribute,
            cublasLtMatmulPreferenceAttributes_t as Preference,
        };
        let dtype = match key.dtype {
            DType::F16 => sys::cudaDataType_t::CUDA_R_16F,
            DType::BF16 => sys::cudaDataType_t::CUDA_R_16BF,
            _ => sys::cudaDataType_t::CUDA_R_32F,
        };
        let (rows, n, k) = (key.rows as u64, key.n as u64, key.k as u64);
        let layout = |rows, columns, lead| {
            result::create_matrix_layout(dtype, rows, columns, lead as i64).map_err(wrap)
        };
        let layouts = [layout(k, n, k)?, layout(k, rows, k)?, layout(n, rows, n)?];
        let operation = result::create_matmul_desc(
            sys::cublasComputeType_t::CUBLAS_COMPUTE_32F,
            sys::cudaDataType_t::CUDA_R_32F,
        )
        .map_err(wrap)?;
        // SAFETY: all zeros is a value of it, and it is replaced below.
        let algorithm = unsafe { std::mem::zeroed() };
        let mut plan = Self { operation, layouts, algorithm };
        plan.set(Attribute::CUBLASLT_MATMUL_DESC_TRANSA, &1_i32)?;
        let epilogue =
            if key.biased { Epilogue::CUBLASLT_EPILOGUE_BIAS } else { Epilogue::CUBLASLT_EPILOGUE_DEFAULT };
        plan.set(Attribute::CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue)?;
        let preference = result::create_matmul_pref().map_err(wrap)?;
        let prefer = |attribute, value: &[u8]| {
            // SAFETY: the value has the attribute's size.
            unsafe {
                result::set_matmul_pref_attribute(preference, attribute, value.as_ptr().cast(), value.len())
            }
            .map_err(wrap)
        };
        prefer(Preference::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &WORKSPACE.to_ne_bytes())?;
        for alignment in [
            Preference::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES,
            Preference::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
            Preference::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
            Preference::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES,
        ] {
            prefer(alignment, &16_u32.to_ne_bytes())?;
        }
        let [a, b, d] = layouts;
        // SAFETY: all were made above.
        let chosen = unsafe { result::get_matmul_algo_heuristic(handle, operation, a, b, d, d, preference) };
        // SAFETY: made above, used no more.
        unsafe { result::destroy_matmul_pref(preference) }.map_err(wrap)?;
        plan.algorithm = chosen.map_err(wrap)?.algo;
        Ok(plan)
    }

    fn set<T>(&self, attribute: sys::cublasLtMatmulDescAttributes_t, value: &T) -> candle_core::Result<()> {
        // SAFETY: the callers give each attribute a value of its type.
        unsafe {
            result::set_matmul_desc_attribute(
                self.operation,
                attribute,
                ptr::from_ref(value).cast(),
                size_of::<T>(),
            )
        }
        .map_err(wrap)
    }
}

impl Drop for Plan {
    fn drop(&mut self) {
        // SAFETY: made in `new`, dropped once. At a thread's end there is nobody to tell of a failure.
        unsafe {
            let _ = result::destroy_matmul_desc(self.operation);
            for layout in self.layouts {
                let _ = result::destroy_matrix_layout(layout);
            }
        }
    }
}
