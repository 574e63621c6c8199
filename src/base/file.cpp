#include "base/file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

namespace emulsion {
namespace fs = std::filesystem;

Result<std::string> read_file(const fs::path& path) {
  std::error_code ec;
  if (fs::is_directory(path, ec)) return error("{}: is a folder, not a file", path.string());
  std::ifstream in(path, std::ios::binary);
  if (!in) return error("{}: cannot be read: {}", path.string(), std::strerror(errno));
  std::ostringstream content;
  content << in.rdbuf();
  if (in.bad()) return error("{}: reading failed: {}", path.string(), std::strerror(errno));
  return std::move(content).str();
}

Status write_file(const fs::path& path, std::string_view content) {
  const std::string temporary = fmt::format("{}.tmp{}", path.string(), ::getpid());
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return error("{}: cannot be written: {}", path.string(), std::strerror(errno));
  const auto fail = [&](int reason) -> Status {
    ::unlink(temporary.c_str());
    return error("{}: writing failed: {}", path.string(), std::strerror(reason));
  };
  for (size_t done = 0; done < content.size();) {
    const ssize_t n = ::write(fd, content.data() + done, content.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int reason = errno;
      ::close(fd);
      return fail(reason);
    }
    done += static_cast<size_t>(n);
  }
  // Some file systems report a full disk only here.
  const bool synced = ::fsync(fd) == 0 || errno == EINVAL || errno == EROFS;
  const int sync_reason = errno;
  if (::close(fd) != 0) return fail(errno);
  if (!synced) return fail(sync_reason);
  if (::rename(temporary.c_str(), path.c_str()) != 0) return fail(errno);
  return ok();
}

Status make_directory(const fs::path& path) {
  std::error_code ec;
  fs::create_directories(path, ec);
  if (ec) return error("{}: cannot be made: {}", path.string(), ec.message());
  if (!fs::is_directory(path)) return error("{}: is not a folder", path.string());
  if (::access(path.c_str(), W_OK) != 0) return error("{}: cannot be written to", path.string());
  return ok();
}

TemporaryDirectory::TemporaryDirectory() {
  std::string name = (fs::temp_directory_path() / "emulsion-XXXXXX").string();
  EMULSION_CHECK(::mkdtemp(name.data()) != nullptr);
  path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ec;
  fs::remove_all(path_, ec);
}

}  // namespace emulsion
