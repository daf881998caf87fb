/* Gated messages along edges, and their gradient, in blocks of rows that stay in the cache.
 *
 * For every row (an edge or an angle) with table rows i, j, k:
 *
 *     first = p[i] + q[j] + r[k]            or   p[i] + q[j] + x[row] X^T          [128]
 *     core, gate = halves of first, each through  W silu(.) + b  if there is a hidden layer
 *     message = silu(norm(core)) * sigmoid(norm(gate)) * w[j]                      [64]
 *     out[i] += message                     or   out[row] = message
 *
 * The gradient recomputes the block instead of keeping it: reading it back from memory would
 * take about as long, and a training step would need several times the memory.
 *
 * Rows of one call must touch other table rows than those of calls that run at the same time:
 * the caller splits at structure boundaries, where graphs share nothing.
 */

#include "vectors.h"

#define WIDTH 64
#define WIDE 128
#define ROWS 48 /* in a block; a multiple of TILE_ROWS */
#define TILE_ROWS 6
#define AHEAD 16 /* rows between the one at work and the one whose table rows are fetched */
#define EPSILON 1e-5f /* of the layer norm, PyTorch's default */
#define PER_HALF (WIDTH / LANES) /* vectors in core or gate */

typedef struct {
    int64_t begin, end;       /* rows of this call */
    int64_t sum;              /* 1: out is summed by i; 0: one row each */
    int64_t x_width, x_pad;   /* columns of x, and those of its padded weight: 32 or 64 */
    const int64_t *i, *j, *k; /* ascending i */
    const float *p, *q, *r;   /* [., 128]; r may be null */
    const float *x;           /* [rows, x_width] or null */
    const float *x_weight;    /* [x_pad, 128] */
    const float *hidden;      /* core then gate, each [64 in, 64 out], or null */
    const float *hidden_bias; /* [128] */
    const float *norm_weight, *norm_bias; /* [128] */
    const float *w;           /* [., 64] or null */
    float *out;
    /* For the gradient; those that are null are not computed. */
    const float *hidden_back; /* core then gate, each [64 out, 64 in] */
    const float *x_back;      /* [128, 64] */
    const float *grad_out;
    float *grad_p, *grad_q, *grad_r, *grad_x, *grad_w; /* added to, but grad_x written */
    float *grad_parameters;   /* added to: hidden [2, 64, 64], hidden_bias, norm_weight, norm_bias, x [128, x_pad] */
} Work;

#if !defined(__AVX512F__)
INLINE vec choose(ivec mask, vec yes, vec no) {
    return (vec)(((ivec)yes & mask) | ((ivec)no & ~mask));
}
#endif

/* The sigmoid of GROUP vectors, stage by stage: independent steps side by side, because a processor's
 * scheduler is too short to find them over the length of one chain.
 *
 * exp(-x) is 2^n times a polynomial of the rest (minimax on +-1/2, relative error 8e-8), kept under
 * 2^120 so that 1 + exp(-x) and its reciprocal are finite. */
