// What explore found, as data: pareto.json (docs/formats.md) and a self-contained report.html.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "autoschedule/records.h"
#include "legality/verdict.h"

namespace emulsion {

struct ConfigurationReport {
  int index = 0;
  int64_t multiplies = 0;
  double predicted_ms = 0;  // not finite where a kernel failed
  std::optional<Verdict> verdict;
  bool front = false;
};

struct PlanReport {
  double wanted = 0;  // the speed-up it was chosen for
  int configuration = 0;
  std::string file;   // relative to the report's folder
  int rewritten = 0;  // slots that are not as they were
  int64_t multiplies = 0, parameters = 0;
  double predicted_ms = 0;
  std::optional<NetworkRecord> time;
  Verdict verdict;
};

struct ExplorationReport {
  std::string model, network, target, machine;
  int threads = 1, slots = 0;
  uint64_t seed = 0;
  LegalityRule rule = LegalityRule::fisher;
  int images = 0;
  std::string images_from, labels_from;  // "x.npy", "seeded noise"; "y.npy", "the model", "uniform"
  Reference reference;                   // empty for the rule none
  int64_t multiplies = 0, parameters = 0;
  double predicted_ms = 0;  // of the original
  bool complete = false;    // false: stopped by the budget or an interrupt
  std::vector<ConfigurationReport> configurations;
  std::vector<PlanReport> plans;
  std::vector<std::string> notes;  // what a reader must know before trusting it
};

// Ratio of minima, or of predictions where it was not measured.
double speedup(const ExplorationReport& report, const PlanReport& plan);
// "legal", "rejected", "not judged"
const char* verdict_name(const std::optional<Verdict>& verdict);

std::string to_json(const ExplorationReport& report);
std::string to_html(const ExplorationReport& report);
// The table that explore ends with.
std::string to_table(const ExplorationReport& report);

}  // namespace emulsion
