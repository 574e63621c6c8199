// Errors as values. A function that input can make fail returns Result<T>; our own bugs are
// EMULSION_CHECK. An Error is one line that says what is wrong and what to do, and the exit code it
// leads to.
#pragma once

#include <fmt/format.h>

#include <cstdlib>
#include <string>
#include <utility>
#include <variant>

namespace emulsion {

// The program's exit codes.
enum class ExitCode { ok = 0, answer_is_no = 1, bad_input = 2, internal = 3, interrupted = 130 };

struct Error {
  std::string message;
  ExitCode code = ExitCode::bad_input;

  // The same error with "context: " in front.
  Error in(const std::string& context) const { return {context + ": " + message, code}; }
};

template <class... Args>
Error error(fmt::format_string<Args...> format, Args&&... args) {
  return {fmt::format(format, std::forward<Args>(args)...), ExitCode::bad_input};
}

// For failures that are ours or the machine's (a tool missing, a disk full), not the input's.
template <class... Args>
Error failure(fmt::format_string<Args...> format, Args&&... args) {
  return {fmt::format(format, std::forward<Args>(args)...), ExitCode::internal};
}

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}      // NOLINT: implicit on purpose
  Result(Error error) : state_(std::move(error)) {}  // NOLINT: implicit on purpose

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Error& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

struct Unit {};
using Status = Result<Unit>;
inline Status ok() {
  return Unit{};
}

[[noreturn]] inline void check_failed(const char* condition, const char* file, int line) {
  fmt::print(stderr, "emulsion: internal error: {} at {}:{}\n", condition, file, line);
  std::abort();
}

}  // namespace emulsion

// An invariant of ours; stays on in every build.
#define EMULSION_CHECK(condition) \
  ((condition) ? (void)0 : ::emulsion::check_failed(#condition, __FILE__, __LINE__))

#define EMULSION_CONCAT_INNER(a, b) a##b
#define EMULSION_CONCAT(a, b) EMULSION_CONCAT_INNER(a, b)

// TRY(auto x, f()): x is f()'s value, or the enclosing function returns f()'s error.
#define TRY(declaration, expression)                                                         \
  auto EMULSION_CONCAT(try_, __LINE__) = (expression);                                       \
  if (!EMULSION_CONCAT(try_, __LINE__).ok()) return EMULSION_CONCAT(try_, __LINE__).error(); \
  declaration = std::move(EMULSION_CONCAT(try_, __LINE__)).value()

// TRY_OK(f()): the enclosing function returns f()'s error, if it has one.
#define TRY_OK(expression)                           \
  do {                                               \
    auto try_status = (expression);                  \
    if (!try_status.ok()) return try_status.error(); \
  } while (false)
