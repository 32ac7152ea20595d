// Matrix products in the order of section 3. Weights lie as on the processor: groups of 16 rows, records of 256 columns, four columns of a row in
// a word. The sums of tiles don't depend on each other, so they are shared out among the warps of a block, which adds them in order.
//
// All take up to three matrices with the same input in one launch.
// p: weights x3, out x3, scales, quants, sums. n: groups of the first, of the first two, outputs x3, cols, format, rows.

#define WARPS 8

struct Matrix {
    const u8* weights;
    float* out;
    u32 outputs;
    u32 group;
};

__device__ __forceinline__ Matrix matrix(const Params& P, u32 group) {
    u32 i = group < P.n[0] ? 0 : group < P.n[1] ? 1 : 2;
    Matrix m;
    m.weights = PTR(const u8, i);
    m.out = PTR(float, 3 + i);
    m.outputs = P.n[2 + i];
    m.group = group - (i == 0 ? 0 : P.n[i - 1]);
    return m;
}

__device__ __forceinline__ float load_scale(const u8* record, u32 format, u32 at) {
    return format == Q8F ? ldg((const float*)record + at) : half_to_float(ldg((const u16*)record + at));
}

// One row of activations: a lane is a row of weights, half a warp a tile. Grid: groups, rows. Shared: 2 x 16 tiles x 16 floats.
template <u32 FORMAT> __device__ __forceinline__ void dot_rows(const Params& P, char* shared) {
    u32 cols = P.n[5], tiles = (cols + TILE - 1) / TILE, row = blockIdx.y;
    Matrix m = matrix(P, blockIdx.x);
    u32 lane = threadIdx.x % LANES, part = threadIdx.x / LANES;
    const u8* group = m.weights + m.group * group_bytes(FORMAT, cols);
    const float* x_scales = PTR(const float, 6) + (u64)row * (cols / BLOCK);
    const u32* x = PTR(const u32, 7) + (u64)row * (cols / 4);
    const int* x_sums = PTR(const int, 8) + (u64)row * (cols / BLOCK);
    float* tile_sums = (float*)shared;
    float total = 0.0f;
    for (u32 first = 0; first < tiles; first += 2 * WARPS) {
        u32 tile = first + part;
        if (tile < tiles) {
            u32 n = cols - tile * TILE < TILE ? cols - tile * TILE : TILE;
            const u8* record = group + (u64)tile * tile_bytes(FORMAT, TILE);
            const u32* quads = (const u32*)(record + scale_area(FORMAT, n)) + lane;
            float sum = 0.0f;
            // The words of several blocks are asked for before the first is used: that keeps the memory busy.
            const u32 words = FORMAT == Q4_0 ? 4 : 8, ahead = FORMAT == Q4_0 ? 8 : 4;
            for (u32 start = 0; start < n / BLOCK; start += ahead) {
                u32 w[ahead][words];
                float d[ahead];
#pragma unroll
                for (u32 i = 0; i < ahead; i++) {
                    if (start + i < n / BLOCK) {
                        d[i] = load_scale(record, FORMAT, (start + i) * LANES + lane);
#pragma unroll
                        for (u32 k = 0; k < words; k++) w[i][k] = ldcs(quads + ((start + i) * words + k) * LANES);
                    }
                }
#pragma unroll
                for (u32 i = 0; i < ahead; i++) {
                    if (start + i >= n / BLOCK) continue;
                    u32 at = tile * (TILE / BLOCK) + start + i;
                    int s = FORMAT == Q4_0 ? -8 * ldg(x_sums + at) : 0;
#pragma unroll
                    for (u32 k = 0; k < words; k++) {
                        if (FORMAT == Q4_0) {
                            s = __dp4a((int)(w[i][k] & 0x0f0f0f0fu), (int)ldg(x + at * 8 + k), s);
                            s = __dp4a((int)(w[i][k] >> 4 & 0x0f0f0f0fu), (int)ldg(x + at * 8 + k + 4), s);
                        } else {
                            // A stored byte is the weight + 128.
                            s = __dp4a((int)(w[i][k] ^ 0x80808080u), (int)ldg(x + at * 8 + k), s);
                        }
                    }
                    sum = add(sum, mul(mul(d[i], ldg(x_scales + at)), __int2float_rn(s)));
                }
            }
            tile_sums[part * LANES + lane] = sum;
        }
        __syncthreads();
        u32 here = tiles - first < 2 * WARPS ? tiles - first : 2 * WARPS;
        if (part == 0) {
            for (u32 t = 0; t < here; t++) total = add(total, tile_sums[t * LANES + lane]);
        }
        // The next round writes the other half, and the one after it only behind the next barrier.
        tile_sums = (float*)shared + (tile_sums == (float*)shared ? 2 * WARPS * LANES : 0);
    }
    u32 output = m.group * LANES + lane;
    if (part == 0 && output < m.outputs) m.out[(u64)row * m.outputs + output] = canonical(total);
}

