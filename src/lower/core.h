// What a core of a target does in a cycle, as far as costs of schedules depend on it: figures that
// were measured, of which choices follow but never what a chosen kernel computes or how.
#pragma once

#include <cstdint>
#include <string>

namespace emulsion {

// Those of Sapphire Rapids, also for targets whose cores nobody measured.
struct Core {
  bool zen4 = false;
  // Multiply-adds and loads of the widest vectors; on Zen 4 twice as many of narrower ones.
  int fmas = 2;
  double vector_loads = 1.8;
  // What loads beside multiply-adds delay these by, as a part of the costs in conv_costs.cpp, and
  // the cycles of products (products_templates.cpp) that one of these convs' cycles counts as.
  double delay = 1, unit = 0.86;
  // Bytes of the second level cache, of cores with the same target the smallest. (Machine::l2_bytes
  // is what measured limits are parts of.)
  int64_t l2_bytes = 512 << 10;
  // Bytes of weights from the second level cache, and from beyond it, a cycle.
  double near_bytes = 24, far_bytes = 6.5;
  // The part of the shorter of work and a stream from beyond that does not overlap with the longer.
  double apart = 0.3;
  // Bytes that a group's transforms count as beside its weights, whose stream they interrupt
  // (measured on 27 grouped convs).
  double interruption = 64 << 10;
  // Cycles of a load whose line others of the same tile drive from the first level cache.
  double conflict = 0.2;
};

// Of a name that resolve_target accepts.
Core core_of(const std::string& target);

}  // namespace emulsion
