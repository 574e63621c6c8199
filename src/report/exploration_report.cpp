#include "report/exploration_report.h"

#include <cmath>
#include <nlohmann/json.hpp>

namespace emulsion {

using Json = nlohmann::ordered_json;

namespace {

Json number(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

Json to_json(const Verdict& verdict) {
  return {{"legal", verdict.legal},
          {"log_ratio", verdict.log_ratio},
          {"standard_error", verdict.standard_error},
          {"flip_probability", verdict.flip_probability},
          {"seeds", verdict.log_scores.size()}};
}

Json to_json(const ConfigurationReport& configuration) {
  Json json = {{"index", configuration.index},
               {"multiplies", configuration.multiplies},
               {"predicted_ms", number(configuration.predicted_ms)},
               {"front", configuration.front}};
  if (configuration.verdict) json["verdict"] = to_json(*configuration.verdict);
  return json;
}

Json to_json(const ExplorationReport& report, const PlanReport& plan) {
  Json json = {{"wanted_speedup", plan.wanted},
               {"configuration", plan.configuration},
               {"file", plan.file},
               {"rewritten", plan.rewritten},
               {"multiplies", plan.multiplies},
               {"parameters", plan.parameters},
               {"predicted_ms", plan.predicted_ms},
               {"predicted_speedup", report.predicted_ms / plan.predicted_ms},
               {"verdict", to_json(plan.verdict)}};
  if (plan.time) {
    json["measured"] = {{"min_ms", plan.time->min_ms},
                        {"median_ms", plan.time->median_ms},
                        {"original_min_ms", plan.time->original_min_ms},
                        {"original_median_ms", plan.time->original_median_ms},
                        {"speedup", plan.time->original_min_ms / plan.time->min_ms},
                        {"median_speedup", plan.time->original_median_ms / plan.time->median_ms}};
  }
  return json;
}

}  // namespace

double speedup(const ExplorationReport& report, const PlanReport& plan) {
  if (plan.time) return plan.time->original_min_ms / plan.time->min_ms;
  return report.predicted_ms / plan.predicted_ms;
}

const char* verdict_name(const std::optional<Verdict>& verdict) {
  if (!verdict) return "not judged";
  return verdict->legal ? "legal" : "rejected";
}

std::string to_json(const ExplorationReport& report) {
  Json json = {{"format", "emulsion-pareto-1"},
               {"model", report.model},
               {"network", report.network},
               {"target", report.target},
               {"machine", report.machine},
               {"threads", report.threads},
               {"seed", report.seed},
               {"complete", report.complete},
               {"notes", report.notes},
               {"legality",
                {{"rule", legality_name(report.rule)},
                 {"images", report.images},
                 {"images_from", report.images_from},
                 {"labels_from", report.labels_from},
                 {"reference_log_scores", report.reference.log_scores}}},
               {"original",
                {{"slots", report.slots},
                 {"multiplies", report.multiplies},
                 {"parameters", report.parameters},
                 {"predicted_ms", report.predicted_ms}}},
               {"plans", Json::array()},
               {"configurations", Json::array()}};
  for (const PlanReport& plan : report.plans) json["plans"].push_back(to_json(report, plan));
  for (const ConfigurationReport& configuration : report.configurations) {
    json["configurations"].push_back(to_json(configuration));
  }
  // Names come from the model, whatever bytes it has there.
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string to_table(const ExplorationReport& report) {
  std::string text =
      fmt::format("{:<10} {:>9} {:>10} {:>12} {:>11} {:>10} {:>9}  {}\n", "wanted", "measured",
                  "predicted", "time ms", "multiplies", "weights", "rewritten", "plan");
  const double millions = 1e6;
  text += fmt::format("{:<10} {:>9} {:>10} {:>12} {:>10.1f}M {:>9.2f}M {:>9}  {}\n", "original",
                      "1.00x", "1.00x", "", static_cast<double>(report.multiplies) / millions,
                      static_cast<double>(report.parameters) / millions, 0, "");
  for (const PlanReport& plan : report.plans) {
    const std::string measured = plan.time ? fmt::format("{:.2f}x", speedup(report, plan)) : "-";
    const std::string time =
        plan.time ? fmt::format("{:.2f}/{:.2f}", plan.time->min_ms, plan.time->original_min_ms)
                  : "-";
    text += fmt::format("{:<10} {:>9} {:>10} {:>12} {:>10.1f}M {:>9.2f}M {:>6}/{:<2}  {}\n",
                        fmt::format("{}x", plan.wanted), measured,
                        fmt::format("{:.2f}x", report.predicted_ms / plan.predicted_ms), time,
                        static_cast<double>(plan.multiplies) / millions,
                        static_cast<double>(plan.parameters) / millions, plan.rewritten,
                        report.slots, plan.file);
  }
  return text;
}

}  // namespace emulsion
