// Tests causal and full attention on strided inputs: parts of one [B, T, 3C] array, and a KV cache with unused rows.
#include <algorithm>

#include "harness.h"

namespace foretoken::test {

namespace {

struct Shape {
  int64_t batch, queries, start, heads, keyHeads, headDim;
};

// q, k and v as three buffers with gaps. Each buffer ends with its last element.
struct Inputs {
  Shape shape;
  int64_t rowGap, batchGap;
  int64_t window = 0;  // none

  int64_t width() const { return shape.heads * shape.headDim; }
  int64_t keyWidth() const { return shape.keyHeads * shape.headDim; }
  int64_t keys() const { return shape.start + shape.queries; }
  int64_t stride() const { return width() + rowGap; }
  int64_t keyStride() const { return keyWidth() + rowGap; }
  int64_t queryBatchStride() const { return shape.queries * stride() + batchGap; }
  int64_t keyBatchStride() const { return keys() * keyStride() + batchGap; }
  int64_t queryLength() const {
    return (shape.batch - 1) * queryBatchStride() + (shape.queries - 1) * stride() + width();
  }
  int64_t keyLength() const { return (shape.batch - 1) * keyBatchStride() + (keys() - 1) * keyStride() + keyWidth(); }
  int64_t outLength() const { return shape.batch * shape.queries * width(); }
  int64_t query(int64_t b, int64_t t, int64_t h) const { return b * queryBatchStride() + t * stride() + h * shape.headDim; }
  // For the key head that query head `h` uses.
  int64_t key(int64_t b, int64_t t, int64_t h) const {
    return b * keyBatchStride() + t * keyStride() + h / (shape.heads / shape.keyHeads) * shape.headDim;
  }
  int64_t out(int64_t b, int64_t t, int64_t h) const { return ((b * shape.queries + t) * shape.heads + h) * shape.headDim; }
  int64_t stat(int64_t b, int64_t t, int64_t h) const { return (b * shape.heads + h) * shape.queries + t; }
  // The first key that query `t` sees.
  int64_t oldest(int64_t t) const { return window == 0 ? 0 : std::max(shape.start + t - window + 1, int64_t{0}); }
};

// A result, with the sum of the magnitudes of its terms for each element. If a gradient is a difference, the magnitudes
// of both terms count, because each term is rounded separately.
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
  const auto [batch, queries, start, heads, keyHeads, headDim] = in.shape;
  Wanted w{Sums(in.outLength()), zeros(batch * heads * queries), Sums(in.queryLength()), Sums(in.keyLength()),
           Sums(in.keyLength())};
  for (int64_t b = 0; b < batch; b++)
    for (int64_t h = 0; h < heads; h++)
      for (int64_t t = 0; t < queries; t++) {
        const int64_t visible = start + (causal ? t + 1 : queries);
        std::vector<double> weights = zeros(visible);
        double sum = 0;
        for (int64_t j = in.oldest(t); j < visible; j++) {
          at(weights, j) = std::exp(scale * dot(q, in.query(b, t, h), k, in.key(b, j, h), headDim));
          sum += at(weights, j);
        }
        at(w.logSumExp, in.stat(b, t, h)) = std::log(sum);
        double delta = 0, deltaSize = 0;
        for (int64_t c = 0; c < headDim; c++) {
          const int64_t out = in.out(b, t, h) + c;
          for (int64_t j = in.oldest(t); j < visible; j++) w.out.add(out, at(weights, j) / sum, at(v, in.key(b, j, h) + c));
          delta += at(w.out.values, out) * at(dOut, out);
          deltaSize += std::fabs(at(w.out.values, out) * at(dOut, out));
        }
        for (int64_t j = in.oldest(t); j < visible; j++) {
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
  const auto [batch, queries, start, heads, keyHeads, headDim] = in.shape;
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
          .segments = nullptr, .pages = nullptr, .batch = batch, .queries = queries, .start = start, .heads = heads,
          .keyHeads = keyHeads, .headDim = headDim, .queryStride = in.stride(),
          .queryBatchStride = in.queryBatchStride(), .keyStride = in.keyStride(),
          .keyBatchStride = in.keyBatchStride(), .rows = 0, .keyRows = 0, .pageCount = 0, .key0 = 1, .key1 = 2, .key2 = 3,
          .key3 = 4, .site = 5, .causal = causal ? 1 : 0, .window = in.window, .scale = scale, .p = p});
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
          .logSumExp = stats.data(), .kept = kept, .segments = nullptr, .dq = d.q.data(), .dk = d.k.data(),
          .dv = d.v.data(), .batch = batch, .queries = queries, .start = start, .heads = heads, .keyHeads = keyHeads,
          .headDim = headDim, .queryStride = in.stride(), .queryBatchStride = in.queryBatchStride(),
          .keyStride = in.keyStride(), .keyBatchStride = in.keyBatchStride(), .rows = 0, .keyRows = 0, .key0 = 1, .key1 = 2, .key2 = 3, .key3 = 4, .site = 5,
          .causal = causal ? 1 : 0, .window = in.window, .scale = scale, .p = p});
      return d;
    };
    const auto [dq, dk, dv] = backward(nullptr);
    if (p > 0) {
      // A stored mask equals the mask that is drawn again.
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

// Sequences are contiguous in the rows of q. Keys and values use only the rows that they need.
struct Sequence {
  int64_t queries, start;
};

// Segments give the same bits as one call for each sequence. The forward pass is always tested, and the backward pass
// is tested if all segments start at 0.
void segments(Suite& s, const std::vector<Sequence>& sequences, int64_t heads, int64_t keyHeads, int64_t headDim, double p,
              int64_t window = 0) {
  const int64_t width = heads * headDim, keyWidth = keyHeads * headDim;
  int64_t rows = 0, keyRows = 0, longest = 0;
  bool fresh = true;
  Ints table = s.randomInts(4 * static_cast<int64_t>(sequences.size()), 1);
  for (size_t i = 0; i < sequences.size(); i++) {
    const int64_t row[] = {rows, sequences[i].queries, keyRows, sequences[i].start};
    for (size_t j = 0; j < 4; j++) table[static_cast<int64_t>(4 * i + j)] = static_cast<int32_t>(row[j]);
    rows += sequences[i].queries;
    keyRows += sequences[i].queries + sequences[i].start;
    longest = std::max(longest, sequences[i].queries);
    fresh = fresh && sequences[i].start == 0;
  }
  const Floats q = s.randomFloats(rows * width, 2), k = s.randomFloats(keyRows * keyWidth, 2);
  const Floats v = s.randomFloats(keyRows * keyWidth), dOut = s.randomFloats(rows * width);
  Floats out = s.floats(rows * width), stats = s.floats(heads * rows);
  AttentionForwardArgs forward{
      .q = q.data(), .k = k.data(), .v = v.data(), .out = out.data(), .logSumExp = stats.data(), .kept = nullptr,
      .segments = table.data(), .pages = nullptr, .batch = static_cast<int64_t>(sequences.size()), .queries = longest, .start = 0,
      .heads = heads, .keyHeads = keyHeads, .headDim = headDim, .queryStride = width, .queryBatchStride = 0,
      .keyStride = keyWidth, .keyBatchStride = 0, .rows = rows, .keyRows = keyRows, .pageCount = 0, .key0 = 1, .key1 = 2, .key2 = 3,
      .key3 = 4, .site = 5, .causal = 1, .window = window, .scale = 0.25, .p = p};
  s.call(forward);
  s.take(out);
  s.take(stats);
  Floats dq = s.floats(rows * width), dk = s.floats(keyRows * keyWidth), dv = s.floats(keyRows * keyWidth);
  const auto backwardOf = [](const AttentionForwardArgs& f, const float* gradient, float* toQ, float* toK, float* toV) {
    return AttentionBackwardArgs{
        .dOut = gradient, .q = f.q.as<float>(), .k = f.k.as<float>(), .v = f.v.as<float>(),
        .out = f.out.as<float>(), .logSumExp = static_cast<const float*>(f.logSumExp), .kept = nullptr, .segments = f.segments.orNull(),
        .dq = toQ, .dk = toK, .dv = toV, .batch = f.batch, .queries = f.queries, .start = 0, .heads = f.heads,
        .keyHeads = f.keyHeads, .headDim = f.headDim, .queryStride = f.queryStride,
        .queryBatchStride = f.queryBatchStride, .keyStride = f.keyStride, .keyBatchStride = f.keyBatchStride,
        .rows = f.rows, .keyRows = f.keyRows, .key0 = 1, .key1 = 2, .key2 = 3, .key3 = 4, .site = 5, .causal = 1,
        .window = f.window, .scale = 0.25, .p = f.p};
  };
  if (fresh) {
    s.call(backwardOf(forward, dOut.data(), dq.data(), dk.data(), dv.data()));
    s.take(dq);
    s.take(dk);
    s.take(dv);
  }
  // Each sequence alone, without dropout, because the mask depends on the number of the sequence.
  if (p > 0) return;
  const auto part = [&s](const Floats& of, int64_t first, int64_t count) {
    Floats copy = s.floats(count);
    std::memcpy(copy.data(), of.data() + first, sizeof(float) * static_cast<size_t>(count));
    return copy;
  };
  for (size_t i = 0; i < sequences.size(); i++) {
    const int64_t row = table[static_cast<int64_t>(4 * i)], keyRow = table[static_cast<int64_t>(4 * i + 2)];
    const auto [queries, start] = sequences[i];
    const int64_t keys = queries + start;
    const Floats qs = part(q, row * width, queries * width), ks = part(k, keyRow * keyWidth, keys * keyWidth);
    const Floats vs = part(v, keyRow * keyWidth, keys * keyWidth), gradient = part(dOut, row * width, queries * width);
    Floats alone = s.floats(queries * width), aloneStats = s.floats(heads * queries);
    AttentionForwardArgs one = forward;
    one.q = qs.data();
    one.k = ks.data();
    one.v = vs.data();
    one.out = alone.data();
    one.logSumExp = aloneStats.data();
    one.segments = nullptr;
    one.batch = 1;
    one.queries = queries;
    one.start = start;
    one.rows = one.keyRows = 0;
    s.call(one);
    s.expectSame("attentionForward of a segment", part(out, row * width, queries * width), alone);
    if (!fresh) continue;
    Floats dqs = s.floats(queries * width), dks = s.floats(keys * keyWidth), dvs = s.floats(keys * keyWidth);
    s.call(backwardOf(one, gradient.data(), dqs.data(), dks.data(), dvs.data()));
    s.expectSame("attentionBackward dq of a segment", part(dq, row * width, queries * width), dqs);
    s.expectSame("attentionBackward dk of a segment", part(dk, keyRow * keyWidth, keys * keyWidth), dks);
    s.expectSame("attentionBackward dv of a segment", part(dv, keyRow * keyWidth, keys * keyWidth), dvs);
  }
}

// Segments outside of the rows are a mistake of the caller, and must not access memory outside of the rows. Buffers
// have exactly the length of the rows, and the address sanitizer checks each access.
void segmentsOutside(Suite& s) {
  constexpr int64_t rows = 9, width = 20;
  constexpr int32_t kFar = 1 << 30;
  const Floats q = s.randomFloats(rows * width), k = s.randomFloats(rows * width), v = s.randomFloats(rows * width);
  for (const auto& segment : std::vector<std::vector<int32_t>>{{kFar, 9, 0, 0}, {0, kFar, 0, 0}, {0, 9, kFar, 0},
                                                              {0, 9, 0, kFar}, {-kFar, -kFar, -kFar, -kFar},
                                                              {4, 9, 7, 3}, {0, 2, 0, kFar}, {8, 1, 8, 1}}) {
    Ints table = s.randomInts(4, 1);
    for (size_t i = 0; i < 4; i++) table[static_cast<int64_t>(i)] = segment[i];
    Floats out = s.floats(rows * width), stats = s.floats(rows);
    s.call(AttentionForwardArgs{
        .q = q.data(), .k = k.data(), .v = v.data(), .out = out.data(), .logSumExp = stats.data(), .kept = nullptr,
        .segments = table.data(), .pages = nullptr, .batch = 1, .queries = rows, .start = 0, .heads = 1, .keyHeads = 1,
        .headDim = width, .queryStride = width, .queryBatchStride = 0, .keyStride = width, .keyBatchStride = 0,
        .rows = rows, .keyRows = rows, .pageCount = 0, .key0 = 0, .key1 = 0, .key2 = 0, .key3 = 0, .site = 0, .causal = 1,
        .window = segment[0] == kFar ? 1 << 30 : 3, .scale = 0.25, .p = 0});
  }
}

// Keys in pages, as in a KV cache, give the same bits as contiguous keys. Pages outside of the rows must not cause an
// access outside of the rows. Pages before the windows of all queries must not be read.
void pages(Suite& s, const std::vector<Sequence>& sequences, int64_t heads, int64_t keyHeads, int64_t headDim, int64_t window = 0) {
  constexpr int64_t kPage = 32;
  const int64_t width = heads * headDim, keyWidth = keyHeads * headDim, batch = static_cast<int64_t>(sequences.size());
  int64_t rows = 0, keyRows = 0, longest = 0, count = 0;
  for (const auto& [queries, start] : sequences) {
    rows += queries;
    keyRows += queries + start;
    longest = std::max(longest, queries);
    count += (queries + start + kPage - 1) / kPage;
  }
  const Floats q = s.randomFloats(rows * width, 2), k = s.randomFloats(keyRows * keyWidth, 2);
  const Floats v = s.randomFloats(keyRows * keyWidth);
  Floats pagedK = s.floats(count * kPage * keyWidth), pagedV = s.floats(count * kPage * keyWidth);
  Ints table = s.randomInts(4 * batch, 1), pagedTable = s.randomInts(4 * batch, 1), numbers = s.randomInts(count, 1);
  int64_t row = 0, keyRow = 0, place = 0;
  for (int64_t i = 0; i < batch; i++) {
    const auto [queries, start] = sequences[static_cast<size_t>(i)];
    const int64_t at[] = {row, queries, keyRow, start};
    for (int64_t j = 0; j < 4; j++)
      table[4 * i + j] = pagedTable[4 * i + j] = static_cast<int32_t>(j == 2 ? keyRow : at[j]);
    pagedTable[4 * i + 2] = static_cast<int32_t>(place);
    for (int64_t key = 0; key < queries + start; key++) {
      const int64_t page = count - 1 - (place + key / kPage);
      const bool read = window == 0 || (key / kPage + 1) * kPage > start - window + 1;
      numbers[place + key / kPage] = static_cast<int32_t>(read ? page : 1 << 30);
      const int64_t to = (page * kPage + key % kPage) * keyWidth;
      for (int64_t d = 0; d < keyWidth; d++) {
        pagedK[to + d] = read ? k[(keyRow + key) * keyWidth + d] : NAN;
        pagedV[to + d] = read ? v[(keyRow + key) * keyWidth + d] : NAN;
      }
    }
    row += queries;
    keyRow += queries + start;
    place += (queries + start + kPage - 1) / kPage;
  }
  Floats out = s.floats(rows * width), stats = s.floats(heads * rows);
  AttentionForwardArgs call{
      .q = q.data(), .k = k.data(), .v = v.data(), .out = out.data(), .logSumExp = stats.data(), .kept = nullptr,
      .segments = table.data(), .pages = nullptr, .batch = batch, .queries = longest, .start = 0, .heads = heads,
      .keyHeads = keyHeads, .headDim = headDim, .queryStride = width, .queryBatchStride = 0, .keyStride = keyWidth,
      .keyBatchStride = 0, .rows = rows, .keyRows = keyRows, .pageCount = 0, .key0 = 0, .key1 = 0, .key2 = 0,
      .key3 = 0, .site = 0, .causal = 1, .window = window, .scale = 0.25, .p = 0};
  s.call(call);
  Floats paged = s.floats(rows * width), pagedStats = s.floats(heads * rows);
  call.k = pagedK.data();
  call.v = pagedV.data();
  call.out = paged.data();
  call.logSumExp = pagedStats.data();
  call.segments = pagedTable.data();
  call.pages = numbers.data();
  call.keyRows = count * kPage;
  call.pageCount = count;
  s.call(call);
  s.expectSame("attentionForward of pages", out, paged);
  s.expectSame("attentionForward of pages, logSumExp", stats, pagedStats);
  for (const int32_t wrong : {-1, static_cast<int32_t>(count), 1 << 30}) {
    Ints bad = s.randomInts(count, 1);
    for (int64_t i = 0; i < count; i++) bad[i] = wrong;
    call.pages = bad.data();
    s.call(call);
  }
  Ints far = s.randomInts(4 * batch, 1);
  for (int64_t i = 0; i < batch; i++)
    for (int64_t j = 0; j < 4; j++) far[4 * i + j] = j == 2 ? static_cast<int32_t>(count - i % 2) : pagedTable[4 * i + j];
  call.pages = numbers.data();
  call.segments = far.data();
  s.call(call);
}

}  // namespace

