// What torch sees of the products: names, checks, allocation.
#include "product.h"
#include "tensors.h"

namespace sluice {

Tensor op_pack(const Tensor& w) {
  const int64_t n = w.size(0), depth = w.size(1);
  const float* from = address<float, 2>(w, "w", {ANY, ANY});
  Tensor out = empty_tensor<3>({panels(n), depth, PANEL});
  pack(from, n, depth, address<float, 3>(out, "packed", {ANY, ANY, ANY}));
  return out;
}

Tensor op_linear(const Tensor& x, const Tensor& packed, int64_t n, const std::optional<Tensor>& bias,
                 const std::optional<Tensor>& residual) {
  const float* from = address<float, 2>(x, "x", {ANY, ANY}, true);
  const int64_t rows = x.size(0), depth = x.size(1);
  Tensor out = empty_tensor<2>({rows, n});
  const Linear f{from, rows, depth, x.stride(0), address<float, 3>(packed, "packed", {panels(n), depth, PANEL}), n,
                 maybe<float, 1>(bias, "bias", {n}), maybe<float, 2>(residual, "residual", {rows, n}),
                 static_cast<float*>(out.data_ptr())};
  run_team(team_size(1.0 * rows * depth * n), [&](Team team) { linear(team, f); });
  return out;
}

}  // namespace sluice

STABLE_TORCH_LIBRARY_FRAGMENT(sluice, m) {
  m.def("pack(Tensor w) -> Tensor");
  m.def("linear(Tensor x, Tensor packed, int n, Tensor? bias, Tensor? residual) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(sluice, CPU, m) {
  m.impl("pack", TORCH_BOX(&sluice::op_pack));
  m.impl("linear", TORCH_BOX(&sluice::op_linear));
}
