// From a row of logits to a token (inference/sampling.py is its reference).
#pragma once
#include <cstdint>

namespace sluice {

struct Sampling {
  double temperature;  // 0: the first greatest logit
  int64_t top_k;       // 0: no limit
  double top_p;        // 1: no limit
};

// `room` double [vocabulary], `order` int32 [vocabulary]: scratch.
int64_t sample_row(const float* logits, int64_t vocabulary, const Sampling& how, double draw, double* room, int32_t* order, float* logprob,
                   float* entropy);

}  // namespace sluice
