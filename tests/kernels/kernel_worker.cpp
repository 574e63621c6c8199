// A program that is nothing but a worker, and, for the tests of Ctrl-C, a compiler that can be
// interrupted:
//   kernel_worker compile-kernel OBJECT | time-kernel ... | compile-all CACHE WORKER
// compile-all compiles the specs on stdin (separated by lines of "---") and ends with an exit code.
#include <cstring>
#include <iostream>
#include <iterator>

#include "base/interrupt.h"
#include "kernels/kernel_cache.h"
#include "kernels/time_kernel.h"

namespace emulsion {
namespace {

int compile_all(const char* directory, const char* worker) {
  catch_interrupts();
  const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
  std::vector<KernelSpec> specs;
  constexpr std::string_view k_separator = "---\n";
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(k_separator, begin), text.size());
    auto spec = parse_kernel_spec(text.substr(begin, end - begin));
    if (!spec.ok()) {
      fmt::print(stderr, "{}\n", spec.error().message);
      return 2;
    }
    specs.push_back(*spec);
    begin = end + k_separator.size();
  }
  KernelCache cache(directory, worker, 2);
  int code = 0;
  for (const auto& compiled : cache.compile(specs)) {
    if (compiled.ok()) continue;
    fmt::print(stderr, "{}\n", compiled.error().message);
    code = std::max(code, static_cast<int>(compiled.error().code));
  }
  return code;
}

}  // namespace
}  // namespace emulsion

int main(int argc, char** argv) {
  if (argc == 3 && std::strcmp(argv[1], "compile-kernel") == 0) {
    return emulsion::compile_kernel_worker(argv[2]);
  }
  if (argc >= 2 && std::strcmp(argv[1], "time-kernel") == 0) {
    return emulsion::time_kernel_worker({argv + 2, argv + argc});
  }
  if (argc == 4 && std::strcmp(argv[1], "compile-all") == 0) {
    return emulsion::compile_all(argv[2], argv[3]);
  }
  return 2;
}
