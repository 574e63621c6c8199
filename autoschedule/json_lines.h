// A file of JSON objects, one a line, that a process may be killed while writing: it is only
// appended to, and a line that was cut short is dropped when the file is read again.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/result.h"

namespace emulsion {

class JsonLines {
 public:
  // Reads the file, if there is one. A damaged line that is not the last is an error that names it.
  static Result<JsonLines> open(const std::filesystem::path& path);

  const std::vector<nlohmann::json>& lines() const { return lines_; }
  const std::filesystem::path& path() const { return path_; }
  // On disk when it returns. Safe to call from several threads.
  Status append(const nlohmann::json& line);

 private:
  std::filesystem::path path_;
  std::vector<nlohmann::json> lines_;
  std::shared_ptr<std::mutex> mutex_ = std::make_shared<std::mutex>();
};

}  // namespace emulsion
