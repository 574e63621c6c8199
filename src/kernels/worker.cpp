#include "kernels/worker.h"

#include <csignal>
#include <cstring>
#include <iostream>
#include <iterator>

#include "base/process.h"
#include "lower/lower.h"

namespace emulsion {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool k_sanitized = true;  // sanitizers reserve terabytes of address space
#else
constexpr bool k_sanitized = false;
#endif

constexpr std::string_view k_runtime_request = "runtime ";

// Halide reports a failure on several lines; the one that says most is the last that is not empty.
std::string last_line(const std::string& text) {
  const size_t end = text.find_last_not_of(" \n\r\t");
  if (end == std::string::npos) return "";
  const size_t newline = text.find_last_of('\n', end);
  const size_t begin = newline == std::string::npos ? 0 : newline + 1;
  return text.substr(begin, end + 1 - begin);
}

Status compile_request(const std::string& text, const std::string& object_path) {
  if (text.starts_with(k_runtime_request)) {
    const size_t newline = text.find('\n');
    const size_t begin = k_runtime_request.size();
    return compile_runtime(text.substr(begin, newline - begin), object_path);
  }
  TRY(const KernelSpec spec, parse_kernel_spec(text));
  // The symbol in the object is the hash of the text: a text that we would print otherwise is
  // another kernel.
  if (to_text(spec) != text) {
    return failure("the kernel's text does not round-trip: it reads back as {}", to_text(spec));
  }
  return compile_to_object(spec, object_path);
}

}  // namespace

Result<std::string> run_worker(const std::vector<std::string>& argv, const std::string& input,
                               const WorkerLimits& limits) {
  ProcessOptions options;
  options.input = input;
  options.seconds = limits.seconds;
  options.memory_bytes = k_sanitized ? 0 : limits.memory_bytes;
  TRY(ProcessResult result, run_process(argv, options));
  if (result.timed_out) {
    return failure("{} took longer than its limit of {:g} s", argv[0], limits.seconds);
  }
  const std::string message = last_line(result.errors);
  if (result.exit_code > 128) {
    const int signal = result.exit_code - 128;
    return failure("{} died of signal {} ({}){}{}", argv[0], signal, strsignal(signal),
                   message.empty() ? "" : ": ", message);
  }
  if (result.exit_code != 0) {
    return Error{
        message.empty() ? fmt::format("{} ended with code {}", argv[0], result.exit_code) : message,
        result.exit_code == static_cast<int>(ExitCode::bad_input) ? ExitCode::bad_input
                                                                  : ExitCode::internal};
  }
  return std::move(result.output);
}

std::string runtime_request(const std::string& target) {
  return fmt::format("{}{}\nhalide {}.{}.{}\n", k_runtime_request, target, HALIDE_VERSION_MAJOR,
                     HALIDE_VERSION_MINOR, HALIDE_VERSION_PATCH);
}

int compile_kernel_worker(const std::string& object_path) {
  const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
  const Status status = compile_request(text, object_path);
  if (status.ok()) return 0;
  fmt::print(stderr, "{}\n", status.error().message);
  return static_cast<int>(status.error().code);
}

}  // namespace emulsion
