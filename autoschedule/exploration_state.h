// What an exploration has found out so far, on disk as JSON lines, so that it can be killed at any
// moment and goes on where it was: the original's scores by seed, the table of predicted
// losses, and verdicts by configuration (configuration_key in space.h), whatever strategy proposed
// it.
#pragma once

#include <map>
#include <optional>

#include "autoschedule/json_lines.h"
#include "legality/inherit.h"
#include "legality/screen.h"

namespace emulsion {

class ExplorationState {
 public:
  // identity: everything that verdicts depend on. A file of another exploration is an error, which
  // names what differs.
  static Result<ExplorationState> open(const std::filesystem::path& path,
                                       const nlohmann::ordered_json& identity);

  const std::map<int, double>& reference() const { return reference_; }         // log score by seed
  const std::map<std::string, Verdict>& verdicts() const { return verdicts_; }  // by configuration
  const std::map<std::string, Screening>& screenings() const { return screenings_; }  // the same
  const std::optional<InheritTable>& inherit() const { return inherit_; }
  // On disk when they return. Scores may come from several threads.
  Status add_reference(int seed, double log_score);
  Status add_verdict(const std::string& configuration, const Verdict& verdict);
  Status add_inherit(const InheritTable& table);
  Status add_screening(const std::string& configuration, const Screening& screening);

 private:
  JsonLines file_;
  std::map<int, double> reference_;
  std::map<std::string, Verdict> verdicts_;
  std::map<std::string, Screening> screenings_;
  std::optional<InheritTable> inherit_;
};

}  // namespace emulsion
