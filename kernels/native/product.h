// Products of spike counts with INT8 weights, exact in int32. Weights lie by input channel: [k][n].
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "pool.h"
#include "spikes.h"

#if defined(__AVX512VNNI__) && defined(__AVX512BW__) && defined(__AVX512VL__)
#include <immintrin.h>
#define ENGRAM_VNNI 1
#elif defined(__AVX2__)
#include <immintrin.h>
#endif

namespace engram {

constexpr int64_t kUnit = 64;  // outputs worked on together

// One token's channels that fire: those with positive, then those with negative counts, |counts| beside them, each
// padded to fours by a channel with count zero. Silent channels are not in it, so nothing of their weights is read.
struct Events {
  std::vector<int32_t> channel;
  std::vector<uint8_t> count;
  int64_t positive = 0;

  Events(const int8_t* low, int64_t k) : channel(k + 8), count(k + 8) {
    int64_t n = 0;
    for (int64_t i = 0; i < k; ++i) {
      channel[n] = int32_t(i);
      count[n] = uint8_t(low[i]);
      n += low[i] > 0;
    }
    n = positive = pad(n);
    for (int64_t i = 0; i < k; ++i) {
      channel[n] = int32_t(i);
      count[n] = uint8_t(-low[i]);
      n += low[i] < 0;
    }
    n = pad(n);
    channel.resize(n);
    count.resize(n);
  }

 private:
  int64_t pad(int64_t n) {
    for (; n % 4; ++n) channel[n] = n > 0 ? channel[n - 1] : 0, count[n] = 0;
    return n;
  }
};

#if defined(ENGRAM_VNNI)

// Weights of four channels (64 outputs each) -> 4 vectors of 16 outputs x 4 channels, in the order of `unpacked`.
inline void interleave(const int8_t* a, const int8_t* b, const int8_t* c, const int8_t* d, __m512i* out) {
  const __m512i va = _mm512_loadu_si512(a), vb = _mm512_loadu_si512(b);
  const __m512i vc = _mm512_loadu_si512(c), vd = _mm512_loadu_si512(d);
  const __m512i ab0 = _mm512_unpacklo_epi8(va, vb), ab1 = _mm512_unpackhi_epi8(va, vb);
  const __m512i cd0 = _mm512_unpacklo_epi8(vc, vd), cd1 = _mm512_unpackhi_epi8(vc, vd);
  out[0] = _mm512_unpacklo_epi16(ab0, cd0);
  out[1] = _mm512_unpackhi_epi16(ab0, cd0);
  out[2] = _mm512_unpacklo_epi16(ab1, cd1);
  out[3] = _mm512_unpackhi_epi16(ab1, cd1);
}

// Vector v, lane l, place p of an interleaved unit is output 16 l + 4 v + p.
inline void store_unit(const __m512i* sums, int32_t* out) {
  ENGRAM_UNROLL
  for (int v = 0; v < 4; ++v)
    ENGRAM_UNROLL
    for (int l = 0; l < 4; ++l) {
      const __m128i four = l == 0   ? _mm512_extracti32x4_epi32(sums[v], 0)
                           : l == 1 ? _mm512_extracti32x4_epi32(sums[v], 1)
                           : l == 2 ? _mm512_extracti32x4_epi32(sums[v], 2)
                                    : _mm512_extracti32x4_epi32(sums[v], 3);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 16 * l + 4 * v), four);
    }
}

constexpr int64_t kAhead = 16;  // events whose weights are asked for in advance

template <int UNITS>
inline void event_units(const Events& events, const int8_t* w, int64_t n, int32_t* out) {
  __m512i sums[UNITS][4];
  ENGRAM_UNROLL
  for (int u = 0; u < UNITS; ++u)
    ENGRAM_UNROLL
    for (int v = 0; v < 4; ++v) sums[u][v] = _mm512_setzero_si512();
  const int64_t total = int64_t(events.channel.size());
  const int32_t* channel = events.channel.data();
  for (int64_t i = 0; i < total; i += 4) {
    if (i == events.positive)
      ENGRAM_UNROLL
      for (int u = 0; u < UNITS; ++u)
        ENGRAM_UNROLL
        for (int v = 0; v < 4; ++v) sums[u][v] = _mm512_sub_epi32(_mm512_setzero_si512(), sums[u][v]);
    int32_t four;
    std::memcpy(&four, events.count.data() + i, 4);
    const __m512i counts = _mm512_set1_epi32(four);
    const int8_t* row[4];
    ENGRAM_UNROLL
    for (int j = 0; j < 4; ++j) row[j] = w + channel[i + j] * n;
    if (i + kAhead < total)
      ENGRAM_UNROLL
      for (int j = 0; j < 4; ++j)
        ENGRAM_UNROLL
        for (int u = 0; u < UNITS; ++u)
          _mm_prefetch(reinterpret_cast<const char*>(w + channel[i + kAhead + j] * n + u * kUnit), _MM_HINT_T0);
    ENGRAM_UNROLL
    for (int u = 0; u < UNITS; ++u) {
      __m512i weights[4];
      interleave(row[0] + u * kUnit, row[1] + u * kUnit, row[2] + u * kUnit, row[3] + u * kUnit, weights);
      ENGRAM_UNROLL
      for (int v = 0; v < 4; ++v) sums[u][v] = _mm512_dpbusd_epi32(sums[u][v], counts, weights[v]);
    }
  }
  // Positive counts come first and were negated with the first negative one, so that one set of sums does.
  const bool negated = events.positive < total;
  ENGRAM_UNROLL
  for (int u = 0; u < UNITS; ++u) {
    ENGRAM_UNROLL
    for (int v = 0; v < 4; ++v)
      sums[u][v] = negated ? _mm512_sub_epi32(_mm512_setzero_si512(), sums[u][v]) : sums[u][v];
    store_unit(sums[u], out + u * kUnit);
  }
}

