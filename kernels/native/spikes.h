// Activations as integer spike counts: one row (token) at a time.
#pragma once

#include <cstdint>
#include <vector>

#include "floats.h"

namespace engram {

// A count beyond INT8 at `channel`: `digit` times 128 goes with the low digit.
struct Burst {
  int32_t row, channel, digit;
};

inline float clip_threshold(float vth) { return std::min(std::max(vth, 1e-5f), 1e4f); }

// Counts n = round(x * factor) of one row; |n| <= 127 as it is, else its low base-128 digit and a call of `burst`.
template <class OnBurst>
inline void encode_row(const float* x, int64_t k, float factor, int8_t* low, const OnBurst& burst) {
  float highest = 0.0f;
  for (int64_t i = 0; i < k; ++i) {
    const float n = nearbyintf(x[i] * factor);
    highest = std::max(highest, std::fabs(n));
    const float digit = std::fabs(n) > 127.0f ? n - 128.0f * nearbyintf(n * (1.0f / 128.0f)) : n;
    low[i] = static_cast<int8_t>(static_cast<int32_t>(digit));
  }
  if (highest <= 127.0f) return;
  for (int64_t i = 0; i < k; ++i) {
    const float n = nearbyintf(x[i] * factor);
    if (std::fabs(n) > 127.0f) burst(i, int32_t(nearbyintf(n / 128.0f)));
  }
}

// The threshold and counts of a row `x` [k]; with `weight` [k] an RMSNorm comes first, whose product stands in `shaped`.
template <class OnBurst>
inline float code_row(const float* x, const float* weight, float eps, float factor, int64_t k, float* shaped,
                      int8_t* low, const OnBurst& burst) {
  float squares = 0.0f, total = 0.0f, inverse = 1.0f;
  if (weight != nullptr) {
    for (int64_t i = 0; i < k; ++i) {
      squares += x[i] * x[i];
      shaped[i] = x[i] * weight[i];
      total += std::fabs(shaped[i]);
    }
    inverse = 1.0f / std::sqrt(squares / float(k) + eps);
    x = shaped;
  } else {
    for (int64_t i = 0; i < k; ++i) total += std::fabs(x[i]);
  }
  const float vth = clip_threshold(total / float(k) / factor * inverse);
  encode_row(x, k, inverse / vth, low, burst);
  return vth;
}

// silu(gate) * up of one row of sums [2 inner], spike-coded; the values stand in `active` [inner].
template <class OnBurst>
inline float code_gated_row(const int32_t* sums, const float* scale, float vth_in, float factor, int64_t inner,
                            float* active, int8_t* low, const OnBurst& burst) {
  const int32_t* up = sums + inner;
  float total = 0.0f;
  for (int64_t i = 0; i < inner; ++i) {
    const float g = float(sums[i]) * scale[i] * vth_in;
    const float u = float(up[i]) * scale[inner + i] * vth_in;
    active[i] = g / (1.0f + exponential(-std::max(g, -80.0f))) * u;
    total += std::fabs(active[i]);
  }
  const float vth = clip_threshold(total / float(inner) / factor);
  encode_row(active, inner, 1.0f / vth, low, burst);
  return vth;
}

// What a sample of inputs fired: places (token, channel), spikes (set bits of |count|) and silent places.
struct Tally {
  int64_t places, spikes, silent;
};

inline void tally_row(const int8_t* low, int64_t k, const Burst* first, const Burst* last, Tally& tally) {
  int32_t spikes = 0, silent = 0;
  for (int64_t i = 0; i < k; ++i) {
    uint8_t v = uint8_t(low[i] < 0 ? -low[i] : low[i]);
    silent += v == 0;
    v = v - ((v >> 1) & 0x55);
    v = (v & 0x33) + ((v >> 2) & 0x33);
    spikes += (v + (v >> 4)) & 0x0f;
  }
  for (const Burst* b = first; b != last; ++b) {
    const int32_t small = low[b->channel], whole = small + 128 * b->digit;
    spikes += __builtin_popcount(uint32_t(std::abs(whole))) - __builtin_popcount(uint32_t(std::abs(small)));
    silent -= small == 0;
  }
  tally.places += k;
  tally.spikes += spikes;
  tally.silent += silent;
}

}  // namespace engram
