// The same protocol as peer_worker.py for a network that emulsion compiled; linked with NAME.a.
// Built by peers.py with -DNAME=<name> and -DHEADER="<name>.h".
#include HEADER

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#define CONCAT_INNER(a, b) a##b
#define CONCAT(a, b) CONCAT_INNER(a, b)
#define OURS(suffix) CONCAT(NAME, suffix)

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const size_t inputs = std::strtoul(argv[2], nullptr, 10), outputs = std::strtoul(argv[3], nullptr, 10);
  OURS(_options) options = {};
  options.threads = std::atoi(argv[1]);
  OURS(_context)* context = OURS(_create)(&options);
  if (!context) return 3;
  std::vector<float> x(inputs), y(outputs);
  std::mt19937 random(0);
  std::normal_distribution<float> normal;
  for (float& value : x) value = normal(random);
  const auto infer = [&] {
    if (OURS(_run_in)(context, x.data(), y.data()) != 0) {
      std::fprintf(stderr, "%s\n", OURS(_last_error)(context));
      std::exit(4);
    }
  };
  for (int i = 0; i < 3; ++i) infer();
  std::printf("ready %s\n", OURS(_version)());
  std::fflush(stdout);
  using Clock = std::chrono::steady_clock;
  const auto milliseconds = [](Clock::duration d) { return std::chrono::duration<double, std::milli>(d).count(); };
  double seconds = 0;
  while (std::scanf("%lf", &seconds) == 1) {
    const auto begin = Clock::now();
    const char* separator = "[";
    do {
      const auto start = Clock::now();
      infer();
      std::printf("%s%.6f", separator, milliseconds(Clock::now() - start));
      separator = ",";
    } while (milliseconds(Clock::now() - begin) < seconds * 1e3);
    std::printf("]\n");
    std::fflush(stdout);
  }
  OURS(_destroy)(context);
}