INLINE void sigmoids(const vec *x, vec *out) {
    static const float taylor[] = {1.0000001192092896f, 0.6931469440460205f, 0.2402212023735046f,
                                   0.0555071309208870f, 0.0096755409613252f, 0.0013276471290737f};
    const float scale = -1.44269504088896341f;
    vec n[GROUP], f[GROUP], y[GROUP];
    for (int g = 0; g < GROUP; g++) {
#if defined(__AVX512F__)
        f[g] = (vec)_mm512_max_ps((__m512)x[g], _mm512_set1_ps(-83.0f));
        n[g] = (vec)_mm512_roundscale_ps((__m512)(f[g] * scale), 8);
        f[g] = f[g] * scale - n[g];
#else
        const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
        f[g] = choose(x[g] < -83.0f, all(-83.0f), x[g]);
        f[g] = choose(f[g] > 83.0f, all(83.0f), f[g]);
        vec shifted = f[g] * scale + magic;
        f[g] = f[g] * scale - (shifted - magic);
        n[g] = (vec)(((ivec)shifted - (ivec)all(magic) + 127) << 23);
#endif
    }
    for (int g = 0; g < GROUP; g++) y[g] = all(taylor[5]);
    for (int power = 4; power >= 0; power--)
        for (int g = 0; g < GROUP; g++) y[g] = y[g] * f[g] + taylor[power];
#if defined(__AVX512F__)
    for (int g = 0; g < GROUP; g++) y[g] = (vec)_mm512_scalef_ps((__m512)y[g], (__m512)n[g]) + 1.0f;
    for (int g = 0; g < GROUP; g++) n[g] = (vec)_mm512_rcp14_ps((__m512)y[g]);
    for (int g = 0; g < GROUP; g++) out[g] = n[g] * (2.0f - y[g] * n[g]); /* a Newton step: 14 -> 28 bits */
#else
    for (int g = 0; g < GROUP; g++) out[g] = 1.0f / (y[g] * n[g] + 1.0f);
#endif
}

/* out[rows, cols] = start + x[rows, depth] w[depth, cols]; start is one row for all, or out itself. */
INLINE void multiply(
    const float *x, int x_stride, const float *w, int w_stride, int depth, int cols, const float *start,
    float *out, int out_stride, int rows) {
    for (int c = 0; c < cols; c += TILE_VECS * LANES)
        for (int r = 0; r < rows; r += TILE_ROWS) {
            vec sum[TILE_ROWS][TILE_VECS];
            for (int m = 0; m < TILE_ROWS; m++)
                for (int v = 0; v < TILE_VECS; v++)
                    sum[m][v] = load((start ? start : out + (r + m) * out_stride) + c + v * LANES);
            for (int d = 0; d < depth; d++) {
                vec b[TILE_VECS];
                for (int v = 0; v < TILE_VECS; v++) b[v] = load(w + d * w_stride + c + v * LANES);
                for (int m = 0; m < TILE_ROWS; m++)
                    for (int v = 0; v < TILE_VECS; v++) sum[m][v] += x[(r + m) * x_stride + d] * b[v];
            }
            for (int m = 0; m < TILE_ROWS; m++)
                for (int v = 0; v < TILE_VECS; v++) store(out + (r + m) * out_stride + c + v * LANES, sum[m][v]);
        }
}

/* out[n, cols] += g[rows, n]^T x[rows, cols] */
INLINE void multiply_transposed(
    const float *g, int g_stride, const float *x, int x_stride, int rows, int n, int cols, float *out,
    int out_stride) {
    enum { TALL = TILE_VECS == 4 ? 8 : 4 }; /* TALL x 2 accumulators */
    for (int a = 0; a < n; a += TALL)
        for (int c = 0; c < cols; c += 2 * LANES) {
            vec sum[TALL][2];
            for (int m = 0; m < TALL; m++)
                for (int v = 0; v < 2; v++) sum[m][v] = load(out + (a + m) * out_stride + c + v * LANES);
            for (int r = 0; r < rows; r++) {
                vec b[2];
                for (int v = 0; v < 2; v++) b[v] = load(x + r * x_stride + c + v * LANES);
                for (int m = 0; m < TALL; m++)
                    for (int v = 0; v < 2; v++) sum[m][v] += g[r * g_stride + a + m] * b[v];
            }
            for (int m = 0; m < TALL; m++)
                for (int v = 0; v < 2; v++) store(out + (a + m) * out_stride + c + v * LANES, sum[m][v]);
        }
}

/* Bring a table row that will be needed soon into the cache. */
INLINE void fetch(const float *row, int length) {
    for (int c = 0; c < length; c += 16) __builtin_prefetch(row + c); /* lines of 64 bytes */
}

