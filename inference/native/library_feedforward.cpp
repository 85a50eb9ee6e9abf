// What torch sees of norms, rotations and feed-forwards: names, checks, allocation.
#include "experts.h"
#include "rows.h"
#include "tensors.h"

namespace sluice {

Tensor op_rms_norm(const Tensor& x, const Tensor& gain, double eps) {
  const int64_t rows = x.size(0), n = x.size(1);
  const float* from = address<float, 2>(x, "x", {ANY, ANY}, true);
  const float* scale = address<float, 1>(gain, "gain", {n});
  Tensor out = empty_tensor<2>({rows, n});
  float* to = static_cast<float*>(out.data_ptr());
  const int64_t stride = x.stride(0);
  run_team(team_size(2.0 * rows * n), [&](Team team) {
    const Range mine = team.share(rows);
    for (int64_t r = mine.begin; r < mine.end; ++r) rms_row(from + r * stride, scale, eps, n, to + r * n);
  });
  return out;
}

void op_latents(const Tensor& joined, const Tensor& gain, double eps, const Tensor& turn, const Tensor& slots, const Tensor& pool) {
  const int64_t rank = gain.size(0), rows = joined.size(0), rope = 2 * turn.size(1), room = pool.size(0);
  const float* from = address<float, 2>(joined, "joined", {ANY, rank + rope}, true);
  const float* scale = address<float, 1>(gain, "gain", {ANY});
  const float* turns = turn_address(turn, {rows, rope / 2});
  const int64_t* at = address<int64_t, 1>(slots, "slots", {rows});
  float* to = address<float, 2>(pool, "pool", {ANY, rank + rope});
  const int64_t stride = joined.stride(0);
  for (int64_t r = 0; r < rows; ++r) STD_TORCH_CHECK(at[r] >= 0 && at[r] < room, "slots: ", at[r], " is not below ", room);
  run_team(team_size(2.0 * rows * (rank + rope)), [&](Team team) {
    const Range mine = team.share(rows);
    for (int64_t r = mine.begin; r < mine.end; ++r)
      latent_row(from + r * stride, scale, eps, turns + r * rope, rank, rope, to + at[r] * (rank + rope));
  });
}

Tensor op_rotate_queries(const Tensor& q, int64_t heads, int64_t nope, const Tensor& turn) {
  const int64_t rows = q.size(0), rope = 2 * turn.size(1), width = nope + rope, stride = q.stride(0);
  const float* from = address<float, 2>(q, "q", {ANY, heads * width}, true);
  const float* turns = turn_address(turn, {rows, rope / 2});
  Tensor out = empty_tensor<3>({rows, heads, width});
  float* to = static_cast<float*>(out.data_ptr());
  run_team(team_size(1.0 * rows * heads * width), [&](Team team) {
    const Range mine = team.share(rows * heads);
    for (int64_t i = mine.begin; i < mine.end; ++i) {
      const float* head = from + i / heads * stride + i % heads * width;
      std::memcpy(to + i * width, head, nope * sizeof(float));
      rotate_row(head + nope, turns + i / heads * rope, rope, to + i * width + nope);
    }
  });
  return out;
}

static Tensor run(Experts f, const Tensor& x, const std::optional<Tensor>& base) {
  f.x = address<float, 2>(x, "x", {ANY, ANY}, true);
  f.rows = x.size(0), f.hidden = x.size(1), f.stride = x.stride(0);
  f.base = maybe<float, 2>(base, "base", {f.rows, f.hidden});
  for (int64_t p = 0; p < f.rows * f.chosen; ++p)
    STD_TORCH_CHECK(f.ids[p] >= 0 && f.ids[p] < f.experts, "ids: ", f.ids[p], " is not below ", f.experts);
  Tensor out = empty_tensor<2>({f.rows, f.hidden});
  f.out = static_cast<float*>(out.data_ptr());
  const Plan plan = plan_experts(f);
  run_team(team_size(multiply_adds(f)), [&](Team team) { run_experts(team, f, plan); });
  return out;
}

Tensor op_swiglu(const Tensor& x, const Tensor& packed_in, const Tensor& packed_out, int64_t inter, const std::optional<Tensor>& residual) {
  Experts f{};
  f.shared_in = address<float, 3>(packed_in, "packed_in", {panels(2 * inter), x.size(1), PANEL});
  f.shared_out = address<float, 3>(packed_out, "packed_out", {panels(x.size(1)), inter, PANEL});
  f.shared_inter = inter;
  return run(f, x, residual);
}

Tensor op_experts(const Tensor& x, const Tensor& ids, const Tensor& weights, const Tensor& packed_in, const Tensor& packed_out, int64_t inter,
                  const std::optional<Tensor>& base, const std::optional<Tensor>& shared_in, const std::optional<Tensor>& shared_out,
                  int64_t shared_inter) {
  const int64_t hidden = x.size(1), experts = packed_in.size(0), chosen = ids.size(1);
  Experts f{};
  f.ids = address<int64_t, 2>(ids, "ids", {x.size(0), chosen});
  f.weights = address<float, 2>(weights, "weights", {x.size(0), chosen});
  f.packed_in = address<float, 4>(packed_in, "packed_in", {ANY, panels(2 * inter), hidden, PANEL});
  f.packed_out = address<float, 4>(packed_out, "packed_out", {experts, panels(hidden), inter, PANEL});
  f.chosen = chosen, f.experts = experts, f.inter = inter, f.shared_inter = shared_inter;
  f.shared_in = maybe<float, 3>(shared_in, "shared_in", {panels(2 * shared_inter), hidden, PANEL});
  f.shared_out = maybe<float, 3>(shared_out, "shared_out", {panels(hidden), shared_inter, PANEL});
  STD_TORCH_CHECK(!f.shared_in == !f.shared_out, "shared_in and shared_out come together");
  return run(f, x, base);
}

}  // namespace sluice

STABLE_TORCH_LIBRARY_FRAGMENT(sluice, m) {
  m.def("rms_norm(Tensor x, Tensor gain, float eps) -> Tensor");
  m.def("latents(Tensor joined, Tensor gain, float eps, Tensor turn, Tensor slots, Tensor(a!) pool) -> ()");
  m.def("rotate_queries(Tensor q, int heads, int nope, Tensor turn) -> Tensor");
  m.def("swiglu(Tensor x, Tensor packed_in, Tensor packed_out, int inter, Tensor? residual) -> Tensor");
  m.def(
      "experts(Tensor x, Tensor ids, Tensor weights, Tensor packed_in, Tensor packed_out, int inter, Tensor? base, "
      "Tensor? shared_in, Tensor? shared_out, int shared_inter) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(sluice, CPU, m) {
  m.impl("rms_norm", TORCH_BOX(&sluice::op_rms_norm));
  m.impl("latents", TORCH_BOX(&sluice::op_latents));
  m.impl("rotate_queries", TORCH_BOX(&sluice::op_rotate_queries));
  m.impl("swiglu", TORCH_BOX(&sluice::op_swiglu));
  m.impl("experts", TORCH_BOX(&sluice::op_experts));
}
