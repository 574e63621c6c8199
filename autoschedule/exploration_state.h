// What an exploration has found out so far, on disk as JSON lines, so that it can be killed at any
// moment and goes on where it was: the original's scores by seed and the verdicts by configuration.
#pragma once

#include <map>

#include "autoschedule/json_lines.h"
#include "legality/verdict.h"

namespace emulsion {

class ExplorationState {
 public:
  // identity: everything that verdicts depend on. A file of another exploration is an error, which
  // names what differs.
  static Result<ExplorationState> open(const std::filesystem::path& path,
                                       const nlohmann::ordered_json& identity);

  const std::map<int, double>& reference() const { return reference_; }  // log score by seed
  const std::map<int, Verdict>& verdicts() const { return verdicts_; }   // by configuration
  // Safe to call from several threads; on disk when they return.
  Status add_reference(int seed, double log_score);
  Status add_verdict(int configuration, const Verdict& verdict);

 private:
  JsonLines file_;
  std::map<int, double> reference_;
  std::map<int, Verdict> verdicts_;
};

}  // namespace emulsion
