// CPU kernels of Engram: what torch would do in many passes over memory, done in one.
// Plain loops that the compiler vectorises, and AVX-512 intrinsics for products and window attention.
// Every function is checked against the reference implementations in kernels/*/reference.py.

#include "attention.h"
#include "group.h"
#include "layer.h"
#include "search.h"

using namespace engram;

namespace {

constexpr int64_t kRows = 16;  // rows of activations a piece of work holds

void for_rows(int64_t rows, const std::function<void(int64_t, int64_t)>& body) {
  pool->run((rows + kRows - 1) / kRows, [&](int64_t i) { body(i * kRows, std::min(rows, (i + 1) * kRows)); });
}

// Collects bursts of all threads; `limit` entries fit, `count` may exceed it (then the caller tries again).
struct Bursts {
  Burst* list;
  int64_t limit;
  std::atomic<int64_t> count{0};
  void add(int64_t row, int64_t channel, int32_t digit) {
    const int64_t place = count++;
    if (place < limit) list[place] = {int32_t(row), int32_t(channel), digit};
  }
};

}  // namespace

extern "C" {

// Threads in all, the caller's included. Call once.
void engram_start(int threads) {
  if (pool == nullptr) pool = new Pool(std::max(0, threads - 1));
}

int engram_has_attention() {
#ifdef ENGRAM_ATTENTION
  return 1;
#else
  return 0;
#endif
}

// Tokens that the fused layers take at most: any number with VNNI, else those done one at a time.
int64_t engram_layer_limit() {
#ifdef ENGRAM_VNNI
  return INT64_MAX;
#else
  return kFewTokens;
#endif
}

// x [t, k] -> low [t, k], vth [t]; with `weight` [k] an RMSNorm comes first. Returns the number of bursts.
int64_t engram_encode(const float* x, const float* weight, float eps, float factor, int64_t t, int64_t k, int8_t* low,
                      float* vth, int32_t* bursts, int64_t limit) {
  Bursts found{reinterpret_cast<Burst*>(bursts), limit};
  for_rows(t, [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row)
      vth[row] = code_row(x + row * k, weight, eps, factor, k, scratch<float, 0>(k), low + row * k,
                          [&](int64_t channel, int32_t digit) { found.add(row, channel, digit); });
  });
  return found.count;
}

// acc [t, 2 i] int32 (gate, then up) -> counts of silu(gate) * up, low [t, i], vth [t]. Returns the number of bursts.
int64_t engram_swiglu_encode(const int32_t* acc, const float* scale, const float* vth_in, float factor, int64_t t,
                             int64_t inner, int8_t* low, float* vth, int32_t* bursts, int64_t limit) {
  Bursts found{reinterpret_cast<Burst*>(bursts), limit};
  for_rows(t, [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row)
      vth[row] = code_gated_row(acc + row * 2 * inner, scale, vth_in[row], factor, inner, scratch<float, 1>(inner),
                                low + row * inner,
                                [&](int64_t channel, int32_t digit) { found.add(row, channel, digit); });
  });
  return found.count;
}

// out [t, n] = (add ? out : 0) + acc * scale * vth.
void engram_dequantize(const int32_t* acc, const float* scale, const float* vth, int64_t t, int64_t n, float* out,
                       int add) {
  for_rows(t, [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row) dequantize_row(acc + row * n, scale, vth[row], n, add, out + row * n);
  });
}

// out [t, n] (+)= codes of x [t, k] (normed first with `norm` [k]) times weights [k, n] with scale [n]; `tally` [3]
// gains places, spikes and silent places of the sampled tokens.
void engram_linear(const float* x, const float* norm, float eps, float factor, const int8_t* codes, const float* scale,
                   int64_t t, int64_t k, int64_t n, int add, float* out, int64_t* tally) {
  const Coding coding{norm, eps, factor};
  const Weights w{codes, scale, k, n};
#ifdef ENGRAM_VNNI
  if (t > kFewTokens) return linear_tokens(coding, x, w, t, add, out, tally);
#endif
  for (int64_t row = 0; row < t; ++row) {
    Tally found{0, 0, 0};
    linear_token(coding, x + row * k, w, add, row % kTallied == 0, out + row * n, found);
    add_tally(found, tally);
  }
}

