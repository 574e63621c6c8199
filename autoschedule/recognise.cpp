#include "autoschedule/recognise.h"

#include <algorithm>
#include <optional>
#include <set>

namespace emulsion {

using Halide::Expr;
using Halide::Internal::as_const_int;
using Halide::Internal::Call;
using Halide::Internal::Definition;
using Halide::Internal::Function;

namespace {

// sum of coefficient * variable, plus offset
struct Linear {
  std::map<std::string, int64_t> terms;
  int64_t offset = 0;

  bool only(const std::string& variable, int64_t coefficient = 1) const {
    return offset == 0 && terms == std::map<std::string, int64_t>{{variable, coefficient}};
  }
};

Linear sum(Linear a, const Linear& b, int64_t factor) {
  for (const auto& [variable, coefficient] : b.terms)
    if ((a.terms[variable] += factor * coefficient) == 0) a.terms.erase(variable);
  a.offset += factor * b.offset;
  return a;
}

std::optional<Linear> linear(const Expr& e) {
  using namespace Halide::Internal;
  if (const auto constant = as_const_int(e)) return Linear{{}, *constant};
  if (const auto* variable = e.as<Variable>()) return Linear{{{variable->name, 1}}, 0};
  const auto combined = [](const Expr& a, const Expr& b, int64_t factor) -> std::optional<Linear> {
    const std::optional<Linear> x = linear(a), y = linear(b);
    if (!x || !y) return std::nullopt;
    return sum(*x, *y, factor);
  };
  if (const auto* add = e.as<Add>()) return combined(add->a, add->b, 1);
  if (const auto* sub = e.as<Sub>()) return combined(sub->a, sub->b, -1);
  if (const auto* mul = e.as<Mul>()) {
    const auto left = as_const_int(mul->a), right = as_const_int(mul->b);
    if (!left && !right) return std::nullopt;
    const std::optional<Linear> other = linear(left ? mul->b : mul->a);
    if (!other) return std::nullopt;
    return sum(Linear{}, *other, left ? *left : *right);
  }
  return std::nullopt;
}

// One index of a weight: affine, or a digit of a variable: index / block % in_block, 0 for a part
// that is missing.
struct WeightIndex {
  Linear index;
  int64_t in_block = 0, block = 0;
};

std::optional<WeightIndex> weight_index(const Expr& e) {
  using namespace Halide::Internal;
  WeightIndex result;
  Expr inner = e;
  if (const auto* mod = inner.as<Mod>()) {
    const auto size = as_const_int(mod->b);
    if (!size) return std::nullopt;
    result.in_block = *size;
    inner = mod->a;
  }
  if (const auto* div = inner.as<Div>()) {
    const auto size = as_const_int(div->b);
    if (!size) return std::nullopt;
    result.block = *size;
    inner = div->a;
  }
  const std::optional<Linear> index = linear(inner);
  if (!index) return std::nullopt;
  result.index = *index;
  return result;
}

// The update's parts: f(args) = f(args) + weight * input, in any order.
struct Product {
  const Call* factors[2];
};

std::optional<Product> product_of(const Function& function, const Definition& update) {
  using namespace Halide::Internal;
  const auto* add = update.values()[0].as<Add>();
  if (!add) return std::nullopt;
  for (const auto& [self, rest] : {std::pair{add->a, add->b}, std::pair{add->b, add->a}}) {
    const auto* own = self.as<Call>();
    const auto* mul = rest.as<Mul>();
    if (!own || own->name != function.name() || !mul) continue;
    const Product product{{mul->a.as<Call>(), mul->b.as<Call>()}};
    const auto reads = [&](const Call* call) {
      return call && (call->call_type == Call::Halide || call->call_type == Call::Image) &&
             call->name != function.name();
    };
    if (reads(product.factors[0]) && reads(product.factors[1])) return product;
  }
  return std::nullopt;
}

// Lifts one product, once it is decided which factor is the weight.
class Lift {
 public:
  Lift(const Function& function, const std::vector<int64_t>& extents) {
    for (size_t i = 0; i < extents.size(); ++i) {
      extent_[function.args()[i]] = extents[i];
      pure_.push_back(function.args()[i]);
    }
  }

  // False when the reduction domain is not one of constants from 0.
  bool add_reduction(const std::vector<Halide::Internal::ReductionVariable>& variables) {
    for (const auto& variable : variables) {
      const auto min = as_const_int(Halide::Internal::simplify(variable.min));
      const auto extent = as_const_int(Halide::Internal::simplify(variable.extent));
      if (!min || *min != 0 || !extent) return false;
      extent_[variable.var] = *extent;
      reductions_.insert(variable.var);
    }
    return true;
  }

