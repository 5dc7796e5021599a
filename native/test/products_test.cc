// The three matrix products.
#include "gelu.h"
#include "harness.h"

namespace foretoken::test {

namespace {

void products(Suite& s, int64_t m, int64_t n, int64_t k, bool withBias) {
  const Floats x = s.randomFloats(m * k);
  const Floats w = s.randomFloats(n * k);
  const Floats bias = s.randomFloats(n);
  const Floats dy = s.randomFloats(m * n);
  Floats y = s.floats(m * n);
  const float* given = withBias ? bias.data() : nullptr;
  const auto forward = [&](int64_t i) {
    double sum = withBias ? bias[i % n] : 0;
    for (int64_t j = 0; j < k; j++) sum += s.operand(x[i / n * k + j]) * s.operand(w[i % n * k + j]);
    return sum;
  };
  s.call(LinearForwardArgs{
      .x = x.data(), .w = w.data(), .bias = given, .addend = nullptr, .y = y.data(), .m = m, .n = n, .k = k});
  s.expect("linearForward", y, static_cast<double>(k), forward);
  s.call(LinearForwardArgs{
      .x = x.data(), .w = w.data(), .bias = given, .addend = dy.data(), .y = y.data(), .m = m, .n = n, .k = k});
  s.expect("linearForward with an addend", y, static_cast<double>(k), [&](int64_t i) { return forward(i) + dy[i]; });

  // The conformance suite tests which elements are kept. All instruction sets keep the same elements. This test checks
  // the effect of the mask.
  for (const double p : {0.0, 0.25}) {
    Words kept = s.randomWords((m * n + 31) / 32);
    s.call(LinearDropoutForwardArgs{
        .x = x.data(), .w = w.data(), .bias = given, .addend = dy.data(), .kept = kept.data(), .y = y.data(), .m = m,
        .n = n, .k = k, .key0 = 1, .key1 = -2, .key2 = 3, .key3 = 4, .site = 5, .p = p});
    s.expect("linearDropoutForward", y, static_cast<double>(k), [&](int64_t i) {
      const bool keeps = p == 0 || (kept[i / 32] >> i % 32 & 1u) != 0;
      return dy[i] + (keeps ? forward(i) / (1 - p) : 0);
    });
    s.take(kept);
  }

  Floats slope = s.floats(m * n);
  for (const bool tanhForm : {false, true}) {
    s.call(LinearGeluForwardArgs{
        .x = x.data(), .w = w.data(), .bias = given, .y = y.data(), .slope = slope.data(), .m = m, .n = n, .k = k,
        .tanh = tanhForm});
    s.expect("linearGeluForward", y, static_cast<double>(k), [&](int64_t i) { return gelu(forward(i), tanhForm); });
    s.expect("linearGeluForward slope", slope, static_cast<double>(k),
             [&](int64_t i) { return geluSlope(forward(i), tanhForm); });
    s.call(LinearGeluForwardArgs{
        .x = x.data(), .w = w.data(), .bias = given, .y = y.data(), .slope = nullptr, .m = m, .n = n, .k = k,
        .tanh = tanhForm});
    s.expect("linearGeluForward alone", y, static_cast<double>(k),
             [&](int64_t i) { return gelu(forward(i), tanhForm); });
  }

  Floats dx = s.floats(m * k);
  const auto inputSum = [&](int64_t i) {
    double sum = 0;
    for (int64_t j = 0; j < n; j++) sum += s.operand(dy[i / k * n + j]) * s.operand(w[j * k + i % k]);
    return sum;
  };
  s.call(LinearBackwardInputArgs{
      .dy = dy.data(), .w = w.data(), .factor = nullptr, .dx = dx.data(), .m = m, .n = n, .k = k, .add = 0});
  s.expect("linearBackwardInput", dx, static_cast<double>(n), inputSum);
  s.call(LinearBackwardInputArgs{
      .dy = dy.data(), .w = w.data(), .factor = x.data(), .dx = dx.data(), .m = m, .n = n, .k = k, .add = 0});
  s.expect("linearBackwardInput with a factor", dx, static_cast<double>(n),
           [&](int64_t i) { return inputSum(i) * x[i]; });
  s.call(LinearBackwardInputArgs{
      .dy = dy.data(), .w = w.data(), .factor = nullptr, .dx = dx.data(), .m = m, .n = n, .k = k, .add = 1});
  s.expect("linearBackwardInput, added", dx, 2 * static_cast<double>(n) + 1,
           [&](int64_t i) { return inputSum(i) * x[i] + inputSum(i); });

  const double p = 0.5;
  const Words kept = s.randomWords((m * n + 31) / 32);
  const auto passed = [&](int64_t i) { return (kept[i / 32] >> i % 32 & 1u) != 0 ? dy[i] / (1 - p) : 0; };
  const auto passedSum = [&](int64_t i) {
    double sum = 0;
    for (int64_t j = 0; j < n; j++) sum += s.operand(static_cast<float>(passed(i / k * n + j))) * s.operand(w[j * k + i % k]);
    return sum;
  };
  Floats dBranch = s.floats(m * n);
  for (const bool scaled : {false, true}) {
    s.call(LinearDropoutBackwardInputArgs{
        .dy = dy.data(), .kept = kept.data(), .w = w.data(), .factor = scaled ? x.data() : nullptr,
        .dBranch = dBranch.data(), .dx = dx.data(), .m = m, .n = n, .k = k, .p = p});
    s.expect("linearDropoutBackwardInput dBranch", dBranch, 0, passed);
    s.expect("linearDropoutBackwardInput dx", dx, 2 * static_cast<double>(n),
             [&](int64_t i) { return passedSum(i) * (scaled ? x[i] : 1); });
  }

  Floats dw = s.randomFloats(n * k);
  Floats dBias = s.randomFloats(n);
  const std::vector<double> before(dw.data(), dw.data() + dw.size());
  const std::vector<double> biasBefore(dBias.data(), dBias.data() + n);
  const auto weightSum = [&](int64_t i) {
    double sum = 0;
    for (int64_t j = 0; j < m; j++) sum += s.operand(dy[j * n + i / k]) * s.operand(x[j * k + i % k]);
    return sum;
  };
  s.call(LinearBackwardWeightArgs{
      .dy = dy.data(), .x = x.data(), .dw = dw.data(), .dBias = withBias ? dBias.data() : nullptr, .m = m, .n = n,
      .k = k, .add = 1});
  s.expect("linearBackwardWeight", dw, static_cast<double>(m),
           [&](int64_t i) { return before[static_cast<size_t>(i)] + weightSum(i); });
  s.expect("linearBackwardWeight bias", dBias, static_cast<double>(m), [&](int64_t c) {
    double sum = biasBefore[static_cast<size_t>(c)];
    for (int64_t j = 0; withBias && j < m; j++) sum += dy[j * n + c];
    return sum;
  });
  s.call(LinearBackwardWeightArgs{
      .dy = dy.data(), .x = x.data(), .dw = dw.data(), .dBias = nullptr, .m = m, .n = n, .k = k, .add = 0});
  s.expect("linearBackwardWeight, not added", dw, static_cast<double>(m), weightSum);
}

}  // namespace

void testProducts(Suite& s) {
  constexpr int64_t kShapes[][3] = {{1, 1, 1},    {1, 65, 128}, {2, 17, 3},   {3, 5, 7},    {7, 1, 64},  {8, 64, 1},
                                    {15, 16, 17}, {31, 33, 63}, {64, 64, 64}, {65, 63, 65}, {127, 48, 5}, {6, 129, 33},
                                    {33, 7, 300}, {97, 130, 70}, {14, 32, 520},
                                    {300, 130, 40}, {600, 40, 33}, {40, 35, 600}, {520, 4, 2080}, {2, 1040, 1024},
                                    {544, 64, 40}, {18, 3, 4200}, {15, 560, 520},
                                    {2080, 33, 34}, {520, 4130, 9}, {33, 2080, 40}};
  // A bias only adds a branch to the epilogue, so each large shape is tested once.
  constexpr int64_t kLarge = int64_t{1} << 19;
  bool bias = false;
  for (const auto& [m, n, k] : kShapes) {
    bias = !bias;
    products(s, m, n, k, bias);
    if (m * n * k < kLarge) products(s, m, n, k, !bias);
  }
}

}  // namespace foretoken::test
