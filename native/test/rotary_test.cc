// RMS norm, rotary embedding, SwiGLU.
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
  // One channel's gradient is what eps leaves of a difference, magnified where x is small.
  s.expect("rmsNormBackward", dx, channels < 4 ? 1000 : 100, wantX);
  const double sums = 4 * static_cast<double>(rows);
  s.expect("rmsNormBackward gamma", dGamma, sums, [&](int64_t c) { return wantGamma[static_cast<size_t>(c)]; });
  s.call(RmsNormBackwardArgs{
      .dy = dy.data(), .x = x.data(), .gamma = gamma.data(), .rstd = rstds.data(), .dx = dx.data(), .dGamma = nullptr,
      .rows = rows, .channels = channels, .add = 1});
  s.expect("rmsNormBackward added", dx, channels < 4 ? 2000 : 200, [&](int64_t i) { return 2 * wantX(i); });
}

void rotary(Suite& s, int64_t batch, int64_t time, int64_t heads, int64_t headDim, bool normed) {
  const int64_t start = 3, rows = batch * time, half = headDim / 2, width = heads * headDim, length = rows * 3 * width;
  const Floats x = s.randomFloats(length, 2);
  const Floats dy = s.randomFloats(length);
  const Floats gammaQ = s.randomFloats(headDim);
  const Floats gammaK = s.randomFloats(headDim);
  Floats cosines = s.floats((start + time) * half);
  Floats sines = s.floats((start + time) * half);
  for (int64_t i = 0; i < cosines.size(); i++) {
    cosines[i] = static_cast<float>(std::cos(0.7 * static_cast<double>(i)));
    sines[i] = static_cast<float>(std::sin(0.7 * static_cast<double>(i)));
  }
  const auto headOf = [&](int64_t at) { return at / headDim * headDim; };
  const auto isValue = [&](int64_t at) { return at / width % 3 == 2; };
  const auto gamma = [&](int64_t at) -> double {
    return normed ? (at / width % 3 == 0 ? gammaQ : gammaK)[at % headDim] : 1;
  };
  const auto rstd = [&](int64_t at) { return normed ? inverseRms(x, headOf(at), headDim) : 1; };
  const auto z = [&](int64_t at) { return x[at] * rstd(at) * gamma(at); };
  // Element `at` of what comes of turning `from` by the angles of its position, or back (sign −1).
  const auto turned = [&](int64_t at, double sign, const std::function<double(int64_t)>& from) {
    const int64_t i = at % half;
    const int64_t row = (start + at / (3 * width) % time) * half;
    const bool second = at % headDim >= half;
    const double other = from(second ? at - half : at + half);
    return from(at) * cosines[row + i] + (second ? sign : -sign) * other * sines[row + i];
  };
  const auto dz = [&](int64_t at) { return turned(at, -1, [&](int64_t i) { return static_cast<double>(dy[i]); }); };

  const float* queryScale = normed ? gammaQ.data() : nullptr;
  const float* keyScale = normed ? gammaK.data() : nullptr;
  Floats y = s.floats(length);
  Floats rstds = s.floats(rows * 2 * heads);
  s.call(RotaryForwardArgs{
      .x = x.data(), .gammaQ = queryScale, .gammaK = keyScale, .cos = cosines.data(), .sin = sines.data(),
      .y = y.data(), .rstd = rstds.data(), .rows = rows, .time = time, .heads = heads, .headDim = headDim,
      .start = start, .eps = kEps});
  s.expect("rotaryForward", y, 4, [&](int64_t i) { return isValue(i) ? static_cast<double>(x[i]) : turned(i, 1, z); });
  s.expect("rotaryForward rstd", rstds, 0, [&](int64_t i) {
    const int64_t part = i / heads % 2;
    return rstd((i / (2 * heads) * 3 + part) * width + i % heads * headDim);
  });

  Floats dx = s.floats(length);
  Floats dGammaQ = s.randomFloats(headDim);
  Floats dGammaK = s.randomFloats(headDim);
  std::vector<double> wantQ(dGammaQ.data(), dGammaQ.data() + headDim);
  std::vector<double> wantK(dGammaK.data(), dGammaK.data() + headDim);
  for (int64_t at = 0; at < length && normed; at++) {
    if (isValue(at)) continue;
    (at / width % 3 == 0 ? wantQ : wantK)[static_cast<size_t>(at % headDim)] += dz(at) * x[at] * rstd(at);
  }
  s.call(RotaryBackwardArgs{
      .dy = dy.data(), .x = x.data(), .gammaQ = queryScale, .gammaK = keyScale, .cos = cosines.data(),
      .sin = sines.data(), .rstd = rstds.data(), .dx = dx.data(), .dGammaQ = normed ? dGammaQ.data() : nullptr,
      .dGammaK = normed ? dGammaK.data() : nullptr, .rows = rows, .time = time, .heads = heads, .headDim = headDim,
      .start = start});
  s.expect("rotaryBackward", dx, 1000, [&](int64_t at) -> double {
    if (isValue(at)) return dy[at];
    if (!normed) return dz(at);
    double along = 0;
    for (int64_t i = headOf(at); i < headOf(at) + headDim; i++) along += dz(i) * gamma(i) * x[i] * rstd(i);
    return rstd(at) * (dz(at) * gamma(at) - x[at] * rstd(at) * along / static_cast<double>(headDim));
  });
  const double sums = 4 * static_cast<double>(rows * heads);
  s.expect("rotaryBackward gammaQ", dGammaQ, sums, [&](int64_t i) { return wantQ[static_cast<size_t>(i)]; });
  s.expect("rotaryBackward gammaK", dGammaK, sums, [&](int64_t i) { return wantK[static_cast<size_t>(i)]; });
  if (!normed) return;
  s.call(RotaryBackwardArgs{
      .dy = dy.data(), .x = x.data(), .gammaQ = queryScale, .gammaK = keyScale, .cos = cosines.data(),
      .sin = sines.data(), .rstd = rstds.data(), .dx = dx.data(), .dGammaQ = nullptr, .dGammaK = nullptr,
      .rows = rows, .time = time, .heads = heads, .headDim = headDim, .start = start});
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

}  // namespace

void testRotary(Suite& s) {
  for (const int64_t channels : {1, 3, 15, 16, 17, 64, 129})
    for (const int64_t rows : {1, 2, 7, 64, 131}) rmsNorm(s, rows, channels);
  for (const int64_t headDim : {2, 6, 8, 14, 32, 34, 66})
    for (const bool normed : {false, true}) {
      rotary(s, 1, 1, 1, headDim, normed);
      rotary(s, 2, 5, 3, headDim, normed);
      rotary(s, 2, 67, 2, headDim, normed);
    }
  for (const int64_t hidden : {1, 3, 15, 16, 17, 64, 129, 344})
    for (const int64_t rows : {1, 2, 67}) swiglu(s, rows, hidden);
}

}  // namespace foretoken::test
