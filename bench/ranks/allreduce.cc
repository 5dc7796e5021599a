// Measures the time of MPI_Allreduce, which keeps its core busy while it waits. Usage: allreduce FLOATS ROUNDS. Rank 0
// writes the milliseconds of each round as a line of JSON.
#define OMPI_SKIP_MPICXX 1
#include <mpi.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

int main(int count, char** values) {
  if (count != 3) return 2;
  const int floats = std::atoi(values[1]);
  const int rounds = std::atoi(values[2]);
  MPI_Init(&count, &values);
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  std::vector<float> array(static_cast<size_t>(floats), 1.0f);
  if (rank == 0) std::printf("[");
  for (int round = -1; round < rounds; round++) {
    MPI_Barrier(MPI_COMM_WORLD);
    const double began = MPI_Wtime();
    MPI_Allreduce(MPI_IN_PLACE, array.data(), floats, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
    const double milliseconds = 1000 * (MPI_Wtime() - began);
    // The first round is a warm-up.
    if (rank == 0 && round >= 0) std::printf("%s%.4f", round == 0 ? "" : ",", milliseconds);
    for (float& value : array) value = 1.0f;
  }
  if (rank == 0) std::printf("]\n");
  MPI_Finalize();
  return 0;
}
