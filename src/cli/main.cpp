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
  app.set_version_flag("--version", EMULSION_VERSION);
  std::function<Status()> action;
  for (const Verb& verb : k_verbs) {
    CLI::App* subcommand = app.add_subcommand(verb.name, verb.sentence);
    subcommand->callback([&action, run = verb.define(*subcommand)] { action = run; });
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& parse_error) {
    const int code = app.exit(parse_error);
    return code == 0 ? 0 : static_cast<int>(ExitCode::bad_input);
  }
  catch_interrupts();
  const Status status = action();
  if (status.ok()) return 0;
  fmt::print(stderr, "emulsion: {}\n", status.error().message);
  return static_cast<int>(status.error().code);
}

}  // namespace
}  // namespace emulsion

int main(int argc, char** argv) {
  return emulsion::run_program(argc, argv);
}
