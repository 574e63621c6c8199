// ./dev bench legality: random whole-network configurations of one network screened for Fisher
// Potential, finalists judged exactly, and how well the two agree; then the table of inherit
// scores.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <numeric>

#include "autoschedule/space.h"
#include "base/npy.h"
#include "base/process.h"
#include "base/progress.h"
#include "base/random.h"
#include "kernels/kernel_cache.h"
#include "legality/inherit.h"
#include "legality/screen.h"
#include "lower/lower.h"
#include "models/models.h"
#include "simplify/simplify.h"

namespace emulsion {
namespace {

struct Options {
  std::string network = "resnet34-cifar10", data, labels, cache, worker;
  int candidates = 1000, finalists = 20, images = 16, workers = 2, narrowing = 4;
  int inherit_images = 256;
  uint64_t seed = 0;
};

double processor_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// On a machine that others use as well, the processor's seconds tell what the work costs.
class Clock {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }
  std::string text() const {
    return fmt::format("{:.1f} s ({:.1f} s of processor time)", seconds(),
                       processor_seconds() - processor_);
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  double processor_ = processor_seconds();
};

double peak_gigabytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / (1 << 20);
}

Result<Minibatch> minibatch_for(const Network& network, const Options& options) {
  Minibatch minibatch;
  Shape shape = network.shape(network.inputs[0]);
  shape[0] = options.images;
  minibatch.images = Tensor(shape);
  const int64_t classes = network.shape(network.outputs[0])[1];
  const RandomStream random(options.seed, "benchmark images");
  for (size_t i = 0; i < minibatch.images.data.size(); ++i) {
    minibatch.images.data[i] = static_cast<float>(random.normal(i));
  }
  for (int n = 0; n < options.images; ++n) {
    minibatch.labels.push_back(static_cast<int>(random.below(~uint64_t(n), classes)));
  }
  if (options.data.empty()) return minibatch;
  TRY(const Npy images, read_npy(options.data));
  TRY(const Npy labels, read_npy(options.labels));
  if (images.values.size() < minibatch.images.data.size() ||
      labels.values.size() < minibatch.labels.size()) {
    return error("{} has fewer than {} images", options.data, options.images);
  }
  std::copy_n(images.values.begin(), minibatch.images.data.size(), minibatch.images.data.begin());
  std::copy_n(labels.values.begin(), minibatch.labels.size(), minibatch.labels.begin());
  return minibatch;
}

// The passing ones with the fewest multiplies, and as many of the rejected, spread evenly.
std::vector<int> finalists_of(const std::vector<Screening>& screened,
                              const std::vector<int64_t>& cost, int count) {
  std::vector<int> order(screened.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return cost[a] < cost[b]; });
  std::vector<int> passing, rejected, result;
  for (const int i : order) (screened[i].passes ? passing : rejected).push_back(i);
  const size_t wanted = static_cast<size_t>(count) / 2;
  result.assign(passing.begin(), passing.begin() + std::min(wanted, passing.size()));
  const size_t rest = std::min(static_cast<size_t>(count) - result.size(), rejected.size());
  for (size_t k = 0; k < rest; ++k) result.push_back(rejected[k * rejected.size() / rest]);
  return result;
}

// The weights are untrained: only the time and the memory mean something.
Status time_inherit(const Network& network, const std::map<int, std::vector<Steps>>& choices,
                    Options options, ConvEngine<float>& engine) {
  if (options.inherit_images == 0) return ok();
  options.images = options.inherit_images;
  options.data.clear();
  TRY(const Minibatch minibatch, minibatch_for(network, options));
  InheritOptions inherit;
  inherit.workers = options.workers;
  const Clock compiling;
  double compile_seconds = 0;
  inherit.compiling = [&](int done, int all) {
    if (done == all) compile_seconds = compiling.seconds();
  };
  TRY(const InheritTable table, inherit_table(network, choices, minibatch, engine, inherit));
  size_t entries = 0;
  for (const auto& [slot, scores] : table.scores) entries += scores.size() - 1;
  fmt::print(
      "\ninherit: {} entries from {} images in {}, kernels ready after {:.1f} s; peak memory "
      "{:.2f} "
      "GB\n",
      entries, table.images, compiling.text(), compile_seconds, peak_gigabytes());
  return ok();
}

