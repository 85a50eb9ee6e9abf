// Every chosen expert runs once on the rows that chose it; each token's parts are then added in the order in which it chose, so that
// neither the order of the experts nor the number of threads shows in the result.
#include "experts.h"

#include "rows.h"

namespace sluice {

namespace {

int64_t padded(int64_t n) { return panels(n) * PANEL; }

// This thread's part of all jobs' panels, by work.
template <class PanelsOf, class Body>
void share_jobs(Team team, const Plan& plan, const PanelsOf& panels_of, const Body& body) {
  int64_t total = 0, before = 0;
  for (int64_t j = 0; j < plan.job_count; ++j) total += panels_of(plan.jobs[j]) * plan.jobs[j].count;
  for (int64_t j = 0; j < plan.job_count; ++j) {
    const Job& job = plan.jobs[j];
    const int64_t count = panels_of(job);
    const auto panel = [&](int64_t rank) {  // neighbours round a border inside a job alike
      const int64_t into = total * rank / team.size - before;
      return std::clamp<int64_t>((into + job.count - 1) / job.count, 0, count);
    };
    const int64_t first = panel(team.rank), last = panel(team.rank + 1);
    if (last > first) body(job, first, last);
    before += count * job.count;
  }
}

}  // namespace

Plan plan_experts(const Experts& f) {
  const int64_t pairs = f.rows * f.chosen, shared = f.shared_in ? f.rows : 0, places = pairs + shared;
  Plan plan{scratch<Job>(JOBS, f.experts + 1), 0, places, scratch<int64_t>(SLOT, places), scratch<float>(WEIGHT, places),
            scratch<const float*>(SOURCE, places), scratch<float*>(MIDDLE, places), nullptr, padded(f.hidden)};
  int64_t* starts = scratch<int64_t>(STARTS, f.experts + 1);
  std::memset(starts, 0, sizeof(int64_t) * (f.experts + 1));
  for (int64_t p = 0; p < pairs; ++p) ++starts[f.ids[p] + 1];
  for (int64_t e = 0; e < f.experts; ++e) starts[e + 1] += starts[e];
  const int64_t width = padded(2 * f.inter), shared_width = shared ? padded(2 * f.shared_inter) : 0;
  float* room = scratch<float>(NUMBERS, pairs * width + shared * shared_width);
  const auto put = [&](int64_t place, int64_t row, int64_t which, float weight, float* middle) {
    plan.slot[place] = row * (f.chosen + 1) + which;
    plan.weight[place] = weight;
    plan.source[place] = f.x + row * f.stride;
    plan.middle[place] = middle;
  };
  if (shared) {
    plan.jobs[plan.job_count++] = {f.shared_in, f.shared_out, f.shared_inter, pairs, f.rows};
    for (int64_t r = 0; r < f.rows; ++r) put(pairs + r, r, 0, 1.0f, room + pairs * width + r * shared_width);
  }
  const int64_t in_size = panels(2 * f.inter) * f.hidden * PANEL, out_size = panels(f.hidden) * f.inter * PANEL;
  for (int64_t e = 0; e < f.experts; ++e)
    if (starts[e + 1] > starts[e])
      plan.jobs[plan.job_count++] = {f.packed_in + e * in_size, f.packed_out + e * out_size, f.inter, starts[e],
                                     starts[e + 1] - starts[e]};
  for (int64_t p = 0; p < pairs; ++p) {
    const int64_t place = starts[f.ids[p]]++;
    put(place, p / f.chosen, p % f.chosen + 1, f.weights[p], room + place * width);
  }
  plan.parts = scratch<float>(PARTS, f.rows * (f.chosen + 1) * plan.padded);
  return plan;
}

void run_experts(Team team, const Experts& f, const Plan& plan) {
  share_jobs(team, plan, [](const Job& job) { return panels(2 * job.inter); }, [&](const Job& job, int64_t first, int64_t last) {
    product(plan.source + job.first, job.count, f.hidden, job.in, first, last, [&](int64_t r, int64_t p, const float* sums) {
      std::memcpy(plan.middle[job.first + r] + p * PANEL, sums, PANEL * sizeof(float));
    });
  });
  team.barrier();
  const Range mine = team.share(plan.places);
  for (int64_t j = 0; j < plan.job_count; ++j) {
    const Job& job = plan.jobs[j];
    for (int64_t i = std::max(job.first, mine.begin); i < std::min(job.first + job.count, mine.end); ++i)
      swiglu_row(plan.middle[i], plan.middle[i] + job.inter, plan.weight[i], job.inter);  // weighing here is weighing the output
  }
  team.barrier();
  share_jobs(team, plan, [&](const Job&) { return panels(f.hidden); }, [&](const Job& job, int64_t first, int64_t last) {
    product(plan.middle + job.first, job.count, job.inter, job.out, first, last, [&](int64_t r, int64_t p, const float* sums) {
      std::memcpy(plan.parts + plan.slot[job.first + r] * plan.padded + p * PANEL, sums, PANEL * sizeof(float));
    });
  });
  team.barrier();
  const Range rows = team.share(f.rows);
  for (int64_t r = rows.begin; r < rows.end; ++r) {
    float* out = f.out + r * f.hidden;
    if (f.base) std::memmove(out, f.base + r * f.hidden, f.hidden * sizeof(float));
    else std::memset(out, 0, f.hidden * sizeof(float));
    for (int64_t which = f.shared_in ? 0 : 1; which <= f.chosen; ++which) {
      const float* part = plan.parts + (r * (f.chosen + 1) + which) * plan.padded;
      int64_t i = 0;
      for (; i + 8 <= f.hidden; i += 8) store(out + i, load(out + i) + load(part + i));
      for (; i < f.hidden; ++i) out[i] += part[i];
    }
  }
}

double multiply_adds(const Experts& f) {
  return 3.0 * f.rows * f.hidden * (f.chosen * f.inter + (f.shared_in ? f.shared_inter : 0));
}

}  // namespace sluice
