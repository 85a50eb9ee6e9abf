// What happens to one row: norm, rotation, and what of a token is cached.
#pragma once
#include <cmath>

#include "vector.h"

namespace sluice {

// gain * x / sqrt(mean(x^2) + eps)
inline void rms_row(const float* x, const float* gain, float eps, int64_t n, float* out) {
  v8 a{}, b{};
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) {
    a += load(x + i) * load(x + i);
    b += load(x + i + 8) * load(x + i + 8);
  }
  float total = sum(a + b);
  for (; i < n; ++i) total += x[i] * x[i];
  const float scale = 1.0f / std::sqrt(total / n + eps);
  for (i = 0; i + 8 <= n; i += 8) store(out + i, load(x + i) * all(scale) * load(gain + i));
  for (; i < n; ++i) out[i] = x[i] * scale * gain[i];
}

// Pairs (0, 1), (2, 3), ... turned by as many (cos, sin); n is even; out may be x.
inline void rotate_row(const float* x, const float* turn, int64_t n, float* out) {
  for (int64_t i = 0; i < n; i += 2) {
    const float re = x[i], im = x[i + 1];
    out[i] = re * turn[i] - im * turn[i + 1];
    out[i + 1] = re * turn[i + 1] + im * turn[i];
  }
}

// What is kept of a token: the normed latent [rank] and the rotated shared key [rope] (V3 paper eq. 1-4).
inline void latent_row(const float* joined, const float* gain, float eps, const float* turn, int64_t rank, int64_t rope,
                       float* kept) {
  rms_row(joined, gain, eps, rank, kept);
  rotate_row(joined + rank, turn, rope, kept + rank);
}

// gate <- silu(gate) * up * weight
inline void swiglu_row(float* gate, const float* up, float weight, int64_t n) {
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) store(gate + i, silu(load(gate + i)) * load(up + i) * all(weight));
  if (i == n) return;
  float g[8] = {}, u[8] = {};  // `up` may follow `gate` at once: only what is left may be touched
  for (int64_t j = i; j < n; ++j) g[j - i] = gate[j], u[j - i] = up[j];
  store(g, silu(load(g)) * load(u) * all(weight));
  for (int64_t j = i; j < n; ++j) gate[j] = g[j - i];
}

}  // namespace sluice
