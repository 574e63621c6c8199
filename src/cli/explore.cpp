// emulsion explore: faster architectures for a network. The work is in explore/; this is its
// options, and what it prints.
#include "explore/explore.h"

#include "autoschedule/strategy.h"
#include "cli/processor.h"
#include "cli/verb.h"
#include "lower/lower.h"

namespace emulsion {
namespace {

struct ExploreVerbOptions : CommonOptions {
  ExploreOptions explore;
  std::string output, records, calibration, legality;
  bool trained = false, untrained = false;
};

void print(const ExplorationReport& report, const std::filesystem::path& output) {
  for (const std::string& note : report.notes) fmt::print("{}\n", note);
  const SearchReport& search = report.search;
  fmt::print(
      "\n{} slots, strategy {}, {} whole networks rejected. Times are beside the same "
      "function at its best ({:.2f} ms; by default {:.2f} ms).\n\n{}\nReport: {}\n",
      report.slots, search.strategy, search.rejections.size(), report.same_function_ms,
      report.default_ms, to_table(report), (output / "report.html").string());
}

Status explore_verb(const ExploreVerbOptions& verb) {
  ExploreOptions options = verb.explore;
  options.model = verb.model;
  options.target = verb.target;
  options.output = verb.output;
  options.records = verb.records;
  options.calibration = verb.calibration;
  if (verb.trained || verb.untrained) options.trained = verb.trained;
  if (!verb.legality.empty()) {
    TRY(options.legality, parse_explore_legality(verb.legality));
  }
  TRY(const Strategy* const strategy, find_strategy(options.strategy));
  (void)strategy;
  TRY(options.target, resolve_target(options.target));
  TRY_OK(check_runs_here(options.target));
  TRY(const Network network, load_network(verb));
  TRY_OK(check_cache(verb));
  KernelCache cache = kernel_cache(verb);
  TRY(const Explored explored, explore(network, options, cache));
  if (verb.json) {
    fmt::print("{}\n", to_json(explored.report).dump(1));
  } else {
    print(explored.report, options.output);
  }
  return explored.status;
}

std::string strategy_sentences() {
  std::string text;
  for (const Strategy& strategy : strategies()) {
    text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", strategy.name, strategy.sentence);
  }
  return text;
}

}  // namespace

std::function<Status()> define_explore(CLI::App& app) {
  auto options = std::make_shared<ExploreVerbOptions>();
  ExploreOptions& explore = options->explore;
  add_model_argument(app, *options);
  app.add_option("-o,--output", options->output, "Folder for plans, pareto.json and report.html")
      ->required()
      ->type_name("DIR");
  app.add_option("--data", explore.data,
                 "Images of the task, float32 N x C x H x W as the model expects")
      ->type_name("X.npy");
  app.add_option("--labels", explore.labels, "Their classes, integers [N]")->type_name("Y.npy");
  app.add_option("--strategy", explore.strategy, strategy_sentences())
      ->type_name("NAME")
      ->capture_default_str();
  app.add_option("--configs", explore.configurations,
                 "Configurations that random and evolve look at")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  CLI::Option* const speedup =
      app.add_option("--target-speedup", explore.target_speedup,
                     "The plan that loses least among those this many times as fast as the same "
                     "function at its best. Default: the whole front")
          ->check(number_between(1.01, 1000))
          ->type_name("X");
  app.add_option("--target-ms", explore.target_ms, "The same for a time in milliseconds")
      ->check(number_between(1e-6, 1e9))
      ->type_name("Y")
      ->excludes(speedup);
  app.add_option("--legality", options->legality,
                 "inherit: loss predicted from inherited weights, the default for a trained "
                 "network; fisher: rejected when surely below the original's score at "
                 "initialisation, the default for an untrained one; paper: when below it on one "
                 "draw; none")
      ->type_name("RULE");
  CLI::Option* const trained =
      app.add_flag("--trained", options->trained, "Take the network as trained");
  app.add_flag("--untrained", options->untrained, "Take it as untrained")->excludes(trained);
  app.add_option("--calibrate", options->calibration,
                 "Accuracies of a few fine-tuned plans, from which the largest predicted loss that "
                 "is legal is fitted (docs/formats.md)")
      ->type_name("FILE");
  app.add_option("--images", explore.images,
                 "How many images the loss of a trained network is predicted on: the first")
      ->check(CLI::Range(2, 65536))
      ->capture_default_str();
  app.add_option("--minibatch", explore.minibatch,
                 "How many images Fisher Potential is scored on: the first")
      ->check(CLI::Range(2, 4096))
      ->capture_default_str();
  app.add_option("--ways", explore.ways,
                 "Algorithms and schedules of a kernel that are measured, at most")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--budget", explore.budget, "Stop after so many seconds; 0: when done")
      ->check(number_between(0, 1e9))
      ->type_name("SECONDS")
      ->capture_default_str();
  app.add_option("--seed", explore.seed, "Of every random number")
      ->check(whole_number())
      ->capture_default_str();
  app.add_option("--threads", explore.threads, "Threads of the network that is made faster")
      ->check(CLI::Range(1, k_most_threads))
      ->capture_default_str();
  app.add_option("--slots", explore.slots, "Rewrite the convs whose names match, and no others")
      ->type_name("REGEX");
  app.add_option("--freeze", explore.freeze, "Leave the convs whose names match")
      ->type_name("REGEX");
  app.add_option("--rewrites", explore.rewrites,
                 "Take rewrites whose steps match, and no others, such as 'group|depthwise'")
      ->type_name("REGEX");
  app.add_option("--records", options->records, "File of measured times; default DIR/records.jsonl")
      ->type_name("FILE");
  app.add_flag("--json", options->json, "Print pareto.json");
  add_target_option(app, *options);
  add_cache_options(app, *options);
  app.footer(
      "Example:\n  emulsion explore m.onnx --data images.npy --labels labels.npy -o found\n"
      "  emulsion compile m.onnx --plan found/plans/2x.json -o lib\n"
      "Run again with the same options it goes on where it stopped. With another --strategy and "
      "the\nsame folder, the report shows both.");
  return [options] { return explore_verb(*options); };
}

}  // namespace emulsion