void testAttention(Suite& s) {
  constexpr Shape kShapes[] = {{1, 1, 0, 1, 1, 1},   {1, 3, 0, 2, 2, 5},   {2, 17, 0, 3, 3, 16},  {1, 63, 0, 1, 1, 8},
                               {2, 64, 0, 2, 2, 32}, {1, 65, 0, 1, 1, 33}, {3, 7, 0, 5, 5, 64},   {1, 129, 0, 2, 2, 17},
                               {1, 1, 64, 2, 2, 32}, {2, 5, 11, 2, 2, 15}, {1, 66, 63, 1, 1, 40}, {1, 4, 126, 2, 2, 33},
                               {2, 2, 255, 1, 1, 80}, {2, 17, 0, 4, 2, 16}, {1, 129, 0, 3, 1, 17}, {2, 65, 0, 4, 2, 32},
                               {1, 2, 130, 6, 2, 33}, {1, 33, 40, 4, 1, 16}, {1, 4, 30, 18, 2, 32}, {2, 1, 40, 40, 1, 16},
                               {1, 3, 0, 33, 1, 8}};
  segments(s, {{5, 0}, {1, 17}, {64, 0}}, 2, 2, 16, 0);
  segments(s, {{1, 200}, {1, 3}, {4, 126}, {1, 0}}, 4, 2, 32, 0);
  segments(s, {{33, 0}, {1, 0}, {140, 0}, {64, 0}}, 4, 2, 17, 0);
  segments(s, {{33, 0}, {3, 0}, {65, 0}}, 2, 1, 16, 0.5);
  segments(s, {{33, 0}, {3, 0}, {1, 0}, {65, 0}}, 24, 2, 16, 0.5);
  segments(s, {{5, 60}, {1, 40}, {64, 0}, {140, 3}}, 4, 2, 16, 0, 20);
  segments(s, {{33, 0}, {1, 0}, {140, 0}, {64, 0}}, 4, 2, 17, 0, 33);
  segmentsOutside(s);
  pages(s, {{5, 0}, {1, 17}, {64, 0}}, 2, 2, 16);
  pages(s, {{1, 31}, {1, 32}, {4, 126}, {1, 0}, {1, 300}}, 9, 3, 64);
  pages(s, {{33, 0}, {1, 0}, {140, 30}, {64, 64}}, 4, 2, 17);
  pages(s, {{1, 31}, {1, 64}, {4, 126}, {1, 0}, {1, 300}}, 4, 2, 64, 32);
  pages(s, {{1, 31}, {33, 64}, {4, 126}, {1, 0}, {3, 300}}, 24, 2, 32, 70);
  pages(s, {{33, 0}, {1, 200}, {140, 100}, {64, 270}}, 4, 2, 17, 41);
  for (const auto& [shape, window] : std::vector<std::pair<Shape, int64_t>>{
           {{1, 65, 0, 2, 2, 33}, 1},   {{2, 17, 0, 3, 3, 16}, 2},   {{1, 129, 0, 2, 1, 17}, 7}, {{1, 130, 0, 4, 2, 32}, 64},
           {{2, 300, 0, 2, 1, 16}, 31}, {{1, 4, 126, 2, 2, 33}, 30}, {{2, 1, 160, 2, 2, 32}, 33}, {{1, 70, 140, 2, 1, 40}, 21},
           {{1, 65, 0, 2, 2, 33}, 65},  {{1, 40, 0, 1, 1, 8}, 1000}}) {
    attention(s, {shape, 0, 0, window}, true);
    attention(s, {shape, 1, 3, window}, true);
  }
  for (const Shape& shape : kShapes) {
    for (const bool causal : {true, false}) {
      attention(s, {shape, 0, 0}, causal);
      attention(s, {shape, 2 * shape.heads * shape.headDim, 0}, causal);
      attention(s, {shape, 1, 3}, causal);
    }
  }
}

}  // namespace foretoken::test
