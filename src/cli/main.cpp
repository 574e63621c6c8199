// The command: a table of verbs, one file each.
#include <cstring>

#include "base/interrupt.h"
#include "cli/verb.h"
#include "kernels/time_kernel.h"

namespace emulsion {
namespace {

constexpr Verb k_verbs[] = {
    {"inspect", "Show a network's layers, shapes, multiplies, weights, and what each could become.",
     define_inspect},
    {"compile", "Compile a network to a static library and a header.", define_compile},
    {"explore", "Search for legal, faster architectures and measure them.", define_explore},
    {"transform", "Write the network that a plan's rewrites make, with inherited weights, as ONNX.",
     define_transform},
    {"run", "Run a network on a .npy input.", define_run},
    {"verify", "Compile, run and compare with the plain reference and other oracles.",
     define_verify},
    {"bench", "Time a compiled network on this machine.", define_bench},
    {"model", "Write one of the published networks as ONNX with seeded weights.", define_model},
    {"targets", "List the targets that kernels can be compiled for.", define_targets},
    {"doctor", "Check this installation and this machine.", define_doctor},
};

// CLI11's message, and which help to read, in one line.
std::string usage_error(const CLI::App& app, const CLI::ParseError& parse_error, int argc,
                        char** argv) {
  const std::vector<CLI::App*> chosen = app.get_subcommands();
  if (!chosen.empty()) {
    return fmt::format("{}; see `emulsion {} --help`", parse_error.what(), chosen[0]->get_name());
  }
  if (argc < 2) return "say what to do: `emulsion --help` lists the verbs";
  return fmt::format("'{}' is no verb; `emulsion --help` lists them", argv[1]);
}

// Libraries throw where we return errors; what they throw is one line too.
Status run_action(const std::function<Status()>& action) {
  try {
    return action();
  } catch (const std::bad_alloc&) {
    return failure("out of memory");
  } catch (const std::exception& exception) {
    return failure("internal error: {}", exception.what());
  }
}

int run_program(int argc, char** argv) {
  // Worker processes are this program too; their verbs are not for people.
  if (argc == 3 && std::strcmp(argv[1], "compile-kernel") == 0)
    return compile_kernel_worker(argv[2]);
  if (argc >= 2 && std::strcmp(argv[1], "time-kernel") == 0) {
    return time_kernel_worker({argv + 2, argv + argc});
  }

  CLI::App app{
      "Emulsion makes a convolutional network fast on a machine: it searches what each convolution "
      "computes and how.",
      "emulsion"};
  app.require_subcommand(1);
  app.footer(
      "A first session:\n"
      "  emulsion model resnet34-cifar10 -o m.onnx      or take a network of your own\n"
      "  emulsion inspect m.onnx\n"
      "  emulsion compile m.onnx -o lib                 lib/m.a and lib/m.h, to link into an app\n"
      "  emulsion bench m.onnx\n"
      "  emulsion explore m.onnx --data images.npy -o found\n"
      "`emulsion VERB --help` has each verb's options. Exit codes: 0 done, 1 the answer is no, 2 "
      "bad "
      "usage or bad\ninput, 3 our own failure (a tool missing, a disk full), 130 interrupted.");
  app.set_version_flag("--version", EMULSION_VERSION);
  std::function<Status()> action;
  for (const Verb& verb : k_verbs) {
    CLI::App* subcommand = app.add_subcommand(verb.name, verb.sentence);
    subcommand->callback([&action, run = verb.define(*subcommand)] { action = run; });
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& parse_error) {
    // --help and --version are thrown too.
    if (parse_error.get_exit_code() == 0) return app.exit(parse_error);
    fmt::print(stderr, "emulsion: {}\n", usage_error(app, parse_error, argc, argv));
    return static_cast<int>(ExitCode::bad_input);
  }
  catch_interrupts();
  const Status status = run_action(action);
  if (status.ok()) return 0;
  fmt::print(stderr, "emulsion: {}\n", status.error().message);
  return static_cast<int>(status.error().code);
}

}  // namespace
}  // namespace emulsion

int main(int argc, char** argv) {
  return emulsion::run_program(argc, argv);
}
