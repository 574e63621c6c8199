#include "autoschedule/pareto.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <numeric>

#include "base/process.h"

namespace emulsion {

std::vector<int> pareto_front(const std::vector<Candidate>& candidates,
                              const std::vector<bool>& allowed) {
  std::vector<int> order;
  for (int i = 0; i < static_cast<int>(candidates.size()); ++i) {
    if (allowed[i] && std::isfinite(candidates[i].ms)) order.push_back(i);
  }
  // Fastest first; of equally fast ones that with the most multiplies, then the first.
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    const Candidate &x = candidates[a], &y = candidates[b];
    return x.ms != y.ms ? x.ms < y.ms : x.multiplies > y.multiplies;
  });
  std::vector<int> front;
  for (const int i : order) {
    if (front.empty() || candidates[i].multiplies > candidates[front.back()].multiplies) {
      front.push_back(i);
    }
  }
  std::reverse(front.begin(), front.end());
  return front;
}

std::vector<int> legal_front(const std::vector<Candidate>& candidates, const Verdicts& verdicts) {
  std::vector<bool> legal;
  for (const auto& verdict : verdicts) legal.push_back(verdict && verdict->legal);
  return pareto_front(candidates, legal);
}

Result<bool> judge_front(const std::vector<Candidate>& candidates, Verdicts& verdicts,
                         const std::function<Result<Verdict>(int)>& judge, int threads,
                         const std::function<bool()>& stop) {
  while (true) {
    std::vector<bool> possible;
    for (const auto& verdict : verdicts) possible.push_back(!verdict || verdict->legal);
    std::vector<int> open = pareto_front(candidates, possible);
    std::erase_if(open, [&](int i) { return verdicts[i].has_value(); });
    if (open.empty()) return true;

    std::mutex mutex;
    std::optional<Error> problem;
    parallel_for(static_cast<int>(open.size()), threads, [&](int at) {
      {
        const std::lock_guard lock(mutex);
        if (problem || stop()) return;
      }
      Result<Verdict> verdict = judge(open[at]);
      const std::lock_guard lock(mutex);
      if (verdict.ok()) {
        verdicts[open[at]] = *verdict;
      } else if (!problem) {
        problem = verdict.error();
      }
    });
    if (problem) return *problem;
    if (stop()) return false;
  }
}

}  // namespace emulsion
