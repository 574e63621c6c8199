#include "explore/report_of.h"

#include <algorithm>
#include <cmath>

#include "base/progress.h"

namespace emulsion {
namespace {

// Of a front's points that are drawn, at most.
constexpr size_t k_most_points = 1000;

std::string rewrites_text(const SearchSpace& space, const Configuration& configuration) {
  std::map<std::string, int> counts;
  for (const auto& [conv, steps] : rewrites(space, configuration)) ++counts[to_text(steps)];
  std::string text;
  for (const auto& [name, count] : counts) {
    text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", name, count);
  }
  return text;
}

std::vector<LayerReport> layers_of(const Problem& problem, const Measurer& measurer,
                                   const AdditiveTable& table, const FoundPlan& plan) {
  const std::vector<int> convs = conv_layers(problem.simplified);
  std::vector<LayerReport> layers;
  for (size_t s = 0; s < problem.space.slots.size(); ++s) {
    const SpaceSlot& slot = problem.space.slots[s];
    const int choice = plan.configuration[s];
    LayerReport layer;
    layer.name = slot.name;
    layer.shape = shape_hint(problem.simplified, convs[slot.conv]);
    layer.rewrite = to_text(slot.choices[choice].rewrite);
    layer.original_ms = measurer.times().slot_ms(static_cast<int>(s));
    layer.ms = layer.original_ms + table.slots[s][choice].ms;
    layer.original_multiplies = slot.choices[0].multiplies;
    layer.multiplies = slot.choices[choice].multiplies;
    for (const LayerChoice& chosen : plan.plan.layers) {
      if (chosen.conv != slot.conv) continue;
      for (const KernelChoice& kernel : chosen.kernels) {
        layer.algorithms += (layer.algorithms.empty() ? "" : ", ") + kernel.algorithm;
      }
    }
    layers.push_back(std::move(layer));
  }
  return layers;
}

std::vector<PointReport> points_of(const Problem& problem, const Judge& judge,
                                   const PlanFinder& finder, const AdditiveTable& table) {
  std::vector<PointReport> points;
  const std::vector<Configuration> proposals = finder.proposals();
  const size_t step = std::max<size_t>(1, (proposals.size() + k_most_points - 1) / k_most_points);
  for (size_t i = 0; i < proposals.size(); i += step) {
    PointReport point{table.ms(proposals[i]), multiplies(problem.space, proposals[i]),
                      table.loss(proposals[i]), std::nullopt};
    const auto screened = judge.screened(proposals[i]);
    if (screened && !screened->passes) point.legal = false;
    if (const auto verdict = judge.known(proposals[i])) point.legal = verdict->legal;
    points.push_back(point);
  }
  return points;
}

std::string calibration_note(const Losses& losses) {
  if (!losses.calibration) {
    return "Predicted loss is ranked, not calibrated: of two plans the one with less is likely to "
           "be "
           "more accurate after a short fine-tune, by how much is not known. --calibrate takes the "
           "accuracies of a few fine-tunes.";
  }
  const Calibration& c = *losses.calibration;
  std::string note = fmt::format(
      "Calibrated by {} fine-tunes: a predicted loss of up to {:.3f} ({:.3f} to {:.3f} when one of "
      "them is left out) is expected to cost no more than {:g} points of accuracy; {} of them "
      "{} on the wrong side of that.",
      losses.fine_tunes, c.threshold, c.low, c.high, 100 * losses.tolerance, c.wrong,
      c.wrong == 1 ? "is" : "are");
  for (const std::string& warning : c.warnings) note += " " + warning;
  return note;
}

std::vector<std::string> notes_of(const Problem& problem, Legality legality, const Trained& trained,
                                  const Losses& losses) {
  std::vector<std::string> notes;
  if (!problem.options.legality) notes.push_back(trained.sentence);
  switch (legality) {
    case Legality::none:
      notes.push_back("--legality none: no configuration was checked for capacity.");
      return notes;
    case Legality::inherit:
      notes.push_back(calibration_note(losses));
      break;
    case Legality::fisher:
    case Legality::paper:
      notes.push_back(
          "Legality judges the architectures at initialisation (Fisher Potential), not the "
          "weights in the file: it filters, it does not predict accuracy.");
  }
  notes.insert(notes.end(), problem.minibatch.notes.begin(), problem.minibatch.notes.end());
  notes.push_back("Rewritten networks compute something else and need training.");
  return notes;
}

}  // namespace

Result<Details> detail(const Problem& problem, const Losses& losses, Judge& judge,
                       const PlanFinder& finder, ConvEngine<float>& engine, int workers,
                       std::optional<ZeroShotJudge>& zero_shot, const Stopping& stopping) {
  Details details;
  if (!losses.inherit) return details;
  if (!zero_shot) {
    TRY(ZeroShotJudge made, zero_shot_judge(problem, engine, workers));
    zero_shot.emplace(std::move(made));
  }
  Progress bar("judging the plans", static_cast<int64_t>(finder.plans().size()));
  for (const FoundPlan& plan : finder.plans()) {
    TRY_OK(stopping.check("every plan was judged"));
    if (plan.wanted == 1) {
      details.fisher.push_back(std::nullopt);
      details.zero_shot_loss.push_back(zero_shot->original().loss);
    } else {
      TRY(const ZeroShot loss, zero_shot->judge(rewrites(problem.space, plan.configuration)));
      details.zero_shot_loss.push_back(loss.loss);
      TRY(const Verdict verdict, judge.verdict(plan.configuration));
      details.fisher.push_back(verdict);
    }
    bar.update(static_cast<int64_t>(details.fisher.size()));
  }
  return details;
}

ExplorationReport report_of(const Problem& problem, Legality legality, const Trained& trained,
                            const Losses& losses, const Measurer& measurer, const Judge& judge,
                            const PlanFinder& finder, const Details& details) {
  const ExploreOptions& options = problem.options;
  ExplorationReport report;
  report.model = options.model;
  report.network = problem.structure;
  report.target = problem.target;
  report.machine = machine_fingerprint();
  report.threads = options.threads;
  report.slots = static_cast<int>(problem.space.slots.size());
  report.rule = legality_name(legality);
  report.loss = losses.name;
  report.images =
      static_cast<int>(legality == Legality::inherit ? problem.minibatch.minibatch.images.shape[0]
                                                     : fisher_minibatch(problem).images.shape[0]);
  report.images_from = problem.minibatch.images_from;
  report.labels_from = problem.minibatch.labels_from;
  report.reference = judge.reference();
  report.multiplies = problem.space.multiplies;
  report.parameters = parameters(problem.simplified);
  const AdditiveTable table = finder.table();
  report.predicted_ms = table.rest_ms;
  report.same_function_ms = measurer.same_function_time().min_ms;
  report.default_ms = measurer.same_function_time().original_min_ms;
  report.folder = options.output.string();
  report.data = options.data;
  report.notes = notes_of(problem, legality, trained, losses);

  SearchReport& search = report.search;
  search.strategy = options.strategy;
  search.configurations = options.strategy == "exact" ? 0 : options.configurations;
  search.seed = options.seed;
  search.complete = finder.complete();
  search.screened = finder.screened();
  search.screened_out = finder.screened_out();
  if (!search.complete) {
    report.notes.push_back("It stopped before all was measured; the same command goes on.");
  }
  search.points = points_of(problem, judge, finder, table);
  for (size_t i = 0; i < finder.plans().size(); ++i) {
    const FoundPlan& found = finder.plans()[i];
    PlanReport& plan = search.plans.emplace_back();
    if (std::isfinite(found.wanted)) plan.wanted = found.wanted;
    const std::string prefix = options.strategy == "exact" ? "" : options.strategy + "-";
    plan.file = fmt::format("plans/{}{}.json", prefix, wanted_name(found.wanted));
    for (const int choice : found.configuration) plan.rewritten += choice > 0;
    plan.multiplies = multiplies(problem.space, found.configuration);
    plan.parameters = parameters(problem, found.configuration);
    plan.loss = table.loss(found.configuration);
    plan.predicted_ms = found.predicted_ms;
    plan.predicted_speedup = found.predicted_speedup();
    plan.time = found.time;
    plan.fisher = found.verdict;
    if (i < details.fisher.size()) plan.fisher = details.fisher[i];
    if (const auto score = inherit_score(problem, losses, found.configuration)) {
      plan.inherit = InheritReport{score->value, score->standard_error(), std::nullopt};
      if (i < details.zero_shot_loss.size())
        plan.inherit->zero_shot_loss = details.zero_shot_loss[i];
    }
    plan.layers = layers_of(problem, measurer, table, found);
  }
  for (const Rejection& rejection : finder.rejections()) {
    search.rejections.push_back({rejection.predicted_speedup,
                                 multiplies(problem.space, rejection.configuration),
                                 rewrites_text(problem.space, rejection.configuration),
                                 rejection.screened, rejection.verdict});
  }
  return report;
}

}  // namespace emulsion
