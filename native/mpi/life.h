// Signs of life. A rank that freezes or hangs ends all ranks, with a line that names it; else the others would wait for ever.
//
// The thread of MPI looks at two kinds of signs, a few times a second:
//   - Heartbeats. Once a second each rank sends one to the next rank, and listens to the rank before it: a ring, on a
//     communicator of its own. Silence means a frozen process, a machine that is gone, or a network that is cut.
//   - Ticks. JavaScript counts its kernel calls and the turns of its event loop. A count that stands still means that
//     JavaScript hangs, in an endless loop or in a kernel that never returns, while the heartbeats of its process go on.
//     A rank that waits for others, for a disk or for the reader of its output still turns its event loop.
//
// Ending a healthy run is worse than ending a hung one late:
//   - A thread that did not run for a while itself knows nothing of the others. So its clocks begin again after the whole job
//     was stopped: by Ctrl-Z, by a scheduler that suspends it, in a laptop that sleeps.
//   - Ticks count only once JavaScript asks for it, after its first step. By then the longest time between two ticks is known,
//     and ten times as long is waited for: one kernel call may take a minute on a slow machine.
//   - MPI_Init and MPI_Finalize block this thread, so heartbeats begin after the one and end before the other. Meanwhile
//     JavaScript's thread watches (src/train/ranks/without-heartbeats.node.ts).
#pragma once

#include <mpi.h>

#include <atomic>
#include <chrono>
#include <cstdint>

#include "end.h"

namespace foretoken {
namespace {

using Clock = std::chrono::steady_clock;

// Without a sign of life for so long, all ranks end. JavaScript may set another time.
constexpr int kLongestSilence = 8;
constexpr auto kBeatInterval = std::chrono::seconds(1);
// The thread looks five times a second: if it did not for so long, the process was stopped.
constexpr auto kStopped = std::chrono::seconds(2);
// A healthy JavaScript may be silent for so many times its longest silence so far.
constexpr int kSilenceRatio = 10;

// Whether ticks are looked at: not, to learn the longest time between two, or to end all if they stop.
enum Watching : int32_t { kIgnored = 0, kLearning = 1, kWatched = 2 };

// What the thread of MPI is in; from the first moment on it begins.
enum Phase : int32_t { kCarrying = 0, kBeginning = 1, kEnding = 2 };

// An Int32Array for JavaScript's side, which writes all but the phase: see src/train/ranks/signs.node.ts.
struct Signs {
  std::atomic<int32_t> ticks{0};
  std::atomic<int32_t> watching{kIgnored};
  // In seconds; 0: for ever.
  std::atomic<int32_t> longestSilence{kLongestSilence};
  std::atomic<int32_t> phase{kBeginning};
};
constexpr size_t kSigns = 4;
static_assert(sizeof(Signs) == kSigns * sizeof(int32_t), "the signs must be an array of JavaScript's");

struct Life {
  Signs signs;

