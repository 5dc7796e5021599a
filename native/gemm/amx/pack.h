// Packs operands for products by tiles. Packing rounds float32 to bfloat16 and arranges strips in the order in which
// the products in this folder read them.
#pragma once

#include <cstdint>

#include "../../lanes.h"
#include "../../narrow.h"
#include "../../gemm/operands.h"
#include "../../gemm/pack.h"
#include "../../gemm/register_tile.h"
#include "tiles.h"

namespace foretoken::FT_ISA {

constexpr int kStripLines = 2 * kTileSide;
constexpr int kStepValues = 2 * kTileSide;               // values of k in one tile
constexpr int64_t kStepUnits = int64_t{2} * kTileUnits;  // units of a strip, for one step of k and one part

// How many bfloat16 numbers represent a value. One: the value is rounded. Three: a float32 is split into its first 8
// bits, its next 8 bits and its last 8 bits. The sum of the three parts is exact, except for subnormal values. The
// parts of one step of k are next to each other.
constexpr int kRounded = 1, kWhole = 3;
template <int kParts>
constexpr int64_t kUnitsOfStep = kParts * kStepUnits;

FT_INLINE int64_t stripsOf(int64_t lines) { return divideUp(lines, kStripLines); }

// Makes units of `width` neighbouring lines from two rows of successive k. If the second row is null, its values are
// zeros. Optionally adds the values to `total`.
FT_INLINE F32 unitsAcross(const float* first, const float* second, int64_t width, bool sum, F32& total) {
  const F32 pair[2] = {Float32::along(first, width), second == nullptr ? F32{} : Float32::along(second, width)};
  if (sum) total += pair[0] + pair[1];
  return PairedBfloat16::across(pair);
}
FT_INLINE __m512i loadHalves(const Narrow* from, int64_t width) {
  return _mm512_cvtepu16_epi32(width >= kLanes
                                   ? _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))
                                   : _mm256_maskz_loadu_epi16(static_cast<__mmask16>((1u << width) - 1u), from));
}
FT_INLINE F32 unitsAcross(const Narrow* first, const Narrow* second, int64_t width, bool, F32&) {
  const U32 low = (U32)loadHalves(first, width);
  const U32 high = second == nullptr ? U32{} : (U32)loadHalves(second, width) << 16;
  return (F32)(low | high);
}

// Packs lines [0, lines) × values [0, values) of an operand into a tile and fills the rest with zeros. `stride` is the
// distance between lines of `from` if k runs along the lines. If k runs across the lines, it is the distance between
// values of k. kUnitsFirst: a row of the tile has one unit of all lines (B); otherwise it has all units of one line
// (A). sums: null, or one sum for each line. Values are added to the sums before rounding (only for float32 with k
// across).
template <typename T, Order kOrder, bool kUnitsFirst>
FT_INLINE void packTile(const T* from, int64_t stride, int64_t lines, int64_t values, float* to, float* sums) {
  F32 units[kTileSide];
  if constexpr (kOrder == Order::kRows) {
    FT_UNROLL
    for (int line = 0; line < kTileSide; line++)
      units[line] = line < lines ? PairedBfloat16::along(from + line * stride, values) : F32{};
    if constexpr (kUnitsFirst) transpose(units);
  } else {
    F32 total{};
    const int64_t width = min(lines, kTileSide);
    FT_UNROLL
    for (int u = 0; u < kTileSide; u++) {
      const T* pair = from + 2 * u * stride;
      units[u] = 2 * u < values ? unitsAcross(pair, 2 * u + 1 < values ? pair + stride : nullptr, width,
                                              sums != nullptr, total)
                                : F32{};
    }
    if (sums) {
      if (width == kTileSide) store(sums, load(sums) + total);
      else storePartial(sums, loadPartial(sums, static_cast<int>(width)) + total, static_cast<int>(width));
    }
    if constexpr (!kUnitsFirst) transpose(units);
  }
  FT_UNROLL
  for (int r = 0; r < kTileSide; r++) store(to + r * kTileSide, units[r]);
}

