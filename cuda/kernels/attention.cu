// Attention over pages of 64 positions. A page is the same of all attentions: for each, keys [kv_heads][head_dim][64], values [kv_heads][64][head_dim],
// all f16. The tables of pages are [sequences][stride] addresses. Tiles of 256 positions are summed apart, then added in order.

#define HEADS 4

// Where the halves of a position's keys and values go. The table is p[table], the sequences p[table - 1]; n[n0..]: stride of the table, offsets of keys
// and values in a page in halves (low, high).
__device__ __forceinline__ u16* page_of(const Params& P, u32 table, u32 n0, u32 row, u32 position) {
    return (u16*)PTR(const u64, table)[(u64)PTR(const u32, table - 1)[row] * P.n[n0] + position / PAGE];
}

__device__ __forceinline__ void store_key(const Params& P, u16* page, u32 n0, u32 col, u32 slot, u16 half) {
    u16* keys = page + ((u64)P.n[n0 + 2] << 32 | P.n[n0 + 1]);
    keys[(u64)col * PAGE + slot] = half;
}

__device__ __forceinline__ void store_value(const Params& P, u16* page, u32 n0, u32 head_dim, u32 col, u32 slot, u16 half) {
    u16* values = page + ((u64)P.n[n0 + 4] << 32 | P.n[n0 + 3]);
    values[((u64)(col / head_dim) * PAGE + slot) * head_dim + col % head_dim] = half;
}

// p: keys, values (f16 rows), positions, sequences of rows, table. n: width, head_dim, stride, offsets.
KERNEL(store, 256) {
    u32 width = P.n[0], head_dim = P.n[1], col = blockIdx.y * 256 + threadIdx.x, row = blockIdx.x;
    if (col >= width) return;
    u32 position = PTR(const u32, 2)[row], slot = position % PAGE;
    u16* page = page_of(P, 4, 2, row, position);
    store_key(P, page, 2, col, slot, PTR(const u16, 0)[(u64)row * width + col]);
    store_value(P, page, 2, head_dim, col, slot, PTR(const u16, 1)[(u64)row * width + col]);
}

// What stands between the products and the scores: q rotated, k rotated and stored, v stored. p: q, k, v, angles, positions, out (q), sequences, table.
// n: width of q, of k and v, head_dim of the rotation, rotated dims, head_dim, stride, offsets.
KERNEL(heads, 256) {
    u32 q_width = P.n[0], width = P.n[1], row = blockIdx.x, col = blockIdx.y * 256 + threadIdx.x;
    u32 position = PTR(const u32, 4)[row];
    const float* angles = PTR(const float, 3) + (u64)position * P.n[3];
    if (col < q_width) {
        u64 first = (u64)row * q_width;
        PTR(float, 5)[first + col] = rotated(PTR(const float, 0) + first, col, P.n[2], P.n[3], angles);
        return;
    }
    col -= q_width;
    if (col >= 2 * width) return;
    u16* page = page_of(P, 7, 5, row, position);
    if (col < width) {
        float k = rotated(PTR(const float, 1) + (u64)row * width, col, P.n[2], P.n[3], angles);
        store_key(P, page, 5, col, position % PAGE, to_half(k));
    } else {
        float v = PTR(const float, 2)[(u64)row * width + col - width];
        store_value(P, page, 5, P.n[4], col - width, position % PAGE, to_half(v));
    }
}

__device__ __forceinline__ u64 warp_best(u64 best) {
    for (int step = 16; step > 0; step /= 2) {
        u64 other = __shfl_xor_sync(FULL, best, step);
        best = other > best ? other : best;
    }
    return best;
}

// p: q, positions, sequences of rows, table, scores [rows][heads][stride * 64], best [rows][heads][tiles]. n: heads, kv_heads, head_dim, stride,
// offset of the keys / 2 (low, high). f: scale. Grid: rows, kv_heads, tiles. Shared: 8 u64 x HEADS, HEADS x head_dim floats.
KERNEL(scores, 256) {
    DYNAMIC_SHARED(shared);
    u32 heads = P.n[0], kv_heads = P.n[1], head_dim = P.n[2], stride = P.n[3], per = heads / kv_heads;
    u32 row = blockIdx.x, group = blockIdx.y, tile = blockIdx.z, tiles = gridDim.z;
    u32 position = PTR(const u32, 1)[row];
    if (tile * TILE > position) return;
    u64* bests = (u64*)shared;
    float* q = (float*)(shared + 8 * HEADS * sizeof(u64));
    u32 j = tile * TILE + threadIdx.x;
    bool seen = j <= position;
    const u64* table = PTR(const u64, 3) + (u64)PTR(const u32, 2)[row] * stride;
    const u16* keys = seen ? (const u16*)table[j / PAGE] + ((u64)P.n[5] << 32 | P.n[4]) + (u64)group * head_dim * PAGE + j % PAGE : 0;
    for (u32 first = 0; first < per; first += HEADS) {
        u32 count = per - first < HEADS ? per - first : HEADS;
        u64 pair = (u64)row * heads + group * per + first;
        for (u32 i = threadIdx.x; i < count * head_dim; i += 256) q[i] = PTR(const float, 0)[pair * head_dim + i];
        __syncthreads();
        float sum[HEADS];
        for (u32 i = 0; i < HEADS; i++) sum[i] = 0.0f;
        if (seen) {
#pragma unroll 4
            for (u32 e = 0; e < head_dim; e++) {
                float k = half_to_float(keys[e * PAGE]);
#pragma unroll
                for (u32 i = 0; i < HEADS; i++) {
                    if (i < count) sum[i] = add(sum[i], mul(q[i * head_dim + e], k));
                }
            }
        }
#pragma unroll
        for (u32 i = 0; i < HEADS; i++) {
            if (i >= count) continue;
            // head_dim is at most one tile.
            float score = canonical(mul(add(0.0f, sum[i]), P.f[0]));
            if (seen) PTR(float, 4)[(pair + i) * stride * PAGE + j] = score;
            u64 best = warp_best(seen ? contender(score, j, true) : 0);
            if (threadIdx.x % 32 == 0) bests[i * 8 + threadIdx.x / 32] = best;
        }
        __syncthreads();
        if (threadIdx.x < count) {
            u64 best = 0;
            for (u32 w = 0; w < 8; w++) best = bests[threadIdx.x * 8 + w] > best ? bests[threadIdx.x * 8 + w] : best;
            PTR(u64, 5)[(pair + threadIdx.x) * tiles + tile] = best;
        }
    }
}

