// The PyTorch module computes what the network does, for every op, and reads as if written by hand.
#include "pytorch/export_pytorch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/npy.h"
#include "base/process.h"
#include "network/evaluate.h"
#include "tests/network/random_network.h"

namespace emulsion {
namespace {

using ::testing::HasSubstr;

// Networks as modules in one folder, run by one Python.
class Modules {
 public:
  void add(const Network& network, bool any_batch = false) {
    const std::string stem = fmt::format("net{:03}", networks_.size());
    const Result<PytorchModule> module = export_pytorch(network);
    ASSERT_TRUE(module.ok()) << module.error().message << "\n" << to_text(network);
    ASSERT_TRUE(write_file(file(stem + ".py"), module->source).ok());
    ASSERT_TRUE(write_file(file(stem + ".npz"), module->weights).ok());
    if (any_batch) {
      ASSERT_TRUE(write_file(file(stem + ".any_batch"), "").ok());
    }
    networks_.push_back({network, random_inputs(network, networks_.size()), any_batch});
    const auto& inputs = networks_.back().inputs;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const auto path = file(fmt::format("{}.in{}.npy", stem, i));
      ASSERT_TRUE(write_npy(path, inputs[i].shape, inputs[i].data).ok());
    }
  }

  void expect_equal_outputs() const {
    const auto run =
        run_process({EMULSION_PYTHON, EMULSION_SOURCE_DIR "/tests/pytorch/run_modules.py",
                     folder_.path().string()});
    ASSERT_TRUE(run.ok()) << run.error().message;
    if (run->exit_code == 77) GTEST_SKIP() << run->output;
    ASSERT_EQ(run->exit_code, 0) << run->errors;
    for (size_t n = 0; n < networks_.size(); ++n) {
      const auto expected = evaluate(networks_[n].network, networks_[n].inputs);
      ASSERT_TRUE(expected.ok());
      for (size_t i = 0; i < expected->size(); ++i) {
        EXPECT_LE(relative_error(output(n, "out", i), (*expected)[i]), 1e-4)
            << n << "\n"
            << to_text(networks_[n].network);
        if (!networks_[n].any_batch) continue;
        // The same images twice give the same rows twice.
        Tensor rows = output(n, "twice", i);
        ASSERT_EQ(rows.shape[0], 2 * (*expected)[i].shape[0]);
        rows.shape[0] /= 2;
        rows.data.erase(rows.data.begin(), rows.data.begin() + rows.data.size() / 2);
        EXPECT_LE(relative_error(rows, (*expected)[i]), 1e-4) << to_text(networks_[n].network);
      }
    }
  }

 private:
  struct Entry {
    Network network;
    std::vector<Tensor> inputs;
    bool any_batch;
  };
  std::filesystem::path file(const std::string& name) const { return folder_.path() / name; }
  Tensor output(size_t network, const char* what, size_t i) const {
    const auto npy = read_npy(file(fmt::format("net{:03}.{}{}.npy", network, what, i)));
    EXPECT_TRUE(npy.ok()) << npy.error().message;
    return npy.ok() ? Tensor(npy->shape, {npy->values.begin(), npy->values.end()}) : Tensor();
  }

