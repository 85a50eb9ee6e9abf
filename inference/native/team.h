// Threads: one parallel region an operation, in torch's own pool (torch carries the same OpenMP library), and barriers inside.
// Work is split over outputs only, never over a sum, so results do not depend on the number of threads.
#pragma once
#include <omp.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <new>
#include <thread>

namespace sluice {

struct Range {
  int64_t begin, end;
};

// Waits of a few hundred nanoseconds, thousands of times a second: spin for a moment, then let others have the processor, since on a busy machine
// whoever is waited for may be waiting for it.
class Barrier {
 public:
  void wait(int size) {
    const int round = round_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) == size - 1) {
      arrived_.store(0, std::memory_order_relaxed);
      round_.store(round + 1, std::memory_order_release);
      return;
    }
    for (int spins = 0; round_.load(std::memory_order_acquire) == round; ++spins)
      if (spins > SPINS) std::this_thread::yield();
  }

 private:
  static constexpr int SPINS = 20000;  // some ten microseconds
  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) std::atomic<int> round_{0};
};

struct Team {
  int rank, size;
  Barrier* shared;

  Range share(int64_t count, int64_t grain = 1) const {  // in whole grains
    const int64_t grains = (count + grain - 1) / grain;
    return {std::min(count, grains * rank / size * grain), std::min(count, grains * (rank + 1) / size * grain)};
  }
  void barrier() const {
    if (size > 1) shared->wait(size);
  }
};

// Multiply-adds below which a second thread costs more than it saves (a region costs about two microseconds).
constexpr double WORTH_A_THREAD = 60e3;

struct Work {
  int threads;
  double multiply_adds;
};

// Where others use the processors, a team waits milliseconds for a member that does not run, a thousand times longer than it computes. Whoever
// finds it so lets calls run alone for a while, then tries again. Results are the same with any number of threads.
class Crowd {
 public:
  bool alone() { return left_.load(std::memory_order_relaxed) > 0 && left_.fetch_sub(1, std::memory_order_relaxed) > 0; }
  void tell(double seconds, double multiply_adds) {
    const bool slow = seconds > 1e-3 + multiply_adds * 0.25e-9;  // even from memory it is 6e9 a second
    const int turns = turns_.load(std::memory_order_relaxed);
    if (slow) left_.store(turns, std::memory_order_relaxed);
    turns_.store(slow ? std::min(2 * turns, MOST) : std::max(turns / 2, LEAST), std::memory_order_relaxed);
  }

 private:
  static constexpr int LEAST = 32, MOST = 2048;  // calls
  std::atomic<int> left_{0}, turns_{LEAST};
};
inline Crowd crowd;

inline Work share_work(double multiply_adds, int available) {
  const int threads = std::max(1, static_cast<int>(std::min<double>(available, multiply_adds / (WORTH_A_THREAD / 2))));
  return {threads > 1 && crowd.alone() ? 1 : threads, multiply_adds};
}

template <class Body>
void run_team(Work work, const Body& body) {
  if (work.threads <= 1) {
    body(Team{0, 1, nullptr});
    return;
  }
  Barrier barrier;
  const auto began = std::chrono::steady_clock::now();
#pragma omp parallel num_threads(work.threads)
  body(Team{omp_get_thread_num(), omp_get_num_threads(), &barrier});
  crowd.tell(std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count(), work.multiply_adds);
}

// Scratch memory of the calling thread, kept between calls. A name a buffer, since several live at once.
enum Room {
  JOBS, SLOT, WEIGHT, SOURCE, MIDDLE, NUMBERS, PARTS, STARTS,          // experts
  STRETCHES, FIRST, LATENT_Q, BEST, TOTAL, SUMS, LOOKED,               // attention
  PROBABILITIES, KEYS,                                                 // sampling
  STREAM, NORMED, JOINED, QUERIES, SEEN, LOGITS, IDS, GATES,           // the layers of a decoder
  ROOMS,
};

inline char* scratch_bytes(Room room, int64_t bytes) {
  struct Buffer {
    char* data = nullptr;
    int64_t size = 0;
    ~Buffer() { ::operator delete(data, std::align_val_t(64)); }
  };
  static thread_local Buffer buffers[ROOMS];
  Buffer& buffer = buffers[room];
  if (buffer.size < bytes) {
    ::operator delete(buffer.data, std::align_val_t(64));
    buffer.data = nullptr;
    buffer.size = 0;
    buffer.data = static_cast<char*>(::operator new(bytes + bytes / 4, std::align_val_t(64)));
    buffer.size = bytes + bytes / 4;
  }
  return buffer.data;
}

template <class T>
T* scratch(Room room, int64_t count) {
  return reinterpret_cast<T*>(scratch_bytes(room, std::max<int64_t>(count, 1) * static_cast<int64_t>(sizeof(T))));
}

}  // namespace sluice
