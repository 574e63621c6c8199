// A conv layer as a Halide generator: the Funcs that the program compiles for the same layer, for
// an autoscheduler to schedule, or with the program's own schedule when none is named.
//
// Inputs: in (c, x, y, n) with its rim of `pad` zeros, then residual when asked for, then the
// packed constants (lower/conv_pack.h): constant0 the weights, constant1 the bias. Output: output.
#include <Halide.h>

#include <algorithm>

#include "lower/algorithm.h"
#include "lower/conv_funcs.h"
#include "lower/conv_view.h"
#include "lower/lower.h"
#include "lower/target.h"

namespace {

using emulsion::Result;

// A generator has no other way to report than Halide's.
template <class T>
T value_or_throw(Result<T> result) {
  if (!result.ok())
    throw Halide::CompileError(fmt::format("conv_layer: {}\n", result.error().message));
  return std::move(result).value();
}

class ConvLayer : public Halide::Generator<ConvLayer> {
 public:
  GeneratorParam<int> n{"n", 1};
  GeneratorParam<int> ci{"ci", 64}, y{"y", 32}, x{"x", 32};  // of the input
  GeneratorParam<int> co{"co", 64}, ky{"ky", 3}, kx{"kx", 3};
  GeneratorParam<int> stride{"stride", 1}, dilation{"dilation", 1}, pad{"pad", 1};
  GeneratorParam<int> groups{"groups", 1};
  GeneratorParam<bool> relu{"relu", true}, with_residual{"with_residual", false};
  // As in a plan, but with ',' for the ';' that CMake keeps for itself; empty: the defaults. The
  // schedule's tile of channels is the weights' packing.
  GeneratorParam<std::string> algorithm{"algorithm", ""};
  GeneratorParam<std::string> steps{"schedule", ""};

  // Inputs and outputs depend on the parameters. The Funcs' own parameters have the same names, by
  // which Halide matches a pipeline's parameters with its arguments.
  void configure() {
    spec_ = spec();
    for (size_t i = 0; i < spec_.inputs.size(); ++i)
      inputs_.push_back(add_input<Halide::Buffer<float>>(i == 0 ? "in" : "residual", 4));
    for (const emulsion::PackedConstant& packed : pack_constants(spec_, spec_.op)) {
      emulsion::BufferLayout& layout = constants_.emplace_back();
      for (const int extent : packed.extents) layout.dimensions.push_back({.extent = extent});
      inputs_.push_back(
          add_input<Halide::Buffer<float>>(fmt::format("constant{}", constants_.size() - 1),
                                           static_cast<int>(packed.extents.size())));
    }
    const bool grouped = int{groups} > 1 && spec_.algorithm != "depthwise";
    out_ = add_output<Halide::Buffer<float>>("output", grouped ? 5 : 4);
  }

  void generate() {
    const auto& conv = std::get<emulsion::Conv>(spec_.op);
    const bool depthwise = spec_.algorithm == "depthwise";
    const emulsion::ConvView view =
        spec_.algorithm == "pointwise" ? flattened_view(spec_) : conv_view(spec_);
    const emulsion::ConvSchedule schedule = value_or_throw(
        emulsion::conv_schedule(view.nest, spec_.schedule, {depthwise ? "g" : "co", !depthwise}));
    emulsion::ConvFuncs funcs =
        depthwise ? build_depthwise_funcs(conv, view) : build_conv_funcs(conv, view, schedule);
    if (!using_autoscheduler()) schedule_conv(funcs, schedule, get_target());
    *out_ = funcs.out;
    for (size_t i = 0; i < inputs_.size(); ++i)
      estimate(*inputs_[i], i < view.inputs.size() ? input_layout(view.inputs[i])
                                                   : constants_[i - view.inputs.size()]);
    estimate(*out_, output_layout(view.output));
  }

 private:
  // What Halide's own autoschedulers and RunGen go by; the bounds are fixed in any case.
  template <class Buffer>
  static void estimate(Buffer& buffer, const emulsion::BufferLayout& layout) {
    for (size_t i = 0; i < layout.dimensions.size(); ++i)
      buffer.dim(static_cast<int>(i))
          .set_estimate(layout.dimensions[i].min, layout.dimensions[i].extent);
  }

  emulsion::KernelSpec spec() {
    // Plain integers: a GeneratorParam takes part in overloads of its own.
    const int g = groups, channels = ci, rim = pad, step = stride, spread = dilation;
    for (const auto& [name, value] :
         {std::pair{"groups", g}, {"ci", channels}, {"stride", step}, {"dilation", spread}})
      if (value < 1)
        throw Halide::CompileError(fmt::format("conv_layer: {} is {}, below 1\n", name, value));
    if (rim < 0 || channels % g != 0)
      throw Halide::CompileError("conv_layer: pad is negative, or groups does not divide ci\n");
    emulsion::Conv conv;
    conv.stride = {step, step};
    conv.dilation = {spread, spread};
    conv.pad = {rim, rim, rim, rim};
    conv.groups = g;
    conv.weight = emulsion::abstract_constant({int{co}, channels / g, int{ky}, int{kx}});
    conv.bias = emulsion::abstract_constant({int{co}});
    if (relu) conv.epilogue.activation = emulsion::Activation{};
    const emulsion::Shape in = {int{n}, channels, int{y}, int{x}};
    const emulsion::Shape out = value_or_throw(emulsion::infer_shape(conv, {in}));
    conv.epilogue.residual = with_residual;

    emulsion::KernelSpec result;
    result.inputs.push_back(emulsion::channels_last(in, conv.pad));
    result.output = emulsion::channels_last(out);
    if (conv.epilogue.residual) result.inputs.push_back(result.output);
    result.op = conv;
    result.algorithm = algorithm.value();
    result.schedule = steps.value();
    std::replace(result.schedule.begin(), result.schedule.end(), ',', ';');
    result.target = value_or_throw(emulsion::resolve_target(get_target().to_string()));
    return value_or_throw(emulsion::completed_in_registers(result));
  }

  emulsion::KernelSpec spec_;
  std::vector<emulsion::BufferLayout> constants_;
  std::vector<Input<Halide::Buffer<float>>*> inputs_;  // the spec's, then the constants
  Output<Halide::Buffer<float>>* out_ = nullptr;
};

}  // namespace

HALIDE_REGISTER_GENERATOR(ConvLayer, conv_layer)
