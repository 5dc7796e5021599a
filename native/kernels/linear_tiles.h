// The products of linear.h by tiles. kRounded: operands are rounded to bfloat16; activations and gradients are bfloat16
// or float32. kWhole: all operands are float32, and keep their precision. native/isa_tiles.cc compiles each kind
// separately.
#pragma once

#include "../gemm/amx/pack.h"
#include "../generated/kernels.h"
#include "../parallel.h"

namespace foretoken::FT_ISA {

template <int kParts>
void linearForwardByTiles(const LinearForwardArgs& args, Pool& pool);
template <int kParts>
void linearGeluForwardByTiles(const LinearGeluForwardArgs& args, Pool& pool);
template <int kParts>
void linearDropoutForwardByTiles(const LinearDropoutForwardArgs& args, Pool& pool);
template <int kParts>
void linearBackwardInputByTiles(const LinearBackwardInputArgs& args, Pool& pool);
template <int kParts>
void linearDropoutBackwardInputByTiles(const LinearDropoutBackwardInputArgs& args, Pool& pool);
template <int kParts>
void linearBackwardWeightByTiles(const LinearBackwardWeightArgs& args, Pool& pool);

}  // namespace foretoken::FT_ISA