typedef struct {
    float x[ROWS * WIDTH];
    float first[ROWS * WIDE];  /* before the hidden layer's silu */
    float gate[ROWS * WIDE];   /* its sigmoid */
    float active[ROWS * WIDE]; /* its silu */
    float last[ROWS * WIDE];   /* before the norms */
    float inverse[2 * ROWS];   /* of the standard deviations of core and gate */
    float grad[ROWS * WIDE];   /* gradient of last, and what of it lies along last */
    float along[2 * ROWS];
} Block;

/* Fill last for rows begin .. begin + n, and if the gradient follows also first, gate and active. */
INLINE void evaluate(const Work *work, Block *block, int64_t begin, int n, int keep) {
    int dense = work->x != 0, pad = (int)work->x_pad;
    float *first = work->hidden ? block->first : block->last;
    for (int row = 0; row < n; row++) {
        int64_t at = begin + row;
        if (at + AHEAD < work->end) {
            fetch(work->q + WIDE * work->j[at + AHEAD], WIDE);
            if (!dense) fetch(work->r + WIDE * work->k[at + AHEAD], WIDE);
            if (work->w) fetch(work->w + WIDTH * work->j[at + AHEAD], WIDTH);
            if (keep && work->grad_q) fetch(work->grad_q + WIDE * work->j[at + AHEAD], WIDE);
            if (keep && work->grad_r) fetch(work->grad_r + WIDE * work->k[at + AHEAD], WIDE);
            if (keep && work->grad_w) fetch(work->grad_w + WIDTH * work->j[at + AHEAD], WIDTH);
        }
        const float *p = work->p + WIDE * work->i[at], *q = work->q + WIDE * work->j[at];
        const float *r = dense ? 0 : work->r + WIDE * work->k[at];
        for (int c = 0; c < WIDE; c += LANES) {
            vec sum = load(p + c) + load(q + c);
            if (!dense) sum += load(r + c);
            store(first + row * WIDE + c, sum);
        }
    }
    if (n < ROWS) memset(first + n * WIDE, 0, sizeof(float) * WIDE * (ROWS - n));
    int used = (n + TILE_ROWS - 1) / TILE_ROWS * TILE_ROWS;
    if (dense) {
        int width = (int)work->x_width;
        if (width < pad || n < ROWS) memset(block->x, 0, sizeof(float) * ROWS * pad);
        for (int row = 0; row < n; row++)
            memcpy(block->x + row * pad, work->x + (begin + row) * width, sizeof(float) * width);
        multiply(block->x, pad, work->x_weight, WIDE, width, WIDE, 0, first, WIDE, used);
    }
    if (!work->hidden) return;
    float *active = keep ? block->active : first;
    for (int c = 0; c < used * WIDE; c += GROUP * LANES) {
        vec a[GROUP], s[GROUP];
        for (int g = 0; g < GROUP; g++) a[g] = load(first + c + g * LANES);
        sigmoids(a, s);
        for (int g = 0; g < GROUP; g++) {
            if (keep) store(block->gate + c + g * LANES, s[g]);
            store(active + c + g * LANES, a[g] * s[g]);
        }
    }
    for (int half = 0; half < 2; half++)
        multiply(
            active + half * WIDTH, WIDE, work->hidden + half * WIDTH * WIDTH, WIDTH, WIDTH, WIDTH,
            work->hidden_bias + half * WIDTH, block->last + half * WIDTH, WIDE, used);
}

/* What core and gate of every row are multiplied by in their norm (Ba et al., arXiv 1607.06450).
 *
 * Their mean is zero already: the caller has taken it out of the matrices that they come from. All
 * rows go through one stage before the next begins, because within a row each stage waits for the
 * one before. */
INLINE void measure(Block *block, int used) {
    for (int row = 0; row < used; row++)
        for (int half = 0; half < 2; half++) {
            vec squares = all(0);
            for (int v = 0; v < PER_HALF; v++) {
                vec value = load(block->last + row * WIDE + half * WIDTH + v * LANES);
                squares += value * value;
            }
            block->inverse[2 * row + half] = total(squares);
        }
    for (int at = 0; at < 2 * used; at++) block->inverse[at] = 1.0f / sqrtf(block->inverse[at] / WIDTH + EPSILON);
}

