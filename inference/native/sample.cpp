// Log-probability and entropy of the untempered distribution, and the token at which the filtered, tempered distribution's cumulative sum
// passes the draw. Probabilities and their sums are float64, as in the reference, so that both give the same token.
#include "sample.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "vector.h"

namespace sluice {

namespace {

typedef double v4 __attribute__((vector_size(32)));
typedef int64_t i4 __attribute__((vector_size(32)));
typedef float f4 __attribute__((vector_size(16)));

constexpr int64_t BLOCK = 64;  // probabilities that are summed at once
constexpr int64_t SMALL = 24;  // keys that are sorted rather than split

inline v4 four(double x) { return v4{x, x, x, x}; }
inline v4 load4(const double* p) {
  v4 v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
inline v4 half(const float* p) {
  f4 v;
  std::memcpy(&v, p, sizeof v);
  return __builtin_convertvector(v, v4);
}
inline double sum4(v4 v) { return (v[0] + v[1]) + (v[2] + v[3]); }

// e^x for x <= 0 to about one unit in the last place; 0 below -708.
inline v4 exp4(v4 x) {
  const i4 under = x < four(-708.0);
  x = under ? four(-708.0) : x;
  const v4 shifted = x * four(1.4426950408889634) + four(6755399441055744.0);  // 1.5 * 2^52: rounds to a whole number
  const v4 n = shifted - four(6755399441055744.0);
  const v4 r = (x - n * four(0.693147180369123816490)) - n * four(1.90821492927058770002e-10);
  v4 p = four(1.0 / 6227020800);
  for (const double c : {1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120,
                         1.0 / 24, 1.0 / 6, 0.5, 1.0, 1.0})
    p = p * r + four(c);
  return under ? v4{} : p * (v4)(((i4)shifted + 1023) << 52);
}

// Eight logits from i on; past the end -inf, which has no probability.
inline void eight(const float* logits, int64_t n, int64_t i, float* lanes) {
  if (i + 8 <= n) return store(lanes, load(logits + i));
  for (int64_t j = 0; j < 8; ++j) lanes[j] = i + j < n ? logits[i + j] : -INFINITY;
}

int64_t greatest(const float* logits, int64_t n) {  // the first of equals
  float lanes[8];
  eight(logits, n, 0, lanes);
  v8 best = load(lanes);
  for (int64_t i = 8; i < n; i += 8) {
    eight(logits, n, i, lanes);
    best = larger(best, load(lanes));
  }
  float top = best[0];
  for (int j = 1; j < 8; ++j) top = std::max(top, best[j]);
  return std::min<int64_t>(std::find(logits, logits + n, top) - logits, n - 1);
}

// The sum of e^(logit - best), and of each times its exponent.
void measure(const float* logits, int64_t n, float best, double* total, double* weighted) {
  v4 sum{}, moment{};
  float lanes[8];
  for (int64_t i = 0; i < n; i += 8) {
    eight(logits, n, i, lanes);
    const v8 x = larger(load(lanes) - all(best), all(-1e30f));  // a token of no probability adds 0 * -1e30, not NaN
    const v8 e = exp8(x);
    store(lanes, e);
    sum += half(lanes) + half(lanes + 4);
    store(lanes, e * x);
    moment += half(lanes) + half(lanes + 4);
  }
  *total = sum4(sum);
  *weighted = sum4(moment);
}

// e^((logit - best) / temperature); writes whole eights.
void temper(const float* logits, int64_t n, float best, double temperature, double* out) {
  float lanes[8];
  const v4 shift = four(best), divide = four(temperature);
  for (int64_t i = 0; i < n; i += 8) {
    eight(logits, n, i, lanes);
    const v4 a = exp4((half(lanes) - shift) / divide), b = exp4((half(lanes + 4) - shift) / divide);
    std::memcpy(out + i, &a, sizeof a);
    std::memcpy(out + i + 4, &b, sizeof b);
  }
}

// First place whose cumulative sum exceeds draw * total; if rounding passes the total, the last place that has probability.
int64_t invert(const double* p, int64_t n, double draw, double* blocks) {
  double total = 0, at = 0;
  for (int64_t start = 0; start < n; start += BLOCK) {
    v4 sum{};
    double rest = 0;
    int64_t i = start;
    for (; i + 4 <= std::min(n, start + BLOCK); i += 4) sum += load4(p + i);
    for (; i < std::min(n, start + BLOCK); ++i) rest += p[i];
    total += blocks[start / BLOCK] = sum4(sum) + rest;
  }
  int64_t i = 0;
  for (; i + BLOCK < n && at + blocks[i / BLOCK] <= draw * total; i += BLOCK) at += blocks[i / BLOCK];
  for (; i < n; ++i)
    if ((at += p[i]) > draw * total) return i;
  while (--i > 0 && p[i] == 0) {}
  return i;
}

// A key orders by falling logit, then by rising index; its lower half is the index.
uint64_t key_of(float logit, int64_t index) {
  int32_t bits;
  logit += 0.0f;  // -0 is 0
  std::memcpy(&bits, &logit, sizeof bits);
  const uint32_t rising = bits < 0 ? ~static_cast<uint32_t>(bits) : static_cast<uint32_t>(bits) | 0x80000000u;
  return static_cast<uint64_t>(~rising) << 32 | static_cast<uint64_t>(index);
}

// Splits like quickselect, by mass: the place, in the keys' order, of the first whose cumulative mass passes; n if none does. All keys before
// that place are those that come before it.
template <class Passes>
int64_t select(uint64_t* keys, int64_t n, const double* p, const Passes& passes) {
  const auto mass = [p](uint64_t key) { return p[key & 0xffffffffu]; };
  int64_t begin = 0, end = n;
  double before = 0;
  while (end - begin > SMALL) {
    const uint64_t a = keys[begin], b = keys[begin + (end - begin) / 2], c = keys[end - 1];
    const uint64_t pivot = std::max(std::min(a, b), std::min(std::max(a, b), c));  // neither the least nor the greatest
    const int64_t middle = std::partition(keys + begin, keys + end, [pivot](uint64_t key) { return key < pivot; }) - keys;
    double left = 0;
    for (int64_t i = begin; i < middle; ++i) left += mass(keys[i]);
    if (passes(before + left)) end = middle;
    else begin = middle, before += left;
  }
  std::sort(keys + begin, keys + end);
  for (int64_t i = begin; i < n; ++i) {
    if (i == end) std::sort(keys + i, keys + n), end = n;  // rounding: what passed as a whole did not one by one
    if (passes(before += mass(keys[i]))) return i;
  }
  return n;
}

// top_k first, then top_p over what is left, the most likely token always in (the order of Hugging Face and vLLM).
int64_t choose_filtered(const float* logits, const double* p, int64_t n, const Sampling& how, double draw, uint64_t* keys) {
  for (int64_t i = 0; i < n; ++i) keys[i] = key_of(logits[i], i);
  int64_t kept = how.top_k > 0 ? std::min(how.top_k, n) : n;
  if (kept < n) std::nth_element(keys, keys + kept, keys + n);
  const auto total_of = [&](int64_t count) {
    double total = 0;
    for (int64_t i = 0; i < count; ++i) total += p[keys[i] & 0xffffffffu];
    return total;
  };
  double total = total_of(kept);
  if (how.top_p < 1) {  // a token stays while what stands before it is less than top_p
    kept = std::min(kept, select(keys, kept, p, [&](double mass) { return mass >= how.top_p * total; }) + 1);
    total = total_of(kept);
  }
  int64_t place = select(keys, kept, p, [&](double mass) { return mass > draw * total; });
  if (place == kept) {
    std::sort(keys, keys + kept);
    while (--place > 0 && p[keys[place] & 0xffffffffu] == 0) {}
  }
  return static_cast<int64_t>(keys[place] & 0xffffffffu);
}

}  // namespace

int64_t sample_row(const float* logits, int64_t n, const Sampling& how, double draw, double* room, uint64_t* keys, float* logprob,
                   float* entropy) {
  int64_t token = greatest(logits, n);
  const float best = logits[token];
  double total, weighted;
  measure(logits, n, best, &total, &weighted);
  if (how.temperature > 0) {
    temper(logits, n, best, how.temperature, room);
    const bool filtered = how.top_k > 0 || how.top_p < 1;
    token = filtered ? choose_filtered(logits, room, n, how, draw, keys) : invert(room, n, draw, room + sample_room(n) / 2);
  }
  *logprob = static_cast<float>(static_cast<double>(logits[token]) - best - std::log(total));
  *entropy = static_cast<float>(std::log(total) - weighted / total);
  return token;
}

}  // namespace sluice
