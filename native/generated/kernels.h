// Made by scripts/build/kernel-header.mjs from src/backend/kernels/kernels.ts: edit that file, then build.
#pragma once

#include <cstdint>

#include "../buffers.h"

namespace foretoken {

// Maximum number of arguments of each kind in a kernel.
constexpr int kMaxBuffers = 11;
constexpr int kMaxInts = 20;
constexpr int kMaxFloats = 8;

struct KernelDeclaration {
  const char* name;
  int buffers;
  int ints;
  int floats;
  uint32_t activations;  // bit i: buffer i may hold bfloat16
};

constexpr KernelDeclaration kDeclarations[] = {
    {"fill", 1, 1, 1, 0},
    {"add", 3, 1, 0, 0b111},
    {"combine", 4, 1, 2, 0},
    {"copyRows", 2, 4, 0, 0b11},
    {"placeRows", 3, 4, 0, 0b101},
    {"sum", 2, 1, 0, 0},
    {"sumOfSquares", 2, 1, 0, 0},
    {"addSquares", 4, 2, 0, 0},
    {"scaleByNorm", 3, 1, 1, 0},
    {"geluForward", 2, 2, 0, 0},
    {"geluBackward", 3, 2, 0, 0},
    {"dropout", 2, 6, 1, 0b11},
    {"swigluForward", 2, 2, 0, 0b11},
    {"swigluBackward", 3, 2, 0, 0b111},
    {"gegluForward", 2, 3, 0, 0b11},
    {"gegluBackward", 3, 3, 0, 0b111},
    {"relu2Forward", 2, 1, 0, 0b10},
    {"relu2Backward", 3, 1, 0, 0b110},
    {"embeddingForward", 5, 6, 1, 0b00110},
    {"embeddingBackward", 5, 6, 1, 0},
    {"layerNormForward", 6, 2, 1, 0b001000},
    {"layerNormBackward", 8, 3, 0, 0b00000001},
    {"rmsNormForward", 4, 2, 1, 0b0100},
    {"rmsNormBackward", 6, 3, 0, 0b000001},
    {"rotaryForward", 8, 9, 1, 0b01000000},
    {"rotaryBackward", 11, 9, 0, 0b00100000001},
    {"linearForward", 5, 3, 0, 0b10011},
    {"linearGeluForward", 5, 4, 0, 0b11011},
    {"linearDropoutForward", 6, 8, 1, 0b000011},
    {"linearBackwardInput", 4, 4, 0, 0b1111},
    {"linearDropoutBackwardInput", 6, 3, 1, 0b111100},
    {"linearBackwardWeight", 4, 4, 0, 0b0011},
    {"attentionForward", 8, 20, 2, 0b00001111},
    {"attentionBackward", 11, 19, 2, 0b11100011111},
    {"crossEntropyForward", 4, 4, 0, 0},
    {"crossEntropyBackward", 5, 4, 0, 0b10000},
    {"adamStep", 6, 1, 8, 0b010000},
    {"blocksPack", 2, 3, 0, 0},
    {"blocksRows", 3, 5, 0, 0b100},
    {"blocksLinearForward", 5, 5, 0, 0b10001},
};

// A kernel's arguments. `bfloat16`: operands of matrix products and of attention's products are rounded to bfloat16 (to
// nearest, ties to even); sums stay in float32. `wholeTiles`: operands of linear layers are float32, and tiles multiply them
// if the instruction set has tiles. Both follow from how the backend was opened: `dtype` in src/backend/backend.ts.

// fill: y[i] = value.
struct FillArgs {
  static constexpr int kIndex = 0;

  Buffer<float> y;
  int64_t n;
  double value;
  bool bfloat16 = false;
  bool wholeTiles = false;

  template <typename Call>
  __attribute__((always_inline)) static FillArgs of(const Call& call) {
    return {
        .y = Buffer<float>(call.buffer(0)),
        .n = call.ints[0],
        .value = call.floats[0],
        .bfloat16 = call.bfloat16,
        .wholeTiles = call.wholeTiles,
    };
  }
  template <typename Call>
  Call toCall() const {
    Call call = {};
    call.setBuffer(0, y.any());
    call.ints[0] = n;
    call.floats[0] = value;
    call.bfloat16 = bfloat16;
    call.wholeTiles = wholeTiles;
    return call;
  }
};

// add: y = a + b.
struct AddArgs {
  static constexpr int kIndex = 1;

  ActivationBuffer<const float> a;
  ActivationBuffer<const float> b;
  ActivationBuffer<float> y;
  int64_t n;
  bool bfloat16 = false;
  bool wholeTiles = false;

  template <typename Call>
  __attribute__((always_inline)) static AddArgs of(const Call& call) {
    return {
        .a = ActivationBuffer<const float>(call.buffer(0)),
        .b = ActivationBuffer<const float>(call.buffer(1)),
        .y = ActivationBuffer<float>(call.buffer(2)),
        .n = call.ints[0],
        .bfloat16 = call.bfloat16,
        .wholeTiles = call.wholeTiles,
    };
  }
  template <typename Call>
  Call toCall() const {
    Call call = {};
    call.setBuffer(0, a.any());
    call.setBuffer(1, b.any());
    call.setBuffer(2, y.any());
    call.ints[0] = n;
    call.bfloat16 = bfloat16;
    call.wholeTiles = wholeTiles;
    return call;
  }
};

// combine: y = alpha · a + beta · b.
struct CombineArgs {
  static constexpr int kIndex = 2;

  Buffer<const float> a;
  Buffer<const float> b;
  Buffer<float> y;
  OptionalBuffer<float> unreal;
  int64_t n;
  double alpha;
  double beta;
  bool bfloat16 = false;
  bool wholeTiles = false;

  template <typename Call>
  __attribute__((always_inline)) static CombineArgs of(const Call& call) {
    return {
        .a = Buffer<const float>(call.buffer(0)),
        .b = Buffer<const float>(call.buffer(1)),
        .y = Buffer<float>(call.buffer(2)),
        .unreal = OptionalBuffer<float>(call.buffer(3)),
        .n = call.ints[0],
        .alpha = call.floats[0],
        .beta = call.floats[1],
        .bfloat16 = call.bfloat16,
        .wholeTiles = call.wholeTiles,
    };
  }
  template <typename Call>
  Call toCall() const {
    Call call = {};
    call.setBuffer(0, a.any());
    call.setBuffer(1, b.any());
    call.setBuffer(2, y.any());
    call.setBuffer(3, unreal.any());
    call.ints[0] = n;
    call.floats[0] = alpha;
    call.floats[1] = beta;
    call.bfloat16 = bfloat16;
    call.wholeTiles = wholeTiles;
    return call;
  }
};

// copyRows: Copies `rows` rows of `width` from x (row stride xStride) to y (row stride yStride).
struct CopyRowsArgs {
  static constexpr int kIndex = 3;

  ActivationBuffer<const float> x;
  ActivationBuffer<float> y;
  int64_t rows;
  int64_t width;
  int64_t xStride;
  int64_t yStride;
  bool bfloat16 = false;
  bool wholeTiles = false;

  template <typename Call>
  __attribute__((always_inline)) static CopyRowsArgs of(const Call& call) {
    return {
        .x = ActivationBuffer<const float>(call.buffer(0)),
        .y = ActivationBuffer<float>(call.buffer(1)),
        .rows = call.ints[0],
        .width = call.ints[1],
        .xStride = call.ints[2],
        .yStride = call.ints[3],
        .bfloat16 = call.bfloat16,
        .wholeTiles = call.wholeTiles,
    };
  }
  template <typename Call>
  Call toCall() const {
    Call call = {};
    call.setBuffer(0, x.any());
    call.setBuffer(1, y.any());
    call.ints[0] = rows;
    call.ints[1] = width;
    call.ints[2] = xStride;
    call.ints[3] = yStride;
    call.bfloat16 = bfloat16;
    call.wholeTiles = wholeTiles;
    return call;
  }
};

// placeRows: Copies row r of x to row places[r] of y[yRows, width]; x has `rows` rows of `width` (row stride xStride).
struct PlaceRowsArgs {
  static constexpr int kIndex = 4;

  ActivationBuffer<const float> x;
  Buffer<const int32_t> places;
  ActivationBuffer<float> y;
  int64_t rows;
  int64_t width;
  int64_t xStride;
  int64_t yRows;
  bool bfloat16 = false;
  bool wholeTiles = false;

  template <typename Call>
  __attribute__((always_inline)) static PlaceRowsArgs of(const Call& call) {
    return {
        .x = ActivationBuffer<const float>(call.buffer(0)),
        .places = Buffer<const int32_t>(call.buffer(1)),
        .y = ActivationBuffer<float>(call.buffer(2)),
        .rows = call.ints[0],
        .width = call.ints[1],
        .xStride = call.ints[2],
        .yRows = call.ints[3],
        .bfloat16 = call.bfloat16,
        .wholeTiles = call.wholeTiles,
    };
  }
  template <typename Call>
  Call toCall() const {
    Call call = {};
    call.setBuffer(0, x.any());
    call.setBuffer(1, places.any());
    call.setBuffer(2, y.any());
    call.ints[0] = rows;
    call.ints[1] = width;
    call.ints[2] = xStride;
    call.ints[3] = yRows;
    call.bfloat16 = bfloat16;
    call.wholeTiles = wholeTiles;
    return call;
  }
};

// sum: y[0] = Σx.
struct SumArgs {
  static constexpr int kIndex = 5;

