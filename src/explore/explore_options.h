// What an exploration is asked for.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "legality/verdict.h"

namespace emulsion {

// What decides whether a rewritten network may be offered.
//   inherit  of a trained network: predicted loss, from inherited weights; it ranks, and rejects
//            only beyond a calibrated threshold
//   fisher, paper  of a network at initialisation: verdict.h
//   none     everything may
enum class Legality { inherit, fisher, paper, none };
const char* legality_name(Legality legality);
Result<Legality> parse_explore_legality(const std::string& name);

struct ExploreOptions {
  std::string model;                  // the file's name, for messages and reports
  std::string data, labels;           // .npy; empty: none
  std::filesystem::path output;       // folder of plans, report, records and state
  std::filesystem::path records;      // empty: in output
  std::filesystem::path calibration;  // empty: none
  std::string target = "host";
  std::string slots, freeze;         // regular expressions; empty: the usual slots, none frozen
  std::string rewrites;              // the same, of rewrites' texts; empty: all
  std::string strategy = "exact";    // a row of strategies()
  std::optional<Legality> legality;  // none: by whether the network is trained
  std::optional<bool> trained;       // none: told from its loss
  int configurations = 1000;
  int ways = 4;        // to compute each kernel that are measured, at most
  int threads = 1;     // of the network that is made faster
  int minibatch = 16;  // images that Fisher Potential is scored on: the first
  int images = 256;    // images that the loss of a trained network is predicted on: the first
  double target_speedup = 0, target_ms = 0;  // 0: the whole front
  double budget = 0;                         // seconds; 0: none
  uint64_t seed = 0;
};

}  // namespace emulsion
