#include "report/exploration_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "base/process.h"

namespace emulsion {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

ExplorationReport example() {
  ExplorationReport report;
  report.model = "<model> & \"name\".onnx";
  report.network = report.machine = std::string(32, 'a');
  report.target = "x86-64-linux";
  report.slots = 4;
  report.images = 16;
  report.images_from = "seeded noise";
  report.labels_from = "seeded, uniform";
  report.reference.log_scores = std::vector<double>(16, 0.5);
  report.multiplies = 1000000;
  report.parameters = 5000;
  report.predicted_ms = 2.0;
  report.complete = true;
  Verdict legal, rejected;
  legal.log_scores = {0.5};
  rejected.legal = false;
  report.configurations = {
      {0, 800000, 1.5, legal, true},
      {1, 700000, 1.5, rejected, false},
      {2, 400000, 1.0, legal, true},
      {3, 300000, 1.4, std::nullopt, false},
      {4, 300000, std::numeric_limits<double>::infinity(), std::nullopt, false}};
  PlanReport measured{1.25, 0,   "plans/1.25x.json",          2,    800000,
                      4000, 1.5, NetworkRecord{1, 2, 1.4, 3}, legal};
  PlanReport predicted{2, 2, "plans/2x.json", 4, 400000, 1000, 1.0, std::nullopt, legal};
  report.plans = {measured, predicted};
  report.notes = {"a note <with> marks"};
  return report;
}

TEST(ExplorationReport, JsonFitsItsSchema) {
  constexpr const char* k_script = R"(
import json, sys
import jsonschema
schema = json.load(open(sys.argv[1]))
jsonschema.Draft202012Validator.check_schema(schema)
jsonschema.validate(json.loads(sys.argv[2]), schema)
)";
  for (const bool empty : {false, true}) {
    const std::string text = to_json(
        empty ? ExplorationReport{.network = std::string(32, '0'), .machine = std::string(32, '0')}
              : example());
    const auto result = run_process({EMULSION_PYTHON, "-c", k_script,
                                     EMULSION_SOURCE_DIR "/docs/schemas/pareto.schema.json", text});
    ASSERT_TRUE(result.ok()) << result.error().message;
    EXPECT_EQ(result->exit_code, 0) << result->errors;
  }
}

TEST(ExplorationReport, JsonHasWhatWasFound) {
  const auto json = nlohmann::json::parse(to_json(example()));
  EXPECT_EQ(json["plans"][0]["measured"]["speedup"], 1.4);
  EXPECT_EQ(json["plans"][0]["measured"]["median_speedup"], 1.5);
  EXPECT_FALSE(json["plans"][1].contains("measured"));
  EXPECT_EQ(json["plans"][1]["predicted_speedup"], 2.0);
  EXPECT_EQ(json["configurations"][1]["verdict"]["legal"], false);
  EXPECT_FALSE(json["configurations"][3].contains("verdict"));
  EXPECT_TRUE(json["configurations"][4]["predicted_ms"].is_null());
}

TEST(ExplorationReport, HtmlIsOneWellFormedFileWithoutLinks) {
  const std::string html = to_html(example());
  EXPECT_THAT(html, HasSubstr("&lt;model&gt; &amp; &quot;name&quot;.onnx"));
  EXPECT_THAT(html, HasSubstr("a note &lt;with&gt; marks"));
  EXPECT_THAT(html, Not(HasSubstr("<script")));
  EXPECT_THAT(html, Not(HasSubstr("http")));
  EXPECT_THAT(html, Not(HasSubstr("inf")));
  EXPECT_THAT(html, Not(HasSubstr("nan")));
  constexpr const char* k_script = R"(
import re, sys, xml.etree.ElementTree as tree
text = sys.argv[1].replace("<!DOCTYPE html>", "").replace('<meta charset="utf-8">', "").replace("&plusmn;", "+-")
root = tree.fromstring(text)
circles = [e for e in root.iter() if e.tag.endswith("circle")]
assert len(circles) == 6, len(circles)
)";
  const auto result = run_process({EMULSION_PYTHON, "-c", k_script, html});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->exit_code, 0) << result->errors;
}

TEST(ExplorationReport, TableShowsMeasuredAndPredicted) {
  const std::string table = to_table(example());
  EXPECT_THAT(table, HasSubstr("1.40x"));
  EXPECT_THAT(table, HasSubstr("plans/2x.json"));
}

}  // namespace
}  // namespace emulsion
