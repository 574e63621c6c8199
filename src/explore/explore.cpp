#include "explore/explore.h"

#include <limits>

#include "base/file.h"
#include "explore/find_plans.h"
#include "explore/losses.h"
#include "explore/report_of.h"
#include "explore/trained.h"

namespace emulsion {
namespace {

// Fisher's rule that goes with what was asked for: with inherit it is told, and decides nothing.
LegalityRule capacity_rule(Legality legality) {
  if (legality == Legality::none) return LegalityRule::none;
  return legality == Legality::paper ? LegalityRule::paper : LegalityRule::fisher;
}

// What an earlier run of the same strategy left, if its file can be read.
void remove_plans(const ExploreOptions& options, const nlohmann::ordered_json& earlier) {
  if (!earlier.is_object() || !earlier.contains("plans")) return;
  std::error_code ignored;
  for (const auto& plan : earlier["plans"]) {
    if (!plan.is_object() || !plan.contains("file") || !plan["file"].is_string()) continue;
    const std::string file = plan["file"];
    const bool ours = plan.contains("strategy") && plan["strategy"] == options.strategy;
    if (ours && file.starts_with("plans/") && file.find("..") == std::string::npos) {
      std::filesystem::remove(options.output / file, ignored);
    }
  }
}

Status write_files(const ExploreOptions& options, const ExplorationReport& report,
                   const std::vector<FoundPlan>& plans) {
  using Json = nlohmann::ordered_json;
  const std::filesystem::path pareto = options.output / "pareto.json";
  const auto before = read_file(pareto);
  const Json earlier = before.ok() ? Json::parse(*before, nullptr, false) : Json();
  remove_plans(options, earlier);
  for (size_t i = 0; i < plans.size(); ++i) {
    TRY_OK(write_file(options.output / report.search.plans[i].file, to_json(plans[i].plan)));
  }
  Json json;
  std::string page;
  const auto without_earlier = [&](const std::string& why) {
    json = to_json(report);
    json["notes"].push_back(
        fmt::format("What stood in {} before is gone, it was not as docs/formats.md says: {}",
                    pareto.string(), why));
  };
  try {
    json = to_json(report, earlier);
    if (before.ok() && !earlier.is_object()) without_earlier("it is no JSON object");
    page = to_html(json);
  } catch (const Json::exception& exception) {
    without_earlier(exception.what());
    page = to_html(json);
  }
  // Names come from the model, whatever bytes it has there.
  TRY_OK(write_file(pareto, json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n"));
  return write_file(options.output / "report.html", page);
}

}  // namespace

Result<Explored> explore(const Network& network, const ExploreOptions& options,
                         KernelCache& cache) {
  const Stopping stopping(options.budget, options.output);
  TRY(const Strategy* const strategy, find_strategy(options.strategy));
  TRY(Problem problem, load_problem(network, options));
  TRY_OK(make_directory(options.output / "plans"));
  TRY(Measurer measurer, Measurer::open(problem, cache, stopping));
  TRY_OK(measurer.time_kernels());
  TRY_OK(measurer.find_same_function());
  if (problem.minibatch.answers_wanted) {
    TRY_OK(answer(problem.minibatch, problem.network,
                  [&](const std::vector<Tensor>& inputs) { return measurer.run(inputs); }));
  }
  KernelEngine engine(cache, problem.target);
  std::optional<ZeroShotJudge> zero_shot;
  TRY(const Trained trained, is_trained(problem, engine, cache.workers(), zero_shot));
  const Legality legality =
      options.legality.value_or(trained.yes ? Legality::inherit : Legality::fisher);
  TRY(ExplorationState state,
      ExplorationState::open(options.output / "state.jsonl", identity(problem, legality)));
  TRY(Judge judge, Judge::create(problem, capacity_rule(legality), cache, state, stopping));
  TRY_OK(judge.prepare());
  TRY(const Losses losses, emulsion::losses(problem, legality, cache, state));

  const double most_loss =
      losses.calibration ? losses.calibration->threshold : std::numeric_limits<double>::infinity();
  PlanFinder finder(problem, legality, *strategy, losses.table, most_loss, measurer, judge,
                    stopping);
  Status status = finder.find();
  Details details;
  if (status.ok()) {
    auto known =
        detail(problem, losses, judge, finder, engine, cache.workers(), zero_shot, stopping);
    if (known.ok()) {
      details = std::move(*known);
    } else {
      status = known.error();
    }
  }
  // Whatever stopped it, what is known is written.
  Explored explored;
  explored.report = report_of(problem, legality, trained, losses, measurer, judge, finder, details);
  explored.report.search.seconds = stopping.spent();
  TRY_OK(write_files(options, explored.report, finder.plans()));
  explored.status = status;
  if (status.ok() && finder.plans().size() < 2) {
    explored.status =
        Error{"no legal configuration is fast enough: try more --configs or another --seed",
              ExitCode::answer_is_no};
  }
  return explored;
}

}  // namespace emulsion