  // Of the thread alone.
  MPI_Comm ring = MPI_COMM_NULL;
  int rank = 0;
  int size = 1;
  MPI_Request sending = MPI_REQUEST_NULL;
  MPI_Request receiving = MPI_REQUEST_NULL;
  unsigned char sent = 0;
  unsigned char received = 0;
  // All ranks have come to their end: the last heartbeat says farewell, so that none is left on its way.
  bool isParting = false;
  bool hasSentFarewell = false;
  bool hasHeardFarewell = false;
  Clock::time_point lookedAt = {};
  Clock::time_point sentAt = {};
  Clock::time_point heardAt = {};
  Clock::time_point tickedAt = {};
  int32_t ticks = 0;
  Clock::duration longestGap = {};
};

constexpr unsigned char kBeat = 1;
constexpr unsigned char kFarewell = 2;

int rankBefore(const Life& life) { return (life.rank + life.size - 1) % life.size; }

long secondsOf(Clock::duration duration) {
  return static_cast<long>(std::chrono::duration_cast<std::chrono::seconds>(duration).count());
}

// Heartbeats that cannot be sent or heard have no other way to be told.
void mustCarry(const Life& life, int code) {
  if (code == MPI_SUCCESS) return;
  char message[MPI_MAX_ERROR_STRING + 1] = {};
  int length = 0;
  (void)MPI_Error_string(code, message, &length);
  sayOfRank(life.rank, life.size, "MPI must carry heartbeats; got %.200s", message);
  abortAll(1);
}

void listen(Life& life) {
  mustCarry(life, MPI_Irecv(&life.received, 1, MPI_BYTE, rankBefore(life), 0, life.ring, &life.receiving));
}

// Takes what has arrived, and sends what is due. Never waits.
void exchangeBeats(Life& life, Clock::time_point now) {
  if (life.size == 1) return;
  while (!life.hasHeardFarewell) {
    int done = 0;
    mustCarry(life, MPI_Test(&life.receiving, &done, MPI_STATUS_IGNORE));
    if (done == 0) break;
    life.heardAt = now;
    if (life.received == kFarewell) {
      life.hasHeardFarewell = true;
    } else {
      listen(life);
    }
  }
  // One at a time: a frozen rank takes none.
  int done = 0;
  mustCarry(life, MPI_Test(&life.sending, &done, MPI_STATUS_IGNORE));
  if (done == 0 || life.hasSentFarewell || (!life.isParting && now - life.sentAt < kBeatInterval)) return;
  life.sent = life.isParting ? kFarewell : kBeat;
  life.hasSentFarewell = life.isParting;
  life.sentAt = now;
  const int next = (life.rank + 1) % life.size;
  mustCarry(life, MPI_Isend(&life.sent, 1, MPI_BYTE, next, 0, life.ring, &life.sending));
}

void watchBeats(const Life& life, Clock::time_point now, Clock::duration longest) {
  if (life.size == 1 || life.hasHeardFarewell) return;
  const auto silence = now - life.heardAt;
  if (silence <= longest) return;
  sayOfRank(rankBefore(life), life.size, "must give a sign of life every second; got none for %ld s", secondsOf(silence));
  abortAll(1);
}

void watchTicks(Life& life, Clock::time_point now, Clock::duration longest) {
  const int32_t ticks = life.signs.ticks.load(std::memory_order_relaxed);
  const int32_t watching = life.signs.watching.load(std::memory_order_relaxed);
  const auto gap = now - life.tickedAt;
  if (ticks != life.ticks || watching == kIgnored) {
    if (watching != kIgnored && gap > life.longestGap) life.longestGap = gap;
    life.ticks = ticks;
    life.tickedAt = now;
    return;
  }
  if (watching != kWatched || gap <= longest || gap <= kSilenceRatio * life.longestGap) return;
  sayOfRank(life.rank, life.size, "must go on computing; got nothing done for %ld s", secondsOf(gap));
  abortAll(1);
}

// Call it a few times a second. Ends all ranks if a sign of life is missing.
void lookForLife(Life& life) {
  if (life.ring == MPI_COMM_NULL) return;
  const Clock::time_point now = Clock::now();
  const bool wasStopped = now - life.lookedAt > kStopped;
  life.lookedAt = now;
  if (wasStopped) {
    life.heardAt = now;
    life.tickedAt = now;
  }
  exchangeBeats(life, now);
  const int seconds = life.signs.longestSilence.load(std::memory_order_relaxed);
  if (seconds <= 0) return;
  watchBeats(life, now, std::chrono::seconds(seconds));
  watchTicks(life, now, std::chrono::seconds(seconds));
}

// Begins to send and to listen: all ranks call it. Returns MPI's code.
int beginLife(Life& life, int rank, int size) {
  life.rank = rank;
  life.size = size;
  MPI_Comm ring = MPI_COMM_NULL;
  const int code = MPI_Comm_dup(MPI_COMM_WORLD, &ring);
  if (code != MPI_SUCCESS) return code;
  (void)MPI_Comm_set_errhandler(ring, MPI_ERRORS_RETURN);
  life.ring = ring;
  life.lookedAt = life.heardAt = life.tickedAt = Clock::now();
  if (size > 1) listen(life);
  lookForLife(life);
  return MPI_SUCCESS;
}

// Ends what `beginLife` began, once all ranks have come to it: call it until it is true. Nothing is then on its way.
bool endLife(Life& life) {
  if (life.ring == MPI_COMM_NULL) return true;
  life.isParting = true;
  exchangeBeats(life, Clock::now());
  if (life.size > 1 && !(life.hasSentFarewell && life.hasHeardFarewell && life.sending == MPI_REQUEST_NULL)) return false;
  (void)MPI_Comm_free(&life.ring);
  return true;
}

}  // namespace
}  // namespace foretoken
