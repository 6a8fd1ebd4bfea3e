// Threads that share one piece of work after another.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

namespace engram {

// Threads take small pieces of work as they get free, so that a delayed thread delays only its own piece, and the
// caller waits for pieces, not for threads. Idle threads look out for work for some microseconds (products of one
// token follow each other that fast) and then sleep: a spinning thread would take the processor from a neighbour.
class Pool {
 public:
  explicit Pool(int workers) {
    for (int i = 0; i < workers; ++i) threads_.emplace_back([this] { work(); });
  }
  ~Pool() {
    {
      std::lock_guard<std::mutex> hold(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    for (auto& t : threads_) t.join();
  }
  int threads() const { return static_cast<int>(threads_.size()) + 1; }

  void run(int64_t pieces, const std::function<void(int64_t)>& body) {
    if (threads_.empty() || pieces < 2) {
      for (int64_t i = 0; i < pieces; ++i) body(i);
      return;
    }
    std::lock_guard<std::mutex> one_caller(caller_);
    body_ = &body;
    pieces_ = pieces;
    finished_ = 0;
    open_ = uint64_t(pieces);
    if (sleeping_ > 0) {
      { std::lock_guard<std::mutex> hold(mutex_); }
      wake_.notify_all();
    }
    take();
    for (int i = 0; i < kLook && finished_ != pieces; ++i) pause();
    if (finished_ == pieces) return;
    std::unique_lock<std::mutex> hold(mutex_);
    waiting_ = true;
    done_.wait(hold, [&] { return finished_ == pieces; });
    waiting_ = false;
  }

 private:
  static constexpr int kLook = 600;  // pauses of about 40 ns
  static void pause() {
#if defined(__x86_64__) || defined(__i386__)
    _mm_pause();
#else
    std::this_thread::yield();
#endif
  }
  // `open_` counts the pieces nobody has taken. Who takes one may read `body_` and `pieces_`: they cannot change
  // before that piece is finished.
  void take() {
    uint64_t left = open_;
    while (left > 0) {
      if (!open_.compare_exchange_weak(left, left - 1)) continue;
      const int64_t pieces = pieces_;
      (*body_)(pieces - int64_t(left));
      if (++finished_ == pieces && waiting_) {
        std::lock_guard<std::mutex> hold(mutex_);
        done_.notify_one();
      }
      left = open_;
    }
  }
  void work() {
    while (true) {
      for (int i = 0; i < kLook && open_ == 0; ++i) pause();
      if (open_ == 0) {
        std::unique_lock<std::mutex> hold(mutex_);
        ++sleeping_;
        wake_.wait(hold, [&] { return stop_ || open_ > 0; });
        --sleeping_;
        if (stop_) return;
      }
      take();
    }
  }
  std::vector<std::thread> threads_;
  std::mutex mutex_, caller_;
  std::condition_variable wake_, done_;
  const std::function<void(int64_t)>* body_ = nullptr;
  int64_t pieces_ = 0;
  std::atomic<uint64_t> open_{0};
  std::atomic<int64_t> finished_{0};
  std::atomic<int> sleeping_{0};
  std::atomic<bool> waiting_{false};
  bool stop_ = false;
};

inline Pool* pool = nullptr;

}  // namespace engram
