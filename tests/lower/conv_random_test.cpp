// Random convs, algorithms and schedules: a schedule is refused, or computes the conv.
//
// Each test runs for EMULSION_RANDOM_SECONDS (20), but k_least_cases at least; EMULSION_RANDOM_SEED
// (0) draws other cases. The n-th case of a test depends on nothing but the seed and n. More than
// 250 seconds exceed what ctest allows: run the program itself. It prints each case before it runs
// it; see replay.h for how to run one again.
#include <chrono>
#include <ostream>

#include "base/random.h"
#include "lower/algorithm.h"
#include "odd_convs.h"
#include "replay.h"

namespace emulsion {
namespace {

constexpr uint64_t k_least_cases = 16;

int64_t setting(const char* variable, int64_t otherwise) {
  const char* const text = std::getenv(variable);
  return text ? std::stoll(text) : otherwise;
}

class Draws {
 public:
  Draws(uint64_t seed, const char* test, uint64_t number) : stream_(seed, test, number) {}
  size_t below(size_t n) { return stream_.below(next_++, n); }
  Pick pick() {
    return [this](size_t n) { return below(n); };
  }

 private:
  RandomStream stream_;
  uint64_t next_ = 0;
};

// Bounds are of the largest output: some must not have cancelled out.
constexpr int64_t k_least_outputs = 16, k_least_half_channels = 16;

// Draws until there is a kernel.
template <class Draw>
KernelSpec first_of(const Draw& draw) {
  while (true)
    if (const std::optional<KernelSpec> spec = draw())
      if (element_count(spec->output.shape) >= k_least_outputs) return *spec;
}

KernelSpec with_some_half_weights(KernelSpec spec, Draws& draws) {
  std::string reason;
  if (draws.below(4) == 0 && takes_half_weights(spec, &reason) &&
      std::get<Conv>(spec.op).weight->shape[1] >= k_least_half_channels)
    spec.weights = ElementType::f16;
  return spec;
}

KernelSpec kernel_of(const OddFamily& family, Draws& draws) {
  return with_some_half_weights(
      first_of([&] { return spec_of(family, draw(family, draws.pick())); }), draws);
}

KernelSpec odd_kernel(Draws& draws) {
  return kernel_of(odd_families()[draws.below(odd_families().size())], draws);
}

// Steps drawn from a small alphabet, those that do not apply left out.
std::string random_schedule(Draws& draws, KernelSpec spec) {
  static const char* alphabet[] = {
      "tile co 16",        "tile co 8",         "tile co 24",       "tile g 2",
      "tile g 8",          "tile x 2",          "tile x 3",         "split y 2",
      "tile y 2",          "vectorize coi",     "vectorize coi 8",  "vectorize co 4",
      "vectorize gi",      "vectorize g 4",     "unroll coi",       "unroll xi",
      "unroll kx",         "split ci 2",        "split ci 4",       "unroll cii",
      "interchange ci kx", "interchange ky kx", "interchange co y", "interchange co x",
      "interchange x y",   "interchange x ci",  "interchange n ky", "parallel y",
      "parallel co",       "parallel n"};
  std::string schedule;
  for (int tries = 0; tries < 14; ++tries) {
    spec.schedule =
        schedule + (schedule.empty() ? "" : "; ") + alphabet[draws.below(std::size(alphabet))];
    if (completed(spec).ok()) schedule = spec.schedule;
  }
  return schedule;
}

Replayable with_random_steps(Draws& draws) {
  KernelSpec spec = odd_kernel(draws);
  spec.schedule = random_schedule(draws, spec);
  return {*completed(spec)};
}

Replayable with_schedule_of_a_template(KernelSpec spec, Draws& draws) {
  const std::vector<std::string> schedules = find_algorithm(spec.algorithm)->schedules(spec);
  spec.schedule = schedules[draws.below(schedules.size())];
  Replayable result{*completed(spec)};
  if (draws.below(8) > 0) return result;
  result.delivery = Delivery::object;
  const int kilobytes[] = {0, 1, 4, 64};
  result.spec.prefetch_next_kb = kilobytes[draws.below(4)];
  return result;
}

Replayable odd_conv(Draws& draws) {
  return with_schedule_of_a_template(odd_kernel(draws), draws);
}

Replayable large_conv(Draws& draws) {
  return with_schedule_of_a_template(kernel_of(large_family(), draws), draws);
}

Replayable chain(Draws& draws) {
  return with_schedule_of_a_template(first_of([&] { return draw_chain(draws.pick()); }), draws);
}

struct Kind {
  const char* name;
  Replayable (*draw)(Draws& draws);
};
void PrintTo(const Kind& kind, std::ostream* out) {
  *out << kind.name;
}

class RandomConv : public testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    if (line_to_replay()) GTEST_SKIP() << "[SKIP] another case is replayed";
  }
  static Replayable nth_case(uint64_t n) {
    static const auto seed = static_cast<uint64_t>(setting("EMULSION_RANDOM_SEED", 0));
    Draws draws(seed, GetParam().name, n);
    return GetParam().draw(draws);
  }
};

TEST_P(RandomConv, EqualsTheReference) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::seconds(setting("EMULSION_RANDOM_SECONDS", 20));
  for (uint64_t n = 0; (n < k_least_cases || Clock::now() < end) && !HasFailure(); ++n)
    check_line(to_line(nth_case(n)));
}

TEST_P(RandomConv, IsTheSameWhenItIsReadFromItsLine) {
  for (uint64_t n = 0; n < k_least_cases; ++n) {
    const Replayable c = nth_case(n);
    const std::string line = to_line(c);
    EXPECT_EQ(line.find('\n'), std::string::npos);
    const auto read = parse_line(line);
    ASSERT_TRUE(read.ok()) << read.error().message;
    EXPECT_EQ(to_text(read->spec), to_text(c.spec));
    EXPECT_EQ(read->delivery, c.delivery);
    EXPECT_EQ(to_line(*read), line);
    EXPECT_EQ(to_line(nth_case(n)), line);
  }
}

INSTANTIATE_TEST_SUITE_P(, RandomConv,
                         testing::Values(Kind{"RandomSteps", with_random_steps},
                                         Kind{"OddConvs", odd_conv}, Kind{"LargeConvs", large_conv},
                                         Kind{"Chains", chain}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace emulsion
