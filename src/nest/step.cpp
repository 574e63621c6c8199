#include "nest/step.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <sstream>

#include "nest/rewrite_table.h"

namespace emulsion {

namespace {

// How a program step is written: its word, how many loop names follow, and whether a factor does.
struct ProgramForm {
  Step::Kind kind;
  StepForm form;
};
const std::array k_program_forms = {
    ProgramForm{Step::Kind::split, {"split", 1, Factor::required}},
    ProgramForm{Step::Kind::interchange, {"interchange", 2, Factor::none}},
    ProgramForm{Step::Kind::tile, {"tile", 1, Factor::required}},
    ProgramForm{Step::Kind::fuse, {"fuse", 2, Factor::none}},
    ProgramForm{Step::Kind::unroll, {"unroll", 1, Factor::optional}},
    ProgramForm{Step::Kind::vectorize, {"vectorize", 1, Factor::optional}},
    ProgramForm{Step::Kind::parallel, {"parallel", 1, Factor::none}},
    ProgramForm{Step::Kind::gpu_block, {"gpu_block", 1, Factor::none}},
    ProgramForm{Step::Kind::gpu_thread, {"gpu_thread", 1, Factor::none}},
};

struct KnownForm {
  Step::Kind kind;
  StepForm form;
};

// The program steps' forms come first: they decide how "split" and "unroll" are read.
std::vector<KnownForm> known_forms() {
  std::vector<KnownForm> forms;
  for (const ProgramForm& program : k_program_forms) forms.push_back({program.kind, program.form});
  for (const RewriteRule& rule : rewrite_rules()) forms.push_back({Step::Kind::neural, rule.step});
  return forms;
}

std::optional<KnownForm> form_of(const std::string& word) {
  for (const KnownForm& known : known_forms())
    if (word == known.form.word) return known;
  return std::nullopt;
}

// The last words that the rows of a neural step may have: "tiled", ...
std::vector<std::string> variants(const std::string& word) {
  std::vector<std::string> result;
  for (const RewriteRule& rule : rewrite_rules())
    if (word == rule.step.word && *rule.variant) result.push_back(rule.variant);
  return result;
}

std::string usage(const StepForm& form) {
  std::string text = form.word;
  for (int i = 0; i < form.loops; ++i) text += " LOOP";
  if (form.factor == Factor::required) text += " FACTOR";
  if (form.factor == Factor::optional) text += " [FACTOR]";
  const std::vector<std::string> words = variants(form.word);
  return words.empty() ? text : fmt::format("{} [{}]", text, fmt::join(words, "|"));
}

bool is_whole_number(const std::string& word, int& value) {
  const auto [end, failed] = std::from_chars(word.data(), word.data() + word.size(), value);
  return failed == std::errc() && end == word.data() + word.size();
}

// The words of a step; "group[1]" is the word "group" and part 1.
struct Words {
  std::vector<std::string> all;
  int part = -1;
};

Result<Words> split_words(const std::string& text) {
  std::istringstream stream(text);
  Words words;
  for (std::string word; stream >> word;) words.all.push_back(word);
  if (words.all.empty()) return error("an empty step in a list of steps");
  std::string& first = words.all[0];
  const size_t open = first.find('[');
  if (open == std::string::npos) return words;
  const std::string inside = first.substr(open + 1, first.size() - open - 2);
  if (first.back() != ']' || !is_whole_number(inside, words.part) || words.part < 0)
    return error("step '{}': a part is written as in 'group[1] 4'", text);
  first.resize(open);
  return words;
}

std::string known_words() {
  std::string text;
  for (const KnownForm& known : known_forms())
    if (text.find(fmt::format(" {}", known.form.word)) == std::string::npos)
      text += fmt::format(" {}", known.form.word);
  return text;
}

Result<Step> parse_step(const std::string& text) {
  TRY(const Words words, split_words(text));
  const std::string& word = words.all[0];
  const auto known = form_of(word);
  if (!known) {
    return error("step '{}': no step is called '{}'; there are:{}", text, word, known_words());
  }
  const StepForm& form = known->form;
  const auto misfit = [&] { return error("step '{}': it is written '{}'", text, usage(form)); };
  Step step{known->kind, "", "", 0};
  if (known->kind == Step::Kind::neural) step.word = word;
  step.part = words.part;
  std::vector<std::string> rest(words.all.begin() + 1, words.all.end());
  if (rest.size() < static_cast<size_t>(form.loops)) return misfit();
  if (form.loops > 0) step.loop = rest[0];
  if (form.loops > 1) step.other = rest[1];
  for (const std::string& loop : {step.loop, step.other})
    for (const char c : loop)
      if (c < 'a' || c > 'z') return error("step '{}': '{}' is not a loop's name", text, loop);
  rest.erase(rest.begin(), rest.begin() + form.loops);
  const bool has_factor = form.factor == Factor::required || !rest.empty();
  if (form.factor != Factor::none && has_factor) {
    if (rest.empty()) return misfit();
    if (!is_whole_number(rest[0], step.factor) || step.factor < 1)
      return error("step '{}': the factor '{}' is not a whole number of 1 or more", text, rest[0]);
    rest.erase(rest.begin());
  }
  if (rest.size() == 1) {
    const std::vector<std::string> words_after = variants(word);
    if (std::count(words_after.begin(), words_after.end(), rest[0]) == 0) return misfit();
    step.variant = rest[0];
    return step;
  }
  if (!rest.empty()) return misfit();
  if (step.kind == Step::Kind::unroll && step.factor > 0) {
    step.kind = Step::Kind::neural;
    step.word = "unroll";
  }
  return step;
}

}  // namespace

bool is_neural(const Step& step) {
  return step.kind == Step::Kind::neural;
}

std::string to_text(const Step& step) {
  std::string text = step.word;
  for (const ProgramForm& program : k_program_forms)
    if (program.kind == step.kind) text = program.form.word;
  if (step.part >= 0) text += fmt::format("[{}]", step.part);
  for (const std::string& word : {step.loop, step.other})
    if (!word.empty()) text += " " + word;
  if (step.factor > 0) text += fmt::format(" {}", step.factor);
  if (!step.variant.empty()) text += " " + step.variant;
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
    if (step.part >= 0) {
      if (!is_neural(step))
        return refusal(step, "only steps that change what is computed take a part's number");
      if (!steps.empty() && steps.back().kind == Step::Kind::split) {
        steps.back().kind = Step::Kind::neural;
        steps.back().word = "split";
      }
    }
    steps.push_back(std::move(step));
    if (end == std::string::npos) return steps;
    start = end + 1;
  }
}

Error refusal(const Step& step, const std::string& why) {
  return error("step '{}': {}", to_text(step), why);
}

}  // namespace emulsion
