// emulsion explore: random configurations through legality, layer times measured, and the best plan
// for each of several speed-ups. Everything found out is on disk at once, so that it may stop at
// any moment and go on.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>

#include "autoschedule/exploration_state.h"
#include "autoschedule/layer_times.h"
#include "autoschedule/pareto.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/process.h"
#include "base/progress.h"
#include "base/random.h"
#include "cli/minibatch.h"
#include "cli/processor.h"
#include "cli/time_in_turns.h"
#include "cli/verb.h"
#include "compile/loaded_network.h"
#include "legality/training_kernels.h"
#include "lower/lower.h"
#include "nest/rewrite.h"
#include "report/exploration_report.h"
#include "simplify/simplify.h"

namespace emulsion {
namespace {

namespace fs = std::filesystem;

struct ExploreOptions : CommonOptions {
  std::string data, labels, output, records, legality = "fisher", slots, freeze;
  int configurations = 100, threads = 1, minibatch = 16;
  double budget = 0;  // seconds; 0: none
  uint64_t seed = 0;
};

constexpr double k_wanted_speedups[] = {1.25, 1.5, 2, 3, 4};
// A plan that turns out slower than predicted is followed by the next on the front, so many times.
constexpr int k_plan_attempts = 4;
// Judging stops there, so that plans can be measured within the budget.
constexpr double k_judging_share = 0.75;
constexpr double k_kernel_seconds = 0.1;  // of measuring, each
constexpr int k_kernels_at_once = 16;

Error interruption(const fs::path& output) {
  return {fmt::format("interrupted; what was found is in {}: the same command goes on from there",
                      output.string()),
          ExitCode::interrupted};
}

class Exploration {
 public:
  explicit Exploration(const ExploreOptions& options)
      : options_(options), output_(options.output), cache_(kernel_cache(options)) {}

  Status run() {
    TRY_OK(prepare());
    TRY_OK(compile_kernels());
    TRY_OK(predict_times());
    TRY_OK(load_labels());
    TRY_OK(open_state());
    Status status = judge_configurations();
    if (status.ok()) status = measure_plans();
    // Whatever stopped it, what is known is written.
    TRY_OK(write_report());
    if (!status.ok()) return status;
    if (interrupted()) return interruption(output_);
    return finish();
  }

 private:
  bool over(double share = 1) const {
    if (options_.budget <= 0) return false;
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start_;
    return spent.count() >= share * options_.budget;
  }

  // Everything that bad input can make fail, before any work.
  Status prepare() {
    TRY(rule_, parse_legality(options_.legality));
    TRY(target_, resolve_target(options_.target));
    TRY_OK(check_runs_here(target_));
    // Convs are numbered as a plan numbers them.
    TRY(const Network imported, load_network(options_));
    network_ = reform(imported);
    simplified_ = simplify(network_);
    TRY(space_, search_space(simplified_, options_.slots, options_.freeze));
    if (space_.slots.empty()) {
      return Error{fmt::format("{}: no conv can be rewritten{} (`emulsion inspect` says why)",
                               options_.model,
                               options_.slots.empty() && options_.freeze.empty()
                                   ? ""
                                   : " of those that --slots and --freeze leave"),
                   ExitCode::answer_is_no};
    }
    TRY(minibatch_, load_minibatch(network_, {options_.data, options_.labels, options_.minibatch,
                                              options_.seed}));
    std::vector<int> slots;
    for (const SpaceSlot& slot : space_.slots) slots.push_back(slot.conv);
    TRY(training_, training_network(network_, slots, minibatch_.minibatch.images.shape[0]));
    engine_.emplace(cache_, target_);
    TRY_OK(check_cache(options_));
    TRY_OK(make_directory(output_ / "plans"));
    const fs::path records =
        options_.records.empty() ? output_ / "records.jsonl" : fs::path(options_.records);
    TRY(records_, Records::open(records, options_.threads));
    return ok();
  }

