// What torch sees of routing and sampling: names, checks, allocation.
#include <tuple>

#include "gate.h"
#include "sample.h"
#include "tensors.h"

namespace sluice {

using Six = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor>;

Six op_gate(const Tensor& logits, const std::optional<Tensor>& bias, int64_t scoring, int64_t group_kind, int64_t groups, int64_t open,
            int64_t chosen, bool normalise, double scale, bool detail) {
  const int64_t rows = logits.size(0), experts = logits.size(1);
  const float* from = address<float, 2>(logits, "logits", {ANY, ANY});
  STD_TORCH_CHECK(experts >= 1 && experts <= MOST_EXPERTS, "logits: ", experts, " experts, at most ", MOST_EXPERTS);
  STD_TORCH_CHECK(scoring == 0 || scoring == 1, "scoring must be 0 (softmax) or 1 (sigmoid), got ", scoring);
  STD_TORCH_CHECK(group_kind >= 0 && group_kind <= 2, "group_kind must be 0, 1 or 2, got ", group_kind);
  STD_TORCH_CHECK(groups >= 1 && experts % groups == 0 && open >= 1 && open <= groups, "groups: ", open, " of ", groups, " for ", experts, " experts");
  const int64_t reachable = group_kind == 0 ? experts : experts / groups * open;
  STD_TORCH_CHECK(chosen >= 1 && chosen <= reachable, "top_k must lie in 1..", reachable, ", got ", chosen);
  const Gate gate{experts, groups, open, chosen, scoring == 1, group_kind, normalise, static_cast<float>(scale), maybe<float, 1>(bias, "bias", {experts})};
  const int64_t described = detail ? rows : 0;
  Six out{empty_tensor<2>({rows, chosen}, Scalar::Long),       empty_tensor<2>({rows, chosen}), empty_tensor<2>({described, groups}, Scalar::Bool),
          empty_tensor<1>({described}, Scalar::Byte), empty_tensor<1>({described}),    empty_tensor<1>({described})};
  int64_t* ids = static_cast<int64_t*>(std::get<0>(out).data_ptr());
  float* weights = static_cast<float*>(std::get<1>(out).data_ptr());
  const GateDetail all{static_cast<uint8_t*>(std::get<2>(out).data_ptr()), static_cast<uint8_t*>(std::get<3>(out).data_ptr()),
                       static_cast<float*>(std::get<4>(out).data_ptr()), static_cast<float*>(std::get<5>(out).data_ptr())};
  run_team(team_size(8.0 * rows * experts), [&](Team team) {
    const Range mine = team.share(rows);
    for (int64_t r = mine.begin; r < mine.end; ++r) {
      const GateDetail row{all.open_groups + r * groups, all.swapped + r, all.entropy + r, all.margin + r};
      route_row(gate, from + r * experts, ids + r * chosen, weights + r * chosen, detail ? &row : nullptr);
    }
  });
  return out;
}

std::tuple<Tensor, Tensor, Tensor> op_sample(const Tensor& logits, double temperature, int64_t top_k, double top_p, const Tensor& draws) {
  const int64_t rows = logits.size(0), vocabulary = logits.size(1);
  const float* from = address<float, 2>(logits, "logits", {ANY, ANY});
  const double* draw = address<double, 1>(draws, "draws", {rows});
  STD_TORCH_CHECK(vocabulary >= 1, "logits: no vocabulary");
  STD_TORCH_CHECK(temperature >= 0, "temperature must be at least 0, got ", temperature);
  Tensor tokens = empty_tensor<1>({rows}, Scalar::Long), logprobs = empty_tensor<1>({rows}), entropies = empty_tensor<1>({rows});
  int64_t* token = static_cast<int64_t*>(tokens.data_ptr());
  float *logprob = static_cast<float*>(logprobs.data_ptr()), *entropy = static_cast<float*>(entropies.data_ptr());
  const Sampling how{temperature, top_k, top_p};
  run_team(team_size(10.0 * rows * vocabulary), [&](Team team) {
    const Range mine = team.share(rows);
    double* room = scratch<double>(PROBABILITIES, sample_room(vocabulary));
    uint64_t* keys = scratch<uint64_t>(KEYS, vocabulary);
    for (int64_t r = mine.begin; r < mine.end; ++r)
      token[r] = sample_row(from + r * vocabulary, vocabulary, how, draw[r], room, keys, logprob + r, entropy + r);
  });
  return {tokens, logprobs, entropies};
}

template <class Id>
void scatter(const int64_t* slots, const int64_t* ids, const float* weights, const std::array<int64_t, 3>& size, int64_t room, Id* to_ids,
             torch::headeronly::Half* to_weights) {
  const auto [layers, rows, chosen] = size;
  for (int64_t r = 0; r < rows; ++r) {
    STD_TORCH_CHECK(slots[r] >= 0 && slots[r] < room, "slots: ", slots[r], " of ", room);
    for (int64_t l = 0; l < layers; ++l)
      for (int64_t k = 0; k < chosen; ++k) {
        const int64_t from = (l * rows + r) * chosen + k, to = (slots[r] * layers + l) * chosen + k;
        to_ids[to] = static_cast<Id>(ids[from]);
        to_weights[to] = torch::headeronly::Half(weights[from]);
      }
  }
}

void op_record(const Tensor& slots, const Tensor& ids, const Tensor& weights, Tensor to_ids, Tensor to_weights) {
  const int64_t layers = ids.size(0), rows = ids.size(1), chosen = ids.size(2), room = to_ids.size(0);
  const int64_t* at = address<int64_t, 1>(slots, "slots", {rows});
  const int64_t* from = address<int64_t, 3>(ids, "ids", {layers, rows, chosen});
  const float* weight = address<float, 3>(weights, "weights", {layers, rows, chosen});
  auto* half = address<torch::headeronly::Half, 3>(to_weights, "to_weights", {room, layers, chosen});
  const std::array<int64_t, 3> size{layers, rows, chosen};
  if (to_ids.scalar_type() == Scalar::Byte)
    scatter(at, from, weight, size, room, address<uint8_t, 3>(to_ids, "to_ids", {room, layers, chosen}), half);
  else
    scatter(at, from, weight, size, room, address<uint16_t, 3>(to_ids, "to_ids", {room, layers, chosen}), half);
}

}  // namespace sluice

STABLE_TORCH_LIBRARY_FRAGMENT(sluice, m) {
  m.def(
      "gate(Tensor logits, Tensor? bias, int scoring, int group_kind, int groups, int open, int chosen, bool normalise, float scale, "
      "bool detail) -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)");
  m.def("record(Tensor slots, Tensor ids, Tensor weights, Tensor(a!) to_ids, Tensor(b!) to_weights) -> ()");
  m.def("sample(Tensor logits, float temperature, int top_k, float top_p, Tensor draws) -> (Tensor, Tensor, Tensor)");
}

STABLE_TORCH_LIBRARY_IMPL(sluice, CPU, m) {
  m.impl("gate", TORCH_BOX(&sluice::op_gate));
  m.impl("record", TORCH_BOX(&sluice::op_record));
  m.impl("sample", TORCH_BOX(&sluice::op_sample));
}
