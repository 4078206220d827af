// Clusters of blocks, which write into each other's shared memory: sm >= 90. A cluster is launched along x, so that
// blockIdx.x is a block's rank in it. Elsewhere none of this is called.
#pragma once
#include "backend/cuda/kernels/common.cuh"
#include "backend/cuda/kernels/shared_memory.cuh"

namespace jsg::cuda {

inline constexpr int kMaxCluster = 8;  // as many as every such GPU has

// Where the other blocks of a cluster leave their parts of something, once. In shared memory.
struct Mailbox {
  uint64_t barrier;

  // By one thread, before any block calls cluster_arrive().
  __device__ __forceinline__ void open(uint32_t expected_bytes) {
#if __CUDA_ARCH__ >= 900
    const uint32_t address = shared_address(&barrier);
    asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(address) : "memory");
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(address), "r"(expected_bytes)
                 : "memory");
#endif
  }
  // Writes where block `rank` has in its shared memory what this one has at `target`, and counts it in that block's
  // mailbox. After cluster_wait().
  __device__ __forceinline__ void send(int rank, float2* target, float2 value) {
#if __CUDA_ARCH__ >= 900
    asm volatile(
        "{\n.reg .u32 there, mailbox;\n"
        "mapa.shared::cluster.u32 there, %0, %2;\n"
        "mapa.shared::cluster.u32 mailbox, %1, %2;\n"
        "st.async.shared::cluster.mbarrier::complete_tx::bytes.v2.f32 [there], {%3, %4}, [mailbox];\n}" ::"r"(
            shared_address(target)),
        "r"(shared_address(&barrier)), "r"(rank), "f"(value.x), "f"(value.y)
        : "memory");
#endif
  }
  // Until all expected bytes are there.
  __device__ __forceinline__ void wait() {
#if __CUDA_ARCH__ >= 900
    asm volatile(
        "{\n.reg .pred done;\n"
        "again:\n"
        "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], 0;\n"
        "@!done bra again;\n}" ::"r"(shared_address(&barrier))
        : "memory");
#endif
  }
};

// A barrier in two halves, by all threads of all blocks: after the second all blocks have opened their mailboxes.
__device__ __forceinline__ void cluster_arrive() {
#if __CUDA_ARCH__ >= 900
  asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");
#endif
}
__device__ __forceinline__ void cluster_wait() {
#if __CUDA_ARCH__ >= 900
  asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
#endif
}

}  // namespace jsg::cuda
