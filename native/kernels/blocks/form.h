// The layout and the values of weights in blocks of few bits (src/backend/kernels/block-forms.ts).
//
// Rows are in panels of 16. A panel has the values of all its blocks of 32, then their scales. A line of 64 bytes has
// four values from each of the 16 rows, so each lane of a product sums one row. Group g of a block has its values 4g to
// 4g + 3:
//
//   4 bits and more   lines 0–3: of group g the low four bits in the low half of the bytes, of group 4 + g in the high half
//   5 bits            line 4: bit g of a byte is the fifth bit of group g
//   6 bits            lines 4 and 5: bits 2·(g mod 4) of a byte of line 4 + ⌊g / 4⌋ are the upper two of group g
//   8 bits            line g: group g
//
// Values are unsigned. The scales of a row and block have one of these formats:
//
//   kOffset    value = d · (u − offset)          16 times d in binary16
//   kMinimum   value = d · u + m                 16 times d, 16 times m, in binary16
//   kNested    value = d · s · u − e · t         16 times s, 16 times t, in 8 bits; per 8 blocks 16 times d, 16 times e
//   kHalved    value = d · s · (u − offset)      16 times s of values 0–15, and of 16–31, signed; per 8 blocks 16 times d
#pragma once

#include <cstdint>
#include <cstring>

#include "../../lanes.h"

namespace foretoken::FT_ISA {

constexpr int64_t kBlockValues = 32;
constexpr int64_t kPanelRows = 16;
constexpr int64_t kLineBytes = 64;
constexpr int64_t kGroups4 = 8;       // groups of 4 values in a block
constexpr int64_t kNestedBlocks = 8;  // blocks that share d
constexpr int kPanelVectors = kPanelRows / kLanes;

enum class BlockScales { kOffset, kMinimum, kNested, kHalved };

template <int kBits_, BlockScales kScales_, int kOffset_>
struct BlockForm {
  static constexpr int kBits = kBits_;
  static constexpr BlockScales kScales = kScales_;
  static constexpr int kOffset = kOffset_;
  static constexpr bool kHasMinimum = kScales == BlockScales::kMinimum || kScales == BlockScales::kNested;
  static constexpr bool kIsHalved = kScales == BlockScales::kHalved;
  static constexpr int64_t kValueBytes = kLineBytes * kBits;  // bytes of one block of a panel
  static constexpr int64_t kScaleBytes = kScales == BlockScales::kMinimum ? 64 : 32;
  static constexpr int64_t kNestedBytes = kScales == BlockScales::kNested ? 64 : kScales == BlockScales::kHalved ? 32 : 0;

  static constexpr int64_t panelBytes(int64_t k) {
    const int64_t blocks = k / kBlockValues;
    return roundUp(blocks * (kValueBytes + kScaleBytes) + divideUp(blocks, kNestedBlocks) * kNestedBytes, kLineBytes);
  }
};

// Calls body with the form that has this number in `blockForms`. The caller must check the number. For an unknown
// number, body gets form 0.
template <typename Body>
FT_INLINE void withBlockForm(int64_t number, Body body) {
  using enum BlockScales;
  switch (number) {
    case 1: return body(BlockForm<4, kMinimum, 0>{});
    case 2: return body(BlockForm<5, kOffset, 16>{});
    case 3: return body(BlockForm<5, kMinimum, 0>{});
    case 4: return body(BlockForm<8, kOffset, 128>{});
    case 5: return body(BlockForm<4, kNested, 0>{});
    case 6: return body(BlockForm<5, kNested, 0>{});
    case 7: return body(BlockForm<6, kHalved, 32>{});
    default: return body(BlockForm<4, kOffset, 8>{});
  }
}

// A panel of a matrix.
template <class Form>
struct BlockPanel {
  const uint8_t* values;
  const uint8_t* scales;
  const uint8_t* nested;

  BlockPanel(const uint8_t* at, int64_t k)
      : values(at),
        scales(at + k / kBlockValues * Form::kValueBytes),
        nested(scales + k / kBlockValues * Form::kScaleBytes) {}

