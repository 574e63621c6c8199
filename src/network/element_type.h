// How numbers are stored. Everything is computed in f32; weights may be stored in half precision.
#pragma once

#include <optional>
#include <string>

namespace emulsion {

enum class ElementType { f32, f16 };

inline const char* to_text(ElementType type) {
  return type == ElementType::f16 ? "f16" : "f32";
}
inline std::optional<ElementType> parse_element_type(const std::string& text) {
  if (text == "f32") return ElementType::f32;
  if (text == "f16") return ElementType::f16;
  return std::nullopt;
}
inline int bytes_of(ElementType type) {
  return type == ElementType::f16 ? 2 : 4;
}

}  // namespace emulsion
