// The text form of ops. visit_fields is the one list of every op's keys; a Writer and a Reader
// visit it.
#include <algorithm>
#include <charconv>
#include <map>
#include <span>
#include <string_view>
#include <type_traits>

#include "network/op.h"

namespace emulsion {
namespace {

constexpr Activation::Kind k_activations[] = {
    Activation::Kind::relu,       Activation::Kind::leaky_relu, Activation::Kind::prelu,
    Activation::Kind::clip,       Activation::Kind::sigmoid,    Activation::Kind::hard_sigmoid,
    Activation::Kind::hard_swish, Activation::Kind::silu,       Activation::Kind::gelu,
    Activation::Kind::gelu_tanh,  Activation::Kind::mish,       Activation::Kind::elu,
    Activation::Kind::softplus,   Activation::Kind::tanh,       Activation::Kind::erf,
    Activation::Kind::exp,        Activation::Kind::log,        Activation::Kind::sqrt,
    Activation::Kind::abs,        Activation::Kind::power};
constexpr const char* k_binary_kinds[] = {"add", "sub", "mul", "div", "pow"};
constexpr const char* k_pad_modes[] = {"constant", "reflect", "edge"};
constexpr const char* k_pool_kinds[] = {"max", "average"};

template <class E>
struct EnumField {
  E& value;
  std::span<const char* const> names;
};

// Calls visit(key, field) for each field of an op.
template <class O, class V>
void visit_fields(O& o, V& visit) {
  using T = std::remove_cvref_t<O>;
  const auto named = [&](const char* key, auto& value, std::span<const char* const> names) {
    visit(key, EnumField<std::remove_reference_t<decltype(value)>>{value, names});
  };
  if constexpr (std::is_same_v<T, Conv>) {
    visit("stride", o.stride);
    visit("dilation", o.dilation);
    visit("pad", o.pad);
    visit("groups", o.groups);
    visit("weight", o.weight);
    visit("bias", o.bias);
    visit("in_scale", o.prologue.scale);
    visit("in_shift", o.prologue.shift);
    visit("in_act", o.prologue.activation);
    visit("residual", o.epilogue.residual);
    visit("act", o.epilogue.activation);
  } else if constexpr (std::is_same_v<T, Dense>) {
    visit("weight", o.weight);
    visit("bias", o.bias);
    visit("act", o.activation);
  } else if constexpr (std::is_same_v<T, BatchNorm>) {
    visit("scale", o.scale);
    visit("shift", o.shift);
    visit("mean", o.mean);
    visit("variance", o.variance);
    visit("epsilon", o.epsilon);
  } else if constexpr (std::is_same_v<T, Affine>) {
    visit("scale", o.scale);
    visit("shift", o.shift);
    visit("act", o.activation);
  } else if constexpr (std::is_same_v<T, Activation>) {
    visit("act", o);
  } else if constexpr (std::is_same_v<T, Normalize>) {
    visit("axes", o.axes);
    visit("epsilon", o.epsilon);
  } else if constexpr (std::is_same_v<T, Binary>) {
    named("kind", o.kind, k_binary_kinds);
    visit("act", o.activation);
  } else if constexpr (std::is_same_v<T, Literal>) {
    visit("value", o.value);
  } else if constexpr (std::is_same_v<T, Concat> || std::is_same_v<T, Softmax>) {
    visit("axis", o.axis);
  } else if constexpr (std::is_same_v<T, Slice>) {
    visit("starts", o.starts);
    visit("steps", o.steps);
    visit.shape("shape", o.shape);
  } else if constexpr (std::is_same_v<T, Pad>) {
    named("mode", o.mode, k_pad_modes);
    visit("before", o.before);
    visit("after", o.after);
    visit("value", o.value);
  } else if constexpr (std::is_same_v<T, Pool>) {
    named("kind", o.kind, k_pool_kinds);
    visit("kernel", o.kernel);
    visit("stride", o.stride);
    visit("dilation", o.dilation);
    visit("pad", o.pad);
    visit("count_include_pad", o.count_include_pad);
    visit("out", o.out);
  } else if constexpr (std::is_same_v<T, ReduceMean>) {
    visit("axes", o.axes);
    visit("keep", o.keep);
  } else if constexpr (std::is_same_v<T, Reshape>) {
    visit.shape("shape", o.shape);
  } else if constexpr (std::is_same_v<T, Transpose>) {
    visit("permutation", o.permutation);
  } else if constexpr (std::is_same_v<T, Resize>) {
    visit("rows", o.rows);
    visit("columns", o.columns);
  } else if constexpr (std::is_same_v<T, ConvChain>) {
    // The fields of the i-th conv are "i.stride" and so on.
    constexpr int k_most_convs = 64;
    int count = static_cast<int>(o.convs.size());
    visit("convs", count);
    visit("image", o.image);
    if constexpr (!std::is_const_v<O>) o.convs.resize(std::clamp(count, 0, k_most_convs));
    for (size_t i = 0; i < o.convs.size(); ++i) {
      const auto numbered = [&](const char* key, auto& field) {
        visit(fmt::format("{}.{}", i, key).c_str(), field);
      };
      visit_fields(o.convs[i], numbered);
    }
  } else {
    static_assert(std::is_same_v<T, Copy>);
  }
}

// Prints fields as " key=value". Null constants, absent activations and false flags are left out.
struct Writer {
  std::string text;

