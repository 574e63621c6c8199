#include "autoschedule/json_lines.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/file.h"

namespace emulsion {

using nlohmann::json;

Result<JsonLines> JsonLines::open(const std::filesystem::path& path) {
  JsonLines result;
  result.path_ = path;
  std::error_code code;
  if (!std::filesystem::exists(path, code)) return result;
  TRY(const std::string text, read_file(path));
  size_t begin = 0;
  for (int number = 1; begin < text.size(); ++number) {
    const size_t end = text.find('\n', begin);
    if (end == std::string::npos) break;  // cut short
    json line = json::parse(text.substr(begin, end - begin), nullptr, false);
    if (!line.is_object()) {
      return error("{}: line {} is not a JSON object; delete the file to start anew", path.string(),
                   number);
    }
    result.lines_.push_back(std::move(line));
    begin = end + 1;
  }
  // The next line must not be glued to the rest of one that was cut short.
  if (begin < text.size()) TRY_OK(write_file(path, text.substr(0, begin)));
  return result;
}

Status JsonLines::append(const json& line) {
  const std::lock_guard lock(*mutex_);
  const std::string text = line.dump() + "\n";
  const int file = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  if (file < 0) return error("cannot write {}: {}", path_.string(), std::strerror(errno));
  size_t written = 0;
  while (written < text.size()) {
    const ssize_t n = ::write(file, text.data() + written, text.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int reason = errno;
      ::close(file);
      return failure("cannot write {}: {}", path_.string(), std::strerror(reason));
    }
    written += static_cast<size_t>(n);
  }
  ::close(file);
  lines_.push_back(line);
  return ok();
}

}  // namespace emulsion
