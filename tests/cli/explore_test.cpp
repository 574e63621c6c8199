#include <spawn.h>
#include <sys/wait.h>

#include <csignal>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <thread>

#include "../autoschedule/block_network.h"
#include "plan/plan.h"
#include "simplify/simplify.h"
#include "verb_test.h"

extern char** environ;

namespace emulsion {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;

class ExploreTest : public VerbTest {
 protected:
  static constexpr const char* k_rewrites = "^(group [24]|bottleneck co 2|depthwise)$";
  Network network_ = testing::block_network(32, 8);

  // Two slots, three rewrites and a small minibatch, so that few kernels are compiled.
  std::vector<std::string> arguments(const std::string& folder,
                                     std::vector<std::string> more = {}) const {
    std::vector<std::string> all = {
        "explore",  model(network_), "-o", path(folder), "--slots", "^a1|^b2", "--rewrites",
        k_rewrites, "--minibatch",   "4",  "--configs",  "30",      "--ways",  "2",
        "--data",   images()};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  std::string images() const { return npy(noise({6, 3, 8, 8}, 5), "images.npy"); }

  // int64 [N]
  std::string labels(const std::vector<int64_t>& values) const {
    std::string header =
        fmt::format("{{'descr': '<i8', 'fortran_order': False, 'shape': ({},), }}", values.size());
    header.resize(117, ' ');
    header += '\n';
    std::string bytes = "\x93NUMPY";
    bytes += std::string("\x01\x00\x76\x00", 4) + header;
    bytes.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(int64_t));
    return text(bytes, "labels.npy");
  }

  // Whether a plan turns out fast enough is up to the clock; then the answer is no.
  ProcessResult explore(std::vector<std::string> all) const {
    ProcessResult result = compiling(std::move(all));
    EXPECT_THAT(result.exit_code, ::testing::AnyOf(0, 1)) << result.errors;
    if (result.exit_code == 1) {
      EXPECT_THAT(result.errors, HasSubstr("is fast enough"));
    }
    return result;
  }

  std::string content(const std::string& file) const { return must(read_file(path(file))); }

  // Starts the program and sends it a signal once its state has so many lines; its wait status.
  int interrupted_at(std::vector<std::string> all, const std::string& folder, int lines,
                     int signal) const {
    all.insert(all.begin(), EMULSION_PROGRAM);
    all.insert(all.end(), {"--cache", cache_->path().string()});
    std::vector<char*> argv;
    for (std::string& argument : all) argv.push_back(argument.data());
    argv.push_back(nullptr);
    pid_t child = 0;
    EXPECT_EQ(posix_spawn(&child, EMULSION_PROGRAM, nullptr, nullptr, argv.data(), environ), 0);
    int status = 0;
    bool sent = false;
    while (waitpid(child, &status, WNOHANG) == 0) {
      const auto state = read_file(path(folder + "/state.jsonl"));
      if (!sent && state.ok() && std::count(state->begin(), state->end(), '\n') >= lines) {
        kill(child, signal);
        sent = true;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return status;
  }

  // What an exploration left, but for its folder and how long it took.
  std::string answer(const std::string& folder) const {
    auto json = nlohmann::json::parse(content(folder + "/pareto.json"));
    json.erase("folder");
    for (auto& search : json["searches"]) search.erase("seconds");
    std::string all = json.dump(1);
    std::vector<std::string> plans;
    for (const auto& entry : fs::directory_iterator(path(folder + "/plans"))) {
      plans.push_back(entry.path().filename().string());
    }
    std::sort(plans.begin(), plans.end());
    for (const std::string& plan : plans) all += plan + content(folder + "/plans/" + plan);
    return all;
  }
};

TEST_F(ExploreTest, finds_plans_and_says_where_the_report_is) {
  const auto result = explore(arguments("found"));
  EXPECT_THAT(result.output, HasSubstr("report.html"));
  EXPECT_THAT(result.output, HasSubstr("at initialisation"));
  EXPECT_THAT(result.output, HasSubstr("No --labels"));
  const auto json = nlohmann::json::parse(content("found/pareto.json"));
  EXPECT_TRUE(json["searches"][0]["complete"]);
  EXPECT_EQ(json["legality"]["rule"], "fisher");
  EXPECT_EQ(json["legality"]["reference_log_scores"].size(), 16u);
  ASSERT_FALSE(json["plans"].empty());
  EXPECT_EQ(json["plans"][0]["file"], "plans/same.json");
  EXPECT_EQ(json["plans"].size() < 2, result.exit_code == 1);
  for (const auto& entry : json["plans"]) {
    const std::string file = "found/" + entry["file"].get<std::string>();
    const Plan plan = must(parse_plan(content(file), file));
    EXPECT_EQ(rewrites(plan).size(), entry["rewritten"]);
    for (const LayerChoice& layer : plan.layers) EXPECT_FALSE(layer.kernels.empty());
    const Status fits = check(plan, simplify(network_));
    EXPECT_TRUE(fits.ok()) << fits.error().message;
    if (!entry["wanted_speedup"].is_null()) {
      EXPECT_GE(entry["measured"]["speedup"], entry["wanted_speedup"]);
    }
    EXPECT_TRUE(entry["rewritten"] == 0 || entry["fisher"]["legal"] == true);
  }
  EXPECT_THAT(content("found/report.html"), HasSubstr("<svg"));

  // Another strategy in the same folder is added to it.
  explore(arguments("found", {"--strategy", "random"}));
  const auto both = nlohmann::json::parse(content("found/pareto.json"));
  ASSERT_EQ(both["searches"].size(), 2u) << both["notes"];
  EXPECT_EQ(both["searches"][0]["strategy"], "random");
  EXPECT_EQ(both["searches"][0]["screened"], 30);
  EXPECT_EQ(both["searches"][0]["points"].size(), 30u);
  EXPECT_EQ(both["searches"][1], json["searches"][0]);

  constexpr const char* k_script = R"(
import json, pathlib, sys
import jsonschema
folder, schemas = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
schema = lambda name: json.loads((schemas / f"{name}.schema.json").read_text())
jsonschema.validate(json.loads((folder / "pareto.json").read_text()), schema("pareto"))
for name in ["records", "state"]:
    for line in (folder / f"{name}.jsonl").read_text().splitlines():
        jsonschema.validate(json.loads(line), schema(name))
)";
  const auto schemas = run_python(k_script, {path("found"), EMULSION_SOURCE_DIR "/docs/schemas"});
  EXPECT_EQ(schemas.exit_code, 0) << schemas.errors;
}

// With the first run's times as records, what is left has no clock in it.
TEST_F(ExploreTest, the_same_seed_gives_the_same_answer_also_when_killed_in_between) {
  explore(arguments("first"));
  const std::string records = path("first/records.jsonl");
  const std::string expected = answer("first");

  explore(arguments("again", {"--records", records, "--jobs", "1"}));
  EXPECT_EQ(answer("again"), expected);

  for (const int lines : {4, 24}) {
    const std::string folder = "killed" + std::to_string(lines);
    const auto all = arguments(folder, {"--records", records});
    const int status = interrupted_at(all, folder, lines, SIGKILL);
    EXPECT_TRUE(WIFSIGNALED(status)) << "it ended before it was killed";
    explore(all);
    EXPECT_EQ(answer(folder), expected);
  }

  const auto all = arguments("interrupted", {"--records", records});
  const int status = interrupted_at(all, "interrupted", 24, SIGINT);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 130);
  EXPECT_FALSE(
      nlohmann::json::parse(content("interrupted/pareto.json"))["searches"][0]["complete"]);
  explore(all);
  EXPECT_EQ(answer("interrupted"), expected);

