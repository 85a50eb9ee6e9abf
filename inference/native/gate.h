// The router of every generation (inference/gate.py is its reference): from a token's logits to its experts and their weights.
#pragma once
#include <cstdint>

namespace sluice {

struct Gate {
  int64_t experts, groups, open, chosen;
  bool sigmoid;       // else softmax over all experts
  int64_t group_kind; // 0: no groups; 1: a group's best expert; 2: the sum of its two best
  bool normalise;
  float scale;
  const float* bias;  // [experts], chooses and never weighs; or null
};

// What `detail` adds; it changes nothing else.
struct GateDetail {
  uint8_t* open_groups;  // [groups]
  uint8_t* swapped;      // experts that the same rule without the bias would not choose
  float *entropy, *margin;
};

constexpr int64_t MOST_EXPERTS = 1024;

// One token: ids and weights [chosen], best first. `detail` may be null.
void route_row(const Gate& gate, const float* logits, int64_t* ids, float* weights, const GateDetail* detail);

}  // namespace sluice
