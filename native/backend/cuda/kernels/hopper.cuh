// Tensor cores of Hopper: asynchronous products of warpgroups (wgmma), bulk copies of tensors (TMA), and the barriers
// between them. Only code for sm_90a may use them.
#pragma once
#ifndef JSG_HOPPER_SOURCE
#error "compiled for sm_90: name this source in HOPPER_SOURCES (cuda.cmake)"
#endif
#include <cuda.h>

#include <type_traits>

#include "backend/cuda/kernels/shared_memory.cuh"

namespace jsg::cuda {

// --- barriers in shared memory ---

__device__ __forceinline__ void barrier_init(uint32_t barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}
__device__ __forceinline__ void barrier_arrive(uint32_t barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}
// After all have been set up, before a cluster's other blocks use them.
__device__ __forceinline__ void barrier_init_done() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
// Arrives, and makes the phase wait for so many bytes.
__device__ __forceinline__ void barrier_expect(uint32_t barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}
// Arrives at the same barrier of another block of the cluster. Orders nothing beyond the block: what is handed on are
// stages that asynchronous products have read, and a fence for the whole GPU would cost more than the products.
__device__ __forceinline__ void barrier_arrive(uint32_t barrier, int block) {
  asm volatile(
      "{\n"
      ".reg .b32 remote;\n"
      "mapa.shared::cluster.u32 remote, %0, %1;\n"
      "mbarrier.arrive.shared::cluster.b64 _, [remote];\n"
      "}" ::"r"(barrier),
      "r"(block)
      : "memory");
}
// Until the phase of this parity is over.
__device__ __forceinline__ void barrier_wait(uint32_t barrier, uint32_t parity) {
  asm volatile(
      "{\n"
      ".reg .pred done;\n"
      "again:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@done bra over;\n"
      "bra again;\n"
      "over:\n"
      "}" ::"r"(barrier),
      "r"(parity)
      : "memory");
}
__device__ __forceinline__ void cluster_sync() {
  asm volatile("barrier.cluster.arrive.release;\nbarrier.cluster.wait.acquire;" ::: "memory");
}
__device__ __forceinline__ int cluster_rank() {
  int rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}

// --- copies of a box of a tensor; the barrier hears of its bytes ---

__device__ __forceinline__ void copy_box(uint32_t to, const CUtensorMap* map, int column, int row, uint32_t barrier) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::"r"(
          to),
      "l"(map), "r"(column), "r"(row), "r"(barrier)
      : "memory");
}
__device__ __forceinline__ void copy_box(uint32_t to, const CUtensorMap* map, int column, int row, int page,
                                         uint32_t barrier) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3, %4}], [%5];" ::
          "r"(to),
      "l"(map), "r"(column), "r"(row), "r"(page), "r"(barrier)
      : "memory");
}
// Into the level-2 cache; nobody hears of it.
__device__ __forceinline__ void prefetch_box(const CUtensorMap* map, int column, int row) {
  asm volatile("cp.async.bulk.prefetch.tensor.2d.L2.global [%0, {%1, %2}];" ::"l"(map), "r"(column), "r"(row)
               : "memory");
}
// Into the blocks of the cluster whose bits are set in `blocks`, at the same place in each, with its barrier.
__device__ __forceinline__ void copy_box_to(uint16_t blocks, uint32_t to, const CUtensorMap* map, int column, int row,
                                            uint32_t barrier) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], "
      "[%1, {%2, %3}], [%4], %5;" ::"r"(to),
      "l"(map), "r"(column), "r"(row), "r"(barrier), "h"(blocks)
      : "memory");
}

// --- products ---

// Rows of kRowBytes, of which a product takes 32 at a time, swizzled by as many bytes as TMA does, 8 rows after 8 rows.
template <int kRowBytes = 128>
__device__ __forceinline__ uint64_t operand(uint32_t address) {
  static_assert(kRowBytes == 128 || kRowBytes == 32);
  constexpr uint64_t kRowsOf8 = 8 * kRowBytes / 16, kSwizzle = kRowBytes == 128 ? 1 : 3;
  return static_cast<uint64_t>((address & 0x3ffff) >> 4) | uint64_t{1} << 16 | kRowsOf8 << 32 | kSwizzle << 62;
}
__device__ __forceinline__ void wgmma_begin() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int kPending>
__device__ __forceinline__ void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}

