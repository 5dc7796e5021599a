// RMS norm, rotary position embeddings, SwiGLU, GEGLU.
#include "gelu.h"
#include "harness.h"

namespace foretoken::test {

namespace {

constexpr double kEps = 1e-5;

// 1/√(mean(x²) + eps) of the `size` elements from `at` on.
double inverseRms(const Floats& x, int64_t at, int64_t size) {
  double squares = 0;
  for (int64_t i = 0; i < size; i++) squares += static_cast<double>(x[at + i]) * x[at + i];
  return 1 / std::sqrt(squares / static_cast<double>(size) + kEps);
}

void rmsNorm(Suite& s, int64_t rows, int64_t channels) {
  const Floats x = s.randomFloats(rows * channels, 2);
  const Floats gamma = s.randomFloats(channels);
  const Floats dy = s.randomFloats(rows * channels);
  std::vector<double> rstd(static_cast<size_t>(rows));
  for (int64_t r = 0; r < rows; r++) rstd[static_cast<size_t>(r)] = inverseRms(x, r * channels, channels);
  const auto normal = [&](int64_t i) { return x[i] * rstd[static_cast<size_t>(i / channels)]; };
  Floats y = s.floats(rows * channels);
  Floats rstds = s.floats(rows);
  s.call(RmsNormForwardArgs{
      .x = x.data(), .gamma = gamma.data(), .y = y.data(), .rstd = rstds.data(), .rows = rows, .channels = channels,
      .eps = kEps});
  s.expect("rmsNormForward", y, 0, [&](int64_t i) { return normal(i) * gamma[i % channels]; });
  s.expect("rmsNormForward rstd", rstds, 0, [&](int64_t r) { return rstd[static_cast<size_t>(r)]; });

  Floats dx = s.floats(rows * channels);
  Floats dGamma = s.randomFloats(channels);
  std::vector<double> wantGamma(dGamma.data(), dGamma.data() + channels);
  for (int64_t i = 0; i < rows * channels; i++) wantGamma[static_cast<size_t>(i % channels)] += dy[i] * normal(i);
  s.call(RmsNormBackwardArgs{
      .dy = dy.data(), .x = x.data(), .gamma = gamma.data(), .rstd = rstds.data(), .dx = dx.data(),
      .dGamma = dGamma.data(), .rows = rows, .channels = channels, .add = 0});
  const auto wantX = [&](int64_t i) {
    const int64_t row = i / channels * channels;
    double along = 0;
    for (int64_t c = 0; c < channels; c++) along += dy[row + c] * gamma[c] * normal(row + c);
    const double inner = dy[i] * gamma[i % channels] - normal(i) * along / static_cast<double>(channels);
    return rstd[static_cast<size_t>(i / channels)] * inner;
  };
  // With a single channel, the gradient is a difference that depends only on eps. The gradient is large if x is small.
  s.expect("rmsNormBackward", dx, channels < 4 ? 1000 : 100, wantX);
  const double sums = 4 * static_cast<double>(rows);
  s.expect("rmsNormBackward gamma", dGamma, sums, [&](int64_t c) { return wantGamma[static_cast<size_t>(c)]; });
  s.call(RmsNormBackwardArgs{
      .dy = dy.data(), .x = x.data(), .gamma = gamma.data(), .rstd = rstds.data(), .dx = dx.data(), .dGamma = nullptr,
      .rows = rows, .channels = channels, .add = 1});
  s.expect("rmsNormBackward added", dx, channels < 4 ? 2000 : 200, [&](int64_t i) { return 2 * wantX(i); });
}

struct RotaryShape {
  int64_t batch, time, heads, keyHeads, headDim, rotaryDim;
};

void rotary(Suite& s, const RotaryShape& shape, bool normed, bool withPlaces, bool together = false) {
  const auto [batch, time, heads, keyHeads, headDim, rotaryDim] = shape;
  const int64_t start = 3, rows = batch * time, half = rotaryDim / 2, rotated = heads + keyHeads;
  const int64_t width = (heads + 2 * keyHeads) * headDim, length = rows * width, tableRows = start + time;
  const Floats x = s.randomFloats(length, 2);
  const Floats dy = s.randomFloats(length);
  const int64_t scalesQ = together ? heads * headDim : headDim, scalesK = together ? keyHeads * headDim : headDim;
  const Floats gammaQ = s.randomFloats(scalesQ);
  const Floats gammaK = s.randomFloats(scalesK);
  const Ints places = s.randomInts(rows, static_cast<int>(tableRows));
  const int32_t* placed = withPlaces ? places.data() : nullptr;
  Floats cosines = s.floats(tableRows * half);
  Floats sines = s.floats(tableRows * half);
  for (int64_t i = 0; i < cosines.size(); i++) {
    cosines[i] = static_cast<float>(std::cos(0.7 * static_cast<double>(i)));
    sines[i] = static_cast<float>(std::sin(0.7 * static_cast<double>(i)));
  }
  const auto isQuery = [&](int64_t at) { return at % width < heads * headDim; };
  // The elements that share a norm: the index of the first element, and the number of elements.
  const auto normOf = [&](int64_t at) {
    if (!together) return at / headDim * headDim;
    return at / width * width + (isQuery(at) ? 0 : heads * headDim);
  };
  const auto normSize = [&](int64_t at) { return isQuery(at) ? scalesQ : scalesK; };
  // The scale of an element.
  const auto scaleOf = [&](int64_t at) { return at - normOf(at); };
  const auto isValue = [&](int64_t at) { return at % width >= rotated * headDim; };
  const auto gamma = [&](int64_t at) -> double { return normed ? (isQuery(at) ? gammaQ : gammaK)[scaleOf(at)] : 1; };
  const auto rstd = [&](int64_t at) { return normed ? inverseRms(x, normOf(at), normSize(at)) : 1; };
  const auto z = [&](int64_t at) { return x[at] * rstd(at) * gamma(at); };
  // Element `at` of `from`, rotated by the angles of its position. With sign −1, it is rotated back.
  const auto turned = [&](int64_t at, double sign, const std::function<double(int64_t)>& from) {
    if (at % headDim >= rotaryDim) return from(at);
    const int64_t i = at % headDim % half, row = at / width;
    const int64_t angle = (withPlaces ? places[row] : start + row % time) * half + i;
    const bool second = at % headDim >= half;
    const double other = from(second ? at - half : at + half);
    return from(at) * cosines[angle] + (second ? sign : -sign) * other * sines[angle];
  };
  const auto dz = [&](int64_t at) { return turned(at, -1, [&](int64_t i) { return static_cast<double>(dy[i]); }); };

  const float* queryScale = normed ? gammaQ.data() : nullptr;
  const float* keyScale = normed ? gammaK.data() : nullptr;
  Floats y = s.floats(length);
  Floats rstds = s.floats(rows * rotated);
  s.call(RotaryForwardArgs{
      .x = x.data(), .gammaQ = queryScale, .gammaK = keyScale, .cos = cosines.data(), .sin = sines.data(),
      .places = placed, .y = y.data(), .rstd = rstds.data(), .rows = rows, .time = time, .heads = heads,
      .keyHeads = keyHeads, .headDim = headDim, .rotaryDim = rotaryDim, .start = start, .tableRows = tableRows,
      .together = together ? 1 : 0, .eps = kEps});
  s.expect("rotaryForward", y, 4, [&](int64_t i) { return isValue(i) ? static_cast<double>(x[i]) : turned(i, 1, z); });
  s.expect("rotaryForward rstd", rstds, 0,
           [&](int64_t i) { return rstd(i / rotated * width + i % rotated * headDim); });

  Floats dx = s.floats(length);
  Floats dGammaQ = s.randomFloats(scalesQ);
  Floats dGammaK = s.randomFloats(scalesK);
  std::vector<double> wantQ(dGammaQ.data(), dGammaQ.data() + scalesQ);
  std::vector<double> wantK(dGammaK.data(), dGammaK.data() + scalesK);
  for (int64_t at = 0; at < length && normed; at++) {
    if (isValue(at)) continue;
    (isQuery(at) ? wantQ : wantK)[static_cast<size_t>(scaleOf(at))] += dz(at) * x[at] * rstd(at);
  }
  const auto backward = [&](float* toQ, float* toK) {
    s.call(RotaryBackwardArgs{
        .dy = dy.data(), .x = x.data(), .gammaQ = queryScale, .gammaK = keyScale, .cos = cosines.data(),
        .sin = sines.data(), .places = placed, .rstd = rstds.data(), .dx = dx.data(), .dGammaQ = toQ, .dGammaK = toK,
        .rows = rows, .time = time, .heads = heads, .keyHeads = keyHeads, .headDim = headDim, .rotaryDim = rotaryDim,
        .start = start, .tableRows = tableRows, .together = together ? 1 : 0});
  };
  backward(normed ? dGammaQ.data() : nullptr, normed ? dGammaK.data() : nullptr);
  s.expect("rotaryBackward", dx, 1000, [&](int64_t at) -> double {
    if (isValue(at)) return dy[at];
    if (!normed) return dz(at);
    double along = 0;
    for (int64_t i = normOf(at); i < normOf(at) + normSize(at); i++) along += dz(i) * gamma(i) * x[i] * rstd(i);
    return rstd(at) * (dz(at) * gamma(at) - x[at] * rstd(at) * along / static_cast<double>(normSize(at)));
  });
  const double sums = 4 * static_cast<double>(rows * heads);
  s.expect("rotaryBackward gammaQ", dGammaQ, sums, [&](int64_t i) { return wantQ[static_cast<size_t>(i)]; });
  s.expect("rotaryBackward gammaK", dGammaK, sums, [&](int64_t i) { return wantK[static_cast<size_t>(i)]; });
  if (!normed) return;
  backward(nullptr, nullptr);
  s.take(dx);
}

void swiglu(Suite& s, int64_t rows, int64_t hidden) {
  const Floats x = s.randomFloats(2 * rows * hidden, 6);
  const Floats dy = s.randomFloats(rows * hidden);
  const auto sigmoid = [](double v) { return 1 / (1 + std::exp(-v)); };
  const auto gateOf = [&](int64_t i) -> double { return x[i / hidden * 2 * hidden + i % hidden]; };
  const auto upOf = [&](int64_t i) -> double { return x[i / hidden * 2 * hidden + hidden + i % hidden]; };
  Floats y = s.floats(rows * hidden);
  s.call(SwigluForwardArgs{.x = x.data(), .y = y.data(), .rows = rows, .hidden = hidden});
  s.expect("swigluForward", y, 0.01, [&](int64_t i) { return gateOf(i) * sigmoid(gateOf(i)) * upOf(i); });
  Floats dx = s.floats(2 * rows * hidden);
  s.call(SwigluBackwardArgs{.x = x.data(), .dy = dy.data(), .dx = dx.data(), .rows = rows, .hidden = hidden});
  s.expect("swigluBackward", dx, 6, [&](int64_t at) {
    const int64_t i = at / (2 * hidden) * hidden + at % hidden;
    const double gate = gateOf(i);
    const double silu = gate * sigmoid(gate);
    if (at % (2 * hidden) >= hidden) return dy[i] * silu;
    return dy[i] * upOf(i) * (sigmoid(gate) + silu * sigmoid(-gate));
  });
}

void geglu(Suite& s, int64_t rows, int64_t hidden, bool tanhForm) {
  const Floats x = s.randomFloats(2 * rows * hidden, 6);
  const Floats dy = s.randomFloats(rows * hidden);
  const int64_t tanh = tanhForm ? 1 : 0;
  const auto gateOf = [&](int64_t i) -> double { return x[i / hidden * 2 * hidden + i % hidden]; };
  const auto upOf = [&](int64_t i) -> double { return x[i / hidden * 2 * hidden + hidden + i % hidden]; };
  Floats y = s.floats(rows * hidden);
  s.call(GegluForwardArgs{.x = x.data(), .y = y.data(), .rows = rows, .hidden = hidden, .tanh = tanh});
  s.expect("gegluForward", y, 1, [&](int64_t i) { return gelu(gateOf(i), tanhForm) * upOf(i); });
  Floats dx = s.floats(2 * rows * hidden);
  s.call(GegluBackwardArgs{.x = x.data(), .dy = dy.data(), .dx = dx.data(), .rows = rows, .hidden = hidden, .tanh = tanh});
  s.expect("gegluBackward", dx, 6, [&](int64_t at) {
    const int64_t i = at / (2 * hidden) * hidden + at % hidden;
    if (at % (2 * hidden) >= hidden) return dy[i] * gelu(gateOf(i), tanhForm);
    return dy[i] * upOf(i) * geluSlope(gateOf(i), tanhForm);
  });
}

void relu2(Suite& s, int64_t n) {
  const Floats x = s.randomFloats(n, 2);
  const Floats dy = s.randomFloats(n);
  const auto part = [&](int64_t i) { return std::max(0.0, static_cast<double>(x[i])); };
  Floats y = s.floats(n);
  s.call(Relu2ForwardArgs{.x = x.data(), .y = y.data(), .n = n});
  s.expect("relu2Forward", y, 0, [&](int64_t i) { return part(i) * part(i); });
  s.call(Relu2BackwardArgs{.x = x.data(), .dy = dy.data(), .dx = y.data(), .n = n});
  s.expect("relu2Backward", y, 0, [&](int64_t i) { return dy[i] * 2 * part(i); });
}

}  // namespace

void testRotary(Suite& s) {
  for (const int64_t channels : {1, 3, 15, 16, 17, 64, 129})
    for (const int64_t rows : {1, 2, 7, 64, 131}) rmsNorm(s, rows, channels);
  for (const int64_t headDim : {2, 6, 8, 14, 32, 34, 66})
    for (const bool normed : {false, true}) {
      rotary(s, {1, 1, 1, 1, headDim, headDim}, normed, false);
      rotary(s, {2, 5, 3, 3, headDim, headDim}, normed, false);
      rotary(s, {2, 67, 2, 2, headDim, headDim}, normed, false);
      rotary(s, {2, 5, 4, 2, headDim, headDim}, normed, true);
      rotary(s, {2, 5, 2, 1, headDim, headDim / 4 * 2}, normed, false);
    }
  for (const int64_t headDim : {2, 6, 34}) {
    rotary(s, {1, 1, 1, 1, headDim, headDim}, true, false, true);
    rotary(s, {2, 67, 4, 2, headDim, headDim}, true, false, true);
    rotary(s, {2, 5, 3, 3, headDim, 0}, true, true, true);
  }
  for (const int64_t hidden : {1, 3, 15, 16, 17, 64, 129, 344})
    for (const int64_t rows : {1, 2, 67}) {
      swiglu(s, rows, hidden);
      for (const bool tanhForm : {false, true}) geglu(s, rows, hidden, tanhForm);
    }
  for (const int64_t n : {1, 15, 16, 17, 1000, 9001}) relu2(s, n);
}

}  // namespace foretoken::test
