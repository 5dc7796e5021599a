// Masks of attention: which keys a query sees, and which weights dropout keeps.
#pragma once

#include <cstdint>
#include <cstring>

#include "../../lanes.h"
#include "../../random.h"
#include "../../simd.h"
#include "parts.h"

namespace foretoken::FT_ISA {

// Which keys of a block a vector of queries sees. Every lane sees the first `full` keys. On the diagonal, lane i also
// sees the first i + 1 of the next kLanes keys. The window of lane i begins at `edge` + i, so lane i does not see
// earlier keys. `edge` may be negative.
struct KeyMask {
  int64_t full;
  bool diagonal;
  int64_t edge;

  // Every lane sees the keys [wholeFrom, full). No lane sees a key before firstRow, a multiple of 4.
  int64_t firstRow() const { return max(edge, int64_t{0}) / 4 * 4; }
  int64_t wholeFrom() const { return max(edge + kLanes - 1, int64_t{0}); }

  I32 lanes(int64_t key) const {
    const int64_t first = key < full ? 0 : diagonal ? key - full : kLanes;
    const int64_t end = min(key - edge + 1, kLanes);
    return ((I32)laneIndex() >= static_cast<int32_t>(first)) & ((I32)laneIndex() < static_cast<int32_t>(max(end, int64_t{0})));
  }
  // Lanes with a window that contains one of the first `rows` keys. All lanes must be late enough to see the last of
  // these keys.
  I32 lanesBefore(int64_t rows) const {
    return (I32)laneIndex() < static_cast<int32_t>(max(min(rows - edge, kLanes), int64_t{0}));
  }
};

// The dropout mask is stored as bits: one word for each query and kWordKeys keys. Bit key % kWordKeys is set if the
// weight is kept. The words of a group have the shape [word][kGroup].
constexpr int64_t kWordKeys = 32;
FT_INLINE int64_t wordsOf(int64_t keys) { return divideUp(keys, kWordKeys); }
constexpr int64_t kBlockWords = kBlock / kWordKeys;

FT_INLINE U32 loadWords(const uint32_t* from) {
  U32 words;
  std::memcpy(&words, from, sizeof words);
  return words;
}
FT_INLINE void storeWords(uint32_t* to, U32 words) { std::memcpy(to, &words, sizeof words); }

// Draws the dropout mask for a vector of queries and keys [0, keys) of the block at position `block`, in whole mask
// blocks. `row` is the first query's row in the mask.
FT_INLINE void drawMask(const Attention& a, uint32_t row, int64_t block, int64_t keys, uint32_t* kept) {
  const DropoutKey key = a.dropoutKey;  // a local copy: the compiler then knows that no store changes it
  for (int64_t begin = 0; begin < keys; begin += kDropoutBlock) {
    U32 words[2];
    keptColumns(key, row, block + begin, words);
    for (int64_t i = 0; i < 2; i++) storeWords(kept + (begin / kWordKeys + i) * kGroup, words[i]);
  }
}

FT_INLINE F32 maskedBy(U32 words, int64_t key, F32 value) {
  return (F32)((U32)value & (U32)((words & (1u << key % kWordKeys)) != 0u));
}

// The mask of one head that the forward pass stores for the backward pass, for whole sequences:
// [⌈keys/kWordKeys⌉][queries]. Null if the mask is not stored. Word: uint32_t, or const uint32_t for reading.
template <typename Word>
struct DropoutMask {
  Word* words;
  int64_t queries, rows;

  DropoutMask(const Attention& a, Word* buffer, int64_t head)
      : words(buffer == nullptr ? nullptr : buffer + a.indexOf(head) * wordsOf(a.keys) * a.queries),
        queries(a.queries),
        rows(wordsOf(a.keys)) {}

  // put() writes and get() reads words of keys [0, keys) of the block at position `block`, in whole mask blocks. The
  // words are for `count` queries of a group. `query` is the first query's index in the call.
  void put(const uint32_t* from, int64_t query, int64_t count, int64_t block, int64_t keys) const {
    forRows(query, block, keys, [=](uint32_t* row, int64_t i) { copy(row, from + i * kGroup, count); });
  }
  void get(uint32_t* to, int64_t query, int64_t count, int64_t block, int64_t keys) const {
    forRows(query, block, keys, [=](const uint32_t* row, int64_t i) { copy(to + i * kGroup, row, count); });
  }
  // Writes the words of keys [begin, end), in whole mask blocks, for queries that see a key of a block.
  void putSeen(const Attention& a, const uint32_t* from, int64_t query, int64_t count, int64_t block, int64_t begin,
               int64_t end) const {
    for (int64_t key = begin; key < end; key += kDropoutBlock) {
      const int64_t seeing = min(a.queriesSeeing(block + key + kDropoutBlock) - query, count);
      if (seeing > 0) put(from + key / kWordKeys * kGroup, query, seeing, block + key, min(end - key, kDropoutBlock));
    }
  }
  // Prefetches the words that put() writes.
  void prefetch(int64_t query, int64_t count, int64_t block, int64_t keys) const {
    constexpr int64_t kLineWords = 16;
    forRows(query, block, keys, [=](const uint32_t* row, int64_t) {
      for (int64_t i = 0; i < count; i += kLineWords) __builtin_prefetch(row + i, 1);
    });
  }
  // Writes the words of one query for the kDropoutBlock keys from position `key` on.
  void putRow(uint64_t bits, int64_t query, int64_t key) const {
    const int64_t row = key / kWordKeys;
    words[row * queries + query] = static_cast<uint32_t>(bits);
    if (row + 1 < rows) words[(row + 1) * queries + query] = static_cast<uint32_t>(bits >> kWordKeys);
  }

 private:
  template <typename Body>
  void forRows(int64_t query, int64_t block, int64_t keys, Body body) const {
    const int64_t first = block / kWordKeys;
    const int64_t count = divideUp(keys, kDropoutBlock) * (kDropoutBlock / kWordKeys);
    for (int64_t i = 0; i < min(count, rows - first); i++) body(words + (first + i) * queries + query, i);
  }
  static void copy(uint32_t* to, const uint32_t* from, int64_t count) {
    std::memcpy(to, from, sizeof(uint32_t) * static_cast<size_t>(count));
  }
};

}  // namespace foretoken::FT_ISA