/* For one row: a: core after its norm, s: sigmoid(a), open: sigmoid of the gate after its norm. */
INLINE void open_gates(const Work *work, const Block *block, int row, vec *a, vec *s, vec *open) {
    const float *last = block->last + row * WIDE;
    float core = block->inverse[2 * row], gate = block->inverse[2 * row + 1];
    vec b[PER_HALF];
    for (int v = 0; v < PER_HALF; v++) {
        int c = v * LANES;
        a[v] = core * load(last + c) * load(work->norm_weight + c) + load(work->norm_bias + c);
        b[v] = gate * load(last + WIDTH + c) * load(work->norm_weight + WIDTH + c) + load(work->norm_bias + WIDTH + c);
    }
    for (int v = 0; v < PER_HALF; v += GROUP) {
        sigmoids(a + v, s + v);
        sigmoids(b + v, open + v);
    }
}

INLINE void add(float *to, vec value) { store(to, load(to) + value); }

/* Turn the gradient of messages into that of core and gate before their norms, in block->grad. */
INLINE void differentiate(const Work *work, Block *block, int64_t begin, int n) {
    float *grad_norm_weight = work->grad_parameters + 2 * WIDTH * WIDTH + WIDE;
    float *grad_norm_bias = grad_norm_weight + WIDE;
    for (int row = 0; row < n; row++) {
        int64_t at = begin + row;
        const float *grad_out = work->grad_out + WIDTH * (work->sum ? work->i[at] : at);
        const float *last = block->last + row * WIDE;
        float *out = block->grad + row * WIDE;
        float core = block->inverse[2 * row], gate = block->inverse[2 * row + 1];
        vec a[PER_HALF], s[PER_HALF], open[PER_HALF], along_core = all(0), along_gate = all(0);
        open_gates(work, block, row, a, s, open);
        for (int v = 0; v < PER_HALF; v++) {
            int c = v * LANES;
            vec value = a[v] * s[v], grad = load(grad_out + c);
            if (work->w) {
                if (work->grad_w) add(work->grad_w + WIDTH * work->j[at] + c, grad * value * open[v]);
                grad *= load(work->w + WIDTH * work->j[at] + c);
            }
            vec of_core = grad * open[v] * (s[v] + value * (1.0f - s[v]));
            vec of_gate = grad * value * open[v] * (1.0f - open[v]);
            vec normal_core = core * load(last + c), normal_gate = gate * load(last + WIDTH + c);
            if (work->grad_parameters) {
                add(grad_norm_weight + c, of_core * normal_core);
                add(grad_norm_weight + WIDTH + c, of_gate * normal_gate);
                add(grad_norm_bias + c, of_core);
                add(grad_norm_bias + WIDTH + c, of_gate);
            }
            of_core *= load(work->norm_weight + c);
            of_gate *= load(work->norm_weight + WIDTH + c);
            along_core += of_core * normal_core;
            along_gate += of_gate * normal_gate;
            store(out + c, of_core);
            store(out + WIDTH + c, of_gate);
        }
        block->along[2 * row] = total(along_core) / WIDTH;
        block->along[2 * row + 1] = total(along_gate) / WIDTH;
    }
    for (int row = 0; row < n; row++)
        for (int half = 0; half < 2; half++) {
            float inverse = block->inverse[2 * row + half], along = block->along[2 * row + half] * inverse;
            for (int v = 0; v < PER_HALF; v++) {
                int c = row * WIDE + half * WIDTH + v * LANES;
                store(block->grad + c, inverse * (load(block->grad + c) - along * load(block->last + c)));
            }
        }
    if (n < ROWS) memset(block->grad + n * WIDE, 0, sizeof(float) * WIDE * (ROWS - n));
}

