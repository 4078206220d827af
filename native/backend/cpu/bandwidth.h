// How fast this machine reads memory: the limit that decode is measured against.
#pragma once
#include <cstddef>

namespace jsg::cpu {

// Best of a few passes of all threads (0: one a usable core) over `bytes`, GB/s (1e9 bytes).
double measure_read_bandwidth(size_t bytes, int n_threads);

}  // namespace jsg::cpu
