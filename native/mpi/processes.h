// Watches the processes of this machine. If a process has ended, another rank notices immediately and prints its rank.
#pragma once

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>

#include <chrono>
#include <thread>

#include "end.h"

namespace foretoken {
namespace {

// A process of this machine, as seen by the other ranks.
struct Neighbour {
  long pid;
  // Process ids can be compared only within one namespace.
  long space;
  long rank;
};

constexpr int kMostNeighbours = 4096;
// This time is long enough for the first remaining rank to write its line.
constexpr auto kTimeToSpeak = std::chrono::seconds(1);

struct Neighbours {
  Neighbour all[kMostNeighbours];
  int count = 0;
  Neighbour self = {};
};

long ownSpace() {
  struct stat found;
  return stat("/proc/self/ns/pid", &found) == 0 ? static_cast<long>(found.st_ino) : 0;
}

bool isGone(const Neighbour& one) { return kill(static_cast<pid_t>(one.pid), 0) != 0 && errno == ESRCH; }

// Ends all ranks if a process of this machine has ended. The first remaining rank prints which process it was. The
// other ranks wait for this line.
void watchProcesses(const Neighbours& neighbours, int size) {
  const Neighbour& self = neighbours.self;
  const Neighbour* gone = nullptr;
  bool isFirstLeft = true;
  for (int i = 0; i < neighbours.count; i++) {
    const Neighbour& one = neighbours.all[i];
    if (one.rank == self.rank || one.space != self.space) continue;
    if (isGone(one)) {
      if (gone == nullptr) gone = &one;
    } else if (one.rank < self.rank) {
      isFirstLeft = false;
    }
  }
  if (gone == nullptr) return;
  if (isFirstLeft) {
    sayOfRank(gone->rank, size, "its process must live as long as the run; got process %ld gone", gone->pid);
  } else {
    std::this_thread::sleep_for(kTimeToSpeak);
  }
  abortAll(1);
}

}  // namespace
}  // namespace foretoken
