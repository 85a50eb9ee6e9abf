// What torch sees of a stack of layers. The layers' addresses come in a table that inference/native/stack.py made and checked; what changes
// from call to call is checked here.
#include <tuple>
#include <vector>

#include "stack.h"
#include "tensors.h"

namespace sluice {

using Seven = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor>;

static double multiply_adds(const Stack& s) {
  const Shape& d = s.shape;
  const int64_t width = d.heads * (d.nope + d.rope), first = d.q_rank ? d.q_rank : width;
  const int64_t a_row = d.hidden * (first + d.rank + d.rope + d.heads * d.value) + d.q_rank * width + 3 * d.hidden * d.chosen * d.inter;
  return 1.0 * s.layer_count * s.rows * a_row;
}

Seven op_stack(const Tensor& x, const Tensor& turn, const Tensor& slots, const Tensor& tables, const Tensor& lengths, std::vector<Tensor> pools,
               const Tensor& layers, const Tensor& shape, const Tensor& reals, const std::optional<Tensor>& gain, bool detail) {
  Stack s{};
  constexpr int64_t fields = sizeof(Layer) / sizeof(int64_t);
  std::memcpy(&s.shape, address<int64_t, 1>(shape, "shape", {sizeof(Shape) / sizeof(int64_t)}), sizeof(Shape));
  std::memcpy(&s.reals, address<double, 1>(reals, "reals", {sizeof(Reals) / sizeof(double)}), sizeof(Reals));
  s.layers = reinterpret_cast<const Layer*>(address<int64_t, 2>(layers, "layers", {ANY, fields}));
  s.layer_count = layers.size(0), s.rows = x.size(0);
  const Shape& d = s.shape;
  s.x = address<float, 2>(x, "x", {ANY, d.hidden});
  s.turn = turn_address(turn, {s.rows, d.rope / 2});
  s.slots = address<int64_t, 1>(slots, "slots", {s.rows});
  s.lengths = address<int64_t, 1>(lengths, "lengths", {s.rows});
  s.tables = address<int32_t, 2>(tables, "tables", {s.rows, ANY});
  s.blocks = tables.size(1);
  s.final_gain = maybe<float, 1>(gain, "gain", {d.hidden});
  STD_TORCH_CHECK(static_cast<int64_t>(pools.size()) >= s.layer_count, "pools: one for each of ", s.layer_count, " layers, got ", pools.size());
  std::vector<float*> rooms;
  const int64_t room = pools.empty() ? 0 : pools[0].size(0);
  for (int64_t i = 0; i < s.layer_count; ++i) rooms.push_back(address<float, 2>(pools[i], "pools", {room, d.rank + d.rope}));
  s.pools = rooms.data();
  for (int64_t r = 0; r < s.rows; ++r)
    STD_TORCH_CHECK(s.slots[r] >= 0 && s.slots[r] < room, "slots: ", s.slots[r], " is not below ", room);
  check_tables(s.tables, s.lengths, s.rows, s.blocks, d.block_size, room);
  int64_t routed = 0;
  for (int64_t i = 0; i < s.layer_count; ++i) routed += s.layers[i].gate != nullptr;
  const int64_t described = detail ? routed : 0;
  Seven out{empty_tensor<2>({s.rows, d.hidden}),
            empty_tensor<3>({routed, s.rows, d.chosen}, Scalar::Long),
            empty_tensor<3>({routed, s.rows, d.chosen}),
            empty_tensor<3>({described, s.rows, d.groups}, Scalar::Bool),
            empty_tensor<2>({described, s.rows}, Scalar::Byte),
            empty_tensor<2>({described, s.rows}),
            empty_tensor<2>({described, s.rows})};
  s.out = static_cast<float*>(std::get<0>(out).data_ptr());
  s.ids = static_cast<int64_t*>(std::get<1>(out).data_ptr());
  s.weights = static_cast<float*>(std::get<2>(out).data_ptr());
  s.detail = {static_cast<uint8_t*>(std::get<3>(out).data_ptr()), static_cast<uint8_t*>(std::get<4>(out).data_ptr()),
              static_cast<float*>(std::get<5>(out).data_ptr()), static_cast<float*>(std::get<6>(out).data_ptr())};
  s.detailed = detail;
  run_stack(s, team_size(multiply_adds(s)));
  return out;
}

}  // namespace sluice

STABLE_TORCH_LIBRARY_FRAGMENT(sluice, m) {
  m.def(
      "stack(Tensor x, Tensor turn, Tensor slots, Tensor tables, Tensor lengths, Tensor(a!)[] pools, Tensor layers, Tensor shape, Tensor reals, "
      "Tensor? gain, bool detail) -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)");
}

STABLE_TORCH_LIBRARY_IMPL(sluice, CPU, m) { m.impl("stack", TORCH_BOX(&sluice::op_stack)); }
