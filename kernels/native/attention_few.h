// Window attention of a few queries: keys and values are used where they lie, packing them would not pay.
#pragma once

#include <vector>

#include "pool.h"
#include "softmax.h"

#if defined(ENGRAM_ATTENTION)

namespace engram {

constexpr int64_t kFew = 4;  // queries up to which packing does not pay

// Product of a query and a key, both bf16 [d].
inline float dot(const bf16* q, const bf16* k, int64_t d) {
  __m512 total = _mm512_setzero_ps();
  for (int64_t i = 0; i < d; i += 32) {
    const __mmask32 there = d - i >= 32 ? ~__mmask32(0) : (__mmask32(1) << (d - i)) - 1;
    multiply_add(total, _mm512_maskz_loadu_epi16(there, q + i), _mm512_maskz_loadu_epi16(there, k + i));
  }
  return _mm512_reduce_add_ps(total);
}

// out [16 LANES] += sum of weights [n] times rows [n][d] of values (their channels from the first on).
template <int LANES>
inline void mix_rows(const bf16* weights, const bf16* values, int64_t n, int64_t d, float* out) {
  __m512 sums[LANES];
  ENGRAM_UNROLL
  for (int i = 0; i < LANES; ++i) sums[i] = _mm512_loadu_ps(out + 16 * i);
  for (int64_t j = 0; j < n; ++j) {
    const __m512 w = _mm512_set1_ps(from_bf16(weights[j]));
    ENGRAM_UNROLL
    for (int i = 0; i < LANES; ++i) {
      const __m256i half = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(values + j * d + 16 * i));
      const __m512 v = _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
      sums[i] = _mm512_fmadd_ps(w, v, sums[i]);
    }
  }
  ENGRAM_UNROLL
  for (int i = 0; i < LANES; ++i) _mm512_storeu_ps(out + 16 * i, sums[i]);
}

inline void mix_few(const bf16* weights, const bf16* values, int64_t n, int64_t d, float* out) {
  int64_t c = 0;
  for (; c + 64 <= d; c += 64) mix_rows<4>(weights, values + c, n, d, out + c);
  for (; c < d; c += 16) mix_rows<1>(weights, values + c, n, d, out + c);
}

inline void attend_few(const float* q, int64_t q_head, int64_t q_row, const float* q_plain, int64_t plain_head,
                int64_t plain_row, const bf16* k, int64_t k_head, const bf16* v, int64_t v_head, const bf16* sink_k,
                const bf16* sink_v, int64_t amount, int64_t heads, int64_t kv, int64_t t, int64_t n, int64_t d,
                int64_t left, int64_t position, float* out) {
  const int64_t group = heads / kv;
  const float scale = 1.0f / std::sqrt(float(d));
  pool->run(heads * t, [&](int64_t piece) {
    const int64_t h = piece / t, query = piece % t, head = h / group, own = query + n - t;
    const int64_t first = left >= 0 ? std::max<int64_t>(0, own - left) : 0;
    const int64_t behind = amount > 0 && left >= 0 ? std::clamp<int64_t>(position + query - left, 0, amount) : 0;
    const int64_t seen = own + 1 - first + behind, width = (seen + 15) / 16 * 16;
    std::vector<float> mixed(d), scores(width);
    std::vector<bf16> a(d), b(d), weights(width);
    for (int64_t i = 0; i < d; ++i) a[i] = to_bf16(q[h * q_head + query * q_row + i] * scale);
    if (behind > 0)
      for (int64_t i = 0; i < d; ++i) b[i] = to_bf16(q_plain[h * plain_head + query * plain_row + i] * scale);
    const bf16 *keys = k + head * k_head + first * d, *values = v + head * v_head + first * d;
    for (int64_t i = 0; i < behind; ++i) scores[i] = dot(b.data(), sink_k + (head * amount + i) * d, d);
    for (int64_t j = behind; j < seen; ++j) scores[j] = dot(a.data(), keys + (j - behind) * d, d);
    const float top = highest_of(scores.data(), 0, seen);
    const float total = exponentials(scores.data(), 0, seen, width, top, weights.data());
    if (behind > 0) mix_few(weights.data(), sink_v + head * amount * d, behind, d, mixed.data());
    mix_few(weights.data() + behind, values, seen - behind, d, mixed.data());
    float* target = out + (query * heads + h) * d;
    for (int64_t i = 0; i < d; ++i) target[i] = mixed[i] / total;
  });
}

}  // namespace engram

#endif