  Result<RecognisedConv> operator()(const Call& weight, const Call& input) {
    TRY_OK(read_indices(weight, input));
    TRY_OK(find_channels());
    TRY_OK(read_input());
    TRY_OK(read_weight());
    for (const std::string& r : reductions_)
      if (!is_assigned(r)) return error("{} is reduced over, but is no channel or tap", r);
    return conv();
  }

 private:
  bool reduction(const std::string& variable) const { return reductions_.contains(variable); }
  int64_t extent(const char* iterator) const {
    const auto variable = variable_.find(iterator);
    return variable == variable_.end() ? 1 : extent_.at(variable->second);
  }
  bool is_assigned(const std::string& variable) const {
    return std::any_of(variable_.begin(), variable_.end(),
                       [&](const auto& entry) { return entry.second == variable; });
  }
  Status assign(const std::string& iterator, const std::string& variable) {
    if (is_assigned(variable) || !variable_.emplace(iterator, variable).second)
      return error("{} or {} appears twice", iterator, variable);
    return ok();
  }

  Status read_indices(const Call& weight, const Call& input) {
    for (const Expr& e : weight.args) {
      const std::optional<WeightIndex> index = weight_index(e);
      if (!index) return error("{}'s indices are not affine", weight.name);
      weight_.push_back(*index);
    }
    for (const Expr& e : input.args) {
      const std::optional<Linear> index = linear(e);
      if (!index) return error("{}'s indices are not affine", input.name);
      input_.push_back(*index);
    }
    const auto known = [&](const Linear& index) {
      return std::all_of(index.terms.begin(), index.terms.end(),
                         [&](const auto& term) { return extent_.contains(term.first); });
    };
    for (const WeightIndex& index : weight_)
      if (!known(index.index)) return error("{} is read at a free variable", weight.name);
    for (const Linear& index : input_)
      if (!known(index)) return error("{} is read at a free variable", input.name);
    return ok();
  }

  // co is in the weight's indices alone, g in both.
  Status find_channels() {
    for (const std::string& v : pure_) {
      const bool in_weight = std::any_of(weight_.begin(), weight_.end(), [&](const WeightIndex& i) {
        return i.index.terms.contains(v);
      });
      const bool in_input = std::any_of(input_.begin(), input_.end(),
                                        [&](const Linear& i) { return i.terms.contains(v); });
      if (!in_weight && !in_input) return error("nothing is read at {}", v);
      if (in_weight) TRY_OK(assign(in_input ? "g" : "co", v));
    }
    const char* innermost = variable_.contains("co") ? "co" : "g";
    if (!variable_.contains(innermost) || variable_[innermost] != pure_[0])
      return error("its first variable, {}, is no output channel", pure_[0]);
    return ok();
  }

  // Places are the input's indices without channels, in the order x, y, n.
  Status read_input() {
    for (const Linear& index : input_) {
      std::string pure, tap;
      for (const auto& [variable, coefficient] : index.terms) {
        std::string& name = reduction(variable) ? tap : pure;
        if (!name.empty()) return error("an index of its input has too many variables");
        name = variable;
      }
      const bool group = variable_.contains("g") && pure == variable_.at("g");
      if (group || (pure.empty() && !tap.empty())) {
        TRY_OK(read_channel(index, group ? pure : "", tap));
        continue;
      }
      if (pure.empty() && index.offset == 0) continue;  // a dimension of one element
      if (pure.empty()) return error("an index of its input is a constant");
      TRY_OK(read_place(index, pure, tap));
    }
    return ok();
  }

  Status read_channel(const Linear& index, const std::string& group, const std::string& tap) {
    if (index.offset != 0) return error("its input's channels do not start at 0");
    if (!tap.empty()) {
      TRY_OK(assign("ci", tap));
      if (index.terms.at(tap) != 1) return error("its input's channels are not consecutive");
    }
    if (!group.empty() && index.terms.at(group) != extent("ci"))
      return error("its groups of input channels do not follow each other");
    return ok();
  }

  Status read_place(const Linear& index, const std::string& pure, const std::string& tap) {
    static constexpr const char* k_places[] = {"x", "y", "n"};
    if (places_ == 3) return error("its input has more than rows, columns and batch");
    const char* place = k_places[places_];
    const int64_t stride = index.terms.at(pure), dilation = tap.empty() ? 1 : index.terms.at(tap);
    TRY_OK(assign(place, pure));
    if (places_ == 2) {
      if (!index.only(pure)) return error("there are taps along the batch");
    } else {
      if (stride < 1 || dilation < 1) return error("a stride or a dilation is below 1");
      const int side = places_ == 0 ? 1 : 0;
      stride_[side] = static_cast<int>(stride);
      dilation_[side] = static_cast<int>(dilation);
      pad_[side] = static_cast<int>(-index.offset);
      if (!tap.empty()) TRY_OK(assign(places_ == 0 ? "kx" : "ky", tap));
    }
    ++places_;
    return ok();
  }

