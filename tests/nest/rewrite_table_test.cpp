// Every row of the table of rewrites: what it refuses and why, what it makes of a conv, and that
// what it makes is its definition in plain loops, for all small convs.
#include "nest/rewrite_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <numeric>

#include "base/file.h"
#include "network/evaluate.h"
#include "tests/nest/tiny_networks.h"

namespace emulsion {
namespace {

using testing::HasSubstr;

Steps steps(const std::string& text) {
  const Result<Steps> parsed = parse_steps(text);
  EXPECT_TRUE(parsed.ok()) << text;
  return *parsed;
}

struct Refused {
  int64_t ci, co;
  int groups;
  const char* steps;
  const char* why;
};

class Refuses : public testing::TestWithParam<Refused> {};

TEST_P(Refuses, WithTheReason) {
  const Refused& row = GetParam();
  const auto result =
      replacement(seeded_conv(row.ci, row.co, 3, row.groups), {1, row.ci, 6, 7}, steps(row.steps));
  ASSERT_FALSE(result.ok()) << row.steps;
  EXPECT_THAT(result.error().message, HasSubstr(row.why)) << row.steps;
  EXPECT_THAT(result.error().message, testing::StartsWith("step '")) << row.steps;
  EXPECT_EQ(result.error().code, ExitCode::bad_input);
}

INSTANTIATE_TEST_SUITE_P(
    , Refuses,
    testing::Values(
        Refused{8, 12, 1, "group 8", "8 does not divide co's 12"},
        Refused{12, 8, 1, "group 8", "8 does not divide ci's 12"},
        Refused{8, 8, 4, "group 4", "4 does not divide ci's 2"},
        Refused{8, 8, 1, "group 1", "must be 2 or more"},
        Refused{8, 8, 8, "depthwise", "no common divisor"},
        Refused{3, 8, 1, "depthwise", "no common divisor"},
        Refused{8, 8, 8, "separable", "sees one input channel already"},
        Refused{8, 6, 1, "bottleneck co 4", "4 does not divide co's 6"},
        Refused{8, 6, 1, "bottleneck co 1", "must be 2 or more"},
        Refused{8, 6, 1, "bottleneck co 4 tiled", "4 does not divide co's 6"},
        Refused{8, 8, 2, "bottleneck co 2 tiled", "the conv has groups"},
        Refused{8, 6, 1, "bottleneck co 4 zeros", "4 does not divide co's 6"},
        Refused{8, 8, 2, "bottleneck co 2 zeros", "the conv has groups"},
        Refused{8, 8, 1, "bottleneck co 2 propagated", "changes the layers after the conv"},
        Refused{6, 8, 1, "bottleneck ci 4", "4 does not divide ci's 6"},
        Refused{8, 8, 1, "bottleneck n 2", "bottleneck works on co, ci, y, x, not on n"},
        Refused{8, 8, 1, "bottleneck y 2 tiled", "bottleneck tiled works on co, not on y"},
        Refused{8, 8, 1, "bottleneck y 2", "'interchange co y' comes first"},
        Refused{8, 8, 1, "interchange co y; bottleneck x 2", "'interchange co x' comes first"},
        Refused{8, 8, 1, "interchange co x; bottleneck x 2", "2 does not divide x's 7"},
        Refused{8, 8, 1, "interchange co y; bottleneck y 4", "4 does not divide y's 6"},
        Refused{8, 9, 1, "split co 2; group[0] 2", "2 does not divide co's 9"},
        Refused{8, 8, 2, "split co 2; group[0] 2", "the conv has groups already"},
        Refused{8, 8, 1, "split co 2; group[2] 2", "there are parts 0 to 1"},
        Refused{8, 8, 1, "split co 2; group[1] 8", "8 does not divide co's 4"},
        Refused{8, 8, 1, "split co 1; group[0] 2", "there must be 2 parts or more"},
        Refused{8, 8, 1, "split ci 2; group[0] 2", "split works on co, y, not on ci"},
        Refused{8, 8, 1, "group[0] 2", "a split or unroll before it makes several"},
        Refused{8, 8, 1, "tile co 4; group[0] 2", "a split or unroll before it makes several"},
        Refused{8, 8, 1, "unroll co 8", "nothing is left of ci's 8"},
        Refused{9, 8, 1, "unroll co 8", "nothing is left of co's 8"},
        Refused{8, 8, 2, "unroll co 2", "the conv has groups already"},
        Refused{8, 8, 1, "unroll ci 2", "unroll works on co, not on ci"},
        Refused{8, 8, 1, "unroll co 3; group[1] 2", "2 does not divide ci's 5"},
        Refused{8, 8, 1, "split y 4; group[0] 2", "4 does not divide the input's 6 rows"},
        Refused{8, 8, 1, "split y 1; group[0] 2", "there must be 2 bands or more"},
        Refused{8, 8, 1, "tile co 4; group 2",
                "must come before the steps that split or mark loops"},
        Refused{8, 8, 1, "tile x 9", "a tile of 9 is larger"},
        Refused{8, 8, 1, "parallel z", "there is no loop 'z'"}));

TEST(SplitRows, RefusesBandsWhoseRowsDoNotAddUp) {
  Conv conv = seeded_conv(4, 4, 3);
  conv.pad = {0, 1, 0, 1};  // without padding above and below, bands lose rows
  const auto result = replacement(conv, {1, 4, 6, 6}, steps("split y 2; group[0] 2"));
  ASSERT_FALSE(result.ok());
  EXPECT_THAT(result.error().message,
              HasSubstr("2 bands of 3 rows make 1 rows each, not 4 in all"));
  EXPECT_FALSE(replacement(conv, {1, 4, 6, 6}, steps("split y 6; group[0] 2")).ok());
}

// "conv 4x8x3x3 g1 s1x1; ..." of a replacement's layers, mains marked with a star.
std::string layers_of(const Replacement& made) {
  std::string text;
  for (int i = 0; i < static_cast<int>(made.network.layers.size()); ++i) {
    const Layer& layer = made.network.layers[i];
    if (!text.empty()) text += "; ";
    if (std::count(made.mains.begin(), made.mains.end(), i)) text += "*";
    text += op_name(layer.op);
    if (const auto* conv = std::get_if<Conv>(&layer.op)) {
      text += fmt::format(" {}", to_text(conv->weight->shape));
      if (conv->groups > 1) text += fmt::format(" g{}", conv->groups);
      if (conv->stride != Extent2{1, 1}) {
        text += fmt::format(" s{}x{}", conv->stride[0], conv->stride[1]);
      }
    }
  }
  return text;
}

struct Made {
  int64_t ci, co;
  int kernel, groups;
  const char* steps;
  const char* layers;
};

class Makes : public testing::TestWithParam<Made> {};

TEST_P(Makes, TheLayersOfItsDefinition) {
  const Made& row = GetParam();
  for (const bool abstract : {false, true}) {
    Conv conv = seeded_conv(row.ci, row.co, row.kernel, row.groups);
    if (abstract) conv.weight = abstract_constant(conv.weight->shape);
    const auto result = replacement(conv, {1, row.ci, 6, 6}, steps(row.steps));
    ASSERT_TRUE(result.ok()) << result.error().message;
    EXPECT_EQ(layers_of(*result), row.layers) << row.steps;
    int64_t weights = 0;
    for (const int layer : conv_layers(result->network)) {
      const Constant& weight = std::get<Conv>(result->network.layers[layer].op).weight;
      EXPECT_EQ(weight->abstract(), abstract);
      weights += element_count(weight->shape);
    }
    const auto cost = rewrite_cost(conv, {1, row.ci, 6, 6}, steps(row.steps));
    EXPECT_EQ(cost->weights, weights);
    EXPECT_EQ(cost->multiplies, multiplies(result->network));
    EXPECT_EQ(cost->convs, static_cast<int>(conv_layers(result->network).size()));
  }
}

INSTANTIATE_TEST_SUITE_P(
    , Makes,
    testing::Values(
        Made{8, 16, 3, 1, "", "*conv 16x8x3x3"}, Made{8, 16, 3, 1, "group 4", "*conv 16x2x3x3 g4"},
        Made{8, 16, 3, 2, "group 2", "*conv 16x2x3x3 g4"},
        Made{8, 16, 3, 1, "group 2; group 2", "*conv 16x2x3x3 g4"},
        Made{8, 16, 1, 1, "group 2", "*conv 16x4x1x1 g2"},
        Made{8, 12, 3, 1, "depthwise", "*conv 12x2x3x3 g4"},
        Made{8, 12, 3, 1, "separable", "conv 8x1x3x3 g8; *conv 12x8x1x1"},
        Made{8, 12, 3, 2, "separable", "conv 8x1x3x3 g8; *conv 12x4x1x1 g2"},
        Made{8, 12, 3, 1, "separable; group 4", "conv 8x1x3x3 g8; *conv 12x2x1x1 g4"},
        Made{8, 16, 3, 1, "bottleneck co 4", "*conv 4x8x3x3; conv 16x4x1x1"},
        Made{8, 16, 3, 2, "bottleneck co 2", "*conv 8x4x3x3 g2; conv 16x8x1x1"},
        Made{8, 16, 3, 1, "group 2; bottleneck co 2", "*conv 8x4x3x3 g2; conv 16x8x1x1"},
        Made{8, 16, 3, 1, "bottleneck co 2; group 2", "*conv 8x4x3x3 g2; conv 16x8x1x1"},
        Made{8, 16, 3, 1, "bottleneck co 2; bottleneck co 2",
             "*conv 4x8x3x3; conv 8x4x1x1; conv 16x8x1x1"},
        Made{8, 16, 3, 1, "bottleneck co 4 tiled", "*conv 4x8x3x3; concat"},
        Made{8, 16, 3, 1, "bottleneck co 4 zeros", "*conv 4x8x3x3; pad"},
        Made{8, 16, 3, 1, "bottleneck ci 4", "conv 2x8x1x1; *conv 16x2x3x3"},
        Made{8, 16, 3, 2, "bottleneck ci 2", "conv 4x8x1x1; *conv 16x2x3x3 g2"},
        Made{8, 16, 3, 1, "bottleneck ci 2; bottleneck co 2",
             "conv 4x8x1x1; *conv 8x4x3x3; conv 16x8x1x1"},
        Made{8, 16, 3, 1, "interchange co y; bottleneck y 2", "*conv 16x8x3x3 s2x1; resize"},
        Made{8, 16, 3, 1, "interchange co y; bottleneck y 2; interchange co x; bottleneck x 3",
             "*conv 16x8x3x3 s2x3; resize"},
        Made{8, 16, 3, 1,
             "interchange co y; bottleneck y 2; interchange y x; bottleneck x 2; group 2",
             "*conv 16x4x3x3 g2 s2x2; resize"},
        Made{8, 16, 3, 1, "split co 2; group[0] 2; group[1] 4",
             "*conv 8x4x3x3 g2; *conv 8x2x3x3 g4; concat"},
        Made{8, 16, 3, 1, "split co 4; group[2] 1; depthwise[3]",
             "*conv 4x8x3x3; *conv 4x8x3x3; *conv 4x8x3x3; *conv 4x2x3x3 g4; concat"},
        Made{8, 16, 3, 1, "split co 2; group[0] 1; group 2",
             "*conv 8x4x3x3 g2; *conv 8x4x3x3 g2; concat"},
        Made{8, 16, 3, 1, "split co 2; bottleneck[1] co 2",
             "*conv 8x8x3x3; *conv 4x8x3x3; conv 8x4x1x1; concat"},
        Made{8, 16, 3, 1, "unroll co 4", "*conv 4x8x3x3; slice; *conv 12x4x3x3; concat"},
        Made{8, 16, 3, 1, "unroll co 4; group[1] 2",
             "*conv 4x8x3x3; slice; *conv 12x2x3x3 g2; concat"},
        Made{8, 16, 3, 1, "split y 2; group[0] 2; group[1] 4",
             "slice; *conv 16x4x3x3 g2; slice; *conv 16x2x3x3 g4; concat"},
        Made{
            8, 16, 3, 4, "split y 3; group[0] 1",
            "slice; *conv 16x2x3x3 g4; slice; *conv 16x2x3x3 g4; slice; *conv 16x2x3x3 g4; concat"},
        Made{8, 16, 3, 1, "bottleneck co 2; tile x 2; unroll xi", "*conv 8x8x3x3; conv 16x8x1x1"}));

// ---- Definitions in plain loops ---------------------------------------------------------------

// A conv's parameters beside its weights.
struct Window {
  Extent2 stride, dilation;
  Pad4 pad;
};

using Weight = std::function<double(int64_t o, int64_t i, int64_t ky, int64_t kx)>;

// Sums of one image: out(o, y, x) = sum over i < ci and taps inside rows [top, bottom) and the
// columns of w(o, i, ky, kx) in(i, ...), where y counts from the first window at row `top`.
double conv_at(const Tensor& in, const Window& window, const Weight& w, const Shape& kernel,
               int64_t top, int64_t bottom, int64_t o, int64_t y, int64_t x) {
  double sum = 0;
  const int64_t rows = in.shape[2], columns = in.shape[3];
  for (int64_t i = 0; i < in.shape[1]; ++i)
    for (int64_t ky = 0; ky < kernel[2]; ++ky)
      for (int64_t kx = 0; kx < kernel[3]; ++kx) {
        const int64_t row = top + y * window.stride[0] + ky * window.dilation[0] - window.pad[0];
        const int64_t column = x * window.stride[1] + kx * window.dilation[1] - window.pad[1];
        if (row < top || row >= bottom || column < 0 || column >= columns) continue;
        sum += w(o, i, ky, kx) * in.data[(i * rows + row) * columns + column];
      }
  return sum;
}

// The weight of a conv as a function of all its input channels.
Weight dense_weight(const Conv& conv) {
  return [&conv](int64_t o, int64_t i, int64_t ky, int64_t kx) -> double {
    const Shape& s = conv.weight->shape;
    const int64_t group = o / (s[0] / conv.groups), inside = i - group * s[1];
    if (inside < 0 || inside >= s[1]) return 0;
    return conv.weight->data[((o * s[1] + inside) * s[2] + ky) * s[3] + kx];
  };
}

// o and i count within a block of co x ci channels: whether they are in the same of g groups.
bool same_group(int64_t o, int64_t i, int64_t co, int64_t ci, int64_t g) {
  return o / (co / g) == i / (ci / g);
}

// out(o, y, x) before bias, residual and activation.
using Definition = std::function<double(int64_t o, int64_t y, int64_t x)>;

struct Small {
  Conv conv;
  Tensor in;
  Shape out;
  Window window() const { return {conv.stride, conv.dilation, conv.pad}; }
  double at(const Weight& w, int64_t o, int64_t y, int64_t x) const {
    return conv_at(in, window(), w, conv.weight->shape, 0, in.shape[2], o, y, x);
  }
};

// Inherited weights of a rewrite whose definition has several convs: those of the replacement.
const Conv& part(const Replacement& made, int conv) {
  return std::get<Conv>(made.network.layers[conv_layers(made.network)[conv]].op);
}

struct Row {
  const char* steps;
  // The rewrite's definition by the original's weights, or by the weights that it makes.
  std::function<double(const Small&, const Replacement&, int64_t o, int64_t y, int64_t x)> value;
};

double widened(const Small& s, const Replacement& made, int64_t o, int64_t y, int64_t x) {
  const Conv &narrow = part(made, 0), &widen = part(made, 1);
  double sum = 0;
  for (int64_t c = 0; c < narrow.weight->shape[0]; ++c)
    sum += dense_weight(widen)(o, c, 0, 0) * s.at(dense_weight(narrow), c, y, x);
  return sum;
}

const std::vector<Row>& definitions() {
  static const std::vector<Row> rows = {
      {"group 2",
       [](const Small& s, const Replacement&, int64_t o, int64_t y, int64_t x) {
         const Weight w = dense_weight(s.conv);
         const int64_t co = s.out[1], ci = s.in.shape[1], g = 2 * s.conv.groups;
         return s.at(
             [&](int64_t oo, int64_t i, int64_t ky, int64_t kx) {
               return same_group(oo, i, co, ci, g) ? w(oo, i, ky, kx) : 0;
             },
             o, y, x);
       }},
      {"depthwise",
       [](const Small& s, const Replacement&, int64_t o, int64_t y, int64_t x) {
         const Weight w = dense_weight(s.conv);
         const int64_t co = s.out[1], ci = s.in.shape[1], old = s.conv.groups;
         const int64_t g = old * std::gcd(co / old, ci / old);
         return s.at(
             [&](int64_t oo, int64_t i, int64_t ky, int64_t kx) {
               return same_group(oo, i, co, ci, g) ? w(oo, i, ky, kx) : 0;
             },
             o, y, x);
       }},
      {"bottleneck co 2", widened},
      {"bottleneck co 2 tiled",
       [](const Small& s, const Replacement&, int64_t o, int64_t y, int64_t x) {
         // The mean of the two channels that become one.
         const Weight w = dense_weight(s.conv);
         const int64_t half = s.out[1] / 2;
         return (s.at(w, o % half, y, x) + s.at(w, o % half + half, y, x)) / 2;
       }},
      {"bottleneck co 2 zeros",
       [](const Small& s, const Replacement&, int64_t o, int64_t y, int64_t x) {
         return o < s.out[1] / 2 ? s.at(dense_weight(s.conv), o, y, x) : 0;
       }},
      {"bottleneck ci 2",
       [](const Small& s, const Replacement& made, int64_t o, int64_t y, int64_t x) {
         const Conv &narrow = part(made, 0), &after = part(made, 1);
         return s.at(
             [&](int64_t oo, int64_t i, int64_t ky, int64_t kx) {
               double sum = 0;
               for (int64_t c = 0; c < narrow.weight->shape[0]; ++c)
                 sum += dense_weight(after)(oo, c, ky, kx) * dense_weight(narrow)(c, i, 0, 0);
               return sum;
             },
             o, y, x);
       }},
      {"interchange co y; bottleneck y 2; interchange co x; bottleneck x 2",
       [](const Small& s, const Replacement&, int64_t o, int64_t y, int64_t x) {
         return s.at(dense_weight(s.conv), o, y / 2 * 2, x / 2 * 2);
       }},
      {"interchange co x; bottleneck x 2",
       [](const Small& s, const Replacement&, int64_t o, int64_t y, int64_t x) {
         return s.at(dense_weight(s.conv), o, y, x / 2 * 2);
       }},
      {"split co 2; group[0] 1; group[1] 2",
       [](const Small& s, const Replacement&, int64_t o, int64_t y, int64_t x) {
         const Weight w = dense_weight(s.conv);
         const int64_t half = s.out[1] / 2, ci = s.in.shape[1];
         return s.at(
             [&](int64_t oo, int64_t i, int64_t ky, int64_t kx) {
               return oo < half || same_group(oo - half, i, half, ci, 2) ? w(oo, i, ky, kx) : 0;
             },
             o, y, x);
       }},
      {"unroll co 2; group[1] 2",
       [](const Small& s, const Replacement&, int64_t o, int64_t y, int64_t x) {
         const Weight w = dense_weight(s.conv);
         const int64_t co = s.out[1] - 2, ci = s.in.shape[1] - 2;
         return s.at(
             [&](int64_t oo, int64_t i, int64_t ky, int64_t kx) {
               const bool seen = oo < 2 || (i >= 2 && same_group(oo - 2, i - 2, co, ci, 2));
               return seen ? w(oo, i, ky, kx) : 0;
             },
             o, y, x);
       }},
      {"split y 2; group[0] 1; group[1] 2",
       [](const Small& s, const Replacement&, int64_t o, int64_t y, int64_t x) {
         const Weight w = dense_weight(s.conv);
         const int64_t half = s.in.shape[2] / 2, band = s.out[2] / 2;
         const int64_t co = s.out[1], ci = s.in.shape[1], g = 2 * s.conv.groups;
         const bool second = y >= band;
         return conv_at(
             s.in, s.window(),
             [&](int64_t oo, int64_t i, int64_t ky, int64_t kx) {
               return !second || same_group(oo, i, co, ci, g) ? w(oo, i, ky, kx) : 0;
             },
             s.conv.weight->shape, second ? half : 0, second ? 2 * half : half, o,
             second ? y - band : y, x);
       }},
      {"separable",
       [](const Small& s, const Replacement& made, int64_t o, int64_t y, int64_t x) {
         const Conv &depthwise = part(made, 0), &mix = part(made, 1);
         return s.at(
             [&](int64_t oo, int64_t i, int64_t ky, int64_t kx) {
               return dense_weight(mix)(oo, i, 0, 0) * dense_weight(depthwise)(i, i, ky, kx);
             },
             o, y, x);
       }},
  };
  return rows;
}

// Small convs: channels, kernels, strides, dilations, paddings (uneven as well), groups, and what
// stands before and after the sum.
std::vector<Small> small_convs() {
  std::vector<Small> result;
  uint64_t seed = 1;
  for (const auto& [ci, co] : {std::pair{4, 4}, std::pair{4, 8}, std::pair{8, 4}, std::pair{6, 6}})
    for (const Extent2 kernel : {Extent2{1, 1}, Extent2{3, 3}, Extent2{2, 3}, Extent2{3, 1}})
      for (const Extent2 stride : {Extent2{1, 1}, Extent2{2, 1}, Extent2{2, 2}})
        for (const Extent2 dilation : {Extent2{1, 1}, Extent2{2, 1}})
          for (const Pad4 pad :
               {Pad4{0, 0, 0, 0}, Pad4{1, 1, 1, 1}, Pad4{1, 0, 0, 2}, Pad4{2, 1, 2, 0}})
            for (const int groups : {1, 2}) {
              Conv conv;
              conv.stride = stride;
              conv.dilation = dilation;
              conv.pad = pad;
              conv.groups = groups;
              ++seed;
              conv.weight = seeded_constant({co, ci / groups, kernel[0], kernel[1]}, seed);
              if (seed % 2) conv.bias = seeded_constant({co}, seed + 7);
              if (seed % 3 == 0) {
                conv.prologue = {seeded_constant({ci}, seed + 1), seeded_constant({ci}, seed + 2),
                                 Activation{}};
              }
              conv.epilogue.residual = seed % 5 < 2;
              if (seed % 7 < 3) conv.epilogue.activation = Activation{};
              if (seed % 7 == 3) {
                conv.epilogue.activation = Activation{.kind = Activation::Kind::prelu,
                                                      .slope = seeded_constant({co}, seed + 3)};
              }
              const Tensor in = seeded_tensor({1, ci, 6, 8}, seed + 4);
              Conv alone = conv;
              alone.epilogue = {};
              const auto out = infer_shape(Op(alone), {in.shape});
              if (out.ok()) result.push_back({conv, in, *out});
            }
  return result;
}

// x after the prologue, by the op's own definition.
Tensor after_prologue(const Small& s) {
  if (s.conv.prologue.empty()) return s.in;
  return evaluate(
      Op(Affine{s.conv.prologue.scale, s.conv.prologue.shift, s.conv.prologue.activation}), {s.in});
}

TEST(Definition, OfEveryRowOnEverySmallConv) {
  std::map<std::string, int> applied;
  for (const Small& small : small_convs()) {
    Network original;
    original.inputs = {original.add_value("x", small.in.shape)};
    Small plain = small;
    plain.in = after_prologue(small);
    const Tensor residual = seeded_tensor(small.out, 99);
    for (const Row& row : definitions()) {
      const auto made = replacement(small.conv, small.in.shape, steps(row.steps));
      if (!made.ok()) continue;
      ++applied[row.steps];
      std::vector<Tensor> inputs{small.in};
      if (small.conv.epilogue.residual) inputs.push_back(residual);
      const auto got = evaluate(made->network, inputs);
      ASSERT_TRUE(got.ok()) << got.error().message;
      ASSERT_EQ((*got)[0].shape, small.out) << row.steps;
      Tensor expected(small.out);
      size_t k = 0;
      for (int64_t o = 0; o < small.out[1]; ++o)
        for (int64_t y = 0; y < small.out[2]; ++y)
          for (int64_t x = 0; x < small.out[3]; ++x, ++k) {
            double value = row.value(plain, *made, o, y, x);
            if (small.conv.bias) value += small.conv.bias->data[o];
            if (small.conv.epilogue.residual) value += residual.data[k];
            expected.data[k] = static_cast<float>(value);
          }
      if (small.conv.epilogue.activation)
        expected = evaluate(Op(*small.conv.epilogue.activation), {expected});
      double largest = 0;
      for (size_t i = 0; i < expected.data.size(); ++i)
        largest = std::max(largest, std::abs(double{expected.data[i]} - (*got)[0].data[i]));
      ASSERT_LT(largest, 2e-5) << row.steps << "\n"
                               << to_text(Op(small.conv)) << "\n"
                               << to_text(made->network);
    }
  }
  for (const Row& row : definitions()) EXPECT_GT(applied[row.steps], 25) << row.steps;
}

TEST(Docs, ShowARowAndItsFileAsTheyAre) {
  const std::string root = EMULSION_SOURCE_DIR, page = *read_file(root + "/docs/rewrites.md");
  const auto block = [&](const std::string& name) {
    const std::string fence = "```cpp " + name + "\n";
    const size_t at = page.find(fence) + fence.size();
    return page.substr(at, page.find("```", at) - at);
  };
  EXPECT_EQ(block("separable.cpp"), *read_file(root + "/src/nest/rewrites/separable.cpp"));
  EXPECT_THAT(*read_file(root + "/src/nest/rewrite_table.cpp"),
              HasSubstr(block("rewrite_table.cpp")));
  for (const RewriteRule& rule : rewrite_rules()) {
    EXPECT_THAT(page, HasSubstr(fmt::format("\n| {} | `", rule.name)));
  }
}

}  // namespace
}  // namespace emulsion
