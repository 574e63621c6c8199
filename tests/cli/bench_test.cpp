#include <nlohmann/json.hpp>

#include "verb_test.h"

namespace emulsion {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class BenchTest : public VerbTest {
 protected:
  ProcessResult bench(std::vector<std::string> more) const {
    more.insert(more.begin(), {"bench", model(small_network()), "--seconds", "0.05"});
    return compiling(std::move(more));
  }
};

TEST_F(BenchTest, the_json_has_its_keys_and_they_agree) {
  const auto result = bench({"--json"});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  const auto json = nlohmann::json::parse(result.output);
  std::vector<std::string> keys;
  for (const auto& [key, value] : json.items()) keys.push_back(key);
  EXPECT_THAT(keys,
              ElementsAre("gflop", "gflops", "median_ms", "min_ms", "peak_gflops", "threads"));
  EXPECT_GT(json["min_ms"], 0.0);
  EXPECT_LE(json["min_ms"], json["median_ms"]);
  EXPECT_DOUBLE_EQ(json["gflop"], 2e-9 * static_cast<double>(multiplies(small_network())));
  const double gflops = json["gflop"].get<double>() / json["min_ms"].get<double>() * 1e3;
  EXPECT_NEAR(json["gflops"], gflops, 1e-9 * gflops);
  EXPECT_GT(json["peak_gflops"], 1.0);
  EXPECT_EQ(json["threads"], 1);
}

TEST_F(BenchTest, layers_are_timed_one_by_one) {
  const auto result = bench({"--json", "--layers"});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  const auto json = nlohmann::json::parse(result.output);
  double gflop = 0;
  std::vector<std::string> names;
  for (const auto& layer : json["layers"]) {
    gflop += layer["gflop"].get<double>();
    names.push_back(layer["name"]);
    EXPECT_GT(layer["min_ms"], 0.0);
    EXPECT_GT(layer["cold_min_ms"], 0.0);
    EXPECT_GE(layer["percent_of_peak"], 0.0);
  }
  EXPECT_THAT(names, ::testing::IsSupersetOf({"first", "second", "third", "classes"}));
  EXPECT_NEAR(gflop, json["gflop"], 1e-12);
}

TEST_F(BenchTest, the_json_fits_its_schema) {
  const auto result = bench({"--json", "--layers"});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  const auto validated = run_python(
      "import json, jsonschema, sys\n"
      "jsonschema.validate(json.load(open(sys.argv[1])), json.load(open(sys.argv[2])))",
      {text(result.output, "bench.json"), EMULSION_SOURCE_DIR "/docs/schemas/bench.schema.json"});
  EXPECT_EQ(validated.exit_code, 0) << validated.errors;
}

TEST_F(BenchTest, a_person_gets_sentences) {
  const auto result = bench({"--layers", "--threads", "2"});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_THAT(result.output, HasSubstr("2 threads"));
  EXPECT_THAT(result.output, HasSubstr("% of this machine's measured peak"));
  EXPECT_THAT(result.output, HasSubstr("second"));
}

TEST_F(BenchTest, bad_numbers_are_refused) {
  expect_refusal(bench({"--threads", "0"}), "range 1 to 256");
  expect_refusal(bench({"--seconds", "nan"}), "is not a number");
  EXPECT_EQ(run_emulsion({"bench", path("missing.onnx")}).exit_code, 2);
}

}  // namespace
}  // namespace emulsion
