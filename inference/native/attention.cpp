// One key and value head is shared by all query heads, so a cached row is read once for four heads at a time. Softmax runs on line (Milakov
// & Gimelshein 2018): within a stretch by chunks, between stretches in a last step. Where a stretch ends depends on the position alone.
#include "attention.h"

#include <cmath>

namespace sluice {

namespace {

constexpr int64_t STRETCH = 256;  // positions; a multiple of CHUNK
constexpr int64_t CHUNK = 32;     // cached rows between two looks at the running maximum
constexpr int64_t GROUP = 4;      // heads at a time

// What one group of heads has seen so far; lanes 0..3 and 4..7 both hold the four heads.
struct Running {
  v8 best, total;
  float* sums[GROUP];  // [rank], weighted latents
};

// Scores of two rows and four heads: lanes row 0 head 0..3, row 1 head 0..3.
inline v8 score(const float* const* q, const float* row0, const float* row1, int64_t width) {
  v8 acc[8] = {};
  int64_t i = 0;
  for (; i + 8 <= width; i += 8) {
    v8 a = load(row0 + i), b = load(row1 + i);
    hold(a);
    hold(b);
#pragma GCC unroll 4
    for (int h = 0; h < 4; ++h) {
      v8 x = load(q[h] + i);
      hold(x);
      acc[h] += x * a;
      acc[4 + h] += x * b;
    }
  }
  for (; i < width; ++i)
    for (int h = 0; h < 4; ++h) {
      acc[h][0] += q[h][i] * row0[i];
      acc[4 + h][0] += q[h][i] * row1[i];
    }
  return sums8(acc);
}

inline void add_values(float* const* sums, const float* weights, const float* const* rows, int64_t count, int64_t rank) {
  int64_t c = 0;
  for (; c + 16 <= rank; c += 16) {
    v8 acc[4][2];
#pragma GCC unroll 4
    for (int h = 0; h < 4; ++h) acc[h][0] = load(sums[h] + c), acc[h][1] = load(sums[h] + c + 8);
    for (int64_t s = 0; s < count; ++s) {
      v8 a = load(rows[s] + c), b = load(rows[s] + c + 8);
      hold(a);
      hold(b);
#pragma GCC unroll 4
      for (int h = 0; h < 4; ++h) {
        const v8 w = all(weights[4 * s + h]);
        acc[h][0] += w * a;
        acc[h][1] += w * b;
      }
    }
#pragma GCC unroll 4
    for (int h = 0; h < 4; ++h) store(sums[h] + c, acc[h][0]), store(sums[h] + c + 8, acc[h][1]);
  }
  for (; c < rank; ++c)
    for (int h = 0; h < 4; ++h)
      for (int64_t s = 0; s < count; ++s) sums[h][c] += weights[4 * s + h] * rows[s][c];
}

// Look at `count` rows (even: an odd last one is given twice, `real` counts it once).
void look(Running& seen, const float* const* q, const float* const* rows, int64_t count, int64_t real, const Attention& f) {
  alignas(32) float weights[4 * CHUNK];
  v8 best = seen.best;
  for (int64_t s = 0; s < count; s += 2) {
    v8 scores = score(q, rows[s], rows[s + 1], f.rank + f.rope);
    if (s + 1 >= real) scores = pick(i8{0, 0, 0, 0, -1, -1, -1, -1}, all(-INFINITY), scores);
    best = larger(best, scores);
    store(weights + 4 * s, scores);
  }
  best = larger(best, swap_halves(best));
  const v8 shrink = exp8(seen.best - best);
  v8 total{};
  for (int64_t s = 0; s < count; s += 2) {
    const v8 p = exp8(load(weights + 4 * s) - best);
    store(weights + 4 * s, p);
    total += p;
  }
  seen.total = seen.total * shrink + total;
  seen.best = best;
  for (int h = 0; h < 4; ++h)
    if (shrink[h] != 1.0f)
      for (int64_t c = 0; c < f.rank; ++c) seen.sums[h][c] *= shrink[h];
  add_values(seen.sums, weights, rows, real, f.rank);
}

void run_stretch(const Attention& f, const AttentionPlan& plan, int64_t index) {
  const Stretch& part = plan.stretches[index];
  const int64_t width = f.rank + f.rope, groups = (f.heads + GROUP - 1) / GROUP;
  const float* latent_q = plan.latent_q + part.row * f.heads * width;
  const int32_t* table = f.tables + part.row * f.blocks;
  for (int64_t g = 0; g < groups; ++g) {
    const int64_t head = g * GROUP, here = std::min(GROUP, f.heads - head);
    const float* q[GROUP];
    Running seen{all(-INFINITY), v8{}, {}};
    for (int64_t h = 0; h < GROUP; ++h) {  // a group that is not full looks with its last head again, into room past the end
      q[h] = latent_q + (head + std::min(h, here - 1)) * width;
      seen.sums[h] = plan.sums + (index * groups * GROUP + head + h) * plan.padded;
      std::memset(seen.sums[h], 0, plan.padded * sizeof(float));
    }
    for (int64_t start = part.begin; start < part.end; start += CHUNK) {
      const int64_t real = std::min(CHUNK, part.end - start);
      const float* rows[CHUNK];
      for (int64_t s = 0; s < real; ++s) {
        const int64_t position = start + s;
        rows[s] = f.pool + (table[position / f.block_size] * f.block_size + position % f.block_size) * width;
      }
      if (real % 2) rows[real] = rows[real - 1];
      look(seen, q, rows, real + real % 2, real, f);
    }
    const v8 total = seen.total + swap_halves(seen.total);
    for (int64_t h = 0; h < here; ++h) {
      plan.best[index * f.heads + head + h] = seen.best[h];
      plan.total[index * f.heads + head + h] = total[h];
    }
  }
}

// The stretches of one row and head, as one.
void merge(const Attention& f, const AttentionPlan& plan, int64_t row, int64_t head) {
  const int64_t groups = (f.heads + GROUP - 1) / GROUP;
  float* out = plan.looked + (row * f.heads + head) * plan.padded;
  float best = -INFINITY, total = 0;
  for (int64_t i = plan.first[row]; i < plan.first[row + 1]; ++i) best = std::max(best, plan.best[i * f.heads + head]);
  std::memset(out, 0, plan.padded * sizeof(float));
  for (int64_t i = plan.first[row]; i < plan.first[row + 1]; ++i) {
    const float share = exp8(all(plan.best[i * f.heads + head] - best))[0];
    const float* sums = plan.sums + (i * groups * GROUP + head) * plan.padded;
    total += share * plan.total[i * f.heads + head];
    for (int64_t c = 0; c < f.rank; ++c) out[c] += share * sums[c];
  }
  const float whole = total > 0 ? 1.0f / total : 0.0f;
  for (int64_t c = 0; c < f.rank; ++c) out[c] *= whole;
}

}  // namespace

AttentionPlan plan_attention(const Attention& f) {
  AttentionPlan plan{};
  plan.padded = panels(f.rank) * PANEL;
  plan.first = scratch<int64_t>(FIRST, f.rows + 1);
  for (int64_t r = 0; r < f.rows; ++r) {
    plan.first[r] = plan.count;
    plan.count += (f.lengths[r] + STRETCH - 1) / STRETCH;
  }
  plan.first[f.rows] = plan.count;
  plan.stretches = scratch<Stretch>(STRETCHES, plan.count);
  for (int64_t r = 0; r < f.rows; ++r)
    for (int64_t i = plan.first[r], at = 0; i < plan.first[r + 1]; ++i, at += STRETCH)
      plan.stretches[i] = {r, at, std::min(at + STRETCH, f.lengths[r])};
  const int64_t padded_heads = (f.heads + GROUP - 1) / GROUP * GROUP;
  plan.latent_q = scratch<float>(LATENT_Q, f.rows * f.heads * (f.rank + f.rope));
  plan.best = scratch<float>(BEST, plan.count * f.heads);
  plan.total = scratch<float>(TOTAL, plan.count * f.heads);
  plan.sums = scratch<float>(SUMS, plan.count * padded_heads * plan.padded);
  plan.looked = scratch<float>(LOOKED, f.rows * f.heads * plan.padded);
  return plan;
}

void run_attention(Team team, const Attention& f, const AttentionPlan& plan) {
  const int64_t width = f.rank + f.rope, q_width = f.nope + f.rope;
  // queries into latent space: q_nope W_uk beside the rotated part, both scaled
  const int64_t up = panels(f.rank), down = panels(f.value);
  const Range first = team.share(f.heads * up);
  for (int64_t task = first.begin; task < first.end; ++task) {
    const int64_t h = task / up, panel = task % up;
    const auto keep = [&](int64_t r, int64_t p, const float* sums) {
      float* to = plan.latent_q + (r * f.heads + h) * width;
      for (int64_t i = 0; i < std::min(PANEL, f.rank - p * PANEL); ++i) to[p * PANEL + i] = sums[i] * f.scale;
      if (p) return;
      const float* rope = f.q + r * f.q_stride + h * q_width + f.nope;
      for (int64_t i = 0; i < f.rope; ++i) to[f.rank + i] = rope[i] * f.scale;
    };
    product_strided(f.q + h * q_width, f.q_stride, f.rows, f.nope, f.w_uk + h * up * f.nope * PANEL, panel, panel + 1, keep);
  }
  team.barrier();
  const Range mine = team.share(plan.count);
  for (int64_t i = mine.begin; i < mine.end; ++i) run_stretch(f, plan, i);
  team.barrier();
  const Range merged = team.share(f.rows * f.heads);
  for (int64_t i = merged.begin; i < merged.end; ++i) merge(f, plan, i / f.heads, i % f.heads);
  team.barrier();
  const Range last = team.share(f.heads * down);
  for (int64_t task = last.begin; task < last.end; ++task) {
    const int64_t h = task / down, panel = task % down;
    const auto keep = [&](int64_t r, int64_t p, const float* sums) {
      float* to = f.out + (r * f.heads + h) * f.value + p * PANEL;
      for (int64_t i = 0; i < std::min(PANEL, f.value - p * PANEL); ++i) to[i] = sums[i];
    };
    product_strided(plan.looked + h * plan.padded, f.heads * plan.padded, f.rows, f.rank, f.w_uv + h * down * f.rank * PANEL, panel,
                    panel + 1, keep);
  }
}

double multiply_adds(const Attention& f) {
  double seen = 0;
  for (int64_t r = 0; r < f.rows; ++r) seen += f.lengths[r];
  return f.heads * (seen * (2 * f.rank + f.rope) + 1.0 * f.rows * f.rank * (f.nope + f.value));
}

}  // namespace sluice
