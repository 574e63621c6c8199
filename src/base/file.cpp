#include "base/file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

namespace emulsion {
namespace fs = std::filesystem;

namespace {

// A path at fault is the user's; a disk that is full or broken is not.
Error cannot_write(const fs::path& path, int reason) {
  Error result = error("{}: cannot be written: {}", path.string(), std::strerror(reason));
  if (reason == ENOSPC || reason == EDQUOT || reason == EIO) result.code = ExitCode::internal;
  return result;
}

// Writes, syncs and closes; 0 or the reason why not.
int write_all(int fd, std::string_view content) {
  for (size_t done = 0; done < content.size();) {
    const ssize_t n = ::write(fd, content.data() + done, content.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int reason = errno;
      ::close(fd);
      return reason;
    }
    done += static_cast<size_t>(n);
  }
  // Some file systems report a full disk only here.
  const int sync_reason = ::fsync(fd) == 0 || errno == EINVAL || errno == EROFS ? 0 : errno;
  if (::close(fd) != 0) return errno;
  return sync_reason;
}

// What a symbolic link leads to, whether it is there or not.
fs::path followed(fs::path path) {
  std::error_code ec;
  constexpr int k_most_links = 40;  // as the kernel follows
  for (int i = 0; i < k_most_links && fs::is_symlink(path, ec); ++i) {
    const fs::path next = fs::read_symlink(path, ec);
    if (ec) break;
    path = path.parent_path() / next;  // or next, where that is absolute
  }
  return path;
}

}  // namespace

Result<std::string> read_file(const fs::path& path) {
  if (path.empty()) return error("the name of a file is empty");
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
  if (path.empty()) return error("the name of a file is empty");
  std::error_code ec;
  const fs::file_status status = fs::status(path, ec);
  if (fs::is_directory(status)) return error("{}: is a folder, not a file", path.string());
  // A device or a pipe is written to: a rename would replace it.
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    const int reason = fd < 0 ? errno : write_all(fd, content);
    if (reason != 0) return cannot_write(path, reason);
    return ok();
  }
  const fs::path target = followed(path);
  const std::string temporary = fmt::format("{}.tmp{}", target.string(), ::getpid());
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return cannot_write(path, errno);
  int reason = write_all(fd, content);
  if (reason == 0 && ::rename(temporary.c_str(), target.c_str()) != 0) reason = errno;
  if (reason == 0) return ok();
  ::unlink(temporary.c_str());
  return cannot_write(path, reason);
}

Status make_directory(const fs::path& path) {
  std::error_code ec;
  fs::create_directories(path, ec);
  if (ec) {
    Error result = error("{}: cannot be made: {}", path.string(), ec.message());
    if (ec == std::errc::no_space_on_device) result.code = ExitCode::internal;
    return result;
  }
  if (!fs::is_directory(path, ec)) return error("{}: is not a folder", path.string());
  if (::access(path.c_str(), W_OK) != 0) return error("{}: cannot be written to", path.string());
  return ok();
}

Status check_temporary_directory() {
  std::error_code ec;
  const fs::path folder = fs::temp_directory_path(ec);
  if (ec) return failure("TMPDIR does not name a folder that can be used: {}", ec.message());
  std::string name = (folder / "emulsion-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) {
    return failure("{}: no temporary files can be made there: {}; name another folder with TMPDIR",
                   folder.string(), std::strerror(errno));
  }
  ::rmdir(name.c_str());
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