// Splits values u (first) and u + 16 (second) of a step into three parts each; the pair makes a unit. The two values
// are not neighbours, because a part then needs only two instructions. The first part is truncated, so it never
// overflows. The second part is rounded, so that the errors of omitted products have different signs. A NaN stays NaN,
// at least in the third part. An infinity becomes NaN in the third part.
FT_INLINE void wholeUnits(F32 first, F32 second, F32 (&units)[kWhole]) {
  const U32 upper = U32{} + 0xFFFF0000u, half = U32{} + 0x8000u;
  const auto unitOf = [](U32 low, U32 high) __attribute__((always_inline)) { return (F32)(low >> 16 | high); };
  const U32 cut[2] = {(U32)first & upper, (U32)second & upper};
  units[0] = unitOf(cut[0], cut[1]);
  const F32 rest[2] = {first - (F32)cut[0], second - (F32)cut[1]};
  const U32 rounded[2] = {((U32)rest[0] + half) & upper, ((U32)rest[1] + half) & upper};
  units[1] = unitOf(rounded[0], rounded[1]);
  units[2] = unitOf((U32)(rest[0] - (F32)rounded[0]), (U32)(rest[1] - (F32)rounded[1]) & upper);
}

// packTile for float32 in three parts. The distance between parts is kStepUnits.
template <Order kOrder, bool kUnitsFirst>
FT_INLINE void packTileWhole(const float* from, int64_t stride, int64_t lines, int64_t values, float* to, float* sums) {
  constexpr bool kAlong = kOrder == Order::kRows;
  F32 total{};
  FT_UNROLL
  for (int r = 0; r < kTileSide; r++) {
    F32 pair[2], units[kWhole];
    FT_UNROLL
    for (int i = 0; i < 2; i++) {
      const int64_t line = kAlong ? r : 0, k = i * kTileSide + (kAlong ? 0 : r);
      const bool exists = line < lines && k < values;
      pair[i] = exists ? Float32::along(from + (kAlong ? line * stride + k : k * stride), kAlong ? values - k : lines) : F32{};
    }
    if constexpr (!kAlong) total += pair[0] + pair[1];
    wholeUnits(pair[0], pair[1], units);
    FT_UNROLL
    for (int part = 0; part < kWhole; part++) store(to + part * kStepUnits + r * kTileSide, units[part]);
  }
  if (!kAlong && sums) {
    if (lines >= kTileSide) store(sums, load(sums) + total);
    else storePartial(sums, loadPartial(sums, static_cast<int>(lines)) + total, static_cast<int>(lines));
  }
  if constexpr (kAlong == kUnitsFirst) {
    for (int part = 0; part < kWhole; part++, to += kStepUnits) {
      F32 units[kTileSide];
      FT_UNROLL
      for (int r = 0; r < kTileSide; r++) units[r] = load(to + r * kTileSide);
      transpose(units);
      FT_UNROLL
      for (int r = 0; r < kTileSide; r++) store(to + r * kTileSide, units[r]);
    }
  }
}

// Loads four pieces of 16 bytes, `stride` elements apart, into one vector.
FT_INLINE __m512i gatherPieces(const Narrow* from, int64_t stride) {
  const auto piece = [=](int64_t i) __attribute__((always_inline)) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i * stride));
  };
  __m512i all = _mm512_castsi128_si512(piece(0));
  all = _mm512_inserti32x4(all, piece(1), 1);
  all = _mm512_inserti32x4(all, piece(2), 2);
  return _mm512_inserti32x4(all, piece(3), 3);
}

