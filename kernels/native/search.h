// Exhaustive search of binary codes.
#pragma once

#include <cstdint>

#include "pool.h"

namespace engram {

inline void hamming(const uint64_t* codes, const uint64_t* query, int64_t n, int64_t words, int32_t* distances) {
  constexpr int64_t kCodes = 4096;  // codes a piece of work holds
  pool->run((n + kCodes - 1) / kCodes, [&](int64_t piece) {
    const int64_t last = std::min(n, (piece + 1) * kCodes);
    for (int64_t i = piece * kCodes; i < last; ++i) {
      const uint64_t* code = codes + i * words;
      int64_t bits = 0;
      for (int64_t j = 0; j < words; ++j) bits += __builtin_popcountll(code[j] ^ query[j]);
      distances[i] = int32_t(bits);
    }
  });
}

}  // namespace engram
