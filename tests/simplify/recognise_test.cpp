// What exporters write for layer norms, GELUs and hard gates becomes one layer, whatever the order
// of its products; what only looks like one stays.
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "network/evaluate.h"
#include "simplify/simplify.h"
#include "tests/network/random_network.h"

namespace emulsion {
namespace {

using Kind = Activation::Kind;
constexpr auto k_mul = Binary::Kind::mul, k_div = Binary::Kind::div, k_add = Binary::Kind::add,
               k_sub = Binary::Kind::sub;

// A network over one input, written as formulas.
struct Formula {
  Formula() {
    x = network.add_value("x", {2, 4, 3, 5});
    network.inputs = {x};
  }
  ValueId number(double value) { return layer(Literal{constant({}, {float(value)})}, {}); }
  ValueId layer(Op op, std::vector<ValueId> inputs) {
    return network.add_layer(fmt::format("l{}", network.layers.size()), std::move(op),
                             std::move(inputs));
  }
  ValueId binary(Binary::Kind kind, ValueId a, ValueId b) {
    return layer(Binary{kind, {}}, {a, b});
  }
  ValueId of(Kind kind, ValueId a, float alpha = 0, float beta = 0) {
    return layer(Activation{kind, alpha, beta, nullptr}, {a});
  }
  ValueId mean(ValueId a, std::vector<int> axes) {
    return layer(ReduceMean{std::move(axes), true}, {a});
  }

  // The ops of the reformed network with y as output; it computes the same.
  std::string reformed(ValueId y) {
    network.outputs = {y};
    const Network simple = reform(network);
    const std::vector<Tensor> inputs = random_inputs(network, 5);
    EXPECT_LT(relative_error((*evaluate(simple, inputs))[0], (*evaluate(network, inputs))[0]),
              1e-5);
    std::string text;
    for (const Layer& layer : simple.layers) text += (text.empty() ? "" : "; ") + to_text(layer.op);
    return text;
  }