  Buffer<const float> x;
  Buffer<float> y;
  int64_t n;
  bool bfloat16 = false;
  bool wholeTiles = false;

  template <typename Call>
  __attribute__((always_inline)) static SumArgs of(const Call& call) {
    return {
        .x = Buffer<const float>(call.buffer(0)),
        .y = Buffer<float>(call.buffer(1)),
        .n = call.ints[0],
        .bfloat16 = call.bfloat16,
        .wholeTiles = call.wholeTiles,
    };
  }
  template <typename Call>
  Call toCall() const {
    Call call = {};
    call.setBuffer(0, x.any());
    call.setBuffer(1, y.any());
    call.ints[0] = n;
    call.bfloat16 = bfloat16;
    call.wholeTiles = wholeTiles;
    return call;
  }
};

// sumOfSquares: y[0] = Σx².
struct SumOfSquaresArgs {
  static constexpr int kIndex = 6;

  Buffer<const float> x;
  Buffer<float> y;
  int64_t n;
  bool bfloat16 = false;
  bool wholeTiles = false;

  template <typename Call>
  __attribute__((always_inline)) static SumOfSquaresArgs of(const Call& call) {
    return {
        .x = Buffer<const float>(call.buffer(0)),
        .y = Buffer<float>(call.buffer(1)),
        .n = call.ints[0],
        .bfloat16 = call.bfloat16,
        .wholeTiles = call.wholeTiles,
    };
  }
  template <typename Call>
  Call toCall() const {
    Call call = {};
    call.setBuffer(0, x.any());
    call.setBuffer(1, y.any());
    call.ints[0] = n;
    call.bfloat16 = bfloat16;
    call.wholeTiles = wholeTiles;
    return call;
  }
};

// addSquares: x += addend in the ranges, if addend is given; squares[r] = Σx² of range r.
struct AddSquaresArgs {
  static constexpr int kIndex = 7;

  Buffer<float> x;
  OptionalBuffer<const float> addend;
  Buffer<const int32_t> ranges;
  Buffer<float> squares;
  int64_t n;
  int64_t count;
  bool bfloat16 = false;
  bool wholeTiles = false;

  template <typename Call>
  __attribute__((always_inline)) static AddSquaresArgs of(const Call& call) {
    return {
        .x = Buffer<float>(call.buffer(0)),
        .addend = OptionalBuffer<const float>(call.buffer(1)),
        .ranges = Buffer<const int32_t>(call.buffer(2)),
        .squares = Buffer<float>(call.buffer(3)),
        .n = call.ints[0],
        .count = call.ints[1],
        .bfloat16 = call.bfloat16,
        .wholeTiles = call.wholeTiles,
    };
  }
  template <typename Call>
  Call toCall() const {
    Call call = {};
    call.setBuffer(0, x.any());
    call.setBuffer(1, addend.any());
    call.setBuffer(2, ranges.any());
    call.setBuffer(3, squares.any());
    call.ints[0] = n;
    call.ints[1] = count;
    call.bfloat16 = bfloat16;
    call.wholeTiles = wholeTiles;
    return call;
  }
};

// scaleByNorm: y = x / (√squares[0] + eps).
struct ScaleByNormArgs {
  static constexpr int kIndex = 8;

  Buffer<const float> x;
  Buffer<const float> squares;
  Buffer<float> y;
  int64_t n;
  double eps;
  bool bfloat16 = false;
  bool wholeTiles = false;

  template <typename Call>
  __attribute__((always_inline)) static ScaleByNormArgs of(const Call& call) {
    return {
        .x = Buffer<const float>(call.buffer(0)),
        .squares = Buffer<const float>(call.buffer(1)),
        .y = Buffer<float>(call.buffer(2)),
        .n = call.ints[0],
        .eps = call.floats[0],
        .bfloat16 = call.bfloat16,
        .wholeTiles = call.wholeTiles,
    };
  }
  template <typename Call>
  Call toCall() const {
    Call call = {};
    call.setBuffer(0, x.any());
    call.setBuffer(1, squares.any());
    call.setBuffer(2, y.any());
    call.ints[0] = n;
    call.floats[0] = eps;
    call.bfloat16 = bfloat16;
    call.wholeTiles = wholeTiles;
    return call;
  }
};

// geluForward: y = gelu(x).
struct GeluForwardArgs {
  static constexpr int kIndex = 9;

  Buffer<const float> x;
  Buffer<float> y;
  int64_t n;
  int64_t tanh;
  bool bfloat16 = false;
  bool wholeTiles = false;

  template <typename Call>
  __attribute__((always_inline)) static GeluForwardArgs of(const Call& call) {
    return {
        .x = Buffer<const float>(call.buffer(0)),
        .y = Buffer<float>(call.buffer(1)),
        .n = call.ints[0],
        .tanh = call.ints[1],
        .bfloat16 = call.bfloat16,
        .wholeTiles = call.wholeTiles,
    };
  }
  template <typename Call>
  Call toCall() const {
    Call call = {};
    call.setBuffer(0, x.any());
    call.setBuffer(1, y.any());
    call.ints[0] = n;
    call.ints[1] = tanh;
    call.bfloat16 = bfloat16;
    call.wholeTiles = wholeTiles;
    return call;
  }
};

// geluBackward: dx = dy · gelu′(x).
struct GeluBackwardArgs {
  static constexpr int kIndex = 10;

  Buffer<const float> x;
  Buffer<const float> dy;
  Buffer<float> dx;
  int64_t n;
  int64_t tanh;
  bool bfloat16 = false;
  bool wholeTiles = false;

  template <typename Call>
  __attribute__((always_inline)) static GeluBackwardArgs of(const Call& call) {
    return {
        .x = Buffer<const float>(call.buffer(0)),
        .dy = Buffer<const float>(call.buffer(1)),
        .dx = Buffer<float>(call.buffer(2)),
        .n = call.ints[0],
        .tanh = call.ints[1],
        .bfloat16 = call.bfloat16,
        .wholeTiles = call.wholeTiles,
    };
  }
  template <typename Call>
  Call toCall() const {
    Call call = {};
    call.setBuffer(0, x.any());
    call.setBuffer(1, dy.any());
    call.setBuffer(2, dx.any());
    call.ints[0] = n;
    call.ints[1] = tanh;
    call.bfloat16 = bfloat16;
    call.wholeTiles = wholeTiles;
    return call;
  }
};

// dropout: y[i] = x[i] · keep(i) / (1 − p).
struct DropoutArgs {
  static constexpr int kIndex = 11;

  ActivationBuffer<const float> x;
  ActivationBuffer<float> y;
  int64_t n;
  int64_t key0;
  int64_t key1;
  int64_t key2;
  int64_t key3;
  int64_t site;
  double p;
  bool bfloat16 = false;
  bool wholeTiles = false;

  template <typename Call>
  __attribute__((always_inline)) static DropoutArgs of(const Call& call) {
    return {
        .x = ActivationBuffer<const float>(call.buffer(0)),
        .y = ActivationBuffer<float>(call.buffer(1)),
        .n = call.ints[0],
        .key0 = call.ints[1],
        .key1 = call.ints[2],
        .key2 = call.ints[3],
        .key3 = call.ints[4],
        .site = call.ints[5],
        .p = call.floats[0],
        .bfloat16 = call.bfloat16,
        .wholeTiles = call.wholeTiles,
    };
  }
  template <typename Call>
  Call toCall() const {
    Call call = {};
    call.setBuffer(0, x.any());
    call.setBuffer(1, y.any());
    call.ints[0] = n;
    call.ints[1] = key0;
    call.ints[2] = key1;
    call.ints[3] = key2;
    call.ints[4] = key3;
    call.ints[5] = site;
    call.floats[0] = p;
    call.bfloat16 = bfloat16;
    call.wholeTiles = wholeTiles;
    return call;
  }
};

// swigluForward: y = gate · σ(gate) · up.
struct SwigluForwardArgs {
  static constexpr int kIndex = 12;

  ActivationBuffer<const float> x;
  ActivationBuffer<float> y;
  int64_t rows;
  int64_t hidden;
  bool bfloat16 = false;
  bool wholeTiles = false;

  template <typename Call>
  __attribute__((always_inline)) static SwigluForwardArgs of(const Call& call) {
    return {
        .x = ActivationBuffer<const float>(call.buffer(0)),
        .y = ActivationBuffer<float>(call.buffer(1)),
        .rows = call.ints[0],
        .hidden = call.ints[1],
        .bfloat16 = call.bfloat16,
        .wholeTiles = call.wholeTiles,
    };
  }
  template <typename Call>
  Call toCall() const {
    Call call = {};
    call.setBuffer(0, x.any());
    call.setBuffer(1, y.any());
    call.ints[0] = rows;
    call.ints[1] = hidden;
    call.bfloat16 = bfloat16;
    call.wholeTiles = wholeTiles;
    return call;
  }
};

// swigluBackward: dx = dGate | dUp, with dGate = dy · up · (σ + gate · σ · (1 − σ)) and dUp = dy · gate · σ.
struct SwigluBackwardArgs {
  static constexpr int kIndex = 13;

