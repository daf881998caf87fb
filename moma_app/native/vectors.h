/* Vectors of floats of the processor's own width, by GCC's extensions (also in Clang).
 *
 * Measured with AVX-512, AVX2 and SSE2, not yet on Arm. No pointer needs alignment beyond that of
 * its type.
 */

#ifndef MOMA_VECTORS_H
#define MOMA_VECTORS_H

#include <math.h>
#include <stdint.h>
#include <string.h>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

/* Numbers in a vector register; vectors of a tile (TILE_ROWS x TILE_VECS accumulators must fit the
 * registers); vectors that a chain of elementwise steps takes side by side. */
#if defined(__AVX512F__)
#define LANES 16
#define TILE_VECS 4
#define GROUP 4
#elif defined(__AVX__)
#define LANES 8
#define TILE_VECS 2
#define GROUP 2
#elif defined(__aarch64__)
#define LANES 4
#define TILE_VECS 4
#define GROUP 4
#else
#define LANES 4
#define TILE_VECS 2
#define GROUP 2
#endif

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef float free_vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t ivec __attribute__((vector_size(4 * LANES)));

#define INLINE static inline __attribute__((always_inline))

INLINE vec load(const float *from) { return *(const free_vec *)from; }
INLINE void store(float *to, vec value) { *(free_vec *)to = value; }
INLINE vec all(float value) { return (vec){0} + value; }

INLINE float total(vec value) {
    float part[LANES];
    memcpy(part, &value, sizeof part);
    for (int length = LANES / 2; length >= 1; length /= 2)
        for (int l = 0; l < length; l++) part[l] += part[l + length];
    return part[0];
}

#if defined(__SSE2__)
#define FLUSH_DENORMALS unsigned state = _mm_getcsr(); _mm_setcsr(state | 0x8040)
#define RESTORE _mm_setcsr(state)
#else
#define FLUSH_DENORMALS
#define RESTORE
#endif

#endif