KERNEL(matmul_dot, 256) {
    DYNAMIC_SHARED(shared);
    if (P.n[6] == Q8_0) dot_rows<Q8_0>(P, shared);
    else if (P.n[6] == Q4_0) dot_rows<Q4_0>(P, shared);
    else dot_rows<Q8F>(P, shared);
}

// 8 * N rows of activations with the tensor cores: a warp has a tile, of which each mma is one block of 32 columns of 16 x 8 outputs. The exact
// integer comes out added to the bits of 1.5 * 2^23, which makes it a float by one exact subtraction: it is below 2^22.
// Grid: groups, chunks of 8 * N rows. Shared: 8 tiles x 16 x 8 * N floats.
#define MAGIC 0x4b400000

template <u32 FORMAT, u32 N> __device__ __forceinline__ void mma_rows(const Params& P, char* shared) {
    u32 cols = P.n[5], rows = P.n[7], tiles = (cols + TILE - 1) / TILE, blocks = cols / BLOCK;
    Matrix m = matrix(P, blockIdx.x);
    u32 warp = threadIdx.x / 32, lane = threadIdx.x % 32, high = lane / 4, low = lane % 4;
    const u8* group = m.weights + m.group * group_bytes(FORMAT, cols);
    const float* x_scales = PTR(const float, 6);
    const u32* x = PTR(const u32, 7);
    float* tile_sums = (float*)shared;
    u32 first_row = blockIdx.y * 8 * N;
    // Outputs of a block: 16 x 8 * N, of which this thread adds up the tiles of every 256th.
    float total[(16 * 8 * N + 255) / 256];
    for (u32 i = 0; i < (16 * 8 * N + 255) / 256; i++) total[i] = 0.0f;
    for (u32 first = 0; first < tiles; first += WARPS) {
        u32 tile = first + warp;
        if (tile < tiles) {
            u32 n = cols - tile * TILE < TILE ? cols - tile * TILE : TILE;
            const u8* record = group + (u64)tile * tile_bytes(FORMAT, TILE);
            const u32* quads = (const u32*)(record + scale_area(FORMAT, n));
            float sum[N][4];
#pragma unroll
            for (u32 j = 0; j < N; j++) {
                for (int i = 0; i < 4; i++) sum[j][i] = 0.0f;
            }
            for (u32 b = 0; b < n / BLOCK; b++) {
                u32 at = tile * (TILE / BLOCK) + b, a[4];
                if (FORMAT == Q4_0) {
                    u32 w0 = ldg(quads + (b * 4 + low) * LANES + high), w1 = ldg(quads + (b * 4 + low) * LANES + high + 8);
                    // 0 to 15 less 8 in each byte: no byte borrows from the next.
                    a[0] = sub8(w0 & 0x0f0f0f0fu);
                    a[1] = sub8(w1 & 0x0f0f0f0fu);
                    a[2] = sub8(w0 >> 4 & 0x0f0f0f0fu);
                    a[3] = sub8(w1 >> 4 & 0x0f0f0f0fu);
                } else {
                    const u32* w = quads + (b * 8 + low) * LANES + high;
                    a[0] = ldg(w) ^ 0x80808080u;
                    a[1] = ldg(w + 8) ^ 0x80808080u;
                    a[2] = ldg(w + 4 * LANES) ^ 0x80808080u;
                    a[3] = ldg(w + 4 * LANES + 8) ^ 0x80808080u;
                }
                float d0 = load_scale(record, FORMAT, b * LANES + high), d1 = load_scale(record, FORMAT, b * LANES + high + 8);
#pragma unroll
                for (u32 j = 0; j < N; j++) {
                    u32 row = first_row + j * 8 + high;
                    u32 from = row < rows ? row : rows - 1;
                    u32 x0 = ldg(x + ((u64)from * blocks + at) * 8 + low), x1 = ldg(x + ((u64)from * blocks + at) * 8 + low + 4);
                    int c[4] = {MAGIC, MAGIC, MAGIC, MAGIC};
                    mma_16_8_32(c, a, x0, x1);
                    u32 r0 = first_row + j * 8 + low * 2, r1 = r0 + 1;
                    float e0 = ldg(x_scales + (u64)(r0 < rows ? r0 : rows - 1) * blocks + at);
                    float e1 = ldg(x_scales + (u64)(r1 < rows ? r1 : rows - 1) * blocks + at);
                    sum[j][0] = add(sum[j][0], mul(mul(d0, e0), __fsub_rn(__int_as_float(c[0]), 12582912.0f)));
                    sum[j][1] = add(sum[j][1], mul(mul(d0, e1), __fsub_rn(__int_as_float(c[1]), 12582912.0f)));
                    sum[j][2] = add(sum[j][2], mul(mul(d1, e0), __fsub_rn(__int_as_float(c[2]), 12582912.0f)));
                    sum[j][3] = add(sum[j][3], mul(mul(d1, e1), __fsub_rn(__int_as_float(c[3]), 12582912.0f)));
                }
            }
#pragma unroll
            for (u32 j = 0; j < N; j++) {
                float* out = tile_sums + ((warp * N + j) * 8 + low * 2) * LANES + high;
                out[0] = sum[j][0];
                out[LANES] = sum[j][1];
                out[8] = sum[j][2];
                out[LANES + 8] = sum[j][3];
            }
        }
        __syncthreads();
        u32 here = tiles - first < WARPS ? tiles - first : WARPS;
        for (u32 i = 0; i < (16 * 8 * N + 255) / 256; i++) {
            u32 output = i * 256 + threadIdx.x;
            if (output < 16 * 8 * N) {
                for (u32 t = 0; t < here; t++) total[i] = add(total[i], tile_sums[t * 16 * 8 * N + output]);
            }
        }
        __syncthreads();
    }
    for (u32 i = 0; i < (16 * 8 * N + 255) / 256; i++) {
        u32 at = i * 256 + threadIdx.x, row = first_row + at / LANES, output = m.group * LANES + at % LANES;
        if (at < 16 * 8 * N && row < rows && output < m.outputs) m.out[(u64)row * m.outputs + output] = canonical(total[i]);
    }
}

