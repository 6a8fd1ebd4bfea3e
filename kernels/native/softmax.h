// Steps of softmax attention with AVX-512 BF16.
#pragma once

#include "floats.h"

#if defined(__AVX512BF16__) && defined(__AVX512VL__) && defined(__AVX512DQ__)
#include <immintrin.h>
#define ENGRAM_ATTENTION 1

namespace engram {

constexpr float kLowest = -3.0e38f;

// e^x for x <= 0, to 3e-06 of itself: it is rounded to 2^-9 next.
inline __m512 exp512(__m512 x) {
  const __m512 log2e = _mm512_set1_ps(1.44269504f), magic = _mm512_set1_ps(12582912.0f);
  x = _mm512_max_ps(x, _mm512_set1_ps(-87.0f));
  // Adding 1.5 * 2^23 leaves the rounded exponent in the lowest bits of the sum.
  const __m512 sum = _mm512_fmadd_ps(x, log2e, magic);
  const __m512 f = _mm512_fmsub_ps(x, log2e, _mm512_sub_ps(sum, magic));
  __m512 p = _mm512_set1_ps(9.666368515e-03f);
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(5.592197584e-02f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(2.402234904e-01f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(6.931210452e-01f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.000000000e+00f));
  const __m512i exponent = _mm512_slli_epi32(_mm512_castps_si512(sum), 23);
  return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(p), exponent));
}

// sum += a times b, by pairs. As an instruction: GCC 12 keeps copies of the intrinsic's operands and spills.
inline void multiply_add(__m512& sum, __m512i a, __m512i b) {
  asm("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
}

// exp(s - top) of scores [first, last) as bf16 into w, zeros elsewhere in [0, width); returns their sum.
inline float exponentials(const float* s, int64_t first, int64_t last, int64_t width, float top, bf16* w) {
  __m512 total = _mm512_setzero_ps();
  const __m512 highest = _mm512_set1_ps(top);
  const auto sixteen = [&](int64_t c, __mmask16 seen) {
    const __m512 e = _mm512_maskz_mov_ps(seen, exp512(_mm512_sub_ps(_mm512_loadu_ps(s + c), highest)));
    const __m256i rounded = (__m256i)_mm512_cvtneps_pbh(e);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(w + c), rounded);
    // The sum is of what is multiplied: the rounded weights.
    total = _mm512_add_ps(total, _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(rounded), 16)));
  };
  for (int64_t c = 0; c < width; c += 16) {
    if (c >= first && c + 16 <= last) {
      sixteen(c, 0xffff);
    } else {
      const int64_t low = std::clamp<int64_t>(first - c, 0, 16), high = std::clamp<int64_t>(last - c, 0, 16);
      sixteen(c, __mmask16((1u << high) - 1) & __mmask16(~((1u << low) - 1)));
    }
  }
  return _mm512_reduce_add_ps(total);
}

inline float highest_of(const float* s, int64_t first, int64_t last) {
  float top = kLowest;
  for (int64_t i = first; i < last; ++i) top = std::max(top, s[i]);
  return top;
}

}  // namespace engram

#endif