  void put(const char* key, const std::string& value) { text += fmt::format(" {}={}", key, value); }

  void operator()(const char* key, const Extent2& e) { put(key, fmt::format("{}x{}", e[0], e[1])); }
  void operator()(const char* key, const Pad4& p) {
    put(key, fmt::format("{}", fmt::join(p, ",")));
  }
  void operator()(const char* key, int v) { put(key, fmt::format("{}", v)); }
  void operator()(const char* key, float v) { put(key, fmt::format("{}", v)); }
  void operator()(const char* key, bool v) {
    if (v) put(key, "1");
  }
  template <class I>
  void operator()(const char* key, const std::vector<I>& list) {
    put(key, fmt::format("{}", fmt::join(list, ",")));
  }
  void operator()(const char* key, const Constant& c) {
    if (c) put(key, fmt::format("[{}]", to_text(c->shape)));
  }
  void operator()(const char* key, const std::optional<Activation>& a) {
    if (a) (*this)(key, *a);
  }
  template <class E>
  void operator()(const char* key, EnumField<E> field) {
    put(key, field.names[static_cast<size_t>(field.value)]);
  }
  void shape(const char* key, const Shape& s) { put(key, to_text(s)); }

  void operator()(const char* key, const Activation& a) {
    std::string value = activation_name(a.kind);
    switch (a.kind) {
      case Activation::Kind::leaky_relu:
      case Activation::Kind::elu:
      case Activation::Kind::power:
        value += fmt::format("({})", a.alpha);
        break;
      case Activation::Kind::clip:
      case Activation::Kind::hard_sigmoid:
        value += fmt::format("({},{})", a.alpha, a.beta);
        break;
      case Activation::Kind::prelu:
        value += fmt::format("([{}])", a.slope ? to_text(a.slope->shape) : "1");
        break;
      default:
        break;
    }
    put(key, value);
  }
};

template <class N>
bool parse_number(std::string_view text, N& number) {
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  return failed == std::errc() && end == text.data() + text.size();
}

template <class N>
bool parse_list(std::string_view text, char separator, std::vector<N>& list) {
  list.clear();
  if (text.empty()) return true;
  while (true) {
    const size_t cut = text.find(separator);
    N number{};
    if (!parse_number(text.substr(0, cut), number)) return false;
    list.push_back(number);
    if (cut == std::string_view::npos) return true;
    text.remove_prefix(cut + 1);
  }
}

template <class N, size_t Count>
bool parse_array(std::string_view text, char separator, std::array<N, Count>& array) {
  std::vector<N> list;
  if (!parse_list(text, separator, list) || list.size() != Count) return false;
  std::copy(list.begin(), list.end(), array.begin());
  return true;
}

bool parse_constant(std::string_view text, Constant& c) {
  if (text.size() < 2 || text.front() != '[' || text.back() != ']') return false;
  auto shape = parse_shape(std::string(text.substr(1, text.size() - 2)));
  if (!shape.ok()) return false;
  c = abstract_constant(*shape);
  return true;
}

bool parse_activation(std::string_view text, Activation& a) {
  const size_t open = text.find('(');
  std::string_view arguments;
  if (open != std::string_view::npos) {
    if (text.back() != ')') return false;
    arguments = text.substr(open + 1, text.size() - open - 2);
  }
  for (const Activation::Kind kind : k_activations) {
    if (text.substr(0, open) != activation_name(kind)) continue;
    a = Activation{.kind = kind};
    std::array<float, 2> pair{};
    switch (kind) {
      case Activation::Kind::leaky_relu:
      case Activation::Kind::elu:
      case Activation::Kind::power:
        return parse_number(arguments, a.alpha);
      case Activation::Kind::clip:
      case Activation::Kind::hard_sigmoid:
        if (!parse_array(arguments, ',', pair)) return false;
        a.alpha = pair[0];
        a.beta = pair[1];
        return true;
      case Activation::Kind::prelu:
        return parse_constant(arguments, a.slope);
      default:
        return open == std::string_view::npos;
    }
  }
  return false;
}

// Takes fields out of a map of key -> value; remembers the first that is missing or malformed.
struct Reader {
  std::map<std::string, std::string, std::less<>> fields;
  std::string problem;

  template <class Parse>
  void take(const char* key, bool required, Parse&& parse) {
    const auto found = fields.find(key);
    if (found == fields.end()) {
      if (required && problem.empty()) problem = fmt::format("{}= is missing", key);
      return;
    }
    if (!parse(found->second) && problem.empty()) {
      problem = fmt::format("{}={} is malformed", key, found->second);
    }
    fields.erase(found);
  }

