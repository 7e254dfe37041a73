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

// Where a row's window begins: its pixel (which may lie before the volume) and coordinates.
struct Window {
    int at, t, hw;
};

__device__ __forceinline__ Window window_of(const Shape& s, int row) {
    if (row >= s.rows) return {0, -(1 << 20), 0};
    int w = row % s.wo, rest = row / s.wo;
    int h = rest % s.ho;
    rest /= s.ho;
    int t = rest % s.to, b = rest / s.to;
    w = w * s.sw - s.pw;
    h = h * s.sh - s.ph;
    t = t * s.st - s.pt;
    return {((b * s.t + t) * s.h + h) * s.w + w, t, (h << 16) | (w & 0xffff)};
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

    __device__ __forceinline__ bool inside(const Shape& s, const Window& window) const {
        int t = window.t + dt, h = (window.hw >> 16) + dh, w = (int)(short)(window.hw & 0xffff) + dw;
        return k < s.inner && (unsigned)t < (unsigned)s.t && (unsigned)h < (unsigned)s.h && (unsigned)w < (unsigned)s.w;
    }

    __device__ __forceinline__ long offset(const Shape& s, const Window& window) const {
        return (long)(window.at + (dt * s.h + dh) * s.w + dw) * s.pixel + c;
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
    const T *x, *weight;
    Window windows[BM / 32];
    Tap tap;
    uint32_t place;
    int channel;

    __device__ __forceinline__ Loader(const T* x, const T* weight, const Shape& s, uint32_t shared, int first_row,
                                      int first_channel)
        : x(x), weight(weight) {
        const int piece = threadIdx.x % 8, line = threadIdx.x / 8;
#pragma unroll
        for (int i = 0; i < BM / 32; i++) windows[i] = window_of(s, first_row + line + 32 * i);
        tap.seek(s, piece * 8);
        place = shared + line * 128 + (piece ^ (line & 7)) * 16;
        channel = first_channel + line;
    }

    // The next 64, to a stage.
    __device__ __forceinline__ void load(const Shape& s, int stage) {
        const uint32_t to = place + stage * STAGE;
#pragma unroll
        for (int i = 0; i < BM / 32; i++) {
            const bool take = tap.inside(s, windows[i]);
            copy16(to + i * 32 * 128, take ? x + tap.offset(s, windows[i]) : x, take);
        }
#pragma unroll
        for (int i = 0; i < BN / 32; i++) {
            const int row = channel + 32 * i;
            const bool take = tap.k < s.inner && row < s.channels;
            copy16(to + (BM + i * 32) * 128, take ? weight + (long)row * s.inner + tap.k : weight, take);
        }
        tap.advance(s, DEPTH);
    }
};
