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

constexpr int64_t kTogether = 8;  // events worked on together

// One token's channels that fire, in order, with their counts; filled up by a channel with count zero. Silent channels
// are not in it, so nothing of their weights is read.
struct Events {
  std::vector<int32_t> channel;
  std::vector<int8_t> count;
  int32_t sum = 0;  // of the counts

  Events(const int8_t* low, int64_t k) : channel(k + kTogether), count(k + kTogether) {
    int64_t n = 0;
    for (int64_t i = 0; i < k; ++i) {
      channel[n] = int32_t(i);
      count[n] = low[i];
      n += low[i] != 0;
      sum += low[i];
    }
    for (; n % kTogether; ++n) channel[n] = channel[n - 1], count[n] = 0;
    channel.resize(n);
    count.resize(n);
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

struct alignas(64) Lanes {
  int32_t value[16];
  __m512i load() const { return _mm512_load_si512(value); }
  void store(__m512i given) { _mm512_store_si512(value, given); }
};

// sums [units][4] (interleaved) += the counts of events [first, last) times their weights raised by 128 (the product
// wants one side unsigned). Rows are read whole, so that memory streams and a page is used up before the next. Those
// worked on next are asked for into the second cache, which waits for more of them at a time than the first.
inline void add_events(const Events& events, int64_t first, int64_t last, const int8_t* w, int64_t n, Lanes* sums) {
  const int64_t total = int64_t(events.channel.size()), units = n / kUnit;
  const __m512i raise = _mm512_set1_epi8(-128);
  for (int64_t i = first; i < last; i += kTogether) {
    int32_t fours[2];
    std::memcpy(fours, events.count.data() + i, kTogether);
    const __m512i counts = _mm512_set1_epi32(fours[0]), more = _mm512_set1_epi32(fours[1]);
    const int32_t* channel = events.channel.data() + i;
    const int32_t* next = channel + (i + kTogether < total ? kTogether : 0);
    const int8_t *row[kTogether], *ahead[kTogether];
    ENGRAM_UNROLL
    for (int j = 0; j < kTogether; ++j) row[j] = w + channel[j] * n, ahead[j] = w + next[j] * n;
    for (int64_t c = 0; c < units * kUnit; c += kUnit) {
      ENGRAM_UNROLL
      for (int j = 0; j < kTogether; ++j) _mm_prefetch(reinterpret_cast<const char*>(ahead[j] + c), _MM_HINT_T1);
      __m512i weights[4], others[4];
      interleave(row[0] + c, row[1] + c, row[2] + c, row[3] + c, weights);
      interleave(row[4] + c, row[5] + c, row[6] + c, row[7] + c, others);
      Lanes* const sum = sums + c / 16;
      ENGRAM_UNROLL
      for (int v = 0; v < 4; ++v) {
        const __m512i half = _mm512_dpbusd_epi32(sum[v].load(), _mm512_xor_si512(weights[v], raise), counts);
        sum[v].store(_mm512_dpbusd_epi32(half, _mm512_xor_si512(others[v], raise), more));
      }
    }
  }
}

// Events shared among the threads; each piece has sums of its own, which are added up in the end.
inline void event_units(const Events& events, const int8_t* w, int64_t n, int32_t* out) {
  constexpr int64_t kLeast = 8;  // steps a piece of work holds at least
  const int64_t steps = int64_t(events.channel.size()) / kTogether, vectors = n / kUnit * 4;
  const int64_t pieces = std::max<int64_t>(1, std::min<int64_t>(steps / kLeast, 2 * pool->threads()));
  thread_local std::vector<Lanes> held;
  if (int64_t(held.size()) < pieces * vectors) held.resize(pieces * vectors);
  Lanes* const sums = held.data();
  pool->run(pieces, [&](int64_t piece) {
    Lanes* const own = sums + piece * vectors;
    std::fill(own, own + vectors, Lanes{});
    const int64_t first = steps * piece / pieces, last = steps * (piece + 1) / pieces;
    add_events(events, first * kTogether, last * kTogether, w, n, own);
  });
  const __m512i start = _mm512_set1_epi32(-128 * events.sum);
  for (int64_t v = 0; v < vectors; v += 4) {
    __m512i unit[4];
    for (int64_t j = 0; j < 4; ++j) {
      unit[j] = start;
      for (int64_t piece = 0; piece < pieces; ++piece)
        unit[j] = _mm512_add_epi32(unit[j], sums[piece * vectors + v + j].load());
    }
    store_unit(unit, out + v * 16);
  }
}

#endif

// Plain form, for what is left of a row of outputs and for processors without VNNI: out [width] from columns of w.
inline void event_plain(const Events& events, const int8_t* w, int64_t n, int64_t width, int32_t* out) {
  std::fill(out, out + width, 0);
  const int64_t total = int64_t(events.channel.size());
  for (int64_t i = 0; i < total; ++i) {
    const int32_t count = events.count[i];
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
    const uint32_t first = uint16_t(events.count[i]), second = uint16_t(events.count[i + 1]);
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

// What bursts add to the sums of a row: 128 * digit * weights of their channel.
inline void add_bursts(const std::vector<Burst>& bursts, const int8_t* w, int64_t n, int32_t* out) {
  for (const Burst& b : bursts) {
    const int32_t worth = 128 * b.digit;
    const int8_t* row = w + b.channel * n;
    for (int64_t c = 0; c < n; ++c) out[c] += worth * row[c];
  }
}

// One token's product: sums [n] of counts `low` [k] and `bursts` with w [k][n].
inline void event_product(const int8_t* low, const std::vector<Burst>& bursts, const int8_t* w, int64_t k, int64_t n,
                          int32_t* sums) {
  const Events events(low, k);
#if defined(ENGRAM_VNNI)
  event_units(events, w, n, sums);
  const int64_t done = n / kUnit * kUnit;
  if (done < n) event_plain(events, w + done, n, n - done, sums + done);
#else
  const int64_t units = (n + kUnit - 1) / kUnit, pieces = std::min<int64_t>(units, 2 * pool->threads());
  pool->run(pieces, [&](int64_t piece) {
    int64_t c = units * piece / pieces * kUnit;
    const int64_t last = std::min(n, units * (piece + 1) / pieces * kUnit);
#if defined(__AVX2__)
    for (; c + kUnit <= last; c += kUnit) event_pairs<kUnit / 16>(events, w + c, n, sums + c);
#endif
    if (c < last) event_plain(events, w + c, n, last - c, sums + c);
  });
#endif
  add_bursts(bursts, w, n, sums);
}

}  // namespace engram
