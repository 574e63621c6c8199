#include "lower/kernel_spec.h"

#include <charconv>
#include <sstream>

#include "base/hash.h"
#include "lower/codegen_version.h"
#include "plan/plan.h"

namespace emulsion {

namespace {

std::string version_line() {
  return "kernel " + codegen_version();
}

}  // namespace

std::string codegen_version() {
  return fmt::format("halide={} lower={}", EMULSION_HALIDE_VERSION, k_codegen_version);
}

std::string to_text(const KernelSpec& spec) {
  std::string text = version_line() + "\n";
  text += fmt::format("op {}\n", to_text(spec.op));
  for (const TensorDescriptor& input : spec.inputs)
    text += fmt::format("input {}\n", to_text(input));
  text += fmt::format("output {}\n", to_text(spec.output));
  text += fmt::format("algorithm {}\n", spec.algorithm);
  text += fmt::format("schedule {}\n", spec.schedule);
  if (spec.weights != ElementType::f32) text += fmt::format("weights {}\n", to_text(spec.weights));
  if (spec.prefetch_next_kb > 0) text += fmt::format("prefetch_next {}\n", spec.prefetch_next_kb);
  text += fmt::format("target {}\n", spec.target);
  return text;
}

Result<KernelSpec> parse_kernel_spec(const std::string& text) {
  std::istringstream lines(text);
  std::string line;
  if (!std::getline(lines, line) || line != version_line())
    return error("kernel spec: its first line is '{}', this program writes '{}'", line,
                 version_line());
  KernelSpec spec;
  bool has_op = false, has_output = false;
  while (std::getline(lines, line)) {
    if (line.empty()) continue;
    const size_t space = line.find(' ');
    const std::string key = line.substr(0, space);
    const std::string value = space == std::string::npos ? "" : line.substr(space + 1);
    if (key == "op") {
      TRY(spec.op, parse_op(value));
      has_op = true;
    } else if (key == "input") {
      TRY(auto descriptor, parse_descriptor(value));
      spec.inputs.push_back(std::move(descriptor));
    } else if (key == "output") {
      TRY(spec.output, parse_descriptor(value));
      has_output = true;
    } else if (key == "algorithm") {
      spec.algorithm = value;
    } else if (key == "schedule") {
      spec.schedule = value;
    } else if (key == "weights") {
      const auto type = parse_element_type(value);
      if (!type) return error("kernel spec: weights are f32 or f16, not '{}'", value);
      spec.weights = *type;
    } else if (key == "prefetch_next") {
      const char* const end = value.data() + value.size();
      const auto [read, failed] = std::from_chars(value.data(), end, spec.prefetch_next_kb);
      if (failed != std::errc() || read != end || spec.prefetch_next_kb < 1 ||
          spec.prefetch_next_kb > k_most_prefetch_next_kb)
        return error("kernel spec: prefetch_next is 1 to {} KB, not '{}'", k_most_prefetch_next_kb,
                     value);
    } else if (key == "target") {
      spec.target = value;
    } else {
      return error("kernel spec: unknown line '{}'", line);
    }
  }
  if (!has_op || !has_output) return error("kernel spec: no '{}' line", has_op ? "output" : "op");
  return spec;
}

std::string kernel_name(const KernelSpec& spec) {
  return "k_" + hash_text(to_text(spec));
}

}  // namespace emulsion