  ActivationBuffer<const float> x;
  ActivationBuffer<const float> dy;
  ActivationBuffer<float> dx;
  int64_t rows;
  int64_t hidden;
  bool bfloat16 = false;
  bool wholeTiles = false;

  template <typename Call>
  __attribute__((always_inline)) static SwigluBackwardArgs of(const Call& call) {
    return {
        .x = ActivationBuffer<const float>(call.buffer(0)),
        .dy = ActivationBuffer<const float>(call.buffer(1)),
        .dx = ActivationBuffer<float>(call.buffer(2)),
        .rows = call.ints[0],
        .hidden = call.ints[1],
        .bfloat16 = call.bfloat16,
        .wholeTiles = call.wholeTiles,
    };
  }
  template <typename Call>
  Call toCall() const {
    Call call = {};
    call.setBuffer(0, x.any());
    call.setBuffer(1, dy.any());
    call.setBuffer(2, dx.any());
    call.ints[0] = rows;
    call.ints[1] = hidden;
    call.bfloat16 = bfloat16;
    call.wholeTiles = wholeTiles;
    return call;
  }
};

// gegluForward: y = gelu(gate) · up.
struct GegluForwardArgs {
  static constexpr int kIndex = 14;

  ActivationBuffer<const float> x;
  ActivationBuffer<float> y;
  int64_t rows;
  int64_t hidden;
  int64_t tanh;
  bool bfloat16 = false;
  bool wholeTiles = false;

  template <typename Call>
  __attribute__((always_inline)) static GegluForwardArgs of(const Call& call) {
    return {
        .x = ActivationBuffer<const float>(call.buffer(0)),
        .y = ActivationBuffer<float>(call.buffer(1)),
        .rows = call.ints[0],
        .hidden = call.ints[1],
        .tanh = call.ints[2],
        .bfloat16 = call.bfloat16,
        .wholeTiles = call.wholeTiles,
    };
  }
  template <typename Call>
  Call toCall() const {
    Call call = {};
    call.setBuffer(0, x.any());
    call.setBuffer(1, y.any());
    call.ints[0] = rows;
    call.ints[1] = hidden;
    call.ints[2] = tanh;
    call.bfloat16 = bfloat16;
    call.wholeTiles = wholeTiles;
    return call;
  }
};

// gegluBackward: dx = dGate | dUp, with dGate = dy · up · gelu′(gate) and dUp = dy · gelu(gate).
struct GegluBackwardArgs {
  static constexpr int kIndex = 15;

  ActivationBuffer<const float> x;
  ActivationBuffer<const float> dy;
  ActivationBuffer<float> dx;
  int64_t rows;
  int64_t hidden;
  int64_t tanh;
  bool bfloat16 = false;
  bool wholeTiles = false;

  template <typename Call>
  __attribute__((always_inline)) static GegluBackwardArgs of(const Call& call) {
    return {
        .x = ActivationBuffer<const float>(call.buffer(0)),
        .dy = ActivationBuffer<const float>(call.buffer(1)),
        .dx = ActivationBuffer<float>(call.buffer(2)),
        .rows = call.ints[0],
        .hidden = call.ints[1],
        .tanh = call.ints[2],
        .bfloat16 = call.bfloat16,
        .wholeTiles = call.wholeTiles,
    };
  }
  template <typename Call>
  Call toCall() const {
    Call call = {};
    call.setBuffer(0, x.any());
    call.setBuffer(1, dy.any());
    call.setBuffer(2, dx.any());
    call.ints[0] = rows;
    call.ints[1] = hidden;
    call.ints[2] = tanh;
    call.bfloat16 = bfloat16;
    call.wholeTiles = wholeTiles;
    return call;
  }
};

// relu2Forward: y = max(0, x)².
struct Relu2ForwardArgs {
  static constexpr int kIndex = 16;

  Buffer<const float> x;
  ActivationBuffer<float> y;
  int64_t n;
  bool bfloat16 = false;
  bool wholeTiles = false;

  template <typename Call>
  __attribute__((always_inline)) static Relu2ForwardArgs of(const Call& call) {
    return {
        .x = Buffer<const float>(call.buffer(0)),
        .y = ActivationBuffer<float>(call.buffer(1)),
        .n = call.ints[0],
        .bfloat16 = call.bfloat16,
        .wholeTiles = call.wholeTiles,
    };
  }
  template <typename Call>
  Call toCall() const {
    Call call = {};
    call.setBuffer(0, x.any());
    call.setBuffer(1, y.any());
    call.ints[0] = n;
    call.bfloat16 = bfloat16;
    call.wholeTiles = wholeTiles;
    return call;
  }
};

// relu2Backward: dx = dy · 2 · max(0, x).
struct Relu2BackwardArgs {
  static constexpr int kIndex = 17;

  Buffer<const float> x;
  ActivationBuffer<const float> dy;
  ActivationBuffer<float> dx;
  int64_t n;
  bool bfloat16 = false;
  bool wholeTiles = false;

  template <typename Call>
  __attribute__((always_inline)) static Relu2BackwardArgs of(const Call& call) {
    return {
        .x = Buffer<const float>(call.buffer(0)),
        .dy = ActivationBuffer<const float>(call.buffer(1)),
        .dx = ActivationBuffer<float>(call.buffer(2)),
        .n = call.ints[0],
        .bfloat16 = call.bfloat16,
        .wholeTiles = call.wholeTiles,
    };
  }
  template <typename Call>
  Call toCall() const {
    Call call = {};
    call.setBuffer(0, x.any());
    call.setBuffer(1, dy.any());
    call.setBuffer(2, dx.any());
    call.ints[0] = n;
    call.bfloat16 = bfloat16;
    call.wholeTiles = wholeTiles;
    return call;
  }
};

// embeddingForward: y[r, :] = scale · tokens[ids[r], :] + positions[start + r mod time, :].
struct EmbeddingForwardArgs {
  static constexpr int kIndex = 18;

  Buffer<const int32_t> ids;
  ActivationBuffer<const float> tokens;
  OptionalActivationBuffer<const float> positions;
  OptionalBuffer<const int32_t> places;
  Buffer<float> y;
  int64_t rows;
  int64_t time;
  int64_t channels;
  int64_t vocabSize;
  int64_t start;
  int64_t positionRows;
  double scale;
  bool bfloat16 = false;
  bool wholeTiles = false;

  template <typename Call>
  __attribute__((always_inline)) static EmbeddingForwardArgs of(const Call& call) {
    return {
        .ids = Buffer<const int32_t>(call.buffer(0)),
        .tokens = ActivationBuffer<const float>(call.buffer(1)),
        .positions = OptionalActivationBuffer<const float>(call.buffer(2)),
        .places = OptionalBuffer<const int32_t>(call.buffer(3)),
        .y = Buffer<float>(call.buffer(4)),
        .rows = call.ints[0],
        .time = call.ints[1],
        .channels = call.ints[2],
        .vocabSize = call.ints[3],
        .start = call.ints[4],
        .positionRows = call.ints[5],
        .scale = call.floats[0],
        .bfloat16 = call.bfloat16,
        .wholeTiles = call.wholeTiles,
    };
  }
  template <typename Call>
  Call toCall() const {
    Call call = {};
    call.setBuffer(0, ids.any());
    call.setBuffer(1, tokens.any());
    call.setBuffer(2, positions.any());
    call.setBuffer(3, places.any());
    call.setBuffer(4, y.any());
    call.ints[0] = rows;
    call.ints[1] = time;
    call.ints[2] = channels;
    call.ints[3] = vocabSize;
    call.ints[4] = start;
    call.ints[5] = positionRows;
    call.floats[0] = scale;
    call.bfloat16 = bfloat16;
    call.wholeTiles = wholeTiles;
    return call;
  }
};

// embeddingBackward: dTokens[ids[r], :] += scale · dy[r, :]; dPositions[start + r mod time, :] += dy[r, :].
struct EmbeddingBackwardArgs {
  static constexpr int kIndex = 19;

  Buffer<const int32_t> ids;
  OptionalBuffer<const int32_t> places;
  Buffer<const float> dy;
  OptionalBuffer<float> dTokens;
  OptionalBuffer<float> dPositions;
  int64_t rows;
  int64_t time;
  int64_t channels;
  int64_t vocabSize;
  int64_t start;
  int64_t positionRows;
  double scale;
  bool bfloat16 = false;
  bool wholeTiles = false;

