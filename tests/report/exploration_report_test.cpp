#include "report/exploration_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/process.h"
#include "example_report.h"

namespace emulsion {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::ordered_json;

TEST(ExplorationReport, JsonFitsItsSchema) {
  constexpr const char* k_script = R"(
import json, sys
import jsonschema
schema = json.load(open(sys.argv[1]))
jsonschema.Draft202012Validator.check_schema(schema)
for text in sys.argv[2:]:
    jsonschema.validate(json.loads(text), schema)
)";
  const ExplorationReport empty{.network = std::string(32, '0'),
                                .machine = std::string(32, '0'),
                                .rule = "none",
                                .loss = "multiplies removed",
                                .search = {.strategy = "exact"}};
  const auto result =
      run_process({EMULSION_PYTHON, "-c", k_script,
                   EMULSION_SOURCE_DIR "/docs/schemas/pareto.schema.json", to_json(empty).dump(),
                   to_json(example_report()).dump(), to_json(untrained_report()).dump()});
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(result->exit_code, 0) << result->errors;
}

TEST(ExplorationReport, JsonHasWhatWasFound) {
  const Json json = to_json(example_report());
  EXPECT_EQ(json["plans"][0]["wanted_speedup"], 1);
  EXPECT_NEAR(json["plans"][1]["measured"]["speedup"].get<double>(), 1.55, 1e-9);
  EXPECT_TRUE(json["plans"].back()["wanted_speedup"].is_null());
  EXPECT_EQ(json["plans"][1]["layers"].size(), 8u);
  EXPECT_EQ(json["plans"][1]["inherit"]["score"], 0.06);
  EXPECT_TRUE(json["searches"][0]["points"].back()["predicted_ms"].is_null());
}

TEST(ExplorationReport, KeepsTheSearchesOfOtherStrategies) {
  ExplorationReport report = example_report();
  const Json exact = to_json(report);
  report.search.strategy = "random";
  report.search.plans.resize(2);
  const Json both = to_json(report, exact);
  ASSERT_EQ(both["searches"].size(), 2u);
  EXPECT_EQ(both["searches"][0]["strategy"], "random");
  EXPECT_EQ(both["plans"].size(), 2 + exact["plans"].size());
  // The same strategy again takes the place of what was there.
  EXPECT_EQ(to_json(report, both), both);
  // What is about something else does not stay.
  Json other = exact;
  other["machine"] = std::string(32, 'b');
  const Json alone = to_json(report, other);
  EXPECT_EQ(alone["searches"].size(), 1u);
  EXPECT_THAT(alone["notes"].dump(), ::testing::HasSubstr("their machine differs"));
  other = exact;
  other["legality"]["reference_log_scores"][0] = 0;
  EXPECT_THAT(to_json(report, other)["notes"].dump(),
              ::testing::HasSubstr("their legality's reference_log_scores differs"));
  EXPECT_EQ(to_json(report, Json::array())["searches"].size(), 1u);
}

TEST(ExplorationReport, HtmlIsOneWellFormedFileWithoutLinks) {
  for (const ExplorationReport& report :
       {example_report(), untrained_report(), ExplorationReport{.rule = "none"}}) {
    const std::string html = to_html(to_json(report));
    EXPECT_THAT(html, Not(HasSubstr("<script")));
    EXPECT_THAT(html, Not(HasSubstr("http")));
    EXPECT_THAT(html, Not(HasSubstr("url(")));
    EXPECT_THAT(html, Not(HasSubstr(">inf")));
    EXPECT_THAT(html, Not(HasSubstr("nan")));
    constexpr const char* k_script = R"(
import sys, xml.etree.ElementTree as tree
tree.fromstring(sys.stdin.read().replace("<!DOCTYPE html>", ""))
)";
    ProcessOptions options;
    options.input = html;
    const auto result = run_process({EMULSION_PYTHON, "-c", k_script}, options);
    ASSERT_TRUE(result.ok());
    EXPECT_EQ(result->exit_code, 0) << result->errors;
  }
}

TEST(ExplorationReport, HtmlSaysWhatAReaderMustKnow) {
  const std::string html = to_html(to_json(example_report()));
  EXPECT_THAT(html, HasSubstr("&lt;model&gt; &amp; &quot;name&quot;.onnx"));
  EXPECT_THAT(html, HasSubstr("ranked, not calibrated"));
  EXPECT_THAT(html, HasSubstr("predicted loss"));
  EXPECT_THAT(html, HasSubstr("emulsion transform"));
  EXPECT_THAT(html, HasSubstr("emulsion compile faster.onnx --plan faster.plan.json"));
  EXPECT_THAT(to_html(to_json(untrained_report())),
              HasSubstr("62% of the original's capacity, by its narrow copy"));
}

TEST(ExplorationReport, TableShowsMeasuredAndPredicted) {
  const std::string table = to_table(example_report());
  EXPECT_THAT(table, HasSubstr("1.55x"));
  EXPECT_THAT(table, HasSubstr("fastest"));
  EXPECT_THAT(table, HasSubstr("plans/2x.json"));
}

}  // namespace
}  // namespace emulsion
