#include "odd_convs.h"

#include <cctype>
#include <map>
#include <set>
#include <tuple>

#include "base/random.h"
#include "emulated_kernel.h"
#include "lower/algorithm.h"
#include "lower/conv_chain.h"
#include "lower/lower.h"

namespace emulsion {

namespace {

// The properties, but for those given.
OddValues all_but(const std::map<OddProperty, std::vector<int>>& given) {
  OddValues values;
  values[k_algorithm] = {0};
  for (size_t i = 0; i < targets_here().size(); ++i)
    values[k_target].push_back(static_cast<int>(i));
  values[k_threads] = {1, 2};
  values[k_batch] = {1, 2};
  values[k_ci] = values[k_co] = {1, 3, 17, 48};
  values[k_rows] = values[k_columns] = {1, 5, 7, 13};
  values[k_groups] = {1, 3};
  values[k_kernel] = {1, 3, 5, 7};
  values[k_stride_y] = values[k_stride_x] = {1, 2, 3};
  values[k_dilation_y] = {1, 2};
  values[k_dilation_x] = {1, 3};
  values[k_padding] = {0, 1, 2};
  values[k_epilogue] = {0, 1, 2, 3};
  values[k_prologue] = {0, 1};
  values[k_layout] = {0, 1};
  values[k_weights] = {0};
  for (const auto& [property, of] : given) values[property] = of;
  return values;
}

OddValues winograd_values(const std::vector<int>& algorithms, const std::vector<int>& kernels,
                          int stride) {
  return all_but({{k_algorithm, algorithms},
                  {k_kernel, kernels},
                  {k_stride_y, {stride}},
                  {k_stride_x, {stride}},
                  {k_dilation_y, {1}},
                  {k_dilation_x, {1}}});
}

Pad4 padding_of(const OddConv& c) {
  const int y = (c[k_kernel] - 1) * c[k_dilation_y], x = (c[k_kernel] - 1) * c[k_dilation_x];
  if (c[k_padding] == 0) return {0, 0, 0, 0};
  if (c[k_padding] == 1) return {y / 2, x / 2, y / 2, x / 2};
  return {y, 1, 0, x};
}

bool kernel_fits(const ConvCase& c) {
  return (c.kernel[0] - 1) * c.dilation[0] < c.input[2] + c.pad[0] + c.pad[2] &&
         (c.kernel[1] - 1) * c.dilation[1] < c.input[3] + c.pad[1] + c.pad[3];
}

ConvCase case_of(const OddConv& c) {
  const Activation relu{Activation::Kind::relu};
  const bool depthwise = c[k_groups] == 0;
  const int groups = depthwise ? c[k_ci] : c[k_groups];
  ConvCase result;
  result.input = {c[k_batch], depthwise ? groups : c[k_ci] * groups, c[k_rows], c[k_columns]};
  result.co = depthwise ? groups : c[k_co] * groups;
  result.groups = groups;
  result.kernel = {c[k_kernel], c[k_kernel]};
  result.stride = {c[k_stride_y], c[k_stride_x]};
  result.dilation = {c[k_dilation_y], c[k_dilation_x]};
  result.pad = padding_of(c);
  result.residual = c[k_epilogue] % 2 == 1;
  if (c[k_epilogue] >= 2) result.activation = relu;
  if (c[k_prologue] == 1) {
    const Constant channels = abstract_constant({result.input[1]});
    result.prologue = {channels, channels, relu};
  }
  if (c[k_layout] == 1) {
    result.more_rim = {1, 0, 0, 2};
    result.output_rim = {0, 1, 1, 0};
    result.parent_channels = 5;
  }
  return result;
}

// Two properties with their values.
using Pair = std::tuple<int, int, int, int>;

std::set<Pair> pairs_of(const OddConv& c) {
  std::set<Pair> pairs;
  for (int p = 0; p < k_odd_properties; ++p)
    for (int q = p + 1; q < k_odd_properties; ++q) pairs.emplace(p, c[p], q, c[q]);
  return pairs;
}

std::set<Pair> all_pairs(const OddValues& values) {
  std::set<Pair> pairs;
  for (int p = 0; p < k_odd_properties; ++p)
    for (int q = p + 1; q < k_odd_properties; ++q)
      for (const int a : values[p])
        for (const int b : values[q]) pairs.emplace(p, a, q, b);
  return pairs;
}

// Of some kernels drawn that have the pair, the one with the most of the missing pairs.
std::optional<OddConv> best_with(const Pair& pair, const std::set<Pair>& missing,
                                 const OddFamily& family, const RandomStream& random,
                                 uint64_t& position) {
  constexpr int k_draws = 200, k_kernels = 20;
  std::optional<OddConv> best;
  size_t most = 0;
  for (int draws = 0, kernels = 0; draws < k_draws && kernels < k_kernels; ++draws) {
    OddConv conv = draw(family, [&](size_t n) { return random.below(position++, n); });
    const auto& [p, a, q, b] = pair;
    conv[p] = a;
    conv[q] = b;
    if (!spec_of(family, conv)) continue;
    ++kernels;
    size_t count = 0;
    for (const Pair& other : pairs_of(conv)) count += missing.count(other);
    if (count > most) best = conv;
    most = std::max(most, count);
  }
  return best;
}

}  // namespace

const std::vector<std::string>& targets_here() {
  static const std::vector<std::string> targets = [] {
    const std::string host = resolve_target("host").value();
    std::vector<std::string> result{host};
    if (host.starts_with("x86-64-linux") && host.find("avx512") != std::string::npos)
      result.push_back(resolve_target("x86-64-linux-avx-avx2-f16c-fma-sse41").value());
    const std::string neon = resolve_target("arm-64-linux").value();
    if (emulates(neon)) result.push_back(neon);
    return result;
  }();
  return targets;
}

const std::vector<OddFamily>& odd_families() {
  static const std::vector<OddFamily> families{
      {"any", {"direct"}, all_but({{k_groups, {1, 3, 0}}})},
      {"pointwise",
       {"pointwise"},
       all_but({{k_kernel, {1}},
                {k_stride_y, {1}},
                {k_stride_x, {1}},
                {k_dilation_y, {1}},
                {k_dilation_x, {1}},
                {k_padding, {0}}})},
      {"depthwise", {"depthwise"}, all_but({{k_groups, {0}}, {k_ci, {3, 17, 48}}, {k_co, {1}}})},
      {"narrow_groups",
       {"packed", "direct"},
       all_but({{k_algorithm, {0, 1}},
                {k_groups, {8, 12, 16}},
                {k_ci, {1, 3, 4, 8, 16}},
                {k_co, {1, 2, 4, 8, 16}}})},
      {"winograd",
       {"winograd2", "winograd4", "winograd5", "winograd6"},
       winograd_values({0, 1, 2, 3}, {3}, 1)},
      {"strided_winograd", {"winograd2", "winograd4"}, winograd_values({0, 1}, {3}, 2)},
      {"wide_winograd", {"winograd4"}, winograd_values({0}, {4, 5}, 1)},
      {"wide_strided_winograd", {"winograd4"}, winograd_values({0}, {5, 7}, 2)},
      {"strassen",
       {"strassen"},
       all_but({{k_ci, {2, 6, 34, 48}},
                {k_co, {2, 6, 34, 48}},
                {k_groups, {1}},
                {k_kernel, {1}},
                {k_dilation_y, {1}},
                {k_dilation_x, {1}},
                {k_padding, {0}}})},
      // Weights that no cache keeps have templates of their own.
      {"streamed",
       {"direct", "pointwise"},
       all_but({{k_algorithm, {0, 1}},
                {k_batch, {1}},
                {k_ci, {384}},
                {k_co, {368}},
                {k_rows, {5, 7}},
                {k_columns, {5, 7}},
                {k_groups, {1}},
                {k_kernel, {1, 3}},
                {k_stride_y, {1, 2}},
                {k_stride_x, {1}},
                {k_dilation_y, {1}},
                {k_dilation_x, {1}}})},
  };
  return families;
}

const OddFamily& large_family() {
  static const OddFamily family{"large",
                                {"direct", "pointwise", "packed", "winograd2", "winograd4",
                                 "winograd5", "winograd6", "strassen"},
                                all_but({{k_algorithm, {0, 1, 2, 3, 4, 5, 6, 7}},
                                         {k_ci, {16, 32, 96, 256}},
                                         {k_co, {16, 24, 64, 256}},
                                         {k_rows, {4, 7, 8, 14}},
                                         {k_columns, {4, 7, 8, 30}},
                                         {k_groups, {1, 1, 2}},
                                         {k_kernel, {1, 3, 3, 3}},
                                         {k_stride_y, {1}},
                                         {k_stride_x, {1}},
                                         {k_dilation_y, {1}},
                                         {k_dilation_x, {1}},
                                         {k_padding, {0, 1}}})};
  return family;
}

std::optional<KernelSpec> spec_of(const OddFamily& family, const OddConv& conv) {
  const ConvCase c = case_of(conv);
  if (!kernel_fits(c)) return std::nullopt;
  KernelSpec spec = c.abstract_spec();
  spec.algorithm = family.algorithms[conv[k_algorithm]];
  spec.target = targets_here()[conv[k_target]];
  spec.threads = conv[k_threads];
  std::string reason;
  if (!find_algorithm(spec.algorithm)->applies(spec, &reason)) return std::nullopt;
  if (conv[k_weights] == 1) {
    if (!takes_half_weights(spec, &reason)) return std::nullopt;
    spec.weights = ElementType::f16;
  }
  return spec;
}

OddConv draw(const OddFamily& family, const Pick& pick) {
  OddConv conv;
  for (int p = 0; p < k_odd_properties; ++p)
    conv[p] = family.values[p][pick(family.values[p].size())];
  return conv;
}

std::optional<KernelSpec> draw_chain(const Pick& pick) {
  const auto of = [&](std::initializer_list<int> values) {
    return values.begin()[pick(values.size())];
  };
  const Activation sigmoid{Activation::Kind::sigmoid};  // not zero at zero: padding is after it
  ConvChain chain;
  chain.image = {of({1, 5, 7, 13}), of({1, 5, 7, 13})};
  const Shape input{of({1, 2}), of({1, 3, 17, 48}), chain.image[0], chain.image[1]};
  Shape shape = input;
  for (int convs = of({2, 3}); convs > 0; --convs) {
    ConvCase c;
    c.input = shape;
    c.co = of({1, 3, 17, 48});
    const int kernel = of({1, 1, 3, 5});
    c.kernel = {kernel, kernel};
    if (kernel > 1 && of({0, 1}) == 1) c.co = c.groups = static_cast<int>(shape[1]);
    c.stride = kernel == 1 ? Extent2{1, 1} : Extent2{of({1, 2, 3}), of({1, 2})};
    c.dilation = kernel == 1 ? Extent2{1, 1} : Extent2{of({1, 2}), 1};
    const int reach = (kernel - 1) * c.dilation[0];
    c.pad = {reach, kernel / 2, of({0, 1}), kernel / 2};
    if (of({0, 1}) == 1) c.activation = sigmoid;
    shape = infer_shape(c.conv(), {shape}).value();
    chain.convs.push_back(c.conv());
  }
  chain.convs.back().epilogue.residual = of({0, 1}) == 1;
  KernelSpec spec;
  spec.op = chain;
  spec.inputs.push_back(channels_last(input, chain_rim(chain)));
  if (chain.convs.back().epilogue.residual) spec.inputs.push_back(channels_last(shape));
  spec.output = channels_last(shape);
  spec.algorithm = "fused";
  spec.target = targets_here()[pick(targets_here().size())];
  spec.threads = of({1, 2});
  std::string reason;
  if (!find_algorithm("fused")->applies(spec, &reason)) return std::nullopt;
  return spec;
}

std::vector<OddConv> pairwise(const OddFamily& all_targets, int target) {
  OddFamily family = all_targets;
  family.values[k_target] = {target};
  const RandomStream random(0, family.name, target);
  uint64_t position = 0;
  std::vector<OddConv> list;
  std::set<Pair> missing = all_pairs(family.values);
  while (!missing.empty()) {
    const Pair first = *missing.begin();
    const auto best = best_with(first, missing, family, random, position);
    missing.erase(first);
    if (!best) continue;  // no kernel has both
    for (const Pair& pair : pairs_of(*best)) missing.erase(pair);
    list.push_back(*best);
  }
  return list;
}

std::string template_of(const std::string& schedule) {
  std::string steps;
  for (const char c : schedule)
    if (!std::isdigit(static_cast<unsigned char>(c))) steps += c;
  return steps;
}

}  // namespace emulsion