  Status compile_kernels() {
    TRY(kernels_, space_kernels(simplified_, space_, target_));
    std::vector<KernelSpec> specs;
    for (const KernelSpec& spec : kernels_.specs) {
      if (!records_.kernel(kernel_name(spec))) specs.push_back(spec);
    }
    if (rule_ != LegalityRule::none) {
      std::map<int, std::vector<Steps>> rewrites;
      for (const SpaceSlot& slot : space_.slots) {
        for (size_t k = 1; k < slot.choices.size(); ++k) {
          rewrites[slot.conv].push_back(slot.choices[k].rewrite);
        }
      }
      TRY(const std::vector<KernelSpec> more, training_kernels(training_, rewrites, target_));
      specs.insert(specs.end(), more.begin(), more.end());
    }
    const int total = static_cast<int>(specs.size());
    Progress bar("compiling kernels", total);
    for (int first = 0; first < total; first += k_kernels_at_once) {
      if (interrupted()) return interruption(output_);
      if (over()) return out_of_time("kernels were compiled");
      const int last = std::min(total, first + k_kernels_at_once);
      // A kernel that fails is met again, and named, where it is used.
      (void)cache_.compile({specs.begin() + first, specs.begin() + last},
                           [&](int done, int) { bar.update(first + done); });
    }
    if (interrupted()) return interruption(output_);
    return ok();
  }

  Status predict_times() {
    TimingOptions timing;
    timing.threads = options_.threads;
    timing.seconds = k_kernel_seconds;
    {
      Progress bar("timing layers", static_cast<int64_t>(kernels_.specs.size()));
      auto times =
          layer_times(cache_, kernels_, records_, timing, [&](int done, int) { bar.update(done); });
      if (!times.ok() && times.error().code == ExitCode::interrupted) return interruption(output_);
      TRY(times_, std::move(times));
    }
    if (over()) return out_of_time("layers were timed");
    original_ms_ = times_.predict(Configuration(space_.slots.size(), 0));
    for (int i = 0; i < options_.configurations; ++i) {
      configurations_.push_back(random_configuration(space_, options_.seed, i));
      candidates_.push_back(
          {times_.predict(configurations_[i]), multiplies(space_, configurations_[i])});
    }
    return ok();
  }

  Error out_of_time(const char* before) const {
    return {fmt::format("the budget of {} s was over before all {}: the same command goes on",
                        options_.budget, before),
            ExitCode::answer_is_no};
  }

  Result<LoadedNetwork*> original() {
    if (!original_) {
      TRY(original_, LoadedNetwork::load(network_, Plan{}, cache_, compile_options()));
    }
    return &*original_;
  }

  CompileOptions compile_options() const {
    CompileOptions compile;
    compile.name = "explored";
    compile.target = target_;
    compile.threads = options_.threads;
    return compile;
  }

  Status load_labels() {
    if (!minibatch_.answers_wanted || rule_ == LegalityRule::none) return ok();
    TRY(LoadedNetwork* const model, original());
    return answer(minibatch_, network_,
                  [&](const std::vector<Tensor>& inputs) { return model->run(inputs); });
  }

  Status open_state() {
    const Minibatch& m = minibatch_.minibatch;
    const std::string images(reinterpret_cast<const char*>(m.images.data.data()),
                             m.images.data.size() * sizeof(float));
    std::string slots;
    for (const SpaceSlot& slot : space_.slots) slots += fmt::format("{} ", slot.conv);
    const nlohmann::ordered_json identity = {{"network", structure_hash(simplified_)},
                                             {"seed", options_.seed},
                                             {"legality", legality_name(rule_)},
                                             {"slots", slots},
                                             {"target", target_},
                                             {"images", hash_text(images)},
                                             {"labels", m.labels}};
    TRY(state_, ExplorationState::open(output_ / "state.jsonl", identity));
    verdicts_.resize(candidates_.size());
    for (const auto& [index, verdict] : state_.verdicts()) {
      if (index < static_cast<int>(verdicts_.size())) verdicts_[index] = verdict;
    }
    return ok();
  }

