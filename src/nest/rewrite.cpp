#include "nest/rewrite.h"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <numeric>
#include <set>

namespace emulsion {
namespace {

// ---- The table ------------------------------------------------------------------------------

Steps group_step(int groups) {
  return {{Step::Kind::group, "", "", groups}};
}
Steps bottleneck_step(int b) {
  return {{Step::Kind::bottleneck, "co", "", b}};
}

// conv(k, ci->co)  =>  conv(k, ci->co, groups g)   where g | ci and g | co
std::vector<Steps> group_instances(const Nest& nest) {
  std::vector<Steps> result;
  const int64_t all = std::gcd(nest.ci, nest.co);  // as many groups as there can be: depthwise
  for (int64_t g = 2; g < all && all % g == 0; g *= 2)
    result.push_back(group_step(static_cast<int>(g)));
  return result;
}

// conv(k, ci->co)  =>  conv(k, ci->co/b), conv(1x1, co/b->co), linear   where b | co
std::vector<Steps> bottleneck_instances(const Nest& nest) {
  std::vector<Steps> result;
  for (const int b : {2, 4, 8}) {
    if (nest.co % b == 0) result.push_back(bottleneck_step(b));
  }
  return result;
}

// conv(k, ci->co)  =>  conv(k, ci->co, groups gcd(ci, co))   where gcd(ci, co) > 1
std::vector<Steps> depthwise_instances(const Nest& nest) {
  if (std::gcd(nest.ci, nest.co) == 1) return {};
  return {{{Step::Kind::depthwise, "", "", 0}}};
}

// ---- Inherited weights ----------------------------------------------------------------------

// The weight of a conv with `factor` times the groups keeps the diagonal blocks of the old one.
Conv grouped(const Conv& conv, int factor) {
  const Tensor& old = *conv.weight;
  const int64_t co = old.shape[0], old_ci = old.shape[1], taps = old.shape[2] * old.shape[3];
  const int64_t ci = old_ci / factor;
  const int64_t co_per_old_group = co / conv.groups, co_per_group = co_per_old_group / factor;
  Conv result = conv;
  result.groups = conv.groups * factor;
  const Shape shape{co, ci, old.shape[2], old.shape[3]};
  if (old.abstract()) {
    result.weight = abstract_constant(shape);
    return result;
  }
  std::vector<float> data;
  data.reserve(element_count(shape));
  for (int64_t o = 0; o < co; ++o) {
    const int64_t block = o % co_per_old_group / co_per_group;
    const float* first = old.data.data() + (o * old_ci + block * ci) * taps;
    data.insert(data.end(), first, first + ci * taps);
  }
  result.weight = constant(shape, std::move(data));
  return result;
}

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

struct Factors {
  Matrix narrow;  // rank x columns
  Matrix widen;   // rows x rank
};

// The best approximation widen * narrow of w of this rank (Eckart and Young): the truncated SVD U S
// V^T, with sqrt(S) given to each factor. U and S come from the eigenvalues of w w^T (or V and S
// from those of w^T w, when that is smaller), in double: a conv's matrix is wide, and the SVD
// itself is many times slower.
Factors truncated_svd(const Matrix& w, int64_t rank) {
  const bool wide = w.rows() <= w.cols();
  const Eigen::Index size = std::min(w.rows(), w.cols());
  Eigen::MatrixXd gram = Eigen::MatrixXd::Zero(size, size);
  if (wide) {
    gram.selfadjointView<Eigen::Lower>().rankUpdate(w);
  } else {
    gram.selfadjointView<Eigen::Lower>().rankUpdate(w.transpose());
  }
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(gram);
  EMULSION_CHECK(solver.info() == Eigen::Success);
  // A matrix of co/b > ci k k rows has fewer singular vectors than that; the rest of the rank is
  // zero.
  const int64_t kept = std::min<int64_t>(rank, size);
  Matrix vectors = solver.eigenvectors().rightCols(kept).rowwise().reverse();
  const Eigen::VectorXd values = solver.eigenvalues().tail(kept).reverse();
  // Eigenvalues are the squares of S; those that rounding alone made count as zero.
  const double zero = values.size() ? values[0] * 1e-14 : 0;
  Eigen::VectorXd root(kept), inverse(kept);  // sqrt(S) and 1 / sqrt(S)
  for (int64_t i = 0; i < kept; ++i) {
    const bool keep = values[i] > zero;
    root[i] = keep ? std::pow(values[i], 0.25) : 0;
    inverse[i] = keep ? 1 / root[i] : 0;
    // The sign of a singular vector is free; its largest element decides it, so that it is the same
    // everywhere.
    Eigen::Index largest = 0;
    vectors.col(i).cwiseAbs().maxCoeff(&largest);
    if (vectors(largest, i) < 0) vectors.col(i) *= -1;
  }
  Factors factors{Matrix::Zero(rank, w.cols()), Matrix::Zero(w.rows(), rank)};
  if (wide) {
    factors.narrow.topRows(kept) = inverse.asDiagonal() * (vectors.transpose() * w);
    factors.widen.leftCols(kept) = vectors * root.asDiagonal();
  } else {
    factors.narrow.topRows(kept) = root.asDiagonal() * vectors.transpose();
    factors.widen.leftCols(kept) = (w * vectors) * inverse.asDiagonal();
  }
  return factors;
}

// Each group is its own low-rank approximation; the 1x1 conv sees all groups, and starts out with
// zeros where it would mix them.
std::vector<Conv> bottlenecked(const Conv& conv, int b) {
  const Tensor& old = *conv.weight;
  const int64_t groups = conv.groups, co = old.shape[0] / groups, width = co / b;
  const int64_t taps = element_count(old.shape) / old.shape[0];
  const Shape narrow_shape{groups * width, old.shape[1], old.shape[2], old.shape[3]};
  const Shape widen_shape{old.shape[0], groups * width, 1, 1};

  Conv narrow = conv;
  narrow.bias = nullptr;
  narrow.epilogue = {};
  Conv widen;
  widen.bias = conv.bias;
  widen.epilogue = conv.epilogue;
  if (old.abstract()) {
    narrow.weight = abstract_constant(narrow_shape);
    widen.weight = abstract_constant(widen_shape);
    return {narrow, widen};
  }
  using FloatMatrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  std::vector<float> narrow_data(element_count(narrow_shape));
  std::vector<float> widen_data(element_count(widen_shape));
  Eigen::Map<FloatMatrix> narrow_matrix(narrow_data.data(), groups * width, taps);
  Eigen::Map<FloatMatrix> widen_matrix(widen_data.data(), groups * co, groups * width);
  for (int64_t g = 0; g < groups; ++g) {
    const Eigen::Map<const FloatMatrix> block(old.data.data() + g * co * taps, co, taps);
    const Factors factors = truncated_svd(block.cast<double>(), width);
    narrow_matrix.middleRows(g * width, width) = factors.narrow.cast<float>();
    widen_matrix.block(g * co, g * width, co, width) = factors.widen.cast<float>();
  }
  narrow.weight = constant(narrow_shape, std::move(narrow_data));
  widen.weight = constant(widen_shape, std::move(widen_data));
  return {narrow, widen};
}

// ---- Where a conv stands --------------------------------------------------------------------

bool is_conv(const Layer& layer) {
  return std::holds_alternative<Conv>(layer.op);
}

// Convs and dense layers mix channels by weights; everything else hands values on.
bool has_weights(const Layer& layer) {
  return is_conv(layer) || std::holds_alternative<Dense>(layer.op);
}

bool is_add(const Layer& layer) {
  const auto* binary = std::get_if<Binary>(&layer.op);
  return binary && binary->kind == Binary::Kind::add;
}

// The graph of a network with what the exclusions ask of it.
class Graph {
 public:
  explicit Graph(const Network& network)
      : network_(network),
        producers_(producers(network)),
        consumers_(consumers(network)),
        from_input_(network.values.size(), false) {
    for (const ValueId input : network.inputs) from_input_[input] = true;
    for (const Layer& layer : network.layers) {
      bool all = !has_weights(layer), any = false;
      for (const ValueId input : layer.inputs) {
        if (is_literal(input)) continue;
        all = all && from_input_[input];
        any = true;
      }
      from_input_[layer.output] = all && any;
    }
  }

