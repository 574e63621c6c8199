#include "network/descriptor.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

#include "base/divide.h"

namespace emulsion {
namespace {

bool has_rim(const TensorDescriptor& d) {
  return d.rim != Pad4{0, 0, 0, 0};
}

// Non-negative numbers that each fit N, separated by commas.
template <class N>
bool parse_numbers(std::string_view text, std::vector<N>& list) {
  list.clear();
  if (text.empty()) return true;
  while (true) {
    const size_t comma = text.find(',');
    const std::string_view digits = text.substr(0, comma);
    N number = 0;
    const auto [end, failed] =
        std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (failed != std::errc() || end != digits.data() + digits.size() || number < 0) return false;
    list.push_back(number);
    if (comma == std::string_view::npos) return true;
    text.remove_prefix(comma + 1);
  }
}

// The text between head and tail, or nothing.
std::optional<std::string_view> between(std::string_view text, std::string_view head,
                                        std::string_view tail) {
  if (!text.starts_with(head) || !text.ends_with(tail)) return std::nullopt;
  if (text.size() < head.size() + tail.size()) return std::nullopt;
  return text.substr(head.size(), text.size() - head.size() - tail.size());
}

// Reads one field of a descriptor's text into d. False if it is none.
bool parse_field(std::string_view field, TensorDescriptor& d) {
  std::vector<int> numbers;
  if (const auto shape = between(field, "f32[", "]")) {
    auto parsed = parse_shape(std::string(*shape));
    if (parsed.ok()) d.shape = *parsed;
    return parsed.ok();
  }
  if (const auto strides = between(field, "strides=[", "]")) {
    return parse_numbers(*strides, d.strides);
  }
  if (const auto rim = between(field, "rim=", "")) {
    if (!parse_numbers(*rim, numbers) || numbers.size() != 4) return false;
    std::copy(numbers.begin(), numbers.end(), d.rim.begin());
    return true;
  }
  if (const auto block = between(field, "block=", "")) {
    if (!parse_numbers(*block, numbers) || numbers.size() != 1) return false;
    d.channel_block = numbers[0];
    return true;
  }
  return false;
}

}  // namespace

TensorDescriptor row_major(const Shape& shape) {
  TensorDescriptor d;
  d.shape = shape;
  d.strides.resize(shape.size());
  int64_t stride = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    d.strides[i] = stride;
    stride *= shape[i];
  }
  return d;
}

TensorDescriptor channels_last(const Shape& shape, Pad4 rim) {
  EMULSION_CHECK(shape.size() == 4);
  const int64_t column = shape[1];
  const int64_t row = column * (rim[1] + shape[3] + rim[3]);
  const int64_t image = row * (rim[0] + shape[2] + rim[2]);
  TensorDescriptor d;
  d.shape = shape;
  d.strides = {image, 1, row, column};
  d.rim = rim;
  return d;
}

int64_t origin_offset(const TensorDescriptor& d) {
  if (!has_rim(d)) return 0;
  return d.rim[0] * d.strides[2] + d.rim[1] * d.strides[3];
}

int64_t storage_elements(const TensorDescriptor& d) {
  EMULSION_CHECK(d.strides.size() == d.shape.size());
  EMULSION_CHECK(!has_rim(d) || d.shape.size() == 4);
  int64_t last = 0;  // offset of the last element
  for (size_t i = 0; i < d.shape.size(); ++i) {
    int64_t extent = d.shape[i];
    if (i == 1 && d.channel_block > 0) {
      last += std::min<int64_t>(extent, d.channel_block) - 1;
      extent = divide_up(extent, d.channel_block);
    }
    if (i == 2 && has_rim(d)) extent += d.rim[0] + d.rim[2];
    if (i == 3 && has_rim(d)) extent += d.rim[1] + d.rim[3];
    last += (extent - 1) * d.strides[i];
  }
  return last + 1;
}

std::string to_text(const TensorDescriptor& d) {
  std::string text =
      fmt::format("f32[{}] strides=[{}]", to_text(d.shape), fmt::join(d.strides, ","));
  if (has_rim(d)) text += fmt::format(" rim={}", fmt::join(d.rim, ","));
  if (d.channel_block != 0) text += fmt::format(" block={}", d.channel_block);
  return text;
}

Result<TensorDescriptor> parse_descriptor(const std::string& text) {
  TensorDescriptor d;
  const std::string_view view = text;
  for (size_t at = 0; at <= view.size();) {
    const size_t end = std::min(view.find(' ', at), view.size());
    if (!parse_field(view.substr(at, end - at), d)) {
      return error("'{}' is not a tensor descriptor like f32[1x64x8x8] strides=[4096,1,512,64]",
                   text);
    }
    at = end + 1;
  }
  if (d.strides.size() != d.shape.size()) {
    return error("descriptor '{}' has {} strides for {} dimensions", text, d.strides.size(),
                 d.shape.size());
  }
  if (has_rim(d) && d.shape.size() != 4) {
    return error("descriptor '{}': only images of rank 4 have a rim", text);
  }
  // One spelling a descriptor: the text is a key.
  if (to_text(d) != text) return error("descriptor '{}' must be written as '{}'", text, to_text(d));
  return d;
}

}  // namespace emulsion
