// From a row of logits to a token (inference/sampling.py is its reference).
#pragma once
#include <cstdint>

namespace sluice {

struct Sampling {
  double temperature;  // 0: the first greatest logit
  int64_t top_k;       // 0: no limit
  double top_p;        // 1: no limit
};

// Doubles of scratch that a row needs; and as many keys as the vocabulary.
inline int64_t sample_room(int64_t vocabulary) { return 2 * ((vocabulary + 7) / 8 * 8); }

int64_t sample_row(const float* logits, int64_t vocabulary, const Sampling& how, double draw, double* room, uint64_t* keys, float* logprob,
                   float* entropy);

}  // namespace sluice
