#include "compile/memory_plan.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "base/divide.h"

namespace emulsion {
namespace {

constexpr int64_t k_alignment = 16;  // elements: 64 bytes

bool has_rim(const TensorDescriptor& d) {
  return d.rim != Pad4{0, 0, 0, 0};
}

bool same_geometry(const TensorDescriptor& a, const TensorDescriptor& b) {
  return a.shape == b.shape && a.strides == b.strides && a.rim == b.rim;
}

// Values with a rim: a slot for each geometry and each of its values alive at once. Slots overlap
// nothing. Returns the elements taken.
int64_t place_rimmed(const LaidOutNetwork& laid_out, const std::vector<Lifetime>& lives,
                     std::vector<ValueId> values, std::vector<int64_t>& offsets) {
  struct Slot {
    const TensorDescriptor* geometry;
    int64_t offset;
    int busy_until;
  };
  std::vector<Slot> slots;
  int64_t end = 0;
  std::stable_sort(values.begin(), values.end(),
                   [&](ValueId a, ValueId b) { return lives[a].first < lives[b].first; });
  for (const ValueId value : values) {
    const TensorDescriptor& d = laid_out.descriptors[value];
    auto slot = std::find_if(slots.begin(), slots.end(), [&](const Slot& s) {
      return s.busy_until < lives[value].first && same_geometry(*s.geometry, d);
    });
    if (slot == slots.end()) {
      const int64_t offset = round_up(end + origin_offset(d), k_alignment);
      end = offset - origin_offset(d) + storage_elements(d);
      slots.push_back({&d, offset, 0});
      slot = slots.end() - 1;
    }
    slot->busy_until = lives[value].last;
    offsets[value] = slot->offset;
  }
  return round_up(end, k_alignment);
}

// Rimless values, largest first, each in the smallest gap that the values alive with it leave
// ("greedy by size", Pisarchyk and Lee, 2020). Returns the end of the memory taken, which starts at
// `start`.
int64_t place_rimless(const LaidOutNetwork& laid_out, const std::vector<Lifetime>& lives,
                      std::vector<ValueId> values, int64_t start, std::vector<int64_t>& offsets) {
  struct Block {
    int64_t begin, end;
    Lifetime life;
  };
  const auto size = [&](ValueId v) {
    return round_up(storage_elements(laid_out.descriptors[v]), k_alignment);
  };
  std::stable_sort(values.begin(), values.end(),
                   [&](ValueId a, ValueId b) { return size(a) > size(b); });
  std::vector<Block> placed;  // ascending begin
  int64_t end = start;
  for (const ValueId value : values) {
    int64_t best = -1, best_gap = std::numeric_limits<int64_t>::max(), cursor = start;
    for (const Block& block : placed) {
      if (!block.life.meets(lives[value])) continue;
      const int64_t gap = block.begin - cursor;
      if (gap >= size(value) && gap < best_gap) {
        best = cursor;
        best_gap = gap;
      }
      cursor = std::max(cursor, block.end);
    }
    if (best < 0) best = cursor;
    offsets[value] = best;
    end = std::max(end, best + size(value));
    const Block block{best, best + size(value), lives[value]};
    placed.insert(
        std::upper_bound(placed.begin(), placed.end(), block,
                         [](const Block& a, const Block& b) { return a.begin < b.begin; }),
        block);
  }
  return end;
}

// The residual that a layer's output can take the place of: both own their memory in the
// workspace, lie alike, and nobody else reads the residual then or later. Else -1.
ValueId residual_to_overwrite(const LaidOutNetwork& laid_out, const std::vector<Lifetime>& lives,
                              int index) {
  const Layer& layer = laid_out.network.layers[index];
  const auto* conv = std::get_if<Conv>(&layer.op);
  if (!conv || !conv->epilogue.residual) return -1;
  const ValueId residual = layer.inputs[1], output = layer.output;
  const bool apart = placement(laid_out, layer.inputs[0]).root != residual;
  const bool takes_turns = lives[residual].last == index && lives[output].first == index;
  const bool alike = same_geometry(laid_out.descriptors[residual], laid_out.descriptors[output]);
  return apart && takes_turns && alike ? residual : -1;
}

}  // namespace

std::vector<Lifetime> lifetimes(const LaidOutNetwork& laid_out) {
  const Network& network = laid_out.network;
  std::vector<Lifetime> result(network.values.size());
  std::vector<bool> outside(network.values.size(), false);
  for (const ValueId v : network.inputs) outside[v] = true;
  for (const ValueId v : network.outputs) outside[v] = true;
  for (const Layer& layer : network.layers) {
    if (std::holds_alternative<Literal>(layer.op)) outside[layer.output] = true;
  }
  const auto touch = [&](ValueId value, int layer) {
    const ValueId root = placement(laid_out, value).root;
    if (outside[root]) return;
    Lifetime& life = result[root];
    if (life.first < 0) life.first = layer;
    life.last = layer;
  };
  for (int i = 0; i < static_cast<int>(network.layers.size()); ++i) {
    if (laid_out.elided[i]) continue;
    for (const ValueId input : network.layers[i].inputs) touch(input, i);
    touch(network.layers[i].output, i);
  }
  return result;
}

MemoryPlan plan_memory(const LaidOutNetwork& laid_out, const std::vector<bool>& may_overwrite) {
  std::vector<Lifetime> lives = lifetimes(laid_out);
  const auto values = static_cast<ValueId>(lives.size());
  MemoryPlan plan;
  plan.offsets.assign(values, -1);
  plan.overwritten.assign(values, -1);
  for (int i = 0; i < static_cast<int>(may_overwrite.size()); ++i)
    if (may_overwrite[i] && !laid_out.elided[i])
      plan.overwritten[laid_out.network.layers[i].output] =
          residual_to_overwrite(laid_out, lives, i);
  // The first of those that follow one another in one place stays there for all of them.
  std::vector<ValueId> holders(values);
  for (ValueId v = 0; v < values; ++v) {
    holders[v] = v;
    while (plan.overwritten[holders[v]] >= 0) holders[v] = plan.overwritten[holders[v]];
  }
  std::vector<ValueId> rimmed, rimless;
  for (ValueId v = 0; v < values; ++v) {
    if (lives[v].first < 0) continue;
    if (holders[v] != v)
      lives[holders[v]].last = std::max(lives[holders[v]].last, lives[v].last);
    else
      (has_rim(laid_out.descriptors[v]) ? rimmed : rimless).push_back(v);
  }
  const int64_t start = place_rimmed(laid_out, lives, rimmed, plan.offsets);
  plan.elements = place_rimless(laid_out, lives, rimless, start, plan.offsets);
  for (ValueId v = 0; v < values; ++v) {
    plan.offsets[v] = plan.offsets[holders[v]];
    const Placement place = placement(laid_out, v);
    if (place.root != v && plan.offsets[holders[place.root]] >= 0)
      plan.offsets[v] = plan.offsets[holders[place.root]] + place.offset;
  }
  return plan;
}

}  // namespace emulsion
