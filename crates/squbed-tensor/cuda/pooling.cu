// Pooling of channels-last volumes, means over positions, gates, and the packing of volumes of few channels.
//
// A thread has one piece of 16 bytes of the channels of its pixels.

#include "number.cuh"

// As `Windows` in pooling.rs. `channels` counts pieces where not said otherwise.
struct Windows {
    int channels;
    int t, h, w, to, ho, wo;
    int kt, kh, kw, st, sh, sw, pt, ph, pw;
    // Of the input: distance of neighbouring pixels, in elements.
    int pixel;
};

// Windows of one strip along w.
constexpr int STRIP = 4;

// Largest element of each window: NaN where it has one, padding left out.
template <typename T> __device__ void max_pool(const T* __restrict__ x, T* __restrict__ y, long strips, Windows s) {
    using P = Piece<T>;
    const long i = (long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= strips) return;
    const int per_line = (s.wo + STRIP - 1) / STRIP;
    const int c = i % s.channels;
    long rest = i / s.channels;
    const int first = rest % per_line * STRIP;
    rest /= per_line;
    const int ho = rest % s.ho;
    rest /= s.ho;
    const int to = rest % s.to;
    const long b = rest / s.to;

    const int t0 = max(to * s.st - s.pt, 0), t1 = min(to * s.st - s.pt + s.kt, s.t);
    const int h0 = max(ho * s.sh - s.ph, 0), h1 = min(ho * s.sh - s.ph + s.kh, s.h);
    const int left = first * s.sw - s.pw;
    const int w0 = max(left, 0), w1 = min(left + (STRIP - 1) * s.sw + s.kw, s.w);
    P largest[STRIP];
#pragma unroll
    for (int k = 0; k < STRIP; k++)
#pragma unroll
        for (int j = 0; j < P::SIZE; j++) largest[k].at[j] = rounded<T>(-INFINITY);
    for (int t = t0; t < t1; t++) {
        for (int h = h0; h < h1; h++) {
            const T* line = x + ((b * s.t + t) * s.h + h) * s.w * s.pixel + c * P::SIZE;
            for (int w = w0; w < w1; w++) {
                const P v = P::read(line + (long)w * s.pixel);
#pragma unroll
                for (int k = 0; k < STRIP; k++) {
                    const int at = w - left - k * s.sw;
                    if (at >= 0 && at < s.kw) {
#pragma unroll
                        for (int j = 0; j < P::SIZE; j++) largest[k].at[j] = larger(largest[k].at[j], v.at[j]);
                    }
                }
            }
        }
    }
    T* out = y + (((b * s.to + to) * s.ho + ho) * s.wo + first) * s.channels * P::SIZE + c * P::SIZE;
#pragma unroll
    for (int k = 0; k < STRIP; k++)
        if (first + k < s.wo) largest[k].write(out + (long)k * s.channels * P::SIZE);
}

// Sum of each window over `count`, padding counting as 0.
template <typename T>
__device__ void mean_pool(const T* __restrict__ x, T* __restrict__ y, long windows, float count, Windows s) {
    using P = Piece<T>;
    const long i = (long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= windows) return;
    const int c = i % s.channels;
    long rest = i / s.channels;
    const int wo = rest % s.wo;
    rest /= s.wo;
    const int ho = rest % s.ho;
    rest /= s.ho;
    const int to = rest % s.to;
    const long b = rest / s.to;
    const int t0 = max(to * s.st - s.pt, 0), t1 = min(to * s.st - s.pt + s.kt, s.t);
    const int h0 = max(ho * s.sh - s.ph, 0), h1 = min(ho * s.sh - s.ph + s.kh, s.h);
    const int w0 = max(wo * s.sw - s.pw, 0), w1 = min(wo * s.sw - s.pw + s.kw, s.w);
    float sums[P::SIZE] = {};
    for (int t = t0; t < t1; t++)
        for (int h = h0; h < h1; h++)
            for (int w = w0; w < w1; w++) {
                const P v = P::read(x + (((b * s.t + t) * s.h + h) * s.w + w) * s.pixel + c * P::SIZE);
#pragma unroll
                for (int j = 0; j < P::SIZE; j++) sums[j] += number(v.at[j]);
            }
    P mean;
#pragma unroll
    for (int j = 0; j < P::SIZE; j++) mean.at[j] = rounded<T>(sums[j] / count);
    mean.write(y + i * P::SIZE);
}

