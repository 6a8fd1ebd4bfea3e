// Window attention with AVX-512 BF16.
#pragma once

#include <vector>

#include "attention_few.h"

#if defined(ENGRAM_ATTENTION)

namespace engram {

constexpr int kTile = 6;    // query rows worked on together
constexpr int kGroup = 16;  // keys in one vector

// Keys [n, d] -> [n / 16][d / 2][16][2]; values [n, d] -> [n / 2][d][2]; rows past n are zero.
inline void pack_keys(const bf16* k, int64_t n, int64_t d, int64_t group, bf16* out) {
  for (int64_t pair = 0; pair < d / 2; ++pair)
    for (int64_t j = 0; j < kGroup; ++j) {
      const int64_t key = group * kGroup + j;
      for (int64_t h = 0; h < 2; ++h) *out++ = key < n ? k[key * d + 2 * pair + h] : 0;
    }
}

inline void pack_values(const bf16* v, int64_t n, int64_t d, int64_t pair, bf16* out) {
  for (int64_t i = 0; i < d; ++i)
    for (int64_t h = 0; h < 2; ++h) *out++ = 2 * pair + h < n ? v[(2 * pair + h) * d + i] : 0;
}

template <int GROUPS>
[[gnu::noinline]] inline void scores_tile(const bf16* const* q, const bf16* packed, int64_t d, float* out, int64_t stride) {
  __m512 acc[kTile][GROUPS];
  ENGRAM_UNROLL
  for (int r = 0; r < kTile; ++r)
    ENGRAM_UNROLL
    for (int g = 0; g < GROUPS; ++g) acc[r][g] = _mm512_setzero_ps();
  const int64_t pairs = d / 2;
  for (int64_t p = 0; p < pairs; ++p) {
    __m512i keys[GROUPS];
    ENGRAM_UNROLL
    for (int g = 0; g < GROUPS; ++g) keys[g] = _mm512_loadu_si512(packed + (g * pairs + p) * 2 * kGroup);
    ENGRAM_UNROLL
    for (int r = 0; r < kTile; ++r) {
      int32_t two;
      std::memcpy(&two, q[r] + 2 * p, 4);
      const __m512i query = _mm512_set1_epi32(two);
      ENGRAM_UNROLL
      for (int g = 0; g < GROUPS; ++g) multiply_add(acc[r][g], query, keys[g]);
    }
  }
  ENGRAM_UNROLL
  for (int r = 0; r < kTile; ++r)
    ENGRAM_UNROLL
    for (int g = 0; g < GROUPS; ++g) _mm512_storeu_ps(out + r * stride + g * kGroup, acc[r][g]);
}

// out [kTile][d], channels c to c + 16 LANES, += weights [kTile][2 pairs] x values [pairs][d][2].
template <int LANES>
[[gnu::noinline]] inline void mix_lanes(const bf16* weights, int64_t stride, const bf16* values, int64_t pairs, int64_t d, float* out) {
  __m512 acc[kTile][LANES];
  ENGRAM_UNROLL
  for (int r = 0; r < kTile; ++r)
    ENGRAM_UNROLL
    for (int i = 0; i < LANES; ++i) acc[r][i] = _mm512_loadu_ps(out + r * d + i * 16);
  for (int64_t p = 0; p < pairs; ++p) {
    __m512i v[LANES];
    ENGRAM_UNROLL
    for (int i = 0; i < LANES; ++i) v[i] = _mm512_loadu_si512(values + p * d * 2 + i * 32);
    ENGRAM_UNROLL
    for (int r = 0; r < kTile; ++r) {
      int32_t two;
      std::memcpy(&two, weights + r * stride + 2 * p, 4);
      const __m512i w = _mm512_set1_epi32(two);
      ENGRAM_UNROLL
      for (int i = 0; i < LANES; ++i) multiply_add(acc[r][i], w, v[i]);
    }
  }
  ENGRAM_UNROLL
  for (int r = 0; r < kTile; ++r)
    ENGRAM_UNROLL
    for (int i = 0; i < LANES; ++i) _mm512_storeu_ps(out + r * d + i * 16, acc[r][i]);
}

inline void mix_tile(const bf16* weights, int64_t stride, const bf16* values, int64_t pairs, int64_t d, float* out) {
  int64_t c = 0;
  for (; c + 64 <= d; c += 64) mix_lanes<4>(weights, stride, values + 2 * c, pairs, d, out + c);
  for (; c < d; c += 16) mix_lanes<1>(weights, stride, values + 2 * c, pairs, d, out + c);
}

// q, q_plain float32 [heads, t, d] (q rotated, q_plain not; strides in elements), k, v bf16 [kv, n, d], sinks bf16
// [kv, amount <= 16, d] or null. Queries are the last t of the n keys; `position` is the first query's place in the
// context. out float32 [t, heads, d]. See window_attention_reference.
inline void window_attention(const float* q, int64_t q_head, int64_t q_row, const float* q_plain, int64_t plain_head,
                             int64_t plain_row, const bf16* k, int64_t k_head, const bf16* v, int64_t v_head,
                             const bf16* sink_k, const bf16* sink_v, int64_t amount, int64_t heads, int64_t kv,
                             int64_t t, int64_t n, int64_t d, int64_t left, int64_t position, float* out) {
  if (t <= kFew) {
    attend_few(q, q_head, q_row, q_plain, plain_head, plain_row, k, k_head, v, v_head, sink_k, sink_v, amount, heads,
               kv, t, n, d, left, position, out);
    return;
  }
  const int64_t group = heads / kv, groups = (n + kGroup - 1) / kGroup;
  const int64_t packed_size = groups * kGroup * d;
  std::vector<bf16> keys(kv * packed_size), values(kv * packed_size), sink_keys(kv * kGroup * d), sink_values(kv * kGroup * d);
  pool->run(kv * groups, [&](int64_t i) {
    const int64_t head = i / groups, g = i % groups;
    pack_keys(k + head * k_head, n, d, g, keys.data() + head * packed_size + g * kGroup * d);
    for (int64_t p = g * kGroup / 2; p < (g + 1) * kGroup / 2; ++p)
      pack_values(v + head * v_head, n, d, p, values.data() + head * packed_size + p * 2 * d);
  });
  if (amount > 0)
    for (int64_t head = 0; head < kv; ++head) {
      pack_keys(sink_k + head * amount * d, amount, d, 0, sink_keys.data() + head * kGroup * d);
      for (int64_t p = 0; p < kGroup / 2; ++p)
        pack_values(sink_v + head * amount * d, amount, d, p, sink_values.data() + head * kGroup * d + p * 2 * d);
    }
  const float scale = 1.0f / std::sqrt(float(d));
  const int64_t rows = t * group, tiles = (rows + kTile - 1) / kTile;
  constexpr int64_t kPiece = 8;  // row tiles a piece of work holds
  const int64_t pieces = (tiles + kPiece - 1) / kPiece;
  pool->run(kv * pieces, [&](int64_t piece) {
    const int64_t head = piece / pieces;
    const int64_t stop = std::min(tiles, (piece % pieces + 1) * kPiece);
    std::vector<float> scores, mixed(kTile * d);
    std::vector<bf16> weights, queries(kTile * d), plain(kTile * d);
    for (int64_t tile = piece % pieces * kPiece; tile < stop; ++tile) {
      const bf16* row_q[kTile];
      const bf16* row_plain[kTile];
      int64_t place[kTile];
      for (int r = 0; r < kTile; ++r) {
        // Row = query * group + head in group; rows past the end repeat the last one and are not written.
        const int64_t row = std::min(tile * kTile + r, rows - 1);
        const int64_t query = row / group, h = head * group + row % group;
        place[r] = query;
        for (int64_t i = 0; i < d; ++i) queries[r * d + i] = to_bf16(q[h * q_head + query * q_row + i] * scale);
        if (amount > 0)
          for (int64_t i = 0; i < d; ++i)
            plain[r * d + i] = to_bf16(q_plain[h * plain_head + query * plain_row + i] * scale);
        row_q[r] = queries.data() + r * d;
        row_plain[r] = plain.data() + r * d;
      }
      const int64_t offset = n - t;
      const int64_t low = left >= 0 ? std::max<int64_t>(0, place[0] + offset - left) : 0;
      const int64_t first_group = low / kGroup, last_group = (place[kTile - 1] + offset) / kGroup + 1;
      const int64_t width = (last_group - first_group) * kGroup, stride = width + kGroup;
      scores.resize(kTile * stride);
      weights.resize(kTile * stride);
      const bf16* packed = keys.data() + head * packed_size;
      int64_t g = first_group;
      for (; g + 4 <= last_group; g += 4)
        scores_tile<4>(row_q, packed + g * kGroup * d, d, scores.data() + (g - first_group) * kGroup, stride);
      for (; g < last_group; ++g)
        scores_tile<1>(row_q, packed + g * kGroup * d, d, scores.data() + (g - first_group) * kGroup, stride);
      const bool shown = amount > 0 && position + place[kTile - 1] > left;
      if (shown) scores_tile<1>(row_plain, sink_keys.data() + head * kGroup * d, d, scores.data() + width, stride);
      float sums[kTile];
      for (int r = 0; r < kTile; ++r) {
        const float* s = scores.data() + r * stride;
        bf16* w = weights.data() + r * stride;
        const int64_t own = place[r] + offset;
        const int64_t first = (left >= 0 ? std::max<int64_t>(0, own - left) : 0) - first_group * kGroup;
        const int64_t last = own + 1 - first_group * kGroup;
        const int64_t behind = shown ? std::clamp<int64_t>(position + place[r] - left, 0, amount) : 0;
        const float top = std::max(highest_of(s, first, last), highest_of(s + width, 0, behind));
        sums[r] = exponentials(s, first, last, width, top, w);
        if (shown) sums[r] += exponentials(s + width, 0, behind, kGroup, top, w + width);
      }
      std::fill(mixed.begin(), mixed.end(), 0.0f);
      mix_tile(weights.data(), stride, values.data() + head * packed_size + first_group * kGroup * d, width / 2, d,
               mixed.data());
      if (shown)
        mix_tile(weights.data() + width, stride, sink_values.data() + head * kGroup * d, kGroup / 2, d, mixed.data());
      for (int r = 0; r < kTile && tile * kTile + r < rows; ++r) {
        const int64_t h = head * group + (tile * kTile + r) % group;
        float* target = out + (place[r] * heads + h) * d;
        for (int64_t i = 0; i < d; ++i) target[i] = mixed[r * d + i] / sums[r];
      }
    }
  });
}

}  // namespace engram

#endif
