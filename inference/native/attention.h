// Absorbed latent attention of single tokens against their block tables (V2 paper, appendix C).
#pragma once
#include "product.h"

namespace sluice {

struct Attention {
  const float* q;                    // [rows, heads, nope + rope], rotated
  int64_t q_stride;                  // between rows of q
  int64_t rows, heads, nope, rope, rank, value;
  const float *w_uk, *w_uv;          // packed a head: [heads][panels(rank)][nope][16], [heads][panels(value)][rank][16]
  const float* pool;                 // [slots, rank + rope]
  const int32_t* tables;             // [rows, blocks]
  const int64_t* lengths;            // [rows]: positions 0 .. length - 1 are looked at
  int64_t blocks, block_size;
  float scale;
  float* out;                        // [rows, heads * value]
};

// A stretch of one token's context; long ones are cut, so that threads can share a token.
struct Stretch {
  int64_t row, begin, end;
};

struct AttentionPlan {
  Stretch* stretches;
  int64_t count;
  int64_t* first;  // of each row: its first stretch; [rows + 1]
  float* latent_q; // [rows, heads, width], width = padded rank + rope
  float* best;     // [count, heads]: greatest score
  float* total;    // [count, heads]: sum of exponentials
  float* sums;     // [count, heads, padded rank]: weighted latents
  float* looked;   // [rows, heads, padded rank]
  int64_t padded;  // rank, in whole panels
};
AttentionPlan plan_attention(const Attention& f);
void run_attention(Team team, const Attention& f, const AttentionPlan& plan);
double multiply_adds(const Attention& f);

}  // namespace sluice
