// How one rank ends all ranks, with a line that gives the reason.
#pragma once

#include <mpi.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>

namespace foretoken {
namespace {

// Time limit of MPI_Abort in seconds, because MPI_Abort may wait for a lost machine.
constexpr unsigned kLongestAbort = 2;

[[noreturn]] void abortAll(int status) {
  // The default action of the signal ends this process. Then its launcher ends the other ranks.
  (void)alarm(kLongestAbort);
  (void)MPI_Abort(MPI_COMM_WORLD, status);
  _exit(status);
}

// Writes a line to standard error immediately, because JavaScript may never run again.
void say(char* line, size_t length) {
  line[length] = '\n';
  if (write(STDERR_FILENO, line, length + 1) < 0) {
    // A failed write is ignored; the process must end anyway.
  }
}

// Writes "foretoken: rank 1 of 2: …".
__attribute__((format(printf, 3, 4))) void sayOfRank(long rank, int size, const char* format, ...) {
  char line[320];
  int length = std::snprintf(line, sizeof line, "foretoken: rank %ld of %d: ", rank, size);
  va_list values;
  va_start(values, format);
  length += std::vsnprintf(line + length, sizeof line - static_cast<size_t>(length) - 1, format, values);
  va_end(values);
  if (length > static_cast<int>(sizeof line) - 2) length = static_cast<int>(sizeof line) - 2;
  say(line, static_cast<size_t>(length));
}

}  // namespace
}  // namespace foretoken
