// Which numbers a convolution takes: what its kernels share.
#pragma once

#include "number.cuh"

// As `Shape` in convolution.rs; sizes in elements.
struct Shape {
    // Output positions b·t′·h′·w′, output channels, taps times input channels.
    int rows, channels, inner;
    // Input channels, and the distance of neighbouring pixels.
    int cin, pixel;
    // Input volume, output volume.
    int t, h, w, to, ho, wo;
    // Kernel (its length in time follows from `inner`), strides, padding before.
    int kh, kw, st, sh, sw, pt, ph, pw;
    // Channels below `split` go to the first output, others to the second; distances of pixels there.
    int split, pixel1, pixel2;
    int relu;
};

// Taps along t, h and w that a mask has a bit for; its highest bit is never set.
constexpr int TAPS_T = 7, TAPS_H = 12, TAPS_W = 12;

// A row's window: where it begins in the volume (which may lie before it), and which taps lie inside, bits along w, h and t.
struct Window {
    long at;
    uint32_t inside;
};

// Bits of `taps` windows' elements from `first` on that lie in 0..size. Beyond the bits there is no padding, and the last
// one stands for them.
__device__ __forceinline__ uint32_t bits_inside(int first, int size, int taps) {
    const int from = min(max(-first, 0), taps), to = min(max(size - first, 0), taps);
    return (1u << to) - (1u << min(from, to));
}

__device__ __forceinline__ Window window_of(const Shape& s, int row) {
    if (row >= s.rows) return {0, 0};
    int w = row % s.wo, rest = row / s.wo;
    int h = rest % s.ho;
    rest /= s.ho;
    int t = rest % s.to, b = rest / s.to;
    w = w * s.sw - s.pw;
    h = h * s.sh - s.ph;
    t = t * s.st - s.pt;
    return {(((long)(b * s.t + t) * s.h + h) * s.w + w) * s.pixel,
            bits_inside(w, s.w, TAPS_W) | bits_inside(h, s.h, TAPS_H) << TAPS_W |
                bits_inside(t, s.t, TAPS_T) << (TAPS_W + TAPS_H)};
}

// One thread's place on the inner axis.
struct Tap {
    int k, c, dt, dh, dw;

    __device__ __forceinline__ void seek(const Shape& s, int to) {
        k = to;
        int tap = to / s.cin;
        c = to % s.cin;
        dw = tap % s.kw;
        dh = tap / s.kw % s.kh;
        dt = tap / (s.kw * s.kh);
    }

    __device__ __forceinline__ void advance(const Shape& s, int step) {
        k += step;
        c += step;
        while (c >= s.cin) {
            c -= s.cin;
            if (++dw == s.kw) {
                dw = 0;
                if (++dh == s.kh) {
                    dh = 0;
                    ++dt;
                }
            }
        }
    }

    // The bits that a window must have.
    __device__ __forceinline__ uint32_t bits(const Shape& s) const {
        return k < s.inner ? 1u << min(dw, TAPS_W - 1) | 1u << (TAPS_W + min(dh, TAPS_H - 1)) |
                                 1u << (TAPS_W + TAPS_H + min(dt, TAPS_T - 1))
                           : ~0u;
    }

    // From a window's beginning.
    __device__ __forceinline__ long offset(const Shape& s) const {
        return (long)((dt * s.h + dh) * s.w + dw) * s.pixel + c;
    }
};

// Not a maximum, which would turn NaN into 0.
__device__ __forceinline__ float activated(float x, int relu) {
    return relu && x < 0.f ? 0.f : x;
}

// Writes a tile of `rows` × BN numbers in shared memory, lines of BN + 8, in pieces of 16 bytes where they fit.
template <typename T, int BN>
__device__ void write_tile(const T* tile, T* y1, T* y2, const Shape& s, int first_row, int first_channel, int rows) {
    const bool pieces = (s.channels | s.split | s.pixel1 | s.pixel2) % 8 == 0 && ((uintptr_t)y1 | (uintptr_t)y2) % 16 == 0;
    for (int i = threadIdx.x; i < rows * (BN / 8); i += blockDim.x) {
        const int row = i / (BN / 8), column = i % (BN / 8) * 8, channel = first_channel + column;
        const long at = first_row + row;
        if (at >= s.rows || channel >= s.channels) continue;
        const T* from = &tile[row * (BN + 8) + column];
        if (pieces) {
            T* to = channel < s.split ? y1 + at * s.pixel1 + channel : y2 + at * s.pixel2 + channel - s.split;
            *(uint4*)to = *(const uint4*)from;
        } else {
            for (int c = 0; c < 8 && channel + c < s.channels; c++) {
                const int to = channel + c;
                (to < s.split ? y1[at * s.pixel1 + to] : y2[at * s.pixel2 + to - s.split]) = from[c];
            }
        }
    }
}

// How a block of 256 threads brings its rows and channels to shared memory: pieces of 8 numbers, 64 of the inner axis at a
// time, in lines of 128 bytes whose pieces are swizzled by the line.
template <typename T, int BM, int BN> struct Loader {
    static constexpr int DEPTH = 64, STAGE = (BM + BN) * DEPTH * 2;
    const T* rows[BM / 32];
    uint32_t inside[BM / 32];
    const T* weight;
    // Bit i: channel `line` + 32·i exists.
    uint32_t channels;
    Tap tap;
    uint32_t place;

    __device__ __forceinline__ Loader(const T* x, const T* weights, const Shape& s, uint32_t shared, int first_row,
                                      int first_channel) {
        const int piece = threadIdx.x % 8, line = threadIdx.x / 8;
#pragma unroll
        for (int i = 0; i < BM / 32; i++) {
            const Window window = window_of(s, first_row + line + 32 * i);
            rows[i] = x + window.at;
            inside[i] = window.inside;
        }
        tap.seek(s, piece * 8);
        weight = weights + (long)(first_channel + line) * s.inner + piece * 8;
        channels = 0;
#pragma unroll
        for (int i = 0; i < BN / 32; i++) channels |= (uint32_t)(first_channel + line + 32 * i < s.channels) << i;
        place = shared + line * 128 + (piece ^ (line & 7)) * 16;
    }

    // The next 64, to a stage. What is not taken is not read, whatever its address.
    __device__ __forceinline__ void load(const Shape& s, int stage) {
        const uint32_t to = place + stage * STAGE, bits = tap.bits(s);
        const long offset = tap.offset(s);
#pragma unroll
        for (int i = 0; i < BM / 32; i++) copy16_again(to + i * 32 * 128, rows[i] + offset, (inside[i] & bits) == bits);
        const uint32_t exist = bits == ~0u ? 0 : channels;
#pragma unroll
        for (int i = 0; i < BN / 32; i++)
            copy16(to + (BM + i * 32) * 128, weight + (long)(32 * i) * s.inner, exist >> i & 1);
        weight += DEPTH;
        tap.advance(s, DEPTH);
    }
};
