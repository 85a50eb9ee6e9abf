// Matrix products against packed weights: rows of x, each named by its address, times panels of 16 outputs.
//
// A packed matrix [N, K] is [ceil(N / 16)][K][16], zeros past N. Every output is one chain of fused multiply-adds over k ascending,
// whatever the number of rows, so a row's result does not depend on the rows beside it (batch-mates, a speculated token) by a bit.
#pragma once
#include "team.h"
#include "vector.h"

namespace sluice {

constexpr int64_t PANEL = 16;
constexpr int64_t PANEL_VECTORS = PANEL / WIDE;
constexpr int64_t DEPTH = 256;      // k at a time: a panel's part (16 KiB) stays in the first-level cache
constexpr int64_t ROW_BLOCK = 128;  // rows at a time: their sums (8 KiB) too
constexpr int64_t TILE_ROWS = 6;    // 6 x 16 sums fill AVX2's registers

inline int64_t panels(int64_t n) { return (n + PANEL - 1) / PANEL; }

// sums[MR][NP * 16] (+)= rows x (NP panels), k in [begin, end).
template <int MR, int NP>
__attribute__((always_inline)) inline void tile(const float* const* rows, const float* packed, int64_t panel_size,
                                                int64_t begin, int64_t end, float* sums) {
  constexpr int NV = NP * PANEL_VECTORS;
  const float* x[MR];
  wide acc[MR][NV];
#pragma GCC unroll 16
  for (int r = 0; r < MR; ++r) {
    x[r] = rows[r];
#pragma GCC unroll 16
    for (int v = 0; v < NV; ++v) acc[r][v] = begin ? load_wide(sums + r * NP * PANEL + v * WIDE) : wide{};
  }
  const float* w = packed + begin * PANEL;
  for (int64_t k = begin; k < end; ++k, w += PANEL) {
    wide b[NV];
#pragma GCC unroll 16
    for (int v = 0; v < NV; ++v) {
      b[v] = load_wide(w + v / PANEL_VECTORS * panel_size + v % PANEL_VECTORS * WIDE);
      if (MR > 1) hold(b[v]);
    }
#pragma GCC unroll 16
    for (int r = 0; r < MR; ++r) {
      const wide a = all_wide(x[r][k]);
#pragma GCC unroll 16
      for (int v = 0; v < NV; ++v) acc[r][v] += a * b[v];
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < MR; ++r)
#pragma GCC unroll 16
    for (int v = 0; v < NV; ++v) store_wide(sums + r * NP * PANEL + v * WIDE, acc[r][v]);
}

void tile_rows(int64_t count, const float* const* rows, const float* packed, int64_t begin, int64_t end, float* sums);
void tile_one(int64_t panel_count, const float* row, const float* packed, int64_t panel_size, int64_t depth, float* sums);
void tile_two(int64_t panel_count, const float* const* rows, const float* packed, int64_t panel_size, int64_t depth, float* sums);

// All rows times panels [first, last); done(row, panel, sums of 16) for each.
template <class Done>
void product(const float* const* rows, int64_t count, int64_t depth, const float* packed, int64_t first, int64_t last,
             const Done& done) {
  alignas(64) float sums[ROW_BLOCK * PANEL];
  const int64_t panel_size = depth * PANEL;
  if (count <= 2) {  // little to reuse: several panels at once hide the adder's latency
    const int64_t group = count == 1 ? 4 : 2;
    for (int64_t p = first; p < last; p += group) {
      const int64_t here = std::min(group, last - p);
      if (count == 1) tile_one(here, rows[0], packed + p * panel_size, panel_size, depth, sums);
      else tile_two(here, rows, packed + p * panel_size, panel_size, depth, sums);
      for (int64_t r = 0; r < count; ++r)
        for (int64_t j = 0; j < here; ++j) done(r, p + j, sums + (r * here + j) * PANEL);
    }
    return;
  }
  for (int64_t start = 0; start < count; start += ROW_BLOCK) {
    const int64_t size = std::min(ROW_BLOCK, count - start);
    const int64_t tiles = (size + TILE_ROWS - 1) / TILE_ROWS;
    const int64_t step = size > TILE_ROWS ? DEPTH : depth;
    for (int64_t p = first; p < last; ++p) {
      const float* panel = packed + p * panel_size;
      for (int64_t k = 0; k < depth; k += step)
        for (int64_t t = 0; t < tiles; ++t) {  // even tiles: 8 rows are 4 + 4, not 6 + 2
          const int64_t r = size * t / tiles;
          tile_rows(size * (t + 1) / tiles - r, rows + start + r, panel, k, std::min(depth, k + step), sums + r * PANEL);
        }
      for (int64_t r = 0; r < size; ++r) done(start + r, p, sums + r * PANEL);
    }
  }
}

// The same for rows that lie `stride` apart.
template <class Done>
void product_strided(const float* x, int64_t stride, int64_t count, int64_t depth, const float* packed, int64_t first, int64_t last,
                     const Done& done) {
  const float* rows[ROW_BLOCK];
  for (int64_t start = 0; start < count; start += ROW_BLOCK) {
    const int64_t size = std::min(ROW_BLOCK, count - start);
    for (int64_t r = 0; r < size; ++r) rows[r] = x + (start + r) * stride;
    product(rows, size, depth, packed, first, last, [&](int64_t r, int64_t p, const float* sums) { done(start + r, p, sums); });
  }
}

struct Linear {
  const float* x;
  int64_t rows, depth, stride;  // stride: between rows of x
  const float* packed;
  int64_t n;
  const float* bias;      // [n] or null
  const float* residual;  // [rows, n] or null
  float* out;             // [rows, n]
};
void linear(Team team, const Linear& f);
void pack(const float* w, int64_t n, int64_t depth, float* packed);

}  // namespace sluice
