// The examples of docs/formats.md are what the program reads and writes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "base/file.h"
#include "base/process.h"
#include "plan/plan.h"

namespace emulsion {
namespace {

// The fenced blocks of this kind.
std::vector<std::string> examples(const std::string& kind) {
  const std::string page = *read_file(EMULSION_SOURCE_DIR "/docs/formats.md");
  std::vector<std::string> found;
  const std::string fence = "```" + kind + "\n";
  for (size_t at = page.find(fence); at != std::string::npos; at = page.find(fence, at)) {
    at += fence.size();
    found.push_back(page.substr(at, page.find("```", at) - at));
  }
  return found;
}

TEST(Formats, TheExamplePlanIsReadAndWrittenTheSame) {
  ASSERT_FALSE(examples("json plan").empty());
  for (const std::string& text : examples("json plan")) {
    const Result<Plan> plan = parse_plan(text, "formats.md");
    ASSERT_TRUE(plan.ok()) << plan.error().message;
    EXPECT_EQ(to_json(*plan), text);
  }
}

TEST(Formats, TheExampleStepsAreReadAndWrittenTheSame) {
  ASSERT_FALSE(examples("steps").empty());
  std::istringstream lines(examples("steps")[0]);
  for (std::string line; std::getline(lines, line);) {
    const Result<Steps> steps = parse_steps(line);
    ASSERT_TRUE(steps.ok()) << steps.error().message;
    EXPECT_EQ(to_text(*steps), line);
  }
}

TEST(Formats, TheExampleNetworkIsReadAndWrittenTheSameAndHasTheExamplePlan) {
  ASSERT_FALSE(examples("network").empty());
  const std::string text = examples("network")[0];
  const Result<Network> network = parse_network(text);
  ASSERT_TRUE(network.ok()) << network.error().message;
  EXPECT_EQ(to_text(*network), text);
  const Plan plan = *parse_plan(examples("json plan")[0], "formats.md");
  const Status fits = check(plan, *network);
  EXPECT_TRUE(fits.ok()) << fits.error().message;
}

// Every ```json NAME block against docs/schemas/NAME.schema.json, and some plans that must not
// pass.
TEST(Formats, TheExamplesFitTheirSchemas) {
  constexpr const char* k_script = R"(
import json, pathlib, re, sys
import jsonschema
docs = pathlib.Path(sys.argv[1])
blocks = re.findall(r"^```json ([\w-]+)\n(.*?)^```", (docs / "formats.md").read_text(), re.M | re.S)
schemas = {p.name.split(".")[0]: json.loads(p.read_text()) for p in (docs / "schemas").glob("*.schema.json")}
assert {name for name, _ in blocks} == set(schemas), "a schema without an example, or an example without a schema"
for name, text in blocks:
    jsonschema.Draft202012Validator.check_schema(schemas[name])
    jsonschema.validate(json.loads(text), schemas[name])
plan = next(json.loads(text) for name, text in blocks if name == "plan")
for key, value in [("format", "emulsion-plan-9"), ("threads", 0), ("layers", {}), ("extra", 1), ("network", "x")]:
    try:
        jsonschema.validate({**plan, key: value}, schemas["plan"])
    except jsonschema.ValidationError:
        continue
    sys.exit(f"the schema lets {key} = {value} pass")
)";
  const auto result = run_process({EMULSION_PYTHON, "-c", k_script, EMULSION_SOURCE_DIR "/docs"});
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(result->exit_code, 0) << result->output << result->errors;
}

}  // namespace
}  // namespace emulsion
