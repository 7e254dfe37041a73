// Sufficient statistics of many groups of rows, in f64.

#include "number.cuh"

constexpr int THREADS = 128;

__device__ __forceinline__ double over_warp(double x) {
#pragma unroll
    for (int i = 16; i; i /= 2) x += __shfl_xor_sync(~0u, x, i);
    return x;
}

// Rows whose numbers of its columns a thread holds between its two passes over them.
constexpr int HELD = 10;

// The scatter of some columns about their mean, and the square of the mean. Differences are taken from the first row, and
// products are rounded before, so that equal rows have a scatter of exactly 0. N columns side by side from `x` on.
template <typename T, int N>
__device__ __forceinline__ void columns(const T* __restrict__ x, const double* scales, int m, int d, double& square,
                                        double& scatter) {
    double first[N], sum[N] = {}, held[HELD][N];
    auto read = [&](int row, double (&to)[N]) {
        T numbers[N];
        if constexpr (N > 1) *(Piece<T>*)numbers = Piece<T>::read(x + (long)row * d);
        else numbers[0] = x[(long)row * d];
#pragma unroll
        for (int j = 0; j < N; j++) to[j] = __dmul_rn(number(numbers[j]), scales[row]);
    };
    read(0, first);
    for (int start = 1; start < m; start += HELD) {
#pragma unroll
        for (int i = 0; i < HELD; i++) {
            if (start + i >= m) break;
            read(start + i, held[i]);
#pragma unroll
            for (int j = 0; j < N; j++) sum[j] += held[i][j] -= first[j];
        }
    }
#pragma unroll
    for (int j = 0; j < N; j++) {
        sum[j] /= m;
        square = fma(first[j] + sum[j], first[j] + sum[j], square);
        scatter = fma(sum[j], sum[j], scatter);
    }
    for (int start = 1; start < m; start += HELD) {
#pragma unroll
        for (int i = 0; i < HELD; i++) {
            if (start + i >= m) break;
            if (m > HELD + 1) {
                read(start + i, held[i]);
#pragma unroll
                for (int j = 0; j < N; j++) held[i][j] -= first[j];
            }
#pragma unroll
            for (int j = 0; j < N; j++) scatter = fma(held[i][j] - sum[j], held[i][j] - sum[j], scatter);
        }
    }
}

// x [groups, m, d], a block a group. To `sums` [groups, 2]: the squared length of the mean of the unit rows, and their
// scatter about it; NaN where a row has no direction. `whole`: rows are whole pieces. Dynamic shared memory: m numbers.
template <typename T>
__device__ void group_sums(const T* __restrict__ x, double* __restrict__ sums, int m, int d, int whole) {
    using P = Piece<T>;
    extern __shared__ double scales[];
    __shared__ double parts[2][THREADS / 32];
    const int thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
    const T* rows = x + (long)blockIdx.x * m * d;
    for (int row = warp; row < m; row += THREADS / 32) {
        const T* from = rows + (long)row * d;
        double sum[4] = {};
        if (whole) {
            for (int i = lane * P::SIZE; i < d; i += 32 * P::SIZE) {
                const P v = P::read(from + i);
#pragma unroll
                for (int j = 0; j < P::SIZE; j++) {
                    const double u = number(v.at[j]);
                    sum[j % 4] = fma(u, u, sum[j % 4]);
                }
            }
        } else {
            for (int i = lane; i < d; i += 32) {
                const double u = number(from[i]);
                sum[0] = fma(u, u, sum[0]);
            }
        }
        const double square = over_warp((sum[0] + sum[1]) + (sum[2] + sum[3]));
        // False for NaN as well.
        if (lane == 0) scales[row] = square > 0. && square < INFINITY ? 1. / sqrt(square) : NAN;
    }
    __syncthreads();
    double square = 0., scatter = 0.;
    if (whole) {
        for (int i = thread * 4; i < d; i += THREADS * 4) {
            // Four columns at a time, of half precision too: more would not fit the registers.
            if constexpr (P::SIZE == 4) columns<T, 4>(rows + i, scales, m, d, square, scatter);
            else
                for (int j = 0; j < 4; j++) columns<T, 1>(rows + i + j, scales, m, d, square, scatter);
        }
    } else {
        for (int i = thread; i < d; i += THREADS) columns<T, 1>(rows + i, scales, m, d, square, scatter);
    }
    square = over_warp(square);
    scatter = over_warp(scatter);
    if (lane == 0) {
        parts[0][warp] = square;
        parts[1][warp] = scatter;
    }
    __syncthreads();
    if (thread < 2) {
        double sum = 0.;
        for (int i = 0; i < THREADS / 32; i++) sum += parts[thread][i];
        sums[(long)blockIdx.x * 2 + thread] = thread == 0 ? sum : sum / m;
    }
}

#define GROUPS(T, NAME)                                                                                  \
    extern "C" __global__ void __launch_bounds__(THREADS)                                                \
        group_sums_##NAME(const T* x, double* sums, int m, int d, int whole) {                           \
        group_sums(x, sums, m, d, whole);                                                                \
    }

GROUPS(float, f32)
GROUPS(__half, f16)
GROUPS(__nv_bfloat16, bf16)
