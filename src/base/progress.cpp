#include "base/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

namespace emulsion {
namespace {

using Clock = std::chrono::steady_clock;

std::string format_seconds(double seconds) {
  const int s = static_cast<int>(seconds);
  return s < 60 ? fmt::format("{}s", s) : fmt::format("{}m{:02d}s", s / 60, s % 60);
}

}  // namespace

Progress::Progress(std::string title, int64_t total)
    : title_(std::move(title)), total_(total), terminal_(::isatty(2) == 1), start_(Clock::now()) {}

Progress::~Progress() {
  if (terminal_ && last_ != Clock::time_point{}) fmt::print(stderr, "\n");
}

void Progress::update(int64_t done, const std::string& note) {
  const std::lock_guard<std::mutex> lock(mutex_);
  done_ = done;
  show(done, note);
}

void Progress::note(const std::string& note) {
  const std::lock_guard<std::mutex> lock(mutex_);
  show(done_, note);
}

void Progress::show(int64_t done, const std::string& note) {
  constexpr auto k_between_lines = std::chrono::seconds(5);
  constexpr auto k_between_frames = std::chrono::milliseconds(100);
  const auto now = Clock::now();
  if (terminal_) {
    if (now - last_ < k_between_frames && done != total_) return;
  } else {
    // Short work is not worth a line.
    if (now - std::max(last_, start_) < k_between_lines) return;
  }
  last_ = now;
  terminal_ ? draw(done, note) : print_line(done, note);
}

void Progress::print_line(int64_t done, const std::string& note) const {
  const double elapsed = std::chrono::duration<double>(last_ - start_).count();
  fmt::print(stderr, "{} {}{} in {} {}\n", title_, done,
             total_ > 0 ? fmt::format("/{}", total_) : "", format_seconds(elapsed), note);
  std::fflush(stderr);
}

void Progress::draw(int64_t done, const std::string& note) const {
  const double elapsed = std::chrono::duration<double>(last_ - start_).count();
  if (total_ <= 0) {
    fmt::print(stderr, "\r\033[K{} {} in {} {}", title_, done, format_seconds(elapsed), note);
  } else {
    constexpr int k_width = 28;
    const double part = std::min(1.0, static_cast<double>(done) / static_cast<double>(total_));
    const int filled = static_cast<int>(part * k_width);
    const std::string left =
        part > 0 && part < 1 ? format_seconds(elapsed / part - elapsed) + " left" : "";
    fmt::print(stderr, "\r\033[K{} [{}{}] {}/{} {} {}", title_, std::string(filled, '#'),
               std::string(k_width - filled, '.'), done, total_, left, note);
  }
  std::fflush(stderr);
}

}  // namespace emulsion
