// SwiGLU feed-forwards: dense, shared and routed (V3 paper eq. 12-16).
#pragma once
#include "product.h"

namespace sluice {

struct Experts {
  const float* x;
  int64_t rows, hidden, stride;          // x [rows, hidden], stride between rows
  const float *base;                     // [rows, hidden] or null: the result starts from it
  float* out;                            // [rows, hidden]
  const float *shared_in, *shared_out;   // packed gate and up, and down, or null
  int64_t shared_inter;
  const int64_t* ids;                    // [rows, chosen], each below `experts`
  const float* weights;                  // [rows, chosen]
  int64_t chosen, experts, inter;
  const float *packed_in, *packed_out;   // of all experts, one after the other
};

// A feed-forward and the rows that go through it.
struct Job {
  const float *in, *out;
  int64_t inter, first, count;  // rows: places first .. first + count - 1
};

// Places in the order of the experts, the shared one's last; made by the calling thread before the team starts.
struct Plan {
  Job* jobs;
  int64_t job_count, places;
  int64_t* slot;         // of each place: token * (chosen + 1) + which of its parts; the shared expert's is 0
  float* weight;         // of each place
  const float** source;  // of each place: its row of x
  float** middle;        // of each place: room for its gate and up
  float* parts;          // [rows, chosen + 1, padded]: what the experts say of each token
  int64_t padded;        // hidden, in whole panels
};
Plan plan_experts(const Experts& f);
void run_experts(Team team, const Experts& f, const Plan& plan);
double multiply_adds(const Experts& f);

}  // namespace sluice
