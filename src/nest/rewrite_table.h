// The table of rewrites: one row each. docs/rewrites.md shows how a row is added.
#pragma once

#include <string>
#include <vector>

#include "nest/replacement.h"
#include "nest/step.h"

namespace emulsion {

// How a step is written: its word, how many loop names follow, and whether a factor does.
enum class Factor { none, optional, required };
struct StepForm {
  const char* word;
  int loops;
  Factor factor;
};

struct RewriteRule {
  const char* name;      // "split-group": how reports call it
  const char* sentence;  // what it is, in one sentence
  // Its own step: "bottleneck LOOP FACTOR tiled", where LOOP is one of `on` ("y x").
  StepForm step;
  const char* on;
  const char* variant;
  // What the step makes of a conv, or what it refuses and why (refusal() of step.h).
  Result<Replacement> (*make)(const RewriteSite& site, const Step& step);
  // The lists of steps, as text, that are tried on a conv: those that apply and save work are
  // offered. May hold steps of other rows.
  std::vector<std::string> (*instances)(const Nest& nest);
};

const std::vector<RewriteRule>& rewrite_rules();

// The row that a neural step belongs to, or why there is none.
Result<const RewriteRule*> rule_of(const Step& step);

}  // namespace emulsion
