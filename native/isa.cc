// The kernels of one instruction set. This file is compiled once for each instruction set, with the flags of that set.
// See simd.h. generated/kernels.h lists the kernels and their order; their definitions are here.
#include <type_traits>

#include "call.h"
#include "parallel.h"
#include "simd.h"

#include "kernels/elementwise.h"
#include "kernels/reduce.h"
#include "kernels/embedding.h"
#include "kernels/linear.h"
#include "kernels/layer_norm.h"
#include "kernels/rms_norm.h"
#include "kernels/rotary.h"
#include "kernels/gelu.h"
#include "kernels/gated.h"
#include "kernels/relu2.h"
#include "kernels/dropout.h"
#include "kernels/attention/forward.h"
#include "kernels/attention/backward.h"
#include "kernels/cross_entropy.h"
#include "kernels/adam.h"
#include "kernels/blocks/linear.h"

#if defined(FT_NARROW)
#define FT_TAKES_NARROW true
#else
#define FT_TAKES_NARROW false
#endif
#define FT_STRING_(x) #x
#define FT_STRING(x) FT_STRING_(x)

namespace foretoken::FT_ISA {

namespace {
template <typename Args>
constexpr Together togetherOf() {
  if constexpr (std::is_same_v<Args, BlocksLinearForwardArgs>) return kBlocksLinearTogether;
  return {};
}
#define FT_KERNEL(kernel, Args) kernelOf<Args, kernel>(togetherOf<Args>()),
constexpr Kernel kKernels[] = {FT_EACH_KERNEL(FT_KERNEL)};
#undef FT_KERNEL
}  // namespace

extern const KernelTable kTable;
const KernelTable kTable = {FT_STRING(FT_ISA), kKernels, sizeof kKernels / sizeof kKernels[0], FT_TAKES_NARROW};

}  // namespace foretoken::FT_ISA
