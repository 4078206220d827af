// The prefix cache as a file, so that a server that starts again finds what it had computed before.
//
// Behind a header, which is the caller's, records of one size, parents before their children and the most recently used
// first, so that a smaller cache takes what is worth most:
//   uint64  what lies in front: the number of the parent's record; or 2^63 + the salt
//   int32   (kBlockSize) tokens
//   uint8   (block_bytes) KV, as Model::read_block() gives it
//   uint64  checksum of all that
// In the byte order of the machine, which the header names.
#pragma once
#include <cstdint>
#include <span>
#include <string>

#include "model/model.h"
#include "runtime/prefix_cache.h"

namespace jsg {

// Both throw E_IO_FAILED. No step is in flight, and nobody holds a block.

// Writes all of the cache to a new file at `path`, readable for its owner alone. Returns the number of records.
int save_session(const std::string& path, std::span<const uint8_t> header, Model& model, const PrefixCache& cache);

// Fills the empty cache with what fits of the records that begin `offset` bytes into the file. Returns their number.
// Throws E_MODEL_INVALID, and leaves the cache empty, where the file is damaged.
int load_session(const std::string& path, uint64_t offset, Model& model, BlockPool& pool, PrefixCache& cache);

}  // namespace jsg
