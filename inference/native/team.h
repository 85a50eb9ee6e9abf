// Threads: one parallel region an operation, in torch's own pool (torch carries the same OpenMP library), and barriers inside.
// Work is split over outputs only, never over a sum, so results do not depend on the number of threads.
#pragma once
#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <new>

namespace sluice {

struct Range {
  int64_t begin, end;
};

struct Team {
  int rank, size;

  Range share(int64_t count, int64_t grain = 1) const {  // in whole grains
    const int64_t grains = (count + grain - 1) / grain;
    return {std::min(count, grains * rank / size * grain), std::min(count, grains * (rank + 1) / size * grain)};
  }
  void barrier() const {
    if (size > 1) {
#pragma omp barrier
    }
  }
};

// Multiply-adds below which a second thread costs more than it saves (a region costs about two microseconds).
constexpr double WORTH_A_THREAD = 60e3;

inline int threads_for(double multiply_adds, int available) {
  return std::max(1, static_cast<int>(std::min<double>(available, multiply_adds / (WORTH_A_THREAD / 2))));
}

template <class Body>
void run_team(int threads, const Body& body) {
  if (threads <= 1) {
    body(Team{0, 1});
    return;
  }
#pragma omp parallel num_threads(threads)
  body(Team{omp_get_thread_num(), omp_get_num_threads()});
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
