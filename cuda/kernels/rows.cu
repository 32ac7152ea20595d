// Operations on rows of activations: embed, norms, quantise, rope, to_f16, add, silu_mul, and copies of rows.

// p: weights, tokens, out. n: dim, format.
KERNEL(embed, 256) {
    u32 dim = P.n[0], format = P.n[1], row = blockIdx.x;
    u32 col = blockIdx.y * 256 + threadIdx.x;
    if (col >= dim) return;
    u32 token = PTR(const u32, 1)[row], lane = token % LANES, tile = col / TILE, at = col % TILE;
    u32 n = dim - tile * TILE < TILE ? dim - tile * TILE : TILE;
    const u8* record = PTR(const u8, 0) + token / LANES * group_bytes(format, dim) + (u64)tile * tile_bytes(format, TILE);
    const u8* values = record + scale_area(format, n);
    float value;
    if (format == F32) {
        value = ((const float*)values)[at * LANES + lane];
    } else if (format == F16) {
        value = half_to_float(((const u16*)values)[at * LANES + lane]);
    } else {
        u32 block = at / BLOCK, e = at % BLOCK, scale = block * LANES + lane;
        float d = format == Q8F ? ((const float*)record)[scale] : half_to_float(((const u16*)record)[scale]);
        int q;
        if (format == Q4_0) {
            u32 byte = values[((block * 4 + e % 16 / 4) * LANES + lane) * 4 + e % 4];
            q = (int)(e < 16 ? byte & 15 : byte >> 4) - 8;
        } else {
            q = (int)values[((at / 4) * LANES + lane) * 4 + at % 4] - 128;
        }
        value = mul(d, __int2float_rn(q));
    }
    PTR(float, 2)[(u64)row * dim + col] = canonical(value);
}

// p: x, y, out. n: elements.
KERNEL(add_rows, 256) {
    u64 i = (u64)blockIdx.x * 256 + threadIdx.x;
    if (i < P.n[0]) PTR(float, 2)[i] = canonical(add(PTR(const float, 0)[i], PTR(const float, 1)[i]));
}

// p: x, y, out, scales, quants, sums. n: elements (a multiple of 4 with n[1]), whether to quantise, whether to store the product.
KERNEL(silu_mul, 256) {
    if (!P.n[1]) {
        u64 i = (u64)blockIdx.x * 256 + threadIdx.x;
        if (i < P.n[0]) PTR(float, 2)[i] = canonical(mul(silu(PTR(const float, 0)[i]), PTR(const float, 1)[i]));
        return;
    }
    u32 quad = blockIdx.x * 256 + threadIdx.x;
    // Whole warps: the shuffles need all lanes.
    if (quad / 32 * 128 >= P.n[0]) return;
    float y[4];
    for (int i = 0; i < 4; i++) {
        u64 at = (u64)quad * 4 + i;
        y[i] = at < P.n[0] ? canonical(mul(silu(PTR(const float, 0)[at]), PTR(const float, 1)[at])) : 0.0f;
        if (P.n[2] && at < P.n[0]) PTR(float, 2)[at] = y[i];
    }
    if (quad * 4 < P.n[0]) {
        quantise_quad(y, quad, PTR(float, 3), PTR(u32, 4), PTR(int, 5));
    } else {
        // Lanes past the end take part in the shuffles and store nothing: their blocks are whole, so no other lane needs them.
        float zero[4] = {0, 0, 0, 0};
        u32 nowhere = 1;
        u32 sink[2];
        float scale;
        int sum;
        quantise_quad(zero, nowhere, &scale, sink, &sum);
    }
}

// p: x, scales, quants, sums. n: elements, a multiple of 32.
KERNEL(quantise, 256) {
    u32 quad = blockIdx.x * 256 + threadIdx.x;
    if (quad / 32 * 128 >= P.n[0]) return;
    float x[4];
    bool there = quad * 4 < P.n[0];
    for (int i = 0; i < 4; i++) x[i] = there ? PTR(const float, 0)[(u64)quad * 4 + i] : 0.0f;
    u32 sink[2];
    float scale;
    int sum;
    quantise_quad(x, there ? quad : 1, there ? PTR(float, 1) : &scale, there ? PTR(u32, 2) : sink, there ? PTR(int, 3) : &sum);
}

