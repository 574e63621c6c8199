// Files read and written whole. A write is atomic: the final name has the old content or the new,
// never half.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"

namespace emulsion {

Result<std::string> read_file(const std::filesystem::path& path);

// Writes beside path, syncs, renames; devices and pipes are written to. Errors name the path and
// the reason (no permission, no folder); a full disk is ExitCode::internal.
Status write_file(const std::filesystem::path& path, std::string_view content);

// mkdir -p, and a check that files can be written there.
Status make_directory(const std::filesystem::path& path);

// An error unless folders can be made under the system's temporary folder.
Status check_temporary_directory();

// A fresh folder under the system's temporary folder, removed with all its content by the
// destructor.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace emulsion
