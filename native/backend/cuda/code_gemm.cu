#include "backend/cuda/code_products.h"
#include "backend/cuda/kernels/gemm_codes.cuh"

namespace jsg::cuda {
namespace {

template <class T, template <class> class Unit, Epilogue kEpilogue, GemmSize kSize, int kN, int kFeatures>
void launch_gemm(const ProductArgs<T>& args, int n_sms, const Launcher& launch) {
  using Shape = GemmCodesShape<Unit<T>, kSize, kN, kFeatures>;
  const int tiles = (args.out_features + kFeatures - 1) / kFeatures;
  launch_resident<gemm_codes_kernel<T, Unit, kEpilogue, kSize, kN, kFeatures>, Shape>(launch, tiles, n_sms, args);
}

template <class T, template <class> class Unit, Epilogue kEpilogue, GemmSize kSize, int kFeatures>
void launch_rows(const ProductArgs<T>& args, int n_sms, const Launcher& launch) {
  if (args.n > 32) return launch_gemm<T, Unit, kEpilogue, kSize, 64, kFeatures>(args, n_sms, launch);
  if (args.n > 16) return launch_gemm<T, Unit, kEpilogue, kSize, 32, kFeatures>(args, n_sms, launch);
  launch_gemm<T, Unit, kEpilogue, kSize, 16, kFeatures>(args, n_sms, launch);
}

template <class T, Epilogue kEpilogue, GemmSize kSize, int kFeatures>
void launch_codes(const ProductArgs<T>& args, int n_sms, const Launcher& launch) {
  if (args.codes.bits == 8) return launch_rows<T, Int8Unit, kEpilogue, kSize, kFeatures>(args, n_sms, launch);
  launch_rows<T, Int4Unit, kEpilogue, kSize, kFeatures>(args, n_sms, launch);
}

template <class T, Epilogue kEpilogue, GemmSize kSize>
void launch_features(const ProductArgs<T>& args, int features, int n_sms, const Launcher& launch) {
  // Gate and up, and the head, have tiles enough.
  if constexpr (kEpilogue == Epilogue::kStore || kEpilogue == Epilogue::kResidual) {
    if (features == 32) return launch_codes<T, kEpilogue, kSize, 32>(args, n_sms, launch);
  }
  launch_codes<T, kEpilogue, kSize, 64>(args, n_sms, launch);
}

}  // namespace

template <class T>
void CodeProducts<T>::run_gemm(Epilogue epilogue, const ProductArgs<T>& args, int features) const {
  auto launch = [&]<Epilogue kEpilogue>() {
    if (large_) return launch_features<T, kEpilogue, GemmSize::kLarge>(args, features, n_sms_, launch_);
    launch_features<T, kEpilogue, GemmSize::kSmall>(args, features, n_sms_, launch_);
  };
  switch (epilogue) {
    case Epilogue::kStore:
      return launch.template operator()<Epilogue::kStore>();
    case Epilogue::kResidual:
      return launch.template operator()<Epilogue::kResidual>();
    case Epilogue::kSilu:
      return launch.template operator()<Epilogue::kSilu>();
    case Epilogue::kLogits:
      return launch.template operator()<Epilogue::kLogits>();
  }
}

template void CodeProducts<__half>::run_gemm(Epilogue, const ProductArgs<__half>&, int) const;
template void CodeProducts<__nv_bfloat16>::run_gemm(Epilogue, const ProductArgs<__nv_bfloat16>&, int) const;

}  // namespace jsg::cuda
