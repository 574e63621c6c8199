#include "autoschedule/exploration_state.h"

namespace emulsion {

using nlohmann::json;

namespace {

constexpr const char* k_format = "emulsion-state-2";

json to_json(const Verdict& verdict) {
  return {{"rule", legality_name(verdict.rule)},
          {"legal", verdict.legal},
          {"log_ratio", verdict.log_ratio},
          {"standard_error", verdict.standard_error},
          {"flip_probability", verdict.flip_probability},
          {"log_scores", verdict.log_scores}};
}

json to_json(const Screening& screening) {
  return {{"passes", screening.passes},
          {"log_ratio", screening.log_ratio},
          {"standard_error", screening.standard_error},
          {"flip_probability", screening.flip_probability},
          {"at_least", screening.at_least},
          {"log_scores", screening.log_scores}};
}

Screening parse_screening(const json& line) {
  return {line.at("passes"),         line.at("log_ratio"),
          line.at("standard_error"), line.at("flip_probability"),
          line.at("at_least"),       line.at("log_scores").get<std::vector<double>>()};
}

// A score is [value, without the first block, ...].
json to_json(const InheritTable& table) {
  json scores = json::array();
  for (const auto& [conv, row] : table.scores) {
    json values = json::array();
    for (const InheritScore& score : row) {
      json numbers = {score.value};
      for (const double without : score.without_block) numbers.push_back(without);
      values.push_back(std::move(numbers));
    }
    scores.push_back({{"conv", conv}, {"scores", std::move(values)}});
  }
  return {
      {"energy", table.energy}, {"mean_loss", table.mean_loss},       {"accuracy", table.accuracy},
      {"images", table.images}, {"labels_drawn", table.labels_drawn}, {"table", std::move(scores)}};
}

InheritTable parse_inherit(const json& line) {
  InheritTable table;
  for (const json& row : line.at("table")) {
    std::vector<InheritScore>& scores = table.scores[row.at("conv")];
    for (const json& numbers : row.at("scores")) {
      const auto all = numbers.get<std::vector<double>>();
      scores.push_back({all.at(0), {all.begin() + 1, all.end()}});
    }
  }
  table.energy = line.at("energy");
  table.mean_loss = line.at("mean_loss");
  table.accuracy = line.at("accuracy");
  table.images = line.at("images");
  table.labels_drawn = line.at("labels_drawn");
  return table;
}

Result<Verdict> parse_verdict(const json& line) {
  Verdict verdict;
  TRY(verdict.rule, parse_legality(line.at("rule")));
  verdict.legal = line.at("legal");
  verdict.log_ratio = line.at("log_ratio");
  verdict.standard_error = line.at("standard_error");
  verdict.flip_probability = line.at("flip_probability");
  verdict.log_scores = line.at("log_scores").get<std::vector<double>>();
  return verdict;
}

}  // namespace

Result<ExplorationState> ExplorationState::open(const std::filesystem::path& path,
                                                const nlohmann::ordered_json& identity) {
  ExplorationState state;
  TRY(state.file_, JsonLines::open(path));
  if (state.file_.lines().empty()) {
    TRY_OK(state.file_.append({{"format", k_format}, {"identity", json::parse(identity.dump())}}));
    return state;
  }
  int number = 0;
  for (const json& line : state.file_.lines()) {
    ++number;
    try {
      if (number == 1) {
        if (line.at("format") != k_format) return error("{}: unknown format", path.string());
        const json& found = line.at("identity");
        for (const auto& [key, value] : identity.items()) {
          if (found.contains(key) && found[key].dump() == value.dump()) continue;
          return error(
              "{} belongs to another exploration ({} is {} there and {} now): take another folder "
              "or delete it",
              path.string(), key, found.value(key, json()).dump(), value.dump());
        }
      } else if (line.contains("seed")) {
        state.reference_[line.at("seed")] = line.at("log_score");
      } else if (line.contains("inherit")) {
        state.inherit_ = parse_inherit(line.at("inherit"));
      } else if (line.contains("screening")) {
        state.screenings_[line.at("configuration")] = parse_screening(line.at("screening"));
      } else {
        TRY(state.verdicts_[line.at("configuration")], parse_verdict(line.at("verdict")));
      }
    } catch (const json::exception&) {
      return error("{}: line {} is not as docs/formats.md says; delete the file to start anew",
                   path.string(), number);
    }
  }
  return state;
}

Status ExplorationState::add_reference(int seed, double log_score) {
  return file_.append({{"seed", seed}, {"log_score", log_score}});
}

Status ExplorationState::add_verdict(const std::string& configuration, const Verdict& verdict) {
  verdicts_[configuration] = verdict;
  return file_.append({{"configuration", configuration}, {"verdict", to_json(verdict)}});
}

Status ExplorationState::add_inherit(const InheritTable& table) {
  inherit_ = table;
  return file_.append({{"inherit", to_json(table)}});
}

Status ExplorationState::add_screening(const std::string& configuration,
                                       const Screening& screening) {
  screenings_[configuration] = screening;
  return file_.append({{"configuration", configuration}, {"screening", to_json(screening)}});
}

}  // namespace emulsion
