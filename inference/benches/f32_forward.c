/* A straightforward f32 forward pass of a llama-class model with random weights, in the style of llama2.c: what `make bench` compares the engine with.
 *
 *   cc -Ofast -march=native -fopenmp f32_forward.c -lm -o f32_forward
 *   OMP_NUM_THREADS=1 ./f32_forward dim hidden layers heads kv_heads vocab tokens
 *
 * Prints seconds of time and of processor time of greedy decoding, one token at a time, with a KV cache. As in llama2.c the rows of a matrix and the
 * heads of attention are shared out among the threads of OpenMP. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int dim, hidden, layers, heads, kv_heads, vocab, context;

typedef struct {
    float *attn_norm, *wq, *wk, *wv, *wo, *ffn_norm, *w_gate, *w_up, *w_down;
} Layer;

static unsigned long long state = 88172645463325252ULL;

static float *weights(size_t n, float spread, float centre) {
    float *w = malloc(n * sizeof(float));
    if (!w) exit(1);
    for (size_t i = 0; i < n; i++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        w[i] = centre + spread * ((state >> 40) / 8388608.0f - 1.0f);
    }
    return w;
}

static float *zeros(size_t n) {
    float *x = calloc(n, sizeof(float));
    if (!x) exit(1);
    return x;
}

/* out[rows] = w[rows][cols] x[cols] */
static void matmul(float *out, const float *x, const float *w, int rows, int cols) {
#pragma omp parallel for
    for (int i = 0; i < rows; i++) {
        float sum = 0.0f;
        for (int j = 0; j < cols; j++) sum += w[(size_t)i * cols + j] * x[j];
        out[i] = sum;
    }
}

static void rmsnorm(float *out, const float *x, const float *w) {
    float sum = 0.0f;
    for (int i = 0; i < dim; i++) sum += x[i] * x[i];
    float scale = 1.0f / sqrtf(sum / dim + 1e-5f);
    for (int i = 0; i < dim; i++) out[i] = w[i] * (scale * x[i]);
}

static void rotate(float *x, int width, int pos) {
    int head_dim = dim / heads;
    for (int i = 0; i < width; i += 2) {
        float angle = pos * powf(10000.0f, -(float)(i % head_dim) / head_dim);
        float c = cosf(angle), s = sinf(angle), a = x[i], b = x[i + 1];
        x[i] = a * c - b * s;
        x[i + 1] = a * s + b * c;
    }
}

int main(int argc, char **argv) {
    if (argc != 8) {
        fprintf(stderr, "usage: %s dim hidden layers heads kv_heads vocab tokens\n", argv[0]);
        return 2;
    }
    dim = atoi(argv[1]), hidden = atoi(argv[2]), layers = atoi(argv[3]);
    heads = atoi(argv[4]), kv_heads = atoi(argv[5]), vocab = atoi(argv[6]), context = atoi(argv[7]);
    int head_dim = dim / heads, kv_dim = head_dim * kv_heads;
    float spread = 1.5f / sqrtf(dim);
    float *embed = weights((size_t)vocab * dim, spread, 0.0f), *last_norm = weights(dim, 0.3f, 1.0f);
    Layer *layer = malloc(layers * sizeof(Layer));
    if (!layer) return 1;
    for (int l = 0; l < layers; l++) {
        size_t square = (size_t)dim * dim, narrow = (size_t)dim * kv_dim, wide = (size_t)dim * hidden;
        layer[l] = (Layer){weights(dim, 0.3f, 1.0f),   weights(square, spread, 0), weights(narrow, spread, 0),
                           weights(narrow, spread, 0), weights(square, spread, 0), weights(dim, 0.3f, 1.0f),
                           weights(wide, spread, 0),   weights(wide, spread, 0),   weights(wide, spread, 0)};
    }
    size_t cache = (size_t)layers * context * kv_dim;
    float *keys = zeros(cache), *values = zeros(cache);
    float *x = zeros(dim), *h = zeros(dim), *q = zeros(dim), *mix = zeros(dim), *o = zeros(dim);
    float *gate = zeros(hidden), *up = zeros(hidden), *logits = zeros(vocab), *scores = zeros((size_t)heads * context);

    int token = 1;
    struct timespec start, end, wall_start, wall_end;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
    clock_gettime(CLOCK_MONOTONIC, &wall_start);
    for (int pos = 0; pos < context; pos++) {
        memcpy(x, embed + (size_t)token * dim, dim * sizeof(float));
        for (int l = 0; l < layers; l++) {
            Layer *w = &layer[l];
            float *k = keys + ((size_t)l * context + pos) * kv_dim, *v = values + ((size_t)l * context + pos) * kv_dim;
            rmsnorm(h, x, w->attn_norm);
            matmul(q, h, w->wq, dim, dim);
            matmul(k, h, w->wk, kv_dim, dim);
            matmul(v, h, w->wv, kv_dim, dim);
            rotate(q, dim, pos);
            rotate(k, kv_dim, pos);
#pragma omp parallel for
            for (int head = 0; head < heads; head++) {
                size_t first = (size_t)l * context * kv_dim + head / (heads / kv_heads) * head_dim;
                const float *past = keys + first;
                float *score = scores + (size_t)head * context;
                float max = -3e38f, sum = 0.0f;
                for (int t = 0; t <= pos; t++) {
                    float s = 0.0f;
                    for (int i = 0; i < head_dim; i++) s += q[head * head_dim + i] * past[(size_t)t * kv_dim + i];
                    score[t] = s / sqrtf(head_dim);
                    if (score[t] > max) max = score[t];
                }
                for (int t = 0; t <= pos; t++) sum += score[t] = expf(score[t] - max);
                float *out = mix + head * head_dim;
                memset(out, 0, head_dim * sizeof(float));
                past = values + first;
                for (int t = 0; t <= pos; t++)
                    for (int i = 0; i < head_dim; i++) out[i] += score[t] / sum * past[(size_t)t * kv_dim + i];
            }
            matmul(o, mix, w->wo, dim, dim);
            for (int i = 0; i < dim; i++) x[i] += o[i];
            rmsnorm(h, x, w->ffn_norm);
            matmul(gate, h, w->w_gate, hidden, dim);
            matmul(up, h, w->w_up, hidden, dim);
            for (int i = 0; i < hidden; i++) gate[i] = gate[i] / (1.0f + expf(-gate[i])) * up[i];
            matmul(o, gate, w->w_down, dim, hidden);
            for (int i = 0; i < dim; i++) x[i] += o[i];
        }
        rmsnorm(h, x, last_norm);
        matmul(logits, h, embed, vocab, dim);
        token = 0;
        for (int i = 1; i < vocab; i++)
            if (logits[i] > logits[token]) token = i;
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    clock_gettime(CLOCK_MONOTONIC, &wall_end);
    double busy = (end.tv_sec - start.tv_sec) + (end.tv_nsec - start.tv_nsec) * 1e-9;
    double wall = (wall_end.tv_sec - wall_start.tv_sec) + (wall_end.tv_nsec - wall_start.tv_nsec) * 1e-9;
    printf("%.9f %.9f\n", wall, busy);
    fprintf(stderr, "last token %d\n", token);
    return 0;
}
