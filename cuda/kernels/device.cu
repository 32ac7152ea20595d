// What the kernels need of CUDA beyond its intrinsics. The host emulator of the tests has its own version of this file.

#define DYNAMIC_SHARED(name) extern __shared__ __align__(16) char name[]

__device__ __forceinline__ float half_to_float(unsigned short h) {
    float x;
    asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(h));
    return x;
}

template <typename T> __device__ __forceinline__ T ldg(const T* at) { return __ldg(at); }

// For what is read once.
__device__ __forceinline__ unsigned int ldcs(const unsigned int* at) { return __ldcs(at); }

// c += a * b: 16 x 32 int8 (rows), 32 x 8 int8 (columns), exact.
__device__ __forceinline__ void mma_16_8_32(int* c, const unsigned int* a, unsigned int b0, unsigned int b1) {
#if __CUDA_ARCH__ >= 800
    asm volatile(
        "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
    // Older GPUs are given the kernels without tensor cores.
    __trap();
#endif
}
