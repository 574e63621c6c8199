#include "kernels/cache_entry.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "base/file.h"
#include "base/hash.h"

namespace emulsion {
namespace fs = std::filesystem;
namespace {

// Holds the folder's advisory lock. An entry is two files: the lock keeps readers of this code from
// seeing one of them new and the other old. Where locks do not work the seal still tells a torn
// entry from a whole one.
class FolderLock {
 public:
  FolderLock(const fs::path& folder, int mode)
      : fd_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    while (fd_ >= 0 && ::flock(fd_, mode) != 0 && errno == EINTR) {
    }
  }
  ~FolderLock() {
    if (fd_ >= 0) ::close(fd_);
  }
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int fd_;
};

fs::path text_path(const CacheEntry& entry) {
  return fs::path(entry.file).replace_extension(".txt");
}

std::string sealed(const std::string& text, std::string_view content) {
  const char* newline = text.empty() || text.back() == '\n' ? "" : "\n";
  return fmt::format("{}{}file {} bytes {}\n", text, newline, content.size(), hash_text(content));
}

bool holds_unlocked(const CacheEntry& entry) {
  const auto text = read_file(text_path(entry));
  if (!text.ok()) return false;
  const auto content = read_file(entry.file);
  return content.ok() && *text == sealed(entry.text, *content);
}

}  // namespace

bool holds(const CacheEntry& entry) {
  const FolderLock lock(entry.file.parent_path(), LOCK_SH);
  return holds_unlocked(entry);
}

Status put(const CacheEntry& entry, std::string_view content) {
  TRY_OK(make_directory(entry.file.parent_path()));
  const FolderLock lock(entry.file.parent_path(), LOCK_EX);
  if (holds_unlocked(entry)) return ok();
  TRY_OK(write_file(entry.file, content));
  return write_file(text_path(entry), sealed(entry.text, content));
}

}  // namespace emulsion