// hidden [t, k] += down(silu(gate) * up) of its RMSNorm; gate_up [k, 2 inner], down [inner, k].
void engram_feed_forward(float* hidden, const float* norm, float eps, float factor, const int8_t* gate_up,
                         const float* up_scale, const int8_t* down, const float* down_scale, int64_t t, int64_t k,
                         int64_t inner, int64_t* tally) {
  const Coding coding{norm, eps, factor};
  const Weights up{gate_up, up_scale, k, 2 * inner}, back{down, down_scale, inner, k};
#ifdef ENGRAM_VNNI
  if (t > kFewTokens) return feed_forward_tokens(coding, hidden, up, back, t, tally);
#endif
  for (int64_t row = 0; row < t; ++row) {
    Tally found{0, 0, 0};
    feed_forward_token(coding, hidden + row * k, up, back, row % kTallied == 0, found);
    add_tally(found, tally);
  }
}

// sums [n] of counts `low` [k] (no bursts) with weights [k, n]: those of silent channels are not read.
void engram_event_product(const int8_t* low, const int8_t* codes, int64_t k, int64_t n, int32_t* sums) {
  event_product(low, {}, codes, k, n, sums);
}

// out [t, n] of codes of x [t, k] times weights by output [n, k] with scale [n]: for tables whose rows are looked up too.
void engram_table(const float* x, float factor, const int8_t* codes, const float* scale, int64_t t, int64_t k, int64_t n,
                  float* out) {
  std::vector<int8_t> low(t * k);
  std::vector<float> vth(t);
  std::vector<Burst> bursts;
  for (int64_t row = 0; row < t; ++row)
    vth[row] = code_row(x + row * k, nullptr, 0.0f, factor, k, nullptr, low.data() + row * k,
                        [&](int64_t channel, int32_t digit) { bursts.push_back({int32_t(row), int32_t(channel), digit}); });
  int32_t* sums = scratch<int32_t, 3>(t * n);
  rows_product(low.data(), bursts, codes, t, k, n, sums);
  pool->run(t * 8, [&](int64_t i) {
    const int64_t row = i / 8, first = n * (i % 8) / 8, last = n * (i % 8 + 1) / 8;
    dequantize_row(sums + row * n + first, scale + first, vth[row], last - first, false, out + row * n + first);
  });
}

// out [t, n] = sum over groups of scale [n, groups] * (low [t, k] times codes [n, k] over the group's channels).
void engram_group_product(const int8_t* low, const int8_t* codes, const float* scale, int64_t t, int64_t k, int64_t n,
                          int64_t groups, float* out) {
  group_product(low, codes, scale, t, k, n, groups, out);
}

// queries [t, heads, d], k, v [t, kv, d] (`row` elements from token to token): queries rotated into q [t, heads, d];
// keys, rotated keys and values in bfloat16 into caches [kv][...][d] (`head` from head to head). cos, sin [t, d / 2].
void engram_place(const float* queries, const float* k, const float* v, int64_t row, const float* cos, const float* sin,
                  int64_t t, int64_t heads, int64_t kv, int64_t d, float* q, bf16* keys, bf16* rotated, bf16* values,
                  int64_t head) {
  for_rows(t, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i)
      place_row(queries + i * row, k + i * row, v + i * row, cos + i * d / 2, sin + i * d / 2, heads, kv, d,
                q + i * heads * d, keys + i * d, rotated + i * d, values + i * d, head);
  });
}

// distances [n] of codes [n, words] from query [words], in bits.
void engram_hamming(const uint64_t* codes, const uint64_t* query, int64_t n, int64_t words, int32_t* distances) {
  hamming(codes, query, n, words, distances);
}

#ifdef ENGRAM_ATTENTION

// q, q_plain float32 [heads, t, d] (q rotated, q_plain not; strides in elements), k, v bf16 [kv, n, d], sinks bf16
// [kv, amount <= 16, d] or null. Queries are the last t of the n keys; `position` is the first query's place in the
// context. out float32 [t, heads, d]. See window_attention_reference.
void engram_window_attention(const float* q, int64_t q_head, int64_t q_row, const float* q_plain, int64_t plain_head,
                             int64_t plain_row, const bf16* k, int64_t k_head, const bf16* v, int64_t v_head,
                             const bf16* sink_k, const bf16* sink_v, int64_t amount, int64_t heads, int64_t kv,
                             int64_t t, int64_t n, int64_t d, int64_t left, int64_t position, float* out) {
  window_attention(q, q_head, q_row, q_plain, plain_head, plain_row, k, k_head, v, v_head, sink_k, sink_v, amount,
                   heads, kv, t, n, d, left, position, out);
}

#endif

}  // extern "C"
