// Runs the GPU's kernels, compiled from the same text as C++, on the processor: blocks one after another, each thread a fiber that gives way at
// barriers and shuffles. A warp or block whose threads wait for different things is reported, not resolved. Working memory starts poisoned.

#include <csetjmp>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ucontext.h>

struct Dim3 {
    unsigned x, y, z;
};
static Dim3 threadIdx, blockIdx, blockDim, gridDim;

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(n)
#define __align__(n)

namespace {

enum State { READY, AT_WARP, AT_BLOCK, DONE };
const unsigned MOST = 1024;
const size_t STACK = 64 * 1024;

struct Fiber {
    State state;
    bool started;
    jmp_buf at;
    ucontext_t context;
};

Fiber fibers[MOST];
jmp_buf scheduler;
ucontext_t main_context;
unsigned current;
char working[256 * 1024] __attribute__((aligned(16)));
void (*entry)();
// Where the lanes of a warp meet: what each brings.
struct Slot {
    uint64_t value;
    unsigned a[4], b[2];
};
Slot slots[MOST];

void give_way(State state) {
    fibers[current].state = state;
    if (!_setjmp(fibers[current].at)) _longjmp(scheduler, 1);
}

void fiber_main() {
    for (;;) {
        entry();
        give_way(DONE);
    }
}

void resume(unsigned i) {
    current = i;
    threadIdx = {i, 0, 0};
    Fiber& fiber = fibers[i];
    if (_setjmp(scheduler)) return;
    if (fiber.started) _longjmp(fiber.at, 1);
    fiber.started = true;
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = malloc(STACK);
    fiber.context.uc_stack.ss_size = STACK;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, fiber_main, 0);
    swapcontext(&main_context, &fiber.context);
}

// Whether all threads of a range that are not done wait for `state`; there must be one.
bool all(unsigned from, unsigned to, State state) {
    unsigned waiting = 0;
    for (unsigned i = from; i < to; i++) {
        if (fibers[i].state == state) waiting++;
        else if (fibers[i].state != DONE) return false;
    }
    return waiting > 0;
}

// A missing barrier shows where threads run in another order each time, and where one warp runs only when no other can.
unsigned random_bits() {
    static unsigned state = 1;
    state ^= state << 13;
    state ^= state >> 17;
    return state ^= state << 5;
}

// Runs a block, whose threads are a power of two; whether all came to their end.
bool run_block(unsigned threads) {
    for (unsigned i = 0; i < threads; i++) fibers[i].state = READY;
    unsigned slow = random_bits() % ((threads + 31) / 32);
    bool stuck = false;
    for (;;) {
        bool moved = false;
        unsigned first = random_bits(), step = random_bits() | 1;
        for (unsigned k = 0; k < threads; k++) {
            unsigned i = (first + k * step) % threads;
            if (fibers[i].state == READY && (stuck || i / 32 != slow)) {
                resume(i);
                moved = true;
            }
        }
        for (unsigned from = 0; from < threads; from += 32) {
            unsigned to = from + 32 < threads ? from + 32 : threads;
            // Every lane takes part in a shuffle: one that ended would be missed.
            unsigned waiting = 0;
            for (unsigned i = from; i < to; i++) waiting += fibers[i].state == AT_WARP;
            if (waiting == to - from) {
                for (unsigned i = from; i < to; i++) fibers[i].state = READY;
                moved = true;
            }
        }
        if (all(0, threads, AT_BLOCK)) {
            for (unsigned i = 0; i < threads; i++) {
                if (fibers[i].state == AT_BLOCK) fibers[i].state = READY;
            }
            moved = true;
        }
        if (!moved && !stuck) {
            stuck = true;
            continue;
        }
        stuck = false;
        if (!moved) {
            for (unsigned i = 0; i < threads; i++) {
                if (fibers[i].state != DONE) return false;
            }
            return true;
        }
    }
}

}  // namespace

#define DYNAMIC_SHARED(name) char* name = working
static inline void __syncthreads() { give_way(AT_BLOCK); }

template <typename T> static inline T __shfl_xor_sync(unsigned, T value, int mask) {
    memcpy(&slots[current].value, &value, sizeof value);
    give_way(AT_WARP);
    T other;
    memcpy(&other, &slots[current ^ mask].value, sizeof other);
    give_way(AT_WARP);
    return other;
}