Status run(const Options& options) {
  TRY(const std::string target, resolve_target("host"));
  TRY(const Network network, build_model(options.network));
  const Network simplified = simplify(network);
  TRY(const SearchSpace space, search_space(simplified, "", ""));
  std::map<int, std::vector<Steps>> choices;
  for (const SpaceSlot& slot : space.slots) {
    for (const SlotChoice& choice : slot.choices) choices[slot.conv].push_back(choice.rewrite);
  }
  std::vector<Rewrites> candidates;
  std::vector<int64_t> cost;
  for (int i = 0; i < options.candidates; ++i) {
    const Configuration configuration = random_configuration(space, options.seed, i);
    candidates.push_back(rewrites(space, configuration));
    cost.push_back(multiplies(space, configuration));
  }
  TRY(const Minibatch minibatch, minibatch_for(network, options));

  KernelCache cache(options.cache, options.worker, options.workers);
  KernelEngine engine(cache, target);
  ScreenOptions screening;
  screening.seed = options.seed;
  screening.workers = options.workers;
  screening.narrowing = options.narrowing;
  TRY(FisherJudge judge, FisherJudge::create(simplified, choices, minibatch, engine, screening));
  const Clock compiling;
  TRY_OK(judge.prepare_screening());
  fmt::print("{}: {} slots, {} images, {} threads\n", options.network, space.slots.size(),
             options.images, options.workers);
  fmt::print("kernels for 1/{} of the width ready in {:.1f} s (they stay in the cache)\n",
             judge.narrowing(), compiling.seconds());
  const Clock clock;
  TRY(const std::vector<Screening> screened, judge.screen(candidates));
  const double screen_seconds = clock.seconds();
  const std::string screen_time = clock.text();
  int passing = 0, unclear = 0, early = 0;
  size_t seeds = 0;
  for (const Screening& s : screened) {
    passing += s.passes;
    unclear += s.flip_probability > 0.05;
    early += s.at_least;
    seeds += s.log_scores.size();
  }
  const auto per = [&](auto count) {
    return static_cast<double>(count) / static_cast<double>(candidates.size());
  };
  fmt::print(
      "screened {} configurations in {}: {:.1f} ms each, {:.2f} seeds each; {:.0f} % rejected, "
      "{:.0f} % past the bar early, {:.0f} % with a flip probability above 5 %; {:.2f} GB\n",
      candidates.size(), screen_time, 1e3 * per(screen_seconds), per(seeds),
      100 * (1 - per(passing)), 100 * per(early), 100 * per(unclear), peak_gigabytes());

  std::vector<Rewrites> finalists;
  const std::vector<int> chosen = finalists_of(screened, cost, options.finalists);
  for (const int i : chosen) finalists.push_back(candidates[i]);
  if (finalists.empty()) return time_inherit(simplified, choices, options, engine);
  const Clock full_compiling;
  TRY_OK(judge.prepare_judging(finalists));
  fmt::print("kernels for the full width ready in {:.1f} s\n", full_compiling.seconds());
  const Clock judging;
  TRY(const std::vector<Verdict> verdicts, judge.judge_exactly(finalists));
  const std::string judge_time = judging.text();
  int agree = 0, clear = 0, clear_agree = 0;
  fmt::print("\n{:>6} {:>8}  {:>28}  {:>28}\n", "index", "mult. x", "screened: log ratio, flip",
             "exact: log ratio, flip");
  for (size_t k = 0; k < chosen.size(); ++k) {
    const Screening& s = screened[chosen[k]];
    const Verdict& v = verdicts[k];
    const bool same = s.passes == v.legal;
    agree += same;
    if (s.flip_probability < 0.05 && v.flip_probability < 0.05) {
      ++clear;
      clear_agree += same;
    }
    fmt::print("{:>6} {:>8.2f}  {:>8} {}{:>+8.3f} {:>9.4f}  {:>8} {:>+9.3f} {:>9.4f}\n", chosen[k],
               static_cast<double>(space.multiplies) / static_cast<double>(cost[chosen[k]]),
               s.passes ? "passes" : "rejected", s.at_least ? '>' : ' ', s.log_ratio,
               s.flip_probability, v.legal ? "legal" : "rejected", v.log_ratio, v.flip_probability);
  }
  fmt::print(
      "\njudged {} finalists exactly in {}\nscreening and verdict agree on {} of {}, on {} of the "
      "{} where both have a flip probability below 5 %; peak memory {:.2f} GB\n",
      chosen.size(), judge_time, agree, chosen.size(), clear_agree, clear, peak_gigabytes());
  return time_inherit(simplified, choices, options, engine);
}

}  // namespace
}  // namespace emulsion

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  emulsion::Options options;
  CLI::App app("Random configurations screened and judged for Fisher Potential.");
  app.add_option("network", options.network)->capture_default_str();
  app.add_option("--candidates", options.candidates)->capture_default_str();
  app.add_option("--finalists", options.finalists)->capture_default_str();
  app.add_option("--images", options.images)->capture_default_str();
  app.add_option("--threads", options.workers)->capture_default_str();
  app.add_option("--narrowing", options.narrowing, "Channels divided by at most this")
      ->capture_default_str();
  app.add_option("--inherit", options.inherit_images, "Images of the inherit table, 0: none")
      ->capture_default_str();
  app.add_option("--seed", options.seed)->capture_default_str();
  app.add_option("--data", options.data, "Images, .npy; without: seeded noise");
  app.add_option("--labels", options.labels, "Their labels, .npy");
  app.add_option("--cache", options.cache, "Folder of compiled kernels")->required();
  app.add_option("--worker", options.worker, "The emulsion program, which compiles them")
      ->required();
  CLI11_PARSE(app, argc, argv);
  if (const auto status = emulsion::run(options); !status.ok()) {
    fmt::print(stderr, "bench_legality: {}\n", status.error().message);
    return static_cast<int>(status.error().code);
  }
  return 0;
}