  // The folder is that of one exploration.
  expect_refusal(compiling(arguments("first", {"--seed", "1", "--records", records})), "seed");
}

TEST_F(ExploreTest, stops_at_its_budget_and_goes_on) {
  const auto stopped = compiling(arguments("budget", {"--budget", "0.01"}));
  EXPECT_EQ(stopped.exit_code, 1);
  EXPECT_THAT(stopped.errors, HasSubstr("the budget of 0.01 s was over"));
  explore(arguments("budget"));
  auto json = nlohmann::json::parse(content("budget/pareto.json"));
  EXPECT_TRUE(json["searches"][0]["complete"]);

  // What is not as explore writes it is replaced, and that is said.
  json["searches"][0]["strategy"] = "random";
  json["searches"][0]["screened"] = nullptr;
  for (const std::string& broken : {json.dump(), std::string("[]"), std::string("{")}) {
    must(write_file(path("budget/pareto.json"), broken));
    explore(arguments("budget"));
    const auto after = nlohmann::json::parse(content("budget/pareto.json"));
    EXPECT_EQ(after["searches"].size(), 1u);
    EXPECT_THAT(after["notes"].dump(), HasSubstr("pareto.json before is gone")) << broken;
  }
}

TEST_F(ExploreTest, aims_at_one_speed_when_asked) {
  explore(arguments("aimed", {"--target-speedup", "1.05", "--legality", "none"}));
  const auto json = nlohmann::json::parse(content("aimed/pareto.json"));
  ASSERT_LE(json["plans"].size(), 2u);
  EXPECT_TRUE(json["plans"].size() == 1 || json["plans"][1]["file"] == "plans/1.05x.json");
}

TEST_F(ExploreTest, refuses_bad_input_in_one_line) {
  Tensor nan = noise({6, 3, 8, 8}, 5);
  nan.data[100] = std::numeric_limits<float>::quiet_NaN();
  const std::string with_nan = npy(nan, "nan.npy");
  const std::string wrong = npy(noise({6, 3, 9, 8}, 5), "wrong.npy");
  const std::string one = npy(noise({1, 3, 8, 8}, 5), "one.npy");
  struct Case {
    std::vector<std::string> more;
    const char* part;
  };
  const std::vector<int64_t> good = {0, 1, 2, 3, 0, 1};
  for (const Case& c : std::vector<Case>{
           {{"--data", with_nan}, "finite"},
           {{"--data", wrong}, "6x3x9x8"},
           {{"--data", one}, "at least 2"},
           {{"--data", path("missing.npy")}, "missing.npy"},
           {{"--labels", labels({0, 1, 2, 4, 0, 1})}, "outside the network's 4 classes"},
       }) {
    auto all = arguments("bad");
    if (c.more[0] == "--data") all.resize(all.size() - 2);
    all.insert(all.end(), c.more.begin(), c.more.end());
    expect_refusal(compiling(all), c.part);
  }
  expect_refusal(compiling(arguments("bad", {"--labels", labels({0, -1, 2, 3, 0, 1})})), "is -1");
  expect_refusal(compiling(arguments("bad", {"--labels", labels({0, 1})})),
                 "2 labels for 6 images");
  expect_refusal(compiling(arguments("bad", {"--labels", images()})), "integers");
  expect_refusal(compiling(arguments("bad", {"--legality", "maybe"})), "maybe");
  expect_refusal(compiling(arguments("bad", {"--strategy", "luck"})), "exact, evolve, random");
  expect_refusal(compiling(arguments("bad", {"--rewrites", "("})), "--rewrites");
  expect_refusal(compiling(arguments("bad", {"--target-ms", "0"})), "is not a number");
  expect_refusal(compiling(arguments("bad", {"--freeze", "("})), "--freeze");
  expect_refusal(compiling(arguments("bad", {"--target", "z80"})), "z80");
  expect_refusal(compiling(arguments("bad", {"--seed", "-1"})), "is not a whole number");
  expect_refusal(compiling(arguments("bad", {"--budget", "nan"})), "is not a number");
  expect_refusal(compiling(arguments("m.onnx/below")), "m.onnx");
}

TEST_F(ExploreTest, a_network_without_slots_is_an_answer) {
  const auto result = compiling(arguments("none", {"--freeze", "."}));
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.errors, HasSubstr("no conv can be rewritten"));
}

