// The arithmetic of prover/SPEC.md section 1 on a GPU. The kernel files are one translation unit, in the order that src/kernels.rs names.
// Every rounding is written out (__fmul_rn and the like never contract); the host emulator of the tests compiles the same text as C++.
// All working memory of a block is dynamic shared memory, so that the emulator can poison it.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

// What every kernel gets: addresses, integers, floats. src/device.rs has the same struct.
struct Params {
    u64 p[12];
    u32 n[16];
    float f[4];
};

#define PTR(type, i) ((type*)P.p[i])
#define KERNEL(name, threads) extern "C" __global__ void __launch_bounds__(threads) sworn_##name(const Params P)

#define TILE 256
#define BLOCK 32
#define LANES 16
#define PAGE 64
#define FULL 0xffffffffu
#define CANONICAL_NAN 0x7fc00000u

enum { F32 = 0, F16 = 1, Q8_0 = 2, Q4_0 = 3, Q8F = 4 };

__device__ __forceinline__ float add(float a, float b) { return __fadd_rn(a, b); }
__device__ __forceinline__ float mul(float a, float b) { return __fmul_rn(a, b); }

__device__ __forceinline__ float canonical(float x) {
    return (__float_as_uint(x) & 0x7fffffffu) > 0x7f800000u ? __uint_as_float(CANONICAL_NAN) : x;
}

__device__ __forceinline__ bool is_nan(float x) { return (__float_as_uint(x) & 0x7fffffffu) > 0x7f800000u; }

// Section 1.3 as an unsigned number that rises with the order; NaN is above everything (softmax) or below (selection).
__device__ __forceinline__ u32 rising(float x, bool nan_is_best) {
    if (is_nan(x)) return nan_is_best ? 0xffffffffu : 0u;
    int bits = (int)__float_as_uint(x);
    return (u32)(bits ^ ((bits >> 31) & 0x7fffffff)) ^ 0x80000000u;
}

// The order, then the lowest place: the greatest wins.
__device__ __forceinline__ u64 contender(float x, u32 place, bool nan_is_best) {
    return (u64)rising(x, nan_is_best) << 32 | (u32)~place;
}

__device__ __forceinline__ u32 place_of(u64 contender) { return ~(u32)contender; }

// Section 1.5.
__device__ __forceinline__ float exp_rn(float x) {
    if (is_nan(x) || x > 0.0f) return __uint_as_float(CANONICAL_NAN);
    if (x < __uint_as_float(0xc2ae0000u)) return 0.0f;
    int n = __float2int_rn(mul(x, __uint_as_float(0x3fb8aa3bu)));
    float nf = __int2float_rn(n);
    float q = add(add(x, mul(nf, __uint_as_float(0xbf318000u))), mul(nf, __uint_as_float(0x395e8083u)));
    float p = __uint_as_float(0x3ab60b61u);
    p = add(mul(p, q), __uint_as_float(0x3c088889u));
    p = add(mul(p, q), __uint_as_float(0x3d2aaaabu));
    p = add(mul(p, q), __uint_as_float(0x3e2aaaabu));
    p = add(mul(p, q), __uint_as_float(0x3f000000u));
    p = add(mul(p, q), 1.0f);
    p = add(mul(p, q), 1.0f);
    return __uint_as_float(__float_as_uint(p) + ((u32)n << 23));
}

// Section 1.6.
__device__ __forceinline__ float silu(float x) {
    u32 bits = __float_as_uint(x);
    float e = exp_rn(__uint_as_float(bits | 0x80000000u));
    float numerator = bits >> 31 ? mul(x, e) : x;
    return canonical(__fdiv_rn(numerator, add(1.0f, e)));
}

// Section 1.7.
__device__ __forceinline__ u16 to_half(float x) {
    if (is_nan(x)) return 0x7e00;
    u32 bits = __float_as_uint(x);
    u32 sign = bits >> 16 & 0x8000u;
    u32 magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x477fe000u) magnitude = 0x477fe000u;
    if (magnitude < 0x38800000u) {
        return (u16)(sign | (__float_as_uint(add(__uint_as_float(magnitude), 0.5f)) - 0x3f000000u));
    }
    u32 rounded = magnitude + 0xfff + (magnitude >> 13 & 1);
    return (u16)(sign | ((rounded - (112u << 23)) >> 13));
}

// Section 1.8 of one block by one thread of each quarter of a warp is what quantise() below does; this is the factor of a block.
__device__ __forceinline__ float block_scale(u32 largest) {
    if (largest < 0x04000000u) return 0.0f;
    if (largest >= 0x7f800000u) return __uint_as_float(CANONICAL_NAN);
    return __fdiv_rn(__uint_as_float(largest), 127.0f);
}

// Four values of a block, of which eight lanes in a row have all 32. Stores the quants, the scale and the sum of the quants.
__device__ __forceinline__ void quantise_quad(const float* x, u32 quad, float* scales, u32* quants, int* sums) {
    u32 largest = 0;
    for (int i = 0; i < 4; i++) {
        u32 magnitude = __float_as_uint(x[i]) & 0x7fffffffu;
        largest = magnitude > largest ? magnitude : largest;
    }
    for (int step = 1; step < 8; step *= 2) {
        u32 other = __shfl_xor_sync(FULL, largest, step);
        largest = other > largest ? other : largest;
    }
    float d = block_scale(largest);
    bool some = largest >= 0x04000000u && largest < 0x7f800000u;
    float factor = some ? __fdiv_rn(1.0f, d) : 0.0f;
    u32 packed = 0;
    int sum = 0;
    for (int i = 0; i < 4; i++) {
        int q = some ? __float2int_rn(mul(x[i], factor)) : 0;
        packed |= (u32)(q & 0xff) << (8 * i);
        sum += q;
    }
    for (int step = 1; step < 8; step *= 2) sum += __shfl_xor_sync(FULL, sum, step);
    quants[quad] = packed;
    if (quad % 8 == 0) {
        scales[quad / 8] = d;
        sums[quad / 8] = sum;
    }
}

// Bytes of 0 to 15, each less 8: none borrows from the next.
__device__ __forceinline__ u32 sub8(u32 w) { return ((w | 0x80808080u) - 0x08080808u) ^ 0x80808080u; }

// Bytes of the scales of 16 rows at the head of a tile's record of n columns, and of the record (inference/src/format/packed/layout.rs).
__device__ __forceinline__ u32 pad64(u32 n) { return (n + 63) / 64 * 64; }

__device__ __forceinline__ u32 scale_area(u32 format, u32 n) {
    u32 size = format == Q8F ? 4 : format == Q8_0 || format == Q4_0 ? 2 : 0;
    return pad64(n / BLOCK * LANES * size);
}

__device__ __forceinline__ u32 tile_bytes(u32 format, u32 n) {
    u32 values = format == F32 ? n * 64 : format == F16 ? pad64(n * 32) : format == Q4_0 ? n * 8 : n * 16;
    return scale_area(format, n) + values;
}

__device__ __forceinline__ u64 group_bytes(u32 format, u32 cols) {
    u64 bytes = (u64)(cols / TILE) * tile_bytes(format, TILE);
    return cols % TILE ? bytes + tile_bytes(format, cols % TILE) : bytes;
}