#define MMA(name, N)                                      \
    KERNEL(name, 256) {                                   \
        DYNAMIC_SHARED(shared);                           \
        if (P.n[6] == Q8_0) mma_rows<Q8_0, N>(P, shared); \
        else if (P.n[6] == Q4_0) mma_rows<Q4_0, N>(P, shared); \
        else mma_rows<Q8F, N>(P, shared);                 \
    }

MMA(matmul_mma1, 1)
MMA(matmul_mma2, 2)
MMA(matmul_mma4, 4)

// F32 and F16 weights, four rows of activations. p: as above, x instead of the scales. Grid: groups, rows / 4. Shared: 16 tiles x 4 x 16 floats.
KERNEL(matmul_float, 256) {
    DYNAMIC_SHARED(shared);
    u32 cols = P.n[5], format = P.n[6], rows = P.n[7], tiles = (cols + TILE - 1) / TILE;
    Matrix m = matrix(P, blockIdx.x);
    u32 lane = threadIdx.x % LANES, part = threadIdx.x / LANES;
    const u8* group = m.weights + m.group * group_bytes(format, cols);
    const float* x[4];
    for (u32 i = 0; i < 4; i++) {
        u32 row = blockIdx.y * 4 + i;
        x[i] = PTR(const float, 6) + (u64)(row < rows ? row : rows - 1) * cols;
    }
    float* tile_sums = (float*)shared;
    // Four of the parts add up a row each.
    float total = 0.0f;
    for (u32 first = 0; first < tiles; first += 2 * WARPS) {
        u32 tile = first + part;
        if (tile < tiles) {
            u32 n = cols - tile * TILE < TILE ? cols - tile * TILE : TILE;
            const u8* record = group + (u64)tile * tile_bytes(format, TILE);
            float sum[4] = {0.0f, 0.0f, 0.0f, 0.0f};
#pragma unroll 4
            for (u32 c = 0; c < n; c++) {
                float w = format == F32 ? ldg((const float*)record + c * LANES + lane) : half_to_float(ldg((const u16*)record + c * LANES + lane));
                for (u32 i = 0; i < 4; i++) sum[i] = add(sum[i], mul(w, ldg(x[i] + tile * TILE + c)));
            }
            for (u32 i = 0; i < 4; i++) tile_sums[(part * 4 + i) * LANES + lane] = sum[i];
        }
        __syncthreads();
        u32 here = tiles - first < 2 * WARPS ? tiles - first : 2 * WARPS;
        if (part < 4) {
            for (u32 t = 0; t < here; t++) total = add(total, tile_sums[(t * 4 + part) * LANES + lane]);
        }
        __syncthreads();
    }
    u32 row = blockIdx.y * 4 + part, output = m.group * LANES + lane;
    if (part < 4 && row < rows && output < m.outputs) m.out[(u64)row * m.outputs + output] = canonical(total);
}