  // Vectors of weights must be contiguous: output channels are the weight's first index.
  Status read_weight() {
    const std::string& channel = pure_[0];
    if (weight_.empty() || !weight_[0].index.only(channel) || weight_[0].block != 0)
      return error("its weights are not stored output channels first");
    channel_block_ = weight_[0].in_block;
    for (size_t i = 1; i < weight_.size(); ++i) {
      const WeightIndex& index = weight_[i];
      const bool of_channel = index.index.terms.contains(channel);
      if (!of_channel && index.index.terms.size() > 1 && index.in_block + index.block != 0)
        return error("an index of its weights is a digit of several variables");
      // A reduction's variable may be split into digits, one index each.
      if (!of_channel) continue;
      if (index.in_block != 0) return error("its weights are blocked twice");
      if (index.block == 0 || index.block != channel_block_ || !index.index.only(channel))
        return error("its weights' blocks do not follow each other");
      has_blocks_ = true;
    }
    if (has_blocks_ != (channel_block_ != 0)) return error("its weights repeat");
    return ok();
  }

  Result<RecognisedConv> conv() const {
    RecognisedConv result;
    result.depthwise = !variable_.contains("co");
    result.channel_block = channel_block_;
    if (result.depthwise && (variable_.contains("ci") || channel_block_ != 0))
      return error("its groups have several channels, but no variable for them");
    Conv conv;
    conv.stride = stride_;
    conv.dilation = dilation_;
    conv.pad = {pad_[0], pad_[1], 0, 0};
    conv.groups = static_cast<int>(extent("g"));
    const int64_t co = extent("co"), ci = extent("ci"), ky = extent("ky"), kx = extent("kx");
    conv.weight = abstract_constant({conv.groups * co, ci, ky, kx});
    const auto image = [&](int side, int64_t out, int64_t taps) {
      return (out - 1) * stride_[side] + (taps - 1) * dilation_[side] + 1 - pad_[side];
    };
    const Shape input = {extent("n"), conv.groups * ci, image(0, extent("y"), ky),
                         image(1, extent("x"), kx)};
    if (input[2] < 1 || input[3] < 1) return error("its image is all padding");
    result.nest = conv_nest(conv, input);
    for (const auto& [iterator, variable] : variable_) {
      if (reduction(variable))
        result.reduction_vars.emplace(iterator, Halide::RVar(variable));
      else
        result.vars.emplace(iterator, Halide::Var(variable));
    }
    return result;
  }

  std::map<std::string, int64_t> extent_;  // by variable
  std::vector<std::string> pure_;          // in the Func's order
  std::set<std::string> reductions_;
  std::vector<WeightIndex> weight_;
  std::vector<Linear> input_;
  std::map<std::string, std::string> variable_;  // by iterator
  int places_ = 0;
  Extent2 stride_{1, 1}, dilation_{1, 1}, pad_{0, 0};
  int64_t channel_block_ = 0;
  bool has_blocks_ = false;
};

}  // namespace

Result<RecognisedConv> recognise_conv(const Function& function,
                                      const std::vector<int64_t>& extents) {
  if (function.has_extern_definition() || function.updates().size() != 1 || function.outputs() != 1)
    return error("it has not one update of one value");
  if (extents.empty() || extents.size() != function.args().size())
    return error("its variables' extents are unknown: set bounds or estimates of the outputs");
  const Definition& update = function.update(0);
  for (size_t i = 0; i < update.args().size(); ++i) {
    const auto* variable = update.args()[i].as<Halide::Internal::Variable>();
    if (!variable || variable->name != function.args()[i])
      return error("its update is not at its own variables");
  }
  Lift by_order(function, extents);
  if (!by_order.add_reduction(update.schedule().rvars()) || update.schedule().rvars().empty())
    return error("its update is not over a constant reduction domain from 0");
  const std::optional<Product> product = product_of(function, update);
  if (!product) return error("its update does not add a product of two Funcs or images");
  Lift swapped = by_order;
  Result<RecognisedConv> first = by_order(*product->factors[0], *product->factors[1]);
  if (first.ok()) return first;
  Result<RecognisedConv> second = swapped(*product->factors[1], *product->factors[0]);
  return second.ok() ? std::move(second) : std::move(first);
}

}  // namespace emulsion