void moma_gated_forward(const Work *work) {
    FLUSH_DENORMALS;
    Block block;
    for (int64_t begin = work->begin; begin < work->end; begin += ROWS) {
        int n = (int)(work->end - begin < ROWS ? work->end - begin : ROWS);
        evaluate(work, &block, begin, n, 0);
        measure(&block, n);
        for (int row = 0; row < n; row++) {
            int64_t at = begin + row;
            float *out = work->out + WIDTH * (work->sum ? work->i[at] : at);
            vec a[PER_HALF], s[PER_HALF], open[PER_HALF];
            open_gates(work, &block, row, a, s, open);
            for (int v = 0; v < PER_HALF; v++) {
                int c = v * LANES;
                vec message = a[v] * s[v] * open[v];
                if (work->w) message *= load(work->w + WIDTH * work->j[at] + c);
                store(out + c, work->sum ? load(out + c) + message : message);
            }
        }
    }
    RESTORE;
}

void moma_gated_backward(const Work *work) {
    FLUSH_DENORMALS;
    Block block;
    float *grad_hidden = work->grad_parameters, *grad_bias = grad_hidden + 2 * WIDTH * WIDTH;
    float *grad_x_weight = grad_bias + 3 * WIDE;
    int parameters = work->grad_parameters != 0, pad = (int)work->x_pad;
    for (int64_t begin = work->begin; begin < work->end; begin += ROWS) {
        int n = (int)(work->end - begin < ROWS ? work->end - begin : ROWS);
        int used = (n + TILE_ROWS - 1) / TILE_ROWS * TILE_ROWS;
        evaluate(work, &block, begin, n, 1);
        measure(&block, n);
        differentiate(work, &block, begin, n);
        float *grad_first = block.grad;
        if (work->hidden) {
            for (int half = 0; half < 2; half++) {
                float *grad_last = block.grad + half * WIDTH;
                if (parameters) {
                    multiply_transposed(
                        grad_last, WIDE, block.active + half * WIDTH, WIDE, n, WIDTH, WIDTH,
                        grad_hidden + half * WIDTH * WIDTH, WIDTH);
                    for (int row = 0; row < n; row++)
                        for (int c = 0; c < WIDTH; c += LANES)
                            add(grad_bias + half * WIDTH + c, load(grad_last + row * WIDE + c));
                }
            }
            /* The gradient of silu, while active is not needed any more. */
            for (int c = 0; c < used * WIDE; c += LANES) {
                vec s = load(block.gate + c);
                store(block.first + c, s + load(block.first + c) * s * (1.0f - s));
            }
            static const float zero[WIDTH];
            for (int half = 0; half < 2; half++)
                multiply(
                    block.grad + half * WIDTH, WIDE, work->hidden_back + half * WIDTH * WIDTH, WIDTH, WIDTH, WIDTH,
                    zero, block.active + half * WIDTH, WIDE, used);
            for (int c = 0; c < used * WIDE; c += LANES)
                store(block.active + c, load(block.active + c) * load(block.first + c));
            grad_first = block.active;
        }
        for (int row = 0; row < n; row++) {
            int64_t at = begin + row;
            for (int c = 0; c < WIDE; c += LANES) {
                vec grad = load(grad_first + row * WIDE + c);
                if (work->grad_p) add(work->grad_p + WIDE * work->i[at] + c, grad);
                if (work->grad_q) add(work->grad_q + WIDE * work->j[at] + c, grad);
                if (work->grad_r) add(work->grad_r + WIDE * work->k[at] + c, grad);
            }
        }
        if (!work->x) continue;
        if (parameters) multiply_transposed(grad_first, WIDE, block.x, pad, n, WIDE, pad, grad_x_weight, pad);
        if (work->grad_x) {
            static const float zero[WIDTH];
            multiply(grad_first, WIDE, work->x_back, WIDTH, WIDE, WIDTH, zero, block.x, WIDTH, used);
            memcpy(work->grad_x + WIDTH * begin, block.x, sizeof(float) * WIDTH * n);
        }
    }
    RESTORE;
}
