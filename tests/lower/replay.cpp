#include "replay.h"

#include <algorithm>
#include <cstdlib>
#include <set>
#include <sstream>

#include "emulated_kernel.h"
#include "lower/algorithm.h"
#include "lower/lower.h"

namespace emulsion {

namespace {

constexpr const char* k_variable = "EMULSION_REPLAY";
constexpr std::string_view k_separator = " / ";

std::string replaced(std::string_view text, std::string_view what, std::string_view with) {
  std::string result;
  size_t at;
  while ((at = text.find(what)) != std::string_view::npos) {
    result.append(text.substr(0, at)).append(with);
    text.remove_prefix(at + what.size());
  }
  return result.append(text);
}

std::set<std::string> parts_of(const std::string& target) {
  std::istringstream text(target);
  std::set<std::string> parts;
  for (std::string part; std::getline(text, part, '-');) parts.insert(part);
  return parts;
}

bool runs_here(const std::string& target) {
  const std::set<std::string> wanted = parts_of(target), here = parts_of(*resolve_target("host"));
  return std::includes(here.begin(), here.end(), wanted.begin(), wanted.end());
}

}  // namespace

std::string to_line(const Replayable& c) {
  std::string text = to_text(c.spec);
  text.pop_back();
  const size_t version = text.find('\n');
  return (c.delivery == Delivery::jit ? "jit" : "object") +
         replaced(text.substr(version), "\n", k_separator);
}

Result<Replayable> parse_line(const std::string& line) {
  const size_t delivery = line.find(k_separator);
  const std::string word = line.substr(0, delivery);
  if (delivery == std::string::npos || (word != "jit" && word != "object"))
    return error("a case begins with 'jit{0}' or 'object{0}', not with '{1}'", k_separator, word);
  const std::string ours = to_text(KernelSpec{});
  TRY(KernelSpec spec, parse_kernel_spec(ours.substr(0, ours.find('\n')) +
                                         replaced(line.substr(delivery), k_separator, "\n")));
  spec.op = with_noise(spec.op);
  if (!runs_here(spec.target) && !emulates(spec.target))
    return error("this machine does not run {}", spec.target);
  TRY(spec, completed(spec));
  return Replayable{spec, word == "jit" ? Delivery::jit : Delivery::object};
}

void check_line(const std::string& line) {
  const std::string replay = fmt::format("{}='{}'", k_variable, line);
  fmt::print("{}\n", replay);
  std::fflush(stdout);
  SCOPED_TRACE(replay);
  const Result<Replayable> c = parse_line(line);
  ASSERT_TRUE(c.ok()) << c.error().message;
  check_conv(c->spec, c->delivery);
}

const char* line_to_replay() {
  return std::getenv(k_variable);
}

}  // namespace emulsion
