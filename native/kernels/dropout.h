// Dropout of a branch's result: the mask of kept elements as bits, and the gradient. `linearDropoutForward` in
// src/backend/kernels/linear.ts says which random number each element gets.
#pragma once

#include <cstdint>

#include "../generated/kernels.h"
#include "../lanes.h"
#include "../narrow.h"
#include "../parallel.h"
#include "../random.h"

namespace foretoken::FT_ISA {

// The factor that multiplies a kept element.
FT_INLINE float keptScale(double p) { return static_cast<float>(1.0 / (1.0 - p)); }

FT_INLINE int64_t countOf(All) { return kLanes; }
FT_INLINE int64_t countOf(First lanes) { return lanes.count; }

// Draws the bits of elements [begin, end), both multiples of kDropoutBlock.
FT_INLINE void drawKept(const DropoutKey& dropoutKey, int64_t begin, int64_t end, uint32_t* kept) {
  const DropoutKey key = dropoutKey;  // a local copy: the compiler then knows that no store changes it
  for (int64_t block = begin; block < end; block += kDropoutBlock) {
    const uint64_t bits = keptBits(key, 0, block);
    kept[block / 32] = static_cast<uint32_t>(bits);
    kept[block / 32 + 1] = static_cast<uint32_t>(bits >> 32);
  }
}

// Bit i % 32 of word i / 32 says whether element i of n is kept. Bits after element n − 1 are 0.
static void drawKept(const DropoutKey& dropoutKey, int64_t n, uint32_t* kept, Pool& pool) {
  parallelRanges(pool, n, 64 * kDropoutBlock, [&](int64_t begin, int64_t end, int) {
    const int64_t whole = end / kDropoutBlock * kDropoutBlock;
    drawKept(dropoutKey, begin, whole, kept);
    if (whole == end) return;
    const uint64_t bits = keptBits(dropoutKey, 0, whole) & ((uint64_t{1} << (end - whole)) - 1);
    kept[whole / 32] = static_cast<uint32_t>(bits);
    if (end - whole > 32) kept[whole / 32 + 1] = static_cast<uint32_t>(bits >> 32);
  });
}

template <typename T>
FT_INLINE void dropElements(const DropoutArgs& args, Pool& pool, T* y) {
  const T* x = args.x.as<T>();
  const int64_t n = args.n;
  const float scale = keptScale(args.p);
  const DropoutKey dropoutKey = dropoutKeyOf(args);
  const int64_t blocks = (n + kDropoutBlock - 1) / kDropoutBlock;
  parallelRanges(pool, blocks, 64, [=](int64_t first, int64_t last, int) {
    const DropoutKey key = dropoutKey;
    for (int64_t block = first; block < last; block++) {
      const int64_t begin = block * kDropoutBlock;
      const uint64_t kept = keptBits(key, 0, begin);
      forVectors(begin, min(begin + kDropoutBlock, n), [=](int64_t i, auto lanes) {
        const uint32_t bits = static_cast<uint32_t>(kept >> (i - begin));
        store(y + i, load(x + i, lanes) * scaleWhere(bits, scale), lanes);
      });
    }
  });
}

static void dropout(const DropoutArgs& args, Pool& pool) {
  withElements(args.y, [&](auto* y) { dropElements(args, pool, y); });
}

// The gradient of a dropout's input from the gradient of its output: dBranch = dy · kept / (1 − p).
class DropoutGradient {
 public:
  explicit DropoutGradient(const LinearDropoutBackwardInputArgs& args)
      : dy_(args.dy), kept_(args.kept), to_(args.dBranch), scale_(keptScale(args.p)) {}

  // Computes elements [begin, end).
  void make(int64_t begin, int64_t end) const {
    withElements(to_, [&](auto* to) { make(begin, end, to); });
  }

 private:
  template <typename T>
  void make(int64_t begin, int64_t end, T* to) const {
    int64_t at = begin;
    if (begin % 32 == 0) {
      for (; at + 32 <= end; at += 32) {
        const uint32_t bits = kept_[at / 32];
        FT_UNROLL
        for (int i = 0; i < 32; i += kLanes) store(to + at + i, load(dy_ + at + i) * scaleWhere(bits >> i, scale_));
      }
    }
    forVectors(at, end, [&](int64_t i, auto lanes) {
      store(to + i, load(dy_ + i, lanes) * scaleWhere(bitsAt(kept_, i, countOf(lanes)), scale_), lanes);
    });
  }

  const float* const dy_;
  const uint32_t* const kept_;
  const Activations<float> to_;
  const float scale_;
};

}  // namespace foretoken::FT_ISA
