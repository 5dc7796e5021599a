// Products by tiles of one instruction set. This file is compiled in addition to isa.cc, once for each kind of product
// (-DFT_PARTS=kRounded, kWhole). These products take longer to compile than all other kernels. So each kind is a
// separate compilation unit, and several cores compile in parallel.

// This file does not need the kernels around the products, which isa.cc compiles.
#pragma GCC diagnostic ignored "-Wunused-function"
#include "kernels/linear_amx.h"

#if !defined(FT_PARTS)
#error "compile native/isa_tiles.cc with -DFT_PARTS=<kRounded|kWhole>"
#endif

namespace foretoken::FT_ISA {

template void linearForwardByTiles<FT_PARTS>(const LinearForwardArgs&, Pool&);
template void linearGeluForwardByTiles<FT_PARTS>(const LinearGeluForwardArgs&, Pool&);
template void linearDropoutForwardByTiles<FT_PARTS>(const LinearDropoutForwardArgs&, Pool&);
template void linearBackwardInputByTiles<FT_PARTS>(const LinearBackwardInputArgs&, Pool&);
template void linearDropoutBackwardInputByTiles<FT_PARTS>(const LinearDropoutBackwardInputArgs&, Pool&);
template void linearBackwardWeightByTiles<FT_PARTS>(const LinearBackwardWeightArgs&, Pool&);

}  // namespace foretoken::FT_ISA
