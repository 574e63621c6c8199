#include "autoschedule/pareto.h"

#include <algorithm>
#include <cmath>

namespace emulsion {

std::vector<int> pareto_front(const std::vector<Candidate>& candidates,
                              const std::vector<bool>& allowed) {
  std::vector<int> order;
  for (int i = 0; i < static_cast<int>(candidates.size()); ++i) {
    if (allowed[i] && std::isfinite(candidates[i].ms)) order.push_back(i);
  }
  // Fastest first; of equally fast ones that with the least loss, then the first.
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    const Candidate &x = candidates[a], &y = candidates[b];
    return x.ms != y.ms ? x.ms < y.ms : x.loss < y.loss;
  });
  std::vector<int> front;
  for (const int i : order) {
    if (front.empty() || candidates[i].loss < candidates[front.back()].loss) front.push_back(i);
  }
  std::reverse(front.begin(), front.end());
  return front;
}

}  // namespace emulsion
