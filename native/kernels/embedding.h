// embeddingForward and embeddingBackward: see src/backend/kernels/kernels.ts.
#pragma once

#include "../generated/kernels.h"
#include "../lanes.h"
#include "../narrow.h"
#include "../parallel.h"
#include "elementwise.h"

namespace foretoken::FT_ISA {
namespace {

// If an index is out of range, the caller made a mistake. The index is clipped, so that it cannot access memory outside
// of the table.
FT_INLINE int64_t clampIndex(int32_t index, int64_t rows) { return max(min(index, rows - 1), 0); }

void embeddingForward(const EmbeddingForwardArgs& args, Pool& pool) {
  const int32_t* ids = args.ids;
  const Activations<const float> positions = args.positions.orNull();
  float* y = args.y;
  const int64_t rows = args.rows, time = args.time, channels = args.channels, vocabSize = args.vocabSize;
  const int64_t start = args.start, positionRows = args.positionRows;
  const int32_t* places = args.places.orNull();
  const float scale = static_cast<float>(args.scale);
  const auto placeOf = [=](int64_t r) {
    return places == nullptr ? start + r % time : clampIndex(places[r], positionRows);
  };
  // Both tables have the same type.
  withElements(args.tokens, [&]<typename T>(const T* tokens) {
    const T* const table = positions.template as<T>();
    parallelRanges(pool, rows, rowGrain(channels), [=](int64_t begin, int64_t end, int) {
      for (int64_t r = begin; r < end; r++) {
        const T* token = tokens + clampIndex(ids[r], vocabSize) * channels;
        float* out = y + r * channels;
        if (table == nullptr) {
          forVectors(0, channels, [=](int64_t c, auto lanes) { store(out + c, load(token + c, lanes) * scale, lanes); });
        } else {
          const T* position = table + placeOf(r) * channels;
          forVectors(0, channels, [=](int64_t c, auto lanes) {
            store(out + c, load(token + c, lanes) * scale + load(position + c, lanes), lanes);
          });
        }
      }
    });
  });
}

// Threads divide the channels, not the rows. So rows with the same id are added in order, without a lock.
void embeddingBackward(const EmbeddingBackwardArgs& args, Pool& pool) {
  const int32_t* ids = args.ids;
  const float* dy = args.dy;
  float* dTokens = args.dTokens.orNull();
  float* dPositions = args.dPositions.orNull();
  const int64_t rows = args.rows, time = args.time, channels = args.channels, vocabSize = args.vocabSize;
  const int64_t start = args.start, positionRows = args.positionRows;
  const int32_t* places = args.places.orNull();
  const auto placeOf = [=](int64_t r) {
    return places == nullptr ? start + r % time : clampIndex(places[r], positionRows);
  };
  const float scale = static_cast<float>(args.scale);
  parallelRanges(pool, channels, 16, [=](int64_t begin, int64_t end, int) {
    const auto addRow = [=](float* to, const float* from, float factor) {
      forVectors(begin, end, [=](int64_t c, auto lanes) {
        store(to + c, load(to + c, lanes) + load(from + c, lanes) * factor, lanes);
      });
    };
    for (int64_t r = 0; r < rows; r++) {
      const float* from = dy + r * channels;
      if (dTokens != nullptr) addRow(dTokens + clampIndex(ids[r], vocabSize) * channels, from, scale);
      if (dPositions != nullptr) addRow(dPositions + placeOf(r) * channels, from, 1.0f);
    }
  });
}

}  // namespace
}  // namespace foretoken::FT_ISA