// Sums of x [b, positions, channels] over some of the positions each, [b, parts, channels] in f32.
// Blocks of 32 pieces × 8 positions.
template <typename T>
__device__ void part_sums(const T* __restrict__ x, float* __restrict__ sums, int positions, int channels, int pixel) {
    using P = Piece<T>;
    __shared__ float lines[8][32 * P::SIZE];
    const int piece = blockIdx.x * 32 + threadIdx.x;
    const int part = blockIdx.y, parts = gridDim.y, b = blockIdx.z;
    float own[P::SIZE] = {};
    if (piece < channels) {
        for (int p = part * 8 + threadIdx.y; p < positions; p += parts * 8) {
            const P v = P::read(x + ((long)b * positions + p) * pixel + piece * P::SIZE);
#pragma unroll
            for (int j = 0; j < P::SIZE; j++) own[j] += number(v.at[j]);
        }
    }
#pragma unroll
    for (int j = 0; j < P::SIZE; j++) lines[threadIdx.y][threadIdx.x * P::SIZE + j] = own[j];
    __syncthreads();
    for (int i = threadIdx.y * 32 + threadIdx.x; i < 32 * P::SIZE; i += 256) {
        const int c = blockIdx.x * 32 * P::SIZE + i;
        if (c >= channels * P::SIZE) continue;
        float sum = 0.f;
        for (int line = 0; line < 8; line++) sum += lines[line][i];
        sums[((long)b * parts + part) * channels * P::SIZE + c] = sum;
    }
}

// The parts' sums over `count`, [b, channels]. One thread an element.
template <typename T>
__device__ void join_sums(const float* __restrict__ sums, T* __restrict__ y, int elements, int channels, int parts,
                          float count) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= elements) return;
    float sum = 0.f;
    for (int part = 0; part < parts; part++) sum += sums[((long)(i / channels) * parts + part) * channels + i % channels];
    y[i] = rounded<T>(sum / count);
}

// x [b, positions, channels] times the sigmoid of g [b, channels].
template <typename T>
__device__ void gate(const T* __restrict__ x, const T* __restrict__ g, T* __restrict__ y, long pieces, int positions,
                     int channels) {
    using P = Piece<T>;
    const long i = (long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= pieces) return;
    const long b = i / ((long)positions * channels);
    P v = P::read(x + i * P::SIZE);
    const P w = P::read(g + (b * channels + i % channels) * P::SIZE);
#pragma unroll
    for (int j = 0; j < P::SIZE; j++)
        v.at[j] = rounded<T>(number(v.at[j]) * (1.f / (1.f + __expf(-number(w.at[j])))));
    v.write(y + i * P::SIZE);
}

// Pixels of up to 8 channels, `group` (1 or 2) neighbours along w side by side in 8, zeros in what is left.
// x [lines, w, c] to y [lines, packed, 8]; packed pixel j begins at the pixel j·group − before.
template <typename T>
__device__ void pack(const T* __restrict__ x, T* __restrict__ y, long pixels, int w, int c, int packed, int group,
                     int before) {
    const long i = (long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= pixels) return;
    const long line = i / packed;
    const int first = (int)(i % packed) * group - before, slot = 8 / group;
    alignas(16) T out[8];
#pragma unroll
    for (int j = 0; j < 8; j++) {
        const int at = first + j / slot, channel = j % slot;
        out[j] = at >= 0 && at < w && channel < c ? x[(line * w + at) * c + channel] : rounded<T>(0.f);
    }
#pragma unroll
    for (int j = 0; j < 8; j += Piece<T>::SIZE) Piece<T>::read(out + j).write(y + i * 8 + j);
}

#define POOLING(T, NAME)                                                                                           \
    extern "C" __global__ void max_pool_##NAME(const T* x, T* y, long strips, const Windows s) {                   \
        max_pool(x, y, strips, s);                                                                                 \
    }                                                                                                              \
    extern "C" __global__ void mean_pool_##NAME(const T* x, T* y, long windows, float count, const Windows s) {    \
        mean_pool(x, y, windows, count, s);                                                                        \
    }                                                                                                              \
    extern "C" __global__ void part_sums_##NAME(const T* x, float* sums, int positions, int channels, int pixel) { \
        part_sums(x, sums, positions, channels, pixel);                                                            \
    }                                                                                                              \
    extern "C" __global__ void join_sums_##NAME(const float* sums, T* y, int elements, int channels, int parts,    \
                                                float count) {                                                     \
        join_sums(sums, y, elements, channels, parts, count);                                                      \
    }                                                                                                              \
    extern "C" __global__ void gate_##NAME(const T* x, const T* g, T* y, long pieces, int positions,               \
                                           int channels) {                                                         \
        gate(x, g, y, pieces, positions, channels);                                                                \
    }                                                                                                              \
    extern "C" __global__ void pack_##NAME(const T* x, T* y, long pixels, int w, int c, int packed, int group,     \
                                           int before) {                                                           \
        pack(x, y, pixels, w, c, packed, group, before);                                                           \
    }

POOLING(float, f32)
POOLING(__half, f16)
POOLING(__nv_bfloat16, bf16)