TEST_F(ExploreTest, without_data_it_says_what_that_costs) {
  auto all = arguments("noise", {"--legality", "paper", "--json"});
  const auto data = std::find(all.begin(), all.end(), "--data");
  all.erase(data, data + 2);
  const auto result = explore(all);
  const auto json = nlohmann::json::parse(result.output);
  EXPECT_THAT(json["notes"].dump(), HasSubstr("seeded noise"));
  EXPECT_EQ(json["legality"]["images_from"], "seeded noise");
  EXPECT_EQ(json["legality"]["rule"], "paper");
}

// Weights with heavy tails, as training leaves them: without labels that is the only sign.
TEST_F(ExploreTest, of_a_trained_network_predicts_the_loss_from_its_own_answers) {
  for (Layer& layer : network_.layers) {
    auto* conv = std::get_if<Conv>(&layer.op);
    if (!conv) continue;
    Tensor weight = noise(conv->weight->shape, 3);
    for (float& w : weight.data) w = w * w * w;
    conv->weight = std::make_shared<Tensor>(std::move(weight));
  }
  const auto result = explore(arguments("trained"));
  EXPECT_THAT(result.output, HasSubstr("ranked, not calibrated"));
  const auto json = nlohmann::json::parse(content("trained/pareto.json"));
  EXPECT_EQ(json["legality"]["labels_from"], "the model's own answers");
  EXPECT_EQ(json["legality"]["rule"], "inherit");
  EXPECT_EQ(json["legality"]["loss"], "inherit");
  double last = -1;
  for (const auto& plan : json["plans"]) {
    EXPECT_TRUE(plan["inherit"].contains("zero_shot_loss"));
    EXPECT_NEAR(plan["inherit"]["score"], plan["loss"], 1e-12);
    last = plan["inherit"]["score"];
    EXPECT_TRUE(plan["rewritten"] > 0 || last == 0);
  }

  // Calibrated by made-up fine-tunes, what loses more than they allow is not offered.
  if (json["plans"].size() < 2) return;  // up to the clock
  const std::string plan = path("trained/" + json["plans"].back()["file"].get<std::string>());
  const std::string same = path("trained/plans/same.json");
  text(fmt::format(
           R"({{"format": "emulsion-finetunes-1", "original_accuracy": 0.9, "tolerance": 0.01,
    "runs": [{{"plan": "{0}", "accuracy": 0.9}}, {{"plan": "{1}", "accuracy": 0.5}},
             {{"plan": "{1}", "accuracy": 0.6}}]}})",
           same, plan),
       "fine.json");
  const auto calibrated = explore(arguments("trained", {"--calibrate", path("fine.json")}));
  EXPECT_THAT(calibrated.output, HasSubstr("Calibrated by 3 fine-tunes"));
  for (const auto& entry : nlohmann::json::parse(content("trained/pareto.json"))["plans"]) {
    EXPECT_LT(entry["loss"], last);
  }
}

}  // namespace
}  // namespace emulsion
