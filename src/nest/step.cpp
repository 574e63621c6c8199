#include "nest/step.h"

#include <array>
#include <charconv>
#include <sstream>

namespace emulsion {

namespace {

// How a kind of step is written: its word, how many loop names follow, and whether a factor does.
enum class Factor { none, optional, required };
struct Form {
  Step::Kind kind;
  const char* word;
  int loops;
  Factor factor;
  const char* usage;
};
constexpr std::array k_forms = {
    Form{Step::Kind::split, "split", 1, Factor::required, "split LOOP FACTOR"},
    Form{Step::Kind::interchange, "interchange", 2, Factor::none, "interchange LOOP LOOP"},
    Form{Step::Kind::tile, "tile", 1, Factor::required, "tile LOOP FACTOR"},
    Form{Step::Kind::unroll, "unroll", 1, Factor::none, "unroll LOOP"},
    Form{Step::Kind::vectorize, "vectorize", 1, Factor::optional, "vectorize LOOP [WIDTH]"},
    Form{Step::Kind::parallel, "parallel", 1, Factor::none, "parallel LOOP"},
    Form{Step::Kind::group, "group", 0, Factor::required, "group FACTOR"},
    Form{Step::Kind::bottleneck, "bottleneck", 1, Factor::required, "bottleneck LOOP FACTOR"},
    Form{Step::Kind::depthwise, "depthwise", 0, Factor::none, "depthwise"},
};

const Form& form_of(Step::Kind kind) {
  for (const Form& form : k_forms)
    if (form.kind == kind) return form;
  EMULSION_CHECK(false);
}

Result<Step> parse_step(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  if (words.empty()) return error("an empty step in a list of steps");
  const Form* form = nullptr;
  for (const Form& candidate : k_forms)
    if (words[0] == candidate.word) form = &candidate;
  if (!form) {
    std::string known;
    for (const Form& candidate : k_forms) known += fmt::format(" {}", candidate.word);
    return error("step '{}': no step is called '{}'; there are:{}", text, words[0], known);
  }
  const size_t most = 1 + form->loops + (form->factor == Factor::none ? 0 : 1);
  const size_t least = most - (form->factor == Factor::optional ? 1 : 0);
  if (words.size() < least || words.size() > most)
    return error("step '{}': it is written '{}'", text, form->usage);

  Step step{form->kind, "", "", 0};
  if (form->loops > 0) step.loop = words[1];
  if (form->loops > 1) step.other = words[2];
  for (const std::string& loop : {step.loop, step.other})
    for (const char c : loop)
      if (c < 'a' || c > 'z') return error("step '{}': '{}' is not a loop's name", text, loop);
  if (words.size() > size_t(1 + form->loops)) {
    const std::string& word = words.back();
    const auto [end, failed] = std::from_chars(word.data(), word.data() + word.size(), step.factor);
    if (failed != std::errc() || end != word.data() + word.size() || step.factor < 1)
      return error("step '{}': the factor '{}' is not a whole number of 1 or more", text, word);
  }
  return step;
}

}  // namespace

bool is_neural(const Step& step) {
  return step.kind == Step::Kind::group || step.kind == Step::Kind::bottleneck ||
         step.kind == Step::Kind::depthwise;
}

std::string to_text(const Step& step) {
  const Form& form = form_of(step.kind);
  std::string text = form.word;
  if (form.loops > 0) text += " " + step.loop;
  if (form.loops > 1) text += " " + step.other;
  if (form.factor == Factor::required || (form.factor == Factor::optional && step.factor > 0))
    text += fmt::format(" {}", step.factor);
  return text;
}

std::string to_text(const Steps& steps) {
  std::string text;
  for (const Step& step : steps) text += (text.empty() ? "" : "; ") + to_text(step);
  return text;
}

Result<Steps> parse_steps(const std::string& text) {
  Steps steps;
  if (text.find_first_not_of(" \t\n") == std::string::npos) return steps;
  size_t start = 0;
  while (true) {
    const size_t end = text.find(';', start);
    TRY(Step step, parse_step(text.substr(start, end == std::string::npos ? end : end - start)));
    steps.push_back(std::move(step));
    if (end == std::string::npos) return steps;
    start = end + 1;
  }
}

}  // namespace emulsion