  template <typename Call>
  __attribute__((always_inline)) static EmbeddingBackwardArgs of(const Call& call) {
    return {
        .ids = Buffer<const int32_t>(call.buffer(0)),
        .places = OptionalBuffer<const int32_t>(call.buffer(1)),
        .dy = Buffer<const float>(call.buffer(2)),
        .dTokens = OptionalBuffer<float>(call.buffer(3)),
        .dPositions = OptionalBuffer<float>(call.buffer(4)),
        .rows = call.ints[0],
        .time = call.ints[1],
        .channels = call.ints[2],
        .vocabSize = call.ints[3],
        .start = call.ints[4],
        .positionRows = call.ints[5],
        .scale = call.floats[0],
        .bfloat16 = call.bfloat16,
        .wholeTiles = call.wholeTiles,
    };
  }
  template <typename Call>
  Call toCall() const {
    Call call = {};
    call.setBuffer(0, ids.any());
    call.setBuffer(1, places.any());
    call.setBuffer(2, dy.any());
    call.setBuffer(3, dTokens.any());
    call.setBuffer(4, dPositions.any());
    call.ints[0] = rows;
    call.ints[1] = time;
    call.ints[2] = channels;
    call.ints[3] = vocabSize;
    call.ints[4] = start;
    call.ints[5] = positionRows;
    call.floats[0] = scale;
    call.bfloat16 = bfloat16;
    call.wholeTiles = wholeTiles;
    return call;
  }
};

// layerNormForward: y = (x − mean) · rstd · gamma + beta over the last axis.
struct LayerNormForwardArgs {
  static constexpr int kIndex = 20;

  Buffer<const float> x;
  Buffer<const float> gamma;
  OptionalBuffer<const float> beta;
  ActivationBuffer<float> y;
  Buffer<float> mean;
  Buffer<float> rstd;
  int64_t rows;
  int64_t channels;
  double eps;
  bool bfloat16 = false;
  bool wholeTiles = false;

  template <typename Call>
  __attribute__((always_inline)) static LayerNormForwardArgs of(const Call& call) {
    return {
        .x = Buffer<const float>(call.buffer(0)),
        .gamma = Buffer<const float>(call.buffer(1)),
        .beta = OptionalBuffer<const float>(call.buffer(2)),
        .y = ActivationBuffer<float>(call.buffer(3)),
        .mean = Buffer<float>(call.buffer(4)),
        .rstd = Buffer<float>(call.buffer(5)),
        .rows = call.ints[0],
        .channels = call.ints[1],
        .eps = call.floats[0],
        .bfloat16 = call.bfloat16,
        .wholeTiles = call.wholeTiles,
    };
  }
  template <typename Call>
  Call toCall() const {
    Call call = {};
    call.setBuffer(0, x.any());
    call.setBuffer(1, gamma.any());
    call.setBuffer(2, beta.any());
    call.setBuffer(3, y.any());
    call.setBuffer(4, mean.any());
    call.setBuffer(5, rstd.any());
    call.ints[0] = rows;
    call.ints[1] = channels;
    call.floats[0] = eps;
    call.bfloat16 = bfloat16;
    call.wholeTiles = wholeTiles;
    return call;
  }
};

// layerNormBackward: Gradients of layerNormForward: adds to dGamma and dBeta; overwrites dx, or adds to it if `add` is
// 1.
struct LayerNormBackwardArgs {
  static constexpr int kIndex = 21;

  ActivationBuffer<const float> dy;
  Buffer<const float> x;
  Buffer<const float> gamma;
  Buffer<const float> mean;
  Buffer<const float> rstd;
  OptionalBuffer<float> dx;
  OptionalBuffer<float> dGamma;
  OptionalBuffer<float> dBeta;
  int64_t rows;
  int64_t channels;
  int64_t add;
  bool bfloat16 = false;
  bool wholeTiles = false;

  template <typename Call>
  __attribute__((always_inline)) static LayerNormBackwardArgs of(const Call& call) {
    return {
        .dy = ActivationBuffer<const float>(call.buffer(0)),
        .x = Buffer<const float>(call.buffer(1)),
        .gamma = Buffer<const float>(call.buffer(2)),
        .mean = Buffer<const float>(call.buffer(3)),
        .rstd = Buffer<const float>(call.buffer(4)),
        .dx = OptionalBuffer<float>(call.buffer(5)),
        .dGamma = OptionalBuffer<float>(call.buffer(6)),
        .dBeta = OptionalBuffer<float>(call.buffer(7)),
        .rows = call.ints[0],
        .channels = call.ints[1],
        .add = call.ints[2],
        .bfloat16 = call.bfloat16,
        .wholeTiles = call.wholeTiles,
    };
  }
  template <typename Call>
  Call toCall() const {
    Call call = {};
    call.setBuffer(0, dy.any());
    call.setBuffer(1, x.any());
    call.setBuffer(2, gamma.any());
    call.setBuffer(3, mean.any());
    call.setBuffer(4, rstd.any());
    call.setBuffer(5, dx.any());
    call.setBuffer(6, dGamma.any());
    call.setBuffer(7, dBeta.any());
    call.ints[0] = rows;
    call.ints[1] = channels;
    call.ints[2] = add;
    call.bfloat16 = bfloat16;
    call.wholeTiles = wholeTiles;
    return call;
  }
};

// rmsNormForward: y = x · rstd · gamma over the last axis.
struct RmsNormForwardArgs {
  static constexpr int kIndex = 22;

  Buffer<const float> x;
  Buffer<const float> gamma;
  ActivationBuffer<float> y;
  Buffer<float> rstd;
  int64_t rows;
  int64_t channels;
  double eps;
  bool bfloat16 = false;
  bool wholeTiles = false;

  template <typename Call>
  __attribute__((always_inline)) static RmsNormForwardArgs of(const Call& call) {
    return {
        .x = Buffer<const float>(call.buffer(0)),
        .gamma = Buffer<const float>(call.buffer(1)),
        .y = ActivationBuffer<float>(call.buffer(2)),
        .rstd = Buffer<float>(call.buffer(3)),
        .rows = call.ints[0],
        .channels = call.ints[1],
        .eps = call.floats[0],
        .bfloat16 = call.bfloat16,
        .wholeTiles = call.wholeTiles,
    };
  }
  template <typename Call>
  Call toCall() const {
    Call call = {};
    call.setBuffer(0, x.any());
    call.setBuffer(1, gamma.any());
    call.setBuffer(2, y.any());
    call.setBuffer(3, rstd.any());
    call.ints[0] = rows;
    call.ints[1] = channels;
    call.floats[0] = eps;
    call.bfloat16 = bfloat16;
    call.wholeTiles = wholeTiles;
    return call;
  }
};

// rmsNormBackward: Gradients of rmsNormForward: adds to dGamma; overwrites dx, or adds to it if `add` is 1.
struct RmsNormBackwardArgs {
  static constexpr int kIndex = 23;

  ActivationBuffer<const float> dy;
  Buffer<const float> x;
  Buffer<const float> gamma;
  Buffer<const float> rstd;
  OptionalBuffer<float> dx;
  OptionalBuffer<float> dGamma;
  int64_t rows;
  int64_t channels;
  int64_t add;
  bool bfloat16 = false;
  bool wholeTiles = false;

  template <typename Call>
  __attribute__((always_inline)) static RmsNormBackwardArgs of(const Call& call) {
    return {
        .dy = ActivationBuffer<const float>(call.buffer(0)),
        .x = Buffer<const float>(call.buffer(1)),
        .gamma = Buffer<const float>(call.buffer(2)),
        .rstd = Buffer<const float>(call.buffer(3)),
        .dx = OptionalBuffer<float>(call.buffer(4)),
        .dGamma = OptionalBuffer<float>(call.buffer(5)),
        .rows = call.ints[0],
        .channels = call.ints[1],
        .add = call.ints[2],
        .bfloat16 = call.bfloat16,
        .wholeTiles = call.wholeTiles,
    };
  }
  template <typename Call>
  Call toCall() const {
    Call call = {};
    call.setBuffer(0, dy.any());
    call.setBuffer(1, x.any());
    call.setBuffer(2, gamma.any());
    call.setBuffer(3, rstd.any());
    call.setBuffer(4, dx.any());
    call.setBuffer(5, dGamma.any());
    call.ints[0] = rows;
    call.ints[1] = channels;
    call.ints[2] = add;
    call.bfloat16 = bfloat16;
    call.wholeTiles = wholeTiles;
    return call;
  }
};

// rotaryForward: Rotary position embedding of packed q | k | v, [rows, (H + 2·Hk)·D], after an optional norm of each
// head of q and k.
struct RotaryForwardArgs {
  static constexpr int kIndex = 24;

  Buffer<const float> x;
  OptionalBuffer<const float> gammaQ;
  OptionalBuffer<const float> gammaK;
  Buffer<const float> cos;
  Buffer<const float> sin;
  OptionalBuffer<const int32_t> places;
  ActivationBuffer<float> y;
  Buffer<float> rstd;
  int64_t rows;
  int64_t time;
  int64_t heads;
  int64_t keyHeads;
  int64_t headDim;
  int64_t rotaryDim;
  int64_t start;
  int64_t tableRows;
  int64_t together;
  double eps;
  bool bfloat16 = false;
  bool wholeTiles = false;

