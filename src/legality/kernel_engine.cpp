#include <set>

#include "base/divide.h"
#include "legality/conv_engine.h"
#include "lower/algorithm.h"

namespace emulsion {
namespace {

struct Window {
  Extent2 kernel, reach;  // taps; dilation * (taps - 1)
  bool pointwise;
};

Window window_of(const Conv& conv) {
  const Shape& w = conv.weight->shape;
  Window window;
  window.kernel = {static_cast<int>(w[2]), static_cast<int>(w[3])};
  for (int d = 0; d < 2; ++d) window.reach[d] = conv.dilation[d] * (window.kernel[d] - 1);
  window.pointwise = window.kernel == Extent2{1, 1};
  return window;
}

Shape conv_output(const Conv& conv, const Shape& x) {
  auto shape = infer_shape(Op(conv), {x});
  EMULSION_CHECK(shape.ok());
  return *shape;
}

// The fastest algorithm that works on the weights as they are. Winograd's and Strassen's are no
// choice: weights are drawn anew for every pass, and transforming them costs more than it saves,
// and rounding errors would be up to a hundred times the scores' tolerance.
std::string algorithm_for(const KernelSpec& spec) {
  std::string best;
  double cycles = 0;
  for (const char* name : {"pointwise", "depthwise", "direct"}) {
    const Algorithm* algorithm = find_algorithm(name);
    std::string reason;
    if (!algorithm || !algorithm->applies(spec, &reason)) continue;
    const double guess = algorithm->best_guess(spec).cycles;
    if (best.empty() || guess < cycles) {
      best = name;
      cycles = guess;
    }
  }
  return best;
}

// A conv without padding on this input.
KernelSpec unpadded(const Conv& like, const Shape& weight, Extent2 stride, const Shape& input,
                    const std::string& target) {
  Conv conv;
  conv.stride = stride;
  conv.dilation = like.dilation;
  conv.groups = like.groups;
  conv.weight = abstract_constant(weight);
  KernelSpec spec;
  spec.inputs = {channels_last(input)};
  spec.output = channels_last(conv_output(conv, input));
  spec.op = std::move(conv);
  spec.target = target;
  spec.algorithm = algorithm_for(spec);
  return spec;
}

Conv sum_of(const Conv& conv) {
  Conv sum = conv;
  sum.bias = nullptr;
  sum.prologue = {};
  sum.epilogue = {};
  return sum;
}

// The range of i in [0, n) with 0 <= i * step + offset < limit.
std::pair<int64_t, int64_t> inside(int64_t n, int64_t step, int64_t offset, int64_t limit) {
  const int64_t begin = offset >= 0 ? 0 : divide_up(-offset, step);
  const int64_t end = limit - offset <= 0 ? 0 : std::min(n, (limit - offset - 1) / step + 1);
  return {std::min(begin, end), end};
}

// result[y, x] = source[(y, x) * step + offset], zero outside.
void pick(const Array<float>& source, Array<float>& result, Extent2 step, Extent2 offset) {
  const Shape &s = source.shape, &r = result.shape;
  const auto [y0, y1] = inside(r[2], step[0], offset[0], s[2]);
  const auto [x0, x1] = inside(r[3], step[1], offset[1], s[3]);
  const int64_t c = r[1];
  for (int64_t n = 0; n < r[0]; ++n)
    for (int64_t y = 0; y < r[2]; ++y) {
      float* to = &result.data[(n * r[2] + y) * r[3] * c];
      if (y < y0 || y >= y1) {
        std::fill(to, to + r[3] * c, 0.0f);
        continue;
      }
      const float* from = source.data.data() + (n * s[2] + y * step[0] + offset[0]) * s[3] * c;
      std::fill(to, to + x0 * c, 0.0f);
      if (step[1] == 1) {
        std::copy(from + (x0 + offset[1]) * c, from + (x1 + offset[1]) * c, to + x0 * c);
      } else {
        for (int64_t x = x0; x < x1; ++x) {
          const float* pixel = from + (x * step[1] + offset[1]) * c;
          std::copy(pixel, pixel + c, to + x * c);
        }
      }
      std::fill(to + x1 * c, to + r[3] * c, 0.0f);
    }
}

// result[(y, x) * step + offset] = source[y, x], zero elsewhere.
void place(const Array<float>& source, Array<float>& result, Extent2 step, Extent2 offset) {
  const Shape &s = source.shape, &r = result.shape;
  if (step == Extent2{1, 1}) return pick(source, result, step, {-offset[0], -offset[1]});
  std::fill(result.data.begin(), result.data.end(), 0.0f);
  const auto [y0, y1] = inside(s[2], step[0], offset[0], r[2]);
  const auto [x0, x1] = inside(s[3], step[1], offset[1], r[3]);
  const int64_t c = r[1];
  for (int64_t n = 0; n < s[0]; ++n)
    for (int64_t y = y0; y < y1; ++y)
      for (int64_t x = x0; x < x1; ++x) {
        const float* from = &source.data[((n * s[2] + y) * s[3] + x) * c];
        float* to =
            &result
                 .data[((n * r[2] + y * step[0] + offset[0]) * r[3] + x * step[1] + offset[1]) * c];
        std::copy(from, from + c, to);
      }
}

// [Co Ci/G Ky Kx] -> [Ci Co/G Ky Kx], taps mirrored.
Constant mirrored(const Conv& conv, const Weights<float>& weights) {
  const Shape& w = conv.weight->shape;
  const int64_t groups = conv.groups, in = w[1], out = w[0] / groups, taps = w[2] * w[3];
  std::vector<float> result(weights.size());
  for (int64_t g = 0; g < groups; ++g)
    for (int64_t co = 0; co < out; ++co)
      for (int64_t ci = 0; ci < in; ++ci) {
        const float* from = &weights[((g * out + co) * in + ci) * taps];
        float* to = &result[((g * in + ci) * out + co) * taps];
        for (int64_t t = 0; t < taps; ++t) to[t] = from[taps - 1 - t];
      }
  return constant({in * groups, out, w[2], w[3]}, std::move(result));
}

}  // namespace

ConvCall forward_call(const Conv& conv, const Shape& x, const std::string& target) {
  const Window window = window_of(conv);
  const Shape y = conv_output(sum_of(conv), x);
  ConvCall call;
  call.pick_offset = {-conv.pad[0], -conv.pad[1]};
  Shape input = {x[0], x[1], x[2] + conv.pad[0] + conv.pad[2], x[3] + conv.pad[1] + conv.pad[3]};
  Extent2 stride = conv.stride;
  if (window.pointwise) {
    call.pick = conv.stride;
    input = {x[0], x[1], y[2], y[3]};
    stride = {1, 1};
  }
  call.spec = unpadded(conv, conv.weight->shape, stride, input, target);
  return call;
}

ConvCall backward_call(const Conv& conv, const Shape& x, const std::string& target) {
  const Window window = window_of(conv);
  const Shape y = conv_output(sum_of(conv), x);
  const Shape& w = conv.weight->shape;
  ConvCall call;
  call.place = conv.stride;
  Shape input = y;
  if (window.pointwise) {
    call.place_offset = {-conv.pad[0], -conv.pad[1]};
    call.place_result = true;
  } else {
    call.place_offset = {window.reach[0] - conv.pad[0], window.reach[1] - conv.pad[1]};
    input = {y[0], y[1], x[2] + window.reach[0], x[3] + window.reach[1]};
  }
  call.spec = unpadded(conv, {x[1], w[0] / conv.groups, w[2], w[3]}, {1, 1}, input, target);
  return call;
}

Result<std::vector<KernelSpec>> conv_kernels(const std::vector<ConvUse>& uses,
                                             const std::string& target) {
  std::vector<KernelSpec> specs;
  std::set<std::string> seen;
  for (const ConvUse& use : uses) {
    const ConvCall call = use.backward ? backward_call(use.conv, use.input, target)
                                       : forward_call(use.conv, use.input, target);
    if (!seen.insert(to_text(call.spec)).second) continue;
    TRY(KernelSpec complete, completed(call.spec));
    specs.push_back(std::move(complete));
  }
  return specs;
}

Status KernelEngine::prepare(const std::vector<ConvUse>& uses,
                             const std::function<void(int done, int all)>& progress) {
  TRY(const std::vector<KernelSpec> specs, conv_kernels(uses, target_));
  for (const auto& compiled : cache_.compile(specs, progress)) {
    if (!compiled.ok()) return compiled.error();
  }
  return ok();
}

// Found by numbers: texts of specs and choices of algorithms take as long as a small conv.
Result<std::shared_ptr<const KernelEngine::Ready>> KernelEngine::ready(const Conv& conv,
                                                                       const Shape& x,
                                                                       bool backward) {
  std::vector<int64_t> key = {backward, conv.groups};
  key.insert(key.end(), conv.weight->shape.begin(), conv.weight->shape.end());
  key.insert(key.end(), conv.stride.begin(), conv.stride.end());
  key.insert(key.end(), conv.dilation.begin(), conv.dilation.end());
  key.insert(key.end(), conv.pad.begin(), conv.pad.end());
  key.insert(key.end(), x.begin(), x.end());
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = ready_.find(key); found != ready_.end()) return found->second;
  }
  ConvCall call = backward ? backward_call(conv, x, target_) : forward_call(conv, x, target_);
  TRY(const KernelSpec complete, completed(call.spec));
  TRY(LoadedKernel kernel, LoadedKernel::load(cache_, complete));
  // One kernel may serve a conv both ways, with its weights and with these mirrored.
  const std::string packing = backward ? "mirrored " : "";
  auto ready = std::make_shared<const Ready>(
      Ready{std::move(call), std::move(kernel), packing + kernel_name(complete)});
  const std::lock_guard lock(mutex_);
  return ready_.try_emplace(std::move(key), std::move(ready)).first->second;
}