#endif

// Plain form, for what is left of a row of outputs and for processors without VNNI: out [width] from columns of w.
inline void event_plain(const Events& events, const int8_t* w, int64_t n, int64_t width, int32_t* out) {
  std::fill(out, out + width, 0);
  const int64_t total = int64_t(events.channel.size());
  for (int64_t i = 0; i < total; ++i) {
    const int32_t count = i < events.positive ? events.count[i] : -int32_t(events.count[i]);
    const int8_t* row = w + events.channel[i] * n;
    for (int64_t c = 0; c < width; ++c) out[c] += count * row[c];
  }
}

#if defined(__AVX2__) && !defined(ENGRAM_VNNI)

// Two channels at a time: their weights as pairs of int16, times a pair of counts.
template <int VECTORS>
inline void event_pairs(const Events& events, const int8_t* w, int64_t n, int32_t* out) {
  __m256i low[VECTORS], high[VECTORS];
  for (int v = 0; v < VECTORS; ++v) low[v] = high[v] = _mm256_setzero_si256();
  const int64_t total = int64_t(events.channel.size());
  for (int64_t i = 0; i < total; i += 2) {
    const int32_t sign = i < events.positive ? 1 : -1;
    const uint32_t first = uint16_t(sign * events.count[i]), second = uint16_t(sign * events.count[i + 1]);
    const __m256i counts = _mm256_set1_epi32(int32_t(first | second << 16));
    const int8_t *a = w + events.channel[i] * n, *b = w + events.channel[i + 1] * n;
    for (int v = 0; v < VECTORS; ++v) {
      const __m128i va = _mm_loadu_si128(reinterpret_cast<const __m128i*>(a + 16 * v));
      const __m128i vb = _mm_loadu_si128(reinterpret_cast<const __m128i*>(b + 16 * v));
      const __m256i lower = _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(va, vb));
      const __m256i upper = _mm256_cvtepi8_epi16(_mm_unpackhi_epi8(va, vb));
      low[v] = _mm256_add_epi32(low[v], _mm256_madd_epi16(lower, counts));
      high[v] = _mm256_add_epi32(high[v], _mm256_madd_epi16(upper, counts));
    }
  }
  for (int v = 0; v < VECTORS; ++v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 16 * v), low[v]);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 16 * v + 8), high[v]);
  }
}

#endif

// out [first, last) of one token.
inline void event_range(const Events& events, const int8_t* w, int64_t n, int64_t first, int64_t last, int32_t* out) {
  int64_t c = first;
#if defined(ENGRAM_VNNI)
  for (; c + 4 * kUnit <= last; c += 4 * kUnit) event_units<4>(events, w + c, n, out + c);
  for (; c + kUnit <= last; c += kUnit) event_units<1>(events, w + c, n, out + c);
#elif defined(__AVX2__)
  for (; c + 64 <= last; c += 64) event_pairs<4>(events, w + c, n, out + c);
#endif
  if (c < last) event_plain(events, w + c, n, last - c, out + c);
}

// What bursts add to the sums of a row: 128 * digit * weights of their channel.
inline void add_bursts(const Burst* first, const Burst* last, const int8_t* w, int64_t n, int64_t begin, int64_t end,
                       int32_t* out) {
  for (const Burst* b = first; b != last; ++b) {
    const int32_t worth = 128 * b->digit;
    const int8_t* row = w + b->channel * n;
    for (int64_t c = begin; c < end; ++c) out[c] += worth * row[c];
  }
}

// One token's product: sums [n] of counts `low` [k] and `bursts` with w [k][n], outputs shared among the threads.
inline void event_product(const int8_t* low, const std::vector<Burst>& bursts, const int8_t* w, int64_t k, int64_t n,
                          int32_t* sums) {
  const Events events(low, k);
  const int64_t units = (n + kUnit - 1) / kUnit;
  const int64_t pieces = std::min<int64_t>(units, 2 * pool->threads());
  pool->run(pieces, [&](int64_t piece) {
    const int64_t first = units * piece / pieces * kUnit, last = std::min(n, units * (piece + 1) / pieces * kUnit);
    event_range(events, w, n, first, last, sums);
    add_bursts(bursts.data(), bursts.data() + bursts.size(), w, n, first, last, sums);
  });
}

}  // namespace engram
