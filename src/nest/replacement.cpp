#include "nest/replacement.h"

#include <algorithm>
#include <set>

#include "nest/rewrite_table.h"

namespace emulsion {

ReplacementBuilder::ReplacementBuilder(const RewriteSite& site) {
  Network& network = result_.network;
  network.inputs = {network.add_value("x", site.input)};
  if (site.conv.epilogue.residual) {
    Conv alone = site.conv;
    alone.epilogue = {};
    const Shape output = *infer_shape(Op(std::move(alone)), {site.input});
    network.inputs.push_back(network.add_value("residual", output));
  }
}

ValueId ReplacementBuilder::add(const std::string& name, Op op, std::vector<ValueId> inputs) {
  return result_.network.add_layer(name, std::move(op), std::move(inputs));
}

ValueId ReplacementBuilder::add_main(const std::string& name, Conv conv, ValueId x,
                                     ValueId residual) {
  std::vector<ValueId> inputs{x};
  if (conv.epilogue.residual) inputs.push_back(residual < 0 ? this->residual() : residual);
  result_.mains.push_back(static_cast<int>(result_.network.layers.size()));
  return add(name, std::move(conv), std::move(inputs));
}

ValueId ReplacementBuilder::slice(const std::string& name, ValueId value, int axis, int64_t start,
                                  int64_t extent) {
  Slice slice{{0, 0, 0, 0}, {1, 1, 1, 1}, shape(value)};
  slice.starts[axis] = start;
  slice.shape[axis] = extent;
  return add(name, std::move(slice), {value});
}

ValueId ReplacementBuilder::epilogue(const Conv& conv, ValueId sum) {
  const std::optional<Activation>& activation = conv.epilogue.activation;
  const bool residual = conv.epilogue.residual;
  if (conv.bias) {
    const Constant one = std::make_shared<Tensor>(conv.bias->shape, 1.0f);
    sum = add("bias", Affine{one, conv.bias, residual ? std::nullopt : activation}, {sum});
  } else if (activation && !residual) {
    sum = add("activation", *activation, {sum});
  }
  if (residual) {
    sum = add("add", Binary{Binary::Kind::add, activation}, {sum, this->residual()});
  }
  return sum;
}

Replacement ReplacementBuilder::finish(ValueId output) && {
  result_.network.outputs = {output};
  EMULSION_CHECK(result_.network.layers.back().output == output);
  return std::move(result_);
}

namespace {

std::string suffixed(const std::string& name, const std::string& suffix) {
  return name.empty() ? suffix : name + "_" + suffix;
}

}  // namespace

Network spliced(const Network& network, const std::map<int, Network>& replacements,
                std::vector<int>* came_from) {
  std::set<std::string> names;
  for (const Value& value : network.values) names.insert(value.name);
  // Values are numbered as they are made, so that the same network is the same text however it came
  // about.
  Network result;
  result.name = network.name;
  std::vector<ValueId> renumbered(network.values.size(), -1);
  for (const ValueId input : network.inputs) {
    if (renumbered[input] < 0) {
      renumbered[input] = result.add_value(network.values[input].name, network.shape(input));
    }
    result.inputs.push_back(renumbered[input]);
  }
  const auto add = [&](int from, const std::string& name, const Op& op, std::vector<ValueId> inputs,
                       const std::string& value_name) {
    const ValueId output = result.add_layer(name, op, std::move(inputs));
    result.values[output].name = value_name;
    if (came_from) came_from->push_back(from);
    return output;
  };
  for (int i = 0; i < static_cast<int>(network.layers.size()); ++i) {
    const Layer& layer = network.layers[i];
    const std::string& value_name = network.values[layer.output].name;
    std::vector<ValueId> inputs;
    for (const ValueId input : layer.inputs) inputs.push_back(renumbered[input]);
    const auto found = replacements.find(i);
    if (found == replacements.end()) {
      renumbered[layer.output] = add(i, layer.name, layer.op, inputs, value_name);
      continue;
    }
    // The last layer keeps the layer's names, so that the network's outputs do; those before it
    // gain a suffix.
    const Network& part = found->second;
    std::vector<ValueId> inside(part.values.size(), -1);
    for (size_t k = 0; k < part.inputs.size(); ++k) inside[part.inputs[k]] = inputs.at(k);
    for (const Layer& inner : part.layers) {
      const bool last = inner.output == part.outputs[0];
      std::vector<ValueId> inner_inputs;
      for (const ValueId id : inner.inputs) inner_inputs.push_back(inside[id]);
      std::string name = value_name;
      if (!last) {
        name = suffixed(name, inner.name);
        while (!names.insert(name).second) name += "_";
      }
      inside[inner.output] = add(i, last ? layer.name : suffixed(layer.name, inner.name), inner.op,
                                 std::move(inner_inputs), name);
    }
    renumbered[layer.output] = inside[part.outputs[0]];
  }
  for (const ValueId output : network.outputs) result.outputs.push_back(renumbered[output]);
  return result;
}

namespace {

// A conv that the next step may work on.
struct Main {
  int layer;
  Nest nest;
};

const Conv& conv_at(const Network& network, int layer) {
  return std::get<Conv>(network.layers[layer].op);
}

const Shape& input_at(const Network& network, int layer) {
  return network.shape(network.layers[layer].inputs[0]);
}

// The nest of a conv that takes a conv's place, its loops in the order that the other's had.
Nest nest_like(const Nest& nest, const Network& network, int layer) {
  Nest result = conv_nest(conv_at(network, layer), input_at(network, layer));
  const auto place = [&](const Loop& loop) {
    return std::find_if(nest.loops.begin(), nest.loops.end(),
                        [&](const Loop& other) { return other.name == loop.name; });
  };
  std::stable_sort(result.loops.begin(), result.loops.end(),
                   [&](const Loop& a, const Loop& b) { return place(a) < place(b); });
  return result;
}

Status apply_program_step(std::vector<Main>& mains, const Step& step) {
  for (Main& main : mains) {
    TRY(main.nest, apply(main.nest, step));
  }
  return ok();
}

Status check_unscheduled(const Nest& nest, const Step& step) {
  for (const Loop& loop : nest.loops) {
    if (loop.name != loop.iterator || loop.kind != Loop::Kind::serial) {
      return refusal(
          step,
          fmt::format("it must come before the steps that split or mark loops ({})", loop.name));
    }
  }
  return ok();
}

Status apply_neural_step(Network& network, std::vector<Main>& mains, const Step& step) {
  const int count = static_cast<int>(mains.size());
  if (step.part >= 0 && count == 1) {
    return refusal(step, "there is one part; a split or unroll before it makes several");
  }
  if (step.part >= count) {
    return refusal(step, fmt::format("there are parts 0 to {}", count - 1));
  }
  TRY(const RewriteRule* rule, rule_of(step));
  std::map<int, Network> parts;
  std::map<int, std::vector<int>> parts_mains;
  for (int i = 0; i < count; ++i) {
    if (step.part >= 0 && i != step.part) continue;
    const Main& main = mains[i];
    TRY_OK(check_unscheduled(main.nest, step));
    const RewriteSite site{conv_at(network, main.layer), input_at(network, main.layer), main.nest};
    TRY(Replacement part, rule->make(site, step));
    parts_mains[main.layer] = std::move(part.mains);
    parts[main.layer] = std::move(part.network);
  }
  std::vector<int> came_from;
  network = spliced(network, parts, &came_from);
  const auto first_of = [&](int layer) {
    return static_cast<int>(std::find(came_from.begin(), came_from.end(), layer) -
                            came_from.begin());
  };
  std::vector<Main> next;
  for (const Main& main : mains) {
    const auto replaced = parts_mains.find(main.layer);
    const int first = first_of(main.layer);
    if (replaced == parts_mains.end()) {
      next.push_back({first, main.nest});
      continue;
    }
    for (const int layer : replaced->second) {
      next.push_back({first + layer, nest_like(main.nest, network, first + layer)});
    }
  }
  mains = std::move(next);
  return ok();
}

// resize(resize(x))  =>  resize(x)   where nothing else reads what is between
Network with_merged_resizes(Network network) {
  const std::vector<int> makers = producers(network);
  for (Layer& layer : network.layers) {
    auto* outer = std::get_if<Resize>(&layer.op);
    if (!outer || makers[layer.inputs[0]] < 0) continue;
    const Layer& before = network.layers[makers[layer.inputs[0]]];
    const auto* inner = std::get_if<Resize>(&before.op);
    if (!inner) continue;
    for (int& row : outer->rows) row = inner->rows[row];
    for (int& column : outer->columns) column = inner->columns[column];
    layer.inputs[0] = before.inputs[0];
  }
  return network;
}

// Layers that nothing needs are left out; mains follow.
Replacement without_dead(const Network& network, const std::vector<Main>& mains) {
  std::vector<bool> needed(network.values.size(), false);
  needed[network.outputs[0]] = true;
  for (auto layer = network.layers.rbegin(); layer != network.layers.rend(); ++layer) {
    for (const ValueId id : layer->inputs) needed[id] = needed[id] || needed[layer->output];
  }
  Replacement result{without_dead_layers(network), {}, {}};
  std::vector<int> place;
  int alive = 0;
  for (const Layer& layer : network.layers) {
    place.push_back(alive);
    alive += needed[layer.output];
  }
  for (const Main& main : mains) result.mains.push_back(place[main.layer]);
  return result;
}

}  // namespace

Result<Replacement> replacement(const Conv& conv, const Shape& input, const Steps& steps) {
  Nest nest = conv_nest(conv, input);
  ReplacementBuilder builder({conv, input, nest});
  // No name: the layers that replace it are named by what they are to the conv.
  const ValueId output = builder.add_main("", conv, builder.x());
  Network network = std::move(builder).finish(output).network;
  std::vector<Main> mains{{0, std::move(nest)}};
  Steps schedule;
  for (const Step& step : steps) {
    TRY_OK(is_neural(step) ? apply_neural_step(network, mains, step)
                           : apply_program_step(mains, step));
    if (!is_neural(step)) schedule.push_back(step);
  }
  Replacement result = without_dead(with_merged_resizes(std::move(network)), mains);
  if (!steps.empty() && !is_neural(steps.back())) result.schedule = std::move(schedule);
  return result;
}

Result<RewriteCost> rewrite_cost(const Conv& conv, const Shape& input, const Steps& steps) {
  Conv bare = conv;
  bare.weight = abstract_constant(conv.weight->shape);
  TRY(const Replacement made, replacement(bare, input, steps));
  RewriteCost cost{emulsion::multiplies(made.network), 0, 0};
  for (const int layer : conv_layers(made.network)) {
    cost.weights += element_count(conv_at(made.network, layer).weight->shape);
    ++cost.convs;
  }
  return cost;
}

}  // namespace emulsion
