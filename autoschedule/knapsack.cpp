#include "autoschedule/knapsack.h"

#include <algorithm>
#include <cmath>

namespace emulsion {
namespace {

// A sum over the first slots.
struct Partial {
  double ms = 0, loss = 0;
  int from = -1;   // in the list before
  int choice = 0;  // of the last slot
};

// Leaves those that are not slower and lossier than another: ascending time, falling loss.
void keep_undominated(std::vector<Partial>& list) {
  std::stable_sort(list.begin(), list.end(), [](const Partial& a, const Partial& b) {
    return a.ms != b.ms ? a.ms < b.ms : a.loss < b.loss;
  });
  size_t kept = 0;
  for (const Partial& partial : list) {
    if (kept == 0 || partial.loss < list[kept - 1].loss) list[kept++] = partial;
  }
  list.resize(kept);
}

// The fastest, and the last of each interval of time: the one of it with the least loss.
void thin(std::vector<Partial>& list, int most) {
  if (list.size() <= static_cast<size_t>(most)) return;
  const double first = list.front().ms;
  const double width = (list.back().ms - first) / (most - 1);
  const auto interval = [&](const Partial& partial) {
    return static_cast<int64_t>((partial.ms - first) / width);
  };
  size_t kept = 1;
  for (size_t i = 1; i < list.size(); ++i) {
    const bool last = i + 1 == list.size() || interval(list[i + 1]) != interval(list[i]);
    if (last) list[kept++] = list[i];
  }
  list.resize(kept);
}

}  // namespace

std::vector<Configuration> exact_front(const AdditiveTable& table, int most_states) {
  std::vector<std::vector<Partial>> lists = {{Partial{table.rest_ms, 0, -1, 0}}};
  for (const std::vector<TableEntry>& slot : table.slots) {
    const std::vector<Partial>& before = lists.back();
    std::vector<Partial> after;
    after.reserve(before.size() * slot.size());
    for (int choice = 0; choice < static_cast<int>(slot.size()); ++choice) {
      const TableEntry& entry = slot[choice];
      if (!std::isfinite(entry.ms) || !std::isfinite(entry.loss)) continue;
      for (int from = 0; from < static_cast<int>(before.size()); ++from) {
        after.push_back({before[from].ms + entry.ms, before[from].loss + entry.loss, from, choice});
      }
    }
    keep_undominated(after);
    thin(after, most_states);
    lists.push_back(std::move(after));
  }

  std::vector<Configuration> front;
  const int count = static_cast<int>(lists.back().size());
  for (int end = count - 1; end >= 0; --end) {
    Configuration configuration(table.slots.size());
    int at = end;
    for (size_t s = table.slots.size(); s > 0; --s) {
      configuration[s - 1] = lists[s][at].choice;
      at = lists[s][at].from;
    }
    front.push_back(std::move(configuration));
  }
  return front;
}

}  // namespace emulsion
