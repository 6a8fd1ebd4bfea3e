// Whole linear layers of a spiking decoder: encode, multiply, and what comes after, without a round trip to memory.
#pragma once

#include <vector>

#include "matrix.h"

namespace engram {

constexpr int64_t kFewTokens = 2;   // up to here the weights of silent channels are skipped, one token at a time
constexpr int64_t kTallied = 32;    // every 32nd token's spikes are counted
constexpr int64_t kBlockRows = 48;  // tokens a thread takes through a layer together: their sums stay in its cache

// A linear layer's weights [k][n], scale [n].
struct Weights {
  const int8_t* codes;
  const float* scale;
  int64_t k, n;
};

// What turns a row of activations into counts: an RMSNorm first if `norm` is given.
struct Coding {
  const float* norm;
  float eps, factor;
};

// A buffer of this thread, kept from call to call; contents are left over.
template <class T, int SLOT>
T* scratch(int64_t count) {
  thread_local std::vector<T> held;
  if (int64_t(held.size()) < count) held.resize(count);
  return held.data();
}

inline void dequantize_row(const int32_t* sums, const float* scale, float vth, int64_t n, bool add, float* out) {
  if (add) {
    for (int64_t i = 0; i < n; ++i) out[i] += float(sums[i]) * scale[i] * vth;
  } else {
    for (int64_t i = 0; i < n; ++i) out[i] = float(sums[i]) * scale[i] * vth;
  }
}

// Codes one row, counts its spikes if it is sampled, and returns its threshold.
inline float code_counted(const Coding& coding, const float* x, int64_t k, bool counted, int8_t* low,
                          std::vector<Burst>& bursts, Tally& tally) {
  bursts.clear();
  const auto keep = [&](int64_t channel, int32_t digit) { bursts.push_back({0, int32_t(channel), digit}); };
  const float vth = code_row(x, coding.norm, coding.eps, coding.factor, k, scratch<float, 0>(k), low, keep);
  if (counted) tally_row(low, k, bursts.data(), bursts.data() + bursts.size(), tally);
  return vth;
}

inline float gated_counted(const int32_t* sums, const float* scale, float vth_in, float factor, int64_t inner,
                           bool counted, int8_t* low, std::vector<Burst>& bursts, Tally& tally) {
  bursts.clear();
  const auto keep = [&](int64_t channel, int32_t digit) { bursts.push_back({0, int32_t(channel), digit}); };
  const float vth = code_gated_row(sums, scale, vth_in, factor, inner, scratch<float, 1>(inner), low, keep);
  if (counted) tally_row(low, inner, bursts.data(), bursts.data() + bursts.size(), tally);
  return vth;
}

inline void add_tally(const Tally& found, int64_t* tally) {
  __atomic_fetch_add(tally, found.places, __ATOMIC_RELAXED);
  __atomic_fetch_add(tally + 1, found.spikes, __ATOMIC_RELAXED);
  __atomic_fetch_add(tally + 2, found.silent, __ATOMIC_RELAXED);
}

// out [n] (+)= the layer's output of one token.
inline void linear_token(const Coding& coding, const float* x, const Weights& w, bool add, bool counted, float* out,
                         Tally& tally) {
  int8_t* low = scratch<int8_t, 2>(w.k);
  int32_t* sums = scratch<int32_t, 3>(w.n);
  std::vector<Burst> bursts;
  const float vth = code_counted(coding, x, w.k, counted, low, bursts, tally);
  event_product(low, bursts, w.codes, w.k, w.n, sums);
  dequantize_row(sums, w.scale, vth, w.n, add, out);
}

// hidden [k] += down(silu(gate) * up) of one token.
inline void feed_forward_token(const Coding& coding, float* hidden, const Weights& gate_up, const Weights& down,
                               bool counted, Tally& tally) {
  int8_t* low = scratch<int8_t, 2>(std::max(gate_up.k, down.k));
  int32_t* sums = scratch<int32_t, 3>(std::max(gate_up.n, down.n));
  std::vector<Burst> bursts;
  float vth = code_counted(coding, hidden, gate_up.k, counted, low, bursts, tally);
  event_product(low, bursts, gate_up.codes, gate_up.k, gate_up.n, sums);
  vth = gated_counted(sums, gate_up.scale, vth, coding.factor, down.k, counted, low, bursts, tally);
  event_product(low, bursts, down.codes, down.k, down.n, sums);
  dequantize_row(sums, down.scale, vth, down.n, true, hidden);
}

// One token's queries rotated into q [heads][d]; its keys, rotated keys and values rounded into the caches (`head`
// elements from one head to the next).
inline void place_row(const float* __restrict queries, const float* __restrict k, const float* __restrict v,
                      const float* __restrict cos, const float* __restrict sin, int64_t heads, int64_t kv, int64_t d,
                      float* __restrict q, bf16* __restrict keys, bf16* __restrict rotated, bf16* __restrict values,
                      int64_t head) {
  const int64_t half = d / 2;
  for (int64_t h = 0; h < heads; ++h)
    for (int64_t i = 0; i < half; ++i) {
      const float a = queries[h * d + i], b = queries[h * d + half + i];
      q[h * d + i] = a * cos[i] - b * sin[i];
      q[h * d + half + i] = b * cos[i] + a * sin[i];
    }
  for (int64_t h = 0; h < kv; ++h) {
    for (int64_t i = 0; i < d; ++i) {
      keys[h * head + i] = to_bf16(k[h * d + i]);
      values[h * head + i] = to_bf16(v[h * d + i]);
    }
    for (int64_t i = 0; i < half; ++i) {
      // What is rotated is what the cache holds, rounded, so that a reloaded state gives the same bits.
      const int64_t at = h * head + i;
      const float a = from_bf16(keys[at]), b = from_bf16(keys[at + half]);
      rotated[at] = to_bf16(a * cos[i] - b * sin[i]);
      rotated[at + half] = to_bf16(b * cos[i] + a * sin[i]);
    }
  }
}

#if defined(ENGRAM_VNNI)

// Packed weights, kept between calls for their memory only; one call at a time uses them.
inline std::mutex packing;
inline std::vector<int8_t> packed_codes[2];
inline std::vector<int32_t> packed_start[2];

inline int64_t rows_together(int64_t t) {
  const int64_t even = (t + pool->threads() - 1) / pool->threads();
  return std::min(kBlockRows, (even + kRowTile - 1) / kRowTile * kRowTile);
}

// Runs body(first row, rows, tally) over blocks of t rows.
template <class Body>
void for_blocks(int64_t t, int64_t* tally, const Body& body) {
  const int64_t together = rows_together(t);
  pool->run((t + together - 1) / together, [&](int64_t i) {
    Tally found{0, 0, 0};
    body(i * together, std::min(together, t - i * together), found);
    add_tally(found, tally);
  });
}

inline void linear_tokens(const Coding& coding, const float* x, const Weights& w, int64_t t, bool add, float* out,
                          int64_t* tally) {
  std::lock_guard<std::mutex> one_call(packing);
  const Packed packed(w.k, w.n, packed_codes[0], packed_start[0]);
  pool->run(packed.panels, [&](int64_t i) { packed.pack(w.codes, i); });
  for_blocks(t, tally, [&](int64_t first, int64_t rows, Tally& found) {
    Block block(rows, w.k);
    float vth[kBlockRows];
    int8_t* low = scratch<int8_t, 2>(w.k);
    for (int64_t r = 0; r < rows; ++r) {
      const bool counted = (first + r) % kTallied == 0;
      vth[r] = code_counted(coding, x + (first + r) * w.k, w.k, counted, low, block.bursts[r], found);
      block.set(r, low);
    }
    int32_t* sums = scratch<int32_t, 3>(rows * w.n);
    block_product(block, rows, packed, w.codes, sums);
    for (int64_t r = 0; r < rows; ++r)
      dequantize_row(sums + r * w.n, w.scale, vth[r], w.n, add, out + (first + r) * w.n);
  });
}

inline void feed_forward_tokens(const Coding& coding, float* hidden, const Weights& gate_up, const Weights& down,
                                int64_t t, int64_t* tally) {
  std::lock_guard<std::mutex> one_call(packing);
  const Packed up(gate_up.k, gate_up.n, packed_codes[0], packed_start[0]);
  const Packed back(down.k, down.n, packed_codes[1], packed_start[1]);
  pool->run(up.panels + back.panels, [&](int64_t i) {
    i < up.panels ? up.pack(gate_up.codes, i) : back.pack(down.codes, i - up.panels);
  });
  for_blocks(t, tally, [&](int64_t first, int64_t rows, Tally& found) {
    Block block(rows, gate_up.k), inner(rows, down.k);
    float vth[kBlockRows];
    int8_t* low = scratch<int8_t, 2>(std::max(gate_up.k, down.k));
    for (int64_t r = 0; r < rows; ++r) {
      const bool counted = (first + r) % kTallied == 0;
      vth[r] = code_counted(coding, hidden + (first + r) * gate_up.k, gate_up.k, counted, low, block.bursts[r], found);
      block.set(r, low);
    }
    int32_t* sums = scratch<int32_t, 3>(rows * std::max(gate_up.n, down.n));
    block_product(block, rows, up, gate_up.codes, sums);
    for (int64_t r = 0; r < rows; ++r) {
      const bool counted = (first + r) % kTallied == 0;
      vth[r] = gated_counted(sums + r * gate_up.n, gate_up.scale, vth[r], coding.factor, down.k, counted, low,
                             inner.bursts[r], found);
      inner.set(r, low);
    }
    block_product(inner, rows, back, down.codes, sums);
    for (int64_t r = 0; r < rows; ++r)
      dequantize_row(sums + r * down.n, down.scale, vth[r], down.n, true, hidden + (first + r) * down.n);
  });
}

#endif

}  // namespace engram
