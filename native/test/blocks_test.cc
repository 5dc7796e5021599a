// Tests weights in blocks of few bits: packing, conversion and products.
#include "harness.h"

namespace foretoken::test {

namespace {

// As in `blockForms` in src/backend/kernels/block-forms.ts.
struct Form {
  int64_t number, fileValues, fileBytes, bits, scaleBytes, nestedBytes;
  std::vector<int64_t> halves;  // positions of binary16 numbers in a block of a file

  int64_t panelWords(int64_t rows, int64_t k) const {
    const int64_t blocks = k / 32;
    const int64_t bytes = blocks * (64 * bits + scaleBytes) + (blocks + 7) / 8 * nestedBytes;
    return (rows + 15) / 16 * ((bytes + 63) / 64 * 16);
  }
  int64_t rowBytes(int64_t k) const { return (k + fileValues - 1) / fileValues * fileBytes; }
};

const std::vector<Form>& forms() {
  static const std::vector<Form> all = {
      {0, 32, 18, 4, 32, 0, {0}},       {1, 32, 20, 4, 64, 0, {0, 2}},      {2, 32, 22, 5, 32, 0, {0}},
      {3, 32, 24, 5, 64, 0, {0, 2}},    {4, 32, 34, 8, 32, 0, {0}},         {5, 256, 144, 4, 32, 64, {0, 2}},
      {6, 256, 176, 5, 32, 64, {0, 2}}, {7, 256, 210, 6, 32, 32, {208}},
  };
  return all;
}

// Random blocks with scales between 2^-8 and 2^-4.
Words fileRows(Suite& s, const Form& form, int64_t rows, int64_t k) {
  const int64_t bytes = rows * form.rowBytes(k);
  Words words = s.randomWords((bytes + 3) / 4);
  char* const at = reinterpret_cast<char*>(words.data());
  for (int64_t block = 0; block + form.fileBytes <= bytes; block += form.fileBytes)
    for (const int64_t half : form.halves) {
      uint16_t value;
      std::memcpy(&value, at + block + half, sizeof value);
      value = static_cast<uint16_t>((value & 0x83FFu) | (7u + (value >> 10 & 3u)) << 10);
      std::memcpy(at + block + half, &value, sizeof value);
    }
  return words;
}

// x, rounded in the same way as in the product.
double roundedTo8Bits(const Floats& x, int64_t row, int64_t column, int64_t k) {
  const int64_t first = row * k + column / 32 * 32;
  float most = 0;
  for (int64_t i = first; i < first + 32; i++) most = std::fmax(most, std::fabs(x[i]));
  return most == 0 ? 0 : std::nearbyint(x[row * k + column] * (127.0f / most)) * (most / 127.0f);
}

void blocks(Suite& s, const Form& form, int64_t m, int64_t n, int64_t k) {
  const Words file = fileRows(s, form, n, k);
  Words panels(form.panelWords(n, k), false);
  s.call(BlocksPackArgs{.x = file.data(), .y = panels.data(), .rows = n, .k = k, .form = form.number});
  s.take(panels);
  Floats w = s.floats(n * k);
  s.call(BlocksRowsArgs{
      .w = panels.data(), .ids = nullptr, .y = w.data(), .rows = n, .n = n, .k = k, .first = 0, .form = form.number});
  s.take(w);
  Ints ids = s.randomInts(m, static_cast<int>(n));
  if (m > 1) ids[0] = -5, ids[1] = static_cast<int32_t>(n) + 7;
  Floats picked = s.floats(m * k);
  s.call(BlocksRowsArgs{
      .w = panels.data(), .ids = ids.data(), .y = picked.data(), .rows = m, .n = n, .k = k, .first = 0, .form = form.number});
  s.expectNow("blocksRows", picked, 0, [&](int64_t i) {
    const int64_t id = ids[i / k];
    return w[(id < 0 ? 0 : id >= n ? n - 1 : id) * k + i % k];
  });

  const Floats x = s.randomFloats(m * k);
  const Floats bias = s.randomFloats(n);
  const int64_t stride = n + 3;
  const int64_t length = m == 0 ? 0 : (m - 1) * stride + n;
  const Floats addend = s.randomFloats(length);
  Floats y = s.floats(length);
  const auto product = [&](int64_t row, int64_t column) {
    double sum = bias[column] + addend[row * stride + column];
    for (int64_t j = 0; j < k; j++) sum += roundedTo8Bits(x, row, j, k) * w[column * k + j];
    return sum;
  };
  s.call(BlocksLinearForwardArgs{
      .x = x.data(), .w = panels.data(), .bias = bias.data(), .addend = addend.data(), .y = y.data(), .m = m, .n = n,
      .k = k, .yStride = stride, .form = form.number});
  // Weights are below 64 · 64 / 16 if scales are nested. Weights without nested scales are much smaller.
  const double magnitude = static_cast<double>(k) * (form.nestedBytes > 0 ? 256 : 8);
  s.expectNow("blocksLinearForward", y, magnitude,
              [&](int64_t i) { return i % stride < n ? product(i / stride, i % stride) : 0; });
}

// Products of the same rows of x, one after the other and together: three forms, and matrices that one thread or
// several threads compute.
void blocksTogether(Suite& s, int64_t m, int64_t k) {
  const std::vector<int64_t> numbers = {4, 1, 4, 7}, rows = {33, 16, 150, 40};
  const Floats x = s.randomFloats(m * k), other = s.randomFloats(m * k);
  std::vector<Words> weights;
  std::vector<Floats> results, wanted;
  std::vector<BlocksLinearForwardArgs> calls;
  const Floats bias = s.randomFloats(150);
  for (size_t i = 0; i < rows.size(); i++) {
    const Form& form = forms()[static_cast<size_t>(numbers[i])];
    const int64_t n = rows[i];
    const Words file = fileRows(s, form, n, k);
    weights.emplace_back(form.panelWords(n, k), false);
    s.call(BlocksPackArgs{.x = file.data(), .y = weights[i].data(), .rows = n, .k = k, .form = form.number});
    results.push_back(s.floats(m * n));
    wanted.push_back(s.floats(m * n));
    calls.push_back({.x = x.data(), .w = weights[i].data(), .bias = i == 2 ? bias.data() : nullptr, .addend = nullptr,
                     .y = results[i].data(), .m = m, .n = n, .k = k, .yStride = n, .form = form.number});
    BlocksLinearForwardArgs alone = calls[i];
    alone.y = wanted[i].data();
    s.callTogether(std::vector{alone});
  }
  for (size_t count = 2; count <= calls.size(); count++) {
    for (Floats& result : results)
      for (int64_t i = 0; i < result.size(); i++) result[i] = 0;
    s.expectTrue("products of the same rows join", s.callTogether(std::vector(calls.begin(), calls.begin() + static_cast<int64_t>(count))));
    for (size_t i = 0; i < count; i++) s.expectSame("a product computed together", results[i], wanted[i]);
  }
  const auto refused = [&](const char* what, auto change) {
    std::vector<BlocksLinearForwardArgs> two = {calls[0], calls[1]};
    change(two[1]);
    s.expectTrue(what, !s.callTogether(two));
  };
  refused("a product of other rows does not join", [&](auto& next) { next.x = other.data(); });
  refused("a product of fewer rows does not join", [&](auto& next) { next.m = m - 1; });
  refused("a product that adds an earlier result does not join", [&](auto& next) { next.addend = results[0].data(); });
  refused("a product whose bias is an earlier result does not join", [&](auto& next) { next.bias = results[0].data(); });
  refused("a product that overwrites an earlier result does not join", [&](auto& next) { next.y = results[0].data() + m * 33 - 1; });
  const auto overwrites = [&](const char* what, auto change) {
    std::vector<BlocksLinearForwardArgs> two = {calls[0], calls[1]};
    change(two[0], results[1].data());
    s.expectTrue(what, !s.callTogether(two));
  };
  overwrites("a product that overwrites an earlier addend does not join", [](auto& before, float* y) { before.addend = y; });
  overwrites("a product that overwrites an earlier bias does not join", [](auto& before, float* y) { before.bias = y; });
  std::vector<BlocksLinearForwardArgs> two = {calls[0], calls[1]};
  Floats own = s.randomFloats(m * k);
  two[0].x = own.data();
  two[1].x = own.data();
  two[0].y = own.data();
  s.expectTrue("a product does not join one that overwrites its rows", !s.callTogether(two));
}

}  // namespace

void testBlocks(Suite& s) {
  for (const int64_t m : {1, 2, 19}) blocksTogether(s, m, 256);
  blocksTogether(s, 1, 2048);
  for (const Form& form : forms()) {
    // Long enough for several threads.
    blocks(s, form, 1, 1200, 1024);
    blocks(s, form, 3, 500, 1024);
    blocks(s, form, 1, 1, 256);
    blocks(s, form, 1, 150, 256);
    blocks(s, form, 3, 33, 256);
    blocks(s, form, 19, 16, 512);
    if (form.fileValues == 32) {
      blocks(s, form, 2, 17, 32);
      blocks(s, form, 9, 5, 96);
      blocks(s, form, 1, 300, 1056);
    }
  }
}

}  // namespace foretoken::test
