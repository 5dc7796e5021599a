// Embedding, layer norm, cross-entropy.
#include "harness.h"

namespace foretoken::test {

namespace {

void embedding(Suite& s, int64_t batch, int64_t time, int64_t channels, bool withPositions, bool withPlaces,
               double scale = 1) {
  const int64_t rows = batch * time;
  const int64_t vocabSize = 11;
  const int64_t start = withPositions ? 2 : 0;
  const Ints ids = s.randomInts(rows, static_cast<int>(vocabSize));
  const Floats tokens = s.randomFloats(vocabSize * channels);
  const Floats positions = s.randomFloats((start + time) * channels);
  const Floats dy = s.randomFloats(rows * channels);
  Floats y = s.floats(rows * channels);
  const Ints places = s.randomInts(rows, static_cast<int>(start + time));
  const int32_t* placed = withPlaces ? places.data() : nullptr;
  const auto place = [&](int64_t r) { return (withPlaces ? places[r] : start + r % time) * channels; };
  s.call(EmbeddingForwardArgs{
      .ids = ids.data(), .tokens = tokens.data(), .positions = withPositions ? positions.data() : nullptr,
      .places = placed, .y = y.data(), .rows = rows, .time = time, .channels = channels, .vocabSize = vocabSize,
      .start = start, .positionRows = start + time, .scale = scale});
  s.expect("embeddingForward", y, scale == 1 ? 0 : 4, [&](int64_t i) {
    const int64_t r = i / channels;
    const int64_t c = i % channels;
    return scale * tokens[ids[r] * channels + c] + (withPositions ? positions[place(r) + c] : 0);
  });

  Floats dTokens = s.randomFloats(vocabSize * channels);
  Floats dPositions = s.randomFloats((start + time) * channels);
  std::vector<double> wantTokens(dTokens.data(), dTokens.data() + dTokens.size());
  std::vector<double> wantPositions(dPositions.data(), dPositions.data() + dPositions.size());
  for (int64_t r = 0; r < rows; r++)
    for (int64_t c = 0; c < channels; c++) {
      wantTokens[static_cast<size_t>(ids[r] * channels + c)] += scale * dy[r * channels + c];
      if (withPositions) wantPositions[static_cast<size_t>(place(r) + c)] += dy[r * channels + c];
    }
  s.call(EmbeddingBackwardArgs{
      .ids = ids.data(), .places = placed, .dy = dy.data(), .dTokens = dTokens.data(),
      .dPositions = withPositions ? dPositions.data() : nullptr, .rows = rows, .time = time, .channels = channels,
      .vocabSize = vocabSize, .start = start, .positionRows = start + time, .scale = scale});
  s.expect("embeddingBackward tokens", dTokens, 10 * scale, [&](int64_t i) { return wantTokens[static_cast<size_t>(i)]; });
  s.expect("embeddingBackward positions", dPositions, 10, [&](int64_t i) { return wantPositions[static_cast<size_t>(i)]; });
}

void layerNorm(Suite& s, int64_t rows, int64_t channels, bool withBeta) {
  const double eps = 1e-5;
  const Floats x = s.randomFloats(rows * channels, 2);
  const Floats gamma = s.randomFloats(channels);
  const Floats beta = s.randomFloats(channels);
  const Floats dy = s.randomFloats(rows * channels);
  std::vector<double> mean(static_cast<size_t>(rows));
  std::vector<double> rstd(mean);
  for (int64_t r = 0; r < rows; r++) {
    double sum = 0;
    double squares = 0;
    for (int64_t c = 0; c < channels; c++) sum += x[r * channels + c];
    const double m = sum / static_cast<double>(channels);
    for (int64_t c = 0; c < channels; c++) squares += (x[r * channels + c] - m) * (x[r * channels + c] - m);
    mean[static_cast<size_t>(r)] = m;
    rstd[static_cast<size_t>(r)] = 1 / std::sqrt(squares / static_cast<double>(channels) + eps);
  }
  const auto normal = [&](int64_t i) {
    const size_t r = static_cast<size_t>(i / channels);
    return (x[i] - mean[r]) * rstd[r];
  };
  // One channel has no variance, so rstd is 1/√eps, which magnifies the last bit of x.
  const double magnitude = channels == 1 ? 1000 : 4;
  Floats y = s.floats(rows * channels);
  Floats means = s.floats(rows);
  Floats rstds = s.floats(rows);
  s.call(LayerNormForwardArgs{
      .x = x.data(), .gamma = gamma.data(), .beta = withBeta ? beta.data() : nullptr, .y = y.data(),
      .mean = means.data(), .rstd = rstds.data(), .rows = rows, .channels = channels, .eps = eps});
  s.expect("layerNormForward", y, magnitude, [&](int64_t i) {
    return normal(i) * gamma[i % channels] + (withBeta ? beta[i % channels] : 0);
  });
  s.expect("layerNormForward mean", means, 2, [&](int64_t r) { return mean[static_cast<size_t>(r)]; });
  s.expect("layerNormForward rstd", rstds, 1, [&](int64_t r) { return rstd[static_cast<size_t>(r)]; });

  Floats dx = s.floats(rows * channels);
  Floats dGamma = s.randomFloats(channels);
  Floats dBeta = s.randomFloats(channels);
  const std::vector<double> gammaBefore(dGamma.data(), dGamma.data() + channels);
  std::vector<double> wantGamma = gammaBefore;
  std::vector<double> wantBeta(dBeta.data(), dBeta.data() + channels);
  for (int64_t i = 0; i < rows * channels; i++) {
    wantGamma[static_cast<size_t>(i % channels)] += dy[i] * normal(i);
    if (withBeta) wantBeta[static_cast<size_t>(i % channels)] += dy[i];
  }
  s.call(LayerNormBackwardArgs{
      .dy = dy.data(), .x = x.data(), .gamma = gamma.data(), .mean = means.data(), .rstd = rstds.data(),
      .dx = dx.data(), .dGamma = dGamma.data(), .dBeta = withBeta ? dBeta.data() : nullptr, .rows = rows,
      .channels = channels, .add = 0});
  const auto wantX = [&](int64_t i) {
    const int64_t row = i / channels * channels;
    double plain = 0;
    double along = 0;
    for (int64_t c = 0; c < channels; c++) {
      plain += dy[row + c] * gamma[c];
      along += dy[row + c] * gamma[c] * normal(row + c);
    }
    const double inner = dy[i] * gamma[i % channels] - (plain + normal(i) * along) / static_cast<double>(channels);
    return rstd[static_cast<size_t>(i / channels)] * inner;
  };
  s.expect("layerNormBackward", dx, magnitude * (channels < 4 ? 100 : 10), wantX);
  const double sums = static_cast<double>(rows) + magnitude;
  s.expect("layerNormBackward gamma", dGamma, sums, [&](int64_t c) { return wantGamma[static_cast<size_t>(c)]; });
  s.expect("layerNormBackward beta", dBeta, sums, [&](int64_t c) { return wantBeta[static_cast<size_t>(c)]; });
  s.call(LayerNormBackwardArgs{
      .dy = dy.data(), .x = x.data(), .gamma = gamma.data(), .mean = means.data(), .rstd = rstds.data(),
      .dx = dx.data(), .dGamma = nullptr, .dBeta = nullptr, .rows = rows, .channels = channels, .add = 1});
  s.expect("layerNormBackward added", dx, magnitude * (channels < 4 ? 200 : 20), [&](int64_t i) { return 2 * wantX(i); });
  s.call(LayerNormBackwardArgs{
      .dy = dy.data(), .x = x.data(), .gamma = gamma.data(), .mean = means.data(), .rstd = rstds.data(),
      .dx = nullptr, .dGamma = dGamma.data(), .dBeta = nullptr, .rows = rows, .channels = channels, .add = 0});
  s.expect("layerNormBackward gamma alone", dGamma, 2 * sums, [&](int64_t c) {
    const double before = gammaBefore[static_cast<size_t>(c)];
    return 2 * wantGamma[static_cast<size_t>(c)] - before;
  });
}

void crossEntropy(Suite& s, int64_t rows, int64_t vocabSize) {
  const Floats logits = s.randomFloats(rows * vocabSize, 5);
  Ints targets = s.randomInts(rows, static_cast<int>(vocabSize));
  if (rows > 2) targets[1] = -1;
  const auto logSum = [&](int64_t r) {
    double sum = 0;
    for (int64_t c = 0; c < vocabSize; c++) sum += std::exp(static_cast<double>(logits[r * vocabSize + c]));
    return std::log(sum);
  };
  Floats losses = s.floats(rows);
  Floats logSums = s.floats(rows);
  s.call(CrossEntropyForwardArgs{
      .logits = logits.data(), .targets = targets.data(), .losses = losses.data(), .logSumExp = logSums.data(),
      .rows = rows, .columns = vocabSize, .first = 0, .vocabSize = vocabSize});
  s.expect("crossEntropyForward", losses, 10, [&](int64_t r) {
    return targets[r] < 0 ? 0 : logSum(r) - logits[r * vocabSize + targets[r]];
  });
  s.expect("crossEntropyForward logSumExp", logSums, 10, logSum);

  Floats dLoss = s.floats(1);
  dLoss[0] = 0.5f;
  Floats dLogits = s.floats(rows * vocabSize);
  s.call(CrossEntropyBackwardArgs{
      .logits = logits.data(), .targets = targets.data(), .logSumExp = logSums.data(), .dLoss = dLoss.data(),
      .dLogits = dLogits.data(), .rows = rows, .columns = vocabSize, .first = 0, .vocabSize = vocabSize});
  std::vector<double> sums(static_cast<size_t>(rows));
  for (int64_t r = 0; r < rows; r++) sums[static_cast<size_t>(r)] = logSum(r);
  s.expect("crossEntropyBackward", dLogits, 1, [&](int64_t i) {
    const int64_t r = i / vocabSize;
    if (targets[r] < 0) return 0.0;
    return 0.5 * (std::exp(logits[i] - sums[static_cast<size_t>(r)]) - (i % vocabSize == targets[r] ? 1 : 0));
  });

  // The same test with ranges of columns, each in its own buffer.
  const int64_t width = (vocabSize + 2) / 3;
  for (int64_t first = 0; first < vocabSize; first += width) {
    const int64_t columns = std::min(width, vocabSize - first);
    Floats range = s.floats(rows * columns);
    for (int64_t i = 0; i < range.size(); i++) range[i] = logits[i / columns * vocabSize + first + i % columns];
    s.call(CrossEntropyForwardArgs{
        .logits = range.data(), .targets = targets.data(), .losses = losses.data(), .logSumExp = logSums.data(),
        .rows = rows, .columns = columns, .first = first, .vocabSize = vocabSize});
    Floats dRange = s.floats(rows * columns);
    Floats whole = s.floats(rows);
    for (int64_t r = 0; r < rows; r++) whole[r] = static_cast<float>(sums[static_cast<size_t>(r)]);
    s.call(CrossEntropyBackwardArgs{
        .logits = range.data(), .targets = targets.data(), .logSumExp = whole.data(), .dLoss = dLoss.data(),
        .dLogits = dRange.data(), .rows = rows, .columns = columns, .first = first, .vocabSize = vocabSize});
    s.expectNow("crossEntropyBackward of a range", dRange, 1, [&](int64_t i) {
      return static_cast<double>(dLogits[i / columns * vocabSize + first + i % columns]);
    });
  }
  s.expect("crossEntropyForward by ranges", losses, 20, [&](int64_t r) {
    return targets[r] < 0 ? 0 : sums[static_cast<size_t>(r)] - logits[r * vocabSize + targets[r]];
  });
  s.expect("crossEntropyForward logSumExp by ranges", logSums, 20,
           [&](int64_t r) { return sums[static_cast<size_t>(r)]; });
}

}  // namespace

void testLayers(Suite& s) {
  for (const int64_t channels : {1, 3, 15, 16, 17, 64, 129})
    for (const bool optional : {false, true}) {
      embedding(s, 1, 1, channels, optional, false);
      embedding(s, 3, 5, channels, optional, false);
      embedding(s, 3, 5, channels, optional, true);
      embedding(s, 2, 65, channels, optional, false);
      embedding(s, 3, 5, channels, optional, false, 2.5);
      for (const int64_t rows : {1, 2, 7, 64, 131}) layerNorm(s, rows, channels, optional);
    }
  for (const int64_t vocabSize : {1, 2, 15, 16, 17, 65, 257})
    for (const int64_t rows : {1, 3, 64, 67}) crossEntropy(s, rows, vocabSize);
}

}  // namespace foretoken::test
