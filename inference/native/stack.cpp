// The layers of V2 and V3 (V3 paper eq. 1-16) out of the same parts as the single operations, so that both give the same bits.
#include "stack.h"

#include "rows.h"

namespace sluice {

namespace {

// Numbers that the team passes from step to step.
struct Rooms {
  float *stream, *normed, *joined, *queries, *seen, *logits;
};

class Pass {
 public:
  Pass(const Stack& stack, const Rooms& rooms, const Attention& attention, const AttentionPlan& plan)
      : s(stack), d(stack.shape), room(rooms), attention(attention), attention_plan(plan) {}

  void run(Team team) {
    const Range rows = team.share(s.rows);
    std::memcpy(room.stream + rows.begin * d.hidden, s.x + rows.begin * d.hidden, (rows.end - rows.begin) * d.hidden * sizeof(float));
    for (int64_t i = 0, routed = 0; i < s.layer_count; ++i) {
      const Layer& layer = s.layers[i];
      norm(team, layer.attention_gain);
      look(team, layer, s.pools[i]);
      norm(team, layer.mlp_gain);
      feed_forward(team, layer, routed);
      routed += layer.gate != nullptr;
    }
    for (int64_t r = rows.begin; r < rows.end; ++r) {
      float *from = room.stream + r * d.hidden, *to = s.out + r * d.hidden;
      if (s.final_gain) rms_row(from, s.final_gain, s.reals.eps, d.hidden, to);
      else std::memcpy(to, from, d.hidden * sizeof(float));
    }
  }

 private:
  const Stack& s;
  const Shape& d;
  const Rooms& room;
  const Attention& attention;
  const AttentionPlan& attention_plan;
  Experts experts{};
  Plan experts_plan{};

  // Rows stay with their thread from the end of a layer to its next norm, so no barrier is needed before it.
  void norm(Team team, const float* gain) {
    const Range rows = team.share(s.rows);
    for (int64_t r = rows.begin; r < rows.end; ++r)
      rms_row(room.stream + r * d.hidden, gain, s.reals.eps, d.hidden, room.normed + r * d.hidden);
    team.barrier();
  }

  void project(Team team, const float* x, int64_t stride, int64_t depth, const float* packed, int64_t n, float* out, bool add = false) {
    linear(team, {x, s.rows, depth, stride, packed, n, nullptr, add ? out : nullptr, out});
    team.barrier();
  }

  void look(Team team, const Layer& layer, float* pool) {
    const int64_t width = d.heads * (d.nope + d.rope), first = d.q_rank ? d.q_rank : width, kept = d.rank + d.rope, all = first + kept;
    project(team, room.normed, d.hidden, d.hidden, layer.w_in, all, room.joined);
    const Range rows = team.share(s.rows);
    for (int64_t r = rows.begin; r < rows.end; ++r) {
      float* joined = room.joined + r * all;
      const float* turn = s.turn + r * d.rope;
      latent_row(joined + first, layer.kv_gain, s.reals.latent_eps, turn, d.rank, d.rope, pool + s.slots[r] * kept);
      if (d.q_rank) rms_row(joined, layer.q_gain, s.reals.latent_eps, d.q_rank, joined);
      else rotate_heads(joined, turn);
    }
    team.barrier();
    if (d.q_rank) {
      project(team, room.joined, all, d.q_rank, layer.w_qb, width, room.queries);
      for (int64_t r = rows.begin; r < rows.end; ++r) rotate_heads(room.queries + r * width, s.turn + r * d.rope);
      team.barrier();
    }
    Attention f = attention;
    f.q = d.q_rank ? room.queries : room.joined;
    f.q_stride = d.q_rank ? width : all;
    f.w_uk = layer.w_uk, f.w_uv = layer.w_uv, f.pool = pool;
    run_attention(team, f, attention_plan);
    team.barrier();
    project(team, room.seen, d.heads * d.value, d.heads * d.value, layer.w_o, d.hidden, room.stream, true);
  }

  void rotate_heads(float* q, const float* turn) {
    for (int64_t h = 0; h < d.heads; ++h) {
      float* rope = q + h * (d.nope + d.rope) + d.nope;
      rotate_row(rope, turn, d.rope, rope);
    }
  }

  void feed_forward(Team team, const Layer& layer, int64_t routed) {
    int64_t* ids = s.ids + routed * s.rows * d.chosen;
    float* weights = s.weights + routed * s.rows * d.chosen;
    if (layer.gate) {
      project(team, room.normed, d.hidden, d.hidden, layer.gate, d.experts, room.logits);
      const bool alone = s.rows * d.experts <= 256;  // too little to share
      if (!alone) {
        route(team.share(s.rows), layer, routed, ids, weights);
        team.barrier();
      } else if (team.rank == 0) {
        route({0, s.rows}, layer, routed, ids, weights);
      }
    }
    if (team.rank == 0) {
      experts = {room.normed, s.rows, d.hidden, d.hidden, room.stream, room.stream, layer.shared_in, layer.shared_out, layer.shared_inter,
                 ids, weights, layer.gate ? d.chosen : 0, layer.gate ? d.experts : 0, d.inter, layer.experts_in, layer.experts_out};
      experts_plan = plan_experts(experts);
    }
    team.barrier();
    run_experts(team, experts, experts_plan);
  }

  void route(Range rows, const Layer& layer, int64_t routed, int64_t* ids, float* weights) {
    const Gate gate{d.experts, d.groups, d.open, d.chosen, d.sigmoid == 1, d.group_kind, d.normalise == 1,
                    static_cast<float>(s.reals.gate_scale), layer.bias};
    for (int64_t r = rows.begin; r < rows.end; ++r) {
      const int64_t at = routed * s.rows + r;
      const GateDetail row{s.detail.open_groups + at * d.groups, s.detail.swapped + at, s.detail.entropy + at, s.detail.margin + at};
      route_row(gate, room.logits + r * d.experts, ids + r * d.chosen, weights + r * d.chosen, s.detailed ? &row : nullptr);
    }
  }
};

}  // namespace

void run_stack(const Stack& s, Work work) {
  const Shape& d = s.shape;
  const int64_t width = d.heads * (d.nope + d.rope), first = d.q_rank ? d.q_rank : width;
  const Rooms rooms{scratch<float>(STREAM, s.rows * d.hidden), scratch<float>(NORMED, s.rows * d.hidden),
                    scratch<float>(JOINED, s.rows * (first + d.rank + d.rope)), scratch<float>(QUERIES, d.q_rank ? s.rows * width : 0),
                    scratch<float>(SEEN, s.rows * d.heads * d.value), scratch<float>(LOGITS, s.rows * d.experts)};
  const Attention attention{nullptr, 0, s.rows, d.heads, d.nope, d.rope, d.rank, d.value, nullptr, nullptr, nullptr, s.tables, s.lengths,
                            s.blocks, d.block_size, static_cast<float>(s.reals.scale), rooms.seen};
  const AttentionPlan plan = plan_attention(attention);
  Pass pass(s, rooms, attention, plan);
  run_team(work, [&](Team team) { pass.run(team); });
}

}  // namespace sluice