  Network network;
  ValueId x;
};

// 1 + erf(x / sqrt 2)
ValueId erf_gate(Formula& f) {
  const ValueId scaled = f.binary(k_div, f.x, f.number(std::numbers::sqrt2));
  return f.binary(k_add, f.of(Kind::erf, scaled), f.number(1));
}

TEST(RecogniseGelus, ProductsInAnyOrder) {
  using Make = ValueId (*)(Formula&);
  const Make table[] = {
      [](Formula& f) {  // PyTorch's
        return f.binary(k_mul, f.binary(k_mul, f.x, erf_gate(f)), f.number(0.5));
      },
      [](Formula& f) { return f.binary(k_mul, f.binary(k_mul, f.x, f.number(0.5)), erf_gate(f)); },
      [](Formula& f) { return f.binary(k_mul, f.binary(k_mul, f.number(0.5), erf_gate(f)), f.x); },
      [](Formula& f) { return f.binary(k_div, f.binary(k_mul, erf_gate(f), f.x), f.number(2)); },
      [](Formula& f) {
        const ValueId scaled = f.binary(k_mul, f.number(0.70710677), f.x);
        const ValueId gate = f.binary(k_add, f.number(1), f.of(Kind::erf, scaled));
        return f.binary(k_mul, f.binary(k_mul, f.x, gate), f.number(0.5));
      },
  };
  for (const Make make : table) {
    Formula f;
    EXPECT_EQ(f.reformed(make(f)), "activation act=gelu");
  }
}

TEST(RecogniseGelus, TheFormWithTanh) {
  for (const bool power : {true, false}) {
    Formula f;
    const ValueId cube =
        power ? f.of(Kind::power, f.x, 3) : f.binary(k_mul, f.binary(k_mul, f.x, f.x), f.x);
    const ValueId sum = f.binary(k_add, f.x, f.binary(k_mul, f.number(0.044715), cube));
    const ValueId scaled = f.binary(k_mul, sum, f.number(std::sqrt(2 / std::numbers::pi)));
    const ValueId gate = f.binary(k_add, f.of(Kind::tanh, scaled), f.number(1));
    const ValueId y = f.binary(k_mul, f.binary(k_mul, f.x, f.number(0.5)), gate);
    EXPECT_EQ(f.reformed(y), "activation act=gelu_tanh");
  }
}

TEST(RecogniseGelus, RefusesWhatOnlyLooksLikeOne) {
  Formula other_number;
  const ValueId a = other_number.binary(k_mul, other_number.x, erf_gate(other_number));
  EXPECT_NE(other_number.reformed(other_number.binary(k_mul, a, other_number.number(0.4))),
            "activation act=gelu");
  Formula other_factor;
  const ValueId y = other_factor.of(Kind::relu, other_factor.x);
  const ValueId b = other_factor.binary(k_mul, y, erf_gate(other_factor));
  EXPECT_NE(other_factor.reformed(other_factor.binary(k_mul, b, other_factor.number(0.5))),
            "activation act=gelu");
  Formula read_elsewhere;
  const ValueId gate = erf_gate(read_elsewhere);
  const ValueId product = read_elsewhere.binary(k_mul, read_elsewhere.x, gate);
  const ValueId half = read_elsewhere.binary(k_mul, product, read_elsewhere.number(0.5));
  EXPECT_EQ(read_elsewhere.reformed(read_elsewhere.binary(k_add, half, gate)).find("gelu"),
            std::string::npos);
}

TEST(RecogniseNorms, InEveryForm) {
  for (const int form : {0, 1, 2, 3}) {
    for (const std::vector<int>& axes : std::vector<std::vector<int>>{{1}, {3}, {2, 3}}) {
      Formula f;
      const ValueId d = f.binary(k_sub, f.x, f.mean(f.x, axes));
      const ValueId again = form == 1 ? f.binary(k_sub, f.x, f.mean(f.x, axes)) : d;
      const ValueId squares =
          form == 2 ? f.binary(k_mul, again, again) : f.of(Kind::power, again, 2);
      const ValueId sum = f.binary(k_add, f.mean(squares, axes), f.number(0.25));
      const ValueId y = form == 3 ? f.binary(k_mul, d, f.of(Kind::power, sum, -0.5f))
                                  : f.binary(k_div, d, f.of(Kind::sqrt, sum));
      EXPECT_EQ(f.reformed(y), fmt::format("normalize axes={} epsilon=0.25", fmt::join(axes, ",")));
    }
  }
}

TEST(RecogniseNorms, RefusesOtherStatistics) {
  Formula f;
  const ValueId d = f.binary(k_sub, f.x, f.mean(f.x, {1}));
  const ValueId sum = f.binary(k_add, f.mean(f.of(Kind::power, d, 2), {3}), f.number(0.25));
  EXPECT_EQ(f.reformed(f.binary(k_div, d, f.of(Kind::sqrt, sum))).find("normalize"),
            std::string::npos);
  Formula g;
  const ValueId centred = g.binary(k_sub, g.x, g.mean(g.x, {1}));
  const ValueId power = g.mean(g.of(Kind::power, g.x, 2), {1});
  const ValueId root = g.of(Kind::sqrt, g.binary(k_add, power, g.number(0.25)));
  EXPECT_EQ(g.reformed(g.binary(k_div, centred, root)).find("normalize"), std::string::npos);
}

// clip(x + shift, 0, most)
ValueId ramp(Formula& f, float shift, float most) {
  return f.of(Kind::clip, f.binary(k_add, f.x, f.number(shift)), 0, most);
}

TEST(RecogniseHardGates, SigmoidsAndSwishes) {
  Formula sigmoid;
  EXPECT_EQ(sigmoid.reformed(sigmoid.binary(k_div, ramp(sigmoid, 3, 6), sigmoid.number(6))),
            "activation act=hard_sigmoid(0.16666667,0.5)");
  Formula before;  // x clip(x + 3, 0, 6) / 6
  const ValueId product = before.binary(k_mul, before.x, ramp(before, 3, 6));
  EXPECT_EQ(before.reformed(before.binary(k_div, product, before.number(6))),
            "activation act=hard_swish");
  Formula after;  // x (clip(x + 3, 0, 6) / 6)
  const ValueId gate = after.binary(k_mul, ramp(after, 3, 6), after.number(1.0 / 6));
  EXPECT_EQ(after.reformed(after.binary(k_mul, gate, after.x)), "activation act=hard_swish");
  Formula steeper;
  EXPECT_EQ(steeper.reformed(steeper.binary(k_div, ramp(steeper, 1, 2), steeper.number(2))),
            "activation act=hard_sigmoid(0.5,0.5)");
  Formula alone;
  EXPECT_EQ(alone.reformed(ramp(alone, 3, 6)).find("hard"), std::string::npos);
}

TEST(RecogniseMish, OfSoftplusAndTanh) {
  Formula f;
  const ValueId gate = f.of(Kind::tanh, f.of(Kind::softplus, f.x));
  EXPECT_EQ(f.reformed(f.binary(k_mul, f.x, gate)), "activation act=mish");
}

}  // namespace
}  // namespace emulsion
