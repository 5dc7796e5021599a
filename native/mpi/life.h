// Finds ranks that freeze or hang. Then all ranks end, and a line names the frozen rank. Otherwise the other ranks
// would wait forever. The MPI thread checks two kinds of signs several times a second:
// - Heartbeats. The ranks form a ring with its own communicator. Once a second, each rank sends a heartbeat to the next
//   rank, and receives a heartbeat from the previous rank. A missing heartbeat means a frozen process, a lost machine
//   or a broken network.
// - Ticks. JavaScript counts its kernel calls and the turns of its event loop. If the count does not change, JavaScript
//   hangs in an endless loop or in a kernel that never returns. Its process still sends heartbeats. If a rank waits for
//   other ranks, for a disk or for the reader of its output, its event loop still turns.
//
// It is worse to end a healthy run than to end a hung run late:
// - If the MPI thread itself was stopped for some time, it knows nothing about other ranks, and restarts its clocks.
//   The whole job may be stopped by Ctrl-Z, by a scheduler or by a sleeping laptop.
// - Ticks are checked only when JavaScript requests it, after its first step. The longest time between two ticks is
//   then known. The limit is ten times this time, because one kernel call may take a minute on a slow machine.
// - MPI_Init and MPI_Finalize block this thread, so heartbeats begin after MPI_Init and end before MPI_Finalize. During
//   these calls, JavaScript's thread watches the other processes (src/train/ranks/without-heartbeats.node.ts).
#pragma once

#include <mpi.h>

#include <atomic>
#include <chrono>
#include <cstdint>

#include "end.h"

namespace foretoken {
namespace {

using Clock = std::chrono::steady_clock;

// Seconds without a heartbeat or tick after which all ranks end. JavaScript may change this time.
constexpr int kLongestSilence = 8;
constexpr auto kBeatInterval = std::chrono::seconds(1);
// The thread checks five times a second. If there was no check for this time, the process was stopped.
constexpr auto kStopped = std::chrono::seconds(2);
// JavaScript counts as healthy if its silence is at most its longest silence so far times this factor.
constexpr int kSilenceRatio = 10;

// How ticks are used. Ticks are ignored, or measured to find the longest time between two ticks, or checked to end all
// ranks if they stop.
enum Watching : int32_t { kIgnored = 0, kLearning = 1, kWatched = 2 };

// What the MPI thread is doing. It starts with kBeginning.
enum Phase : int32_t { kCarrying = 0, kBeginning = 1, kEnding = 2 };

// JavaScript sees this as an Int32Array. JavaScript writes all fields except the phase: see
// src/train/ranks/signs.node.ts.
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

  // Used only by the MPI thread.
  MPI_Comm ring = MPI_COMM_NULL;
  int rank = 0;
  int size = 1;
  MPI_Request sending = MPI_REQUEST_NULL;
  MPI_Request receiving = MPI_REQUEST_NULL;
  unsigned char sent = 0;
  unsigned char received = 0;
  // All ranks have reached their end. The last heartbeat is a farewell. So no message is still in transit when MPI
  // ends.
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

// Ends all ranks if heartbeats cannot be sent or received. This failure cannot be reported in any other way.
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

// Receives the heartbeats that have arrived, and sends a heartbeat if it is time. Never waits.
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
  // Sends only one heartbeat at a time, because a frozen rank accepts none.
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

// Ends all ranks if a heartbeat or tick is missing. Call it several times a second.
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

// Starts sending and receiving heartbeats. All ranks must call it. Returns an MPI code.
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

// Ends the heartbeats of `beginLife` when all ranks have called this function. Call it until it returns true. After
// that, no message is in transit.
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
