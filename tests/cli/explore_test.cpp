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
  Network network_ = testing::block_network(32, 8);

  // Two slots and a small minibatch, so that few kernels are compiled.
  std::vector<std::string> arguments(const std::string& folder,
                                     std::vector<std::string> more = {}) const {
    std::vector<std::string> all = {"explore", model(network_), "-o", path(folder), "--slots",
                                    "^a1|^b2", "--minibatch",   "4",  "--configs",  "30",
                                    "--data",  images()};
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

  // What an exploration left, but for the paths in it.
  std::string answer(const std::string& folder) const {
    std::string all = content(folder + "/pareto.json");
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
  EXPECT_TRUE(json["complete"]);
  EXPECT_EQ(json["configurations"].size(), 30u);
  EXPECT_EQ(json["legality"]["reference_log_scores"].size(), 16u);
  EXPECT_EQ(json["plans"].empty(), result.exit_code == 1);
  for (const auto& entry : json["plans"]) {
    const std::string file = "found/" + entry["file"].get<std::string>();
    const Plan plan = must(parse_plan(content(file), file));
    EXPECT_EQ(plan.layers.size(), entry["rewritten"]);
    const Status fits = check(plan, simplify(network_));
    EXPECT_TRUE(fits.ok()) << fits.error().message;
    EXPECT_GE(entry["measured"]["speedup"], entry["wanted_speedup"]);
    EXPECT_TRUE(entry["verdict"]["legal"]);
  }
  EXPECT_THAT(content("found/report.html"), HasSubstr("<svg"));

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

  for (const int lines : {4, 18}) {
    const std::string folder = "killed" + std::to_string(lines);
    const auto all = arguments(folder, {"--records", records});
    const int status = interrupted_at(all, folder, lines, SIGKILL);
    EXPECT_TRUE(WIFSIGNALED(status)) << "it ended before it was killed";
    explore(all);
    EXPECT_EQ(answer(folder), expected);
  }

  const auto all = arguments("interrupted", {"--records", records});
  const int status = interrupted_at(all, "interrupted", 18, SIGINT);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 130);
  EXPECT_FALSE(nlohmann::json::parse(content("interrupted/pareto.json"))["complete"]);
  explore(all);
  EXPECT_EQ(answer("interrupted"), expected);

  // The folder is that of one exploration.
  expect_refusal(compiling(arguments("first", {"--seed", "1", "--records", records})), "seed");
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

// Weights with heavy tails, as training leaves them.
TEST_F(ExploreTest, a_trained_network_without_labels_answers_itself) {
  for (Layer& layer : network_.layers) {
    auto* conv = std::get_if<Conv>(&layer.op);
    if (!conv) continue;
    Tensor weight = noise(conv->weight->shape, 3);
    for (float& w : weight.data) w = w * w * w;
    conv->weight = std::make_shared<Tensor>(std::move(weight));
  }
  const auto result = explore(arguments("trained", {"--legality", "paper", "--json"}));
  EXPECT_EQ(nlohmann::json::parse(result.output)["legality"]["labels_from"],
            "the model's own answers");
}

}  // namespace
}  // namespace emulsion