template <typename To, typename From> static inline To cast(From from) {
    To to;
    memcpy(&to, &from, sizeof to);
    return to;
}
static inline unsigned __float_as_uint(float x) { return cast<unsigned>(x); }
static inline float __uint_as_float(unsigned x) { return cast<float>(x); }
static inline float __int_as_float(int x) { return cast<float>(x); }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fsub_rn(float a, float b) { return a - b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fdiv_rn(float a, float b) { return a / b; }
static inline float __fsqrt_rn(float a) { return sqrtf(a); }
static inline int __float2int_rn(float x) { return (int)lrintf(x); }
static inline int __float2int_rz(float x) { return (int)x; }
static inline float __int2float_rn(int x) { return (float)x; }
static inline float __uint2float_rn(unsigned x) { return (float)x; }
static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) { return (unsigned __int128)a * b >> 64; }
template <typename T> static inline T ldg(const T* at) { return *at; }
static inline unsigned ldcs(const unsigned* at) { return *at; }

static inline int __dp4a(int a, int b, int c) {
    for (int i = 0; i < 4; i++) c += (int8_t)(a >> 8 * i) * (int8_t)(b >> 8 * i);
    return c;
}

// Every bit pattern, from the format's definition.
static inline float half_to_float(unsigned short h) {
    int exponent = h >> 10 & 31, fraction = h & 1023;
    float x = exponent == 0 ? ldexpf((float)fraction, -24) : exponent == 31 ? (fraction ? NAN : INFINITY) : ldexpf((float)(fraction | 1024), exponent - 25);
    return h & 0x8000 ? -x : x;
}

// The fragments as the PTX manual lays them out for m16n8k32: lane = 4 * high + low.
static inline void mma_16_8_32(int* c, const unsigned* a, unsigned b0, unsigned b1) {
    Slot& mine = slots[current];
    memcpy(mine.a, a, sizeof mine.a);
    mine.b[0] = b0;
    mine.b[1] = b1;
    give_way(AT_WARP);
    unsigned warp = current / 32 * 32, high = current % 32 / 4, low = current % 4;
    for (int i = 0; i < 4; i++) {
        unsigned row = high + i / 2 * 8, col = low * 2 + i % 2;
        for (unsigned k = 0; k < 32; k++) {
            unsigned word_a = slots[warp + row % 8 * 4 + k % 16 / 4].a[row / 8 + k / 16 * 2];
            unsigned word_b = slots[warp + col * 4 + k % 16 / 4].b[k / 16];
            c[i] += (int8_t)(word_a >> 8 * (k % 4)) * (int8_t)(word_b >> 8 * (k % 4));
        }
    }
    give_way(AT_WARP);
}

#include "kernels.inc"

namespace {
void (*kernel)(const Params);
const Params* params;
void call() { kernel(*params); }
}  // namespace

// 0, or 1 when threads wait for what never comes, or 2 for a launch that no GPU takes.
extern "C" int emulate(void (*function)(const Params), const unsigned* grid, unsigned threads, unsigned shared, const Params* with) {
    if (threads == 0 || threads > MOST || (threads & (threads - 1)) != 0 || shared > 48 * 1024 || grid[0] == 0 || grid[1] == 0 || grid[2] == 0) return 2;
    if (grid[1] > 65535 || grid[2] > 65535) return 2;
    kernel = function;
    params = with;
    entry = call;
    blockDim = {threads, 1, 1};
    gridDim = {grid[0], grid[1], grid[2]};
    bool backwards = random_bits() % 2;
    unsigned blocks = grid[0] * grid[1] * grid[2];
    for (unsigned k = 0; k < blocks; k++) {
        unsigned i = backwards ? blocks - 1 - k : k;
        blockIdx = {i % grid[0], i / grid[0] % grid[1], i / grid[0] / grid[1]};
        // A NaN wherever a kernel reads what it did not write. What lies past its share is checked.
        memset(working, 0xff, shared);
        memset(working + shared, 0x5a, 256);
        if (!run_block(threads)) return 1;
        for (unsigned at = 0; at < 256; at++) {
            if (working[shared + at] != 0x5a) return 3;
        }
    }
    return 0;
}