  // Whether a value is the network's input, or made of nothing else without weights.
  bool from_input(ValueId value) const { return from_input_[value]; }

  // A conv is a shortcut when a value is its source without weights between, its output reaches an
  // Add without weights between, and the Add's other operand comes from the same value through
  // another conv.
  bool is_shortcut(int index) const {
    const Layer& layer = network_.layers[index];
    const std::vector<Reach> reach = reach_from_sources(index);
    // With the Add in its epilogue a conv's output is past it.
    if (std::get<Conv>(layer.op).epilogue.residual) {
      return reach[layer.inputs[1]] == Reach::through_conv;
    }
    std::set<ValueId> seen;
    std::vector<ValueId> todo{layer.output};
    while (!todo.empty()) {
      const ValueId at = todo.back();
      todo.pop_back();
      if (!seen.insert(at).second) continue;
      for (const int consumer : consumers_[at]) {
        const Layer& reader = network_.layers[consumer];
        if (is_conv(reader) && reader.inputs.size() == 2 && reader.inputs[1] == at &&
            reach[reader.inputs[0]] != Reach::no) {
          return true;  // the other operand is the reader's own sum
        }
        if (has_weights(reader)) continue;
        if (is_add(reader)) {
          const ValueId other = reader.inputs[reader.inputs[0] == at ? 1 : 0];
          if (reach[other] == Reach::through_conv) return true;
          if (!is_literal(other)) continue;
        }
        todo.push_back(reader.output);
      }
    }
    return false;
  }

