// The protocol of workers.py for a network that emulsion compiled; linked with NAME.a.
// Built by workers.py with -DNAME=<name> and -DHEADER="<name>.h", and where the weights lie beside
// the library, -DWEIGHTS_FILE="<path>". our_worker OUTPUT_ELEMENTS THREADS INPUT OUTPUT: the files
// are raw float32.
#include HEADER

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <vector>

#define CONCAT_INNER(a, b) a##b
#define CONCAT(a, b) CONCAT_INNER(a, b)
#define OURS(suffix) CONCAT(NAME, suffix)

namespace {

std::vector<float> read_floats(const char* path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
  const auto* floats = reinterpret_cast<const float*>(bytes.data());
  return {floats, floats + bytes.size() / sizeof(float)};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  const std::vector<float> x = read_floats(argv[3]);
  std::vector<float> y(std::strtoul(argv[1], nullptr, 10));
  OURS(_options) options = {};
  options.threads = std::atoi(argv[2]);
#ifdef WEIGHTS_FILE
  options.weights_file = WEIGHTS_FILE;
#endif
  OURS(_context)* context = OURS(_create)(&options);
  if (!context) return 3;
  const auto infer = [&] {
    if (OURS(_run_in)(context, x.data(), y.data()) != 0) {
      std::fprintf(stderr, "%s\n", OURS(_last_error)(context));
      std::exit(4);
    }
  };
  for (int i = 0; i < 3; ++i) infer();
  std::ofstream(argv[4], std::ios::binary)
      .write(reinterpret_cast<const char*>(y.data()), y.size() * sizeof(float));
  std::printf("ready %s\n", OURS(_version)());
  std::fflush(stdout);
  using Clock = std::chrono::steady_clock;
  const auto milliseconds = [](Clock::duration d) {
    return std::chrono::duration<double, std::milli>(d).count();
  };
  double seconds = 0;
  std::vector<double> times;
  while (std::scanf("%lf", &seconds) == 1) {
    const auto begin = Clock::now();
    times.clear();
    do {
      const auto start = Clock::now();
      infer();
      times.push_back(milliseconds(Clock::now() - start));
    } while (milliseconds(Clock::now() - begin) < seconds * 1e3);
    const char* separator = "[";
    for (const double time : times) {
      std::printf("%s%.6f", separator, time);
      separator = ",";
    }
    std::printf("]\n");
    std::fflush(stdout);
  }
  OURS(_destroy)(context);
}
