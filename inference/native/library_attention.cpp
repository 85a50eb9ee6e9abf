// What torch sees of attention: names, checks, allocation.
#include "attention.h"
#include "tensors.h"

namespace sluice {

Tensor op_mla_decode(const Tensor& q, const Tensor& w_uk, const Tensor& w_uv, const Tensor& pool, const Tensor& tables,
                     const Tensor& lengths, int64_t block_size, double scale, int64_t value) {
  Attention f{};
  f.q = address<float, 3>(q, "q", {ANY, ANY, ANY});
  f.rows = q.size(0), f.heads = q.size(1), f.nope = w_uk.size(2);
  f.rope = q.size(2) - f.nope, f.rank = pool.size(1) - f.rope, f.value = value;
  STD_TORCH_CHECK(f.rope >= 0 && f.rank > 0, "q, w_uk and pool do not fit: ", q.size(2), ", ", f.nope, ", ", pool.size(1));
  f.q_stride = f.heads * q.size(2);
  f.w_uk = address<float, 4>(w_uk, "w_uk", {f.heads, panels(f.rank), f.nope, PANEL});
  f.w_uv = address<float, 4>(w_uv, "w_uv", {f.heads, panels(value), f.rank, PANEL});
  f.pool = address<float, 2>(pool, "pool", {ANY, ANY});
  f.tables = address<int32_t, 2>(tables, "tables", {f.rows, ANY});
  f.lengths = address<int64_t, 1>(lengths, "lengths", {f.rows});
  f.blocks = tables.size(1), f.block_size = block_size, f.scale = static_cast<float>(scale);
  check_tables(f.tables, f.lengths, f.rows, f.blocks, block_size, pool.size(0));
  Tensor out = empty_tensor<2>({f.rows, f.heads * value});
  f.out = static_cast<float*>(out.data_ptr());
  const AttentionPlan plan = plan_attention(f);
  run_team(team_size(multiply_adds(f)), [&](Team team) { run_attention(team, f, plan); });
  return out;
}

}  // namespace sluice

STABLE_TORCH_LIBRARY_FRAGMENT(sluice, m) {
  m.def(
      "mla_decode(Tensor q, Tensor w_uk, Tensor w_uv, Tensor pool, Tensor tables, Tensor lengths, int block_size, float scale, int value) "
      "-> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(sluice, CPU, m) { m.impl("mla_decode", TORCH_BOX(&sluice::op_mla_decode)); }
