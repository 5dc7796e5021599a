// fill, add, combine, copyRows, sums, scaleByNorm, dropout, GELU, Adam.
#include "gelu.h"
#include "harness.h"

namespace foretoken::test {

namespace {

constexpr int64_t kSizes[] = {1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 127, 129, 1000, 8191, 20011};

void simple(Suite& s, int64_t n) {
  const Floats a = s.randomFloats(n);
  const Floats b = s.randomFloats(n);
  Floats y = s.floats(n);
  s.call(FillArgs{.y = y.data(), .n = n, .value = 0.375});
  s.expect("fill", y, 0, [](int64_t) { return 0.375; });
  s.call(AddArgs{.a = a.data(), .b = b.data(), .y = y.data(), .n = n});
  s.expect("add", y, 0, [&](int64_t i) { return static_cast<double>(a[i]) + b[i]; });
  Floats inPlace = s.floats(n);
  std::memcpy(inPlace.data(), a.data(), sizeof(float) * static_cast<size_t>(n));
  s.call(AddArgs{.a = inPlace.data(), .b = b.data(), .y = inPlace.data(), .n = n});
  s.expect("add in place", inPlace, 0, [&](int64_t i) { return static_cast<double>(a[i]) + b[i]; });

  s.call(CombineArgs{
      .a = a.data(), .b = b.data(), .y = y.data(), .unreal = nullptr, .n = n, .alpha = 0.5, .beta = -1.75});
  s.expect("combine", y, 2, [&](int64_t i) { return 0.5 * a[i] - 1.75 * b[i]; });
  Floats unreal = s.floats(1);
  Floats watched = s.floats(n);
  s.call(CombineArgs{
      .a = a.data(), .b = b.data(), .y = watched.data(), .unreal = unreal.data(), .n = n, .alpha = 0.5,
      .beta = -1.75});
  s.expectSame("combine, watched", watched, y);
  s.expect("combine of what is finite", unreal, 0, [](int64_t) { return 0; });
  // Infinity or NaN in any element, in a whole vector or in the tail, with one thread or with all threads.
  for (const int64_t i : {int64_t{0}, n / 2, n - 1}) {
    const float kept = inPlace[i];
    inPlace[i] = i == 0 ? INFINITY : NAN;
    unreal[0] = 0;
    s.call(CombineArgs{
        .a = inPlace.data(), .b = b.data(), .y = watched.data(), .unreal = unreal.data(), .n = n, .alpha = 0.5,
        .beta = -1.75});
    s.expect("combine of what is not finite", unreal, 0, [](int64_t) { return 1; });
    inPlace[i] = kept;
  }
  s.call(CombineArgs{
      .a = a.data(), .b = b.data(), .y = watched.data(), .unreal = unreal.data(), .n = n, .alpha = 0.5,
      .beta = -1.75});
  s.expect("combine keeps the flag", unreal, 0, [](int64_t) { return 1; });
  unreal[0] = 0;
  s.call(CombineArgs{
      .a = a.data(), .b = b.data(), .y = watched.data(), .unreal = unreal.data(), .n = n, .alpha = INFINITY,
      .beta = 1});
  s.expect("combine with an infinite factor", unreal, 0, [](int64_t) { return 1; });

  Floats total = s.floats(1);
  double sum = 0;
  double squares = 0;
  for (int64_t i = 0; i < n; i++) {
    sum += a[i];
    squares += static_cast<double>(a[i]) * a[i];
  }
  s.call(SumArgs{.x = a.data(), .y = total.data(), .n = n});
  s.expect("sum", total, static_cast<double>(n), [&](int64_t) { return sum; });
  s.call(SumOfSquaresArgs{.x = a.data(), .y = total.data(), .n = n});
  s.expect("sumOfSquares", total, squares, [&](int64_t) { return squares; });
  // Each range has the same bits as if it were summed alone. Parts outside of the array are ignored.
  const auto third = static_cast<int32_t>(n / 3);
  const auto end = static_cast<int32_t>(n);
  Ints ranges = s.randomInts(8, 1);
  int next = 0;
  for (const int32_t bound : {0, third, third, third, third, end - (n > 1), end, end + 5}) ranges[next++] = bound;
  Floats squared = s.floats(4);
  Floats wanted = s.floats(4);
  Floats both = s.floats(n);
  for (const bool adds : {false, true}) {
    std::memcpy(both.data(), a.data(), sizeof(float) * static_cast<size_t>(n));
    s.call(AddSquaresArgs{.x = both.data(), .addend = adds ? b.data() : nullptr, .ranges = ranges.data(),
                          .squares = squared.data(), .n = n, .count = 4});
    for (int r = 0; r < 4; r++) {
      const int64_t from = ranges[2 * r];
      const int64_t to = ranges[2 * r + 1] > n ? n : ranges[2 * r + 1];
      s.call(SumOfSquaresArgs{.x = both.data() + from, .y = total.data(), .n = to - from});
      wanted[r] = total[0];
    }
    s.expectSame("addSquares", squared, wanted);
    s.expect("addSquares, x", both, 0, [&](int64_t i) {
      return adds && i < end - (n > 1) ? static_cast<double>(a[i]) + b[i] : a[i];
    });
  }
  s.call(SumOfSquaresArgs{.x = a.data(), .y = total.data(), .n = n});
  s.call(ScaleByNormArgs{.x = a.data(), .squares = total.data(), .y = y.data(), .n = n, .eps = 0.125});
  s.expect("scaleByNorm", y, 0, [&](int64_t i) { return a[i] / (std::sqrt(squares) + 0.125); });
}

// The conformance suite tests which elements are kept. All instruction sets keep the same elements.
void drops(Suite& s, int64_t n) {
  const Floats x = s.randomFloats(n);
  Floats y = s.floats(n);
  for (const double p : {0.0, 0.25}) {
    s.call(DropoutArgs{
        .x = x.data(), .y = y.data(), .n = n, .key0 = 1, .key1 = 2, .key2 = 3, .key3 = 4, .site = 5, .p = p});
    s.expect("dropout", y, 0, [&](int64_t i) { return p > 0 && y[i] == 0 ? 0 : x[i] / (1 - p); });
  }
}

void copies(Suite& s, int64_t rows, int64_t width, int64_t gapX, int64_t gapY) {
  const int64_t strideX = width + gapX;
  const int64_t strideY = width + gapY;
  const Floats x = s.randomFloats((rows - 1) * strideX + width);
  Floats y = s.floats((rows - 1) * strideY + width);
  s.call(CopyRowsArgs{
      .x = x.data(), .y = y.data(), .rows = rows, .width = width, .xStride = strideX, .yStride = strideY});
  s.expect("copyRows", y, 0, [&](int64_t i) {
    return i % strideY < width ? static_cast<double>(x[i / strideY * strideX + i % strideY]) : 0;
  });
  // Places in descending order; places outside the array are skipped.
  Floats placed = s.floats((rows + 2) * width);
  Ints places = s.randomInts(rows, 1);
  for (int64_t r = 0; r < rows; r++) places[r] = static_cast<int32_t>(rows - r);
  if (rows > 1) places[1] = -1;
  if (rows > 2) places[2] = 1 << 30;
  s.call(PlaceRowsArgs{.x = x.data(), .places = places.data(), .y = placed.data(), .rows = rows, .width = width,
                       .xStride = strideX, .yRows = rows + 2});
  s.expect("placeRows", placed, 0, [&](int64_t i) {
    const int64_t r = rows - i / width;
    const bool isThere = r >= 0 && r < rows && r != 1 && r != 2;
    return isThere ? static_cast<double>(x[r * strideX + i % width]) : 0;
  });
}

void activations(Suite& s, int64_t n) {
  const Floats x = s.randomFloats(n, 6);
  const Floats dy = s.randomFloats(n);
  Floats y = s.floats(n);
  for (const bool tanhForm : {false, true}) {
    s.call(GeluForwardArgs{.x = x.data(), .y = y.data(), .n = n, .tanh = tanhForm});
    s.expect("geluForward", y, 0.2, [&](int64_t i) { return gelu(x[i], tanhForm); });
    s.call(GeluBackwardArgs{.x = x.data(), .dy = dy.data(), .dx = y.data(), .n = n, .tanh = tanhForm});
    s.expect("geluBackward", y, 1, [&](int64_t i) { return dy[i] * geluSlope(x[i], tanhForm); });
  }
}

void adam(Suite& s, int64_t n, bool withCopy) {
  Floats param = s.randomFloats(n);
  Floats m = s.randomFloats(n, 0.1f);
  Floats v = s.floats(n);
  const Floats grad = s.randomFloats(n);
  std::vector<double> wantParam(static_cast<size_t>(n));
  std::vector<double> wantM(wantParam);
  std::vector<double> wantV(wantParam);
  const double beta1 = 0.9, beta2 = 0.99, eps = 1e-8, step = 1e-3, correction = 0.5, decay = 0.999, l2 = 0.01, scale = 0.5;
  for (int64_t i = 0; i < n; i++) {
    v[i] = 0.1f + std::fabs(grad[i]);
    const size_t at = static_cast<size_t>(i);
    const double g = scale * grad[i] + l2 * param[i];
    wantM[at] = beta1 * m[i] + (1 - beta1) * g;
    wantV[at] = beta2 * v[i] + (1 - beta2) * g * g;
    wantParam[at] = decay * param[i] - step * wantM[at] / (std::sqrt(wantV[at]) / correction + eps);
  }
  Floats rounded = s.floats(n);
  Floats unreal = s.floats(1);
  float* const copy = withCopy ? rounded.data() : nullptr;
  s.call(AdamStepArgs{
      .param = param.data(), .grad = grad.data(), .m = m.data(), .v = v.data(), .rounded = copy,
      .unreal = unreal.data(), .n = n, .beta1 = beta1, .beta2 = beta2, .eps = eps, .stepSize = step,
      .sqrtCorrection2 = correction, .decayFactor = decay, .coupledDecay = l2, .gradScale = scale});
  s.expect("adamStep of what is finite", unreal, 0, [](int64_t) { return 0; });
  s.expect("adamStep param", param, 0.1, [&](int64_t i) { return wantParam[static_cast<size_t>(i)]; });
  if (withCopy)
    s.expect("adamStep copy", rounded, 0.1, [&](int64_t i) { return wantParam[static_cast<size_t>(i)]; });
  s.expect("adamStep m", m, 0.1, [&](int64_t i) { return wantM[static_cast<size_t>(i)]; });
  s.expect("adamStep v", v, 0.1, [&](int64_t i) { return wantV[static_cast<size_t>(i)]; });

  // The kernel must notice every infinity and NaN in param, m and v, in any element.
  const Floats zero = s.floats(n);
  const auto step1 = [&](double stepSize, float* flag) {
    s.call(AdamStepArgs{
        .param = param.data(), .grad = zero.data(), .m = m.data(), .v = v.data(), .rounded = copy, .unreal = flag,
        .n = n, .beta1 = beta1, .beta2 = beta2, .eps = eps, .stepSize = stepSize, .sqrtCorrection2 = correction,
        .decayFactor = 1, .coupledDecay = 0, .gradScale = 1});
  };
  int at = 0;
  for (Floats* one : {&param, &m, &v}) {
    for (const int64_t i : {int64_t{0}, n / 2, n - 1}) {
      const float kept = param[i], keptM = m[i], keptV = v[i];
      (*one)[i] = at++ % 2 == 0 ? INFINITY : NAN;
      unreal[0] = 0;
      step1(0, unreal.data());
      s.expect("adamStep of what is not finite", unreal, 0, [](int64_t) { return 1; });
      step1(0, nullptr);
      param[i] = kept;
      m[i] = keptM;
      v[i] = keptV;
    }
  }
  unreal[0] = 0;
  step1(0, unreal.data());
  s.expect("adamStep of what is finite again", unreal, 0, [](int64_t) { return 0; });
  step1(INFINITY, unreal.data());
  s.expect("adamStep with an infinite step", unreal, 0, [](int64_t) { return 1; });
}

}  // namespace

void testElementwise(Suite& s) {
  for (const int64_t n : kSizes) {
    simple(s, n);
    drops(s, n);
    activations(s, n);
    for (const bool withCopy : {false, true}) adam(s, n, withCopy);
  }
  for (const int64_t rows : {1, 2, 65})
    for (const int64_t width : {1, 7, 16, 33, 130}) {
      copies(s, rows, width, 0, 0);
      copies(s, rows, width, 3, 0);
      copies(s, rows, width, 0, 5);
    }
}

}  // namespace foretoken::test
