#include "trained_resnet.h"

#include <cmath>
#include <fstream>

#include "base/npy.h"

namespace emulsion::testing {
namespace {

class Maker {
 public:
  Maker(TrainedResnet& result, bool folded) : result_(result), folded_(folded) {
    const auto npy =
        read_npy(std::string(EMULSION_SOURCE_DIR "/tests/legality/data/inherit_vectors.npy"));
    EMULSION_CHECK(npy.ok());
    values_ = {npy->values.begin(), npy->values.end()};
  }

  Constant tensor(const std::string& name) const {
    const nlohmann::json& entry = result_.vectors["tensors"][name];
    const Shape shape = entry["shape"].get<Shape>();
    const auto first = values_.begin() + entry["at"].get<int64_t>();
    return constant(shape, std::vector<float>(first, first + element_count(shape)));
  }

  // A conv and its batch norm.
  ValueId part(const std::string& name, int stride, ValueId x) {
    Network& network = result_.network;
    Conv conv;
    conv.weight = tensor(name + ".weight");
    conv.stride = {stride, stride};
    const int pad = static_cast<int>(conv.weight->shape[2] / 2);
    conv.pad = {pad, pad, pad, pad};
    const std::string norm_name = name + "_norm";
    const BatchNorm norm{tensor(norm_name + ".weight"), tensor(norm_name + ".bias"),
                         tensor(norm_name + ".running_mean"), tensor(norm_name + ".running_var")};
    if (folded_) fold(norm, conv);
    x = network.add_layer(name, conv, {x});
    return folded_ ? x : network.add_layer(norm_name, norm, {x});
  }
  ValueId relu(ValueId x) { return result_.network.add_layer("relu", Activation{}, {x}); }
  ValueId add(ValueId a, ValueId b) { return result_.network.add_layer("add", Binary{}, {a, b}); }

 private:
  static void fold(const BatchNorm& norm, Conv& conv) {
    Tensor weight = *conv.weight;
    std::vector<float> bias(weight.shape[0]);
    const size_t taps = weight.data.size() / bias.size();
    for (size_t c = 0; c < bias.size(); ++c) {
      const float scale = norm.scale->data[c] / std::sqrt(norm.variance->data[c] + norm.epsilon);
      for (size_t i = 0; i < taps; ++i) weight.data[c * taps + i] *= scale;
      bias[c] = norm.shift->data[c] - scale * norm.mean->data[c];
    }
    conv.bias = constant({weight.shape[0]}, std::move(bias));
    conv.weight = constant(weight.shape, std::move(weight.data));
  }

  TrainedResnet& result_;
  const bool folded_;
  std::vector<float> values_;
};

}  // namespace

TrainedResnet trained_resnet(bool folded) {
  TrainedResnet result;
  std::ifstream file(EMULSION_SOURCE_DIR "/tests/legality/data/inherit_vectors.json");
  result.vectors = nlohmann::json::parse(file);
  Maker m(result, folded);
  result.minibatch = {*m.tensor("images"), result.vectors["labels"].get<std::vector<int>>()};
  Network& network = result.network;
  network.name = "trained";
  ValueId x = network.add_value("images", {1, 3, 8, 8});
  network.inputs = {x};
  x = m.relu(m.part("stem", 1, x));
  ValueId y = m.part("a2", 1, m.relu(m.part("a1", 1, x)));
  x = m.relu(m.add(x, y));
  y = m.part("b2", 1, m.relu(m.part("b1", 2, x)));
  x = m.relu(m.add(m.part("short", 2, x), y));
  x = network.add_layer("mean", ReduceMean{{2, 3}, false}, {x});
  network.outputs = {network.add_layer(
      "linear", Dense{m.tensor("linear.weight"), m.tensor("linear.bias"), {}}, {x})};
  return result;
}

}  // namespace emulsion::testing
