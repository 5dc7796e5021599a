// Attention, causal and not, on strided inputs: parts of one [B, T, 3C] array, and a cache longer than what is used of it.
#include <algorithm>

#include "harness.h"

namespace foretoken::test {

namespace {

struct Shape {
  int64_t batch, queries, start, heads, headDim;
};

// q, k and v as three buffers with gaps, each ending with its last element.
struct Inputs {
  Shape shape;
  int64_t rowGap, batchGap;

  int64_t width() const { return shape.heads * shape.headDim; }
  int64_t keys() const { return shape.start + shape.queries; }
  int64_t stride() const { return width() + rowGap; }
  int64_t queryBatchStride() const { return shape.queries * stride() + batchGap; }
  int64_t keyBatchStride() const { return keys() * stride() + batchGap; }
  int64_t queryLength() const {
    return (shape.batch - 1) * queryBatchStride() + (shape.queries - 1) * stride() + width();
  }
  int64_t keyLength() const { return (shape.batch - 1) * keyBatchStride() + (keys() - 1) * stride() + width(); }
  int64_t outLength() const { return shape.batch * shape.queries * width(); }
  int64_t query(int64_t b, int64_t t, int64_t h) const { return b * queryBatchStride() + t * stride() + h * shape.headDim; }
  int64_t key(int64_t b, int64_t t, int64_t h) const { return b * keyBatchStride() + t * stride() + h * shape.headDim; }
  int64_t out(int64_t b, int64_t t, int64_t h) const { return ((b * shape.queries + t) * shape.heads + h) * shape.headDim; }
  int64_t stat(int64_t b, int64_t t, int64_t h) const { return (b * shape.heads + h) * shape.queries + t; }
};

// A result, and of each of its elements the sum of magnitudes of what weights or their gradients are multiplied to. A gradient
// that is a difference counts with the magnitudes of both sides: each side has its own rounding.
struct Sums {
  std::vector<double> values, sizes;

