// A case of a sweep is one line, which describes all of it.
#include "replay.h"

#include <gmock/gmock.h>
#include <gtest/gtest-spi.h>

#include "lower/algorithm.h"
#include "lower/lower.h"
#include "odd_convs.h"

namespace emulsion {
namespace {

using testing::HasSubstr;

Replayable example() {
  ConvCase c{.residual = true, .activation = Activation{Activation::Kind::relu}};
  c.output_rim = {1, 0, 2, 3};
  c.parent_channels = 5;
  KernelSpec spec = c.spec();
  spec.target = targets_here().back();
  spec.prefetch_next_kb = 4;
  return {completed(spec).value(), Delivery::object};
}

// EMULSION_REPLAY's case, if it is set.
TEST(Replay, RunsTheCaseOfALine) {
  check_line(line_to_replay() ? line_to_replay() : to_line(example()));
}

TEST(Replay, TheLineHasAllButValues) {
  const Replayable c = example();
  const std::string line = to_line(c);
  for (const std::string& part :
       {to_text(c.spec.op), to_text(c.spec.inputs[0]), to_text(c.spec.inputs[1]),
        to_text(c.spec.output), c.spec.algorithm, c.spec.schedule, c.spec.target})
    EXPECT_THAT(line, HasSubstr(" " + part));
  const Replayable read = parse_line(line).value();
  EXPECT_EQ(to_line(read), line);
  EXPECT_EQ(to_text(read.spec), to_text(c.spec));
  EXPECT_EQ(read.delivery, Delivery::object);
}

TEST(Replay, TheNoiseIsTheSame) {
  const Replayable c = example(), read = parse_line(to_line(c)).value();
  const auto &conv = std::get<Conv>(c.spec.op), &conv_read = std::get<Conv>(read.spec.op);
  EXPECT_EQ(conv_read.weight->data, conv.weight->data);
  EXPECT_EQ(conv_read.bias->data, conv.bias->data);
}

TEST(Replay, RefusesWhatIsNoCase) {
  const std::string line = to_line(example());
  const auto message = [](const std::string& text) {
    const auto read = parse_line(text);
    return read.ok() ? std::string() : read.error().message;
  };
  EXPECT_THAT(message(""), HasSubstr("a case begins with"));
  EXPECT_THAT(message(line.substr(1)), HasSubstr("not with 'bject'"));
  EXPECT_THAT(message(line + " / colour blue"), HasSubstr("unknown line 'colour blue'"));
  EXPECT_THAT(message(line.substr(0, line.find(" / target")) + " / target arm-64-osx"),
              HasSubstr("this machine does not run"));
  EXPECT_THAT(message(line.substr(0, line.find(" / output"))), HasSubstr("no 'output' line"));
}

TEST(Replay, AFailureShowsTheLine) {
  EXPECT_FATAL_FAILURE(check_line("jit"), "EMULSION_REPLAY='jit'");
}

TEST(Replay, AnErrorBeyondTheBoundIsAFailure) {
  const KernelSpec spec = example().spec;
  check_conv(spec);
  EXPECT_NONFATAL_FAILURE(check_conv(spec, 0.0), "conv_error");
}

}  // namespace
}  // namespace emulsion
