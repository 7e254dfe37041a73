// 3-D convolution of channels-last volumes as an implicit matrix product, with bias, ReLU and up to two outputs.
//
// Rows of the product are output positions, columns output channels, its inner axis the taps of the kernel times the
// input channels. A tile's inputs are gathered straight from the volume, 16 bytes at a time, so that neither a padded
// copy nor a matrix of windows is ever made. f16 and bf16 run on tensor cores with sums in f32, f32 on plain ones.

#include "convolution.cuh"

// 128 rows × BN channels a block of eight warps, 64 of the inner axis at a time, three stages in flight.
template <typename T, int BN>
__device__ void product(const T* __restrict__ x, const T* __restrict__ weight, const float* __restrict__ bias, T* y1,
                        T* y2, Shape s) {
    constexpr int BM = 128, BK = 64, STAGES = 3;
    constexpr int NT = BN / 16;  // 8-channel tiles of a warp
    extern __shared__ __align__(128) unsigned char memory[];
    const uint32_t shared = (uint32_t)__cvta_generic_to_shared(memory);
    const int thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
    const int tiles = (s.channels + BN - 1) / BN;
    const int first_channel = blockIdx.x % tiles * BN, first_row = blockIdx.x / tiles * BM;

    Loader<T, BM, BN> loader(x, weight, s, shared, first_row, first_channel);
    const int steps = (s.inner + BK - 1) / BK;
#pragma unroll
    for (int stage = 0; stage < STAGES - 1; stage++) {
        if (stage < steps) loader.load(s, stage);
        copies_end();
    }

    float sums[2][NT][4] = {};
    const int warp_row = warp / 2 * 32, warp_channel = warp % 2 * (BN / 2);
    const int a_line = warp_row + lane % 16, a_piece = lane / 16;
    const int b_line = warp_channel + lane % 8 + lane / 16 * 8, b_piece = lane / 8 % 2;

    for (int step = 0; step < steps; step++) {
        copies_wait<STAGES - 2>();
        __syncthreads();
        if (step + STAGES - 1 < steps) loader.load(s, (step + STAGES - 1) % STAGES);
        copies_end();
        const uint32_t a = shared + step % STAGES * loader.STAGE, b = a + BM * 128;
#pragma unroll
        for (int k = 0; k < BK / 16; k++) {
            uint32_t rows[2][4];
#pragma unroll
            for (int i = 0; i < 2; i++) {
                const int at = a_line + i * 16;
                matrices(rows[i], a + at * 128 + (((k * 2 + a_piece) ^ (at & 7)) * 16));
            }
#pragma unroll
            for (int j = 0; j < NT / 2; j++) {
                const int at = b_line + j * 16;
                uint32_t columns[4];
                matrices(columns, b + at * 128 + (((k * 2 + b_piece) ^ (at & 7)) * 16));
#pragma unroll
                for (int i = 0; i < 2; i++) {
                    multiply(sums[i][2 * j], rows[i], columns[0], columns[1], T());
                    multiply(sums[i][2 * j + 1], rows[i], columns[2], columns[3], T());
                }
            }
        }
    }
    copies_wait<0>();
    __syncthreads();

    // By way of shared memory, so that rows are written in pieces of 16 bytes.
    constexpr int WIDTH = BN + 8;
    T* tile = (T*)memory;
#pragma unroll
    for (int j = 0; j < NT; j++) {
        const int column = warp_channel + j * 8 + lane % 4 * 2, channel = first_channel + column;
        const float b0 = channel < s.channels ? bias[channel] : 0.f;
        const float b1 = channel + 1 < s.channels ? bias[channel + 1] : 0.f;
#pragma unroll
        for (int i = 0; i < 2; i++) {
#pragma unroll
            for (int half = 0; half < 2; half++) {
                const int row = warp_row + i * 16 + half * 8 + lane / 4;
                *(uint32_t*)&tile[row * WIDTH + column] = pair<T>(activated(sums[i][j][2 * half] + b0, s.relu),
                                                                  activated(sums[i][j][2 * half + 1] + b1, s.relu));
            }
        }
    }
    __syncthreads();
    write_tile<T, BN>(tile, y1, y2, s, first_row, first_channel, BM);
}