  void operator()(const char* key, Extent2& e) {
    take(key, true, [&](const std::string& t) { return parse_array(t, 'x', e); });
  }
  void operator()(const char* key, Pad4& p) {
    take(key, true, [&](const std::string& t) { return parse_array(t, ',', p); });
  }
  void operator()(const char* key, int& v) {
    take(key, true, [&](const std::string& t) { return parse_number(t, v); });
  }
  void operator()(const char* key, float& v) {
    take(key, true, [&](const std::string& t) { return parse_number(t, v); });
  }
  void operator()(const char* key, bool& v) {
    v = false;
    take(key, false, [&](const std::string& t) { return v = t == "1"; });
  }
  template <class I>
  void operator()(const char* key, std::vector<I>& list) {
    take(key, true, [&](const std::string& t) { return parse_list(t, ',', list); });
  }
  void operator()(const char* key, Constant& c) {
    take(key, false, [&](const std::string& t) { return parse_constant(t, c); });
  }
  void operator()(const char* key, std::optional<Activation>& a) {
    take(key, false, [&](const std::string& t) { return parse_activation(t, a.emplace()); });
  }
  void operator()(const char* key, Activation& a) {
    take(key, true, [&](const std::string& t) { return parse_activation(t, a); });
  }
  template <class E>
  void operator()(const char* key, EnumField<E> field) {
    take(key, true, [&](const std::string& t) {
      for (size_t i = 0; i < field.names.size(); ++i) {
        if (t != field.names[i]) continue;
        field.value = static_cast<E>(i);
        return true;
      }
      return false;
    });
  }
  void shape(const char* key, Shape& s) {
    take(key, true, [&](const std::string& t) {
      auto parsed = parse_shape(t);
      if (parsed.ok()) s = *parsed;
      return parsed.ok();
    });
  }
};

// A default Op of the index'th alternative.
template <size_t I = 0>
Op op_of_index(size_t index) {
  if constexpr (I + 1 < std::variant_size_v<Op>) {
    if (index != I) return op_of_index<I + 1>(index);
  }
  return Op(std::in_place_index<I>);
}

// The constants that no op of this kind can do without.
std::string missing_constant(const Op& op) {
  const auto missing = [](std::initializer_list<std::pair<const char*, const Constant*>> needed) {
    for (const auto& [key, c] : needed) {
      if (!*c) return fmt::format("{}= is missing", key);
    }
    return std::string();
  };
  return std::visit(overloaded{
                        [&](const Conv& o) {
                          return missing({{"weight", &o.weight}});
                        },
                        [&](const ConvChain& o) {
                          if (o.convs.size() < 2) return std::string("fewer than two convs");
                          std::string problem;
                          for (const Conv& conv : o.convs)
                            if (problem.empty()) problem = missing({{"weight", &conv.weight}});
                          return problem;
                        },
                        [&](const Dense& o) {
                          return missing({{"weight", &o.weight}});
                        },
                        [&](const Affine& o) {
                          return missing({{"scale", &o.scale}, {"shift", &o.shift}});
                        },
                        [&](const BatchNorm& o) {
                          return missing({{"scale", &o.scale},
                                          {"shift", &o.shift},
                                          {"mean", &o.mean},
                                          {"variance", &o.variance}});
                        },
                        [&](const Literal& o) {
                          return missing({{"value", &o.value}});
                        },
                        [](const auto&) { return std::string(); },
                    },
                    op);
}

}  // namespace

std::string to_text(const Op& op) {
  Writer writer{op_name(op)};
  std::visit([&](const auto& o) { visit_fields(o, writer); }, op);
  return writer.text;
}

Result<Op> parse_op(const std::string& text) {
  const std::string_view view = text;
  const size_t name_end = view.find(' ');
  const std::string_view name = view.substr(0, name_end);
  size_t index = 0;
  while (index < std::variant_size_v<Op> && op_name(op_of_index(index)) != name) ++index;
  if (index == std::variant_size_v<Op>) return error("'{}' is not an op", name);

  Reader reader;
  size_t at = name_end;
  while (at < view.size()) {
    const size_t end = std::min(view.find(' ', at + 1), view.size());
    const std::string_view field = view.substr(at + 1, end - at - 1);
    const size_t equals = field.find('=');
    if (equals == std::string_view::npos) return error("{}: '{}' is not key=value", name, field);
    if (!reader.fields.emplace(field.substr(0, equals), field.substr(equals + 1)).second) {
      return error("{}: {}= is given twice", name, field.substr(0, equals));
    }
    at = end;
  }
  Op op = op_of_index(index);
  std::visit([&](auto& o) { visit_fields(o, reader); }, op);
  if (reader.problem.empty()) reader.problem = missing_constant(op);
  if (reader.problem.empty() && !reader.fields.empty()) {
    reader.problem = fmt::format("it has no {}=", reader.fields.begin()->first);
  }
  if (!reader.problem.empty()) return error("{}: {}", name, reader.problem);
  return op;
}

}  // namespace emulsion
