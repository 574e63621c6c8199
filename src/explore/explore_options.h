// What an exploration is asked for.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "legality/verdict.h"

namespace emulsion {

struct ExploreOptions {
  std::string model;                // the file's name, for messages and reports
  std::string data, labels;         // .npy; empty: none
  std::filesystem::path output;     // folder of plans, report, records and state
  std::filesystem::path records;    // empty: in output
  std::filesystem::path calibration;  // empty: none
  std::string target = "host";
  std::string slots, freeze;        // regular expressions; empty: the usual slots, none frozen
  std::string strategy = "exact";   // a row of strategies()
  std::optional<LegalityRule> legality;  // none: by whether the network is trained
  std::optional<bool> trained;           // none: told from its loss
  int configurations = 1000;
  int ways = 4;         // to compute each kernel that are measured, at most
  int threads = 1;      // of the network that is made faster
  int minibatch = 0;    // images that legality looks at; 0: as many as its rule wants
  double target_speedup = 0, target_ms = 0;  // 0: the whole front
  double budget = 0;                         // seconds; 0: none
  uint64_t seed = 0;
};

}  // namespace emulsion
