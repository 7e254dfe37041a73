// Sufficient statistics of many groups of rows, in f64.

#include "number.cuh"

constexpr int THREADS = 128;

__device__ __forceinline__ double over_warp(double x) {
#pragma unroll
    for (int i = 16; i; i /= 2) x += __shfl_xor_sync(~0u, x, i);
    return x;
}

// x [groups, m, d], a block a group. To `sums` [groups, 4]: the squared length of the mean of the unit rows, their
// scatter about it, the first row without a direction (−1 where there is none), and its length. Dynamic shared
// memory: m numbers.
//
// Differences are taken from the first row, and products are rounded before, so that equal rows have a scatter of
// exactly 0.
template <typename T> __device__ void group_sums(const T* __restrict__ x, double* __restrict__ sums, int m, int d) {
    extern __shared__ double scales[];
    __shared__ double parts[2][THREADS / 32];
    __shared__ int bad;
    __shared__ double length;
    const int thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
    const T* rows = x + (long)blockIdx.x * m * d;
    if (thread == 0) bad = m;
    __syncthreads();
    for (int row = warp; row < m; row += THREADS / 32) {
        double sum = 0.;
        for (int i = lane; i < d; i += 32) {
            const double v = number(rows[(long)row * d + i]);
            sum = fma(v, v, sum);
        }
        sum = over_warp(sum);
        if (lane == 0) {
            scales[row] = sqrt(sum);
            // False for NaN as well.
            if (!(sum > 0. && sum < INFINITY)) atomicMin(&bad, row);
        }
    }
    __syncthreads();
    if (thread == 0) length = bad < m ? scales[bad] : 0.;
    __syncthreads();
    for (int row = thread; row < m; row += THREADS) scales[row] = 1. / scales[row];
    __syncthreads();
    double square = 0., scatter = 0.;
    for (int i = thread; i < d; i += THREADS) {
        const double first = number(rows[i]) * scales[0];
        double sum = 0.;
        for (int row = 1; row < m; row++) sum += __dmul_rn(number(rows[(long)row * d + i]), scales[row]) - first;
        const double mean = sum / m;
        square = fma(first + mean, first + mean, square);
        scatter = fma(mean, mean, scatter);
        for (int row = 1; row < m; row++) {
            const double off = __dmul_rn(number(rows[(long)row * d + i]), scales[row]) - first - mean;
            scatter = fma(off, off, scatter);
        }
    }
    square = over_warp(square);
    scatter = over_warp(scatter);
    if (lane == 0) {
        parts[0][warp] = square;
        parts[1][warp] = scatter;
    }
    __syncthreads();
    if (thread == 0) {
        square = scatter = 0.;
        for (int i = 0; i < THREADS / 32; i++) {
            square += parts[0][i];
            scatter += parts[1][i];
        }
        double* to = sums + (long)blockIdx.x * 4;
        to[0] = square;
        to[1] = scatter / m;
        to[2] = bad < m ? bad : -1;
        to[3] = length;
    }
}

#define GROUPS(T, NAME)                                                                                  \
    extern "C" __global__ void __launch_bounds__(THREADS)                                                \
        group_sums_##NAME(const T* x, double* sums, int m, int d) {                                      \
        group_sums(x, sums, m, d);                                                                       \
    }

GROUPS(float, f32)
GROUPS(__half, f16)
GROUPS(__nv_bfloat16, bf16)
