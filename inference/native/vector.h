// Eight floats at a time, in the compiler's own vector types: AVX2, AVX-512 and NEON from one source.
// Loads and stores may be unaligned. Functions here take no infinities unless they say so.
#pragma once
#include <cstdint>

namespace sluice {

typedef float v8 __attribute__((vector_size(32)));
typedef float v8u __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t i8 __attribute__((vector_size(32)));

#ifdef __AVX512F__  // a row of a panel in one register
typedef float wide __attribute__((vector_size(64)));
typedef float wideu __attribute__((vector_size(64), aligned(4), may_alias));
#else
typedef v8 wide;
typedef v8u wideu;
#endif
constexpr int64_t WIDE = sizeof(wide) / sizeof(float);

inline v8 load(const float* p) { return *reinterpret_cast<const v8u*>(p); }
inline void store(float* p, v8 v) { *reinterpret_cast<v8u*>(p) = v; }
inline wide load_wide(const float* p) { return *reinterpret_cast<const wideu*>(p); }
inline void store_wide(float* p, wide v) { *reinterpret_cast<wideu*>(p) = v; }
inline v8 all(float x) { return v8{x, x, x, x, x, x, x, x}; }
#ifdef __AVX512F__
inline wide all_wide(float x) { return wide{x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x}; }
#else
inline wide all_wide(float x) { return all(x); }
#endif

// Keep v in a register: the compiler would read it from memory anew for every row, and loads are what is scarce.
#if defined(__x86_64__)
template <class V>
inline void hold(V& v) { asm("" : "+x"(v)); }
#else
template <class V>
inline void hold(V&) {}
#endif

inline v8 pick(i8 mask, v8 yes, v8 no) { return mask ? yes : no; }
inline v8 smaller(v8 a, v8 b) { return pick(a < b, a, b); }
inline v8 larger(v8 a, v8 b) { return pick(a > b, a, b); }

inline float sum(v8 v) {  // always in this order
  return ((v[0] + v[4]) + (v[1] + v[5])) + ((v[2] + v[6]) + (v[3] + v[7]));
}

#ifdef __clang__
#define SLUICE_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SLUICE_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, i8{__VA_ARGS__})
#endif

// The eight vectors' sums, each added up in the same order.
inline v8 sums8(const v8* v) {
  v8 pairs[4], fours[2];
  for (int i = 0; i < 4; ++i)
    pairs[i] = SLUICE_SHUFFLE(v[2 * i], v[2 * i + 1], 0, 8, 2, 10, 4, 12, 6, 14) +
               SLUICE_SHUFFLE(v[2 * i], v[2 * i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
  for (int i = 0; i < 2; ++i)
    fours[i] = SLUICE_SHUFFLE(pairs[2 * i], pairs[2 * i + 1], 0, 1, 8, 9, 4, 5, 12, 13) +
               SLUICE_SHUFFLE(pairs[2 * i], pairs[2 * i + 1], 2, 3, 10, 11, 6, 7, 14, 15);
  return SLUICE_SHUFFLE(fours[0], fours[1], 0, 1, 2, 3, 8, 9, 10, 11) + SLUICE_SHUFFLE(fours[0], fours[1], 4, 5, 6, 7, 12, 13, 14, 15);
}
inline v8 swap_halves(v8 v) { return SLUICE_SHUFFLE(v, v, 4, 5, 6, 7, 0, 1, 2, 3); }

// e^x to about one unit in the last place (Cody and Waite's reduction, then a polynomial); 0 below -87.3, so also for -inf.
inline v8 exp8(v8 x) {
  const i8 under = x < all(-87.33f);
  x = smaller(larger(x, all(-87.33f)), all(88.37f));
  const v8 shifted = x * all(1.44269504f) + all(12582912.0f);  // 1.5 * 2^23: rounds to a whole number
  const v8 n = shifted - all(12582912.0f);
  const v8 r = (x - n * all(0.693359375f)) - n * all(-2.12194440e-4f);
  v8 p = all(1.9875691500e-4f);
  p = p * r + all(1.3981999507e-3f);
  p = p * r + all(8.3334519073e-3f);
  p = p * r + all(4.1665795894e-2f);
  p = p * r + all(1.6666665459e-1f);
  p = p * r + all(5.0000001201e-1f);
  p = p * (r * r) + r + all(1.0f);
  const i8 power = (__builtin_convertvector(n, i8) + 127) << 23;
  return pick(under, v8{}, p * (v8)power  /* the same bits */);
}

inline v8 silu(v8 x) { return x / (all(1.0f) + exp8(-x)); }

}  // namespace sluice
