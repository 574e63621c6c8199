// What explore found, as data: pareto.json (docs/formats.md), and a self-contained report.html made
// from it. Searches of the same network by other strategies are kept beside a new one.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "autoschedule/records.h"
#include "legality/verdict.h"

namespace emulsion {

// A configuration that was looked at.
struct PointReport {
  double predicted_ms = 0;  // not finite where a kernel failed
  int64_t multiplies = 0;
  double loss = 0;
  std::optional<bool> legal;  // when it was judged
};

// A slot of a plan, and of the original.
struct LayerReport {
  std::string name, shape, rewrite;  // rewrite: "" for none
  std::string algorithms;            // "direct, pointwise"
  double original_ms = 0, ms = 0;    // predicted by the corrected table
  int64_t original_multiplies = 0, multiplies = 0;
};

struct InheritReport {
  double score = 0, standard_error = 0;  // predicted loss: the sum over the slots
  std::optional<double> zero_shot_loss;  // of the whole network, not trained
};

struct PlanReport {
  std::optional<double> wanted;  // speed-up; none: the fastest
  std::string file;              // relative to the report's folder
  int rewritten = 0;             // slots that are not as they were
  int64_t multiplies = 0, parameters = 0;
  double loss = 0;
  double predicted_ms = 0, predicted_speedup = 0;
  NetworkRecord time;
  std::optional<Verdict> fisher;
  std::optional<InheritReport> inherit;
  std::vector<LayerReport> layers;
};

struct RejectionReport {
  double predicted_speedup = 0;
  int64_t multiplies = 0;
  std::string rewrites;   // "group 2: 12, depthwise: 3"
  bool screened = false;  // by a narrow copy, and so not judged exactly
  Verdict verdict;
};

struct SearchReport {
  std::string strategy;
  int configurations = 0;  // that it could look at; 0: all
  uint64_t seed = 0;
  double seconds = 0;                  // this run
  bool complete = false;               // false: stopped by the budget or an interrupt
  int screened = 0, screened_out = 0;  // configurations, before the search
  std::vector<PointReport> points;
  std::vector<PlanReport> plans;
  std::vector<RejectionReport> rejections;
};

struct ExplorationReport {
  std::string model, network, target, machine;
  int threads = 1, slots = 0;
  std::string rule;  // "inherit", "fisher", "paper", "none"
  std::string loss;  // what the additive loss is: "inherit", "multiplies removed"
  int images = 0;
  std::string images_from, labels_from;  // "x.npy", "seeded noise"; "y.npy", "the model", "uniform"
  Reference reference;                   // empty for the rule none
  int64_t multiplies = 0, parameters = 0;
  double default_ms = 0, same_function_ms = 0;  // as `compile` makes it; by the best ways known
  double predicted_ms = 0;                      // of the same function
  std::string folder, data;                     // of the commands to go on with
  std::vector<std::string> notes;               // what a reader must know before trusting it
  SearchReport search;
};

// "legal", "rejected", "not judged"
const char* verdict_name(const std::optional<bool>& legal);

// pareto.json. earlier: what the file had before (null: nothing), whose searches by other
// strategies stay when they are about the same network, machine, threads, target and legality.
nlohmann::ordered_json to_json(const ExplorationReport& report,
                               const nlohmann::ordered_json& earlier = {});
// From pareto.json's content.
std::string to_html(const nlohmann::ordered_json& pareto);
// The table that explore ends with.
std::string to_table(const ExplorationReport& report);

}  // namespace emulsion
