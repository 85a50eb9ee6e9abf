// Scores, groups, choice, weights, in float32. Equal scores: the lower number wins, so the choice is the same on every machine.
#include "gate.h"

#include <cmath>

#include "vector.h"

namespace sluice {

namespace {

// The `count` greatest of n values, greatest first; of equals the lower index. Values at closed places do not count.
template <class Open>
void greatest(const float* values, int64_t n, int64_t count, const Open& open, int64_t* ids) {
  int64_t found = 0;
  for (int64_t i = 0; i < n; ++i) {
    if (!open(i) || (found == count && !(values[i] > values[ids[found - 1]]))) continue;
    int64_t at = found < count ? found++ : found - 1;
    for (; at > 0 && values[i] > values[ids[at - 1]]; --at) ids[at] = ids[at - 1];
    ids[at] = i;
  }
}

void score(const Gate& gate, const float* logits, float* scores) {  // room past `experts` is filled too
  const int64_t n = gate.experts;
  float shift = 0;
  if (!gate.sigmoid) {
    shift = logits[0];
    for (int64_t i = 1; i < n; ++i) shift = logits[i] > shift ? logits[i] : shift;
  }
  v8 total{};
  for (int64_t i = 0; i < n; i += 8) {
    float lanes[8];
    for (int64_t j = 0; j < 8; ++j) lanes[j] = i + j < n ? logits[i + j] : -INFINITY;
    const v8 x = load(lanes) - all(shift);
    const v8 y = gate.sigmoid ? all(1.0f) / (all(1.0f) + exp8(-x)) : exp8(x);
    store(scores + i, y);
    total += y;
  }
  if (gate.sigmoid) return;
  const v8 whole = all(sum(total));
  for (int64_t i = 0; i < n; i += 8) store(scores + i, load(scores + i) / whole);
}

void open_groups(const Gate& gate, const float* choice, bool* open) {
  const bool every = gate.group_kind == 0 || gate.open >= gate.groups;
  for (int64_t g = 0; g < gate.groups; ++g) open[g] = every;
  if (every) return;
  const int64_t size = gate.experts / gate.groups;
  float value[MOST_EXPERTS];
  int64_t best[MOST_EXPERTS];
  for (int64_t g = 0; g < gate.groups; ++g) {
    float first = -INFINITY, second = -INFINITY;
    for (int64_t i = g * size; i < (g + 1) * size; ++i) {
      if (choice[i] > first) second = first, first = choice[i];
      else if (choice[i] > second) second = choice[i];
    }
    value[g] = gate.group_kind == 2 ? first + second : first;
  }
  greatest(value, gate.groups, gate.open, [](int64_t) { return true; }, best);
  for (int64_t i = 0; i < gate.open; ++i) open[best[i]] = true;
}

void choose(const Gate& gate, const float* choice, bool* open, int64_t* ids) {
  open_groups(gate, choice, open);
  const int64_t size = gate.experts / gate.groups;
  greatest(choice, gate.experts, gate.chosen, [&](int64_t i) { return open[i / size]; }, ids);
}

void describe(const Gate& gate, const float* scores, const float* choice, const bool* open, const int64_t* ids, const GateDetail& detail) {
  bool chosen[MOST_EXPERTS] = {}, plain_open[MOST_EXPERTS];
  for (int64_t k = 0; k < gate.chosen; ++k) chosen[ids[k]] = true;
  for (int64_t g = 0; g < gate.groups; ++g) detail.open_groups[g] = open[g];
  *detail.swapped = 0;
  if (gate.bias) {
    int64_t plain[MOST_EXPERTS];
    choose(gate, scores, plain_open, plain);
    for (int64_t k = 0; k < gate.chosen; ++k) *detail.swapped += !chosen[plain[k]];
  }
  double total = 0, entropy = 0;
  float refused = -INFINITY;
  for (int64_t i = 0; i < gate.experts; ++i) {
    total += scores[i];
    if (!chosen[i] && open[i / (gate.experts / gate.groups)] && choice[i] > refused) refused = choice[i];
  }
  for (int64_t i = 0; i < gate.experts; ++i) {
    const double share = scores[i] / total;
    if (share > 0) entropy -= share * std::log(share);
  }
  *detail.entropy = static_cast<float>(entropy);
  *detail.margin = choice[ids[gate.chosen - 1]] - refused;
}

}  // namespace

void route_row(const Gate& gate, const float* logits, int64_t* ids, float* weights, const GateDetail* detail) {
  alignas(32) float scores[MOST_EXPERTS + 8], biased[MOST_EXPERTS + 8];
  bool open[MOST_EXPERTS];
  score(gate, logits, scores);
  const float* choice = scores;
  if (gate.bias) {
    for (int64_t i = 0; i < gate.experts; ++i) biased[i] = scores[i] + gate.bias[i];
    choice = biased;
  }
  choose(gate, choice, open, ids);
  float total = 0;
  for (int64_t k = 0; k < gate.chosen; ++k) total += weights[k] = scores[ids[k]];
  for (int64_t k = 0; k < gate.chosen; ++k) weights[k] = (gate.normalise ? weights[k] / (total + 1e-20f) : weights[k]) * gate.scale;
  if (detail) describe(gate, scores, choice, open, ids, *detail);
}

}  // namespace sluice