  template <typename Call>
  __attribute__((always_inline)) static RotaryForwardArgs of(const Call& call) {
    return {
        .x = Buffer<const float>(call.buffer(0)),
        .gammaQ = OptionalBuffer<const float>(call.buffer(1)),
        .gammaK = OptionalBuffer<const float>(call.buffer(2)),
        .cos = Buffer<const float>(call.buffer(3)),
        .sin = Buffer<const float>(call.buffer(4)),
        .places = OptionalBuffer<const int32_t>(call.buffer(5)),
        .y = ActivationBuffer<float>(call.buffer(6)),
        .rstd = Buffer<float>(call.buffer(7)),
        .rows = call.ints[0],
        .time = call.ints[1],
        .heads = call.ints[2],
        .keyHeads = call.ints[3],
        .headDim = call.ints[4],
        .rotaryDim = call.ints[5],
        .start = call.ints[6],
        .tableRows = call.ints[7],
        .together = call.ints[8],
        .eps = call.floats[0],
        .bfloat16 = call.bfloat16,
        .wholeTiles = call.wholeTiles,
    };
  }
  template <typename Call>
  Call toCall() const {
    Call call = {};
    call.setBuffer(0, x.any());
    call.setBuffer(1, gammaQ.any());
    call.setBuffer(2, gammaK.any());
    call.setBuffer(3, cos.any());
    call.setBuffer(4, sin.any());
    call.setBuffer(5, places.any());
    call.setBuffer(6, y.any());
    call.setBuffer(7, rstd.any());
    call.ints[0] = rows;
    call.ints[1] = time;
    call.ints[2] = heads;
    call.ints[3] = keyHeads;
    call.ints[4] = headDim;
    call.ints[5] = rotaryDim;
    call.ints[6] = start;
    call.ints[7] = tableRows;
    call.ints[8] = together;
    call.floats[0] = eps;
    call.bfloat16 = bfloat16;
    call.wholeTiles = wholeTiles;
    return call;
  }
};

// rotaryBackward: Gradients of rotaryForward: overwrites dx; adds to dGammaQ and dGammaK.
struct RotaryBackwardArgs {
  static constexpr int kIndex = 25;

  ActivationBuffer<const float> dy;
  OptionalBuffer<const float> x;
  OptionalBuffer<const float> gammaQ;
  OptionalBuffer<const float> gammaK;
  Buffer<const float> cos;
  Buffer<const float> sin;
  OptionalBuffer<const int32_t> places;
  Buffer<const float> rstd;
  ActivationBuffer<float> dx;
  OptionalBuffer<float> dGammaQ;
  OptionalBuffer<float> dGammaK;
  int64_t rows;
  int64_t time;
  int64_t heads;
  int64_t keyHeads;
  int64_t headDim;
  int64_t rotaryDim;
  int64_t start;
  int64_t tableRows;
  int64_t together;
  bool bfloat16 = false;
  bool wholeTiles = false;

  template <typename Call>
  __attribute__((always_inline)) static RotaryBackwardArgs of(const Call& call) {
    return {
        .dy = ActivationBuffer<const float>(call.buffer(0)),
        .x = OptionalBuffer<const float>(call.buffer(1)),
        .gammaQ = OptionalBuffer<const float>(call.buffer(2)),
        .gammaK = OptionalBuffer<const float>(call.buffer(3)),
        .cos = Buffer<const float>(call.buffer(4)),
        .sin = Buffer<const float>(call.buffer(5)),
        .places = OptionalBuffer<const int32_t>(call.buffer(6)),
        .rstd = Buffer<const float>(call.buffer(7)),
        .dx = ActivationBuffer<float>(call.buffer(8)),
        .dGammaQ = OptionalBuffer<float>(call.buffer(9)),
        .dGammaK = OptionalBuffer<float>(call.buffer(10)),
        .rows = call.ints[0],
        .time = call.ints[1],
        .heads = call.ints[2],
        .keyHeads = call.ints[3],
        .headDim = call.ints[4],
        .rotaryDim = call.ints[5],
        .start = call.ints[6],
        .tableRows = call.ints[7],
        .together = call.ints[8],
        .bfloat16 = call.bfloat16,
        .wholeTiles = call.wholeTiles,
    };
  }
  template <typename Call>
  Call toCall() const {
    Call call = {};
    call.setBuffer(0, dy.any());
    call.setBuffer(1, x.any());
    call.setBuffer(2, gammaQ.any());
    call.setBuffer(3, gammaK.any());
    call.setBuffer(4, cos.any());
    call.setBuffer(5, sin.any());
    call.setBuffer(6, places.any());
    call.setBuffer(7, rstd.any());
    call.setBuffer(8, dx.any());
    call.setBuffer(9, dGammaQ.any());
    call.setBuffer(10, dGammaK.any());
    call.ints[0] = rows;
    call.ints[1] = time;
    call.ints[2] = heads;
    call.ints[3] = keyHeads;
    call.ints[4] = headDim;
    call.ints[5] = rotaryDim;
    call.ints[6] = start;
    call.ints[7] = tableRows;
    call.ints[8] = together;
    call.bfloat16 = bfloat16;
    call.wholeTiles = wholeTiles;
    return call;
  }
};

// linearForward: y[M, N] = x[M, K] · w[N, K]ᵀ + bias[N] + addend[M, N].
struct LinearForwardArgs {
  static constexpr int kIndex = 26;

  ActivationBuffer<const float> x;
  ActivationBuffer<const float> w;
  OptionalBuffer<const float> bias;
  OptionalBuffer<const float> addend;
  ActivationBuffer<float> y;
  int64_t m;
  int64_t n;
  int64_t k;
  bool bfloat16 = false;
  bool wholeTiles = false;

  template <typename Call>
  __attribute__((always_inline)) static LinearForwardArgs of(const Call& call) {
    return {
        .x = ActivationBuffer<const float>(call.buffer(0)),
        .w = ActivationBuffer<const float>(call.buffer(1)),
        .bias = OptionalBuffer<const float>(call.buffer(2)),
        .addend = OptionalBuffer<const float>(call.buffer(3)),
        .y = ActivationBuffer<float>(call.buffer(4)),
        .m = call.ints[0],
        .n = call.ints[1],
        .k = call.ints[2],
        .bfloat16 = call.bfloat16,
        .wholeTiles = call.wholeTiles,
    };
  }
  template <typename Call>
  Call toCall() const {
    Call call = {};
    call.setBuffer(0, x.any());
    call.setBuffer(1, w.any());
    call.setBuffer(2, bias.any());
    call.setBuffer(3, addend.any());
    call.setBuffer(4, y.any());
    call.ints[0] = m;
    call.ints[1] = n;
    call.ints[2] = k;
    call.bfloat16 = bfloat16;
    call.wholeTiles = wholeTiles;
    return call;
  }
};

// linearGeluForward: y = gelu(h), and slope = gelu′(h) if slope is given, with h[M, N] = x[M, K] · w[N, K]ᵀ + bias[N].
struct LinearGeluForwardArgs {
  static constexpr int kIndex = 27;

  ActivationBuffer<const float> x;
  ActivationBuffer<const float> w;
  OptionalBuffer<const float> bias;
  ActivationBuffer<float> y;
  OptionalActivationBuffer<float> slope;
  int64_t m;
  int64_t n;
  int64_t k;
  int64_t tanh;
  bool bfloat16 = false;
  bool wholeTiles = false;

  template <typename Call>
  __attribute__((always_inline)) static LinearGeluForwardArgs of(const Call& call) {
    return {
        .x = ActivationBuffer<const float>(call.buffer(0)),
        .w = ActivationBuffer<const float>(call.buffer(1)),
        .bias = OptionalBuffer<const float>(call.buffer(2)),
        .y = ActivationBuffer<float>(call.buffer(3)),
        .slope = OptionalActivationBuffer<float>(call.buffer(4)),
        .m = call.ints[0],
        .n = call.ints[1],
        .k = call.ints[2],
        .tanh = call.ints[3],
        .bfloat16 = call.bfloat16,
        .wholeTiles = call.wholeTiles,
    };
  }
  template <typename Call>
  Call toCall() const {
    Call call = {};
    call.setBuffer(0, x.any());
    call.setBuffer(1, w.any());
    call.setBuffer(2, bias.any());
    call.setBuffer(3, y.any());
    call.setBuffer(4, slope.any());
    call.ints[0] = m;
    call.ints[1] = n;
    call.ints[2] = k;
    call.ints[3] = tanh;
    call.bfloat16 = bfloat16;
    call.wholeTiles = wholeTiles;
    return call;
  }
};

// linearDropoutForward: y[i] = addend[i] + h[i] · keep(i) / (1 − p), with h[M, N] = x[M, K] · w[N, K]ᵀ + bias[N].
struct LinearDropoutForwardArgs {
  static constexpr int kIndex = 28;

  ActivationBuffer<const float> x;
  ActivationBuffer<const float> w;
  OptionalBuffer<const float> bias;
  Buffer<const float> addend;
  Buffer<uint32_t> kept;
  Buffer<float> y;
  int64_t m;
  int64_t n;
  int64_t k;
  int64_t key0;
  int64_t key1;
  int64_t key2;
  int64_t key3;
  int64_t site;
  double p;
  bool bfloat16 = false;
  bool wholeTiles = false;

