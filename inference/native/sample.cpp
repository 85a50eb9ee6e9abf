// Log-probability and entropy of the untempered distribution, and the token at which the filtered, tempered distribution's cumulative sum
// passes the draw. Sums in float64 and in the vocabulary's order, as the reference, so that both give the same token.
#include "sample.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace sluice {

namespace {

typedef double v4 __attribute__((vector_size(32)));
typedef int64_t i4 __attribute__((vector_size(32)));

inline v4 all(double x) { return v4{x, x, x, x}; }

// e^x for x <= 0 to about one unit in the last place; 0 below -708.
inline v4 exp4(v4 x) {
  const i4 under = x < all(-708.0);
  x = under ? all(-708.0) : x;
  const v4 shifted = x * all(1.4426950408889634) + all(6755399441055744.0);  // 1.5 * 2^52: rounds to a whole number
  const v4 n = shifted - all(6755399441055744.0);
  const v4 r = (x - n * all(0.693147180369123816490)) - n * all(1.90821492927058770002e-10);
  v4 p = all(1.0 / 6227020800);
  for (const double c : {1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120,
                         1.0 / 24, 1.0 / 6, 0.5, 1.0, 1.0})
    p = p * r + all(c);
  return under ? v4{} : p * (v4)(((i4)shifted + 1023) << 52);
}

// e^((logits - best) / temperature), and, if asked, their sum and the sum of each times its logit.
void exponentials(const float* logits, int64_t n, float best, double temperature, double* out, double* total, double* weighted) {
  v4 sum{}, moment{};
  for (int64_t i = 0; i < n; i += 4) {
    double lanes[4];
    for (int64_t j = 0; j < 4; ++j) lanes[j] = i + j < n ? static_cast<double>(logits[i + j]) - best : -INFINITY;
    v4 x = v4{lanes[0], lanes[1], lanes[2], lanes[3]};
    x = x < all(-1e30) ? all(-1e30) : x;  // a token of no probability adds 0 * -1e30, not NaN
    const v4 e = exp4(temperature == 1 ? x : x / all(temperature));
    std::memcpy(out + i, &e, sizeof(double) * std::min<int64_t>(4, n - i));
    sum += e;
    moment += e * x;
  }
  *total = (sum[0] + sum[1]) + (sum[2] + sum[3]);
  *weighted = (moment[0] + moment[1]) + (moment[2] + moment[3]);
}

// First place whose cumulative sum exceeds draw * total; if rounding passes the total, the last place that has probability.
template <class Value>
int64_t invert(const Value& value, int64_t n, double draw) {
  double total = 0, at = 0;
  for (int64_t i = 0; i < n; ++i) total += value(i);
  int64_t last = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double next = at + value(i);
    if (next > draw * total) return i;
    if (next > at) last = i;
    at = next;
  }
  return last;
}

// top_k first, then top_p over what is left, the most likely token always in (the order of Hugging Face and vLLM).
int64_t choose_filtered(const double* p, int64_t n, const Sampling& how, double draw, int32_t* order) {
  const auto before = [p](int32_t a, int32_t b) { return p[a] > p[b] || (p[a] == p[b] && a < b); };
  for (int64_t i = 0; i < n; ++i) order[i] = static_cast<int32_t>(i);
  const int64_t limit = how.top_k > 0 ? std::min(how.top_k, n) : n;
  if (limit < n) std::nth_element(order, order + limit, order + n, before);
  double total = 0, seen = 0;
  for (int64_t i = 0; i < limit; ++i) total += p[order[i]];
  int64_t kept = 0, sorted = 0;
  for (; kept < limit; ++kept) {  // sorted only as far as is looked
    if (kept == sorted) {
      sorted = std::min(limit, std::max<int64_t>(64, 4 * sorted));
      std::partial_sort(order + kept, order + sorted, order + limit, before);
    }
    if (kept && !(seen < how.top_p * total)) break;
    seen += p[order[kept]];
  }
  return order[invert([&](int64_t i) { return p[order[i]]; }, kept, draw)];
}

}  // namespace

int64_t sample_row(const float* logits, int64_t n, const Sampling& how, double draw, double* room, int32_t* order, float* logprob,
                   float* entropy) {
  int64_t token = 0;
  for (int64_t i = 1; i < n; ++i)
    if (logits[i] > logits[token]) token = i;
  const float best = logits[token];
  double total, weighted, unused;
  exponentials(logits, n, best, 1, room, &total, &weighted);
  if (how.temperature > 0) {
    if (how.temperature != 1) exponentials(logits, n, best, how.temperature, room, &unused, &unused);
    const bool filtered = how.top_k > 0 || how.top_p < 1;
    token = filtered ? choose_filtered(room, n, how, draw, order) : invert([&](int64_t i) { return room[i]; }, n, draw);
  }
  *logprob = static_cast<float>(static_cast<double>(logits[token]) - best - std::log(total));
  *entropy = static_cast<float>(std::log(total) - weighted / total);
  return token;
}

}  // namespace sluice
