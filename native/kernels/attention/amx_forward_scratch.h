// Memory of the forward pass of attention by tiles: see amx_forward_head.h.
#pragma once

#include <cstdint>

#include "amx_parts.h"
#include "parts.h"

namespace foretoken::FT_ISA {

struct TileForwardScratch {
  float* keys;     // right operand of queries: strips of keys
  float* values;   // right operand of weights: strips of headDim
  float* queries;  // a strip
  float* gathered;  // [kStripLines][headDim in bfloat16]: few queries of several heads, before they are packed
  float* weights;  // a strip
  float* masked;   // a strip of `values`, with zeros for values that a query does not see
  float* scores;   // [2][kStripLines][kStripLines]: the scores of this strip of keys, and of the next strip, which tiles compute in the meantime
  float* sums;     // [kStripLines][kLanes]: sums of weights
  float* rounded;  // [kStripLines][kLanes]: sums of weights rounded to bfloat16
  uint32_t* kept;  // [words of keys, in whole mask blocks][kGroup]: the dropout mask of a strip of queries, beginning at its first key
  float* out;      // [kStripLines][headDim in strips]
  int64_t floats;  // total size of all arrays

  TileForwardScratch(const Attention& a, const AttentionExtent& extent, void* memory) {
    const int64_t strips = stripsOf(a.headDim);
    const int64_t keyUnits = stripsOf(packedKeys(a, extent)) * kStepUnits;
    Scratch scratch{static_cast<float*>(memory)};
    keys = scratch.take(strips * keyUnits);
    values = scratch.take(strips * keyUnits);
    queries = scratch.take(strips * kStepUnits);
    gathered = scratch.take(extent.few ? divideUp(kStripLines * a.headDim, 2) : 0);
    weights = scratch.take(keyUnits);
    masked = scratch.take(keyUnits);
    scores = scratch.take(2 * kBlockUnits);
    sums = scratch.take(kStripLines * kLanes);
    rounded = scratch.take(kStripLines * kLanes);
    out = scratch.take(strips * kStripLines * kStripLines);
    kept = reinterpret_cast<uint32_t*>(scratch.take(roundUp(extent.keys, kDropoutBlock) / kWordKeys * kGroup));
    floats = scratch.used;
  }

 private:
  // Maximum number of keys that all queries of a head together see, counted from the beginning of a strip.
  static int64_t packedKeys(const Attention& a, const AttentionExtent& extent) {
    return min(extent.keys, extent.queries + a.window + kStripLines);
  }
};

// The packed keys and values of a head: positions [first, end). `first` is the beginning of a strip.
struct PackedKeys {
  int64_t first = 0, end = 0;
  bool finite = true;  // all values are finite, or every query sees all values
};

}  // namespace foretoken::FT_ISA
