// One instruction set's kernels: compiled once per set, with that set's flags. See simd.h.
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
#include "kernels/swiglu.h"
#include "kernels/dropout.h"
#include "kernels/attention.h"
#include "kernels/cross_entropy.h"
#include "kernels/adam.h"

#define FT_STRING_(x) #x
#define FT_STRING(x) FT_STRING_(x)

namespace foretoken::FT_ISA {

namespace {
constexpr Kernel kKernels[] = {
    {"fill", fill, 1, 1, 1},
    {"add", add, 3, 1, 0},
    {"combine", combine, 4, 1, 2},
    {"copyRows", copyRows, 2, 4, 0},
    {"sum", sum, 2, 1, 0},
    {"sumOfSquares", sumOfSquares, 2, 1, 0},
    {"scaleByNorm", scaleByNorm, 3, 1, 1},
    {"geluForward", geluForward, 2, 2, 0},
    {"geluBackward", geluBackward, 3, 2, 0},
    {"swigluForward", swigluForward, 2, 2, 0},
    {"swigluBackward", swigluBackward, 3, 2, 0},
    {"embeddingForward", embeddingForward, 4, 5, 0},
    {"embeddingBackward", embeddingBackward, 4, 5, 0},
    {"layerNormForward", layerNormForward, 6, 2, 1},
    {"layerNormBackward", layerNormBackward, 8, 3, 0},
    {"rmsNormForward", rmsNormForward, 4, 2, 1},
    {"rmsNormBackward", rmsNormBackward, 6, 3, 0},
    {"rotaryForward", rotaryForward, 7, 5, 1},
    {"rotaryBackward", rotaryBackward, 10, 5, 0},
    {"linearForward", linearForward, 5, 3, 0},
    {"linearGeluForward", linearGeluForward, 5, 4, 0},
    {"linearDropoutForward", linearDropoutForward, 6, 8, 1},
    {"linearBackwardInput", linearBackwardInput, 4, 4, 0},
    {"linearDropoutBackwardInput", linearDropoutBackwardInput, 6, 3, 1},
    {"linearBackwardWeight", linearBackwardWeight, 4, 4, 0},
    {"attentionForward", attentionForward, 6, 15, 2},
    {"attentionBackward", attentionBackward, 10, 15, 2},
    {"crossEntropyForward", crossEntropyForward, 4, 4, 0},
    {"crossEntropyBackward", crossEntropyBackward, 5, 4, 0},
    {"adamStep", adamStep, 6, 1, 8},
};
}  // namespace

extern const KernelTable kTable;
const KernelTable kTable = {FT_STRING(FT_ISA), kKernels, sizeof kKernels / sizeof kKernels[0]};

}  // namespace foretoken::FT_ISA
