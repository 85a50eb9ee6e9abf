// Decoder layers with latent attention, one after the other, for single tokens: one parallel region for all of them.
#pragma once
#include "attention.h"
#include "experts.h"
#include "gate.h"

namespace sluice {

// The numbers that all layers share, in the order of inference/native/stack.py.
struct Shape {
  int64_t hidden, heads, nope, rope, rank, value, q_rank;  // q_rank 0: queries are projected at once
  int64_t experts, groups, open, chosen, sigmoid, group_kind, normalise, inter;
  int64_t block_size;
};
struct Reals {
  double eps, latent_eps, scale, gate_scale;
};

// One layer's weights, packed; a layer without a router has its dense feed-forward as the shared one.
struct Layer {
  const float *attention_gain, *w_in, *q_gain, *w_qb, *kv_gain, *w_uk, *w_uv, *w_o;
  const float *mlp_gain, *gate, *bias, *experts_in, *experts_out, *shared_in, *shared_out;
  int64_t shared_inter;
};

struct Stack {
  Shape shape;
  Reals reals;
  const Layer* layers;
  int64_t layer_count, rows;
  float* const* pools;         // of each layer, [slots, rank + rope]
  const float* final_gain;     // or null: no norm at the end
  const float* x;              // [rows, hidden]
  const float* turn;           // [rows, rope]
  const int64_t *slots, *lengths;
  const int32_t* tables;
  int64_t blocks;
  float* out;                  // [rows, hidden]
  int64_t* ids;                // [routed layers, rows, chosen]
  float* weights;
  GateDetail detail;           // [routed layers, rows, .], used if `detailed`
  bool detailed;
};
void run_stack(const Stack& stack, Work work);

}  // namespace sluice