// clang-format off
#define JSG_SUMS4(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define JSG_SUMS16(i) JSG_SUMS4(i), JSG_SUMS4(i + 4), JSG_SUMS4(i + 8), JSG_SUMS4(i + 12)
#define JSG_WGMMA_N256(type) \
  asm volatile( \
      "{\n.reg .pred adds;\nsetp.ne.b32 adds, %130, 0;\n" \
      "wgmma.mma_async.sync.aligned.m64n256k16.f32." type "." type " {" \
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, " \
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, " \
      "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, " \
      "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, " \
      "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, " \
      "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127" \
      "}, %128, %129, adds, 1, 1, 0, 0;\n}" \
      : JSG_SUMS16(0), JSG_SUMS16(16), JSG_SUMS16(32), JSG_SUMS16(48), \
        JSG_SUMS16(64), JSG_SUMS16(80), JSG_SUMS16(96), JSG_SUMS16(112) \
      : "l"(a), "l"(b), "r"(adds))
#define JSG_WGMMA_N128(type) \
  asm volatile( \
      "{\n.reg .pred adds;\nsetp.ne.b32 adds, %66, 0;\n" \
      "wgmma.mma_async.sync.aligned.m64n128k16.f32." type "." type " {" \
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, " \
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63" \
      "}, %64, %65, adds, 1, 1, 0, 0;\n}" \
      : JSG_SUMS16(0), JSG_SUMS16(16), JSG_SUMS16(32), JSG_SUMS16(48) \
      : "l"(a), "l"(b), "r"(adds))
#define JSG_WGMMA_A_N128(type) \
  asm volatile( \
      "wgmma.mma_async.sync.aligned.m64n128k16.f32." type "." type " {" \
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, " \
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63" \
      "}, {%64, %65, %66, %67}, %68, 1, 1, 1, 0;" \
      : JSG_SUMS16(0), JSG_SUMS16(16), JSG_SUMS16(32), JSG_SUMS16(48) \
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b))
#define JSG_WGMMA_A_N64(type) \
  asm volatile( \
      "wgmma.mma_async.sync.aligned.m64n64k16.f32." type "." type " {" \
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31" \
      "}, {%32, %33, %34, %35}, %36, 1, 1, 1, 0;" \
      : JSG_SUMS16(0), JSG_SUMS16(16) \
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b))
// clang-format on

// d (64, kN) = a (64, 16) b (kN, 16)^T, or += where `adds`. d[4 j + 2 half + i] of a thread: row 16 warp + lane / 4 + 8
// half, column 8 j + 2 (lane % 4) + i.
template <class T, int kN>
__device__ __forceinline__ void wgmma(float (&d)[kN / 2], uint64_t a, uint64_t b, int adds) {
  constexpr bool kF16 = std::is_same_v<T, __half>;
  if constexpr (kN == 256 && kF16) JSG_WGMMA_N256("f16");
  if constexpr (kN == 256 && !kF16) JSG_WGMMA_N256("bf16");
  if constexpr (kN == 128 && kF16) JSG_WGMMA_N128("f16");
  if constexpr (kN == 128 && !kF16) JSG_WGMMA_N128("bf16");
}

// The same with a in registers, as mma_16816 has it, always +=.
template <class T, int kN>
__device__ __forceinline__ void wgmma(float (&d)[kN / 2], const uint32_t (&a)[4], uint64_t b) {
  constexpr bool kF16 = std::is_same_v<T, __half>;
  if constexpr (kN == 128 && kF16) JSG_WGMMA_A_N128("f16");
  if constexpr (kN == 128 && !kF16) JSG_WGMMA_A_N128("bf16");
  if constexpr (kN == 64 && kF16) JSG_WGMMA_A_N64("f16");
  if constexpr (kN == 64 && !kF16) JSG_WGMMA_A_N64("bf16");
}

#undef JSG_WGMMA_A_N128
#undef JSG_WGMMA_A_N64
#undef JSG_WGMMA_N256
#undef JSG_WGMMA_N128
#undef JSG_SUMS16
#undef JSG_SUMS4

// Keeps reads of `d` behind what came before.
template <int kCount>
__device__ __forceinline__ void wgmma_result(float (&d)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) asm volatile("" : "+f"(d[i])::"memory");
}

// words[i]: 2 columns of tile i of four that lie side by side; a quad's lanes hold 8 of each. Then: the 8 columns of
// tile `quarter`.
__device__ __forceinline__ Pack8 gather_columns(uint32_t (&words)[4], int quarter) {
#pragma unroll
  for (int i = 0; i < 4; i += 2) {
    const bool odd = quarter & 1;
    const uint32_t got = __shfl_xor_sync(~0u, odd ? words[i] : words[i + 1], 1);
    (odd ? words[i] : words[i + 1]) = got;
  }
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const bool high = quarter & 2;
    const uint32_t got = __shfl_xor_sync(~0u, high ? words[i] : words[i + 2], 2);
    (high ? words[i] : words[i + 2]) = got;
  }
  return {words[0], words[1], words[2], words[3]};
}

// Registers of each thread of a warpgroup from here on.
template <int kCount>
__device__ __forceinline__ void take_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kCount));
}
template <int kCount>
__device__ __forceinline__ void give_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kCount));
}

}  // namespace jsg::cuda
