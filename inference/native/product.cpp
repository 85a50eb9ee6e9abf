// The register-blocked tiles, packing, and x W^T + bias + residual.
#include "product.h"

namespace sluice {

void tile_rows(int64_t count, const float* const* rows, const float* packed, int64_t begin, int64_t end, float* sums) {
  switch (count) {
    case 1: return tile<1, 1>(rows, packed, 0, begin, end, sums);
    case 2: return tile<2, 1>(rows, packed, 0, begin, end, sums);
    case 3: return tile<3, 1>(rows, packed, 0, begin, end, sums);
    case 4: return tile<4, 1>(rows, packed, 0, begin, end, sums);
    case 5: return tile<5, 1>(rows, packed, 0, begin, end, sums);
    default: return tile<6, 1>(rows, packed, 0, begin, end, sums);
  }
}

void tile_one(int64_t panel_count, const float* row, const float* packed, int64_t panel_size, int64_t depth, float* sums) {
  switch (panel_count) {
    case 1: return tile<1, 1>(&row, packed, panel_size, 0, depth, sums);
    case 2: return tile<1, 2>(&row, packed, panel_size, 0, depth, sums);
    case 3: return tile<1, 3>(&row, packed, panel_size, 0, depth, sums);
    default: return tile<1, 4>(&row, packed, panel_size, 0, depth, sums);
  }
}

void tile_two(int64_t panel_count, const float* const* rows, const float* packed, int64_t panel_size, int64_t depth,
              float* sums) {
  if (panel_count == 1) return tile<2, 1>(rows, packed, panel_size, 0, depth, sums);
  tile<2, 2>(rows, packed, panel_size, 0, depth, sums);
}

void linear(Team team, const Linear& f) {
  const int64_t count = panels(f.n);
  // few rows: split the panels, so that every weight is read once; many rows: blocks of rows too
  const int64_t row_blocks = (f.rows + ROW_BLOCK - 1) / ROW_BLOCK;
  const bool by_rows = row_blocks >= team.size * 2;
  const Range rows = by_rows ? team.share(f.rows, ROW_BLOCK) : Range{0, f.rows};
  const Range mine = by_rows ? Range{0, count} : team.share(count);
  const float* x = f.x + rows.begin * f.stride;
  const auto finish = [&](int64_t r, int64_t p, const float* sums) {
    const int64_t column = p * PANEL, at = (rows.begin + r) * f.n + column;
    if (column + PANEL <= f.n) {
#pragma GCC unroll 2
      for (int64_t i = 0; i < PANEL; i += 8) {
        v8 y = load(sums + i);
        if (f.bias) y += load(f.bias + column + i);
        if (f.residual) y += load(f.residual + at + i);
        store(f.out + at + i, y);
      }
      return;
    }
    for (int64_t i = 0; column + i < f.n; ++i) {
      float y = sums[i];
      if (f.bias) y += f.bias[column + i];
      if (f.residual) y += f.residual[at + i];
      f.out[at + i] = y;
    }
  };
  product_strided(x, f.stride, rows.end - rows.begin, f.depth, f.packed, mine.begin, mine.end, finish);
}

void pack(const float* w, int64_t n, int64_t depth, float* packed) {
  for (int64_t p = 0; p < panels(n); ++p)
    for (int64_t k = 0; k < depth; ++k)
      for (int64_t i = 0; i < PANEL; ++i) *packed++ = p * PANEL + i < n ? w[(p * PANEL + i) * depth + k] : 0.0f;
}

}  // namespace sluice
