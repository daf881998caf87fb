/* The k nearest other rows of all rows, by the dot product of rows of length 1.
 *
 * Products are made in float32, tile by tile in registers, and compared at once with the k-th
 * largest that both their rows have seen: no similarity is ever written to memory but the few that
 * may be among the k largest. These are ranked in float64 at the end. A row with more near ties
 * than its list can hold is given up, and left to the caller.
 *
 * A call looks at a block of pairs, rows times columns, and changes the lists of both (of the rows
 * alone where they are the columns too): calls that run at the same time must share neither.
 */

#include "vectors.h"

#define TILE_ROWS 6
#define TILE_COLUMNS (TILE_VECS * LANES)
#define PANEL_BYTES (256 * 1024) /* of columns that stay in the cache while all rows go by */
#define ROUND 1e12               /* similarities that agree to so many are a tie, the lower row wins */

typedef struct {
    int64_t begin, end;               /* rows of this call */
    int64_t column_begin, column_end; /* columns of this call; the first is a multiple of 64 */
    int64_t m, d, k;                  /* rows in all, their length, neighbours wanted */
    int64_t capacity;                 /* of a row's list of candidates, more than k */
    const float *packed;              /* [tiles, d, 64]: 64 rows side by side, zero after the last */
    const float *rows;                /* [m, d] */
    const double *exact;              /* [m, d] */
    float *thresholds; /* [64 tiles]: least product that may be among the k largest; infinite after the last */
    float *largest;    /* [m, k]: the k largest products so far, descending */
    float *found;      /* [m, capacity]: products that may be among the k largest, */
    int32_t *columns;  /* [m, capacity]: and the rows they are with, */
    int32_t *counts;   /* [m]: so many */
    double margin;     /* twice the error of a product in float32 */
    int64_t *indices;     /* [m, k]: results */
    double *similarities; /* [m, k] */
    int8_t *given_up;     /* [m] */
} Search;

/* Forget a row's candidates below its threshold; return whether that made room. */
static int make_room(const Search *search, int64_t row) {
    float *found = search->found + row * search->capacity, threshold = search->thresholds[row];
    int32_t *columns = search->columns + row * search->capacity, kept = 0;
    for (int32_t c = 0; c < search->counts[row]; c++)
        if (found[c] >= threshold) {
            found[kept] = found[c];
            columns[kept++] = columns[c];
        }
    search->counts[row] = kept;
    return kept < search->capacity;
}

/* Note a product that reaches the row's threshold, and raise that. */
static void note(const Search *search, int64_t row, float value, int64_t other) {
    int64_t k = search->k;
    if (search->counts[row] == search->capacity && !make_room(search, row)) {
        search->thresholds[row] = INFINITY;
        return;
    }
    int64_t place = row * search->capacity + search->counts[row]++;
    search->found[place] = value;
    search->columns[place] = (int32_t)other;
    float *largest = search->largest + row * k;
    if (value <= largest[k - 1]) return;
    int64_t at = k - 1;
    for (; at > 0 && largest[at - 1] < value; at--) largest[at] = largest[at - 1];
    largest[at] = value;
    search->thresholds[row] = largest[k - 1] - (float)search->margin;
}

/* One bit for each lane where a >= b. */
INLINE unsigned reached(vec a, vec b) {
#if defined(__AVX512F__)
    return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GE_OQ);
#elif defined(__AVX__)
    return _mm256_movemask_ps(_mm256_cmp_ps((__m256)a, (__m256)b, _CMP_GE_OQ));
#elif defined(__SSE2__)
    return _mm_movemask_ps(_mm_cmpge_ps((__m128)a, (__m128)b));
#else
    unsigned bits = 0;
    for (int l = 0; l < LANES; l++) bits |= (unsigned)(a[l] >= b[l]) << l;
    return bits;
#endif
}

