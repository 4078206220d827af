// The C library's allocator, in a process that serves for long, on a machine whose memory the GPU needs as well. Does
// nothing where that is not glibc's.
#pragma once

namespace jsg {

// From now on free memory at the end of a thread's arena goes back at once, but for 128 KiB, and pieces of more than
// 256 KiB have pages of their own. Left to itself, malloc lets both grow with the largest piece that was ever freed.
void keep_little_free_memory();

// Gives back the whole pages that are free now between pieces in use, in all arenas.
void give_back_free_memory();

}  // namespace jsg
