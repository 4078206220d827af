// Random numbers without a state: each is a function of (seed, counter), so that a token depends on its request's seed
// and its place in the answer and on nothing else in the batch.
#pragma once
#include <cstdint>

namespace jsg {

// Finaliser of SplitMix64 (Steele, Lea and Flood 2014; constants by Stafford): a bijection in which every input bit
// flips every output bit about half the time.
constexpr uint64_t mix64(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

// Uniform in [0, 1), 53 bits.
constexpr double uniform(uint64_t seed, uint64_t counter) {
  return static_cast<double>(mix64(mix64(seed) ^ (counter * 0xd1342543de82ef95u)) >> 11) * 0x1p-53;
}

}  // namespace jsg
