// embeddingForward and embeddingBackward: see src/backend/kernels.ts.
#pragma once

#include "../call.h"
#include "../lanes.h"
#include "../parallel.h"
#include "elementwise.h"

namespace foretoken::FT_ISA {
namespace {

// An id that is out of range, which the caller should not have passed, must not reach memory that is not ours.
FT_INLINE int64_t clampId(int32_t id, int64_t vocabSize) {
  return id < 0 ? 0 : id >= vocabSize ? vocabSize - 1 : id;
}

void embeddingForward(const Call& call, Pool& pool) {
  const int32_t* ids = call.buffer<int32_t>(0);
  const float* tokens = call.buffer(1);
  const float* positions = call.buffer(2);
  float* y = call.buffer(3);
  const int64_t rows = call.ints[0], time = call.ints[1], channels = call.ints[2], vocabSize = call.ints[3];
  const int64_t start = call.ints[4];
  parallelRanges(pool, rows, rowGrain(channels), [=](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; r++) {
      const float* token = tokens + clampId(ids[r], vocabSize) * channels;
      float* out = y + r * channels;
      if (positions == nullptr) {
        forVectors(0, channels, [=](int64_t c, auto lanes) { store(out + c, load(token + c, lanes), lanes); });
      } else {
        const float* position = positions + (start + r % time) * channels;
        forVectors(0, channels, [=](int64_t c, auto lanes) {
          store(out + c, load(token + c, lanes) + load(position + c, lanes), lanes);
        });
      }
    }
  });
}

// Threads share out the channels, not the rows: rows of the same id are then added in order without a lock.
void embeddingBackward(const Call& call, Pool& pool) {
  const int32_t* ids = call.buffer<int32_t>(0);
  const float* dy = call.buffer(1);
  float* dTokens = call.buffer(2);
  float* dPositions = call.buffer(3);
  const int64_t rows = call.ints[0], time = call.ints[1], channels = call.ints[2], vocabSize = call.ints[3];
  const int64_t start = call.ints[4];
  parallelRanges(pool, channels, 16, [=](int64_t begin, int64_t end, int) {
    const auto addRow = [=](float* to, const float* from) {
      forVectors(begin, end, [=](int64_t c, auto lanes) {
        store(to + c, load(to + c, lanes) + load(from + c, lanes), lanes);
      });
    };
    for (int64_t r = 0; r < rows; r++) {
      const float* from = dy + r * channels;
      if (dTokens != nullptr) addRow(dTokens + clampId(ids[r], vocabSize) * channels, from);
      if (dPositions != nullptr) addRow(dPositions + (start + r % time) * channels, from);
    }
  });
}

}  // namespace
}  // namespace foretoken::FT_ISA
