// The table of the set with tiles, for the sanitizers. It has only what computes by tiles. All other calls go to the set
// FT_BELOW, which has the same source for them, and which the sanitizers test anyway. So this source compiles once.
// Compile with -DFT_BELOW=avx512bf16, with -DFT_EMULATED_TILES, and link native/isa_tiles.cc.
#pragma GCC diagnostic ignored "-Wunused-function"
#include "../call.h"
#include "../kernels/attention/amx_backward.h"
#include "../kernels/attention/amx_forward.h"
#include "../kernels/blocks/linear.h"
#include "../kernels/linear_tiles.h"

#define FT_STRING_(x) #x
#define FT_STRING(x) FT_STRING_(x)

namespace foretoken {

namespace FT_BELOW {
extern const KernelTable kTable;
}

namespace FT_ISA {
namespace {

// Each function computes the call, or returns false if no tiles compute it.
template <typename Args>
bool byTiles(const Args&, Pool&) {
  return false;
}

template <typename Args>
bool productByTiles(const Args& args, Pool& pool, void (*rounded)(const Args&, Pool&), void (*whole)(const Args&, Pool&)) {
  if (args.bfloat16) rounded(args, pool);
  else if (args.wholeTiles) whole(args, pool);
  return args.bfloat16 || args.wholeTiles;
}
#define FT_PRODUCT(kernel, Args)                                                                \
  bool byTiles(const Args& args, Pool& pool) {                                                  \
    return productByTiles<Args>(args, pool, kernel##ByTiles<kRounded>, kernel##ByTiles<kWhole>); \
  }
FT_PRODUCT(linearForward, LinearForwardArgs)
FT_PRODUCT(linearGeluForward, LinearGeluForwardArgs)
FT_PRODUCT(linearDropoutForward, LinearDropoutForwardArgs)
FT_PRODUCT(linearBackwardInput, LinearBackwardInputArgs)
FT_PRODUCT(linearDropoutBackwardInput, LinearDropoutBackwardInputArgs)
FT_PRODUCT(linearBackwardWeight, LinearBackwardWeightArgs)
#undef FT_PRODUCT

bool byTiles(const AttentionForwardArgs& args, Pool& pool) {
  const Attention call(args);
  if (!args.q.narrow() || call.batch == 0 || call.queries == 0 || call.heads == 0) return false;
  attendForwardByTiles(args, call, pool);
  return true;
}

bool byTiles(const AttentionBackwardArgs& args, Pool& pool) {
  const Attention call(args);
  if (!args.q.narrow() || call.batch == 0 || call.queries == 0 || call.heads == 0) return false;
  attendBackwardByTiles(args, call, pool);
  return true;
}

// Products in blocks are computed by tiles if they have enough rows.
bool byTiles(const BlocksLinearForwardArgs& args, Pool& pool) {
  blocksLinearForward(args, pool);
  return true;
}

template <typename Args>
constexpr Kernel entry() {
  Kernel kernel = {kDeclarations[Args::kIndex],
                   [](const Call& call, Pool& pool) {
                     if (!byTiles(Args::of(call), pool)) FT_BELOW::kTable.kernels[Args::kIndex].run(call, pool);
                   },
                   {}};
  if constexpr (std::is_same_v<Args, BlocksLinearForwardArgs>) kernel.together = kBlocksLinearTogether;
  return kernel;
}
#define FT_KERNEL(kernel, Args) entry<Args>(),
constexpr Kernel kKernels[] = {FT_EACH_KERNEL(FT_KERNEL)};
#undef FT_KERNEL

}  // namespace

extern const KernelTable kTable;
const KernelTable kTable = {FT_STRING(FT_ISA), kKernels, sizeof kKernels / sizeof kKernels[0], true};

}  // namespace FT_ISA
}  // namespace foretoken