// The norm of a row by a block, with what stands around it: a sum before, quantising after.
// p: x, y, sum, stat, weights, out, scales, quants, sums. n: dim; flags: 1 x + y first, 2 apply, 4 quantise, 8 store out. f: eps.
// Shared: dim floats if y or apply, ceil(dim / 256) floats.
KERNEL(norm, 256) {
    DYNAMIC_SHARED(shared);
    u32 dim = P.n[0], flags = P.n[1], tiles = (dim + TILE - 1) / TILE;
    float* partial = (float*)shared;
    float* row = partial + (tiles + 1);
    u64 first = (u64)blockIdx.x * dim;
    const float* x = PTR(const float, 0) + first;
    for (u32 i = threadIdx.x; i < dim; i += 256) {
        float value = x[i];
        if (flags & 1) {
            value = canonical(add(value, PTR(const float, 1)[first + i]));
            PTR(float, 2)[first + i] = value;
        }
        row[i] = value;
    }
    __syncthreads();
    for (u32 tile = threadIdx.x; tile < tiles; tile += 256) {
        u32 end = tile * TILE + TILE < dim ? tile * TILE + TILE : dim;
        float sum = 0.0f;
        for (u32 i = tile * TILE; i < end; i++) sum = add(sum, mul(row[i], row[i]));
        partial[tile] = sum;
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        float sum = 0.0f;
        for (u32 tile = 0; tile < tiles; tile++) sum = add(sum, partial[tile]);
        float mean = __fdiv_rn(sum, __uint2float_rn(dim));
        float r = canonical(__fdiv_rn(1.0f, __fsqrt_rn(add(mean, P.f[0]))));
        PTR(float, 3)[blockIdx.x] = r;
        partial[tiles] = r;
    }
    __syncthreads();
    if (!(flags & 2)) return;
    float r = partial[tiles];
    const float* w = PTR(const float, 4);
    if (!(flags & 4)) {
        for (u32 i = threadIdx.x; i < dim; i += 256) PTR(float, 5)[first + i] = canonical(mul(mul(row[i], r), w[i]));
        return;
    }
    // dim is a multiple of 32 here; whole warps go round together.
    for (u32 start = 0; start < dim / 4; start += 256) {
        u32 quad = start + threadIdx.x;
        bool there = quad < dim / 4;
        float y[4];
        for (int i = 0; i < 4; i++) {
            u32 at = quad * 4 + i;
            y[i] = there ? canonical(mul(mul(row[at], r), w[at])) : 0.0f;
            if (there && (flags & 8)) PTR(float, 5)[first + at] = y[i];
        }
        u32 sink[2];
        float scale;
        int sum;
        quantise_quad(y, there ? quad : 1, there ? PTR(float, 6) + first / BLOCK : &scale,
                      there ? PTR(u32, 7) + first / 4 : sink, there ? PTR(int, 8) + first / BLOCK : &sum);
    }
}

// Rows too long for shared memory: the sums of their tiles. p: x, partial. n: dim.
KERNEL(norm_tiles, 256) {
    u32 dim = P.n[0], tiles = (dim + TILE - 1) / TILE, tile = blockIdx.y * 256 + threadIdx.x;
    if (tile >= tiles) return;
    const float* x = PTR(const float, 0) + (u64)blockIdx.x * dim;
    u32 end = tile * TILE + TILE < dim ? tile * TILE + TILE : dim;
    float sum = 0.0f;
    for (u32 i = tile * TILE; i < end; i++) sum = add(sum, mul(x[i], x[i]));
    PTR(float, 1)[(u64)blockIdx.x * tiles + tile] = sum;
}

// p: partial, stat. n: dim, rows. f: eps.
KERNEL(norm_sum, 256) {
    u32 dim = P.n[0], tiles = (dim + TILE - 1) / TILE, row = blockIdx.x * 256 + threadIdx.x;
    if (row >= P.n[1]) return;
    const float* partial = PTR(const float, 0) + (u64)row * tiles;
    float sum = 0.0f;
    for (u32 tile = 0; tile < tiles; tile++) sum = add(sum, partial[tile]);
    float mean = __fdiv_rn(sum, __uint2float_rn(dim));
    PTR(float, 1)[row] = canonical(__fdiv_rn(1.0f, __fsqrt_rn(add(mean, P.f[0]))));
}

// p: x, stat, weights, out. n: dim.
KERNEL(norm_apply, 256) {
    u32 dim = P.n[0], col = blockIdx.y * 256 + threadIdx.x;
    if (col >= dim) return;
    u64 at = (u64)blockIdx.x * dim + col;
    PTR(float, 3)[at] = canonical(mul(mul(PTR(const float, 0)[at], PTR(const float, 1)[blockIdx.x]), PTR(const float, 2)[col]));
}

// Element col of a rotated row. `angles` is the position's row of the table.
__device__ __forceinline__ float rotated(const float* x, u32 col, u32 head_dim, u32 rotated_dims, const float* angles) {
    u32 e = col % head_dim;
    if (e >= rotated_dims) return x[col];
    float c = angles[e / 2 * 2], s = angles[e / 2 * 2 + 1];
    return canonical(e % 2 == 0 ? __fsub_rn(mul(x[col], c), mul(x[col + 1], s)) : add(mul(x[col - 1], s), mul(x[col], c)));
}

// p: x, table, positions, out. n: width, head_dim, rotated dims.
KERNEL(rope, 256) {
    u32 width = P.n[0], col = blockIdx.y * 256 + threadIdx.x;
    if (col >= width) return;
    u64 first = (u64)blockIdx.x * width;
    const float* angles = PTR(const float, 1) + (u64)PTR(const u32, 2)[blockIdx.x] * P.n[2];
    PTR(float, 3)[first + col] = rotated(PTR(const float, 0) + first, col, P.n[1], P.n[2], angles);
}

// p: x, out. n: elements.
KERNEL(to_f16, 256) {
    u64 i = (u64)blockIdx.x * 256 + threadIdx.x;
    if (i < P.n[0]) PTR(u16, 1)[i] = to_half(PTR(const float, 0)[i]);
}

// Rows n[1..] of x, whose numbers are a list, one after another. p: x, list, out. n: width.
KERNEL(gather, 256) {
    u32 width = P.n[0], col = blockIdx.y * 256 + threadIdx.x;
    if (col < width) PTR(float, 2)[(u64)blockIdx.x * width + col] = PTR(const float, 0)[(u64)PTR(const u32, 1)[blockIdx.x] * width + col];
}
