// Products with a table whose rows are outputs, and which is read whole.
#pragma once

#include <cstring>
#include <vector>

#include "product.h"

namespace engram {

// Counts of t tokens for `row_dots`, their k channels in `groups` of one size.
struct Counts {
  int64_t size, groups, stride;
  const int8_t* low;

#if defined(ENGRAM_VNNI)
  // The product wants one side unsigned, so weights are raised by 128, and sums start from -128 times the counts' sum.
  // A vector may be read from any place.
  std::vector<int8_t> padded;
  std::vector<int32_t> start;

  Counts(const int8_t* given, int64_t t, int64_t k, int64_t groups)
      : size(k / groups), groups(groups), stride(k + 64), padded(t * stride), start(t * groups) {
    for (int64_t token = 0; token < t; ++token) std::memcpy(padded.data() + token * stride, given + token * k, k);
    for (int64_t i = 0; i < t * groups; ++i) {
      int32_t sum = 0;
      for (int64_t j = 0; j < size; ++j) sum += given[i * size + j];
      start[i] = -128 * sum;
    }
    low = padded.data();
  }
#else
  Counts(const int8_t* given, int64_t, int64_t k, int64_t groups)
      : size(k / groups), groups(groups), stride(k), low(given) {}
#endif
};

// sums [j * n] of the products of one group's weights with the counts of TOKENS tokens, from `token` on.
template <int TOKENS>
inline void row_dots(const int8_t* w, const Counts& counts, int64_t token, int64_t group, int64_t n, int32_t* sums) {
  const int8_t* low = counts.low + token * counts.stride + group * counts.size;
#if defined(ENGRAM_VNNI)
  const __m512i raise = _mm512_set1_epi8(-128);
  __m512i found[TOKENS];
  for (auto& f : found) f = _mm512_setzero_si512();
  const auto add = [&](__m512i weights, int64_t i) {
    const __m512i raised = _mm512_xor_si512(weights, raise);
    for (int j = 0; j < TOKENS; ++j)
      found[j] = _mm512_dpbusd_epi32(found[j], raised, _mm512_loadu_si512(low + j * counts.stride + i));
  };
  int64_t i = 0;
  for (; i + 64 <= counts.size; i += 64) add(_mm512_loadu_si512(w + i), i);
  // Weights that are not there become -128, raised 0.
  if (i < counts.size) add(_mm512_mask_loadu_epi8(raise, (__mmask64(1) << (counts.size - i)) - 1, w + i), i);
  for (int j = 0; j < TOKENS; ++j)
    sums[j * n] = _mm512_reduce_add_epi32(found[j]) + counts.start[(token + j) * counts.groups + group];
#else
  for (int j = 0; j < TOKENS; ++j) {
    int32_t total = 0;
    for (int64_t i = 0; i < counts.size; ++i) total += int32_t(low[j * counts.stride + i]) * w[i];
    sums[j * n] = total;
  }
#endif
}

// sums [t][n] of counts `low` [t][k] and their bursts with weights by output, [n][k]: for a table whose rows are also
// looked up, and which is read whole anyway.
inline void rows_product(const int8_t* low, const std::vector<Burst>& bursts, const int8_t* w, int64_t t, int64_t k,
                         int64_t n, int32_t* sums) {
  constexpr int64_t kOutputs = 512;  // outputs a piece of work holds
  const Counts counts(low, t, k, 1);
  pool->run((n + kOutputs - 1) / kOutputs, [&](int64_t piece) {
    for (int64_t i = piece * kOutputs; i < std::min(n, (piece + 1) * kOutputs); ++i) {
      int64_t token = 0;
      for (; token + 4 <= t; token += 4) row_dots<4>(w + i * k, counts, token, 0, n, sums + token * n + i);
      for (; token < t; ++token) row_dots<1>(w + i * k, counts, token, 0, n, sums + token * n + i);
      for (const Burst& b : bursts) sums[b.row * n + i] += 128 * b.digit * w[i * k + b.channel];
    }
  });
}

}  // namespace engram