 private:
  bool is_literal(ValueId value) const {
    const int producer = producers_[value];
    return producer >= 0 && std::holds_alternative<Literal>(network_.layers[producer].op);
  }

  // A value and those above it, up through layers of one operand and no weights.
  std::set<ValueId> sources_of(ValueId value) const {
    std::set<ValueId> result{value};
    for (int producer = producers_[value]; producer >= 0; producer = producers_[value]) {
      const Layer& layer = network_.layers[producer];
      if (has_weights(layer) || layer.inputs.size() != 1) break;
      value = layer.inputs[0];
      result.insert(value);
    }
    return result;
  }

  // Whether paths lead from a conv's sources to each value that avoid the conv, and whether some
  // path has another conv on it.
  enum class Reach { no, without_conv, through_conv };
  std::vector<Reach> reach_from_sources(int index) const {
    const std::set<ValueId> sources = sources_of(network_.layers[index].inputs[0]);
    std::vector<Reach> reach(network_.values.size(), Reach::no);
    for (const ValueId source : sources) reach[source] = Reach::without_conv;
    for (int i = 0; i < static_cast<int>(network_.layers.size()); ++i) {
      const Layer& layer = network_.layers[i];
      if (i == index || sources.contains(layer.output)) continue;
      Reach best = Reach::no;
      for (const ValueId input : layer.inputs) best = std::max(best, reach[input]);
      if (best != Reach::no && is_conv(layer)) best = Reach::through_conv;
      reach[layer.output] = best;
    }
    return reach;
  }