  template <typename Call>
  __attribute__((always_inline)) static LinearDropoutForwardArgs of(const Call& call) {
    return {
        .x = ActivationBuffer<const float>(call.buffer(0)),
        .w = ActivationBuffer<const float>(call.buffer(1)),
        .bias = OptionalBuffer<const float>(call.buffer(2)),
        .addend = Buffer<const float>(call.buffer(3)),
        .kept = Buffer<uint32_t>(call.buffer(4)),
        .y = Buffer<float>(call.buffer(5)),
        .m = call.ints[0],
        .n = call.ints[1],
        .k = call.ints[2],
        .key0 = call.ints[3],
        .key1 = call.ints[4],
        .key2 = call.ints[5],
        .key3 = call.ints[6],
        .site = call.ints[7],
        .p = call.floats[0],
        .bfloat16 = call.bfloat16,
        .wholeTiles = call.wholeTiles,
    };
  }
  template <typename Call>
  Call toCall() const {
    Call call = {};
    call.setBuffer(0, x.any());
    call.setBuffer(1, w.any());
    call.setBuffer(2, bias.any());
    call.setBuffer(3, addend.any());
    call.setBuffer(4, kept.any());
    call.setBuffer(5, y.any());
    call.ints[0] = m;
    call.ints[1] = n;
    call.ints[2] = k;
    call.ints[3] = key0;
    call.ints[4] = key1;
    call.ints[5] = key2;
    call.ints[6] = key3;
    call.ints[7] = site;
    call.floats[0] = p;
    call.bfloat16 = bfloat16;
    call.wholeTiles = wholeTiles;
    return call;
  }
};

// linearBackwardInput: dx[M, K] = dy[M, N] · w[N, K], elementwise times factor[M, K] if factor is given.
struct LinearBackwardInputArgs {
  static constexpr int kIndex = 29;

  ActivationBuffer<const float> dy;
  ActivationBuffer<const float> w;
  OptionalActivationBuffer<const float> factor;
  ActivationBuffer<float> dx;
  int64_t m;
  int64_t n;
  int64_t k;
  int64_t add;
  bool bfloat16 = false;
  bool wholeTiles = false;

  template <typename Call>
  __attribute__((always_inline)) static LinearBackwardInputArgs of(const Call& call) {
    return {
        .dy = ActivationBuffer<const float>(call.buffer(0)),
        .w = ActivationBuffer<const float>(call.buffer(1)),
        .factor = OptionalActivationBuffer<const float>(call.buffer(2)),
        .dx = ActivationBuffer<float>(call.buffer(3)),
        .m = call.ints[0],
        .n = call.ints[1],
        .k = call.ints[2],
        .add = call.ints[3],
        .bfloat16 = call.bfloat16,
        .wholeTiles = call.wholeTiles,
    };
  }
  template <typename Call>
  Call toCall() const {
    Call call = {};
    call.setBuffer(0, dy.any());
    call.setBuffer(1, w.any());
    call.setBuffer(2, factor.any());
    call.setBuffer(3, dx.any());
    call.ints[0] = m;
    call.ints[1] = n;
    call.ints[2] = k;
    call.ints[3] = add;
    call.bfloat16 = bfloat16;
    call.wholeTiles = wholeTiles;
    return call;
  }
};

// linearDropoutBackwardInput: dBranch[i] = dy[i] · kept(i) / (1 − p); dx[M, K] = dBranch[M, N] · w[N, K], times factor
// if factor is given.
struct LinearDropoutBackwardInputArgs {
  static constexpr int kIndex = 30;

  Buffer<const float> dy;
  Buffer<const uint32_t> kept;
  ActivationBuffer<const float> w;
  OptionalActivationBuffer<const float> factor;
  ActivationBuffer<float> dBranch;
  ActivationBuffer<float> dx;
  int64_t m;
  int64_t n;
  int64_t k;
  double p;
  bool bfloat16 = false;
  bool wholeTiles = false;

  template <typename Call>
  __attribute__((always_inline)) static LinearDropoutBackwardInputArgs of(const Call& call) {
    return {
        .dy = Buffer<const float>(call.buffer(0)),
        .kept = Buffer<const uint32_t>(call.buffer(1)),
        .w = ActivationBuffer<const float>(call.buffer(2)),
        .factor = OptionalActivationBuffer<const float>(call.buffer(3)),
        .dBranch = ActivationBuffer<float>(call.buffer(4)),
        .dx = ActivationBuffer<float>(call.buffer(5)),
        .m = call.ints[0],
        .n = call.ints[1],
        .k = call.ints[2],
        .p = call.floats[0],
        .bfloat16 = call.bfloat16,
        .wholeTiles = call.wholeTiles,
    };
  }
  template <typename Call>
  Call toCall() const {
    Call call = {};
    call.setBuffer(0, dy.any());
    call.setBuffer(1, kept.any());
    call.setBuffer(2, w.any());
    call.setBuffer(3, factor.any());
    call.setBuffer(4, dBranch.any());
    call.setBuffer(5, dx.any());
    call.ints[0] = m;
    call.ints[1] = n;
    call.ints[2] = k;
    call.floats[0] = p;
    call.bfloat16 = bfloat16;
    call.wholeTiles = wholeTiles;
    return call;
  }
};

// linearBackwardWeight: dw[N, K] = dy[M, N]ᵀ · x[M, K]; dBias[N] += Σ over M of dy.
struct LinearBackwardWeightArgs {
  static constexpr int kIndex = 31;

  ActivationBuffer<const float> dy;
  ActivationBuffer<const float> x;
  Buffer<float> dw;
  OptionalBuffer<float> dBias;
  int64_t m;
  int64_t n;
  int64_t k;
  int64_t add;
  bool bfloat16 = false;
  bool wholeTiles = false;

  template <typename Call>
  __attribute__((always_inline)) static LinearBackwardWeightArgs of(const Call& call) {
    return {
        .dy = ActivationBuffer<const float>(call.buffer(0)),
        .x = ActivationBuffer<const float>(call.buffer(1)),
        .dw = Buffer<float>(call.buffer(2)),
        .dBias = OptionalBuffer<float>(call.buffer(3)),
        .m = call.ints[0],
        .n = call.ints[1],
        .k = call.ints[2],
        .add = call.ints[3],
        .bfloat16 = call.bfloat16,
        .wholeTiles = call.wholeTiles,
    };
  }
  template <typename Call>
  Call toCall() const {
    Call call = {};
    call.setBuffer(0, dy.any());
    call.setBuffer(1, x.any());
    call.setBuffer(2, dw.any());
    call.setBuffer(3, dBias.any());
    call.ints[0] = m;
    call.ints[1] = n;
    call.ints[2] = k;
    call.ints[3] = add;
    call.bfloat16 = bfloat16;
    call.wholeTiles = wholeTiles;
    return call;
  }
};

// attentionForward: out = dropout(softmax(q·kᵀ·scale)) · v.
struct AttentionForwardArgs {
  static constexpr int kIndex = 32;

  ActivationBuffer<const float> q;
  ActivationBuffer<const float> k;
  ActivationBuffer<const float> v;
  ActivationBuffer<float> out;
  Buffer<float> logSumExp;
  OptionalBuffer<uint32_t> kept;
  OptionalBuffer<const int32_t> segments;
  OptionalBuffer<const int32_t> pages;
  int64_t batch;
  int64_t queries;
  int64_t start;
  int64_t heads;
  int64_t keyHeads;
  int64_t headDim;
  int64_t queryStride;
  int64_t queryBatchStride;
  int64_t keyStride;
  int64_t keyBatchStride;
  int64_t rows;
  int64_t keyRows;
  int64_t pageCount;
  int64_t key0;
  int64_t key1;
  int64_t key2;
  int64_t key3;
  int64_t site;
  int64_t causal;
  int64_t window;
  double scale;
  double p;
  bool bfloat16 = false;
  bool wholeTiles = false;

  template <typename Call>
  __attribute__((always_inline)) static AttentionForwardArgs of(const Call& call) {
    return {
        .q = ActivationBuffer<const float>(call.buffer(0)),
        .k = ActivationBuffer<const float>(call.buffer(1)),
        .v = ActivationBuffer<const float>(call.buffer(2)),
        .out = ActivationBuffer<float>(call.buffer(3)),
        .logSumExp = Buffer<float>(call.buffer(4)),
        .kept = OptionalBuffer<uint32_t>(call.buffer(5)),
        .segments = OptionalBuffer<const int32_t>(call.buffer(6)),
        .pages = OptionalBuffer<const int32_t>(call.buffer(7)),
        .batch = call.ints[0],
        .queries = call.ints[1],
        .start = call.ints[2],
        .heads = call.ints[3],
        .keyHeads = call.ints[4],
        .headDim = call.ints[5],
        .queryStride = call.ints[6],
        .queryBatchStride = call.ints[7],
        .keyStride = call.ints[8],
        .keyBatchStride = call.ints[9],
        .rows = call.ints[10],
        .keyRows = call.ints[11],
        .pageCount = call.ints[12],
        .key0 = call.ints[13],
        .key1 = call.ints[14],
        .key2 = call.ints[15],
        .key3 = call.ints[16],
        .site = call.ints[17],
        .causal = call.ints[18],
        .window = call.ints[19],
        .scale = call.floats[0],
        .p = call.floats[1],
        .bfloat16 = call.bfloat16,
        .wholeTiles = call.wholeTiles,
    };
  }
  template <typename Call>
  Call toCall() const {
    Call call = {};
    call.setBuffer(0, q.any());
    call.setBuffer(1, k.any());
    call.setBuffer(2, v.any());
    call.setBuffer(3, out.any());
    call.setBuffer(4, logSumExp.any());
    call.setBuffer(5, kept.any());
    call.setBuffer(6, segments.any());
    call.setBuffer(7, pages.any());
    call.ints[0] = batch;
    call.ints[1] = queries;
    call.ints[2] = start;
    call.ints[3] = heads;
    call.ints[4] = keyHeads;
    call.ints[5] = headDim;
    call.ints[6] = queryStride;
    call.ints[7] = queryBatchStride;
    call.ints[8] = keyStride;
    call.ints[9] = keyBatchStride;
    call.ints[10] = rows;
    call.ints[11] = keyRows;
    call.ints[12] = pageCount;
    call.ints[13] = key0;
    call.ints[14] = key1;
    call.ints[15] = key2;
    call.ints[16] = key3;
    call.ints[17] = site;
    call.ints[18] = causal;
    call.ints[19] = window;
    call.floats[0] = scale;
    call.floats[1] = p;
    call.bfloat16 = bfloat16;
    call.wholeTiles = wholeTiles;
    return call;
  }
};

// attentionBackward: Gradients of attentionForward: overwrites dq, dk and dv.
struct AttentionBackwardArgs {
  static constexpr int kIndex = 33;

