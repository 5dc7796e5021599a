// Attention in bfloat16 by tiles (amx_forward_head.h) for all heads of a call, on all threads.
#pragma once

#include <cstdint>

#include "../../generated/kernels.h"
#include "../../parallel.h"
#include "amx_forward_head.h"
#include "amx_forward_scratch.h"
#include "amx_parts.h"
#include "parts.h"

namespace foretoken::FT_ISA {

// Computes all heads of a sequence with few queries that share their keys and values. `first`: the first of these heads.
static void attendFewByTiles(const AttentionForwardArgs& args, const Attention& a, const TileForwardScratch& scratch, int64_t first) {
  const int64_t together = kStripLines / a.queries;
  PackedKeys packed;
  for (int64_t head = 0; head < a.group; head += together) {
    const TileForwardHead heads(args, a, scratch, first + head, min(a.group - head, together));
    if (head == 0) packed = heads.pack(0, a.queries);
    ArraysOfNextHead<4> none = {};
    heads.attend(0, a.queries, packed, none);
  }
}

static void attendForwardByTiles(const AttentionForwardArgs& args, const Attention& call, Pool& pool) {
  const AttentionExtent extent = call.extent();
  if (!pool.reserveScratch(TileForwardScratch(call, extent, nullptr).floats * int64_t{sizeof(float)})) return;
  // Each thread computes whole heads. If there are fewer heads than threads, each thread computes strips of queries of
  // a head. Heads of few queries are computed together with the first head that shares their keys and values.
  const int64_t heads = call.batch * call.heads;
  const int64_t parts = heads >= pool.threads() || !extent.many ? 1 : stripsOf(extent.queries);
  const int64_t work = call.headDim * extent.queries * min(extent.keys, call.window) / max(parts, 1);
  const int64_t grain = extent.many ? kThreadWork / max(work, 1) + 1 : (kFewWork / max(2 * work * call.group, 1) + 1) * call.group;
  parallelRanges(pool, heads * parts, grain, [&](int64_t begin, int64_t end, int thread) {
    const TileForwardScratch scratch(call, extent, pool.scratch(thread));
    const TileScope scope;
    bool attended = false;  // the previous item: its keys and values are packed
    PackedKeys packed;
    Attention a = call.sequence(begin / parts / call.heads), after = a;
    for (int64_t item = begin; item < end; item++) {
      const int64_t index = item / parts, number = index % call.heads;
      if (index / call.heads != a.number) a = call.sequence(index / call.heads);
      if (a.few()) {
        if (a.queries > 0 && item % parts == 0 && a.isFirstOfGroup(number)) attendFewByTiles(args, a, scratch, number);
        attended = false;
        continue;
      }
      const TileForwardHead head(args, a, scratch, number);
      const int64_t strips = stripsOf(a.queries);
      const int64_t first = parts == 1 ? 0 : item % parts;
      const int64_t last = parts == 1 ? strips : min(first + 1, strips);
      const bool shared = attended && parts == 1 && !a.isFirstOfGroup(number);
      attended = first < last;
      if (!attended) continue;
      if (!shared) packed = head.pack(first * kStripLines, min(last * kStripLines, a.queries));
      ArraysOfNextHead<4> next = {};
      if (parts == 1 && item + 1 < end && a.pages == nullptr) {
        const bool same = (index + 1) / call.heads == a.number;
        if (!same) after = call.sequence(a.number + 1);
        const Attention& its = same ? a : after;
        const TileForwardHead other(args, its, scratch, (index + 1) % call.heads);
        next = {{{other.q, a.queryStride}, {other.k, a.keyStride}, {other.v, a.keyStride}, {other.out, a.outStride()}}};
        const int64_t met = min((a.causal ? strips + 1 : 2 * strips), 2 * (a.window / kStripLines + 1));
        next.begin(its.queries, a.headDim, 4 * strips * met / 2);
      }
      for (int64_t strip = first; strip < last; strip++) {
        const int64_t query = strip * kStripLines;
        head.attend(query, min(query + kStripLines, a.queries), packed, next);
      }
    }
  });
}

}  // namespace foretoken::FT_ISA