  const Network& network_;
  std::vector<int> producers_;
  std::vector<std::vector<int>> consumers_;
  std::vector<bool> from_input_;  // by value
};

std::string exclusion(const Network& network, const Graph& graph, int index) {
  const Layer& layer = network.layers[index];
  const Conv& conv = std::get<Conv>(layer.op);
  const Shape& weight = conv.weight->shape;
  const Shape& output = network.shape(layer.output);
  if (graph.from_input(layer.inputs[0])) return "it reads the network's input";
  if (output[2] == 1 && output[3] == 1) return "its output has one pixel";
  if (weight[2] == 1 && weight[3] == 1 && graph.is_shortcut(index)) {
    return "it is a shortcut beside another conv";
  }
  if (rewrites_of(conv, network.shape(layer.inputs[0])).empty())
    return "no rewrite makes it cheaper";
  return "";
}

}  // namespace

const std::vector<RewriteRule>& rewrite_rules() {
  static const std::vector<RewriteRule> rules = {
      {"group", "Split the channels in g groups that do not see each other.", group_instances},
      {"bottleneck", "Compute co/b channels, then widen them with a linear 1x1 conv.",
       bottleneck_instances},
      {"depthwise", "As many groups as divide both channel counts.", depthwise_instances},
  };
  return rules;
}

std::vector<Steps> rewrites_of(const Conv& conv, const Shape& input) {
  const Nest nest = conv_nest(conv, input);
  std::vector<Steps> result;
  for (const RewriteRule& rule : rewrite_rules()) {
    for (Steps& steps : rule.instances(nest)) {
      const Result<Nest> after = emulsion::apply(nest, steps);
      // A rewrite that does not save work has nothing to offer: a 1x1 conv's bottleneck may cost
      // more.
      if (after.ok() && after->multiplies() < nest.multiplies()) result.push_back(std::move(steps));
    }
  }
  return result;
}

std::string slot_exclusion(const Network& network, int layer) {
  return exclusion(network, Graph(network), layer);
}

std::vector<int> slots(const Network& network) {
  const Graph graph(network);
  const std::vector<int> convs = conv_layers(network);
  std::vector<int> result;
  for (int i = 0; i < static_cast<int>(convs.size()); ++i) {
    if (exclusion(network, graph, convs[i]).empty()) result.push_back(i);
  }
  return result;
}

Result<std::vector<Conv>> rewritten(const Conv& conv, const Shape& input, const Steps& steps) {
  Nest nest = conv_nest(conv, input);
  std::vector<Conv> convs{conv};  // the conv itself, and the 1x1 conv that widens it again
  for (const Step& step : steps) {
    const Nest before = nest;
    TRY(nest, apply(before, step));
    switch (step.kind) {
      case Step::Kind::group:
      case Step::Kind::depthwise:
        convs[0] = grouped(convs[0], static_cast<int>(nest.groups / before.groups));
        break;
      case Step::Kind::bottleneck: {
        const std::vector<Conv> parts = bottlenecked(convs[0], step.factor);
        convs[0] = parts[0];
        convs.insert(convs.begin() + 1, parts[1]);
        break;
      }
      default:
        break;  // program steps change how the nest runs, not what it computes
    }
  }
  return convs;
}

Result<Network> apply_rewrites(const Network& network, const std::map<int, Steps>& rewrites) {
  const std::vector<int> convs = conv_layers(network);
  std::vector<const Steps*> steps_of(network.layers.size(), nullptr);
  for (const auto& [conv, steps] : rewrites) {
    if (conv < 0 || conv >= static_cast<int>(convs.size())) {
      return error("no conv {} to rewrite: {} has convs 0 to {}", conv, network.name,
                   static_cast<int>(convs.size()) - 1);
    }
    steps_of[convs[conv]] = &steps;
  }
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
  for (size_t i = 0; i < network.layers.size(); ++i) {
    const Layer& layer = network.layers[i];
    std::vector<ValueId> inputs;
    for (const ValueId input : layer.inputs) inputs.push_back(renumbered[input]);
    std::vector<Op> ops{layer.op};
    if (steps_of[i]) {
      auto parts =
          rewritten(std::get<Conv>(layer.op), network.shape(layer.inputs[0]), *steps_of[i]);
      if (!parts.ok()) return parts.error().in(fmt::format("conv {}", layer.name));
      ops.assign(std::make_move_iterator(parts->begin()), std::make_move_iterator(parts->end()));
    }
    // The last op keeps the layer's names, so that the network's outputs do; those before it gain a
    // suffix.
    ValueId read = inputs.empty() ? -1 : inputs[0];
    for (size_t part = 0; part + 1 < ops.size(); ++part) {
      std::string name = network.values[layer.output].name + "_narrow";
      while (!names.insert(name).second) name += "_";
      read = result.add_layer(layer.name + "_narrow", ops[part], {read});
      result.values[read].name = name;
    }
    if (!inputs.empty()) inputs[0] = read;
    const ValueId output = result.add_layer(layer.name, ops.back(), inputs);
    result.values[output].name = network.values[layer.output].name;
    renumbered[layer.output] = output;
  }
  for (const ValueId output : network.outputs) result.outputs.push_back(renumbered[output]);
  return result;
}

}  // namespace emulsion
