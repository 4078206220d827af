// What the products of decode have in common: their arguments, and what becomes of their results.
//
// The RMS norm before a product is split: whoever writes the residual stream writes it also as h = x * norm weight,
// with sums of x^2 over each tile of features; the product of h is scaled by 1 / rms when it is written.
#pragma once
#include "backend/cuda/kernels/common.cuh"

namespace jsg::cuda {

enum class Epilogue {
  kStore,     // out (n, out_features) = y + bias
  kResidual,  // x (n, out_features) += y; h = x * next_norm; sum of squares of each tile
  kSilu,      // out (n, out_features / 2) = silu(y[gate]) * y[up]; the weight's first half is gate
  kLogits,    // logits (n, out_features) fp32 = y; best (n) = the greatest, packed
};

template <class T>
struct ProductArgs {
  const T* weight;       // (out_features, in_features)
  const T* x;            // (n, in_features)
  const float* squares;  // (n, n_squares) sums of squares behind x, or null: no norm
  const float* bias;     // (out_features) or null
  T* out;                // kStore, kSilu
  float* logits;         // kLogits
  uint64_t* best;        // (n), 0 before; kLogits
  float* residual;       // (n, out_features)  kResidual
  const T* next_norm;    // (out_features)
  T* next_x;             // (n, out_features)
  float* next_squares;   // (n, tiles of the kernel's features)
  int n;                 // rows
  int n_squares;
  int in_features;  // a multiple of 8
  int out_features;
  float eps;
};

__device__ __forceinline__ float silu(float x) { return __fdividef(x, 1.0f + __expf(-x)); }

// A logit and its id as one number that orders by logit, then by lowest id; all bits set for NaN, so that it wins.
__device__ __forceinline__ uint64_t pack_best(float logit, int id) {
  const uint32_t bits = __float_as_uint(logit + 0.0f);  // -0 equals 0
  const uint32_t ordered = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  if (isnan(logit)) return ~uint64_t{0};
  return static_cast<uint64_t>(ordered) << 32 | (0xffffffffu - static_cast<uint32_t>(id));
}

}  // namespace jsg::cuda
