// From torch's tensors to addresses, checked: a wrong shape or dtype is an error that names the argument.
#pragma once
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/util/Half.h>

#include <array>
#include <optional>

#include "team.h"

namespace sluice {

using torch::stable::Tensor;
using Scalar = torch::headeronly::ScalarType;
constexpr int64_t ANY = -1;

template <class T>
struct Kind;
template <>
struct Kind<float> {
  static constexpr Scalar scalar = Scalar::Float;
  static constexpr const char* name = "float32";
};
template <>
struct Kind<double> {
  static constexpr Scalar scalar = Scalar::Double;
  static constexpr const char* name = "float64";
};
template <>
struct Kind<int64_t> {
  static constexpr Scalar scalar = Scalar::Long;
  static constexpr const char* name = "int64";
};
template <>
struct Kind<uint8_t> {
  static constexpr Scalar scalar = Scalar::Byte;
  static constexpr const char* name = "uint8";
};
template <>
struct Kind<uint16_t> {
  static constexpr Scalar scalar = Scalar::UInt16;
  static constexpr const char* name = "uint16";
};
template <>
struct Kind<torch::headeronly::Half> {
  static constexpr Scalar scalar = Scalar::Half;
  static constexpr const char* name = "float16";
};
template <>
struct Kind<int32_t> {
  static constexpr Scalar scalar = Scalar::Int;
  static constexpr const char* name = "int32";
};

// Address of a tensor on the CPU with `dims` (ANY where any size will do); rows may be strided where `strided`.
template <class T, size_t D>
T* address(const Tensor& t, const char* name, const std::array<int64_t, D>& dims, bool strided = false) {
  STD_TORCH_CHECK(t.is_cpu(), name, " must be on the CPU");
  STD_TORCH_CHECK(t.scalar_type() == Kind<T>::scalar, name, " must be ", Kind<T>::name);
  STD_TORCH_CHECK(t.dim() == static_cast<int64_t>(D), name, " must have ", D, " dimensions, got ", t.dim());
  for (size_t i = 0; i < D; ++i)
    STD_TORCH_CHECK(dims[i] == ANY || t.size(i) == dims[i], name, ": dimension ", i, " must be ", dims[i], ", got ", t.size(i));
  const bool dense = strided ? t.size(D - 1) <= 1 || t.stride(D - 1) == 1 : t.is_contiguous();
  STD_TORCH_CHECK(dense, name, strided ? ": the last dimension must be contiguous" : " must be contiguous");
  return static_cast<T*>(t.data_ptr());
}

// Rotations, complex64 [rows, pairs], as (cos, sin) after each other.
inline const float* turn_address(const Tensor& turn, const std::array<int64_t, 2>& dims) {
  STD_TORCH_CHECK(turn.scalar_type() == Scalar::ComplexFloat, "turn must be complex64");
  STD_TORCH_CHECK(turn.is_cpu() && turn.is_contiguous(), "turn must be contiguous on the CPU");
  STD_TORCH_CHECK(turn.dim() == 2 && turn.size(0) == dims[0] && turn.size(1) == dims[1], "turn must be [", dims[0], ", ", dims[1], "]");
  return static_cast<const float*>(turn.data_ptr());
}

template <class T, size_t D>
const T* maybe(const std::optional<Tensor>& t, const char* name, const std::array<int64_t, D>& dims) {
  return t ? address<T>(*t, name, dims) : nullptr;
}

template <size_t D>
Tensor empty_tensor(const std::array<int64_t, D>& dims, Scalar scalar = Scalar::Float) {
  std::array<int64_t, D> strides;
  int64_t stride = 1;
  for (size_t i = D; i-- > 0;) {
    strides[i] = stride;
    stride *= dims[i];
  }
  AtenTensorHandle handle;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_empty_strided(D, dims.data(), strides.data(), static_cast<int32_t>(scalar),
                                                         aoti_torch_device_type_cpu(), 0, &handle));
  return Tensor(handle);
}

// Every block that a length reaches lies in a cache of so many slots.
inline void check_tables(const int32_t* tables, const int64_t* lengths, int64_t rows, int64_t blocks, int64_t block_size, int64_t slots) {
  for (int64_t r = 0; r < rows; ++r) {
    STD_TORCH_CHECK(lengths[r] >= 1 && lengths[r] <= blocks * block_size, "lengths: ", lengths[r], " is not in 1..", blocks * block_size);
    for (int64_t b = 0; b * block_size < lengths[r]; ++b) {
      const int64_t block = tables[r * blocks + b];
      STD_TORCH_CHECK(block >= 0 && (block + 1) * block_size <= slots, "tables: block ", block, " is not below ", slots / block_size);
    }
  }
}

// How many threads an operation of so many multiply-adds gets.
inline Work team_size(double multiply_adds) {
  return share_work(multiply_adds, static_cast<int>(torch::stable::get_num_threads()));
}

}  // namespace sluice