/* Multiply up to TILE_ROWS rows with 64 columns and note what reaches a threshold. */
INLINE void compare_tile(const Search *search, int64_t row, int n, int64_t tile, int both) {
    const float *rows[TILE_ROWS];
    for (int m = 0; m < TILE_ROWS; m++) /* the last row again where there is none left */
        rows[m] = search->rows + (row + (m < n ? m : n - 1)) * search->d;
    for (int c = 0; c < 64; c += TILE_COLUMNS) {
        const float *b = search->packed + tile * 64 * search->d + c;
        int64_t column = tile * 64 + c;
        vec sum[TILE_ROWS][TILE_VECS];
        for (int m = 0; m < TILE_ROWS; m++)
            for (int v = 0; v < TILE_VECS; v++) sum[m][v] = all(0);
        for (int64_t d = 0; d < search->d; d++)
            for (int v = 0; v < TILE_VECS; v++) {
                vec value = load(b + d * 64 + v * LANES);
                for (int m = 0; m < TILE_ROWS; m++) sum[m][v] += rows[m][d] * value;
            }
        for (int v = 0; v < TILE_VECS; v++) {
            int64_t first = column + v * LANES;
            vec of_columns = both ? load(search->thresholds + first) : all(INFINITY);
            for (int m = 0; m < n; m++) {
                unsigned of_row = reached(sum[m][v], all(search->thresholds[row + m]));
                unsigned of_column = reached(sum[m][v], of_columns);
                if (!(of_row | of_column)) continue;
                float values[LANES];
                store(values, sum[m][v]);
                for (; of_row; of_row &= of_row - 1) {
                    int at = __builtin_ctz(of_row);
                    if (first + at == row + m || first + at >= search->m) continue;
                    if (values[at] >= search->thresholds[row + m]) note(search, row + m, values[at], first + at);
                }
                for (; of_column; of_column &= of_column - 1) {
                    int at = __builtin_ctz(of_column);
                    if (values[at] >= search->thresholds[first + at]) note(search, first + at, values[at], row + m);
                }
            }
        }
    }
}

void moma_compare(const Search *search) {
    FLUSH_DENORMALS;
    int64_t tile_bytes = 64 * search->d * (int64_t)sizeof(float), per_panel = PANEL_BYTES / tile_bytes + 1;
    int64_t first = search->column_begin / 64, last = (search->column_end + 63) / 64;
    int both = search->begin != search->column_begin;
    for (int64_t panel = first; panel < last; panel += per_panel)
        for (int64_t row = search->begin; row < search->end; row += TILE_ROWS) {
            int n = (int)(search->end - row < TILE_ROWS ? search->end - row : TILE_ROWS);
            for (int64_t tile = panel; tile < last && tile < panel + per_panel; tile++)
                compare_tile(search, row, n, tile, both);
        }
    RESTORE;
}

INLINE double product(const double *a, const double *b, int64_t length) {
    double part[8] = {0}, sum = 0; /* eight sums side by side do not wait for one another */
    int64_t d = 0;
    for (; d + 8 <= length; d += 8)
        for (int p = 0; p < 8; p++) part[p] += a[d + p] * b[d + p];
    for (; d < length; d++) sum += a[d] * b[d];
    for (int p = 0; p < 8; p++) sum += part[p];
    return sum;
}

/* Rank the candidates of all rows of the call in float64; ties go to the lower row. */
void moma_rank(const Search *search) {
    int64_t k = search->k, d = search->d;
    for (int64_t row = search->begin; row < search->end; row++) {
        int64_t n = 0, *indices = search->indices + row * k;
        double *similarities = search->similarities + row * k;
        if (search->thresholds[row] != INFINITY) make_room(search, row);
        for (int32_t c = 0; search->thresholds[row] != INFINITY && c < search->counts[row]; c++) {
            int64_t other = search->columns[row * search->capacity + c];
            double exact = product(search->exact + row * d, search->exact + other * d, d);
            exact = nearbyint(exact * ROUND) / ROUND;
            int64_t at = n < k ? n++ : k;
            for (; at > 0; at--) { /* move up those that come after it */
                double before = similarities[at - 1];
                if (before > exact || (before == exact && indices[at - 1] < other)) break;
                if (at == k) continue; /* the last one falls out */
                similarities[at] = before;
                indices[at] = indices[at - 1];
            }
            if (at == k) continue;
            similarities[at] = exact;
            indices[at] = other;
        }
        search->given_up[row] = n < k;
    }
}
