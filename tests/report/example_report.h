// A report with everything in it, made up.
#pragma once

#include <cmath>
#include <limits>

#include "base/random.h"
#include "report/exploration_report.h"

namespace emulsion {

inline Verdict example_verdict(double log_ratio) {
  Verdict verdict;
  verdict.legal = log_ratio > -0.1;
  verdict.log_ratio = log_ratio;
  verdict.standard_error = 0.03;
  verdict.flip_probability = 0.01;
  verdict.log_scores = {0.5, 0.4};
  return verdict;
}

inline PlanReport example_plan(std::optional<double> wanted, double speedup, double loss) {
  const double part = std::pow(1 / speedup, 1.1);
  PlanReport plan;
  plan.wanted = wanted;
  plan.file = !wanted        ? "plans/fastest.json"
              : *wanted == 1 ? "plans/same.json"
                             : fmt::format("plans/{:g}x.json", *wanted);
  plan.rewritten = speedup > 1 ? std::min(8, static_cast<int>(4 * (speedup - 0.5))) : 0;
  plan.multiplies = static_cast<int64_t>(1159402496 * part);
  plan.parameters = static_cast<int64_t>(21273610 * part * part);
  plan.loss = loss;
  plan.predicted_ms = 17.5 / speedup;
  plan.predicted_speedup = speedup * 1.01;
  plan.time = {17.5 / speedup, 17.9 / speedup, 17.5, 17.9, 17, {}};
  plan.fisher = example_verdict(-0.02 * speedup);
  plan.inherit = InheritReport{loss, loss / 20, 0.4 + loss};
  const char* names[] = {"layer1.0.conv1", "layer1.0.conv2", "layer2.0.conv1", "layer2.0.conv2",
                         "layer3.0.conv1", "layer3.0.conv2", "layer4.0.conv1", "layer4.0.conv2"};
  for (int i = 0; i < 8; ++i) {
    const bool rewritten = i >= 8 - plan.rewritten;
    const double before = i % 2 == 0 && i > 1 ? 0.3 : 0.47;
    plan.layers.push_back({names[i], "64x32x32 -> 64x32x32 k3x3 s1x1 g1",
                           rewritten ? (i % 3 ? "group 4" : "bottleneck co 2") : "",
                           rewritten && i % 3 == 0 ? "direct, pointwise" : "direct", before,
                           rewritten ? before / (1 + i % 3) / speedup * 1.5 : before, 37748736,
                           rewritten ? 37748736 / 4 : 37748736});
  }
  return plan;
}

// Of a trained network, by the exact strategy.
inline ExplorationReport example_report() {
  ExplorationReport report;
  report.model = "<model> & \"name\".onnx";
  report.network = report.machine = std::string(32, 'a');
  report.target = "x86-64-linux-avx512_skylake";
  report.slots = 8;
  report.rule = report.loss = "inherit";
  report.images = 256;
  report.images_from = "images.npy";
  report.labels_from = "the model's own answers";
  report.reference.log_scores = std::vector<double>(16, 0.5);
  report.multiplies = 1159402496;
  report.parameters = 21273610;
  report.predicted_ms = report.same_function_ms = 17.5;
  report.default_ms = 18.2;
  report.folder = "found";
  report.data = "images.npy";
  report.notes = {"Predicted loss is ranked, not calibrated: a note <with> marks."};
  SearchReport& search = report.search;
  search.strategy = "exact";
  search.seconds = 321;
  search.complete = true;
  for (int i = 0; i <= 300; ++i) {
    const double ms = 17.5 - 14.5 * i / 300.0;
    const double saved = 1 - ms / 17.5;
    search.points.push_back({ms, static_cast<int64_t>(1159402496 * std::pow(ms / 17.5, 1.1)),
                             0.4 * saved * saved, std::nullopt});
  }
  search.points.push_back({std::numeric_limits<double>::infinity(), 1000, 0.1, std::nullopt});
  search.plans = {example_plan(1, 1, 0),       example_plan(1.5, 1.55, 0.06),
                  example_plan(2, 2.04, 0.12), example_plan(3, 3.1, 0.21),
                  example_plan(4, 4.02, 0.27), example_plan(std::nullopt, 5.6, 0.33)};
  search.plans[0].fisher.reset();
  return report;
}

// Of a network at initialisation, by random search.
inline ExplorationReport untrained_report() {
  ExplorationReport report = example_report();
  report.rule = "fisher";
  report.loss = "multiplies removed";
  report.labels_from = "seeded, uniform";
  SearchReport& search = report.search;
  search.strategy = "random";
  search.configurations = 400;
  search.screened = 400;
  search.screened_out = 300;
  search.points.clear();
  const RandomStream random(5, "example");
  for (int i = 0; i < 400; ++i) {
    const double saved = random.uniform(3 * i) * 0.8;
    const double kept = 1 - saved + random.uniform(3 * i + 1, -0.08, 0.02);
    PointReport point{17.5 * (1 - saved), static_cast<int64_t>(1159402496 * kept), 1 - kept, {}};
    if (random.uniform(3 * i + 2) < saved + 0.3) point.legal = false;
    if (i % 40 == 0) point.legal = true;
    search.points.push_back(point);
  }
  search.plans.resize(3);
  for (PlanReport& plan : search.plans) plan.inherit.reset();
  search.rejections = {
      {1.4, 800000000, "bottleneck co 2: 5, group 4: 2", true, example_verdict(-0.48)},
      {1.7, 700000000, "bottleneck co 4: 3, depthwise: 1", false, example_verdict(-0.9)}};
  return report;
}

}  // namespace emulsion