  Result<double> log_score(const TrainingNetwork& network, int seed) {
    TRY(const FisherScore score,
        fisher_score(network, minibatch_.minibatch,
                     mix_bits(options_.seed) + static_cast<uint64_t>(seed), *engine_));
    if (!std::isfinite(score.total)) {
      return error("the score is not finite: the images' values are too large");
    }
    return std::log(std::max(score.total, 1e-300));
  }

  Status judge_reference() {
    reference_.log_scores.assign(k_reference_seeds, 0);
    std::vector<int> open;
    for (int seed = 0; seed < k_reference_seeds; ++seed) {
      const auto known = state_.reference().find(seed);
      if (known == state_.reference().end()) {
        open.push_back(seed);
      } else {
        reference_.log_scores[seed] = known->second;
      }
    }
    Progress bar("scoring the original", static_cast<int64_t>(open.size()));
    std::atomic<int> done = 0;
    std::mutex mutex;
    Status status = ok();
    parallel_for(static_cast<int>(open.size()), cache_.workers(), [&](int i) {
      {
        const std::lock_guard lock(mutex);
        if (!status.ok() || interrupted()) return;
      }
      const auto score = log_score(training_, open[i]);
      const Status saved = score.ok() ? state_.add_reference(open[i], *score) : score.error();
      const std::lock_guard lock(mutex);
      if (!saved.ok()) status = saved;
      if (score.ok()) reference_.log_scores[open[i]] = *score;
      bar.update(++done);
    });
    if (status.ok() && interrupted()) {
      reference_.log_scores.clear();
      return interruption(output_);
    }
    return status;
  }

  Result<Verdict> judge_configuration(int index) {
    TRY(const TrainingNetwork candidate,
        rewritten(training_, rewrites(space_, configurations_[index])));
    TRY(Verdict verdict, judge(rule_, reference_, [&](int seed) -> Result<double> {
          if (interrupted()) return interruption(output_);
          return log_score(candidate, seed);
        }));
    TRY_OK(state_.add_verdict(index, verdict));
    return verdict;
  }

  Status judge_configurations() {
    if (rule_ != LegalityRule::none) TRY_OK(judge_reference());
    Progress bar("judging configurations");
    std::atomic<int> judged = 0, rejected = 0;
    auto complete = judge_front(
        candidates_, verdicts_,
        [&](int i) {
          auto verdict = judge_configuration(i);
          if (verdict.ok() && !verdict->legal) ++rejected;
          bar.update(++judged, fmt::format("{} rejected", rejected.load()));
          return verdict;
        },
        cache_.workers(), [&] { return interrupted() || over(k_judging_share); });
    TRY(complete_, std::move(complete));
    return ok();
  }

  Plan plan_of(int index) const {
    Plan plan{structure_hash(simplified_), target_, options_.threads, {}};
    const std::vector<int> convs = conv_layers(simplified_);
    for (const auto& [conv, steps] : rewrites(space_, configurations_[index])) {
      const int layer = convs[conv];
      plan.layers.push_back(
          {conv, simplified_.layers[layer].name, shape_hint(simplified_, layer), steps, {}});
    }
    return plan;
  }

  // Recorded, so that a rerun gives the same answer.
  Result<NetworkRecord> measure(int index) {
    const Plan plan = plan_of(index);
    const std::string key = hash_text(to_json(plan));
    if (const auto known = records_.network(key)) return *known;
    TRY(LoadedNetwork* const before, original());
    TRY(LoadedNetwork after, LoadedNetwork::load(network_, plan, cache_, compile_options()));
    TRY(const NetworkRecord record, time_in_turns(*before, after));
    TRY_OK(records_.add(key, record));
    return record;
  }