// packTile for a whole tile of bfloat16 that must be transposed. Loads move pieces of 16 bytes; shuffles move units
// inside the pieces.
template <Order kOrder>
FT_INLINE void transposeTile(const Narrow* from, int64_t stride, float* to) {
  if constexpr (kOrder == Order::kRows) {
    // 16 rows of 16 units: each piece of a vector holds four units of four rows.
    FT_UNROLL
    for (int u = 0; u < kTileSide; u += 4) {
      __m512i rows[4], pairs[4];
      FT_UNROLL
      for (int i = 0; i < 4; i++) rows[i] = gatherPieces(from + 2 * u + i * stride, 4 * stride);
      FT_UNROLL
      for (int i = 0; i < 2; i++) {
        pairs[i] = _mm512_unpacklo_epi32(rows[2 * i], rows[2 * i + 1]);
        pairs[2 + i] = _mm512_unpackhi_epi32(rows[2 * i], rows[2 * i + 1]);
      }
      FT_UNROLL
      for (int i = 0; i < 2; i++) {
        store(to + (u + 2 * i) * kTileSide, (F32)_mm512_unpacklo_epi64(pairs[2 * i], pairs[2 * i + 1]));
        store(to + (u + 2 * i + 1) * kTileSide, (F32)_mm512_unpackhi_epi64(pairs[2 * i], pairs[2 * i + 1]));
      }
    }
  } else {
    // 32 values of 16 lines: each piece of a vector holds eight values of eight lines.
    FT_UNROLL
    for (int line = 0; line < kTileSide; line += 8) {
      __m512i rows[8], pairs[8], fours[8];
      FT_UNROLL
      for (int i = 0; i < 8; i++) rows[i] = gatherPieces(from + line + i * stride, 8 * stride);
      FT_UNROLL
      for (int i = 0; i < 4; i++) {
        pairs[i] = _mm512_unpacklo_epi16(rows[2 * i], rows[2 * i + 1]);
        pairs[4 + i] = _mm512_unpackhi_epi16(rows[2 * i], rows[2 * i + 1]);
      }
      FT_UNROLL
      for (int i = 0; i < 8; i += 4) {
        FT_UNROLL
        for (int j = 0; j < 2; j++) {
          fours[i + j] = _mm512_unpacklo_epi32(pairs[i + 2 * j], pairs[i + 2 * j + 1]);
          fours[i + 2 + j] = _mm512_unpackhi_epi32(pairs[i + 2 * j], pairs[i + 2 * j + 1]);
        }
      }
      FT_UNROLL
      for (int i = 0; i < 4; i++) {
        store(to + (line + 2 * i) * kTileSide, (F32)_mm512_unpacklo_epi64(fours[2 * i], fours[2 * i + 1]));
        store(to + (line + 2 * i + 1) * kTileSide, (F32)_mm512_unpackhi_epi64(fours[2 * i], fours[2 * i + 1]));
      }
    }
  }
}

// packTile with a separate branch for the usual case. This branch tests no sizes.
template <int kParts, typename T, Order kOrder, bool kUnitsFirst>
FT_INLINE void packAnyTile(const T* from, int64_t stride, int64_t lines, int64_t values, float* to, float* sums) {
  if constexpr (kParts == kWhole) {
    if (lines < kTileSide || values < kStepValues) packTileWhole<kOrder, kUnitsFirst>(from, stride, lines, values, to, sums);
    else packTileWhole<kOrder, kUnitsFirst>(from, stride, kTileSide, kStepValues, to, sums);
    return;
  }
  constexpr bool kTransposed = (kOrder == Order::kRows) == kUnitsFirst;
  if (lines < kTileSide || values < kStepValues) packTile<T, kOrder, kUnitsFirst>(from, stride, lines, values, to, sums);
  else if constexpr (kTransposed && sizeof(T) == sizeof(Narrow)) transposeTile<kOrder>(from, stride, to);
  else packTile<T, kOrder, kUnitsFirst>(from, stride, kTileSide, kStepValues, to, sums);
}

// Packs strips of `lines` lines and `values` values of k from `from`. `stride`: elements between lines or, if k runs
// across the lines, between values of k. The distance between strips in `to` is stripUnits. If the lines of a strip
// fill only one tile, its second tile does not change.
using PackStrips = void (*)(const void* from, int64_t stride, int64_t lines, int64_t values, float* to, int64_t stripUnits,
                            float* sums);