  explicit Sums(int64_t length) : values(static_cast<size_t>(length)), sizes(static_cast<size_t>(length)) {}
  void add(int64_t i, double weight, double factor) {
    values[static_cast<size_t>(i)] += weight * factor;
    sizes[static_cast<size_t>(i)] += std::fabs(weight * factor);
  }
  void add(int64_t i, double weight, double factor, double weightSize) {
    values[static_cast<size_t>(i)] += weight * factor;
    sizes[static_cast<size_t>(i)] += weightSize * std::fabs(factor);
  }
  double largestSize() const { return *std::max_element(sizes.begin(), sizes.end()); }
};

struct Wanted {
  Sums out;
  std::vector<double> logSumExp;
  Sums dq, dk, dv;
};

double dot(const Doubles& a, int64_t atA, const Doubles& b, int64_t atB, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += a[static_cast<size_t>(atA + i)] * b[static_cast<size_t>(atB + i)];
  return sum;
}

Doubles operands(const Suite& s, const Floats& values) {
  Doubles result;
  for (int64_t i = 0; i < values.size(); i++) result.push_back(s.operand(values[i]));
  return result;
}

Wanted compute(const Inputs& in, bool causal, double scale, const Doubles& q, const Doubles& k, const Doubles& v,
               const Doubles& dOut) {
  const auto zeros = [](int64_t n) { return std::vector<double>(static_cast<size_t>(n)); };
  const auto at = [](auto& values, int64_t i) -> auto& { return values[static_cast<size_t>(i)]; };
  const auto [batch, queries, start, heads, headDim] = in.shape;
  Wanted w{Sums(in.outLength()), zeros(batch * heads * queries), Sums(in.queryLength()), Sums(in.keyLength()),
           Sums(in.keyLength())};
  for (int64_t b = 0; b < batch; b++)
    for (int64_t h = 0; h < heads; h++)
      for (int64_t t = 0; t < queries; t++) {
        const int64_t visible = start + (causal ? t + 1 : queries);
        std::vector<double> weights = zeros(visible);
        double sum = 0;
        for (int64_t j = 0; j < visible; j++) {
          at(weights, j) = std::exp(scale * dot(q, in.query(b, t, h), k, in.key(b, j, h), headDim));
          sum += at(weights, j);
        }
        at(w.logSumExp, in.stat(b, t, h)) = std::log(sum);
        double delta = 0, deltaSize = 0;
        for (int64_t c = 0; c < headDim; c++) {
          const int64_t out = in.out(b, t, h) + c;
          for (int64_t j = 0; j < visible; j++) w.out.add(out, at(weights, j) / sum, at(v, in.key(b, j, h) + c));
          delta += at(w.out.values, out) * at(dOut, out);
          deltaSize += std::fabs(at(w.out.values, out) * at(dOut, out));
        }
        for (int64_t j = 0; j < visible; j++) {
          const double weight = at(weights, j) / sum;
          const double dWeight = dot(dOut, in.out(b, t, h), v, in.key(b, j, h), headDim);
          const double dScore = scale * weight * (dWeight - delta);
          const double size = scale * weight * (std::fabs(dWeight) + deltaSize);
          for (int64_t c = 0; c < headDim; c++) {
            w.dq.add(in.query(b, t, h) + c, dScore, at(k, in.key(b, j, h) + c), size);
            w.dk.add(in.key(b, j, h) + c, dScore, at(q, in.query(b, t, h) + c), size);
            w.dv.add(in.key(b, j, h) + c, weight, at(dOut, in.out(b, t, h) + c));
          }
        }
      }
  return w;
}

void attention(Suite& s, const Inputs& in, bool causal) {
  const auto [batch, queries, start, heads, headDim] = in.shape;
  const double scale = 1 / std::sqrt(static_cast<double>(headDim));
  const Floats q = s.randomFloats(in.queryLength(), 2);
  const Floats k = s.randomFloats(in.keyLength(), 2);
  const Floats v = s.randomFloats(in.keyLength());
  const Floats dOut = s.randomFloats(in.outLength());
  const Wanted& want = s.once(
      [&] { return compute(in, causal, scale, operands(s, q), operands(s, k), operands(s, v), operands(s, dOut)); });
  const auto expect = [&s](const char* what, const Floats& got, double magnitude, const Sums& wanted) {
    s.expect(what, got, magnitude + s.operandError() * wanted.largestSize(),
             [&wanted](int64_t i) { return wanted.values[static_cast<size_t>(i)]; });
  };
  Floats out = s.floats(in.outLength());
  Floats stats = s.floats(batch * heads * queries);
  for (const double p : {0.0, 0.5}) {
    const auto forward = [&](Floats& to, uint32_t* kept) {
      s.call(AttentionForwardArgs{
          .q = q.data(), .k = k.data(), .v = v.data(), .out = to.data(), .logSumExp = stats.data(), .kept = kept,
          .batch = batch, .queries = queries, .start = start, .heads = heads, .headDim = headDim,
          .queryStride = in.stride(), .queryBatchStride = in.queryBatchStride(), .keyStride = in.stride(),
          .keyBatchStride = in.keyBatchStride(), .key0 = 1, .key1 = 2, .key2 = 3, .key3 = 4, .site = 5,
          .causal = causal ? 1 : 0, .scale = scale, .p = p});
    };
    forward(out, nullptr);
    s.expect("attentionForward logSumExp", stats, 10,
             [&want](int64_t i) { return want.logSumExp[static_cast<size_t>(i)]; });
    if (p == 0) expect("attentionForward", out, 1, want.out);
    s.take(out);
    if (start != 0) continue;
    struct Gradients {
      Floats q, k, v;
    };
    const auto backward = [&](const uint32_t* kept) {
      Gradients d{s.floats(in.queryLength()), s.floats(in.keyLength()), s.floats(in.keyLength())};
      s.call(AttentionBackwardArgs{
          .dOut = dOut.data(), .q = q.data(), .k = k.data(), .v = v.data(), .out = out.data(),
          .logSumExp = stats.data(), .kept = kept, .dq = d.q.data(), .dk = d.k.data(), .dv = d.v.data(),
          .batch = batch, .queries = queries, .start = start, .heads = heads, .headDim = headDim,
          .queryStride = in.stride(), .queryBatchStride = in.queryBatchStride(), .keyStride = in.stride(),
          .keyBatchStride = in.keyBatchStride(), .key0 = 1, .key1 = 2, .key2 = 3, .key3 = 4, .site = 5,
          .causal = causal ? 1 : 0, .scale = scale, .p = p});
      return d;
    };
    const auto [dq, dk, dv] = backward(nullptr);
    if (p > 0) {
      // A mask that is kept is the one that is drawn.
      Words kept = s.randomWords(batch * heads * ((queries + 31) / 32) * queries);
      Floats same = s.floats(in.outLength());
      forward(same, kept.data());
      s.expectSame("attentionForward that keeps its mask", same, out);
      const Gradients d = backward(kept.data());
      s.expectSame("attentionBackward dq with a mask", d.q, dq);
      s.expectSame("attentionBackward dk with a mask", d.k, dk);
      s.expectSame("attentionBackward dv with a mask", d.v, dv);
      s.take(kept);
    }
    if (p == 0) {
      const double magnitude = 4 * static_cast<double>(headDim) + static_cast<double>(queries) / 4;
      expect("attentionBackward dq", dq, magnitude, want.dq);
      expect("attentionBackward dk", dk, magnitude, want.dk);
      expect("attentionBackward dv", dv, magnitude, want.dv);
    }
    s.take(dq);
    s.take(dk);
    s.take(dv);
  }
}

}  // namespace

void testAttention(Suite& s) {
  constexpr Shape kShapes[] = {{1, 1, 0, 1, 1},  {1, 3, 0, 2, 5},   {2, 17, 0, 3, 16}, {1, 63, 0, 1, 8},
                               {2, 64, 0, 2, 32}, {1, 65, 0, 1, 33}, {3, 7, 0, 5, 64},  {1, 129, 0, 2, 17},
                               {1, 1, 64, 2, 32}, {2, 5, 11, 2, 15}, {1, 66, 63, 1, 40}, {1, 4, 126, 2, 33},
                               {2, 2, 255, 1, 80}};
  for (const Shape& shape : kShapes) {
    for (const bool causal : {true, false}) {
      attention(s, {shape, 0, 0}, causal);
      attention(s, {shape, 2 * shape.heads * shape.headDim, 0}, causal);
      attention(s, {shape, 1, 3}, causal);
    }
  }
}

}  // namespace foretoken::test
