// The sums of native/mpi/sharing.h between real ranks. The program is built with sanitizers and started by mpirun. The
// program compares the sums, and every rank's array after the all-gather, with the sum along the tree. If there is a
// difference, the exit status is 1.
#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>

#include <algorithm>
#include <cstdio>
#include <random>
#include <vector>

#include "../mpi/sharing.h"

using foretoken::OwnedRange;
using foretoken::Sharing;
using foretoken::Way;

namespace {

// Numbers of very different sizes. Another order of addition would give other bits.
float valueOf(int rank, size_t i) {
  const unsigned hash = (static_cast<unsigned>(i) * 2654435761u) ^ (static_cast<unsigned>(rank) * 40503u);
  const float scale[] = {1e-3f, 1e-2f, 0.1f, 1.0f, 10.0f, 100.0f, 1000.0f};
  return (static_cast<float>(hash % 2001) - 1000.0f) * scale[(i + static_cast<size_t>(rank)) % 7];
}

float treeSum(int from, int to, size_t i) {
  if (to - from == 1) return valueOf(from, i);
  const int middle = from + (to - from) / 2;
  return treeSum(from, middle, i) + treeSum(middle, to, i);
}

bool runTogether(std::vector<Sharing*>& all, int rank, int size) {
  int tag = 0;
  for (Sharing* one : all)
    if (one->begin(rank, size, ++tag, MPI_COMM_WORLD) != MPI_SUCCESS) return false;
  for (bool busy = true; busy;) {
    busy = false;
    for (Sharing* one : all) {
      if (one->isDone()) continue;
      busy = true;
      bool moved = false;
      if (one->advance(moved) != MPI_SUCCESS) return false;
    }
  }
  for (Sharing* one : all) delete one;
  return true;
}

// Checks random ranges with random owners, divided among several operations at a time.
bool check(std::mt19937& random, int rank, int size) {
  const size_t length = random() % 5000;
  std::vector<std::vector<OwnedRange>> parts(1 + random() % 6);
  std::vector<int> owners(length);
  for (size_t from = 0; from < length;) {
    const size_t to = std::min(length, from + random() % 700);
    const int owner = static_cast<int>(random() % static_cast<unsigned>(size));
    parts[random() % parts.size()].push_back({static_cast<int64_t>(from), static_cast<int64_t>(to), owner});
    for (; from < to; from++) owners[from] = owner;
  }
  std::vector<float> data(length);
  for (size_t i = 0; i < length; i++) data[i] = valueOf(rank, i);
  for (const Way way : {Way::kSum, Way::kSpread}) {
    std::vector<Sharing*> all;
    for (const auto& ranges : parts) {
      OwnedRange* copy = static_cast<OwnedRange*>(std::malloc((ranges.size() + 1) * sizeof(OwnedRange)));
      for (size_t i = 0; i < ranges.size(); i++) copy[i] = ranges[i];
      all.push_back(new Sharing(way, data.data(), copy, static_cast<int>(ranges.size())));
    }
    if (!runTogether(all, rank, size)) return false;
    for (size_t i = 0; i < length; i++) {
      if (way == Way::kSum && owners[i] != rank) continue;
      const float expected = treeSum(0, size, i);
      if (std::memcmp(&data[i], &expected, sizeof(float)) != 0) {
        std::printf("rank %d of %d: element %zu of %zu: %.9g instead of %.9g\n", rank, size, i, length,
                    static_cast<double>(data[i]), static_cast<double>(expected));
        return false;
      }
    }
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int rank = 0;
  int size = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  // The same numbers on all ranks.
  std::mt19937 random(1);
  bool passed = true;
  for (int i = 0; i < 100 && passed; i++) passed = check(random, rank, size);
  if (!passed) MPI_Abort(MPI_COMM_WORLD, 1);
  MPI_Finalize();
  if (rank == 0) std::printf("100 arrays on %d ranks\n", size);
  return 0;
}