  // The first of the front, which keeps the most multiplies, that is fast enough by measurement.
  // Predictions are corrected by the measurements so far, so that few networks are compiled.
  Status choose_plan(double wanted, const std::vector<int>& front, double& correction) {
    std::set<int> tried;
    for (int attempt = 0; attempt < k_plan_attempts; ++attempt) {
      const auto found = std::find_if(front.begin(), front.end(), [&](int i) {
        return !tried.contains(i) && original_ms_ / candidates_[i].ms * correction >= wanted;
      });
      if (found == front.end()) return ok();
      tried.insert(*found);
      PlanReport plan = report_plan(wanted, *found);
      if (interrupted()) return ok();
      if (!over()) {
        TRY(plan.time, measure(*found));
        const double measured = plan.time->original_min_ms / plan.time->min_ms;
        if (measured < wanted) {
          correction = std::min(correction, measured / (original_ms_ / candidates_[*found].ms));
          continue;
        }
      }
      plans_.push_back(std::move(plan));
      return ok();
    }
    return ok();
  }

  PlanReport report_plan(double wanted, int index) const {
    PlanReport plan;
    plan.wanted = wanted;
    plan.configuration = index;
    plan.file = fmt::format("plans/{}x.json", wanted);
    for (const int choice : configurations_[index]) plan.rewritten += choice > 0;
    plan.multiplies = candidates_[index].multiplies;
    plan.predicted_ms = candidates_[index].ms;
    plan.verdict = *verdicts_[index];
    const auto changed =
        apply_rewrites(without_weights(simplified_), rewrites(space_, configurations_[index]));
    EMULSION_CHECK(changed.ok());
    plan.parameters = parameters(*changed);
    return plan;
  }

  Status measure_plans() {
    const std::vector<int> front = legal_front(candidates_, verdicts_);
    Progress bar("measuring plans", std::size(k_wanted_speedups));
    double correction = 1;
    int done = 0;
    for (const double wanted : k_wanted_speedups) {
      TRY_OK(choose_plan(wanted, front, correction));
      bar.update(++done);
    }
    return ok();
  }

  ExplorationReport report() const {
    ExplorationReport report;
    report.model = options_.model;
    report.network = structure_hash(simplified_);
    report.target = target_;
    report.machine = machine_fingerprint();
    report.threads = options_.threads;
    report.slots = static_cast<int>(space_.slots.size());
    report.seed = options_.seed;
    report.rule = rule_;
    report.images = static_cast<int>(minibatch_.minibatch.images.shape[0]);
    report.images_from = minibatch_.images_from;
    report.labels_from = minibatch_.labels_from;
    report.reference = reference_;
    report.multiplies = space_.multiplies;
    report.parameters = parameters(simplified_);
    report.predicted_ms = original_ms_;
    report.complete = complete_ && !interrupted();
    const std::vector<int> front = legal_front(candidates_, verdicts_);
    for (size_t i = 0; i < candidates_.size(); ++i) {
      const int index = static_cast<int>(i);
      report.configurations.push_back(
          {index, candidates_[i].multiplies, candidates_[i].ms, verdicts_[i],
           std::find(front.begin(), front.end(), index) != front.end()});
    }
    report.plans = plans_;
    if (rule_ == LegalityRule::none) {
      report.notes.push_back("--legality none: no configuration was checked for capacity.");
    } else {
      report.notes = minibatch_.notes;
      report.notes.push_back(
          "Legality judges the architectures at initialisation (Fisher Potential), not the weights "
          "in "
          "the file: it filters, it does not predict accuracy. Rewritten networks need training.");
    }
    report.notes.push_back(
        "The plan for a speed-up is the legal configuration that keeps the most multiplies among "
        "those at least that fast. Only configurations that could be such a plan were judged.");
    if (!complete_) {
      report.notes.push_back(
          "It stopped before all of those were judged; the same command goes on.");
    }
    return report;
  }

  Status write_report() {
    const ExplorationReport found = report();
    std::error_code ignored;
    for (const double wanted : k_wanted_speedups) {
      fs::remove(output_ / fmt::format("plans/{}x.json", wanted), ignored);
    }
    for (const PlanReport& plan : plans_) {
      TRY_OK(write_file(output_ / plan.file, to_json(plan_of(plan.configuration))));
    }
    TRY_OK(write_file(output_ / "pareto.json", to_json(found)));
    return write_file(output_ / "report.html", to_html(found));
  }

