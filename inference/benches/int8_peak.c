/* Peak of int8 dot products: independent accumulators in registers, no memory. Prints the instruction and operations per second (a multiplication and an
 * addition count as two) of all threads together.
 *
 *   cc -O3 -march=native int8_peak.c -lpthread -o int8_peak && ./int8_peak threads
 *
 * One thread is timed in processor time, several in time. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define CHAINS 12

#if defined(__AVX512VNNI__) && defined(__AVX512F__)
#include <immintrin.h>
#define NAME "vpdpbusd, 512 bits"
#define PAIRS 64
typedef __m512i Vector;
#define START(i) _mm512_set1_epi32((int)(i) + 1)
/* As assembly: compilers put moves around the intrinsic. */
static inline Vector dot(Vector sum, Vector a, Vector b) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
}
#define DOT(sum, a, b) dot(sum, a, b)
#define ADD(a, b) _mm512_add_epi32(a, b)
#elif defined(__AVXVNNI__)
#include <immintrin.h>
#define NAME "vpdpbusd, 256 bits"
#define PAIRS 32
typedef __m256i Vector;
#define START(i) _mm256_set1_epi32((int)(i) + 1)
#define DOT(sum, a, b) _mm256_dpbusd_avx_epi32(sum, a, b)
#define ADD(a, b) _mm256_add_epi32(a, b)
#elif defined(__AVX2__)
#include <immintrin.h>
#define NAME "vpmaddubsw, vpmaddwd and vpaddd, 256 bits"
#define PAIRS 32
typedef __m256i Vector;
#define START(i) _mm256_set1_epi32((int)(i) + 1)
/* The operand changes with the sum, so that no product can be taken out of the loop. */
#define DOT(sum, a, b) _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_xor_si256(a, sum), b), _mm256_set1_epi16(1)))
#define ADD(a, b) _mm256_add_epi32(a, b)
#elif defined(__ARM_FEATURE_DOTPROD)
#include <arm_neon.h>
#define NAME "sdot, 128 bits"
#define PAIRS 16
typedef int32x4_t Vector;
#define START(i) vdupq_n_s32((int)(i) + 1)
#define DOT(sum, a, b) vdotq_s32(sum, vreinterpretq_s8_s32(a), vreinterpretq_s8_s32(b))
#define ADD(a, b) vaddq_s32(a, b)
#else
#define NAME "plain C"
#define PAIRS 1
typedef int32_t Vector;
#define START(i) ((int32_t)(i) + 1)
#define DOT(sum, a, b) ((sum) + (int8_t)((a) ^ (sum)) * (int8_t)(b))
#define ADD(a, b) ((a) + (b))
#endif

static const long rounds = PAIRS == 1 ? 20000000 : 100000000;

static double now(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

/* Named sums: compilers keep them where they are, in registers. */
static void *work(void *argument) {
    Vector a = START(1), b = START(2), s0 = START(0), s1 = START(1), s2 = START(2), s3 = START(3), s4 = START(4), s5 = START(5);
    Vector s6 = START(6), s7 = START(7), s8 = START(8), s9 = START(9), s10 = START(10), s11 = START(11);
    for (long n = 0; n < rounds; n++) {
        s0 = DOT(s0, a, b), s1 = DOT(s1, a, b), s2 = DOT(s2, a, b), s3 = DOT(s3, a, b), s4 = DOT(s4, a, b), s5 = DOT(s5, a, b);
        s6 = DOT(s6, a, b), s7 = DOT(s7, a, b), s8 = DOT(s8, a, b), s9 = DOT(s9, a, b), s10 = DOT(s10, a, b), s11 = DOT(s11, a, b);
    }
    s0 = ADD(ADD(ADD(s0, s1), ADD(s2, s3)), ADD(ADD(s4, s5), ADD(s6, s7)));
    volatile Vector keep = ADD(ADD(s0, ADD(s8, s9)), ADD(s10, s11));
    (void)keep;
    return argument;
}

int main(int argc, char **argv) {
    int threads = argc > 1 ? atoi(argv[1]) : 1;
    if (threads < 1 || threads > 1024) {
        fprintf(stderr, "usage: %s threads\n", argv[0]);
        return 2;
    }
    pthread_t *ids = malloc(threads * sizeof(pthread_t));
    if (!ids) return 1;
    clockid_t clock = threads == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC;
    double start = now(clock);
    for (int i = 1; i < threads; i++)
        if (pthread_create(&ids[i], NULL, work, NULL)) return 1;
    work(NULL);
    for (int i = 1; i < threads; i++) pthread_join(ids[i], NULL);
    double seconds = now(clock) - start;
    printf("%s\n%.0f\n", NAME, 2.0 * PAIRS * CHAINS * rounds * threads / seconds);
    return 0;
}
