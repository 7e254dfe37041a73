// What a transformer does between its matrix products: attention, layer normalisation, the non-linearity.

#include "number.cuh"

// As `Heads` in attention.rs.
struct Heads {
    int length, heads;
    // Distances in the bias along b, heads, queries and keys, in elements; 0 where it is the same.
    int bias_b, bias_h, bias_q, bias_k;
    int biased;
    float scale;
};

// softmax(scale·q·kᵀ + bias)·v by blocks of 64 queries and 64 keys, never holding all scores
// (Dao et al. 2022, arXiv 2205.14135).
//
// qkv [b, length, 3, heads, D], y [b, length, heads, D]. Four warps, 16 queries each.
template <typename T, int D>
__device__ void attention(const T* __restrict__ qkv, const T* __restrict__ bias, T* __restrict__ y, Heads s) {
    constexpr int KEYS = 64, ROW = D + 8;  // so that eight rows lie in different banks
    __shared__ __align__(16) T tiles[2][2][KEYS * ROW];
    const int thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
    const int head = blockIdx.y;
    const long b = blockIdx.z;
    const int token = 3 * s.heads * D;
    const T* base = qkv + b * s.length * token + head * D;

    auto load = [&](int block, int stage) {
        for (int i = thread; i < 2 * KEYS * (D / 8); i += 128) {
            const int which = i / (KEYS * (D / 8)), rest = i % (KEYS * (D / 8));
            const int row = rest / (D / 8), piece = rest % (D / 8) * 8, key = block * KEYS + row;
            const bool take = key < s.length;
            const T* from = base + (long)(take ? key : 0) * token + (1 + which) * s.heads * D + piece;
            copy16((uint32_t)__cvta_generic_to_shared(&tiles[stage][which][row * ROW + piece]), from, take);
        }
        copies_end();
    };
    load(0, 0);

    // Rows `lane / 4` and 8 below of this warp's queries.
    const int query = blockIdx.x * 64 + warp * 16 + lane / 4;
    uint32_t q[D / 16][4];
#pragma unroll
    for (int k = 0; k < D / 16; k++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int row = query + i % 2 * 8;
            q[k][i] = row < s.length
                          ? *(const uint32_t*)(base + (long)row * token + k * 16 + i / 2 * 8 + lane % 4 * 2)
                          : 0u;
        }

    float out[D / 8][4] = {};
    float most[2] = {-INFINITY, -INFINITY}, sum[2] = {};
    constexpr float LOG2E = 1.4426950408889634f;
    const int blocks = (s.length + KEYS - 1) / KEYS;
    for (int block = 0; block < blocks; block++) {
        copies_wait<0>();
        __syncthreads();
        if (block + 1 < blocks) load(block + 1, (block + 1) % 2);
        const uint32_t keys = (uint32_t)__cvta_generic_to_shared(tiles[block % 2][0]);
        const uint32_t values = (uint32_t)__cvta_generic_to_shared(tiles[block % 2][1]);
        float scores[KEYS / 8][4] = {};
#pragma unroll
        for (int k = 0; k < D / 16; k++)
#pragma unroll
            for (int j = 0; j < KEYS / 16; j++) {
                uint32_t columns[4];
                const int row = j * 16 + lane % 8 + lane / 16 * 8;
                matrices(columns, keys + (row * ROW + k * 16 + lane / 8 % 2 * 8) * 2);
                multiply(scores[2 * j], q[k], columns[0], columns[1], T());
                multiply(scores[2 * j + 1], q[k], columns[2], columns[3], T());
            }
        float largest[2] = {most[0], most[1]};
#pragma unroll
        for (int j = 0; j < KEYS / 8; j++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const int key = block * KEYS + j * 8 + lane % 4 * 2 + i % 2, row = query + i / 2 * 8;
                float score = scores[j][i] * s.scale;
                if (s.biased && key < s.length && row < s.length)
                    score += number(bias[b * s.bias_b + (long)head * s.bias_h + (long)row * s.bias_q +
                                         (long)key * s.bias_k]);
                scores[j][i] = key < s.length ? score * LOG2E : -INFINITY;
                largest[i / 2] = fmaxf(largest[i / 2], scores[j][i]);
            }
#pragma unroll
        for (int i = 0; i < 2; i++) {
            largest[i] = fmaxf(largest[i], __shfl_xor_sync(~0u, largest[i], 1));
            largest[i] = fmaxf(largest[i], __shfl_xor_sync(~0u, largest[i], 2));
            const float shrink = exp2f(most[i] - largest[i]);
            most[i] = largest[i];
            sum[i] *= shrink;
#pragma unroll
            for (int j = 0; j < D / 8; j++) {
                out[j][2 * i] *= shrink;
                out[j][2 * i + 1] *= shrink;
            }
        }
#pragma unroll
        for (int j = 0; j < KEYS / 8; j++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                scores[j][i] = exp2f(scores[j][i] - most[i / 2]);
                sum[i / 2] += scores[j][i];
            }
#pragma unroll
        for (int k = 0; k < KEYS / 16; k++) {
            const uint32_t weights[4] = {
                pair<T>(scores[2 * k][0], scores[2 * k][1]), pair<T>(scores[2 * k][2], scores[2 * k][3]),
                pair<T>(scores[2 * k + 1][0], scores[2 * k + 1][1]),
                pair<T>(scores[2 * k + 1][2], scores[2 * k + 1][3])};
#pragma unroll
            for (int j = 0; j < D / 16; j++) {
                uint32_t columns[4];
                const int row = k * 16 + lane % 16;
                matrices_transposed(columns, values + (row * ROW + j * 16 + lane / 16 * 8) * 2);
                multiply(out[2 * j], weights, columns[0], columns[1], T());
                multiply(out[2 * j + 1], weights, columns[2], columns[3], T());
            }
        }
    }
#pragma unroll
    for (int i = 0; i < 2; i++) {
        sum[i] += __shfl_xor_sync(~0u, sum[i], 1);
        sum[i] += __shfl_xor_sync(~0u, sum[i], 2);
        const int row = query + i * 8;
        if (row >= s.length) continue;
        T* to = y + ((b * s.length + row) * s.heads + head) * D + lane % 4 * 2;
#pragma unroll
        for (int j = 0; j < D / 8; j++)
            *(uint32_t*)(to + j * 8) = pair<T>(out[j][2 * i] / sum[i], out[j][2 * i + 1] / sum[i]);
    }
}

