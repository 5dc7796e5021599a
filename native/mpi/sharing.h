// Sums arrays over ranks. Each rank gets the sums of the part that it owns (reduce-scatter by halving). Later, all
// ranks get all parts (all-gather by doubling). MPI sends the data, and this file adds the data: first pairs of ranks,
// then pairs of pairs. So the order of a sum depends only on the ranks. In each direction a rank sends (N − 1) / N
// times the array's bytes, in log₂ N messages.
#pragma once

#include <mpi.h>

#include <chrono>
#include <climits>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace foretoken {
namespace {

// Elements [from, to) of the array belong to rank `owner`.
struct OwnedRange {
  int64_t from;
  int64_t to;
  int owner;
};

enum class Way { kSum, kSpread };

// An active operation. Call `begin`, then `advance` until the operation is done. The number of ranks is a power of two.
class Sharing {
 public:
  Sharing(Way way, float* data, OwnedRange* ranges, int count) : way_(way), data_(data), ranges_(ranges), count_(count) {}
  Sharing(const Sharing&) = delete;
  Sharing& operator=(const Sharing&) = delete;
  ~Sharing() {
    std::free(sent_);
    std::free(received_);
    std::free(ranges_);
  }

  // All messages of one operation have the same tag. Returns an MPI code, or MPI_ERR_NO_MEM.
  int begin(int rank, int size, int tag, MPI_Comm comm) {
    rank_ = rank;
    size_ = size;
    tag_ = tag;
    comm_ = comm;
    distance_ = way_ == Way::kSum ? 1 : size / 2;
    return beginLevel();
  }

  // Delays the arrival of each message by this time. Call it before `begin`.
  void delay(std::chrono::microseconds delay) { delay_ = delay; }

  bool isDone() const { return done_; }

  // Bytes of the messages that began since the last call.
  int64_t takeSentBytes() {
    const int64_t bytes = sentBytes_;
    sentBytes_ = 0;
    return bytes;
  }

  // Number of messages begun since the last call.
  int64_t takeSentMessages() {
    const int64_t messages = sentMessages_;
    sentMessages_ = 0;
    return messages;
  }

  // Continues if the messages of this level have arrived. Returns an MPI code. Sets `moved` if it continued.
  int advance(bool& moved) {
    int arrived = 0;
    const int code = MPI_Testall(2, requests_, &arrived, MPI_STATUSES_IGNORE);
    if (code != MPI_SUCCESS || arrived == 0 || Clock::now() < arrives_) return code;
    moved = true;
    unpack();
    distance_ = way_ == Way::kSum ? distance_ * 2 : distance_ / 2;
    return beginLevel();
  }

 private:
  using Clock = std::chrono::steady_clock;

  // Elements to send to the partner, and to receive from it, at this level.
  bool isSent(const OwnedRange& range) const {
    const int differs = range.owner ^ rank_;
    return way_ == Way::kSum ? (differs & (2 * distance_ - 1)) == distance_ : (differs & (2 * distance_ - 1)) == 0;
  }
  bool isReceived(const OwnedRange& range) const {
    const int differs = range.owner ^ rank_;
    return way_ == Way::kSum ? (differs & (2 * distance_ - 1)) == 0 : (differs & (2 * distance_ - 1)) == distance_;
  }

  int64_t elements(bool (Sharing::*isPart)(const OwnedRange&) const) const {
    int64_t total = 0;
    for (int i = 0; i < count_; i++)
      if ((this->*isPart)(ranges_[i])) total += ranges_[i].to - ranges_[i].from;
    return total;
  }

  static bool reserve(float*& buffer, int64_t& capacity, int64_t length) {
    if (length <= capacity) return true;
    std::free(buffer);
    buffer = static_cast<float*>(std::malloc(static_cast<size_t>(length) * sizeof(float)));
    capacity = buffer == nullptr ? 0 : length;
    return buffer != nullptr;
  }

  int beginLevel() {
    if (distance_ == 0 || distance_ >= size_) {
      done_ = true;
      return MPI_SUCCESS;
    }
    const int64_t out = elements(&Sharing::isSent);
    const int64_t in = elements(&Sharing::isReceived);
    if (out > kMostElements || in > kMostElements) return MPI_ERR_COUNT;
    if (!reserve(sent_, sentCapacity_, out) || !reserve(received_, receivedCapacity_, in)) return MPI_ERR_NO_MEM;
    int64_t at = 0;
    for (int i = 0; i < count_; i++) {
      const OwnedRange& range = ranges_[i];
      if (!isSent(range)) continue;
      const int64_t n = range.to - range.from;
      std::memcpy(sent_ + at, data_ + range.from, static_cast<size_t>(n) * sizeof(float));
      at += n;
    }
    const int partner = rank_ ^ distance_;
    sentBytes_ += out * static_cast<int64_t>(sizeof(float));
    sentMessages_++;
    arrives_ = Clock::now() + delay_;
    const int code = MPI_Irecv(received_, static_cast<int>(in), MPI_FLOAT, partner, tag_, comm_, &requests_[0]);
    if (code != MPI_SUCCESS) return code;
    return MPI_Isend(sent_, static_cast<int>(out), MPI_FLOAT, partner, tag_, comm_, &requests_[1]);
  }

  void unpack() {
    const float* from = received_;
    for (int i = 0; i < count_; i++) {
      const OwnedRange& range = ranges_[i];
      if (!isReceived(range)) continue;
      const int64_t n = range.to - range.from;
      float* to = data_ + range.from;
      if (way_ == Way::kSum) {
        for (int64_t j = 0; j < n; j++) to[j] += from[j];
      } else {
        std::memcpy(to, from, static_cast<size_t>(n) * sizeof(float));
      }
      from += n;
    }
  }

  static constexpr int64_t kMostElements = INT_MAX / static_cast<int64_t>(sizeof(float));

  const Way way_;
  float* const data_;
  OwnedRange* const ranges_;
  const int count_;
  int rank_ = 0;
  int size_ = 1;
  int tag_ = 0;
  MPI_Comm comm_ = MPI_COMM_NULL;
  int distance_ = 0;
  bool done_ = false;
  MPI_Request requests_[2] = {MPI_REQUEST_NULL, MPI_REQUEST_NULL};
  float* sent_ = nullptr;
  float* received_ = nullptr;
  int64_t sentCapacity_ = 0;
  int64_t receivedCapacity_ = 0;
  int64_t sentBytes_ = 0;
  int64_t sentMessages_ = 0;
  std::chrono::microseconds delay_{0};
  Clock::time_point arrives_ = {};
};

}  // namespace
}  // namespace foretoken
