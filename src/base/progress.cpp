#include "base/progress.h"

#include <fmt/format.h>
#include <unistd.h>

namespace emulsion {
namespace {

using Clock = std::chrono::steady_clock;

std::string format_seconds(double seconds) {
  const int s = static_cast<int>(seconds);
  return s < 60 ? fmt::format("{}s", s) : fmt::format("{}m{:02d}s", s / 60, s % 60);
}

}  // namespace

Progress::Progress(std::string title, int64_t total)
    : title_(std::move(title)), total_(total), visible_(::isatty(2) == 1), start_(Clock::now()) {}

Progress::~Progress() {
  if (visible_ && last_ != Clock::time_point{}) fmt::print(stderr, "\n");
}

void Progress::update(int64_t done, const std::string& note) {
  if (!visible_) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto now = Clock::now();
  if (now - last_ < std::chrono::milliseconds(100) && done != total_) return;
  last_ = now;
  draw(done, note);
}

void Progress::draw(int64_t done, const std::string& note) {
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