  ActivationBuffer<const float> dOut;
  ActivationBuffer<const float> q;
  ActivationBuffer<const float> k;
  ActivationBuffer<const float> v;
  ActivationBuffer<const float> out;
  Buffer<const float> logSumExp;
  OptionalBuffer<const uint32_t> kept;
  OptionalBuffer<const int32_t> segments;
  ActivationBuffer<float> dq;
  ActivationBuffer<float> dk;
  ActivationBuffer<float> dv;
  int64_t batch;
  int64_t queries;
  int64_t start;
  int64_t heads;
  int64_t keyHeads;
  int64_t headDim;
  int64_t queryStride;
  int64_t queryBatchStride;
  int64_t keyStride;
  int64_t keyBatchStride;
  int64_t rows;
  int64_t keyRows;
  int64_t key0;
  int64_t key1;
  int64_t key2;
  int64_t key3;
  int64_t site;
  int64_t causal;
  int64_t window;
  double scale;
  double p;
  bool bfloat16 = false;
  bool wholeTiles = false;

  template <typename Call>
  __attribute__((always_inline)) static AttentionBackwardArgs of(const Call& call) {
    return {
        .dOut = ActivationBuffer<const float>(call.buffer(0)),
        .q = ActivationBuffer<const float>(call.buffer(1)),
        .k = ActivationBuffer<const float>(call.buffer(2)),
        .v = ActivationBuffer<const float>(call.buffer(3)),
        .out = ActivationBuffer<const float>(call.buffer(4)),
        .logSumExp = Buffer<const float>(call.buffer(5)),
        .kept = OptionalBuffer<const uint32_t>(call.buffer(6)),
        .segments = OptionalBuffer<const int32_t>(call.buffer(7)),
        .dq = ActivationBuffer<float>(call.buffer(8)),
        .dk = ActivationBuffer<float>(call.buffer(9)),
        .dv = ActivationBuffer<float>(call.buffer(10)),
        .batch = call.ints[0],
        .queries = call.ints[1],
        .start = call.ints[2],
        .heads = call.ints[3],
        .keyHeads = call.ints[4],
        .headDim = call.ints[5],
        .queryStride = call.ints[6],
        .queryBatchStride = call.ints[7],
        .keyStride = call.ints[8],
        .keyBatchStride = call.ints[9],
        .rows = call.ints[10],
        .keyRows = call.ints[11],
        .key0 = call.ints[12],
        .key1 = call.ints[13],
        .key2 = call.ints[14],
        .key3 = call.ints[15],
        .site = call.ints[16],
        .causal = call.ints[17],
        .window = call.ints[18],
        .scale = call.floats[0],
        .p = call.floats[1],
        .bfloat16 = call.bfloat16,
        .wholeTiles = call.wholeTiles,
    };
  }
  template <typename Call>
  Call toCall() const {
    Call call = {};
    call.setBuffer(0, dOut.any());
    call.setBuffer(1, q.any());
    call.setBuffer(2, k.any());
    call.setBuffer(3, v.any());
    call.setBuffer(4, out.any());
    call.setBuffer(5, logSumExp.any());
    call.setBuffer(6, kept.any());
    call.setBuffer(7, segments.any());
    call.setBuffer(8, dq.any());
    call.setBuffer(9, dk.any());
    call.setBuffer(10, dv.any());
    call.ints[0] = batch;
    call.ints[1] = queries;
    call.ints[2] = start;
    call.ints[3] = heads;
    call.ints[4] = keyHeads;
    call.ints[5] = headDim;
    call.ints[6] = queryStride;
    call.ints[7] = queryBatchStride;
    call.ints[8] = keyStride;
    call.ints[9] = keyBatchStride;
    call.ints[10] = rows;
    call.ints[11] = keyRows;
    call.ints[12] = key0;
    call.ints[13] = key1;
    call.ints[14] = key2;
    call.ints[15] = key3;
    call.ints[16] = site;
    call.ints[17] = causal;
    call.ints[18] = window;
    call.floats[0] = scale;
    call.floats[1] = p;
    call.bfloat16 = bfloat16;
    call.wholeTiles = wholeTiles;
    return call;
  }
};

// crossEntropyForward: losses[r] = logSumExp(z[r, :]) − z[r, targets[r]].
struct CrossEntropyForwardArgs {
  static constexpr int kIndex = 34;

  Buffer<const float> logits;
  Buffer<const int32_t> targets;
  Buffer<float> losses;
  Buffer<float> logSumExp;
  int64_t rows;
  int64_t columns;
  int64_t first;
  int64_t vocabSize;
  bool bfloat16 = false;
  bool wholeTiles = false;

  template <typename Call>
  __attribute__((always_inline)) static CrossEntropyForwardArgs of(const Call& call) {
    return {
        .logits = Buffer<const float>(call.buffer(0)),
        .targets = Buffer<const int32_t>(call.buffer(1)),
        .losses = Buffer<float>(call.buffer(2)),
        .logSumExp = Buffer<float>(call.buffer(3)),
        .rows = call.ints[0],
        .columns = call.ints[1],
        .first = call.ints[2],
        .vocabSize = call.ints[3],
        .bfloat16 = call.bfloat16,
        .wholeTiles = call.wholeTiles,
    };
  }
  template <typename Call>
  Call toCall() const {
    Call call = {};
    call.setBuffer(0, logits.any());
    call.setBuffer(1, targets.any());
    call.setBuffer(2, losses.any());
    call.setBuffer(3, logSumExp.any());
    call.ints[0] = rows;
    call.ints[1] = columns;
    call.ints[2] = first;
    call.ints[3] = vocabSize;
    call.bfloat16 = bfloat16;
    call.wholeTiles = wholeTiles;
    return call;
  }
};

// crossEntropyBackward: dLogits = dLoss · (softmax(z) − onehot(target)).
struct CrossEntropyBackwardArgs {
  static constexpr int kIndex = 35;

  Buffer<const float> logits;
  Buffer<const int32_t> targets;
  Buffer<const float> logSumExp;
  Buffer<const float> dLoss;
  ActivationBuffer<float> dLogits;
  int64_t rows;
  int64_t columns;
  int64_t first;
  int64_t vocabSize;
  bool bfloat16 = false;
  bool wholeTiles = false;

  template <typename Call>
  __attribute__((always_inline)) static CrossEntropyBackwardArgs of(const Call& call) {
    return {
        .logits = Buffer<const float>(call.buffer(0)),
        .targets = Buffer<const int32_t>(call.buffer(1)),
        .logSumExp = Buffer<const float>(call.buffer(2)),
        .dLoss = Buffer<const float>(call.buffer(3)),
        .dLogits = ActivationBuffer<float>(call.buffer(4)),
        .rows = call.ints[0],
        .columns = call.ints[1],
        .first = call.ints[2],
        .vocabSize = call.ints[3],
        .bfloat16 = call.bfloat16,
        .wholeTiles = call.wholeTiles,
    };
  }
  template <typename Call>
  Call toCall() const {
    Call call = {};
    call.setBuffer(0, logits.any());
    call.setBuffer(1, targets.any());
    call.setBuffer(2, logSumExp.any());
    call.setBuffer(3, dLoss.any());
    call.setBuffer(4, dLogits.any());
    call.ints[0] = rows;
    call.ints[1] = columns;
    call.ints[2] = first;
    call.ints[3] = vocabSize;
    call.bfloat16 = bfloat16;
    call.wholeTiles = wholeTiles;
    return call;
  }
};

// adamStep: m = β₁m + (1−β₁)g; v = β₂v + (1−β₂)g²; param −= stepSize · m / (√v / sqrtCorrection2 + eps).
struct AdamStepArgs {
  static constexpr int kIndex = 36;

