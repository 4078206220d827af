// What the products of decode are told, and what becomes of their results.
//
// The RMS norm before a product is split: whoever writes the residual stream writes it also as h = x * norm weight,
// with sums of x^2 over each tile of features; the product of h is scaled by 1 / rms when it is written.
#pragma once
#include <cstdint>

#include "backend/cuda/code_tiles.h"

namespace jsg::cuda {

enum class Epilogue {
  kStore,     // out (n, out_features) = y + bias
  kResidual,  // x (n, out_features) += y; h = x * next_norm; sum of squares of each tile
  kSilu,      // out (n, out_features / 2) = silu(y[gate]) * y[up]; the weight's first half is gate
  kLogits,    // logits (n, out_features) fp32 = y; best (n) = the greatest, packed
};

template <class T>
struct ProductArgs {
  const T* weight;       // (out_features, in_features), where it is plain
  CodesView codes;       // where it is not
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

}  // namespace jsg::cuda