#define PRODUCT(NAME, T, BN)                                                                              \
    extern "C" __global__ void __launch_bounds__(256, 2)                                                  \
        NAME##_##BN(const T* x, const T* weight, const float* bias, T* y1, T* y2, const Shape s) {         \
        product<T, BN>(x, weight, bias, y1, y2, s);                                                       \
    }

PRODUCT(convolution_f16, __half, 32)
PRODUCT(convolution_f16, __half, 64)
PRODUCT(convolution_f16, __half, 96)
PRODUCT(convolution_f16, __half, 128)
PRODUCT(convolution_bf16, __nv_bfloat16, 32)
PRODUCT(convolution_bf16, __nv_bfloat16, 64)
PRODUCT(convolution_bf16, __nv_bfloat16, 96)
PRODUCT(convolution_bf16, __nv_bfloat16, 128)

// In f32: 128 rows × 64 channels a block of 256 threads, 8 × 4 each, 16 of the inner axis at a time.
extern "C" __global__ void __launch_bounds__(256, 2)
    convolution_f32(const float* __restrict__ x, const float* __restrict__ weight, const float* __restrict__ bias,
                    float* y1, float* y2, const Shape s) {
    constexpr int BM = 128, BN = 64, BK = 16;
    __shared__ float a[2][BK][BM + 4], b[2][BK][BN + 4];
    const int thread = threadIdx.x;
    const int tiles = (s.channels + BN - 1) / BN;
    const int first_channel = blockIdx.x % tiles * BN, first_row = blockIdx.x / tiles * BM;
    const int piece = thread % 4 * 4, line = thread / 4;
    const Window windows[2] = {window_of(s, first_row + line), window_of(s, first_row + line + 64)};
    Tap tap;
    tap.seek(s, piece);
    const int channel = first_channel + line;
    const float4 zero = make_float4(0.f, 0.f, 0.f, 0.f);
    float4 next[3];

    auto fetch = [&]() {
        const uint32_t bits = tap.bits(s);
        const long offset = tap.offset(s);
#pragma unroll
        for (int i = 0; i < 2; i++)
            next[i] = (windows[i].inside & bits) == bits ? *(const float4*)(x + windows[i].at + offset) : zero;
        next[2] = tap.k < s.inner && channel < s.channels
                      ? *(const float4*)(weight + (long)channel * s.inner + tap.k)
                      : zero;
        tap.advance(s, BK);
    };
    auto store = [&](int stage) {
#pragma unroll
        for (int i = 0; i < 2; i++) {
            a[stage][piece][line + 64 * i] = next[i].x;
            a[stage][piece + 1][line + 64 * i] = next[i].y;
            a[stage][piece + 2][line + 64 * i] = next[i].z;
            a[stage][piece + 3][line + 64 * i] = next[i].w;
        }
        b[stage][piece][line] = next[2].x;
        b[stage][piece + 1][line] = next[2].y;
        b[stage][piece + 2][line] = next[2].z;
        b[stage][piece + 3][line] = next[2].w;
    };

    float sums[8][4] = {};
    const int row = thread / 16 * 8, column = thread % 16 * 4;
    const int steps = (s.inner + BK - 1) / BK;
    fetch();
    store(0);
    __syncthreads();
    for (int step = 0; step < steps; step++) {
        if (step + 1 < steps) fetch();
#pragma unroll
        for (int k = 0; k < BK; k++) {
            float rows[8], columns[4];
            *(float4*)&rows[0] = *(const float4*)&a[step % 2][k][row];
            *(float4*)&rows[4] = *(const float4*)&a[step % 2][k][row + 4];
            *(float4*)&columns[0] = *(const float4*)&b[step % 2][k][column];
#pragma unroll
            for (int i = 0; i < 8; i++)
#pragma unroll
                for (int j = 0; j < 4; j++) sums[i][j] = fmaf(rows[i], columns[j], sums[i][j]);
        }
        if (step + 1 < steps) store((step + 1) % 2);
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < 8; i++) {
        const long at = first_row + row + i;
        if (at >= s.rows) continue;
#pragma unroll
        for (int j = 0; j < 4; j++) {
            const int to = first_channel + column + j;
            if (to >= s.channels) continue;
            const float y = activated(sums[i][j] + bias[to], s.relu);
            (to < s.split ? y1[at * s.pixel1 + to] : y2[at * s.pixel2 + to - s.split]) = y;
        }
    }
}
