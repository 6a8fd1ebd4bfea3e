// Products of few tokens' spike counts with INT8 weights that have a scale for every group of input channels.
#pragma once

#include "table.h"

namespace engram {

constexpr int64_t kGroupOutputs = 64;  // outputs a piece of work holds

// One output of TOKENS tokens from `token` on. The groups are added in order, whatever the number of tokens.
template <int TOKENS>
inline void group_row(const int8_t* w, const float* scale, const Counts& counts, int64_t token, int64_t n, float* out) {
  float totals[TOKENS] = {};
  for (int64_t g = 0; g < counts.groups; ++g) {
    int32_t sums[TOKENS];
    row_dots<TOKENS>(w + g * counts.size, counts, token, g, 1, sums);
    for (int j = 0; j < TOKENS; ++j) totals[j] = add_product(float(sums[j]), scale[g], totals[j]);
  }
  for (int j = 0; j < TOKENS; ++j) out[j * n] = totals[j];
}

// out [t][n] = sum over groups of scale [n][groups] * (the group's sum of counts `low` [t][k] times weights w [n][k]).
inline void group_product(const int8_t* low, const int8_t* w, const float* scale, int64_t t, int64_t k, int64_t n,
                          int64_t groups, float* out) {
  const Counts counts(low, t, k, groups);
  pool->run((n + kGroupOutputs - 1) / kGroupOutputs, [&](int64_t piece) {
    for (int64_t i = piece * kGroupOutputs; i < std::min(n, (piece + 1) * kGroupOutputs); ++i) {
      int64_t token = 0;
      for (; token + 4 <= t; token += 4)
        group_row<4>(w + i * k, scale + i * groups, counts, token, n, out + token * n + i);
      for (; token < t; ++token) group_row<1>(w + i * k, scale + i * groups, counts, token, n, out + token * n + i);
    }
  });
}

}  // namespace engram