Result<Array<float>> KernelEngine::run(const Ready& ready, const Array<float>& source,
                                       const Shape& result_shape,
                                       const LayerWeights<float>& weights,
                                       const std::function<Constant()>& laid_out) {
  const ConvCall& call = ready.call;
  const auto pack = [&] {
    Conv conv = std::get<Conv>(call.spec.op);
    conv.weight = laid_out();
    PackedWeights::Constants constants;
    for (const PackedConstant& c : pack_constants(ready.kernel.spec(), Op(std::move(conv)))) {
      constants.emplace_back(c.data.begin(), c.data.end());
    }
    return constants;
  };
  const auto constants = weights.packed ? weights.packed->get(ready.packing, pack)
                                        : std::make_shared<const PackedWeights::Constants>(pack());
  std::vector<const float*> packed;
  for (const auto& constant : *constants) packed.push_back(constant.data());

  const Shape& input_shape = call.spec.inputs[0].shape;
  const Extent2 one{1, 1}, zero{0, 0};
  Array<float> prepared;
  const float* input = source.data.data();
  if (!call.place_result && (call.place != one || call.place_offset != zero)) {
    prepared = Array<float>(input_shape);
    place(source, prepared, call.place, call.place_offset);
    input = prepared.data.data();
  } else if (call.pick != one || call.pick_offset != zero || source.shape != input_shape) {
    prepared = Array<float>(input_shape);
    pick(source, prepared, call.pick, call.pick_offset);
    input = prepared.data.data();
  }
  Array<float> output(call.spec.output.shape);
  TRY_OK(ready.kernel.run({input}, packed, output.data.data()));
  if (!call.place_result || (call.place == one && call.place_offset == zero)) return output;
  Array<float> result(result_shape);
  place(output, result, call.place, call.place_offset);
  return result;
}

Result<Array<float>> KernelEngine::forward(const Conv& conv, const Array<float>& x,
                                           const LayerWeights<float>& weights) {
  TRY(const auto forward, ready(conv, x.shape, false));
  return run(*forward, x, forward->call.spec.output.shape, weights,
             [&] { return constant(conv.weight->shape, *weights.values); });
}

Result<Array<float>> KernelEngine::backward(const Conv& conv, const Shape& x_shape,
                                            const Array<float>& gradient,
                                            const LayerWeights<float>& weights) {
  TRY(const auto backward, ready(conv, x_shape, true));
  return run(*backward, gradient, x_shape, weights,
             [&] { return mirrored(conv, *weights.values); });
}

std::shared_ptr<const PackedWeights::Constants> PackedWeights::get(
    const std::string& key, const std::function<Constants()>& make) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<const Constants>& constants = by_key_[key];
  if (!constants) constants = std::make_shared<const Constants>(make());
  return constants;
}

}  // namespace emulsion
