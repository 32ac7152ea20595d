// Selection (section 4).

// The greatest of a block's numbers, in every thread. Shared: 32 u64.
__device__ __forceinline__ u64 block_best(u64 best, u64* shared) {
    best = warp_best(best);
    __syncthreads();
    if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = best;
    __syncthreads();
    best = 0;
    for (u32 w = 0; w < blockDim.x / 32; w++) best = shared[w] > best ? shared[w] : best;
    return best;
}

__device__ __forceinline__ u64 block_sum(u64 sum, u64* shared) {
    for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(FULL, sum, step);
    __syncthreads();
    if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = sum;
    __syncthreads();
    sum = 0;
    for (u32 w = 0; w < blockDim.x / 32; w++) sum += shared[w];
    return sum;
}

// The best token of each row of logits and its logit's bits. p: logits, out [rows][2]. n: vocab. Shared: 32 u64.
KERNEL(best, 1024) {
    DYNAMIC_SHARED(shared);
    const float* logits = PTR(const float, 0) + (u64)blockIdx.x * P.n[0];
    u64 best = 0;
    for (u32 i = threadIdx.x; i < P.n[0]; i += 1024) {
        u64 other = contender(logits[i], i, false);
        best = other > best ? other : best;
    }
    best = block_best(best, (u64*)shared);
    if (threadIdx.x == 0) {
        PTR(u32, 1)[blockIdx.x * 2] = place_of(best);
        PTR(u32, 1)[blockIdx.x * 2 + 1] = __float_as_uint(logits[place_of(best)]);
    }
}

// How many masses are at least u, or their sum.
__device__ __forceinline__ u64 masses_from(const u32* masses, u32 vocab, u32 u, bool count, u64* shared) {
    u64 sum = 0;
    for (u32 i = threadIdx.x; i < vocab; i += 1024) {
        if (masses[i] >= u) sum += count ? 1 : masses[i];
    }
    return block_sum(sum, shared);
}

// The largest u with masses_from(u) >= need; 0 if there is none.
__device__ __forceinline__ u32 largest_from(const u32* masses, u32 vocab, u64 need, bool count, u64* shared) {
    u32 u = 0;
    for (int bit = 30; bit >= 0; bit--) {
        u32 tried = u | 1u << bit;
        if (masses_from(masses, vocab, tried, count, shared) >= need) u = tried;
    }
    return u;
}

// The token that 64 random bits draw from a row of logits. p: logits, masses, out. n: vocab, top_k, top_p, min_p, bits (low, high).
// f: the best logit, temperature. One block. Shared: 1024 u64.
KERNEL(choose, 1024) {
    DYNAMIC_SHARED(dynamic);
    u64* shared = (u64*)dynamic;
    u32 vocab = P.n[0];
    const float* logits = PTR(const float, 0);
    u32* masses = PTR(u32, 1);
    for (u32 i = threadIdx.x; i < vocab; i += 1024) {
        float e = exp_rn(__fdiv_rn(__fsub_rn(logits[i], P.f[0]), P.f[1]));
        masses[i] = is_nan(e) ? 0 : (u32)__float2int_rz(mul(e, 1073741824.0f));
    }
    __syncthreads();
    u32 threshold = 1;
    if (P.n[1] > 0) {
        u32 u = largest_from(masses, vocab, P.n[1], true, shared);
        threshold = u > 1 ? u : 1;
    }
    if (P.n[2] < 1000000) {
        u64 sum = masses_from(masses, vocab, threshold, false, shared), p = P.n[2];
        u64 need = sum / 1000000 * p + (sum % 1000000 * p + 999999) / 1000000;
        u32 u = largest_from(masses, vocab, need > 1 ? need : 1, false, shared);
        threshold = u > threshold ? u : threshold;
    }
    u32 min_p = (u32)((((u64)P.n[3] << 30) + 999999) / 1000000);
    threshold = min_p > threshold ? min_p : threshold;
    u64 total = masses_from(masses, vocab, threshold, false, shared);
    u64 r = __umul64hi((u64)P.n[5] << 32 | P.n[4], total);
    u32 each = (vocab + 1023) / 1024, first = threadIdx.x * each;
    u32 end = first + each < vocab ? first + each : vocab;
    u64 sum = 0;
    for (u32 i = first; i < end; i++) sum += masses[i] >= threshold ? masses[i] : 0;
    __syncthreads();
    shared[threadIdx.x] = sum;
    __syncthreads();
    u64 before = 0;
    for (u32 i = 0; i < threadIdx.x; i++) before += shared[i];
    if (before > r || before + sum <= r) return;
    for (u32 i = first; i < end; i++) {
        before += masses[i] >= threshold ? masses[i] : 0;
        if (before > r) {
            PTR(u32, 2)[0] = i;
            return;
        }
    }
}
