// Products of many tokens' spike counts with INT8 weights, exact in int32 (AVX-512 VNNI).
#pragma once

#include <vector>

#include "product.h"

#if defined(ENGRAM_VNNI)

namespace engram {

constexpr int kRowTile = 6;

// Weights [k][n] as panels of 64 outputs: [n / 64][k / 4][4][16][4], zeros beyond k and n; and what counts raised by
// 128 (the product takes unsigned counts) must start from: -128 times the sum of each output's weights.
struct Packed {
  int64_t k, n, depth, panels;
  std::vector<int8_t>& weights;
  std::vector<int32_t>& start;

  Packed(int64_t k, int64_t n, std::vector<int8_t>& weights, std::vector<int32_t>& start)
      : k(k), n(n), depth((k + 3) / 4), panels((n + kUnit - 1) / kUnit), weights(weights), start(start) {
    weights.resize(std::max<size_t>(weights.size(), panels * depth * 4 * kUnit));
    start.resize(std::max<size_t>(start.size(), panels * kUnit));
  }
  const int8_t* panel(int64_t i) const { return weights.data() + i * depth * 4 * kUnit; }

  void pack(const int8_t* w, int64_t i) const {
    int8_t* out = weights.data() + i * depth * 4 * kUnit;
    const int64_t width = std::min(kUnit, n - i * kUnit);
    const __mmask64 some = width == kUnit ? ~__mmask64(0) : (__mmask64(1) << width) - 1;
    const __m512i raise = _mm512_set1_epi8(-128);
    __m512i sums[4];
    for (auto& s : sums) s = _mm512_setzero_si512();
    alignas(64) int8_t rows[4][kUnit];
    for (int64_t d = 0; d < depth; ++d) {
      for (int64_t j = 0; j < 4; ++j) {
        const __mmask64 there = 4 * d + j < k ? some : 0;
        _mm512_store_si512(rows[j], _mm512_maskz_loadu_epi8(there, w + (4 * d + j) * n + i * kUnit));
      }
      __m512i four[4];
      interleave(rows[0], rows[1], rows[2], rows[3], four);
      for (int v = 0; v < 4; ++v) {
        _mm512_storeu_si512(out + (d * 4 + v) * kUnit, four[v]);
        sums[v] = _mm512_dpbusd_epi32(sums[v], raise, four[v]);
      }
    }
    for (int v = 0; v < 4; ++v)
      _mm512_storeu_si512(start.data() + i * kUnit + v * 16, _mm512_sub_epi32(_mm512_setzero_si512(), sums[v]));
  }
};

// sums += counts times weights, by fours. As an instruction: GCC 12 keeps copies of the intrinsic's operands and spills.
inline void multiply_add(__m512i& sums, __m512i counts, __m512i weights) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(counts), "v"(weights));
}

// Sums [6][64] of 6 rows (their counts raised by 128, padded to fours) for one panel. Inlined, GCC 12 spills again.
[[gnu::noinline]] inline void tile(const uint8_t* const* rows, const Packed& packed, int64_t panel, int32_t* out) {
  const int32_t* start = packed.start.data() + panel * kUnit;
  const int8_t* w = packed.panel(panel);
  const uint8_t* from[kRowTile];
  __m512i sums[kRowTile][4];
  ENGRAM_UNROLL
  for (int r = 0; r < kRowTile; ++r) {
    from[r] = rows[r];
    ENGRAM_UNROLL
    for (int v = 0; v < 4; ++v) sums[r][v] = _mm512_loadu_si512(start + 16 * v);
  }
  for (int64_t d = 0; d < packed.depth; ++d) {
    __m512i weights[4];
    ENGRAM_UNROLL
    for (int v = 0; v < 4; ++v) weights[v] = _mm512_loadu_si512(w + (d * 4 + v) * kUnit);
    ENGRAM_UNROLL
    for (int r = 0; r < kRowTile; ++r) {
      int32_t four;
      std::memcpy(&four, from[r] + 4 * d, 4);
      const __m512i counts = _mm512_set1_epi32(four);
      ENGRAM_UNROLL
      for (int v = 0; v < 4; ++v) multiply_add(sums[r][v], counts, weights[v]);
    }
  }
  ENGRAM_UNROLL
  for (int r = 0; r < kRowTile; ++r) store_unit(sums[r], out + r * kUnit);
}

// Counts of a block of rows, raised by 128 for the product, and their bursts.
struct Block {
  int64_t k, stride;
  std::vector<uint8_t> raised;
  std::vector<std::vector<Burst>> bursts;

  Block(int64_t rows, int64_t k) : k(k), stride((k + 3) / 4 * 4), raised(rows * stride), bursts(rows) {}
  void set(int64_t row, const int8_t* low) {
    uint8_t* out = raised.data() + row * stride;
    for (int64_t i = 0; i < k; ++i) out[i] = uint8_t(low[i]) ^ 0x80;
  }
};

// sums [rows][n] of a block with packed weights (`w` as they lie, for the bursts).
inline void block_product(const Block& block, int64_t rows, const Packed& packed, const int8_t* w, int32_t* sums) {
  const int64_t n = packed.n;
  for (int64_t panel = 0; panel < packed.panels; ++panel) {
    const int64_t width = std::min(kUnit, n - panel * kUnit);
    for (int64_t first = 0; first < rows; first += kRowTile) {
      const uint8_t* from[kRowTile];
      for (int r = 0; r < kRowTile; ++r) from[r] = block.raised.data() + std::min(first + r, rows - 1) * block.stride;
      int32_t found[kRowTile * kUnit];
      tile(from, packed, panel, found);
      for (int64_t r = 0; r < kRowTile && first + r < rows; ++r)
        std::memcpy(sums + (first + r) * n + panel * kUnit, found + r * kUnit, width * sizeof(int32_t));
    }
  }
  for (int64_t r = 0; r < rows; ++r)
    add_bursts(block.bursts[r], w, n, sums + r * n);
}

}  // namespace engram

#endif