// Packs in the order of memory: tile after tile with all steps of k, or step after step with all tiles.
template <typename T, Order kOrder, bool kUnitsFirst, int kParts = kRounded>
static void packStrips(const void* given, int64_t stride, int64_t lines, int64_t values, float* to, int64_t stripUnits,
                       float* sums) {
  const T* from = static_cast<const T*>(given);
  const auto packOne = [&](int64_t line, int64_t k) __attribute__((always_inline)) {
    packAnyTile<kParts, T, kOrder, kUnitsFirst>(from + (kOrder == Order::kRows ? line * stride + k : k * stride + line), stride,
                                        lines - line, values - k,
                                        to + line / kStripLines * stripUnits + k / kStepValues * kUnitsOfStep<kParts> +
                                            line % kStripLines / kTileSide * kTileUnits,
                                        sums == nullptr ? nullptr : sums + line);
  };
  if constexpr (kOrder == Order::kRows) {
    for (int64_t line = 0; line < lines; line += kTileSide)
      for (int64_t k = 0; k < values; k += kStepValues) packOne(line, k);
  } else {
    for (int64_t k = 0; k < values; k += kStepValues)
      for (int64_t line = 0; line < lines; line += kTileSide) packOne(line, k);
  }
}

// An operand of a product. With kRows, k runs along lines: element (line, k) is from[line · stride + k]. Otherwise
// element (line, k) is from[k · stride + line].
struct TileOperand {
  const void* from;
  bool narrow;  // bfloat16; otherwise float32
  int64_t stride;
  Order order;

  int64_t elementBytes() const { return narrow ? int64_t{sizeof(Narrow)} : int64_t{sizeof(float)}; }
  const void* at(int64_t line, int64_t k) const {
    const int64_t element = order == Order::kRows ? line * stride + k : k * stride + line;
    return static_cast<const char*>(from) + element * elementBytes();
  }
};

// Prefetches a part of an operand that is needed soon: a few cache lines at a time, while tiles compute.
class OperandPrefetch {
 public:
  OperandPrefetch() = default;

  // Prefetches lines [line, line + lines) × values [k, k + values) in `times` calls of step().
  OperandPrefetch(const TileOperand& operand, int64_t line, int64_t lines, int64_t k, int64_t values, int64_t times) {
    if (lines <= 0 || values <= 0) return;
    const bool along = operand.order == Order::kRows;
    at_ = static_cast<const char*>(operand.at(line, k));
    rows_ = along ? lines : values;
    width_ = (along ? values : lines) * operand.elementBytes();
    stride_ = operand.stride * operand.elementBytes();
    share_ = divideUp(rows_ * (width_ / kCacheLine + 1), times);
  }

  __attribute__((always_inline)) void step() {
    for (int64_t i = 0; i < share_ && rows_ > 0; i++) {
      __builtin_prefetch(at_ + offset_, 0, 2);
      offset_ += kCacheLine;
      if (offset_ < width_) continue;
      offset_ = 0;
      at_ += stride_;
      rows_--;
    }
  }

 private:
  static constexpr int64_t kCacheLine = 64;
  const char* at_ = nullptr;
  int64_t rows_ = 0, width_ = 0, stride_ = 0, offset_ = 0, share_ = 0;
};

template <int kParts, bool kUnitsFirst>
FT_INLINE PackStrips packStripsOf(const TileOperand& operand) {
  if constexpr (kParts == kWhole)
    return operand.order == Order::kRows ? packStrips<float, Order::kRows, kUnitsFirst, kParts>
                                         : packStrips<float, Order::kColumns, kUnitsFirst, kParts>;
  if (operand.order == Order::kRows)
    return operand.narrow ? packStrips<Narrow, Order::kRows, kUnitsFirst> : packStrips<float, Order::kRows, kUnitsFirst>;
  return operand.narrow ? packStrips<Narrow, Order::kColumns, kUnitsFirst>
                        : packStrips<float, Order::kColumns, kUnitsFirst>;
}

template <int kParts>
FT_INLINE PackStrips packStripsOf(const TileOperand& operand, bool unitsFirst) {
  return unitsFirst ? packStripsOf<kParts, true>(operand) : packStripsOf<kParts, false>(operand);
}

}  // namespace foretoken::FT_ISA