  Status finish() {
    const ExplorationReport found = report();
    if (options_.json) {
      fmt::print("{}", to_json(found));
    } else {
      for (const std::string& note : found.notes) fmt::print("{}\n", note);
      int judged = 0, rejected = 0;
      for (const auto& verdict : verdicts_) {
        judged += verdict.has_value();
        rejected += verdict && !verdict->legal;
      }
      fmt::print("{} configurations of {} slots, {} judged, {} rejected.\n\n{}\nReport: {}\n",
                 candidates_.size(), space_.slots.size(), judged, rejected, to_table(found),
                 (output_ / "report.html").string());
    }
    if (!plans_.empty()) return ok();
    return Error{"no legal configuration is fast enough: try more --configs or another --seed",
                 ExitCode::answer_is_no};
  }

  const ExploreOptions options_;
  const fs::path output_;
  KernelCache cache_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  LegalityRule rule_ = LegalityRule::fisher;
  std::string target_;
  Network network_, simplified_;
  SearchSpace space_;
  LoadedMinibatch minibatch_;
  TrainingNetwork training_;
  Records records_;
  ExplorationState state_;
  std::optional<KernelEngine> engine_;
  SpaceKernels kernels_;
  LayerTimes times_;
  std::vector<Configuration> configurations_;
  std::vector<Candidate> candidates_;
  Verdicts verdicts_;
  Reference reference_;
  std::optional<LoadedNetwork> original_;
  std::vector<PlanReport> plans_;
  double original_ms_ = 0;
  bool complete_ = false;
};

}  // namespace

std::function<Status()> define_explore(CLI::App& app) {
  auto options = std::make_shared<ExploreOptions>();
  add_model_argument(app, *options);
  app.add_option("-o,--output", options->output, "Folder for plans, pareto.json and report.html")
      ->required()
      ->type_name("DIR");
  app.add_option("--data", options->data,
                 "Images of the task, float32 N x C x H x W as the model expects")
      ->type_name("X.npy");
  app.add_option("--labels", options->labels, "Their classes, integers [N]")->type_name("Y.npy");
  app.add_option("--minibatch", options->minibatch,
                 "How many images legality is judged on: the first")
      ->check(CLI::Range(2, 4096))
      ->capture_default_str();
  app.add_option("--configs", options->configurations, "Random configurations")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  app.add_option("--budget", options->budget, "Stop after so many seconds; 0: when done")
      ->check(number_between(0, 1e9))
      ->type_name("SECONDS")
      ->capture_default_str();
  app.add_option("--seed", options->seed, "Of every random number")
      ->check(whole_number())
      ->capture_default_str();
  app.add_option("--threads", options->threads, "Threads of the network that is made faster")
      ->check(CLI::Range(1, k_most_threads))
      ->capture_default_str();
  app.add_option("--legality", options->legality,
                 "fisher: rejected when surely below the original's score; paper: when below it on "
                 "one draw; none")
      ->capture_default_str();
  app.add_option("--slots", options->slots, "Rewrite the convs whose names match, and no others")
      ->type_name("REGEX");
  app.add_option("--freeze", options->freeze, "Leave the convs whose names match")
      ->type_name("REGEX");
  app.add_option("--records", options->records, "File of measured times; default DIR/records.jsonl")
      ->type_name("FILE");
  app.add_flag("--json", options->json, "Print pareto.json");
  add_target_option(app, *options);
  add_cache_options(app, *options);
  app.footer(
      "Example:\n  emulsion explore m.onnx --data images.npy --labels labels.npy -o found\n"
      "  emulsion compile m.onnx --plan found/plans/2x.json -o lib\n"
      "Run again with the same options it goes on where it stopped.");
  return [options] { return Exploration(*options).run(); };
}

}  // namespace emulsion