#define ATTENTION(T, NAME, D)                                                              \
    extern "C" __global__ void __launch_bounds__(128)                                      \
        attention_##NAME##_##D(const T* qkv, const T* bias, T* y, const Heads s) {         \
        attention<T, D>(qkv, bias, y, s);                                                  \
    }

ATTENTION(__half, f16, 32)
ATTENTION(__half, f16, 64)
ATTENTION(__half, f16, 80)
ATTENTION(__nv_bfloat16, bf16, 32)
ATTENTION(__nv_bfloat16, bf16, 64)
ATTENTION(__nv_bfloat16, bf16, 80)

__device__ __forceinline__ float over_warp(float x) {
#pragma unroll
    for (int i = 16; i; i /= 2) x += __shfl_xor_sync(~0u, x, i);
    return x;
}

// Layer normalisation of rows of up to 2048 numbers, in whole pieces; a warp a row, in f32.
template <typename T>
__device__ void layer_norm(const T* __restrict__ x, const T* __restrict__ weight, const T* __restrict__ bias,
                           T* __restrict__ y, int rows, int width, float eps) {
    using P = Piece<T>;
    constexpr int MOST = 2048 / 32 / P::SIZE;
    const int row = blockIdx.x * 8 + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    const T* from = x + (long)row * width;
    float v[MOST][P::SIZE];
    float sum = 0.f;
#pragma unroll
    for (int i = 0; i < MOST; i++) {
        const int at = (i * 32 + lane) * P::SIZE;
        if (at < width) {
            const P piece = P::read(from + at);
#pragma unroll
            for (int j = 0; j < P::SIZE; j++) sum += v[i][j] = number(piece.at[j]);
        }
    }
    const float mean = over_warp(sum) / width;
    float square = 0.f;
#pragma unroll
    for (int i = 0; i < MOST; i++) {
        if ((i * 32 + lane) * P::SIZE < width) {
#pragma unroll
            for (int j = 0; j < P::SIZE; j++) {
                v[i][j] -= mean;
                square += v[i][j] * v[i][j];
            }
        }
    }
    const float scale = rsqrtf(over_warp(square) / width + eps);
#pragma unroll
    for (int i = 0; i < MOST; i++) {
        const int at = (i * 32 + lane) * P::SIZE;
        if (at < width) {
            const P w = P::read(weight + at), b = P::read(bias + at);
            P out;
#pragma unroll
            for (int j = 0; j < P::SIZE; j++)
                out.at[j] = rounded<T>(v[i][j] * scale * number(w.at[j]) + number(b.at[j]));
            out.write(y + (long)row * width + at);
        }
    }
}

// As `Activation` in the models' layers.
enum Activation { GELU = 0, GELU_TANH = 1, QUICK_GELU = 2 };

template <typename T> __device__ void activation(const T* __restrict__ x, T* __restrict__ y, long pieces, int kind) {
    using P = Piece<T>;
    const long i = (long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= pieces) return;
    P v = P::read(x + i * P::SIZE);
#pragma unroll
    for (int j = 0; j < P::SIZE; j++) {
        const float u = number(v.at[j]);
        float out;
        if (kind == GELU) out = 0.5f * u * (1.f + erff(u * 0.70710678118654752f));
        else if (kind == GELU_TANH) out = 0.5f * u * (1.f + tanhf(0.79788456080286536f * (u + 0.044715f * u * u * u)));
        else out = u / (1.f + expf(-1.702f * u));
        v.at[j] = rounded<T>(out);
    }
    v.write(y + i * P::SIZE);
}

#define LAYERS(T, NAME)                                                                                      \
    extern "C" __global__ void __launch_bounds__(256)                                                        \
        layer_norm_##NAME(const T* x, const T* weight, const T* bias, T* y, int rows, int width, float eps) { \
        layer_norm(x, weight, bias, y, rows, width, eps);                                                    \
    }                                                                                                        \
    extern "C" __global__ void activation_##NAME(const T* x, T* y, long pieces, int kind) {                  \
        activation(x, y, pieces, kind);                                                                      \
    }

LAYERS(float, f32)
LAYERS(__half, f16)
LAYERS(__nv_bfloat16, bf16)
