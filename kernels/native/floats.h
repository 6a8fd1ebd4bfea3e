// Numbers: e^x and bfloat16.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

// Before loops over vectors that must stay in registers: GCC unrolls others too late to keep their arrays there.
#if defined(__clang__)
#define ENGRAM_UNROLL _Pragma("unroll")
#else
#define ENGRAM_UNROLL _Pragma("GCC unroll 16")
#endif

namespace engram {

using bf16 = uint16_t;

inline bf16 to_bf16(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  return bf16((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

inline float from_bf16(bf16 x) {
  const uint32_t bits = uint32_t(x) << 16;
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

// a * b + c, rounded once where the processor does that; never reordered with others like it then.
inline float add_product(float a, float b, float c) {
#ifdef FP_FAST_FMAF
  return std::fma(a, b, c);
#else
  return a * b + c;
#endif
}

// e^x for x <= 88, relative error below 2e-7 (Cephes polynomial); branch-free so that loops over it vectorise.
inline float exponential(float x) {
  x = std::max(x, -87.0f);
  const float n = nearbyintf(x * 1.44269504f);
  float r = x - n * 0.693359375f;
  r += n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const int32_t bits = (static_cast<int32_t>(n) + 127) << 23;
  float power;
  std::memcpy(&power, &bits, 4);
  return p * power;
}

}  // namespace engram
