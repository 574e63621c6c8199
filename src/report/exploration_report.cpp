#include "report/exploration_report.h"

#include <cmath>

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

Json to_json(const PointReport& point) {
  Json json = {{"predicted_ms", number(point.predicted_ms)},
               {"multiplies", point.multiplies},
               {"loss", number(point.loss)}};
  if (point.legal) json["legal"] = *point.legal;
  return json;
}

Json to_json(const LayerReport& layer) {
  return {{"name", layer.name},
          {"shape", layer.shape},
          {"rewrite", layer.rewrite},
          {"algorithms", layer.algorithms},
          {"original_ms", number(layer.original_ms)},
          {"ms", number(layer.ms)},
          {"original_multiplies", layer.original_multiplies},
          {"multiplies", layer.multiplies}};
}

Json to_json(const NetworkRecord& time) {
  return {{"min_ms", time.min_ms},
          {"median_ms", time.median_ms},
          {"original_min_ms", time.original_min_ms},
          {"original_median_ms", time.original_median_ms},
          {"speedup", time.original_min_ms / time.min_ms},
          {"median_speedup", time.original_median_ms / time.median_ms}};
}

Json to_json(const PlanReport& plan, const std::string& strategy) {
  Json json = {{"strategy", strategy},
               {"wanted_speedup", plan.wanted ? Json(*plan.wanted) : Json(nullptr)},
               {"file", plan.file},
               {"rewritten", plan.rewritten},
               {"multiplies", plan.multiplies},
               {"parameters", plan.parameters},
               {"loss", number(plan.loss)},
               {"predicted_ms", plan.predicted_ms},
               {"predicted_speedup", plan.predicted_speedup},
               {"measured", to_json(plan.time)}};
  if (plan.fisher) json["fisher"] = to_json(*plan.fisher);
  if (plan.inherit) {
    json["inherit"] = {{"score", plan.inherit->score},
                       {"standard_error", plan.inherit->standard_error}};
    if (plan.inherit->zero_shot_loss) {
      json["inherit"]["zero_shot_loss"] = number(*plan.inherit->zero_shot_loss);
    }
  }
  json["layers"] = Json::array();
  for (const LayerReport& layer : plan.layers) json["layers"].push_back(to_json(layer));
  return json;
}

Json to_json(const RejectionReport& rejection) {
  return {{"predicted_speedup", rejection.predicted_speedup},
          {"multiplies", rejection.multiplies},
          {"rewrites", rejection.rewrites},
          {"screened", rejection.screened},
          {"verdict", to_json(rejection.verdict)}};
}

Json to_json(const SearchReport& search) {
  Json json = {{"strategy", search.strategy},
               {"configurations", search.configurations},
               {"seed", search.seed},
               {"seconds", search.seconds},
               {"complete", search.complete},
               {"screened", search.screened},
               {"screened_out", search.screened_out},
               {"points", Json::array()},
               {"rejections", Json::array()}};
  for (const PointReport& point : search.points) json["points"].push_back(to_json(point));
  for (const RejectionReport& rejection : search.rejections) {
    json["rejections"].push_back(to_json(rejection));
  }
  return json;
}

// In what searches differ that cannot stand in one report; empty: in nothing.
std::string difference(const Json& now, const Json& before) {
  for (const char* key : {"format", "network", "target", "machine", "threads"}) {
    if (!before.contains(key) || now.at(key) != before.at(key)) return key;
  }
  if (!before.contains("legality") || !before.at("legality").is_object()) return "legality";
  for (const auto& [key, value] : now.at("legality").items()) {
    if (!before.at("legality").contains(key) || before.at("legality").at(key) != value) {
      return "legality's " + key;
    }
  }
  return before.contains("plans") && before.contains("searches") ? "" : "format";
}

}  // namespace

const char* verdict_name(const std::optional<bool>& legal) {
  if (!legal) return "not judged";
  return *legal ? "legal" : "rejected";
}

Json to_json(const ExplorationReport& report, const Json& earlier) {
  Json json = {{"format", "emulsion-pareto-2"},
               {"model", report.model},
               {"network", report.network},
               {"target", report.target},
               {"machine", report.machine},
               {"threads", report.threads},
               {"folder", report.folder},
               {"data", report.data},
               {"notes", report.notes},
               {"legality",
                {{"rule", report.rule},
                 {"loss", report.loss},
                 {"images", report.images},
                 {"images_from", report.images_from},
                 {"labels_from", report.labels_from},
                 {"reference_log_scores", report.reference.log_scores}}},
               {"original",
                {{"slots", report.slots},
                 {"multiplies", report.multiplies},
                 {"parameters", report.parameters},
                 {"predicted_ms", report.predicted_ms},
                 {"same_function_ms", report.same_function_ms},
                 {"default_ms", report.default_ms}}},
               {"plans", Json::array()},
               {"searches", Json::array()}};
  for (const PlanReport& plan : report.search.plans) {
    json["plans"].push_back(to_json(plan, report.search.strategy));
  }
  json["searches"].push_back(to_json(report.search));
  if (!earlier.is_object()) return json;
  if (const std::string differs = difference(json, earlier); !differs.empty()) {
    json["notes"].push_back(
        fmt::format("The searches that stood here before are gone: their {} differs.", differs));
    return json;
  }
  for (const char* list : {"plans", "searches"}) {
    for (const Json& entry : earlier.at(list)) {
      if (entry.at("strategy") != report.search.strategy) json[list].push_back(entry);
    }
  }
  return json;
}

std::string to_table(const ExplorationReport& report) {
  std::string text =
      fmt::format("{:<9} {:>9} {:>10} {:>12} {:>11} {:>10} {:>8} {:>8}  {}\n", "wanted", "measured",
                  "predicted", "time ms", "multiplies", "weights", "rewrites", "loss", "plan");
  const double millions = 1e6;
  for (const PlanReport& plan : report.search.plans) {
    const std::string wanted = !plan.wanted        ? "fastest"
                               : *plan.wanted == 1 ? "same"
                                                   : fmt::format("{}x", *plan.wanted);
    text += fmt::format(
        "{:<9} {:>8.2f}x {:>9.2f}x {:>12} {:>10.1f}M {:>9.2f}M {:>5}/{:<2} {:>8.3f}  {}\n", wanted,
        plan.time.original_min_ms / plan.time.min_ms, plan.predicted_speedup,
        fmt::format("{:.2f}/{:.2f}", plan.time.min_ms, plan.time.original_min_ms),
        static_cast<double>(plan.multiplies) / millions,
        static_cast<double>(plan.parameters) / millions, plan.rewritten, report.slots, plan.loss,
        plan.file);
  }
  return text;
}

}  // namespace emulsion
