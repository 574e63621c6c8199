// A progress bar on stderr for long work; a line every few seconds when stderr is not a terminal.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

namespace emulsion {

class Progress {
 public:
  // total 0: unknown, the bar shows a count.
  explicit Progress(std::string title, int64_t total = 0);
  ~Progress();  // ends the line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Thread-safe. Redraws ten times a second at most; note is shown behind the bar ("best 3.1x").
  void update(int64_t done, const std::string& note = "");
  // The same count with another note.
  void note(const std::string& note);

 private:
  void show(int64_t done, const std::string& note);
  void draw(int64_t done, const std::string& note) const;
  void print_line(int64_t done, const std::string& note) const;

  std::string title_;
  int64_t total_;
  bool terminal_;
  int64_t done_ = 0;
  std::mutex mutex_;
  std::chrono::steady_clock::time_point start_, last_{};
};

}  // namespace emulsion