  TemporaryDirectory folder_;
  std::vector<Entry> networks_;
};

TEST(ExportPytorch, ComputesWhatRandomNetworksDo) {
  Modules modules;
  for (int seed = 0; seed < 120; ++seed) modules.add(random_network(seed));
  modules.expect_equal_outputs();
}

Constant noise(const Shape& shape, uint64_t seed) {
  Network one;
  one.inputs = {one.add_value("x", shape)};
  return std::make_shared<const Tensor>(random_inputs(one, seed)[0]);
}

Conv conv(int64_t ci, int64_t co, int kernel) {
  Conv conv;
  conv.weight = noise({co, ci, kernel, kernel}, 1);
  conv.pad = {kernel / 2, kernel / 2, kernel / 2, kernel / 2};
  return conv;
}

// A residual network as it is trained: batch norms, a stride, a shortcut, odd names.
Network residual_network() {
  Network network;
  network.name = "small \"net\"";
  network.inputs = {network.add_value("input.1", {1, 3, 8, 8})};
  const auto norm = [&](const std::string& name, ValueId x) {
    const int64_t c = network.shape(x)[1];
    return network.add_layer(name,
                             BatchNorm{noise({c}, 2), noise({c}, 3), noise({c}, 4),
                                       constant({c}, std::vector<float>(c, 0.7f)), 1e-5f},
                             {x});
  };
  ValueId x = network.add_layer("/stem/Conv", conv(3, 4, 3), network.inputs);
  x = norm("/stem/bn", x);
  const ValueId stem = network.add_layer("type", Activation{}, {x});
  x = network.add_layer("1.conv", conv(4, 4, 3), {stem});
  x = norm("class", x);
  x = network.add_layer("", Binary{}, {x, stem});
  x = network.add_layer("", Activation{}, {x});
  x = network.add_layer("pool", ReduceMean{{2, 3}, true}, {x});
  x = network.add_layer("flat", Reshape{{1, 4}}, {x});
  x = network.add_layer("fc", Dense{noise({5, 4}, 6), noise({5}, 7), {}}, {x});
  network.outputs = {x};
  return network;
}

TEST(ExportPytorch, TakesAnyBatch) {
  Modules modules;
  modules.add(residual_network(), true);
  modules.expect_equal_outputs();
}

TEST(ExportPytorch, SaysPoolsThatPytorchHasNot) {
  Modules modules;
  for (const Pool::Kind kind : {Pool::Kind::max, Pool::Kind::average}) {
    for (const bool include : {false, true}) {
      for (const Pad4& pad : std::vector<Pad4>{{1, 1, 1, 1}, {0, 1, 2, 1}, {2, 2, 0, 0}}) {
        for (const int more : {0, 1}) {
          Network network;
          network.inputs = {network.add_value("image", {1, 3, 8, 7})};
          Pool pool{.kind = kind, .kernel = {3, 3}, .stride = {2, 2}, .pad = pad};
          pool.count_include_pad = include && kind == Pool::Kind::average;
          for (int i = 0; i < 2; ++i) {
            const int room = (i == 0 ? 8 : 7) + pad[i] + pad[2 + i] - 3;
            // One window more where it still begins inside the image.
            pool.out[i] = room / 2 + 1;
            if (more != 0 && pool.out[i] * 2 - pad[i] < (i == 0 ? 8 : 7)) ++pool.out[i];
          }
          network.outputs = {network.add_layer("pool", pool, network.inputs)};
          modules.add(network, true);
        }
      }
    }
  }
  modules.expect_equal_outputs();
}

TEST(ExportPytorch, ReadsLikeCodeWrittenByHand) {
  const Result<PytorchModule> module = export_pytorch(residual_network());
  ASSERT_TRUE(module.ok()) << module.error().message;
  EXPECT_THAT(module->source, HasSubstr(R"py(
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem_Conv = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.stem_bn = nn.BatchNorm2d(4, eps=1e-05)
        self.type_ = nn.ReLU()
        self.layer_1_conv = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.class_ = nn.BatchNorm2d(4, eps=1e-05)
        self.activation = nn.ReLU()
        self.fc = nn.Linear(4, 5)

    def forward(self, input_1):
        x = self.stem_Conv(input_1)
        x = self.stem_bn(x)
        type_ = self.type_(x)
        x = self.layer_1_conv(type_)
        x = self.class_(x)
        x = x + type_
        x = self.activation(x)
        x = x.mean(dim=(2, 3), keepdim=True)
        x = torch.flatten(x, 1)
        x = self.fc(x)
        return x
)py"));
}

TEST(ExportPytorch, NeedsWeights) {
  Network network;
  network.inputs = {network.add_value("x", {1, 3, 4, 4})};
  Conv first;
  first.weight = abstract_constant({2, 3, 1, 1});
  network.outputs = {network.add_layer("first", first, network.inputs)};
  const auto module = export_pytorch(network);
  ASSERT_FALSE(module.ok());
  EXPECT_THAT(module.error().message, HasSubstr("layer 'first'"));
}

}  // namespace
}  // namespace emulsion