  const uint8_t* valuesOf(int64_t block) const { return values + block * Form::kValueBytes; }
  const uint8_t* scalesOf(int64_t block) const { return scales + block * Form::kScaleBytes; }
  const uint8_t* nestedOf(int64_t block) const { return nested + block / kNestedBlocks * Form::kNestedBytes; }
};

// Converts a finite binary16 to float32.
FT_INLINE float halfToFloat(const uint8_t* from) {
  uint16_t half;
  std::memcpy(&half, from, sizeof half);
  const uint32_t bits = (half & 0x7FFFu) << 13;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  value *= 0x1p112f;
  return (half & 0x8000u) != 0 ? -value : value;
}

typedef uint16_t Halves __attribute__((vector_size(FT_VECTOR_BYTES / 2)));
typedef uint8_t Bytes __attribute__((vector_size(FT_VECTOR_BYTES / 4)));
typedef int8_t SignedBytes __attribute__((vector_size(FT_VECTOR_BYTES / 4)));

FT_INLINE F32 halvesToFloat(const uint8_t* from) {
#if defined(__AVX512F__) && FT_VECTOR_BYTES == 64
  return (F32)_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
#else
#if defined(__AVX2__) && FT_VECTOR_BYTES == 32
  const U32 wide = (U32)_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
#else
  Halves halves;
  std::memcpy(&halves, from, sizeof halves);
  const U32 wide = __builtin_convertvector(halves, U32);
#endif
  const F32 magnitude = (F32)((wide & 0x7FFFu) << 13) * 0x1p112f;
  return (F32)((U32)magnitude | (wide & 0x8000u) << 16);
#endif
}

// This uses intrinsics, because the compiler would convert the bytes one by one.
FT_INLINE I32 unsignedBytes(const uint8_t* from) {
#if defined(__AVX512F__) && FT_VECTOR_BYTES == 64
  return (I32)_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
#elif defined(__AVX2__) && FT_VECTOR_BYTES == 32
  return (I32)_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
#else
  Bytes bytes;
  std::memcpy(&bytes, from, sizeof bytes);
  return __builtin_convertvector(bytes, I32);
#endif
}

FT_INLINE I32 signedBytes(const void* from) {
#if defined(__AVX512F__) && FT_VECTOR_BYTES == 64
  return (I32)_mm512_cvtepi8_epi32(_mm_loadu_si128(static_cast<const __m128i*>(from)));
#elif defined(__AVX2__) && FT_VECTOR_BYTES == 32
  return (I32)_mm256_cvtepi8_epi32(_mm_loadl_epi64(static_cast<const __m128i*>(from)));
#else
  SignedBytes bytes;
  std::memcpy(&bytes, from, sizeof bytes);
  return __builtin_convertvector(bytes, I32);
#endif
}

// Stores the lowest byte of each lane.
FT_INLINE void storeBytes(int8_t* to, I32 values) {
#if defined(__AVX512F__) && FT_VECTOR_BYTES == 64
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8((__m512i)values));
#else
  const SignedBytes bytes = __builtin_convertvector(values, SignedBytes);
  std::memcpy(to, &bytes, sizeof bytes);
#endif
}

FT_INLINE F32 toFloat(I32 values) { return __builtin_convertvector(values, F32); }

// Scales of a block, for kLanes rows.
template <class Form>
struct BlockScaling {
  F32 scale;
  F32 minimum;    // for forms with a minimum: the number to add
  I32 halves[2];  // for halved forms: a factor for each half of a block, in addition to `scale`

  BlockScaling() = default;
  __attribute__((always_inline)) BlockScaling(const BlockPanel<Form>& panel, int64_t block, int vector) {
    const uint8_t* const scales = panel.scalesOf(block);
    const uint8_t* const nested = panel.nestedOf(block);
    const int64_t at = vector * kLanes;
    if constexpr (Form::kScales == BlockScales::kNested) {
      scale = halvesToFloat(nested + 2 * at) * toFloat(unsignedBytes(scales + at));
      minimum = -(halvesToFloat(nested + 32 + 2 * at) * toFloat(unsignedBytes(scales + 16 + at)));
    } else if constexpr (Form::kIsHalved) {
      scale = halvesToFloat(nested + 2 * at);
      halves[0] = signedBytes(scales + at);
      halves[1] = signedBytes(scales + 16 + at);
    } else {
      scale = halvesToFloat(scales + 2 * at);
      if constexpr (Form::kHasMinimum) minimum = halvesToFloat(scales + 32 + 2 * at);
    }
  }
};

// Adds one more block to the total of a row.
template <class Form>
FT_INLINE F32 addBlock(I32 sum, const BlockScaling<Form>& scaling, float scale, float scaledSum, F32 total) {
  total = fma(toFloat(sum), scaling.scale * splat(scale), total);
  if constexpr (Form::kHasMinimum) total = fma(scaling.minimum, splat(scaledSum), total);
  return total;
}

// Value `i` of a row of a panel's block, unsigned.
template <class Form>
FT_INLINE int blockValue(const uint8_t* values, int64_t row, int64_t i) {
  const int64_t group = i / 4, byte = row * 4 + i % 4;
  if constexpr (Form::kBits == 8) return values[group * kLineBytes + byte];
  int value = values[group % 4 * kLineBytes + byte] >> (group / 4 * 4) & 15;
  if constexpr (Form::kBits == 5) value |= (values[4 * kLineBytes + byte] >> group & 1) << 4;
  if constexpr (Form::kBits == 6) value |= (values[(4 + group / 4) * kLineBytes + byte] >> group % 4 * 2 & 3) << 4;
  return value;
}

// Writes value `i` where all bits are still 0.
template <class Form>
FT_INLINE void putBlockValue(uint8_t* values, int64_t row, int64_t i, unsigned value) {
  const int64_t group = i / 4, byte = row * 4 + i % 4;
  if constexpr (Form::kBits == 8) {
    values[group * kLineBytes + byte] = static_cast<uint8_t>(value);
    return;
  }
  values[group % 4 * kLineBytes + byte] |= static_cast<uint8_t>((value & 15) << group / 4 * 4);
  if constexpr (Form::kBits == 5) values[4 * kLineBytes + byte] |= static_cast<uint8_t>((value >> 4) << group);
  if constexpr (Form::kBits == 6)
    values[(4 + group / 4) * kLineBytes + byte] |= static_cast<uint8_t>((value >> 4) << group % 4 * 2);
}

}  // namespace foretoken::FT_ISA