// p: scores, positions, sequences of rows, table, best, sums [rows][heads][tiles], mixes [rows][heads][tiles][head_dim]. n: as scores, the offset of
// the values. Grid: rows, kv_heads, tiles. Shared: HEADS x 256 floats, HEADS floats.
KERNEL(mix, 128) {
    DYNAMIC_SHARED(shared);
    u32 heads = P.n[0], kv_heads = P.n[1], head_dim = P.n[2], stride = P.n[3], per = heads / kv_heads;
    u32 row = blockIdx.x, group = blockIdx.y, tile = blockIdx.z, tiles = gridDim.z;
    u32 position = PTR(const u32, 1)[row];
    if (tile * TILE > position) return;
    u32 there = position / TILE + 1, count_j = position + 1 - tile * TILE < TILE ? position + 1 - tile * TILE : TILE;
    float* weights = (float*)shared;
    float* maxima = weights + HEADS * TILE;
    const u64* table = PTR(const u64, 3) + (u64)PTR(const u32, 2)[row] * stride + tile * (TILE / PAGE);
    u64 offset = ((u64)P.n[5] << 32 | P.n[4]) + (u64)group * PAGE * head_dim;
    for (u32 first = 0; first < per; first += HEADS) {
        u32 count = per - first < HEADS ? per - first : HEADS, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
        u64 pair = (u64)row * heads + group * per + first;
        // The barriers below also keep this round's weights from what the last one still reads.
        if (warp < count) {
            u64 best = 0;
            for (u32 t = lane; t < there; t += 32) {
                u64 other = PTR(const u64, 4)[(pair + warp) * tiles + t];
                best = other > best ? other : best;
            }
            best = warp_best(best);
            if (lane == 0) maxima[warp] = PTR(const float, 0)[(pair + warp) * stride * PAGE + place_of(best)];
        }
        __syncthreads();
        for (u32 i = threadIdx.x; i < count * TILE; i += 128) {
            u32 j = i % TILE;
            if (j < count_j) weights[i] = exp_rn(__fsub_rn(PTR(const float, 0)[(pair + i / TILE) * stride * PAGE + tile * TILE + j], maxima[i / TILE]));
        }
        __syncthreads();
        if (warp < count && lane == 0) {
            float sum = 0.0f;
            for (u32 j = 0; j < count_j; j++) sum = add(sum, weights[warp * TILE + j]);
            PTR(float, 5)[(pair + warp) * tiles + tile] = sum;
        }
        for (u32 e = threadIdx.x; e < head_dim; e += 128) {
            float sum[HEADS];
            for (u32 i = 0; i < HEADS; i++) sum[i] = 0.0f;
            for (u32 page = 0; page * PAGE < count_j; page++) {
                const u16* values = (const u16*)table[page] + offset + e;
                u32 n = count_j - page * PAGE < PAGE ? count_j - page * PAGE : PAGE;
#pragma unroll 4
                for (u32 j = 0; j < n; j++) {
                    float v = half_to_float(values[j * head_dim]);
#pragma unroll
                    for (u32 i = 0; i < HEADS; i++) {
                        if (i < count) sum[i] = add(sum[i], mul(weights[i * TILE + page * PAGE + j], v));
                    }
                }
            }
#pragma unroll
            for (u32 i = 0; i < HEADS; i++) {
                if (i < count) PTR(float, 6)[((pair + i) * tiles + tile) * head_dim + e] = sum[i];
            }
        }
    }
}

// p: positions, best, sums of tiles, mixes of tiles, sums, mix. n: heads, head_dim, tiles. Grid: rows, heads.
KERNEL(combine, 128) {
    u32 heads = P.n[0], head_dim = P.n[1], tiles = P.n[2], there = PTR(const u32, 0)[blockIdx.x] / TILE + 1;
    u64 pair = (u64)blockIdx.x * heads + blockIdx.y;
    float sum = 0.0f;
    for (u32 t = 0; t < there; t++) sum = add(sum, PTR(const float, 2)[pair * tiles + t]);
    if (threadIdx.x == 0) PTR(float, 4)[pair] = canonical(sum);
    for (u32 e = threadIdx.x; e < head_dim; e += 128) {
        float total = 0.0f;
        for (u32 t = 0; t < there; t++) total = add(total, PTR(const float, 3)[(pair * tiles + t) * head_dim + e]);
        PTR(float, 5)[pair * head_dim + e] = canonical(__fdiv_rn(total, sum));
    }
}
