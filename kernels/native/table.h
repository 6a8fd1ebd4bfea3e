// Products with a table whose rows are outputs, and which is read whole.
#pragma once

#include <vector>

#include "product.h"

namespace engram {

#if defined(ENGRAM_VNNI)

// One output's dot products with TOKENS tokens' counts, raised by 128 and padded to 64 (`stride` from token to token).
template <int TOKENS>
inline void row_dots(const int8_t* w, const uint8_t* raised, int64_t stride, int64_t k, int64_t n, int32_t* sums) {
  __m512i plus[TOKENS], minus = _mm512_setzero_si512();
  for (auto& p : plus) p = _mm512_setzero_si512();
  const __m512i raise = _mm512_set1_epi8(-128);
  for (int64_t i = 0; i < k; i += 64) {
    const __mmask64 there = k - i >= 64 ? ~__mmask64(0) : (__mmask64(1) << (k - i)) - 1;
    const __m512i weights = _mm512_maskz_loadu_epi8(there, w + i);
    minus = _mm512_dpbusd_epi32(minus, raise, weights);
    for (int j = 0; j < TOKENS; ++j)
      plus[j] = _mm512_dpbusd_epi32(plus[j], _mm512_loadu_si512(raised + j * stride + i), weights);
  }
  for (int j = 0; j < TOKENS; ++j) sums[j * n] = _mm512_reduce_add_epi32(_mm512_sub_epi32(plus[j], minus));
}

#endif

// sums [t][n] of counts `low` [t][k] and their bursts with weights by output, [n][k]: for a table whose rows are also
// looked up, and which is read whole anyway.
inline void rows_product(const int8_t* low, const std::vector<Burst>& bursts, const int8_t* w, int64_t t, int64_t k,
                         int64_t n, int32_t* sums) {
  constexpr int64_t kOutputs = 512;  // outputs a piece of work holds
#if defined(ENGRAM_VNNI)
  const int64_t stride = (k + 63) / 64 * 64;
  std::vector<uint8_t> raised(t * stride);
  for (int64_t token = 0; token < t; ++token)
    for (int64_t i = 0; i < k; ++i) raised[token * stride + i] = uint8_t(low[token * k + i]) ^ 0x80;
#endif
  pool->run((n + kOutputs - 1) / kOutputs, [&](int64_t piece) {
    for (int64_t i = piece * kOutputs; i < std::min(n, (piece + 1) * kOutputs); ++i) {
      int64_t token = 0;
#if defined(ENGRAM_VNNI)
      const uint8_t* counts = raised.data();
      for (; token + 4 <= t; token += 4) row_dots<4>(w + i * k, counts + token * stride, stride, k, n, sums + token * n + i);
      for (; token < t; ++token) row_dots<1>(w + i * k, counts + token * stride, stride, k, n, sums + token * n + i);
#endif
      for (; token < t; ++token) {
        int32_t total = 0;
        for (int64_t c = 0; c < k; ++c) total += int32_t(low[token * k + c]) * w[i * k + c];
        sums[token * n + i] = total;
      }
      for (const Burst& b : bursts) sums[b.row * n + i] += 128 * b.digit * w[i * k + b.channel];
    }
  });
}

}  // namespace engram