  Buffer<float> param;
  Buffer<const float> grad;
  Buffer<float> m;
  Buffer<float> v;
  OptionalActivationBuffer<float> rounded;
  OptionalBuffer<float> unreal;
  int64_t n;
  double beta1;
  double beta2;
  double eps;
  double stepSize;
  double sqrtCorrection2;
  double decayFactor;
  double coupledDecay;
  double gradScale;
  bool bfloat16 = false;
  bool wholeTiles = false;

  template <typename Call>
  __attribute__((always_inline)) static AdamStepArgs of(const Call& call) {
    return {
        .param = Buffer<float>(call.buffer(0)),
        .grad = Buffer<const float>(call.buffer(1)),
        .m = Buffer<float>(call.buffer(2)),
        .v = Buffer<float>(call.buffer(3)),
        .rounded = OptionalActivationBuffer<float>(call.buffer(4)),
        .unreal = OptionalBuffer<float>(call.buffer(5)),
        .n = call.ints[0],
        .beta1 = call.floats[0],
        .beta2 = call.floats[1],
        .eps = call.floats[2],
        .stepSize = call.floats[3],
        .sqrtCorrection2 = call.floats[4],
        .decayFactor = call.floats[5],
        .coupledDecay = call.floats[6],
        .gradScale = call.floats[7],
        .bfloat16 = call.bfloat16,
        .wholeTiles = call.wholeTiles,
    };
  }
  template <typename Call>
  Call toCall() const {
    Call call = {};
    call.setBuffer(0, param.any());
    call.setBuffer(1, grad.any());
    call.setBuffer(2, m.any());
    call.setBuffer(3, v.any());
    call.setBuffer(4, rounded.any());
    call.setBuffer(5, unreal.any());
    call.ints[0] = n;
    call.floats[0] = beta1;
    call.floats[1] = beta2;
    call.floats[2] = eps;
    call.floats[3] = stepSize;
    call.floats[4] = sqrtCorrection2;
    call.floats[5] = decayFactor;
    call.floats[6] = coupledDecay;
    call.floats[7] = gradScale;
    call.bfloat16 = bfloat16;
    call.wholeTiles = wholeTiles;
    return call;
  }
};

// blocksPack: Copies the rows of x[rows, k] into panels y; both are in blocks.
struct BlocksPackArgs {
  static constexpr int kIndex = 37;

  Buffer<const uint32_t> x;
  Buffer<uint32_t> y;
  int64_t rows;
  int64_t k;
  int64_t form;
  bool bfloat16 = false;
  bool wholeTiles = false;

  template <typename Call>
  __attribute__((always_inline)) static BlocksPackArgs of(const Call& call) {
    return {
        .x = Buffer<const uint32_t>(call.buffer(0)),
        .y = Buffer<uint32_t>(call.buffer(1)),
        .rows = call.ints[0],
        .k = call.ints[1],
        .form = call.ints[2],
        .bfloat16 = call.bfloat16,
        .wholeTiles = call.wholeTiles,
    };
  }
  template <typename Call>
  Call toCall() const {
    Call call = {};
    call.setBuffer(0, x.any());
    call.setBuffer(1, y.any());
    call.ints[0] = rows;
    call.ints[1] = k;
    call.ints[2] = form;
    call.bfloat16 = bfloat16;
    call.wholeTiles = wholeTiles;
    return call;
  }
};

// blocksRows: y[r, :] = w[ids[r], :], or w[first + r, :] without ids; w[n, k] is in blocks.
struct BlocksRowsArgs {
  static constexpr int kIndex = 38;

  Buffer<const uint32_t> w;
  OptionalBuffer<const int32_t> ids;
  ActivationBuffer<float> y;
  int64_t rows;
  int64_t n;
  int64_t k;
  int64_t first;
  int64_t form;
  bool bfloat16 = false;
  bool wholeTiles = false;

  template <typename Call>
  __attribute__((always_inline)) static BlocksRowsArgs of(const Call& call) {
    return {
        .w = Buffer<const uint32_t>(call.buffer(0)),
        .ids = OptionalBuffer<const int32_t>(call.buffer(1)),
        .y = ActivationBuffer<float>(call.buffer(2)),
        .rows = call.ints[0],
        .n = call.ints[1],
        .k = call.ints[2],
        .first = call.ints[3],
        .form = call.ints[4],
        .bfloat16 = call.bfloat16,
        .wholeTiles = call.wholeTiles,
    };
  }
  template <typename Call>
  Call toCall() const {
    Call call = {};
    call.setBuffer(0, w.any());
    call.setBuffer(1, ids.any());
    call.setBuffer(2, y.any());
    call.ints[0] = rows;
    call.ints[1] = n;
    call.ints[2] = k;
    call.ints[3] = first;
    call.ints[4] = form;
    call.bfloat16 = bfloat16;
    call.wholeTiles = wholeTiles;
    return call;
  }
};

// blocksLinearForward: y[M, N] = round8(x[M, K]) · w[N, K]ᵀ + bias[N] + addend[M, N]; w is in blocks.
struct BlocksLinearForwardArgs {
  static constexpr int kIndex = 39;

  ActivationBuffer<const float> x;
  Buffer<const uint32_t> w;
  OptionalBuffer<const float> bias;
  OptionalBuffer<const float> addend;
  ActivationBuffer<float> y;
  int64_t m;
  int64_t n;
  int64_t k;
  int64_t yStride;
  int64_t form;
  bool bfloat16 = false;
  bool wholeTiles = false;

  template <typename Call>
  __attribute__((always_inline)) static BlocksLinearForwardArgs of(const Call& call) {
    return {
        .x = ActivationBuffer<const float>(call.buffer(0)),
        .w = Buffer<const uint32_t>(call.buffer(1)),
        .bias = OptionalBuffer<const float>(call.buffer(2)),
        .addend = OptionalBuffer<const float>(call.buffer(3)),
        .y = ActivationBuffer<float>(call.buffer(4)),
        .m = call.ints[0],
        .n = call.ints[1],
        .k = call.ints[2],
        .yStride = call.ints[3],
        .form = call.ints[4],
        .bfloat16 = call.bfloat16,
        .wholeTiles = call.wholeTiles,
    };
  }
  template <typename Call>
  Call toCall() const {
    Call call = {};
    call.setBuffer(0, x.any());
    call.setBuffer(1, w.any());
    call.setBuffer(2, bias.any());
    call.setBuffer(3, addend.any());
    call.setBuffer(4, y.any());
    call.ints[0] = m;
    call.ints[1] = n;
    call.ints[2] = k;
    call.ints[3] = yStride;
    call.ints[4] = form;
    call.bfloat16 = bfloat16;
    call.wholeTiles = wholeTiles;
    return call;
  }
};

}  // namespace foretoken

// Every kernel with its arguments, in the order of kDeclarations.
#define FT_EACH_KERNEL(kernel) \
  kernel(fill, FillArgs) \
  kernel(add, AddArgs) \
  kernel(combine, CombineArgs) \
  kernel(copyRows, CopyRowsArgs) \
  kernel(placeRows, PlaceRowsArgs) \
  kernel(sum, SumArgs) \
  kernel(sumOfSquares, SumOfSquaresArgs) \
  kernel(addSquares, AddSquaresArgs) \
  kernel(scaleByNorm, ScaleByNormArgs) \
  kernel(geluForward, GeluForwardArgs) \
  kernel(geluBackward, GeluBackwardArgs) \
  kernel(dropout, DropoutArgs) \
  kernel(swigluForward, SwigluForwardArgs) \
  kernel(swigluBackward, SwigluBackwardArgs) \
  kernel(gegluForward, GegluForwardArgs) \
  kernel(gegluBackward, GegluBackwardArgs) \
  kernel(relu2Forward, Relu2ForwardArgs) \
  kernel(relu2Backward, Relu2BackwardArgs) \
  kernel(embeddingForward, EmbeddingForwardArgs) \
  kernel(embeddingBackward, EmbeddingBackwardArgs) \
  kernel(layerNormForward, LayerNormForwardArgs) \
  kernel(layerNormBackward, LayerNormBackwardArgs) \
  kernel(rmsNormForward, RmsNormForwardArgs) \
  kernel(rmsNormBackward, RmsNormBackwardArgs) \
  kernel(rotaryForward, RotaryForwardArgs) \
  kernel(rotaryBackward, RotaryBackwardArgs) \
  kernel(linearForward, LinearForwardArgs) \
  kernel(linearGeluForward, LinearGeluForwardArgs) \
  kernel(linearDropoutForward, LinearDropoutForwardArgs) \
  kernel(linearBackwardInput, LinearBackwardInputArgs) \
  kernel(linearDropoutBackwardInput, LinearDropoutBackwardInputArgs) \
  kernel(linearBackwardWeight, LinearBackwardWeightArgs) \
  kernel(attentionForward, AttentionForwardArgs) \
  kernel(attentionBackward, AttentionBackwardArgs) \
  kernel(crossEntropyForward, CrossEntropyForwardArgs) \
  kernel(crossEntropyBackward, CrossEntropyBackwardArgs) \
  kernel(adamStep, AdamStepArgs) \
  kernel(blocksPack, BlocksPackArgs) \
  kernel(blocksRows, BlocksRowsArgs) \
  kernel(blocksLinearForward, BlocksLinearForwardArgs)
