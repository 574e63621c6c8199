// When an exploration stops before it is done: at its budget, or interrupted.
#pragma once

#include <chrono>
#include <filesystem>

#include "base/interrupt.h"
#include "base/result.h"

namespace emulsion {

class Stopping {
 public:
  // seconds 0: no budget.
  Stopping(double seconds, std::filesystem::path output)
      : seconds_(seconds), output_(std::move(output)) {}

  bool over(double share = 1) const { return seconds_ > 0 && spent() >= share * seconds_; }
  bool now() const { return interrupted() || over(); }
  // ok() or why it stops; `before` completes "the budget was over before ...".
  Status check(const char* before) const {
    if (interrupted()) {
      return Error{fmt::format("interrupted; what was found is in {}: the same command goes on "
                               "from there",
                               output_.string()),
                   ExitCode::interrupted};
    }
    if (over()) {
      return Error{fmt::format("the budget of {} s was over before {}: the same command goes on",
                               seconds_, before),
                   ExitCode::answer_is_no};
    }
    return ok();
  }
  double spent() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  double seconds_;
  std::filesystem::path output_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace emulsion
