#include "lower/reduction_funcs.h"

#include <algorithm>

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;

namespace {

Expr identity(Reduction kind) {
  return kind == Reduction::sum ? Expr(0.0f) : Halide::Float(32).min();
}
Expr combine(Reduction kind, const Expr& a, const Expr& b) {
  return kind == Reduction::sum ? a + b : Halide::max(a, b);
}

RDom domain(const std::vector<int64_t>& extents, int64_t first_extent, int64_t first_min = 0) {
  Halide::Region region;
  for (size_t i = 0; i < extents.size(); ++i) {
    const int64_t min = i == 0 ? first_min : 0, extent = i == 0 ? first_extent : extents[i];
    region.emplace_back(static_cast<int>(min), static_cast<int>(extent));
  }
  return RDom(region);
}

Indices indices(const RDom& r) {
  Indices result;
  for (int i = 0; i < r.dimensions(); ++i) result.push_back(r[i]);
  return result;
}

}  // namespace

LineReduction::LineReduction(const std::string& name, Reduction kind, const Vars& kept,
                             const std::vector<int64_t>& extents, int lanes,
                             const ReducedValue& value)
    : lanes_(static_cast<int>(std::min<int64_t>(lanes, extents[0]))),
      partial_(name + "_partial"),
      total_(name) {
  Indices index = as_indices(kept);
  const Var lane("lane");
  Indices partial_index = {lane};
  partial_index.insert(partial_index.end(), index.begin(), index.end());
  const int64_t main = extents[0] / lanes_, left = extents[0] % lanes_;

  const RDom r = domain(extents, main);
  Indices at = indices(r);
  at[0] = lane + r[0] * lanes_;
  partial_(partial_index) = identity(kind);
  partial_(partial_index) = combine(kind, partial_(partial_index), value(at));

  const RDom lanes_domain(0, lanes_);
  partial_index[0] = lanes_domain.x;
  total_(index) = identity(kind);
  total_(index) = combine(kind, total_(index), partial_(partial_index));
  lane_ = lane;
  lanes_rvar_ = lanes_domain.x;
  if (left > 0) {
    const RDom rest = domain(extents, left, main * lanes_);
    total_(index) = combine(kind, total_(index), value(indices(rest)));
  }
}

void LineReduction::vectorise() {
  partial_.vectorize(lane_).update().vectorize(lane_);
  if (lanes_ > 1) total_.update(0).atomic().vectorize(lanes_rvar_);
  for (int i = lanes_ > 1 ? 1 : 0; i < total_.num_update_definitions(); ++i)
    total_.update(i).unscheduled();
}

void LineReduction::schedule(const Func& consumer, const LoopSchedule& loops, bool by_line) {
  for (Func* f : {&partial_, &total_}) {
    if (loops.axis < 0) {
      f->compute_root();
    } else {
      f->compute_at(consumer, by_line ? loops.line : loops.anchor);
    }
  }
  vectorise();
}

void LineReduction::schedule_once() {
  // A kernel does not allocate: MemoryType::Register is stack memory of any size.
  for (Func* f : {&partial_, &total_}) f->compute_root().store_in(Halide::MemoryType::Register);
  vectorise();
}

ColumnReduction::ColumnReduction(const std::string& name, Reduction kind, const Vars& kept,
                                 const std::vector<int64_t>& extents, const ReducedValue& value)
    : kept_(kept), domain_(domain(extents, extents[0])), total_(name) {
  const Indices index = as_indices(kept);
  total_(index) = identity(kind);
  total_(index) = combine(kind, total_(index), value(indices(domain_)));
}

void ColumnReduction::schedule(const Func& consumer, const LoopSchedule& loops) {
  if (loops.axis < 0) {
    total_.compute_root();
    return;
  }
  total_.compute_at(consumer, loops.anchor);
  schedule_inside(total_, kept_, loops);
  schedule_inside(total_.update(), kept_, loops, domain_);
}

}  // namespace emulsion
